/*
 * server/digest.h - hashes that protocols ask for, for modules: entity
 * capabilities (XEP-0115), avatars (XEP-0153) and the like.
 */
#pragma once

#include "base/str.h"

/* The 20 bytes of SHA-1, and the 32 of SHA-256; in the arena. */
struct str digest_sha1(struct arena *, struct str bytes);
struct str digest_sha256(struct arena *, struct str bytes);

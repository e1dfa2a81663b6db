/*
 * base/code.h - base64 (RFC 4648, section 4) and hex.
 */
#pragma once

#include <stdbool.h>

#include "base/str.h"

struct str base64_encode(struct arena *, struct str);
/* Strict: padding needed, no white space, no stray bits. */
bool base64_decode(struct arena *, struct str, struct str *bytes_r);

struct str hex_encode(struct arena *, struct str); /* lower case */
bool hex_decode(struct arena *, struct str, struct str *bytes_r);

/*
 * storage/store_kind.h - what is kept: kinds of rows, their owners and keys.
 */
#pragma once

#include <stdint.h>

#include "base/str.h"

typedef uint64_t owner_id; /* 0 is nobody */

/* Rows of the server itself: secrets, settings. Always there. */
#define OWNER_SERVER ((owner_id)1)

enum {
	KIND_COUNTED = 1 << 0, /* count and bytes per owner, kept with writes */
	KIND_REVERSE = 1 << 1, /* map: index (kind, key) -> owners */
	KIND_DUE = 1 << 2,     /* log: index (kind, time) -> rows */
	KIND_REF = 1 << 3,     /* log: ref is unique per (owner, peer) */
	KIND_TEXT = 1 << 4,    /* log: full text search over text */
	KIND_PEER = 1 << 5,    /* log: index by the peer's bare JID */
};

/* Declared once, static, by the module that keeps such rows. */
struct store_kind {
	const char *name; /* stored: frozen once released; [a-z0-9-] */
	enum { STORE_MAP, STORE_LOG } shape;
	unsigned flags;
};

/* A key of several parts that sorts part by part; parts hold no NUL. A scan
 * with the prefix store_key2(a, STR_NONE) finds all keys (a, x). */
struct str store_key2(struct arena *, struct str, struct str);
struct str store_key3(struct arena *, struct str, struct str, struct str);
/* The part at index of a key; empty when there are fewer. */
struct str store_key_part(struct str key, unsigned index);

/*
 * server/keys.h - what is kept of a password: salted keys (RFC 5802), never the
 * password itself.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/str.h"
#include "server/post.h"
#include "storage/store.h"

enum key_hash { KEY_SHA1, KEY_SHA256, KEY_SHA512, KEY_HASH_COUNT };

struct scram_keys {
	uint32_t iterations; /* 0: there are none for this hash */
	bool is_stand_in;    /* only shown: PLAIN is checked with another */
	struct str salt;
	struct str stored_key, server_key;
	/* Of what SASLprep makes of the password, where that is another text:
	 * clients prove the one or the other. Else empty. */
	struct str stored_sasl, server_sasl;
};

/* KEYS, asked for by a stream that logs somebody in. Answered also for accounts
 * that do not exist: with keys that no password fits, the same ones each time.
 */
struct keys {
	enum err err; /* UNAVAILABLE...: temporary-auth-failure */
	bool exists, is_disabled;
	unsigned delay_ms; /* wait so long before the answer to a failure */
	struct scram_keys of[KEY_HASH_COUNT];
};
/* LOGIN: how it went, counted by the owner for its brake. */
struct login {
	bool is_success;
};

/* The rounds of each; 0: none. */
struct key_counts {
	uint32_t of[KEY_HASH_COUNT];
};

extern const struct store_kind keys_kind;

/* Makes keys for a prepared password (PBKDF2: milliseconds; not for the hot
 * path). */
void keys_make(struct arena *, struct str password, unsigned iterations,
    struct keys *keys_r);
/* Puts them into a transaction; reads them back from rows of keys_kind over
 * what is in keys. False when some are damaged: those are not touched. */
void keys_put(struct store_write *, owner_id, const struct keys *);
bool keys_read(
    struct arena *, const struct map_row *, size_t count, struct keys *keys_r);
/* Copies those that are there over what is in keys. */
void keys_copy(struct arena *, const struct keys *from, struct keys *keys);
/* Keys for those hashes that have none, made of the server's secret and the
 * name, so that a stranger cannot tell an unknown account from a wrong
 * password. Their counts are those of the other keys, or, where there are no
 * keys at all, these (one at least is not 0): what has none is a stand-in then
 * as it is with an account of those counts. */
void keys_fill(struct arena *, const uint8_t secret[32], struct str bare,
    const struct key_counts *, struct keys *keys);
/* Whether the prepared password fits, by whichever of both; costs one PBKDF2.
 */
bool keys_match(const struct keys *, struct str password);

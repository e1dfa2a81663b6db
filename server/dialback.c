#include "server/dialback.h"

#include <gnutls/crypto.h>

#include "base/code.h"
#include "base/err.h"
#include "server/shard.h"

#define HASH_LEN 32

/* XEP-0185, section 3: HMAC-SHA256 of "receiving originating id" under the
 * SHA-256 of the secret, in hex. */
struct str
dialback_key_of(struct arena *arena, struct str secret, struct str receiving,
    struct str originating, struct str id)
{
	struct str text = str_format(arena, "%.*s %.*s %.*s",
	    STR_ARG(receiving), STR_ARG(originating), STR_ARG(id));
	uint8_t hashed[HASH_LEN], mac[HASH_LEN];
	struct str key;

	must(gnutls_hash_fast(
		 GNUTLS_DIG_SHA256, secret.text, secret.len, hashed) >= 0);
	key = hex_encode(arena, (struct str){(char *)hashed, HASH_LEN});
	must(gnutls_hmac_fast(GNUTLS_MAC_SHA256, key.text, key.len, text.text,
		 text.len, mac) >= 0);
	return hex_encode(arena, (struct str){(char *)mac, HASH_LEN});
}

struct str
dialback_key(struct arena *arena, const struct server *server,
    struct str receiving, struct str originating, struct str id)
{
	return dialback_key_of(arena,
	    (struct str){(const char *)server->secret, sizeof(server->secret)},
	    receiving, originating, id);
}

bool
dialback_is_key(const struct server *server, struct str key,
    struct str receiving, struct str originating, struct str id)
{
	struct arena *arena = arena_make(0);
	struct str wanted =
	    dialback_key(arena, server, receiving, originating, id);
	bool is_key = key.len == wanted.len &&
		      gnutls_memcmp(key.text, wanted.text, key.len) == 0;

	arena_free(&arena);
	return is_key;
}

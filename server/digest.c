#include "server/digest.h"

#include <gnutls/crypto.h>

#include "base/err.h"

static struct str
digest(struct arena *arena, gnutls_digest_algorithm_t kind, struct str bytes)
{
	size_t len = (size_t)gnutls_hash_get_len(kind);
	char *hash = arena_text(arena, len);

	must(gnutls_hash_fast(
		 kind, bytes.len == 0 ? "" : bytes.text, bytes.len, hash) == 0);
	return (struct str){hash, len};
}

struct str
digest_sha1(struct arena *arena, struct str bytes)
{
	return digest(arena, GNUTLS_DIG_SHA1, bytes);
}

struct str
digest_sha256(struct arena *arena, struct str bytes)
{
	return digest(arena, GNUTLS_DIG_SHA256, bytes);
}

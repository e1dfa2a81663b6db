#include "server/keys.h"

#include <gnutls/crypto.h>
#include <gnutls/gnutls.h>
#include <string.h>

#include "base/code.h"
#include "base/err.h"
#include "base/rand.h"
#include "xml/prep.h"

#define SALT_LEN 16
/* Of nobody's: as many bytes as the longest key has, and as all salts. */
#define FAKE_LEN 64
_Static_assert(KEY_HASH_COUNT *SALT_LEN <= FAKE_LEN, "salts are of one MAC");

const struct store_kind keys_kind = {.name = "scram", .shape = STORE_MAP};

/* The key of the row, its algorithm and the length of what that gives. */
static const struct hash_row {
	const char *name;
	gnutls_mac_algorithm_t mac;
	gnutls_digest_algorithm_t digest;
	size_t len;
} hashes[KEY_HASH_COUNT] = {
    [KEY_SHA1] = {"sha-1", GNUTLS_MAC_SHA1, GNUTLS_DIG_SHA1, 20},
    [KEY_SHA256] = {"sha-256", GNUTLS_MAC_SHA256, GNUTLS_DIG_SHA256, 32},
    [KEY_SHA512] = {"sha-512", GNUTLS_MAC_SHA512, GNUTLS_DIG_SHA512, 64},
};

static void
mac(const struct hash_row *hash, struct str key, struct str text, void *made)
{
	must(gnutls_hmac_fast(
		 hash->mac, key.text, key.len, text.text, text.len, made) == 0);
}

static bool
derive(const struct hash_row *hash, struct str password,
    const struct scram_keys *with, uint8_t *salted)
{
	gnutls_datum_t key = {
	    (unsigned char *)(uintptr_t)password.text, (unsigned)password.len};
	gnutls_datum_t salt = {(unsigned char *)(uintptr_t)with->salt.text,
	    (unsigned)with->salt.len};

	return gnutls_pbkdf2(hash->mac, &key, &salt, with->iterations, salted,
		   hash->len) == 0;
}

/* RFC 5802, section 3: StoredKey and ServerKey of a SaltedPassword. */
static void
split_keys(struct arena *arena, const struct hash_row *hash,
    const uint8_t *salted, struct scram_keys *keys)
{
	struct str key = {(const char *)salted, hash->len};
	char *stored = arena_text(arena, hash->len);
	char *server = arena_text(arena, hash->len);
	uint8_t client[64];

	mac(hash, key, STR("Client Key"), client);
	mac(hash, key, STR("Server Key"), server);
	must(gnutls_hash_fast(hash->digest, client, hash->len, stored) == 0);
	gnutls_memset(client, 0, sizeof(client));
	keys->stored_key = (struct str){stored, hash->len};
	keys->server_key = (struct str){server, hash->len};
}

static void
derive_keys(struct arena *arena, const struct hash_row *hash,
    struct str password, struct scram_keys *keys)
{
	uint8_t salted[64];

	must(derive(hash, password, keys, salted));
	split_keys(arena, hash, salted, keys);
	gnutls_memset(salted, 0, sizeof(salted));
}

/* RFC 5802 has SASLprep, RFC 8265 took its place: clients do the one, the other
 * or neither. */
static void
make_one(struct arena *arena, const struct hash_row *hash, struct str password,
    unsigned iterations, struct scram_keys *keys)
{
	char *salt = arena_text(arena, SALT_LEN);
	struct str prepared = password;
	struct scram_keys others;

	rand_bytes(salt, SALT_LEN);
	keys->salt = (struct str){salt, SALT_LEN};
	keys->iterations = iterations;
	derive_keys(arena, hash, password, keys);
	if (!prep_sasl(arena, &prepared) || str_equal(prepared, password))
		return;
	others = *keys;
	derive_keys(arena, hash, prepared, &others);
	gnutls_memset((char *)(uintptr_t)prepared.text, 0, prepared.len);
	keys->stored_sasl = others.stored_key;
	keys->server_sasl = others.server_key;
}

void
keys_make(struct arena *arena, struct str password, unsigned iterations,
    struct keys *keys)
{
	*keys = (struct keys){.exists = true};
	for (unsigned i = 0; i < KEY_HASH_COUNT; i++)
		make_one(arena, &hashes[i], password, iterations, &keys->of[i]);
}

/* --- rows: "iterations salt stored-key server-key", and maybe two more ---- */

static struct str
sasl_text(struct arena *arena, const struct scram_keys *keys)
{
	struct str stored, server;

	if (keys->stored_sasl.len == 0)
		return STR("");
	stored = base64_encode(arena, keys->stored_sasl);
	server = base64_encode(arena, keys->server_sasl);
	return str_format(
	    arena, " %.*s %.*s", STR_ARG(stored), STR_ARG(server));
}

void
keys_put(struct store_write *write, owner_id owner, const struct keys *keys)
{
	struct arena *arena = arena_make(0);

	for (unsigned i = 0; i < KEY_HASH_COUNT; i++) {
		const struct scram_keys *one = &keys->of[i];
		struct str salt = base64_encode(arena, one->salt);
		struct str stored = base64_encode(arena, one->stored_key);
		struct str server = base64_encode(arena, one->server_key);
		struct str sasl = sasl_text(arena, one);

		if (one->iterations == 0)
			continue;
		store_put(write, owner, &keys_kind, str_of(hashes[i].name),
		    str_format(arena, "%u %.*s %.*s %.*s%.*s", one->iterations,
			STR_ARG(salt), STR_ARG(stored), STR_ARG(server),
			STR_ARG(sasl)));
	}
	arena_free(&arena);
}

static bool
read_pair(struct arena *arena, const struct hash_row *hash, struct str *rest,
    struct str *stored_r, struct str *server_r)
{
	struct str stored, server;

	return str_cut(*rest, ' ', &stored, rest) &&
	       (str_cut(*rest, ' ', &server, rest) || server.len > 0) &&
	       base64_decode(arena, stored, stored_r) &&
	       base64_decode(arena, server, server_r) &&
	       stored_r->len == hash->len && server_r->len == hash->len;
}

static bool
read_value(struct arena *arena, const struct hash_row *hash, struct str value,
    struct scram_keys *keys)
{
	struct str count, salt, rest;
	struct scram_keys found = {0};
	uint64_t iterations;

	if (!str_cut(value, ' ', &count, &rest) ||
	    !str_cut(rest, ' ', &salt, &rest) ||
	    !str_to_u64(count, UINT32_MAX, &iterations) || iterations == 0)
		return false;
	if (!base64_decode(arena, salt, &found.salt) ||
	    !read_pair(
		arena, hash, &rest, &found.stored_key, &found.server_key) ||
	    (rest.len > 0 && !read_pair(arena, hash, &rest, &found.stored_sasl,
				 &found.server_sasl)))
		return false;
	found.iterations = (uint32_t)iterations;
	*keys = found;
	return true;
}

bool
keys_read(struct arena *arena, const struct map_row *rows, size_t count,
    struct keys *keys)
{
	bool is_right = true;

	for (size_t i = 0; i < count; i++)
		for (unsigned h = 0; h < KEY_HASH_COUNT; h++)
			if (str_equal(rows[i].key, str_of(hashes[h].name)) &&
			    !read_value(
				arena, &hashes[h], rows[i].value, &keys->of[h]))
				is_right = false;
	return is_right;
}

static struct str
copy(struct arena *arena, struct str bytes)
{
	char *own;

	if (bytes.len == 0)
		return STR_NONE;
	own = arena_text(arena, bytes.len);
	memcpy(own, bytes.text, bytes.len);
	return (struct str){own, bytes.len};
}

void
keys_copy(struct arena *arena, const struct keys *from, struct keys *keys)
{
	for (unsigned i = 0; i < KEY_HASH_COUNT; i++) {
		const struct scram_keys *one = &from->of[i];

		if (one->iterations == 0)
			continue;
		keys->of[i] = (struct scram_keys){
		    .iterations = one->iterations,
		    .is_stand_in = one->is_stand_in,
		    .salt = copy(arena, one->salt),
		    .stored_key = copy(arena, one->stored_key),
		    .server_key = copy(arena, one->server_key),
		    .stored_sasl = copy(arena, one->stored_sasl),
		    .server_sasl = copy(arena, one->server_sasl),
		};
	}
}

/* --- nobody's ----------------------------------------------------------- */

static void
fake(struct arena *arena, const uint8_t secret[32], const char *what,
    struct str bare, char made[static FAKE_LEN])
{
	struct str text = str_format(arena, "%s %.*s", what, STR_ARG(bare));

	mac(&hashes[KEY_SHA512], (struct str){(const char *)secret, 32}, text,
	    made);
}

/* Of the account's own keys where it has some. */
static struct key_counts
counts_of(const struct keys *keys, const struct key_counts *others)
{
	struct key_counts counts;
	uint64_t all = 0;

	for (unsigned i = 0; i < KEY_HASH_COUNT; i++) {
		counts.of[i] = keys->of[i].iterations;
		all += counts.of[i];
	}
	return all > 0 ? counts : *others;
}

static uint32_t
first_count(const struct key_counts *counts)
{
	unsigned i = 0;

	while (i < KEY_HASH_COUNT - 1 && counts->of[i] == 0)
		i++;
	return counts->of[i];
}

/* All are made, also when none is needed: it takes as long. Nobody ever sees
 * the keys, so they may be alike. */
void
keys_fill(struct arena *arena, const uint8_t secret[32], struct str bare,
    const struct key_counts *others, struct keys *keys)
{
	const struct key_counts counts = counts_of(keys, others);
	char *salts = arena_text(arena, FAKE_LEN);
	char *key = arena_text(arena, FAKE_LEN);

	fake(arena, secret, "salts", bare, salts);
	fake(arena, secret, "keys", bare, key);
	for (unsigned i = 0; i < KEY_HASH_COUNT; i++) {
		struct scram_keys one = {
		    .iterations = counts.of[i],
		    .is_stand_in = counts.of[i] == 0,
		    .salt = {salts + (size_t)i * SALT_LEN, SALT_LEN},
		    .stored_key = {key, hashes[i].len},
		    .server_key = {key, hashes[i].len},
		};

		if (one.is_stand_in)
			one.iterations = first_count(&counts);
		if (keys->of[i].iterations == 0)
			keys->of[i] = one;
	}
}

/* --- checking ----------------------------------------------------------- */

static bool
is_key(const struct scram_keys *made, struct str stored)
{
	return stored.len > 0 && gnutls_memcmp(made->stored_key.text,
				     stored.text, stored.len) == 0;
}

/* The first hash is also the cheapest. */
bool
keys_match(const struct keys *keys, struct str password)
{
	struct arena *arena;
	struct scram_keys made = {0};
	uint8_t salted[64];
	unsigned i = 0;
	bool is_plain, is_sasl;

	while (i < KEY_HASH_COUNT &&
	       (keys->of[i].iterations == 0 || keys->of[i].is_stand_in))
		i++;
	if (i == KEY_HASH_COUNT ||
	    !derive(&hashes[i], password, &keys->of[i], salted))
		return false;
	arena = arena_make(0);
	split_keys(arena, &hashes[i], salted, &made);
	is_plain = is_key(&made, keys->of[i].stored_key);
	is_sasl = is_key(&made, keys->of[i].stored_sasl);
	gnutls_memset(salted, 0, sizeof(salted));
	arena_free(&arena);
	return (is_plain || is_sasl) && keys->exists;
}

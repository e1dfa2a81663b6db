#include "bench/scram.h"

#include <err.h>
#include <gnutls/crypto.h>
#include <gnutls/gnutls.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NONCE "fyko+d2lbbFgONRv9qkxdawL"

static void
encode(const void *bytes, size_t len, char *text_r)
{
	gnutls_datum_t in = {(unsigned char *)bytes, (unsigned)len}, out;

	if (gnutls_base64_encode2(&in, &out) != 0)
		errx(1, "base64 of %zu bytes failed", len);
	snprintf(text_r, SCRAM_TEXT_MAX, "%s", (const char *)out.data);
	gnutls_free(out.data);
}

/* How many bytes; 0 when it is no base64 or longer than `max`. */
static size_t
decode(const char *text, size_t len, void *bytes_r, size_t max)
{
	gnutls_datum_t in = {(unsigned char *)text, (unsigned)len}, out;
	size_t got = 0;

	if (gnutls_base64_decode2(&in, &out) != 0)
		return 0;
	if (out.size <= max) {
		memcpy(bytes_r, out.data, out.size);
		got = out.size;
	}
	gnutls_free(out.data);
	return got;
}

void
scram_first(const char *user, char *text_r)
{
	char text[SCRAM_TEXT_MAX];
	int len = snprintf(text, sizeof(text), "n,,n=%s,r=" NONCE, user);

	encode(text, (size_t)len, text_r);
}

void
scram_plain(const char *user, const char *password, char *text_r)
{
	char text[SCRAM_TEXT_MAX];
	int len = snprintf(
	    text, sizeof(text), "%c%s%c%s", '\0', user, '\0', password);

	encode(text, (size_t)len, text_r);
}

static void
hmac(const uint8_t *key, const char *text, size_t len, uint8_t *out_r)
{
	if (gnutls_hmac_fast(
		GNUTLS_MAC_SHA1, key, SCRAM_KEY_LEN, text, len, out_r) != 0)
		errx(1, "HMAC-SHA-1 failed");
}

/* RFC 5802, section 3. */
static void
derive(struct scram_keys *keys, const char *password)
{
	uint8_t salt[64], salted[SCRAM_KEY_LEN];
	gnutls_datum_t key = {
	    (unsigned char *)password, (unsigned)strlen(password)};
	gnutls_datum_t with = {
	    salt, (unsigned)decode(
		      keys->salt, strlen(keys->salt), salt, sizeof(salt))};

	if (gnutls_pbkdf2(GNUTLS_MAC_SHA1, &key, &with, keys->rounds, salted,
		sizeof(salted)) != 0)
		errx(1, "PBKDF2 failed");
	hmac(salted, "Client Key", 10, keys->client_key);
	if (gnutls_hash_fast(GNUTLS_DIG_SHA1, keys->client_key, SCRAM_KEY_LEN,
		keys->stored_key) != 0)
		errx(1, "SHA-1 failed");
}

/* The value of an attribute: from behind "name=" to the next comma. */
static bool
attribute(const char *text, const char *name, char *value_r, size_t max)
{
	const char *start = strstr(text, name);
	size_t len;

	if (start == NULL)
		return false;
	start += strlen(name);
	len = strcspn(start, ",");
	if (len >= max)
		return false;
	memcpy(value_r, start, len);
	value_r[len] = '\0';
	return true;
}

static void
remember(struct scram_keys *keys, const char *salt, unsigned rounds,
    const char *password)
{
	if (keys->rounds == rounds && strcmp(keys->salt, salt) == 0)
		return;
	snprintf(keys->salt, sizeof(keys->salt), "%s", salt);
	keys->rounds = rounds;
	derive(keys, password);
}

bool
scram_answer(struct scram_keys *keys, const char *user, const char *password,
    const char *challenge, size_t len, char *text_r)
{
	char server[SCRAM_TEXT_MAX], nonce[SCRAM_TEXT_MAX], salt[64], count[16];
	char text[4 * SCRAM_TEXT_MAX], bare[2 * SCRAM_TEXT_MAX];
	uint8_t proof[SCRAM_KEY_LEN];
	size_t got = decode(challenge, len, server, sizeof(server) - 1);

	server[got] = '\0';
	if (!attribute(server, "r=", nonce, sizeof(nonce)) ||
	    !attribute(server, ",s=", salt, sizeof(salt)) ||
	    !attribute(server, ",i=", count, sizeof(count)))
		return false;
	remember(keys, salt, (unsigned)strtoul(count, NULL, 10), password);
	snprintf(bare, sizeof(bare), "c=biws,r=%s", nonce);
	snprintf(
	    text, sizeof(text), "n=%s,r=" NONCE ",%s,%s", user, server, bare);
	hmac(keys->stored_key, text, strlen(text), proof);
	for (unsigned i = 0; i < SCRAM_KEY_LEN; i++)
		proof[i] ^= keys->client_key[i];
	encode(proof, sizeof(proof), server);
	snprintf(text, sizeof(text), "%s,p=%s", bare, server);
	encode(text, strlen(text), text_r);
	return true;
}

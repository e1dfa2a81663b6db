#include "server/scram.h"

#include <gnutls/crypto.h>
#include <gnutls/gnutls.h>

#include "base/code.h"
#include "base/err.h"

static const struct {
	gnutls_mac_algorithm_t mac;
	gnutls_digest_algorithm_t digest;
	size_t len;
} hashes[KEY_HASH_COUNT] = {
    [KEY_SHA1] = {GNUTLS_MAC_SHA1, GNUTLS_DIG_SHA1, 20},
    [KEY_SHA256] = {GNUTLS_MAC_SHA256, GNUTLS_DIG_SHA256, 32},
    [KEY_SHA512] = {GNUTLS_MAC_SHA512, GNUTLS_DIG_SHA512, 64},
};

size_t
scram_hash_len(enum key_hash hash)
{
	return hashes[hash].len;
}

/* --- messages (RFC 5802, section 7) --------------------------------------- */

/* "k=value" up to the next comma; *rest behind that, text NULL at the end. */
static bool
take_attribute(struct str *rest, char key, struct str *value_r)
{
	struct str item, after;

	if (rest->text == NULL)
		return false;
	str_cut(*rest, ',', &item, &after);
	if (item.len < 2 || item.text[0] != key || item.text[1] != '=')
		return false;
	*value_r = (struct str){item.text + 2, item.len - 2};
	*rest = after;
	return true;
}

/* saslname: "=2C" is a comma, "=3D" an equals sign, no other '='. */
static bool
unescape(struct arena *arena, struct str name, struct str *plain_r)
{
	char *plain = arena_text(arena, name.len + 1);
	size_t len = 0;

	for (size_t i = 0; i < name.len; i++) {
		struct str code = {name.text + i, 3};

		plain[len] = name.text[i];
		if (name.text[i] == '=') {
			if (name.len - i < 3)
				return false;
			if (str_is(code, "=2C"))
				plain[len] = ',';
			else if (!str_is(code, "=3D"))
				return false;
			i += 2;
		}
		len++;
	}
	plain[len] = '\0';
	*plain_r = (struct str){plain, len};
	return len > 0;
}

static bool
is_printable(struct str nonce)
{
	for (size_t i = 0; i < nonce.len; i++) {
		if (nonce.text[i] < 0x21 || nonce.text[i] > 0x7e)
			return false;
	}
	return nonce.len > 0;
}

static bool
read_flag(struct str flag, struct scram_first *first)
{
	if (str_is(flag, "n")) {
		first->flag = SCRAM_BINDING_NONE;
		return true;
	}
	if (str_is(flag, "y")) {
		first->flag = SCRAM_BINDING_UNUSED;
		return true;
	}
	first->flag = SCRAM_BINDING;
	return take_attribute(&flag, 'p', &first->binding) &&
	       flag.text == NULL && first->binding.len > 0;
}

static bool
read_gs2_header(
    struct arena *arena, struct str message, struct scram_first *first)
{
	struct str flag, rest, authzid, value;

	if (!str_cut(message, ',', &flag, &rest) ||
	    !str_cut(rest, ',', &authzid, &first->bare) ||
	    !read_flag(flag, first))
		return false;
	first->gs2_header.text = message.text;
	first->gs2_header.len = message.len - first->bare.len;
	first->authzid = STR_NONE;
	if (authzid.len == 0)
		return true;
	return take_attribute(&authzid, 'a', &value) &&
	       unescape(arena, value, &first->authzid);
}

bool
scram_read_first(
    struct arena *arena, struct str message, struct scram_first *first_r)
{
	struct str rest, user;

	*first_r = (struct scram_first){0};
	if (!str_is_utf8(message) || !read_gs2_header(arena, message, first_r))
		return false;
	/* A mandatory extension ("m=") comes before the name: none is known. */
	rest = first_r->bare;
	return take_attribute(&rest, 'n', &user) &&
	       unescape(arena, user, &first_r->user) &&
	       take_attribute(&rest, 'r', &first_r->nonce) &&
	       is_printable(first_r->nonce);
}

/* The proof is the last attribute; what is before it was signed. */
static bool
cut_proof(struct str message, struct str *before, struct str *proof)
{
	size_t at = message.len;

	while (at > 0 && message.text[at - 1] != ',')
		at--;
	if (at == 0)
		return false;
	*before = (struct str){message.text, at - 1};
	*proof = (struct str){message.text + at, message.len - at};
	return true;
}

bool
scram_read_final(
    struct arena *arena, struct str message, struct scram_final *final_r)
{
	struct str rest, binding, last, proof;

	*final_r = (struct scram_final){0};
	if (!str_is_utf8(message) ||
	    !cut_proof(message, &final_r->without_proof, &last) ||
	    !take_attribute(&last, 'p', &proof))
		return false;
	rest = final_r->without_proof;
	return take_attribute(&rest, 'c', &binding) &&
	       base64_decode(arena, binding, &final_r->binding) &&
	       take_attribute(&rest, 'r', &final_r->nonce) &&
	       base64_decode(arena, proof, &final_r->proof);
}

/* --- proof (section 3) ---------------------------------------------------- */

bool
scram_equal(struct str a, struct str b)
{
	return a.len == b.len &&
	       (a.len == 0 || gnutls_memcmp(a.text, b.text, a.len) == 0);
}

static void
hmac(enum key_hash hash, struct str key, struct str text, uint8_t *mac_r)
{
	must(gnutls_hmac_fast(hashes[hash].mac, key.text, key.len, text.text,
		 text.len, mac_r) >= 0);
}

bool
scram_proves(enum key_hash hash, const struct scram_keys *keys,
    struct str auth_message, struct str proof)
{
	uint8_t client_key[SCRAM_HASH_MAX], stored[SCRAM_HASH_MAX];
	size_t len = hashes[hash].len;

	if (proof.len != len)
		return false;
	hmac(hash, keys->stored_key, auth_message, client_key);
	for (size_t i = 0; i < len; i++)
		client_key[i] ^= (uint8_t)proof.text[i];
	must(gnutls_hash_fast(hashes[hash].digest, client_key, len, stored) >=
	     0);
	gnutls_memset(client_key, 0, sizeof(client_key));
	return scram_equal(
	    (struct str){(const char *)stored, len}, keys->stored_key);
}

struct str
scram_signature(struct arena *arena, enum key_hash hash,
    const struct scram_keys *keys, struct str auth_message)
{
	uint8_t signature[SCRAM_HASH_MAX];
	struct str text;

	hmac(hash, keys->server_key, auth_message, signature);
	text = base64_encode(
	    arena, (struct str){(const char *)signature, hashes[hash].len});
	return str_format(arena, "v=%.*s", STR_ARG(text));
}

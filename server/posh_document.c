#include "server/posh_document.h"

#include <gnutls/crypto.h>
#include <jansson.h>

#include "base/code.h"

#define FINGERPRINTS_MAX 256

static struct str
text_of(struct arena *arena, const json_t *object, const char *name)
{
	const json_t *value = json_object_get(object, name);

	if (!json_is_string(value))
		return STR_NONE;
	return str_dup(arena,
	    (struct str){json_string_value(value), json_string_length(value)});
}

static void
read_fingerprints(
    struct arena *arena, const json_t *array, struct posh_document *document)
{
	size_t count = json_array_size(array);
	struct fingerprint *items;

	if (count > FINGERPRINTS_MAX)
		count = FINGERPRINTS_MAX;
	items = arena_array(arena, struct fingerprint, count + 1);
	for (size_t i = 0; i < count; i++) {
		const json_t *item = json_array_get(array, i);

		items[i].sha256 = text_of(arena, item, "sha-256");
		items[i].sha512 = text_of(arena, item, "sha-512");
	}
	document->fingerprints = items;
	document->count = count;
}

/* Section 3.1: "a non-negative integer", and 0 is not valid any more. */
static bool
read_expires(
    const json_t *root, struct posh_document *document, struct str *why_r)
{
	const json_t *expires = json_object_get(root, "expires");

	if (!json_is_integer(expires) || json_integer_value(expires) < 0)
		*why_r = STR("its POSH document has no \"expires\" that is a "
			     "number of seconds");
	else if (json_integer_value(expires) == 0)
		*why_r =
		    STR("its POSH document has expired (\"expires\" is 0)");
	else
		document->expires_s = (uint64_t)json_integer_value(expires);
	return document->expires_s > 0;
}

static bool
read_root(struct arena *arena, const json_t *root,
    struct posh_document *document, struct str *why_r)
{
	const json_t *array = json_object_get(root, "fingerprints");

	document->url = text_of(arena, root, "url");
	if (json_is_array(array))
		read_fingerprints(arena, array, document);
	if ((document->count > 0) != (document->url.len > 0))
		return read_expires(root, document, why_r);
	*why_r = STR("its POSH document must have either \"fingerprints\" or "
		     "\"url\"");
	return false;
}

bool
posh_document_read(struct arena *arena, struct str json,
    struct posh_document *document, struct str *why_r)
{
	json_error_t error;
	json_t *root;
	bool is_good;

	*document = (struct posh_document){0};
	root = json_loadb(json.text == NULL ? "" : json.text, json.len,
	    JSON_REJECT_DUPLICATES, &error);
	if (root == NULL) {
		*why_r = str_format(arena,
		    "its POSH document is not JSON: line %d, column %d",
		    error.line, error.column);
		return false;
	}
	is_good = read_root(arena, root, document, why_r);
	json_decref(root);
	return is_good;
}

/* Without the padding, which examples of the RFC forget. */
static struct str
unpadded(struct str base64)
{
	while (base64.len > 0 && base64.text[base64.len - 1] == '=')
		base64.len--;
	return base64;
}

static struct str
digest_of(
    struct arena *arena, gnutls_digest_algorithm_t algorithm, struct str der)
{
	char digest[64];
	size_t len = (size_t)gnutls_hash_get_len(algorithm);

	if (gnutls_hash_fast(algorithm, der.text, der.len, digest) < 0)
		return STR_NONE;
	return unpadded(base64_encode(arena, (struct str){digest, len}));
}

bool
posh_document_matches(
    const struct posh_document *document, struct arena *arena, struct str der)
{
	const struct str sha256 = digest_of(arena, GNUTLS_DIG_SHA256, der);
	const struct str sha512 = digest_of(arena, GNUTLS_DIG_SHA512, der);

	for (size_t i = 0; i < document->count; i++) {
		const struct fingerprint *item = &document->fingerprints[i];
		bool has_512 = item->sha512.len > 0;
		struct str wanted = has_512 ? sha512 : sha256;
		struct str given =
		    unpadded(has_512 ? item->sha512 : item->sha256);

		if (given.len > 0 && str_equal(given, wanted))
			return true;
	}
	return false;
}

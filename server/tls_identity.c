#include <errno.h>
#include <gnutls/crypto.h>
#include <gnutls/x509.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/err.h"
#include "server/tls_internal.h"

struct tls_identity *
tls_identity_ref(struct tls_identity *identity)
{
	atomic_fetch_add_explicit(&identity->refs, 1, memory_order_relaxed);
	return identity;
}

void
tls_identity_free(struct tls_identity **identity)
{
	struct tls_identity *dropped = *identity;

	*identity = NULL;
	if (dropped == NULL || atomic_fetch_sub(&dropped->refs, 1) > 1)
		return;
	if (dropped->leaf != NULL)
		gnutls_x509_crt_deinit(dropped->leaf);
	gnutls_certificate_free_credentials(dropped->credentials);
	free(dropped);
}

static bool
read_file(struct arena *arena, struct str path, const char *what,
    gnutls_datum_t *file_r, struct str *why_r)
{
	int err;

	if (path.len == 0) {
		*why_r = str_format(arena,
		    "no %s is configured: set \"%s\" to a file in PEM form",
		    what, what);
		return false;
	}
	errno = 0;
	err = gnutls_load_file(path.text, file_r);
	if (err == 0)
		return true;
	*why_r = str_format(arena, "could not read the %s \"%.*s\": %s", what,
	    STR_ARG(path), errno != 0 ? strerror(errno) : gnutls_strerror(err));
	return false;
}

static bool
check_dates(struct tls_identity *identity, struct arena *arena,
    struct str certificate, struct str *why_r)
{
	time_t now_s = (time_t)(clock_wall_us() / 1000000);
	time_t begins_s = gnutls_x509_crt_get_activation_time(identity->leaf);
	char day[CLOCK_TEXT_LEN];

	identity->ends_s = gnutls_x509_crt_get_expiration_time(identity->leaf);
	if (identity->ends_s < now_s) {
		clock_text(day, (uint64_t)identity->ends_s * 1000000);
		*why_r = str_format(arena,
		    "the certificate \"%.*s\" expired on %.10s: renew it",
		    STR_ARG(certificate), day);
		return false;
	}
	if (begins_s > now_s) {
		clock_text(day, (uint64_t)begins_s * 1000000);
		*why_r = str_format(arena,
		    "the certificate \"%.*s\" is valid from %.10s only: is "
		    "the clock right?",
		    STR_ARG(certificate), day);
		return false;
	}
	return true;
}

/* RFC 5929, section 4.1: the hash of the certificate's signature, but SHA-256
 * for MD5 and SHA-1; undefined where the signature has no hash of its own. */
static void
set_end_point(struct tls_identity *identity)
{
	int algorithm = gnutls_x509_crt_get_signature_algorithm(identity->leaf);
	gnutls_digest_algorithm_t hash;
	gnutls_datum_t der;
	size_t len;

	if (algorithm < 0 || algorithm == GNUTLS_SIGN_EDDSA_ED25519 ||
	    algorithm == GNUTLS_SIGN_EDDSA_ED448)
		return;
	hash =
	    gnutls_sign_get_hash_algorithm((gnutls_sign_algorithm_t)algorithm);
	if (hash == GNUTLS_DIG_MD5 || hash == GNUTLS_DIG_SHA1)
		hash = GNUTLS_DIG_SHA256;
	len = (size_t)gnutls_hash_get_len(hash);
	if (hash == GNUTLS_DIG_UNKNOWN || len > sizeof(identity->end_point) ||
	    gnutls_x509_crt_export2(identity->leaf, GNUTLS_X509_FMT_DER, &der) <
		0)
		return;
	if (gnutls_hash_fast(hash, der.data, der.size, identity->end_point) >=
	    0)
		identity->end_point_len = len;
	gnutls_free(der.data);
}

/* The leaf is the first of the chain. */
static bool
read_leaf(struct tls_identity *identity, struct arena *arena,
    struct str certificate, const gnutls_datum_t *file, struct str *why_r)
{
	gnutls_x509_crt_t *chain;
	unsigned count;

	if (gnutls_x509_crt_list_import2(
		&chain, &count, file, GNUTLS_X509_FMT_PEM, 0) < 0) {
		*why_r = str_format(arena,
		    "there is no certificate in PEM form in \"%.*s\"",
		    STR_ARG(certificate));
		return false;
	}
	identity->leaf = chain[0];
	for (unsigned i = 1; i < count; i++)
		gnutls_x509_crt_deinit(chain[i]);
	gnutls_free(chain);
	set_end_point(identity);
	return check_dates(identity, arena, certificate, why_r);
}

static bool
set_pair(struct tls_identity *identity, struct arena *arena,
    const struct str path[2], const gnutls_datum_t file[2], struct str *why_r)
{
	int err = gnutls_certificate_set_x509_key_mem(
	    identity->credentials, &file[0], &file[1], GNUTLS_X509_FMT_PEM);

	if (err >= 0)
		return true;
	if (err == GNUTLS_E_CERTIFICATE_KEY_MISMATCH)
		*why_r = str_format(arena,
		    "the key \"%.*s\" is not that of the certificate \"%.*s\"",
		    STR_ARG(path[1]), STR_ARG(path[0]));
	else if (err == GNUTLS_E_REQUESTED_DATA_NOT_AVAILABLE ||
		 err == GNUTLS_E_BASE64_UNEXPECTED_HEADER_ERROR)
		*why_r = str_format(arena,
		    "there is no private key in PEM form in \"%.*s\"",
		    STR_ARG(path[1]));
	else
		*why_r = str_format(arena,
		    "could not use the certificate \"%.*s\" with the key "
		    "\"%.*s\": %s",
		    STR_ARG(path[0]), STR_ARG(path[1]), gnutls_strerror(err));
	return false;
}

static bool
load(struct tls_identity *identity, struct arena *arena,
    const struct str path[2], struct str *why_r)
{
	gnutls_datum_t file[2] = {{NULL, 0}, {NULL, 0}};
	bool is_good =
	    read_file(arena, path[0], "certificate", &file[0], why_r) &&
	    read_file(arena, path[1], "key", &file[1], why_r) &&
	    read_leaf(identity, arena, path[0], &file[0], why_r) &&
	    set_pair(identity, arena, path, file, why_r);

	if (file[1].data != NULL)
		gnutls_memset(file[1].data, 0, file[1].size);
	gnutls_free(file[0].data);
	gnutls_free(file[1].data);
	return is_good;
}

struct tls_identity *
tls_identity_load(struct arena *arena, struct str certificate, struct str key,
    struct str *why_r)
{
	struct tls_identity *identity = calloc(1, sizeof(*identity));
	const struct str path[2] = {certificate, key};

	must(identity != NULL);
	atomic_init(&identity->refs, 1);
	must(gnutls_certificate_allocate_credentials(&identity->credentials) >=
	     0);
	if (!load(identity, arena, path, why_r))
		tls_identity_free(&identity);
	return identity;
}

bool
tls_identity_trust(struct tls_identity *identity, struct arena *arena,
    struct str authorities, struct str *why_r)
{
	int count = gnutls_certificate_set_x509_trust_file(
	    identity->credentials, authorities.text, GNUTLS_X509_FMT_PEM);

	if (count > 0) {
		identity->asks_clients = true;
		return true;
	}
	*why_r = str_format(arena,
	    "could not read the client authorities \"%.*s\": %s",
	    STR_ARG(authorities),
	    count == 0 ? "no certificate is in it" : gnutls_strerror(count));
	return false;
}

bool
tls_identity_is_for(const struct tls_identity *identity, struct str domain)
{
	return gnutls_x509_crt_check_hostname(identity->leaf, domain.text) != 0;
}

int64_t
tls_identity_ends_s(const struct tls_identity *identity)
{
	return (int64_t)identity->ends_s;
}

#include "server/forge.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "base/err.h"

#define DAY_S 86400

#define OID_XMPP        "1.3.6.1.5.5.7.8.5"
#define OID_CONSTRAINTS "2.5.29.30"
#define OID_SRV         "1.3.6.1.5.5.7.8.7"

static void
make_key(struct forged *forged, unsigned rsa_bits)
{
	must(gnutls_x509_privkey_init(&forged->key) >= 0);
	if (rsa_bits > 0)
		must(gnutls_x509_privkey_generate(
			 forged->key, GNUTLS_PK_RSA, rsa_bits, 0) >= 0);
	else
		must(gnutls_x509_privkey_generate(forged->key, GNUTLS_PK_ECDSA,
			 GNUTLS_CURVE_TO_BITS(GNUTLS_ECC_CURVE_SECP256R1),
			 0) >= 0);
}

static void
set_other(
    gnutls_x509_crt_t crt, const char *oid, const char *text, unsigned char tag)
{
	unsigned char der[128];
	size_t len = strlen(text);

	must(len < sizeof(der) - 2);
	der[0] = tag;
	der[1] = (unsigned char)len;
	memcpy(der + 2, text, len);
	must(gnutls_x509_crt_set_subject_alt_othername(
		 crt, oid, der, (unsigned)len + 2, GNUTLS_FSAN_APPEND) >= 0);
}

static void
set_names(gnutls_x509_crt_t crt, const struct forge_options *options)
{
	must(gnutls_x509_crt_set_dn_by_oid(crt, GNUTLS_OID_X520_COMMON_NAME, 0,
		 options->name, (unsigned)strlen(options->name)) >= 0);
	for (size_t i = 0; i < 3 && options->dns[i] != NULL; i++)
		must(gnutls_x509_crt_set_subject_alt_name(crt,
			 GNUTLS_SAN_DNSNAME, options->dns[i],
			 (unsigned)strlen(options->dns[i]),
			 GNUTLS_FSAN_APPEND) >= 0);
	if (options->srv != NULL)
		set_other(crt, OID_SRV, options->srv, 0x16);
	if (options->xmpp != NULL)
		set_other(crt, OID_XMPP, options->xmpp, 0x0c);
}

static void
set_permitted(gnutls_x509_crt_t crt, const char *permitted)
{
	const gnutls_datum_t name = {
	    (unsigned char *)permitted, (unsigned)strlen(permitted)};
	gnutls_x509_name_constraints_t constraints;

	must(gnutls_x509_name_constraints_init(&constraints) >= 0);
	must(gnutls_x509_name_constraints_add_permitted(
		 constraints, GNUTLS_SAN_DNSNAME, &name) >= 0);
	must(gnutls_x509_crt_set_name_constraints(crt, constraints, 1) >= 0);
	gnutls_x509_name_constraints_deinit(constraints);
}

static void
set_rest(gnutls_x509_crt_t crt, const struct forge_options *options)
{
	static unsigned char serial[4];
	bool is_dated = options->from_s != 0 || options->to_s != 0;
	time_t now_s = time(NULL);

	serial[3]++;
	must(gnutls_x509_crt_set_serial(crt, serial, sizeof(serial)) >= 0);
	gnutls_x509_crt_set_activation_time(
	    crt, now_s + (is_dated ? options->from_s : -DAY_S));
	gnutls_x509_crt_set_expiration_time(
	    crt, now_s + (is_dated ? options->to_s : 100 * DAY_S));
	must(gnutls_x509_crt_set_basic_constraints(
		 crt, options->is_authority, options->path_len - 1) >= 0);
	if (options->is_authority)
		must(gnutls_x509_crt_set_key_usage(crt,
			 GNUTLS_KEY_KEY_CERT_SIGN | GNUTLS_KEY_CRL_SIGN) >= 0);
	if (options->purpose != NULL)
		must(gnutls_x509_crt_set_key_purpose_oid(
			 crt, options->purpose, 0) >= 0);
	if (options->permitted != NULL)
		set_permitted(crt, options->permitted);
	if (options->is_garbled)
		must(gnutls_x509_crt_set_extension_by_oid(
			 crt, OID_CONSTRAINTS, "garbled", 7, 0) >= 0);
}

static struct str
der_of(struct arena *arena, gnutls_x509_crt_t crt)
{
	gnutls_datum_t der;
	struct str copy;

	must(gnutls_x509_crt_export2(crt, GNUTLS_X509_FMT_DER, &der) >= 0);
	copy = (struct str){arena_dup(arena, der.data, der.size), der.size};
	gnutls_free(der.data);
	return copy;
}

struct forged *
forge(struct arena *arena, const struct forge_options *options,
    const struct forged *issuer)
{
	struct forged *forged = arena_new(arena, struct forged);

	make_key(forged, options->rsa_bits);
	must(gnutls_x509_crt_init(&forged->crt) >= 0);
	gnutls_x509_crt_set_version(forged->crt, 3);
	gnutls_x509_crt_set_key(forged->crt, forged->key);
	set_names(forged->crt, options);
	set_rest(forged->crt, options);
	if (issuer == NULL)
		issuer = forged;
	must(gnutls_x509_crt_sign2(forged->crt, issuer->crt, issuer->key,
		 options->digest != 0 ? options->digest : GNUTLS_DIG_SHA256,
		 0) >= 0);
	forged->der = der_of(arena, forged->crt);
	return forged;
}

void
forged_free(struct forged **forged)
{
	gnutls_x509_crt_deinit((*forged)->crt);
	gnutls_x509_privkey_deinit((*forged)->key);
	*forged = NULL;
}

static void
save(const char *path, gnutls_datum_t *pem)
{
	FILE *file = fopen(path, "w");

	must(file != NULL);
	must(fwrite(pem->data, 1, pem->size, file) == pem->size);
	fclose(file);
	gnutls_free(pem->data);
}

void
forge_revoked(const struct forged *issuer, const struct forged *revoked,
    const char *path, int64_t age_s, gnutls_digest_algorithm_t hash)
{
	const time_t now_s = time(NULL);
	gnutls_x509_crl_t list;
	gnutls_datum_t pem;

	must(gnutls_x509_crl_init(&list) >= 0);
	must(gnutls_x509_crl_set_version(list, 2) >= 0);
	must(gnutls_x509_crl_set_this_update(list, now_s - age_s - DAY_S) >= 0);
	must(gnutls_x509_crl_set_next_update(
		 list, age_s > 0 ? now_s - age_s : now_s + DAY_S) >= 0);
	must(gnutls_x509_crl_set_crt(list, revoked->crt, now_s - DAY_S) >= 0);
	must(gnutls_x509_crl_sign2(list, issuer->crt, issuer->key, hash, 0) >=
	     0);
	must(gnutls_x509_crl_export2(list, GNUTLS_X509_FMT_PEM, &pem) >= 0);
	save(path, &pem);
	gnutls_x509_crl_deinit(list);
}

void
forged_save(
    const struct forged *forged, const char *certificate, const char *key)
{
	gnutls_datum_t pem;

	if (certificate != NULL) {
		must(gnutls_x509_crt_export2(
			 forged->crt, GNUTLS_X509_FMT_PEM, &pem) >= 0);
		save(certificate, &pem);
	}
	if (key != NULL) {
		must(gnutls_x509_privkey_export2(
			 forged->key, GNUTLS_X509_FMT_PEM, &pem) >= 0);
		save(key, &pem);
	}
}

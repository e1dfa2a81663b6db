/*
 * server/forge.h - certificates for tests, made when they run.
 */
#pragma once

#include <gnutls/x509.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/str.h"

struct forge_options {
	const char *name;   /* common name */
	const char *dns[3]; /* dNSName */
	const char *srv;    /* SRVName: "_xmpp-server.a.example" */
	const char *xmpp;   /* XmppAddr */
	/* From now on; both 0: from yesterday for 100 days. */
	int64_t from_s, to_s;
	bool is_authority;
	int path_len;                     /* of an authority; 0: any length,
					     n: n - 1 */
	const char *purpose;              /* OID */
	const char *permitted;            /* dNSName constraint */
	bool is_garbled;                  /* constraints nobody can read */
	gnutls_digest_algorithm_t digest; /* 0: SHA-256 */
	unsigned rsa_bits;                /* 0: a key of ECDSA */
};

struct forged {
	gnutls_x509_crt_t crt;
	gnutls_x509_privkey_t key;
	struct str der; /* in the arena */
};

/* Signed by the issuer; NULL: by itself. */
struct forged *forge(
    struct arena *, const struct forge_options *, const struct forged *issuer);
void forged_free(struct forged **);
/* A list, of which this is the only one that the issuer revoked, to a file in
 * PEM form. age_s: it should have been replaced so long ago. hash: signed by
 * that. */
void forge_revoked(const struct forged *issuer, const struct forged *,
    const char *path, int64_t age_s, gnutls_digest_algorithm_t hash);
/* To files in PEM form; NULL: not that one. */
void forged_save(
    const struct forged *, const char *certificate, const char *key);

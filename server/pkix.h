/*
 * server/pkix.h - chains of certificates and the authorities that vouch for
 * them: RFC 5280 by GnuTLS, with a sentence for each thing that can be wrong.
 */
#pragma once

#include <gnutls/x509.h>
#include <stdbool.h>
#include <stdint.h>

#include "server/names.h"
#include "server/trust.h"

/* Certificates beyond that are not looked at. */
#define CHAIN_MAX 16

/* As the peer presented it, its own certificate first. */
struct chain {
	gnutls_x509_crt_t certs[CHAIN_MAX];
	unsigned count;
	struct names names; /* of the first; in the arena */
};

/* Reads the certificates (DER), up to the first that cannot be; false when that
 * is the peer's own, or there is none. */
bool chain_read(struct arena *, const struct str *ders, size_t count,
    struct chain *chain_r);
void chain_deinit(struct chain *);
/* Of the one that signed the peer's own; printable. */
struct str chain_issuer(const struct chain *, struct arena *);
/* Of one that was believed: when the first of those that lead up from the
 * peer's own ends, seconds since 1970. */
int64_t chain_ends_s(const struct chain *);
/* Whether now is in the time of the peer's own; else a sentence. */
bool chain_is_in_time(const struct chain *, struct arena *, struct str *why_r);

/* --- checking ------------------------------------------------------------- */

struct pkix_ask {
	const struct chain *chain;
	const struct trust *trust;
	/* The chain is of a server that connected to us: a certificate for
	 * clients will do as well. */
	bool is_client;
};

/* Whether an authority vouches for the chain; names are not looked at. */
bool pkix_is_trusted(
    const struct pkix_ask *, struct arena *, struct str *why_r);
/* Whether the certificate names the domain, and no authority that leads up from
 * it, presented or trusted, is kept from vouching for it (RFC 5280, section
 * 4.2.1.10). trust may be NULL. */
bool pkix_is_for(const struct pkix_ask *, struct arena *,
    const struct name_wanted *, struct str *why_r);

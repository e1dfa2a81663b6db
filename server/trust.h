/*
 * server/trust.h - the authorities that vouch for other servers.
 *
 * Shared by all shards: read when they are first asked for, and again when the
 * file changed (those of the system once a day).
 */
#pragma once

#include <gnutls/x509.h>
#include <stdbool.h>

#include "base/str.h"

struct chain;
struct trust;

/* A reference; authorities empty: the system's. revoked: a file with lists of
 * revoked certificates (RFC 5280, section 5), or empty. NULL with a sentence,
 * also when the lists cannot be read. */
struct trust *trust_take(struct arena *, struct str authorities,
    struct str revoked, struct str *why_r);
/* One certificate, which must live as long. */
struct trust *trust_of_one(gnutls_x509_crt_t);
/* Drops the reference and nulls the pointer; NULL is fine. */
void trust_drop(struct trust **);
/* Forgets the shared ones, at the end of the process. */
void trust_stop(void);

/* For GnuTLS; only to look things up in. */
gnutls_x509_trust_list_t trust_list(const struct trust *);
/* The authority that signed it: lent; NULL: unknown. */
gnutls_x509_crt_t trust_issuer_of(const struct trust *, gnutls_x509_crt_t);
/* Whether a list that the issuer signed has it; also one that should have been
 * replaced by now. */
bool trust_has_revoked(
    const struct trust *, gnutls_x509_crt_t, gnutls_x509_crt_t issuer);
/* The authority that signed the last of the chain: lent; NULL: unknown. */
gnutls_x509_crt_t trust_root_of(const struct trust *, const struct chain *);

/*
 * server/trust.h - the authorities that vouch for other servers.
 *
 * Shared by all shards: read when they are first asked for, and again when the
 * file changed (those of the system once a day).
 */
#pragma once

#include <gnutls/x509.h>

#include "base/str.h"

struct chain;
struct trust;

/* A reference; path empty: the system's. NULL with a sentence. */
struct trust *trust_take(struct arena *, struct str path, struct str *why_r);
/* One certificate, which must live as long. */
struct trust *trust_of_one(gnutls_x509_crt_t);
/* Drops the reference and nulls the pointer; NULL is fine. */
void trust_drop(struct trust **);
/* Forgets the shared ones, at the end of the process. */
void trust_stop(void);

/* For GnuTLS; only to look things up in. */
gnutls_x509_trust_list_t trust_list(const struct trust *);
/* The authority that signed the last of the chain: lent; NULL: unknown. */
gnutls_x509_crt_t trust_root_of(const struct trust *, const struct chain *);

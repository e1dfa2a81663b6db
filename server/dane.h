/*
 * server/dane.h - TLSA records against a chain of certificates: RFC 6698, 7671
 * and 7673.
 *
 * The records are of one endpoint, and DNSSEC vouches for them.
 */
#pragma once

#include "server/dns.h"
#include "server/pkix.h"

/* So many times a chain is seen to for one server: each takes some hundredths
 * of a second, and who connects to us may publish any number of records, each
 * true of an authority in his chain. */
#define DANE_LOOKS_MAX 16

enum dane_result {
	DANE_UNUSABLE, /* as if there were no records */
	DANE_HOLDS,
	DANE_REFUSED /* nothing else may stand in, RFC 6698, section 4.1 */
};

struct dane_ask {
	const struct dns_record *records;
	size_t count;
	const struct chain *chain;
	struct name_wanted domain;
	struct name_wanted target; /* of the SRV record; or the domain again */
	struct str authorities;    /* settings: for the usages 0 and 1 */
	struct str revoked;
	bool is_client;       /* as in struct pkix_ask */
	unsigned *looks_left; /* from DANE_LOOKS_MAX on */
};

/* Whether one of them can be used, whatever the certificate is: then there must
 * be TLS (RFC 7673, section 3.4). */
bool dane_needs_tls(const struct dns_record *, size_t count);
/* ends_s_r (HOLDS): when the proof ends, 0 when it does not. why_r (REFUSED):
 * a sentence. */
enum dane_result dane_check(const struct dane_ask *, struct arena *,
    int64_t *ends_s_r, struct str *why_r);

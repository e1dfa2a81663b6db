/*
 * server/verify.h - whether the certificate that another server presented
 * proves its domain.
 *
 * Tried in this order, as far as the policy allows: what the domain's TLSA
 * records say (DANE, RFC 7673), when DNSSEC vouches for them; an authority that
 * we trust and the names in the certificate (PKIX, RFC 6120, section 13.7);
 * what the domain publishes over HTTPS (POSH, RFC 7711).
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/str.h"
#include "server/policy.h"
#include "server/timer.h"

struct endpoint;
struct shard;

struct verify_ask {
	const struct str *chain; /* conn_peer_chain; lives until done */
	size_t count;
	struct str domain; /* prepared, as in JIDs; lives until done */
	/* That we connected to, and lives until done; NULL: they came to us. */
	const struct endpoint *endpoint;
};

struct verify_private;

/* The question and its answer; done is called once, later. Texts are in the
 * arena. */
struct verify {
	unsigned proof;     /* enum proof: what holds; 0: nothing does */
	bool was_presented; /* there was a certificate */
	/* No other proof may stand in: the domain's TLSA records say that
	 * this is not its server (RFC 6698, section 4.1). */
	bool is_final;
	struct str why;   /* without proof: what is wrong, what to do */
	int64_t ends_s;   /* when the proof ends, since 1970; 0: never */
	struct str names; /* "a.example, b.example" */
	struct str
	    days; /* "2026-01-02 to 2027-01-01": of its own certificate */
	struct str issuer; /* the name of who signed it */
	void (*done)(struct verify *);
	struct verify_private *own;
};

void verify_start(struct shard *, struct verify *, struct arena *,
    const struct policy *, const struct verify_ask *,
    void (*done)(struct verify *));
/* Whether dialback may stand in where nothing is proved. */
bool verify_leaves_dialback(const struct verify *, const struct policy *);
/* done is called soon, without a proof. */
void verify_cancel(struct verify *);

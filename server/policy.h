/*
 * server/policy.h - how a domain that is not ours is to be treated.
 */
#pragma once

#include "server/setup.h"

/* What proves that a server speaks for a domain. */
enum proof {
	PROOF_PKIX = 1 << 0, /* a certificate that an authority vouches for */
	PROOF_DANE = 1 << 1, /* RFC 7673 */
	PROOF_POSH = 1 << 2, /* RFC 7711 */
	PROOF_DIALBACK = 1 << 3 /* XEP-0220 */
};

/* In the order of the choices of s2s.dialback. */
enum dialback_rule {
	DIALBACK_NEVER,
	DIALBACK_WITHOUT_CERTIFICATE, /* when none was presented */
	DIALBACK_ALWAYS
};

/* The texts live as long as the setup. */
struct policy {
	bool is_denied; /* by s2s.enabled, s2s.deny or s2s.allow */
	bool needs_tls;
	unsigned proofs; /* enum proof: any of them is enough */
	enum dialback_rule dialback;
	struct setting_list routes, resolvers;
	struct str authorities; /* a file; empty: those of the system */
	struct str revoked;     /* a file; empty: none */
	/* Who claims that domain makes us ask (DNS) about it, and is not proved
	 * yet. Not of policy_of: whoever asks sets it. */
	bool is_for_stranger;
};

/* What holds between a host of ours (NULL: the whole server) and a prepared
 * domain. */
void policy_of(const struct setup *, const struct host *, struct str domain,
    struct policy *policy_r);
/* A setting that domains may have, as it is for this one: the index for the
 * functions config_*. */
unsigned policy_index(const struct setup *, const struct host *,
    struct str domain, const struct setting *);

/* "certificate", "DANE", "POSH", "dialback"; for one proof. */
const char *proof_text(enum proof);

#include "server/verify.h"

#include "base/clock.h"
#include "base/err.h"
#include "server/dane.h"
#include "server/posh.h"
#include "server/resolve.h"
#include "server/setup.h"
#include "server/shard.h"

struct verify_private {
	struct verify *verify;
	struct shard *shard;
	struct arena *arena;
	struct policy policy;
	struct verify_ask ask;
	struct setup *setup; /* the policy's texts are its */
	struct chain chain;
	struct name_wanted domain;
	struct timer soon;
	struct resolve resolve; /* of who came to us, for its TLSA records */
	struct posh_ask web;
	unsigned looks_left; /* of DANE */
	bool is_resolving, is_asking, is_canceled;
};

static void begin(struct timer *);
static void look_for_records(struct verify_private *);
static void records_found(struct resolve *);
static void look_at_web(struct verify_private *);
static void web_answered(struct posh_ask *);
static void finish(struct verify_private *);

static bool
may_use(const struct verify_private *own, enum proof proof)
{
	return (own->policy.proofs & proof) != 0;
}

static void
set_why(struct verify_private *own, struct str why)
{
	if (own->verify->why.len == 0)
		own->verify->why = why;
}

static void
prove(struct verify_private *own, enum proof proof, int64_t ends_s)
{
	own->verify->proof = proof;
	own->verify->ends_s = ends_s;
	own->verify->why = STR_NONE;
}

/* --- DANE ----------------------------------------------------------------- */

static bool
has_records(const struct endpoint *endpoint)
{
	return endpoint != NULL && endpoint->is_secure &&
	       endpoint->tlsa_count > 0;
}

static enum dane_result
check_records(struct verify_private *own, const struct endpoint *endpoint,
    struct str *why_r)
{
	struct dane_ask ask = {
	    .records = endpoint->tlsa,
	    .count = endpoint->tlsa_count,
	    .chain = &own->chain,
	    .domain = own->domain,
	    .target = {endpoint->target, endpoint->target},
	    .authorities = own->policy.authorities,
	    .revoked = own->policy.revoked,
	    .is_client = own->ask.endpoint == NULL,
	    .looks_left = &own->looks_left,
	};
	int64_t ends_s;
	enum dane_result result = dane_check(&ask, own->arena, &ends_s, why_r);

	if (result == DANE_HOLDS)
		prove(own, PROOF_DANE, ends_s);
	return result;
}

/* --- PKIX ----------------------------------------------------------------- */

/* RFC 7673, section 4.1: when DNSSEC vouches for the SRV record the name of its
 * target will do too. */
static bool
is_for_target(struct verify_private *own, const struct pkix_ask *ask)
{
	const struct endpoint *endpoint = own->ask.endpoint;
	struct name_wanted target;
	struct str why;

	return endpoint != NULL && endpoint->is_secure &&
	       may_use(own, PROOF_DANE) &&
	       name_wanted_of(own->arena, endpoint->target, &target) &&
	       pkix_is_for(ask, own->arena, &target, &why);
}

static void
check_names(struct verify_private *own, const struct pkix_ask *ask)
{
	struct str why;

	if (pkix_is_for(ask, own->arena, &own->domain, &why))
		prove(own, PROOF_PKIX, chain_ends_s(&own->chain));
	else if (is_for_target(own, ask))
		prove(own, PROOF_DANE, chain_ends_s(&own->chain));
	else
		set_why(own, why);
}

static void
check_chain(struct verify_private *own)
{
	struct str why;
	struct trust *trust = trust_take(
	    own->arena, own->policy.authorities, own->policy.revoked, &why);
	const struct pkix_ask ask = {
	    &own->chain, trust, own->ask.endpoint == NULL};

	if (trust == NULL || !pkix_is_trusted(&ask, own->arena, &why))
		set_why(own, why);
	else
		check_names(own, &ask);
	trust_drop(&trust);
}

/* --- the order ------------------------------------------------------------ */

static struct str
days_of(const struct chain *chain, struct arena *arena)
{
	int64_t from_s = gnutls_x509_crt_get_activation_time(chain->certs[0]);
	int64_t to_s = gnutls_x509_crt_get_expiration_time(chain->certs[0]);
	char from[CLOCK_TEXT_LEN], to[CLOCK_TEXT_LEN];

	clock_text(from, (uint64_t)(from_s < 0 ? 0 : from_s) * 1000000);
	clock_text(to, (uint64_t)(to_s < 0 ? 0 : to_s) * 1000000);
	return str_format(arena, "%.10s to %.10s", from, to);
}

static void
look(struct verify_private *own)
{
	struct verify *verify = own->verify;
	enum dane_result dane = DANE_UNUSABLE;
	struct str why;

	verify->names = names_text(&own->chain.names, own->arena);
	verify->days = days_of(&own->chain, own->arena);
	verify->issuer = chain_issuer(&own->chain, own->arena);
	if (may_use(own, PROOF_DANE) && has_records(own->ask.endpoint))
		dane = check_records(own, own->ask.endpoint, &why);
	if (dane == DANE_REFUSED) {
		verify->is_final = true;
		set_why(own, why);
	}
	if (dane == DANE_UNUSABLE && may_use(own, PROOF_PKIX))
		check_chain(own);
	if (dane == DANE_UNUSABLE && verify->proof == 0)
		look_for_records(own);
	else
		finish(own);
}

static void
begin(struct timer *timer)
{
	struct verify_private *own =
	    container_of(timer, struct verify_private, soon);
	struct verify *verify = own->verify;

	if (own->is_canceled) {
		finish(own);
		return;
	}
	if (own->ask.count == 0)
		set_why(own, STR("it presented no certificate; ask its "
				 "administrator to set one up"));
	else if (!chain_read(
		     own->arena, own->ask.chain, own->ask.count, &own->chain))
		set_why(own, STR("its certificate cannot be read"));
	else if (!name_wanted_of(own->arena, own->ask.domain, &own->domain))
		set_why(own, STR("no certificate can stand for an IP address"));
	verify->was_presented = own->ask.count > 0;
	if (verify->why.len > 0)
		finish(own);
	else
		look(own);
}

/* Who came to us: what its domain publishes for the server that we would
 * connect to counts for it as well (RFC 7712, section 5.1). */
static void
look_for_records(struct verify_private *own)
{
	if (own->ask.endpoint != NULL || !may_use(own, PROOF_DANE)) {
		look_at_web(own);
		return;
	}
	own->is_resolving = true;
	resolve_start(own->shard, &own->resolve, own->arena, &own->policy,
	    own->ask.domain, records_found);
}

/* The addresses of a target share its records. */
static void
records_found(struct resolve *resolve)
{
	struct verify_private *own =
	    container_of(resolve, struct verify_private, resolve);
	const struct dns_record *last = NULL;
	struct str why;

	own->is_resolving = false;
	for (size_t i = 0; resolve->err == ERR_NONE && i < resolve->count &&
			   own->verify->proof == 0;
	    i++) {
		const struct endpoint *endpoint = &resolve->endpoints[i];

		if (!has_records(endpoint) || endpoint->tlsa == last)
			continue;
		last = endpoint->tlsa;
		(void)check_records(own, endpoint, &why);
	}
	look_at_web(own);
}

/* RFC 7711: a fingerprint takes neither names nor authorities, but dates
 * (section 6). */
static void
look_at_web(struct verify_private *own)
{
	struct str why;

	if (own->verify->proof != 0 || own->is_canceled ||
	    !may_use(own, PROOF_POSH)) {
		finish(own);
		return;
	}
	if (!chain_is_in_time(&own->chain, own->arena, &why)) {
		set_why(own, why);
		finish(own);
		return;
	}
	own->is_asking = true;
	posh_check(own->shard, &own->web, own->arena,
	    &(struct posh_wanted){own->domain.ascii, own->ask.chain[0],
		own->policy.is_for_stranger},
	    web_answered);
}

static void
web_answered(struct posh_ask *web)
{
	struct verify_private *own =
	    container_of(web, struct verify_private, web);
	struct verify *verify = own->verify;

	own->is_asking = false;
	if (web->err == ERR_NONE)
		prove(own, PROOF_POSH,
		    gnutls_x509_crt_get_expiration_time(own->chain.certs[0]));
	else if (verify->why.len == 0 || web->err == ERR_CANCELED)
		set_why(own, web->why);
	else if (web->err == ERR_DENIED || web->err == ERR_INVALID)
		verify->why = str_format(own->arena, "%.*s; also, %.*s",
		    STR_ARG(verify->why), STR_ARG(web->why));
	finish(own);
}

static void
finish(struct verify_private *own)
{
	chain_deinit(&own->chain);
	setup_unref(&own->setup);
	if (own->verify->proof == 0)
		set_why(own, own->is_canceled
				 ? STR("it was canceled")
				 : STR("no proof by a certificate is allowed "
				       "here (s2s.proofs)"));
	own->verify->done(own->verify);
}

void
verify_start(struct shard *shard, struct verify *verify, struct arena *arena,
    const struct policy *policy, const struct verify_ask *ask,
    void (*done)(struct verify *))
{
	struct verify_private *own = arena_new(arena, struct verify_private);

	shard_must_be_current(shard);
	*verify = (struct verify){.done = done, .own = own};
	own->verify = verify;
	own->shard = shard;
	own->arena = arena;
	own->policy = *policy;
	own->policy.is_for_stranger |= ask->endpoint == NULL;
	own->ask = *ask;
	own->looks_left = DANE_LOOKS_MAX;
	own->setup = setup_ref(shard->setup);
	timer_start(shard, &own->soon, 0, begin);
}

bool
verify_leaves_dialback(const struct verify *verify, const struct policy *policy)
{
	return (policy->proofs & PROOF_DIALBACK) != 0 && !verify->is_final &&
	       (policy->dialback == DIALBACK_ALWAYS || !verify->was_presented);
}

void
verify_cancel(struct verify *verify)
{
	struct verify_private *own = verify->own;

	own->is_canceled = true;
	if (own->is_resolving)
		resolve_cancel(&own->resolve);
	if (own->is_asking)
		posh_cancel(&own->web);
}

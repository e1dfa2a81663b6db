/*
 * What is told of an attempt that only shows how it goes: each step in words,
 * and a sentence of advice at the end.
 */
#include "server/s2s_checkup.h"

#include <jansson.h>
#include <stdarg.h>
#include <stdlib.h>

#include "base/err.h"
#include "server/admin.h"
#include "server/domains.h"
#include "server/setup.h"
#include "server/shard.h"
#include "xml/prep.h"

/* At a time, on one shard. */
#define CHECKUPS_MAX 4

struct checkup {
	struct shard *shard;
	struct post *call; /* to be answered */
	struct str local, domain;
	enum checkup_step at, failed_at; /* now; the one that failed, the last
					    one at first */
	bool was_presented; /* a certificate, which proved nothing */
	bool has_no_dnssec; /* it cannot begin: all of DNS fails */
	bool has_failed;    /* some step, perhaps one that others made good */
	json_t *steps;
};

static const struct {
	const char *name;
	const char *advice; /* when it ends there */
} steps[] = {
    [CHECKUP_POLICY] = {"policy",
	"Look at this server's configuration: hosts, s2s.enabled, s2s.allow "
	"and s2s.deny."},
    [CHECKUP_DNS] = {"dns",
	"See whether the domain is spelt right and dns.resolvers answer; its "
	"administrator must have SRV records (_xmpp-server._tcp) or an address "
	"in DNS; or set s2s.route for it."},
    [CHECKUP_TCP] = {"tcp",
	"The other server is down, or a firewall is between: ask its "
	"administrator whether those addresses and ports are right."},
    [CHECKUP_STREAM] = {"stream",
	"What listens there does not speak to us as an XMPP server: ask its "
	"administrator whether it serves the domain at that port."},
    [CHECKUP_TLS] = {"tls",
	"Ask the administrator of the other server to set up TLS there; to go "
	"without, set s2s.tls_required: false for it in domains."},
    [CHECKUP_CERTIFICATE] = {"certificate",
	"Ask the administrator of the other server for a certificate that "
	"holds."},
    [CHECKUP_FEATURES] = {"features",
	"The other server does not go on behind TLS: its log should say why."},
    [CHECKUP_AUTHENTICATION] = {"authentication",
	"The other server does not believe that we are who we say: look at our "
	"certificate, and at our own SRV records and ports, where it asks."},
    [CHECKUP_PING] = {"ping",
	"It takes what we send, but its answer does not arrive: it must find "
	"us by our SRV records and reach our ports (5269, 5270), and believe "
	"our certificate."},
    [CHECKUP_DONE] = {"done", "All is well."},
};

/* --- what is told --------------------------------------------------------- */

static void
add(struct checkup *checkup, bool is_good, struct str text)
{
	json_t *step = json_object();

	if (!is_good) {
		checkup->has_failed = true;
		checkup->failed_at = checkup->at;
	}
	json_object_set_new(step, "step", json_string(steps[checkup->at].name));
	json_object_set_new(step, "ok", json_boolean(is_good));
	json_object_set_new(step, "text",
	    json_stringn(text.text == NULL ? "" : text.text, text.len));
	json_array_append_new(checkup->steps, step);
}

void
checkup_at(struct checkup *checkup, enum checkup_step step)
{
	if (checkup != NULL)
		checkup->at = step;
}

void
checkup_good(struct checkup *checkup, const char *format, ...)
{
	va_list args;

	if (checkup == NULL)
		return;
	va_start(args, format);
	add(checkup, true, str_vformat(checkup->call->arena, format, args));
	va_end(args);
}

static struct str
text_of(const json_t *step, const char *key)
{
	return str_of(json_string_value(json_object_get(step, key)));
}

/* The failure that was told so; NULL: none was. */
static const json_t *
find_told(const struct checkup *checkup, struct str why)
{
	const json_t *step;
	size_t i;

	json_array_foreach (checkup->steps, i, step)
		if (json_is_false(json_object_get(step, "ok")) &&
		    str_equal(why, text_of(step, "text")))
			return step;
	return NULL;
}

static enum checkup_step
step_of(const json_t *step)
{
	enum checkup_step at = CHECKUP_POLICY;

	while (at < CHECKUP_DONE &&
	       !str_equal(text_of(step, "step"), str_of(steps[at].name)))
		at++;
	return at;
}

void
checkup_bad(struct checkup *checkup, struct str why)
{
	if (checkup != NULL)
		add(checkup, false, why);
}

void
checkup_over(struct checkup *checkup, struct str why)
{
	const json_t *step;

	if (checkup == NULL)
		return;
	step = find_told(checkup, why);
	if (step == NULL)
		add(checkup, false, why);
	else
		checkup->failed_at = step_of(step);
}

/* --- DNS ------------------------------------------------------------------ */

static struct str
secure_text(bool is_secure)
{
	return is_secure ? STR("DNSSEC vouches for it") : STR("no DNSSEC");
}

/* One that failed is told with the whole. */
static void
tell_records(struct checkup *checkup, const struct dns_ask *ask)
{
	for (size_t i = 0; i < ask->count; i++) {
		const struct dns_record *record = &ask->records[i];
		struct str target = record->target;

		checkup_good(checkup,
		    "%.*s: %.*s, port %u, priority %u, weight %u; %.*s",
		    STR_ARG(ask->name),
		    STR_ARG(target.len == 0 ? STR(". (none)") : target),
		    record->port, record->priority, record->weight,
		    STR_ARG(secure_text(ask->is_secure)));
	}
}

static void
tell_addresses(struct checkup *checkup, const struct resolve *resolve)
{
	for (size_t i = 0; i < resolve->count; i++) {
		const struct endpoint *endpoint = &resolve->endpoints[i];

		checkup_good(checkup, "address %.*s%s%s",
		    STR_ARG(endpoint_text(checkup->call->arena, endpoint)),
		    endpoint->is_direct_tls ? ", direct TLS" : "",
		    endpoint->tlsa_count > 0 ? ", with TLSA records" : "");
	}
}

void
checkup_resolved(struct checkup *checkup, const struct resolve *resolve)
{
	if (checkup == NULL)
		return;
	checkup->has_no_dnssec =
	    resolve->err == ERR_DENIED && dns_cannot_begin(resolve->why);
	if (resolve->policy.routes.count > 0) {
		checkup_good(checkup, "s2s.route says where it is");
	} else {
		tell_records(checkup, &resolve->direct.ask);
		tell_records(checkup, &resolve->plain.ask);
		if (resolve->err == ERR_NONE &&
		    resolve->direct.ask.count + resolve->plain.ask.count == 0)
			checkup_good(checkup,
			    "no SRV records: its own addresses, port 5269");
	}
	tell_addresses(checkup, resolve);
}

/* --- the stream ----------------------------------------------------------- */

static void
tell_certificate(struct checkup *checkup, const struct verify *check)
{
	if (check->days.len > 0)
		checkup_good(checkup,
		    "one is presented, for %.*s; issued by %.*s; valid "
		    "from %.*s",
		    STR_ARG(check->names), STR_ARG(check->issuer),
		    STR_ARG(check->days));
}

void
checkup_verified(
    struct checkup *checkup, const struct verify *check, bool is_enough)
{
	if (checkup == NULL)
		return;
	tell_certificate(checkup, check);
	checkup->was_presented = check->was_presented && !check->is_final;
	if (check->proof != 0)
		checkup_good(checkup, "it proves the domain (%s)",
		    proof_text((enum proof)check->proof));
	else if (is_enough)
		checkup_good(checkup, "it proves nothing, DNS has to do: %.*s",
		    STR_ARG(check->why));
	if (is_enough)
		checkup->at = CHECKUP_FEATURES;
}

void
checkup_features(struct checkup *checkup, const struct node *features)
{
	struct str text = STR_NONE;
	unsigned count = 0;

	if (checkup == NULL)
		return;
	checkup->at = CHECKUP_FEATURES;
	if (features != NULL)
		node_each (each, features) {
			if (++count > 16)
				break;
			text = str_format(checkup->call->arena, "%.*s%s%.*s",
			    STR_ARG(text), text.len == 0 ? "" : ", ",
			    STR_ARG(each->name));
		}
	checkup_good(checkup, "the server offers %.*s",
	    STR_ARG(text.len == 0 ? STR("no features") : text));
	checkup->at = CHECKUP_AUTHENTICATION;
}

void
checkup_refused(struct checkup *checkup, struct str condition)
{
	if (checkup != NULL)
		checkup_bad(
		    checkup, str_format(checkup->call->arena,
				 "the server does not believe our certificate "
				 "(EXTERNAL: %.*s), so dialback is tried",
				 STR_ARG(condition)));
}

/* --- the answer ----------------------------------------------------------- */

/* It ended where that failed which senders are told, and not where a next
 * endpoint would have begun. */
static const char *
advice_of(const struct checkup *checkup)
{
	if (checkup->at == CHECKUP_DONE && !checkup->has_failed)
		return steps[CHECKUP_DONE].advice;
	if (checkup->at == CHECKUP_DONE)
		return "It works; see what failed on the way, as it costs time "
		       "or may be needed one day.";
	if (checkup->has_no_dnssec)
		return "All of DNS fails here: what dns.resolvers (or "
		       "/etc/resolv.conf) names takes DNSSEC out of its "
		       "answers, or the key to begin with is out of date: "
		       "name a resolver that leaves DNSSEC in, or bring the "
		       "package dns-root-data or dns.trust_anchor up to date.";
	if (checkup->failed_at == CHECKUP_CERTIFICATE && checkup->was_presented)
		return "Ask the administrator of the other server for a "
		       "certificate that holds: one that is presented and "
		       "fails is never replaced by dialback, unless "
		       "s2s.dialback: always says so for this domain.";
	return steps[checkup->failed_at].advice;
}

void
checkup_free(struct checkup **checkup)
{
	if (*checkup == NULL)
		return;
	json_decref((*checkup)->steps);
	if ((*checkup)->call != NULL)
		post_free(&(*checkup)->call);
	free(*checkup);
	*checkup = NULL;
}

void
checkup_finish(struct checkup **at)
{
	struct checkup *checkup = *at;
	struct post *call = checkup->call;
	json_t *json = json_object();

	json_object_set_new(json, "domain",
	    json_stringn(checkup->domain.text, checkup->domain.len));
	json_object_set_new(json, "from",
	    json_stringn(checkup->local.text, checkup->local.len));
	json_object_set_new(
	    json, "ok", json_boolean(checkup->at == CHECKUP_DONE));
	json_object_set(json, "steps", checkup->steps);
	json_object_set_new(json, "advice", json_string(advice_of(checkup)));
	checkup->call = NULL;
	admin_answer(checkup->shard, call, 200, json);
	checkup_free(at);
}

/* --- the question --------------------------------------------------------- */

/* Ours: as it was asked for, or else the first host. */
static struct str
read_from(struct shard *shard, const struct post *call)
{
	const struct host *hosts;
	struct str from = call->call->text;
	size_t count;

	if (from.len > 0)
		return prep_domain(call->arena, &from) ? from
						       : call->call->text;
	hosts = setup_hosts(shard->setup, &count);
	return count == 0 ? from : str_dup(call->arena, hosts[0].name);
}

static const char *
is_no_pair(const struct shard *shard, struct str local, struct str domain)
{
	if (!domain_is_ours(shard->setup, local))
		return "is not served here, so we cannot speak as it";
	if (domain_component(shard->setup, domain).len > 0)
		return "is a component's, which connects to us";
	if (domain_is_ours(shard->setup, domain))
		return "is served here: what goes there never leaves us";
	return NULL;
}

void
s2s_check(struct shard *shard, struct post *call)
{
	const struct str domain = jid_domain(call->to);
	const struct str local = read_from(shard, call);
	struct checkup *checkup;
	const char *why;

	if (attempt_checks(shard, local, domain) ||
	    attempt_checkups(shard) >= CHECKUPS_MAX) {
		admin_answer(shard, call, 429,
		    json_pack("{s:s}", "error",
			"such checks are under way: wait for their end"));
		return;
	}
	checkup = calloc(1, sizeof(*checkup));
	must(checkup != NULL);
	checkup->shard = shard;
	checkup->call = call;
	checkup->local = local;
	checkup->domain = domain;
	checkup->steps = json_array();
	why = is_no_pair(shard, local, domain);
	if (why == NULL) {
		attempt_start_checkup(shard, checkup, local, domain);
		return;
	}
	checkup_bad(checkup,
	    str_format(call->arena, "%.*s %s",
		STR_ARG(domain_is_ours(shard->setup, local) ? domain : local),
		why));
	checkup_finish(&checkup);
}

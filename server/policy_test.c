#include "server/policy.h"

#include "base/check.h"
#include "server/settings.h"
#include "server/setup_rig.h"

static const char text[] =
    "hosts: {a.example: {}, b.example: {s2s: {deny: [\"*.bad.example\"], "
    "dialback: always}}, c.example: {s2s: {allow: [good.example]}}}\n"
    "s2s: {hold_messages: 1 min}\n"
    "domains:\n"
    "  Strict.Example: {s2s: {dialback: never, proofs: [pkix, dialback]}}\n"
    "  \"*.far.example\": {s2s: {tls_required: false, hold_messages: 2 s, "
    "route: [\"xmpp://192.0.2.1:5269\"]}}\n"
    "  near.far.example: {s2s: {hold_messages: 3 s}}\n";

static const struct {
	const char *host, *domain;
	bool is_denied, needs_tls;
	unsigned proofs;
	enum dialback_rule dialback;
	size_t routes;
	uint64_t hold_ms;
} cases[] = {
    {"a.example", "x.example", false, true, 15, DIALBACK_WITHOUT_CERTIFICATE, 0,
	60000},
    {"b.example", "x.example", false, true, 15, DIALBACK_ALWAYS, 0, 60000},
    {"b.example", "bad.example", false, true, 15, DIALBACK_ALWAYS, 0, 60000},
    {"b.example", "so.bad.example", true, true, 15, DIALBACK_ALWAYS, 0, 60000},
    {"b.example", "very.so.bad.example", true, true, 15, DIALBACK_ALWAYS, 0,
	60000},
    {"b.example", "strict.example", false, true, PROOF_PKIX, DIALBACK_NEVER, 0,
	60000},
    {"c.example", "good.example", false, true, 15, DIALBACK_WITHOUT_CERTIFICATE,
	0, 60000},
    {"c.example", "x.good.example", true, true, 15,
	DIALBACK_WITHOUT_CERTIFICATE, 0, 60000},
    {"a.example", "x.far.example", false, false, 15,
	DIALBACK_WITHOUT_CERTIFICATE, 1, 2000},
    {"a.example", "x.y.far.example", false, false, 15,
	DIALBACK_WITHOUT_CERTIFICATE, 1, 2000},
    {"a.example", "far.example", false, true, 15, DIALBACK_WITHOUT_CERTIFICATE,
	0, 60000},
    {"a.example", "near.far.example", false, true, 15,
	DIALBACK_WITHOUT_CERTIFICATE, 0, 3000},
};

static void
policies_are_of_host_and_domain(void **state)
{
	struct arena *arena = arena_make(0);
	struct str why = STR_NONE;
	struct setup *setup = setup_rig(arena, text, NULL, false, &why);

	(void)state;
	assert_non_null(setup);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		const struct host *host =
		    setup_host(setup, str_of(cases[i].host));
		struct str domain = str_of(cases[i].domain);
		struct policy policy;

		policy_of(setup, host, domain, &policy);
		CHECK(policy.is_denied == cases[i].is_denied);
		CHECK(policy.needs_tls == cases[i].needs_tls);
		CHECK(policy.proofs == cases[i].proofs);
		CHECK(policy.dialback == cases[i].dialback);
		CHECK(policy.routes.count == cases[i].routes);
		CHECK(config_ms(setup_config(setup),
			  policy_index(
			      setup, host, domain, SETTING(S2S_HOLD_MESSAGES)),
			  SETTING(S2S_HOLD_MESSAGES)) == cases[i].hold_ms);
	}
	setup_unref(&setup);
	arena_free(&arena);
}

static const struct {
	const char *yaml, *why;
} wrong[] = {
    {"hosts: {a: {}}\ndomains: [b]\n", "domains must be a map"},
    {"hosts: {a: {}}\ndomains: {b: 1}\n", "domain b must be a map"},
    {"hosts: {a: {}}\ndomains: {b: {}, B: {}}\n", "given twice"},
    {"hosts: {a: {}}\ndomains: {b: {shards: 1}}\n",
	"says nothing about domains that are not ours"},
    {"hosts: {a: {s2s: {queue: 50}}}\n",
	"is for the whole server, not for one host"},
    {"hosts: {a: {}}\ndomains: {\"*.\": {}}\n", "is not a domain"},
};

static void
mistakes_are_told(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		struct arena *arena = arena_make(0);
		struct str why = STR_NONE;

		assert_null(setup_rig(arena, wrong[i].yaml, NULL, false, &why));
		CHECK(strstr(why.text, wrong[i].why) != NULL);
		arena_free(&arena);
	}
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
	    cmocka_unit_test(policies_are_of_host_and_domain),
	    cmocka_unit_test(mistakes_are_told),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

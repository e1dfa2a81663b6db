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

/* Written as people write them. */
static const char lists[] =
    "hosts:\n"
    "  a.example: {}\n"
    "  b.example: {s2s: {deny: \"*\"}}\n"
    "  c.example: {s2s: {deny: [], allow: [Good.Example, \"*\"]}}\n"
    "s2s: {deny: [Bad.Example, xn--bcher-kva.example, \"BÜCHER3.example\", "
    "dot.example., \"*.Up.example\", \"*.xn--bcher-kva.net\", 192.0.2.1, "
    "\"[2001:DB8::0:1]\"]}\n";

static const struct {
	const char *host, *domain;
	bool is_denied;
} listed[] = {
    {"a.example", "bad.example", true},
    {"a.example", "bücher.example", true},
    {"a.example", "bücher3.example", true},
    {"a.example", "dot.example", true},
    {"a.example", "x.up.example", true},
    {"a.example", "up.example", false},
    {"a.example", "x.bücher.net", true},
    {"a.example", "192.0.2.1", true},
    {"a.example", "[2001:db8::1]", true},
    {"a.example", "example", false},
    {"b.example", "any.example", true},
    {"c.example", "good.example", false},
    {"c.example", "any.example", false},
};

static void
domains_are_denied_however_they_are_written(void **state)
{
	struct arena *arena = arena_make(0);
	struct str why = STR_NONE;
	struct setup *setup = setup_rig(arena, lists, NULL, false, &why);

	(void)state;
	assert_non_null(setup);
	for (size_t i = 0; i < sizeof(listed) / sizeof(listed[0]); i++) {
		struct policy policy;

		policy_of(setup, setup_host(setup, str_of(listed[i].host)),
		    str_of(listed[i].domain), &policy);
		if (policy.is_denied != listed[i].is_denied)
			fail_msg("%s", listed[i].domain);
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
    {"hosts: {a: {}}\ndomains: {\"*\": {}}\n", "is not a domain"},
    {"hosts: {a: {}}\ns2s:\n  deny:\n    - good.example\n    - a@b@c\n",
	":5:7: s2s.deny must be a list of domains like example.org or "
	"\"*.example.org\", not \"a@b@c\""},
    {"hosts: {a: {s2s: {allow: \" sp.example\"}}}\n",
	"s2s.allow must be a list of domains"},
    {"hosts: {a: {}}\ns2s.deny: [\"*.*\"]\n", "not \"*.*\""},
    {"hosts: {a: {s2s.deny: \"*\"}}\ns2s.allow: [b]\n",
	"host a: s2s.deny has \"*\", so the domains of s2s.allow are not "
	"talked to either"},
    {"hosts: {a: {}}\ndns.resolvers: [192.0.2.53, not-an-address]\n",
	":2:29: dns.resolvers must be a list of addresses like 192.0.2.53 or "
	"\"192.0.2.53@5353\", not \"not-an-address\""},
    {"hosts: {a: {}}\ndns.resolvers: [192.0.2.53@]\n", "not \"192.0.2.53@\""},
    {"hosts: {a: {}}\ndns.resolvers: [192.0.2.53@0]\n", "not \"192.0.2.53@0\""},
    {"hosts: {a: {}}\ndomains:\n  b: {s2s.route: [\"xmpp://x:1\", "
     "\"http://x\"]}\n",
	":3:34: s2s.route must be a list of servers like xmpp://host:port or "
	"xmpps://host:port, not \"http://x\""},
    {"hosts: {a: {}}\ns2s.route: [\"xmpp://x:66000\"]\n",
	"not \"xmpp://x:66000\""},
    {"hosts: {a: {}}\ns2s.route: [\"xmpp://a b\"]\n", "not \"xmpp://a b\""},
    {"hosts: {a: {}}\ns2s.route: [\"xmpp://a..b\"]\n", "not \"xmpp://a..b\""},
};

static const struct {
	const char *written, *read;
} routes[] = {
    {"xmpp://Bücher.example:7001", "xmpp://xn--bcher-kva.example:7001"},
    {"xmpps://host.example", "xmpps://host.example:5270"},
    {"xmpp://192.0.2.1", "xmpp://192.0.2.1:5269"},
    {"xmpp://[2001:DB8::1]:7", "xmpp://[2001:db8::1]:7"},
    {"xmpp://prosody_1:7", "xmpp://prosody_1:7"},
};

/* In U-labels no DNS knows them. */
static void
routes_are_names_of_dns(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(routes) / sizeof(routes[0]); i++) {
		struct arena *arena = arena_make(0);
		struct str why = STR_NONE;
		struct setup *setup = setup_rig(arena,
		    str_format(arena,
			"hosts: {a: {}}\ns2s.route: \"%s\"\n"
			"dns.resolvers: [\"2001:db8::53@53\", "
			"\"fe80::1%%eth0\"]\n",
			routes[i].written)
			.text,
		    NULL, false, &why);
		struct policy policy;

		assert_non_null(setup);
		policy_of(setup, NULL, STR("b"), &policy);
		CHECK_EQUAL(policy.routes.count, 1);
		CHECK_STR(policy.routes.items[0], routes[i].read);
		setup_unref(&setup);
		arena_free(&arena);
	}
}

static void
mistakes_are_told(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		struct arena *arena = arena_make(0);
		struct str why = STR_NONE;

		assert_null(setup_rig(arena, wrong[i].yaml, NULL, false, &why));
		if (strstr(why.text, wrong[i].why) == NULL)
			fail_msg("%s", why.text);
		arena_free(&arena);
	}
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
	    cmocka_unit_test(policies_are_of_host_and_domain),
	    cmocka_unit_test(domains_are_denied_however_they_are_written),
	    cmocka_unit_test(routes_are_names_of_dns),
	    cmocka_unit_test(mistakes_are_told),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

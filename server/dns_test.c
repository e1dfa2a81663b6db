/*
 * What DNSSEC says of the way to a domain: with a real server that signs
 * (etc/check/dns) and has the names of server/dns_test.zone.
 */
#include <string.h>

#include "base/check.h"
#include "base/err.h"
#include "base/rand.h"
#include "server/dns_rig.h"

static struct dns_rig rig;

static int
start(void **state)
{
	const char *address = getenv("JACKDAW_TEST_DNS");
	char yaml[512];

	(void)state;
	snprintf(yaml, sizeof(yaml),
	    "hosts: {a.lab: {}}\n"
	    "dns: {resolvers: [\"%s\"], trust_anchor: \"%s\"}\n",
	    address, getenv("JACKDAW_TEST_DNS_ANCHOR"));
	dns_rig_start(&rig, yaml);
	return 0;
}

static int
stop(void **state)
{
	(void)state;
	dns_rig_stop(&rig);
	return 0;
}

/* --- domains -------------------------------------------------------------- */

static const struct {
	const char *domain;
	enum err err;
	const char *text; /* of the endpoints, or words of the failure */
} cases[] = {
    {"signed.lab", ERR_NONE,
	"secure: ::1, port 5301 (xmpp.signed.lab) secure, 2 TLSA; "
	"127.0.0.2, port 5301 (xmpp.signed.lab) secure, 2 TLSA; "
	"::1, port 5302 (xmpp.signed.lab) TLS secure, 0 TLSA; "
	"127.0.0.2, port 5302 (xmpp.signed.lab) TLS secure, 0 TLSA; "},
    {"alias.lab", ERR_NONE,
	"secure: ::1, port 5301 (xmpp.signed.lab) secure, 2 TLSA; "
	"127.0.0.2, port 5301 (xmpp.signed.lab) secure, 2 TLSA; "},
    {"plain.lab", ERR_NONE,
	"secure: 127.0.0.3, port 5269 (plain.lab) secure, 1 TLSA; "},
    {"half.lab", ERR_NONE,
	"secure: 127.0.0.4, port 5303 (xmpp.unsigned.lab); "},
    {"unsigned.lab", ERR_NONE, "127.0.0.4, port 5269 (xmpp.unsigned.lab); "},
    {"two.lab", ERR_NONE,
	"secure: 127.0.0.3, port 5305 (plain.lab) secure, 0 TLSA; "},
    {"forged.lab", ERR_DENIED, "DNS, _xmpp-server._tcp.forged.lab: "},
    {"curtain.lab", ERR_DENIED, "DNS, _5306._tcp.veiled.lab: "},
    {"none.lab", ERR_NOT_FOUND, "has no XMPP server"},
    {"nowhere.lab", ERR_NOT_FOUND, "has no address of nowhere.lab"},
};

static void
what_is_signed_is_known(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		struct arena *arena = arena_make(0);
		struct resolve *found =
		    dns_rig_resolve(&rig, arena, cases[i].domain);

		CHECK_EQUAL(found->err, cases[i].err);
		if (found->err == ERR_NONE)
			CHECK_TEXT(
			    dns_rig_describe(arena, found), cases[i].text);
		else if (strstr(found->why.text, cases[i].text) == NULL)
			fail_msg("%s", found->why.text);
		arena_free(&arena);
	}
}

/* Of whose word it is not: which key is missing, of which zone. */
static void
forgeries_are_explained(void **state)
{
	struct arena *arena = arena_make(0);
	struct resolve *found;

	(void)state;
	found = dns_rig_resolve(&rig, arena, "forged.lab");
	CHECK(strstr(found->why.text, "forged.lab") != NULL);
	CHECK(strstr(found->why.text, "validation failure") != NULL);
	arena_free(&arena);
}

static void
tlsa_records_are_read(void **state)
{
	struct arena *arena = arena_make(0);
	const struct dns_record *record;

	(void)state;
	record = dns_rig_resolve(&rig, arena, "plain.lab")->endpoints[0].tlsa;
	CHECK(record->usage == 3 && record->selector == 1 &&
	      record->matching == 1);
	CHECK_EQUAL(record->association.len, 32);
	CHECK(memcmp(record->association.text, "\1\2\3\4\5", 5) == 0);
	arena_free(&arena);
}

/* RFC 2782: ports 5300, 5310 and 5330 have the weights 0, 10 and 30. */
static void
targets_are_drawn_by_weight(void **state)
{
	enum { TIMES = 200 };
	unsigned first[31] = {0};

	(void)state;
	rand_fake(7);
	for (unsigned i = 0; i < TIMES; i++) {
		struct arena *arena = arena_make(0);
		struct resolve *found =
		    dns_rig_resolve(&rig, arena, "weighed.lab");

		CHECK_EQUAL(found->count, 4);
		CHECK_EQUAL(found->endpoints[3].port, 5399);
		first[found->endpoints[0].port - 5300]++;
		arena_free(&arena);
	}
	rand_fake(0);
	CHECK(first[0] > 0 && first[0] < TIMES / 10);
	CHECK(first[10] > TIMES / 8 && first[10] < TIMES * 3 / 8);
	CHECK(first[30] > TIMES * 5 / 8);
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
	    cmocka_unit_test(what_is_signed_is_known),
	    cmocka_unit_test(forgeries_are_explained),
	    cmocka_unit_test(tlsa_records_are_read),
	    cmocka_unit_test(targets_are_drawn_by_weight),
	};

	if (getenv("JACKDAW_TEST_DNS") == NULL) {
		print_message("1..0 # SKIP JACKDAW_TEST_DNS is not set\n");
		return 0;
	}
	return cmocka_run_group_tests(tests, start, stop);
}

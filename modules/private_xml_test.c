#include "modules/private_xml.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>

#include "modules/modules_rig.h"

#define QUERY(type, id, content)      \
	"<iq type='" type "' id='" id \
	"'><query xmlns='jabber:iq:private'>" content "</query></iq>"
#define DONE  "<iq type='result' id='p'><query>{not}</query></iq>"
#define PREFS "<prefs xmlns='exodus:prefs'>"

static const struct rig_talk talks[] = {
    /* Section 2.2: what was never stored comes back as it was asked for. */
    {QUERY("get", "p", PREFS "</prefs>"),
	QUERY("result", "p", PREFS "{only}</prefs>")},
    {QUERY("set", "p", PREFS "<nick>Hamlet</nick></prefs>"), DONE},
    {QUERY("get", "p", PREFS "</prefs>"),
	QUERY("result", "p", PREFS "<nick>Hamlet</nick></prefs>")},
    /* Another namespace is another element. */
    {QUERY("get", "p", "<prefs xmlns='other'/>"),
	QUERY("result", "p", "<prefs xmlns='other'>{only}</prefs>")},
    {QUERY("set", "p", PREFS "<nick>Ophelia</nick></prefs>"), DONE},
    {QUERY("get", "p", PREFS "</prefs>"),
	QUERY("result", "p", PREFS "<nick>Ophelia</nick></prefs>")},
    {QUERY("set", "p", "<a xmlns='x'>1</a><b xmlns='x'>2</b>"), DONE},
    {QUERY("get", "p", "<b xmlns='x'/>"),
	QUERY("result", "p", "<b xmlns='x'>2</b>")},
    {QUERY("get", "p", ""), RIG_ERROR("p", "modify", "bad-request")},
    {QUERY("get", "p", "<a xmlns='x'/><b xmlns='x'/>"),
	RIG_ERROR("p", "modify", "bad-request")},
    {QUERY("set", "p", ""), RIG_ERROR("p", "modify", "not-acceptable")},
    {QUERY("set", "p", "<a/>"), RIG_ERROR("p", "modify", "not-acceptable")},
    /* Section 2.2: nobody else's. */
    {"<iq type='get' id='p' to='" JULIET
     "'><query xmlns='jabber:iq:private'><a xmlns='x'/></query></iq>",
	"<iq type='error' id='p'/>"},
    {"<iq type='set' id='p' to='" JULIET
     "'><query xmlns='jabber:iq:private'><a xmlns='x'/></query></iq>",
	"<iq type='error' id='p'/>"},
};

static void
elements_are_kept_by_name_and_namespace(void **state)
{
	struct world *world = rig_world(1, 2, NULL);
	struct world_peer *romeo = rig_bind(world, ROMEO "/orchard");

	rig_talks(romeo, talks, COUNT_OF(talks));
	world_cut(&romeo);
	world_kill(world);
	romeo = rig_bind(world, ROMEO "/orchard");
	rig_send(romeo, QUERY("get", "p", PREFS "</prefs>"));
	rig_expect(
	    romeo, QUERY("result", "p", PREFS "<nick>Ophelia</nick></prefs>"));
	world_free(&world);
}

static void
the_space_has_a_quota(void **state)
{
	struct world *world = rig_world(1, 2, "quota.private: 1 KiB\n");
	struct world_peer *romeo = rig_bind(world, ROMEO "/orchard");
	char text[1400], filling[901];

	memset(filling, 'x', 900);
	filling[900] = '\0';
	snprintf(text, sizeof(text), QUERY("set", "p", "<a xmlns='x'>%s</a>"),
	    filling);
	rig_send(romeo, text);
	rig_expect(romeo, DONE);
	/* The same once more takes no more space. */
	rig_send(romeo, text);
	rig_expect(romeo, DONE);
	snprintf(text, sizeof(text), QUERY("set", "p", "<b xmlns='x'>%s</b>"),
	    filling);
	rig_send(romeo, text);
	rig_expect(romeo, RIG_ERROR("p", "wait", "resource-constraint"));
	rig_send(romeo, QUERY("get", "p", "<b xmlns='x'/>"));
	rig_expect(romeo, QUERY("result", "p", "<b xmlns='x'>{only}</b>"));
	rig_send(romeo, QUERY("set", "p", "<a xmlns='x'/>"));
	rig_expect(romeo, DONE);
	rig_send(romeo, text);
	rig_expect(romeo, DONE);
	world_free(&world);
}

/* Each is measured with those before it, also when nobody waits for answers. */
static void
requests_at_once_have_one_quota(void **state)
{
	(void)state;
	for (uint64_t seed = 1; seed <= 10; seed++) {
		struct world *world =
		    rig_world(seed, 0, "quota.private: 1 KiB\n");
		struct world_peer *romeo = rig_bind(world, ROMEO "/orchard");
		struct world_peer *other = rig_bind(world, ROMEO "/garden");
		char text[700], filling[401];
		unsigned kept = 0;

		memset(filling, 'x', 400);
		filling[400] = '\0';
		world_hold_store(world, true);
		for (unsigned i = 0; i < 6; i++) {
			snprintf(text, sizeof(text),
			    QUERY("set", "p", "<a%u xmlns='x'>%s</a%u>"), i,
			    filling, i);
			world_send(i % 2 == 0 ? romeo : other, text);
		}
		world_run(world);
		world_hold_store(world, false);
		world_run(world);
		kept += rig_hears(romeo, "type='result'");
		kept += rig_hears(other, "type='result'");
		CHECK_EQUAL(kept, 2);
		world_free(&world);
	}
}

/* What was asked before the account was removed is purged with it. */
static void
a_removed_account_stores_nothing(void **state)
{
	(void)state;
	for (uint64_t seed = 1; seed <= 100; seed++) {
		struct world *world = rig_world(seed, 0, NULL);
		struct world_peer *romeo = rig_bind(world, ROMEO "/orchard");
		const owner_id owner = rig_account(world, ROMEO)->owner.id;

		world_send(romeo, QUERY("set", "p", "<a xmlns='x'/>"));
		world_send(romeo, QUERY("set", "p", "<b xmlns='x'/>"));
		world_send(romeo, "<iq type='set' id='r'><query "
				  "xmlns='jabber:iq:register'><remove/>"
				  "</query></iq>");
		world_sleep(world, 60000);
		CHECK(!rig_has(world, owner, private_xml_module.kinds[0]));
		world_free(&world);
	}
}

static const struct {
	enum err broken;
	const char *condition;
} errors[] = {
    {ERR_UNAVAILABLE, "wait"}, {ERR_TIMEOUT, "wait"}, {ERR_IO, "cancel"}};

static void
a_broken_store_is_said(void **state)
{
	struct world *world = rig_world(1, 2, NULL);
	struct world_peer *romeo = rig_bind(world, ROMEO "/orchard");

	for (size_t i = 0; i < COUNT_OF(errors); i++) {
		char want[100];

		snprintf(want, sizeof(want),
		    "<iq type='error' id='p'><error type='%s'/></iq>",
		    errors[i].condition);
		world_break_store(world, errors[i].broken);
		rig_send(romeo, QUERY("get", "p", "<a xmlns='x'/>"));
		rig_expect(romeo, want);
		rig_send(romeo, QUERY("set", "p", "<a xmlns='x'/>"));
		rig_expect(romeo, want);
		world_break_store(world, ERR_NONE);
	}
	world_free(&world);
}

static void
a_damaged_element_is_said(void **state)
{
	struct world *world = rig_world(1, 2, NULL);
	struct world_peer *romeo = rig_bind(world, ROMEO "/orchard");
	struct arena *arena = arena_make(0);

	rig_put_key(world, ROMEO, private_xml_module.kinds[0],
	    store_key2(arena, STR("x"), STR("a")), "junk");
	arena_free(&arena);
	rig_send(romeo, QUERY("get", "p", "<a xmlns='x'/>"));
	rig_expect(romeo, RIG_ERROR("p", "cancel", "internal-server-error"));
	world_free(&world);
}

static long
peak_kib(void)
{
	struct rusage usage;

	CHECK(getrusage(RUSAGE_SELF, &usage) == 0);
	return usage.ru_maxrss;
}

/* What is stored is compared with what is new, but nothing is made for each of
 * these pairs: that took 750 MiB, all else 5, or 180 with a sanitizer. */
static void
many_elements_take_little_memory(void **state)
{
	enum { COUNT = 4000, LONG = 400000, AT_MOST_KIB = 384 * 1024 };
	struct world *world = rig_world(1, 1,
	    "limits.rate: 1 GiB\nlimits.burst: 1 GiB\n"
	    "limits.stanza: 1 MiB\n");
	struct world_peer *romeo = rig_bind(world, ROMEO "/orchard");
	char *text = malloc(LONG);
	long before = peak_kib();

	(void)state;
	CHECK(text != NULL);
	for (char name = 'a'; name <= 'b'; name++) {
		int len = snprintf(text, LONG,
		    "<iq type='set' id='p'><query xmlns='jabber:iq:private'>");

		for (unsigned i = 0; i < COUNT; i++)
			len += snprintf(text + len, LONG - (size_t)len,
			    "<%c%u xmlns='urn:example:of:many:elements:of:a:"
			    "namespace'/>",
			    name, i);
		snprintf(text + len, LONG - (size_t)len, "</query></iq>");
		rig_send(romeo, text);
		rig_expect(romeo, DONE);
	}
	CHECK(peak_kib() - before < AT_MOST_KIB);
	free(text);
	world_free(&world);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(elements_are_kept_by_name_and_namespace),
	    cmocka_unit_test(the_space_has_a_quota),
	    cmocka_unit_test(requests_at_once_have_one_quota),
	    cmocka_unit_test(many_elements_take_little_memory),
	    cmocka_unit_test(a_removed_account_stores_nothing),
	    cmocka_unit_test(a_broken_store_is_said),
	    cmocka_unit_test(a_damaged_element_is_said),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* Sessions over the end of the server, as others see them: after a crash who
 * does not come back is unavailable, whether he could have resumed or not; over
 * a restart nothing is lost of what a session knew. */
#include <stdio.h>
#include <string.h>

#include "modules/modules_rig.h"
#include "modules/roster.h"
#include "server/kept.h"
#include "server/session.h"
#include "server/world_neighbour.h"
#include "server/world_private.h"

#define SM      "urn:xmpp:sm:3"
#define VERONA  "verona.example"
#define ESCALUS "escalus@" VERONA
#define SECONDS ((uint64_t)1000)
#define NURSE   "nurse@montague.example"
#define GONE    "<presence from='" ROMEO "/orchard' type='unavailable'/>"

struct stage {
	struct world *world;
	struct neighbour *verona;
	struct world_peer *romeo, *juliet;
};

/* Romeo and Juliet see each other; Escalus is there to be told. */
static struct stage
begin(uint64_t seed)
{
	struct stage stage = {.world = rig_world(seed, 0,
				  "limits.idle_ping: 0 s\n"
				  "sessions.resume: 300 s\n")};

	stage.verona = neighbour_new(stage.world, VERONA);
	world_add_account(stage.world, NURSE, NULL);
	stage.romeo = rig_login(stage.world, ROMEO "/orchard");
	stage.juliet = rig_login(stage.world, JULIET "/balcony");
	rig_send(stage.romeo, "<presence type='subscribe' to='" JULIET "'/>");
	rig_send(stage.juliet, "<presence type='subscribed' to='" ROMEO "'/>");
	rig_send(stage.juliet, "<presence type='subscribe' to='" ROMEO "'/>");
	rig_send(stage.romeo, "<presence type='subscribed' to='" JULIET "'/>");
	CHECK_EQUAL(rig_sub(stage.world, JULIET, ROMEO), SUB_TO | SUB_FROM);
	world_sleep(stage.world, 5 * SECONDS);
	rig_skip(stage.romeo);
	rig_skip(stage.juliet);
	return stage;
}

static unsigned
verona_hears(struct stage *stage, const char *one, const char *two)
{
	const char *text;
	unsigned count = 0;

	while ((text = neighbour_next(stage->verona)) != NULL)
		count += strstr(text, one) != NULL && strstr(text, two) != NULL;
	return count;
}

static void
resume(struct stage *stage, const char *id, const char *wanted)
{
	stage->romeo = rig_come_back(stage->world, ROMEO, id, 0, wanted);
}

/* --- a crash -------------------------------------------------------------- */

static const char *const ways[] = {
    NULL,                                     /* no stream management */
    "<enable xmlns='" SM "'/>",               /* not to be resumed */
    "<enable xmlns='" SM "' resume='true'/>", /* too late */
};

/* As soon as they saw him; and they hear of it once. */
static void
who_was_seen_is_missed(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 4 * COUNT_OF(ways); i++) {
		struct stage stage = begin(i);
		const char *way = ways[i % COUNT_OF(ways)];

		if (way != NULL)
			rig_send(stage.romeo, way);
		rig_send(stage.romeo, "<presence to='" ESCALUS
				      "'/><presence to='" NURSE "/kitchen'/>");
		world_sleep(stage.world, 100);
		CHECK_EQUAL(verona_hears(&stage, ESCALUS, "/orchard"), 1);
		world_kill(stage.world);
		stage.juliet = rig_bind(stage.world, JULIET "/balcony");
		rig_send(stage.juliet, "<presence/>");
		CHECK(rig_finds(stage.juliet,
		    "<presence from='" ROMEO "/orchard' type='{none}'/>"));
		world_sleep(stage.world, 30 * SECONDS);
		rig_expect_nothing(stage.juliet);
		world_sleep(stage.world, 40 * SECONDS);
		rig_expect(stage.juliet, GONE);
		CHECK_EQUAL(verona_hears(&stage, "unavailable", ESCALUS), 1);
		world_cut(&stage.juliet);
		world_run(stage.world);
		CHECK_EQUAL(rig_has(stage.world, OWNER_SERVER, &kept_kind),
		    i % COUNT_OF(ways) == 2);
		world_kill(stage.world);
		world_sleep(stage.world, 100 * SECONDS);
		CHECK_EQUAL(verona_hears(&stage, "unavailable", ESCALUS), 0);
		world_free(&stage.world);
	}
}

/* A second crash does not make them forget. */
static void
who_was_seen_is_missed_after_two_crashes(void **state)
{
	struct stage stage = begin(3);

	(void)state;
	world_kill(stage.world);
	world_sleep(stage.world, 30 * SECONDS);
	world_kill(stage.world);
	stage.juliet = rig_login(stage.world, JULIET "/balcony");
	world_sleep(stage.world, 70 * SECONDS);
	CHECK(rig_finds(stage.juliet, GONE));
	world_free(&stage.world);
}

/* He is seen with another row when he can be resumed; both count once. */
static void
who_enables_later_is_missed_once(void **state)
{
	(void)state;
	for (uint64_t seed = 0; seed < 10; seed++) {
		struct stage stage = begin(seed);
		char id[RIG_ID_LEN];

		rig_send(stage.romeo, "<presence to='" NURSE "/kitchen'/>");
		world_sleep(stage.world, 5 * SECONDS);
		if (seed % 2 == 1)
			world_break_store(stage.world, ERR_IO);
		rig_enable(stage.romeo, id);
		world_sleep(stage.world, 5 * SECONDS);
		world_break_store(stage.world, ERR_NONE);
		rig_send(stage.romeo, "<message to='" JULIET
				      "' id='m1'><body>1</body></message>");
		world_sleep(stage.world, 5 * SECONDS);
		if (seed % 4 < 2)
			world_kill(stage.world);
		else
			world_restart(stage.world);
		stage.juliet = rig_bind(stage.world, JULIET "/balcony");
		rig_send(stage.juliet, "<presence/>");
		CHECK(rig_finds(stage.juliet,
		    "<presence from='" ROMEO "/orchard' type='{none}'/>"));
		resume(&stage, id,
		    seed % 4 < 2 ? "<failed xmlns='" SM "' h='1'/>"
				 : "<resumed xmlns='" SM "' h='1'/>");
		world_sleep(stage.world, 70 * SECONDS);
		CHECK_EQUAL(rig_hears(stage.juliet, "unavailable"),
		    seed % 4 < 2 ? 1 : 0);
		world_free(&stage.world);
	}
}

/* Those who are missed take nobody's place. */
static void
who_is_missed_makes_room(void **state)
{
	(void)state;
	for (uint64_t seed = 0; seed < 10; seed++) {
		struct world *world =
		    rig_world(seed, 0, "sessions.per_account: 2\n");
		struct world_peer *one, *two;
		char id[RIG_ID_LEN];

		(void)rig_login(world, ROMEO "/orchard");
		one = rig_login(world, ROMEO "/garden");
		if (seed % 2 == 1)
			rig_enable(one, id);
		world_sleep(world, 2 * SECONDS);
		world_kill(world);
		one = rig_login(world, ROMEO "/one");
		two = rig_login(world, ROMEO "/two");
		world_sleep(world, 20 * SECONDS);
		CHECK_EQUAL(rig_account(world, ROMEO)->session_count, 2);
		CHECK(!world_is_closed(one) && !world_is_closed(two));
		world_free(&world);
	}
}

/* Who went in order is not told of again. */
static void
who_went_is_not_missed(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 2; i++) {
		struct stage stage = begin(i);

		if (i == 1)
			rig_send(stage.romeo, "<presence type='unavailable'/>");
		world_cut(&stage.romeo);
		world_run(stage.world);
		rig_expect(stage.juliet, GONE);
		world_cut(&stage.juliet);
		world_sleep(stage.world, 2 * SECONDS);
		CHECK(!rig_has(stage.world, OWNER_SERVER, &kept_kind));
		world_kill(stage.world);
		stage.juliet = rig_login(stage.world, JULIET "/balcony");
		world_sleep(stage.world, 100 * SECONDS);
		CHECK_EQUAL(rig_hears(stage.juliet, ROMEO), 0);
		world_free(&stage.world);
	}
}

/* Nor who went while the store failed. Who came back meanwhile is. */
static void
who_went_in_an_outage_is_not_missed(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 4; i++) {
		struct stage stage = begin(i);
		const bool is_back = i % 2 == 1;

		world_break_store(stage.world, ERR_IO);
		world_cut(&stage.romeo);
		world_sleep(stage.world, 20 * SECONDS);
		rig_expect(stage.juliet, GONE);
		world_break_store(stage.world, ERR_NONE);
		if (is_back)
			stage.romeo = rig_login(stage.world, ROMEO "/orchard");
		world_sleep(stage.world, 100 * SECONDS);
		world_cut(&stage.juliet);
		world_sleep(stage.world, 2 * SECONDS);
		CHECK_EQUAL(
		    rig_has(stage.world, OWNER_SERVER, &kept_kind), is_back);
		world_kill(stage.world);
		stage.juliet = rig_login(stage.world, JULIET "/balcony");
		world_sleep(stage.world, 100 * SECONDS);
		CHECK_EQUAL(
		    rig_hears(stage.juliet, "type='unavailable'"), is_back);
		world_free(&stage.world);
	}
}

/* Nor is the count of one that nobody came back for kept for ever. */
static void
what_was_handled_is_forgotten(void **state)
{
	struct stage stage = begin(1);
	char id[RIG_ID_LEN];

	(void)state;
	rig_enable(stage.romeo, id);
	world_cut(&stage.romeo);
	world_cut(&stage.juliet);
	world_sleep(stage.world, 3600 * SECONDS);
	CHECK(rig_has(stage.world, OWNER_SERVER, &kept_kind));
	world_sleep(stage.world, 48 * 3600 * SECONDS);
	CHECK(!rig_has(stage.world, OWNER_SERVER, &kept_kind));
	world_free(&stage.world);
}

/* Nobody is told by rows of one who has no account any more. */
static void
rows_of_nobody_go(void **state)
{
	struct stage stage = begin(1);

	(void)state;
	world_cut(&stage.juliet);
	world_sleep(stage.world, 2 * SECONDS);
	CHECK(rig_has(stage.world, OWNER_SERVER, &kept_kind));
	rig_send(stage.romeo,
	    "<iq type='set' id='r'><query xmlns='jabber:iq:register'>"
	    "<remove/></query></iq>");
	world_sleep(stage.world, 2 * SECONDS);
	CHECK(!rig_has(stage.world, OWNER_SERVER, &kept_kind));
	world_free(&stage.world);
}

/* Of a host that is configured no more at a start they wait for a day: it may
 * have been a mistake. Then, or at a start after it, they go. */
static void
rows_of_a_host_that_is_gone_go(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 3; i++) {
		struct stage stage = begin(i);

		world_cut(&stage.juliet);
		world_sleep(stage.world, 2 * SECONDS);
		world_hold_store(stage.world, true);
		world_reload(stage.world, "hosts: {capulet.example: {}}\n");
		if (i == 1)
			world_set_absence(stage.world, 25 * 3600 * SECONDS);
		world_kill(stage.world);
		world_hold_store(stage.world, false);
		world_sleep(stage.world, 120 * SECONDS);
		CHECK_EQUAL(
		    rig_has(stage.world, OWNER_SERVER, &kept_kind), i != 1);
		if (i == 2) {
			world_reload(stage.world,
			    "hosts: {montague.example: {}, "
			    "capulet.example: {}}\n");
			world_kill(stage.world);
			CHECK(rig_account(stage.world, ROMEO)->session_count ==
			      1);
		}
		world_sleep(stage.world, 25 * 3600 * SECONDS);
		CHECK(!rig_has(stage.world, OWNER_SERVER, &kept_kind));
		world_free(&stage.world);
	}
}

/* --- a restart ------------------------------------------------------------ */

static struct session *
session_of(struct stage *stage)
{
	struct account *account = rig_account(stage->world, ROMEO);

	must(account->session_count == 1);
	return list_entry(list_first(&account->sessions), struct session, link);
}

static bool
has_origin(struct stage *stage, struct str address, uint64_t bound_us)
{
	const struct session *session = session_of(stage);

	return session->bound_us == bound_us &&
	       str_equal(session->origin.address, address) &&
	       str_is(session->origin.mechanism, "PLAIN");
}

static void
a_session_is_what_it_was(void **state)
{
	(void)state;
	for (uint64_t seed = 0; seed < 10; seed++) {
		struct stage stage = begin(seed);
		struct arena *arena = arena_make(0);
		struct world_peer *nurse =
				      rig_login(stage.world, NURSE "/kitchen"),
				  *other;
		const struct session *session = session_of(&stage);
		const uint64_t bound_us = session->bound_us;
		struct str address;
		char id[RIG_ID_LEN];

		rig_send(stage.romeo, "<iq type='get' id='b'><blocklist "
				      "xmlns='urn:xmpp:blocking'/></iq>"
				      "<presence to='" NURSE "/kitchen'/>"
				      "<presence to='" ESCALUS "'/>");
		rig_skip(stage.romeo);
		rig_skip(nurse);
		rig_enable(stage.romeo, id);
		address = str_dup(arena, session->origin.address);
		world_restart(stage.world);
		CHECK(has_origin(&stage, address, bound_us));
		CHECK_EQUAL(verona_hears(&stage, "unavailable", ""), 0);
		arena_free(&arena);
		nurse = rig_login(stage.world, NURSE "/kitchen");
		resume(&stage, id, "<resumed xmlns='" SM "'/>");
		rig_skip(stage.romeo);
		other = rig_bind(stage.world, ROMEO "/garden");
		rig_send(other,
		    "<iq type='set' id='c'><block xmlns='urn:xmpp:blocking'>"
		    "<item jid='tybalt@capulet.example'/></block></iq>");
		CHECK(rig_finds(stage.romeo,
		    "<iq type='set'><block xmlns='urn:xmpp:blocking'/></iq>"));
		rig_send(stage.romeo, "<presence type='unavailable'/>");
		CHECK(rig_finds(nurse, GONE));
		world_free(&stage.world);
	}
}

/* A row that could not be removed is taken for another session, which was there
 * before: not for this one. */
static void
who_was_there_before_takes_nobodys_place(void **state)
{
	(void)state;
	for (uint64_t seed = 0; seed < 10; seed++) {
		struct stage stage = begin(seed);
		char id[RIG_ID_LEN];

		rig_enable(stage.romeo, id);
		world_sleep(stage.world, 2 * SECONDS);
		world_break_store(stage.world, ERR_UNAVAILABLE);
		rig_send(stage.romeo, "</stream:stream>");
		world_sleep(stage.world, 2 * SECONDS);
		world_break_store(stage.world, ERR_NONE);
		stage.romeo = rig_bind(stage.world, ROMEO "/orchard");
		rig_enable(stage.romeo, id);
		world_sleep(stage.world, 2 * SECONDS);
		world_restart(stage.world);
		resume(&stage, id, "<resumed xmlns='" SM "'/>");
		world_cut(&stage.romeo);
		world_sleep(stage.world, 400 * SECONDS);
		CHECK_EQUAL(rig_account(stage.world, ROMEO)->session_count, 0);
		world_free(&stage.world);
	}
}

/* He left this long before the server ended, which was away for an hour; he
 * comes back so long after its start. */
static bool
comes_back(uint64_t left_s, uint64_t after_s)
{
	struct stage stage = begin(1);
	char id[RIG_ID_LEN];
	bool is_there;

	rig_enable(stage.romeo, id);
	world_cut(&stage.romeo);
	world_sleep(stage.world, left_s * SECONDS);
	world_set_absence(stage.world, 3600 * SECONDS);
	world_restart(stage.world);
	world_sleep(stage.world, after_s * SECONDS);
	is_there = rig_account(stage.world, ROMEO)->session_count == 1;
	resume(&stage, id,
	    is_there ? "<resumed xmlns='" SM "'/>"
		     : "<failed xmlns='" SM "'/>");
	world_free(&stage.world);
	return is_there;
}

/* Of 300 s; the server takes some to end. */
static void
the_clock_stands_while_the_server_is_away(void **state)
{
	(void)state;
	CHECK(comes_back(100, 185));
	CHECK(!comes_back(100, 205));
	CHECK(comes_back(285, 55));
	CHECK(!comes_back(285, 65));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(who_was_seen_is_missed),
	    cmocka_unit_test(who_was_seen_is_missed_after_two_crashes),
	    cmocka_unit_test(who_enables_later_is_missed_once),
	    cmocka_unit_test(who_is_missed_makes_room),
	    cmocka_unit_test(who_went_is_not_missed),
	    cmocka_unit_test(who_went_in_an_outage_is_not_missed),
	    cmocka_unit_test(what_was_handled_is_forgotten),
	    cmocka_unit_test(rows_of_nobody_go),
	    cmocka_unit_test(rows_of_a_host_that_is_gone_go),
	    cmocka_unit_test(a_session_is_what_it_was),
	    cmocka_unit_test(who_was_there_before_takes_nobodys_place),
	    cmocka_unit_test(the_clock_stands_while_the_server_is_away),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

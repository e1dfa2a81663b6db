/* The tables themselves, with kills: subscription_crash_test.c. */
#include "modules/subscription.h"

#include <string.h>

#include "modules/modules_rig.h"
#include "modules/roster.h"
#include "server/world_neighbour.h"
#include "server/world_private.h"

#define GET "<iq type='get' id='g'><query xmlns='jabber:iq:roster'/></iq>"
#define PUSH(item)                                                         \
	"<iq type='set'><query xmlns='jabber:iq:roster' ver='{any}'>" item \
	"</query></iq>"

/* RFC 6121, section 3.1: who sees what of a request and its approval. */
static void
a_request_is_shown_pushed_and_approved(void **state)
{
	for (uint64_t seed = 1; seed <= 20; seed++) {
		struct world *world = rig_world(seed, 0, NULL);
		struct world_peer *romeo =
		    rig_interested(world, ROMEO "/orchard");
		struct world_peer *juliet =
		    rig_interested(world, JULIET "/balcony");

		rig_send(romeo,
		    "<presence type='subscribe' id='s' to='" JULIET
		    "/balcony'><status>It is I</status></presence>");
		rig_expect(
		    romeo, PUSH("<item jid='" JULIET "' subscription='none' "
				"ask='subscribe'/>"));
		rig_expect_nothing(romeo);
		rig_expect(juliet,
		    "<presence type='subscribe' id='s' from='" ROMEO
		    "' to='" JULIET "'><status>It is I</status></presence>");
		rig_expect_nothing(juliet);

		rig_send(
		    juliet, "<presence type='subscribed' to='" ROMEO "'/>");
		rig_expect(juliet,
		    PUSH("<item jid='" ROMEO "' subscription='from'/>"));
		rig_expect_nothing(juliet);
		rig_expect(romeo, "<presence type='subscribed' from='" JULIET
				  "' to='" ROMEO "'/>");
		rig_expect(
		    romeo, PUSH("<item jid='" JULIET "' subscription='to' "
				"ask='{none}'/>"));
		rig_expect(romeo,
		    "<presence type='{none}' from='" JULIET "/balcony'/>");
		rig_expect_nothing(romeo);
		world_free(&world);
	}
}

/* Section 3.1.3: to each resource that comes, until it is answered. */
static void
a_request_waits_for_an_answer(void **state)
{
	struct world *world = rig_world(1, 2, NULL);
	struct world_peer *romeo = rig_login(world, ROMEO "/orchard");
	struct world_peer *juliet;

	rig_send(romeo, "<presence type='subscribe' id='s' to='" JULIET
			"'><status>Hi</status></presence>");
	for (unsigned i = 0; i < 3; i++) {
		juliet = rig_bind(world, JULIET "/balcony");
		rig_send(juliet, "<presence/>");
		CHECK(
		    rig_finds(juliet, "<presence type='subscribe' from='" ROMEO
				      "'><status>Hi</status></presence>"));
		rig_send(juliet, "<presence><show>away</show></presence>");
		CHECK(!rig_finds(juliet, "<presence type='subscribe'/>"));
		rig_send(juliet, GET);
		rig_expect(juliet,
		    "<iq type='result'><query xmlns='jabber:iq:roster'>"
		    "<item>{not}</item></query></iq>");
		if (i < 2)
			world_cut(&juliet);
		if (i == 1)
			world_kill(world);
	}
	rig_send(juliet, "<presence type='unsubscribed' to='" ROMEO "'/>");
	world_cut(&juliet);
	juliet = rig_bind(world, JULIET "/balcony");
	rig_send(juliet, "<presence/>");
	CHECK(!rig_finds(juliet, "<presence type='subscribe'/>"));
	CHECK_EQUAL(rig_sub(world, ROMEO, JULIET), 0);
	world_free(&world);
}

/* A client that was unavailable for a while has created a resource again. What
 * came meanwhile is shown, and what it saw while it was available not twice. */
static void
a_request_is_shown_whenever_a_resource_comes(void **state)
{
	struct world *world = rig_world(1, 2, NULL);
	struct world_peer *juliet = rig_login(world, JULIET "/balcony");
	struct world_peer *romeo = rig_login(world, ROMEO "/orchard");
	struct world_peer *nurse;

	(void)state;
	world_add_account(world, "nurse@capulet.example", NULL);
	nurse = rig_login(world, "nurse@capulet.example/hall");
	rig_send(romeo, "<presence type='subscribe' to='" JULIET "'/>");
	CHECK(rig_finds(juliet, "<presence type='subscribe'/>"));
	rig_send(juliet, "<presence><show>away</show></presence>");
	CHECK(!rig_finds(juliet, "<presence type='subscribe'/>"));
	rig_send(juliet, "<presence type='unavailable'/>");
	rig_send(nurse, "<presence type='subscribe' to='" JULIET "'/>");
	CHECK(!rig_finds(juliet, "<presence type='subscribe'/>"));
	rig_send(juliet, "<presence/>");
	CHECK_EQUAL(rig_hears(juliet, "type='subscribe'"), 2);
	world_free(&world);
}

static void
requests_have_a_quota(void **state)
{
	struct world *world = rig_world(1, 2, "quota.pending_requests: 1\n");
	struct world_peer *romeo, *nurse;

	world_add_account(world, "nurse@capulet.example", NULL);
	romeo = rig_login(world, ROMEO "/orchard");
	nurse = rig_login(world, "nurse@capulet.example/hall");
	rig_send(romeo, "<presence type='subscribe' to='" JULIET "'/>");
	rig_send(nurse, "<presence type='subscribe' to='" JULIET "'/>");
	CHECK_EQUAL(rig_sub(world, JULIET, ROMEO), SUB_PENDING_IN);
	CHECK_EQUAL(rig_sub(world, JULIET, "nurse@capulet.example"), 0);
	CHECK_EQUAL(rig_outbox(world), 0);
	world_free(&world);
}

/* A letter that an earlier run left, whose reading fails at first. */
static void
letters_left_are_read_until_they_are(void **state)
{
	struct world *world = rig_world(1, 2, NULL);

	rig_outbox_add(world,
	    "<presence xmlns='jabber:client' from='" ROMEO "' to='" JULIET
	    "' type='subscribe' id='l'/>",
	    0);
	world_break_store(world, ERR_TIMEOUT);
	world_kill(world);
	world_sleep(world, 3000);
	world_break_store(world, ERR_NONE);
	world_sleep(world, 3000);
	CHECK_EQUAL(rig_sub(world, JULIET, ROMEO), SUB_PENDING_IN);
	CHECK_EQUAL(rig_outbox(world), 0);

	world_break_store(world, ERR_TIMEOUT);
	world_kill(world);
	world_run(world);
	world_free(&world); /* while it waits to ask again */
}

/* The clock of a machine without a battery begins where it was last saved. */
static void
letters_from_the_future_are_carried_out(void **state)
{
	struct world *world = rig_world(1, 2, NULL);

	(void)state;
	rig_outbox_add(world,
	    "<presence xmlns='jabber:client' from='" ROMEO "' to='" JULIET
	    "' type='subscribe' id='l'/>",
	    3600000);
	world_kill(world);
	world_sleep(world, 3000);
	CHECK_EQUAL(rig_sub(world, JULIET, ROMEO), SUB_PENDING_IN);
	CHECK_EQUAL(rig_outbox(world), 0);
	world_free(&world);
}

static void
a_full_roster_takes_no_more(void **state)
{
	struct world *world = rig_world(1, 2, "quota.roster_items: 1\n");
	struct world_peer *romeo = rig_login(world, ROMEO "/orchard");
	static const struct rig_talk talks[] = {
	    {"<presence type='subscribe' to='a@b.example'/>",
		"<presence type='error' from='a@b.example'/>"},
	    {"<presence type='subscribe' id='p' to='" JULIET "'/>",
		"<presence type='error' id='p'><error type='wait'>"
		"<resource-constraint xmlns='" STANZAS
		"'/></error></presence>"},
	    {"<presence type='subscribed' id='p' to='" JULIET "'/>", NULL},
	};

	rig_talks(romeo, talks, COUNT_OF(talks));
	CHECK_EQUAL(rig_sub(world, ROMEO, JULIET), 0);
	CHECK_EQUAL(rig_sub(world, JULIET, ROMEO), 0);
	world_free(&world);
}

/* What leads nowhere leaves no durable letter. */
static const char *const nowhere[] = {"nobody@capulet.example",
    "capulet.example", "juliet@elsewhere.example", ROMEO};

static void
requests_to_nobody_leave_nothing(void **state)
{
	struct world *world = rig_world(1, 0, NULL);
	struct world_peer *romeo = rig_login(world, ROMEO "/orchard");

	for (size_t i = 0; i < COUNT_OF(nowhere); i++) {
		char text[200];

		snprintf(text, sizeof(text),
		    "<presence type='subscribe' to='%s'/>", nowhere[i]);
		rig_send(romeo, text);
		CHECK_EQUAL(rig_outbox(world), 0);
	}
	world_free(&world);
}

/* Sections 3.1.2 and 8.5.1: who asks one of our own accounts that is not there
 * hears of it, and does not ask for ever. */
static void
a_request_to_nobody_is_taken_back(void **state)
{
	(void)state;
	for (uint64_t seed = 1; seed <= 20; seed++) {
		struct world *world = rig_world(seed, 0, NULL);
		struct world_peer *romeo =
		    rig_interested(world, ROMEO "/orchard");

		rig_send(romeo, "<presence type='subscribe' id='s' "
				"to='nobody@capulet.example'/>");
		rig_expect(
		    romeo, PUSH("<item jid='nobody@capulet.example' "
				"subscription='none' ask='subscribe'/>"));
		rig_expect(romeo,
		    "<presence type='error' id='s' "
		    "from='nobody@capulet.example'><error type='cancel'>"
		    "<service-unavailable xmlns='" STANZAS
		    "'/></error></presence>");
		rig_expect(romeo, PUSH("<item jid='nobody@capulet.example' "
				       "subscription='none' ask='{none}'/>"));
		rig_expect_nothing(romeo);
		CHECK_EQUAL(rig_outbox(world), 0);
		world_free(&world);
	}
}

/* Who is blocked meanwhile does not keep it from that. */
static void
a_request_to_nobody_who_is_blocked_is_taken_back(void **state)
{
	(void)state;
	for (uint64_t seed = 1; seed <= 20; seed++) {
		struct world *world = rig_world(seed, 0, NULL);
		struct world_peer *romeo = rig_bind(world, ROMEO "/orchard");

		world_send(romeo,
		    "<presence type='subscribe' to='nobody@capulet.example'/>"
		    "<iq type='set' id='b'><block xmlns='urn:xmpp:blocking'>"
		    "<item jid='nobody@capulet.example'/></block></iq>");
		world_sleep(world, MINUTE);
		CHECK_EQUAL(rig_sub(world, ROMEO, "nobody@capulet.example"), 0);
		CHECK_EQUAL(rig_outbox(world), 0);
		world_free(&world);
	}
}

/* Killed at any step, he is not left asking. */
static void
a_request_to_nobody_does_not_outlive_a_crash(void **state)
{
	(void)state;
	for (unsigned steps = 0, done = 0; done == 0; steps++) {
		struct world *world = rig_world(steps % 5 + 1, 0, NULL);
		struct world_peer *romeo =
		    rig_interested(world, ROMEO "/orchard");

		world_send(romeo, "<presence type='subscribe' "
				  "to='nobody@capulet.example'/>");
		done = !rig_run_killed(world, steps);
		world_run(world);
		CHECK_EQUAL(rig_sub(world, ROMEO, "nobody@capulet.example"), 0);
		CHECK_EQUAL(rig_outbox(world), 0);
		world_free(&world);
	}
}

/* --- a store that fails at any step -------------------------------------- */

static const struct {
	const char *type;
	unsigned before[2], after[2]; /* Romeo's and Juliet's */
} changes[] = {
    {"subscribe", {0, 0}, {SUB_ASK, SUB_PENDING_IN}},
    {"subscribe", {0, SUB_APPROVED}, {SUB_TO, SUB_FROM | SUB_APPROVED}},
    {"unsubscribe", {3, 3}, {SUB_FROM, SUB_TO}},
    {"subscribed", {SUB_PENDING_IN, SUB_ASK}, {SUB_FROM, SUB_TO}},
    {"unsubscribed", {3, 3}, {SUB_TO, SUB_FROM}},
};

static void
fail_at(struct world *world, size_t change, enum err err, unsigned step)
{
	struct world_peer *romeo, *juliet;
	unsigned mine, hers;
	char text[200];

	rig_put_subs(
	    world, changes[change].before[0], changes[change].before[1]);
	romeo = rig_interested(world, ROMEO "/orchard");
	juliet = rig_interested(world, JULIET "/balcony");
	snprintf(text, sizeof(text), "<presence type='%s' to='%s'/>",
	    changes[change].type, JULIET);
	world_send(romeo, text);
	world_step(world, step);
	world_break_store(world, err);
	world_run(world);
	world_sleep(world, 3000);
	world_break_store(world, ERR_NONE);
	world_sleep(world, 120000);
	mine = rig_sub(world, ROMEO, JULIET);
	hers = rig_sub(world, JULIET, ROMEO);
	if ((mine != changes[change].before[0] ||
		hers != changes[change].before[1]) &&
	    (mine != changes[change].after[0] ||
		hers != changes[change].after[1]))
		fail_msg("%s, error %d at step %u: they have %u and %u",
		    changes[change].type, (int)err, step, mine, hers);
	CHECK_EQUAL(rig_outbox(world), 0);
	world_cut(&romeo);
	world_cut(&juliet);
	world_kill(world);
	CHECK_EQUAL(rig_sub(world, ROMEO, JULIET), mine);
	CHECK_EQUAL(rig_sub(world, JULIET, ROMEO), hers);
}

static void
rosters_agree_when_the_store_is_back(void **state)
{
	static const enum err errs[] = {
	    ERR_UNAVAILABLE, ERR_TIMEOUT, ERR_UNCERTAIN};

	for (uint64_t seed = 1; seed <= 5; seed++) {
		struct world *world = rig_world(seed, 0, NULL);

		for (size_t k = 0; k < COUNT_OF(changes) * 3; k++)
			for (unsigned step = 0; step < 14; step++)
				fail_at(world, k / 3, errs[k % 3], step);
		world_free(&world);
	}
}

/* It may wait longer than its sender is in memory. */
static void
what_is_routed_outlives_its_sender(void **state)
{
	struct world *world = rig_world(1, 2, "s2s.hold_others: 10 min\n");
	struct neighbour *verona = neighbour_new(world, "verona.example");
	struct world_peer *romeo = rig_interested(world, ROMEO "/orchard");

	(void)state;
	verona->mood = NEIGHBOUR_UNREACHABLE;
	rig_send(romeo, "<presence type='unsubscribe'"
			" to='escalus@verona.example'/>");
	world_cut(&romeo);
	world_sleep(world, 120 * 1000);
	verona->mood = NEIGHBOUR_WILLING;
	world_sleep(world, 600 * 1000);
	CHECK(strstr(neighbour_next(verona), "from='" ROMEO "'") != NULL);
	world_free(&world);
}

/* The letter waits for its receiver to be loaded, and what its sender tells of
 * it comes when the receiver's host is gone. */
static void
nothing_is_left_of_a_host_that_goes(void **state)
{
	(void)state;
	for (uint64_t seed = 1; seed <= 20; seed++) {
		struct world *world = rig_world(seed, 0, NULL);
		struct world_peer *romeo =
		    rig_interested(world, ROMEO "/orchard");

		world_hold_store(world, true);
		rig_send(romeo, "<presence type='subscribe' to='" JULIET "'/>");
		world_reload(world, "hosts: {montague.example: {}}\n");
		world_run(world);
		world_hold_store(world, false);
		world_run(world);
		world_sleep(world, 1000);
		CHECK_EQUAL(rig_outbox(world), 0);
		world_free(&world);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(a_request_is_shown_pushed_and_approved),
	    cmocka_unit_test(a_request_waits_for_an_answer),
	    cmocka_unit_test(a_request_is_shown_whenever_a_resource_comes),
	    cmocka_unit_test(requests_have_a_quota),
	    cmocka_unit_test(letters_left_are_read_until_they_are),
	    cmocka_unit_test(letters_from_the_future_are_carried_out),
	    cmocka_unit_test(a_full_roster_takes_no_more),
	    cmocka_unit_test(requests_to_nobody_leave_nothing),
	    cmocka_unit_test(a_request_to_nobody_is_taken_back),
	    cmocka_unit_test(a_request_to_nobody_who_is_blocked_is_taken_back),
	    cmocka_unit_test(a_request_to_nobody_does_not_outlive_a_crash),
	    cmocka_unit_test(rosters_agree_when_the_store_is_back),
	    cmocka_unit_test(what_is_routed_outlives_its_sender),
	    cmocka_unit_test(nothing_is_left_of_a_host_that_goes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* With archives, what nobody could take is a part of them. */
#include "modules/archive.h"

#include "modules/modules_rig.h"
#include "server/world_private.h"

static void
say(struct world_peer *romeo, const char *id)
{
	char text[200];

	snprintf(text, sizeof(text),
	    "<message type='chat' to='%s' id='%s'><body>Hi</body></message>",
	    JULIET, id);
	rig_send(romeo, text);
}

/* That the next message is this one, and was kept. */
static void
expect_kept(struct world_peer *juliet, const char *id)
{
	char text[300];

	snprintf(text, sizeof(text),
	    "<message from='%s/orchard' id='%s'><body>Hi</body>"
	    "<delay xmlns='urn:xmpp:delay' from='capulet.example' "
	    "stamp='{time}'/></message>",
	    ROMEO, id);
	rig_expect(juliet, text);
}

/* Available, with what it is then sent; the own presence is skipped. */
static struct world_peer *
come(struct world *world, const char *jid, const char *presence)
{
	struct world_peer *peer = rig_bind(world, jid);

	rig_send(peer, presence);
	rig_expect(peer, "<presence/>");
	return peer;
}

/* The kernel is asked, then something arrives: proof of receipt. */
static void
prove(struct world *world, struct world_peer *peer)
{
	world_sleep(world, 1500);
	rig_send(peer, " ");
	world_sleep(world, 1500);
	rig_send(peer, " ");
}

/* --- when it is sent -------------------------------------------------------
 */

static void
kept_messages_come_in_order_and_before_new_ones(void **state)
{
	for (uint64_t seed = 1; seed <= 10; seed++) {
		struct world *world = rig_world(seed, 0, NULL);
		struct world_peer *romeo = rig_bind(world, ROMEO "/orchard");
		struct world_peer *juliet;
		char id[16];

		for (unsigned i = 100; i < 320; i++) {
			snprintf(id, sizeof(id), "m%u", i);
			say(romeo, id);
		}
		juliet = rig_bind(world, JULIET "/balcony");
		world_send(juliet, "<presence/>");
		world_send(romeo,
		    "<message to='" JULIET "' id='new'><body>x</body>"
		    "</message>");
		world_run(world);
		rig_expect(juliet, "<presence/>");
		for (unsigned i = 100; i < 320; i++) {
			snprintf(id, sizeof(id), "m%u", i);
			expect_kept(juliet, id);
		}
		rig_expect(juliet, "<message id='new'/>");
		rig_expect_nothing(juliet);
		world_free(&world);
	}
}

static void
what_was_not_proved_comes_again(void **state)
{
	struct world *world = rig_world(1, 3, NULL);
	struct world_peer *romeo = rig_bind(world, ROMEO "/orchard");
	struct world_peer *juliet;

	say(romeo, "m1");
	say(romeo, "m2");
	juliet = come(world, JULIET "/balcony", "<presence/>");
	expect_kept(juliet, "m1");
	expect_kept(juliet, "m2");
	world_cut(&juliet);
	world_run(world);

	juliet = come(world, JULIET "/chamber", "<presence/>");
	expect_kept(juliet, "m1");
	expect_kept(juliet, "m2");
	prove(world, juliet);
	world_cut(&juliet);
	world_run(world);

	juliet = come(world, JULIET "/chamber", "<presence/>");
	rig_expect_nothing(juliet);
	world_free(&world);
}

static void
two_sessions_do_not_both_get_it(void **state)
{
	for (uint64_t seed = 1; seed <= 20; seed++) {
		struct world *world = rig_world(seed, 0, NULL);
		struct world_peer *romeo = rig_bind(world, ROMEO "/orchard");
		struct world_peer *first, *second;
		bool has_first, has_second;

		say(romeo, "m1");
		first = rig_bind(world, JULIET "/balcony");
		second = rig_bind(world, JULIET "/chamber");
		world_send(first, "<presence/>");
		world_send(second, "<presence/>");
		world_run(world);
		has_first = rig_finds(first, "<message id='m1'/>");
		has_second = rig_finds(second, "<message id='m1'/>");
		CHECK(has_first != has_second);

		/* The one that has it goes without a proof. */
		world_cut(has_first ? &first : &second);
		world_run(world);
		CHECK(rig_finds(
		    has_first ? second : first, "<message id='m1'/>"));
		world_free(&world);
	}
}

static void
negative_priority_gets_none(void **state)
{
	struct world *world = rig_world(1, 2, NULL);
	struct world_peer *romeo = rig_bind(world, ROMEO "/orchard");
	struct world_peer *juliet, *other;

	juliet = come(world, JULIET "/balcony",
	    "<presence><priority>-1</priority></presence>");
	say(romeo, "m1");
	rig_expect_nothing(juliet);
	rig_send(juliet, "<presence/>");
	rig_expect(juliet, "<presence/>");
	expect_kept(juliet, "m1");
	prove(world, juliet);

	/* Who read before does not keep them from another one. */
	rig_send(juliet, "<presence><priority>-1</priority></presence>");
	rig_skip(juliet);
	say(romeo, "m2");
	other = rig_bind(world, JULIET "/chamber");
	rig_send(other, "<presence/>");
	CHECK(rig_finds(other, "<message id='m2'/>"));
	CHECK(!rig_finds(juliet, "<message/>"));
	world_free(&world);
}

/* --- what goes wrong -------------------------------------------------------
 */

static void
what_cannot_be_kept_is_refused(void **state)
{
	struct world *world = rig_world(1, 2, NULL);
	struct world_peer *romeo = rig_bind(world, ROMEO "/orchard");
	struct world_peer *juliet;

	rig_account(world, JULIET);
	world_break_store(world, ERR_UNAVAILABLE);
	say(romeo, "m1");
	rig_expect(romeo, "<message type='error' id='m1'/>");
	world_break_store(world, ERR_NONE);
	say(romeo, "m2");
	juliet = come(world, JULIET "/balcony", "<presence/>");
	expect_kept(juliet, "m2");
	rig_expect_nothing(juliet);
	world_free(&world);
}

/* The store is away while she comes: she gets them when it is back. */
static void
what_cannot_be_read_is_read_later(void **state)
{
	struct world *world = rig_world(1, 2, NULL);
	struct world_peer *romeo = rig_bind(world, ROMEO "/orchard");
	struct world_peer *juliet;

	say(romeo, "m1");
	juliet = rig_bind(world, JULIET "/balcony");
	world_break_store(world, ERR_UNAVAILABLE);
	rig_send(juliet, "<presence/>");
	rig_expect(juliet, "<presence/>");
	rig_expect_nothing(juliet);
	world_break_store(world, ERR_NONE);
	world_sleep(world, 60000);
	expect_kept(juliet, "m1");
	world_free(&world);
}

static void
a_damaged_row_does_not_stop_the_others(void **state)
{
	struct world *world = rig_world(1, 2, NULL);
	struct world_peer *romeo = rig_bind(world, ROMEO "/orchard");
	struct world_peer *juliet;

	say(romeo, "m1");
	rig_append(world, JULIET, &archive_kind, "junk");
	world_kill(world);
	world_cut(&romeo);
	romeo = rig_bind(world, ROMEO "/orchard");
	say(romeo, "m2");
	juliet = come(world, JULIET "/balcony", "<presence/>");
	expect_kept(juliet, "m1");
	expect_kept(juliet, "m2");
	rig_expect_nothing(juliet);
	world_free(&world);
}

/* Kept before she blocked him. */
static void
what_a_blocked_contact_said_is_not_sent(void **state)
{
	struct world *world = rig_world(1, 2, NULL);
	struct world_peer *romeo = rig_bind(world, ROMEO "/orchard");
	struct world_peer *juliet = rig_bind(world, JULIET "/balcony");

	say(romeo, "m1");
	rig_send(juliet,
	    "<iq type='set' id='b'><block xmlns='urn:xmpp:blocking'>"
	    "<item jid='" ROMEO "'/></block></iq>");
	rig_expect(juliet, "<iq type='result' id='b'/>");
	rig_send(juliet, "<presence/>");
	rig_expect(juliet, "<presence/>");
	rig_expect_nothing(juliet);
	world_free(&world);
}

/* --- who has it already ------------------------------------------------------
 */

#define ASK "<iq type='set' id='q'><query xmlns='urn:xmpp:mam:2'/></iq>"

static void
who_has_asked_the_archive_gets_none(void **state)
{
	struct world *world = rig_world(1, 2, NULL);
	struct world_peer *romeo = rig_bind(world, ROMEO "/orchard");
	struct world_peer *juliet;

	say(romeo, "m1");
	juliet = rig_bind(world, JULIET "/balcony");
	rig_send(juliet, ASK);
	CHECK(rig_finds(juliet, "<iq type='result' id='q'/>"));
	rig_send(juliet, "<presence/>");
	rig_expect(juliet, "<presence/>");
	rig_expect_nothing(juliet);
	say(romeo, "m2");
	rig_expect(juliet, "<message id='m2'/>");
	prove(world, juliet);
	world_cut(&juliet);
	world_run(world);

	juliet = come(world, JULIET "/chamber", "<presence/>");
	rig_expect_nothing(juliet);
	world_free(&world);
}

/* Sent to one that went before it proved to have it. */
static void
what_one_did_not_prove_is_the_next_ones(void **state)
{
	struct world *world = rig_world(1, 2, NULL);
	struct world_peer *romeo = rig_bind(world, ROMEO "/orchard");
	struct world_peer *juliet =
	    come(world, JULIET "/balcony", "<presence/>");
	struct world_peer *other;

	say(romeo, "m1");
	rig_expect(juliet, "<message id='m1'/>");
	prove(world, juliet);
	say(romeo, "m2");
	rig_expect(juliet, "<message id='m2'/>");
	other = come(world, JULIET "/chamber",
	    "<presence><priority>-1</priority></presence>");
	rig_skip(other);
	world_cut(&juliet);
	world_run(world);
	rig_skip(other);
	rig_send(other, "<presence/>");
	rig_expect(other, "<presence/>");
	expect_kept(other, "m2");
	rig_expect_nothing(other);
	world_free(&world);
}

static void
what_another_proved_does_not_come_again(void **state)
{
	struct world *world = rig_world(1, 2, NULL);
	struct world_peer *romeo = rig_bind(world, ROMEO "/orchard");
	struct world_peer *first =
	    come(world, JULIET "/balcony", "<presence/>");
	struct world_peer *second = rig_login(world, JULIET "/chamber");

	rig_skip(first);
	say(romeo, "m1");
	rig_expect(first, "<message id='m1'/>");
	rig_expect(second, "<message id='m1'/>");
	prove(world, second);
	world_cut(&first);
	world_run(world);
	CHECK(!rig_finds(second, "<message/>"));

	/* Nor when neither has proved it, to the one that stays. */
	first = rig_login(world, JULIET "/balcony");
	rig_skip(second);
	say(romeo, "m2");
	rig_expect(first, "<message id='m2'/>");
	rig_expect(second, "<message id='m2'/>");
	world_cut(&first);
	world_run(world);
	CHECK(!rig_finds(second, "<message/>"));
	world_cut(&second);
	world_run(world);
	first = come(world, JULIET "/balcony", "<presence/>");
	expect_kept(first, "m2");
	rig_expect_nothing(first);
	world_free(&world);
}

/* A copy is as good as the message. */
static void
what_was_copied_does_not_come_again(void **state)
{
	struct world *world = rig_world(1, 2, NULL);
	struct world_peer *romeo = rig_bind(world, ROMEO "/orchard");
	struct world_peer *first = rig_login(world, JULIET "/balcony");
	struct world_peer *second = rig_login(world, JULIET "/chamber");

	rig_send(second,
	    "<iq type='set' id='c'><enable xmlns='urn:xmpp:carbons:2'/></iq>");
	rig_skip(second);
	rig_send(romeo, "<message type='chat' to='" JULIET "/balcony' id='m1'>"
			"<body>Hi</body></message>");
	rig_expect(second, "<message><received xmlns='urn:xmpp:carbons:2'/>"
			   "</message>");
	world_cut(&first);
	world_run(world);
	CHECK(!rig_finds(second, "<message/>"));
	world_free(&world);
}

/* The mark is stored: a crash does not bring back what was proved. */
static void
the_mark_survives_a_crash(void **state)
{
	struct world *world = rig_world(1, 2, NULL);
	struct world_peer *romeo = rig_login(world, ROMEO "/orchard");
	struct world_peer *juliet =
	    come(world, JULIET "/balcony", "<presence/>");

	say(romeo, "m1");
	rig_expect(juliet, "<message id='m1'/>");
	prove(world, juliet);
	world_sleep(world, 5000);
	rig_skip(juliet);
	rig_send(romeo, "<presence type='unavailable'/>");
	say(romeo, "m2");
	rig_expect(juliet, "<message id='m2'/>");
	world_kill(world);
	world_cut(&romeo);
	world_cut(&juliet);
	juliet = come(world, JULIET "/balcony", "<presence/>");
	expect_kept(juliet, "m2");
	rig_expect_nothing(juliet);
	world_free(&world);
}

/* More than are remembered one by one. */
static void
thousands_wait(void **state)
{
	struct world *world = rig_world(1, 2, NULL);
	struct world_peer *romeo = rig_bind(world, ROMEO "/orchard");
	struct world_peer *juliet;
	char id[16];

	for (unsigned i = 0; i < 5000; i++) {
		snprintf(id, sizeof(id), "m%u", i);
		say(romeo, id);
	}
	juliet = rig_bind(world, JULIET "/balcony");
	world_send(juliet, "<presence/>");
	world_run(world);
	rig_expect(juliet, "<presence/>");
	for (unsigned i = 0; i < 5000; i++) {
		snprintf(id, sizeof(id), "m%u", i);
		expect_kept(juliet, id);
	}
	rig_expect_nothing(juliet);
	world_free(&world);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(kept_messages_come_in_order_and_before_new_ones),
	    cmocka_unit_test(what_was_not_proved_comes_again),
	    cmocka_unit_test(two_sessions_do_not_both_get_it),
	    cmocka_unit_test(negative_priority_gets_none),
	    cmocka_unit_test(what_cannot_be_kept_is_refused),
	    cmocka_unit_test(what_cannot_be_read_is_read_later),
	    cmocka_unit_test(a_damaged_row_does_not_stop_the_others),
	    cmocka_unit_test(what_a_blocked_contact_said_is_not_sent),
	    cmocka_unit_test(who_has_asked_the_archive_gets_none),
	    cmocka_unit_test(what_one_did_not_prove_is_the_next_ones),
	    cmocka_unit_test(what_another_proved_does_not_come_again),
	    cmocka_unit_test(what_was_copied_does_not_come_again),
	    cmocka_unit_test(the_mark_survives_a_crash),
	    cmocka_unit_test(thousands_wait),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* With archives, what nobody could take is a part of them. */
#include "modules/archive.h"

#include "modules/waiting_rig.h"
#include "server/drain.h"
#include "server/world_private.h"

/* --- when it is sent ----------------------------------------------------- */

static void
what_was_not_proved_comes_again(void **state)
{
	struct world *world = rig_world(1, 3, NULL);
	struct world_peer *romeo = rig_bind(world, ROMEO "/orchard");
	struct world_peer *juliet;

	waiting_say(romeo, "m1");
	waiting_say(romeo, "m2");
	juliet = waiting_come(world, JULIET "/balcony", "<presence/>");
	waiting_expect(juliet, "m1");
	waiting_expect(juliet, "m2");
	world_cut(&juliet);
	world_run(world);

	juliet = waiting_come(world, JULIET "/chamber", "<presence/>");
	waiting_expect(juliet, "m1");
	waiting_expect(juliet, "m2");
	waiting_prove(world, juliet);
	world_cut(&juliet);
	world_run(world);

	juliet = waiting_come(world, JULIET "/chamber", "<presence/>");
	rig_expect_nothing(juliet);
	world_free(&world);
}

/* Two were said while she was away, one as she comes: the second may not be on
 * its way to the store yet, for it waits for the first. */
static void
what_is_being_written_comes_before_what_is_new(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 400; i++) {
		struct world *world = rig_world(i, 2, NULL);
		struct world_peer *romeo = rig_bind(world, ROMEO "/orchard");
		struct world_peer *juliet = rig_bind(world, JULIET "/balcony");

		for (unsigned said = 1; said <= 3; said++) {
			char xml[120];

			snprintf(xml, sizeof(xml),
			    "<message type='chat' to='%s' id='m%u'>"
			    "<body>Hi</body></message>",
			    JULIET, said);
			world_send(romeo, xml);
			world_step(world, i / 20);
			if (said == 2)
				world_send(juliet, "<presence/>");
			if (said == 2)
				world_step(world, i % 20);
		}
		world_run(world);
		CHECK(rig_finds(juliet, "<message id='m1'/>"));
		CHECK(rig_finds(juliet, "<message id='m2'/>"));
		CHECK(rig_finds(juliet, "<message id='m3'/>"));
		world_free(&world);
	}
}

/* Who is not available any more is sent no more parts; who is gets them. */
static void
who_is_unavailable_is_sent_no_more(void **state)
{
	struct world *world = rig_world(1, 2, "sessions.queue: 50\n");
	struct world_peer *romeo = rig_bind(world, ROMEO "/orchard");
	struct world_peer *juliet = rig_bind(world, JULIET "/balcony");
	struct world_peer *other = rig_bind(world, JULIET "/chamber");
	char id[RIG_ID_LEN];

	(void)state;
	waiting_say_many(romeo, 0, 100);
	rig_enable(juliet, id);
	rig_send(juliet, "<presence/>");
	CHECK(rig_finds(juliet, "<message id='m24'/>"));
	rig_send(juliet, "<presence type='unavailable'/>");
	rig_send(other, "<presence/>");
	CHECK(rig_finds(other, "<message id='m25'/>"));
	CHECK(rig_finds(other, "<message id='m99'/>"));
	rig_send(juliet, "<a xmlns='urn:xmpp:sm:3' h='26'/>");
	CHECK(!rig_finds(juliet, "<message/>"));
	world_free(&world);
}

/* Nobody waits for who lost its connection in the middle, wherever the others
 * were meanwhile; when it is back it has what it was sent before, and what is
 * new. */
static void
who_lost_its_connection_gives_up_its_turn(void **state)
{
	(void)state;
	for (unsigned is_there = 0; is_there < 2; is_there++) {
		struct world *world = rig_world(1, 2, "sessions.queue: 50\n");
		struct world_peer *romeo = rig_bind(world, ROMEO "/orchard");
		struct world_peer *juliet = rig_bind(world, JULIET "/balcony");
		struct world_peer *other = rig_bind(world, JULIET "/chamber");
		char id[RIG_ID_LEN];

		waiting_say_many(romeo, 0, 100);
		rig_enable(juliet, id);
		rig_send(juliet, "<presence/>");
		if (is_there == 1)
			rig_send(other, "<presence/>");
		CHECK(!rig_finds(other, "<message/>"));
		world_cut(&juliet);
		world_sleep(world, 1000);
		if (is_there == 0)
			rig_send(other, "<presence/>");
		CHECK(rig_finds(other, "<message id='m25'/>"));
		CHECK(rig_finds(other, "<message id='m99'/>"));
		waiting_say(romeo, "new");
		CHECK(rig_finds(other, "<message id='new'/>"));

		juliet = rig_come_back(
		    world, JULIET, id, 0, "<resumed xmlns='urn:xmpp:sm:3'/>");
		CHECK(rig_finds(juliet, "<message id='m24'/>"));
		CHECK_EQUAL(rig_hears(juliet, "<message"), 1);
		world_free(&world);
	}
}

/* An older row comes back from another session while a page is read. */
static void
what_comes_back_meanwhile_is_sent(void **state)
{
	struct world *world = rig_world(1, 2, NULL);
	struct world_peer *romeo = rig_bind(world, ROMEO "/orchard");
	struct world_peer *juliet =
	    waiting_come(world, JULIET "/balcony", "<presence/>");
	struct world_peer *other = rig_bind(world, JULIET "/chamber");

	(void)state;
	waiting_say(romeo, "m1");
	rig_send(juliet, "<presence><priority>-1</priority></presence>");
	waiting_say(romeo, "m2");
	world_hold_store(world, true);
	rig_send(other, "<presence/>");
	world_cut(&juliet);
	world_run(world);
	world_hold_store(world, false);
	world_sleep(world, 1000);
	CHECK(rig_finds(other, "<message id='m2'/>"));
	CHECK(rig_finds(other, "<message id='m1'/>"));
	world_free(&world);
}

/* --- what goes wrong ----------------------------------------------------- */

static void
a_damaged_row_does_not_stop_the_others(void **state)
{
	waiting_check_damaged_row(NULL, &archive_kind);
}

/* A row fails while what waits is read: that is read again, and what is new
 * waits on. */
static void
what_fails_meanwhile_changes_no_order(void **state)
{
	struct world *world = rig_world(1, 2, NULL);
	struct world_peer *romeo = rig_bind(world, ROMEO "/orchard");
	struct world_peer *juliet = rig_bind(world, JULIET "/balcony");

	(void)state;
	waiting_say(romeo, "m1");
	world_hold_store(world, true);
	rig_send(romeo, "<message type='chat' to='" JULIET
			"/balcony' id='m2'><body>Hi</body></message>");
	CHECK(rig_finds(juliet, "<message id='m2'/>"));
	rig_send(juliet, "<presence/>");
	waiting_say(romeo, "m3");
	world_break_store(world, ERR_FULL);
	world_hold_store(world, false);
	world_run(world);
	rig_expect(juliet, "<presence/>");
	waiting_expect(juliet, "m1");
	rig_expect(juliet, "<message id='m3'/>");
	world_break_store(world, ERR_NONE);
	world_sleep(world, 10000);
	rig_expect_nothing(juliet);
	world_free(&world);
}

/* The store is away, and more rows of what she was sent wait for it than are
 * written at once: he is told of what she is not there to be sent. */
static void
what_waits_behind_many_rows_is_refused(void **state)
{
	struct world *world = rig_world(1, 2, NULL);
	struct world_peer *romeo = rig_bind(world, ROMEO "/orchard");
	struct world_peer *juliet =
	    waiting_come(world, JULIET "/balcony", "<presence/>");

	(void)state;
	world_break_store(world, ERR_UNAVAILABLE);
	for (unsigned i = 0; i < 600; i++)
		waiting_say(romeo, "m1");
	world_cut(&juliet);
	world_run(world);
	waiting_say(romeo, "m2");
	world_sleep(world, 10000);
	CHECK(rig_finds(romeo, "<message type='error' id='m2'/>"));
	world_break_store(world, ERR_NONE);
	world_sleep(world, 10000);
	world_free(&world);
}

/* What waits for the store is in memory: there is an end to it. */
static void
who_writes_too_much_for_the_store_is_refused(void **state)
{
	static char xml[200000];
	struct world *world = rig_world(1, 2, "limits: {rate: 0 B}\n");
	struct world_peer *romeo = rig_bind(world, ROMEO "/orchard");
	struct world_peer *juliet =
	    waiting_come(world, JULIET "/balcony", "<presence/>");
	bool is_refused = false;

	(void)state;
	snprintf(xml, sizeof(xml),
	    "<message type='chat' to='" JULIET "' id='m1'><body>%0150000d"
	    "</body></message>",
	    0);
	world_break_store(world, ERR_UNAVAILABLE);
	for (unsigned i = 0; i < 200 && !is_refused; i++) {
		rig_send(romeo, xml);
		rig_skip(juliet);
		is_refused =
		    rig_finds(romeo, "<message type='error' id='m1'/>");
	}
	CHECK(is_refused);
	world_break_store(world, ERR_NONE);
	world_sleep(world, 10000);
	waiting_say(romeo, "m2");
	CHECK(rig_finds(juliet, "<message id='m2'/>"));
	world_free(&world);
}

#define KEPT 20

/* No other quota holds for what waits in an archive. */
static void
no_more_waits_than_the_archive_keeps(void **state)
{
	struct world *world = rig_world(1, 2, "archive: {keep_messages: 20}\n");
	struct world_peer *romeo = rig_bind(world, ROMEO "/orchard");
	struct world_peer *juliet;
	const char *text, *last = "";
	unsigned count = 0;
	char id[16];

	(void)state;
	rig_account(world, JULIET);
	for (unsigned i = 0; i < 5 * KEPT; i++) {
		snprintf(id, sizeof(id), "m%u", i);
		waiting_say(romeo, id);
	}
	juliet = waiting_come(world, JULIET "/balcony", "<presence/>");
	while ((text = waiting_next(world, juliet)) != NULL) {
		count += strstr(text, "<body>") != NULL;
		last = strstr(text, "id='m99'") != NULL ? "m99" : last;
	}
	CHECK(count >= KEPT && count <= 2 * KEPT);
	CHECK_TEXT(last, "m99");
	world_free(&world);
}

/* --- who has it already -------------------------------------------------- */

#define ASK "<iq type='set' id='q'><query xmlns='urn:xmpp:mam:2'/></iq>"

static void
who_has_asked_the_archive_gets_none(void **state)
{
	struct world *world = rig_world(1, 2, NULL);
	struct world_peer *romeo = rig_bind(world, ROMEO "/orchard");
	struct world_peer *juliet;

	waiting_say(romeo, "m1");
	juliet = rig_bind(world, JULIET "/balcony");
	rig_send(juliet, ASK);
	CHECK(rig_finds(juliet, "<iq type='result' id='q'/>"));
	rig_send(juliet, "<presence/>");
	rig_expect(juliet, "<presence/>");
	rig_expect_nothing(juliet);
	waiting_say(romeo, "m2");
	rig_expect(juliet, "<message id='m2'/>");
	waiting_prove(world, juliet);
	world_cut(&juliet);
	world_run(world);

	juliet = waiting_come(world, JULIET "/chamber", "<presence/>");
	rig_expect_nothing(juliet);
	world_free(&world);
}

#define ASK_BEFORE(end)                                                     \
	"<iq type='set' id='q'><query xmlns='urn:xmpp:mam:2'>"              \
	"<x xmlns='jabber:x:data' type='submit'><field var='FORM_TYPE'>"    \
	"<value>urn:xmpp:mam:2</value></field><field var='end'><value>" end \
	"</value></field></x></query></iq>"

/* What its answers could not hold, a session has not had from the archive. */
static const struct {
	const char *ask;
	bool has_first;
} early[] = {
    {ASK, true},
    {ASK_BEFORE("2001-01-01T00:00:00Z"), false},
    {ASK_BEFORE("2999-01-01T00:00:00Z"), true},
};

static void
what_comes_after_the_question_is_sent(void **state)
{
	for (size_t i = 0; i < COUNT_OF(early); i++) {
		struct world *world = rig_world(1, 2, NULL);
		struct world_peer *romeo = rig_bind(world, ROMEO "/orchard");
		struct world_peer *juliet;

		waiting_say(romeo, "m1");
		juliet = rig_bind(world, JULIET "/balcony");
		rig_send(juliet, early[i].ask);
		CHECK(rig_finds(juliet, "<iq type='result' id='q'/>"));
		waiting_say(romeo, "m2");
		rig_send(juliet, "<presence/>");
		rig_expect(juliet, "<presence/>");
		if (!early[i].has_first)
			waiting_expect(juliet, "m1");
		waiting_expect(juliet, "m2");
		rig_expect_nothing(juliet);
		world_free(&world);
	}
}

/* Sent to one that went before it proved to have it. */
static void
what_one_did_not_prove_is_the_next_ones(void **state)
{
	struct world *world = rig_world(1, 2, NULL);
	struct world_peer *romeo = rig_bind(world, ROMEO "/orchard");
	struct world_peer *juliet =
	    waiting_come(world, JULIET "/balcony", "<presence/>");
	struct world_peer *other;

	waiting_say(romeo, "m1");
	rig_expect(juliet, "<message id='m1'/>");
	waiting_prove(world, juliet);
	waiting_say(romeo, "m2");
	rig_expect(juliet, "<message id='m2'/>");
	other = waiting_come(world, JULIET "/chamber",
	    "<presence><priority>-1</priority></presence>");
	rig_skip(other);
	world_cut(&juliet);
	world_run(world);
	rig_skip(other);
	rig_send(other, "<presence/>");
	rig_expect(other, "<presence/>");
	waiting_expect(other, "m2");
	rig_expect_nothing(other);
	world_free(&world);
}

static void
what_another_proved_does_not_come_again(void **state)
{
	struct world *world = rig_world(1, 2, NULL);
	struct world_peer *romeo = rig_bind(world, ROMEO "/orchard");
	struct world_peer *first =
	    waiting_come(world, JULIET "/balcony", "<presence/>");
	struct world_peer *second = rig_login(world, JULIET "/chamber");

	rig_skip(first);
	waiting_say(romeo, "m1");
	rig_expect(first, "<message id='m1'/>");
	rig_expect(second, "<message id='m1'/>");
	waiting_prove(world, second);
	world_cut(&first);
	world_run(world);
	CHECK(!rig_finds(second, "<message/>"));

	/* Nor when neither has proved it, to the one that stays. */
	first = rig_login(world, JULIET "/balcony");
	rig_skip(second);
	waiting_say(romeo, "m2");
	rig_expect(first, "<message id='m2'/>");
	rig_expect(second, "<message id='m2'/>");
	world_cut(&first);
	world_run(world);
	CHECK(!rig_finds(second, "<message/>"));
	world_cut(&second);
	world_run(world);
	first = waiting_come(world, JULIET "/balcony", "<presence/>");
	waiting_expect(first, "m2");
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
	    waiting_come(world, JULIET "/balcony", "<presence/>");

	waiting_say(romeo, "m1");
	rig_expect(juliet, "<message id='m1'/>");
	waiting_prove(world, juliet);
	world_sleep(world, 5000);
	rig_skip(juliet);
	rig_send(romeo, "<presence type='unavailable'/>");
	waiting_say(romeo, "m2");
	rig_expect(juliet, "<message id='m2'/>");
	world_kill(world);
	world_cut(&romeo);
	world_cut(&juliet);
	juliet = waiting_come(world, JULIET "/balcony", "<presence/>");
	waiting_expect(juliet, "m2");
	rig_expect_nothing(juliet);
	world_free(&world);
}

/* It is stored a moment later, but not after the end. */
static void
the_mark_is_stored_at_the_end(void **state)
{
	struct world *world = rig_world(1, 2, NULL);
	struct world_peer *romeo = rig_bind(world, ROMEO "/orchard");
	struct world_peer *juliet =
	    waiting_come(world, JULIET "/balcony", "<presence/>");
	char id[RIG_ID_LEN];

	(void)state;
	rig_enable(juliet, id);
	world_sleep(world, 5000);
	waiting_say(romeo, "m1");
	CHECK(rig_finds(juliet, "<message id='m1'/>"));
	rig_send(juliet, "<a xmlns='urn:xmpp:sm:3' h='1'/>");
	for (unsigned i = 0; i < 2; i++) {
		shard_enter(&world->server.shards[i]);
		drain_begin(&world->server.shards[i]);
		world->is_quiet[i] = false;
	}
	world_sleep(world, 100);
	world_kill(world);
	world_cut(&romeo);
	world_cut(&juliet);
	juliet = waiting_come(world, JULIET "/balcony", "<presence/>");
	rig_expect_nothing(juliet);
	world_free(&world);
}

/* On its way to a stream that she ends herself it comes once: she reads to the
 * end (RFC 6120, section 4.4), so what was sent on the stream she has. */
static void
what_comes_as_she_ends_comes_once(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 200; i++) {
		struct world *world = rig_world(i, 0, NULL);
		struct world_peer *romeo = rig_bind(world, ROMEO "/orchard");
		struct world_peer *juliet =
		    waiting_come(world, JULIET "/balcony", "<presence/>");
		bool has_come;

		world_send(romeo, "<message type='chat' to='" JULIET
				  "/balcony' id='m1'><body>x</body></message>");
		world_step(world, i % 12);
		world_send(juliet, "</stream:stream>");
		world_sleep(world, 10000);
		has_come = rig_finds(juliet, "<message id='m1'/>");
		world_cut(&juliet);
		juliet = waiting_come(world, JULIET "/balcony", "<presence/>");
		CHECK(rig_finds(juliet, "<message id='m1'/>") != has_come);
		rig_expect_nothing(romeo);
		world_free(&world);
	}
}

/* The server begins to end in order: clients are told. */
static void
begin_end(struct world *world)
{
	for (unsigned i = 0; i < world->server.shard_count; i++) {
		struct shard *shard = &world->server.shards[i];

		shard_enter(shard);
		shard->is_draining = true;
		streams_close_all(shard, false, STREAM_ERR_SYSTEM_SHUTDOWN);
		world->is_quiet[i] = false;
	}
	world_sleep(world, 100);
}

/* Without stream management, and though it said nothing since. */
static void
who_ends_in_order_has_it(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 20; i++) {
		struct world *world = rig_world(i, 0, NULL);
		struct world_peer *romeo = rig_bind(world, ROMEO "/orchard");
		struct world_peer *juliet =
		    waiting_come(world, JULIET "/balcony", "<presence/>");

		waiting_say(romeo, "m1");
		rig_expect(juliet, "<message id='m1'/>");
		begin_end(world);
		CHECK(!world_is_closed(juliet));
		if (i % 2 == 0)
			rig_send(juliet, "</stream:stream>");
		world_restart(world);
		world_cut(&romeo);
		world_cut(&juliet);
		juliet = waiting_come(world, JULIET "/balcony", "<presence/>");
		if (i % 2 == 1)
			waiting_expect(juliet, "m1");
		rig_expect_nothing(juliet);
		world_free(&world);
	}
}

static void
say_from_anew(struct world *world, const char *id)
{
	struct world_peer *romeo = rig_bind(world, ROMEO "/orchard");

	waiting_say(romeo, id);
	world_cut(&romeo);
}

/* Rows of before the first restart are remembered beyond the second, and what
 * was proved in between does not wait with them. */
static void
what_was_proved_is_so_after_two_restarts(void **state)
{
	struct world *world = rig_world(1, 2, NULL);
	struct world_peer *juliet =
	    waiting_come(world, JULIET "/balcony", "<presence/>");
	char id[RIG_ID_LEN];

	(void)state;
	rig_enable(juliet, id);
	say_from_anew(world, "m1");
	CHECK(rig_finds(juliet, "<message id='m1'/>"));
	world_restart(world);
	world_cut(&juliet);
	juliet = rig_come_back(
	    world, JULIET, id, 0, "<resumed xmlns='urn:xmpp:sm:3'/>");
	CHECK(rig_finds(juliet, "<message id='m1'/>"));
	say_from_anew(world, "m2");
	CHECK(rig_finds(juliet, "<message id='m2'/>"));
	rig_send(juliet, "<a xmlns='urn:xmpp:sm:3' h='2'/>");
	world_restart(world);
	world_cut(&juliet);
	juliet = rig_come_back(
	    world, JULIET, id, 2, "<resumed xmlns='urn:xmpp:sm:3'/>");
	rig_expect_nothing(juliet);
	rig_send(juliet, "<presence/>");
	CHECK(!rig_finds(juliet, "<message/>"));
	CHECK(!rig_finds(waiting_come(world, JULIET "/chamber", "<presence/>"),
	    "<message/>"));
	world_free(&world);
}

/* More than are remembered one by one. They come as she proves that she reads.
 */
static void
thousands_wait(void **state)
{
	struct world *world = rig_world(1, 2, NULL);
	struct world_peer *romeo = rig_bind(world, ROMEO "/orchard");
	struct world_peer *juliet;
	unsigned came = 0;
	const char *text;
	char id[32];

	waiting_say_many(romeo, 0, 5000);
	juliet = rig_bind(world, JULIET "/balcony");
	world_send(juliet, "<presence/>");
	world_run(world);
	rig_expect(juliet, "<presence/>");
	while (world_next(juliet) != NULL)
		came++;
	CHECK(came < 500);
	for (; (text = waiting_next(world, juliet)) != NULL; came++) {
		snprintf(id, sizeof(id), "id='m%u'", came);
		CHECK(strstr(text, id) != NULL);
	}
	CHECK_EQUAL(came, 5000);
	world_free(&world);
}

#define SWITCHED(archive)                                      \
	"hosts: {montague.example: {}, capulet.example: {}}\n" \
	"modules: {archive: " archive "}\n"

static void
who_is_to_read_on_may_go_unseen(void **state)
{
	(void)state;
	waiting_check_unseen_reader(SWITCHED("true"), SWITCHED("false"));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_prestate(
		waiting_kept_messages_come_in_order_and_before_new_ones, NULL),
	    cmocka_unit_test(what_was_not_proved_comes_again),
	    cmocka_unit_test(what_is_being_written_comes_before_what_is_new),
	    cmocka_unit_test(who_is_unavailable_is_sent_no_more),
	    cmocka_unit_test(who_lost_its_connection_gives_up_its_turn),
	    cmocka_unit_test(what_comes_back_meanwhile_is_sent),
	    cmocka_unit_test_prestate(
		waiting_two_sessions_do_not_both_get_it, NULL),
	    cmocka_unit_test(waiting_a_proof_is_of_what_came_before),
	    cmocka_unit_test_prestate(
		waiting_negative_priority_gets_none, NULL),
	    cmocka_unit_test_prestate(
		waiting_what_cannot_be_kept_is_refused, NULL),
	    cmocka_unit_test_prestate(
		waiting_what_may_be_kept_is_not_refused, NULL),
	    cmocka_unit_test_prestate(
		waiting_what_cannot_be_read_is_read_before_what_is_new, NULL),
	    cmocka_unit_test_prestate(
		waiting_nobody_waits_long_for_what_cannot_be_read, NULL),
	    cmocka_unit_test_prestate(
		waiting_who_comes_later_waits_as_long, NULL),
	    cmocka_unit_test_prestate(
		waiting_what_may_be_kept_comes_once, NULL),
	    cmocka_unit_test_prestate(
		waiting_what_may_be_kept_comes_before_what_is_new, NULL),
	    cmocka_unit_test_prestate(
		waiting_what_comes_while_others_are_read_comes_too, NULL),
	    cmocka_unit_test(what_fails_meanwhile_changes_no_order),
	    cmocka_unit_test_prestate(
		waiting_who_turns_negative_gets_no_more, NULL),
	    cmocka_unit_test_prestate(
		waiting_who_goes_and_comes_back_has_it_once, NULL),
	    cmocka_unit_test_prestate(
		waiting_nobody_waits_for_who_does_not_read, NULL),
	    cmocka_unit_test_prestate(
		waiting_order_is_kept_over_a_restart, NULL),
	    cmocka_unit_test_prestate(
		waiting_order_is_kept_by_who_turns_negative, NULL),
	    cmocka_unit_test(a_damaged_row_does_not_stop_the_others),
	    cmocka_unit_test_prestate(
		waiting_what_a_blocked_contact_said_is_not_sent, NULL),
	    cmocka_unit_test_prestate(
		waiting_others_come_though_most_are_blocked, NULL),
	    cmocka_unit_test(what_waits_behind_many_rows_is_refused),
	    cmocka_unit_test(no_more_waits_than_the_archive_keeps),
	    cmocka_unit_test(who_writes_too_much_for_the_store_is_refused),
	    cmocka_unit_test(who_has_asked_the_archive_gets_none),
	    cmocka_unit_test(what_comes_after_the_question_is_sent),
	    cmocka_unit_test(what_one_did_not_prove_is_the_next_ones),
	    cmocka_unit_test(what_another_proved_does_not_come_again),
	    cmocka_unit_test(what_was_copied_does_not_come_again),
	    cmocka_unit_test(the_mark_survives_a_crash),
	    cmocka_unit_test(the_mark_is_stored_at_the_end),
	    cmocka_unit_test(what_was_proved_is_so_after_two_restarts),
	    cmocka_unit_test(thousands_wait),
	    cmocka_unit_test(who_ends_in_order_has_it),
	    cmocka_unit_test_prestate(waiting_large_ones_come_in_parts, NULL),
	    cmocka_unit_test_prestate(
		waiting_large_ones_come_in_parts_to_who_resumes, NULL),
	    cmocka_unit_test_prestate(
		waiting_more_than_the_queue_comes_in_parts, NULL),
	    cmocka_unit_test(what_comes_as_she_ends_comes_once),
	    cmocka_unit_test(who_is_to_read_on_may_go_unseen),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

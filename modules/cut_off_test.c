/* What a client learns whose session was cut off, or is gone, while the store
 * fails: XEP-0198, section 5. */
#include "base/clock.h"
#include "modules/modules_rig.h"
#include "server/world_private.h"

#define SM "urn:xmpp:sm:3"
#define BIND                     \
	"<iq type='set' id='b'>" \
	"<bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'/></iq>"

/* Romeo with a session that can be resumed by *id. */
static struct world_peer *
enable(struct world *world, char *id)
{
	struct world_peer *romeo = rig_login(world, ROMEO "/orchard");

	rig_enable(romeo, id);
	return romeo;
}

static void
flood(struct world_peer *juliet)
{
	for (unsigned i = 0; i < 12; i++)
		world_send(juliet,
		    "<message to='" ROMEO "/orchard' type='chat'>"
		    "<body>x</body></message>");
	world_run(juliet->world);
}

/* Who does not acknowledge is cut off; what is on its way then counts yet. */
static void
who_is_cut_off_learns_what_was_handled(void **state)
{
	(void)state;
	for (uint64_t seed = 1; seed <= 10; seed++) {
		struct world *world =
		    rig_world(seed, 0, "sessions.queue: 10\n");
		struct world_peer *juliet = rig_login(world, JULIET "/balcony");
		char id[RIG_ID_LEN];
		struct world_peer *romeo = enable(world, id);

		world_hold_store(world, true);
		rig_send(romeo, "<message to='" JULIET
				"' id='m1'><body>1</body></message>");
		flood(juliet);
		CHECK(world_is_closed(romeo));
		world_hold_store(world, false);
		romeo = world_connect(world, ROMEO);
		world_hold_store(world, true);
		rig_resume(romeo, id, 0);
		rig_expect_nothing(romeo);
		world_hold_store(world, false);
		world_sleep(world, 1000);
		rig_expect(romeo, "<failed xmlns='" SM "' h='1'/>");
		world_free(&world);
	}
}

/* What does not end as the store fails takes no more either. */
static void
who_is_cut_off_keeps_no_more_than_the_queue(void **state)
{
	struct world *world = rig_world(1, 0, "sessions.queue: 10\n");
	struct world_peer *juliet = rig_login(world, JULIET "/balcony");
	struct account *account = rig_account(world, ROMEO);
	char id[RIG_ID_LEN];
	struct world_peer *romeo = enable(world, id);

	(void)state;
	world_hold_store(world, true);
	rig_send(
	    romeo, "<message to='" JULIET "' id='m1'><body>1</body></message>");
	flood(juliet);
	CHECK(world_is_closed(romeo));
	CHECK_EQUAL(account->session_count, 1);
	flood(juliet);
	CHECK_EQUAL(account->session_count, 0);
	world_hold_store(world, false);
	romeo = rig_bind(world, ROMEO "/garden");
	rig_send(romeo, "<presence/>");
	CHECK_EQUAL(rig_hears(romeo, "<message"), 24);
	world_free(&world);
}

/* Romeo says m1 while the store stands still, is cut off and sent more than his
 * session may hold. */
static void
say_and_overflow(struct world_peer *romeo, struct world_peer *flooder)
{
	const struct account *account = rig_account(romeo->world, ROMEO);
	const unsigned count = account->session_count;

	world_hold_store(romeo->world, true);
	rig_send(
	    romeo, "<message to='" JULIET "' id='m1'><body>1</body></message>");
	flood(flooder);
	CHECK(world_is_closed(romeo));
	flood(flooder);
	CHECK_EQUAL(account->session_count, count - 1);
}

/* Or he would say it again, though it is there. He waits until it is known. */
static void
whose_session_is_gone_learns_what_was_handled(void **state)
{
	static const char *const settings[] = {"sessions.queue: 10\n",
	    "sessions.queue: 10\nmodules: {archive: false}\n"};

	(void)state;
	for (uint64_t seed = 1; seed <= 10; seed++) {
		struct world *world = rig_world(seed, 0, settings[seed % 2]);
		struct world_peer *juliet = rig_login(world, JULIET "/balcony");
		char id[RIG_ID_LEN];
		struct world_peer *romeo = enable(world, id);

		rig_send(juliet, "<presence/>");
		say_and_overflow(romeo, juliet);
		world_hold_store(world, false);
		romeo = world_connect(world, ROMEO);
		world_hold_store(world, true);
		rig_resume(romeo, id, 0);
		rig_expect_nothing(romeo);
		world_hold_store(world, false);
		world_sleep(world, 2000);
		rig_expect(romeo, "<failed xmlns='" SM "' h='1'/>");
		CHECK_EQUAL(rig_hears(juliet, "id='m1'"), 1);
		world_free(&world);
	}
}

/* The same when all that is left of it when the server ends is its row, or what
 * a crash left of that: no more is told than is there. */
static void
whose_session_is_gone_learns_it_after_a_restart(void **state)
{
	(void)state;
	for (uint64_t seed = 1; seed <= 10; seed++) {
		struct world *world =
		    rig_world(seed, 0, "sessions.queue: 10\n");
		struct world_peer *juliet = rig_login(world, JULIET "/balcony");
		char id[RIG_ID_LEN];
		struct world_peer *romeo = enable(world, id);

		say_and_overflow(romeo, juliet);
		world_hold_store(world, false);
		if (seed % 2 == 0)
			world_sleep(world, 2000);
		if (seed % 3 == 0)
			world_kill(world);
		else
			world_restart(world);
		world_run(world);
		romeo = world_connect(world, ROMEO);
		rig_resume(romeo, id, 0);
		rig_expect(romeo, seed % 3 == 0 && seed % 2 == 1
				      ? "<failed xmlns='" SM "'/>"
				      : "<failed xmlns='" SM "' h='1'/>");
		world_free(&world);
	}
}

/* A day later the session is over for all, and what it sent is yet unsettled.
 */
static void
nobody_waits_too_long_to_learn_it(void **state)
{
	struct world *world = rig_world(1, 0, NULL);
	char id[RIG_ID_LEN];
	struct world_peer *romeo = enable(world, id);

	(void)state;
	world_break_store(world, ERR_UNAVAILABLE);
	rig_send(romeo, "<message to='" JULIET
			"/balcony' id='m1'><body>1</body></message>");
	world_cut(&romeo);
	world_sleep(world, (uint64_t)DAY + 20 * MINUTE);
	CHECK_EQUAL(rig_account(world, ROMEO)->session_count, 0);
	world_break_store(world, ERR_NONE);
	world_sleep(world, 60 * SECOND);
	rig_come_back(world, ROMEO, id, 0, "<failed xmlns='" SM "' h='1'/>");
	world_free(&world);
}

/* What is refused when his session is gone another one hears. */
static void
errors_find_who_has_no_session(void **state)
{
	(void)state;
	for (uint64_t seed = 1; seed <= 10; seed++) {
		struct world *world =
		    rig_world(seed, 0, "sessions.queue: 10\n");
		struct world_peer *garden = rig_login(world, ROMEO "/garden");
		char id[RIG_ID_LEN];
		struct world_peer *romeo = enable(world, id);

		say_and_overflow(romeo, garden);
		world_break_store(world, ERR_UNAVAILABLE);
		world_hold_store(world, false);
		world_sleep(world, 5 * SECOND);
		CHECK(!rig_finds(garden, "<message type='error'/>"));
		world_break_store(world, ERR_NONE);
		world_sleep(world, MINUTE);
		CHECK(rig_finds(garden, "<message type='error' id='m1'/>"));
		rig_come_back(
		    world, ROMEO, id, 0, "<failed xmlns='" SM "' h='1'/>");
		CHECK_EQUAL(rig_outbox(world), 0);
		world_free(&world);
	}
}

/* He is not told that nobody knows of his session when nobody could look. */
static void
who_cannot_be_told_comes_again(void **state)
{
	struct world *world = rig_world(1, 0, NULL);
	char id[RIG_ID_LEN];
	struct world_peer *romeo = enable(world, id);

	(void)state;
	rig_send(
	    romeo, "<message to='" JULIET "' id='m1'><body>1</body></message>");
	world_cut(&romeo);
	world_sleep(world, 15 * MINUTE);
	romeo = rig_bind(world, ROMEO "/garden");
	rig_skip(romeo);
	romeo = world_connect(world, ROMEO);
	world_break_store(world, ERR_UNAVAILABLE);
	rig_resume(romeo, id, 0);
	rig_expect(romeo, "<stream:error/>");
	world_break_store(world, ERR_NONE);
	world_sleep(world, 10 * SECOND);
	rig_come_back(world, ROMEO, id, 0, "<failed xmlns='" SM "' h='1'/>");
	world_free(&world);
}

/* Also when his account loads, in vain, and nothing else is left of him. */
static void
errors_wait_for_an_account_that_loads(void **state)
{
	(void)state;
	for (uint64_t seed = 1; seed <= 10; seed++) {
		struct world *world =
		    rig_world(seed, 0, "sessions.queue: 10\n");
		struct world_peer *garden = rig_login(world, ROMEO "/garden");
		char id[RIG_ID_LEN];
		struct world_peer *romeo = enable(world, id);
		struct owner *owner = &rig_account(world, ROMEO)->owner;

		say_and_overflow(romeo, garden);
		world_cut(&garden);
		world_run(world);
		world_break_store(world, ERR_UNAVAILABLE);
		shard_enter(owner->shard);
		owner_reload(owner);
		world_hold_store(world, false);
		world_sleep(world, 5 * SECOND);
		world_break_store(world, ERR_NONE);
		world_sleep(world, 2 * MINUTE);
		garden = rig_bind(world, ROMEO "/garden");
		rig_send(garden, "<presence/>");
		CHECK(rig_finds(garden, "<message type='error' id='m1'/>"));
		rig_come_back(
		    world, ROMEO, id, 0, "<failed xmlns='" SM "' h='1'/>");
		world_free(&world);
	}
}

/* What is left of his session counts as one. */
static void
who_has_many_sessions_gets_no_more(void **state)
{
	struct world *world =
	    rig_world(1, 0, "sessions: {queue: 10, per_account: 2}\n");
	struct world_peer *garden = rig_login(world, ROMEO "/garden");
	char id[RIG_ID_LEN];
	struct world_peer *romeo = enable(world, id), *another;

	(void)state;
	another = world_connect(world, ROMEO);
	say_and_overflow(romeo, garden);
	rig_send(another, BIND);
	rig_expect(another, RIG_ERROR("b", "wait", "resource-constraint"));
	world_hold_store(world, false);
	world_sleep(world, 2 * SECOND);
	rig_send(another, BIND);
	rig_expect(another, "<iq type='result' id='b'/>");
	world_free(&world);
}

/* The account, or the server, may go before it is known what was handled. */
static void
who_goes_learns_nothing(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 4; i++) {
		struct world *world = rig_world(i, 0, "sessions.queue: 10\n");
		struct world_peer *garden = rig_login(world, ROMEO "/garden");
		char id[RIG_ID_LEN];
		struct world_peer *romeo = enable(world, id);

		say_and_overflow(romeo, garden);
		if (i % 2 == 0) {
			rig_send(garden,
			    "<iq type='set' id='r'>"
			    "<query xmlns='jabber:iq:register'><remove/>"
			    "</query></iq>");
			world_hold_store(world, false);
			world_run(world);
			CHECK(rig_account(world, ROMEO) == NULL);
		}
		world_free(&world);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(who_is_cut_off_learns_what_was_handled),
	    cmocka_unit_test(who_is_cut_off_keeps_no_more_than_the_queue),
	    cmocka_unit_test(whose_session_is_gone_learns_what_was_handled),
	    cmocka_unit_test(whose_session_is_gone_learns_it_after_a_restart),
	    cmocka_unit_test(nobody_waits_too_long_to_learn_it),
	    cmocka_unit_test(errors_find_who_has_no_session),
	    cmocka_unit_test(errors_wait_for_an_account_that_loads),
	    cmocka_unit_test(who_cannot_be_told_comes_again),
	    cmocka_unit_test(who_has_many_sessions_gets_no_more),
	    cmocka_unit_test(who_goes_learns_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

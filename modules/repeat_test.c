/* What is sent a second time after a crash, and what only looks so. */
#include "base/clock.h"
#include "modules/modules_rig.h"

#define SILENT "limits.idle_ping: 0 s\n"
static const char *const settings[] = {
    SILENT, SILENT "modules: {archive: false}\n"};

/* She is there and proves nothing, so a row is there of all that he says before
 * the server is killed. */
static struct world *
begin(unsigned seed, const char *said, unsigned times)
{
	struct world *world = rig_world(seed, 0, settings[seed % 2]);
	struct world_peer *romeo = rig_bind(world, ROMEO "/orchard");

	for (unsigned i = 0; i < times; i++)
		rig_send(romeo, said);
	world_sleep(world, 2000);
	world_kill(world);
	return world;
}

static void
how_often_it_comes(
    unsigned before, unsigned after, const char *said, unsigned wanted)
{
	for (unsigned seed = 1; seed <= 4; seed++) {
		struct world *world = begin(seed, said, before);
		struct world_peer *romeo, *juliet;

		juliet = rig_bind(world, JULIET "/balcony");
		rig_send(juliet, "<presence/>");
		romeo = rig_bind(world, ROMEO "/orchard");
		for (unsigned i = 0; i < after; i++)
			rig_send(romeo, said);
		CHECK_EQUAL(rig_hears(juliet, "<message"), wanted);
		world_free(&world);
	}
}

#define SAID "<message to='" JULIET "' id='m1'><body>1</body></message>"

static void
each_is_missed_once(void **state)
{
	(void)state;
	how_often_it_comes(1, 1, SAID, 1);
	how_often_it_comes(1, 2, SAID, 2);
	how_often_it_comes(3, 3, SAID, 3);
	how_often_it_comes(3, 7, SAID, 7);
}

static void
without_an_id_none_is(void **state)
{
	(void)state;
	how_often_it_comes(
	    1, 2, "<message to='" JULIET "'><body>1</body></message>", 3);
}

/* Rows that are older were acknowledged long ago. */
static void
old_ones_are_not(void **state)
{
	(void)state;
	for (unsigned seed = 1; seed <= 4; seed++) {
		struct world *world = rig_world(seed, 0, settings[seed % 2]);
		struct world_peer *romeo = rig_bind(world, ROMEO "/orchard");
		struct world_peer *juliet;

		rig_send(romeo, SAID);
		world_sleep(world, 90 * 1000);
		rig_send(romeo, "<message to='" JULIET
				"' id='m2'><body>2</body></message>");
		world_sleep(world, 2000);
		world_kill(world);
		juliet = rig_bind(world, JULIET "/balcony");
		rig_send(juliet, "<presence/>");
		romeo = rig_bind(world, ROMEO "/orchard");
		rig_send(romeo, SAID);
		CHECK_EQUAL(rig_hears(juliet, "<message"), 3);
		world_free(&world);
	}
}

/* She stays in memory. */
static void
after_a_day_none_is(void **state)
{
	(void)state;
	for (unsigned seed = 1; seed <= 4; seed++) {
		struct world *world = begin(seed, SAID, 1);
		struct world_peer *juliet = rig_bind(world, JULIET "/balcony");
		struct world_peer *romeo;

		rig_send(juliet, "<presence/>");
		world_sleep(world, (uint64_t)DAY + MINUTE);
		romeo = rig_bind(world, ROMEO "/orchard");
		rig_send(romeo, SAID);
		CHECK_EQUAL(rig_hears(juliet, "<message"), 2);
		world_free(&world);
	}
}

#define QUERY "<iq type='set' id='q'><query xmlns='urn:xmpp:mam:2'/></iq>"

/* He has not heard that the first was refused, so he sends both again. */
static void
the_sender_keeps_one(void **state)
{
	(void)state;
	for (unsigned seed = 1; seed <= 4; seed++) {
		struct world *world = rig_world(seed, 0, NULL);
		struct world_peer *romeo = rig_bind(world, ROMEO "/orchard");
		char id[RIG_ID_LEN];

		rig_enable(romeo, id);
		world_break_store(world, ERR_UNAVAILABLE);
		rig_send(romeo, "<message to='" JULIET
				"' id='m0'><body>0</body></message>");
		world_break_store(world, ERR_NONE);
		world_sleep(world, MINUTE);
		rig_send(romeo, SAID);
		world_sleep(world, 2000);
		rig_send(romeo, "<r xmlns='urn:xmpp:sm:3'/>");
		CHECK(rig_finds(romeo, "<a xmlns='urn:xmpp:sm:3' h='2'/>"));
		world_kill(world);
		romeo = rig_bind(world, ROMEO "/orchard");
		rig_send(romeo, SAID);
		rig_send(romeo, QUERY);
		CHECK_EQUAL(rig_hears(romeo, "<body>1"), 1);
		world_free(&world);
	}
}

#define TAKES_BACK                                           \
	"<message to='" JULIET "' id='m2'><retract id='m1' " \
	"xmlns='urn:xmpp:message-retract:1'/><body>2</body></message>"

/* Its tombstone has its id, but not its words. */
static void
what_was_taken_back_stays_so(void **state)
{
	(void)state;
	for (unsigned seed = 1; seed <= 4; seed++) {
		struct world *world = rig_world(seed, 0, NULL);
		struct world_peer *romeo = rig_bind(world, ROMEO "/orchard");
		struct world_peer *juliet;

		rig_send(romeo, SAID);
		rig_send(romeo, TAKES_BACK);
		world_sleep(world, 2000);
		world_kill(world);
		juliet = rig_bind(world, JULIET "/balcony");
		romeo = rig_bind(world, ROMEO "/orchard");
		rig_send(romeo, SAID);
		rig_send(romeo, TAKES_BACK);
		rig_send(romeo, QUERY);
		CHECK_EQUAL(rig_hears(romeo, "<body>1"), 0);
		rig_send(juliet, QUERY);
		CHECK_EQUAL(rig_hears(juliet, "<body>1"), 0);
		world_free(&world);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(each_is_missed_once),
	    cmocka_unit_test(without_an_id_none_is),
	    cmocka_unit_test(old_ones_are_not),
	    cmocka_unit_test(after_a_day_none_is),
	    cmocka_unit_test(the_sender_keeps_one),
	    cmocka_unit_test(what_was_taken_back_stays_so),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

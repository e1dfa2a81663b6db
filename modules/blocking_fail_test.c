/* Changes of a block list that the store refuses while something else is asked
 * (XEP-0191). */
#include "modules/blocking_rig.h"
#include "modules/modules_rig.h"
#include "server/world_private.h"

/* He was shown what could not be kept. */
static void
who_asks_meanwhile_hears_what_holds(void **state)
{
	static const struct {
		const char *before, *change, *shown, *pushed;
	} rows[] = {
	    {UNBLOCK("a", JULIET), BLOCK("b", JULIET),
		"<blocklist xmlns='" NS "'><item jid='" JULIET
		"'/></blocklist>",
		"<unblock xmlns='" NS "'><item jid='" JULIET "'/></unblock>"},
	    {BLOCK("a", JULIET), UNBLOCK("b", JULIET),
		"<blocklist xmlns='" NS "'><item jid='" JULIET
		"'>{not}</item></blocklist>",
		"<block xmlns='" NS "'><item jid='" JULIET "'/></block>"},
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		struct world *world = rig_world(i + 1, 0, NULL);
		struct world_peer *romeo = rig_bind(world, ROMEO "/orchard");
		struct world_peer *other = rig_bind(world, ROMEO "/garden");
		char text[300];

		rig_send(romeo, rows[i].before);
		world_hold_store(world, true);
		rig_send(romeo, rows[i].change);
		rig_send(other, GET);
		snprintf(text, sizeof(text), "<iq type='result' id='g'>%s</iq>",
		    rows[i].shown);
		rig_expect(other, text);
		world_break_store(world, ERR_IO);
		world_hold_store(world, false);
		world_run(world);
		world_break_store(world, ERR_NONE);
		world_sleep(world, 60000);
		snprintf(text, sizeof(text), "<iq type='set'>%s</iq>",
		    rows[i].pushed);
		rig_expect(other, text);
		world_free(&world);
	}
}

/* One fails, and says so; the other may not rely on it. */
static void
what_is_unblocked_twice_is_unblocked_when_one_is_done(void **state)
{
	(void)state;
	for (unsigned step = 0; step < 10; step++) {
		struct world *world = rig_world(step + 1, 1, NULL);
		struct world_peer *romeo = rig_bind(world, ROMEO "/orchard");
		bool is_done;

		rig_send(romeo, BLOCK("a", JULIET));
		rig_skip(romeo);
		world_hold_store(world, true);
		rig_send(romeo, UNBLOCK("b", JULIET) UNBLOCK("c", JULIET));
		world_break_store(world, ERR_IO);
		world_hold_store(world, false);
		world_step(world, step);
		world_break_store(world, ERR_NONE);
		world_sleep(world, 60000);
		is_done = rig_finds(romeo, "<iq type='result' id='c'/>");
		rig_skip(romeo);
		rig_send(romeo, GET);
		CHECK(!is_done || rig_hears(romeo, JULIET "'/>") == 0);
		world_free(&world);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(who_asks_meanwhile_hears_what_holds),
	    cmocka_unit_test(
		what_is_unblocked_twice_is_unblocked_when_one_is_done),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

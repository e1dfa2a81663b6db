/* Resumption of streams that both servers opened, and of what comes on ours:
 * for the peer's sake, too. */
#include <string.h>

#include "base/check.h"
#include "server/s2s_stage.h"

/* Without modules: stanzas go straight between sessions and streams. */
const struct module *const modules_builtin[] = {NULL};

/* --- crossed ------------------------------------------------------------- */

/* Both connect at once: theirs carries m1, ours comes second. */
static struct stage
begin_crossed(struct world_peer **theirs, struct world_peer **ours)
{
	struct stage stage = stage_begin(1, CLEAR);

	stage_say(&stage, "m1");
	*ours = world_dialled(stage.world, VERONA);
	*theirs = stage_arrive_certified(&stage, VERONA);
	world_send(*theirs, ENABLE);
	CHECK(stage_comes(*theirs, "id='m1'"));
	stage_answer(*ours, STAGE_LINES - 1);
	CHECK(stage_comes(*ours, "<enable"));
	world_send(*ours, ENABLED);
	world_run(stage.world);
	return stage;
}

static void
comes_when_the_doubt_ends(const struct stage *stage, struct world_peer *ours)
{
	world_sleep(stage->world, 14000);
	CHECK(!stage_comes(ours, "<message"));
	world_sleep(stage->world, 2000);
	CHECK(stage_comes(ours, "id='m1'"));
}

/* One that is there already is no more used than one that comes, and no less.
 */
static void
the_second_stream_waits_but_not_for_long(void **state)
{
	struct world_peer *theirs, *ours;
	struct stage stage = begin_crossed(&theirs, &ours);

	world_cut(&theirs);
	comes_when_the_doubt_ends(&stage, ours);
	world_free(&stage.world);
}

/* What ours tells when it is resumed says nothing of theirs. */
static void
each_stream_is_awaited_for_what_it_carried(void **state)
{
	struct world_peer *theirs, *ours;
	struct stage stage = begin_crossed(&theirs, &ours);

	world_cut(&theirs);
	world_cut(&ours);
	world_sleep(stage.world, 5000);
	ours = stage_dialled(&stage, STAGE_LINES - 1);
	CHECK(stage_comes(ours, "<resume "));
	world_send(ours, "<resumed xmlns='urn:xmpp:sm:3' previd='s1' h='0'/>");
	comes_when_the_doubt_ends(&stage, ours);
	world_free(&stage.world);
}

/* The peer may have sent on it; but who cuts it at once is not called again
 * and again. */
static void
a_second_stream_of_ours_is_resumed_once(void **state)
{
	struct world_peer *theirs, *ours;
	struct stage stage = begin_crossed(&theirs, &ours);

	world_sleep(stage.world, 61000);
	world_cut(&ours);
	world_run(stage.world);
	ours = stage_dialled(&stage, STAGE_LINES - 1);
	CHECK(stage_comes(ours, "<resume "));
	world_send(ours, "<resumed xmlns='urn:xmpp:sm:3' previd='s1' h='0'/>");
	world_run(stage.world);
	world_cut(&ours);
	world_sleep(stage.world, 20000);
	CHECK(world_dialled(stage.world, VERONA) == NULL);
	world_free(&stage.world);
}

/* What came on it would come again; but that is not asked for at once. */
static void
a_brief_one_that_was_used_is_resumed(void **state)
{
	struct stage stage = stage_begin(1, CLEAR);
	struct world_peer *theirs, *ours;

	world_add_account(stage.world, TYBALT, NULL);
	stage_say(&stage, "m1");
	theirs = stage_arrive_certified(&stage, VERONA);
	world_send(theirs, ENABLE);
	CHECK(stage_comes(theirs, "id='m1'"));
	ours = stage_answer_both_ways(&stage);
	CHECK(stage_comes(ours, "<enable"));
	world_send(ours, ENABLED TO_TYBALT("t1"));
	world_run(stage.world);
	world_cut(&ours);
	world_run(stage.world);
	CHECK(world_dialled(stage.world, VERONA) == NULL);
	world_sleep(stage.world, 2000);
	ours = stage_answer_both_ways(&stage);
	CHECK(stage_comes(ours, "<resume "));
	world_free(&stage.world);
}

/* --- what they send on a stream of ours ----------------------------------- */

/* It is not of the count, but VERONA may take h for a proof of it. */
static void
what_comes_before_the_answer_is_done_with_first(void **state)
{
	struct stage stage = stage_begin(1, CLEAR);
	struct world_peer *peer;

	world_add_account(stage.world, TYBALT, NULL);
	stage_say(&stage, "m1");
	peer = stage_answer_both_ways(&stage);
	CHECK(stage_comes(peer, "<enable"));
	world_hold_store(stage.world, true);
	world_send(peer, TO_TYBALT("t1"));
	world_run(stage.world);
	world_send(peer, ENABLED);
	world_send(
	    peer, MESSAGE("escalus@" VERONA) "<r xmlns='urn:xmpp:sm:3'/>");
	world_sleep(stage.world, 1000);
	CHECK(stage_comes(peer, "<a xmlns='urn:xmpp:sm:3' h='0'"));
	CHECK(!stage_comes(peer, "<a "));
	world_hold_store(stage.world, false);
	world_sleep(stage.world, 1000);
	CHECK(stage_comes(peer, "<a xmlns='urn:xmpp:sm:3' h='1'"));
	world_free(&stage.world);
}

/* Its stream is cut while what it sent waits for the store, and the next one is
 * there. */
static struct world_peer *
cut_with_one_open(struct stage *stage)
{
	struct world_peer *peer;

	world_add_account(stage->world, TYBALT, NULL);
	stage_say(stage, "m1");
	peer = stage_answer_both_ways(stage);
	CHECK(stage_comes(peer, "<enable"));
	world_send(peer, ENABLED);
	world_run(stage->world);
	world_hold_store(stage->world, true);
	world_send(peer, TO_TYBALT("t1"));
	world_run(stage->world);
	world_cut(&peer);
	world_sleep(stage->world, 2000);
	return stage_answer_both_ways(stage);
}

/* It would come again, to be done twice; but not without end. */
static void
what_came_is_done_with_before_it_is_resumed(void **state)
{
	for (unsigned i = 0; i < 3; i++) {
		struct stage stage = stage_begin(i + 1, CLEAR);
		struct world_peer *peer;

		peer = cut_with_one_open(&stage);
		world_sleep(stage.world, 3000);
		CHECK(!stage_comes(peer, "<resume"));
		if (i == 2) { /* too soon */
			world_send(peer, RESUMED);
			CHECK(stage_comes(peer, "<bad-format"));
			world_hold_store(stage.world, false);
			world_free(&stage.world);
			continue;
		}
		world_hold_store(stage.world, i == 0);
		world_sleep(stage.world, 2000);
		CHECK(stage_comes(peer, i == 0 ? "h='0'" : "h='1'"));
		world_hold_store(stage.world, false);
		world_send(peer, RESUMED);
		world_run(stage.world);
		world_free(&stage.world);
	}
}

/* When too much else was cut meanwhile, what came is forgotten. */
static void
whose_former_is_forgotten_begins_anew(void **state)
{
	enum { MANY = 50 * WORLD_SHARDS_MAX * 2 };
	struct stage stage = stage_begin(1, CLEAR);
	struct world_peer *peer;

	(void)state;
	peer = cut_with_one_open(&stage);
	for (unsigned i = 0; i < MANY; i++) {
		struct world_peer *other =
		    stage_arrive_certified(&stage, VERONA);

		world_send(other, ENABLE);
		CHECK(stage_comes(other, "<enabled"));
		world_cut(&other);
		world_run(stage.world);
	}
	CHECK(stage_comes(peer, "<enable "));
	world_hold_store(stage.world, false);
	world_free(&stage.world);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(the_second_stream_waits_but_not_for_long),
	    cmocka_unit_test(each_stream_is_awaited_for_what_it_carried),
	    cmocka_unit_test(a_second_stream_of_ours_is_resumed_once),
	    cmocka_unit_test(a_brief_one_that_was_used_is_resumed),
	    cmocka_unit_test(what_comes_before_the_answer_is_done_with_first),
	    cmocka_unit_test(what_came_is_done_with_before_it_is_resumed),
	    cmocka_unit_test(whose_former_is_forgotten_begins_anew),
	};

	return cmocka_run_group_tests_name("s2s_crossed", tests, NULL, NULL);
}

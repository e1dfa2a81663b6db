/* Presence that is owed: how much of it there may be, and for whom. */
#include <stdio.h>
#include <string.h>

#include "base/check.h"
#include "server/remote_stage.h"

/* Without modules: stanzas go straight from sessions to the remote. */
const struct module *const modules_builtin[] = {NULL};

#define LEAVE(to) "<presence type='unavailable' to='a@" to "/x'/>"

/* It is known, and was cut off. */
static void
lose_verona(struct stage *stage)
{
	romeo_says_to(stage, "m1", VERONA);
	CHECK(neighbour_got(stage->verona, "id='m1'"));
	stage->verona->mood = NEIGHBOUR_UNREACHABLE;
	neighbour_cut(stage->verona, false);
}

/* A stream that is resumed late tells that it had it: who has come again since
 * must not leave. */
static void
what_is_acknowledged_late_is_owed_no_more(void **state)
{
	struct stage stage = remote_stage("");

	(void)state;
	romeo_says_to(&stage, "m1", VERONA);
	CHECK(neighbour_got(stage.verona, "id='m1'"));
	stage.verona->is_lazy = true;
	romeo_says(&stage, LEAVE(VERONA));
	romeo_says(&stage, LEAVE(VERONA));
	CHECK(neighbour_got(stage.verona, "unavailable"));
	CHECK(neighbour_got(stage.verona, "unavailable"));
	stage.verona->mood = NEIGHBOUR_UNREACHABLE;
	neighbour_cut(stage.verona, false);
	world_sleep(stage.world, 2 * MINUTES);
	shard_enter(&stage.world->server.shards[0]);
	remote_tell_acked(&stage.world->server.shards[0],
	    STR("montague.example"), STR(VERONA), 2);
	world_run(stage.world);
	neighbour_open(stage.verona, "montague.example");
	CHECK(neighbour_got(stage.verona, "unavailable"));
	CHECK(neighbour_next(stage.verona) == NULL);
	world_free(&stage.world);
}

/* With a small queue, too: what is owed for a day leaves the most of it. */
static void
messages_find_room_beside_what_is_owed(void **state)
{
	struct stage stage = remote_stage("s2s.queue: 40\n");

	(void)state;
	lose_verona(&stage);
	for (unsigned i = 0; i < 40; i++)
		romeo_says(&stage, LEAVE(VERONA));
	world_sleep(stage.world, 2 * MINUTES);
	for (unsigned i = 0; i < 20; i++)
		romeo_says_to(&stage, "m2", VERONA);
	CHECK(world_next(stage.romeo) == NULL);
	neighbour_open(stage.verona, "montague.example");
	CHECK(neighbour_got(stage.verona, "unavailable"));
	world_free(&stage.world);
}

/* Many domains, of somebody who wants to fill the memory, leave room for what
 * goes to others. */
static void
what_is_owed_by_a_shard_is_bounded(void **state)
{
	enum { DOMAINS = 40, TIMES = 20 };
	struct stage stage = remote_stage("");
	static char names[DOMAINS][32], text[110000];
	struct neighbour *lost[DOMAINS];

	(void)state;
	for (unsigned i = 0; i < DOMAINS; i++) {
		snprintf(names[i], sizeof(names[i]), "d%u.example", i);
		lost[i] = neighbour_new(stage.world, names[i]);
		romeo_says_to(&stage, "m1", names[i]);
		CHECK(neighbour_got(lost[i], "id='m1'"));
		lost[i]->mood = NEIGHBOUR_UNREACHABLE;
		neighbour_cut(lost[i], true);
	}
	for (unsigned i = 0; i < DOMAINS; i++) {
		snprintf(text, sizeof(text),
		    "<presence type='unavailable' to='a@%s/x'><status>%0*d"
		    "</status></presence>",
		    names[i], 100000, 0);
		for (unsigned j = 0; j < TIMES; j++)
			romeo_says(&stage, text);
		world_sleep(stage.world, 2 * MINUTES);
	}
	romeo_says_to(&stage, "m2", VERONA);
	CHECK(neighbour_got(stage.verona, "id='m2'"));
	CHECK(stage_remotes(&stage)->bytes <= (size_t)16 * 1024 * 1024);
	lost[0]->mood = NEIGHBOUR_WILLING;
	world_sleep(stage.world, 10 * MINUTES);
	CHECK(neighbour_got(lost[0], "unavailable"));
	world_free(&stage.world);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(what_is_acknowledged_late_is_owed_no_more),
	    cmocka_unit_test(messages_find_room_beside_what_is_owed),
	    cmocka_unit_test(what_is_owed_by_a_shard_is_bounded),
	};

	return cmocka_run_group_tests_name("remote_owed", tests, NULL, NULL);
}

/*
 * Contacts of a domain whose link broke while strangers broke so many that none
 * is waited for: presence becomes right all the same.
 */
#include <stdio.h>
#include <string.h>

#include "modules/modules_rig.h"
#include "modules/roster.h"
#include "server/remote_private.h"
#include "server/world_neighbour.h"
#include "server/world_private.h"

#define VERONA  "verona.example"
#define ESCALUS "escalus@" VERONA
#define CROWD   (SILENT_MAX / 2 + 1)
#define MINUTES ((uint64_t)60 * 1000)
#define BREAKS  STANZA_ERR_REMOTE_SERVER_TIMEOUT

#define COMES                                                        \
	"<presence xmlns='jabber:server' from='" ESCALUS "/throne' " \
	"to='" ROMEO "'/>"

struct stage {
	struct world *world;
	struct neighbour *verona;
	struct world_peer *romeo;
};

/* That many domains come; they go as by a cut wire, and are not forgotten at
 * once. */
static void
make_crowd(struct world *world, unsigned count)
{
	for (unsigned i = 0; i < count; i++) {
		char domain[32];

		snprintf(domain, sizeof(domain), "d%u.example", i);
		neighbour_tell(
		    world, domain, PATH_READY, 1000 + i, STANZA_ERR_NONE);
		neighbour_tell(world, domain, PATH_GONE, 1000 + i, BREAKS);
	}
	world_run(world);
}

static bool
got(const struct stage *stage, const char *part)
{
	const char *text;

	while ((text = neighbour_next(stage->verona)) != NULL)
		if (strstr(text, part) != NULL)
			return true;
	return false;
}

/* Romeo and Escalus see each other. */
static struct stage
begin(void)
{
	struct stage stage = {
	    .world = rig_world(7, 1, "limits.idle_ping: 0 s\n")};

	stage.verona = neighbour_new(stage.world, VERONA);
	rig_put_sub(stage.world, ROMEO, ESCALUS, SUB_TO | SUB_FROM);
	world_kill(stage.world);
	stage.romeo = rig_login(stage.world, ROMEO "/orchard");
	while (neighbour_next(stage.verona) != NULL)
		continue;
	neighbour_send(stage.verona, COMES);
	rig_expect(stage.romeo, "<presence from='" ESCALUS "/throne'/>");
	return stage;
}

/* Both are told what holds, and Escalus is asked for what he is. */
static void
check_met_again(const struct stage *stage)
{
	bool is_told = false, is_probed = false;
	const char *text;

	while ((text = neighbour_next(stage->verona)) != NULL) {
		is_probed |= strstr(text, "type='probe'") != NULL;
		is_told |= strstr(text, "from='" ROMEO "/orchard'") != NULL;
	}
	CHECK(is_told);
	CHECK(is_probed);
}

static void
who_is_not_waited_for_is_met_again(void **state)
{
	struct stage stage = begin();

	(void)state;
	make_crowd(stage.world, CROWD);
	rig_expect_nothing(stage.romeo);
	neighbour_cut(stage.verona, false);
	rig_expect(stage.romeo,
	    "<presence type='unavailable' from='" ESCALUS "/throne'/>");
	neighbour_open(stage.verona, "montague.example");
	world_sleep(stage.world, 1 * MINUTES);
	check_met_again(&stage);
	world_free(&stage.world);
}

/* It speaks on a stream that is no path for us. */
static void
who_is_heard_again_is_met_again(void **state)
{
	struct stage stage = begin();

	(void)state;
	make_crowd(stage.world, CROWD);
	neighbour_cut(stage.verona, false);
	neighbour_tell(stage.world, VERONA, PATH_HEARD, 9, STANZA_ERR_NONE);
	world_sleep(stage.world, 1 * MINUTES);
	check_met_again(&stage);
	world_free(&stage.world);
}

/* It ends its stream in order, and has not taken all. */
static void
what_was_dropped_is_said_anew(void **state)
{
	struct stage stage = begin();

	(void)state;
	make_crowd(stage.world, CROWD);
	stage.verona->is_lazy = true;
	rig_send(stage.romeo, "<presence><show>away</show></presence>");
	CHECK(got(&stage, "away"));
	neighbour_cut(stage.verona, true);
	neighbour_open(stage.verona, "montague.example");
	world_sleep(stage.world, 1 * MINUTES);
	CHECK(got(&stage, "away"));
	world_free(&stage.world);
}

static void
on_connect_never(struct shard *shard, struct str local, struct str domain)
{
	(void)shard, (void)local, (void)domain;
}

/* Who logs in while there is no room is seen there later. */
static void
who_had_no_room_is_told_later(void **state)
{
	struct stage stage = {
	    .world = rig_world(7, 1, "limits.idle_ping: 0 s\n")};

	(void)state;
	stage.verona = neighbour_new(stage.world, VERONA);
	rig_put_sub(stage.world, ROMEO, ESCALUS, SUB_TO | SUB_FROM);
	world_kill(stage.world);
	stage.world->server.s2s_connect = on_connect_never;
	stage.world->server.shards[0].remotes->silent_count += SILENT_MAX;
	stage.romeo = rig_login(stage.world, ROMEO "/orchard");
	CHECK_EQUAL(neighbours_in_use(stage.world), 0);
	stage.world->server.shards[0].remotes->silent_count -= SILENT_MAX;
	neighbour_open(stage.verona, "montague.example");
	world_sleep(stage.world, 1 * MINUTES);
	check_met_again(&stage);
	world_free(&stage.world);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(who_is_not_waited_for_is_met_again),
	    cmocka_unit_test(who_is_heard_again_is_met_again),
	    cmocka_unit_test(what_was_dropped_is_said_anew),
	    cmocka_unit_test(who_had_no_room_is_told_later),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

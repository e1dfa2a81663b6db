/*
 * Other servers of whom only their own stream to us is left, which carries
 * their presence: ours was closed, as nobody used it.
 */
#include <stdio.h>
#include <string.h>

#include "modules/modules_rig.h"
#include "modules/roster.h"
#include "server/world_neighbour.h"
#include "server/world_private.h"

#define VERONA  "verona.example"
#define ESCALUS "escalus@" VERONA
#define SECONDS ((uint64_t)1000)
#define MINUTES (60 * SECONDS)

#define GONE "<presence type='unavailable' from='" ESCALUS "/throne'/>"

struct stage {
	struct world *world;
	struct neighbour *verona;
	struct world_peer *romeo;
};

/* Their stream of that number tells of itself. */
static void
tell(const struct stage *stage, enum path_event event, unsigned number,
    enum stanza_err err)
{
	neighbour_tell(stage->world, VERONA, event, 1000 + number, err);
	world_run(stage->world);
}

static void
hear(const struct stage *stage, unsigned number)
{
	tell(stage, PATH_HEARD, number, STANZA_ERR_NONE);
}

static void
break_ear(const struct stage *stage, unsigned number)
{
	tell(stage, PATH_GONE, number, STANZA_ERR_REMOTE_SERVER_TIMEOUT);
}

/* Romeo hears of somebody on a stream of theirs. */
static void
see(const struct stage *stage, const char *from, const char *to)
{
	char text[200];

	hear(stage, 1);
	snprintf(text, sizeof(text),
	    "<presence xmlns='jabber:server' from='%s' to='%s'/>", from, to);
	neighbour_send(stage->verona, text);
	snprintf(text, sizeof(text), "<presence from='%s'/>", from);
	rig_expect(stage->romeo, text);
}

/* And that is Escalus. */
static struct stage
begin(void)
{
	struct stage stage = {
	    .world = rig_world(7, 0, "limits.idle_ping: 0 s\n")};

	stage.verona = neighbour_new(stage.world, VERONA);
	rig_put_sub(stage.world, ROMEO, ESCALUS, SUB_TO | SUB_FROM);
	world_kill(stage.world);
	stage.romeo = rig_login(stage.world, ROMEO "/orchard");
	neighbour_cut(stage.verona, true);
	while (neighbour_next(stage.verona) != NULL)
		continue;
	CHECK_EQUAL(neighbours_in_use(stage.world), 0);
	see(&stage, ESCALUS "/throne", ROMEO);
	return stage;
}

static bool
is_probed(const struct stage *stage)
{
	const char *text;

	while ((text = neighbour_next(stage->verona)) != NULL)
		if (strstr(text, "type='probe'") != NULL &&
		    strstr(text, "to='" ESCALUS "'") != NULL)
			return true;
	return false;
}

/* Their stream breaks, and we do not reach them. */
static void
be_lost_in_time(const struct stage *stage)
{
	stage->verona->mood = NEIGHBOUR_UNREACHABLE;
	break_ear(stage, 1);
	world_sleep(stage->world, 4 * MINUTES);
	rig_expect_nothing(stage->romeo);
	world_sleep(stage->world, 2 * MINUTES);
}

static void
who_is_heard_no_more_becomes_unavailable(void **state)
{
	struct stage stage = begin();

	(void)state;
	be_lost_in_time(&stage);
	CHECK(rig_finds(stage.romeo, GONE));
	stage.verona->mood = NEIGHBOUR_WILLING;
	world_sleep(stage.world, 10 * MINUTES);
	CHECK(is_probed(&stage));
	world_free(&stage.world);
}

static void
who_is_heard_no_more_is_asked(void **state)
{
	struct stage stage = begin();

	(void)state;
	break_ear(&stage, 1);
	world_sleep(stage.world, 10 * SECONDS);
	CHECK(is_probed(&stage));
	world_sleep(stage.world, 1 * MINUTES);
	CHECK(rig_finds(stage.romeo, GONE));
	world_free(&stage.world);
}

/* Nothing was missed when both were done with it, or when there is another one,
 * nor where it was no stream of theirs. */
static void
who_goes_in_order_is_not_lost(void **state)
{
	struct stage stage = begin();
	const unsigned connects = stage.verona->connects;

	(void)state;
	hear(&stage, 2);
	break_ear(&stage, 1);
	break_ear(&stage, 3);
	world_sleep(stage.world, 20 * MINUTES);
	tell(&stage, PATH_GONE, 2, STANZA_ERR_NONE);
	CHECK_EQUAL(neighbours_in_use(stage.world), 0);
	break_ear(&stage, 2);
	CHECK_EQUAL(neighbours_in_use(stage.world), 0);
	world_sleep(stage.world, 20 * MINUTES);
	rig_expect_nothing(stage.romeo);
	CHECK_EQUAL(stage.verona->connects, connects);
	world_free(&stage.world);
}

/* We could not reach them for long, but they could us; then neither can. */
static void
who_was_heard_after_the_loss_is_lost_again(void **state)
{
	struct stage stage = begin();

	(void)state;
	stage.verona->mood = NEIGHBOUR_UNREACHABLE;
	break_ear(&stage, 1);
	world_sleep(stage.world, 6 * MINUTES);
	CHECK(rig_finds(stage.romeo, GONE));
	hear(&stage, 2);
	neighbour_send(stage.verona,
	    "<presence xmlns='jabber:server' from='" ESCALUS "/throne' "
	    "to='" ROMEO "'/>");
	rig_expect(stage.romeo, "<presence from='" ESCALUS "/throne'/>");
	break_ear(&stage, 2);
	world_sleep(stage.world, 10 * MINUTES);
	CHECK(rig_finds(stage.romeo, GONE));
	world_free(&stage.world);
}

/* --- who is no contact ---------------------------------------------------- */

#define STRANGER "paris@" VERONA "/tomb"
#define LEFT     "<presence type='unavailable' from='" STRANGER "'/>"

/* Nothing was ever sent there. */
static struct stage
begin_with_stranger(void)
{
	struct stage stage = {
	    .world = rig_world(7, 0, "limits.idle_ping: 0 s\n")};

	stage.verona = neighbour_new(stage.world, VERONA);
	stage.romeo = rig_login(stage.world, ROMEO "/orchard");
	see(&stage, STRANGER, ROMEO "/orchard");
	return stage;
}

static void
a_stranger_who_is_heard_no_more_becomes_unavailable(void **state)
{
	struct stage stage = begin_with_stranger();
	unsigned connects;

	(void)state;
	be_lost_in_time(&stage);
	rig_expect(stage.romeo, LEFT);
	world_sleep(stage.world, 10 * MINUTES);
	CHECK_EQUAL(neighbours_in_use(stage.world), 0);
	connects = stage.verona->connects;
	stage.verona->mood = NEIGHBOUR_WILLING;
	world_sleep(stage.world, 60 * MINUTES);
	CHECK_EQUAL(stage.verona->connects, connects);
	rig_expect_nothing(stage.romeo);
	world_free(&stage.world);
}

/* They talked; then it is not reached. */
static void
owe(const struct stage *stage)
{
	rig_send(stage->romeo,
	    "<message type='chat' to='" STRANGER "'><body>x</body></message>");
	CHECK(neighbour_next(stage->verona) != NULL);
	stage->verona->mood = NEIGHBOUR_UNREACHABLE;
	neighbour_cut(stage->verona, true);
	rig_send(
	    stage->romeo, "<presence type='unavailable' to='" STRANGER "'/>");
}

/* And he is told then that Romeo went, which he was not in time. */
static void
a_stranger_who_is_owed_something_becomes_unavailable(void **state)
{
	struct stage stage = begin_with_stranger();

	(void)state;
	owe(&stage);
	be_lost_in_time(&stage);
	rig_expect(stage.romeo, LEFT);
	stage.verona->mood = NEIGHBOUR_WILLING;
	world_sleep(stage.world, 10 * MINUTES);
	CHECK(neighbour_next(stage.verona) != NULL);
	CHECK(neighbour_next(stage.verona) == NULL);
	rig_expect_nothing(stage.romeo);
	world_free(&stage.world);
}

/* While he is heard he is not lost, though we do not reach him. */
static void
a_stranger_who_is_owed_something_and_heard_stays(void **state)
{
	struct stage stage = begin_with_stranger();

	(void)state;
	owe(&stage);
	world_sleep(stage.world, 2 * MINUTES);
	break_ear(&stage, 1);
	world_sleep(stage.world, 2 * MINUTES);
	hear(&stage, 2);
	world_sleep(stage.world, 20 * MINUTES);
	rig_expect_nothing(stage.romeo);
	break_ear(&stage, 2);
	world_sleep(stage.world, 6 * MINUTES);
	rig_expect(stage.romeo, LEFT);
	world_free(&stage.world);
}

/* It answers us, or speaks to us though we do not reach it. */
static void
a_stranger_whose_server_is_there_stays(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 2; i++) {
		struct stage stage = begin_with_stranger();

		if (i == 1)
			stage.verona->mood = NEIGHBOUR_UNREACHABLE;
		break_ear(&stage, 1);
		world_sleep(stage.world, 4 * MINUTES);
		if (i == 1)
			hear(&stage, 2);
		world_sleep(stage.world, 20 * MINUTES);
		rig_expect_nothing(stage.romeo);
		CHECK(!is_probed(&stage));
		tell(&stage, PATH_GONE, 2, STANZA_ERR_NONE);
		neighbour_cut(stage.verona, true);
		CHECK_EQUAL(neighbours_in_use(stage.world), 0);
		world_free(&stage.world);
	}
}

/* We cannot reach them, but they speak to us. */
static void
a_stranger_who_is_heard_stays(void **state)
{
	struct stage stage = begin_with_stranger();

	(void)state;
	rig_send(stage.romeo,
	    "<message type='chat' to='" STRANGER "'><body>x</body></message>");
	stage.verona->mood = NEIGHBOUR_UNREACHABLE;
	neighbour_cut(stage.verona, false);
	world_sleep(stage.world, 20 * MINUTES);
	rig_expect_nothing(stage.romeo);
	world_free(&stage.world);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(a_stranger_who_is_heard_stays),
	    cmocka_unit_test(who_is_heard_no_more_becomes_unavailable),
	    cmocka_unit_test(who_is_heard_no_more_is_asked),
	    cmocka_unit_test(who_goes_in_order_is_not_lost),
	    cmocka_unit_test(who_was_heard_after_the_loss_is_lost_again),
	    cmocka_unit_test(
		a_stranger_who_is_heard_no_more_becomes_unavailable),
	    cmocka_unit_test(
		a_stranger_who_is_owed_something_becomes_unavailable),
	    cmocka_unit_test(a_stranger_who_is_owed_something_and_heard_stays),
	    cmocka_unit_test(a_stranger_whose_server_is_there_stays),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

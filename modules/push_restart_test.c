/* What is owed to devices when the server ends, and how long it is tried. */
#include "modules/push_rig.h"
#include "server/wake.h"

/* --- over a restart ----------------------------------------------------- */

static void
end_in_order(struct stage *stage)
{
	world_cut(&stage->romeo);
	world_restart(stage->world);
	world_run(stage->world);
}

static void
end_by_kill(struct stage *stage)
{
	world_sleep(stage->world, SECONDS);
	world_cut(&stage->romeo);
	world_kill(stage->world);
	world_run(stage->world);
}

static bool
has_wake(struct stage *stage)
{
	world_sleep(stage->world, SECONDS);
	return rig_has(stage->world, OWNER_SERVER, &wake_kind);
}

static void (*const ends[])(struct stage *) = {end_in_order, end_by_kill};

/* Nobody else wakes her account. */
static void
what_was_to_be_told_is_told_by_the_next_run(void **state)
{
	for (size_t i = 0; i < COUNT_OF(ends); i++) {
		struct stage stage = push_begin("push.interval: 10 s\n");

		push_say(&stage);
		push_expect(&stage, COUNTS("1"), "");
		push_succeed(&stage);
		push_say(&stage);
		CHECK(push_next(&stage) == NULL);
		ends[i](&stage);
		world_sleep(stage.world, 15 * SECONDS);
		push_expect(&stage, COUNTS("2"), NO_BODY);
		CHECK(has_wake(&stage));
		push_succeed(&stage);
		CHECK(!has_wake(&stage));
		CHECK(push_next(&stage) == NULL);
		/* Once is enough. */
		stage.romeo = rig_login(stage.world, ROMEO "/orchard");
		ends[i](&stage);
		world_sleep(stage.world, MINUTES);
		CHECK(push_next(&stage) == NULL);
		push_end(&stage);
	}
}

static void
what_comes_while_the_server_ends_is_told_by_the_next_run(void **state)
{
	struct stage stage = push_begin(NULL);
	struct server *server = &stage.world->server;

	for (unsigned i = 0; i < server->shard_count; i++)
		server->shards[i].is_draining = true;
	push_say(&stage);
	CHECK(push_next(&stage) == NULL);
	end_in_order(&stage);
	world_sleep(stage.world, 15 * SECONDS);
	push_expect(&stage, COUNTS("1"), "");
	push_succeed(&stage);
	push_end(&stage);
}

static void
what_has_no_answer_is_told_once_more(void **state)
{
	for (size_t i = 0; i < COUNT_OF(ends); i++) {
		struct stage stage = push_begin(NULL);

		push_say(&stage);
		push_expect(&stage, COUNTS("1"), "");
		ends[i](&stage);
		world_sleep(stage.world, 15 * SECONDS);
		push_expect(&stage, COUNTS("1"), "");
		push_succeed(&stage);
		world_sleep(stage.world, MINUTES);
		CHECK(push_next(&stage) == NULL);
		push_end(&stage);
	}
}

/* With an answer still to come, or an error that was to be tried again. */
static void
what_the_device_saw_is_not_told(void **state)
{
	for (size_t i = 0; i < 2 * COUNT_OF(ends); i++) {
		struct stage stage = push_begin(NULL);

		push_say(&stage);
		CHECK(push_next(&stage) != NULL);
		if (i % 2 == 1)
			push_refuse(&stage, "wait", "resource-constraint");
		stage.juliet = rig_login(stage.world, BALCONY);
		if (i % 2 == 0)
			push_refuse(&stage, "wait", "resource-constraint");
		world_sleep(stage.world, MINUTES);
		CHECK(push_next(&stage) == NULL);
		CHECK(!has_wake(&stage));
		world_cut(&stage.juliet);
		ends[i / 2](&stage);
		world_sleep(stage.world, MINUTES);
		CHECK(push_next(&stage) == NULL);
		push_end(&stage);
	}
}

static void
what_is_disabled_is_not_told(void **state)
{
	for (size_t i = 0; i < COUNT_OF(ends); i++) {
		struct stage stage = push_begin(NULL);

		push_say(&stage);
		CHECK(push_next(&stage) != NULL);
		CHECK(has_wake(&stage));
		push_refuse(&stage, "cancel", "item-not-found");
		CHECK(!has_wake(&stage));
		ends[i](&stage);
		world_sleep(stage.world, MINUTES);
		CHECK(push_next(&stage) == NULL);
		push_end(&stage);
	}
}

static void
who_leaves_is_not_woken(void **state)
{
	struct stage stage = push_begin("registration.open: true\n");

	push_say(&stage);
	CHECK(push_next(&stage) != NULL);
	CHECK(has_wake(&stage));
	stage.juliet = rig_bind(stage.world, BALCONY);
	rig_send(stage.juliet,
	    SET("r", "<query xmlns='jabber:iq:register'><remove/></query>"));
	CHECK(!has_wake(&stage));
	push_end(&stage);
}

/* A device that waits (XEP-0198), killed at any moment: once more at most. */
static void
who_waited_is_told_at_most_once_more(void **state)
{
	for (unsigned steps = 1; steps < 100; steps++) {
		struct stage stage = push_begin_with(NULL);
		unsigned told = 0;

		rig_send(stage.juliet,
		    "<enable xmlns='urn:xmpp:sm:3' resume='true' max='60'/>"
		    "<presence/>" ENABLE(SERVICE, NODE, ""));
		world_cut(&stage.juliet);
		world_sleep(stage.world, SECONDS);
		world_kill_after(stage.world, steps);
		push_say(&stage);
		for (unsigned i = 0; i < 20; i++) {
			while (push_next(&stage) != NULL) {
				push_succeed(&stage);
				told++;
			}
			world_sleep(stage.world, SECONDS);
		}
		CHECK(told <= 2);
		world_kill_after(stage.world, 0);
		/* None is lost that is kept. */
		stage.juliet = rig_login(stage.world, BALCONY);
		CHECK(told > 0 || !rig_finds(stage.juliet, "<message/>"));
		push_end(&stage);
	}
}

/* --- errors that may pass ----------------------------------------------- */

static const unsigned pauses_s[] = {5, 20, 80, 320, 1280, 3600, 3600};

static void
it_is_tried_less_and_less_often(void **state)
{
	struct stage stage = push_begin("limits.idle_ping: 0 s\n");

	push_say(&stage);
	CHECK(push_next(&stage) != NULL);
	for (size_t i = 0; i < COUNT_OF(pauses_s); i++) {
		push_refuse(&stage, "wait", "remote-server-timeout");
		world_sleep(stage.world, (pauses_s[i] - 1) * SECONDS);
		CHECK(push_next(&stage) == NULL);
		world_sleep(stage.world, SECONDS);
		push_expect(&stage, COUNTS("1"), "");
	}
	push_succeed(&stage);
	world_sleep(stage.world, 2 * 60 * MINUTES);
	CHECK(push_next(&stage) == NULL);
	push_end(&stage);
}

static void
news_do_not_wait_for_that(void **state)
{
	struct stage stage = push_begin(NULL);

	push_say(&stage);
	for (unsigned i = 0; i < 3; i++) {
		CHECK(push_next(&stage) != NULL);
		push_refuse(&stage, "wait", "resource-constraint");
		world_sleep(stage.world, 20 * SECONDS);
	}
	CHECK(push_next(&stage) == NULL);
	push_say(&stage);
	push_expect(&stage, COUNTS("2"), "");
	push_refuse(&stage, "wait", "resource-constraint");
	world_sleep(stage.world, 5 * SECONDS);
	push_expect(&stage, COUNTS("2"), "");
	push_succeed(&stage);
	world_sleep(stage.world, 10 * MINUTES);
	CHECK(push_next(&stage) == NULL);
	push_end(&stage);
}

/* A client that enables what was disabled begins anew (section 5). */
static void
who_enables_again_is_told_again(void **state)
{
	struct stage stage = push_begin(NULL);

	push_say(&stage);
	CHECK(push_next(&stage) != NULL);
	push_refuse(&stage, "cancel", "item-not-found");
	CHECK(!push_rings_once(&stage));
	stage.juliet = rig_bind(stage.world, BALCONY);
	rig_send(stage.juliet, ENABLE(SERVICE, NODE, ""));
	rig_expect(stage.juliet, DONE("e"));
	world_cut(&stage.juliet);
	world_run(stage.world);
	CHECK(push_rings_once(&stage));
	push_end(&stage);
}

/* It is there, and needs none. */
static void
who_enables_anew_is_not_told(void **state)
{
	struct stage stage = push_begin(NULL);

	push_say(&stage);
	CHECK(push_next(&stage) != NULL);
	push_refuse(&stage, "wait", "resource-constraint");
	world_sleep(stage.world, 3 * SECONDS);
	stage.juliet = rig_bind(stage.world, BALCONY);
	rig_send(stage.juliet, ENABLE(SERVICE, NODE, ""));
	rig_expect(stage.juliet, DONE("e"));
	world_sleep(stage.world, MINUTES);
	CHECK(push_next(&stage) == NULL);
	CHECK(!has_wake(&stage));
	push_end(&stage);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(what_was_to_be_told_is_told_by_the_next_run),
	    cmocka_unit_test(
		what_comes_while_the_server_ends_is_told_by_the_next_run),
	    cmocka_unit_test(what_has_no_answer_is_told_once_more),
	    cmocka_unit_test(what_the_device_saw_is_not_told),
	    cmocka_unit_test(what_is_disabled_is_not_told),
	    cmocka_unit_test(who_leaves_is_not_woken),
	    cmocka_unit_test(who_waited_is_told_at_most_once_more),
	    cmocka_unit_test(it_is_tried_less_and_less_often),
	    cmocka_unit_test(news_do_not_wait_for_that),
	    cmocka_unit_test(who_enables_again_is_told_again),
	    cmocka_unit_test(who_enables_anew_is_not_told),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

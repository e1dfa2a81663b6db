/* How registrations end: by errors, by the service, by the user. */
#include "modules/push_rig.h"

/* --- errors ------------------------------------------------------------- */

static const struct {
	const char *type, *condition;
	bool is_final;
} errors[] = {
    {"cancel", "item-not-found", true}, {"cancel", "not-allowed", true},
    {"auth", "forbidden", true}, {"auth", "not-authorized", true},
    {"cancel", "gone", true}, {"cancel", "conflict", true},
    {"cancel", "feature-not-implemented", true},
    {"cancel", "service-unavailable", false},
    {"cancel", "remote-server-not-found", false},
    {"wait", "remote-server-timeout", false},
    {"wait", "resource-constraint", false},
    {"cancel", "internal-server-error", false},
    {"wait", "policy-violation", false},
    {NULL, NULL, true}, /* it does not say which */
};

static void
errors_that_stay_disable_it(void **state)
{
	for (size_t i = 0; i < COUNT_OF(errors); i++) {
		struct stage stage = push_begin(NULL);

		push_say(&stage);
		CHECK(push_next(&stage) != NULL);
		push_refuse(&stage, errors[i].type, errors[i].condition);
		world_sleep(stage.world, 6 * SECONDS);
		/* What may pass is tried again. */
		CHECK_EQUAL(push_next(&stage) == NULL, errors[i].is_final);
		if (!errors[i].is_final)
			push_succeed(&stage);
		CHECK_EQUAL(push_rings_once(&stage), !errors[i].is_final);
		world_cut(&stage.romeo);
		world_kill(stage.world);
		stage.romeo = rig_login(stage.world, ROMEO "/orchard");
		CHECK_EQUAL(push_rings_once(&stage), !errors[i].is_final);
		push_end(&stage);
	}
}

static void
the_same_service_is_disabled_per_device(void **state)
{
	struct stage stage = push_begin_with(NULL);

	rig_send(stage.juliet, ENABLE(SERVICE, "1", ""));
	rig_send(stage.juliet, ENABLE(SERVICE, "2", ""));
	rig_skip(stage.juliet);
	world_cut(&stage.juliet);
	world_run(stage.world);
	push_say(&stage);
	push_expect(&stage, "node='1'", "");
	push_refuse(&stage, "cancel", "item-not-found");
	push_expect(&stage, "node='2'", "");
	push_succeed(&stage);
	world_sleep(stage.world, 3 * SECONDS);
	push_say(&stage);
	push_expect(&stage, "node='2'", "");
	push_succeed(&stage);
	CHECK(push_next(&stage) == NULL);
	push_end(&stage);
}

/* What answers a publish of before says nothing of what was enabled since. */
static void
errors_of_before_do_not_disable_it(void **state)
{
	static const char *const ways[] = {
	    ENABLE(SERVICE, NODE, OPTIONS("publish-options", "new")),
	    DISABLE("jid='" SERVICE "'") ENABLE(SERVICE, NODE, ""),
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(ways); i++) {
		struct stage stage = push_begin(NULL);

		push_say(&stage);
		CHECK(push_next(&stage) != NULL);
		stage.juliet = rig_bind(stage.world, BALCONY);
		rig_send(stage.juliet, ways[i]);
		push_refuse(&stage, "auth", "forbidden");
		world_cut(&stage.juliet);
		world_run(stage.world);
		CHECK(push_rings_once(&stage));
		push_end(&stage);
	}
}

static void
without_an_answer_it_is_tried_again(void **state)
{
	struct stage stage = push_begin(NULL);

	stage.service->is_deaf = true;
	push_say(&stage);
	CHECK(push_next(&stage) == NULL);
	stage.service->is_deaf = false;
	world_sleep(stage.world, 2 * MINUTES);
	CHECK(push_next(&stage) != NULL);
	push_succeed(&stage);
	CHECK(push_rings_once(&stage));
	push_end(&stage);
}

static void
one_that_fails_for_long_is_forgotten(void **state)
{
	struct stage stage =
	    push_begin("push.give_up: 3 d\nlimits.idle_ping: 0 s\n");
	unsigned tries = 0, windows = 0, before;

	push_say(&stage);
	do {
		before = tries;
		while (push_next(&stage) != NULL)
			tries++;
		push_refuse(&stage, "wait", "resource-constraint");
		world_sleep(stage.world, 2 * 60 * MINUTES);
		windows++;
	} while (tries > before);
	CHECK(windows >= 36 && windows <= 39);
	CHECK(tries > windows);
	CHECK(!push_rings_once(&stage));
	push_end(&stage);
}

static void
a_success_ends_the_failing(void **state)
{
	struct stage stage = push_begin("push.give_up: 1 min\n");

	for (unsigned i = 0; i < 4; i++) {
		push_say(&stage);
		CHECK(push_next(&stage) != NULL);
		push_refuse(&stage, "wait", "resource-constraint");
		world_sleep(stage.world, 6 * SECONDS);
		CHECK(push_next(&stage) != NULL);
		push_succeed(&stage);
		world_sleep(stage.world, 2 * MINUTES);
	}
	push_end(&stage);
}

/* --- the end of a registration ------------------------------------------ */

#define AFFILIATION(from, node, jid, value)                               \
	"<message xmlns='jabber:client' from='" from "' to='" JULIET      \
	"'><pubsub xmlns='http://jabber.org/protocol/pubsub' node='" node \
	"'><affiliation jid='" jid "' affiliation='" value                \
	"'/></pubsub></message>"

static const struct {
	const char *text;
	bool is_end;
} notices[] = {
    {AFFILIATION(SERVICE, NODE, JULIET, "none"), true},
    {AFFILIATION(SERVICE, NODE, JULIET, "outcast"), true},
    {AFFILIATION(SERVICE, NODE, JULIET, "publish-only"), false},
    {AFFILIATION(SERVICE, NODE, ROMEO, "none"), false},
    {AFFILIATION(SERVICE, "other", JULIET, "none"), false},
    {AFFILIATION("x." SERVICE, NODE, JULIET, "none"), false},
};

static void
the_service_may_end_it(void **state)
{
	for (size_t i = 0; i < COUNT_OF(notices); i++) {
		struct stage stage = push_begin(NULL);

		neighbour_send(stage.service, notices[i].text);
		CHECK_EQUAL(push_rings_once(&stage), !notices[i].is_end);
		/* The client hears of it, too. */
		stage.juliet = rig_login(stage.world, BALCONY);
		push_end(&stage);
	}
}

static void
what_is_disabled_does_not_ring(void **state)
{
	struct stage stage = push_begin_with(NULL);

	rig_send(stage.juliet, ENABLE(SERVICE, "1", ""));
	rig_send(stage.juliet, ENABLE(SERVICE, "2", ""));
	rig_send(stage.juliet, ENABLE(SERVICE, "3", ""));
	rig_send(stage.juliet, ENABLE("x." SERVICE, "3", ""));
	rig_send(stage.juliet, DISABLE("jid='" SERVICE "' node='2'"));
	rig_skip(stage.juliet);
	push_say(&stage);
	push_expect(&stage, "node='1'", "");
	push_succeed(&stage);
	push_expect(&stage, "node='3'", "");
	/* Its answer finds nobody. */
	rig_send(stage.juliet, DISABLE("jid='" SERVICE "'"));
	push_succeed(&stage);
	world_sleep(stage.world, MINUTES);
	push_say(&stage);
	CHECK(push_next(&stage) == NULL);
	/* Nobody answers there. */
	rig_send(stage.juliet, DISABLE("jid='x." SERVICE "'"));
	push_end(&stage);
}

static void
it_goes_with_the_account(void **state)
{
	struct stage stage = push_begin("registration.open: true\n"
					"push.interval: 10 s\n");

	stage.juliet = rig_bind(stage.world, BALCONY);
	push_say(&stage);
	CHECK(push_next(&stage) != NULL);
	rig_send(stage.juliet,
	    SET("r", "<query xmlns='jabber:iq:register'><remove/></query>"));
	push_succeed(&stage);
	world_sleep(stage.world, MINUTES);
	world_add_account(stage.world, JULIET, NULL);
	CHECK(!push_rings_once(&stage));
	push_end(&stage);
}

static void
a_reload_keeps_what_goes_on(void **state)
{
	struct stage stage = push_begin("push.interval: 10 s\n");

	push_say(&stage);
	CHECK(push_next(&stage) != NULL);
	push_say(&stage);
	world_reload(stage.world, "hosts:\n  montague.example: {}\n"
				  "  capulet.example: {modules: {vcard: off}}\n"
				  "push.interval: 10 s\n");
	world_sleep(stage.world, 15 * SECONDS);
	CHECK(push_next(&stage) == NULL);
	push_succeed(&stage);
	push_expect(&stage, COUNTS("2"), "");
	push_succeed(&stage);
	push_end(&stage);
}

static void
a_host_may_switch_it_off(void **state)
{
	struct stage stage = push_begin("push.interval: 10 s\n");

	push_say(&stage);
	CHECK(push_next(&stage) != NULL);
	push_say(&stage);
	push_succeed(&stage);
	world_reload(stage.world,
	    "hosts:\n  montague.example: {}\n"
	    "  capulet.example: {modules: {push: off}}\n");
	world_sleep(stage.world, 15 * SECONDS);
	push_say(&stage);
	CHECK(push_next(&stage) == NULL);
	push_end(&stage);
}

/* The answer comes while it is off. */
static void
it_goes_on_when_it_is_on_again(void **state)
{
	struct stage stage = push_begin("push.interval: 10 s\n");

	(void)state;
	push_say(&stage);
	CHECK(push_next(&stage) != NULL);
	world_reload(stage.world,
	    "hosts:\n  montague.example: {}\n"
	    "  capulet.example: {modules: {push: off}}\n");
	push_succeed(&stage);
	world_reload(stage.world, "hosts:\n  montague.example: {}\n"
				  "  capulet.example: {}\n");
	world_sleep(stage.world, 15 * SECONDS);
	CHECK(push_rings_once(&stage));
	push_end(&stage);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(errors_that_stay_disable_it),
	    cmocka_unit_test(the_same_service_is_disabled_per_device),
	    cmocka_unit_test(errors_of_before_do_not_disable_it),
	    cmocka_unit_test(without_an_answer_it_is_tried_again),
	    cmocka_unit_test(one_that_fails_for_long_is_forgotten),
	    cmocka_unit_test(a_success_ends_the_failing),
	    cmocka_unit_test(the_service_may_end_it),
	    cmocka_unit_test(what_is_disabled_does_not_ring),
	    cmocka_unit_test(it_goes_with_the_account),
	    cmocka_unit_test(a_reload_keeps_what_goes_on),
	    cmocka_unit_test(a_host_may_switch_it_off),
	    cmocka_unit_test(it_goes_on_when_it_is_on_again),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* A module is switched off and on again, by a reload or over a restart, while
 * sessions have what it keeps and have not acknowledged it. */
#include "modules/archive.h"

#include "modules/waiting_rig.h"

#define HOSTS      "hosts: {montague.example: {}, capulet.example: {}}\n"
#define ALL        HOSTS
#define NO_ARCHIVE HOSTS "modules: {archive: false}\n"
#define ALONE      NO_ARCHIVE
#define NEITHER    HOSTS "modules: {archive: false, offline: false}\n"

static const struct {
	const char *on, *off;
} modules[] = {
    {ALL, NO_ARCHIVE},
    {ALONE, NEITHER},
};

/* Who was sent it goes while nobody looks. */
static void
what_was_sent_comes_back_when_it_is_on_again(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT_OF(modules); i++) {
		struct world *world = rig_world(i + 1, 0, NULL);
		struct world_peer *romeo, *juliet;
		char id[RIG_ID_LEN];

		world_reload(world, modules[i].on);
		romeo = rig_bind(world, ROMEO "/orchard");
		rig_enable(romeo, id);
		juliet = rig_login(world, JULIET "/balcony");
		waiting_say(romeo, "m1");
		CHECK(rig_finds(juliet, "<message id='m1'/>"));
		world_sleep(world, 100);
		world_reload(world, modules[i].off);
		world_sleep(world, 1000);
		world_cut(&juliet);
		world_sleep(world, 1000);
		world_reload(world, modules[i].on);
		world_sleep(world, 1000);
		juliet = rig_bind(world, JULIET "/garden");
		rig_send(juliet, "<presence/>");
		if (!rig_finds(juliet, "<message id='m1'/>"))
			fail_msg("nobody has the message of row %zu", i);
		world_free(&world);
	}
}

/* More waits than she is sent at once. */
static void
who_was_sent_a_part_may_go_unseen(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT_OF(modules); i++) {
		struct world *world = rig_world(i + 1, 0, NULL);
		struct world_peer *romeo, *juliet;
		char id[RIG_ID_LEN];

		world_reload(world, modules[i].on);
		romeo = rig_bind(world, ROMEO "/orchard");
		waiting_say_many(romeo, 0, 900);
		juliet = rig_bind(world, JULIET "/balcony");
		rig_enable(juliet, id);
		rig_send(juliet, "<presence/>");
		CHECK(rig_hears(juliet, "<message") < 900);
		world_reload(world, modules[i].off);
		world_sleep(world, 1000);
		rig_send(juliet, "</stream:stream>");
		world_sleep(world, 1000);
		world_reload(world, modules[i].on);
		world_sleep(world, 1000);
		juliet = rig_bind(world, JULIET "/garden");
		rig_send(juliet, "<presence/>");
		if (!rig_finds(juliet, "<message id='m0'/>"))
			fail_msg("nobody has the messages of row %zu", i);
		world_free(&world);
	}
}

/* What its session did not acknowledge, and what waits. */
static void
what_is_archived_comes_when_the_archive_is_on_again(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 2; i++) {
		struct world *world = rig_world(i + 1, 0, NULL);
		struct world_peer *romeo = rig_bind(world, ROMEO "/orchard");
		struct world_peer *juliet = NULL;
		char id[RIG_ID_LEN];

		if (i == 0) {
			juliet = rig_login(world, JULIET "/balcony");
			rig_enable(juliet, id);
		}
		waiting_say(romeo, "m1");
		world_sleep(world, 2000);
		world_reload(world, NO_ARCHIVE);
		world_restart(world);
		world_sleep(world, 30 * 60 * 1000);
		juliet = rig_login(world, JULIET "/garden");
		world_cut(&juliet);
		world_sleep(world, 1000);
		world_reload(world, ALL);
		world_restart(world);
		juliet = rig_bind(world, JULIET "/garden");
		rig_send(juliet, "<presence/>");
		CHECK(rig_finds(juliet, "<message id='m1'/>"));
		world_free(&world);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(what_was_sent_comes_back_when_it_is_on_again),
	    cmocka_unit_test(who_was_sent_a_part_may_go_unseen),
	    cmocka_unit_test(
		what_is_archived_comes_when_the_archive_is_on_again),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

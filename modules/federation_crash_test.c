/*
 * Messages and requests for another domain wait, something happens to them, the
 * server is killed at every step of it: what was kept arrives or comes back, at
 * least once, and the neighbour never knows more than we do.
 *
 *	federation_crash_test FIRST_SEED COUNT
 */
#include "modules/roster.h"
#include "modules/waiting_rig.h"
#include "server/world_neighbour.h"
#include "server/world_private.h"

#define STEPS_MAX 200
#define MESSAGES  4
#define VERONA    "verona.example"
#define ESCALUS   "escalus@" VERONA
#define MINUTES   (60 * (uint64_t)1000)

struct scene {
	struct world *world;
	struct neighbour *verona;
	struct world_peer *romeo;
	unsigned step;
	unsigned got[MESSAGES]; /* how often each came somewhere */
};

static uint64_t first_seed = 1, seed_count = 2;

static void
begin(struct scene *scene, uint64_t seed, unsigned step)
{
	*scene = (struct scene){.step = step,
	    .world = rig_world(seed, 0, "limits.idle_ping: 0 s\n")};
	scene->verona = neighbour_new(scene->world, VERONA);
	scene->verona->mood = NEIGHBOUR_SILENT;
	scene->romeo = rig_login(scene->world, ROMEO "/orchard");
}

static void
say(const struct scene *scene, unsigned first, unsigned count)
{
	char text[200];

	for (unsigned i = first; i < first + count; i++) {
		snprintf(text, sizeof(text),
		    "<message type='chat' to='" ESCALUS "' id='m%u'>"
		    "<body>Hi</body></message>",
		    i);
		world_send(scene->romeo, text);
	}
	world_sleep(scene->world, 100);
	CHECK_EQUAL(rig_outbox(scene->world), first + count);
}

/* At the neighbour each comes after those before it have. */
static void
count(struct scene *scene, const char *text, bool is_ordered)
{
	char id[20];

	for (unsigned i = 0; i < MESSAGES; i++) {
		snprintf(id, sizeof(id), "id='m%u'", i);
		if (strstr(text, id) == NULL)
			continue;
		if (is_ordered && i > 0 && scene->got[i - 1] == 0)
			fail_msg("step %u: %s came too early", scene->step, id);
		scene->got[i]++;
	}
}

static void
read_neighbour(struct scene *scene)
{
	const char *text;

	while ((text = neighbour_next(scene->verona)) != NULL)
		if (strstr(text, "<message") != NULL)
			count(scene, text, true);
}

static void
read_romeo(struct scene *scene)
{
	const char *text;

	while ((text = world_next(scene->romeo)) != NULL)
		if (strstr(text, "<message") != NULL)
			count(scene, text, false);
}

static void
check_all(struct scene *scene, bool was_killed)
{
	for (unsigned i = 0; i < MESSAGES; i++)
		if (scene->got[i] == 0 || (!was_killed && scene->got[i] != 1))
			fail_msg("step %u: m%u came %u times", scene->step, i,
			    scene->got[i]);
	CHECK_EQUAL(rig_outbox(scene->world), 0);
}

/* --- they arrive ---------------------------------------------------------- */

static bool
arrive(uint64_t seed, unsigned step)
{
	struct scene scene;
	bool was_killed;

	begin(&scene, seed, step);
	say(&scene, 0, MESSAGES);
	scene.verona->mood = NEIGHBOUR_WILLING;
	world_kill_after(scene.world, step);
	neighbour_open(scene.verona, "montague.example");
	was_killed = world_was_killed(scene.world);
	world_sleep(scene.world, 1000);
	read_neighbour(&scene);
	check_all(&scene, was_killed);
	read_romeo(&scene);
	world_free(&scene.world);
	return was_killed;
}

/* --- they come back ------------------------------------------------------- */

static void
bring_back(struct scene *scene)
{
	scene->verona->mood = NEIGHBOUR_UNREACHABLE;
	world_sleep(scene->world, 14 * MINUTES);
	read_romeo(scene);
	CHECK_EQUAL(scene->got[0], 0);
}

static bool
come_back(uint64_t seed, unsigned step)
{
	struct scene scene;
	bool was_killed;

	begin(&scene, seed, 0);
	say(&scene, 0, MESSAGES);
	world_kill(scene.world);
	world_cut(&scene.romeo);
	scene.romeo = rig_login(scene.world, ROMEO "/orchard");
	bring_back(&scene);
	scene.step = step;
	world_kill_after(scene.world, step);
	world_sleep(scene.world, 2 * MINUTES);
	was_killed = world_was_killed(scene.world);
	read_romeo(&scene);
	if (was_killed) {
		world_sleep(scene.world, 2 * MINUTES);
		world_cut(&scene.romeo);
		scene.romeo = rig_bind(scene.world, ROMEO "/orchard");
		rig_send(scene.romeo, "<presence/>");
		read_romeo(&scene);
	}
	waiting_prove(scene.world, scene.romeo);
	check_all(&scene, was_killed);
	world_free(&scene.world);
	return was_killed;
}

/* --- requests ------------------------------------------------------------- */

static bool
subscribe(uint64_t seed, unsigned step)
{
	struct scene scene;
	bool was_killed, is_known = false;
	const char *text;
	unsigned sub;

	begin(&scene, seed, step);
	scene.verona->mood = NEIGHBOUR_WILLING;
	world_send(
	    scene.romeo, "<presence type='subscribe' to='" ESCALUS "'/>");
	was_killed = rig_run_killed(scene.world, step);
	world_sleep(scene.world, 1000);
	while ((text = neighbour_next(scene.verona)) != NULL)
		is_known |= strstr(text, "type='subscribe'") != NULL;
	sub = rig_sub(scene.world, ROMEO, ESCALUS);
	if (((sub & SUB_ASK) != 0) != is_known)
		fail_msg("step %u: the sides disagree", step);
	CHECK(was_killed || is_known);
	CHECK_EQUAL(rig_outbox(scene.world), 0);
	world_free(&scene.world);
	return was_killed;
}

/* --- two runs --------------------------------------------------------------
 */

/* Who comes back at once writes nothing in the place of what waits already. */
static void
a_quick_start_leaves_rows_alone(void **state)
{
	struct scene scene;
	const char *text;
	unsigned next = 0;
	char id[20];

	(void)state;
	begin(&scene, first_seed, 0);
	say(&scene, 0, 40);
	world_set_absence(scene.world, 1);
	world_kill(scene.world);
	scene.romeo = rig_login(scene.world, ROMEO "/orchard");
	say(&scene, 40, 40);
	scene.verona->mood = NEIGHBOUR_WILLING;
	neighbour_open(scene.verona, "montague.example");
	world_sleep(scene.world, 1000);
	while ((text = neighbour_next(scene.verona)) != NULL) {
		snprintf(id, sizeof(id), "id='m%u'", next);
		next += strstr(text, id) != NULL;
	}
	CHECK_EQUAL(next, 80);
	CHECK_EQUAL(rig_outbox(scene.world), 0);
	world_free(&scene.world);
}

/* Its clock was set back: what waits is of a time that has not come. */
static void
a_clock_set_back_leaves_nothing(void **state)
{
	static const uint64_t seconds[] = {1, 30, 90};

	(void)state;
	for (unsigned i = 0; i < COUNT_OF(seconds); i++) {
		struct scene scene;

		begin(&scene, first_seed, i);
		world_sleep(scene.world, 2 * MINUTES);
		say(&scene, 0, MESSAGES);
		scene.world->wall_us -= seconds[i] * 1000000;
		world_set_absence(scene.world, 1);
		world_kill(scene.world);
		world_sleep(scene.world, 1000);
		scene.verona->mood = NEIGHBOUR_WILLING;
		neighbour_open(scene.verona, "montague.example");
		world_sleep(scene.world, 1000);
		read_neighbour(&scene);
		check_all(&scene, false);
		world_free(&scene.world);
	}
}

/* To the very microsecond: two runs write at the same time. */
static void
a_clock_set_back_puts_no_row_over_another(void **state)
{
	struct scene scene = {
	    .world = rig_world(first_seed, 1, "limits.idle_ping: 0 s\n")};
	uint64_t wall_us;

	(void)state;
	scene.verona = neighbour_new(scene.world, VERONA);
	scene.verona->mood = NEIGHBOUR_SILENT;
	scene.romeo = rig_login(scene.world, ROMEO "/orchard");
	wall_us = scene.world->wall_us;
	say(&scene, 0, MESSAGES / 2);
	world_kill(scene.world);
	scene.romeo = rig_login(scene.world, ROMEO "/orchard");
	scene.world->wall_us = wall_us;
	say(&scene, MESSAGES / 2, MESSAGES / 2);
	scene.verona->mood = NEIGHBOUR_WILLING;
	neighbour_open(scene.verona, "montague.example");
	world_sleep(scene.world, 1000);
	read_neighbour(&scene);
	check_all(&scene, false);
	world_free(&scene.world);
}

static void
at_every_step(bool (*play)(uint64_t seed, unsigned step))
{
	for (uint64_t seed = first_seed; seed < first_seed + seed_count; seed++)
		for (unsigned step = 1; step < STEPS_MAX; step++)
			if (!play(seed, step))
				break;
}

static void
what_waits_arrives(void **state)
{
	at_every_step(arrive);
}

static void
what_waits_too_long_comes_back(void **state)
{
	at_every_step(come_back);
}

static void
requests_leave_when_they_are_kept(void **state)
{
	at_every_step(subscribe);
}

int
main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(what_waits_arrives),
	    cmocka_unit_test(what_waits_too_long_comes_back),
	    cmocka_unit_test(requests_leave_when_they_are_kept),
	    cmocka_unit_test(a_quick_start_leaves_rows_alone),
	    cmocka_unit_test(a_clock_set_back_leaves_nothing),
	    cmocka_unit_test(a_clock_set_back_puts_no_row_over_another),
	};

	rig_seeds(argc, argv, &first_seed, &seed_count);
	return cmocka_run_group_tests(tests, NULL, NULL);
}

/*
 * Messages are kept, she comes, the server is killed at every step: what was
 * kept comes again until she proved receipt, once and in order. What is kept is
 * rows of their own, or the archive and its mark.
 *
 *	offline_crash_test FIRST_SEED COUNT
 */
#include "modules/offline.h"
#include "modules/waiting_rig.h"
#include "server/world_private.h"

#define STEPS_MAX 300

struct scene {
	struct world *world;
	struct world_peer *romeo, *juliet;
	unsigned round;
	unsigned step;
	bool has_archive;
};

static void
say(struct scene *scene, unsigned number)
{
	char text[200];

	snprintf(text, sizeof(text),
	    "<message type='chat' to='%s' id='r%u-m%u'><body>Hi</body>"
	    "</message>",
	    JULIET, scene->round, number);
	world_send(scene->romeo, text);
}

/* How many of the messages of this round she has now; they must be the first
 * ones, in order. */
static unsigned
read_all(struct scene *scene)
{
	const char *text;
	unsigned count = 0;

	while ((text = world_next(scene->juliet)) != NULL) {
		char id[40];

		if (strstr(text, "<message") == NULL)
			continue;
		snprintf(id, sizeof(id), "id='r%u-m%u'", scene->round, ++count);
		if (strstr(text, id) == NULL)
			fail_msg("step %u: wanted %s, came %s", scene->step, id,
			    text);
	}
	return count;
}

static unsigned
kept(struct scene *scene)
{
	const struct account *account = rig_account(scene->world, JULIET);

	return rig_count(
	    scene->world, account->owner.id, offline_module.kinds[0]);
}

static void
begin_round(struct scene *scene, unsigned step)
{
	scene->round++;
	scene->step = step;
	scene->romeo = rig_bind(scene->world, ROMEO "/orchard");
	say(scene, 1);
	say(scene, 2);
	world_run(scene->world);
	CHECK(scene->has_archive || kept(scene) == 2);
	scene->juliet = rig_bind(scene->world, JULIET "/balcony");
}

static void
come_again(struct scene *scene)
{
	world_cut(&scene->juliet);
	scene->juliet = rig_bind(scene->world, JULIET "/chamber");
	rig_send(scene->juliet, "<presence/>");
}

static void
end_round(struct scene *scene)
{
	world_cut(&scene->romeo);
	world_cut(&scene->juliet);
	world_run(scene->world);
	CHECK_EQUAL(kept(scene), 0);
}

/* She comes while one more is sent. */
static bool
come_and_be_killed(struct scene *scene, unsigned step)
{
	bool was_killed;
	unsigned count;

	begin_round(scene, step);
	world_send(scene->juliet, "<presence/>");
	say(scene, 3);
	was_killed = rig_run_killed(scene->world, step);
	count = read_all(scene);
	CHECK(was_killed || count == 3);
	if (was_killed) {
		come_again(scene);
		CHECK(read_all(scene) >= 2);
	}
	waiting_prove(scene->world, scene->juliet);
	end_round(scene);
	return was_killed;
}

/* She has them and proves it. */
static bool
prove_and_be_killed(struct scene *scene, unsigned step)
{
	unsigned left, count;
	bool was_killed;

	begin_round(scene, step);
	rig_send(scene->juliet, "<presence/>");
	CHECK_EQUAL(read_all(scene), 2);
	world_sleep(scene->world, 1500);
	world_send(scene->juliet, " ");
	was_killed = rig_run_killed(scene->world, step);
	left = kept(scene);
	CHECK(left == 0 || (was_killed && left == 2));
	if (was_killed) {
		come_again(scene);
		count = read_all(scene);
		CHECK(scene->has_archive ? count == 0 || count == 2
					 : count == left);
	}
	waiting_prove(scene->world, scene->juliet);
	end_round(scene);
	return was_killed;
}

/* She goes and comes by another resource. */
static bool
leave_and_be_killed(struct scene *scene, unsigned step)
{
	struct world_peer *other;
	bool was_killed;

	begin_round(scene, step);
	other = rig_bind(scene->world, JULIET "/garden");
	world_send(scene->juliet, "<presence/>");
	world_step(scene->world, step % 7);
	world_cut(&scene->juliet);
	world_send(other, "<presence/>");
	scene->juliet = other;
	was_killed = rig_run_killed(scene->world, step);
	if (was_killed)
		come_again(scene);
	CHECK_EQUAL(read_all(scene), 2);
	waiting_prove(scene->world, scene->juliet);
	end_round(scene);
	return was_killed;
}

static uint64_t first_seed = 1, seed_count = 2;

static void
play(bool (*part)(struct scene *, unsigned step))
{
	for (uint64_t i = 0; i < 2 * seed_count; i++) {
		const uint64_t seed = first_seed + i / 2;
		const unsigned shards = 1 + (unsigned)(seed % 4);
		const bool has_archive = i % 2 == 0;
		struct scene scene = {
		    .world = rig_world(seed, shards,
			has_archive ? NULL : "modules: {archive: false}\n"),
		    .has_archive = has_archive};
		unsigned step = 1;

		while (part(&scene, step))
			CHECK(++step < STEPS_MAX);
		world_free(&scene.world);
	}
}

static void
nothing_is_lost_when_she_comes(void **state)
{
	play(come_and_be_killed);
}

static void
nothing_is_lost_when_she_proves(void **state)
{
	play(prove_and_be_killed);
}

static void
nothing_is_lost_when_she_leaves(void **state)
{
	play(leave_and_be_killed);
}

int
main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(nothing_is_lost_when_she_comes),
	    cmocka_unit_test(nothing_is_lost_when_she_proves),
	    cmocka_unit_test(nothing_is_lost_when_she_leaves),
	};

	rig_seeds(argc, argv, &first_seed, &seed_count);
	return cmocka_run_group_tests(tests, NULL, NULL);
}

/*
 * Romeo writes to another server and to Juliet while the server is stopped and
 * killed, from a seed: what he was told to be handled arrives or comes back,
 * and what he was not he sends again, so at last all of it is somewhere.
 *
 *	federation_restart_test FIRST_SEED COUNT
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "modules/modules_rig.h"
#include "server/world_neighbour.h"
#include "server/world_private.h"

#define SM           "urn:xmpp:sm:3"
#define VERONA       "verona.example"
#define MESSAGES_MAX 4000
#define ROUNDS       25

struct scene {
	struct world *world;
	struct neighbour *verona;
	struct world_peer *romeo, *juliet; /* NULL: not there */
	uint64_t seed;
	char id[RIG_ID_LEN];
	unsigned first, count; /* not known to be handled; said */
	unsigned settled;      /* h that first stands for */
	unsigned heard;        /* since stream management is on */
	bool is_there[MESSAGES_MAX];
};

static uint64_t first_seed = 1, seed_count = 40;

static unsigned
draw(const struct scene *scene, unsigned below)
{
	return world_random(scene->world, below);
}

static void
note(struct scene *scene, const char *text)
{
	const char *at = strstr(text, "id='m");

	if (strstr(text, "<message") != NULL && at != NULL)
		scene->is_there[strtoul(at + 5, NULL, 10)] = true;
}

static void
be_told(struct scene *scene, const char *text)
{
	const char *at = strstr(text, " h='");
	unsigned h;

	if (at == NULL)
		return;
	h = (unsigned)strtoul(at + 4, NULL, 10);
	if (h < scene->settled)
		return;
	CHECK(h - scene->settled <= scene->count - scene->first);
	scene->first += h - scene->settled;
	scene->settled = h;
}

static bool
is_stanza(const char *text)
{
	return strncmp(text, "<message", 8) == 0 ||
	       strncmp(text, "<presence", 9) == 0 ||
	       strncmp(text, "<iq", 3) == 0;
}

static void
hear(struct scene *scene, const char *text)
{
	if (is_stanza(text)) {
		scene->heard++;
		note(scene, text);
	} else if (strncmp(text, "<a ", 3) == 0) {
		be_told(scene, text);
	}
}

static void
read_romeo(struct scene *scene)
{
	const char *text;

	while (
	    scene->romeo != NULL && (text = world_next(scene->romeo)) != NULL)
		hear(scene, text);
}

static void
read_all(struct scene *scene)
{
	const char *text;

	read_romeo(scene);
	while (
	    scene->juliet != NULL && (text = world_next(scene->juliet)) != NULL)
		note(scene, text);
	while ((text = neighbour_next(scene->verona)) != NULL)
		note(scene, text);
}

static void
send_one(struct scene *scene, unsigned number)
{
	char text[200];

	snprintf(text, sizeof(text),
	    "<message type='chat' to='%s' id='m%u'><body>%u</body></message>",
	    number % 2 == 0 ? "escalus@" VERONA : JULIET, number, number);
	world_send(scene->romeo, text);
}

/* What counts is what comes from then on; presence is the first that is sent.
 */
static void
begin_anew(struct scene *scene)
{
	const char *text, *at;

	scene->romeo = world_connect(scene->world, ROMEO "/orchard");
	rig_send(scene->romeo, "<enable xmlns='" SM "' resume='true'/>");
	while ((text = world_next(scene->romeo)) != NULL &&
	       strncmp(text, "<enabled", 8) != 0)
		note(scene, text);
	must(text != NULL);
	at = strstr(text, " id='") + 5;
	snprintf(
	    scene->id, sizeof(scene->id), "%.*s", (int)strcspn(at, "'"), at);
	scene->settled = 1;
	scene->heard = 0;
	rig_send(scene->romeo, "<presence/>");
}

/* As clients do: they resume, or learn how much was handled. */
static void
come(struct scene *scene)
{
	const char *text;

	scene->romeo = world_connect(scene->world, ROMEO);
	rig_resume(scene->romeo, scene->id, scene->heard);
	text = world_next(scene->romeo);
	if (text == NULL) {
		world_sleep(scene->world, 6000);
		text = world_next(scene->romeo);
	}
	if (text == NULL || (strncmp(text, "<resumed", 8) != 0 &&
				strncmp(text, "<failed", 7) != 0))
		fail_msg("seed %u: got %s", (unsigned)scene->seed, text);
	be_told(scene, text);
	if (strncmp(text, "<failed", 7) == 0) {
		world_cut(&scene->romeo);
		begin_anew(scene);
	}
	for (unsigned i = scene->first; i < scene->count; i++)
		send_one(scene, i);
}

static void
go(struct scene *scene)
{
	read_all(scene);
	world_cut(&scene->romeo);
}

static void
talk(struct scene *scene)
{
	const unsigned count = draw(scene, draw(scene, 5) == 0 ? 60 : 8);

	if (scene->romeo == NULL || world_is_closed(scene->romeo)) {
		if (scene->romeo != NULL)
			go(scene);
		come(scene);
	}
	for (unsigned i = 0; i < count; i++)
		send_one(scene, scene->count++);
	if (draw(scene, 2) == 0)
		world_send(scene->romeo, "<r xmlns='" SM "'/>");
}

static void
move_juliet(struct scene *scene)
{
	if (scene->juliet != NULL) {
		world_run(scene->world);
		read_all(scene);
		world_cut(&scene->juliet);
	} else {
		scene->juliet = world_connect(scene->world, JULIET "/balcony");
		rig_send(scene->juliet, "<presence/>");
	}
}

static void
move_verona(struct scene *scene)
{
	static const enum neighbour_mood moods[] = {NEIGHBOUR_WILLING,
	    NEIGHBOUR_WILLING, NEIGHBOUR_SILENT, NEIGHBOUR_UNREACHABLE,
	    NEIGHBOUR_REFUSING};

	scene->verona->mood = moods[draw(scene, COUNT_OF(moods))];
	scene->verona->is_lazy = draw(scene, 2) == 0;
	switch (draw(scene, 4)) {
	case 0:
		neighbour_cut(scene->verona, draw(scene, 2) == 0);
		break;
	case 1:
		neighbour_open(scene->verona, "montague.example");
		break;
	case 2:
		neighbour_ack(scene->verona);
		break;
	default:
		break;
	}
}

/* What is said is committed late, and perhaps not before a kill. */
static void
hold_a_while(struct scene *scene)
{
	world_hold_store(scene->world, true);
	talk(scene);
	world_sleep(scene->world, draw(scene, 500));
	if (draw(scene, 2) == 0)
		go(scene);
	if (draw(scene, 2) == 0)
		move_verona(scene);
	world_sleep(scene->world, draw(scene, 3000));
	world_hold_store(scene->world, false);
	(void)world_step(scene->world, draw(scene, 60));
	if (draw(scene, 2) == 0)
		world_kill(scene->world);
}

static void
upset(struct scene *scene)
{
	world_set_absence(
	    scene->world, draw(scene, 2) == 0 ? 1 : draw(scene, 2000));
	if (draw(scene, 10) == 0)
		scene->world->wall_us -= (uint64_t)draw(scene, 40000) * 1000;
	if (scene->romeo != NULL && !world_is_closed(scene->romeo) &&
	    draw(scene, 4) == 0)
		hold_a_while(scene);
	switch (draw(scene, 8)) {
	case 0:
		world_restart(scene->world);
		break;
	case 1:
		world_sleep(scene->world, draw(scene, 100));
		world_kill(scene->world);
		break;
	case 2:
		world_kill_after(scene->world, 1 + draw(scene, 300));
		world_sleep(scene->world, draw(scene, 100));
		(void)world_was_killed(scene->world);
		break;
	case 3: /* in the middle of its end, or of its start */
		world_kill_after(scene->world, 1 + draw(scene, 300));
		world_restart(scene->world);
		break;
	default:
		break;
	}
	read_all(scene);
	if (scene->romeo != NULL && world_is_closed(scene->romeo))
		go(scene);
	if (scene->juliet != NULL && world_is_closed(scene->juliet))
		world_cut(&scene->juliet);
}

/* Both prove that they have what came. */
static void
answer(struct scene *scene)
{
	char text[100];

	read_all(scene);
	snprintf(
	    text, sizeof(text), "<a xmlns='" SM "' h='%u'/>", scene->heard);
	rig_send(scene->romeo, text);
	rig_send(scene->juliet, "<iq type='get' id='p'>"
				"<ping xmlns='urn:xmpp:ping'/></iq>");
}

static void
settle(struct scene *scene)
{
	scene->verona->mood = NEIGHBOUR_WILLING;
	scene->verona->is_lazy = false;
	world_sleep(scene->world, 1000);
	if (scene->romeo != NULL)
		go(scene);
	come(scene);
	if (scene->juliet != NULL)
		move_juliet(scene);
	move_juliet(scene);
	neighbour_cut(scene->verona, true);
	neighbour_open(scene->verona, "montague.example");
	for (unsigned i = 0; i < 60; i++) {
		world_sleep(scene->world, 1000);
		answer(scene);
	}
}

static void
play(uint64_t seed)
{
	static const char *const yaml[] = {
	    "archive: {default: never}\n",
	    "archive: {default: always}\n",
	    "archive: {default: never}\ns2s: {hold_messages: 1 s}\n",
	};
	struct scene scene = {.seed = seed,
	    .world = rig_world(seed, 0, yaml[seed % COUNT_OF(yaml)])};

	scene.verona = neighbour_new(scene.world, VERONA);
	begin_anew(&scene);
	for (unsigned i = 0; i < ROUNDS; i++) {
		talk(&scene);
		(void)world_step(scene.world, draw(&scene, 200));
		if (draw(&scene, 2) == 0)
			move_verona(&scene);
		if (draw(&scene, 4) == 0)
			move_juliet(&scene);
		if (draw(&scene, 3) == 0)
			world_sleep(scene.world, draw(&scene, 3000));
		do
			upset(&scene);
		while (draw(&scene, 4) == 0);
	}
	settle(&scene);
	for (unsigned i = 0; i < scene.count; i++)
		if (!scene.is_there[i])
			fail_msg("seed %u: m%u of %u is nowhere",
			    (unsigned)seed, i, scene.count);
	CHECK_EQUAL(rig_outbox(scene.world), 0);
	world_free(&scene.world);
}

static void
nothing_that_was_handled_is_lost(void **state)
{
	(void)state;
	for (uint64_t i = 0; i < seed_count; i++)
		play(first_seed + i);
}

int
main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(nothing_that_was_handled_is_lost),
	};

	rig_seeds(argc, argv, &first_seed, &seed_count);
	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* Presence that is owed: how much of it there may be, and for whom. */
#include <stdio.h>
#include <string.h>

#include "base/check.h"
#include "server/remote.h"
#include "server/remote_private.h"
#include "server/world_neighbour.h"
#include "server/world_private.h"

/* Without modules: stanzas go straight from sessions to the remote. */
const struct module *const modules_builtin[] = {NULL};

#define ROMEO     "romeo@montague.example"
#define VERONA    "verona.example"
#define MINUTES   ((uint64_t)60 * 1000)
#define LEAVE(to) "<presence type='unavailable' to='a@" to "/x'/>"

struct stage {
	struct world *world;
	struct neighbour *verona;
	struct world_peer *romeo;
};

static struct stage
begin(const char *yaml)
{
	char all[400];
	struct stage stage;

	snprintf(all, sizeof(all),
	    "limits.idle_ping: 0 s\nlimits.rate: 1 GiB\nlimits.burst: 1 GiB\n"
	    "%s",
	    yaml);
	stage.world = world_new(
	    &(struct world_options){.seed = 1, .shard_count = 1, .yaml = all});
	world_add_account(stage.world, ROMEO, NULL);
	stage.verona = neighbour_new(stage.world, VERONA);
	stage.romeo = world_connect(stage.world, ROMEO "/orchard");
	return stage;
}

static void
say(const struct stage *stage, const char *text)
{
	world_send(stage->romeo, text);
	world_run(stage->world);
}

static void
say_to(const struct stage *stage, const char *id, const char *domain)
{
	char text[2000];

	snprintf(text, sizeof(text),
	    "<message id='%s' to='a@%s'><body>x</body></message>", id, domain);
	say(stage, text);
}

static bool
got(struct neighbour *neighbour, const char *part)
{
	const char *text = neighbour_next(neighbour);

	return text != NULL && strstr(text, part) != NULL;
}

static struct remotes *
remotes(const struct stage *stage)
{
	return stage->world->server.shards[0].remotes;
}

/* It is known, and was cut off. */
static void
lose_verona(struct stage *stage)
{
	say_to(stage, "m1", VERONA);
	CHECK(got(stage->verona, "id='m1'"));
	stage->verona->mood = NEIGHBOUR_UNREACHABLE;
	neighbour_cut(stage->verona, false);
}

/* A stream that is resumed late tells that it had it: who has come again since
 * must not leave. */
static void
what_is_acknowledged_late_is_owed_no_more(void **state)
{
	struct stage stage = begin("");

	(void)state;
	say_to(&stage, "m1", VERONA);
	CHECK(got(stage.verona, "id='m1'"));
	stage.verona->is_lazy = true;
	say(&stage, LEAVE(VERONA));
	say(&stage, LEAVE(VERONA));
	CHECK(got(stage.verona, "unavailable"));
	CHECK(got(stage.verona, "unavailable"));
	stage.verona->mood = NEIGHBOUR_UNREACHABLE;
	neighbour_cut(stage.verona, false);
	world_sleep(stage.world, 2 * MINUTES);
	shard_enter(&stage.world->server.shards[0]);
	remote_tell_acked(&stage.world->server.shards[0],
	    STR("montague.example"), STR(VERONA), 2);
	world_run(stage.world);
	neighbour_open(stage.verona, "montague.example");
	CHECK(got(stage.verona, "unavailable"));
	CHECK(neighbour_next(stage.verona) == NULL);
	world_free(&stage.world);
}

/* With a small queue, too: what is owed for a day leaves the most of it. */
static void
messages_find_room_beside_what_is_owed(void **state)
{
	struct stage stage = begin("s2s.queue: 40\n");

	(void)state;
	lose_verona(&stage);
	for (unsigned i = 0; i < 40; i++)
		say(&stage, LEAVE(VERONA));
	world_sleep(stage.world, 2 * MINUTES);
	for (unsigned i = 0; i < 20; i++)
		say_to(&stage, "m2", VERONA);
	CHECK(world_next(stage.romeo) == NULL);
	neighbour_open(stage.verona, "montague.example");
	CHECK(got(stage.verona, "unavailable"));
	world_free(&stage.world);
}

/* Many domains, of somebody who wants to fill the memory, leave room for what
 * goes to others. */
static void
what_is_owed_by_a_shard_is_bounded(void **state)
{
	enum { DOMAINS = 40, TIMES = 20 };
	struct stage stage = begin("");
	static char names[DOMAINS][32], text[110000];
	struct neighbour *lost[DOMAINS];

	(void)state;
	for (unsigned i = 0; i < DOMAINS; i++) {
		snprintf(names[i], sizeof(names[i]), "d%u.example", i);
		lost[i] = neighbour_new(stage.world, names[i]);
		say_to(&stage, "m1", names[i]);
		CHECK(got(lost[i], "id='m1'"));
		lost[i]->mood = NEIGHBOUR_UNREACHABLE;
		neighbour_cut(lost[i], true);
	}
	for (unsigned i = 0; i < DOMAINS; i++) {
		snprintf(text, sizeof(text),
		    "<presence type='unavailable' to='a@%s/x'><status>%0*d"
		    "</status></presence>",
		    names[i], 100000, 0);
		for (unsigned j = 0; j < TIMES; j++)
			say(&stage, text);
		world_sleep(stage.world, 2 * MINUTES);
	}
	say_to(&stage, "m2", VERONA);
	CHECK(got(stage.verona, "id='m2'"));
	CHECK(remotes(&stage)->bytes <= (size_t)16 * 1024 * 1024);
	lost[0]->mood = NEIGHBOUR_WILLING;
	world_sleep(stage.world, 10 * MINUTES);
	CHECK(got(lost[0], "unavailable"));
	world_free(&stage.world);
}

/* A stream of theirs, of that slot, which ends as by a cut wire. */
static void
break_link(const struct stage *stage, const char *domain, unsigned slot)
{
	struct shard *shard = &stage->world->server.shards[0];
	static const enum path_event events[] = {PATH_READY, PATH_GONE};

	shard_enter(shard);
	for (size_t i = 0; i < COUNT_OF(events); i++) {
		struct post *letter;
		struct path_note *note = path_note_new(events[i],
		    STR("montague.example"), str_of(domain), &letter);

		note->err = STANZA_ERR_REMOTE_SERVER_TIMEOUT;
		letter->stream = (struct stream_id){.slot = slot, .use = 1};
		post_send(shard, letter);
	}
}

/* Of a crowd of links that broke, and that nothing is to go on, the half is
 * tried again; the others leave room. */
static void
a_crowd_of_broken_links_leaves_room(void **state)
{
	struct stage stage = begin("");

	(void)state;
	for (unsigned i = 0; i < SILENT_MAX; i++) {
		char domain[32];

		snprintf(domain, sizeof(domain), "d%u.example", i);
		break_link(&stage, domain, 1000 + i);
	}
	world_run(stage.world);
	CHECK_EQUAL(remotes(&stage)->silent_count, SILENT_MAX);
	world_sleep(stage.world, 20 * MINUTES);
	CHECK_EQUAL(remotes(&stage)->silent_count, SILENT_MAX / 2);
	say_to(&stage, "m1", VERONA);
	CHECK(got(stage.verona, "id='m1'"));
	world_free(&stage.world);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(what_is_acknowledged_late_is_owed_no_more),
	    cmocka_unit_test(messages_find_room_beside_what_is_owed),
	    cmocka_unit_test(what_is_owed_by_a_shard_is_bounded),
	    cmocka_unit_test(a_crowd_of_broken_links_leaves_room),
	};

	return cmocka_run_group_tests_name("remote_owed", tests, NULL, NULL);
}

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
	char all[200];
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
	char text[200];

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

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(what_is_acknowledged_late_is_owed_no_more),
	};

	return cmocka_run_group_tests_name("remote_owed", tests, NULL, NULL);
}

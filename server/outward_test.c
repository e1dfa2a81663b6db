/* In a world the server finds and dials other servers of that world. */
#include <string.h>

#include "base/check.h"
#include "server/dial.h"
#include "server/world_private.h"

const struct module *const modules_builtin[] = {NULL};

static struct world *world;
static struct arena *arena;
static bool is_done;
static struct conn *conn;

static int
start(void **state)
{
	(void)state;
	world = world_new(&(struct world_options){.seed = 1});
	arena = arena_make(0);
	world_serve(world, "open.example", WORLD_OPEN);
	world_serve(world, "shut.example", WORLD_SHUT);
	world_serve(world, "silent.example", WORLD_SILENT);
	shard_enter(&world->server.shards[0]);
	conn = NULL;
	return 0;
}

static int
stop(void **state)
{
	(void)state;
	world_free(&world);
	arena_free(&arena);
	return 0;
}

static void
resolved(struct resolve *resolve)
{
	(void)resolve;
	is_done = true;
}

static struct resolve *
resolve(const char *domain)
{
	struct shard *shard = &world->server.shards[0];
	struct resolve *resolve = arena_new(arena, struct resolve);
	struct policy policy;

	shard_enter(shard);
	policy_of(shard->setup, NULL, str_of(domain), &policy);
	is_done = false;
	resolve_start(shard, resolve, arena, &policy, str_of(domain), resolved);
	CHECK(!is_done);
	world_run(world);
	CHECK(is_done);
	return resolve;
}

static void
conn_gave(struct conn *given, struct str bytes)
{
	(void)given;
	(void)bytes;
}

static void
conn_closed(struct conn *given, const char *why)
{
	(void)given;
	(void)why;
	conn = NULL;
}

static const struct conn_events events = {
    .on_bytes = conn_gave,
    .on_secure = NULL,
    .on_closed = conn_closed,
};

static void
dialled(struct dial *dial)
{
	conn = dial->conn;
	if (conn != NULL)
		conn->events = &events;
	is_done = true;
}

static struct dial *
dial(const struct endpoint *endpoints, size_t count)
{
	struct dial *dial = arena_new(arena, struct dial);
	struct shard *shard = &world->server.shards[0];

	shard_enter(shard);
	is_done = false;
	dial_start(shard, dial, arena, endpoints, count, dialled);
	CHECK(!is_done);
	world_run(world);
	return dial;
}

static void
peers_are_reached(void **state)
{
	struct resolve *found = resolve("open.example");
	struct dial *reached = dial(found->endpoints, found->count);
	struct world_peer *peer = world_dialled(world, "open.example");

	(void)state;
	CHECK(found->err == ERR_NONE && found->count == 1);
	CHECK(reached->err == ERR_NONE && conn != NULL && peer != NULL);
	CHECK(!conn->is_secure);
	shard_enter(conn->shard);
	conn_write(
	    conn, STR("<stream:stream xmlns='jabber:server' "
		      "xmlns:stream='http://etherx.jabber.org/streams'><a/>"));
	world_run(world);
	CHECK(world_next(peer) != NULL);
	CHECK(strstr(world_next(peer), "<a") != NULL);
	CHECK(world_dialled(world, "open.example") == NULL);
	world_cut(&peer);
	world_run(world);
	CHECK(conn == NULL);
}

static void
others_are_not(void **state)
{
	struct resolve *found = resolve("nowhere.example");
	struct dial *reached;

	(void)state;
	CHECK(found->err == ERR_NOT_FOUND);
	found = resolve("shut.example");
	reached = dial(found->endpoints, found->count);
	CHECK(is_done && reached->err == ERR_UNAVAILABLE);
	found = resolve("silent.example");
	reached = dial(found->endpoints, found->count);
	CHECK(!is_done);
	world_sleep(world, 30001);
	CHECK(is_done && reached->err == ERR_TIMEOUT);
}

/* RFC 8305, section 5: the second has its chance a quarter of a second later,
 * the one that refuses does not delay it. */
static void
endpoints_race(void **state)
{
	struct endpoint endpoints[] = {
	    resolve("silent.example")->endpoints[0],
	    resolve("shut.example")->endpoints[0],
	    resolve("open.example")->endpoints[0],
	};
	struct dial *reached = dial(endpoints, 3);
	struct world_peer *peer;

	(void)state;
	world_sleep(world, 249);
	CHECK(!is_done);
	world_sleep(world, 2);
	CHECK(is_done && reached->endpoint == &endpoints[2]);
	peer = world_dialled(world, "open.example");
	world_cut(&peer);
	world_run(world);
}

/* It gives up at the moment of the end, whatever is left. */
static void
both_can_be_canceled(void **state)
{
	struct endpoint endpoint = resolve("silent.example")->endpoints[0];
	struct dial *reached = dial(&endpoint, 1);

	(void)state;
	shard_enter(reached->shard);
	dial_cancel(reached);
	CHECK(!is_done);
	world_run(world);
	CHECK(is_done && reached->err == ERR_CANCELED);
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(peers_are_reached, start, stop),
	    cmocka_unit_test_setup_teardown(others_are_not, start, stop),
	    cmocka_unit_test_setup_teardown(endpoints_race, start, stop),
	    cmocka_unit_test_setup_teardown(both_can_be_canceled, start, stop),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

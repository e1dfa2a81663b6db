/* How many connections one address may have (RFC 6120, section 13.12), how many
 * accounts it may make, how many owners load at once, and how long a store that
 * is behind stops its peers. */
#include <string.h>

#include "base/check.h"
#include "server/owner.h"
#include "server/world_private.h"

const struct module *const modules_builtin[] = {NULL};

static const char header[] =
    "<stream:stream xmlns='jabber:client' to='montague.example' version='1.0'"
    " xmlns:stream='http://etherx.jabber.org/streams'>";

static struct world_peer *
open_stream(struct world *world)
{
	struct world_peer *peer = world_connect(world, "");

	world_send(peer, header);
	world_run(world);
	return peer;
}

/* Whether it got features after the header, and no error. */
static bool
is_served(struct world_peer *peer)
{
	const char *text;
	bool has_features = false;

	while ((text = world_next(peer)) != NULL)
		has_features |= strstr(text, "mechanisms") != NULL;
	return has_features && !world_is_closed(peer);
}

static void
one_too_many_is_refused(void **state)
{
	struct world *world = world_new(&(struct world_options){
	    .seed = 1,
	    .yaml = "limits.connections: 2\n",
	    .is_one_address = true,
	});
	struct world_peer *one = open_stream(world);
	struct world_peer *two = open_stream(world);
	struct world_peer *three = open_stream(world);

	CHECK(is_served(one));
	CHECK(is_served(two));
	CHECK(!is_served(three));
	CHECK(world_is_closed(three));
	world_cut(&three);
	world_cut(&one);
	world_run(world);
	one = open_stream(world);
	CHECK(is_served(one));
	world_free(&world);
}

/* The answer to a registration of that name. */
static const char *
register_as(struct world *world, struct world_peer *peer, const char *name)
{
	char xml[300];

	snprintf(xml, sizeof(xml),
	    "<iq type='set' id='r'><query xmlns='jabber:iq:register'>"
	    "<username>%s</username><password>long enough</password>"
	    "</query></iq>",
	    name);
	world_send(peer, xml);
	world_run(world);
	return world_next(peer);
}

static void
registrations_of_an_address_are_few(void **state)
{
	struct world *world = world_new(&(struct world_options){
	    .seed = 1,
	    .yaml = "registration: {open: true, per_hour: 2}\n",
	    .is_one_address = true,
	});
	struct world_peer *one = open_stream(world), *two = open_stream(world);

	CHECK(is_served(one) && is_served(two));
	CHECK(strstr(register_as(world, one, "a"), "result") != NULL);
	CHECK(strstr(register_as(world, two, "b"), "result") != NULL);
	CHECK(strstr(register_as(world, one, "c"), "resource-constraint") !=
	      NULL);
	CHECK(strstr(register_as(world, two, "d"), "resource-constraint") !=
	      NULL);
	world_sleep(world, HOUR);
	one = open_stream(world);
	CHECK(is_served(one));
	CHECK(strstr(register_as(world, one, "c"), "result") != NULL);
	world_free(&world);
}

#define LOADS_MAX 256
#define OWNERS    1000

static unsigned
count_waiting(struct shard *shard)
{
	unsigned count = 0;

	list_each (owner, &shard->loads, struct owner, queue)
		count++;
	return count;
}

/* Whoever makes us ask for many names gets them one after the other. */
static void
owners_load_some_at_a_time(void **state)
{
	struct world *world =
	    world_new(&(struct world_options){.seed = 1, .shard_count = 1});
	struct arena *arena = arena_make(0);
	struct shard *shard = &world->server.shards[0];

	world_hold_store(world, true);
	shard_enter(shard);
	for (unsigned i = 0; i < OWNERS; i++)
		owner_want(shard,
		    jid_parse(arena,
			str_format(arena, "guard%u@montague.example", i)));
	CHECK_EQUAL(shard->load_count, LOADS_MAX);
	CHECK_EQUAL(count_waiting(shard), OWNERS - LOADS_MAX);
	world_hold_store(world, false);
	while (world_step(world, 1))
		CHECK(shard->load_count <= LOADS_MAX);
	CHECK_EQUAL(shard->load_count, 0);
	CHECK_EQUAL(count_waiting(shard), 0);
	CHECK_EQUAL(shard->absent_count, OWNERS);
	arena_free(&arena);
	world_free(&world);
}

static void
expect_writes(struct world *world, int count)
{
	for (unsigned i = 0; i < world->server.shard_count; i++)
		store_expect(world->server.shards[i].store, count);
}

/* However much waits for the store: else nobody would answer pings. */
static void
pauses_are_short(void **state)
{
	struct world *world = world_new(&(struct world_options){.seed = 1});
	struct world_peer *peer;

	(void)state;
	expect_writes(world, 3000000);
	peer = open_stream(world);
	CHECK(is_served(peer));
	world_send(peer, "</stream:stream>");
	world_run(world);
	CHECK(!world_is_closed(peer));
	world_sleep(world, 1000);
	CHECK(world_is_closed(peer));
	expect_writes(world, -3000000);
	world_free(&world);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(one_too_many_is_refused),
	    cmocka_unit_test(registrations_of_an_address_are_few),
	    cmocka_unit_test(owners_load_some_at_a_time),
	    cmocka_unit_test(pauses_are_short),
	};

	return cmocka_run_group_tests_name("limits", tests, NULL, NULL);
}

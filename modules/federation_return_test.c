/*
 * Messages for other domains that an earlier run had acknowledged, and that
 * this one cannot carry: they come back to their sender, who logs in later.
 */
#include "base/clock.h"
#include "modules/waiting_rig.h"
#include "server/outbox.h"
#include "server/remote_private.h"
#include "server/world_private.h"

#define LEFT(element, to) \
	"<" element " xmlns='jabber:client' from='" ROMEO "/orchard' to='a@" to

#define LEFT_MESSAGE \
	LEFT("message", "verona.example'") " id='m1'><body>Hi</body></message>"

/* He comes, is told of it once, and proves that. */
static void
check_returned(struct world *world, const char *error)
{
	struct world_peer *romeo = rig_bind(world, ROMEO "/garden");

	rig_send(romeo, "<presence/>");
	rig_expect(romeo, "<presence/>");
	CHECK(rig_finds(romeo, error));
	waiting_prove(world, romeo);
	rig_expect_nothing(romeo);
	world_cut(&romeo);
}

static void
check_nothing_is_left(struct world *world)
{
	struct world_peer *romeo = rig_login(world, ROMEO "/garden");

	rig_expect_nothing(romeo);
}

static void
what_was_taken_comes_back_where_others_are_shut_out(void **state)
{
	struct world *world = rig_world(1, 2, "s2s.enabled: false\n");

	(void)state;
	rig_outbox_add(world, LEFT_MESSAGE, 0);
	world_kill(world);
	world_sleep(world, 1000);
	check_returned(world,
	    "<message type='error' id='m1'><error type='cancel'>"
	    "<remote-server-not-found xmlns='" STANZAS "'/></error></message>");
	CHECK_EQUAL(rig_outbox(world), 0);
	world_free(&world);
}

#define SETTINGS "s2s.enabled: false\nlimits.idle_ping: 0 s\n"
#define SWITCHED(offline)                                               \
	"hosts: {montague.example: {}, capulet.example: {}}\n" SETTINGS \
	"modules: {archive: false, offline: " offline "}\n"

/* The session that it was sent to ends while nobody looks at that. */
static void
what_was_not_proved_comes_to_the_next_one(void **state)
{
	struct world *world = rig_world(1, 2, SETTINGS);
	struct world_peer *romeo = rig_bind(world, ROMEO "/orchard");
	char id[RIG_ID_LEN];

	(void)state;
	rig_enable(romeo, id);
	rig_outbox_add(world, LEFT_MESSAGE, 0);
	world_restart(world);
	world_sleep(world, 1000);
	romeo = rig_bind(world, ROMEO "/garden");
	world_reload(world, SWITCHED("false"));
	world_sleep(world, (uint64_t)20 * MINUTE);
	CHECK_EQUAL(rig_outbox(world), 1);
	world_reload(world, SWITCHED("true"));
	world_sleep(world, 1000);
	rig_send(romeo, "<presence/>");
	CHECK(rig_finds(romeo, "<message type='error' id='m1'/>"));
	waiting_prove(world, romeo);
	CHECK_EQUAL(rig_outbox(world), 0);
	world_free(&world);
}

/* --- where too many others are waited for ----------------------------------
 */

static void
on_connect_never(struct shard *shard, struct str local, struct str domain)
{
	(void)shard, (void)local, (void)domain;
}

/* Of that many other domains. */
static void
leave_many(struct world *world, unsigned count)
{
	struct shard *shard = &world->server.shards[0];
	struct arena *arena = arena_make(0);
	struct store_write *write;

	shard_enter(shard);
	write = store_write_new(shard->store);
	for (unsigned i = 0; i < count; i++)
		store_append(write, &outbox_kind,
		    &(struct log_row){.owner = OWNER_SERVER,
			.id = i + 1,
			.nonce = 1,
			.time_us = clock_wall_us(),
			.value = str_format(arena,
			    "0 " LEFT("message",
				"d%u.example'") "><body>Hi</body></message>",
			    i)});
	store_commit(write, NULL, NULL);
	world_hold_store(world, false); /* there is something to do */
	world_sleep(world, 1);
	arena_free(&arena);
}

/* It never heard of any of them. */
static void
restart(struct world *world)
{
	world_kill(world);
	world->server.s2s_connect = on_connect_never;
	world_sleep(world, 1000);
	CHECK_EQUAL(world->server.shards[0].remotes->silent_count, SILENT_MAX);
}

static void
what_was_taken_comes_back_where_too_many_are_waited_for(void **state)
{
	struct world *world = rig_world(1, 1, "limits.idle_ping: 0 s\n");

	(void)state;
	leave_many(world, SILENT_MAX);
	rig_outbox_add(world, LEFT_MESSAGE, 0);
	restart(world);
	check_returned(world,
	    "<message type='error' id='m1'><error type='wait'>"
	    "<resource-constraint xmlns='" STANZAS "'/></error></message>");
	restart(world);
	check_nothing_is_left(world);
	world_free(&world);
}

/* A request, likewise; it was never there. */
static void
who_asks_is_told_where_too_many_are_waited_for(void **state)
{
	struct world *world = rig_world(1, 1, "limits.idle_ping: 0 s\n");
	struct world_peer *romeo;

	(void)state;
	leave_many(world, SILENT_MAX);
	restart(world);
	romeo = rig_login(world, ROMEO "/orchard");
	rig_send(romeo, "<presence type='subscribe' to='a@verona.example'/>");
	CHECK(rig_finds(
	    romeo, "<presence type='error' from='a@verona.example'/>"));
	restart(world);
	romeo = rig_login(world, ROMEO "/orchard");
	rig_expect_nothing(romeo);
	world_free(&world);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(
		what_was_taken_comes_back_where_others_are_shut_out),
	    cmocka_unit_test(what_was_not_proved_comes_to_the_next_one),
	    cmocka_unit_test(
		what_was_taken_comes_back_where_too_many_are_waited_for),
	    cmocka_unit_test(who_asks_is_told_where_too_many_are_waited_for),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

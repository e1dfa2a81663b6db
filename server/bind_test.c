/*
 * server/bind_test.c - what a client sends right behind its request to bind,
 * and goes: it is handled, in its order, as if it had waited.
 */
#include <stdio.h>
#include <string.h>

#include "base/check.h"
#include "server/account.h"
#include "server/world_private.h"

static enum verdict on_sent(struct account *, struct session *, struct post *);

static const struct hook hooks[] = {
    {.on = HOOK_SENT_MESSAGE, .stanza = on_sent},
    {.on = HOOK_END},
};

static const struct module witness = {
    .api = MODULE_API, .name = "witness", .hooks = hooks};

const struct module *const modules_builtin[] = {&witness, NULL};

enum { SEEDS = 20, MESSAGES = 5 };

/* \0romeo\0secret */
#define LOGIN                                             \
	"<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' " \
	"mechanism='PLAIN'>AHJvbWVvAHNlY3JldA==</auth>"
#define BIND                                                          \
	"<iq type='set' id='b'>"                                      \
	"<bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'><resource>%s" \
	"</resource></bind></iq>"
#define MESSAGE "<message to='juliet@capulet.example/balcony' id='m%u'/>"

/* What hooks need is there. */
static enum verdict
on_sent(struct account *account, struct session *session, struct post *letter)
{
	(void)session;
	(void)letter;
	CHECK_EQUAL(account->owner.stage, OWNER_READY);
	return PASS;
}

static struct world *
make_world(uint64_t seed, const char *yaml)
{
	struct world *world =
	    world_new(&(struct world_options){.seed = seed, .yaml = yaml});

	world_add_account(world, "romeo@montague.example", NULL);
	world_add_account(world, "juliet@capulet.example", NULL);
	return world;
}

static struct world_peer *
log_in(struct world *world)
{
	struct world_peer *peer = world_connect(world, "");

	world_send(peer, WORLD_OPENING LOGIN);
	world_run(world);
	world_send(peer, WORLD_OPENING);
	world_run(world);
	while (world_next(peer) != NULL)
		continue;
	return peer;
}

static void
send_behind(struct world_peer *peer, const char *resource, const char *first)
{
	char text[1000];
	size_t len = 0;

	len += (size_t)snprintf(text, sizeof(text), BIND "%s", resource, first);
	for (unsigned i = 0; i < MESSAGES; i++)
		len += (size_t)snprintf(
		    text + len, sizeof(text) - len, MESSAGE, i);
	world_send(peer, text);
}

enum end { CUT, CLOSE, SLOW_CLOSE, BROKEN, ENDS };

static void
go(struct world *world, struct world_peer **peer, enum end how)
{
	if (how == CUT)
		world_cut(peer);
	else
		world_send(
		    *peer, how == BROKEN ? "</wrong>" : "</stream:stream>");
	if (how == SLOW_CLOSE)
		world_sleep(world, 1000);
	else
		world_run(world);
}

/* All of it, in order, from that resource (empty: any). */
static void
expect_all(struct world_peer *juliet, const char *resource)
{
	char from[100], id[20];

	snprintf(
	    from, sizeof(from), "from='romeo@montague.example/%s", resource);
	for (unsigned i = 0; i < MESSAGES; i++) {
		const char *text = world_next(juliet);

		snprintf(id, sizeof(id), "id='m%u'", i);
		if (text == NULL || strstr(text, id) == NULL ||
		    strstr(text, from) == NULL)
			fail_msg("message %u did not come", i);
	}
	CHECK(world_next(juliet) == NULL);
}

static void
play(uint64_t seed, enum end how, const char *resource, const char *first)
{
	struct world *world = make_world(seed, NULL);
	struct world_peer *juliet =
	    world_connect(world, "juliet@capulet.example/balcony");
	struct world_peer *romeo = log_in(world);

	world_hold_store(world, seed % 2 == 0);
	send_behind(romeo, resource, first);
	go(world, &romeo, how);
	world_hold_store(world, false);
	world_sleep(world, 1000);
	expect_all(juliet, resource);
	world_free(&world);
}

static void
what_came_behind_a_bind_is_handled(void **state)
{
	for (uint64_t seed = 1; seed <= SEEDS; seed++)
		for (enum end how = CUT; how < ENDS; how++)
			play(seed, how, seed % 3 == 0 ? "" : "orchard", "");
}

static void
so_it_is_with_stream_management(void **state)
{
	for (uint64_t seed = 1; seed <= SEEDS; seed++)
		for (enum end how = CUT; how < ENDS; how++)
			play(seed, how, "orchard",
			    "<enable xmlns='urn:xmpp:sm:3'/>");
}

/* The one before it must go first. */
static void
so_it_is_when_another_is_replaced(void **state)
{
	for (uint64_t seed = 1; seed <= SEEDS; seed++) {
		struct world *world = make_world(seed, NULL);
		struct world_peer *juliet =
		    world_connect(world, "juliet@capulet.example/balcony");
		struct world_peer *old =
		    world_connect(world, "romeo@montague.example/orchard");
		struct world_peer *romeo = log_in(world);

		send_behind(romeo, "orchard", "");
		go(world, &romeo, (enum end)(seed % ENDS));
		world_sleep(world, 1000);
		CHECK(world_is_closed(old));
		expect_all(juliet, "orchard");
		old = world_connect(world, "romeo@montague.example/orchard");
		CHECK(!world_is_closed(old));
		world_free(&world);
	}
}

/* As after a write that failed. */
static void
load_anew(struct world *world)
{
	struct arena *arena = arena_make(0);
	const struct jid *romeo =
	    jid_parse(arena, STR("romeo@montague.example"));
	struct shard *shard = shard_of(&world->server, romeo);

	shard_enter(shard);
	owner_reload(owner_find(shard, romeo));
	arena_free(&arena);
}

/* Its client waits for the one before, which is over when that is written; the
 * account loads then, and the stream ends before that or since. */
static void
wait_and_load(uint64_t seed, enum end how, bool is_end_first)
{
	struct world *world = make_world(seed, NULL);
	struct world_peer *juliet =
	    world_connect(world, "juliet@capulet.example/balcony");
	struct world_peer *old =
	    world_connect(world, "romeo@montague.example/orchard");
	struct world_peer *romeo;

	world_send(old, "<enable xmlns='urn:xmpp:sm:3' resume='true'/>");
	world_run(world);
	romeo = log_in(world);
	world_hold_store(world, true);
	send_behind(romeo, "orchard", "");
	if (is_end_first)
		go(world, &romeo, how);
	world_run(world);
	load_anew(world);
	if (!is_end_first)
		go(world, &romeo, how);
	CHECK(world_is_closed(old));
	world_hold_store(world, false);
	world_sleep(world, 1000);
	expect_all(juliet, "orchard");
	romeo = world_connect(world, "romeo@montague.example/orchard");
	CHECK(!world_is_closed(romeo));
	world_free(&world);
}

static void
so_it_is_when_the_account_loads(void **state)
{
	for (uint64_t seed = 1; seed <= SEEDS; seed++)
		for (enum end how = CUT; how < ENDS; how++) {
			wait_and_load(seed, how, true);
			wait_and_load(seed, how, false);
		}
}

static void
without_a_session_nothing_is(void **state)
{
	for (uint64_t seed = 1; seed <= SEEDS; seed++) {
		struct world *world =
		    make_world(seed, "sessions.conflict: refuse\n");
		struct world_peer *juliet =
		    world_connect(world, "juliet@capulet.example/balcony");
		struct world_peer *old =
		    world_connect(world, "romeo@montague.example/orchard");
		struct world_peer *romeo = log_in(world);

		send_behind(romeo, "orchard", "");
		go(world, &romeo, (enum end)(seed % ENDS));
		world_sleep(world, 1000);
		CHECK(!world_is_closed(old));
		CHECK(world_next(juliet) == NULL);
		world_free(&world);
	}
}

/* The host is gone when a bind that waited is refused; what came behind it is
 * for nobody. */
static void
a_host_goes_while_a_bind_waits(void **state)
{
	for (uint64_t seed = 1; seed <= SEEDS; seed++) {
		struct world *world = make_world(seed, NULL);
		struct world_peer *old =
		    world_connect(world, "romeo@montague.example/orchard");
		struct world_peer *romeo;

		(void)state;
		world_send(
		    old, "<enable xmlns='urn:xmpp:sm:3' resume='true'/>");
		world_run(world);
		romeo = log_in(world);
		world_hold_store(world, true);
		send_behind(
		    romeo, "orchard", "<inactive xmlns='urn:xmpp:csi:0'/>");
		world_run(world);
		load_anew(world);
		world_reload(world, "hosts: {capulet.example: {}}\n");
		world_hold_store(world, false);
		world_sleep(world, 10000);
		CHECK(world_is_closed(romeo));
		world_free(&world);
	}
}

static void
the_longest_resource_is_renamed_too(void **state)
{
	struct world *world = make_world(1, "sessions.conflict: rename\n");
	char resource[1024], text[1200];

	(void)state;
	memset(resource, 'r', sizeof(resource) - 1);
	resource[sizeof(resource) - 1] = '\0';
	for (unsigned i = 0; i < 2; i++) {
		struct world_peer *romeo = log_in(world);

		snprintf(text, sizeof(text), BIND, resource);
		world_send(romeo, text);
		world_run(world);
		CHECK(strstr(world_next(romeo), "<jid>romeo@") != NULL);
	}
	world_free(&world);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(what_came_behind_a_bind_is_handled),
	    cmocka_unit_test(so_it_is_with_stream_management),
	    cmocka_unit_test(so_it_is_when_another_is_replaced),
	    cmocka_unit_test(so_it_is_when_the_account_loads),
	    cmocka_unit_test(without_a_session_nothing_is),
	    cmocka_unit_test(a_host_goes_while_a_bind_waits),
	    cmocka_unit_test(the_longest_resource_is_renamed_too),
	};

	return cmocka_run_group_tests_name("bind", tests, NULL, NULL);
}

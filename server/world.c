#include "server/world.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/hash.h"
#include "base/log.h"
#include "base/rand.h"
#include "server/account.h"
#include "server/c2s.h"
#include "server/drain.h"
#include "server/iq.h"
#include "server/iq_ask.h"
#include "server/kept.h"
#include "server/outbox.h"
#include "server/purge.h"
#include "server/register.h"
#include "server/settings.h"
#include "server/wake.h"
#include "server/world_neighbour.h"
#include "server/world_private.h"

#define REST_MS       (11 * MINUTE)
#define START_MONO_MS 1000000
#define START_WALL_US 1795255200000000 /* 2026-11-21T10:00:00Z */
#define SECRET_BYTE   7
#define RESTART_MS    2000 /* that a server is away */
#define COMMITS_MS    100  /* that writes may be held */
#define CLOSING_MS    6000 /* that streams may take to close */

static const char hosts[] =
    "hosts: {montague.example: {}, capulet.example: {}}\n"
    "auth.iterations: 4096\n"
    "contact.admin: [\"mailto:admin@montague.example\"]\n";

/* --- order ---------------------------------------------------------------- */

/* SplitMix64, Steele, Lea, Flood 2014: not the generator that the server draws
 * from, so that one does not depend on how often the other was asked. */
unsigned
world_random(struct world *world, unsigned below)
{
	uint64_t word = (world->random += 0x9e3779b97f4a7c15);

	word = (word ^ word >> 30) * 0xbf58476d1ce4e5b9;
	word = (word ^ word >> 27) * 0x94d049bb133111eb;
	word ^= word >> 31;
	return (unsigned)(word % below);
}

static struct shard *
shard_at(struct world *world, unsigned i)
{
	return &world->server.shards[i];
}

static bool
has_turn(struct shard *shard)
{
	return !mailbox_is_empty(&shard->mailbox) ||
	       !list_is_empty(&shard->flushes) ||
	       shard_next_due(shard) <= clock_mono_ms();
}

/* A turn as shard_turn has it, but for a drawn number of letters. */
static void
turn(struct world *world, struct shard *shard)
{
	static const unsigned counts[] = {1, 1, 2, 5, LETTERS_PER_TURN};

	mailbox_work(shard, counts[world_random(world, 5)]);
	timers_ring(&shard->timers, clock_mono_ms());
	conn_flush_all(shard);
}

struct choice {
	enum { CHOOSE_TURN, CHOOSE_STORE, CHOOSE_CONN } what;
	struct shard *shard;
	struct world_conn *conn;
};

#define CHOICES_MAX 256

static unsigned
list_choices(struct world *world, struct choice *choices)
{
	unsigned count = 0;

	for (unsigned i = 0; i < world->server.shard_count; i++) {
		struct shard *shard = shard_at(world, i);

		if (has_turn(shard))
			choices[count++] =
			    (struct choice){CHOOSE_TURN, shard, NULL};
		if (!world->is_quiet[i] && !world->is_held)
			choices[count++] =
			    (struct choice){CHOOSE_STORE, shard, NULL};
	}
	list_each (conn, &world->conns, struct world_conn, link)
		if (count < CHOICES_MAX && world_conn_is_due(conn))
			choices[count++] = (struct choice){
			    CHOOSE_CONN, conn->conn.shard, conn};
	return count;
}

static void
choose(struct world *world, const struct choice *choice)
{
	struct shard *shard = choice->shard;

	shard_enter(shard);
	world->is_quiet[shard->index] = false;
	if (choice->what == CHOOSE_TURN)
		turn(world, shard);
	else if (choice->what == CHOOSE_CONN)
		world_conn_step(choice->conn);
	else
		world->is_quiet[shard->index] = !store_step(shard->store);
}

static bool
step(struct world *world)
{
	struct choice choices[CHOICES_MAX];
	unsigned count = list_choices(world, choices);

	if (count == 0)
		return false;
	choose(world, &choices[world_random(world, count)]);
	if (world->kill_after == 1)
		world_kill(world);
	else if (world->kill_after > 1)
		world->kill_after--;
	return true;
}

void
world_run(struct world *world)
{
	while (step(world))
		continue;
}

bool
world_step(struct world *world, unsigned steps)
{
	while (steps-- > 0)
		if (!step(world))
			return false;
	return true;
}

/* --- time ----------------------------------------------------------------- */

static void
set_clock(struct world *world, uint64_t mono_ms)
{
	world->wall_us += (mono_ms - world->mono_ms) * 1000;
	world->mono_ms = mono_ms;
	clock_fake(world->mono_ms, world->wall_us);
}

static uint64_t
next_due(struct world *world)
{
	uint64_t next = UINT64_MAX;

	for (unsigned i = 0; i < world->server.shard_count; i++) {
		uint64_t due = shard_next_due(shard_at(world, i));

		if (due < next)
			next = due;
	}
	return next;
}

void
world_sleep(struct world *world, uint64_t ms)
{
	uint64_t until = world->mono_ms + ms, due;

	world_run(world);
	while ((due = next_due(world)) <= until) {
		if (due > world->mono_ms)
			set_clock(world, due);
		world_run(world);
	}
	if (until > world->mono_ms)
		set_clock(world, until);
	world_run(world);
}

/* --- the server starts and ends ------------------------------------------- */

static void
post_left_letters(struct shard *shard)
{
	wake_start(shard);
	outbox_start(shard, NULL);
}

static void
end_left_guests(struct shard *shard)
{
	register_start(shard, post_left_letters);
}

static void
bring_back(struct shard *shard)
{
	kept_start(shard, end_left_guests);
}

static void
boot(struct world *world)
{
	unsigned count = world->options.shard_count;

	if (count == 0)
		count = 2 + world_random(world, WORLD_SHARDS_MAX - 1);
	server_init(&world->server, world->storage, count, world->modules);
	world->server.outward = &world_outward;
	world->server.started_ms = clock_mono_ms();
	neighbours_boot(world);
	memset(world->server.secret, SECRET_BYTE, sizeof(world->server.secret));
	for (unsigned i = 0; i < count; i++) {
		shard_enter(shard_at(world, i));
		shard_init(
		    shard_at(world, i), &world->server, i, NULL, world->setup);
		world->is_quiet[i] = false;
	}
	shard_enter(shard_at(world, 0));
	outbox_open(shard_at(world, 0), bring_back);
	purge_start(shard_at(world, 0));
}

static void
on_store_closed(void *arg)
{
	*(bool *)arg = true;
}

/* What waits for the store is told ERR_CANCELED and so gives up its memory;
 * nothing of what it does then is written or sent. */
static void
halt(struct world *world)
{
	for (unsigned i = 0; i < world->server.shard_count; i++) {
		struct shard *shard = shard_at(world, i);
		bool is_closed = false;

		shard_enter(shard);
		store_break(shard->store, ERR_CANCELED);
		outbox_cancel(shard);
		iq_ask_cancel(shard);
		while (store_step(shard->store))
			continue;
		store_close(shard->store, on_store_closed, &is_closed);
		while (!is_closed)
			store_step(shard->store);
	}
	for (unsigned i = 0; i < world->server.shard_count; i++) {
		shard_enter(shard_at(world, i));
		shard_deinit(shard_at(world, i));
	}
	world_conns_drop(world);
	shard_enter(NULL);
	server_deinit(&world->server);
}

static void
apply_break(struct world *world)
{
	for (unsigned i = 0; i < world->server.shard_count; i++)
		store_break(shard_at(world, i)->store, world->broken);
}

void
world_kill(struct world *world)
{
	world->kill_after = 0;
	halt(world);
	set_clock(world, world->mono_ms + world->absence_ms);
	boot(world);
	apply_break(world);
}

void
world_set_absence(struct world *world, uint64_t ms)
{
	world->absence_ms = ms;
}

static void
on_each_shard(struct world *world, void (*act)(struct shard *))
{
	for (unsigned i = 0; i < world->server.shard_count; i++) {
		shard_enter(shard_at(world, i));
		act(shard_at(world, i));
		world->is_quiet[i] = false;
	}
}

static void
close_streams(struct shard *shard)
{
	streams_close_all(shard, false, STREAM_ERR_SYSTEM_SHUTDOWN);
}

void
world_restart(struct world *world)
{
	world_run(world);
	on_each_shard(world, drain_answer);
	world_sleep(world, DRAIN_ANSWERS_MS);
	on_each_shard(world, drain_give_up);
	world_run(world);
	on_each_shard(world, close_streams);
	world_sleep(world, CLOSING_MS);
	on_each_shard(world, drain_begin);
	world_sleep(world, DRAIN_WRITES_MS);
	on_each_shard(world, drain_give_up);
	world_run(world);
	on_each_shard(world, kept_save_all);
	world_sleep(world, COMMITS_MS);
	world_kill(world);
}

void
world_kill_after(struct world *world, unsigned steps)
{
	world->kill_after = steps;
}

bool
world_was_killed(struct world *world)
{
	const bool was_killed = world->kill_after == 0;

	world->kill_after = 0;
	return was_killed;
}

void
world_break_store(struct world *world, enum err err)
{
	world->broken = err;
	apply_break(world);
}

void
world_hold_store(struct world *world, bool is_held)
{
	world->is_held = is_held;
	for (unsigned i = 0; i < WORLD_SHARDS_MAX; i++)
		world->is_quiet[i] = false;
}

/* --- the world itself ----------------------------------------------------- */

static void
make_setup(struct world *world, struct str yaml)
{
	size_t count;
	const struct setting *const *tables =
	    settings_tables(world->arena, world->modules, &count);
	struct str why = STR_NONE;

	setup_unref(&world->setup);
	config_unref(&world->config);
	world->config =
	    config_parse(world->arena, "world", yaml, tables, count, &why);
	if (world->config != NULL)
		world->setup = setup_new(
		    world->arena, world->config, world->modules, false, &why);
	if (world->setup == NULL) {
		fprintf(stderr, "world: %.*s\n", STR_ARG(why));
		abort();
	}
}

void
world_reload(struct world *world, const char *yaml)
{
	struct shard *first = shard_at(world, 0);

	make_setup(world, str_dup(world->arena, str_of(yaml)));
	shard_enter(first);
	for (unsigned i = 0; i < world->server.shard_count; i++) {
		struct post *letter = post_new(POST_RELOAD, NULL);

		letter->setup = setup_ref(world->setup);
		post_send_to(first, i, letter);
	}
	world_run(world);
}

static void
open_storage(struct world *world)
{
	struct str why = STR_NONE;

	world->storage = storage_open(world->arena,
	    &(struct storage_options){.backend = "sqlite",
		.path = ":memory:",
		.deadline_ms = 5000,
		.stores = WORLD_SHARDS_MAX,
		.is_inline = true},
	    &why);
	if (world->storage == NULL) {
		fprintf(stderr, "world: %.*s\n", STR_ARG(why));
		abort();
	}
}

/* Worlds are quiet unless somebody looks into one. */
static void
set_log_level(const char *name)
{
	enum log_level level = LOG_ERROR;

	if (name != NULL)
		(void)log_level_parse(str_of(name), &level);
	log_set_level(level);
}

/* Tables are walked in the order of their hashes: else that of a roster would
 * be another in each process. */
static void
set_hash_key(uint64_t seed)
{
	uint8_t key[16] = {0};

	memcpy(key, &seed, sizeof(seed));
	hash_set_key(key);
}

struct world *
world_new(const struct world_options *options)
{
	struct arena *arena = arena_make(0);
	struct world *world = arena_new(arena, struct world);

	expect_is_fatal(true);
	set_log_level(getenv("JACKDAW_WORLD_LOG"));
	world->arena = arena;
	world->options = *options;
	world->random = options->seed;
	world->modules =
	    options->modules == NULL ? modules_builtin : options->modules;
	world->absence_ms = RESTART_MS;
	list_init(&world->conns);
	list_init(&world->peers);
	list_init(&world->neighbours);
	list_init(&world->places);
	rand_fake(options->seed + 1);
	set_hash_key(options->seed);
	world->readers = reader_pool_new();
	world->wall_us = START_WALL_US;
	world->mono_ms = START_MONO_MS;
	clock_fake(world->mono_ms, world->wall_us);
	make_setup(world, str_format(arena, "%s%s", hosts,
			      options->yaml == NULL ? "" : options->yaml));
	open_storage(world);
	boot(world);
	return world;
}

static void
must_be_at_rest(struct world *world)
{
	for (unsigned i = 0; i < world->server.shard_count; i++) {
		struct shard *shard = shard_at(world, i);
		struct table_link *link = NULL;

		must(list_is_empty(&shard->iqs));
		must(shard->asks.count == 0);
		must(shard->outbox_waits.count == 0);
		while ((link = table_next(&shard->owners, link)) != NULL) {
			struct owner *owner =
			    container_of(link, struct owner, link);

			must(owner->pins == 0);
		}
	}
}

void
world_free(struct world **world)
{
	struct world *freed = *world;
	struct arena *arena;

	*world = NULL;
	neighbours_rest(freed);
	world_doors_shut(freed);
	list_each (peer, &freed->peers, struct world_peer, link)
		world_peer_free(&peer);
	world_hold_store(freed, false);
	world_break_store(freed, ERR_NONE);
	/* Sessions that wait for their clients end too. */
	world_sleep(freed, REST_MS);
	must_be_at_rest(freed);
	halt(freed);
	reader_pool_free(&freed->readers);
	storage_close(&freed->storage);
	setup_unref(&freed->setup);
	config_unref(&freed->config);
	neighbours_free(freed);
	arena_free(&freed->next);
	clock_fake(0, 0);
	rand_fake(0);
	arena = freed->arena;
	arena_free(&arena);
}

/* --- accounts ------------------------------------------------------------- */

static void
on_account_made(struct account_make *make)
{
	must(make->err == ERR_NONE);
}

void
world_add_account(struct world *world, const char *bare, const char *password)
{
	struct arena *arena = arena_make(0);
	const struct jid *jid = jid_parse(arena, str_of(bare));
	struct shard *shard = shard_of(&world->server, jid);
	struct account_make make = {0};

	shard_enter(shard);
	account_make(shard, &make, jid,
	    str_of(password == NULL ? WORLD_PASSWORD : password),
	    on_account_made);
	world->is_quiet[shard->index] = false;
	world_run(world);
	arena_free(&arena);
}

struct world_peer *
world_accept(struct world *world)
{
	struct world_peer *peer = world_peer_new(world);

	shard_enter(peer->conn->conn.shard);
	c2s_accept(peer->conn->conn.shard, &peer->conn->conn);
	return peer;
}

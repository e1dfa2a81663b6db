/* Real shards in real threads: what they share is letters, blobs, the setup
 * and the database. For the thread sanitizer. */
#include <poll.h>
#include <stdatomic.h>
#include <uv.h>

#include "base/check.h"
#include "base/clock.h"
#include "server/account.h"
#include "server/metrics.h"
#include "server/router.h"
#include "server/runner.h"
#include "server/session.h"
#include "server/setup.h"
#include "server/setup_rig.h"

#define SHARDS     3
#define ACCOUNTS   30
#define MESSAGES   5000 /* by each shard to single accounts */
#define FANS       100  /* by each shard to all accounts */
#define AT_ONCE    50
#define ALL        (SHARDS * (MESSAGES + FANS * ACCOUNTS))
#define LOOK_MS    2
#define PATIENCE_S 120

struct thread {
	struct shard *shard;
	uv_loop_t loop;
	pthread_t id;
	struct timer timer;
	struct account_make makes[ACCOUNTS];
	unsigned sent, fans;
};

static struct server server;
static struct thread threads[SHARDS];
static const struct jid *accounts[ACCOUNTS];
static atomic_uint made, received;

static void look(struct timer *);

static enum verdict
on_message(
    struct account *account, struct session *session, struct post *letter)
{
	(void)account, (void)session;
	atomic_fetch_add(&received, 1);
	post_free(&letter);
	return TAKEN;
}

static const struct hook hooks[] = {
    {.on = HOOK_RECEIVED_MESSAGE, .stanza = on_message},
    {.on = HOOK_END},
};

static const struct module counter = {
    .api = MODULE_API, .name = "counter", .help = "Counts.", .hooks = hooks};
static const struct module *const modules[] = {&counter, NULL};

static void
send_one(struct shard *shard, const struct jid *to)
{
	struct arena *arena = arena_make(0);
	struct stanza *stanza = stanza_make(
	    arena, STANZA_MESSAGE, STANZA_CHAT, accounts[0], to, STR("m"));

	if (to != NULL)
		router_send(shard, NULL, stanza);
	else
		router_fan_out(shard, stanza, accounts, ACCOUNTS);
	arena_free(&arena);
}

static void
send_some(struct thread *thread)
{
	for (unsigned i = 0; i < AT_ONCE && thread->sent < MESSAGES; i++)
		send_one(thread->shard, accounts[thread->sent++ % ACCOUNTS]);
	if (thread->fans < FANS) {
		thread->fans++;
		send_one(thread->shard, NULL);
	}
}

static void
store_closed(void *arg)
{
	struct thread *thread = arg;

	runner_stop(thread->shard);
}

/* Sends until all is sent, and ends when all has come, everywhere. */
static void
look(struct timer *timer)
{
	struct thread *thread = container_of(timer, struct thread, timer);

	if (atomic_load(&received) == ALL) {
		store_close(thread->shard->store, store_closed, thread);
		return;
	}
	if (atomic_load(&made) == ACCOUNTS)
		send_some(thread);
	timer_start(thread->shard, timer, LOOK_MS, look);
}

static void
account_made(struct account_make *make)
{
	CHECK_EQUAL(make->err, ERR_NONE);
	atomic_fetch_add(&made, 1);
}

static void *
run(void *arg)
{
	struct thread *thread = arg;
	struct shard *shard = thread->shard;

	shard_enter(shard);
	runner_start(shard);
	for (unsigned i = 0; i < ACCOUNTS; i++)
		if (shard_of(&server, accounts[i]) == shard)
			account_make(shard, &thread->makes[i], accounts[i],
			    STR("secret"), account_made);
	timer_start(shard, &thread->timer, LOOK_MS, look);
	uv_run(&thread->loop, UV_RUN_DEFAULT);
	shard_deinit(shard);
	CHECK_EQUAL(uv_loop_close(&thread->loop), 0);
	shard_enter(NULL);
	arena_thread_done();
	return NULL;
}

static struct setup *
make_setup(struct arena *arena)
{
	struct str why;
	struct setup *setup =
	    setup_rig(arena, "hosts: {localhost: {}}\nauth.iterations: 4096\n",
		modules, false, &why);

	CHECK(setup != NULL);
	return setup;
}

static struct storage *
open_storage(struct arena *arena, char *path)
{
	struct str why = STR_NONE;
	struct storage *storage;
	int fd = mkstemp(path);

	CHECK(fd >= 0);
	close(fd);
	storage = storage_open(arena,
	    &(struct storage_options){.backend = "sqlite",
		.path = path,
		.deadline_ms = PATIENCE_S * 1000,
		.stores = SHARDS},
	    &why);
	CHECK(storage != NULL);
	return storage;
}

static void
remove_files(const char *path)
{
	static const char *const ends[] = {"", "-wal", "-shm", ".lock"};
	char name[256];

	for (size_t i = 0; i < COUNT_OF(ends); i++) {
		snprintf(name, sizeof(name), "%s%s", path, ends[i]);
		(void)unlink(name);
	}
}

static void
letters_pass_between_threads(void **state)
{
	char path[] = "/tmp/threads_test.XXXXXX";
	struct arena *arena = arena_make(0);
	struct setup *setup = make_setup(arena);
	struct storage *storage = open_storage(arena, path);

	server_init(&server, storage, SHARDS, modules);
	for (unsigned i = 0; i < ACCOUNTS; i++)
		accounts[i] =
		    jid_parse(arena, str_format(arena, "u%u@localhost", i));
	for (unsigned i = 0; i < SHARDS; i++) {
		threads[i].shard = &server.shards[i];
		CHECK_EQUAL(uv_loop_init(&threads[i].loop), 0);
		shard_init(
		    threads[i].shard, &server, i, &threads[i].loop, setup);
	}
	for (unsigned i = 0; i < SHARDS; i++)
		CHECK_EQUAL(
		    pthread_create(&threads[i].id, NULL, run, &threads[i]), 0);
	for (unsigned i = 0; i < SHARDS; i++)
		pthread_join(threads[i].id, NULL);
	CHECK_EQUAL(atomic_load(&received), ALL);
	server_deinit(&server);
	storage_close(&storage);
	setup_unref(&setup);
	arena_free(&arena);
	remove_files(path);
}

static void
set_closed(void *arg)
{
	struct shard *shard = arg;

	shard->store = NULL;
}

/* One shard, on this thread. */
struct alone {
	struct arena *arena;
	struct setup *setup;
	struct storage *storage;
	struct shard *shard;
	uv_loop_t loop;
	char path[32];
};

static void
alone_begin(struct alone *alone)
{
	*alone = (struct alone){
	    .arena = arena_make(0), .path = "/tmp/threads_test.XXXXXX"};
	alone->setup = make_setup(alone->arena);
	alone->storage = open_storage(alone->arena, alone->path);
	server_init(&server, alone->storage, 1, modules);
	alone->shard = &server.shards[0];
	accounts[0] = jid_parse(alone->arena, STR("u0@localhost"));
	CHECK_EQUAL(uv_loop_init(&alone->loop), 0);
	shard_enter(alone->shard);
	shard_init(alone->shard, &server, 0, &alone->loop, alone->setup);
}

static void
alone_end(struct alone *alone)
{
	while (alone->shard->store != NULL)
		uv_run(&alone->loop, UV_RUN_NOWAIT);
	shard_deinit(alone->shard);
	CHECK_EQUAL(uv_loop_close(&alone->loop), 0);
	shard_enter(NULL);
	server_deinit(&server);
	storage_close(&alone->storage);
	setup_unref(&alone->setup);
	arena_free(&alone->arena);
	remove_files(alone->path);
}

/* Other shards go on for a while when the store of one is idle and ends. */
static void
who_has_no_store_any_more_takes_no_letters(void **state)
{
	struct alone alone;

	(void)state;
	alone_begin(&alone);
	store_close(alone.shard->store, set_closed, alone.shard);
	while (!store_is_over(alone.shard->store))
		uv_run(&alone.loop, UV_RUN_NOWAIT);
	send_one(alone.shard, accounts[0]);
	while (shard_turn(alone.shard))
		continue;
	CHECK_EQUAL(alone.shard->owners.count, 0);
	alone_end(&alone);
}

static void
not_due(uv_timer_t *timer)
{
	(void)timer;
}

/* With something to wait for the loop begins to listen to other threads. */
static void
alone_listen(struct alone *alone)
{
	uv_timer_t timer;

	uv_timer_init(&alone->loop, &timer);
	uv_timer_start(&timer, not_due, PATIENCE_S * 1000, 0);
	uv_run(&alone->loop, UV_RUN_NOWAIT);
	uv_close((uv_handle_t *)&timer, NULL);
	uv_run(&alone->loop, UV_RUN_NOWAIT);
}

static void
account_not_made(struct account_make *make)
{
	CHECK_EQUAL(make->err, ERR_CANCELED);
	atomic_fetch_add(&made, 1);
}

/* Keys are made on another thread, and come when the store is idle and ends. */
static void
who_has_no_store_any_more_makes_no_account(void **state)
{
	struct alone alone;
	struct account_make make;
	struct pollfd keys = {.events = POLLIN};

	(void)state;
	alone_begin(&alone);
	atomic_store(&made, 0);
	alone_listen(&alone);
	account_make(
	    alone.shard, &make, accounts[0], STR("secret"), account_not_made);
	keys.fd = uv_backend_fd(&alone.loop);
	CHECK_EQUAL(poll(&keys, 1, -1), 1);
	store_close(alone.shard->store, set_closed, alone.shard);
	uv_run(&alone.loop, UV_RUN_NOWAIT);
	CHECK_EQUAL(atomic_load(&made), 1);
	CHECK(alone.shard->store != NULL);
	alone_end(&alone);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(letters_pass_between_threads),
	    cmocka_unit_test(who_has_no_store_any_more_takes_no_letters),
	    cmocka_unit_test(who_has_no_store_any_more_makes_no_account),
	};

	alarm(PATIENCE_S);
	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* The contract that every backend keeps: losses, lateness and threads. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <libpq-fe.h>
#include <pthread.h>
#include <signal.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/list.h"
#include "storage/store_rig.h"

#define BYTES(literal) ((struct str){literal, sizeof(literal) - 1})
#define HOST           STR("localhost")

static const struct store_kind plain = {.name = "plain", .shape = STORE_MAP};
static const struct store_kind log_counted = {
    .name = "log-counted", .shape = STORE_LOG, .flags = KIND_COUNTED};

/* --- outages ---------------------------------------------------------- */

#define MANY 200

struct many {
	struct rig_commit waits[MANY];
};

static void
start_many(struct rig *rig, struct many *many, const char *name)
{
	for (unsigned i = 0; i < MANY; i++) {
		struct store_write *write = store_write_new(rig->store);
		struct str key = str_format(rig->arena, "%s%u", name, i);

		if (i % 4 == 0)
			store_put_new(write, i + 2, &plain, key, STR("v"));
		else
			store_put(write, i + 2, &plain, key, STR("v"));
		rig_start(&many->waits[i], write);
	}
}

/* Who was told that it is kept finds it; who was told otherwise does not,
 * unless that is what is uncertain. */
static void
check_many(struct rig *rig, struct many *many, const char *name)
{
	for (unsigned i = 0; i < MANY; i++) {
		struct str key = str_format(rig->arena, "%s%u", name, i);
		enum err err;

		rig_await(rig, &many->waits[i].calls);
		assert_int_equal(many->waits[i].calls, 1);
		err = many->waits[i].commit.err;
		if (i % 4 != 0)
			assert_int_equal(err, ERR_NONE);
		if (err == ERR_NONE)
			RIG_TEXT(rig_get(rig, i + 2, &plain, key), "v");
		else if (err != ERR_UNCERTAIN)
			RIG_TEXT(
			    rig_get(rig, i + 2, &plain, key), "(not found)");
	}
}

static void
writes_survive_a_lost_connection(void **state)
{
	struct rig *rig = *state;
	struct many many;

	for (unsigned round = 0; round < 16; round++) {
		const char *name = str_format(rig->arena, "r%u-", round).text;

		start_many(rig, &many, name);
		for (unsigned turn = 0; turn < 3 * round; turn++)
			uv_run(&rig->loop, UV_RUN_NOWAIT);
		rig_postgres_do(rig->options.conninfo, RIG_END_OTHERS);
		check_many(rig, &many, name);
	}
	assert_true(store_is_up(rig->store));
}

static void
a_stopped_database_is_waited_for(void **state)
{
	struct rig *rig = *state;
	struct rig_commit kept, refused;
	struct store_write *write;

	assert_int_equal(rig_put(rig, 2, &plain, STR("k"), STR("v")), ERR_NONE);
	if (!rig_postgres_control("stop")) {
		print_message("JACKDAW_TEST_PG_CTL is not set\n");
		skip();
	}
	rig_await_down(rig);
	RIG_TEXT(rig_get(rig, 2, &plain, STR("k")), "(cannot be reached)");
	write = store_write_new(rig->store);
	store_put_new(write, 2, &plain, STR("new"), STR("v"));
	rig_start(&refused, write);
	write = store_write_new(rig->store);
	store_put(write, 2, &plain, STR("kept"), STR("v"));
	rig_start(&kept, write);
	rig_await(rig, &refused.calls);
	assert_int_equal(refused.commit.err, ERR_UNAVAILABLE);
	assert_int_equal(kept.calls, 0);

	assert_true(rig_postgres_control("start"));
	rig_await(rig, &kept.calls);
	assert_int_equal(kept.commit.err, ERR_NONE);
	assert_true(store_is_up(rig->store));
	RIG_TEXT(rig_get(rig, 2, &plain, STR("k")), "v");
	RIG_TEXT(rig_get(rig, 2, &plain, STR("new")), "(not found)");
}

static void
an_heir_keeps_the_cut_off_server_out(void **state)
{
	struct rig *rig = *state;

	rig_postgres_do(rig->options.conninfo,
	    "UPDATE meta SET value = 'heir' WHERE name = 'server'");
	rig_postgres_do(rig->options.conninfo, RIG_END_OTHERS);
	rig_run_for(rig, 300);
	RIG_TEXT(rig_get(rig, 2, &plain, STR("k")), "(cannot be reached)");
	assert_false(store_is_up(rig->store));
}

struct told { /* a write of the process that is killed, and whom to tell */
	struct store_commit commit;
	uint64_t id;
	int fd;
};

static void
tell(struct store_commit *commit)
{
	struct told *told = container_of(commit, struct told, commit);

	if (commit->err == ERR_NONE)
		must(write(told->fd, &told->id, sizeof(told->id)) ==
		     sizeof(told->id));
	free(told);
}

/* Writes until it is killed, and tells of each row that is committed. */
static _Noreturn void
write_for_ever(struct rig *rig, int fd)
{
	struct str why;

	rig->storage = storage_open(rig->arena, &rig->options, &why);
	must(rig->storage != NULL && uv_loop_init(&rig->loop) == 0);
	rig_open_store(rig);
	for (uint64_t id = 1;; id++) {
		struct store_write *write = store_write_new(rig->store);
		struct told *told = calloc(1, sizeof(*told));

		must(told != NULL);
		told->id = id;
		told->fd = fd;
		rig_append(write, &log_counted, 2, id, STR("p"));
		store_commit(write, &told->commit, tell);
		uv_run(&rig->loop, UV_RUN_NOWAIT);
		if (id % 100 == 0)
			uv_sleep(1);
	}
}

#define KILL_AFTER 3000 /* rows */

static void
what_was_told_is_kept_when_the_server_is_killed(void **state)
{
	struct rig *rig = *state;
	struct store_count count;
	uint64_t id, told = 0;
	int ends[2];
	pid_t pid;

	rig_close_all(rig);
	assert_int_equal(pipe(ends), 0);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0)
		write_for_ever(rig, ends[1]);
	close(ends[1]);
	while (read(ends[0], &id, sizeof(id)) == sizeof(id)) {
		assert_true(id == told + 1);
		told = id;
		if (told == KILL_AFTER)
			kill(pid, SIGKILL);
	}
	close(ends[0]);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	assert_true(told >= KILL_AFTER);

	rig->storage =
	    storage_open(rig->arena, &rig->options, &(struct str){NULL, 0});
	assert_non_null(rig->storage);
	rig_open_store(rig);
	count = rig_count(rig, 2, &log_counted);
	assert_true(count.last_id >= told);
	assert_int_equal(count.count, count.last_id);
}

static void
a_full_disk_is_survived(void **state)
{
	struct rig *rig = *state;
	size_t len = 1 << 20;
	struct str big = {arena_alloc(rig->arena, len), len};
	enum err err;

	assert_int_equal(
	    rig_put(rig, 2, &plain, STR("small"), STR("v")), ERR_NONE);
	rig_limit_files(500000);
	err = rig_put(rig, 2, &plain, STR("big"), big);
	assert_true(err == ERR_IO || err == ERR_FULL);
	assert_false(store_is_up(rig->store));
	RIG_TEXT(rig_get(rig, 2, &plain, STR("small")), "v");
	rig_limit_files(0);
	assert_int_equal(rig_put(rig, 2, &plain, STR("big"), big), ERR_NONE);
	assert_true(store_is_up(rig->store));
}

struct asked_page {
	struct store_page page;
	unsigned calls;
	unsigned place; /* among those that ended */
};

static unsigned pages_done;

static void
page_done(struct store_page *page)
{
	struct asked_page *asked = container_of(page, struct asked_page, page);

	asked->calls++;
	asked->place = pages_done++;
}

struct asked_get {
	struct store_get get;
	unsigned calls;
};

static void
get_done(struct store_get *get)
{
	container_of(get, struct asked_get, get)->calls++;
}

/* --- deadlines -------------------------------------------------------- */

struct stall { /* somebody else holds what the store wants to write */
	sqlite3 *sqlite;
	PGconn *postgres;
};

static struct stall
stall(struct rig *rig)
{
	struct stall stall = {NULL, NULL};

	if (rig->mode == RIG_POSTGRES) {
		stall.postgres = PQconnectdb(rig->options.conninfo);
		rig_postgres_run(stall.postgres, "BEGIN; LOCK TABLE maps");
		return stall;
	}
	assert_int_equal(
	    sqlite3_open(rig->options.path, &stall.sqlite), SQLITE_OK);
	assert_int_equal(
	    sqlite3_exec(stall.sqlite, "BEGIN IMMEDIATE", NULL, NULL, NULL),
	    SQLITE_OK);
	return stall;
}

static void
unstall(struct stall *stall)
{
	PQfinish(stall->postgres);
	sqlite3_close(stall->sqlite);
}

static void
questions_end_within_their_deadline(void **state)
{
	struct rig *rig = *state;
	struct stall stalled;
	uint64_t begun, lasted;
	struct str text;
	enum err err;

	rig->options.deadline_ms = 800;
	rig_reopen(rig);
	rig_keep(rig, 2, &plain, STR("k"), STR("1"));
	stalled = stall(rig);
	begun = clock_mono_ms();
	err = rig_put(rig, 2, &plain, STR("k"), STR("2"));
	lasted = clock_mono_ms() - begun;
	assert_true(err == ERR_TIMEOUT || err == ERR_UNCERTAIN);
	/* Without a deadline it would never end. */
	assert_in_range(lasted, 200, 20000);
	text = rig_get(rig, 3, &plain, STR("k"));
	/* A line that does not answer for twice the deadline is given up. */
	if (clock_mono_ms() - begun < 2 * rig->options.deadline_ms)
		RIG_TEXT(text,
		    rig->mode == RIG_POSTGRES ? "(timed out)" : "(not found)");
	unstall(&stalled);
	/* What comes after it is not lost with it. */
	rig_keep(rig, 2, &plain, STR("k"), STR("3"));
	RIG_TEXT(rig_get(rig, 2, &plain, STR("k")), "3");
}

static void
a_slow_search_holds_no_commit(void **state)
{
	struct rig *rig = *state;
	PGconn *other = PQconnectdb(rig->options.conninfo);
	const struct log_query query = {
	    .owner = 2, .kind = &log_counted, .max = 1};
	struct asked_page asked = {.calls = 0};

	/* Both lines must be open: their statements could not be prepared. */
	assert_int_equal(rig_page(rig, &query)->err, ERR_NONE);
	assert_int_equal(rig_put(rig, 2, &plain, STR("k"), STR("u")), ERR_NONE);
	rig_postgres_run(other, "BEGIN; LOCK TABLE logs");
	store_page(rig->store, &asked.page, rig->arena, &query, page_done);
	assert_int_equal(rig_put(rig, 2, &plain, STR("k"), STR("v")), ERR_NONE);
	RIG_TEXT(rig_get(rig, 2, &plain, STR("k")), "v");
	assert_int_equal(asked.calls, 0);
	PQfinish(other);
	rig_await(rig, &asked.calls);
	assert_int_equal(asked.page.err, ERR_NONE);
}

#define SLOW_ROWS "300000"

/* Of reads that come together the second does not wait for the first. */
static void
a_slow_search_holds_no_other(void **state)
{
	struct rig *rig = *state;
	const struct log_query queries[] = {
	    {.owner = 2, .kind = &log_counted, .ref = STR("none"), .max = 1},
	    {.owner = 3, .kind = &log_counted, .max = 1},
	};
	struct asked_page slow = {.calls = 0}, quick = {.calls = 0};

	rig->options.stores = 3;
	rig_reopen(rig);
	rig_fill_log(rig, &log_counted, 1);
	rig_sqlite_do(rig->options.path,
	    "DROP TRIGGER logs_added; WITH RECURSIVE n (i) AS (SELECT 2"
	    " UNION ALL SELECT i + 1 FROM n WHERE i < " SLOW_ROWS ")"
	    " INSERT INTO logs SELECT i, owner, kind, i, nonce, time,"
	    " flags, thread, peer, ref, value FROM logs, n");
	store_page(rig->store, &slow.page, rig->arena, &queries[0], page_done);
	store_page(rig->store, &quick.page, rig->arena, &queries[1], page_done);
	rig_await(rig, &quick.calls);
	rig_await(rig, &slow.calls);
	assert_int_equal(quick.page.err, ERR_NONE);
	assert_int_equal(slow.page.err, ERR_NONE);
	/* Whenever this thread came to hear of them. */
	assert_true(quick.place < slow.place);
}

/* All processes of the database that the store talks to. One of a connection
 * that was closed before may just have ended. */
static void
signal_database(const int *pids, int signal)
{
	for (; *pids != 0; pids++)
		assert_true(kill(*pids, signal) == 0 || errno == ESRCH);
}

#define PIDS_MAX 20

static void
find_database(struct rig *rig, int pids[PIDS_MAX])
{
	const char *dir = getenv("JACKDAW_TEST_PG_DIR");
	PGconn *conn;
	PGresult *result;
	FILE *file;
	char line[32];

	if (dir == NULL) {
		print_message("JACKDAW_TEST_PG_DIR is not set\n");
		skip();
	}
	file = fopen(
	    str_format(rig->arena, "%s/data/postmaster.pid", dir).text, "r");
	must(file != NULL && fgets(line, sizeof(line), file) != NULL);
	fclose(file);
	*pids++ = (int)strtol(line, NULL, 10);
	conn = PQconnectdb(rig->options.conninfo);
	PQsendQuery(conn,
	    "SELECT pid FROM pg_stat_activity WHERE pid <> pg_backend_pid()"
	    " AND backend_type = 'client backend'");
	while ((result = PQgetResult(conn)) != NULL) {
		assert_true(PQntuples(result) < PIDS_MAX - 2);
		for (int i = 0; i < PQntuples(result); i++)
			*pids++ =
			    (int)strtol(PQgetvalue(result, i, 0), NULL, 10);
		PQclear(result);
	}
	*pids = 0;
	PQfinish(conn);
}

static void
a_database_that_hangs_is_left(void **state)
{
	struct rig *rig = *state;
	int pids[PIDS_MAX];
	enum err err;

	rig->options.deadline_ms = 800;
	rig_reopen(rig);
	rig_keep(rig, 2, &plain, STR("k"), STR("v"));
	find_database(rig, pids);
	signal_database(pids, SIGSTOP);
	err = rig_put(rig, 2, &plain, STR("k"), STR("w"));
	rig_await_down(rig);
	signal_database(pids, SIGCONT);
	assert_int_equal(err, ERR_UNCERTAIN);
	rig_keep(rig, 2, &plain, STR("k"), STR("x"));
	RIG_TEXT(rig_get(rig, 2, &plain, STR("k")), "x");
}

/* What the lost line has sent may still be done: not after what comes later. */
static void
a_line_that_hangs_comes_not_late(void **state)
{
	struct rig *rig = *state;
	int pids[PIDS_MAX];
	enum err err;

	rig->options.deadline_ms = 800;
	rig_reopen(rig);
	rig_keep(rig, 2, &plain, STR("k"), STR("1"));
	find_database(rig, pids);
	signal_database(pids + 1, SIGSTOP);
	assert_int_equal(
	    rig_put(rig, 2, &plain, STR("k"), STR("2")), ERR_UNCERTAIN);
	rig_await_down(rig);
	err = rig_put(rig, 2, &plain, STR("k"), STR("3"));
	signal_database(pids + 1, SIGCONT);
	rig_run_for(rig, 200);
	if (err != ERR_NONE)
		rig_keep(rig, 2, &plain, STR("k"), STR("3"));
	RIG_TEXT(rig_get(rig, 2, &plain, STR("k")), "3");
}

/* The processes of the database end without a word, as those of a server that
 * is killed: no error comes, only the end of the connection. */
static void
a_silent_end_is_a_lost_connection(void **state)
{
	struct rig *rig = *state;
	struct asked_get asked = {.calls = 0};
	int pids[PIDS_MAX];
	struct many many;

	assert_int_equal(rig_put(rig, 2, &plain, STR("k"), STR("v")), ERR_NONE);
	find_database(rig, pids);
	signal_database(pids + 1, SIGSTOP);
	store_get(rig->store, &asked.get, rig->arena,
	    &(struct map_key){2, &plain, STR("k")}, get_done);
	start_many(rig, &many, "silent");
	rig_run_for(rig, 50);
	signal_database(pids + 1, SIGKILL);
	rig_await(rig, &asked.calls);
	assert_true(
	    asked.get.err == ERR_NONE || asked.get.err == ERR_UNAVAILABLE);
	check_many(rig, &many, "silent");
	assert_true(store_is_up(rig->store));
}

#define SOCKET_NAME ".s.PGSQL.5432"

/* Where the database was listens one who hangs up at once. */
static int
listen_instead(const char *path)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0);

	must(fd >= 0 && strlen(path) < sizeof(address.sun_path));
	memcpy(address.sun_path, path, strlen(path));
	unlink(path);
	assert_int_equal(
	    bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	assert_int_equal(listen(fd, 100), 0);
	return fd;
}

/* How often the store has just knocked. */
static unsigned
count_tries(struct rig *rig, int fd)
{
	unsigned tries = 0;
	int caller;

	rig_run_for(rig, 5);
	while ((caller = accept(fd, NULL, NULL)) >= 0) {
		tries++;
		close(caller);
	}
	return tries;
}

/* How long it takes to knock so often: not longer than that. */
static uint64_t
await_tries(struct rig *rig, int fd, unsigned count, unsigned most_ms)
{
	const uint64_t begun = clock_mono_ms();
	uint64_t lasted = 0;

	for (unsigned tries = 0; tries < count;
	    lasted = clock_mono_ms() - begun) {
		assert_true(lasted < most_ms);
		tries += count_tries(rig, fd);
	}
	return lasted;
}

static void
a_database_that_is_away_is_asked_ever_less(void **state)
{
	struct rig *rig = *state;
	const char *dir = getenv("JACKDAW_TEST_PG_DIR");
	const char *way =
	    str_format(rig->arena, "%s/" SOCKET_NAME, rig->dir).text;
	const char *real =
	    str_format(rig->arena, "%s/" SOCKET_NAME, dir ? dir : "").text;
	uint64_t first, last;
	int fd;

	if (dir == NULL) {
		print_message("JACKDAW_TEST_PG_DIR is not set\n");
		skip();
	}
	assert_int_equal(symlink(real, way), 0);
	rig->options.conninfo = str_format(
	    rig->arena, "%s host=%s port=5432", rig->options.conninfo, rig->dir)
				    .text;
	rig_reopen(rig);
	assert_int_equal(rig_put(rig, 2, &plain, STR("k"), STR("v")), ERR_NONE);
	fd = listen_instead(way);
	rig_postgres_do(getenv("JACKDAW_TEST_PG"), RIG_END_OTHERS);
	/* Each of two lines after 10 to 20 ms, and after twice that each time:
	 * eight times after 150 ms at the earliest, the last four 1.9 s apart,
	 * however slow this machine is. Half of 5 s each would be too late. */
	first = await_tries(rig, fd, 8, 9000);
	(void)await_tries(rig, fd, 4, 30000);
	last = await_tries(rig, fd, 4, 30000);
	close(fd);
	unlink(way);
	assert_int_equal(symlink(real, way), 0);
	assert_true(first >= 140);
	assert_true(last >= 1280);
	RIG_TEXT(rig_get(rig, 2, &plain, STR("k")), "(cannot be reached)");
	rig_keep(rig, 2, &plain, STR("k"), STR("w"));
	RIG_TEXT(rig_get(rig, 2, &plain, STR("k")), "w");
	unlink(way);
}

static unsigned refusals, answers;

static void
count_refusal(struct store_commit *commit)
{
	answers++;
	if (commit->err == ERR_UNAVAILABLE)
		refusals++;
}

/* More than the store may hold of a database that stands still. */
static void
the_queue_is_bounded(void **state)
{
	enum { COUNT = 30000 };
	struct rig *rig = *state;
	struct store_commit *waits =
	    arena_array(rig->arena, struct store_commit, COUNT);
	size_t len = 8000;
	struct str value = {arena_alloc(rig->arena, len), len};
	struct stall stalled;

	rig->options.deadline_ms = 60000;
	rig_reopen(rig);
	stalled = stall(rig);
	refusals = answers = 0;
	assert_int_equal(store_load(rig->store), 0);
	for (unsigned i = 0; i < COUNT; i++) {
		struct store_write *write = store_write_new(rig->store);

		store_put(write, 2, &plain, STR("k"), value);
		store_commit(write, &waits[i], count_refusal);
	}
	rig_run_for(rig, 100);
	assert_in_range(refusals, COUNT / 2, COUNT - 1000);
	assert_int_equal(answers, refusals);
	assert_in_range(store_load(rig->store), 99, 101);
	unstall(&stalled);
	rig_close_store(rig);
	assert_int_equal(answers, COUNT);
	rig_open_store(rig);
}

/* --- shards ----------------------------------------------------------- */

#define SHARDS     4
#define SHARD_ROWS 300

struct shard {
	pthread_t thread;
	struct storage *storage;
	unsigned index, done, wrong, is_closed;
	struct store *store;
	uv_loop_t loop;
	struct shard_write *writes;
	struct arena *arena;
};

struct shard_write {
	struct shard *shard;
	struct store_commit commit;
	struct store_get get;
	struct str key;
	owner_id owner;
};

static void
shard_got(struct store_get *get)
{
	struct shard_write *write = container_of(get, struct shard_write, get);

	write->shard->done++;
	if (get->err != ERR_NONE || !str_equal(get->row.value, write->key))
		write->shard->wrong++;
}

static void
shard_wrote(struct store_commit *commit)
{
	struct shard_write *write =
	    container_of(commit, struct shard_write, commit);

	if (commit->err != ERR_NONE)
		write->shard->wrong++;
}

static void
shard_closed(void *arg)
{
	((struct shard *)arg)->is_closed = 1;
}

static void
shard_ask(struct shard *shard, unsigned i)
{
	struct shard_write *wait = &shard->writes[i];
	struct store_write *write = store_write_new(shard->store);

	wait->shard = shard;
	wait->owner = 2 + i % 7 * SHARDS + shard->index;
	wait->key = str_format(shard->arena, "%u", i);
	store_put(write, wait->owner, &plain, wait->key, wait->key);
	rig_append(write, &log_counted, wait->owner, i + 1, STR("p"));
	if (i % 2 == 0)
		store_commit(write, &wait->commit, shard_wrote);
	else
		store_commit_lazy(write, &wait->commit, shard_wrote);
	store_get(shard->store, &wait->get, shard->arena,
	    &(struct map_key){wait->owner, &plain, wait->key}, shard_got);
}

static void *
shard_main(void *arg)
{
	struct shard *shard = arg;

	shard->arena = arena_make(0);
	shard->writes =
	    arena_array(shard->arena, struct shard_write, SHARD_ROWS);
	must(uv_loop_init(&shard->loop) == 0);
	shard->store = store_open(shard->storage, &shard->loop);
	for (unsigned i = 0; i < SHARD_ROWS; i++) {
		shard_ask(shard, i);
		if (i % 5 == 0)
			uv_run(&shard->loop, UV_RUN_NOWAIT);
	}
	while (shard->done < SHARD_ROWS)
		uv_run(&shard->loop, UV_RUN_ONCE);
	store_close(shard->store, shard_closed, shard);
	while (!shard->is_closed)
		uv_run(&shard->loop, UV_RUN_ONCE);
	uv_loop_close(&shard->loop);
	arena_free(&shard->arena);
	arena_thread_done();
	return NULL;
}

static void
many_shards_work_at_once(void **state)
{
	struct rig *rig = *state;
	struct shard shards[SHARDS] = {{0}};
	uint64_t rows = 0;

	for (unsigned i = 0; i < SHARDS; i++) {
		shards[i].index = i;
		shards[i].storage = rig->storage;
		pthread_create(&shards[i].thread, NULL, shard_main, &shards[i]);
	}
	for (unsigned i = 0; i < SHARDS; i++) {
		pthread_join(shards[i].thread, NULL);
		assert_int_equal(shards[i].wrong, 0);
	}
	for (owner_id owner = 2; owner < 2 + 7 * SHARDS; owner++)
		rows += rig_count(rig, owner, &log_counted).count;
	assert_int_equal(rows, SHARDS * SHARD_ROWS);
}

#define SQLITE   (1u << RIG_SQLITE)
#define POSTGRES (1u << RIG_POSTGRES)

static const struct rig_case cases[] = {
    RIG_CASE_IN(writes_survive_a_lost_connection, POSTGRES),
    RIG_CASE_IN(a_stopped_database_is_waited_for, POSTGRES),
    RIG_CASE_IN(an_heir_keeps_the_cut_off_server_out, POSTGRES),
    RIG_CASE_IN(
	what_was_told_is_kept_when_the_server_is_killed, SQLITE | POSTGRES),
    RIG_CASE_IN(a_full_disk_is_survived, SQLITE),
    RIG_CASE_IN(questions_end_within_their_deadline, SQLITE | POSTGRES),
    RIG_CASE_IN(a_slow_search_holds_no_commit, POSTGRES),
    RIG_CASE_IN(a_slow_search_holds_no_other, SQLITE),
    RIG_CASE_IN(a_database_that_hangs_is_left, POSTGRES),
    RIG_CASE_IN(a_line_that_hangs_comes_not_late, POSTGRES),
    RIG_CASE_IN(a_database_that_is_away_is_asked_ever_less, POSTGRES),
    RIG_CASE_IN(a_silent_end_is_a_lost_connection, POSTGRES),
    RIG_CASE_IN(the_queue_is_bounded, SQLITE | POSTGRES),
    RIG_CASE_IN(many_shards_work_at_once, SQLITE | POSTGRES),
};

int
main(void)
{
	return rig_run(cases, sizeof(cases) / sizeof(cases[0]));
}

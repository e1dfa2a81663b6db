#include "storage/store_rig.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <libpq-fe.h>
#include <signal.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/list.h"

/* Only what hangs, or is broken, takes so long. */
#define AWAIT_MS    60000
#define DEADLINE_MS 30000

bool
rig_has_postgres(void)
{
	return getenv("JACKDAW_TEST_PG") != NULL;
}

void
rig_postgres_run(PGconn *conn, const char *text)
{
	PGresult *result;

	must(PQsendQuery(conn, text) == 1);
	while ((result = PQgetResult(conn)) != NULL) {
		must(PQresultStatus(result) != PGRES_FATAL_ERROR);
		PQclear(result);
	}
}

void
rig_postgres_do(const char *conninfo, const char *text)
{
	PGconn *conn = PQconnectdb(conninfo);

	rig_postgres_run(conn, text);
	PQfinish(conn);
}

void
rig_sqlite_do(const char *path, const char *text)
{
	sqlite3 *db;

	assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
	sqlite3_busy_timeout(db, 30000);
	assert_int_equal(sqlite3_exec(db, text, NULL, NULL, NULL), SQLITE_OK);
	sqlite3_close(db);
}

int64_t
rig_sqlite_count(const char *path, const char *query)
{
	sqlite3_stmt *stmt;
	sqlite3 *db;
	int64_t count;

	assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
	assert_int_equal(
	    sqlite3_prepare_v2(db, query, -1, &stmt, NULL), SQLITE_OK);
	assert_int_equal(sqlite3_step(stmt), SQLITE_ROW);
	count = sqlite3_column_int64(stmt, 0);
	sqlite3_finalize(stmt);
	sqlite3_close(db);
	return count;
}

bool
rig_postgres_control(const char *command)
{
	const char *control = getenv("JACKDAW_TEST_PG_CTL");
	const char *dir = getenv("JACKDAW_TEST_PG_DIR");
	int status = 0;
	pid_t pid;

	if (control == NULL || dir == NULL)
		return false;
	pid = fork();
	must(pid >= 0);
	if (pid == 0) {
		dup2(STDERR_FILENO, STDOUT_FILENO);
		execl(control, control, command, dir, (char *)NULL);
		_exit(127);
	}
	must(waitpid(pid, &status, 0) == pid && status == 0);
	return true;
}

void
rig_limit_files(uint64_t max)
{
	struct rlimit limit;

	signal(SIGXFSZ, SIG_IGN);
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &limit), 0);
	limit.rlim_cur = max == 0 ? RLIM_INFINITY : max;
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
}

static void
open_storage(struct rig *rig)
{
	struct str why = STR_NONE;

	rig->storage = storage_open(rig->arena, &rig->options, &why);
	if (rig->storage == NULL)
		fprintf(stderr, "%.*s\n", STR_ARG(why));
	must(rig->storage != NULL);
}

void
rig_open_store(struct rig *rig)
{
	rig->store = store_open(
	    rig->storage, rig->mode == RIG_INLINE ? NULL : &rig->loop);
}

struct rig *
rig_new(enum rig_mode mode)
{
	struct arena *arena = arena_make(0);
	struct rig *rig = arena_new(arena, struct rig);

	rig->arena = arena;
	rig->mode = mode;
	snprintf(rig->dir, sizeof(rig->dir), "/tmp/store_test.XXXXXX");
	must(mkdtemp(rig->dir) != NULL);
	must(uv_loop_init(&rig->loop) == 0);
	rig->options = (struct storage_options){
	    .backend = mode == RIG_POSTGRES ? "postgres" : "sqlite",
	    .path = str_format(arena, "%s/db", rig->dir).text,
	    .conninfo = getenv("JACKDAW_TEST_PG"),
	    .deadline_ms = DEADLINE_MS,
	    .hold_ms = 3,
	    .stores = 1,
	    .fresh_max = 7,
	    .is_inline = mode == RIG_INLINE,
	};
	if (mode == RIG_POSTGRES)
		rig_postgres_do(rig->options.conninfo,
		    "SET client_min_messages = error;"
		    "DROP SCHEMA public CASCADE; CREATE SCHEMA public");
	rig_open_all(rig);
	return rig;
}

static void
on_closed(void *arg)
{
	*(unsigned *)arg = 1;
}

void
rig_close_store(struct rig *rig)
{
	unsigned is_closed = 0;

	store_close(rig->store, on_closed, &is_closed);
	must(is_closed == 0);
	rig_await(rig, &is_closed);
	rig->store = NULL;
}

void
rig_close_all(struct rig *rig)
{
	rig_close_store(rig);
	storage_close(&rig->storage);
}

void
rig_open_all(struct rig *rig)
{
	open_storage(rig);
	rig_open_store(rig);
}

void
rig_reopen(struct rig *rig)
{
	rig_close_all(rig);
	rig_open_all(rig);
}

static void
remove_file(const struct rig *rig, const char *name)
{
	char path[128];

	snprintf(path, sizeof(path), "%s/%s", rig->dir, name);
	unlink(path);
}

void
rig_free(struct rig **rig)
{
	static const char *const files[] = {"db", "db-wal", "db-shm", "db.lock",
	    "copy", "copy-wal", "copy-shm", "copy.lock"};
	struct arena *arena = (*rig)->arena;

	if ((*rig)->store != NULL)
		rig_close_store(*rig);
	if ((*rig)->storage != NULL)
		storage_close(&(*rig)->storage);
	must(uv_loop_close(&(*rig)->loop) == 0);
	for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++)
		remove_file(*rig, files[i]);
	rmdir((*rig)->dir);
	*rig = NULL;
	arena_free(&arena);
}

void
rig_turn(struct rig *rig)
{
	if (rig->mode == RIG_INLINE)
		store_step(rig->store);
	else
		uv_run(&rig->loop, UV_RUN_ONCE);
}

static void
on_time(uv_timer_t *timer)
{
	*(unsigned *)timer->data = 1;
}

static void
on_timer_closed(uv_handle_t *timer)
{
	*(unsigned *)timer->data = 2;
}

void
rig_run_for(struct rig *rig, unsigned ms)
{
	unsigned state = 0;
	uv_timer_t timer;

	must(uv_timer_init(&rig->loop, &timer) == 0);
	timer.data = &state;
	uv_update_time(&rig->loop);
	/* Repeated, so that the loop does not sleep after it. */
	uv_timer_start(&timer, on_time, ms, 10);
	rig_await(rig, &state);
	uv_close((uv_handle_t *)&timer, on_timer_closed);
	while (state != 2)
		rig_turn(rig);
}

void
rig_await(struct rig *rig, const unsigned *number)
{
	uint64_t until = clock_mono_ms() + AWAIT_MS;

	while (*number == 0) {
		must(clock_mono_ms() < until);
		rig_turn(rig);
	}
}

void
rig_await_down(struct rig *rig)
{
	uint64_t until = clock_mono_ms() + AWAIT_MS;

	while (store_is_up(rig->store)) {
		must(clock_mono_ms() < until);
		rig_run_for(rig, 5);
	}
}

/* --- writes ----------------------------------------------------------- */

static void
committed(struct store_commit *commit)
{
	container_of(commit, struct rig_commit, commit)->calls++;
}

void
rig_start(struct rig_commit *wait, struct store_write *write)
{
	wait->calls = 0;
	store_commit(write, &wait->commit, committed);
	must(wait->calls == 0);
}

enum err
rig_commit(struct rig *rig, struct store_write *write)
{
	struct rig_commit wait;

	rig_start(&wait, write);
	rig_await(rig, &wait.calls);
	must(wait.calls == 1);
	return wait.commit.err;
}

enum err
rig_put(struct rig *rig, owner_id owner, const struct store_kind *kind,
    struct str key, struct str value)
{
	struct store_write *write = store_write_new(rig->store);

	store_put(write, owner, kind, key, value);
	return rig_commit(rig, write);
}

void
rig_keep(struct rig *rig, owner_id owner, const struct store_kind *kind,
    struct str key, struct str value)
{
	uint64_t until = clock_mono_ms() + AWAIT_MS;

	while (rig_put(rig, owner, kind, key, value) != ERR_NONE) {
		must(clock_mono_ms() < until);
		rig_run_for(rig, 10);
	}
}

owner_id
rig_make(struct rig *rig, struct str host, struct str local)
{
	struct store_write *write = store_write_new(rig->store);
	owner_id made = 0;

	store_owner_make(write, host, local, &made);
	return rig_commit(rig, write) == ERR_NONE ? made : 0;
}

enum err
rig_set_state(struct rig *rig, owner_id owner, enum owner_state state)
{
	struct store_write *write = store_write_new(rig->store);

	store_owner_set_state(write, owner, state);
	return rig_commit(rig, write);
}

enum err
rig_purge(struct rig *rig, owner_id owner, unsigned max)
{
	struct rig_commit wait = {.calls = 0};

	store_purge(rig->store, &wait.commit, owner, max, committed);
	rig_await(rig, &wait.calls);
	return wait.commit.err;
}

enum err
rig_limit(struct rig *rig, const struct log_limit *limit)
{
	struct rig_commit wait = {.calls = 0};

	store_log_limit(rig->store, &wait.commit, limit, committed);
	rig_await(rig, &wait.calls);
	return wait.commit.err;
}

/* --- reads ------------------------------------------------------------ */

/* A wait of the type, whose done counts. */
#define ASKED(type)                                                     \
	struct asked_##type {                                           \
		struct type wait;                                       \
		unsigned calls;                                         \
	};                                                              \
	static void type##_done(struct type *wait)                      \
	{                                                               \
		container_of(wait, struct asked_##type, wait)->calls++; \
	}                                                               \
	static struct type *type##_await(                               \
	    struct rig *rig, struct asked_##type *asked)                \
	{                                                               \
		must(asked->calls == 0);                                \
		rig_await(rig, &asked->calls);                          \
		must(asked->calls == 1);                                \
		return &asked->wait;                                    \
	}

ASKED(store_get)
ASKED(store_scan)
ASKED(store_page)
ASKED(store_owner)
ASKED(store_owners)
ASKED(store_count)

static struct store_get *
get(struct rig *rig, owner_id owner, const struct store_kind *kind,
    struct str key)
{
	struct asked_store_get *asked =
	    arena_new(rig->arena, struct asked_store_get);

	store_get(rig->store, &asked->wait, rig->arena,
	    &(struct map_key){owner, kind, key}, store_get_done);
	return store_get_await(rig, asked);
}

struct str
rig_get(struct rig *rig, owner_id owner, const struct store_kind *kind,
    struct str key)
{
	const struct store_get *got = get(rig, owner, kind, key);

	return got->err == ERR_NONE
		   ? got->row.value
		   : str_format(rig->arena, "(%s)", err_text(got->err));
}

struct map_row
rig_row(struct rig *rig, owner_id owner, const struct store_kind *kind,
    struct str key)
{
	return get(rig, owner, kind, key)->row;
}

const struct store_scan *
rig_scan(struct rig *rig, const struct map_query *query)
{
	struct asked_store_scan *asked =
	    arena_new(rig->arena, struct asked_store_scan);

	store_scan(
	    rig->store, &asked->wait, rig->arena, query, store_scan_done);
	return store_scan_await(rig, asked);
}

const struct store_page *
rig_page(struct rig *rig, const struct log_query *query)
{
	struct asked_store_page *asked =
	    arena_new(rig->arena, struct asked_store_page);

	store_page(
	    rig->store, &asked->wait, rig->arena, query, store_page_done);
	return store_page_await(rig, asked);
}

const struct store_page *
rig_due(struct rig *rig, const struct due_query *query)
{
	struct asked_store_page *asked =
	    arena_new(rig->arena, struct asked_store_page);

	store_due(rig->store, &asked->wait, rig->arena, query, store_page_done);
	return store_page_await(rig, asked);
}

struct store_count
rig_count(struct rig *rig, owner_id owner, const struct store_kind *kind)
{
	struct asked_store_count asked = {.calls = 0};

	store_count(rig->store, &asked.wait, owner, kind, store_count_done);
	return *store_count_await(rig, &asked);
}

const struct store_owner *
rig_find(struct rig *rig, struct str host, struct str local)
{
	struct asked_store_owner *asked =
	    arena_new(rig->arena, struct asked_store_owner);

	store_owner_find(rig->store, &asked->wait, rig->arena, host, local,
	    store_owner_done);
	return store_owner_await(rig, asked);
}

static struct asked_store_owners *
owners_new(struct rig *rig)
{
	return arena_new(rig->arena, struct asked_store_owners);
}

const struct store_owners *
rig_list(struct rig *rig, struct str host, struct str after, unsigned max)
{
	struct asked_store_owners *asked = owners_new(rig);

	store_owner_list(rig->store, &asked->wait, rig->arena,
	    &(struct owner_query){host, after, max}, store_owners_done);
	return store_owners_await(rig, asked);
}

const struct store_owners *
rig_deleted(struct rig *rig)
{
	struct asked_store_owners *asked = owners_new(rig);

	store_owner_deleted(
	    rig->store, &asked->wait, rig->arena, 10, store_owners_done);
	return store_owners_await(rig, asked);
}

const struct store_owners *
rig_reverse(struct rig *rig, const struct store_kind *kind, struct str key,
    owner_id after, unsigned max)
{
	struct asked_store_owners *asked = owners_new(rig);

	store_reverse(rig->store, &asked->wait, rig->arena,
	    &(struct reverse_query){kind, key, after, max}, store_owners_done);
	return store_owners_await(rig, asked);
}

/* --- logs ------------------------------------------------------------- */

void
rig_append(struct store_write *write, const struct store_kind *kind,
    owner_id owner, uint64_t id, struct str peer)
{
	struct log_row row = {.owner = owner,
	    .id = id,
	    .nonce = UINT64_MAX - id,
	    .time_us = id * 10,
	    .peer = peer,
	    .value = STR("value")};

	store_append(write, kind, &row);
}

void
rig_fill_log(struct rig *rig, const struct store_kind *kind, unsigned count)
{
	struct store_write *write = store_write_new(rig->store);

	for (unsigned i = 1; i <= count; i++)
		rig_append(write, kind, 2, i,
		    i % 2 == 0 ? STR("a@b/res") : STR("c@d"));
	must(rig_commit(rig, write) == ERR_NONE);
}

/* --- running ---------------------------------------------------------- */

static const char *const modes[] = {
    [RIG_INLINE] = "inline",
    [RIG_SQLITE] = "sqlite",
    [RIG_POSTGRES] = "postgres",
};

static int
setup(void **state)
{
	*state = rig_new((enum rig_mode)(uintptr_t)*state);
	return 0;
}

static int
teardown(void **state)
{
	struct rig *rig = *state;

	rig_free(&rig);
	return 0;
}

static void
no_postgres(void **state)
{
	print_message("JACKDAW_TEST_PG names no database\n");
	skip();
}

int
rig_run(const struct rig_case *cases, size_t count)
{
	struct arena *arena = arena_make(0);
	struct CMUnitTest *tests =
	    arena_array(arena, struct CMUnitTest, 3 * count + 1);
	unsigned modes_run = rig_has_postgres() ? 3 : 2;
	size_t at = 0;
	int failed;

	for (size_t i = 0; i < modes_run * count; i++) {
		const struct rig_case *each = &cases[i % count];
		size_t mode = i / count;

		if (each->modes != 0 && (each->modes & 1u << mode) == 0)
			continue;
		tests[at++] = (struct CMUnitTest){
		    .name = str_format(arena, "%s: %s", modes[mode], each->name)
			.text,
		    .test_func = each->run,
		    .setup_func = setup,
		    .teardown_func = teardown,
		    .initial_state = (void *)mode,
		};
	}
	if (!rig_has_postgres())
		tests[at++] = (struct CMUnitTest){
		    .name = "postgres", .test_func = no_postgres};
	failed = _cmocka_run_group_tests("store", tests, at, NULL, NULL);
	arena_free(&arena);
	return failed;
}

void
rig_check_text(struct str str, const char *want, const char *file, int line)
{
	if (!str_equal(str, str_of(want)))
		print_error("got \"%.*s\"\n", STR_ARG(str));
	_assert_true(str_equal(str, str_of(want)), want, file, line);
}

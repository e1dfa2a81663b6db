/* The contract that every backend keeps: UNCERTAIN is said of a write that may
 * come to be there, and of no other. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <sqlite3.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/err.h"
#include "storage/store_rig.h"

static const struct store_kind plain = {.name = "plain", .shape = STORE_MAP};

static void
start_put(struct rig *rig, struct rig_commit *begun, struct str key)
{
	struct store_write *write = store_write_new(rig->store);

	store_put(write, 2, &plain, key, STR("v"));
	rig_start(begun, write);
}

static void
start_put_new(struct rig *rig, struct rig_commit *begun, struct str key)
{
	struct store_write *write = store_write_new(rig->store);

	store_put_new(write, 2, &plain, key, STR("new"));
	rig_start(begun, write);
}

/* --- a disk that does not say whether it has what it was given ---------- */

static bool disk_is_silent;

/* What SQLite calls when a commit is to be on the disk: stands before that of
 * the C library. */
int
fdatasync(int fd)
{
	if (disk_is_silent) {
		errno = EIO;
		return -1;
	}
	return (int)syscall(SYS_fdatasync, fd);
}

static void
copy_file(const struct rig *rig, const char *from, const char *to)
{
	char path[128], bytes[4096];
	FILE *in, *out;
	size_t len;

	snprintf(path, sizeof(path), "%s/%s", rig->dir, from);
	in = fopen(path, "rb");
	snprintf(path, sizeof(path), "%s/%s", rig->dir, to);
	out = fopen(path, "wb");
	must(in != NULL && out != NULL);
	do {
		len = fread(bytes, 1, sizeof(bytes), in);
		must(fwrite(bytes, 1, len, out) == len);
	} while (len == sizeof(bytes));
	fclose(in);
	fclose(out);
}

/* What a server finds that starts with the files of now. */
static int64_t
count_after_a_crash(struct rig *rig, const char *value)
{
	const char *path = str_format(rig->arena, "%s/copy", rig->dir).text;
	const char *text = str_format(rig->arena,
	    "SELECT count(*) FROM maps WHERE value = CAST('%s' AS BLOB)", value)
			       .text;

	copy_file(rig, "db", "copy");
	copy_file(rig, "db-wal", "copy-wal");
	return rig_sqlite_count(path, text);
}

static void
what_a_crash_may_bring_back_is_uncertain(void **state)
{
	struct rig *rig = *state;
	enum err err;

	assert_int_equal(rig_put(rig, 2, &plain, STR("k"), STR("v")), ERR_NONE);
	disk_is_silent = true;
	err = rig_put(rig, 2, &plain, STR("k"), STR("late"));
	disk_is_silent = false;
	assert_int_equal(count_after_a_crash(rig, "late"), 1);
	assert_int_equal(err, ERR_UNCERTAIN);
	RIG_TEXT(rig_get(rig, 2, &plain, STR("k")), "v");
	/* What is written now takes its place. */
	assert_int_equal(rig_put(rig, 3, &plain, STR("k"), STR("v")), ERR_NONE);
	assert_int_equal(count_after_a_crash(rig, "late"), 0);
}

/* Those of one commit: each is tried again by itself. */
static void
what_is_written_in_the_end_is_certain(void **state)
{
	struct rig *rig = *state;
	struct rig_commit begun[2];

	assert_int_equal(rig_put(rig, 2, &plain, STR("k"), STR("v")), ERR_NONE);
	disk_is_silent = true;
	start_put_new(rig, &begun[0], STR("k"));
	start_put(rig, &begun[1], STR("l"));
	rig_await(rig, &begun[1].calls);
	disk_is_silent = false;
	assert_int_equal(begun[0].commit.err, ERR_EXISTS);
	assert_int_equal(begun[1].commit.err, ERR_UNCERTAIN);
	assert_int_equal(rig_put(rig, 2, &plain, STR("l"), STR("w")), ERR_NONE);
}

static void
what_finds_no_room_is_not_written(void **state)
{
	struct rig *rig = *state;
	const size_t len = 1 << 20;
	char *text = arena_alloc(rig->arena, len);
	enum err err;

	memset(text, 'x', len);
	assert_int_equal(rig_put(rig, 2, &plain, STR("k"), STR("v")), ERR_NONE);
	rig_limit_files(500000);
	err =
	    rig_put(rig, 2, &plain, STR("k"), (struct str){.text = text, len});
	assert_true(err == ERR_IO || err == ERR_FULL);
	assert_int_equal(count_after_a_crash(rig, "v"), 1);
	rig_limit_files(0);
}

/* --- a server that ends a connection ------------------------------------- */

/* Until somebody in the database waits for a lock, which the other has. */
static void
run_until_blocked(struct rig *rig, PGconn *other)
{
	bool is_blocked = false;

	for (unsigned i = 0; i < 2000 && !is_blocked; i++) {
		PGresult *result;

		rig_run_for(rig, 10);
		result =
		    PQexec(other, "SELECT 1 FROM pg_locks WHERE NOT granted");
		is_blocked = PQntuples(result) > 0;
		PQclear(result);
	}
	assert_true(is_blocked);
}

/* Before the commit: the server can have kept nothing of it. */
static void
what_the_server_left_undone_is_done_again(void **state)
{
	struct rig *rig = *state;
	PGconn *other = PQconnectdb(rig->options.conninfo);
	struct rig_commit begun;

	assert_int_equal(rig_put(rig, 2, &plain, STR("k"), STR("v")), ERR_NONE);
	rig_postgres_run(other, "BEGIN; LOCK TABLE maps");
	start_put_new(rig, &begun, STR("new"));
	run_until_blocked(rig, other);
	assert_int_equal(begun.calls, 0);
	rig_postgres_run(other, RIG_END_OTHERS "; COMMIT");
	PQfinish(other);
	rig_await(rig, &begun.calls);
	assert_int_equal(begun.commit.err, ERR_NONE);
	RIG_TEXT(rig_get(rig, 2, &plain, STR("new")), "new");
}

/* Its condition failed, and the server said so before it went; what came behind
 * was more than it had read. */
static void
what_failed_before_the_end_is_no_doubt(void **state)
{
	struct rig *rig = *state;
	const size_t len = 3 << 20;
	struct str big = {arena_alloc(rig->arena, len), len};
	struct rig_commit refused, kept;
	struct store_write *write;

	assert_int_equal(rig_put(rig, 2, &plain, STR("k"), STR("v")), ERR_NONE);
	start_put_new(rig, &refused, STR("k"));
	write = store_write_new(rig->store);
	store_put(write, 2, &plain, STR("big"), big);
	rig_start(&kept, write);
	store_turn(rig->store);
	/* The server has it meanwhile, and this store does not look. */
	usleep(100000);
	rig_postgres_do(rig->options.conninfo, RIG_END_OTHERS);
	rig_await(rig, &kept.calls);
	assert_int_equal(refused.commit.err, ERR_EXISTS);
	assert_int_equal(kept.commit.err, ERR_NONE);
}

/* A commit that waits for a lock that the other has. */
#define STALL_COMMITS                                                    \
	"CREATE FUNCTION stall() RETURNS trigger LANGUAGE plpgsql AS $$" \
	" BEGIN PERFORM pg_advisory_xact_lock(47); RETURN NULL; END $$;" \
	" CREATE CONSTRAINT TRIGGER stall AFTER INSERT ON maps"          \
	" DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION stall()"

/* Fails whatever is put, as a disk that is full. */
#define SPOIL                                                            \
	"CREATE FUNCTION spoil() RETURNS trigger LANGUAGE plpgsql AS $$" \
	" BEGIN RAISE EXCEPTION 'full' USING ERRCODE = '53100'; END $$;" \
	" CREATE TRIGGER spoil BEFORE INSERT ON maps FOR EACH ROW"       \
	" EXECUTE FUNCTION spoil()"

/* It may have been committed when its connection was lost: that it fails when
 * it is repeated does not say that it was not. */
static void
a_lost_commit_is_uncertain(void **state)
{
	struct rig *rig = *state;
	PGconn *other = PQconnectdb(rig->options.conninfo);
	struct rig_commit once, repeated;

	assert_int_equal(rig_put(rig, 2, &plain, STR("k"), STR("v")), ERR_NONE);
	rig_postgres_run(other, STALL_COMMITS);
	rig_postgres_run(other, "SELECT pg_advisory_lock(47)");
	start_put_new(rig, &once, STR("new"));
	start_put(rig, &repeated, STR("other"));
	run_until_blocked(rig, other);
	assert_int_equal(once.calls + repeated.calls, 0);
	rig_postgres_run(
	    other, RIG_END_OTHERS "; DROP TRIGGER stall ON maps;" SPOIL);
	rig_await(rig, &repeated.calls);
	assert_int_equal(once.calls, 1);
	assert_int_equal(once.commit.err, ERR_UNCERTAIN);
	assert_int_equal(repeated.commit.err, ERR_UNCERTAIN);
	PQfinish(other);
	assert_int_equal(
	    rig_put(rig, 2, &plain, STR("other"), STR("v")), ERR_FULL);
}

/* --- deadlines ----------------------------------------------------------- */

/* The one is at work when its deadline passes; the other comes behind it. */
static void
only_what_is_begun_is_uncertain(void **state)
{
	struct rig *rig = *state;
	struct rig_commit begun, waiting;
	sqlite3 *other;

	assert_int_equal(rig_put(rig, 2, &plain, STR("k"), STR("v")), ERR_NONE);
	rig->options.deadline_ms = 400;
	rig_reopen(rig);
	assert_int_equal(sqlite3_open(rig->options.path, &other), SQLITE_OK);
	assert_int_equal(
	    sqlite3_exec(other, "BEGIN IMMEDIATE", NULL, NULL, NULL),
	    SQLITE_OK);
	start_put(rig, &begun, STR("begun"));
	rig_await(rig, &begun.calls);
	assert_int_equal(begun.commit.err, ERR_UNCERTAIN);
	/* It is at work still: SQLite waits for the other for 2 s. */
	start_put(rig, &waiting, STR("waiting"));
	rig_await(rig, &waiting.calls);
	sqlite3_close(other);
	assert_int_equal(waiting.commit.err, ERR_TIMEOUT);
	rig_keep(rig, 3, &plain, STR("behind"), STR("v"));
	RIG_TEXT(rig_get(rig, 2, &plain, STR("begun")), "v");
	RIG_TEXT(rig_get(rig, 2, &plain, STR("waiting")), "(not found)");
}

#define INLINE   (1u << RIG_INLINE)
#define SQLITE   (1u << RIG_SQLITE)
#define POSTGRES (1u << RIG_POSTGRES)

static const struct rig_case cases[] = {
    RIG_CASE_IN(what_a_crash_may_bring_back_is_uncertain, INLINE | SQLITE),
    RIG_CASE_IN(what_is_written_in_the_end_is_certain, SQLITE),
    RIG_CASE_IN(what_finds_no_room_is_not_written, INLINE | SQLITE),
    RIG_CASE_IN(what_the_server_left_undone_is_done_again, POSTGRES),
    RIG_CASE_IN(what_failed_before_the_end_is_no_doubt, POSTGRES),
    RIG_CASE_IN(a_lost_commit_is_uncertain, POSTGRES),
    RIG_CASE_IN(only_what_is_begun_is_uncertain, SQLITE),
};

int
main(void)
{
	return rig_run(cases, sizeof(cases) / sizeof(cases[0]));
}

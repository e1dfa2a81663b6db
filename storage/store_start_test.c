/* The contract that every backend keeps: starts and ends. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/list.h"
#include "storage/schema/schema.h"
#include "storage/store_rig.h"

#define HOST STR("localhost")

static const struct store_kind plain = {.name = "plain", .shape = STORE_MAP};
static const struct store_kind log_counted = {
    .name = "log-counted", .shape = STORE_LOG, .flags = KIND_COUNTED};

struct seen {
	struct store_get get;
	unsigned calls;
};

static void
seen_done(struct store_get *get)
{
	container_of(get, struct seen, get)->calls++;
}

static void
committed_rows_survive(void **state)
{
	struct rig *rig = *state;

	assert_int_equal(rig_put(rig, 2, &plain, STR("k"), STR("v")), ERR_NONE);
	rig_fill_log(rig, &log_counted, 10);
	rig_reopen(rig);
	RIG_TEXT(rig_get(rig, 2, &plain, STR("k")), "v");
	assert_int_equal(rig_count(rig, 2, &log_counted).count, 10);
}

static void
closing_keeps_writes_and_cancels_reads(void **state)
{
	struct rig *rig = *state;
	struct store_write *write = store_write_new(rig->store);
	struct rig_commit kept;
	struct seen seen = {.calls = 0};

	store_put(write, 2, &plain, STR("k"), STR("v"));
	rig_start(&kept, write);
	store_get(rig->store, &seen.get, rig->arena,
	    &(struct map_key){2, &plain, STR("k")}, seen_done);
	rig_close_store(rig);
	assert_int_equal(kept.calls, 1);
	assert_int_equal(kept.commit.err, ERR_NONE);
	assert_int_equal(seen.calls, 1);
	assert_int_equal(seen.get.err, ERR_CANCELED);
	rig_open_store(rig);
	RIG_TEXT(rig_get(rig, 2, &plain, STR("k")), "v");
}

#define ASKERS 100

/* Asks again whatever it is told. */
struct insistent {
	struct rig *rig;
	struct store_get get;
	unsigned left;
};

static void
ask_again(struct store_get *get)
{
	struct insistent *asker = container_of(get, struct insistent, get);

	if (asker->left-- > 0)
		store_get(asker->rig->store, get, asker->rig->arena,
		    &(struct map_key){2, &plain, STR("k")}, ask_again);
}

/* What is asked by who is just being told waits for no other event. */
static void
who_asks_again_delays_no_closing(void **state)
{
	struct rig *rig = *state;
	struct insistent askers[ASKERS];
	uint64_t begun;

	assert_int_equal(rig_put(rig, 2, &plain, STR("k"), STR("v")), ERR_NONE);
	for (unsigned i = 0; i < ASKERS; i++) {
		askers[i] = (struct insistent){.rig = rig, .left = 20};
		ask_again(&askers[i].get);
	}
	begun = clock_mono_ms();
	rig_close_store(rig);
	/* The next event would be the deadline. */
	assert_true(clock_mono_ms() - begun < rig->options.deadline_ms / 2);
	rig_open_store(rig);
}

static void
a_second_server_is_kept_out(void **state)
{
	struct rig *rig = *state;
	struct str why = STR_NONE;
	struct storage *second = storage_open(rig->arena, &rig->options, &why);

	assert_null(second);
	assert_true(why.len > 0);
}

/* --- starting --------------------------------------------------------- */

static void
expect_refusal(struct rig *rig, const char *words)
{
	struct str why = STR_NONE;

	assert_null(storage_open(rig->arena, &rig->options, &why));
	if (strstr(why.text, words) == NULL)
		print_error("it says: %.*s\n", STR_ARG(why));
	assert_non_null(strstr(why.text, words));
}

static void
a_newer_schema_is_refused(void **state)
{
	struct rig *rig = *state;

	rig_close_all(rig);
	if (rig->mode == RIG_POSTGRES)
		rig_postgres_do(rig->options.conninfo,
		    "UPDATE meta SET value = '99' WHERE name = 'schema'");
	else
		rig_sqlite_do(rig->options.path, "PRAGMA user_version = 99");
	expect_refusal(rig, "newer version of this program");
}

/* --- migrating -------------------------------------------------------- */

static const char change_rows[] = "UPDATE maps SET key = value";
static const char add_table[] =
    "CREATE TABLE notes (id bigint PRIMARY KEY, text text NOT NULL);"
    "INSERT INTO notes SELECT id, host FROM owners WHERE local = 'romeo'";
/* Its first three statements are fine. */
static const char broken[] =
    "CREATE TABLE more (id bigint); UPDATE maps SET value = key;"
    "DROP TABLE notes; INSERT INTO nothing VALUES (1)";

/* This program's files and, each a version, up to three others. */
static const char *const *
schema_with(struct rig *rig, const char *const others[])
{
	const char *const *own =
	    rig->mode == RIG_POSTGRES ? schema_postgres : schema_sqlite;
	unsigned count = schema_count(own);
	const char **all = arena_array(rig->arena, const char *, count + 4);

	for (unsigned i = 0; i < count; i++)
		all[i] = own[i];
	for (unsigned i = 0; i < 3 && others[i] != NULL; i++)
		all[count++] = others[i];
	return all;
}

static void
database_do(const struct rig *rig, const char *text)
{
	if (rig->mode == RIG_POSTGRES)
		rig_postgres_do(rig->options.conninfo, text);
	else
		rig_sqlite_do(rig->options.path, text);
}

static void
an_older_schema_is_brought_up_to_date(void **state)
{
	struct rig *rig = *state;

	assert_int_equal(
	    schema_count(schema_sqlite), schema_count(schema_postgres));
	assert_true(rig_make(rig, HOST, STR("romeo")) != 0);
	assert_int_equal(rig_put(rig, 2, &plain, STR("k"), STR("v")), ERR_NONE);
	rig->options.schema = schema_with(
	    rig, (const char *const[]){change_rows, add_table, NULL});
	rig_reopen(rig);
	RIG_TEXT(rig_get(rig, 2, &plain, STR("k")), "(not found)");
	RIG_TEXT(rig_get(rig, 2, &plain, STR("v")), "v");
	assert_int_equal(rig_put(rig, 2, &plain, STR("k"), STR("w")), ERR_NONE);
	/* Once, and not at each start. */
	rig_reopen(rig);
	RIG_TEXT(rig_get(rig, 2, &plain, STR("k")), "w");

	rig_close_all(rig);
	database_do(rig, "INSERT INTO notes VALUES (1000, 'it is there')");
	rig->options.schema = NULL;
	expect_refusal(rig, "newer version of this program");
}

static void
a_migration_that_fails_changes_nothing(void **state)
{
	struct rig *rig = *state;
	const char *const good[] = {add_table, NULL};
	const char *const bad[] = {add_table, change_rows, broken};

	assert_int_equal(rig_put(rig, 2, &plain, STR("k"), STR("v")), ERR_NONE);
	rig_close_all(rig);
	rig->options.schema = schema_with(rig, bad);
	expect_refusal(rig, "up to date");

	rig->options.schema = NULL;
	rig_open_all(rig);
	RIG_TEXT(rig_get(rig, 2, &plain, STR("k")), "v");
	/* What the first of them makes is not there: it can be made. */
	rig->options.schema = schema_with(rig, good);
	rig_reopen(rig);
	rig_close_all(rig);
	rig->options.schema = schema_with(rig, bad);
	expect_refusal(rig, "up to date");
	database_do(rig, "INSERT INTO notes VALUES (1000, 'it is there')");
}

static void
a_file_that_cannot_be_opened_is_named(void **state)
{
	struct rig *rig = *state;
	FILE *file;

	rig_close_all(rig);
	rig->options.path = "/nonexistent/folder/db";
	expect_refusal(rig, "\"/nonexistent/folder/db");
	rig->options.path = str_format(rig->arena, "%s/copy", rig->dir).text;
	file = fopen(rig->options.path, "w");
	assert_non_null(file);
	assert_true(fputs("this is a letter and not a database", file) >= 0);
	fclose(file);
	expect_refusal(rig, "not a database");
}

static void
a_database_that_cannot_be_reached_is_explained(void **state)
{
	struct rig *rig = *state;

	rig_close_all(rig);
	rig->options.conninfo = "host=/nonexistent dbname=x user=y";
	expect_refusal(rig, "is it running");
	rig->options.conninfo = "nonsense";
	expect_refusal(rig, "not valid");
}

static void
a_wrong_password_is_explained(void **state)
{
	struct rig *rig = *state;
	const char *conninfo = rig->options.conninfo;

	if (getenv("JACKDAW_TEST_PG_CTL") == NULL) {
		print_message("this database wants no passwords\n");
		skip();
	}
	rig_close_all(rig);
	rig_postgres_do(conninfo, "DROP ROLE IF EXISTS sealed");
	rig_postgres_do(conninfo, "CREATE ROLE sealed LOGIN PASSWORD 'secret'");
	rig->options.conninfo =
	    str_format(rig->arena, "%s user=sealed password=guess", conninfo)
		.text;
	expect_refusal(rig, "is the password right?");
	rig->options.conninfo =
	    str_format(rig->arena, "%s user=sealed", conninfo).text;
	expect_refusal(rig, "none is configured");
}

/* Not all names and words could be kept there. */
static void
a_database_of_another_encoding_is_refused(void **state)
{
	struct rig *rig = *state;
	const char *conninfo = rig->options.conninfo;

	rig_close_all(rig);
	rig_postgres_do(conninfo, "DROP DATABASE IF EXISTS jackdaw_latin");
	rig_postgres_do(conninfo,
	    "CREATE DATABASE jackdaw_latin TEMPLATE template0"
	    " ENCODING 'LATIN1' LC_COLLATE 'C' LC_CTYPE 'C'");
	rig->options.conninfo =
	    str_format(rig->arena, "%s dbname=jackdaw_latin", conninfo).text;
	expect_refusal(rig, "its encoding is LATIN1: make one");
	rig_postgres_do(conninfo, "DROP DATABASE jackdaw_latin");
}

static void
a_copy_has_all_rows(void **state)
{
	struct rig *rig = *state;
	struct str why = STR_NONE;
	const char *copy = str_format(rig->arena, "%s/copy", rig->dir).text;
	enum err err;

	assert_int_equal(rig_put(rig, 2, &plain, STR("k"), STR("v")), ERR_NONE);
	err = storage_backup(rig->storage, copy, rig->arena, &why);
	if (rig->mode == RIG_POSTGRES) {
		assert_int_equal(err, ERR_INVALID);
		assert_non_null(strstr(why.text, "pg_dump"));
		return;
	}
	assert_int_equal(err, ERR_NONE);
	assert_int_equal(
	    storage_backup(rig->storage, copy, rig->arena, &why), ERR_EXISTS);
	rig->options.path = copy;
	rig_reopen(rig);
	RIG_TEXT(rig_get(rig, 2, &plain, STR("k")), "v");
}

/* --- worlds ----------------------------------------------------------- */

static void
a_broken_store_says_so(void **state)
{
	struct rig *rig = *state;

	store_break(rig->store, ERR_TIMEOUT);
	assert_int_equal(
	    rig_put(rig, 2, &plain, STR("k"), STR("v")), ERR_TIMEOUT);
	store_break(rig->store, ERR_UNCERTAIN);
	assert_int_equal(
	    rig_put(rig, 2, &plain, STR("k"), STR("v")), ERR_UNCERTAIN);
	store_break(rig->store, ERR_NONE);
	RIG_TEXT(rig_get(rig, 2, &plain, STR("k")), "v");
}

static void
a_killed_store_leaves_what_was_committed(void **state)
{
	struct rig *rig = *state;
	struct rig_commit first, second;
	struct store_write *write;

	rig_close_all(rig);
	rig->options.path = ":memory:";
	rig->storage =
	    storage_open(rig->arena, &rig->options, &(struct str){NULL, 0});
	assert_non_null(rig->storage);
	rig_open_store(rig);

	write = store_write_new(rig->store);
	store_put(write, 2, &plain, STR("first"), STR("v"));
	rig_start(&first, write);
	write = store_write_new(rig->store);
	store_put(write, 2, &plain, STR("second"), STR("v"));
	rig_start(&second, write);
	assert_true(store_step(rig->store));
	store_kill(&rig->store);
	assert_int_equal(first.calls, 1);
	assert_int_equal(second.calls, 0);

	rig_open_store(rig);
	RIG_TEXT(rig_get(rig, 2, &plain, STR("first")), "v");
	RIG_TEXT(rig_get(rig, 2, &plain, STR("second")), "(not found)");
}

#define INLINE   (1u << RIG_INLINE)
#define SQLITE   (1u << RIG_SQLITE)
#define POSTGRES (1u << RIG_POSTGRES)

static const struct rig_case cases[] = {
    RIG_CASE(a_newer_schema_is_refused),
    RIG_CASE(an_older_schema_is_brought_up_to_date),
    RIG_CASE(a_migration_that_fails_changes_nothing),
    RIG_CASE_IN(a_file_that_cannot_be_opened_is_named, INLINE | SQLITE),
    RIG_CASE_IN(a_database_that_cannot_be_reached_is_explained, POSTGRES),
    RIG_CASE_IN(a_wrong_password_is_explained, POSTGRES),
    RIG_CASE_IN(a_database_of_another_encoding_is_refused, POSTGRES),
    RIG_CASE(a_copy_has_all_rows),
    RIG_CASE_IN(a_broken_store_says_so, INLINE),
    RIG_CASE_IN(a_killed_store_leaves_what_was_committed, INLINE),
    RIG_CASE(committed_rows_survive),
    RIG_CASE(closing_keeps_writes_and_cancels_reads),
    RIG_CASE(who_asks_again_delays_no_closing),
    RIG_CASE(a_second_server_is_kept_out),
};

int
main(void)
{
	return rig_run(cases, sizeof(cases) / sizeof(cases[0]));
}

/* A page is read by its keys alone, wherever it is: what both databases say of
 * the statements. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <libpq-fe.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>

#include "storage/sql.h"
#include "storage/store_rig.h"

static const struct {
	unsigned conditions;
	const char *index; /* "logs_id" is PostgreSQL's primary key */
} pages[] = {
    {0, "logs_id"},
    {PAGE_BACKWARD, "logs_id"},
    {PAGE_PEER, "logs_peer"},
    {PAGE_PEER | PAGE_BACKWARD, "logs_peer"},
};

#define COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))

/* --- SQLite -------------------------------------------------------------- */

static void
check_sqlite(sqlite3 *db, unsigned conditions, const char *index)
{
	struct buf text = {0}, whole = {0};
	sqlite3_stmt *plan;
	unsigned steps = 0;

	sql_text(SQL_PAGE + conditions, false, &text);
	buf_add_format(
	    &whole, "EXPLAIN QUERY PLAN %.*s", STR_ARG(buf_str(&text)));
	assert_int_equal(
	    sqlite3_prepare_v2(db, whole.text, (int)whole.len, &plan, NULL),
	    SQLITE_OK);
	while (sqlite3_step(plan) == SQLITE_ROW) {
		const char *step = (const char *)sqlite3_column_text(plan, 3);

		print_message("# %s\n", step);
		assert_non_null(strstr(step, index));
		assert_non_null(strstr(step, "id>? AND id<?"));
		steps++;
	}
	assert_int_equal(steps, 1);
	sqlite3_finalize(plan);
	buf_deinit(&text);
	buf_deinit(&whole);
}

static void
sqlite_reads_pages_by_key(void **state)
{
	struct rig *rig = rig_new(RIG_SQLITE);
	sqlite3 *db;

	(void)state;
	assert_int_equal(sqlite3_open(rig->options.path, &db), SQLITE_OK);
	for (size_t i = 0; i < COUNT_OF(pages); i++)
		check_sqlite(db, pages[i].conditions, pages[i].index);
	sqlite3_close(db);
	rig_free(&rig);
}

/* --- PostgreSQL ---------------------------------------------------------- */

/* Of ten owners two have nearly all rows, all with one peer but a few: what an
 * estimate from statistics gets wrong. */
static const char fill[] =
    "INSERT INTO logs (owner, id, nonce, time, thread, kind, flags, peer,"
    " value) SELECT CASE WHEN n % 100 < 98 THEN n % 2 ELSE n % 10 END, n, 0,"
    " n, CASE WHEN n % 1000 = 0 THEN n / 1000 ELSE 7 END, 1, 32, 'peer',"
    " 'value' FROM generate_series(1, 50000) n; ANALYZE logs";

static PGresult *
ask(PGconn *conn, const char *text)
{
	PGresult *result = PQexec(conn, text);

	if (PQresultStatus(result) == PGRES_FATAL_ERROR)
		fail_msg("%s: %s", text, PQerrorMessage(conn));
	return result;
}

static void
check_explained(PGconn *conn, const char *index)
{
	PGresult *result = ask(conn,
	    index[5] == 'p' ? "EXPLAIN EXECUTE page (0, 1, 0, 99999, 7, 'peer',"
			      " 'peer/', 'peer0', 51)"
			    : "EXPLAIN EXECUTE page (0, 1, 0, 99999, 51)");
	const char *wanted =
	    index[5] == 'p' ? "using logs_peer" : "using logs_pkey";
	bool is_found = false;

	for (int i = 0; i < PQntuples(result); i++) {
		const char *step = PQgetvalue(result, i, 0);

		print_message("# %s\n", step);
		assert_null(strstr(step, "Sort"));
		assert_null(strstr(step, "Seq Scan"));
		assert_null(strstr(step, "Bitmap"));
		is_found |= strstr(step, wanted) != NULL;
	}
	assert_true(is_found);
	PQclear(result);
}

static void
check_postgres(PGconn *conn, unsigned conditions, const char *index)
{
	struct buf text = {0}, whole = {0};

	sql_text(SQL_PAGE + conditions, true, &text);
	buf_add_format(
	    &whole, "PREPARE page AS %.*s%c", STR_ARG(buf_str(&text)), 0);
	PQclear(ask(conn, whole.text));
	PQclear(ask(conn, "SET plan_cache_mode = force_generic_plan"));
	check_explained(conn, index);
	PQclear(ask(conn, "SET plan_cache_mode = force_custom_plan"));
	check_explained(conn, index);
	PQclear(ask(conn, "DEALLOCATE page"));
	buf_deinit(&text);
	buf_deinit(&whole);
}

static void
postgres_reads_pages_by_key(void **state)
{
	struct rig *rig;
	PGconn *conn;

	(void)state;
	if (!rig_has_postgres())
		skip();
	rig = rig_new(RIG_POSTGRES);
	rig_postgres_do(rig->options.conninfo, fill);
	conn = PQconnectdb(rig->options.conninfo);
	for (size_t i = 0; i < COUNT_OF(pages); i++)
		check_postgres(conn, pages[i].conditions, pages[i].index);
	PQfinish(conn);
	rig_free(&rig);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(sqlite_reads_pages_by_key),
	    cmocka_unit_test(postgres_reads_pages_by_key),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

#include "base/clock.h"
#include "base/err.h"
#include "base/log.h"
#include "storage/sqlite.h"

#define BUSY_MS   2000  /* an administrator's sqlite3 may hold the file */
#define LOOK_EACH 10000 /* virtual instructions between looks at the time */

static const char pragmas[] = "PRAGMA journal_mode = WAL;"
			      "PRAGMA synchronous = FULL;"
			      "PRAGMA wal_autocheckpoint = 0;"
			      "PRAGMA journal_size_limit = 67108864;"
			      "PRAGMA cache_size = -4096;"
			      "PRAGMA temp_store = MEMORY;"
			      "PRAGMA secure_delete = ON;"
			      "PRAGMA foreign_keys = OFF;";

enum err
sqlite_err(int code)
{
	switch (code & 0xff) {
	case SQLITE_OK:
	case SQLITE_ROW:
	case SQLITE_DONE:
		return ERR_NONE;
	case SQLITE_CONSTRAINT:
		return ERR_EXISTS;
	case SQLITE_FULL:
		return ERR_FULL;
	case SQLITE_TOOBIG:
		return ERR_TOO_LARGE;
	case SQLITE_CORRUPT:
	case SQLITE_NOTADB:
		return ERR_CORRUPT;
	case SQLITE_INTERRUPT:
		return ERR_TIMEOUT;
	case SQLITE_BUSY:
	case SQLITE_LOCKED:
	case SQLITE_READONLY:
	case SQLITE_CANTOPEN:
	case SQLITE_PERM:
		return ERR_UNAVAILABLE;
	default:
		return ERR_IO;
	}
}

static int
is_late(void *arg)
{
	const struct sqlite_conn *conn = arg;

	return conn->until_ms != 0 && clock_mono_ms() > conn->until_ms;
}

int
sqlite_conn_open(struct sqlite_conn *conn, const char *path, int flags)
{
	int code =
	    sqlite3_open_v2(path, &conn->db, flags | SQLITE_OPEN_NOMUTEX, NULL);

	if (code != SQLITE_OK)
		return code;
	sqlite3_extended_result_codes(conn->db, 1);
	sqlite3_busy_timeout(conn->db, BUSY_MS);
	sqlite3_progress_handler(conn->db, LOOK_EACH, is_late, conn);
	return sqlite_conn_script(conn, pragmas);
}

void
sqlite_conn_close(struct sqlite_conn *conn)
{
	for (size_t i = 0; i < SQL_COUNT_ALL; i++)
		sqlite3_finalize(conn->stmts[i]);
	sqlite3_close(conn->db);
	buf_deinit(&conn->text);
	*conn = (struct sqlite_conn){0};
}

int
sqlite_conn_script(struct sqlite_conn *conn, const char *text)
{
	return sqlite3_exec(conn->db, text, NULL, NULL, NULL);
}

enum err
sqlite_conn_sync(struct sqlite_conn *conn, bool is_full)
{
	int code;

	if (conn->is_loose == !is_full)
		return ERR_NONE;
	/* Also where it fails half-way. */
	conn->is_loose = true;
	code =
	    sqlite_conn_script(conn, is_full ? "PRAGMA synchronous = FULL"
					     : "PRAGMA synchronous = NORMAL");
	if (code == SQLITE_OK)
		conn->is_loose = !is_full;
	return sqlite_err(code);
}

int64_t
sqlite_conn_number(struct sqlite_conn *conn, const char *text)
{
	sqlite3_stmt *stmt;
	int64_t number = -1;

	if (sqlite3_prepare_v2(conn->db, text, -1, &stmt, NULL) != SQLITE_OK)
		return -1;
	if (sqlite3_step(stmt) == SQLITE_ROW)
		number = sqlite3_column_int64(stmt, 0);
	sqlite3_finalize(stmt);
	return number;
}

sqlite3_stmt *
sqlite_conn_stmt(struct sqlite_conn *conn, enum sql sql)
{
	sqlite3_stmt **stmt = &conn->stmts[sql];

	if (*stmt != NULL)
		return *stmt;
	sql_text(sql, false, &conn->text);
	if (sqlite3_prepare_v3(conn->db, conn->text.text, (int)conn->text.len,
		SQLITE_PREPARE_PERSISTENT, stmt, NULL) != SQLITE_OK)
		return NULL;
	return *stmt;
}

enum err
sqlite_conn_do(struct sqlite_conn *conn, enum sql sql)
{
	sqlite3_stmt *stmt = sqlite_conn_stmt(conn, sql);

	if (stmt == NULL)
		return sqlite_err(sqlite3_errcode(conn->db));
	sqlite3_step(stmt);
	return sqlite_err(sqlite3_reset(stmt));
}

/* --- steps ------------------------------------------------------------ */

static int
bind_bytes(sqlite3_stmt *stmt, int at, struct str bytes)
{
	return bytes.text == NULL ? sqlite3_bind_null(stmt, at)
				  : sqlite3_bind_blob64(stmt, at, bytes.text,
					bytes.len, SQLITE_STATIC);
}

static int
bind_text(sqlite3_stmt *stmt, int at, struct str text)
{
	return sqlite3_bind_text64(stmt, at, text.text == NULL ? "" : text.text,
	    text.len, SQLITE_STATIC, SQLITE_UTF8);
}

/* An owner that is being made has no number yet: then SQLite gives it one. */
static int
bind_owner(sqlite3_stmt *stmt, int at, owner_id owner, owner_id made)
{
	owner = owner == 0 ? made : owner;
	return owner == 0 ? sqlite3_bind_null(stmt, at)
			  : sqlite3_bind_int64(stmt, at, (int64_t)owner);
}

static int
bind_args(sqlite3_stmt *stmt, const struct job *job, const struct step *step)
{
	const char *signature = sql_signature(step->sql);
	int code = SQLITE_OK;

	for (int i = 0; signature[i] != '\0' && code == SQLITE_OK; i++) {
		const struct value *arg = &step->args[i];

		if (signature[i] == 'n')
			code = sqlite3_bind_int64(
			    stmt, i + 1, (int64_t)arg->number);
		else if (signature[i] == 'b')
			code = bind_bytes(stmt, i + 1, arg->bytes);
		else if (signature[i] == 't')
			code = bind_text(stmt, i + 1, arg->bytes);
		else
			code = bind_owner(stmt, i + 1, arg->number, job->made);
	}
	return code;
}

static void
add_row(sqlite3_stmt *stmt, struct job *job)
{
	struct value columns[VALUES_MAX] = {0};
	int count = sqlite3_column_count(stmt);

	must(count <= VALUES_MAX);
	for (int i = 0; i < count; i++) {
		if (sqlite3_column_type(stmt, i) == SQLITE_INTEGER) {
			columns[i].number =
			    (uint64_t)sqlite3_column_int64(stmt, i);
			continue;
		}
		columns[i].bytes.text = sqlite3_column_blob(stmt, i);
		columns[i].bytes.len = (size_t)sqlite3_column_bytes(stmt, i);
	}
	job_add_row(job, columns, true);
}

static bool
is_fresh(const struct sqlite_conn *conn, const struct step *step)
{
	return conn->fresh != NULL && step->may_be_fresh && step->owner != 0 &&
	       fresh_takes(conn->fresh, step->owner);
}

static int
step_run(struct sqlite_conn *conn, struct job *job, const struct step *step)
{
	sqlite3_stmt *stmt;
	int code;

	if (is_fresh(conn, step)) {
		if (fresh_is_stuck(conn->fresh))
			return SQLITE_BUSY;
		fresh_add(conn->fresh, step->args);
		job->changed++;
		return SQLITE_DONE;
	}
	stmt = sqlite_conn_stmt(conn, step->sql);
	if (stmt == NULL)
		return sqlite3_errcode(conn->db);
	code = bind_args(stmt, job, step);
	if (code == SQLITE_OK) {
		while ((code = sqlite3_step(stmt)) == SQLITE_ROW)
			add_row(stmt, job);
	}
	sqlite3_reset(stmt);
	if (code != SQLITE_DONE || !job->is_write)
		return code;
	job->changed += (uint64_t)sqlite3_changes(conn->db);
	if (step->need != ERR_NONE && sqlite3_changes(conn->db) == 0)
		job->err = step->need;
	if (step->sql == SQL_OWNER_MAKE)
		job->made = (owner_id)sqlite3_last_insert_rowid(conn->db);
	return code;
}

static enum err
steps_run(struct sqlite_conn *conn, struct job *job)
{
	for (const struct step *step = job->first; step != NULL;
	    step = step->next) {
		int code = step_run(conn, job, step);

		if ((code & 0xff) == SQLITE_CONSTRAINT && job->can_fail)
			job->err = ERR_EXISTS;
		else if (code != SQLITE_DONE)
			return sqlite_err(code);
		if (job->err != ERR_NONE) {
			job->failed = step->op;
			break;
		}
	}
	return ERR_NONE;
}

static enum err
run_with_way_back(struct sqlite_conn *conn, struct job *job)
{
	size_t mark = conn->fresh == NULL ? 0 : fresh_mark(conn->fresh);
	enum err err = sqlite_conn_do(conn, SQL_SAVE);

	if (err == ERR_NONE)
		err = steps_run(conn, job);
	if (err == ERR_NONE && job->err != ERR_NONE) {
		err = sqlite_conn_do(conn, SQL_SAVE_BACK);
		if (conn->fresh != NULL)
			fresh_back(conn->fresh, mark);
	}
	if (err == ERR_NONE)
		err = sqlite_conn_do(conn, SQL_SAVE_DROP);
	return err;
}

enum err
sqlite_conn_run(struct sqlite_conn *conn, struct job *job)
{
	/* It may be tried anew, after others of its commit failed. */
	job->err = ERR_NONE;
	job->changed = 0;
	job->made = 0;
	return job->can_fail ? run_with_way_back(conn, job)
			     : steps_run(conn, job);
}

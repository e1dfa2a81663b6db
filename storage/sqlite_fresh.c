#include "storage/sqlite_fresh.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/log.h"
#include "storage/sqlite.h"

#define FRESH_MAX  65536
#define BYTES_MAX  (24u << 20)
#define SPARE_MAX  (16u << 20) /* bytes kept for what comes next */
#define AGE_MS     10000       /* so long a quiet server leaves them */
#define RETRY_MS   1000
#define PART_MAX   4096       /* rows of a transaction, when all are placed */
#define PART_BYTES (1u << 20) /* of any but a read's */

/* --- blobs ------------------------------------------------------------ */

static void
free_blobs(struct list *blobs)
{
	struct link *link;

	while ((link = list_take_first(blobs)) != NULL) {
		struct fresh_blob *blob =
		    list_entry(link, struct fresh_blob, link);

		buf_deinit(&blob->rows);
		free(blob);
	}
}

/* Memory of this size comes from the system and goes back to it each time, but
 * for this. */
static void
spare_blob(struct fresh *fresh, struct fresh_blob *blob)
{
	if (fresh->spare_bytes + blob->rows.cap > SPARE_MAX)
		buf_deinit(&blob->rows);
	buf_clear(&blob->rows, SIZE_MAX);
	fresh->spare_bytes += blob->rows.cap;
	list_add_first(&fresh->spare, &blob->link);
}

static void
free_spare(struct fresh *fresh)
{
	free_blobs(&fresh->spare);
	fresh->spare_bytes = 0;
}

static struct fresh_blob *
blob_of_transaction(struct fresh *fresh)
{
	struct link *spare;

	if (fresh->added != NULL)
		return fresh->added;
	spare = list_take_first(&fresh->spare);
	fresh->added = list_entry(spare, struct fresh_blob, link);
	if (spare == NULL)
		fresh->added = calloc(1, sizeof(*fresh->added));
	must(fresh->added != NULL);
	fresh->spare_bytes -= fresh->added->rows.cap;
	return fresh->added;
}

/* --- from beginning to end -------------------------------------------- */

void
fresh_init(struct fresh *fresh, size_t max)
{
	*fresh = (struct fresh){.max = max == 0 ? FRESH_MAX : max};
	pthread_mutex_init(&fresh->lock, NULL);
	list_init(&fresh->blobs);
	list_init(&fresh->spare);
}

void
fresh_deinit(struct fresh *fresh)
{
	fresh_drop(fresh);
	free_blobs(&fresh->blobs);
	free_blobs(&fresh->spare);
	pthread_mutex_destroy(&fresh->lock);
	free(fresh->rows);
	free(fresh->picked.rows);
	free(fresh->settled.owners);
}

/* --- rows and chains -------------------------------------------------- */

/* Owners are numbered in order: so those of one chain after the other are near
 * each other in the indexes. */
static struct fresh_chain *
chain_of(struct fresh *fresh, owner_id owner)
{
	return &fresh->chains[owner % FRESH_CHAINS];
}

static struct fresh_row *
row_at(const struct fresh *fresh, uint32_t index)
{
	return index == 0 ? NULL : &fresh->rows[index - 1];
}

static void
chain(struct fresh *fresh, struct fresh_row *row)
{
	struct fresh_chain *chain = chain_of(fresh, row->owner);
	struct fresh_row *last = row_at(fresh, chain->last);

	row->next = 0;
	chain->last = (uint32_t)(row - fresh->rows) + 1;
	if (last == NULL)
		chain->first = chain->last;
	else
		last->next = chain->last;
}

/* Under the lock. */
static void
add_row(struct fresh *fresh, const char *row, enum fresh_state state)
{
	struct fresh_row *added;

	fresh->rows = array_room(
	    fresh->rows, fresh->count, &fresh->cap, sizeof(*fresh->rows));
	added = &fresh->rows[fresh->count++];
	*added = (struct fresh_row){
	    .owner = row_owner(row), .row = row, .state = state};
	if (state == FRESH_WAITING)
		chain(fresh, added);
}

bool
fresh_holds(struct fresh *fresh, owner_id owner)
{
	struct fresh_row *row;

	pthread_mutex_lock(&fresh->lock);
	row = row_at(fresh, chain_of(fresh, owner)->first);
	while (row != NULL && row->owner != owner)
		row = row_at(fresh, row->next);
	pthread_mutex_unlock(&fresh->lock);
	return row != NULL;
}

/* What was picked of a chain leaves it when it is placed. */
static void
settle_chain(struct fresh *fresh, struct fresh_chain *chained, bool is_placed)
{
	struct fresh_row *row = row_at(fresh, chained->first);

	*chained = (struct fresh_chain){0};
	while (row != NULL) {
		struct fresh_row *next = row_at(fresh, row->next);

		if (row->state == FRESH_PICKED)
			row->state = is_placed ? FRESH_PLACED : FRESH_WAITING;
		if (row->state == FRESH_WAITING)
			chain(fresh, row);
		row = next;
	}
}

/* --- what is appended ------------------------------------------------- */

bool
fresh_takes(const struct fresh *fresh, owner_id owner)
{
	for (size_t i = 0; i < fresh->settled.count; i++) {
		if (fresh->settled.owners[i] == owner)
			return false;
	}
	return true;
}

void
fresh_add(struct fresh *fresh, const struct value *args)
{
	row_encode(&blob_of_transaction(fresh)->rows, args);
}

size_t
fresh_mark(const struct fresh *fresh)
{
	return fresh->added == NULL ? 0 : fresh->added->rows.len;
}

void
fresh_back(struct fresh *fresh, size_t mark)
{
	if (fresh->added != NULL)
		fresh->added->rows.len = mark;
}

enum err
fresh_write(struct fresh *fresh, struct sqlite_conn *conn)
{
	struct fresh_blob *blob = fresh->added;
	sqlite3_stmt *stmt;
	enum err err;

	if (fresh_mark(fresh) == 0)
		return ERR_NONE;
	stmt = sqlite_conn_stmt(conn, SQL_FRESH_ADD);
	if (stmt == NULL)
		return sqlite_err(sqlite3_errcode(conn->db));
	sqlite3_bind_blob64(
	    stmt, 1, blob->rows.text, blob->rows.len, SQLITE_STATIC);
	sqlite3_step(stmt);
	err = sqlite_err(sqlite3_reset(stmt));
	blob->rowid = sqlite3_last_insert_rowid(conn->db);
	return err;
}

void
fresh_drop(struct fresh *fresh)
{
	if (fresh->added != NULL)
		spare_blob(fresh, fresh->added);
	fresh->added = NULL;
	fresh->settled.count = 0;
}

/* What was added stays. */
static void
keep_blob(struct fresh *fresh)
{
	struct fresh_blob *blob = fresh->added;

	list_add_last(&fresh->blobs, &blob->link);
	fresh->bytes += blob->rows.cap;
	fresh->last_rowid = blob->rowid;
	fresh->added = NULL;
}

void
fresh_keep(struct fresh *fresh)
{
	struct str rows;
	const char *row;

	if (fresh_mark(fresh) > 0) {
		rows = buf_str(&fresh->added->rows);
		if (fresh->count == 0)
			fresh->since_ms = clock_mono_ms();
		pthread_mutex_lock(&fresh->lock);
		while (row_take(&rows, &row))
			add_row(fresh, row, FRESH_WAITING);
		pthread_mutex_unlock(&fresh->lock);
		keep_blob(fresh);
	}
	fresh_drop(fresh);
}

/* --- a start ---------------------------------------------------------- */

static sqlite3_stmt *
bound(struct sqlite_conn *conn, enum sql sql, uint64_t first, int64_t second)
{
	sqlite3_stmt *stmt = sqlite_conn_stmt(conn, sql);

	if (stmt != NULL) {
		sqlite3_bind_int64(stmt, 1, (int64_t)first);
		sqlite3_bind_int64(stmt, 2, second);
	}
	return stmt;
}

/* A row that is settled may have been changed or removed since. */
static enum err
load_row(struct fresh *fresh, struct sqlite_conn *conn, const char *row,
    int64_t rowid)
{
	sqlite3_stmt *stmt = bound(conn, SQL_SETTLED, row_owner(row), rowid);
	bool is_settled;

	if (stmt == NULL)
		return sqlite_err(sqlite3_errcode(conn->db));
	is_settled = sqlite3_step(stmt) == SQLITE_ROW;
	add_row(fresh, row, is_settled ? FRESH_PLACED : FRESH_WAITING);
	return sqlite_err(sqlite3_reset(stmt));
}

static enum err
load_blob(struct fresh *fresh, struct sqlite_conn *conn, sqlite3_stmt *found)
{
	struct fresh_blob *blob = blob_of_transaction(fresh);
	struct str rows = {sqlite3_column_blob(found, 1),
	    (size_t)sqlite3_column_bytes(found, 1)};
	enum err err = ERR_NONE;
	const char *row;

	blob->rowid = sqlite3_column_int64(found, 0);
	buf_add(&blob->rows, rows);
	rows = buf_str(&blob->rows);
	while (err == ERR_NONE && row_take(&rows, &row))
		err = load_row(fresh, conn, row, blob->rowid);
	keep_blob(fresh);
	return err == ERR_NONE && rows.len > 0 ? ERR_CORRUPT : err;
}

enum err
fresh_load(struct fresh *fresh, struct sqlite_conn *conn)
{
	int code = row_list_as_table(&fresh->picked, conn->db);
	sqlite3_stmt *found = sqlite_conn_stmt(conn, SQL_FRESH_LIST);
	enum err err;

	if (code != SQLITE_OK || found == NULL)
		return sqlite_err(sqlite3_errcode(conn->db));
	/* Somebody may have emptied the table by hand. */
	err = sqlite_conn_do(conn, SQL_SETTLE_BOUND);
	fresh->since_ms = clock_mono_ms();
	while (err == ERR_NONE && (code = sqlite3_step(found)) == SQLITE_ROW)
		err = load_blob(fresh, conn, found);
	sqlite3_reset(found);
	return err != ERR_NONE ? err : sqlite_err(code);
}

/* --- placing ---------------------------------------------------------- */

/* What is placed is on the disk already, so nobody waits for it: the next
 * commit that is waited for makes it durable. */
static enum err
begin(struct sqlite_conn *conn)
{
	enum err err = sqlite_conn_sync(conn, false);

	return err != ERR_NONE ? err : sqlite_conn_do(conn, SQL_BEGIN);
}

/* Tells of trouble once, and once when it is over; before SQLite forgets it. */
static void
note(struct fresh *fresh, const struct sqlite_conn *conn, enum err err)
{
	if (err != ERR_NONE && !fresh->is_failing)
		log_error(&storage_log,
		    "could not put rows of archives into their places: %s",
		    sqlite3_errmsg(conn->db));
	else if (err == ERR_NONE && fresh->is_failing)
		log_info(&storage_log,
		    "rows of archives are put into their places again");
	fresh->is_failing = err != ERR_NONE;
}

static enum err
end(struct fresh *fresh, struct sqlite_conn *conn, enum err err)
{
	if (err == ERR_NONE)
		err = sqlite_conn_do(conn, SQL_COMMIT);
	note(fresh, conn, err);
	if (sqlite3_get_autocommit(conn->db) == 0)
		(void)!sqlite_conn_do(conn, SQL_ROLLBACK);
	return err;
}

static enum err
do_with(struct sqlite_conn *conn, enum sql sql, uint64_t first, int64_t second)
{
	sqlite3_stmt *stmt = bound(conn, sql, first, second);

	if (stmt == NULL)
		return sqlite_err(sqlite3_errcode(conn->db));
	sqlite3_step(stmt);
	return sqlite_err(sqlite3_reset(stmt));
}

static void
pick(struct fresh *fresh, struct fresh_row *row)
{
	if (row->state == FRESH_WAITING)
		row_list_add(&fresh->picked, row->row);
	row->state = FRESH_PICKED;
}

static void
pick_owner(struct fresh *fresh, owner_id owner)
{
	struct fresh_row *row = row_at(fresh, chain_of(fresh, owner)->first);

	for (; row != NULL; row = row_at(fresh, row->next)) {
		if (row->owner == owner)
			pick(fresh, row);
	}
}

enum err
fresh_place(struct fresh *fresh, struct sqlite_conn *conn, owner_id owner)
{
	enum err err;

	fresh->picked.count = 0;
	pick_owner(fresh, owner);
	if (fresh->picked.count == 0)
		return ERR_NONE;
	err = begin(conn);
	if (err == ERR_NONE)
		err = sqlite_conn_do(conn, SQL_FRESH_PLACE);
	err = end(fresh, conn, err);
	pthread_mutex_lock(&fresh->lock);
	settle_chain(fresh, chain_of(fresh, owner), err == ERR_NONE);
	pthread_mutex_unlock(&fresh->lock);
	return err;
}

/* --- settling --------------------------------------------------------- */

static void
settle_owner(struct fresh *fresh, owner_id owner)
{
	struct fresh_settled *settled = &fresh->settled;

	if (owner == 0 || !fresh_takes(fresh, owner))
		return;
	settled->owners = array_room(settled->owners, settled->count,
	    &settled->cap, sizeof(*settled->owners));
	settled->owners[settled->count++] = owner;
	pick_owner(fresh, owner);
}

/* They may be in fresh until what is there now is cleared. */
static enum err
settle_picked(struct fresh *fresh, struct sqlite_conn *conn)
{
	enum err err = begin(conn);

	if (err == ERR_NONE && fresh->picked.count > 0)
		err = sqlite_conn_do(conn, SQL_FRESH_PLACE);
	for (size_t i = 0; err == ERR_NONE && i < fresh->settled.count; i++)
		err = do_with(conn, SQL_SETTLE, fresh->settled.owners[i],
		    fresh->last_rowid);
	return end(fresh, conn, err);
}

enum err
fresh_settle(
    struct fresh *fresh, struct sqlite_conn *conn, const struct list *jobs)
{
	enum err err = ERR_NONE;

	fresh->picked.count = fresh->settled.count = 0;
	list_each (job, jobs, struct job, link) {
		if (!job->minds_fresh)
			continue;
		for (struct step *step = job->first; step != NULL;
		    step = step->next)
			settle_owner(fresh, step->owner);
	}
	if (fresh->settled.count > 0 && !list_is_empty(&fresh->blobs))
		err = settle_picked(fresh, conn);
	pthread_mutex_lock(&fresh->lock);
	for (size_t i = 0; i < fresh->settled.count; i++)
		settle_chain(fresh, chain_of(fresh, fresh->settled.owners[i]),
		    err == ERR_NONE);
	pthread_mutex_unlock(&fresh->lock);
	return err;
}

/* --- rounds ----------------------------------------------------------- */

uint64_t
fresh_due_ms(const struct fresh *fresh)
{
	if (fresh->count == 0)
		return UINT64_MAX;
	if (fresh->retry_ms != 0)
		return fresh->retry_ms;
	if (fresh->round_count > 0 || fresh->count >= fresh->max ||
	    fresh->bytes >= BYTES_MAX)
		return 0;
	return fresh->since_ms + AGE_MS;
}

bool
fresh_is_stuck(const struct fresh *fresh)
{
	return fresh->retry_ms != 0 && (fresh->count >= 2 * fresh->max ||
					   fresh->bytes >= 2 * BYTES_MAX);
}

/* Rows of the chains from round_at on, until there are enough; returns the
 * first chain that has more. */
static unsigned
pick_chains(struct fresh *fresh, size_t rows)
{
	unsigned at = fresh->round_at;
	size_t bytes = 0;

	fresh->picked.count = 0;
	for (; at < FRESH_CHAINS; at++) {
		struct fresh_row *row = row_at(fresh, fresh->chains[at].first);

		for (; row != NULL; row = row_at(fresh, row->next)) {
			if (fresh->picked.count >= rows || bytes >= PART_BYTES)
				return at;
			pick(fresh, row);
			bytes += row_len(row->row);
		}
	}
	return at;
}

static void
settle_chains(struct fresh *fresh, unsigned upto, bool are_placed)
{
	pthread_mutex_lock(&fresh->lock);
	for (unsigned at = fresh->round_at; at <= upto; at++) {
		if (at < FRESH_CHAINS)
			settle_chain(fresh, &fresh->chains[at], are_placed);
	}
	pthread_mutex_unlock(&fresh->lock);
}

static enum err
place_part(struct fresh *fresh, struct sqlite_conn *conn, size_t rows)
{
	unsigned upto = pick_chains(fresh, rows);
	enum err err = begin(conn);

	if (err == ERR_NONE)
		err = sqlite_conn_do(conn, SQL_FRESH_PLACE);
	err = end(fresh, conn, err);
	settle_chains(fresh, upto, err == ERR_NONE);
	if (err == ERR_NONE)
		fresh->round_at = upto;
	return err;
}

static void
begin_round(struct fresh *fresh)
{
	fresh->round_count = fresh->count;
	fresh->round_rowid = fresh->last_rowid;
	fresh->round_at = 0;
	fresh->round_is_full =
	    fresh->count >= fresh->max || fresh->bytes >= BYTES_MAX;
}

/* The rows of the round are gone; those that came since move up. Memory is kept
 * for more only while many come. */
static void
end_round(struct fresh *fresh)
{
	size_t left = fresh->count - fresh->round_count;

	pthread_mutex_lock(&fresh->lock);
	memmove(fresh->rows, fresh->rows + fresh->round_count,
	    left * sizeof(*fresh->rows));
	memset(fresh->chains, 0, sizeof(fresh->chains));
	fresh->count = left;
	for (size_t i = 0; i < left; i++) {
		if (fresh->rows[i].state == FRESH_WAITING)
			chain(fresh, &fresh->rows[i]);
	}
	pthread_mutex_unlock(&fresh->lock);
	if (!fresh->round_is_full)
		free_spare(fresh);
	fresh->round_count = 0;
	fresh->since_ms = clock_mono_ms();
}

/* The last of the oldest blobs that are cleared together: to fill them with
 * zeros takes time. */
static int64_t
part_of_blobs(const struct fresh *fresh)
{
	int64_t rowid = 0;
	size_t bytes = 0;

	list_each (blob, &fresh->blobs, struct fresh_blob, link) {
		if (blob->rowid > fresh->round_rowid || bytes >= PART_BYTES)
			break;
		rowid = blob->rowid;
		bytes += blob->rows.len;
	}
	return rowid;
}

static void
release_blobs(struct fresh *fresh, int64_t upto)
{
	list_each (blob, &fresh->blobs, struct fresh_blob, link) {
		if (blob->rowid > upto)
			break;
		fresh->bytes -= blob->rows.cap;
		list_remove(&blob->link);
		spare_blob(fresh, blob);
	}
}

/* What is in the oldest blobs is in its place. */
static enum err
clear_part(struct fresh *fresh, struct sqlite_conn *conn)
{
	int64_t upto = part_of_blobs(fresh);
	enum err err = begin(conn);

	if (err == ERR_NONE)
		err = do_with(conn, SQL_FRESH_CLEAR, (uint64_t)upto, 0);
	if (err == ERR_NONE)
		err = do_with(conn, SQL_SETTLE_CLEAR, (uint64_t)upto, 0);
	err = end(fresh, conn, err);
	if (err != ERR_NONE)
		return err;
	release_blobs(fresh, upto);
	if (upto == fresh->round_rowid)
		end_round(fresh);
	return ERR_NONE;
}

enum err
fresh_round(struct fresh *fresh, struct sqlite_conn *conn, size_t rows)
{
	enum err err;

	if (fresh->count == 0)
		return ERR_NONE;
	if (fresh->round_count == 0)
		begin_round(fresh);
	err = fresh->round_at < FRESH_CHAINS ? place_part(fresh, conn, rows)
					     : clear_part(fresh, conn);
	fresh->retry_ms = err == ERR_NONE ? 0 : clock_mono_ms() + RETRY_MS;
	return err;
}

enum err
fresh_place_all(struct fresh *fresh, struct sqlite_conn *conn)
{
	enum err err = ERR_NONE;

	while (fresh->count > 0 && err == ERR_NONE)
		err = fresh_round(fresh, conn, PART_MAX);
	return err;
}

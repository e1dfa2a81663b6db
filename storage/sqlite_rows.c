#include "storage/sqlite_rows.h"

#include <stdlib.h>

/* Arguments of APPEND. */
enum { NUMBERS = 7, PEER = NUMBERS, VALUE = 9 };

/* Columns of the table. */
enum { COLUMN_PEER = NUMBERS, COLUMN_VALUE };

#define NUMBER_LEN sizeof(uint64_t)
#define LENGTHS_AT (NUMBERS * NUMBER_LEN)
#define HEAD_LEN   (LENGTHS_AT + NUMBER_LEN)

/* --- bytes ------------------------------------------------------------ */

static void
put_number(char *at, uint64_t number)
{
	for (size_t i = 0; i < NUMBER_LEN; i++)
		at[i] = (char)(number >> 8 * i & 0xff);
}

static uint64_t
number_at(const char *at)
{
	uint64_t number = 0;

	for (size_t i = 0; i < NUMBER_LEN; i++)
		number |= (uint64_t)(unsigned char)at[i] << 8 * i;
	return number;
}

void
row_encode(struct buf *rows, const struct value *args)
{
	struct str peer = args[PEER].bytes, value = args[VALUE].bytes;
	char *head = buf_room(rows, HEAD_LEN);

	for (size_t i = 0; i < NUMBERS; i++)
		put_number(head + i * NUMBER_LEN, args[i].number);
	put_number(
	    head + LENGTHS_AT, (uint64_t)peer.len | (uint64_t)value.len << 32);
	buf_grew(rows, HEAD_LEN);
	buf_add(rows, peer);
	buf_add(rows, value);
}

static struct str
peer_of(const char *row)
{
	return (struct str){
	    row + HEAD_LEN, number_at(row + LENGTHS_AT) & UINT32_MAX};
}

static struct str
value_of(const char *row)
{
	struct str peer = peer_of(row);

	return (struct str){
	    peer.text + peer.len, number_at(row + LENGTHS_AT) >> 32};
}

size_t
row_len(const char *row)
{
	return HEAD_LEN + peer_of(row).len + value_of(row).len;
}

bool
row_take(struct str *rows, const char **row_r)
{
	size_t len;

	if (rows->len < HEAD_LEN)
		return false;
	*row_r = rows->text;
	len = row_len(*row_r);
	if (len > rows->len)
		return false;
	*rows = (struct str){rows->text + len, rows->len - len};
	return true;
}

owner_id
row_owner(const char *row)
{
	return number_at(row);
}

/* --- the table -------------------------------------------------------- */

struct picked {
	sqlite3_vtab base;
	const struct row_list *list;
};

struct cursor {
	sqlite3_vtab_cursor base;
	size_t at;
};

static const struct row_list *
list_of(sqlite3_vtab_cursor *cursor)
{
	return container_of(cursor->pVtab, struct picked, base)->list;
}

static int
on_connect(sqlite3 *db, void *list, int argc, const char *const *argv,
    sqlite3_vtab **table_r, char **why_r)
{
	struct picked *table = calloc(1, sizeof(*table));

	must(table != NULL);
	table->list = list;
	*table_r = &table->base;
	return sqlite3_declare_vtab(db,
	    "CREATE TABLE picked (owner, kind, id, nonce, time, thread, flags,"
	    " peer, value)");
}

static int
on_disconnect(sqlite3_vtab *table)
{
	free(container_of(table, struct picked, base));
	return SQLITE_OK;
}

static int
on_plan(sqlite3_vtab *table, sqlite3_index_info *info)
{
	return SQLITE_OK;
}

static int
on_open(sqlite3_vtab *table, sqlite3_vtab_cursor **cursor_r)
{
	struct cursor *cursor = calloc(1, sizeof(*cursor));

	must(cursor != NULL);
	*cursor_r = &cursor->base;
	return SQLITE_OK;
}

static int
on_close(sqlite3_vtab_cursor *cursor)
{
	free(container_of(cursor, struct cursor, base));
	return SQLITE_OK;
}

static int
on_begin(sqlite3_vtab_cursor *cursor, int plan, const char *plan_text, int argc,
    sqlite3_value **argv)
{
	container_of(cursor, struct cursor, base)->at = 0;
	return SQLITE_OK;
}

static int
on_next(sqlite3_vtab_cursor *cursor)
{
	container_of(cursor, struct cursor, base)->at++;
	return SQLITE_OK;
}

static int
is_at_end(sqlite3_vtab_cursor *cursor)
{
	return container_of(cursor, struct cursor, base)->at >=
	       list_of(cursor)->count;
}

static int
on_column(sqlite3_vtab_cursor *cursor, sqlite3_context *to, int column)
{
	size_t at = container_of(cursor, struct cursor, base)->at;
	const char *row = list_of(cursor)->rows[at];
	struct str bytes;

	if (column < NUMBERS) {
		sqlite3_result_int64(
		    to, (int64_t)number_at(row + (size_t)column * NUMBER_LEN));
		return SQLITE_OK;
	}
	bytes = column == COLUMN_PEER ? peer_of(row) : value_of(row);
	sqlite3_result_blob64(to, bytes.text, bytes.len, SQLITE_STATIC);
	return SQLITE_OK;
}

static int
on_rowid(sqlite3_vtab_cursor *cursor, sqlite3_int64 *rowid_r)
{
	*rowid_r = (int64_t)container_of(cursor, struct cursor, base)->at;
	return SQLITE_OK;
}

/* Without xCreate it is there without being made. */
static const sqlite3_module module = {
    .xConnect = on_connect,
    .xBestIndex = on_plan,
    .xDisconnect = on_disconnect,
    .xOpen = on_open,
    .xClose = on_close,
    .xFilter = on_begin,
    .xNext = on_next,
    .xEof = is_at_end,
    .xColumn = on_column,
    .xRowid = on_rowid,
};

int
row_list_as_table(struct row_list *list, sqlite3 *db)
{
	return sqlite3_create_module(db, "picked", &module, list);
}

#define COUNT_FIRST 256

void *
array_room(void *array, size_t count, size_t *cap, size_t size)
{
	if (count < *cap)
		return array;
	*cap = *cap == 0 ? COUNT_FIRST : 2 * *cap;
	array = reallocarray(array, *cap, size);
	must(array != NULL);
	return array;
}

void
row_list_add(struct row_list *list, const char *row)
{
	list->rows = array_room(
	    list->rows, list->count, &list->cap, sizeof(*list->rows));
	list->rows[list->count++] = row;
}

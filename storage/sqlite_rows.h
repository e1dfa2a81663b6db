/*
 * storage/sqlite_rows.h - rows of logs as bytes, and lists of such rows as a
 * table that SQLite reads.
 *
 * A row is eight numbers of eight bytes, the lowest byte first (owner, kind,
 * id, nonce, time, thread, flags, and the lengths of what follows: the peer's
 * in the lower half, the value's in the upper), the peer and the value. Rows
 * follow each other without anything between them.
 */
#pragma once

#include <sqlite3.h>

#include "base/buf.h"
#include "storage/backend.h"

/* Adds the row that an APPEND with these arguments makes; it has no ref. */
void row_encode(struct buf *, const struct value *args);
/* Takes the first row off; false when there is none, or not a whole one. */
bool row_take(struct str *rows, const char **row_r);
owner_id row_owner(const char *row);
size_t row_len(const char *row);

/* The array, with room for one item more of this size; it may have moved. */
void *array_room(void *array, size_t count, size_t *cap, size_t size);

struct row_list {
	const char **rows; /* encoded */
	size_t count, cap;
};

void row_list_add(struct row_list *, const char *row);

/* Gives the connection a table "picked" with the columns of logs, but rowid and
 * ref, that has the rows of the list at any time; a code of SQLite. The list
 * must live as long as the connection. */
int row_list_as_table(struct row_list *, sqlite3 *);

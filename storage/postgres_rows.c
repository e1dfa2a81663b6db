/* Rows of many batches in one statement: starting one costs PostgreSQL more
 * than inserting a row. They travel as arrays, one for each column. */
#include <string.h>

#include "base/err.h"
#include "storage/postgres.h"

#define ARRAY_HEAD 20 /* dimensions, nulls, type, length, first index */
#define ARRAY_LEN  12 /* where the length is */

static void
put_32(char *at, uint32_t number)
{
	const uint32_t swapped = __builtin_bswap32(number);

	memcpy(at, &swapped, sizeof(swapped));
}

static void
add_32(struct buf *buf, uint32_t number)
{
	put_32(buf_room(buf, sizeof(number)), number);
	buf_grew(buf, sizeof(number));
}

static void
add_head(struct buf *column, uint32_t oid)
{
	add_32(column, 1);
	add_32(column, 1);
	add_32(column, oid);
	add_32(column, 0);
	add_32(column, 1);
}

static void
add_number(struct buf *column, uint64_t number)
{
	const uint64_t swapped = __builtin_bswap64(number);

	add_32(column, sizeof(swapped));
	memcpy(buf_room(column, sizeof(swapped)), &swapped, sizeof(swapped));
	buf_grew(column, sizeof(swapped));
}

static void
add_bytes(struct buf *column, struct str bytes)
{
	if (bytes.text == NULL) {
		add_32(column, UINT32_MAX);
		return;
	}
	add_32(column, (uint32_t)bytes.len);
	buf_add(column, bytes);
}

void
rows_add(struct rows *rows, struct job *job, const struct step *step)
{
	const char *signature = sql_signature(SQL_APPEND);

	must(step->sql == SQL_APPEND);
	rows->job = rows->count == 0 ? job : NULL;
	rows->step = step;
	for (unsigned i = 0; i < ROWS_COLUMNS; i++) {
		struct buf *column = &rows->columns[i];
		const struct value *arg = &step->args[i];

		if (rows->count == 0)
			add_head(column, pipe_oid(signature[i]));
		if (signature[i] == 'b')
			add_bytes(column, arg->bytes);
		else
			add_number(column, pipe_argument(job, step, i));
	}
	rows->count++;
}

bool
rows_send(struct rows *rows, PGconn *conn)
{
	const char *values[ROWS_COLUMNS];
	int lens[ROWS_COLUMNS], formats[ROWS_COLUMNS];
	bool is_sent;

	for (unsigned i = 0; i < ROWS_COLUMNS; i++) {
		struct buf *column = &rows->columns[i];

		put_32(column->text + ARRAY_LEN, rows->count);
		values[i] = column->text;
		lens[i] = (int)column->len;
		formats[i] = 1;
	}
	is_sent = pipe_send_values(
	    conn, SQL_APPEND, ROWS_COLUMNS, values, lens, formats);
	rows_clear(rows);
	return is_sent;
}

void
rows_clear(struct rows *rows)
{
	for (unsigned i = 0; i < ROWS_COLUMNS; i++)
		buf_clear(&rows->columns[i], ROWS_KEPT);
	rows->count = 0;
	rows->job = NULL;
}

void
rows_deinit(struct rows *rows)
{
	for (unsigned i = 0; i < ROWS_COLUMNS; i++)
		buf_deinit(&rows->columns[i]);
}

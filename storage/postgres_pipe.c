/* Steps as messages of the pipeline, and results as rows. */
#include <stdio.h>

#include "base/err.h"
#include "storage/postgres.h"

#define OID_INT8   20
#define OID_INT2   21
#define OID_INT4   23
#define OID_TEXT   25
#define OID_BYTEA  17
#define OID_INT8S  1016 /* arrays of them */
#define OID_BYTEAS 1001

/* Prepared statements are named by their number. */
struct name {
	char text[8];
};

static struct name
name_of(enum sql sql)
{
	struct name name;

	snprintf(name.text, sizeof(name.text), "s%u", sql % 1000u);
	return name;
}

Oid
pipe_oid(char letter)
{
	return letter == 'b' ? OID_BYTEA : letter == 't' ? OID_TEXT : OID_INT8;
}

static Oid
parameter_oid(enum sql sql, char letter)
{
	if (sql != SQL_APPEND)
		return pipe_oid(letter);
	return letter == 'b' ? OID_BYTEAS : OID_INT8S;
}

static uint64_t
big_endian(uint64_t number)
{
	return __builtin_bswap64(number);
}

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__,
    "big_endian turns the bytes round");

bool
pipe_send_values(PGconn *conn, enum sql sql, int count,
    const char *const *values, const int *lens, const int *formats)
{
	struct name name = name_of(sql);

	return PQsendQueryPrepared(
		   conn, name.text, count, values, lens, formats, 1) == 1;
}

uint64_t
pipe_argument(const struct job *job, const struct step *step, unsigned at)
{
	const uint64_t number = step->args[at].number;

	return sql_signature(step->sql)[at] == 'o' && number == 0 ? job->made
								  : number;
}

bool
pipe_send(PGconn *conn, const struct job *job, const struct step *step)
{
	const char *signature = sql_signature(step->sql);
	const char *values[SQL_ARGS_MAX];
	int lens[SQL_ARGS_MAX], formats[SQL_ARGS_MAX];
	uint64_t numbers[SQL_ARGS_MAX];
	unsigned count = 0;

	for (; signature[count] != '\0'; count++) {
		const struct value *arg = &step->args[count];

		formats[count] = 1;
		if (signature[count] == 'b' || signature[count] == 't') {
			values[count] = arg->bytes.text;
			lens[count] = (int)arg->bytes.len;
			continue;
		}
		numbers[count] = big_endian(pipe_argument(job, step, count));
		values[count] = (const char *)&numbers[count];
		lens[count] = sizeof(numbers[count]);
	}
	return pipe_send_values(
	    conn, step->sql, (int)count, values, lens, formats);
}

bool
pipe_send_plain(PGconn *conn, enum sql sql)
{
	return pipe_send_values(conn, sql, 0, NULL, NULL, NULL);
}

static bool
prepare(PGconn *conn, enum sql sql, const char *text)
{
	const char *signature = sql_signature(sql);
	struct name name = name_of(sql);
	Oid types[SQL_ARGS_MAX];
	int count = 0;

	for (; signature[count] != '\0'; count++)
		types[count] = parameter_oid(sql, signature[count]);
	return PQsendPrepare(conn, name.text, text, count, types) == 1;
}

bool
pipe_prepare_all(PGconn *conn)
{
	struct buf text = {0};
	bool is_sent = true;

	for (unsigned sql = 0; is_sent && sql < SQL_COUNT_ALL; sql++) {
		sql_text(sql, true, &text);
		if (text.len == 0)
			continue;
		buf_add_byte(&text, '\0');
		is_sent = prepare(conn, sql, text.text);
	}
	buf_deinit(&text);
	return is_sent;
}

/* --- results ---------------------------------------------------------- */

uint64_t
pipe_number(const PGresult *result, int row, int column)
{
	const char *bytes = PQgetvalue(result, row, column);
	uint64_t eight;
	uint32_t four;

	switch (PQgetlength(result, row, column)) {
	case 8:
		memcpy(&eight, bytes, sizeof(eight));
		return big_endian(eight);
	case 4:
		memcpy(&four, bytes, sizeof(four));
		return (uint64_t)(int64_t)(int32_t)__builtin_bswap32(four);
	default:
		return 0;
	}
}

static bool
is_number(const PGresult *result, int column)
{
	Oid type = PQftype(result, column);

	return type == OID_INT8 || type == OID_INT4;
}

void
pipe_add_rows(struct job *job, const PGresult *result)
{
	struct value columns[VALUES_MAX] = {0};
	int rows = PQntuples(result), count = PQnfields(result);

	must(count <= VALUES_MAX);
	for (int row = 0; row < rows; row++) {
		for (int i = 0; i < count; i++) {
			if (is_number(result, i))
				columns[i].number = pipe_number(result, row, i);
			else
				columns[i].bytes =
				    (struct str){PQgetvalue(result, row, i),
					(size_t)PQgetlength(result, row, i)};
		}
		job_add_row(job, columns, false);
	}
}

uint64_t
pipe_changed(PGresult *result)
{
	uint64_t changed;

	if (!str_to_u64(str_of(PQcmdTuples(result)), INT64_MAX, &changed))
		return 0;
	return changed;
}

static const struct {
	const char *state; /* how it begins */
	enum err err;
} errors[] = {
    {"23505", ERR_EXISTS},
    {"57014", ERR_TIMEOUT}, /* statement_timeout */
    {"55P03", ERR_TIMEOUT}, /* lock_timeout */
    {"53100", ERR_FULL},
    {"54", ERR_TOO_LARGE},
    {"53", ERR_UNAVAILABLE},
    {"25006", ERR_UNAVAILABLE}, /* a standby: reads only */
    {"57", ERR_UNAVAILABLE},
    {"40", ERR_UNAVAILABLE}, /* repeated until the deadline */
    {"22", ERR_INVALID},
    {"XX001", ERR_CORRUPT},
    {"XX002", ERR_CORRUPT},
};

static struct str
state_of(const PGresult *result)
{
	return str_of(PQresultErrorField(result, PG_DIAG_SQLSTATE));
}

enum err
pipe_err(const PGresult *result, const struct step *step)
{
	struct str state = state_of(result);

	if (str_is(state, "JD001") && step != NULL)
		return step->need;
	for (size_t i = 0; i < sizeof(errors) / sizeof(errors[0]); i++) {
		if (str_starts(state, str_of(errors[i].state)))
			return errors[i].err;
	}
	return ERR_IO;
}

bool
pipe_may_repeat(const PGresult *result)
{
	return str_starts(state_of(result), STR("40"));
}

bool
pipe_is_cut(const PGresult *result)
{
	return str_starts(state_of(result), STR("57P"));
}

bool
pipe_is_ending(const PGresult *result)
{
	struct str state = state_of(result);

	/* What libpq says itself has no SQLSTATE; class 08 is of who stands
	 * between, and lost the server. */
	return pipe_is_cut(result) || str_starts(state, STR("08")) ||
	       (state.len == 0 && PQresultStatus(result) == PGRES_FATAL_ERROR);
}

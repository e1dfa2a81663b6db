/*
 * storage/schema/schema.h - the statements that make and change the tables.
 *
 * The file BACKEND-N.sql brings a database of version N - 1 to version N. A
 * released file is frozen: a change is a new file for each backend. They are
 * put into the program when it is built.
 */
#pragma once

#include <stddef.h>

/* By version, from 1; end with NULL. */
extern const char *const schema_sqlite[], *const schema_postgres[];

/* The version that this program makes and uses. */
static inline unsigned
schema_count(const char *const schema[])
{
	unsigned count = 0;

	while (schema[count] != NULL)
		count++;
	return count;
}

/*
 * storage/sql.h - every statement of the store, for both databases.
 *
 * A statement has a number; its text differs between the databases only where
 * it must. The signature says what its parameters are: n a number (int8), o an
 * owner (int8; 0 is the one made in the same batch), b bytes, t text. APPEND is
 * for many rows on PostgreSQL: each argument is an array. Writes that stand
 * behind it see or change logs, those before it do not.
 */
#pragma once

#include <stdbool.h>

#include "base/buf.h"

#define SQL_MAP(X)                                                          \
	X(BEGIN, "")                                                        \
	X(COMMIT, "")                                                       \
	X(ROLLBACK, "")                                                     \
	X(SAVE, "")                                                         \
	X(SAVE_BACK, "")                                                    \
	X(SAVE_DROP, "")                                                    \
	X(FRESH_ADD, "b") /* these are SQLite's: storage/sqlite_fresh.h */  \
	X(FRESH_LIST, "")                                                   \
	X(FRESH_PLACE, "")                                                  \
	X(FRESH_CLEAR, "n") /* upto */                                      \
	X(SETTLE, "nn")     /* owner, upto */                               \
	X(SETTLED, "nn")    /* owner, rowid */                              \
	X(SETTLE_BOUND, "")                                                 \
	X(SETTLE_CLEAR, "n") /* upto */                                     \
	X(GET, "onb")        /* owner, kind, key */                         \
	X(SCAN, "onbn")      /* owner, kind, from, max */                   \
	X(SCAN_TO, "onbbn")  /* owner, kind, from, below, max */            \
	X(REVERSE, "nbnn")   /* kind, key, after, max */                    \
	X(COUNT, "on")       /* owner, kind */                              \
	X(DUE, "nnnnnn")     /* kind, until, time, id, owner, max */        \
	X(OWNER_FIND, "tt")                                                 \
	X(OWNER_LIST, "ttn") /* host, after, max */                         \
	X(OWNER_DELETED, "n")                                               \
	X(OWNER_NEXT, "")                                                   \
	X(OWNER_MAKE, "ottn") /* owner, host, local, made */                \
	X(OWNER_STATE, "on")                                                \
	X(KIND, "ntn")   /* kind, name, flags */                            \
	X(PUT, "onbnnb") /* owner, kind, key, version, flags, value */      \
	X(PUT_NEW, "onbnnb")                                                \
	X(PUT_IF, "onbnnbn") /* the same and the version it has */          \
	X(REMOVE, "onb")                                                    \
	X(REMOVE_FROM, "onb") /* owner, kind, first key */                  \
	X(REMOVE_TO, "onbb")  /* owner, kind, first key, below */           \
	/* owner, kind, id, nonce, time, thread, flags, peer, ref, value */ \
	X(APPEND, "onnnnnnbbb")                                             \
	X(UNREF, "onbbn") /* owner, kind, ref, peer, but not this id */     \
	X(WORDS, "onnt")  /* owner, kind, id, text */                       \
	X(LOG_REMOVE, "onn")                                                \
	X(LOG_TRIM, "onn")                                                  \
	X(LOG_DUE, "onnn")    /* owner, kind, id, time */                   \
	X(LOG_LIMIT, "onnnn") /* owner, kind, before, keep, max */          \
	X(PURGE_LOGS, "on")   /* owner, max */                              \
	X(PURGE_MAPS, "on")                                                 \
	X(PURGE_COUNTS, "o")                                                \
	X(PURGE_OWNER, "o")

/* Pages of logs have one statement for each combination of conditions. */
enum {
	PAGE_BACKWARD = 1 << 0,
	PAGE_PEER = 1 << 1,
	PAGE_REF = 1 << 2,
	PAGE_WORDS = 1 << 3,
	PAGE_COUNT = 1 << 4
};

enum sql {
#define X(name, signature) SQL_##name,
	SQL_MAP(X)
#undef X
	    SQL_PAGE,
	SQL_COUNT_ALL = SQL_PAGE + PAGE_COUNT
};

#define SQL_ARGS_MAX 13

/* Whether it matters to a write if rows are appended before it or after it. */
static inline bool
sql_minds_rows(enum sql sql)
{
	return sql >= SQL_APPEND;
}

/* Empty when this database has no use for the statement. */
void sql_text(enum sql, bool is_postgres, struct buf *text);
/* At most SQL_ARGS_MAX letters. */
const char *sql_signature(enum sql);

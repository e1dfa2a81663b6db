/*
 * storage/sqlite.h - the SQLite backend: its connections and threads.
 *
 * One writer thread commits what all shards have queued, together; a few
 * reader threads answer; one thread copies the write-ahead log into the
 * database, so that no commit has to. Each has a connection of its own. Inline
 * there is one connection and no thread.
 */
#pragma once

#include <pthread.h>
#include <sqlite3.h>

#include "storage/backend.h"
#include "storage/sqlite_fresh.h"

struct sqlite_conn {
	sqlite3 *db;
	sqlite3_stmt *stmts[SQL_COUNT_ALL]; /* prepared when first used */
	uint64_t until_ms;   /* the deadline of what runs; 0: none */
	bool is_loose;       /* its commits do not wait for the disk */
	struct fresh *fresh; /* where rows go first; NULL: to their places */
	struct buf text;
};

/* How long the write-ahead log may get, in pages of 4 KiB, before it is copied
 * into the database. Long ones save writes: hot pages are copied once. */
#define WAL_PAGES 8192

struct sqlite_reader {
	struct sqlite *sqlite;
	struct sqlite_conn conn;
	pthread_t thread;
	bool takes_long; /* all but the first: it is for what is quick */
};

#define READERS_MAX 4

struct sqlite {
	struct storage storage;
	int lock_fd; /* of the file that keeps a second server out; or -1 */
	struct sqlite_conn writer;
	pthread_t writer_thread;
	struct sqlite_reader readers[READERS_MAX];
	unsigned reader_count;
	struct sqlite_conn copier;
	pthread_t copier_thread;

	/* The lock guards all below. */
	pthread_mutex_t lock;
	pthread_cond_t write_wanted, read_wanted, long_wanted, copy_wanted;
	struct list writes, reads, long_reads;
	struct list unplaced; /* reads of owners that have fresh rows */
	bool is_first_busy;   /* readers[0] */
	bool is_stopping, wants_copy, is_copied;

	/* The writer's own. */
	unsigned wal_pages;
	bool is_failing;
	struct fresh fresh; /* has a lock of its own */
};

struct sqlite_store {
	struct store store;
	pthread_mutex_t lock; /* guards ended */
	struct list ended;
	uv_async_t wake;
	uint64_t failed_ms; /* when a job failed for the database; 0: none */
};

/* --- sqlite_conn.c ---------------------------------------------------- */

/* Opens with what every connection needs; flags of sqlite3_open_v2. */
int sqlite_conn_open(struct sqlite_conn *, const char *path, int flags);
void sqlite_conn_close(struct sqlite_conn *);
/* Prepared; NULL when that fails. */
sqlite3_stmt *sqlite_conn_stmt(struct sqlite_conn *, enum sql);
/* A statement without arguments. */
enum err sqlite_conn_do(struct sqlite_conn *, enum sql);
/* Statements in plain text, one after the other; a code of SQLite. */
int sqlite_conn_script(struct sqlite_conn *, const char *text);
/* Whether commits wait until they are on the disk from now on; not within a
 * transaction. */
enum err sqlite_conn_sync(struct sqlite_conn *, bool is_full);
/* The number that a pragma or a query answers with; -1 when it fails. */
int64_t sqlite_conn_number(struct sqlite_conn *, const char *text);
/* Does all steps. NONE also when a condition of a write failed, which is then
 * undone and told in job->err. */
enum err sqlite_conn_run(struct sqlite_conn *, struct job *);
enum err sqlite_err(int code);

/* --- sqlite_open.c ---------------------------------------------------- */

/* Locks the database, opens all connections and migrates. */
bool sqlite_prepare(struct sqlite *, struct arena *,
    const struct storage_options *, struct str *why_r);
/* Undoes it, also half of it. */
void sqlite_unprepare(struct sqlite *);
enum err sqlite_backup(
    struct storage *, const char *path, struct arena *, struct str *why_r);

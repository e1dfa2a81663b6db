/*
 * storage/store.h - what is kept, in two shapes: maps and logs.
 *
 *	map	(owner, kind, key) -> value, version
 *	log	(owner, kind, id) -> time, peer, ref, value
 *
 * Owners are interned: (host, localpart) -> a number that is never used again,
 * so the table of owners is the directory of accounts. Keys and values are
 * bytes; storage knows nothing of XMPP.
 *
 * A struct storage is the open database, one per process. Each shard has its
 * own struct store in it and uses no other. Nothing here blocks: every question
 * takes a wait struct of the asker and calls its done exactly once, on the
 * asking shard, never before the starting call has returned, within the
 * deadline of the configuration. Reads see every write that this store queued
 * before for the same owner. Reads started in one turn share a round trip;
 * writes of one turn, and all that arrive while a commit runs, share a commit.
 *
 * Errors of done: NONE, NOT_FOUND, EXISTS and CONFLICT (conditions of a write),
 * TIMEOUT, UNAVAILABLE (the database is away, or too much is queued for it),
 * UNCERTAIN, CANCELED (shutdown), FULL (disk), TOO_LARGE, INVALID (text that
 * is none), CORRUPT, IO. Unconditional writes are idempotent: after a lost
 * connection the store repeats them itself until their deadline. UNCERTAIN ends
 * conditional writes whose connection was lost while the server may have been
 * committing them, any write that fails when it is repeated, any whose deadline
 * passed while it was being committed, and any that was given to a disk which
 * does not say whether it has it; all other errors mean: not written.
 *
 * The parts: store_kind.h, store_owner.h, store_map.h, store_log.h,
 * store_write.h. A user includes this one.
 */
#pragma once

#include <stdbool.h>

#include "base/err.h"
#include "base/str.h"
#include "storage/store_kind.h"
#include "storage/store_log.h"
#include "storage/store_map.h"
#include "storage/store_owner.h"
#include "storage/store_write.h"

typedef struct uv_loop_s uv_loop_t;

struct storage;
struct store;

struct storage_options {
	const char *backend;  /* "sqlite" or "postgres" */
	const char *path;     /* sqlite: the file; ":memory:" in worlds */
	const char *conninfo; /* postgres: for PQconnectdb */
	unsigned deadline_ms; /* of each question */
	unsigned hold_ms;     /* how long a commit nobody waits for may wait */
	unsigned stores;      /* how many shards will open one */
	bool is_inline;       /* sqlite: no threads; store_step does the work */
	size_t fresh_max;     /* sqlite: rows that wait for their places; 0: the
				 usual number */
	/* For tests: as those of storage/schema/schema.h, which it is when
	 * NULL. */
	const char *const *schema;
};

/* Opens it, locks it for this server, creates or migrates the schema in a
 * transaction. Blocks: only for the start. On failure NULL and a sentence for
 * people in *why_r (in arena): wrong password, cannot be reached, schema newer
 * than this program, used by another server, file not writable. */
struct storage *storage_open(
    struct arena *, const struct storage_options *, struct str *why_r);
/* All stores must be closed. */
void storage_close(struct storage **);
/* Copies the database, consistent, to a new file while it is in use (SQLite),
 * or says in *why_r what to use instead. Blocks: from a thread of its own. */
enum err storage_backup(
    struct storage *, const char *path, struct arena *, struct str *why_r);

/* loop NULL when inline. */
struct store *store_open(struct storage *, uv_loop_t *loop);
/* What was queued leaves now, not when the loop next prepares to wait: for who
 * works in that very preparation. */
void store_turn(struct store *);
/* Finishes writes that are queued, cancels reads; done when idle: calls closed
 * (not before it has returned; inline in the last store_step), after which the
 * store is gone and the loop holds nothing of it. */
void store_close(struct store *, void (*closed)(void *), void *arg);
/* Inline only, for worlds: the server is killed. What is queued is not done, no
 * done is called. */
void store_kill(struct store **);
/* Inline only: does one queued job, in order, and calls its done. False when
 * there was none. */
bool store_step(struct store *);
/* Inline only, for tests: jobs from now on end with this error, ERR_NONE to be
 * well again. UNCERTAIN does the job and says UNCERTAIN; FULL is for writes
 * only. */
void store_break(struct store *, enum err);
/* How much of what may be queued is, in percent, with what is expected: when
 * 100 is queued all is refused. */
unsigned store_load(const struct store *);
/* So many writes more (or fewer) wait for others before they are queued. */
void store_expect(struct store *, int count);
/* Whether it was closed and is idle: nothing may be queued any more, though
 * closed has yet to be called. */
bool store_is_over(const struct store *);
/* Whether the database could be reached last time. */
bool store_is_up(const struct store *);

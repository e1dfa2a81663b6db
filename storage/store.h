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
 *own struct store in it and uses no other. Nothing here blocks: every question
 * takes a wait struct of the asker and calls its done exactly once, on the
 * asking shard, never before the starting call has returned, within the
 * deadline of the configuration. Reads see every write that this store queued
 * before for the same owner. Reads started in one turn share a round trip;
 * writes of one turn, and all that arrive while a commit runs, share a commit.
 *
 * Errors of done: NONE, NOT_FOUND, EXISTS and CONFLICT (conditions of a write),
 * TIMEOUT, UNAVAILABLE (the database is away), UNCERTAIN (only for conditional
 * writes whose connection was lost), CANCELED (shutdown), FULL (disk), CORRUPT,
 * IO. Unconditional writes are idempotent: after a lost connection the store
 * repeats them itself.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/list.h"
#include "base/str.h"

typedef struct uv_loop_s uv_loop_t;

struct storage;
struct store;

/* --- the database ----------------------------------------------------- */

struct storage_options {
	const char *backend;  /* "sqlite" or "postgres" */
	const char *path;     /* sqlite: the file; ":memory:" in worlds */
	const char *conninfo; /* postgres: for PQconnectdb */
	unsigned deadline_ms; /* of each question */
	unsigned hold_ms;     /* how long a commit nobody waits for may wait */
	unsigned stores;      /* how many shards will open one */
	bool is_inline;       /* sqlite: no threads; store_step does the work */
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
/* Finishes writes that are queued, cancels reads; done when idle: calls closed
 * (not before it has returned), after which the loop holds nothing of it. */
void store_close(struct store *, void (*closed)(void *), void *arg);
/* Inline only: does one queued job, in order, and calls its done. False when
 * there was none. */
bool store_step(struct store *);
/* Inline only, for tests: jobs from now on end with this error, ERR_NONE to be
 * well again. UNCERTAIN does the job and says UNCERTAIN. */
void store_break(struct store *, enum err);
/* Whether the database could be reached last time. */
bool store_is_up(const struct store *);

/* --- owners ----------------------------------------------------------- */

typedef uint64_t owner_id; /* 0 is nobody */

/* Rows of the server itself: secrets, settings. Always there. */
#define OWNER_SERVER ((owner_id)1)

enum owner_state { OWNER_ACTIVE, OWNER_DISABLED, OWNER_DELETED };

struct owner_row {
	owner_id id;
	struct str host, local;
	enum owner_state state;
	uint64_t made_us; /* wall time */
};

struct store_owner { /* a wait */
	void (*done)(struct store_owner *);
	struct arena *arena;
	enum err err; /* NOT_FOUND: no such owner */
	struct owner_row row;
};

/* Looks up a living owner (ACTIVE or DISABLED). */
void store_owner_find(struct store *, struct store_owner *, struct arena *,
    struct str host, struct str local, void (*done)(struct store_owner *));

struct store_owners {
	void (*done)(struct store_owners *);
	struct arena *arena;
	enum err err;
	const struct owner_row *rows;
	size_t count;
};

/* Living owners of a host, by localpart, after the given one. */
void store_owner_list(struct store *, struct store_owners *, struct arena *,
    struct str host, struct str after, unsigned max,
    void (*done)(struct store_owners *));
/* Owners marked deleted whose rows are not all purged yet. */
void store_owner_deleted(struct store *, struct store_owners *, struct arena *,
    unsigned max, void (*done)(struct store_owners *));

/* --- kinds ------------------------------------------------------------ */

enum {
	KIND_COUNTED = 1 << 0, /* count and bytes per owner, kept with writes */
	KIND_REVERSE = 1 << 1, /* map: index (kind, key) -> owners */
	KIND_DUE = 1 << 2,     /* log: index (kind, time) -> rows */
	KIND_REF = 1 << 3,     /* log: ref is unique per (owner, peer) */
	KIND_TEXT = 1 << 4,    /* log: full text search over text */
	KIND_RETAIN = 1 << 5,  /* log: old rows are dropped by age */
};

/* Declared once, static, by the module that keeps such rows. */
struct store_kind {
	const char *name; /* stored: frozen once released; [a-z0-9-] */
	enum { STORE_MAP, STORE_LOG } shape;
	unsigned flags;
};

/* A key of several parts that sorts part by part; parts hold no NUL. A scan
 * with the prefix store_key(a) finds all keys (a, x). */
struct str store_key2(struct arena *, struct str, struct str);
struct str store_key3(struct arena *, struct str, struct str, struct str);
/* The part at index of a key; empty when there are fewer. */
struct str store_key_part(struct str key, unsigned index);

/* --- reading maps ----------------------------------------------------- */

struct map_row {
	struct str key, value;
	uint64_t version; /* of its last change, grows; never 0 */
};

struct store_get {
	void (*done)(struct store_get *);
	struct arena *arena; /* where the value is put */
	enum err err;        /* NOT_FOUND: no such row */
	struct map_row row;
};

void store_get(struct store *, struct store_get *, struct arena *, owner_id,
    const struct store_kind *, struct str key,
    void (*done)(struct store_get *));

struct store_scan {
	void (*done)(struct store_scan *);
	struct arena *arena;
	enum err err; /* NONE also when there are no rows */
	const struct map_row *rows;
	size_t count;
	bool is_more; /* there are rows after the last */
};

/* Rows whose key begins with the prefix (empty: all), by key, after the given
 * key (empty: from the beginning). */
struct map_query {
	owner_id owner;
	const struct store_kind *kind;
	struct str prefix, after;
	unsigned max;
};

void store_scan(struct store *, struct store_scan *, struct arena *,
    const struct map_query *, void (*done)(struct store_scan *));

/* KIND_REVERSE: the owners that have this key, by id, after the given one; rows
 * have only the id, host, local and state. */
void store_reverse(struct store *, struct store_owners *, struct arena *,
    const struct store_kind *, struct str key, owner_id after, unsigned max,
    void (*done)(struct store_owners *));

/* --- reading logs ----------------------------------------------------- */

struct log_row {
	owner_id owner;
	uint64_t id;      /* order: see store_log_id */
	uint64_t nonce;   /* random half of the public id */
	uint64_t time_us; /* wall time */
	struct str peer;  /* whatever the kind says; often a full JID */
	struct str ref;   /* empty when the kind has none */
	struct str text;  /* what is searched; written only */
	struct str value;
};

/* Ids grow: the wall time in microseconds, or last + 1. */
uint64_t store_log_id(uint64_t last);

struct log_query {
	owner_id owner;
	const struct store_kind *kind;
	uint64_t after, before;  /* ids, both exclusive; 0: open */
	uint64_t from_us, to_us; /* times, inclusive; 0: open */
	struct str peer;  /* this bare JID and its full ones; empty: all */
	struct str ref;   /* with peer; empty: all */
	struct str words; /* KIND_TEXT: all of these; empty: all */
	bool is_backward; /* the last max rows, given newest first */
	unsigned max;
};

struct store_page {
	void (*done)(struct store_page *);
	struct arena *arena;
	enum err err;
	const struct log_row *rows;
	size_t count;
	bool is_more;
};

void store_page(struct store *, struct store_page *, struct arena *,
    const struct log_query *, void (*done)(struct store_page *));
/* KIND_DUE: rows of all owners whose time has come, oldest first, after the row
 * given by its time and id (0, 0: from the beginning). */
struct due_query {
	const struct store_kind *kind;
	uint64_t until_us, after_us, after_id;
	unsigned max;
};
void store_due(struct store *, struct store_page *, struct arena *,
    const struct due_query *, void (*done)(struct store_page *));

struct store_count {
	void (*done)(struct store_count *);
	enum err err;
	uint64_t count, bytes;      /* bytes of keys, refs and values */
	uint64_t first_id, last_id; /* logs: 0 when empty */
};

/* KIND_COUNTED: one row read, never counted by scanning. */
void store_count(struct store *, struct store_count *, owner_id,
    const struct store_kind *, void (*done)(struct store_count *));

/* --- writing ---------------------------------------------------------- */

/* A batch: all of it or nothing, across owners. What is given is copied. */
struct store_write;

struct store_commit { /* the wait */
	void (*done)(struct store_commit *);
	enum err err;
	unsigned failed; /* EXISTS, CONFLICT, NOT_FOUND: which operation */
};

struct store_write *store_write_new(struct store *);
/* Gives it up unwritten; nulls the pointer. */
void store_write_free(struct store_write **);
/* One more wait for the write, before it is queued. Waits are told in the order
 * they were added, that of store_commit last. */
void store_also(struct store_write *, struct store_commit *wait,
    void (*done)(struct store_commit *));
/* Queues it and takes it. wait NULL: nobody waits, a failure is logged. */
void store_commit(struct store_write *, struct store_commit *wait,
    void (*done)(struct store_commit *));
/* The same; the commit may be held hold_ms for company: for acks only. */
void store_commit_lazy(struct store_write *, struct store_commit *wait,
    void (*done)(struct store_commit *));

void store_put(struct store_write *, owner_id, const struct store_kind *,
    struct str key, struct str value);
/* Fails the batch with EXISTS when the key is there. */
void store_put_new(struct store_write *, owner_id, const struct store_kind *,
    struct str key, struct str value);
/* Fails the batch with CONFLICT unless the row has this version. */
void store_put_if(struct store_write *, owner_id, const struct store_kind *,
    struct str key, struct str value, uint64_t version);
void store_remove(
    struct store_write *, owner_id, const struct store_kind *, struct str key);
/* All keys with the prefix. */
void store_remove_all(struct store_write *, owner_id, const struct store_kind *,
    struct str prefix);

/* With KIND_REF a row of the same owner, peer and ref is replaced. The owner,
 * id, nonce and time come from the row. */
void store_append(
    struct store_write *, const struct store_kind *, const struct log_row *);
void store_log_remove(
    struct store_write *, owner_id, const struct store_kind *, uint64_t id);
/* All ids up to and with this one. */
void store_log_trim(
    struct store_write *, owner_id, const struct store_kind *, uint64_t upto);
/* Moves a row of a KIND_DUE log to another time. */
void store_log_due(struct store_write *, owner_id, const struct store_kind *,
    uint64_t id, uint64_t time_us);

/* Makes an owner; EXISTS when a living one has the name. *id_r is set before
 * done is called. Later operations of the same batch that give the owner 0
 * mean this one. */
void store_owner_make(
    struct store_write *, struct str host, struct str local, owner_id *id_r);
void store_owner_set_state(struct store_write *, owner_id, enum owner_state);
/* After OWNER_DELETED: removes up to max of its rows, or at the end the owner
 * itself; done with NOT_FOUND when nothing of it was left. */
void store_purge(struct store *, struct store_commit *wait, owner_id,
    unsigned max, void (*done)(struct store_commit *));

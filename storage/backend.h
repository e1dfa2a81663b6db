/*
 * storage/backend.h - what store.c asks of a database, and the job.
 *
 * A question or a batch is a job: steps (a statement and its arguments) that
 * are done in order, in one transaction if they write. A backend knows jobs
 * only; what they mean is known by read.c and write.c, and when they may start
 * by store.c.
 */
#pragma once

#include <stdatomic.h>
#include <uv.h>

#include "base/arena.h"
#include "base/list.h"
#include "storage/gate.h"
#include "storage/sql.h"
#include "storage/store.h"

struct value { /* of an argument or of a column */
	uint64_t number;
	struct str bytes; /* text NULL for an argument: NULL */
};

#define VALUES_MAX 7 /* columns of a row */

struct step {
	struct step *next;
	enum sql sql;
	owner_id owner;    /* of a write: whose gate it closes; 0 nobody's */
	unsigned op;       /* which operation of the batch it belongs to */
	enum err need;     /* the job fails with this if no row is changed */
	bool may_be_fresh; /* a row that nothing but its indexes knows of */
	struct value args[];
};

/* What the rows of a job are. */
enum shape { SHAPE_NONE, SHAPE_MAP, SHAPE_LOG, SHAPE_OWNER, SHAPE_COUNT };

struct also { /* one more wait for a write */
	struct also *next;
	struct store_commit *wait;
};

struct waits { /* who waits for a job: one of these, or nobody */
	struct store_owner *owner;
	struct store_owners *owners;
	struct store_get *get;
	struct store_scan *scan;
	struct store_page *page;
	struct store_count *count;
	struct store_commit *commit;
	struct also *also;
	owner_id *made_r;
};

struct job {
	struct link link; /* where it waits: of the store or the backend */
	struct link open; /* in the store, oldest first */
	struct store *store;
	struct arena *arena; /* holds the job and all of it */
	uint64_t until_ms;   /* deadline, clock_mono_ms */
	size_t bytes;        /* of keys and values it writes */
	size_t taken;        /* of memory, when it was queued */

	struct step *first, **last;
	unsigned ops;
	owner_id made; /* by owner_make */
	bool makes;    /* it has an owner_make */

	bool is_write, is_long, is_lazy;
	bool can_fail;      /* a condition may fail: needs a way back */
	bool is_once;       /* may not be repeated when its fate is unknown */
	bool is_submitted;  /* the backend has it */
	bool is_alone;      /* for the backend: commit it by itself */
	bool is_begun;      /* the backend's: it cannot be withdrawn */
	bool is_orphan;     /* its done was called already */
	bool is_maybe_done; /* a commit of it ended without a word */
	bool is_purge;
	bool minds_fresh; /* it reads or changes rows that may be fresh */

	/* What came of it; rows is an array of what shape says. */
	enum err err;
	unsigned failed;
	uint64_t changed;
	enum shape shape;
	void *rows;
	size_t count, cap, max;

	/* A read is for this owner; a write closes gates. */
	owner_id owner;
	struct gate_hold *holds;

	struct waits waits;
	struct also **also_last;
};

struct backend {
	struct storage *(*open)(
	    struct arena *, const struct storage_options *, struct str *why_r);
	void (*close)(struct storage *);
	enum err (*backup)(struct storage *, const char *path, struct arena *,
	    struct str *why_r);

	/* A store of this backend, zeroed but for its own part. */
	struct store *(*attach)(struct storage *, uv_loop_t *);
	/* The store is idle: closes its handles, then calls store_detached. */
	void (*detach)(struct store *);
	/* Frees what attach made. */
	void (*discard)(struct store *);

	/* Takes all jobs of the list; each comes back by job_end, at once
	 * when there is no hope. Writes are done in their order. */
	void (*submit)(struct store *, struct list *jobs);
	/* Gives a job back that was not begun; false when it was: then it
	 * comes back by job_end still. */
	bool (*withdraw)(struct job *);
	/* Inline: does it now. */
	enum err (*run)(struct job *);
	bool (*is_up)(const struct store *);
	bool quotes_words; /* a search wants its words in quotes */
};

extern const struct backend sqlite_backend, postgres_backend;

struct storage {
	const struct backend *backend;
	struct storage_options options; /* its texts live as long */
};

#define KINDS_MAX 256 /* a power of two, twice as many as are used at most */

struct kind_slot {
	const struct store_kind *kind;
	uint32_t id;   /* in the database: a frozen hash of its name */
	bool is_named; /* a write has told the database its name */
};

struct store {
	struct storage *storage;
	uv_loop_t *loop; /* NULL when inline */

	struct list open;  /* jobs whose done was not called, by deadline */
	struct list ready; /* to be submitted at the end of the turn */
	struct list held;  /* lazy writes, before all of ready's */
	struct list ended; /* failed at once; told at the end of the turn */
	size_t open_count, open_bytes, held_count, orphans;
	size_t expected; /* by store_expect */
	size_t told;     /* jobs that ended so far */
	struct gates gates;

	uv_prepare_t turn;
	uv_timer_t deadline, hold;
	unsigned handles; /* that are being closed */

	struct kind_slot kinds[KINDS_MAX]; /* by their address */

	uint64_t last_version;
	uint64_t complained_ms; /* when a lost write was logged last */
	enum err broken;
	bool is_closing, is_detached;
	void (*closed)(void *);
	void *closed_arg;
};

extern const struct log storage_log; /* subject "storage" */

/* --- for backends ----------------------------------------------------- */

/* A row of the answer; the bytes are copied when they will not last until
 * job_end. */
void job_add_row(struct job *, const struct value *columns, bool copy);
/* The job is done: tells who waits and frees it. On the store's thread. */
void job_end(struct job *, enum err);
/* The handles of the backend are closed. */
void store_detached(struct store *);

/* --- for read.c and write.c ------------------------------------------- */

struct job *job_new(struct store *, size_t len);
/* The values of the arguments are the caller's to fill in. */
struct step *job_step(struct job *, enum sql, unsigned args);
/* Queues it and takes it. */
void store_queue(struct job *);
/* Whether rows of the kind are known by nothing but their indexes: SQLite puts
 * them there later (sqlite_fresh.h). */
bool store_may_be_fresh(const struct store_kind *);
struct kind_slot *store_kind_slot(struct store *, const struct store_kind *);
/* The first key behind all those with the prefix; empty when there is none. */
struct str store_key_below(struct arena *, struct str prefix);
/* The number that rows of this peer's bare JID are found by: KIND_PEER. */
uint64_t store_thread(struct str peer);
/* What is indexed for a search: the text with a word for its owner. */
struct str store_words(struct arena *, owner_id, struct str text);
/* A search for all of these words. */
struct str store_words_wanted(
    const struct store *, struct arena *, owner_id, struct str words);
/* Fills in the waits from the job and calls their done. */
void job_tell_read(struct job *);
void job_tell_write(struct job *);

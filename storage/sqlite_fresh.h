/*
 * storage/sqlite_fresh.h - rows of logs that are not in their places yet.
 *
 * The rows of a commit are of as many accounts as there are conversations, and
 * each account has pages of its own in both indexes of logs: put there at once,
 * most rows cost two pages to write. So all that a commit appends becomes one
 * row of the table "fresh", and is durable there; it stays in memory too, and
 * many rows are put into logs later, those of an account together.
 *
 * Who reads the log of an owner that has fresh rows waits until they are in
 * their places. Who changes or removes rows has them placed before, and
 * appends to logs itself; the table "settled" tells a later server that it may
 * not place these again. All else that it finds in "fresh" it places, again or
 * for the first time.
 *
 * All is the writer's but fresh_holds.
 */
#pragma once

#include <pthread.h>

#include "base/list.h"
#include "storage/sqlite_rows.h"

struct sqlite_conn;

enum fresh_state { FRESH_WAITING, FRESH_PICKED, FRESH_PLACED };

struct fresh_row {
	owner_id owner;
	const char *row; /* of a blob */
	uint32_t next;   /* its index + 1 in rows; 0: none */
	enum fresh_state state;
};

struct fresh_blob { /* what one commit appended */
	struct link link;
	int64_t rowid;
	struct buf rows;
};

#define FRESH_CHAINS 4096

struct fresh {
	size_t max; /* rows that begin a round */

	pthread_mutex_t lock;   /* for who asks and for who changes */
	struct fresh_row *rows; /* oldest first */
	size_t count, cap;
	struct fresh_chain {          /* of owners of one remainder: rows */
		uint32_t first, last; /* not placed, as index + 1, by age */
	} chains[FRESH_CHAINS];

	struct fresh_blob *added; /* by the transaction that is open; or NULL */
	struct list blobs;        /* oldest first */
	struct list spare;        /* for what comes next */
	int64_t last_rowid;       /* of all blobs that there were */
	size_t bytes, spare_bytes;
	uint64_t since_ms;      /* how long the oldest may be waiting */
	struct row_list picked; /* what is being placed */
	struct fresh_settled {  /* what the open transaction may change */
		owner_id *owners;
		size_t count, cap;
	} settled;

	size_t round_count;  /* rows that this round clears; 0: none is on */
	int64_t round_rowid; /* of its last blob */
	unsigned round_at;   /* the chain that is next */
	bool round_is_full;  /* it was rows, and not time, that began it */
	uint64_t retry_ms;   /* not before; 0: the last time went well */
	bool is_failing;     /* as it was logged */
};

/* max rows, or 0 for the usual number. */
void fresh_init(struct fresh *, size_t max);
void fresh_deinit(struct fresh *);
/* Finds what an earlier server left, and prepares the connection. CORRUPT: the
 * table holds something else. */
enum err fresh_load(struct fresh *, struct sqlite_conn *);

/* Whether rows of the owner wait to be placed. From any thread. */
bool fresh_holds(struct fresh *, owner_id);

/* Places the rows of the owner. What fails here and below is logged. */
enum err fresh_place(struct fresh *, struct sqlite_conn *, owner_id);
/* The same for owners whose rows these writes change or remove; fresh_takes is
 * false for them until fresh_keep or fresh_drop. */
enum err fresh_settle(
    struct fresh *, struct sqlite_conn *, const struct list *jobs);

/* Whether what is appended for the owner may be added here. */
bool fresh_takes(const struct fresh *, owner_id);
/* A row that the open transaction appends: arguments of APPEND. */
void fresh_add(struct fresh *, const struct value *args);
/* What was added since fresh_mark was not. */
size_t fresh_mark(const struct fresh *);
void fresh_back(struct fresh *, size_t mark);
/* The transaction ends: writes what was added. Then it was committed, or was
 * not. */
enum err fresh_write(struct fresh *, struct sqlite_conn *);
void fresh_keep(struct fresh *);
void fresh_drop(struct fresh *);

/* When the next round, or the rest of one, wants to be done: clock_mono_ms, 0
 * now, UINT64_MAX if there is nothing to do. */
uint64_t fresh_due_ms(const struct fresh *);
/* About so many rows of the round, which begins if none is on. */
enum err fresh_round(struct fresh *, struct sqlite_conn *, size_t rows);
/* All rounds that there are. */
enum err fresh_place_all(struct fresh *, struct sqlite_conn *);
/* No more may be added: more waits than ever should, for it cannot be placed.
 */
bool fresh_is_stuck(const struct fresh *);

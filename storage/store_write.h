/*
 * storage/store_write.h - writing: batches that are kept whole or not at all.
 */
#pragma once

#include "storage/store_log.h"
#include "storage/store_owner.h"

struct store;

/* A batch: all of it or nothing, across owners. What is given is copied, unless
 * it is in the memory of the batch itself. */
struct store_write;

struct store_commit { /* the wait */
	void (*done)(struct store_commit *);
	enum err err;
	unsigned failed; /* EXISTS, CONFLICT, NOT_FOUND: which operation */
};

struct store_write *store_write_new(struct store *);
/* Lives until the last done of the write has returned, or it is given up. */
struct arena *store_write_arena(struct store_write *);
/* Gives it up unwritten; nulls the pointer. Waits that store_also added are
 * told ERR_CANCELED before it returns. */
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

/* With KIND_REF a row of the same owner, peer and ref is replaced; other kinds
 * keep no ref. A row with the same id is replaced. The owner, id, nonce and
 * time come from the row. */
void store_append(
    struct store_write *, const struct store_kind *, const struct log_row *);
/* The same; the bytes of the row are in the write's arena. */
void store_append_own(
    struct store_write *, const struct store_kind *, const struct log_row *);
/* KIND_TEXT: what is searched of a row that is there, from now on. */
void store_log_words(struct store_write *, owner_id, const struct store_kind *,
    uint64_t id, struct str text);
void store_log_remove(
    struct store_write *, owner_id, const struct store_kind *, uint64_t id);
/* All ids up to and with this one. */
void store_log_trim(
    struct store_write *, owner_id, const struct store_kind *, uint64_t upto);
/* Moves a row of a KIND_DUE log to another time. */
void store_log_due(struct store_write *, owner_id, const struct store_kind *,
    uint64_t id, uint64_t time_us);

/* Makes an owner, at most one a batch; EXISTS when a living one has the name.
 * *id_r is set before done is called. Later operations of the same batch that
 * give the owner 0 mean this one. */
void store_owner_make(
    struct store_write *, struct str host, struct str local, owner_id *id_r);
/* NOT_FOUND when it is not there; a deleted one stays deleted. */
void store_owner_set_state(struct store_write *, owner_id, enum owner_state);
/* After OWNER_DELETED: removes about max of its rows, at last the owner itself;
 * done with NOT_FOUND when nothing of it was left. */
void store_purge(struct store *, struct store_commit *wait, owner_id,
    unsigned max, void (*done)(struct store_commit *));

/* Removes up to max rows of a log, the oldest first: those with an id less than
 * before, and all but the newest keep (0: as many as there are); done with
 * NOT_FOUND when there was none. */
struct log_limit {
	owner_id owner;
	const struct store_kind *kind;
	uint64_t before, keep;
	unsigned max;
};

void store_log_limit(struct store *, struct store_commit *wait,
    const struct log_limit *, void (*done)(struct store_commit *));

/*
 * server/outbox.h - durable letters: changes that span two owners.
 *
 * The letter is a row of the log outbox, written in the transaction of the
 * change that causes it, posted at once (so that nothing sent later can pass
 * it), and posted again at start while the row is there.
 *
 * The receiver shows the change in memory at once too, but commits its part
 * only when the sender's is committed (SURE): after a crash both sides have it,
 * or the sender has it and the letter comes again, never the receiver alone.
 * The row goes in the very transaction of the receiver's part, so that no
 * letter is carried out twice: a second time it might undo what came after it.
 */
#pragma once

#include "server/account.h"
#include "server/post.h"

extern const struct store_kind outbox_kind;

/* Adds the stanza to the transaction of the account and posts it at once. When
 * the write is committed, or failed, the receiver gets SURE. Rows belong to the
 * server, not to the account: they outlive it. What is neither for an account
 * of ours nor for another domain is sent without a row. turn, which an account
 * finds in letter->durable, is the caller's. */
void outbox_send(struct account *, struct store_write *, const struct stanza *,
    uint64_t turn);

/* The same without an account, of a letter with its stanza; takes it. */
void outbox_post(struct shard *, struct store_write *, struct post *);
/* A row for a letter that its receiver, on this shard, keeps: it is posted
 * again only after the next start, in its place by time. */
void outbox_keep(
    struct shard *, struct store_write *, struct post *, uint64_t since_us);

/* By the receiver of a durable letter (letter->durable.row is not 0), before it
 * commits its part: done when the sender's part is committed; err is
 * ERR_CANCELED when it never will be. At once (but not before the call has
 * returned) for letters that are posted again. The wait is the caller's until
 * done. */
struct outbox_wait {
	struct table_link link; /* of the shard's waits */
	struct durable_id durable;
	enum err err;
	void (*done)(struct outbox_wait *);
};
void outbox_wait(struct shard *, struct outbox_wait *,
    const struct post *letter, void (*done)(struct outbox_wait *));

/* Gives the wait up: done will not be called. */
void outbox_unwait(struct shard *, struct outbox_wait *);

/* The row goes with this transaction of the receiver, which is given to the
 * store after done of outbox_wait. */
void outbox_remove(struct store_write *, struct durable_id);
/* By a receiver that has nothing to write: the row goes when the sender's part
 * is committed. Harmless for the id of a letter that is not durable. */
void outbox_drop(struct shard *, struct durable_id);
/* By a receiver that gives it back: router_bounce, but the answer to a message
 * takes its place, so it is not lost either. text, which may be NULL, lives as
 * long as the letter. Takes it. */
void outbox_bounce(
    struct shard *, struct post *, enum stanza_err, const char *text);

/* By one that is not there: when it is sure the letter goes back as an error,
 * which is as durable: the sender removes the row with its own part. Takes it.
 */
void outbox_return(struct shard *, struct post *, enum stanza_err);

/* The handler of SURE, called by account_take and for owners that are not in
 * memory. */
void outbox_sure(struct shard *, struct post *);

/* At the end of a shard, while its store is open still: those who wait are told
 * ERR_CANCELED, and nothing is asked again. */
void outbox_cancel(struct shard *);

/* Learns which ids earlier runs gave, so that this one gives others, also where
 * the clock was set back: once, by shard 0, before anything is written. done
 * when they are known; while the store fails it is asked again. */
void outbox_open(struct shard *, void (*done)(struct shard *));

/* Posts what an earlier run left: once, by shard 0, when all shards run. done
 * (NULL: nobody waits) is called when the last of it is posted, so that what is
 * let in then cannot pass it; while the store fails it is asked again. */
void outbox_start(struct shard *, void (*done)(struct shard *));

/*
 * server/outbox.h - durable letters: changes that span two owners.
 *
 * The letter is a row of the log outbox, written in the transaction of the
 * change that causes it, posted at once (so that nothing sent later can pass
 * it), removed when the receiver reports its commit (KEPT), and posted again at
 * start. Receiving is idempotent.
 *
 * The receiver shows the change in memory at once too, but commits its part
 * only when the sender's is committed (SURE): after a crash both sides have it,
 * or the sender has it and the letter comes again, never the receiver alone.
 */
#pragma once

#include "server/account.h"
#include "server/post.h"

extern const struct store_kind outbox_kind;

/* Adds the stanza to the transaction of the account and posts it at once. When
 * the write is committed, or failed, the receiver gets SURE. Rows belong to the
 * server, not to the account: they outlive it. */
void outbox_send(struct account *, struct store_write *, const struct stanza *);

/* By the receiver of a durable letter, before it commits its part: done when
 * the sender's part is committed; err is ERR_CANCELED when it never will be. At
 * once (but not before the call has returned) for letters that are posted
 * again. The wait is the caller's until done. */
struct outbox_wait {
	struct table_link link; /* of the shard's waits */
	struct durable_id durable;
	enum err err;
	void (*done)(struct outbox_wait *);
};
void outbox_wait(struct account *, struct outbox_wait *,
    const struct post *letter, void (*done)(struct outbox_wait *));

/* By the receiver of a letter with a durable id (letter->durable), once what it
 * asked for is committed, or at once when nothing had to be written. sender is
 * the from of its stanza. Harmless for the id of a letter that is not durable;
 * when it is not called (the commit failed), the letter comes again after the
 * next start. */
void outbox_kept(struct shard *, struct durable_id, const struct jid *sender);

/* At shutdown, before the store is closed: ends the waits with ERR_CANCELED;
 * their letters come again at the next start. */
void outbox_cancel(struct shard *);

/* The handlers of SURE, called by account_take, and of KEPT. */
void outbox_sure(struct shard *, struct post *);
void outbox_take_kept(struct shard *, struct post *);

/* Posts what an earlier run left: once, by shard 0, when all shards run. */
void outbox_start(struct shard *);

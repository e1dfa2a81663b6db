/*
 * server/outbox.h - durable letters: changes that span two owners.
 *
 * The letter is a row of the log outbox, written in the transaction of the
 * change that causes it, posted at once, removed when the receiver reports its
 * commit (KEPT), and posted again at start. Receiving is idempotent.
 */
#pragma once

#include "server/account.h"
#include "server/post.h"

extern const struct store_kind outbox_kind;

/* Adds the stanza to the transaction of the account and posts it: it must not
 * wait for the commit, so that later letters cannot pass it. */
void outbox_send(struct account *, struct store_write *, const struct stanza *);

/* By the receiver of a letter with a durable id (letter->durable), once what it
 * asked for is committed, or at once when nothing had to be written. sender is
 * the from of its stanza. Harmless for the id of a letter that is not durable;
 * when it is not called (the commit failed), the letter comes again after the
 * next start. */
void outbox_kept(struct shard *, struct durable_id, const struct jid *sender);

/* Posts what an earlier run left: once, by shard 0, when all shards run. */
void outbox_start(struct shard *);

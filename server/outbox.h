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

/* By the receiver of a letter with a durable id: it is carried out, once write
 * commits; write NULL: nothing had to be written. The write is not queued by
 * this. Must be called exactly once for each such letter. */
void outbox_kept(struct shard *, const struct post *letter);

/* Posts what an earlier run left: once, by shard 0, when all shards run. */
void outbox_start(struct shard *);

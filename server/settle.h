/*
 * server/settle.h - receipts: how who counted a stanza of a peer (a session, or
 * a stream of another server) learns that it is settled, so that its h may
 * cover it (server/handled.h; XEP-0198, section 4).
 *
 * Every letter that a counted stanza causes carries the receipt along
 * (letter->receipt). It is settled when the letter is freed, or handed to a
 * stream: then its last owner is done with it. Who keeps something of it that
 * must first be committed takes the receipt out and settles it then.
 *
 * A letter that is lent carries none: it belongs to one that has it.
 */
#pragma once

#include "server/post.h"

/* Moves it out of the letter. */
struct receipt receipt_take(struct post *);
/* Tells who counted; harmless for one that is settled or was never there. What
 * a closed shard drops was not done, and is not settled. */
void receipt_settle(struct shard *, struct receipt *);

/* The handler of SETTLED. */
void settle_take(struct shard *, struct post *);
/* At the end of a shard. */
void settle_free(struct shard *);

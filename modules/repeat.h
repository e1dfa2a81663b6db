/*
 * modules/repeat.h - messages that are sent a second time after a crash.
 *
 * A crash between the commit of a message's row and that of its sender's count
 * (server/resume_handled.c) leaves a row of which the sender was not told, so
 * it sends the message again, with the same id (XEP-0198, section 5). What such
 * a message would have, an account that is loaded after a start remembers:
 * sender, id and body of the rows that it got last before the start.
 */
#pragma once

#include "base/join.h"
#include "server/account.h"
#include "storage/store.h"
#include "xml/stanza.h"

/* Zeroed at first. */
struct repeats {
	uint64_t *hashes; /* sorted */
	size_t count;
};

/* Reads them from a log whose peers are the senders and whose values the
 * messages; last_id is that of its newest row. Part of the account's loading:
 * the join waits for it. */
void repeats_load(struct repeats *, struct account *, const struct store_kind *,
    uint64_t last_id, struct join *);
/* Whether the message was there before the start. */
bool repeats_have(const struct repeats *, const struct stanza *);
void repeats_forget(struct repeats *);

/*
 * modules/repeat.h - messages that are sent a second time after a crash.
 *
 * A crash between the commit of a message's row and that of its sender's count
 * (server/resume_handled.c) leaves a row of which the sender was not told, so
 * it sends the message again, with the same id (XEP-0198, section 5); and so it
 * does with all that it sent after a message of whose refusal it was not told
 * (server/kept.h). What such a message would have, an account that is loaded
 * after a start remembers for a day: sender, recipient, id and body of the rows
 * that it got, or sent, last before the start. A tombstone is known without its
 * body, or words that were taken back would be there again.
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
	uint64_t until_ms; /* clock_mono_ms; then they are forgotten */
};

/* Reads them from a log whose values are the messages; last_id is that of its
 * newest row. Part of the account's loading: the join waits for it. */
void repeats_load(struct repeats *, struct account *, const struct store_kind *,
    uint64_t last_id, struct join *);
/* Whether the message was there before the start: each row says so once while
 * the account is in memory, for nobody sends a message a third time that was
 * acknowledged the second. So who gives messages the same id and body, or a
 * message the id of one that he took back in the minute before the start, loses
 * one for each such row, each time the account is loaded. */
bool repeats_have(struct repeats *, const struct stanza *);
void repeats_forget(struct repeats *);

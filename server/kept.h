/*
 * server/kept.h - sessions over a restart (XEP-0198): what of them is written
 * down.
 *
 * Each session that can be resumed has a row. While the server runs it is a
 * small one: who is there, and how much of what its client sent is handled. If
 * the server crashes, that tells the client what not to send again, and tells
 * its contacts, after a while, that it went. When the server ends in order the
 * row is all of the session, and the next run goes on with it. A session that
 * was not ended by its client leaves its count for a day.
 */
#pragma once

#include "server/session.h"

extern const struct store_kind kept_kind;

/* Adds the row to a transaction of the session's, with this h. */
void kept_add(struct session *, struct store_write *, uint64_t h);
/* The row shall soon say what the session is now; harmless without one. */
void kept_note(struct session *);
/* The session is over, not by its client: its row says so, and then
 * resume_end_written is called. */
void kept_write_end(struct session *);
/* The session ends: its row goes, unless it says so. */
void kept_end(struct session *);
/* A client wants to resume a session that is not there: answers with what is
 * known of it. Takes the SM_ASK. */
void kept_ask(struct account *, struct post *);

/* The server ends: all that can be resumed is written down, whole. */
void kept_save_all(struct shard *);
/* Brings back what an earlier run left, once, by shard 0; then calls done. */
void kept_start(struct shard *, void (*done)(struct shard *));
/* The handler of KEPT: a row, at its account. */
void kept_restore(struct account *, struct post *);
/* At the end of a shard. */
void kept_free(struct shard *);

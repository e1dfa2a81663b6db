/*
 * server/kept.h - sessions over a restart (XEP-0198): what of them is written
 * down.
 *
 * Each session that can be resumed, or that somebody saw, has a row. While the
 * server runs it is a small one: who is there, to whom else it said so, and how
 * much of what its client sent is handled. If the server crashes, that tells
 * the client what not to send again, and tells its contacts, after a while,
 * that it went. When the server ends in order the row of one that can be
 * resumed is all of the session, and the next run goes on with it; its time
 * goes on then, and a minute is left at the least. A session that was not ended
 * by its client leaves its count for a day or two.
 *
 * That somebody came or went is written in the same turn, but at most once a
 * second. h is written with the rows of what it covers (kept_add); where there
 * are none within a second: too low an h loses nothing, since the client sends
 * again what is there already. A session without stream management costs one
 * small row when it becomes available, and its removal.
 *
 * Rows are elements whose namespace is their version: what is only added keeps
 * it, so that a session goes on when a newer server is started, or an older one
 * again. One of another version, or a damaged one, is refused at the start with
 * a line in the log, and goes: its client hears that there is no such session,
 * without h, and sends again what was not acknowledged; rows that are there
 * already are known as those of before the start. Messages of its out-queue are
 * in the archive or the offline log, and come from there; what is in neither
 * (presence, chat states, answers to iqs) is lost, and nobody is told of the
 * session's end. One of a host that is not configured at the start waits for a
 * start at which it is, until a day after it was last written.
 */
#pragma once

#include "server/session.h"

extern const struct store_kind kept_kind;

/* Adds the row to a transaction of the session's, with this h. */
void kept_add(struct session *, struct store_write *, uint64_t h);
/* The row shall soon say what the session is now; harmless for one that cannot
 * be resumed. */
void kept_note(struct session *);
/* Who it is seen by is not who it was: its row shall say so. */
void kept_show(struct session *);
/* The session is over, not by its client: its row says so, and then
 * resume_end_written is called. */
void kept_write_end(struct session *);
/* The session ends: its row goes, unless it says so; sooner or later. */
void kept_end(struct session *);
/* With the account: rows of its sessions, and of those that are over. */
void kept_remove_all(struct store_write *, const struct jid *bare);
/* A client wants to resume a session that is not there: answers with what is
 * known of it. Takes the SM_ASK. */
void kept_ask(struct account *, struct post *);

/* Whether its row is what the run before left: nobody may resume it yet, for
 * after a crash it would be brought back as it was, and would take what its
 * client had in between for what it is sent then. session_retry follows. */
bool kept_is_old(const struct session *);

/* The server ends: all that can be resumed is written down, whole. */
void kept_save_all(struct shard *);
/* Brings back what an earlier run left, once, by shard 0; then calls done. From
 * then on counts that are older than a day go, once a day. */
void kept_start(struct shard *, void (*done)(struct shard *));
/* The handler of KEPT: a row, at its account. */
void kept_restore(struct account *, struct post *);
/* The same where there is no such account any more: the row goes. */
void kept_refuse(struct account *, struct post *);
/* The memory of a session goes. */
void kept_drop(struct session *);
/* At the end of a shard. */
void kept_free(struct shard *);

/*
 * server/resume.h - stream management of clients (XEP-0198), at the account.
 *
 * A session that has it counts what its client sends, keeps what it sends the
 * client until that is acknowledged, and outlives its stream: it waits, as it
 * is, for the client to come back with another one. What is acknowledged, and
 * when, is decided here and nowhere else.
 *
 * A stanza of the client counts as handled (h) once it and all before it are
 * settled (server/settle.h).
 *
 * A session that is over, but was not ended by its client, stays until all that
 * the client sent is settled, so that it is told with <failed/> what not to
 * send again (server/kept.h). When the store fails for a day, or the session is
 * sent too much meanwhile, it is spent: it ends for all others, and only its
 * count is left, with the errors for its client.
 */
#pragma once

#include "server/session.h"

enum sm_event {
	SM_ENABLE,   /* SM_ASK: can_resume, seconds */
	SM_ENABLED,  /* SM: id, seconds; without id it cannot be resumed */
	SM_REQUEST,  /* SM_ASK: <r/> */
	SM_ACK,      /* <a/>, either way: h */
	SM_RESUME,   /* SM_ASK: id, h, origin */
	SM_RESUMED,  /* SM: id, h, jid */
	SM_FAILED,   /* SM: err, h */
	SM_TOO_HIGH, /* SM: more was acknowledged (h) than was sent */
	SM_CREDIT,   /* SM: so many (h) of those that the stream sent, and the
			session counted, are settled */
};

/* SM_ASK, from a stream to its account, and SM, the other way. */
struct sm_note {
	enum sm_event event;
	bool can_resume;
	bool has_h; /* FAILED: h is known */
	uint32_t h, sent;
	uint64_t seconds; /* to resume within; 0: as the server likes */
	struct str id;
	const struct jid *jid; /* full */
	enum stanza_err err;
	struct session_origin origin;
};

/* Handlers of SM_ASK: at an account, and where there is none. */
void resume_take(struct account *, struct post *);
void resume_take_absent(struct account *, struct post *);
/* What session_wait gives up; takes it. */
void resume_too_late(struct shard *, struct post *);

/* Whether it is of a server that crashed, there only until its contacts are
 * told that it went: it cannot be resumed (server/kept.h). */
bool resume_is_ghost(const struct session *);

/* How many stanzas the client was sent or is to be sent; 0 without stream
 * management. */
uint64_t resume_sent(const struct session *);
/* How many of those it has not acknowledged. */
uint64_t resume_open(const struct session *);
/* Whether the client has acknowledged all that it was sent up to then; true
 * without stream management. */
bool resume_has_acked(const struct session *, uint64_t since_us);
/* Looks at those that it has not acknowledged, the oldest first, but for the
 * first `after` it was ever sent. */
void resume_unacked(struct session *, uint64_t after,
    void (*look)(struct session *, const struct stanza *));

/* What a module of the sender's account keeps of a counted stanza. It is
 * written when all others are done with the stanza, in one transaction with the
 * count of what is handled. The row is the module's until done or alone. */
struct resume_row {
	struct link link;
	uint64_t number;
	void (*add)(struct resume_row *, struct store_write *);
	/* It could not be written: add comes again. */
	void (*failed)(struct resume_row *);
	/* It is committed; ERR_CANCELED: the server ends. */
	void (*done)(struct resume_row *, enum err);
	/* The session is gone: write it yourself. */
	void (*alone)(struct resume_row *);
};
/* On the way of a SENT letter. False when nobody counts: write it now. */
bool resume_defer(struct session *, const struct post *, struct resume_row *);

/* --- for session.c and account.c ------------------------------------------ */

/* Counts a stanza of the client: the letter has its receipt from now on. False
 * when it is to be dropped: the session ends with too many open ones. */
bool resume_count(struct session *, struct post *);
/* Sends to the client, or keeps until there is a stream; takes the letter. */
void resume_send(struct session *, struct post *);
/* Whether the session waits for its client when its stream ended so. */
bool resume_may_wait(const struct session *, const struct stream_end *);
/* Its stream is gone: it waits. */
void resume_detach(struct session *);
/* It was ended, and its stream is gone. Whether it stays till all that came is
 * settled: so its client can be told what not to send again. */
bool resume_must_settle(struct session *, const struct stream_end *);
/* The session ends: what was not acknowledged goes back to the router. */
void resume_end(struct session *);
/* The same for one that is spent, which keeps the errors that answer its
 * client, and takes those that come yet: whether this letter is one. Its client
 * is told of them with the count. */
void resume_spend(struct session *);
bool resume_takes_error(struct account *, struct post *);
/* At the end of a shard. */
void resume_drop(struct session *);

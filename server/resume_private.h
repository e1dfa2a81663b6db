/*
 * server/resume_private.h - a session's stream management, for resume.c and for
 * those who keep it over a restart (server/kept_private.h).
 */
#pragma once

#include "server/handled.h"
#include "server/resume.h"

struct resume {
	struct session *session;
	struct str id; /* empty: it cannot be resumed */
	uint64_t wait_ms;
	struct timer expiry; /* while detached */
	bool is_over;        /* not by its client, who is to be told h */
	bool is_ending;      /* that is being written */
	bool is_ghost; /* of a server that crashed: it cannot be resumed, but
			  its contacts still believe it to be there */

	/* What the client sent. */
	struct handled handled; /* its number is session->number; what has
				   returned waits for the rows */
	struct list rows;       /* struct resume_row, in the order of stanzas */
	bool is_committing;
	bool is_deaf;      /* as many as may be are open: it ends */
	uint64_t credited; /* up to there its stream was told what is settled */
	struct timer retry;

	/* What the client is sent: letters, the oldest first. */
	struct list unacked;
	uint64_t sent, acked;
	uint64_t due; /* the last of them: they go on this stream when those
			 before them are acknowledged */
	bool is_request_open;
	struct arena *origin; /* of who resumed it */
};

/* Gives the session stream management, which counts from zero. */
struct resume *resume_new(struct session *);
/* It waits for its client from now on, so long. */
void resume_wait(struct session *, uint64_t ms);
/* Whether it is the error that answers a message of the client. */
bool resume_is_refusal(const struct post *);
/* --- resume_handled.c ----------------------------------------------------- */

extern const struct handled_role resume_handled;
/* Rows that are to be written again are written now. */
void resume_hurry(struct resume *);
/* The session ends; rows that wait are written without it. */
void resume_stop_rows(struct resume *);

/* --- resume.c ------------------------------------------------------------- */

/* All that the client sent is settled. */
void resume_is_settled(struct resume *);
/* By kept_write_end. */
void resume_end_written(struct resume *, enum err);

/* <a/>, with what is settled. */
void resume_tell_h(struct handled *);
/* CREDIT: its stream may send so many more. */
void resume_tell_credit(struct session *, uint64_t count);
/* FAILED, with h when that is known. */
void resume_fail(
    struct shard *, struct stream_id, enum stanza_err, const uint64_t *h);

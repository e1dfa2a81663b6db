/*
 * server/resume_private.h - a session's stream management, for resume.c and for
 * kept.c, which keeps it over a restart.
 */
#pragma once

#include "base/table.h"
#include "server/resume.h"

struct resume {
	struct table_link link; /* of the shard's, by session->number */
	struct session *session;
	struct str id; /* empty: it cannot be resumed */
	uint64_t wait_ms;
	struct timer expiry; /* while detached */
	bool is_late;        /* its client did not come back in time */
	bool is_ghost; /* of a server that crashed: it cannot be resumed, but
			  its contacts still believe it to be there */

	/* What the client sent. */
	uint64_t taken;
	uint64_t returned; /* all others are done with those up to this one */
	uint64_t settled;  /* and so is the sender's account: h */
	struct list rows;  /* struct resume_row, in the order of stanzas */
	bool is_committing;
	struct timer retry;
	uint64_t *early; /* returned before others: a bit each; or NULL */
	uint64_t asked;  /* what the last <r/> was about */
	bool is_asked;   /* that is not answered in full */
	struct timer answer;
	struct timer progress; /* at the end of a turn */

	/* What the client is sent: letters, the oldest first. */
	struct list unacked;
	uint64_t sent, acked;
	bool is_request_open;
	struct arena *origin; /* of who resumed it */

	struct timer note; /* the row is to be written: kept.c */
};

/* Gives the session stream management, which counts from zero. */
struct resume *resume_new(struct session *);
/* It waits for its client from now on, so long. */
void resume_wait(struct session *, uint64_t ms);
/* --- resume_handled.c ----------------------------------------------------- */

/* <r/> came. */
void resume_asked(struct resume *);
/* Rows that are to be written again are written now. */
void resume_hurry(struct resume *);
/* The session ends; rows that wait are written without it. */
void resume_stop_handled(struct resume *);

/* --- resume.c ------------------------------------------------------------- */

/* <a/>, with what is settled. */
void resume_tell_h(struct resume *);
/* FAILED, with h when that is known. */
void resume_fail(
    struct shard *, struct stream_id, enum stanza_err, const uint64_t *h);

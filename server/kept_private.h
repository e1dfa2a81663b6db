/*
 * server/kept_private.h - rows of sessions: kept.c writes them, kept_back.c
 * brings sessions back.
 */
#pragma once

#include "server/kept.h"
#include "server/resume_private.h"

#define NS_KEPT "urn:jackdaw:session:1" /* the number is the version */

/* What is written of a session; in its arena. */
struct kept_row {
	struct session *session;
	struct str id; /* with its account, the row's key; that it has now */
	bool is_written;
	bool is_whole; /* the server ends: whatever is written yet is, too */
	bool is_old;   /* what the run before left is not yet replaced */
	struct timer note;
	uint64_t noted_ms; /* when that rang */
};

/* The session's; a new one when there is none. */
struct kept_row *kept_row_of(struct session *);
struct str kept_key(struct arena *, const struct jid *bare, struct str id);
/* Whether it is the id of one that cannot be resumed. */
bool kept_is_plain(struct str id);
/* state: live, whole or ended. */
void kept_write(struct session *, const char *state);
/* In place of what the run before left; until it is done. */
void kept_renew(struct session *);
/* At the end of a shard: what kept_end could not remove stays. */
void kept_forget_removals(struct shard *);

static inline bool
kept_can_resume(const struct session *session)
{
	return session->resume != NULL && session->resume->id.len > 0;
}

/*
 * server/admin.h - the administration: one REST API on a Unix socket, for the
 * command line, scripts and whatever comes.
 *
 *	GET    /v1/status		how the server is
 *	GET    /v1/metrics		OpenMetrics text
 *	GET    /v1/features		{"modules": [...]}
 *	POST   /v1/reload		reads the configuration anew
 *	POST   /v1/stop			ends the server in order
 *	PUT    /v1/log			{"level": "debug"}
 *	POST   /v1/backup		{"path": "/absolute/file"}
 *	GET    /v1/accounts?host=&after=&max=	{"accounts": [...]}
 *	POST   /v1/accounts		{"jid": "...", "password": "..."}
 *	GET    /v1/accounts/JID
 *	PATCH  /v1/accounts/JID		{"password": ..., "disabled": ...}
 *		one of them or both, which is done as a whole
 *	DELETE /v1/accounts/JID
 *	GET    /v1/sessions		{"sessions": [...]}
 *	DELETE /v1/sessions/JID		full, or bare for all of it
 *	GET    /v1/s2s			{"pairs": [...], "domains": [...]}
 *	POST   /v1/s2s/check		{"domain": "...", "from": "..."}
 *		-> {"domain", "from", "ok", "steps": [{"step", "ok", "text"}],
 *		"advice"}
 *
 * Answers are JSON; a failure is {"error": "what is wrong"} with a fitting
 * status. The socket lives on shard 0; what concerns an account or a session
 * goes to its shard as a letter, and comes back as one.
 */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/str.h"
#include "base/table.h"
#include "server/owner.h"
#include "server/post.h"

#define ADMIN_LIST_MAX 1000 /* accounts that one answer lists */

struct admin;

/* What the API asks of the process itself; by the daemon. */
struct admin_daemon {
	/* False with a sentence in *why_r (in arena) when it was not done. */
	bool (*reload)(struct arena *, struct str *why_r);
	void (*stop)(void);
};

/* On shard 0's thread. NULL with a sentence in *why_r (in arena). */
struct admin *admin_open(struct arena *, struct shard *, const char *path,
    const struct admin_daemon *, struct str *why_r);
/* closed is called when nothing of it is left in the loop. */
void admin_close(struct admin *, void (*closed)(void *), void *arg);

enum admin_verb {
	ADMIN_ACCOUNT_MAKE,
	ADMIN_ACCOUNT_GET,
	ADMIN_ACCOUNT_CHANGE,
	ADMIN_ACCOUNT_REMOVE,
	ADMIN_KICK,      /* the sessions of the letter's to */
	ADMIN_SESSIONS,  /* of one shard */
	ADMIN_S2S,       /* of one shard */
	ADMIN_STATUS,    /* of one shard */
	ADMIN_S2S_CHECK, /* of the domain that is to */
	ADMIN_VERB_COUNT
};

/* ADMIN: what a shard is asked. Its stream is where the answer goes: only node
 * and shard count. */
struct admin_call {
	enum admin_verb verb;
	struct str text; /* as it was given: MAKE, CHANGE: the password;
			    S2S_CHECK: a domain of ours, or empty */
	/* CHANGE: */
	bool has_password, has_state, is_disabled;
};

/* ADMIN_ANSWER, with the ticket of the call. */
struct admin_answer {
	unsigned status; /* HTTP */
	struct str json; /* an object; empty for none */
};

/* Post handlers. Calls about an account come by its owner's inbox. */
void admin_take_call(struct shard *, struct post *);
void admin_take_answer(struct shard *, struct post *);
/* By owner and account, for the letter ADMIN: the owner is READY or ABSENT. */
void admin_at_owner(struct owner *, struct post *);
/* Answers a call with JSON, which may be NULL; takes both. */
void admin_answer(struct shard *, struct post *call, unsigned status, json_t *);
/* Loading failed: answers so. */
void admin_refuse(struct shard *, struct post *, enum err);

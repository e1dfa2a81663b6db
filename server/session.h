/*
 * server/session.h - a connected resource. It belongs to its account.
 *
 * A session is made by BIND and ends with GONE, the last letter of its stream.
 * The stream is elsewhere, perhaps on another shard: the session knows its id.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/list.h"
#include "server/account.h"
#include "server/stream.h"

/* How it logged in: for people, and for modules that ask. */
struct session_origin {
	struct str address;   /* of the peer: "192.0.2.1:3456" */
	struct str mechanism; /* SASL */
	struct str tls;       /* "TLS1.3 AES-256-GCM", empty without */
	struct str lang;      /* of the stream; empty when not given */
};

/* When so many proofs of receipt are awaited of a client without stream
 * management it is pinged for them. */
#define SESSION_PROOFS_MANY 64

struct session {
	struct link link; /* in account->sessions, or ->spent */
	struct account *account;
	struct arena *arena;   /* lifetime: session */
	const struct jid *jid; /* full */
	uint64_t number;       /* on its shard, never used again */
	struct stream_id stream;
	bool is_closing;       /* CLOSE was sent; GONE will come */
	bool is_detached;      /* it waits for its client: server/resume.h */
	bool is_spent;         /* only what it has handled is left of it */
	bool is_available;     /* its last presence was not unavailable */
	int8_t priority;       /* of that presence */
	struct list held;      /* places, and letters behind the first */
	struct post *filling;  /* the place that is being filled */
	unsigned held_count;   /* of the letters */
	unsigned place_count;  /* of places that were ever held */
	uint64_t sent;         /* letters DOWN, without stream management */
	struct resume *resume; /* stream management; or NULL */
	struct kept_row *row;  /* server/kept.c; NULL until needed */
	char *slots;
	struct log log;
	struct session_origin origin;
	uint64_t bound_us;             /* wall time */
	uint64_t active_ms;            /* clock_mono_ms of its last stanza */
	struct arena *presence_arena;  /* lifetime: until the next presence */
	const struct stanza *presence; /* NULL before the initial one, and after
					  unavailable */
};

void *session_slot(struct session *, const struct module *);

/* By full JID, by number (for who waits: streams may change), or by stream;
 * NULL when there is none. */
struct session *session_find(struct account *, const struct jid *);
struct session *session_of_number(struct account *, uint64_t number);
struct session *session_of_stream(struct account *, struct stream_id);
/* How many there are, also of those that are spent. */
unsigned session_count_all(const struct account *);

/* Sends a stanza to the session's stream, after all that was sent before. The
 * stanza is copied into the letter unless the letter brought it: session_send
 * copies, session_pass takes the letter and its stanza. */
void session_send(struct session *, const struct stanza *);
void session_pass(struct session *, struct post *);
/* The same letter for one of several sessions: the letter stays the caller's,
 * its stanza is serialised once for all of them. */
void session_share(struct session *, struct post *);
/* For a module that takes a letter at DELIVER to let it go later: what is left
 * of it is small, and can only go on or be freed. The letter is settled: nobody
 * waits for what is held back. */
struct post *session_keep(struct session *, struct post *);
/* Takes it; no hook runs. */
void session_let_go(struct session *, struct post *);
/* Tickets with one of these bits are a row of their own beside the others of a
 * session. */
#define TICKET_APART   (UINT64_C(1) << 63)
#define TICKET_ARCHIVE (UINT64_C(1) << 62)
#define TICKET_LIVE    (UINT64_C(1) << 61)
#define TICKET_READ    (UINT64_C(1) << 60)  /* with another one */
#define TICKET_ROWS    (UINT64_C(15) << 60) /* all of these */
/* session_send, and HOOK_PROVED with this ticket (> 0, growing per session)
 * once the peer proved that it received it. */
void session_send_proved(
    struct session *, const struct stanza *, uint64_t ticket);
/* The least ticket of this row (its bits, or 0) that waits behind a place;
 * UINT64_MAX when none does. */
uint64_t session_held_ticket(const struct session *, uint64_t bit);

/* A place in the order of what the session is sent: what is sent after
 * session_hold waits until session_release, and what session_fill sends goes
 * before it. So messages kept offline, which must first be read, come before
 * newer ones, and the push of a change before what the change brings. ticket as
 * in session_send_proved, 0 for none. Places end with the session. */
unsigned session_hold(struct session *); /* the place, > 0 */
void session_fill(
    struct session *, unsigned place, const struct stanza *, uint64_t ticket);
void session_release(struct session *, unsigned place);
/* Nothing will fill them any more: what waits behind them goes. */
void session_release_all(struct session *);
/* Before that: of the letters behind the place, newest first, those are freed
 * that has_back says its module has back. */
void session_take_back(struct session *, unsigned place,
    bool (*has_back)(struct session *, const struct post *));
/* The session ends: what waits behind places goes back (router_return_all). */
void session_return_held(struct session *);
/* What waits behind places, the oldest first; NULL to begin, and at the end. */
struct post *session_next_held(const struct session *, const struct post *);
/* Whether the letter is the error that answers a stanza which the session
 * counts. */
bool session_is_refused(const struct session *, const struct post *);

/* Ends the stream with this error; the session is gone when GONE comes. */
void session_close(struct session *, enum stream_err, const char *text);
/* The same, but a session that can be resumed stays. */
void session_cut(struct session *, enum stream_err, const char *text);

/* Presence state, by the presence module, for presence available and
 * unavailable of the session: copies the stanza, then runs
 * HOOK_SESSION_AVAILABLE or HOOK_SESSION_UNAVAILABLE. When the stream goes
 * without a word the core does the same for it: there session->presence is
 * NULL, is_available false. */
void session_set_presence(
    struct session *, const struct stanza *, int8_t priority);

/* One of an earlier run, without a stream: HOOK_SESSION_OPENED has run. NULL
 * when there is one of this resource, or the resource is none. */
struct session *session_restore(struct account *, struct str resource);
/* Its presence, of which nobody is told. */
void session_restore_presence(
    struct session *, const struct stanza *, int8_t priority);

/* Handlers of BIND, GONE and SAID, called by account_take. */
void session_bind(struct account *, struct post *);
void session_gone(struct account *, struct post *);
void session_said(struct account *, struct post *);
/* A BIND, or an SM_ASK to resume, waits for the next GONE or session_retry, at
 * most 10 s. Takes it. */
void session_wait(struct account *, struct post *);
void session_retry(struct account *);
/* What comes of a stream whose BIND waits came behind that, and the stream has
 * ended: it waits too, its GONE only behind others. Whether it was taken. */
bool session_awaits(struct account *, struct post *);
/* Copied into the arena. */
void session_set_origin(
    struct session *, struct arena *, const struct session_origin *);
/* Ends the session at once, with its hooks; its GONE will find nobody. */
void session_end(struct session *);
/* The same, but who counts what its client sent counts on, until session_end:
 * nobody else finds it any more. */
void session_spend(struct session *);
/* Without hooks: at the end of a shard. */
void session_drop(struct session *);
/* Answers a BIND so; takes it. */
void session_refuse(struct shard *, struct post *, enum stanza_err);
/* Refuses the BINDs that wait; or frees them unanswered. */
void session_refuse_binds(struct account *);
void session_drop_binds(struct account *);

#define session_each(each, of) \
	list_each (each, &(of)->sessions, struct session, link)
#define session_each_spent(each, of) \
	list_each (each, &(of)->spent, struct session, link)

/* BIND: what the stream wants. From then on its last letter is a GONE, also
 * before the answer. */
struct bind_ask {
	struct str resource; /* prepared; empty: the server makes one */
	uint64_t login_ms;   /* when the login began: clock_mono_ms */
	struct session_origin origin;
};
/* BOUND: the answer. */
struct bound {
	const struct jid *jid; /* NULL when refused */
	enum stanza_err err;
};

/*
 * modules/push_private.h - what the files of the module share: push.c keeps the
 * registrations and decides who is notified, push_publish.c notifies.
 */
#pragma once

#include "base/list.h"
#include "modules/push.h"
#include "modules/push_ring.h"
#include "server/account.h"
#include "server/setup.h"

extern const struct store_kind push_kind;

#define NS_PUSH "urn:xmpp:push:0"

extern const struct setting push_settings[];
enum push_setting {
	PUSH_REGISTRATIONS,
	PUSH_INTERVAL,
	PUSH_SHOW_SENDER,
	PUSH_SHOW_BODY,
	PUSH_GIVE_UP,
};

struct publish;

/* What goes on with a registration; it survives that its options change. */
struct push_state {
	const struct publish *open; /* waits for its answer; or NULL */
	bool is_stale;              /* the device came since it was sent */
	bool is_due;      /* something happened since the last publish, or it
			     failed */
	unsigned tries;   /* of the last notification that failed */
	uint64_t sent_ms; /* of the last publish; 0: none yet */
	struct arena *last_arena; /* lifetime: until the next message */
	struct push_ring last;    /* the last message; from NULL: none */
	uint64_t last_ms;         /* when it came: clock_mono_ms */
};

struct registration {
	struct link link; /* in the account's */
	struct account *account;
	struct arena *arena;        /* lifetime: until it is enabled anew */
	const struct jid *jid;      /* of the service */
	struct str node;            /* empty for none */
	struct str resource;        /* of the session that enabled it */
	const struct node *options; /* the form; NULL for none */
	/* These are kept, too, and whether a notification is owed. */
	uint64_t messages;   /* since the device was last there */
	uint64_t failing_us; /* since when; 0: the last publish went well */
	bool has_waited;     /* was told of what its session waits for */
	struct push_state state;
	struct timer timer; /* until the next publish; it pins the account */
};

/* --- push.c ------------------------------------------------------------- */

/* A notification is to be published, or may have to be once more. */
static inline bool
push_owes(const struct registration *registration)
{
	const struct push_state *state = &registration->state;

	return state->is_due || (state->open != NULL && !state->is_stale);
}

/* NULL when it is gone. */
struct registration *push_find(
    struct account *, const struct jid *, struct str node);
/* Writes it; nobody waits for the commit. */
void push_save(struct registration *);
/* It is disabled: out of memory and of the store. */
void push_remove(struct registration *);

/* --- push_publish.c ----------------------------------------------------- */

/* Something happened; ring NULL: a subscription request. */
void push_notify(struct registration *, const struct push_ring *);
/* An earlier run owed a notification. */
void push_resume(struct registration *);
/* The device is there: what it has not been told of it sees itself. */
void push_settle(struct registration *);
/* Ends its timer and memory. */
void push_state_drop(struct registration *);
/* Goes on with what another registration of the same address did. */
void push_state_move(struct registration *to, struct registration *from);

/*
 * modules/roster_private.h - what the files of the roster share.
 */
#pragma once

#include "modules/roster.h"

#define NS_ROSTER "jabber:iq:roster"

/* Rows of one roster: contacts, requests and tombstones. */
#define ROSTER_ROWS_MAX 2000000
/* Removed contacts that are remembered for roster versions. */
#define ROSTER_TOMBSTONES_MAX 64

struct roster {
	struct table contacts;
	uint64_t ver;   /* of the last change */
	uint64_t floor; /* changes up to here are forgotten */
	unsigned listed, pending;
	struct list edits; /* not yet given to the store, oldest first */
	uint64_t edits_made;
	unsigned edits_open; /* of those, not ended yet */
	bool is_void;        /* memory is not what is kept: a change failed, or
				nothing was read yet */
	struct list gets;    /* struct roster_get, oldest first */
	struct roster_amend *amends; /* roster_amend.c; oldest first */
};

/* A request for the roster that waits until what was changed is kept and told:
 * it would show what may still be undone. */
struct roster_get {
	struct link link;
	struct iq *iq;
	uint64_t after;  /* this many edits */
	unsigned rounds; /* so often there were more then */
};

struct roster_session {
	bool is_interested;
};

extern const struct store_kind roster_kind;

struct roster *roster_of(struct account *);
/* Whether the quota allows no more listed contacts. */
bool roster_is_full(struct account *);
/* Whether all changes in memory are kept. */
bool roster_is_settled(struct account *);
struct contact *roster_find(struct roster *, const struct jid *);
/* Takes the contact; one with the same JID goes. */
void roster_put(struct roster *, struct contact *);
/* Removes and frees it. */
void roster_drop(struct roster *, struct contact *);

/* --- roster_amend.c ----------------------------------------------------- */

struct roster_failure { /* a change that could not be committed */
	const struct jid *jid;
	unsigned sub;      /* what would hold then */
	bool is_seen;      /* the contact saw presence that belongs to it */
	bool is_uncertain; /* it may hold all the same */
	enum roster_show show;
	const struct stanza *stanza; /* what was to be shown; or NULL */
};

/* All hear what holds when the account was loaded anew. Copies it. */
void roster_amend_note(struct roster *, const struct roster_failure *);
void roster_amend_forget(struct roster *);
/* It was. */
void roster_amend_all(struct account *);
/* Whether the session is one of those. */
bool roster_shows_to(enum roster_show, struct session *);

/* --- roster_edit.c ------------------------------------------------------ */

/* The contact as the client wants it: name and groups. */
void roster_edit_item(
    struct roster_edit *, const struct jid *, const struct node *item);
/* What is not given to the store yet is void: the account is to be loaded anew,
 * and the durable letters are handled once more then. */
void roster_give_up(struct account *);
/* Answers the requests whose edits have ended. */
void roster_answer_gets(struct roster *);
/* Makes it a tombstone. */
void roster_edit_remove(struct roster_edit *, const struct jid *);
/* Adds a durable letter of that type from the account to the contact. */
void roster_edit_letter(
    struct roster_edit *, const struct jid *, enum stanza_type);
/* Sends the presence of each available session to the contact, or unavailable
 * from each. */
void roster_send_presence(
    struct account *, const struct jid *, bool is_available);

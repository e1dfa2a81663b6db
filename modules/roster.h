/*
 * modules/roster.h - RFC 6121, section 2: the contacts of an account.
 *
 * The roster is loaded with its account and lives in memory while the account
 * does. A contact is also kept here while it only asked for a subscription, or
 * was removed (a tombstone, for roster versions); such are not listed.
 *
 * Changes go through an edit: they show in memory at once; what sessions are
 * told leaves when the write is committed. When it fails for good the answer is
 * an error, the account is loaded anew, and then all who were told of it, or
 * should be, hear what holds.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/table.h"
#include "server/account.h"
#include "server/iq.h"
#include "server/outbox.h"

/* What holds between the account and a contact: the states of RFC 6121,
 * appendix A.1, and pre-approval (section 3.4). */
enum {
	SUB_TO = 1 << 0,         /* we see the contact's presence */
	SUB_FROM = 1 << 1,       /* the contact sees ours */
	SUB_ASK = 1 << 2,        /* pending out */
	SUB_PENDING_IN = 1 << 3, /* the contact asked */
	SUB_APPROVED = 1 << 4,
};

struct contact {
	struct table_link link; /* in the roster, by full JID */
	struct arena *arena;    /* lifetime: until its next change */
	const struct jid *jid;
	unsigned sub;
	bool is_listed;  /* the user sees it in the roster */
	bool is_removed; /* a tombstone: was listed */
	uint64_t ver;    /* of its last change that was pushed; 0 for none */
	uint64_t asked;  /* requests (subscribe, unsubscribe) that we sent */
	uint64_t seen;   /* the contact's last request, by its number */
	struct str name; /* empty without */
	const struct str *groups;
	size_t group_count;
	const struct node *request; /* SUB_PENDING_IN: the subscribe stanza */
};

extern const struct module roster_module;

/* The contact of that very JID; NULL when there is none. */
const struct contact *roster_contact(struct account *, const struct jid *);
/* SUB_ bits between the account and a bare JID; 0 when there is no contact. */
unsigned roster_sub(struct account *, const struct jid *bare);
/* Each contact, in no order; NULL to begin, NULL at the end. */
const struct contact *roster_next(struct account *, const struct contact *);
/* The bare JIDs of contacts that have any of the SUB_ bits, in the arena. */
const struct jid *const *roster_with(
    struct account *, struct arena *, unsigned sub, size_t *count_r);
/* How many contacts have SUB_PENDING_IN. */
unsigned roster_pending_count(struct account *);
/* Whether the session asked for the roster (RFC 6121, section 2.2). */
bool roster_is_interested(struct session *);

/* One change of the roster, with one transaction. */
struct roster_edit;

struct roster_edit *roster_edit_new(struct account *);
/* The transaction, to add durable letters to. */
struct store_write *roster_edit_write(struct roster_edit *);
/* Sets what holds with a contact; makes the contact when it is not there. With
 * listed it becomes one that the user sees. request is kept while
 * SUB_PENDING_IN; NULL leaves the one that is there. */
void roster_edit_sub(struct roster_edit *, const struct jid *, unsigned sub,
    bool is_listed, const struct node *request);
/* The change is a request that we send: contacts count them, so that an answer
 * to an earlier one is known. Before roster_edit_sub. */
void roster_edit_ask(struct roster_edit *);
/* The change answers that request of the contact. Before roster_edit_sub. */
void roster_edit_seen(struct roster_edit *, uint64_t turn);
/* The letter that asks for this change is carried out with its commit. One of
 * another server is bounced when that fails; its receipt waits until then. */
void roster_edit_received(struct roster_edit *, struct post *letter);
/* That letter is shown to these sessions when it is committed, before the push
 * (RFC 6121, section 3.1.6). When none is available HOOK_KEPT is run then. */
enum roster_show { SHOW_NONE, SHOW_INTERESTED, SHOW_AVAILABLE };
void roster_edit_show(struct roster_edit *, enum roster_show);
/* What a session sent, and so changes this: done with when it is committed, or
 * bounced. Takes it. */
void roster_edit_cause(struct roster_edit *, struct post *letter);
/* Commits and takes the edit. iq, which may be NULL, is answered then. */
void roster_edit_commit(struct roster_edit *, struct iq *);

/* Sends the presence of each available session to the contact, or unavailable
 * from each. */
void roster_send_presence(
    struct account *, const struct jid *, bool is_available);

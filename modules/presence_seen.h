/*
 * modules/presence_seen.h - who of other servers an account believes to be
 * available: so that they become unavailable when their server cannot be
 * reached any more.
 */
#pragma once

#include "base/table.h"
#include "server/account.h"

/* In the account's slot of the presence module; zeroed until first used. */
struct seen {
	struct account *account; /* NULL: not used yet */
	struct table jids;
	unsigned unasked; /* of these: neither contacts nor spoken to first */
	struct list meetings; /* domains that are back */
};

/* A presence from a full or bare JID of another server came. */
void seen_presence(struct account *, const struct stanza *);
/* The account's last session has gone. */
void seen_forget(struct account *);
/* What the remote says of a domain. */
void seen_on_domain(struct account *, const struct domain_note *);

/* By presence.c: the slot; a presence to the account's sessions; probes to the
 * contacts of a domain, and our presence too when they may have missed it. */
struct seen *seen_slot(struct account *);
void presence_deliver(struct account *, const struct stanza *);
/* Whether a session sent presence to that JID, or to another one of the same
 * bare JID: it may be a room. */
bool presence_is_directed(struct account *, const struct jid *);
/* Whether what is for that JID goes by way of that domain. */
bool presence_is_behind(
    struct account *, const struct jid *, struct str domain);
void presence_meet_again(struct account *, struct str domain, bool with_ours);
/* Whether somebody there is to be told or asked. */
bool presence_has_contacts(struct account *, struct str domain);

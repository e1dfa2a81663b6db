/*
 * modules/blocking.h - XEP-0191: addresses that an account does not talk with.
 */
#pragma once

#include "server/account.h"

extern const struct module blocking_module;

/* Whether the account blocked the address, or its bare JID or domain (section
 * 6); never its own resources. */
bool blocking_blocks(struct account *, const struct jid *);

/* Presence for a bare JID goes to all its resources: not to those that are
 * blocked, when they are of our hosts. (Another server that is told by the
 * bare JID tells whom it likes.) */
/* Whether the account blocked a resource of the bare JID. */
bool blocking_hides_some(struct account *, const struct jid *bare);
/* Notes whom the letter, a presence, must not reach. */
void blocking_hide(struct account *, struct post *);
/* Sends presence from the account to the stanza's to, so hidden. */
void blocking_send_presence(struct account *, const struct stanza *);

/*
 * modules/carbons.h - XEP-0280: each device of a user sees both sides of all
 * conversations.
 *
 * A session that enabled carbons gets a copy of what other sessions of its
 * account send, and of what they alone receive. A copy is a new message from
 * the account to that session, past all hooks but DELIVER: nobody archives it,
 * keeps it for later, or copies it again.
 */
#pragma once

#include "server/session.h"
#include "xml/stanza.h"

#define NS_CARBONS "urn:xmpp:carbons:2"

extern const struct module carbons_module;

bool carbons_is_enabled(struct session *);
void carbons_set_enabled(struct session *, bool is_enabled);

/* The message in a copy that the account made of what it received (is_sent: of
 * what it sent); NULL when it is none. */
const struct node *carbons_inner(
    const struct jid *account, const struct stanza *, bool is_sent);

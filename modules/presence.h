/*
 * modules/presence.h - RFC 6121, section 4: who is available.
 */
#pragma once

#include "server/account.h"

extern const struct module presence_module;

/* Whether a resource shares its presence with an address, by a subscription or
 * by directed presence (RFC 6121, section 8.5.3.1); with its own account
 * always. */
bool presence_is_shared(struct session *, const struct jid *with);
/* The resource of the address at this bare JID that the session sent directed
 * presence to: in a room (XEP-0045) its nickname. Empty when there is none. */
struct str presence_nick(struct session *, const struct jid *room);

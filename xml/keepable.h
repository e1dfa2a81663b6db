/*
 * xml/keepable.h - which messages are worth keeping for a reader who cannot be
 * reached now: XEP-0160, section 3, and the hints of XEP-0334.
 */
#pragma once

#include "xml/stanza.h"

#define NS_HINTS "urn:xmpp:hints"

/* A chat, normal or groupchat message that only says how somebody types
 * (XEP-0085, section 5.8). */
bool stanza_is_only_chat_state(const struct stanza *);
/* A normal or chat message that says more than that, unless its sender wants
 * it not to be stored. */
bool stanza_is_keepable(const struct stanza *);
/* That, or a message for a room: no account keeps it, but it may have to wait
 * for the room's server. */
bool stanza_is_keepable_on_its_way(const struct stanza *);

/*
 * modules/message.h - RFC 6121, section 8.5: where a message to an account
 * goes.
 */
#pragma once

#include "server/session.h"

extern const struct module message_module;

/* What becomes of a normal or chat message that the account takes: sessions get
 * it; nobody can (HOOK_UNDELIVERED); it goes back. */
enum message_way { MESSAGE_DELIVERED, MESSAGE_UNDELIVERED, MESSAGE_REFUSED };

enum message_way message_way(struct account *, const struct stanza *);
/* Whether the account's session gets the message itself, when the account takes
 * it. Of errors only those to its full JID. */
bool message_is_for(struct session *, const struct stanza *);

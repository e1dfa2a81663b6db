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

/*
 * modules/blocking.h - XEP-0191: addresses that an account does not talk with.
 */
#pragma once

#include "server/account.h"

extern const struct module blocking_module;

/* Whether the account blocked the address, or its bare JID or domain (section
 * 6); never its own resources. */
bool blocking_blocks(struct account *, const struct jid *);

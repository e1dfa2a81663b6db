/*
 * modules/disco.h - XEP-0030 and XEP-0115: what hosts and accounts are and can
 * do.
 */
#pragma once

#include "server/account.h"
#include "server/module.h"

#define NS_DISCO_INFO  "http://jabber.org/protocol/disco#info"
#define NS_DISCO_ITEMS "http://jabber.org/protocol/disco#items"

extern const struct module disco_module;

/* The disco#info of a host as a fresh <query/>, all modules' parts in it. */
struct node *disco_host_info(
    struct arena *, const struct host *, const struct jid *from);

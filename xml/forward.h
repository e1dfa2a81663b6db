/*
 * xml/forward.h - a stanza within another one: XEP-0297.
 */
#pragma once

#include "xml/stanza.h"

#define NS_FORWARD "urn:xmpp:forward:0"

/* Adds <forwarded/> with the stanza, as its head says it is addressed, and with
 * <delay/> by from (a domain or bare JID), which had it at time_us, wall time.
 * Stanza and from live as long as the arena of parent. */
void forward_add(struct node *parent, const struct stanza *, struct str from,
    uint64_t time_us);

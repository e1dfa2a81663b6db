/*
 * xml/delay.h - when a stanza was sent that comes late: XEP-0203.
 */
#pragma once

#include "xml/stanza.h"

#define NS_DELAY "urn:xmpp:delay"

/* The same stanza with <delay/> by from (a domain or bare JID; empty: nobody is
 * named; copied), which had it since time_us, wall time. */
struct stanza *delay_add(
    struct arena *, const struct stanza *, struct str from, uint64_t time_us);
/* Whether this child is a <delay/> by from. */
bool delay_is_by(const struct node *, struct str from);
/* Whether the stanza has such a child. */
bool delay_has(const struct stanza *, struct str from);

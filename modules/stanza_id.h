/*
 * modules/stanza_id.h - XEP-0359: nobody else speaks in an account's name.
 */
#pragma once

#include "server/account.h"

extern const struct module stanza_id_module;

/* The stanza without the stanza-ids that claim to be by the account; itself
 * when there are none. */
const struct stanza *stanza_id_strip(
    const struct account *, struct arena *, const struct stanza *);
/* The stanza with an id by the account; it must have none. */
const struct stanza *stanza_id_add(const struct account *, struct arena *,
    const struct stanza *, struct str id);
/* The id by the account; text NULL when there is none. What the account did
 * not write itself was stripped when it came. */
struct str stanza_id_of(const struct account *, const struct stanza *);

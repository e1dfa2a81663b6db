/*
 * server/dialback.h - the keys of server dialback: XEP-0220, made as XEP-0185
 * recommends, so that nobody has to remember those it gave out.
 */
#pragma once

#include <stdbool.h>

#include "base/str.h"

struct arena;
struct server;

#define NS_DIALBACK         "jabber:server:dialback"
#define NS_DIALBACK_FEATURE "urn:xmpp:features:dialback"

/* The key for a stream from originating to receiving with that id; hex digits.
 */
struct str dialback_key(struct arena *, const struct server *,
    struct str receiving, struct str originating, struct str id);
/* The same under any secret. */
struct str dialback_key_of(struct arena *, struct str secret,
    struct str receiving, struct str originating, struct str id);
/* Whether it is ours; takes the same time for any. */
bool dialback_is_key(const struct server *, struct str key,
    struct str receiving, struct str originating, struct str id);

/*
 * server/component.h - streams of external components: XEP-0114, "accept".
 *
 * Who knows the secret of a component's domain (server/domains.h) is that
 * domain: it gets all that is for it and may send from every address there. Its
 * stream is the path of the domain's remote (server/remote.h), which holds
 * messages while the component is away. A ping (XEP-0199) goes behind each
 * batch; what no answer to one proves to have been handled goes again to the
 * next connection.
 *
 * Of two connections for one domain the older is asked whether it still lives:
 * then the newer ends with conflict, else it takes over. Until that is known it
 * waits for its <handshake/>.
 */
#pragma once

#include "server/stream.h"

#define NS_COMPONENT "jabber:component:accept"

/* A stream over a connection that a component opened; takes the connection. */
struct stream *component_accept(struct shard *, struct conn *);

/*
 * server/c2s.h - the streams of clients: features, login, binding, and from
 * then on stanzas up to the account and down to the client.
 */
#pragma once

#include "server/stream.h"

/* A stream over a connection that a client opened; takes the connection. */
struct stream *c2s_accept(struct shard *, struct conn *);

/*
 * server/socket.h - a connection that is a TCP socket, with or without TLS.
 */
#pragma once

#include "server/conn.h"

struct sockaddr;

/* A connection over an accepted, non-blocking socket on the shard's loop; takes
 * the descriptor. Its address is the conn's own. It reads from the next turn
 * on; events must be set at once. */
struct conn *socket_new(struct shard *, int fd, const struct sockaddr *);

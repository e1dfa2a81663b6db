/*
 * server/net.h - what the sockets of a shard share: one buffer to read into,
 * one for the records that leave, spare buffers, and places for handshakes.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"
#include "server/handshakes.h"

struct shard;

#define NET_IN_LEN ((size_t)64 * 1024)
/* As many connections may be written to in one turn. */
#define NET_SPARE_MAX 256
/* A turn comes after so many reads. */
#define NET_READS_PER_TURN 32
/* A buffer that grew beyond this is not kept. */
#define NET_SPARE_LEN ((size_t)2 * 1024)

struct net {
	char *in;           /* what recv gave, for the call */
	char *plain;        /* what a record held, for the call */
	struct buf records; /* of the connection at hand, on their way out */
	struct buf spares[NET_SPARE_MAX];
	unsigned spare_count;
	unsigned reads; /* since the last turn of theirs */
	/* Of those who came to us, and of connections that we made: a server
	 * elsewhere that is slow must not keep clients waiting. */
	struct handshakes accepted, made;
};

struct net *net_new(void);
/* No socket may be left. */
void net_free(struct net **);

/* An empty buffer, and back: its memory is used again. */
struct buf net_take_spare(struct net *);
void net_keep_spare(struct net *, struct buf *);

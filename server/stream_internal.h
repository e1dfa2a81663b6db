/*
 * server/stream_internal.h - what stream.c and streams.c share.
 */
#pragma once

#include "server/stream.h"

/* Gives it a slot of the shard, and with it its id. */
void streams_add(struct shard *, struct stream *);
void streams_remove(struct stream *);
/* The limits of the configuration, and of who is authenticated, hold. */
void stream_limit(struct stream *);
/* Its memory alone: at the end of a shard. */
void stream_free(struct stream *);

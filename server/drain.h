/*
 * server/drain.h - the end of a server in order: what its clients sent is
 * settled before it goes, so that nobody sends it again.
 */
#pragma once

#include <stdbool.h>

struct shard;

/* A shard that drains waits so long, in ms, at most. */
#define DRAIN_WRITES_MS 1000

/* When the streams of clients are gone: all that is to be written later is
 * written now. */
void drain_begin(struct shard *);
/* Whether something is not settled that a session's client sent. */
bool drain_is_open(struct shard *);

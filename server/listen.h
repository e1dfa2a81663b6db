/*
 * server/listen.h - sockets that accept connections.
 *
 * Each shard has its own socket for each address (SO_REUSEPORT), so the kernel
 * spreads connections. Out of file descriptors a shard stops accepting for a
 * moment and goes on serving whom it has.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/str.h"

struct arena;
struct config;
struct shard;

struct listeners;

/* Binds all addresses of the configuration for so many shards. NULL with a
 * sentence in *why_r (in arena): port in use, not permitted, no such address.
 */
struct listeners *listeners_open(struct arena *, const struct config *,
    unsigned shard_count, struct str *why_r);
/* Accepts on the shard's loop; by its thread or before it runs. */
void listeners_start(struct listeners *, struct shard *);
/* Stops accepting on this shard, if it has begun; on its thread. */
void listeners_stop(struct listeners *, struct shard *);
/* After all shards have stopped and their loops have ended. */
void listeners_free(struct listeners **);
/* The ports that were taken, for the log: "5222 5223". */
struct str listeners_text(const struct listeners *, struct arena *);

/*
 * server/runner.h - runs a shard on its libuv loop.
 *
 * A turn (shard_turn) follows each look for input and comes before the loop
 * waits, so what a callback caused (letters, bytes to send) is done in one go.
 */
#pragma once

struct shard;

/* Attaches the shard to its loop; letters from other threads wake it from then
 * on. By the shard's thread or before it runs. */
void runner_start(struct shard *);
/* Detaches it: the handles close, the memory goes when they are closed. On the
 * shard's thread. */
void runner_stop(struct shard *);

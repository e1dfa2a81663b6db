/*
 * server/sweep.h - a visit to every account once a day, without loading it, for
 * what goes by its age (HOOK_SWEEP).
 */
#pragma once

#include "server/shard.h"

/* Begins, by shard 0; the first round comes a minute after the start. */
void sweep_start(struct shard *);
/* At the end of a shard. */
void sweep_free(struct shard *);

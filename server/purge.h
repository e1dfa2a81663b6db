/*
 * server/purge.h - the rows of removed accounts go, some at a time.
 */
#pragma once

#include "storage/store.h"

struct shard;

/* Of an owner that is marked deleted. Nobody waits: what goes wrong is tried
 * again, ever later, and at the next start. */
void purge_owner(struct shard *, owner_id);
/* Of all that an earlier run left, one owner after the other: once, by shard 0.
 */
void purge_start(struct shard *);
/* At the end of a shard. */
void purge_free_all(struct shard *);

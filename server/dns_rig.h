/*
 * server/dns_rig.h - for tests: a shard that can ask DNS and dial, and nothing
 * else.
 */
#pragma once

#include <uv.h>

#include "server/setup.h"
#include "server/shard.h"

struct dns_rig {
	struct arena *arena;
	uv_loop_t loop;
	struct server server;
	struct shard shard;
	struct setup *setup;
};

/* With this configuration. */
void dns_rig_start(struct dns_rig *, const char *yaml);
/* Does what is due; waits a moment. */
void dns_rig_turn(struct dns_rig *);
void dns_rig_stop(struct dns_rig *);

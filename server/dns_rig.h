/*
 * server/dns_rig.h - for tests: a shard that can ask DNS and dial, and nothing
 * else.
 */
#pragma once

#include <uv.h>

#include "server/resolve.h"
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

/* What the domain resolves to, by the rig's configuration. */
struct resolve *dns_rig_resolve(
    struct dns_rig *, struct arena *, const char *domain);
/* The endpoints: "::1, port 5269 (a.lab) TLS secure, 1 TLSA; ". */
const char *dns_rig_describe(struct arena *, const struct resolve *);

/*
 * server/outward.h - what stands for DNS and TCP where there is no network: a
 * world (server/world.h) answers questions and takes connections itself.
 */
#pragma once

#include "base/err.h"

struct conn;
struct dns_ask;
struct endpoint;
struct shard;

struct outward {
	/* Fills in the answer: err, is_secure, is_bogus with why, records;
	 * delay_ms: when it comes. TIMEOUT: nothing answers until the deadline.
	 */
	void (*answer)(struct dns_ask *);
	/* A connection to that endpoint, plain; else UNAVAILABLE: it is
	 * refused; TIMEOUT: nothing answers. */
	enum err (*connect)(
	    struct shard *, const struct endpoint *, struct conn **conn_r);
};

/*
 * bench/swarm.h - all sessions of a run, and the loop that moves them.
 */
#pragma once

#include <gnutls/gnutls.h>

#include "bench/client.h"
#include "bench/mark.h"
#include "bench/plan.h"
#include "bench/usage.h"

struct swarm {
	const struct plan *plan;
	gnutls_certificate_credentials_t credentials;
	int epoll;
	struct client *clients; /* plan->sessions of them */
};

void swarm_init(struct swarm *, const struct plan *);
void swarm_deinit(struct swarm *);

/* Waits for events until the time has come, and handles one round of them.
 * How many there were. */
unsigned swarm_turn(struct swarm *, uint64_t until_ns);

/* Handles events up to a time. */
void swarm_run_until(struct swarm *, uint64_t until_ns);

/* Handles events until there are none for so long. */
void swarm_settle(struct swarm *, unsigned quiet_ms);

/* Waits until the server and its database rest: what they had used when the
 * rest began. */
struct usage swarm_wait_idle(struct swarm *);

/* Logs in every `step`th client, plan->in_flight at a time, and waits until
 * all are ready. */
void swarm_login(
    struct swarm *, const struct client_work *, unsigned first, unsigned step);

/* Memory of the server, in KiB, that has had a few sessions, so that it has
 * done everything once, and has none. */
uint64_t swarm_memory_before(struct swarm *, const struct client_work *);

/* Ends every `step`th session and waits until all have ended. */
void swarm_logout(struct swarm *, unsigned first, unsigned step);

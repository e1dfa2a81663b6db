/*
 * server/handshakes.h - who may shake hands for TLS now, and who waits: places,
 * shared among addresses (of IPv6 by their /64, address_meter).
 *
 * A place that becomes free goes to the addresses that wait in turn. One that
 * holds more than a quarter of all, and at least two, is greedy: it gets more
 * only when nobody else waits, and while others wait for it the last that it
 * began is given up. So who fills all places keeps nobody out.
 */
#pragma once

#include <stdbool.h>

#include "base/list.h"
#include "base/str.h"
#include "base/table.h"

struct handshakes {
	unsigned count; /* under way */
	unsigned max;   /* as last asked with */
	struct table addresses;
	struct list turns;  /* addresses with somebody who waits, next first */
	struct list greedy; /* addresses */
};

/* Embedded in who shakes hands; all zero at first. */
struct handshake {
	struct link link;
	struct handshake_address *address; /* NULL: neither */
	bool is_under_way;
};

void handshakes_init(struct handshakes *);
/* Nobody may be left. */
void handshakes_deinit(struct handshakes *);

/* It waits, until handshakes_next names it, perhaps at once. */
void handshakes_wait(
    struct handshakes *, struct handshake *, struct str address, unsigned max);
/* Who has a place from now on; NULL when none is free, or nobody waits. */
struct handshake *handshakes_next(struct handshakes *);
/* Who is to be given up for the sake of the one that waits; or NULL. */
struct handshake *handshakes_excess(
    const struct handshakes *, const struct handshake *);
/* It waits or shakes hands no more. Harmless when it did neither. */
void handshakes_end(struct handshakes *, struct handshake *);

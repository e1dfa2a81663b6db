/*
 * server/dial.h - a TCP connection to the first of several endpoints that
 * answers (RFC 8305): a quarter of a second after one the next is tried too.
 */
#pragma once

#include "server/resolve.h"

struct conn;
struct dial_try;

struct dial {
	enum err err;      /* UNAVAILABLE: none is left that answers; TIMEOUT;
			      CANCELED */
	struct str why;    /* words for people: of the last that failed */
	struct conn *conn; /* the caller's, who sets its events at once */
	const struct endpoint *endpoint; /* that it leads to */
	void (*done)(struct dial *);
	/* NULL, or set after dial_start: an endpoint failed, why says how. */
	void (*failed)(struct dial *);
	/* Its own: */
	struct shard *shard;
	struct arena *arena;
	const struct endpoint *endpoints;
	size_t count;
	bool *is_tried;
	struct dial_try *tries; /* under way */
	bool is_waiting;        /* in a world: somebody does not answer */
	struct timer next, deadline;
};

/* As long as s2s.connect_timeout at most. The endpoints live until done, and on
 * until the last dial_next. What is left in the dial after done needs no end of
 * its own. */
void dial_start(struct shard *, struct dial *, struct arena *,
    const struct endpoint *, size_t count, void (*done)(struct dial *));
/* The connection was of no use (TLS or the stream failed): goes on with those
 * not tried yet. done again, never before this has returned. */
void dial_next(struct dial *);
/* Between dial_start or dial_next and done: done comes soon, with CANCELED. */
void dial_cancel(struct dial *);

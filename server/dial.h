/*
 * server/dial.h - a TCP connection to the first of several endpoints that
 * answers (RFC 8305): a quarter of a second after one the next is tried too.
 */
#pragma once

#include "server/resolve.h"

struct dial_try;

struct dial {
	enum err err;   /* UNAVAILABLE: none is left that answers; TIMEOUT;
			   CANCELED */
	struct str why; /* words for people: of the last that failed */
	int fd;         /* connected and non-blocking; the caller's */
	const struct endpoint *endpoint; /* that one */
	void (*done)(struct dial *);
	/* Its own: */
	struct shard *shard;
	struct arena *arena;
	const struct endpoint *endpoints;
	size_t count;
	bool *is_tried;
	struct dial_try *tries; /* under way */
	struct timer next, deadline;
	uint64_t timeout_ms;
};

/* The endpoints live until done, and on until the last dial_next. */
void dial_start(struct shard *, struct dial *, struct arena *,
    const struct endpoint *, size_t count, uint64_t timeout_ms,
    void (*done)(struct dial *));
/* The connection was of no use (TLS or the stream failed): goes on with those
 * not tried yet. done again, never before this has returned. */
void dial_next(struct dial *);
/* Between dial_start or dial_next and done: done comes soon, with CANCELED. */
void dial_cancel(struct dial *);

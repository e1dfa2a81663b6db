/*
 * server/dial.h - a TCP connection to the first of several endpoints that
 * answers (RFC 8305): a quarter of a second after one the next is tried too,
 * if it is of the same priority. One of a worse priority is tried when all that
 * is better has failed (XEP-0495, section 4.1), or did not answer for its share
 * of the time: what is left of it, divided by the priorities that are left.
 *
 * Some of them may become known only meanwhile. Where TLSA records are awaited
 * a connection is made, and held until they are known.
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
	struct dial_try *tries; /* under way, or held */
	bool is_waiting;        /* in a world: somebody does not answer */
	uint16_t waiting;       /* of what priority the last one is */
	uint16_t priority;      /* that was begun last */
	uint32_t patient_from;  /* the least priority that is waited for */
	bool is_running;        /* until done */
	bool is_open;           /* more endpoints may come */
	uint64_t next_ms;       /* clock_mono_ms: no attempt before */
	uint64_t until_ms;      /* clock_mono_ms: the deadline */
	struct timer next, patience, deadline;
};

/* As long as s2s.connect_timeout at most. The endpoints live until done, and on
 * until the last dial_next. What is left in the dial after done needs no end of
 * its own. */
void dial_start(struct shard *, struct dial *, struct arena *,
    const struct endpoint *, size_t count, void (*done)(struct dial *));
/* Behind dial_start: they are not all known, or TLSA records are awaited; there
 * may be an end of it only after dial_more. */
void dial_expect_more(struct dial *);
/* Something of the endpoints is new; is_last: nothing more comes. At any time,
 * also when a connection is in use: dial_next will know. */
void dial_more(struct dial *, bool is_last);
/* The connection was of no use (TLS or the stream failed): goes on with those
 * not tried yet. done again, never before this has returned. */
void dial_next(struct dial *);
/* Between dial_start or dial_next and done: done comes soon, with CANCELED. */
void dial_cancel(struct dial *);

/*
 * server/world_neighbour.h - other servers in a world, as remotes see them:
 * paths that carry stanzas, without a wire.
 */
#pragma once

#include "base/list.h"
#include "server/remote.h"
#include "server/world.h"

enum neighbour_mood {
	NEIGHBOUR_WILLING,     /* an attempt to connect succeeds */
	NEIGHBOUR_SILENT,      /* it is not answered */
	NEIGHBOUR_UNREACHABLE, /* it fails, perhaps not the next time */
	NEIGHBOUR_REFUSING,    /* it fails for good */
};

/* It outlives kills of the world's server, as another process would. */
struct neighbour {
	struct link link; /* in the world */
	struct world *world;
	const char *domain;
	enum neighbour_mood mood;
	bool is_lazy; /* acknowledges only by neighbour_ack */
	bool is_deaf; /* what is sent to it gets lost */
	uint64_t max_bytes;
	unsigned connects; /* attempts */
	struct list streams, got;
};

/* Makes one known; others are not found. Freed with the world. */
struct neighbour *neighbour_new(struct world *, const char *domain);
/* The next stanza that it got, NULL when nothing is there; lives until the next
 * call. */
const char *neighbour_next(struct neighbour *);
/* Acknowledges all that came on streams that are open. */
void neighbour_ack(struct neighbour *);
/* Its streams end: in order, or as by a cut wire. */
void neighbour_cut(struct neighbour *, bool in_order);
/* It opens a stream that is a path for us too. */
void neighbour_open(struct neighbour *, const char *local);
/* A stanza from it, then the world runs. */
void neighbour_send(struct neighbour *, const char *xml);

/* A stream of that domain, known by its slot only, tells montague.example of
 * itself; the world is to run. err as in path_note. */
void neighbour_tell(struct world *, const char *domain, enum path_event,
    unsigned slot, enum stanza_err);

/* How many other domains there is something to do with (a pair, remote.h). */
size_t neighbours_in_use(const struct world *);

/* For world.c: before the server starts; before peers are freed; at the end. */
void neighbours_boot(struct world *);
void neighbours_rest(struct world *);
void neighbours_free(struct world *);

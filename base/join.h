/*
 * base/join.h - waiting for several things.
 */
#pragma once

#include "base/err.h"

struct join {
	unsigned left;  /* how many are awaited still */
	enum err first; /* the first failure, ERR_NONE without one */
	void (*done)(struct join *);
};

/* Begins with one wait of its own, ended by join_wait_done(join, ERR_NONE)
 * when all others were added: so done is not called too early. */
void join_init(struct join *, void (*done)(struct join *));
void join_wait(struct join *);
/* Calls done when it was the last; the join may be gone then. */
void join_wait_done(struct join *, enum err);

/*
 * storage/gate.h - reads wait for the writes of their owner.
 *
 * A gate is closed while writes of an owner are queued or running. A read of
 * that owner waits at it for those that are there when it comes, and so sees
 * them in whatever order, and on whatever connection, a backend works. For what
 * is written later it does not wait: that may never end.
 */
#pragma once

#include "base/table.h"
#include "storage/store_kind.h"

struct job;

struct gates {
	struct table table; /* closed ones, by owner */
	struct list spare;
};

struct gate_hold { /* a write holds a gate closed; of the write's arena */
	struct gate_hold *next;
	struct gate *gate;
	struct link link;    /* of the gate */
	struct list waiting; /* reads that came before the next write */
};

void gates_init(struct gates *);
/* Forgets all. */
void gates_deinit(struct gates *);
/* The write closes this owner's gate until gates_release; once is enough. */
void gates_hold(struct gates *, struct job *write, owner_id);
/* Moves the reads that may go now to ready. */
void gates_release(struct gates *, struct job *write, struct list *ready);
/* Makes the read wait if the gate of its owner is closed. */
bool gates_stop(struct gates *, struct job *read);

/*
 * server/timer.h - timers of a shard, embedded in what waits.
 *
 * A heap of its own rather than the loop's: a world runs it with a fake clock,
 * and a session that is idle costs no handle. Something often active does not
 * move its timer each time but looks, when it rings, whether it is due.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct shard;

struct timer {
	void (*done)(struct timer *); /* on the shard; the timer is stopped */
	uint64_t due_ms;              /* clock_mono_ms */
	size_t place;                 /* in the heap, from 1; 0 when stopped */
};

struct timers {
	struct timer **heap;
	size_t count, room;
};

void timers_init(struct timers *);
void timers_deinit(struct timers *);
/* Stops all: what they are embedded in is about to go. */
void timers_stop(struct timers *);
/* Rings those that are due. */
void timers_ring(struct timers *, uint64_t now_ms);
/* UINT64_MAX when there is none. */
uint64_t timers_next(const struct timers *);

/* Starts it, or starts it anew. It must be zeroed before its first use. */
void timer_start(struct shard *, struct timer *, uint64_t after_ms,
    void (*done)(struct timer *));
/* Harmless when it is not running. */
void timer_stop(struct shard *, struct timer *);
bool timer_is_running(const struct timer *);

/*
 * bench/usage.h - what a server has used: CPU and memory.
 *
 * CPU is user and system time of all threads, of a process and its offspring,
 * in nanoseconds. Children that came and went between two readings are not
 * seen.
 */
#pragma once

#include <stdint.h>

#include "bench/plan.h"

struct usage {
	uint64_t at_ns;     /* monotonic clock */
	uint64_t server_ns; /* of both, when there are two */
	uint64_t database_ns;
	uint64_t load_ns; /* our own */
};

uint64_t usage_clock_ns(void);

struct usage usage_read(const struct plan *);

/* What was used from the first to the second. */
struct usage usage_between(const struct usage *, const struct usage *);

/* Proportional set size of the server's processes, in KiB. */
uint64_t usage_memory_kib(const struct plan *);

/*
 * bench/figures.h - the figures of one run, as one line of JSON.
 *
 *     {"cpu_us": 12.3, "per_s": 4567, ...}
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "bench/usage.h"

void figures_add(const char *name, double value);
void figures_end(void);

/* CPU of server, database (when there is one) and load generator for each of
 * `count` things, in microseconds. */
void figures_add_usage(const struct plan *, const struct usage *used,
    uint64_t count, const char *prefix);

/* Latencies, of each kind a sample: the first million are kept. */
enum sample {
	SAMPLE_DELIVERY, /* p50_us and p99_us */
	SAMPLE_ACK,      /* ack_p50_us and ack_p99_us */
	SAMPLE_KINDS,
};

void figures_sample(enum sample, uint64_t ns);
void figures_forget_samples(void);
void figures_add_samples(void); /* of kinds that there are */

#include "bench/figures.h"

#include <stdio.h>
#include <stdlib.h>

#define SAMPLES_MAX (1u << 20)

static struct {
	const char *prefix;
	size_t count;
	uint32_t each[SAMPLES_MAX]; /* in units of 100 ns */
} samples[SAMPLE_KINDS] = {
    [SAMPLE_DELIVERY].prefix = "",
    [SAMPLE_ACK].prefix = "ack_",
};
static const char *separator = "{";

void
figures_add(const char *name, double value)
{
	printf("%s\"%s\": %.3f", separator, name, value);
	separator = ", ";
}

void
figures_end(void)
{
	printf("}\n");
}

static void
add_prefixed(const char *prefix, const char *name, double value)
{
	char full[64];

	snprintf(full, sizeof(full), "%s%s", prefix, name);
	figures_add(full, value);
}

void
figures_add_usage(const struct plan *plan, const struct usage *used,
    uint64_t count, const char *prefix)
{
	double us = 1e-3 / (double)(count > 0 ? count : 1);

	/* A difference of two uses may be below zero. */
	add_prefixed(prefix, "cpu_us", (double)(int64_t)used->server_ns * us);
	if (plan->database != 0)
		add_prefixed(prefix, "database_cpu_us",
		    (double)(int64_t)used->database_ns * us);
	add_prefixed(
	    prefix, "load_cpu_us", (double)(int64_t)used->load_ns * us);
}

void
figures_sample(enum sample kind, uint64_t ns)
{
	size_t *count = &samples[kind].count;

	if (*count == SAMPLES_MAX)
		return;
	ns /= 100;
	samples[kind].each[(*count)++] =
	    ns < UINT32_MAX ? (uint32_t)ns : UINT32_MAX;
}

void
figures_forget_samples(void)
{
	for (unsigned kind = 0; kind < SAMPLE_KINDS; kind++)
		samples[kind].count = 0;
}

static int
compare(const void *a, const void *b)
{
	uint32_t left = *(const uint32_t *)a, right = *(const uint32_t *)b;

	return (left > right) - (left < right);
}

void
figures_add_samples(void)
{
	for (unsigned kind = 0; kind < SAMPLE_KINDS; kind++) {
		const char *prefix = samples[kind].prefix;
		uint32_t *each = samples[kind].each;
		size_t count = samples[kind].count;

		if (count == 0)
			continue;
		qsort(each, count, sizeof(each[0]), compare);
		add_prefixed(prefix, "p50_us", each[count / 2] / 10.0);
		add_prefixed(prefix, "p99_us", each[count * 99 / 100] / 10.0);
	}
}

#include "bench/figures.h"

#include <stdio.h>
#include <stdlib.h>

#define SAMPLES_MAX (1u << 20)

static uint32_t samples[SAMPLES_MAX]; /* in units of 100 ns */
static size_t sample_count;
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
figures_sample(uint64_t ns)
{
	if (sample_count == SAMPLES_MAX)
		return;
	ns /= 100;
	samples[sample_count++] = ns < UINT32_MAX ? (uint32_t)ns : UINT32_MAX;
}

void
figures_forget_samples(void)
{
	sample_count = 0;
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
	if (sample_count == 0)
		return;
	qsort(samples, sample_count, sizeof(samples[0]), compare);
	figures_add("p50_us", samples[sample_count / 2] / 10.0);
	figures_add("p99_us", samples[sample_count * 99 / 100] / 10.0);
}

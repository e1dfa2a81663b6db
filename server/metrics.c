#include "server/metrics.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/err.h"
#include "server/shard.h"

struct metrics {
	atomic_int_least64_t values[METRIC_COUNT];
};

enum metric_type { TYPE_counter, TYPE_gauge };

static const struct metric_row {
	enum metric_type type;
	const char *name, *help;
} rows[METRIC_COUNT] = {
#define X(name, type, text, help) [METRIC_##name] = {TYPE_##type, text, help},
    METRIC_MAP(X)
#undef X
};

struct metrics *
metrics_new(void)
{
	struct metrics *metrics = calloc(1, sizeof(*metrics));

	must(metrics != NULL);
	return metrics;
}

void
metrics_free(struct metrics **metrics)
{
	free(*metrics);
	*metrics = NULL;
}

/* One thread writes: no locked addition is needed. */
void
metric_add(struct shard *shard, enum metric metric, int64_t by)
{
	atomic_int_least64_t *value = &shard->metrics->values[metric];

	atomic_store_explicit(value,
	    atomic_load_explicit(value, memory_order_relaxed) + by,
	    memory_order_relaxed);
}

static int64_t
sum(const struct server *server, enum metric metric)
{
	int64_t all = 0;

	for (unsigned i = 0; i < server->shard_count; i++)
		all += atomic_load_explicit(
		    &server->shards[i].metrics->values[metric],
		    memory_order_relaxed);
	return all;
}

static void
write_head(
    struct buf *buf, const char *name, const char *type, const char *help)
{
	buf_add_format(buf, "# TYPE jackdaw_%s %s\n# HELP jackdaw_%s %s.\n",
	    name, type, name, help);
}

static void
write_row(struct buf *buf, const struct metric_row *row, int64_t value)
{
	bool is_counter = row->type == TYPE_counter;

	write_head(buf, row->name, is_counter ? "counter" : "gauge", row->help);
	buf_add_format(buf, "jackdaw_%s%s %lld\n", row->name,
	    is_counter ? "_total" : "", (long long)value);
}

static double
cpu_seconds(void)
{
	struct rusage used;

	if (getrusage(RUSAGE_SELF, &used) != 0)
		return 0;
	return (double)(used.ru_utime.tv_sec + used.ru_stime.tv_sec) +
	       (double)(used.ru_utime.tv_usec + used.ru_stime.tv_usec) / 1e6;
}

/* The second number of /proc/self/statm: resident pages. */
static long long
resident_bytes(void)
{
	char line[128];
	FILE *file = fopen("/proc/self/statm", "re");
	struct str all, pages = STR_NONE, rest;
	uint64_t count = 0;

	if (file == NULL)
		return 0;
	if (fgets(line, sizeof(line), file) != NULL &&
	    str_cut(str_of(line), ' ', &all, &rest) &&
	    str_cut(rest, ' ', &pages, &rest))
		(void)str_to_u64(pages, UINT32_MAX, &count);
	fclose(file);
	return (long long)count * sysconf(_SC_PAGESIZE);
}

static void
write_process(struct buf *buf)
{
	write_head(buf, "cpu_seconds", "counter", "User and system CPU time");
	buf_add_format(buf, "jackdaw_cpu_seconds_total %.6f\n", cpu_seconds());
	write_head(
	    buf, "resident_memory_bytes", "gauge", "Memory in use, resident");
	buf_add_format(
	    buf, "jackdaw_resident_memory_bytes %lld\n", resident_bytes());
	write_head(buf, "failed_expectations", "counter",
	    "Bugs that were noticed and survived");
	buf_add_format(
	    buf, "jackdaw_failed_expectations_total %lu\n", expect_failures());
}

void
metrics_write(const struct server *server, struct buf *buf)
{
	for (unsigned i = 0; i < METRIC_COUNT; i++)
		write_row(buf, &rows[i], sum(server, (enum metric)i));
	write_process(buf);
	buf_add(buf, STR("# EOF\n"));
}

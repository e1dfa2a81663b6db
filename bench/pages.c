/*
 * bench/pages.c - what a page of an archive costs, by where it lies and how it
 * is asked for.
 *
 *	pages sqlite|postgres ROWS
 *
 * One owner has ROWS rows of 250 bytes with a hundred peers. Each line is a
 * way of asking; its columns are places in the archive, from the oldest rows to
 * the newest, and say how many microseconds 50 rows take: the median of 100
 * pages, to the asker's callback. PostgreSQL is the one of JACKDAW_TEST_PG,
 * which is emptied.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "base/err.h"
#include "storage/store_rig.h"

#define OWNER      7
#define BATCH_ROWS 2000
#define PEERS      100
#define PAGE_ROWS  50
#define PAGES      100
#define PLACES     5

static const struct store_kind kind = {
    .name = "pages", .shape = STORE_LOG, .flags = KIND_PEER};

static void
fill(struct rig *rig, uint64_t count)
{
	char value[200];

	memset(value, 'x', sizeof(value));
	for (uint64_t id = 1; id <= count;) {
		struct store_write *write = store_write_new(rig->store);

		for (unsigned i = 0; i < BATCH_ROWS && id <= count; i++, id++) {
			char peer[64];
			const int len = snprintf(peer, sizeof(peer),
			    "peer%llu@capulet.example/balcony",
			    (unsigned long long)(id * 7919 % PEERS));
			const struct log_row row = {.owner = OWNER,
			    .id = id,
			    .nonce = id * 2654435761u,
			    .time_us = id,
			    .peer = {peer, (size_t)len},
			    .value = {value, sizeof(value)}};

			store_append(write, &kind, &row);
		}
		must(rig_commit(rig, write) == ERR_NONE);
	}
}

static uint64_t
now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

static int
compare(const void *a, const void *b)
{
	const uint64_t *left = a, *right = b;

	return *left < *right ? -1 : *left > *right;
}

static uint64_t
median_us(struct rig *rig, struct log_query query, uint64_t at)
{
	uint64_t took[PAGES];

	query.owner = OWNER;
	query.kind = &kind;
	query.max = PAGE_ROWS;
	for (unsigned i = 0; i < PAGES; i++) {
		const uint64_t begun = now_ns();
		const struct store_page *page;

		if (query.is_backward)
			query.before = at;
		else
			query.after = at;
		page = rig_page(rig, &query);
		must(page->err == ERR_NONE);
		took[i] = now_ns() - begun;
		if (page->count > 0)
			at = page->rows[page->count - 1].id;
	}
	qsort(took, PAGES, sizeof(took[0]), compare);
	return took[PAGES / 2] / 1000;
}

static void
measure(
    struct rig *rig, const char *name, struct log_query query, uint64_t count)
{
	/* So many ids are behind the pages that are read. */
	const uint64_t span =
	    PAGES * PAGE_ROWS * (query.peer.len > 0 ? PEERS : 1);

	printf("%-22s", name);
	for (unsigned i = 0; i < PLACES; i++) {
		uint64_t at = count / (PLACES - 1) * i;

		if (query.is_backward && at < span)
			at = span;
		if (!query.is_backward && at > count - span)
			at = count - span;
		printf(" %6llu", (unsigned long long)median_us(rig, query, at));
	}
	printf("\n");
}

int
main(int argc, char **argv)
{
	const uint64_t count = argc > 2 ? strtoull(argv[2], NULL, 10) : 1000000;
	struct rig *rig =
	    rig_new(argc > 1 && strcmp(argv[1], "postgres") == 0 ? RIG_POSTGRES
								 : RIG_SQLITE);
	const struct str peer = STR("peer7@capulet.example");
	const struct str full = STR("peer7@capulet.example/balcony");
	const uint64_t begun = now_ns();

	fill(rig, count);
	printf("%llu rows in %llu s\n", (unsigned long long)count,
	    (unsigned long long)((now_ns() - begun) / 1000000000));
	measure(rig, "all, forward", (struct log_query){0}, count);
	measure(rig, "all, backward", (struct log_query){.is_backward = true},
	    count);
	measure(
	    rig, "one peer, forward", (struct log_query){.peer = peer}, count);
	measure(rig, "one peer, backward",
	    (struct log_query){.peer = peer, .is_backward = true}, count);
	measure(rig, "its full JID, forward", (struct log_query){.peer = full},
	    count);
	rig_free(&rig);
	return 0;
}

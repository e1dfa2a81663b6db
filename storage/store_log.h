/*
 * storage/store_log.h - reading logs: pages by id, rows that are due, counts.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"
#include "storage/store_kind.h"

struct store;

struct log_row {
	owner_id owner;
	uint64_t id;      /* order: see store_log_id */
	uint64_t nonce;   /* random half of the public id */
	uint64_t time_us; /* wall time */
	struct str peer;  /* whatever the kind says; often a full JID */
	struct str ref;   /* empty when the kind has none */
	struct str text;  /* what is searched, the first 128 KiB of it; written
			     only */
	struct str value;
};

/* Ids grow: the wall time in microseconds, or last + 1. */
uint64_t store_log_id(uint64_t last);

struct log_query {
	owner_id owner;
	const struct store_kind *kind;
	uint64_t after, before; /* ids, both exclusive; 0: open */
	struct str peer;  /* KIND_PEER: this bare JID and its full ones, or this
			     full one; empty: all */
	struct str ref;   /* empty: all */
	struct str words; /* KIND_TEXT: all of these; empty: all */
	bool is_backward; /* the last max rows, given newest first */
	unsigned max;
};

struct store_page {
	void (*done)(struct store_page *);
	struct arena *arena;
	enum err err;
	const struct log_row *rows;
	size_t count;
	bool is_more;
};

void store_page(struct store *, struct store_page *, struct arena *,
    const struct log_query *, void (*done)(struct store_page *));
/* KIND_DUE: rows of all owners whose time has come, oldest first, after the row
 * given by its time and id (0, 0: from the beginning). */
struct due_query {
	const struct store_kind *kind;
	uint64_t until_us, after_us, after_id;
	owner_id after_owner; /* 0: all rows of that time and id were seen */
	unsigned max;
};

void store_due(struct store *, struct store_page *, struct arena *,
    const struct due_query *, void (*done)(struct store_page *));

struct store_count {
	void (*done)(struct store_count *);
	enum err err;
	uint64_t count, bytes;      /* bytes of keys, refs and values */
	uint64_t first_id, last_id; /* logs: 0 when empty */
};

/* KIND_COUNTED: one row read, never counted by scanning. Of other logs only
 * the first and the last id are told. */
void store_count(struct store *, struct store_count *, owner_id,
    const struct store_kind *, void (*done)(struct store_count *));

/*
 * storage/store_map.h - reading maps.
 */
#pragma once

#include <stdbool.h>

#include "storage/store_owner.h"

struct map_row {
	struct str key, value;
	uint64_t version; /* of its last change, grows; never 0 */
};

struct store_get {
	void (*done)(struct store_get *);
	struct arena *arena; /* where the value is put */
	enum err err;        /* NOT_FOUND: no such row */
	struct map_row row;
};

struct map_key {
	owner_id owner;
	const struct store_kind *kind;
	struct str key;
};

void store_get(struct store *, struct store_get *, struct arena *,
    const struct map_key *, void (*done)(struct store_get *));

struct store_scan {
	void (*done)(struct store_scan *);
	struct arena *arena;
	enum err err; /* NONE also when there are no rows */
	const struct map_row *rows;
	size_t count;
	bool is_more; /* there are rows after the last */
};

/* Rows whose key begins with the prefix (empty: all), by key, after the given
 * key (empty: from the beginning). */
struct map_query {
	owner_id owner;
	const struct store_kind *kind;
	struct str prefix, after;
	unsigned max;
};

void store_scan(struct store *, struct store_scan *, struct arena *,
    const struct map_query *, void (*done)(struct store_scan *));

/* KIND_REVERSE: the owners that have this key, by id, after the given one; rows
 * have only the id, host, local and state. */
struct reverse_query {
	const struct store_kind *kind;
	struct str key;
	owner_id after;
	unsigned max;
};

void store_reverse(struct store *, struct store_owners *, struct arena *,
    const struct reverse_query *, void (*done)(struct store_owners *));

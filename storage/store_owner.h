/*
 * storage/store_owner.h - the directory of owners: accounts, rooms, domains.
 */
#pragma once

#include <stddef.h>

#include "base/err.h"
#include "storage/store_kind.h"

struct store;

enum owner_state { OWNER_ACTIVE, OWNER_DISABLED, OWNER_DELETED };

struct owner_row {
	owner_id id;
	struct str host, local;
	enum owner_state state;
	uint64_t made_us; /* wall time */
};

struct store_owner { /* a wait */
	void (*done)(struct store_owner *);
	struct arena *arena;
	enum err err; /* NOT_FOUND: no such owner */
	struct owner_row row;
};

/* Looks up a living owner (ACTIVE or DISABLED). */
void store_owner_find(struct store *, struct store_owner *, struct arena *,
    struct str host, struct str local, void (*done)(struct store_owner *));

struct store_owners {
	void (*done)(struct store_owners *);
	struct arena *arena;
	enum err err;
	const struct owner_row *rows;
	size_t count;
};

/* Living owners of a host, by localpart, after the given one. */
struct owner_query {
	struct str host, after;
	unsigned max;
};

void store_owner_list(struct store *, struct store_owners *, struct arena *,
    const struct owner_query *, void (*done)(struct store_owners *));
/* Owners marked deleted whose rows are not all purged yet. */
void store_owner_deleted(struct store *, struct store_owners *, struct arena *,
    unsigned max, void (*done)(struct store_owners *));

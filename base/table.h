/*
 * base/table.h - an intrusive hash table that grows.
 *
 * Items embed a table_link; the table owns only its array of chains. Keys are
 * compared by a function of the caller, hashes are kept.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/list.h"

struct table_link {
	struct table_link *next;
	uint64_t hash;
};

struct table {
	struct table_link **chains;
	size_t chain_count, count;
};

void table_init(struct table *);
/* The items stay the caller's. */
void table_deinit(struct table *);

/* The key must not be in the table. */
void table_add(struct table *, struct table_link *, uint64_t hash);
void table_remove(struct table *, struct table_link *);

/* The first item with this hash for which is_it(item, key) holds; or NULL. */
struct table_link *table_find(const struct table *, uint64_t hash,
    bool (*is_it)(const struct table_link *, const void *key), const void *key);

/* The memory of what table_find for this hash will see first is asked for;
 * where that is, NULL when nothing. It need not be what is looked for. */
struct table_link *table_fetch(const struct table *, uint64_t hash);

/* Any item after this one, NULL to begin; NULL at the end. The item at hand
 * may be removed only after asking for the one after it. */
struct table_link *table_next(const struct table *, const struct table_link *);

#define table_entry(link, type, member) \
	((link) == NULL ? NULL : container_of((link), type, member))

#include "base/table.h"

#include <stdlib.h>

#include "base/err.h"
#include "base/prefetch.h"

#define FIRST_CHAINS 8
#define AHEAD        16 /* chains whose memory is on its way in a walk */

void
table_init(struct table *table)
{
	*table = (struct table){0};
}

void
table_deinit(struct table *table)
{
	free(table->chains);
	*table = (struct table){0};
}

static struct table_link **
chain_of(const struct table *table, uint64_t hash)
{
	return &table->chains[hash & (table->chain_count - 1)];
}

static void
grow(struct table *table)
{
	struct table old = *table;

	table->chain_count =
	    old.chain_count == 0 ? FIRST_CHAINS : old.chain_count * 2;
	table->chains = calloc(table->chain_count, sizeof(*table->chains));
	must(table->chains != NULL);
	for (size_t i = 0; i < old.chain_count; i++) {
		struct table_link *link = old.chains[i];

		while (link != NULL) {
			struct table_link *next = link->next;
			struct table_link **chain = chain_of(table, link->hash);

			link->next = *chain;
			*chain = link;
			link = next;
		}
	}
	free(old.chains);
}

void
table_add(struct table *table, struct table_link *link, uint64_t hash)
{
	struct table_link **chain;

	if (table->count == table->chain_count)
		grow(table);
	chain = chain_of(table, hash);
	link->hash = hash;
	link->next = *chain;
	*chain = link;
	table->count++;
}

void
table_remove(struct table *table, struct table_link *link)
{
	struct table_link **at;

	must(table->count > 0);
	at = chain_of(table, link->hash);
	while (*at != link) {
		must(*at != NULL);
		at = &(*at)->next;
	}
	*at = link->next;
	link->next = NULL;
	table->count--;
}

struct table_link *
table_find(const struct table *table, uint64_t hash,
    bool (*is_it)(const struct table_link *, const void *key), const void *key)
{
	struct table_link *link;

	if (table->count == 0)
		return NULL;
	link = *chain_of(table, hash);
	while (link != NULL && !(link->hash == hash && is_it(link, key)))
		link = link->next;
	return link;
}

struct table_link *
table_fetch(const struct table *table, uint64_t hash)
{
	struct table_link *link =
	    table->count == 0 ? NULL : *chain_of(table, hash);

	prefetch(link);
	return link;
}

struct table_link *
table_next(const struct table *table, const struct table_link *link)
{
	size_t i = 0;

	if (link != NULL) {
		if (link->next != NULL)
			return link->next;
		i = (link->hash & (table->chain_count - 1)) + 1;
	}
	for (; i < table->chain_count; i++) {
		if (i + AHEAD < table->chain_count)
			prefetch(table->chains[i + AHEAD]);
		if (table->chains[i] != NULL)
			return table->chains[i];
	}
	return NULL;
}

#include "modules/repeat.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/hash.h"
#include "modules/archive_retract.h"
#include "server/module.h"

/* A row whose sender was not told of it is among the last ones. */
#define ROWS_MAX 4096
#define LAST_US  ((uint64_t)MINUTE * 1000)
/* So long after a start senders are expected to come back. */
#define WHILE_MS ((uint64_t)DAY)

/* The words of a tombstone (XEP-0424, section 4), which has those of its
 * message no more. No body can hold it. */
#define TAKEN_BACK STR("\1")

struct reading {
	struct store_page page;
	struct repeats *repeats;
	struct account *account; /* pinned */
	struct join *join;
};

/* 0: it cannot be told from others. Ids alone are no proof: there are clients
 * that give all their messages the same. But those cannot take one back. */
static uint64_t
hash_of(struct arena *arena, const struct stanza *stanza, struct str words)
{
	const struct str from =
	    stanza->from == NULL ? STR("") : jid_bare(stanza->from);
	const struct str to =
	    stanza->to == NULL ? STR("") : jid_bare(stanza->to);

	if (stanza->id.len == 0)
		return 0;
	return hash_keyed(
		   str_format(arena, "%.*s %.*s %.*s %.*s", STR_ARG(from),
		       STR_ARG(to), STR_ARG(stanza->id), STR_ARG(words))) |
	       1;
}

static struct str
body_of(struct arena *arena, const struct stanza *stanza)
{
	return node_child_text(arena, stanza->node, "body", NS_CLIENT);
}

static uint64_t
hash_of_row(struct arena *arena, struct str row)
{
	const struct stanza *stanza = stanza_parse(arena, row);

	if (stanza == NULL)
		return 0;
	return hash_of(arena, stanza,
	    node_child(stanza->node, "retracted", NS_RETRACT) != NULL
		? TAKEN_BACK
		: body_of(arena, stanza));
}

static int
compare(const void *a, const void *b)
{
	const uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return (x > y) - (x < y);
}

static void
take_rows(struct reading *reading, const struct store_page *page)
{
	struct repeats *repeats = reading->repeats;

	repeats_forget(repeats);
	if (page->count == 0)
		return;
	repeats->until_ms =
	    reading->account->owner.shard->server->started_ms + WHILE_MS;
	repeats->hashes = malloc(page->count * sizeof(repeats->hashes[0]));
	must(repeats->hashes != NULL);
	for (size_t i = 0; i < page->count; i++) {
		struct arena *arena = arena_make(0);
		const uint64_t hash = hash_of_row(arena, page->rows[i].value);

		if (hash != 0)
			repeats->hashes[repeats->count++] = hash;
		arena_free(&arena);
	}
	qsort(repeats->hashes, repeats->count, sizeof(repeats->hashes[0]),
	    compare);
}

static void
page_read(struct store_page *page)
{
	struct reading *reading = container_of(page, struct reading, page);
	struct account *account = reading->account;
	struct join *join = reading->join;
	struct arena *arena = page->arena;
	const enum err err = page->err;

	if (err == ERR_NONE)
		take_rows(reading, page);
	arena_free(&arena);
	owner_unpin(&account->owner);
	join_wait_done(join, err);
}

void
repeats_load(struct repeats *repeats, struct account *account,
    const struct store_kind *kind, uint64_t last_id, struct join *join)
{
	struct shard *shard = account->owner.shard;
	const uint64_t up_ms = clock_mono_ms() - shard->server->started_ms;
	const uint64_t start = clock_wall_us() - up_ms * 1000;
	const uint64_t last = last_id < start ? last_id : start;
	struct arena *arena;
	struct reading *reading;

	if (last_id == 0 || up_ms > WHILE_MS)
		return;
	arena = arena_make(0);
	reading = arena_new(arena, struct reading);
	reading->repeats = repeats;
	reading->account = account;
	reading->join = join;
	owner_pin(&account->owner);
	join_wait(join);
	store_page(shard->store, &reading->page, arena,
	    &(struct log_query){.owner = account->owner.id,
		.kind = kind,
		.after = last > LAST_US ? last - LAST_US : 0,
		.before = start,
		.is_backward = true,
		.max = ROWS_MAX},
	    page_read);
}

/* The row that has it says so no more. */
static bool
take_hash(struct repeats *repeats, uint64_t hash)
{
	uint64_t *at = NULL;

	if (hash != 0)
		at = bsearch(&hash, repeats->hashes, repeats->count,
		    sizeof(hash), compare);
	if (at == NULL)
		return false;
	repeats->count--;
	memmove(at, at + 1,
	    (size_t)(repeats->hashes + repeats->count - at) * sizeof(hash));
	return true;
}

bool
repeats_have(struct repeats *repeats, const struct stanza *stanza)
{
	struct arena *arena;
	bool is_there;

	if (repeats->count > 0 && clock_mono_ms() > repeats->until_ms)
		repeats_forget(repeats);
	if (repeats->count == 0)
		return false;
	arena = arena_make(0);
	is_there = take_hash(repeats,
		       hash_of(arena, stanza, body_of(arena, stanza))) ||
		   take_hash(repeats, hash_of(arena, stanza, TAKEN_BACK));
	arena_free(&arena);
	return is_there;
}

void
repeats_forget(struct repeats *repeats)
{
	free(repeats->hashes);
	*repeats = (struct repeats){0};
}

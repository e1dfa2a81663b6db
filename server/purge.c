#include "server/purge.h"

#include "base/err.h"
#include "base/log.h"
#include "server/settings.h"
#include "server/shard.h"

#define PURGE_ROWS     500
#define PAGE_MAX       100
#define RETRY_FIRST_MS (1 * SECOND)
#define RETRY_LAST_MS  (5 * MINUTE)

static void purge_next(struct store_owners *);
static void purge_done(struct store_commit *);

/* The owners whose rows go, in an arena of their own. */
struct purge {
	struct link link; /* in shard->purges, while it waits to try again */
	struct timer again;
	uint64_t wait_ms; /* that it waited last; 0 while all goes well */
	struct store_owners owners;
	struct store_commit commit;
	struct arena *arena;
	struct shard *shard;
	size_t done;
	bool is_start; /* there may be more */
};

static struct purge *
purge_new(struct shard *shard)
{
	struct arena *arena = arena_make(0);
	struct purge *purge = arena_new(arena, struct purge);

	purge->arena = arena;
	purge->shard = shard;
	return purge;
}

static void
purge_free(struct purge *purge)
{
	struct arena *arena = purge->arena;

	arena_free(&arena);
}

static void
purge_some(struct purge *purge)
{
	store_purge(purge->shard->store, &purge->commit,
	    purge->owners.rows[purge->done].id, PURGE_ROWS, purge_done);
}

static void
list_owners(struct purge *purge)
{
	store_owner_deleted(purge->shard->store, &purge->owners, purge->arena,
	    PAGE_MAX, purge_next);
}

static void
try_again(struct timer *timer)
{
	struct purge *purge = container_of(timer, struct purge, again);

	list_remove(&purge->link);
	if (purge->owners.err == ERR_NONE)
		purge_some(purge);
	else
		list_owners(purge);
}

/* Told once. What the end of the server leaves the next start finds. */
static void
try_later(struct purge *purge, const char *what, enum err err)
{
	struct shard *shard = purge->shard;

	if (err == ERR_CANCELED || shard->is_draining) {
		purge_free(purge);
		return;
	}
	if (purge->wait_ms == 0)
		log_warn(
		    &log_server, "%s, will try again: %s", what, err_text(err));
	purge->wait_ms =
	    purge->wait_ms == 0 ? RETRY_FIRST_MS : 2 * purge->wait_ms;
	if (purge->wait_ms > RETRY_LAST_MS)
		purge->wait_ms = RETRY_LAST_MS;
	list_add_last(&shard->purges, &purge->link);
	timer_start(shard, &purge->again, purge->wait_ms, try_again);
}

static void
purge_done(struct store_commit *commit)
{
	struct purge *purge = container_of(commit, struct purge, commit);

	if (commit->err != ERR_NONE && commit->err != ERR_NOT_FOUND) {
		try_later(
		    purge, "rows of a removed account remain", commit->err);
		return;
	}
	purge->wait_ms = 0;
	if (commit->err == ERR_NOT_FOUND)
		purge->done++;
	purge_next(&purge->owners);
}

static void
purge_next(struct store_owners *owners)
{
	struct purge *purge = container_of(owners, struct purge, owners);

	if (owners->err != ERR_NONE) {
		try_later(
		    purge, "removed accounts cannot be listed", owners->err);
		return;
	}
	if (purge->done < owners->count) {
		purge_some(purge);
		return;
	}
	if (purge->is_start && owners->count > 0)
		purge_start(purge->shard);
	purge_free(purge);
}

void
purge_owner(struct shard *shard, owner_id owner)
{
	struct purge *purge = purge_new(shard);
	struct owner_row *row = arena_new(purge->arena, struct owner_row);

	row->id = owner;
	purge->owners.rows = row;
	purge->owners.count = 1;
	purge_some(purge);
}

void
purge_start(struct shard *shard)
{
	struct purge *purge = purge_new(shard);

	purge->is_start = true;
	list_owners(purge);
}

void
purge_free_all(struct shard *shard)
{
	list_each (purge, &shard->purges, struct purge, link)
		purge_free(purge);
	list_init(&shard->purges);
}

#include "server/purge.h"

#include "base/err.h"
#include "base/log.h"
#include "server/shard.h"

#define PURGE_ROWS 500
#define PAGE_MAX   100

static void purge_next(struct store_owners *);
static void purge_done(struct store_commit *);

/* The owners whose rows go, in an arena of their own. */
struct purge {
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
purge_done(struct store_commit *commit)
{
	struct purge *purge = container_of(commit, struct purge, commit);

	if (commit->err == ERR_NONE) {
		purge_some(purge);
	} else if (commit->err == ERR_NOT_FOUND) {
		purge->done++;
		purge_next(&purge->owners);
	} else {
		log_warn(&log_server, "rows of a removed account remain: %s",
		    err_text(commit->err));
		purge_free(purge);
	}
}

static void
purge_next(struct store_owners *owners)
{
	struct purge *purge = container_of(owners, struct purge, owners);

	if (owners->err != ERR_NONE)
		log_warn(&log_server, "removed accounts cannot be listed: %s",
		    err_text(owners->err));
	if (owners->err == ERR_NONE && purge->done < owners->count) {
		purge_some(purge);
		return;
	}
	if (purge->is_start && owners->err == ERR_NONE && owners->count > 0)
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
	store_owner_deleted(
	    shard->store, &purge->owners, purge->arena, PAGE_MAX, purge_next);
}

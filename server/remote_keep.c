#include "base/clock.h"
#include "base/err.h"
#include "server/metrics.h"
#include "server/remote_private.h"
#include "server/remote_queue.h"
#include "server/settings.h"
#include "server/settle.h"
#include "server/setup.h"

#define RETRY_MS (10 * SECOND)
/* Who is not connected acknowledges nothing soon. */
#define HOPELESS_MS 20

static void on_keep(struct timer *);
static void kept(struct store_commit *);

/* What became of rows; in an arena of its own. */
struct keeping {
	struct store_commit commit;
	struct arena *arena;
	struct pair *pair;
	uint64_t first, last; /* rows */
};

static uint64_t
keep_after(const struct pair *pair)
{
	const uint64_t ms = config_ms(setup_config(pair_shard(pair)->setup),
	    CONFIG_GLOBAL, SETTING(S2S_KEEP_AFTER));

	return pair->path_count == 0 && ms > HOPELESS_MS ? HOPELESS_MS : ms;
}

void
keep_watch(struct entry *entry)
{
	struct pair *pair = entry->pair;

	if (!timer_is_running(&pair->keep))
		timer_start(
		    pair_shard(pair), &pair->keep, keep_after(pair), on_keep);
}

static struct keeping *
keeping_new(struct pair *pair)
{
	struct arena *arena = arena_make(0);
	struct keeping *keeping = arena_new(arena, struct keeping);

	keeping->arena = arena;
	keeping->pair = pair;
	pair->open_writes++;
	return keeping;
}

static bool
is_due(const struct entry *entry, uint64_t age_ms)
{
	return entry->is_keepable && entry->letter->durable.row == 0 &&
	       entry->since_ms + age_ms <= clock_mono_ms();
}

/* Adds the rows of those that are due. */
static void
add_rows(struct keeping *keeping, struct store_write *write,
    struct list *entries, uint64_t age_ms)
{
	struct shard *shard = pair_shard(keeping->pair);

	list_each (entry, entries, struct entry, link) {
		struct post *letter = entry->letter;

		if (!is_due(entry, age_ms))
			continue;
		outbox_keep(shard, write, letter, entry->since_us);
		if (keeping->first == 0)
			keeping->first = letter->durable.row;
		keeping->last = letter->durable.row;
	}
}

static bool
has_due(const struct list *entries, uint64_t age_ms)
{
	list_each (entry, entries, struct entry, link)
		if (is_due(entry, age_ms))
			return true;
	return false;
}

void
keep_older(struct pair *pair, uint64_t age_ms)
{
	struct store_write *write;
	struct keeping *keeping;

	if (!has_due(&pair->sent, age_ms) && !has_due(&pair->waits, age_ms))
		return;
	write = store_write_new(pair_shard(pair)->store);
	keeping = keeping_new(pair);
	add_rows(keeping, write, &pair->sent, age_ms);
	add_rows(keeping, write, &pair->waits, age_ms);
	store_commit(write, &keeping->commit, kept);
}

/* Those that are younger still make it ring again. */
static void
watch_rest(const struct list *entries)
{
	list_each (entry, entries, struct entry, link)
		if (is_due(entry, 0)) {
			keep_watch(entry);
			return;
		}
}

static void
on_keep(struct timer *timer)
{
	struct pair *pair = container_of(timer, struct pair, keep);

	keep_older(pair, keep_after(pair));
	watch_rest(&pair->sent);
	watch_rest(&pair->waits);
}

/* Of a write that failed nothing is there: those that still wait are written
 * again later. */
static void
settle_rows(
    const struct keeping *keeping, struct list *entries, bool is_committed)
{
	list_each (entry, entries, struct entry, link) {
		struct durable_id *durable = &entry->letter->durable;

		if (!entry->is_keepable || durable->row < keeping->first ||
		    durable->row > keeping->last)
			continue;
		if (!is_committed) {
			*durable = (struct durable_id){0};
			continue;
		}
		entry->is_kept = true;
		receipt_settle(
		    pair_shard(keeping->pair), &entry->letter->receipt);
	}
}

static void
kept(struct store_commit *commit)
{
	struct keeping *keeping = container_of(commit, struct keeping, commit);
	struct pair *pair = keeping->pair;
	struct arena *arena = keeping->arena;
	const bool has_failed =
	    commit->err != ERR_NONE && commit->err != ERR_UNCERTAIN;

	pair->open_writes--;
	if (commit->err == ERR_NONE || has_failed) {
		settle_rows(keeping, &pair->sent, !has_failed);
		settle_rows(keeping, &pair->waits, !has_failed);
	}
	if (has_failed) {
		log_warn(&pair->log, "messages that wait could not be kept: %s",
		    err_text(commit->err));
		metric_add(pair_shard(pair), METRIC_STORE_ERRORS, 1);
		timer_start(pair_shard(pair), &pair->keep, RETRY_MS, on_keep);
	}
	arena_free(&arena);
	pair_settle(pair);
}

/*
 * modules/archive_limit.c - archives are kept for a time and up to a number of
 * messages, as the host says; the oldest go (XEP-0313, section 3.2). Every
 * account is looked at once a day; one that grows, more often.
 */
#include "base/clock.h"
#include "base/err.h"
#include "base/log.h"
#include "modules/archive_private.h"
#include "server/setup.h"

/* Rows removed at once. */
#define ROWS_MAX 500
/* Beyond its limit an archive may have this share more, and a few. */
#define SLACK_SHARE 16
#define SLACK_ROWS  10

static void some_removed(struct store_commit *);

struct limiting {
	struct store_commit commit;
	struct log_limit limit;
	struct store *store;
	struct arena *arena;
};

static uint64_t
keep_count(const struct host *host)
{
	return host_int(host, &archive_settings[ARCHIVE_KEEP_MESSAGES]);
}

static void
remove_some(struct limiting *limiting)
{
	store_log_limit(
	    limiting->store, &limiting->commit, &limiting->limit, some_removed);
}

static void
some_removed(struct store_commit *commit)
{
	struct limiting *limiting =
	    container_of(commit, struct limiting, commit);
	struct arena *arena = limiting->arena;

	if (commit->err == ERR_NONE) {
		remove_some(limiting);
		return;
	}
	if (commit->err != ERR_NOT_FOUND && commit->err != ERR_CANCELED)
		log_warn(&log_server, "old messages remain in archives: %s",
		    err_text(commit->err));
	arena_free(&arena);
}

void
archive_limit(struct shard *shard, const struct host *host, owner_id owner)
{
	const uint64_t keep_us =
	    config_ms(setup_config(host->setup), host->index,
		&archive_settings[ARCHIVE_KEEP_FOR]) *
	    1000;
	const uint64_t now_us = clock_wall_us(), keep = keep_count(host);
	struct limiting *limiting;
	struct arena *arena;

	if (keep_us == 0 && keep == 0)
		return;
	arena = arena_make(0);
	limiting = arena_new(arena, struct limiting);
	limiting->arena = arena;
	limiting->store = shard->store;
	limiting->limit = (struct log_limit){.owner = owner,
	    .kind = &archive_kind,
	    .before = keep_us > 0 && keep_us < now_us ? now_us - keep_us : 0,
	    .keep = keep,
	    .max = ROWS_MAX};
	remove_some(limiting);
}

void
archive_limit_grown(struct account *account)
{
	struct archive *archive = archive_of(account);
	const uint64_t keep = keep_count(account->host);

	if (keep == 0 || ++archive->grown < keep / SLACK_SHARE + SLACK_ROWS)
		return;
	archive->grown = 0;
	archive_limit(account->owner.shard, account->host, account->owner.id);
}

#include "server/sweep.h"

#include <stdlib.h>

#include "base/err.h"
#include "base/log.h"
#include "server/setting.h"
#include "server/setup.h"
#include "server/timer.h"

#define FIRST_MS MINUTE
#define ROUND_MS DAY
/* So many accounts at once, so long after the ones before. */
#define PAGE_MAX 100
#define PAGE_MS  200

static void on_turn(struct timer *);
static void owners_listed(struct store_owners *);

struct sweep {
	struct timer timer;
	struct store_owners owners;
	struct shard *shard;
	struct arena *arena; /* of the accounts at hand */
	size_t host;         /* that is visited, by its place in the setup */
	struct str after;    /* its account that was visited last */
	struct buf buf;      /* holds it */
};

static void
wait_for(struct sweep *sweep, uint64_t ms)
{
	timer_start(sweep->shard, &sweep->timer, ms, on_turn);
}

void
sweep_start(struct shard *shard)
{
	struct sweep *sweep = calloc(1, sizeof(*sweep));

	must(sweep != NULL);
	sweep->shard = shard;
	shard->sweep = sweep;
	wait_for(sweep, FIRST_MS);
}

static void
go_on_after(struct sweep *sweep, struct str local)
{
	buf_clear(&sweep->buf, SIZE_MAX);
	buf_add(&sweep->buf, local);
	sweep->after = buf_str(&sweep->buf);
}

static void
next_host(struct sweep *sweep)
{
	size_t count;

	(void)setup_hosts(sweep->shard->setup, &count);
	go_on_after(sweep, STR(""));
	if (++sweep->host < count) {
		wait_for(sweep, PAGE_MS);
		return;
	}
	sweep->host = 0;
	wait_for(sweep, ROUND_MS);
}

/* A reload may have taken hosts away. */
static void
on_turn(struct timer *timer)
{
	struct sweep *sweep = container_of(timer, struct sweep, timer);
	size_t count;
	const struct host *hosts = setup_hosts(sweep->shard->setup, &count);

	if (sweep->host >= count) {
		next_host(sweep);
		return;
	}
	sweep->arena = arena_make(0);
	store_owner_list(sweep->shard->store, &sweep->owners, sweep->arena,
	    &(struct owner_query){
		hosts[sweep->host].name, sweep->after, PAGE_MAX},
	    owners_listed);
}

static void
visit(struct sweep *sweep, const struct owner_row *row)
{
	const struct host *host = setup_host(sweep->shard->setup, row->host);

	if (host != NULL)
		hook_sweep(sweep->shard, host, row->id);
}

static void
owners_listed(struct store_owners *owners)
{
	struct sweep *sweep = container_of(owners, struct sweep, owners);
	const enum err err = owners->err;
	const size_t count = owners->count;

	for (size_t i = 0; err == ERR_NONE && i < count; i++)
		visit(sweep, &owners->rows[i]);
	if (err == ERR_NONE && count > 0)
		go_on_after(sweep, owners->rows[count - 1].local);
	arena_free(&sweep->arena);
	if (err == ERR_CANCELED)
		return;
	if (err != ERR_NONE)
		log_warn(&log_server, "accounts cannot be listed: %s",
		    err_text(err));
	if (err == ERR_NONE && count == PAGE_MAX)
		wait_for(sweep, PAGE_MS);
	else
		next_host(sweep);
}

void
sweep_free(struct shard *shard)
{
	struct sweep *sweep = shard->sweep;

	if (sweep == NULL)
		return;
	timer_stop(shard, &sweep->timer);
	arena_free(&sweep->arena);
	buf_deinit(&sweep->buf);
	free(sweep);
	shard->sweep = NULL;
}

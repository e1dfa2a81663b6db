/*
 * The link of a pair: when it breaks, what accounts are told of it, and until
 * when it is tried again though nothing waits.
 */
#include <stdlib.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/hash.h"
#include "server/remote.h"
#include "server/remote_private.h"
#include "server/remote_queue.h"
#include "server/settings.h"
#include "server/setup.h"

/* Links that are missed though their pair is forgotten, of a shard: more are
 * all missed when they come. */
#define MISSED_MAX 65536

static bool
is_acquainted(const struct pair *pair)
{
	return acquaintance_find(&pair_shard(pair)->server->acquaintances,
	    jid_full(pair->remote->domain));
}

static void
tell_accounts(struct pair *pair, enum domain_event event)
{
	struct shard *shard = pair_shard(pair);

	if (!is_acquainted(pair))
		return;
	for (unsigned i = 0; i < shard->server->shard_count; i++) {
		struct post *letter = post_new(POST_DOMAIN, NULL);
		struct domain_note *note =
		    arena_new(letter->arena, struct domain_note);

		note->event = event;
		note->local = str_dup(letter->arena, pair->local);
		note->domain =
		    str_dup(letter->arena, jid_full(pair->remote->domain));
		letter->domain = note;
		post_send_to(shard, i, letter);
	}
}

static void
be_lost(struct pair *pair, const char *why)
{
	if (pair->is_lost)
		return;
	log_info(
	    &pair->log, "%s: contacts there are shown as unavailable", why);
	pair->is_lost = true;
	tell_accounts(pair, DOMAIN_LOST);
}

static void
on_lost(struct timer *timer)
{
	struct pair *pair = container_of(timer, struct pair, lost);

	if (pair->path_count == 0)
		be_lost(pair, "not reached for long");
}

void
link_missed(struct pair *pair)
{
	if (!pair->is_lost && !timer_is_running(&pair->lost))
		timer_start(pair_shard(pair), &pair->lost,
		    config_ms(setup_config(pair_shard(pair)->setup),
			CONFIG_GLOBAL, SETTING(S2S_PRESENCE_LOST)),
		    on_lost);
}

void
link_broke(struct pair *pair, enum stanza_err err)
{
	if (err != STANZA_ERR_NONE && pair->broken_ms == 0 &&
	    (pair->is_ours_to_resume || is_acquainted(pair)))
		pair->broken_ms = clock_mono_ms();
	if (pair->broken_ms != 0)
		link_missed(pair);
}

/* What was sent on a path that is resumed arrives after all. */
void
link_found(struct pair *pair, bool is_resumed)
{
	owed_return(pair);
	if (pair->is_lost || pair->is_behind)
		tell_accounts(pair, DOMAIN_BACK);
	else if (pair->broken_ms != 0 && !is_resumed)
		tell_accounts(pair, DOMAIN_DOUBTED);
	pair->is_lost = false;
	pair->is_behind = false;
	pair->broken_ms = 0;
	timer_stop(pair_shard(pair), &pair->lost);
}

bool
link_is_given_up(const struct pair *pair)
{
	if (pair_gives_way(pair))
		return true;
	return pair->broken_ms != 0 &&
	       clock_mono_ms() - pair->broken_ms > GIVE_UP_MS;
}

void
link_give_up(struct pair *pair)
{
	pair->broken_ms = 0;
	owed_return(pair);
	queue_sweep(pair, false);
}

/* Strangers can break any number of links: one of so many is not tried again
 * for its own sake, and nothing waits for it that was not promised. */
void
link_fell_silent(struct pair *pair)
{
	struct shard *shard = pair_shard(pair);

	shard->remotes->silent_count++;
	if (!pair_is_in_crowd(pair))
		return;
	if (pair->broken_ms != 0 || !queue_is_empty(pair)) {
		be_lost(pair, "one of too many links that broke");
		link_give_up(pair);
	}
	if (queue_is_empty(pair))
		timer_stop(shard, &pair->retry);
}

/* --- links that are missed and forgotten --------------------------------- */

/* Known by its hash alone: who has that of another is told too much. */
struct missed {
	struct table_link link;
};

static uint64_t
link_hash(struct str local, struct str domain)
{
	return hash_keyed(domain) + 3 * hash_keyed(local);
}

static bool
is_it(const struct table_link *link, const void *key)
{
	(void)link, (void)key;
	return true;
}

static void
missed_remove(struct remotes *remotes, struct table_link *link)
{
	table_remove(&remotes->missed, link);
	free(container_of(link, struct missed, link));
}

void
link_missed_some(struct shard *shard, struct str local, struct str domain)
{
	struct remotes *remotes = shard->remotes;
	const uint64_t hash = link_hash(local, domain);
	struct missed *missed;

	if (table_find(&remotes->missed, hash, is_it, NULL) != NULL)
		return;
	if (remotes->missed.count == MISSED_MAX) {
		remotes->misses_all = true;
		return;
	}
	missed = calloc(1, sizeof(*missed));
	must(missed != NULL);
	table_add(&remotes->missed, &missed->link, hash);
}

void
link_forget(struct pair *pair)
{
	if ((pair->is_lost || pair->is_behind) && is_acquainted(pair))
		link_missed_some(pair_shard(pair), pair->local,
		    jid_full(pair->remote->domain));
}

void
link_recall(struct pair *pair)
{
	struct remotes *remotes = pair_shard(pair)->remotes;
	const uint64_t hash =
	    link_hash(pair->local, jid_full(pair->remote->domain));
	struct table_link *link =
	    table_find(&remotes->missed, hash, is_it, NULL);

	if (link != NULL)
		missed_remove(remotes, link);
	else if (!remotes->misses_all || !is_acquainted(pair))
		return;
	pair->is_behind = true;
	pair->broken_ms = clock_mono_ms();
}

void
links_free(struct remotes *remotes)
{
	struct table_link *link;

	while ((link = table_next(&remotes->missed, NULL)) != NULL)
		missed_remove(remotes, link);
	table_deinit(&remotes->missed);
}

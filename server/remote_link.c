/*
 * The link of a pair: when it breaks, what accounts are told of it, and until
 * when it is tried again though nothing waits.
 */
#include "base/clock.h"
#include "server/remote.h"
#include "server/remote_private.h"
#include "server/remote_queue.h"
#include "server/settings.h"
#include "server/setup.h"

static void
tell_accounts(struct pair *pair, enum domain_event event)
{
	struct shard *shard = pair_shard(pair);

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
on_lost(struct timer *timer)
{
	struct pair *pair = container_of(timer, struct pair, lost);

	if (pair->path_count > 0)
		return;
	log_info(&pair->log, "not reached for long: contacts there are shown "
			     "as unavailable");
	pair->is_lost = true;
	tell_accounts(pair, DOMAIN_LOST);
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
	if (err != STANZA_ERR_NONE && pair->broken_ms == 0)
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

/* In a crowd, when accounts were told. */
bool
link_is_given_up(const struct pair *pair)
{
	if (pair->is_lost && pair_is_in_crowd(pair))
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

/*
 * The link of a pair: who misses it when it breaks, what accounts are told, and
 * until when it is tried again though nothing waits.
 * Nobody misses a stranger: a domain, not of a component, that took no presence
 * of ours. So what strangers do with their links, of which they can break any
 * number, makes no work but theirs, and where too many are silent they are
 * forgotten. Only when an account shows somebody of theirs, and few are silent,
 * a stranger is looked for until he is lost.
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

/* Of a shard: who comes later remains a stranger. */
#define BONDS_MAX 65536
/* Where more are silent nobody looks for strangers that accounts show: for each
 * one that is lost all accounts are asked. */
#define SEEN_MAX 256

/* What is known of a pair also when it is forgotten, by its hash alone: who has
 * that of another is told too much. */
struct bond {
	struct table_link link;
	bool is_met, is_missed;
};

/* --- what accounts are told ----------------------------------------------- */

/* Somebody may see who is there, or was not told something. */
static bool
is_of_concern(const struct pair *pair)
{
	return pair->is_acquainted || pair->is_behind;
}

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

static bool
shows_strangers(const struct pair *pair)
{
	return pair->is_seen && pair->broken_ms != 0 && !is_of_concern(pair);
}

bool
link_is_of_strangers(const struct pair *pair)
{
	return shows_strangers(pair) && list_is_empty(&pair->owed);
}

/* Nobody is asked when it is back: who is no contact need not answer. What is
 * owed there is still to be said. */
static void
lose_strangers(struct pair *pair)
{
	if (list_is_empty(&pair->owed))
		pair->broken_ms = 0;
	pair->is_seen = false;
	tell_accounts(pair, DOMAIN_LOST);
}

static void
on_lost(struct timer *timer)
{
	struct pair *pair = container_of(timer, struct pair, lost);

	if (shows_strangers(pair) && pair_is_silent(pair))
		lose_strangers(pair);
	if (pair->path_count > 0 || !is_of_concern(pair))
		return;
	log_info(&pair->log, "not reached for long: contacts there are shown "
			     "as unavailable");
	pair->is_lost = true;
	tell_accounts(pair, DOMAIN_LOST);
}

static void
begin_losing(struct pair *pair)
{
	if (!pair->is_lost && !timer_is_running(&pair->lost))
		timer_start(pair_shard(pair), &pair->lost,
		    config_ms(setup_config(pair_shard(pair)->setup),
			CONFIG_GLOBAL, SETTING(S2S_PRESENCE_LOST)),
		    on_lost);
}

static void
be_broken(struct pair *pair)
{
	if (pair->broken_ms == 0)
		pair->broken_ms = clock_mono_ms();
}

void
link_broke(struct pair *pair, enum stanza_err err)
{
	const bool is_missed =
	    pair->is_acquainted ||
	    (pair->is_seen && pair_is_silent(pair) &&
		pair_shard(pair)->remotes->silent_count < SEEN_MAX);

	if (err != STANZA_ERR_NONE && is_missed)
		be_broken(pair);
	if (pair->broken_ms != 0)
		begin_losing(pair);
}

void
link_failed(struct pair *pair)
{
	if (pair->is_acquainted)
		be_broken(pair);
	if (!pair->is_refused || pair->broken_ms != 0)
		begin_losing(pair);
}

void
link_be_behind(struct pair *pair)
{
	pair->is_behind = true;
	be_broken(pair);
}

/* Only a path of ours can make good what contacts missed. */
void
link_heard(struct pair *pair)
{
	if (link_is_of_strangers(pair)) {
		pair->broken_ms = 0;
		timer_stop(pair_shard(pair), &pair->lost);
	}
	if (pair->is_lost || pair->is_behind)
		be_broken(pair);
}

/* What was sent on a path that is resumed arrives after all. */
void
link_found(struct pair *pair, bool is_resumed)
{
	owed_return(pair);
	if (pair->is_lost || pair->is_behind)
		tell_accounts(pair, DOMAIN_BACK);
	else if (pair->broken_ms != 0 && !is_resumed &&
		 !link_is_of_strangers(pair))
		tell_accounts(pair, DOMAIN_DOUBTED);
	pair->is_lost = false;
	pair->is_behind = false;
	pair->broken_ms = 0;
	timer_stop(pair_shard(pair), &pair->lost);
}

/* --- what is given up ----------------------------------------------------- */

/* In a crowd, when it was missed for as long as anybody may. */
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
	pair->resume_until_ms = 0;
	owed_return(pair);
	queue_sweep(pair, false);
}

void
link_end(struct pair *pair)
{
	if (!pair->is_lost)
		tell_accounts(pair, DOMAIN_LOST);
	pair->is_lost = true;
	pair->broken_ms = 0;
	timer_stop(pair_shard(pair), &pair->lost);
	owed_return(pair);
}

/* One of too many strangers: what was not promised waits no longer. */
static void
give_way(struct pair *pair)
{
	pair->gives_way = true;
	link_give_up(pair);
	if (queue_is_empty(pair))
		timer_stop(pair_shard(pair), &pair->retry);
}

/* Accounts may have seen somebody since they were told of a loss. */
void
link_fell_silent(struct pair *pair)
{
	if (!pair->is_acquainted)
		pair_shard(pair)->remotes->silent_count++;
	if (pair_is_in_crowd(pair)) {
		give_way(pair);
	} else if (pair->is_lost && pair->broken_ms != 0) {
		pair->is_lost = false;
		pair->is_behind = true;
		begin_losing(pair);
	}
}

/* --- what stays known ----------------------------------------------------- */

static uint64_t
bond_hash(struct str local, struct str domain)
{
	return hash_keyed(domain) + 3 * hash_keyed(local);
}

static bool
is_it(const struct table_link *link, const void *key)
{
	(void)link, (void)key;
	return true;
}

static struct bond *
bond_find(const struct remotes *remotes, uint64_t hash)
{
	return table_entry(
	    table_find(&remotes->bonds, hash, is_it, NULL), struct bond, link);
}

/* NULL when there are too many. */
static struct bond *
bond_want(struct remotes *remotes, uint64_t hash)
{
	struct bond *bond = bond_find(remotes, hash);

	if (bond != NULL)
		return bond;
	if (remotes->bonds.count >= BONDS_MAX) {
		if (queue_tells_full(&remotes->bonds_told_ms))
			log_warn(&log_server,
			    "too many other servers took presence: further "
			    "ones are not missed when they are lost");
		return NULL;
	}
	bond = calloc(1, sizeof(*bond));
	must(bond != NULL);
	table_add(&remotes->bonds, &bond->link, hash);
	return bond;
}

static void
bond_free(struct remotes *remotes, struct bond *bond)
{
	table_remove(&remotes->bonds, &bond->link);
	free(bond);
}

static uint64_t
hash_of(const struct pair *pair)
{
	return bond_hash(pair->local, jid_full(pair->remote->domain));
}

/* Accounts are of hosts; what a component says, strangers may have asked for.
 */
bool
link_know(struct shard *shard, struct str local, struct str domain)
{
	struct bond *bond;

	if (setup_host(shard->setup, local) == NULL)
		return false;
	bond = bond_want(shard->remotes, bond_hash(local, domain));
	if (bond != NULL)
		bond->is_met = true;
	return bond != NULL;
}

bool
link_is_known(const struct shard *shard, struct str local, struct str domain)
{
	const struct bond *bond =
	    bond_find(shard->remotes, bond_hash(local, domain));

	return bond != NULL && bond->is_met;
}

void
link_meet(struct pair *pair)
{
	struct shard *shard = pair_shard(pair);

	if (!link_know(shard, pair->local, jid_full(pair->remote->domain)))
		return;
	if (pair_is_unknown(pair))
		shard->remotes->silent_count--;
	pair->is_acquainted = true;
}

void
link_miss(struct shard *shard, struct str local, struct str domain)
{
	struct bond *bond = bond_want(shard->remotes, bond_hash(local, domain));

	if (bond != NULL)
		bond->is_missed = true;
}

void
link_forget(struct pair *pair)
{
	if (is_of_concern(pair) && (pair->is_lost || pair->is_behind))
		link_miss(pair_shard(pair), pair->local,
		    jid_full(pair->remote->domain));
}

void
link_recall(struct pair *pair)
{
	struct remotes *remotes = pair_shard(pair)->remotes;
	struct bond *bond = bond_find(remotes, hash_of(pair));

	pair->is_acquainted =
	    pair_is_component(pair) || (bond != NULL && bond->is_met);
	if (bond == NULL || !bond->is_missed)
		return;
	bond->is_missed = false;
	if (!bond->is_met)
		bond_free(remotes, bond);
	link_be_behind(pair);
}

void
links_free(struct remotes *remotes)
{
	struct table_link *link;

	while ((link = table_next(&remotes->bonds, NULL)) != NULL)
		bond_free(remotes, container_of(link, struct bond, link));
	table_deinit(&remotes->bonds);
}

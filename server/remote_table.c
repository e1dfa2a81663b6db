#include "server/remote_table.h"

#include "base/clock.h"
#include "base/hash.h"
#include "server/remote_private.h"

#define UNUSED_MAX 1000

static bool
is_remote(const struct table_link *link, const void *key)
{
	const struct remote *remote =
	    container_of((struct table_link *)link, struct remote, link);

	return jid_equal(remote->domain, key);
}

struct remote *
remote_find(const struct shard *shard, const struct jid *domain)
{
	return table_entry(table_find(&shard->remotes->table,
			       hash_keyed(jid_full(domain)), is_remote, domain),
	    struct remote, link);
}

static struct remote *
remote_new(struct shard *shard, const struct jid *domain)
{
	struct arena *arena = arena_make(0);
	struct remote *remote = arena_new(arena, struct remote);

	remote->shard = shard;
	remote->arena = arena;
	remote->domain = jid_copy(arena, domain);
	list_init(&remote->pairs);
	table_add(&shard->remotes->table, &remote->link,
	    hash_keyed(jid_full(domain)));
	return remote;
}

struct remote *
remote_want(struct shard *shard, const struct jid *domain)
{
	struct remote *remote = remote_find(shard, domain);

	return remote == NULL ? remote_new(shard, domain) : remote;
}

struct remote *
remote_next(const struct remotes *remotes, const struct remote *remote)
{
	return table_entry(
	    table_next(&remotes->table, remote == NULL ? NULL : &remote->link),
	    struct remote, link);
}

static void
use(struct remote *remote)
{
	if (!list_holds(&remote->unused))
		return;
	list_remove(&remote->unused);
	remote->shard->remotes->unused_count--;
}

void
remote_free(struct remote *remote)
{
	struct arena *arena = remote->arena;

	use(remote);
	table_remove(&remote->shard->remotes->table, &remote->link);
	arena_free(&remote->why_arena);
	arena_free(&arena);
}

/* --- what is counted ------------------------------------------------------ */

static void
count(struct remote_counters *total, const struct remote_counters *more)
{
	total->sent += more->sent;
	total->received += more->received;
	total->bounced += more->bounced;
	total->dropped += more->dropped;
	total->connects += more->connects;
	total->failures += more->failures;
}

struct remote_counters
remote_total(const struct remote *remote)
{
	struct remote_counters total = remote->past;

	list_each (pair, &remote->pairs, struct pair, link)
		count(&total, &pair->counters);
	return total;
}

static struct remote *
least_of_use(const struct remotes *remotes)
{
	list_each (remote, &remotes->unused, struct remote, unused)
		if (remote->past.sent == 0 && remote->past.received == 0)
			return remote;
	return list_entry(list_first(&remotes->unused), struct remote, unused);
}

static void
disuse(struct remote *remote)
{
	struct remotes *remotes = remote->shard->remotes;

	remote->unused_ms = clock_mono_ms();
	list_add_last(&remotes->unused, &remote->unused);
	if (++remotes->unused_count > UNUSED_MAX)
		remote_free(least_of_use(remotes));
}

void
remote_add(struct remote *remote, struct pair *pair)
{
	use(remote);
	list_add_last(&remote->pairs, &pair->link);
}

void
remote_remove(struct pair *pair)
{
	struct remote *remote = pair->remote;

	list_remove(&pair->link);
	count(&remote->past, &pair->counters);
	if (pair->why.len > 0) {
		arena_free(&remote->why_arena);
		remote->why_arena = pair->why_arena;
		remote->why = pair->why;
		pair->why_arena = NULL;
	}
	if (list_is_empty(&remote->pairs))
		disuse(remote);
}

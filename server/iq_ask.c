#include "server/iq_ask.h"

#include <stdlib.h>

#include "base/hash.h"
#include "base/rand.h"
#include "server/router.h"

#define PREFIX   "ask"
#define RAND_LEN 12

struct str
iq_ask_id(struct shard *shard, struct arena *arena)
{
	const struct str random = rand_id(arena, RAND_LEN);

	return str_format(
	    arena, PREFIX "-%u-%.*s", shard->index, STR_ARG(random));
}

static bool
has_id(const struct table_link *link, const void *key)
{
	const struct iq_ask *ask =
	    container_of((struct table_link *)link, struct iq_ask, link);

	return str_equal(ask->id, *(const struct str *)key);
}

static void
end(struct iq_ask *ask, enum err err, const struct stanza *answer)
{
	table_remove(&ask->shard->asks, &ask->link);
	timer_stop(ask->shard, &ask->deadline);
	ask->err = err;
	ask->answer = answer;
	ask->done(ask);
}

static void
on_deadline(struct timer *timer)
{
	end(container_of(timer, struct iq_ask, deadline), ERR_TIMEOUT, NULL);
}

void
iq_ask(struct shard *shard, struct iq_ask *ask, const struct stanza *stanza,
    uint64_t within_ms, void (*done)(struct iq_ask *))
{
	shard_must_be_current(shard);
	*ask = (struct iq_ask){
	    .shard = shard, .to = stanza->to, .id = stanza->id, .done = done};
	table_add(&shard->asks, &ask->link, hash_keyed(ask->id));
	timer_start(shard, &ask->deadline, within_ms, on_deadline);
	router_send(shard, NULL, stanza);
}

/* Which shard an id of ours names; shard_count for another's id. */
static unsigned
shard_of_id(const struct server *server, struct str id)
{
	struct str prefix, rest, number, random;
	uint64_t index;

	if (!str_cut(id, '-', &prefix, &rest) || !str_is(prefix, PREFIX) ||
	    !str_cut(rest, '-', &number, &random) ||
	    !str_to_u64(number, server->shard_count - 1, &index))
		return server->shard_count;
	return (unsigned)index;
}

void
iq_ask_route(struct shard *shard, struct post *letter)
{
	const unsigned index = shard_of_id(shard->server, letter->stanza->id);

	if (index == shard->server->shard_count) {
		post_free(&letter);
		return;
	}
	letter = post_own(letter);
	letter->kind = POST_ANSWER;
	post_send_to(shard, index, letter);
}

void
iq_ask_take(struct shard *shard, struct post *letter)
{
	const struct stanza *answer = letter->stanza;
	struct iq_ask *ask =
	    table_entry(table_find(&shard->asks, hash_keyed(answer->id), has_id,
			    &answer->id),
		struct iq_ask, link);

	if (ask != NULL && answer->from != NULL &&
	    jid_equal(answer->from, ask->to))
		end(ask, ERR_NONE, answer);
	post_free(&letter);
}

void
iq_ask_cancel(struct shard *shard)
{
	struct table_link *link;

	while ((link = table_next(&shard->asks, NULL)) != NULL)
		end(container_of(link, struct iq_ask, link), ERR_CANCELED,
		    NULL);
}

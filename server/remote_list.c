#include "server/remote_list.h"

#include "base/clock.h"
#include "server/remote_private.h"
#include "server/remote_queue.h"

static json_t *
text(struct str str)
{
	return str.len == 0 ? json_null() : json_stringn(str.text, str.len);
}

static json_t *
number(uint64_t count)
{
	return json_integer((json_int_t)count);
}

static const char *
state_of(const struct pair *pair)
{
	if (pair->path_count > 0)
		return "connected";
	if (pair->is_asked)
		return "connecting";
	if (pair->is_refused)
		return "refused";
	if (timer_is_running(&pair->retry))
		return "waiting";
	return "idle";
}

static json_t *
stream_json(const struct path *path, const char *direction)
{
	json_t *json = json_object();

	json_object_set_new(json, "direction", json_string(direction));
	json_object_set_new(json, "bidirectional", json_boolean(path->is_bidi));
	json_object_set_new(
	    json, "stream_management", json_boolean(path->has_acks));
	if (path->is_out)
		json_object_set_new(
		    json, "resumed", json_boolean(path->is_resumed));
	json_object_set_new(json, "proof", text(str_of(path->proof)));
	json_object_set_new(json, "tls", text(str_of(path->tls)));
	json_object_set_new(json, "address", text(str_of(path->address)));
	json_object_set_new(
	    json, "age_s", number((clock_mono_ms() - path->since_ms) / 1000));
	return json;
}

/* A bidirectional stream of theirs is a path and an ear. */
static json_t *
streams_json(const struct pair *pair)
{
	json_t *list = json_array();

	for (unsigned i = 0; i < pair->path_count; i++)
		json_array_append_new(
		    list, stream_json(&pair->paths[i],
			      pair->paths[i].is_out ? "out" : "in"));
	for (unsigned i = 0; i < pair->ear_count; i++)
		if (!pair->ears[i].is_bidi)
			json_array_append_new(
			    list, stream_json(&pair->ears[i], "in"));
	return list;
}

static json_t *
counters_json(const struct remote_counters *counters)
{
	json_t *json = json_object();

	json_object_set_new(json, "sent", number(counters->sent));
	json_object_set_new(json, "received", number(counters->received));
	json_object_set_new(json, "bounced", number(counters->bounced));
	json_object_set_new(json, "dropped", number(counters->dropped));
	json_object_set_new(json, "connects", number(counters->connects));
	json_object_set_new(json, "failures", number(counters->failures));
	return json;
}

static uint64_t
age_s(const struct list *entries)
{
	const struct entry *first =
	    list_entry(list_first(entries), struct entry, link);

	return first == NULL ? 0 : (clock_mono_ms() - first->since_ms) / 1000;
}

static uint64_t
oldest_s(const struct pair *pair)
{
	uint64_t oldest = age_s(&pair->sent);

	if (oldest < age_s(&pair->waits))
		oldest = age_s(&pair->waits);
	if (oldest < age_s(&pair->undecided))
		oldest = age_s(&pair->undecided);
	if (oldest < age_s(&pair->owed))
		oldest = age_s(&pair->owed);
	return oldest;
}

/* Of what waits or is not acknowledged: what outlives the server. */
static uint64_t
kept_count(const struct list *entries)
{
	uint64_t count = 0;

	list_each (entry, entries, struct entry, link)
		if (entry->is_kept)
			count++;
	return count;
}

/* What a stream carried that broke: nobody knows yet whether it arrived. */
static uint64_t
doubted_count(const struct pair *pair)
{
	uint64_t count = 0;

	list_each (entry, &pair->waits, struct entry, link)
		count += entry->fate == FATE_OPEN;
	list_each (entry, &pair->owed, struct entry, link)
		count += entry->fate == FATE_OPEN;
	list_each (entry, &pair->undecided, struct entry, link)
		count++;
	return count;
}

static json_t *
next_try_s(const struct pair *pair)
{
	const uint64_t now = clock_mono_ms();

	if (!timer_is_running(&pair->retry))
		return json_null();
	return number(
	    pair->retry.due_ms > now ? (pair->retry.due_ms - now) / 1000 : 0);
}

static json_t *
pair_json(const struct pair *pair)
{
	json_t *json = json_object();

	json_object_set_new(json, "local", text(pair->local));
	json_object_set_new(
	    json, "remote", text(jid_full(pair->remote->domain)));
	json_object_set_new(json, "state", json_string(state_of(pair)));
	json_object_set_new(json, "streams", streams_json(pair));
	json_object_set_new(json, "queued", number(pair->count));
	json_object_set_new(json, "kept",
	    number(kept_count(&pair->sent) + kept_count(&pair->waits) +
		   kept_count(&pair->owed)));
	json_object_set_new(json, "in_doubt", number(doubted_count(pair)));
	json_object_set_new(json, "oldest_s", number(oldest_s(pair)));
	json_object_set_new(json, "next_try_s", next_try_s(pair));
	json_object_set_new(json, "last_error", text(pair->why));
	json_object_set_new(json, "stanzas", counters_json(&pair->counters));
	return json;
}

json_t *
remote_list(struct shard *shard)
{
	const struct remote *remote = NULL;
	json_t *list = json_array();

	while ((remote = remote_next(shard->remotes, remote)) != NULL)
		list_each (pair, &remote->pairs, struct pair, link)
			json_array_append_new(list, pair_json(pair));
	return list;
}

static json_t *
unused_s(const struct remote *remote)
{
	if (!list_is_empty(&remote->pairs))
		return json_null();
	return number((clock_mono_ms() - remote->unused_ms) / 1000);
}

static json_t *
domain_json(const struct remote *remote)
{
	const struct remote_counters total = remote_total(remote);
	json_t *json = json_object();

	json_object_set_new(json, "domain", text(jid_full(remote->domain)));
	json_object_set_new(json, "unused_s", unused_s(remote));
	json_object_set_new(json, "last_error", text(remote->why));
	json_object_set_new(json, "stanzas", counters_json(&total));
	return json;
}

json_t *
remote_list_domains(struct shard *shard)
{
	const struct remote *remote = NULL;
	json_t *list = json_array();

	while ((remote = remote_next(shard->remotes, remote)) != NULL)
		json_array_append_new(list, domain_json(remote));
	return list;
}

#include "server/remote.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/rand.h"
#include "server/domains.h"
#include "server/metrics.h"
#include "server/remote_private.h"
#include "server/remote_queue.h"
#include "server/router.h"
#include "server/settings.h"
#include "server/setup.h"
#include "server/stream.h"

/* A path that ends sooner, without use, is one more failure. */
#define LASTING_MS       (1 * MINUTE)
#define BACKOFF_FIRST_MS (1 * SECOND)
#define BACKOFF_LAST_MS  (5 * MINUTE)
/* Where more attempts are under way, answers to strangers wait: others do not
 * wait for these. */
#define ANSWERING_MAX 500

static void on_retry(struct timer *);

/* --- remotes and pairs ---------------------------------------------------- */

struct remotes *
remotes_new(void)
{
	struct remotes *remotes = calloc(1, sizeof(*remotes));

	must(remotes != NULL);
	table_init(&remotes->table);
	table_init(&remotes->bonds);
	list_init(&remotes->unused);
	return remotes;
}

bool
remote_is_on(const struct shard *shard)
{
	return shard->server->s2s_connect != NULL &&
	       config_bool(setup_config(shard->setup), CONFIG_GLOBAL,
		   SETTING(S2S_ENABLED));
}

static void
name_pair(const struct log *log, char *text, size_t len)
{
	const struct pair *pair = container_of(log, const struct pair, log);

	if (pair_is_component(pair))
		snprintf(text, len, "component %s", pair->remote->domain->text);
	else
		snprintf(text, len, "s2s %.*s -> %s", STR_ARG(pair->local),
		    pair->remote->domain->text);
}

static struct pair *
pair_find(const struct remote *remote, struct str local)
{
	if (remote == NULL)
		return NULL;
	list_each (pair, &remote->pairs, struct pair, link)
		if (str_equal(pair->local, local))
			return pair;
	return NULL;
}

static struct pair *
pair_new(struct remote *remote, struct str local)
{
	struct arena *arena = arena_make(0);
	struct pair *pair = arena_new(arena, struct pair);

	pair->remote = remote;
	pair->arena = arena;
	pair->local = str_dup(arena, local);
	pair->log.name = name_pair;
	pair->last_ticket = remote->shard->remotes->last_ticket;
	list_init(&pair->sent);
	list_init(&pair->waits);
	list_init(&pair->undecided);
	list_init(&pair->owed);
	table_init(&pair->requests);
	remote_add(remote, pair);
	link_recall(pair);
	if (!pair->is_acquainted)
		remote->shard->remotes->silent_count++;
	metric_add(remote->shard, METRIC_S2S_PAIRS, 1);
	return pair;
}

static void
pair_free(struct pair *pair)
{
	struct shard *shard = pair_shard(pair);
	struct arena *arena = pair->arena;

	link_forget(pair);
	queue_free(pair);
	table_deinit(&pair->requests);
	if (pair->last_ticket > shard->remotes->last_ticket)
		shard->remotes->last_ticket = pair->last_ticket;
	timer_stop(shard, &pair->retry);
	timer_stop(shard, &pair->doubt_end);
	timer_stop(shard, &pair->sweep);
	timer_stop(shard, &pair->keep);
	timer_stop(shard, &pair->lost);
	if (pair_is_unknown(pair))
		shard->remotes->silent_count--;
	metric_add(shard, METRIC_S2S_PAIRS, -1);
	remote_remove(pair);
	arena_free(&pair->why_arena);
	arena_free(&arena);
}

static struct pair *
pair_want(struct shard *shard, const struct jid *domain, struct str local)
{
	struct remote *remote = remote_want(shard, domain);
	struct pair *pair = pair_find(remote, local);

	return pair == NULL ? pair_new(remote, local) : pair;
}

void
remotes_free(struct remotes **remotes)
{
	struct remotes *freed = *remotes;
	struct remote *remote;
	struct pair *pair;

	while ((remote = remote_next(freed, NULL)) != NULL) {
		pair =
		    list_entry(list_first(&remote->pairs), struct pair, link);
		if (pair != NULL)
			pair_free(pair);
		else
			remote_free(remote);
	}
	table_deinit(&freed->table);
	links_free(freed);
	free(freed);
	*remotes = NULL;
}

void
remote_keep_all(struct shard *shard)
{
	struct remote *remote = NULL;

	while ((remote = remote_next(shard->remotes, remote)) != NULL)
		list_each (pair, &remote->pairs, struct pair, link)
			keep_older(pair, 0);
}

void
remote_give_up_iqs(struct shard *shard)
{
	struct remote *remote = NULL;

	while ((remote = remote_next(shard->remotes, remote)) != NULL)
		list_each (pair, &remote->pairs, struct pair, link)
			if (pair->path_count == 0)
				queue_give_up_iqs(pair);
}

bool
remote_is_sending(struct shard *shard)
{
	struct remote *remote = NULL;

	while ((remote = remote_next(shard->remotes, remote)) != NULL)
		list_each (pair, &remote->pairs, struct pair, link)
			if (!list_is_empty(&pair->sent))
				return true;
	return false;
}

/* --- what happens next ---------------------------------------------------- */

void
pair_settle(struct pair *pair)
{
	if (queue_is_empty(pair) && pair_is_silent(pair) && !pair->is_asked &&
	    pair->broken_ms == 0 && pair->open_writes == 0 &&
	    !timer_is_running(&pair->retry))
		pair_free(pair);
}

/* Our domain is served no more: there is nobody to answer. */
static void
give_up(struct pair *pair)
{
	queue_free(pair);
	pair->broken_ms = 0;
}

void
pair_try_later(struct pair *pair, uint64_t ms)
{
	timer_start(pair_shard(pair), &pair->retry, ms, on_retry);
}

/* Whether it is they who want an attempt. */
static bool
is_for_strangers(const struct pair *pair)
{
	return (pair->broken_ms == 0 || link_is_of_strangers(pair)) &&
	       queue_only_answers(pair) && !pair->is_acquainted;
}

static void
ask(struct pair *pair)
{
	struct shard *shard = pair_shard(pair);

	if (pair_is_component(pair) || pair->is_asked ||
	    timer_is_running(&pair->retry) || shard->is_draining)
		return;
	if (!domain_is_ours(shard->setup, pair->local)) {
		give_up(pair);
		return;
	}
	if (is_for_strangers(pair) && shard->attempt_count >= ANSWERING_MAX) {
		pair_try_later(pair, BACKOFF_FIRST_MS);
		return;
	}
	pair->is_asked = true;
	pair->is_refused = false;
	pair->counters.connects++;
	metric_add(shard, METRIC_S2S_CONNECTS, 1);
	shard->server->s2s_connect(
	    shard, pair->local, jid_full(pair->remote->domain));
}

static void
use_paths(struct pair *pair)
{
	if (pair->resume_until_ms != 0)
		ask(pair);
	if (pair->doubt == DOUBT_NONE)
		queue_send(pair);
	else
		doubt_wait(pair);
}

/* The domain may be anybody's now: so what waits does not go there. */
static bool
is_over(const struct pair *pair)
{
	return pair_is_component(pair) && pair->path_count == 0 &&
	       domain_secret(
		   pair_shard(pair)->setup, jid_full(pair->remote->domain))
		       .len == 0;
}

static void
end_component(struct pair *pair)
{
	link_end(pair);
	pair->err = STANZA_ERR_REMOTE_SERVER_NOT_FOUND;
	queue_sweep(pair, true);
}

void
pair_advance(struct pair *pair)
{
	pair->is_over = is_over(pair);
	if (pair->is_over)
		end_component(pair);
	if (queue_is_empty(pair))
		pair->doubt = DOUBT_NONE;
	if (pair->doubt == DOUBT_NONE || pair->path_count == 0)
		timer_stop(pair_shard(pair), &pair->doubt_end);
	if (pair->path_count > 0)
		use_paths(pair);
	else if (pair->is_refused)
		queue_sweep(pair, true);
	else if (!list_is_empty(&pair->waits) || pair->broken_ms != 0 ||
		 pair->resume_until_ms != 0)
		ask(pair);
	pair_settle(pair);
}

/* Each time twice as long as before, give or take a quarter, so that not all
 * who lost a server come back to it at once. */
static void
back_off(struct pair *pair)
{
	uint64_t ms = BACKOFF_FIRST_MS;

	for (unsigned i = 0; i < pair->failures && ms < BACKOFF_LAST_MS; i++)
		ms *= 2;
	if (ms > BACKOFF_LAST_MS)
		ms = BACKOFF_LAST_MS;
	pair->failures++;
	pair->counters.failures++;
	metric_add(pair_shard(pair), METRIC_S2S_FAILURES, 1);
	pair_try_later(pair, ms * 3 / 4 + rand_below(ms / 2));
}

static void
on_retry(struct timer *timer)
{
	struct pair *pair = container_of(timer, struct pair, retry);

	pair->is_refused = false;
	if (link_is_given_up(pair))
		link_give_up(pair);
	pair_advance(pair);
}

/* --- stanzas -------------------------------------------------------------- */

/* Who is not of ours may not speak through us. */
static bool
is_from_us(const struct shard *shard, const struct post *letter)
{
	const struct jid *from = letter->stanza->from;

	return from != NULL && domain_is_ours(shard->setup, jid_domain(from));
}

static void
refuse(struct shard *shard, struct post *letter)
{
	if (queue_tells_full(&shard->remotes->full_told_ms))
		log_warn(&log_server,
		    "%s is one server too many: %zu others are waited for",
		    jid_full(letter->to).text, shard->remotes->silent_count);
	if (queue_answers(letter)) {
		outbox_bounce(shard, letter, STANZA_ERR_RESOURCE_CONSTRAINT,
		    "too many other servers are waited for");
		return;
	}
	outbox_drop(shard, letter->durable);
	post_free(&letter);
}

/* For another pair: domains that are missed always have one, answers to
 * strangers who are gone already leave the half to others. */
static bool
has_place(
    const struct shard *shard, struct str local, const struct post *letter)
{
	const size_t max =
	    queue_is_answer(letter) ? SILENT_MAX / 2 : SILENT_MAX;

	return shard->remotes->silent_count < max ||
	       link_is_known(shard, local, jid_full(letter->to));
}

void
remote_take(struct shard *shard, struct post *letter)
{
	struct pair *pair;
	struct str local = STR_NONE;
	bool is_component;

	shard_must_be_current(shard);
	is_component =
	    domain_component(shard->setup, jid_domain(letter->to)).len > 0;
	if (!is_component && !is_from_us(shard, letter)) {
		outbox_drop(shard, letter->durable);
		post_free(&letter);
		return;
	}
	if (!is_component)
		local = jid_domain(letter->stanza->from);
	pair = pair_find(remote_find(shard, letter->to), local);
	if (pair == NULL && !is_component && !has_place(shard, local, letter)) {
		if (letter->kind == POST_MANY)
			link_miss(shard, local, jid_full(letter->to));
		refuse(shard, letter);
		return;
	}
	if (pair == NULL)
		pair = pair_want(shard, letter->to, local);
	queue_add(pair, letter);
	pair_advance(pair);
}

/* One that is away hears of nothing that would end it. */
void
remotes_setup_changed(struct shard *shard)
{
	struct arena *arena = arena_make(0);
	struct pair **pairs =
	    arena_array(arena, struct pair *, shard->remotes->table.count);
	struct remote *remote = NULL;
	size_t count = 0;

	while ((remote = remote_next(shard->remotes, remote)) != NULL)
		list_each (pair, &remote->pairs, struct pair, link)
			if (is_over(pair))
				pairs[count++] = pair;
	while (count-- > 0)
		pair_advance(pairs[count]);
	arena_free(&arena);
}

/* --- paths ---------------------------------------------------------------- */

static struct path *
path_find(struct path *paths, unsigned count, struct stream_id id)
{
	for (unsigned i = 0; i < count; i++)
		if (stream_id_equal(paths[i].stream, id))
			return &paths[i];
	return NULL;
}

/* Whether it was there. */
static bool
path_remove(struct path *paths, unsigned *count, struct stream_id id)
{
	struct path *path = path_find(paths, *count, id);

	if (path == NULL)
		return false;
	--*count;
	for (; path < paths + *count; path++)
		*path = path[1];
	return true;
}

static void
copy(char *to, size_t len, struct str text)
{
	snprintf(to, len, "%.*s", STR_ARG(text));
}

static void
path_init(struct path *path, const struct post *letter)
{
	const struct path_note *note = letter->path;

	*path = (struct path){
	    .stream = letter->stream,
	    .max_bytes = note->max_bytes,
	    .since_ms = clock_mono_ms(),
	    .is_out = note->is_out,
	    .is_bidi = note->is_bidi,
	    .has_acks = note->has_acks,
	    .is_resumed = note->is_resumed,
	};
	copy(path->proof, sizeof(path->proof), note->proof_text);
	copy(path->tls, sizeof(path->tls), note->tls);
	copy(path->address, sizeof(path->address), note->address);
}

static void
be_heard(struct pair *pair)
{
	if (pair_is_unknown(pair))
		pair_shard(pair)->remotes->silent_count--;
	pair->gives_way = false;
}

static void
tell_first(const struct pair *pair, enum post_kind kind)
{
	struct post *letter = post_new(kind, NULL);

	letter->stream = pair->paths[0].stream;
	post_send(pair_shard(pair), letter);
}

/* The first path carries all until it is gone, whatever others come: so order
 * is kept. */
static void
on_ready(struct pair *pair, const struct post *letter)
{
	if (letter->path->is_out)
		pair->is_asked = false;
	doubt_weigh(pair, letter->path);
	if (pair->path_count == PATHS_MAX ||
	    path_find(pair->paths, pair->path_count, letter->stream) != NULL)
		return;
	be_heard(pair);
	path_init(&pair->paths[pair->path_count++], letter);
	pair->is_refused = false;
	timer_stop(pair_shard(pair), &pair->retry);
	if (pair_is_component(pair))
		tell_first(
		    pair, pair->path_count == 1 ? POST_ADMIT : POST_RIVAL);
	if (pair->path_count > 1)
		return;
	pair->is_fruitful = false;
	link_found(pair, letter->path->is_resumed);
}

/* Who speaks can perhaps be spoken to again. */
static void
on_heard(struct pair *pair, const struct post *letter)
{
	pair->counters.received += letter->ticket;
	metric_add(
	    pair_shard(pair), METRIC_S2S_RECEIVED, (int64_t)letter->ticket);
	if (pair->ear_count == EARS_MAX ||
	    path_find(pair->ears, pair->ear_count, letter->stream) != NULL)
		return;
	be_heard(pair);
	path_init(&pair->ears[pair->ear_count++], letter);
	link_heard(pair);
	pair->is_refused = false;
	timer_stop(pair_shard(pair), &pair->retry);
}

static void
remember(struct pair *pair, const struct path_note *note)
{
	arena_free(&pair->why_arena);
	pair->why_arena = arena_make(note->text.len + 1);
	pair->why = str_dup(pair->why_arena, note->text);
	pair->err = note->err == STANZA_ERR_NONE
			? STANZA_ERR_REMOTE_SERVER_TIMEOUT
			: note->err;
}

static void
on_failed(struct pair *pair, const struct post *letter)
{
	pair->is_asked = false;
	remember(pair, letter->path);
	doubt_failed(pair, letter->path->is_final);
	if (pair->path_count > 0) {
		if (pair->resume_until_ms != 0)
			back_off(pair);
		return;
	}
	pair->is_refused = letter->path->is_final;
	link_failed(pair);
	back_off(pair);
}

static void
on_acked(struct pair *pair, const struct post *letter)
{
	queue_acked(pair, letter->ticket);
	if (pair->is_fruitful)
		pair->failures = 0;
}

bool
path_has_lasted(const struct path *path)
{
	return clock_mono_ms() - path->since_ms >= LASTING_MS;
}

/* A path that did nothing and did not last was of no more use than none. */
static bool
was_vain(const struct pair *pair, const struct path *path)
{
	return !pair->is_fruitful &&
	       (!list_is_empty(&pair->sent) || !path_has_lasted(path));
}

static void
lose_last(struct pair *pair, const struct path_note *note, bool is_vain)
{
	remember(pair, note);
	queue_sweep(pair, false);
	link_broke(pair, note->err);
	if (is_vain && !pair_is_component(pair))
		back_off(pair);
	else
		pair->failures = 0;
}

static void
on_alive(struct pair *pair, const struct post *given)
{
	(void)given;
	for (unsigned i = 1; i < pair->path_count; i++) {
		struct post *letter = post_new(POST_CLOSE, NULL);
		struct stream_end *end =
		    arena_new(letter->arena, struct stream_end);

		end->err = STREAM_ERR_CONFLICT;
		end->text = STR("the component is connected already");
		letter->end = end;
		letter->stream = pair->paths[i].stream;
		post_send(pair_shard(pair), letter);
	}
}

/* The first path: what it carried goes on the next one. */
static void
lose_first(struct pair *pair, const struct post *letter)
{
	const bool is_vain = was_vain(pair, pair->paths);

	path_remove(pair->paths, &pair->path_count, letter->stream);
	pair->is_fruitful = false;
	queue_unsend(pair, letter->path->can_resume);
	if (pair->path_count == 0)
		lose_last(pair, letter->path, is_vain);
	else if (pair_is_component(pair))
		tell_first(pair, POST_ADMIT);
}

/* When it was all that was left, and broke, nobody knows what they said since:
 * only a path of ours tells whether they are there. */
static void
lose_ear(struct pair *pair, const struct post *letter)
{
	const struct path_note *note = letter->path;

	if (!path_remove(pair->ears, &pair->ear_count, letter->stream) ||
	    !pair_is_silent(pair) || note->err == STANZA_ERR_NONE)
		return;
	remember(pair, note);
	link_broke(pair, note->err);
}

static void
on_gone(struct pair *pair, const struct post *letter)
{
	const bool was_silent = pair_is_silent(pair);
	const struct path *path =
	    path_find(pair->paths, pair->path_count, letter->stream);

	lose_ear(pair, letter);
	if (path != NULL && letter->path->can_resume)
		doubt_begin(pair, path, letter->path);
	if (path != NULL && path == pair->paths)
		lose_first(pair, letter);
	else
		path_remove(pair->paths, &pair->path_count, letter->stream);
	if (!was_silent && pair_is_silent(pair))
		link_fell_silent(pair);
}

static void
on_answered(struct pair *pair, const struct post *letter)
{
	queue_answered(pair, letter->stanza);
}

static void
on_seen(struct pair *pair, const struct post *letter)
{
	(void)letter;
	pair->is_seen = true;
}

struct path_note *
path_note_new(enum path_event event, struct str local, struct str domain,
    struct post **letter_r)
{
	struct post *letter = post_new(POST_PATH, NULL);
	struct path_note *note = arena_new(letter->arena, struct path_note);

	note->event = event;
	note->local = str_dup(letter->arena, local);
	letter->path = note;
	letter->to = jid_parse(letter->arena, domain);
	*letter_r = letter;
	return note;
}

void
remote_tell_acked(
    struct shard *shard, struct str local, struct str domain, uint64_t ticket)
{
	struct post *letter;

	(void)path_note_new(PATH_ACKED, local, domain, &letter);
	letter->ticket = ticket;
	post_send(shard, letter);
}

void
remote_hear(struct shard *shard, struct str local, struct str domain,
    const struct stanza *stanza)
{
	struct post *letter;

	if (stanza->kind != STANZA_IQ ||
	    (stanza->type != STANZA_RESULT && stanza->type != STANZA_ERROR))
		return;
	(void)path_note_new(PATH_ANSWERED, local, domain, &letter);
	letter->stanza = stanza_make(letter->arena, STANZA_IQ, stanza->type,
	    jid_copy(letter->arena, stanza->from),
	    jid_copy(letter->arena, stanza->to),
	    str_dup(letter->arena, stanza->id));
	post_send(shard, letter);
}

void
remote_see(struct shard *shard, struct str local, struct str domain)
{
	struct post *letter;

	if (domain_component(shard->setup, domain).len > 0)
		return;
	(void)path_note_new(PATH_SEEN, local, domain, &letter);
	post_send(shard, letter);
}

void
remote_take_path(struct shard *shard, struct post *letter)
{
	static void (*const on[])(struct pair *, const struct post *) = {
	    [PATH_READY] = on_ready,
	    [PATH_FAILED] = on_failed,
	    [PATH_ACKED] = on_acked,
	    [PATH_GONE] = on_gone,
	    [PATH_ALIVE] = on_alive,
	    [PATH_HEARD] = on_heard,
	    [PATH_ANSWERED] = on_answered,
	    [PATH_SEEN] = on_seen,
	};
	const struct path_note *note = letter->path;
	struct pair *pair;

	shard_must_be_current(shard);
	pair = note->event == PATH_READY || note->event == PATH_HEARD
		   ? pair_want(shard, letter->to, note->local)
		   : pair_find(remote_find(shard, letter->to), note->local);
	if (pair != NULL) {
		on[note->event](pair, letter);
		pair_advance(pair);
	}
	post_free(&letter);
}

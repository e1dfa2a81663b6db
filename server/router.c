#include "server/router.h"

#include <stdlib.h>

#include "base/err.h"
#include "server/domains.h"
#include "server/iq.h"
#include "server/iq_ask.h"
#include "server/metrics.h"
#include "server/outbox.h"
#include "server/remote.h"
#include "server/session.h"
#include "server/setup.h"

#define SCRATCH_KEPT (64 * 1024) /* bytes of the buffer that stay */

struct blob *
router_serialise(struct shard *shard, const struct stanza *stanza)
{
	struct stanza bare = *stanza;

	bare.to = NULL;
	buf_clear(&shard->scratch, SCRATCH_KEPT);
	stanza_write(&shard->scratch, &bare, STR(NS_CLIENT), STR_NONE);
	return blob_new(buf_str(&shard->scratch));
}

/* --- errors ------------------------------------------------------------- */

/* What has no to is answered in the account's name: RFC 6120, section 8.1.1. */
static const struct stanza *
make_error(struct post *answer, enum stanza_err err, const char *text)
{
	const struct stanza *error =
	    stanza_make_error(answer->arena, answer->stanza, err, text);

	if (error->from != NULL)
		return error;
	return stanza_readdress(answer->arena, error,
	    jid_to_bare(answer->arena, error->to), error->to);
}

void
router_bounce(struct shard *shard, struct post *letter, enum stanza_err err,
    const char *text)
{
	const struct stanza *stanza = letter->stanza;
	struct post *answer;

	if (stanza->from == NULL || !stanza_may_fail(stanza)) {
		post_free(&letter);
		return;
	}
	answer = post_own(letter);
	if (answer->blob != NULL)
		blob_unref(&answer->blob);
	answer->kind = POST_STANZA;
	answer->durable = (struct durable_id){0};
	answer->ticket = 0;
	answer->had = NULL;
	answer->stanza = make_error(answer, err, text);
	metric_add(shard, METRIC_STANZA_ERRORS, 1);
	router_route(shard, NULL, answer);
}

/* RFC 6121, section 4.3.2, rule 1: so a contact that is gone goes from the
 * rosters of other servers too. */
static void
answer_probe(struct shard *shard, struct post *letter)
{
	const struct stanza *probe = letter->stanza;
	struct post *answer = post_new(POST_STANZA, NULL);

	answer->stanza = stanza_copy_deep(answer->arena,
	    stanza_make(answer->arena, STANZA_PRESENCE, STANZA_UNSUBSCRIBED,
		jid_to_bare(answer->arena, probe->to), probe->from, probe->id));
	post_free(&letter);
	router_route(shard, NULL, answer);
}

/* RFC 6121, section 3.1.2: a user of ours gets an error, and learns no more
 * than by a message; other servers get silence, as section 8.5.1 has it. */
static bool
is_request_of_ours(const struct shard *shard, const struct post *letter)
{
	return letter->durable.row != 0 &&
	       letter->stanza->type == STANZA_SUBSCRIBE &&
	       setup_host(shard->setup, jid_domain(letter->stanza->from)) !=
		   NULL;
}

/* What is said of nobody must not differ from what is said of somebody who is
 * away, save for messages: better an error than one that is lost in silence;
 * headlines are lost there, too. */
void
router_absent(struct shard *shard, struct post *letter)
{
	const struct stanza *stanza = letter->stanza;

	if (letter->kind != POST_STANZA) {
		post_free(&letter);
		return;
	}
	if (is_request_of_ours(shard, letter)) {
		outbox_return(shard, letter, STANZA_ERR_SERVICE_UNAVAILABLE);
		return;
	}
	outbox_drop(shard, letter->durable);
	if (stanza->type == STANZA_PROBE &&
	    setup_host(shard->setup, jid_domain(stanza->from)) == NULL)
		answer_probe(shard, letter);
	else if (stanza->kind == STANZA_PRESENCE ||
		 stanza->type == STANZA_HEADLINE)
		post_free(&letter);
	else if (stanza->kind == STANZA_IQ && stanza_may_fail(stanza) &&
		 jid_is_bare(stanza->to))
		iq_take(shard, NULL, NULL, letter, false);
	else
		router_bounce(
		    shard, letter, STANZA_ERR_SERVICE_UNAVAILABLE, NULL);
}

/* Whether it goes back; otherwise it is freed. What is from nobody is an error
 * of a stream, for who was on it. */
static bool
turn_back(struct post *letter)
{
	const struct stanza *stanza = letter->stanza;

	if (stanza == NULL || stanza->kind != STANZA_MESSAGE ||
	    stanza->from == NULL || stanza->to == NULL || letter->ticket != 0) {
		post_free(&letter);
		return false;
	}
	if (letter->blob != NULL)
		blob_unref(&letter->blob);
	letter->kind = POST_STANZA;
	letter->is_returned = true;
	letter->to = stanza->to;
	return true;
}

void
router_return(struct shard *shard, struct post *letter)
{
	if (letter->stanza == NULL && letter->blob == NULL) {
		letter->kind = POST_CAUGHT;
		post_send(shard, letter);
	} else if (turn_back(letter)) {
		post_send(shard, letter);
	}
}

void
router_return_all(struct shard *shard, struct list *letters)
{
	struct list back;

	list_init(&back);
	list_each (letter, letters, struct post, link) {
		letter->stream = (struct stream_id){0};
		list_remove(&letter->link);
		if (turn_back(letter))
			list_add_last(&back, &letter->link);
	}
	mailbox_put_back(shard, &back);
}

/* --- one receiver ------------------------------------------------------- */

/* To the host itself: RFC 6120, section 10.5.1. */
static void
to_host(struct shard *shard, struct account *sender, struct post *letter)
{
	const struct stanza *stanza = letter->stanza;
	bool is_iq = stanza->type == STANZA_GET || stanza->type == STANZA_SET;

	if (is_iq && jid_is_bare(stanza->to))
		iq_take(shard, sender,
		    sender == NULL ? NULL : session_find(sender, stanza->from),
		    letter, true);
	else if (stanza->kind == STANZA_IQ && !is_iq)
		iq_ask_route(shard, letter);
	else if (stanza->kind == STANZA_PRESENCE)
		post_free(&letter);
	else
		router_bounce(
		    shard, letter, STANZA_ERR_SERVICE_UNAVAILABLE, NULL);
}

/* RFC 6120, section 10.3: what has no to is the account's own. */
static bool
fill_in_to(struct account *sender, struct post *letter)
{
	const struct stanza *stanza = letter->stanza;

	if (stanza->to != NULL)
		return true;
	if (sender == NULL || stanza->kind == STANZA_PRESENCE)
		return false;
	letter->stanza = stanza_readdress(letter->arena, stanza, stanza->from,
	    jid_copy(letter->arena, account_jid(sender)));
	return true;
}

const struct jid *
router_owner_of(struct shard *shard, struct arena *arena, const struct jid *to)
{
	const bool is_host = setup_host(shard->setup, jid_domain(to)) != NULL;
	struct str component;

	if (is_host)
		return jid_local(to).len > 0 ? to : NULL;
	component = domain_component(shard->setup, jid_domain(to));
	if (component.len > 0)
		return jid_make(arena, STR_NONE, component, STR_NONE);
	return remote_is_on(shard) ? jid_to_domain(arena, to) : NULL;
}

static void
to_nowhere(struct shard *shard, struct post *letter)
{
	outbox_bounce(shard, letter, STANZA_ERR_REMOTE_SERVER_NOT_FOUND, NULL);
}

void
router_route(struct shard *shard, struct account *sender, struct post *letter)
{
	const struct stanza *stanza;

	letter = post_own(letter);
	if (!fill_in_to(sender, letter)) {
		post_free(&letter);
		return;
	}
	stanza = letter->stanza;
	letter->to = router_owner_of(shard, letter->arena, stanza->to);
	letter->kind = POST_STANZA;
	if (letter->to != NULL)
		post_send(shard, letter);
	else if (setup_host(shard->setup, jid_domain(stanza->to)) != NULL)
		to_host(shard, sender, letter);
	else
		to_nowhere(shard, letter);
}

void
router_route_foreign(struct shard *shard, struct arena *arena,
    const struct stanza *stanza, enum stanza_err err, struct receipt receipt)
{
	struct post *letter = post_new(POST_STANZA, arena);

	letter->stanza = stanza;
	letter->receipt = receipt;
	if (err != STANZA_ERR_NONE)
		router_bounce(shard, letter, err, NULL);
	else
		router_route(shard, NULL, letter);
}

void
router_send(
    struct shard *shard, struct account *sender, const struct stanza *stanza)
{
	struct post *letter = post_new(POST_STANZA, NULL);

	letter->stanza = stanza_copy_deep(letter->arena, stanza);
	router_route(shard, sender, letter);
}

/* --- many receivers ----------------------------------------------------- */

/* Receivers that live on no shard: of other servers, and hosts. */
#define ABROAD  UINT32_MAX
#define NOWHERE (UINT32_MAX - 1)
/* The memory of so many receivers is on its way. */
#define AHEAD 4

struct fan_out {
	struct shard *shard;
	const struct stanza *stanza;
	struct blob *blob;
	const struct jid *const *receivers;
	size_t count;
	uint32_t *homes; /* of the receivers: shards */
	const struct jid **abroad;
	size_t abroad_count;
	struct many {
		struct post *letter;
		const struct jid **receivers;
		size_t count; /* that it will have */
	} *many;              /* of each shard */
};

static uint32_t
home_of(const struct shard *shard, const struct jid *jid)
{
	if (setup_host(shard->setup, jid_domain(jid)) == NULL)
		return ABROAD;
	if (jid_local(jid).len == 0)
		return NOWHERE;
	return shard_of(shard->server, jid)->index;
}

static void
begin_many(const struct fan_out *fan, struct many *many)
{
	struct post *letter = post_new(POST_MANY, NULL);

	many->receivers =
	    arena_array(letter->arena, const struct jid *, many->count);
	letter->receivers = many->receivers;
	letter->stanza = stanza_copy_deep(letter->arena, fan->stanza);
	letter->blob = blob_ref(fan->blob);
	many->letter = letter;
}

static void
add_receiver(struct fan_out *fan, size_t i)
{
	struct many *many;

	if (fan->homes[i] == ABROAD)
		fan->abroad[fan->abroad_count++] = fan->receivers[i];
	if (fan->homes[i] >= NOWHERE)
		return;
	many = &fan->many[fan->homes[i]];
	if (many->letter == NULL)
		begin_many(fan, many);
	many->receivers[many->letter->receiver_count++] =
	    jid_copy(many->letter->arena, fan->receivers[i]);
}

static void
find_homes(const struct fan_out *fan)
{
	for (size_t i = 0; i < fan->count; i++) {
		fan->homes[i] = home_of(fan->shard, fan->receivers[i]);
		if (fan->homes[i] < NOWHERE)
			fan->many[fan->homes[i]].count++;
	}
}

static int
by_domain(const void *a, const void *b)
{
	const struct jid *const *left = a, *const *right = b;

	return str_compare(jid_domain(*left), jid_domain(*right));
}

/* The bytes for other servers are made by their remote. */
static void
send_abroad(const struct fan_out *fan, size_t first, size_t count)
{
	struct post *letter = post_new(POST_MANY, NULL);
	const struct jid **receivers =
	    arena_array(letter->arena, const struct jid *, count);

	for (size_t i = 0; i < count; i++)
		receivers[i] = jid_copy(letter->arena, fan->abroad[first + i]);
	letter->receivers = receivers;
	letter->receiver_count = count;
	letter->stanza = stanza_copy_deep(letter->arena, fan->stanza);
	letter->to = router_owner_of(fan->shard, letter->arena, receivers[0]);
	if (letter->to == NULL)
		post_free(&letter);
	else
		post_send(fan->shard, letter);
}

static void
send_all_abroad(const struct fan_out *fan)
{
	const struct jid **abroad = fan->abroad;

	qsort(abroad, fan->abroad_count, sizeof(abroad[0]), by_domain);
	for (size_t i = 0, end; i < fan->abroad_count; i = end) {
		for (end = i + 1; end < fan->abroad_count; end++)
			if (by_domain(&abroad[i], &abroad[end]) != 0)
				break;
		send_abroad(fan, i, end - i);
	}
}

void
router_fan_out(struct shard *shard, const struct stanza *stanza,
    const struct jid *const *receivers, size_t count)
{
	const unsigned shards = shard->server->shard_count;
	struct arena *arena;
	struct fan_out fan = {.shard = shard,
	    .stanza = stanza,
	    .receivers = receivers,
	    .count = count};

	if (count == 0)
		return;
	arena = arena_make(0);
	fan.homes = arena_array(arena, uint32_t, count);
	fan.abroad = arena_array(arena, const struct jid *, count);
	fan.many = arena_array(arena, struct many, shards);
	fan.blob = router_serialise(shard, stanza);
	find_homes(&fan);
	for (size_t i = 0; i < count; i++)
		add_receiver(&fan, i);
	send_all_abroad(&fan);
	for (unsigned i = 0; i < shards; i++)
		if (fan.many[i].letter != NULL)
			post_send_to(shard, i, fan.many[i].letter);
	blob_unref(&fan.blob);
	arena_free(&arena);
}

void
router_take_many(struct shard *shard, struct post *letter)
{
	const size_t count = letter->receiver_count;
	uint64_t *hashes;

	if (letter->to != NULL) {
		remote_take(shard, letter);
		return;
	}
	hashes = arena_array(letter->arena, uint64_t, count);
	for (size_t i = 0; i < count; i++)
		hashes[i] = owner_hash(letter->receivers[i]);
	for (size_t i = 0; i < count; i++) {
		struct post one;

		if (i + AHEAD < count)
			owner_fetch(shard, hashes[i + AHEAD]);
		if (i + AHEAD / 2 < count)
			owner_fetch_rest(shard, hashes[i + AHEAD / 2]);
		post_lend(&one, letter, letter->receivers[i]);
		owner_take_hashed(shard, &one, hashes[i]);
	}
	post_free(&letter);
}

/*
 * modules/push_publish.c - notifications: when, what, and what their answers
 * mean.
 *
 * A registration has at most one publish under way, and at most one an
 * interval; what happens meanwhile is told together by the next one. An error
 * that will not pass disables the registration (section 7.1), until the client
 * enables it again; others are tried again, less and less often, and disable it
 * when nothing else came for long. That a notification is owed is written down,
 * so that the next run publishes it; one whose answer did not come in time is
 * published twice.
 */
#include "modules/push_private.h"

#include "base/clock.h"
#include "modules/roster.h"
#include "server/iq_ask.h"
#include "server/metrics.h"
#include "xml/form.h"

#define NS_PUBSUB  "http://jabber.org/protocol/pubsub"
#define NS_SUMMARY "urn:xmpp:push:summary"

#define PLACEHOLDER  "New message!"
#define BODY_LEN_MAX 1024

#define ANSWER_WITHIN_MS (MINUTE + 30 * SECOND)
#define RETRY_MIN_MS     (5 * SECOND)
#define RETRY_MAX_MS     HOUR
/* After the start; the sessions of the last run are back by then. */
#define RESUME_MS SECOND

static void advance(struct registration *);
static void published(struct iq_ask *);

/* Lives in an arena of its own; the registration may go meanwhile. */
struct publish {
	struct iq_ask ask;
	struct arena *arena;
	struct account *account; /* pinned */
	const struct jid *jid;
	struct str node;
};

/* --- what is said ------------------------------------------------------- */

static void
add_field(struct node *form, const char *var, struct str value)
{
	form_value(form_field(form, NULL, var, NULL), value);
}

static void
add_number(struct node *form, const char *var, uint64_t number)
{
	add_field(form, var,
	    str_format(form->arena, "%llu", (unsigned long long)number));
}

/* Section 9: the service, and those behind it, learn no more than they must. */
static void
add_last(struct node *form, const struct registration *registration)
{
	const struct push_ring *last = &registration->state.last;
	const struct host *host = registration->account->host;
	const bool shows_body =
	    host_bool(host, &push_settings[PUSH_SHOW_BODY]) &&
	    last->body.len > 0;

	if (host_bool(host, &push_settings[PUSH_SHOW_SENDER]) &&
	    last->from != NULL)
		add_field(form, "last-message-sender", jid_full(last->from));
	add_field(form, "last-message-body",
	    shows_body ? str_shorten_utf8(last->body, BODY_LEN_MAX)
		       : STR(PLACEHOLDER));
}

static void
add_summary(struct node *notification, const struct registration *registration)
{
	struct node *form = form_add(notification, "submit", NS_SUMMARY);
	const unsigned pending = roster_pending_count(registration->account);

	add_number(form, "message-count", registration->messages);
	if (pending > 0)
		add_number(form, "pending-subscription-count", pending);
	if (registration->messages > 0)
		add_last(form, registration);
}

/* Examples 12 and 13. */
static void
add_publish(struct node *iq, const struct registration *registration)
{
	struct node *pubsub = node_add(iq, "pubsub", NS_PUBSUB);
	struct node *publish = node_add(pubsub, "publish", NS_PUBSUB);

	if (registration->node.len > 0)
		node_set(publish, "node", registration->node);
	add_summary(node_add(node_add(publish, "item", NS_PUBSUB),
			"notification", NS_PUSH),
	    registration);
	if (registration->options != NULL)
		node_add_copy(node_add(pubsub, "publish-options", NS_PUBSUB),
		    registration->options);
}

/* --- when --------------------------------------------------------------- */

static uint64_t
setting_ms(const struct registration *registration, enum push_setting setting)
{
	const struct host *host = registration->account->host;

	return config_ms(
	    setup_config(host->setup), host->index, &push_settings[setting]);
}

/* It may have been removed, or the module switched off. */
static bool
is_on(const struct account *account)
{
	return !account->owner.is_detached &&
	       host_has(account->host, &push_module);
}

static void
on_timer(struct timer *timer)
{
	struct registration *registration =
	    container_of(timer, struct registration, timer);
	struct account *account = registration->account;

	if (is_on(account))
		advance(registration);
	owner_unpin(&account->owner);
}

static void
wait(struct registration *registration, uint64_t ms)
{
	struct owner *owner = &registration->account->owner;

	if (timer_is_running(&registration->timer))
		return;
	owner_pin(owner);
	timer_start(owner->shard, &registration->timer, ms, on_timer);
}

static void
stop_waiting(struct registration *registration)
{
	struct owner *owner = &registration->account->owner;

	if (!timer_is_running(&registration->timer))
		return;
	timer_stop(owner->shard, &registration->timer);
	owner_unpin(owner);
}

/* In the name of the host: the service need not learn whose device it is. */
static void
publish(struct registration *registration)
{
	struct account *account = registration->account;
	struct shard *shard = account->owner.shard;
	struct arena *arena = arena_make(0);
	struct publish *publish = arena_new(arena, struct publish);
	struct stanza *stanza;

	publish->arena = arena;
	publish->account = account;
	publish->jid = jid_copy(arena, registration->jid);
	publish->node = str_dup(arena, registration->node);
	stanza = stanza_make(arena, STANZA_IQ, STANZA_SET,
	    jid_copy(arena, account->host->jid), publish->jid,
	    iq_ask_id(shard, arena));
	add_publish(stanza_body(stanza), registration);
	registration->state.is_due = false;
	registration->state.open = publish;
	registration->state.is_stale = false;
	registration->state.sent_ms = clock_mono_ms();
	owner_pin(&account->owner);
	metric_add(shard, METRIC_PUSHES, 1);
	push_save(registration);
	iq_ask(shard, &publish->ask, stanza, ANSWER_WITHIN_MS, published);
}

/* Not while the server is ending: what is owed then is sent after its start. */
static void
advance(struct registration *registration)
{
	const struct shard *shard = registration->account->owner.shard;
	const struct push_state *state = &registration->state;
	const uint64_t now = clock_mono_ms();
	const uint64_t next =
	    state->sent_ms + setting_ms(registration, PUSH_INTERVAL);

	if (!state->is_due || state->open != NULL || shard->is_draining ||
	    timer_is_running(&registration->timer))
		return;
	if (state->sent_ms > 0 && now < next)
		wait(registration, next - now);
	else
		publish(registration);
}

static void
keep_last(struct push_state *state, const struct push_ring *ring)
{
	arena_free(&state->last_arena);
	state->last_arena = arena_make(0);
	state->last.from = jid_copy(state->last_arena, ring->from);
	state->last.id = str_dup(state->last_arena, ring->id);
	state->last_ms = clock_mono_ms();
	state->last.body = str_dup(
	    state->last_arena, str_shorten_utf8(ring->body, BODY_LEN_MAX));
}

/* The same one, which several sessions wait for. */
static bool
is_repeated(const struct push_state *state, const struct push_ring *ring)
{
	return ring != NULL && state->last.from != NULL && ring->id.len > 0 &&
	       str_equal(state->last.id, ring->id) &&
	       jid_equal(state->last.from, ring->from) &&
	       clock_mono_ms() - state->last_ms < SECOND;
}

void
push_notify(struct registration *registration, const struct push_ring *ring)
{
	const bool was_owed = push_owes(registration);

	if (is_repeated(&registration->state, ring))
		return;
	if (ring != NULL) {
		registration->messages++;
		keep_last(&registration->state, ring);
	}
	registration->state.is_due = true;
	registration->state.tries = 0;
	stop_waiting(registration);
	advance(registration);
	if (!was_owed && registration->state.is_due)
		push_save(registration);
}

void
push_resume(struct registration *registration)
{
	wait(registration, RESUME_MS);
}

void
push_settle(struct registration *registration)
{
	const bool was_owed = push_owes(registration);

	registration->state.is_due = false;
	stop_waiting(registration);
	registration->state.is_stale = registration->state.open != NULL;
	if (registration->messages == 0 && !registration->has_waited &&
	    !was_owed)
		return;
	registration->has_waited = false;
	registration->messages = 0;
	push_save(registration);
}

/* --- the answer --------------------------------------------------------- */

/* Whether the same may succeed later. What our own server says of a service
 * that it cannot reach is among these. */
static bool
will_pass(const struct node *answer)
{
	const struct node *error = node_child(answer, "error", NULL);

	switch (stanza_err_of_node(answer)) {
	case STANZA_ERR_INTERNAL_SERVER_ERROR:
	case STANZA_ERR_REMOTE_SERVER_NOT_FOUND:
	case STANZA_ERR_REMOTE_SERVER_TIMEOUT:
	case STANZA_ERR_RECIPIENT_UNAVAILABLE:
	case STANZA_ERR_RESOURCE_CONSTRAINT:
	case STANZA_ERR_SERVICE_UNAVAILABLE:
		return true;
	default:
		return error != NULL &&
		       str_is(node_attr(error, "type"), "wait");
	}
}

static void
disable(struct registration *registration, const char *why)
{
	log_info(&registration->account->owner.log,
	    "push notifications to %.*s are disabled: %s",
	    STR_ARG(jid_full(registration->jid)), why);
	push_remove(registration);
}

static void
try_again(struct registration *registration)
{
	struct push_state *state = &registration->state;
	uint64_t pause = RETRY_MIN_MS;

	for (unsigned i = 0; i < state->tries && pause < RETRY_MAX_MS; i++)
		pause *= 4;
	state->is_due = true;
	state->tries++;
	wait(registration, pause < RETRY_MAX_MS ? pause : RETRY_MAX_MS);
}

/* Nothing is to be said to a device that came meanwhile. */
static void
fail_for_now(struct registration *registration)
{
	const uint64_t now = clock_wall_us();

	if (registration->failing_us == 0) {
		registration->failing_us = now;
	} else if (now - registration->failing_us >
		   setting_ms(registration, PUSH_GIVE_UP) * 1000) {
		disable(registration, "they have failed for too long");
		return;
	}
	if (registration->state.is_due || !registration->state.is_stale)
		try_again(registration);
	push_save(registration);
}

static void
succeed(struct registration *registration)
{
	registration->failing_us = 0;
	push_save(registration);
	advance(registration);
}

static void
take_answer(struct registration *registration, const struct iq_ask *ask)
{
	registration->state.open = NULL;
	if (ask->err == ERR_CANCELED || !is_on(registration->account))
		return;
	if (ask->err == ERR_NONE && ask->answer->type == STANZA_RESULT)
		succeed(registration);
	else if (ask->err != ERR_NONE || will_pass(ask->answer->node))
		fail_for_now(registration);
	else
		disable(registration,
		    stanza_err_element(stanza_err_of_node(ask->answer->node)));
}

static void
published(struct iq_ask *ask)
{
	struct publish *publish = container_of(ask, struct publish, ask);
	struct account *account = publish->account;
	struct arena *arena = publish->arena;
	struct registration *registration =
	    push_find(account, publish->jid, publish->node);

	if (registration != NULL && registration->state.open == publish)
		take_answer(registration, ask);
	arena_free(&arena);
	owner_unpin(&account->owner);
}

/* --- the end ------------------------------------------------------------ */

void
push_state_drop(struct registration *registration)
{
	stop_waiting(registration);
	arena_free(&registration->state.last_arena);
}

void
push_state_move(struct registration *to, struct registration *from)
{
	to->state = from->state;
	to->messages = from->messages;
	to->has_waited = from->has_waited;
	from->state = (struct push_state){0};
	stop_waiting(from);
	advance(to);
}

#include "server/c2s.h"

#include <string.h>

#include "base/clock.h"
#include "base/err.h"
#include "server/address.h"
#include "server/c2s_internal.h"
#include "server/metrics.h"
#include "server/register.h"
#include "server/sasl.h"
#include "server/session.h"
#include "server/settings.h"
#include "server/setup.h"
#include "server/shard.h"
#include "server/stream_pace.h"
#include "xml/prep.h"

#define NS_TLS     "urn:ietf:params:xml:ns:xmpp-tls"
#define NS_BIND    "urn:ietf:params:xml:ns:xmpp-bind"
#define NS_SESSION "urn:ietf:params:xml:ns:xmpp-session"
#define NS_LIMITS  "urn:xmpp:stream-limits:0"
/* Stanzas that a client sends ahead of the answer to its bind. */
#define HELD_MAX 64
/* Section 7.7.3: five to ten retries. */
#define BIND_TRIES_MAX 8
/* What a client asked before it closed is answered for so long. */
#define GRACE_MS 100

struct held {
	struct link link;
	struct arena *arena;
	const struct node *node;
};

/* --- features (RFC 6120, section 4.3.2) ----------------------------------- */

static bool
can_start_tls(const struct c2s *c2s)
{
	return !stream_is_secure(&c2s->stream) &&
	       c2s->stream.host->identity != NULL;
}

static bool
must_start_tls(const struct c2s *c2s)
{
	return can_start_tls(c2s) &&
	       host_bool(c2s->stream.host, SETTING(TLS_REQUIRED));
}

static void
add_number(struct node *parent, const char *name, const char *ns, uint64_t n)
{
	node_add_with_text(parent, name, ns,
	    str_format(parent->arena, "%llu", (unsigned long long)n));
}

/* XEP-0478: silence is looked into then, before authentication it is the end.
 */
static void
add_limits(struct c2s *c2s, struct node *features)
{
	const struct host *host = c2s->stream.host;
	const struct config *config = setup_config(host->setup);
	struct node *limits = node_add(features, "limits", NS_LIMITS);
	uint64_t idle_ms = config_ms(config, host->index,
	    c2s->stream.is_authenticated ? SETTING(LIMITS_IDLE_PING)
					 : SETTING(LIMITS_AUTH_TIME));

	add_number(
	    limits, "max-bytes", NS_LIMITS, stream_max_bytes(&c2s->stream));
	if (idle_ms > 0)
		add_number(limits, "idle-seconds", NS_LIMITS, idle_ms / 1000);
}

static void
add_of_stage(struct c2s *c2s, struct node *features)
{
	struct node *node;

	if (c2s->stream.is_authenticated) {
		node_add(features, "bind", NS_BIND);
		node_add(features, "sm", NS_SM);
		node = node_add(features, "session", NS_SESSION);
		node_add(node, "optional", NS_SESSION);
	} else {
		auth_add_features(c2s, features);
		register_add_feature(c2s, features);
	}
}

/* RFC 6120, section 13.7.2. Whose authority is not known may prove itself by
 * other means (13.7.2.2.2). */
static bool
has_bad_certificate(struct stream *stream)
{
	struct arena *arena = arena_make(0);
	struct str der;
	const bool is_bad =
	    stream_is_secure(stream) && !stream->is_authenticated &&
	    conn_peer_certificate(stream->conn, stream->host->identity, arena,
		&der) == CLIENT_BAD;

	arena_free(&arena);
	return is_bad;
}

static void
send_features(struct stream *stream)
{
	struct c2s *c2s = c2s_of(stream);
	struct arena *arena = arena_make(0);
	struct node *features = node_make(arena, "features", NS_STREAM);
	struct features_ask ask = {
	    .host = stream->host,
	    .features = features,
	    .is_secure = stream_is_secure(stream),
	    .is_authenticated = stream->is_authenticated,
	};

	if (can_start_tls(c2s)) {
		struct node *tls = node_add(features, "starttls", NS_TLS);

		if (must_start_tls(c2s))
			node_add(tls, "required", NS_TLS);
	}
	if (!must_start_tls(c2s)) {
		add_of_stage(c2s, features);
		add_limits(c2s, features);
		hook_features(&ask);
	}
	stream_send_features(stream, features);
	arena_free(&arena);
}

static void
on_open(struct stream *stream)
{
	if (has_bad_certificate(stream))
		stream_fail(stream, STREAM_ERR_NOT_AUTHORIZED,
		    "the certificate that was presented is not valid");
	else
		send_features(stream);
}

/* --- before login --------------------------------------------------------- */

/* Section 5.4.2. */
static void
on_starttls(struct c2s *c2s)
{
	struct stream *stream = &c2s->stream;
	struct arena *arena = arena_make(0);
	bool can = can_start_tls(c2s);

	stream_send(
	    stream, node_make(arena, can ? "proceed" : "failure", NS_TLS));
	arena_free(&arena);
	if (can) {
		auth_free(&c2s->auth);
		stream_start_tls(stream);
		return;
	}
	stream->end.text = STR("TLS was asked for, but cannot begin");
	stream->is_peer_ended = true;
	stream_close(stream);
}

static void
on_fresh(struct c2s *c2s, const struct node *node)
{
	/* Its answer would come into another stream. */
	if (c2s->registration != NULL && !node_is(node, "iq", NS_CLIENT))
		stream_fail(&c2s->stream, STREAM_ERR_POLICY_VIOLATION,
		    "a registration is under way");
	else if (node_is(node, "starttls", NS_TLS) && auth_is_busy(c2s))
		stream_fail(&c2s->stream, STREAM_ERR_POLICY_VIOLATION,
		    "a login is under way");
	else if (node_is(node, "starttls", NS_TLS))
		on_starttls(c2s);
	else if (str_is(node->ns, NS_SASL))
		auth_take(c2s, node);
	else if (!register_take(c2s, node))
		stream_fail(&c2s->stream, STREAM_ERR_NOT_AUTHORIZED, NULL);
}

/* --- to the shard of the account ------------------------------------------ */

static void
move(struct timer *timer)
{
	struct c2s *c2s = container_of(timer, struct c2s, moving);
	struct stream *stream = &c2s->stream;

	if (!stream->is_gone)
		(void)stream_move(
		    stream, shard_of(stream->shard->server, stream->peer));
}

void
c2s_authenticated(struct c2s *c2s, const struct jid *bare,
    const char *mechanism, uint64_t since_ms)
{
	struct stream *stream = &c2s->stream;
	struct shard *home = shard_of(stream->shard->server, bare);

	c2s->stage = C2S_AUTHENTICATED;
	c2s->mechanism = mechanism;
	c2s->login_ms = since_ms;
	stream_authenticated(stream, bare);
	auth_free(&c2s->auth);
	log_debug(&stream->log, "authenticated with %s", mechanism);
	metric_add(stream->shard, METRIC_LOGINS, 1);
	stream_restart(stream);
	/* When the bytes at hand are read: who went on meanwhile stays. */
	if (home != stream->shard)
		timer_start(stream->shard, &c2s->moving, 0, move);
}

/* --- binding (section 7) -------------------------------------------------- */

void
c2s_describe(
    struct c2s *c2s, struct arena *arena, struct session_origin *origin)
{
	struct conn *conn = c2s->stream.conn;
	bool is_v6 = memchr(conn->address.text, ':', conn->address.len) != NULL;

	origin->address = str_format(arena, is_v6 ? "[%.*s]:%u" : "%.*s:%u",
	    STR_ARG(conn->address), conn->port);
	origin->mechanism = str_of(c2s->mechanism);
	origin->tls = conn_tls_text(conn, arena);
	origin->lang = str_dup(arena, c2s->stream.lang);
}

static void
ask_bind(struct c2s *c2s, struct str resource)
{
	struct stream *stream = &c2s->stream;
	struct post *letter = post_new(POST_BIND, NULL);
	struct bind_ask *ask = arena_new(letter->arena, struct bind_ask);

	c2s->stage = C2S_BINDING;
	c2s->has_asked_bind = true;
	ask->resource = str_dup(letter->arena, resource);
	ask->login_ms = c2s->login_ms;
	c2s_describe(c2s, letter->arena, &ask->origin);
	letter->to = jid_copy(letter->arena, stream->peer);
	letter->stream = stream->id;
	letter->ticket = ++c2s->ticket;
	letter->bind = ask;
	post_send(stream->shard, letter);
}

static void
refuse_bind(struct c2s *c2s, enum stanza_err err)
{
	c2s_answer(c2s, c2s->bind_arena, c2s->bind_id, NULL, err);
	if (++c2s->failed_binds == BIND_TRIES_MAX)
		stream_fail(&c2s->stream, STREAM_ERR_POLICY_VIOLATION,
		    "too many resources that cannot be bound");
}

static void
on_bind(struct c2s *c2s, struct arena *arena, const struct node *node)
{
	const struct node *bind = node_child(node, "bind", NS_BIND);
	struct str resource = node_child_text(arena, bind, "resource", NS_BIND);

	c2s->bind_arena = arena;
	c2s->bind_id = node_attr(node, "id");
	/* An empty one leaves the choice to us. */
	if (resource.len > 0 && !prep_resource(arena, &resource)) {
		refuse_bind(c2s, STANZA_ERR_BAD_REQUEST);
		arena_free(&c2s->bind_arena);
		return;
	}
	ask_bind(c2s, resource);
}

static void
on_authenticated(struct c2s *c2s, struct arena *arena, const struct node *node)
{
	if (c2s_sm_take(c2s, node)) {
		arena_free(&arena);
		return;
	}
	if (node_is(node, "iq", NS_CLIENT) &&
	    str_is(node_attr(node, "type"), "set") &&
	    node_attr(node, "id").len > 0 &&
	    node_child(node, "bind", NS_BIND) != NULL) {
		on_bind(c2s, arena, node);
		return;
	}
	stream_fail(&c2s->stream, STREAM_ERR_NOT_AUTHORIZED, NULL);
	arena_free(&arena);
}

/* Clients should wait for the answer; some do not. */
static void
hold(struct c2s *c2s, struct arena *arena, const struct node *node)
{
	struct held *held;

	if (c2s->held_count == HELD_MAX) {
		stream_fail(&c2s->stream, STREAM_ERR_POLICY_VIOLATION,
		    "too many stanzas before the resource is bound");
		arena_free(&arena);
		return;
	}
	held = arena_new(arena, struct held);
	held->arena = arena;
	held->node = node;
	list_add_last(&c2s->held, &held->link);
	c2s->held_count++;
}

static void on_element(struct stream *, struct arena *, const struct node *);

/* The first that ends the stream is the last that is taken. */
static void
release(struct c2s *c2s)
{
	const bool was_ending = c2s->stream.is_ending;
	struct list held;

	list_init(&held);
	list_move(&held, &c2s->held);
	c2s->held_count = 0;
	list_each (item, &held, struct held, link) {
		struct arena *arena = item->arena;

		list_remove(&item->link);
		if (c2s->stream.is_ending != was_ending)
			arena_free(&arena);
		else
			on_element(&c2s->stream, arena, item->node);
	}
}

static void
drop_held(struct c2s *c2s)
{
	list_each (item, &c2s->held, struct held, link) {
		struct arena *arena = item->arena;

		list_remove(&item->link);
		arena_free(&arena);
	}
}

static void
answer_bind(struct c2s *c2s, const struct bound *bound)
{
	struct arena *arena = c2s->bind_arena;
	struct node *bind;

	if (bound->jid == NULL) {
		refuse_bind(c2s, bound->err);
		return;
	}
	bind = node_make(arena, "bind", NS_BIND);
	node_add_with_text(bind, "jid", NS_BIND, jid_full(bound->jid));
	c2s_answer(c2s, arena, c2s->bind_id, bind, STANZA_ERR_NONE);
}

void
c2s_bound(struct c2s *c2s, const struct jid *full, const char *how)
{
	struct stream *stream = &c2s->stream;

	c2s->stage = C2S_AUTHENTICATED;
	if (full != NULL) {
		c2s->stage = C2S_BOUND;
		stream->peer = jid_copy(stream->arena, full);
		log_info(&stream->log, "%s from %.*s with %s", how,
		    STR_ARG(c2s_address(c2s)), c2s->mechanism);
	}
	release(c2s);
}

static void
on_bound(struct c2s *c2s, const struct post *letter)
{
	if (c2s->stage != C2S_BINDING || letter->ticket != c2s->ticket)
		return;
	answer_bind(c2s, letter->bound);
	arena_free(&c2s->bind_arena);
	c2s_bound(c2s, letter->bound->jid, "logged in");
}

/* --- events --------------------------------------------------------------- */

/* Section 4.9.1.1: the client's own error ends the stream. */
static void
on_peer_error(struct c2s *c2s, const struct node *node)
{
	const struct node *condition = node_first(node);
	const struct str name =
	    condition == NULL ? STR("there is an error") : condition->name;
	struct stream *stream = &c2s->stream;

	stream->end.text =
	    str_format(stream->arena, "the client says %.*s", STR_ARG(name));
	stream->is_peer_ended = true;
	stream_close(stream);
}

static void
on_element(struct stream *stream, struct arena *arena, const struct node *node)
{
	struct c2s *c2s = c2s_of(stream);

	if (node_is(node, "error", NS_STREAM)) {
		on_peer_error(c2s, node);
		arena_free(&arena);
		return;
	}
	switch ((enum c2s_stage)c2s->stage) {
	case C2S_FRESH:
		on_fresh(c2s, node);
		arena_free(&arena);
		break;
	case C2S_AUTHENTICATED:
		on_authenticated(c2s, arena, node);
		break;
	case C2S_BINDING:
		hold(c2s, arena, node);
		break;
	case C2S_BOUND:
		if (c2s_sm_take(c2s, node))
			arena_free(&arena);
		else
			c2s_take_stanza(c2s, arena, node);
		break;
	}
}

static void
on_down(struct c2s *c2s, const struct post *letter)
{
	struct stream *stream = &c2s->stream;

	if (letter->blob != NULL)
		stream_send_blob(stream, letter->blob, letter->to);
	else
		stream_send_stanza(stream, letter->stanza);
	if (letter->ticket != 0)
		c2s_want_proof(c2s, letter->ticket);
	if (letter->wants_ack)
		c2s_sm_request(c2s);
}

static void
on_end(struct stream *stream, const struct stream_end *end)
{
	if (end->err == STREAM_ERR_NONE)
		stream_close(stream);
	else
		stream_fail(stream, end->err,
		    end->text.len > 0 ? end->text.text : NULL);
}

static void
on_answer(struct c2s *c2s, const struct post *letter)
{
	enum address_event event = letter->kind == POST_ADDRESS_VERDICT
				       ? letter->address->event
				       : ADDRESS_FAILED;

	if (event == ADDRESS_FAILED && auth_wants(c2s, letter))
		auth_take_letter(c2s, letter);
	else if (letter->kind != POST_KEYS)
		register_take_letter(c2s, letter);
}

static void
on_letter(struct stream *stream, struct post *letter)
{
	struct c2s *c2s = c2s_of(stream);

	switch (letter->kind) {
	case POST_DOWN:
		on_down(c2s, letter);
		break;
	case POST_BOUND:
		on_bound(c2s, letter);
		break;
	case POST_SM:
		c2s_sm_take_letter(c2s, letter);
		break;
	case POST_CLOSE:
		on_end(stream, letter->end);
		break;
	case POST_KEYS:
	case POST_REGISTERED:
	case POST_ADDRESS_VERDICT:
		on_answer(c2s, letter);
		break;
	default:
		(void)expect(false);
	}
	post_free(&letter);
}

static void
on_activity(struct stream *stream)
{
	c2s_prove(c2s_of(stream));
}

static bool
on_idle(struct stream *stream)
{
	struct c2s *c2s = c2s_of(stream);

	if (c2s->stage != C2S_BOUND)
		return false;
	if (c2s->is_managed)
		c2s_sm_request(c2s);
	else
		c2s_ping(c2s);
	return true;
}

static unsigned
on_peer_closed(struct stream *stream)
{
	return c2s_of(stream)->stage >= C2S_BINDING ? GRACE_MS : 0;
}

static bool
awaits_end(struct stream *stream)
{
	struct c2s *c2s = c2s_of(stream);

	return c2s->stage == C2S_BOUND && !c2s->is_managed &&
	       !stream->is_peer_ended && c2s_hurry_proofs(c2s);
}

static void
send_gone(struct c2s *c2s, const struct stream_end *end)
{
	struct stream *stream = &c2s->stream;
	struct post *letter = post_new(POST_GONE, NULL);
	struct stream_end *copy = arena_new(letter->arena, struct stream_end);

	copy->err = end->err;
	copy->text = str_dup(letter->arena, end->text);
	copy->is_final = stream->is_peer_ended;
	copy->taken = stream->taken;
	letter->end = copy;
	letter->to =
	    jid_to_bare(letter->arena, jid_copy(letter->arena, stream->peer));
	letter->stream = stream->id;
	post_send(stream->shard, letter);
}

static void
on_free(struct stream *stream)
{
	struct c2s *c2s = c2s_of(stream);

	timer_stop(stream->shard, &c2s->moving);
	c2s_forget_proofs(c2s);
	auth_free(&c2s->auth);
	register_free(c2s);
	drop_held(c2s);
	arena_free(&c2s->bind_arena);
}

/* The answer comes too late, what was sent behind the request does not: it goes
 * behind it to the account, which knows whether there is a session. */
static void
follow_bind(struct c2s *c2s)
{
	c2s->stage = C2S_BOUND;
	release(c2s);
}

static void
on_gone(struct stream *stream, const struct stream_end *end)
{
	struct c2s *c2s = c2s_of(stream);

	if (stream->is_peer_ended)
		c2s_prove_archived(c2s);
	if (c2s->bind_arena != NULL)
		follow_bind(c2s);
	on_free(stream);
	if (c2s->has_asked_bind)
		send_gone(c2s, end);
	if (c2s->is_passing && stream->peer != NULL)
		register_passing(stream->shard, stream->id, stream->peer, true);
}

static const struct stream_role c2s_role = {
    .name = "c2s",
    .content_ns = {NS_CLIENT, sizeof(NS_CLIENT) - 1},
    .len = sizeof(struct c2s),
    .on_open = on_open,
    .on_element = on_element,
    .on_letter = on_letter,
    .on_activity = on_activity,
    .on_idle = on_idle,
    .on_peer_closed = on_peer_closed,
    .awaits_end = awaits_end,
    .on_gone = on_gone,
    .on_free = on_free,
};

struct stream *
c2s_accept(struct shard *shard, struct conn *conn)
{
	struct stream *stream = stream_new(shard, &c2s_role, conn);
	struct c2s *c2s = c2s_of(stream);

	list_init(&c2s->held);
	list_init(&c2s->proofs);
	if (conn->is_direct_tls)
		conn_start_tls(conn);
	return stream;
}

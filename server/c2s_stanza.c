/* What a bound client sends: RFC 6120, section 8. */
#include "server/c2s_internal.h"
#include "server/metrics.h"
#include "server/setup.h"
#include "server/shard.h"

#define NS_SESSION "urn:ietf:params:xml:ns:xmpp-session"
#define NS_BIND    "urn:ietf:params:xml:ns:xmpp-bind"
#define NS_PING    "urn:xmpp:ping"
#define PING_ID    "jackdaw-ping"

/* To a bound client only its session talks, which counts. */
static void
say(struct c2s *c2s, const struct stanza *answer)
{
	struct post *letter;

	if (c2s->stage != C2S_BOUND) {
		stream_send_stanza(&c2s->stream, answer);
		return;
	}
	letter = post_new(POST_SAID, NULL);
	letter->to = jid_to_bare(
	    letter->arena, jid_copy(letter->arena, c2s->stream.peer));
	letter->stream = c2s->stream.id;
	if (answer != NULL)
		letter->stanza = stanza_copy_deep(letter->arena, answer);
	c2s_sm_count(c2s);
	post_send(c2s->stream.shard, letter);
}

void
c2s_answer(struct c2s *c2s, struct arena *arena, struct str id,
    const struct node *payload, enum stanza_err err)
{
	struct stanza ask = {
	    .kind = STANZA_IQ,
	    .type = STANZA_SET,
	    .id = id,
	    .node = node_make(arena, "iq", NS_CLIENT),
	};
	struct stanza *answer = err == STANZA_ERR_NONE
				    ? stanza_make_result(arena, &ask, payload)
				    : stanza_make_error(arena, &ask, err, NULL);

	say(c2s, answer);
}

void
c2s_ping(struct c2s *c2s)
{
	struct arena *arena = arena_make(0);
	struct stanza *ping = stanza_make(arena, STANZA_IQ, STANZA_GET,
	    c2s->stream.host->jid, c2s->stream.peer, STR(PING_ID));

	node_add(stanza_body(ping), "ping", NS_PING);
	/* The answer may be to the first of several. */
	if (!c2s->is_ping_open)
		c2s->ping_position = c2s->stream.conn->written;
	c2s->is_ping_open = true;
	stream_send_stanza(&c2s->stream, ping);
	arena_free(&arena);
}

static bool
answers_ping(struct c2s *c2s, const struct stanza *stanza)
{
	if (!c2s->is_ping_open || stanza->kind != STANZA_IQ ||
	    (stanza->type != STANZA_RESULT && stanza->type != STANZA_ERROR) ||
	    !str_is(stanza->id, PING_ID))
		return false;
	c2s->is_ping_open = false;
	c2s_prove_pinged(c2s);
	say(c2s, NULL);
	return true;
}

/* Section 8.1.2.1: whatever the client says of where it comes from does not
 * count. */
static const struct node *
without_from(struct arena *arena, const struct node *node)
{
	struct node *copy;

	if (node_attr(node, "from").text == NULL)
		return node;
	copy = node_copy(arena, node);
	copy->attrs = NULL;
	for (const struct attr *attr = node->attrs; attr != NULL;
	    attr = attr->next) {
		struct attr *kept;

		if (str_is(attr->name, "from") && attr->ns.len == 0)
			continue;
		kept = arena_new(arena, struct attr);
		*kept = *attr;
		kept->next = copy->attrs;
		copy->attrs = kept;
	}
	return copy;
}

static bool
is_stanza_of_servers(const struct node *node)
{
	return node_is(node, "message", NS_SERVER) ||
	       node_is(node, "presence", NS_SERVER) ||
	       node_is(node, "iq", NS_SERVER);
}

/* A wrong stanza is answered on the same stream: nobody else saw it. */
static void
refuse(struct c2s *c2s, struct arena *arena, struct stanza *stanza,
    enum stanza_err err)
{
	struct stanza *answer;
	/* Presence too: RFC 6121, section 4.7.1; RFC 7622, section 4. */
	if (!stanza_may_fail(stanza) &&
	    (stanza->kind != STANZA_PRESENCE || stanza->type == STANZA_ERROR)) {
		say(c2s, NULL);
		return;
	}
	stanza->from = c2s->stream.peer;
	answer = stanza_make_error(arena, stanza, err, NULL);
	if (err == STANZA_ERR_JID_MALFORMED) {
		/* From whom it was meant for, which is no JID. */
		node_set(
		    stanza_body(answer), "from", node_attr(stanza->node, "to"));
	}
	metric_add(c2s->stream.shard, METRIC_STANZA_ERRORS, 1);
	say(c2s, answer);
}

/* Section 4.7.4: the language of the stream is that of a stanza without. */
static const struct node *
with_lang(struct c2s *c2s, struct arena *arena, const struct node *node)
{
	struct node *copy;

	if (c2s->stream.lang.len == 0 || node_lang(node).text != NULL)
		return node;
	copy = node_copy(arena, node);
	node_set_lang(copy, str_dup(arena, c2s->stream.lang));
	return copy;
}

static void
send_up(struct c2s *c2s, struct arena *arena, struct stanza *stanza)
{
	struct post *letter = post_new(POST_SENT, arena);

	stanza->from = jid_copy(arena, c2s->stream.peer);
	stanza->node = with_lang(c2s, arena, stanza->node);
	letter->to = jid_to_bare(arena, stanza->from);
	letter->stream = c2s->stream.id;
	letter->stanza = stanza;
	letter->is_counted = c2s->is_managed;
	c2s_sm_count(c2s);
	post_send(c2s->stream.shard, letter);
}

/* What this very stream answers: a second bind (section 7.1), and the session
 * of RFC 3921, which old clients ask for. */
static bool
is_for_stream(struct c2s *c2s, struct arena *arena, const struct stanza *stanza)
{
	if (stanza->kind != STANZA_IQ || stanza->type != STANZA_SET)
		return false;
	if (node_child_ns(stanza->node, NS_SESSION) != NULL) {
		c2s_answer(c2s, arena, stanza->id, NULL, STANZA_ERR_NONE);
		return true;
	}
	if (node_child_ns(stanza->node, NS_BIND) != NULL) {
		c2s_answer(
		    c2s, arena, stanza->id, NULL, STANZA_ERR_NOT_ALLOWED);
		return true;
	}
	return false;
}

static void
check(struct c2s *c2s, struct arena **arena, struct stanza *stanza,
    enum stanza_err err)
{
	if (err != STANZA_ERR_NONE) {
		refuse(c2s, *arena, stanza, err);
	} else if (!answers_ping(c2s, stanza) &&
		   !is_for_stream(c2s, *arena, stanza)) {
		send_up(c2s, *arena, stanza);
		*arena = NULL;
	}
}

/* It takes the way of stanzas, so that it comes in their order. */
static void
send_nonza_up(struct c2s *c2s, struct arena *arena, const struct node *node)
{
	struct post *letter = post_new(POST_NONZA, arena);

	letter->to = jid_to_bare(arena, jid_copy(arena, c2s->stream.peer));
	letter->stream = c2s->stream.id;
	letter->nonza = node;
	post_send(c2s->stream.shard, letter);
}

static void
take_other(struct c2s *c2s, struct arena *arena, const struct node *node)
{
	const struct host *host = c2s->stream.host;

	/* A reload may have taken the host while it waited for its session. */
	if (host != NULL && hook_nonza(host, node) != NULL) {
		send_nonza_up(c2s, arena, node);
		return;
	}
	stream_fail(&c2s->stream, STREAM_ERR_UNSUPPORTED_STANZA_TYPE, NULL);
	arena_free(&arena);
}

void
c2s_take_stanza(struct c2s *c2s, struct arena *arena, const struct node *node)
{
	struct stanza *stanza = arena_new(arena, struct stanza);
	enum stanza_err err;

	if (is_stanza_of_servers(node)) {
		stream_fail(&c2s->stream, STREAM_ERR_INVALID_NAMESPACE, NULL);
		arena_free(&arena);
		return;
	}
	err = stanza_read(arena, without_from(arena, node), stanza);
	if (err == STANZA_ERR_FEATURE_NOT_IMPLEMENTED) {
		take_other(c2s, arena, node);
		return;
	}
	metric_add(c2s->stream.shard, METRIC_STANZAS_IN, 1);
	check(c2s, &arena, stanza, err);
	arena_free(&arena);
}

#include "server/component.h"

#include <gnutls/gnutls.h>

#include "base/clock.h"
#include "base/code.h"
#include "base/err.h"
#include "server/address.h"
#include "server/digest.h"
#include "server/domains.h"
#include "server/metrics.h"
#include "server/remote.h"
#include "server/router.h"
#include "server/setup.h"
#include "server/shard.h"

#define NS_PING "urn:xmpp:ping"
#define PING_ID "jackdaw-ack-"
/* How long the older of two connections may take to show that it lives. */
#define RIVAL_MS 10000
/* How often the remote hears how much came. */
#define TELL_MS 1000

enum step {
	HANDSHAKE, /* is awaited */
	PROVED,    /* the remote is asked to admit it */
	ADMITTED
};

struct component {
	struct stream stream; /* first */
	enum step step;
	struct str handshake; /* that proved it */
	uint64_t sent;        /* the last ticket */
	uint64_t asked;       /* the last one before the open ping */
	bool is_ping_open;
	uint64_t received, told_ms; /* stanzas that the remote was not told of;
				       when it last was */
	struct timer ask;           /* at the end of the turn */
	struct timer rival; /* until the answer of RIVAL must be there */
};

static struct component *
component_of(struct stream *stream)
{
	return container_of(stream, struct component, stream);
}

/* --- letters to the remote ------------------------------------------------ */

static struct path_note *
new_note(
    struct component *component, enum path_event event, struct post **letter_r)
{
	struct stream *stream = &component->stream;
	struct path_note *note =
	    path_note_new(event, STR_NONE, stream->host_name, letter_r);

	note->is_bidi = true;
	note->proof_text = STR("secret");
	note->address = str_format((*letter_r)->arena, "%.*s, port %u",
	    STR_ARG(stream->conn->address), stream->conn->port);
	(*letter_r)->stream = stream->id;
	return note;
}

static void
tell(struct component *component, enum path_event event, uint64_t ticket)
{
	struct post *letter;

	(void)new_note(component, event, &letter);
	letter->ticket = ticket;
	post_send(component->stream.shard, letter);
}

static void
tell_heard(struct component *component)
{
	tell(component, PATH_HEARD, component->received);
	component->received = 0;
	component->told_ms = clock_mono_ms();
}

/* --- acknowledgements ----------------------------------------------------- */

static void
send_ping(struct component *component)
{
	struct stream *stream = &component->stream;
	struct arena *arena = arena_make(0);
	const struct host *host =
	    domain_host(stream->shard->setup, stream->host_name);
	struct stanza *ping;

	if (host == NULL)
		host = setup_default_host(stream->shard->setup);
	ping = stanza_make(arena, STANZA_IQ, STANZA_GET, host->jid,
	    jid_parse(arena, stream->host_name),
	    str_format(
		arena, PING_ID "%llu", (unsigned long long)component->sent));
	node_add(stanza_body(ping), "ping", NS_PING);
	stream_send_stanza(stream, ping);
	component->is_ping_open = true;
	component->asked = component->sent;
	arena_free(&arena);
}

static void
ask(struct timer *timer)
{
	struct component *component =
	    container_of(timer, struct component, ask);

	if (!component->stream.is_ending && !component->is_ping_open)
		send_ping(component);
}

static void
want_answer(struct component *component)
{
	if (!component->is_ping_open && !timer_is_running(&component->ask))
		timer_start(component->stream.shard, &component->ask, 0, ask);
}

/* The id alone proves nothing: who asks a component chooses it, and only we ask
 * as a host of ours. */
static bool
is_for_host(const struct component *component, const struct stanza *stanza)
{
	return jid_local(stanza->to).len == 0 &&
	       setup_host(component->stream.shard->setup,
		   jid_domain(stanza->to)) != NULL;
}

/* Any answer proves that what stood before the ping was handled. */
static bool
takes_pong(struct component *component, const struct stanza *stanza)
{
	struct stream *stream = &component->stream;
	struct str number = stanza->id;
	uint64_t count;

	if (stanza->kind != STANZA_IQ || !is_for_host(component, stanza) ||
	    (stanza->type != STANZA_RESULT && stanza->type != STANZA_ERROR) ||
	    !str_starts(number, STR(PING_ID)))
		return false;
	number.text += sizeof(PING_ID) - 1;
	number.len -= sizeof(PING_ID) - 1;
	if (!component->is_ping_open ||
	    !str_to_u64(number, UINT64_MAX, &count) ||
	    count != component->asked)
		return true;
	component->is_ping_open = false;
	tell(component, PATH_ACKED, count);
	if (timer_is_running(&component->rival)) {
		timer_stop(stream->shard, &component->rival);
		tell(component, PATH_ALIVE, 0);
	}
	if (component->sent > count)
		want_answer(component);
	return true;
}

/* --- the handshake: section 3 --------------------------------------------- */

static bool
serves(const struct stream *stream, struct str domain)
{
	return domain_secret(stream->shard->setup, domain).len > 0;
}

static bool
is_proof(const struct stream *stream, struct arena *arena, struct str proof)
{
	struct str secret =
	    domain_secret(stream->shard->setup, stream->host_name);
	struct str wanted = hex_encode(arena,
	    digest_sha1(arena, str_join2(arena, stream->id_text, secret)));

	return secret.len > 0 && proof.len == wanted.len &&
	       gnutls_memcmp(proof.text, wanted.text, proof.len) == 0;
}

static void
take_handshake(struct component *component, const struct node *node)
{
	struct stream *stream = &component->stream;
	struct arena *arena = arena_make(0);
	const bool is_handshake = component->step == HANDSHAKE &&
				  node_is(node, "handshake", NS_COMPONENT);

	if (is_handshake &&
	    is_proof(stream, arena, str_trim(node_text(arena, node)))) {
		component->step = PROVED;
		component->handshake =
		    str_dup(stream->arena, str_trim(node_text(arena, node)));
		tell(component, PATH_READY, 0);
	} else {
		if (is_handshake)
			address_tell(stream->shard, stream->id,
			    stream->conn->address, ADDRESS_FAILED);
		stream_fail(stream, STREAM_ERR_NOT_AUTHORIZED,
		    is_handshake ? "that is not the secret of this component"
				 : "a handshake must come first");
	}
	arena_free(&arena);
}

static void
be_admitted(struct component *component)
{
	struct stream *stream = &component->stream;
	struct arena *arena = arena_make(0);

	component->step = ADMITTED;
	stream_send(stream, node_make(arena, "handshake", NS_COMPONENT));
	stream_authenticated(stream, jid_parse(arena, stream->host_name));
	log_info(&stream->log, "connected");
	arena_free(&arena);
}

/* --- stanzas -------------------------------------------------------------- */

static bool
is_malformed(const struct stanza *stanza)
{
	return stanza->to == NULL && node_attr(stanza->node, "to").len > 0;
}

static enum stream_err
check_addresses(const struct component *component, const struct stanza *stanza)
{
	const struct stream *stream = &component->stream;

	if (stanza->from == NULL ||
	    (stanza->to == NULL && !is_malformed(stanza)))
		return STREAM_ERR_IMPROPER_ADDRESSING;
	if (!str_equal(domain_component(
			   stream->shard->setup, jid_domain(stanza->from)),
		stream->host_name))
		return STREAM_ERR_INVALID_FROM;
	return STREAM_ERR_NONE;
}

static void
route(struct component *component, struct arena *arena, struct stanza *stanza,
    enum stanza_err err)
{
	component->received++;
	if (clock_mono_ms() - component->told_ms >= TELL_MS)
		tell_heard(component);
	if (err == STANZA_ERR_NONE)
		remote_hear(component->stream.shard, STR_NONE,
		    component->stream.host_name, stanza);
	router_route_foreign(
	    component->stream.shard, arena, stanza, err, (struct receipt){0});
}

/* RFC 6120, section 8.3.3.8: a gateway that somebody told a wrong address is
 * not to lose its stream, which it has for many others. */
static void
refuse_to(struct component *component, struct arena *arena,
    const struct stanza *stanza)
{
	struct stanza *answer;

	if (!stanza_may_fail(stanza))
		return;
	answer =
	    stanza_make_error(arena, stanza, STANZA_ERR_JID_MALFORMED, NULL);
	/* From whom it was meant for, which is no JID. */
	node_set(stanza_body(answer), "from", node_attr(stanza->node, "to"));
	metric_add(component->stream.shard, METRIC_STANZA_ERRORS, 1);
	stream_send_stanza(&component->stream, answer);
}

/* False: it goes on to whom it is for. */
static bool
is_for_us(struct component *component, struct arena *arena,
    const struct stanza *stanza, enum stanza_err err)
{
	if (is_malformed(stanza)) {
		refuse_to(component, arena, stanza);
		return true;
	}
	return err == STANZA_ERR_NONE && takes_pong(component, stanza);
}

static void
take_stanza(
    struct component *component, struct arena *arena, const struct node *node)
{
	struct stream *stream = &component->stream;
	struct stanza *stanza = arena_new(arena, struct stanza);
	enum stanza_err err = STANZA_ERR_NONE;
	enum stream_err wrong = STREAM_ERR_INVALID_NAMESPACE;

	if (!str_is(node->ns, NS_CLIENT)) {
		stanza_adopt(node, STR(NS_COMPONENT));
		err = stanza_read(arena, node, stanza);
		wrong = err == STANZA_ERR_FEATURE_NOT_IMPLEMENTED
			    ? STREAM_ERR_UNSUPPORTED_STANZA_TYPE
			    : check_addresses(component, stanza);
	}
	if (wrong != STREAM_ERR_NONE)
		stream_fail(stream, wrong, NULL);
	metric_add(stream->shard, METRIC_STANZAS_IN, 1);
	if (wrong != STREAM_ERR_NONE ||
	    is_for_us(component, arena, stanza, err))
		arena_free(&arena);
	else
		route(component, arena, stanza, err);
}

/* --- events --------------------------------------------------------------- */

static void
on_open(struct stream *stream)
{
	(void)stream;
}

static void
on_element(struct stream *stream, struct arena *arena, const struct node *node)
{
	struct component *component = component_of(stream);

	if (!node_is(node, "error", NS_STREAM) && component->step == ADMITTED) {
		take_stanza(component, arena, node);
		return;
	}
	if (node_is(node, "error", NS_STREAM)) {
		stream->is_peer_ended = true;
		stream_close(stream);
	} else {
		take_handshake(component, node);
	}
	arena_free(&arena);
}

static void
on_down(struct component *component, const struct post *letter)
{
	for (size_t i = 0; i < letter->receiver_count; i++)
		stream_send_blob(
		    &component->stream, letter->blob, letter->receivers[i]);
	component->sent = letter->ticket;
	want_answer(component);
}

static void
on_no_answer(struct timer *timer)
{
	struct component *component =
	    container_of(timer, struct component, rival);

	stream_fail(&component->stream, STREAM_ERR_CONNECTION_TIMEOUT,
	    "no answer to a ping, and the component connected anew");
}

/* The open ping, if there is one, is as good as another. */
static void
on_rival(struct component *component)
{
	if (component->stream.is_ending || timer_is_running(&component->rival))
		return;
	timer_start(
	    component->stream.shard, &component->rival, RIVAL_MS, on_no_answer);
	want_answer(component);
}

static void
on_letter(struct stream *stream, struct post *letter)
{
	struct component *component = component_of(stream);

	switch (letter->kind) {
	case POST_DOWN:
		on_down(component, letter);
		break;
	case POST_ADMIT:
		be_admitted(component);
		break;
	case POST_RIVAL:
		on_rival(component);
		break;
	case POST_CLOSE:
		stream_fail(stream, letter->end->err, letter->end->text.text);
		break;
	case POST_ADDRESS_VERDICT: /* of a failure */
		break;
	default:
		(void)expect(false);
	}
	post_free(&letter);
}

/* Who knew the secret of before may not know that of now. */
static void
on_setup(struct stream *stream)
{
	struct component *component = component_of(stream);
	struct arena *arena = arena_make(0);

	if (component->step != HANDSHAKE &&
	    !is_proof(stream, arena, component->handshake))
		stream_fail(stream, STREAM_ERR_POLICY_VIOLATION,
		    "the secret of this component has changed");
	arena_free(&arena);
}

static bool
on_idle(struct stream *stream)
{
	struct component *component = component_of(stream);

	if (component->step != ADMITTED)
		return false;
	component->is_ping_open = false;
	want_answer(component);
	return true;
}

/* Its users are away with it, however it went: so it is never in order. */
static void
on_gone(struct stream *stream, const struct stream_end *end)
{
	struct component *component = component_of(stream);
	struct path_note *note;
	struct post *letter;

	(void)end;
	if (component->step == HANDSHAKE)
		return;
	if (component->received > 0)
		tell_heard(component);
	note = new_note(component, PATH_GONE, &letter);
	note->err = STANZA_ERR_REMOTE_SERVER_TIMEOUT;
	note->text = STR("the component is not connected");
	post_send(stream->shard, letter);
}

static void
on_free(struct stream *stream)
{
	struct component *component = component_of(stream);

	timer_stop(stream->shard, &component->ask);
	timer_stop(stream->shard, &component->rival);
}

static const struct stream_role component_role = {
    .name = "component",
    .content_ns = {NS_COMPONENT, sizeof(NS_COMPONENT) - 1},
    .len = sizeof(struct component),
    .is_last = true,
    .serves = serves,
    .on_open = on_open,
    .on_element = on_element,
    .on_letter = on_letter,
    .on_setup = on_setup,
    .on_idle = on_idle,
    .on_gone = on_gone,
    .on_free = on_free,
};

struct stream *
component_accept(struct shard *shard, struct conn *conn)
{
	return stream_new(shard, &component_role, conn);
}

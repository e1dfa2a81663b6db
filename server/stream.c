#include "server/stream.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/rand.h"
#include "server/address.h"
#include "server/metrics.h"
#include "server/setup.h"
#include "server/shard.h"
#include "server/stream_internal.h"
#include "xml/prep.h"
#include "xml/writer.h"

#define NS_REGISTER "jabber:iq:register"
#define ALPN_S2S    "xmpp-server"
/* Two JIDs, a host and a language, of usual length. */
#define ARENA_LEN 180
/* How long the peer may take to close what we closed. */
#define CLOSING_MS 5000
/* The same, when the server ends. */
#define ANSWER_MS 1000

static void on_timer(struct timer *);

/* --- words ---------------------------------------------------------------- */

const char *
stream_err_element(enum stream_err err)
{
	static const char *const elements[] = {
#define X(name, element) [STREAM_ERR_##name] = element,
	    STREAM_ERR_MAP(X)
#undef X
	};

	return elements[err];
}

/* Of who is not proved yet. */
static struct str
claim_of(const struct stream *stream)
{
	if (stream->role->serves != NULL)
		return stream->host_name;
	if (!stream->role->is_of_servers)
		return STR_NONE;
	if (stream->claimed != NULL)
		return jid_full(stream->claimed);
	return stream->claimed_in_clear == NULL
		   ? STR_NONE
		   : jid_full(stream->claimed_in_clear);
}

static void
name_stream(const struct log *log, char *text, size_t len)
{
	const struct stream *stream = container_of(log, struct stream, log);
	struct str peer = stream->conn->address, claimed = STR_NONE;

	if (stream->target.len > 0)
		peer = stream->target;
	else if (stream->peer != NULL)
		peer = jid_full(stream->peer);
	else
		claimed = claim_of(stream);
	snprintf(text, len, "%s %u/%u %.*s%s%.*s", stream->role->name,
	    stream->id.shard, stream->id.slot, STR_ARG(peer),
	    claimed.len > 0 ? " as " : "", STR_ARG(claimed));
}

/* --- writing -------------------------------------------------------------- */

static struct buf *
begin(struct stream *stream)
{
	struct buf *buf = &stream->shard->scratch;

	buf_clear(buf, SCRATCH_KEPT);
	return buf;
}

static void
leave(struct stream *stream, struct buf *buf)
{
	log_at(LOG_WIRE, &stream->log, "sent %.*s", (int)buf->len, buf->text);
	conn_write(stream->conn, buf_str(buf));
}

void
stream_send_text(struct stream *stream, struct str text)
{
	log_at(LOG_WIRE, &stream->log, "sent %.*s", STR_ARG(text));
	conn_write(stream->conn, text);
}

void
stream_send(struct stream *stream, const struct node *node)
{
	struct buf *buf = begin(stream);

	writer_node(buf, node, stream->role->content_ns);
	leave(stream, buf);
}

/* With the prefix that some clients expect. */
static void
write_prefixed(struct buf *buf, const struct node *node, struct str content_ns)
{
	buf_add_format(buf, "<stream:%.*s>", STR_ARG(node->name));
	node_each (child, node)
		writer_node(buf, child, content_ns);
	buf_add_format(buf, "</stream:%.*s>", STR_ARG(node->name));
}

void
stream_send_features(struct stream *stream, const struct node *features)
{
	struct buf *buf = begin(stream);

	write_prefixed(buf, features, stream->role->content_ns);
	leave(stream, buf);
}

void
stream_send_stanza(struct stream *stream, const struct stanza *stanza)
{
	struct buf *buf = begin(stream);

	stanza_write(buf, stanza, stream->role->content_ns, STR_NONE);
	metric_add(stream->shard, METRIC_STANZAS_OUT, 1);
	leave(stream, buf);
}

void
stream_send_blob(
    struct stream *stream, const struct blob *blob, const struct jid *to)
{
	struct buf *buf = begin(stream);
	struct str text = blob_str(blob);
	size_t len = stanza_tag_len(text);

	buf_add(buf, (struct str){text.text, len});
	if (to != NULL) {
		buf_add(buf, STR(" to='"));
		writer_escaped(buf, jid_full(to));
		buf_add(buf, STR("'"));
	}
	buf_add(buf, (struct str){text.text + len, text.len - len});
	metric_add(stream->shard, METRIC_STANZAS_OUT, 1);
	leave(stream, buf);
}

/* --- opening ------------------------------------------------------------- */

static void
on_open(struct reader *reader, const struct node *header, struct str content_ns)
{
	struct stream *stream = reader_owner(reader);
	struct arena *arena;
	enum stream_err err;

	/* Nothing begins any more, and a role may have let go already. */
	if (stream->is_ending)
		return;
	arena = arena_make(0);
	stream->claimed = stream->claimed_in_clear = NULL;
	stream->lang = STR_NONE;
	stream->has_version = node_attr(header, "version").text != NULL;
	err = stream_read_header(stream, arena, header, content_ns);
	arena_free(&arena);
	if (stream->target.len == 0)
		stream_send_header(stream, stream->has_version);
	if (err != STREAM_ERR_NONE)
		stream_fail(stream, err, NULL);
	else
		stream->role->on_open(stream);
}

/* --- reading -------------------------------------------------------------- */

/* The connection may linger; for the role it is over. */
static void
end(struct stream *stream)
{
	if (stream->is_gone)
		return;
	stream->is_gone = true;
	stream->role->on_gone(stream, &stream->end);
}

static void
hang_up(struct stream *stream)
{
	if (stream->is_feeding)
		reader_stop(stream->reader);
	conn_close(stream->conn);
	end(stream);
}

/* No secrets, even here: before login, and where passwords are changed, only
 * what kind of element it was. */
static void
log_element(
    const struct stream *stream, struct arena *arena, const struct node *node)
{
	struct str text = node->name;

	if (!log_shows(LOG_WIRE))
		return;
	if (stream->is_authenticated &&
	    node_child_ns(node, NS_REGISTER) == NULL)
		text = writer_text(arena, node);
	log_at(LOG_WIRE, &stream->log, "got %.*s", STR_ARG(text));
}

static void
on_stanza(struct reader *reader, struct arena *arena, const struct node *node)
{
	struct stream *stream = reader_owner(reader);

	if (stream->is_deaf || stream->is_gone) {
		arena_free(&arena);
		return;
	}
	log_element(stream, arena, node);
	stream->role->on_element(stream, arena, node);
}

static void
on_peer_closed(struct reader *reader)
{
	struct stream *stream = reader_owner(reader);
	unsigned grace_ms = 0;

	stream->is_peer_ended = true;
	stream->is_deaf = true;
	reader_stop(reader);
	if (stream->is_ending) {
		hang_up(stream);
		return;
	}
	if (stream->role->on_peer_closed != NULL)
		grace_ms = stream->role->on_peer_closed(stream);
	if (grace_ms == 0)
		stream_close(stream);
	else
		timer_start(stream->shard, &stream->timer, grace_ms, on_timer);
}

/* RFC 6120, section 4.9.3, and for what is forbidden 11.1. */
static enum stream_err
stream_err_of(enum read_err err)
{
	switch (err) {
	case READ_ERR_RESTRICTED:
		return STREAM_ERR_RESTRICTED_XML;
	case READ_ERR_ENCODING:
		return STREAM_ERR_UNSUPPORTED_ENCODING;
	case READ_ERR_TEXT:
	case READ_ERR_NESTED:
		return STREAM_ERR_BAD_FORMAT;
	case READ_ERR_TOO_LARGE:
	case READ_ERR_TOO_DEEP:
	case READ_ERR_TOO_MANY:
	case READ_ERR_PIECES:
		return STREAM_ERR_POLICY_VIOLATION;
	default:
		return STREAM_ERR_NOT_WELL_FORMED;
	}
}

static void
on_error(struct reader *reader, enum read_err err)
{
	struct stream *stream = reader_owner(reader);

	stream_fail(stream, stream_err_of(err), read_err_text(err));
}

static const struct reader_events reader_events = {
    .on_open = on_open,
    .on_stanza = on_stanza,
    .on_close = on_peer_closed,
    .on_error = on_error,
};

/* A tree takes many times the bytes that it came in: strangers get a small one.
 */
static struct reader_limits
limits_of(const struct stream *stream)
{
	struct reader_limits limits = {
	    .bytes = stream_max_bytes(stream),
	    .depth = (unsigned)stream_limit_of(
		stream, SETTINGS_LIMITS_FIRST_DEPTH, SETTINGS_LIMITS_DEPTH),
	    .attrs = (unsigned)stream_limit_of(stream,
		SETTINGS_LIMITS_FIRST_ATTRIBUTES, SETTINGS_LIMITS_ATTRIBUTES),
	    .children = (unsigned)stream_limit_of(stream,
		SETTINGS_LIMITS_FIRST_ELEMENTS, SETTINGS_LIMITS_ELEMENTS),
	};

	if (!stream->is_authenticated)
		limits.all_attrs = limits.children;
	return limits;
}

void
stream_limit(struct stream *stream)
{
	struct reader_limits limits = limits_of(stream);

	if (stream->reader != NULL)
		reader_limit(stream->reader, &limits);
}

static void
feed(struct stream *stream, struct str bytes)
{
	struct reader_limits limits;

	if (stream->reader == NULL) {
		limits = limits_of(stream);
		stream->reader = reader_new(
		    stream->shard->readers, &reader_events, &limits, stream);
	}
	stream->is_feeding = true;
	reader_feed(stream->reader, bytes);
	stream->is_feeding = false;
}

static void
on_bytes(struct conn *conn, struct str bytes)
{
	struct stream *stream = conn->owner;

	stream->heard_ms = clock_mono_ms();
	stream->is_pinged = false;
	if (stream->is_gone)
		return;
	if (stream->role->on_activity != NULL)
		stream->role->on_activity(stream);
	if (stream->is_peer_ended)
		return;
	stream_pace(stream, bytes.len);
	feed(stream, bytes);
	/* Bytes of before TLS are nobody's (section 5.4.3.3). */
	if (stream->is_deaf && !stream->is_peer_ended) {
		stream->is_deaf = false;
		reader_free(&stream->reader);
	}
}

/* --- opening, restarts, moves --------------------------------------------- */

static void
on_secure(struct conn *conn)
{
	struct stream *stream = conn->owner;

	log_debug(&stream->log, "TLS is up");
	if (stream->role->on_secure != NULL)
		stream->role->on_secure(stream);
}

static void on_closed(struct conn *, const char *why);

static const struct conn_events conn_events = {
    .on_bytes = on_bytes,
    .on_secure = on_secure,
    .on_closed = on_closed,
};

static struct stream *
make(struct shard *shard, const struct stream_role *role, struct conn *conn)
{
	struct stream *stream = calloc(1, role->len);

	shard_must_be_current(shard);
	must(stream != NULL);
	stream->role = role;
	stream->log.name = name_stream;
	stream->arena = arena_make(ARENA_LEN);
	stream->conn = conn;
	conn->owner = stream;
	conn->events = &conn_events;
	streams_add(shard, stream);
	stream->heard_ms = stream->credit_ms = clock_mono_ms();
	stream->credit = stream_burst(stream);
	return stream;
}

static void
set_deadline(struct stream *stream, enum settings_index index)
{
	uint64_t after_ms = stream_setting(stream, index);

	stream->deadline_ms = stream->heard_ms + after_ms;
	timer_start(stream->shard, &stream->timer, after_ms, on_timer);
}

struct stream *
stream_new(
    struct shard *shard, const struct stream_role *role, struct conn *conn)
{
	struct stream *stream = make(shard, role, conn);

	set_deadline(stream, SETTINGS_LIMITS_AUTH_TIME);
	address_tell(shard, stream->id, conn->address, ADDRESS_OPENED);
	metric_add(shard, METRIC_CONNECTIONS, 1);
	return stream;
}

struct stream *
stream_new_out(struct shard *shard, const struct stream_role *role,
    struct conn *conn, struct str local, struct str target)
{
	struct stream *stream = make(shard, role, conn);

	stream->host_name = str_dup(stream->arena, local);
	stream->host = stream_find_host(stream, stream->host_name);
	stream->target = str_dup(stream->arena, target);
	set_deadline(stream, SETTINGS_S2S_CONNECT_TIMEOUT);
	return stream;
}

void
stream_open(struct stream *stream)
{
	if (!stream->is_ending)
		stream_send_header(stream, true);
}

void
stream_restart(struct stream *stream)
{
	const bool is_ahead = !stream->is_feeding && stream->reader != NULL &&
			      reader_is_inside(stream->reader);

	stream->is_open = false;
	if (stream->is_feeding)
		reader_restart(stream->reader);
	else
		reader_free(&stream->reader);
	/* What came before the peer could know that it may (section 6.3.5) was
	 * read as the old stream's: the new one would lack it. */
	if (is_ahead)
		stream_fail(stream, STREAM_ERR_POLICY_VIOLATION,
		    "the new stream began before the login was over");
}

static void
start_tls_client(struct stream *stream)
{
	struct arena *arena = arena_make(0);
	struct tls_client_options options = {
	    .setup = stream->shard->setup,
	    .host = stream->host,
	    .server_name = stream->target,
	    .alpn = stream->conn->is_direct_tls ? ALPN_S2S : NULL,
	};

	(void)prep_domain_ascii(arena, &options.server_name);
	conn_start_tls_client(stream->conn, &options);
	arena_free(&arena);
}

void
stream_start_tls(struct stream *stream)
{
	stream->is_open = false;
	stream->is_deaf = stream->is_feeding;
	stream->claimed_in_clear = stream->claimed;
	stream->claimed = NULL;
	stream->lang = STR_NONE;
	if (stream->is_feeding)
		reader_stop(stream->reader);
	if (stream->target.len > 0) {
		start_tls_client(stream);
		return;
	}
	stream->conn->host = stream->host;
	conn_start_tls(stream->conn);
}

void
stream_authenticated(struct stream *stream, const struct jid *bare)
{
	const int64_t burst = stream_burst(stream);

	stream->peer = jid_copy(stream->arena, bare);
	stream->is_authenticated = true;
	stream->credit += stream_burst(stream) - burst;
	stream->deadline_ms = 0;
	stream_limit(stream);
	timer_start(stream->shard, &stream->timer, 0, on_timer);
}

static bool
has_gone_on(const struct stream *stream)
{
	return stream->is_open || stream->is_ending || stream->is_peer_ended ||
	       stream->is_feeding ||
	       (stream->reader != NULL && (reader_is_inside(stream->reader) ||
					      reader_len(stream->reader) > 0));
}

bool
stream_move(struct stream *stream, struct shard *to)
{
	struct shard *from = stream->shard;
	struct post *letter;

	if (has_gone_on(stream) || !conn_move(stream->conn, to))
		return false;
	timer_stop(from, &stream->timer);
	timer_stop(from, &stream->pause);
	reader_free(&stream->reader);
	streams_remove(stream);
	stream->host = NULL;
	letter = post_new(POST_MOVE, NULL);
	letter->move = arena_new(letter->arena, struct stream_move);
	letter->move->stream = stream;
	post_send_to(from, to->index, letter);
	return true;
}

void
stream_take_move(struct shard *shard, struct post *letter)
{
	struct stream *stream = letter->move->stream;

	post_free(&letter);
	streams_add(shard, stream);
	stream->host = stream_find_host(stream, stream->host_name);
	stream_set_reading(stream, true);
	timer_start(shard, &stream->timer, 0, on_timer);
	if (stream->host == NULL)
		stream_fail(stream, STREAM_ERR_HOST_GONE, NULL);
	else if (shard->is_draining)
		stream_cut(stream, STREAM_ERR_SYSTEM_SHUTDOWN, STR_NONE);
}

/* --- ending --------------------------------------------------------------- */

static void
before_closing(struct stream *stream)
{
	if (stream->role->on_closing != NULL)
		stream->role->on_closing(stream);
}

static void
send_close(struct stream *stream)
{
	stream->is_ending = true;
	conn_write(stream->conn, STR("</stream:stream>"));
	log_at(LOG_WIRE, &stream->log, "sent </stream:stream>");
}

void
stream_close(struct stream *stream)
{
	if (stream->is_ending)
		return;
	if (!stream->is_open)
		stream_send_header(stream, true);
	before_closing(stream);
	send_close(stream);
	if (stream->is_peer_ended)
		hang_up(stream);
	else
		timer_start(
		    stream->shard, &stream->timer, CLOSING_MS, on_timer);
}

static void
send_error(struct stream *stream, enum stream_err err, const char *text,
    const struct node *specific)
{
	struct arena *arena = arena_make(0);
	struct node *error = node_make(arena, "error", NS_STREAM);
	struct buf *buf;

	node_add(error, stream_err_element(err), NS_STREAM_ERR);
	if (text != NULL)
		node_set_lang(node_add_with_text(
				  error, "text", NS_STREAM_ERR, str_of(text)),
		    STR(STREAM_LANG));
	if (specific != NULL)
		node_add_copy(error, specific);
	buf = begin(stream);
	write_prefixed(buf, error, stream->role->content_ns);
	leave(stream, buf);
	arena_free(&arena);
}

void
stream_fail(struct stream *stream, enum stream_err err, const char *text)
{
	stream_fail_with(stream, err, text, NULL);
}

void
stream_fail_with(struct stream *stream, enum stream_err err, const char *text,
    const struct node *specific)
{
	if (stream->is_ending)
		return;
	stream->end.err = err;
	if (text != NULL)
		stream->end.text = str_dup(stream->arena, str_of(text));
	metric_add(stream->shard, METRIC_STREAM_ERRORS, 1);
	if (!stream->is_open)
		stream_send_header(stream, true);
	before_closing(stream);
	send_error(stream, err, text, specific);
	send_close(stream);
	if (err == STREAM_ERR_SYSTEM_SHUTDOWN &&
	    stream->role->awaits_end != NULL &&
	    stream->role->awaits_end(stream))
		timer_start(stream->shard, &stream->timer, ANSWER_MS, on_timer);
	else
		hang_up(stream);
}

void
stream_cut(struct stream *stream, enum stream_err err, struct str text)
{
	stream->end.err = err;
	stream->end.text = text;
	stream->is_ending = true;
	conn_abort(stream->conn);
	end(stream);
}

void
stream_free(struct stream *stream)
{
	stream->role->on_free(stream);
	reader_free(&stream->reader);
	arena_free(&stream->arena);
	free(stream);
}

static void
log_end(const struct stream *stream, const char *why)
{
	if (stream->end.err != STREAM_ERR_NONE)
		log_info(&stream->log, "closed with %s%s%.*s",
		    stream_err_element(stream->end.err),
		    stream->end.text.len > 0 ? ": " : "",
		    STR_ARG(stream->end.text));
	else if (stream->end.text.len > 0)
		log_info(
		    &stream->log, "closed: %.*s", STR_ARG(stream->end.text));
	else if (stream->is_peer_ended)
		log_info(&stream->log, "closed as the peer asked");
	else
		log_info(&stream->log, "closed: %s", why);
}

static void
on_closed(struct conn *conn, const char *why)
{
	struct stream *stream = conn->owner;
	struct shard *shard = stream->shard;

	timer_stop(shard, &stream->timer);
	timer_stop(shard, &stream->pause);
	log_end(stream, why);
	/* For who asks the role why: nothing else is known. */
	if (!stream->is_gone && !stream->is_peer_ended &&
	    stream->end.err == STREAM_ERR_NONE && stream->end.text.len == 0)
		stream->end.text = str_dup(stream->arena, str_of(why));
	if (stream->target.len == 0)
		address_leave(
		    shard, stream->id, conn->address, conn->slowed_until_ms);
	end(stream);
	streams_remove(stream);
	stream_free(stream);
}

/* --- time ----------------------------------------------------------------- */

/* A timer is not moved each time bytes come: when it rings, it looks. Who is
 * not listened to is not silent. */
static void
check_idle(struct stream *stream, uint64_t now_ms)
{
	uint64_t ping_ms = stream_setting(stream, SETTINGS_LIMITS_IDLE_PING);
	uint64_t quiet_ms, wait_ms;

	if (ping_ms == 0)
		return;
	if (stream->is_held) {
		stream->heard_ms = now_ms;
		stream->is_pinged = false;
	}
	quiet_ms = now_ms - stream->heard_ms;
	if (stream->is_pinged && stream->role->is_of_servers) {
		stream_cut(stream, STREAM_ERR_CONNECTION_TIMEOUT,
		    STR("no answer to a ping"));
		return;
	}
	if (stream->is_pinged) {
		stream_fail(stream, STREAM_ERR_CONNECTION_TIMEOUT,
		    "no answer to a ping");
		return;
	}
	if (quiet_ms < ping_ms) {
		wait_ms = ping_ms - quiet_ms;
	} else {
		stream->is_pinged = true;
		wait_ms = stream_setting(stream, SETTINGS_LIMITS_IDLE_TIMEOUT);
		if (!stream->role->on_idle(stream)) {
			stream_fail(
			    stream, STREAM_ERR_CONNECTION_TIMEOUT, "idle");
			return;
		}
	}
	timer_start(stream->shard, &stream->timer, wait_ms, on_timer);
}

static void
on_timer(struct timer *timer)
{
	struct stream *stream = container_of(timer, struct stream, timer);
	uint64_t now_ms = clock_mono_ms();

	if (stream->is_ending)
		hang_up(stream);
	else if (stream->is_peer_ended)
		stream_close(stream);
	else if (stream->deadline_ms == 0)
		check_idle(stream, now_ms);
	else if (now_ms >= stream->deadline_ms)
		stream_fail(stream, STREAM_ERR_CONNECTION_TIMEOUT,
		    "not authenticated in time");
	else
		timer_start(stream->shard, &stream->timer,
		    stream->deadline_ms - now_ms, on_timer);
}

bool
stream_is_secure(const struct stream *stream)
{
	return stream->conn->is_secure;
}

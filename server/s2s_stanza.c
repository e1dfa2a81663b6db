/* Stanzas between servers, in and out, and what acknowledges them. */
#include <stdlib.h>

#include "base/clock.h"
#include "base/err.h"
#include "server/domains.h"
#include "server/metrics.h"
#include "server/remote.h"
#include "server/router.h"
#include "server/s2s_checkup.h"
#include "server/s2s_internal.h"
#include "server/s2s_resume.h"
#include "server/s2s_sm.h"
#include "server/settings.h"
#include "server/settle.h"
#include "server/setup.h"
#include "server/shard.h"
#include "server/stream_pace.h"

#define NS_PING "urn:xmpp:ping"
/* Pings are answered on whatever stream the peer has to us: their ids say which
 * stream they are of. */
#define PING_ID "jackdaw-ack-"

/* How often a remote hears how much came. */
#define TELL_MS 1000
/* The year 9999, which RFC 5280 uses for certificates that never end. */
#define FOREVER_S ((int64_t)253402300799)

/* --- paths ---------------------------------------------------------------- */

static struct s2s_path *
path_find(struct s2s *s2s, struct str local, struct str domain)
{
	list_each (path, &s2s->paths, struct s2s_path, link)
		if (str_equal(path->domain, domain) &&
		    str_equal(path->local, local))
			return path;
	return NULL;
}

static struct path_note *
new_note(struct s2s *s2s, struct str local, struct str domain,
    enum path_event event, struct post **letter_r)
{
	struct path_note *note = path_note_new(event, local, domain, letter_r);

	(*letter_r)->stream = s2s->stream.id;
	return note;
}

/* What people want to see of it. */
static void
describe(struct s2s *s2s, struct path_note *note, unsigned proof,
    struct arena *arena)
{
	struct stream *stream = &s2s->stream;

	note->is_out = s2s->is_out;
	note->is_bidi = s2s->is_bidi;
	note->has_acks = s2s->has_acks;
	note->is_resumed = s2s->is_resumed;
	note->former = s2s->resumed;
	note->proof = proof;
	note->proof_text = str_of(proof_text((enum proof)proof));
	note->tls = stream_is_secure(stream)
			? conn_tls_text(stream->conn, arena)
			: STR_NONE;
	note->address = str_format(arena, "%.*s, port %u",
	    STR_ARG(stream->conn->address), stream->conn->port);
}

static void
tell_ready(struct s2s *s2s, const struct s2s_path *path)
{
	struct post *letter;
	struct path_note *note =
	    new_note(s2s, path->local, path->domain, PATH_READY, &letter);

	describe(s2s, note, path->proof, letter->arena);
	note->max_bytes = s2s->max_bytes;
	post_send(s2s->stream.shard, letter);
}

void
s2s_path_ready(
    struct s2s *s2s, struct str local, struct str domain, unsigned proof)
{
	struct stream *stream = &s2s->stream;
	struct s2s_path *path;

	if (path_find(s2s, local, domain) != NULL)
		return;
	path = arena_new(stream->arena, struct s2s_path);
	path->local = str_dup(stream->arena, local);
	path->domain = str_dup(stream->arena, domain);
	path->proof = proof;
	list_add_last(&s2s->paths, &path->link);
	tell_ready(s2s, path);
}

void
s2s_tell_resumed(struct s2s *s2s)
{
	list_each (path, &s2s->paths, struct s2s_path, link)
		tell_ready(s2s, path);
}

void
s2s_tell_heard(struct s2s_right *right)
{
	struct s2s *s2s = right->s2s;
	struct post *letter;
	struct path_note *note =
	    new_note(s2s, right->local, right->domain, PATH_HEARD, &letter);

	describe(s2s, note, right->proof, letter->arena);
	letter->ticket = right->received;
	right->received = 0;
	right->told_ms = clock_mono_ms();
	post_send(s2s->stream.shard, letter);
}

static void
marks_free(struct s2s *s2s)
{
	list_each (mark, &s2s->marks, struct s2s_mark, link) {
		list_remove(&mark->link);
		free(mark);
	}
}

/* A stream that both sides were done with leaves no doubt of what is there. Who
 * does not answer our end may be gone, and what he said meanwhile lost. */
static bool
ended_in_order(const struct s2s *s2s)
{
	const struct stream *stream = &s2s->stream;

	return !s2s->has_peer_error && stream->end.err == STREAM_ERR_NONE &&
	       stream->is_peer_ended;
}

static void
tell_gone(struct s2s *s2s, struct str local, struct str domain, struct str why,
    bool in_order)
{
	struct post *letter;
	struct path_note *note =
	    new_note(s2s, local, domain, PATH_GONE, &letter);

	note->text = str_dup(letter->arena, why);
	note->can_resume = s2s->is_kept;
	note->has_heard = s2s->has_heard;
	if (!in_order)
		note->err = STANZA_ERR_REMOTE_SERVER_TIMEOUT;
	post_send(s2s->stream.shard, letter);
}

/* <connection-timeout/> on a stream of theirs (RFC 6120, section 4.9.3.4): of
 * ejabberd that it was idle, of Prosody that we acknowledge too late. Either
 * had said all before, and it has come, in order: a dead link would have cut
 * this off too. What we sent on it may not have come there. */
static void
tell_all_gone(struct s2s *s2s, struct str why)
{
	const bool in_order = ended_in_order(s2s);

	s2s->has_heard = s2s->handled.taken > 0;
	if (!in_order)
		s2s->is_kept = s2s_keep(s2s);
	list_each (right, &s2s->rights, struct s2s_right, link)
		if (right->stage == RIGHT_PROVED && right->received > 0)
			s2s_tell_heard(right);
	list_each (path, &s2s->paths, struct s2s_path, link) {
		tell_gone(s2s, path->local, path->domain, why, in_order);
		list_remove(&path->link);
	}
	list_each (right, &s2s->rights, struct s2s_right, link)
		if (right->stage == RIGHT_PROVED)
			tell_gone(s2s, right->local, right->domain, why,
			    in_order || s2s->is_unused);
	marks_free(s2s);
}

void
s2s_init(struct s2s *s2s)
{
	list_init(&s2s->rights);
	list_init(&s2s->paths);
	list_init(&s2s->marks);
}

void
s2s_end(struct s2s *s2s, struct str why)
{
	tell_all_gone(s2s, why);
	s2s_rights_cancel(s2s);
}

void
s2s_take_error(struct s2s *s2s, const struct node *error)
{
	struct stream *stream = &s2s->stream;
	const struct node *condition = node_first(error);
	struct str name = condition == NULL
			      ? STR("no reason")
			      : str_shorten_utf8(condition->name, WORDS_MAX);
	struct str words = str_shorten_utf8(
	    node_child_text(stream->arena, error, "text", NS_STREAM_ERR),
	    WORDS_MAX);

	stream->end.text =
	    str_format(stream->arena, "the server says %.*s%s%.*s",
		STR_ARG(name), words.len > 0 ? ": " : "", STR_ARG(words));
	s2s->has_peer_error = true;
	s2s->is_unknown = str_is(name, "host-unknown");
	s2s->is_unused = str_is(name, "connection-timeout");
	stream->is_peer_ended = true;
	stream_close(stream);
}

void
s2s_deinit(struct s2s *s2s)
{
	timer_stop(s2s->stream.shard, &s2s->ask);
	timer_stop(s2s->stream.shard, &s2s->late);
	timer_stop(s2s->stream.shard, &s2s->idle);
	s2s_sm_stop(s2s);
	s2s_rights_free(s2s);
	marks_free(s2s);
}

/* --- acknowledgements ----------------------------------------------------- */

static void
tell_acked(struct s2s *s2s, const struct s2s_path *path, uint64_t ticket)
{
	remote_tell_acked(s2s->stream.shard, path->local, path->domain, ticket);
}

/* One letter for each stretch of marks of one path. */
static void
settle_marks(struct s2s *s2s, uint64_t count)
{
	const struct s2s_path *path = NULL;
	uint64_t ticket = 0;

	list_each (mark, &s2s->marks, struct s2s_mark, link) {
		if (mark->sent > count)
			break;
		if (path != NULL && path != mark->path)
			tell_acked(s2s, path, ticket);
		path = mark->path;
		ticket = mark->ticket;
		list_remove(&mark->link);
		free(mark);
	}
	if (path != NULL)
		tell_acked(s2s, path, ticket);
}

/* Who answers the same again and again must not hold what it was sent for ever.
 */
void
s2s_acked(struct s2s *s2s, uint64_t count)
{
	settle_marks(s2s, count);
	s2s->is_asked = false;
	s2s->answers_in_vain =
	    count <= s2s->acked && !list_is_empty(&s2s->marks);
	if (!s2s->answers_in_vain) {
		s2s->asked_ms = 0;
		timer_stop(s2s->stream.shard, &s2s->late);
	}
	if (count > s2s->acked)
		s2s->acked = count;
	if (!list_is_empty(&s2s->marks))
		s2s_want_ack(s2s);
}

void
s2s_send_ping(struct s2s *s2s, struct str local, struct str domain)
{
	const struct stream *stream = &s2s->stream;
	struct arena *arena = arena_make(0);
	struct stanza *ping = stanza_make(arena, STANZA_IQ, STANZA_GET,
	    jid_parse(arena, local), jid_parse(arena, domain),
	    str_format(arena, PING_ID "%u-%u-%u-%llu", stream->id.shard,
		stream->id.slot, stream->id.use,
		(unsigned long long)s2s->sent));

	node_add(stanza_body(ping), "ping", NS_PING);
	stream_send_stanza(&s2s->stream, ping);
	s2s->sent++;
	arena_free(&arena);
}

void
s2s_begin_marks(struct s2s *s2s)
{
	s2s->is_asked = s2s->answers_in_vain = false;
	s2s->asked_ms = 0;
	timer_stop(s2s->stream.shard, &s2s->late);
	list_each (mark, &s2s->marks, struct s2s_mark, link)
		mark->sent = s2s->sent + 1;
	if (!list_is_empty(&s2s->marks))
		s2s_want_ack(s2s);
}

/* What went before the peer counts, and nothing behind it yet. */
static bool
is_uncounted(const struct s2s *s2s)
{
	const struct s2s_mark *mark =
	    list_entry(list_first(&s2s->marks), struct s2s_mark, link);

	return mark != NULL && mark->sent > s2s->sent;
}

/* For how long an answer may be missing; 0: for ever. Who answers is there, and
 * perhaps its store is away: it has as long as messages are held. */
static uint64_t
patience_ms(const struct s2s *s2s)
{
	const struct setup *setup = s2s->stream.shard->setup;
	const struct config *config = setup_config(setup);
	const struct s2s_path *path =
	    list_entry(list_first(&s2s->paths), struct s2s_path, link);
	const struct str domain = path == NULL ? STR_NONE : path->domain;
	const uint64_t ping_ms =
	    config_ms(config, CONFIG_GLOBAL, SETTING(LIMITS_IDLE_PING));
	const uint64_t timeout_ms =
	    config_ms(config, CONFIG_GLOBAL, SETTING(LIMITS_IDLE_TIMEOUT));
	const uint64_t hold_ms = config_ms(config,
	    policy_index(setup, NULL, domain, SETTING(S2S_HOLD_MESSAGES)),
	    SETTING(S2S_HOLD_MESSAGES));

	if (ping_ms == 0)
		return 0;
	return s2s->answers_in_vain && hold_ms > ping_ms + timeout_ms
		   ? hold_ms
		   : ping_ms + timeout_ms;
}

static void on_late(struct timer *);

static void
await_answer(struct s2s *s2s)
{
	const uint64_t max_ms = patience_ms(s2s);
	const uint64_t asked_for_ms =
	    stream_reading_ms(&s2s->stream) - s2s->asked_ms;
	uint64_t left_ms;

	if (max_ms == 0)
		return;
	if (asked_for_ms >= max_ms) {
		stream_cut(&s2s->stream, STREAM_ERR_CONNECTION_TIMEOUT,
		    STR("no answer to a ping"));
		return;
	}
	left_ms = max_ms - asked_for_ms;
	timer_start(s2s->stream.shard, &s2s->late,
	    left_ms < SECOND ? SECOND : left_ms, on_late);
}

/* Who is heard all the time need not be one who takes what is sent: without an
 * answer nobody would ever learn what became of that. */
static void
on_late(struct timer *timer)
{
	struct s2s *s2s = container_of(timer, struct s2s, late);

	if (!s2s->stream.is_ending && s2s->asked_ms != 0)
		await_answer(s2s);
}

/* Who is asked again was asked when it was first. */
static void
send_question(struct s2s *s2s)
{
	const struct s2s_path *path =
	    list_entry(list_first(&s2s->paths), struct s2s_path, link);

	if (path == NULL)
		return;
	s2s->is_asked = true;
	if (s2s->asked_ms == 0)
		s2s->asked_ms = stream_reading_ms(&s2s->stream);
	if (!s2s->has_acks || is_uncounted(s2s))
		s2s_send_ping(s2s, path->local, path->domain);
	if (s2s->has_acks)
		s2s_sm_ask(s2s);
	if (!timer_is_running(&s2s->late))
		await_answer(s2s);
}

/* Behind all that this turn sent: one question at a time. */
static void
ask(struct timer *timer)
{
	struct s2s *s2s = container_of(timer, struct s2s, ask);

	if (!s2s->stream.is_ending && !s2s->is_asked)
		send_question(s2s);
}

void
s2s_want_ack(struct s2s *s2s)
{
	if (!timer_is_running(&s2s->ask))
		timer_start(s2s->stream.shard, &s2s->ask, 0, ask);
}

/* "jackdaw-ack-SHARD-SLOT-USE-COUNT". */
static bool
read_ping_id(struct str id, struct stream_id *stream_r, uint64_t *count_r)
{
	uint64_t numbers[4];
	struct str word, rest;

	if (!str_starts(id, STR(PING_ID)))
		return false;
	rest = (struct str){
	    id.text + sizeof(PING_ID) - 1, id.len - (sizeof(PING_ID) - 1)};
	for (unsigned i = 0; i < 4; i++) {
		word = rest;
		if (i < 3 && !str_cut(rest, '-', &word, &rest))
			return false;
		if (!str_to_u64(
			word, i < 3 ? UINT32_MAX : UINT64_MAX, &numbers[i]))
			return false;
	}
	*stream_r = (struct stream_id){.shard = (uint16_t)numbers[0],
	    .slot = (uint32_t)numbers[1],
	    .use = (uint32_t)numbers[2]};
	*count_r = numbers[3];
	return numbers[0] <= UINT16_MAX;
}

/* Any answer proves that what stood before the ping was handled. */
static bool
takes_pong(struct s2s *s2s, const struct stanza *stanza)
{
	struct shard *shard = s2s->stream.shard;
	struct stream_id stream;
	uint64_t count;
	struct post *letter;

	if (stanza->kind != STANZA_IQ ||
	    (stanza->type != STANZA_RESULT && stanza->type != STANZA_ERROR) ||
	    jid_local(stanza->to).len > 0 || stanza->id.text == NULL ||
	    !read_ping_id(stanza->id, &stream, &count) ||
	    stream.shard >= shard->server->shard_count)
		return false;
	letter = post_new(POST_PONG, NULL);
	letter->stream = stream;
	letter->ticket = count;
	/* Who answers: only the peer of that stream counts. */
	letter->to = jid_copy(letter->arena, stanza->from);
	post_send(shard, letter);
	return true;
}

static void
on_pong(struct s2s *s2s, const struct post *letter)
{
	const struct s2s_path *path =
	    list_entry(list_first(&s2s->paths), struct s2s_path, link);

	if (s2s->step == OUT_PING && s2s->attempt != NULL &&
	    str_equal(jid_full(letter->to), s2s->stream.target)) {
		attempt_pinged(s2s->attempt);
		return;
	}
	if (path == NULL || !str_equal(jid_full(letter->to), path->domain) ||
	    letter->ticket > s2s->sent)
		return;
	s2s->stream.heard_ms = clock_mono_ms();
	s2s->stream.is_pinged = false;
	s2s_acked(s2s, letter->ticket);
}

/* The peer wrote the id: it may name any stream. */
void
s2s_take_pong(struct shard *shard, struct post *letter)
{
	struct stream *stream = stream_find(shard, letter->stream);

	if (stream == NULL || stream->is_gone)
		s2s_kept_pong(shard, letter);
	else if (stream->role->is_of_servers)
		on_pong(s2s_of(stream), letter);
	post_free(&letter);
}

/* --- out ------------------------------------------------------------------ */

static void
on_down(struct s2s *s2s, const struct post *letter)
{
	struct s2s_path *path = path_find(
	    s2s, letter->path->local, jid_domain(letter->receivers[0]));
	struct s2s_mark *mark;

	if (path == NULL)
		return;
	for (size_t i = 0; i < letter->receiver_count; i++)
		stream_send_blob(
		    &s2s->stream, letter->blob, letter->receivers[i]);
	s2s->sent += letter->receiver_count;
	s2s->used_ms = clock_mono_ms();
	mark = malloc(sizeof(*mark));
	must(mark != NULL);
	*mark = (struct s2s_mark){
	    .path = path, .ticket = letter->ticket, .sent = s2s->sent};
	list_add_last(&s2s->marks, &mark->link);
	if (!s2s->is_asked)
		s2s_want_ack(s2s);
}

void
s2s_on_letter(struct stream *stream, struct post *letter)
{
	struct s2s *s2s = s2s_of(stream);

	switch (letter->kind) {
	case POST_DOWN:
		on_down(s2s, letter);
		break;
	case POST_DIALBACK_VERDICT:
		s2s_take_verdict(s2s, letter->dialback);
		break;
	case POST_RESUMED:
		s2s_sm_resumed(s2s, letter->resume);
		break;
	default:
		(void)expect(false);
	}
	post_free(&letter);
}

/* --- in ------------------------------------------------------------------- */

/* RFC 6120, section 8.1.1.2 and 8.1.2.2. */
static enum stream_err
check_addresses(struct s2s *s2s, const struct stanza *stanza)
{
	const struct setup *setup = s2s->stream.shard->setup;
	struct s2s_right *right;

	if (stanza->from == NULL || stanza->to == NULL)
		return STREAM_ERR_IMPROPER_ADDRESSING;
	if (!domain_is_ours(setup, jid_domain(stanza->to)))
		return STREAM_ERR_HOST_UNKNOWN;
	right = s2s_right_find(
	    s2s, jid_domain(stanza->to), jid_domain(stanza->from));
	if (right == NULL || right->stage != RIGHT_PROVED)
		return s2s->stream.is_authenticated ? STREAM_ERR_INVALID_FROM
						    : STREAM_ERR_NOT_AUTHORIZED;
	right->received++;
	if (s2s->used_ms - right->told_ms >= TELL_MS)
		s2s_tell_heard(right);
	return STREAM_ERR_NONE;
}

/* Names are the peer's: of any length, while this is a line of the log, and
 * what the peer is told. */
static void
refuse_addresses(
    struct s2s *s2s, const struct stanza *stanza, enum stream_err wrong)
{
	struct arena *arena = arena_make(0);
	struct str from = STR_NONE, to = STR_NONE;
	struct str why = STR("from and to must be addresses");

	if (stanza->from != NULL)
		from = str_shorten_utf8(jid_domain(stanza->from), WORDS_MAX);
	if (stanza->to != NULL)
		to = str_shorten_utf8(jid_domain(stanza->to), WORDS_MAX);
	if (wrong == STREAM_ERR_HOST_UNKNOWN)
		why = str_format(arena, "%.*s is not served here", STR_ARG(to));
	else if (wrong != STREAM_ERR_IMPROPER_ADDRESSING)
		why = str_format(arena, "%.*s may not send to %.*s",
		    STR_ARG(from), STR_ARG(to));
	stream_fail(&s2s->stream, wrong, why.text);
	arena_free(&arena);
}

/* False, and the stream ends, when it is none that may come here. */
static bool
admit(struct s2s *s2s, const struct stanza *stanza, enum stanza_err err)
{
	enum stream_err wrong;

	if (err == STANZA_ERR_FEATURE_NOT_IMPLEMENTED) {
		stream_fail(
		    &s2s->stream, STREAM_ERR_UNSUPPORTED_STANZA_TYPE, NULL);
		return false;
	}
	wrong = check_addresses(s2s, stanza);
	if (wrong == STREAM_ERR_NONE)
		return true;
	refuse_addresses(s2s, stanza, wrong);
	return false;
}

void
s2s_take_stanza(struct s2s *s2s, struct arena *arena, const struct node *node)
{
	struct stanza *stanza = arena_new(arena, struct stanza);
	enum stanza_err err;
	struct receipt receipt;

	if (str_is(node->ns, NS_CLIENT)) {
		stream_fail(&s2s->stream, STREAM_ERR_INVALID_NAMESPACE, NULL);
		arena_free(&arena);
		return;
	}
	stanza_adopt(node, STR(NS_SERVER));
	s2s->used_ms = clock_mono_ms();
	err = stanza_read(arena, node, stanza);
	if (!admit(s2s, stanza, err)) {
		arena_free(&arena);
		return;
	}
	metric_add(s2s->stream.shard, METRIC_STANZAS_IN, 1);
	receipt = s2s_sm_count(s2s);
	if (err == STANZA_ERR_NONE && takes_pong(s2s, stanza)) {
		receipt_settle(s2s->stream.shard, &receipt);
		arena_free(&arena);
	} else {
		if (err == STANZA_ERR_NONE)
			remote_hear(s2s->stream.shard, jid_domain(stanza->to),
			    jid_domain(stanza->from), stanza);
		router_route_foreign(
		    s2s->stream.shard, arena, stanza, err, receipt);
	}
}

/* --- time ----------------------------------------------------------------- */

/* What has a path out asks there; what only comes in is left to its peer, but
 * the kernel shall notice when nobody is there. */
bool
s2s_on_idle(struct stream *stream)
{
	struct s2s *s2s = s2s_of(stream);

	if (list_is_empty(&s2s->paths)) {
		stream->heard_ms = clock_mono_ms();
		stream->is_pinged = false;
		stream_send_text(stream, STR(" "));
		return true;
	}
	send_question(s2s);
	return true;
}

/* XEP-0478: we are there before the peer ends it. */
static uint64_t
idle_ms(const struct s2s *s2s)
{
	const uint64_t ours = config_ms(setup_config(s2s->stream.shard->setup),
	    CONFIG_GLOBAL, SETTING(S2S_IDLE));
	const uint64_t theirs = s2s->idle_s * 900;

	return theirs > 0 && theirs < ours ? theirs : ours;
}

static uint64_t
proved_for_ms(const struct s2s *s2s)
{
	const uint64_t now_ms = clock_wall_ms();
	const uint64_t ends_ms = (uint64_t)s2s->ends_s * 1000;

	if (s2s->ends_s == 0 || s2s->ends_s > FOREVER_S)
		return UINT64_MAX;
	return ends_ms > now_ms ? ends_ms - now_ms : 0;
}

static void look(struct timer *);

/* Looks again then, or when the proof ends. */
static void
look_after(struct s2s *s2s, uint64_t ms)
{
	const uint64_t left_ms = proved_for_ms(s2s);

	timer_start(
	    s2s->stream.shard, &s2s->idle, left_ms < ms ? left_ms : ms, look);
}

static void
look(struct timer *timer)
{
	struct s2s *s2s = container_of(timer, struct s2s, idle);
	const uint64_t max_ms = idle_ms(s2s);
	const uint64_t quiet_ms = clock_mono_ms() - s2s->used_ms;

	if (s2s->stream.is_ending)
		return;
	if (proved_for_ms(s2s) == 0) {
		stream_fail(&s2s->stream, STREAM_ERR_RESET,
		    "the certificate of the other server has expired");
		return;
	}
	if (quiet_ms >= max_ms && list_is_empty(&s2s->marks) &&
	    handled_open(&s2s->handled) == 0) {
		s2s->stream.end.text = STR("nobody used it");
		stream_close(&s2s->stream);
		return;
	}
	look_after(s2s, quiet_ms >= max_ms ? max_ms : max_ms - quiet_ms);
}

void
s2s_watch_idle(struct s2s *s2s)
{
	s2s->used_ms = clock_mono_ms();
	if (!timer_is_running(&s2s->idle))
		look_after(s2s, idle_ms(s2s));
}

void
s2s_proved_until(struct s2s *s2s, int64_t ends_s)
{
	if (ends_s == 0 || (s2s->ends_s != 0 && s2s->ends_s <= ends_s))
		return;
	s2s->ends_s = ends_s;
	timer_stop(s2s->stream.shard, &s2s->idle);
	s2s_watch_idle(s2s);
}

/* Stream management between servers: XEP-0198. */
#include "server/s2s_sm.h"
#include "base/err.h"
#include "server/s2s_internal.h"
#include "server/s2s_resume.h"
#include "server/stream_pace.h"

#define ID_MAX 4000 /* section 5 */
/* So many stanzas may be open before a stream is no longer read. As many as
 * fit into what has been read then are still counted. */
#define HELD_MAX (HANDLED_WINDOW_SERVER / 4)
/* Each is looked for among all streams. */
#define RESUME_FAILURES 3
/* The last <a/> of a stream that its peer ends waits so long for commits. */
#define GRACE_MS 1000

static void
send_number(
    struct s2s *s2s, const char *name, const char *attribute, uint64_t number)
{
	struct arena *arena = arena_make(0);
	struct node *node = node_make(arena, name, NS_SM);

	if (attribute != NULL)
		node_set_format(node, attribute, "%u", (unsigned)number);
	stream_send(&s2s->stream, node);
	arena_free(&arena);
}

/* --- what the peer sent --------------------------------------------------- */

static uint32_t
settled_h(const struct s2s *s2s)
{
	return (uint32_t)(s2s->handled_before +
			  sm_counted(s2s->handled.settled, s2s->early));
}

static void
tell_h(struct s2s *s2s)
{
	s2s->told_h = s2s->handled.settled;
	send_number(s2s, "a", "h", settled_h(s2s));
}

static void
tell(struct handled *handled)
{
	struct s2s *s2s = container_of(handled, struct s2s, handled);

	if (!s2s->stream.is_ending)
		tell_h(s2s);
}

/* It goes on in kept, perhaps. */
static void
on_returned(struct handled *handled)
{
	struct s2s *s2s = container_of(handled, struct s2s, handled);

	handled_settle(handled, handled->returned);
	if (handled_open(handled) < HELD_MAX)
		stream_hold(&s2s->stream, false);
	if (s2s->stream.is_peer_ended && handled_open(handled) == 0)
		stream_close(&s2s->stream);
}

static const struct handled_role handled_role = {
    .window = HANDLED_WINDOW_SERVER,
    .on_returned = on_returned,
    .tell = tell,
};

static void
start_counting(struct s2s *s2s)
{
	struct shard *shard = s2s->stream.shard;

	if (s2s->handled.role == NULL)
		handled_start(
		    &s2s->handled, shard, &handled_role, handled_number(shard));
}

/* Who sends faster than it can be kept is not read for a while. */
struct receipt
s2s_sm_count(struct s2s *s2s)
{
	struct receipt receipt;

	if (s2s->handled.role == NULL)
		return (struct receipt){0};
	receipt = handled_count(&s2s->handled);
	if (handled_open(&s2s->handled) >= HANDLED_WINDOW_SERVER)
		stream_fail(&s2s->stream, STREAM_ERR_RESOURCE_CONSTRAINT,
		    "too much of what was sent is not done with");
	else if (handled_open(&s2s->handled) >= HELD_MAX)
		stream_hold(&s2s->stream, true);
	return receipt;
}

bool
s2s_is_open(struct shard *shard)
{
	return handled_is_open(shard, &handled_role);
}

unsigned
s2s_sm_peer_closed(struct stream *stream)
{
	return handled_open(&s2s_of(stream)->handled) > 0 ? GRACE_MS : 0;
}

void
s2s_sm_closing(struct stream *stream)
{
	struct s2s *s2s = s2s_of(stream);

	handled_settle(&s2s->handled, s2s->handled.returned);
	if (s2s->has_acks && s2s->told_h < s2s->handled.settled)
		tell_h(s2s);
}

/* --- requests ------------------------------------------------------------- */

static void
send_failed(struct s2s *s2s, enum stanza_err err)
{
	struct arena *arena = arena_make(0);
	struct node *failed = node_make(arena, "failed", NS_SM);

	node_add(failed, stanza_err_element(err), NS_STANZA_ERR);
	stream_send(&s2s->stream, failed);
	arena_free(&arena);
}

void
s2s_sm_enable(struct s2s *s2s)
{
	struct arena *arena = arena_make(0);
	struct node *enable = node_make(arena, "enable", NS_SM);

	node_set(enable, "resume", STR("true"));
	stream_send(&s2s->stream, enable);
	start_counting(s2s);
	arena_free(&arena);
}

static void
send_resume(struct s2s *s2s, const char *name, struct str id, uint64_t handled)
{
	struct arena *arena = arena_make(0);
	struct node *node = node_make(arena, name, NS_SM);

	node_set(node, "previd", id);
	node_set_format(node, "h", "%u", (unsigned)handled);
	stream_send(&s2s->stream, node);
	arena_free(&arena);
}

bool
s2s_sm_resume(struct s2s *s2s)
{
	struct stream *stream = &s2s->stream;
	struct s2s_kept *kept =
	    s2s_kept_of_pair(stream->shard, stream->host_name, stream->target);

	if (kept == NULL)
		return false;
	s2s->former = str_dup(stream->arena, kept->id);
	start_counting(s2s);
	if (s2s_kept_is_done(s2s, kept))
		s2s_sm_may_resume(s2s);
	return true;
}

void
s2s_sm_may_resume(struct s2s *s2s)
{
	const struct s2s_kept *kept = s2s_kept_former(s2s);

	if (kept == NULL) {
		s2s->former = STR_NONE;
		s2s_sm_enable(s2s);
		return;
	}
	s2s->former_h = s2s_kept_h(kept);
	send_resume(s2s, "resume", kept->id, s2s->former_h);
}

void
s2s_sm_ask(struct s2s *s2s)
{
	send_number(s2s, "r", NULL, 0);
}

/* What the peer counts is not believed any more: the next stream begins anew.
 */
static void
disbelieve(struct s2s *s2s, const char *why)
{
	s2s_forget(s2s);
	s2s->sm_id = STR_NONE;
	stream_fail(&s2s->stream, STREAM_ERR_BAD_FORMAT, why);
}

static void
end_too_high(struct s2s *s2s, uint64_t h, uint64_t sent)
{
	s2s_forget(s2s);
	s2s->sm_id = STR_NONE;
	sm_end_too_high(&s2s->stream, (uint32_t)h, (uint32_t)sent);
}

static void
on_ack(struct s2s *s2s, const struct node *node)
{
	uint64_t h, sent, behind;

	if (!str_to_u64(node_attr(node, "h"), UINT32_MAX, &h)) {
		stream_fail(&s2s->stream, STREAM_ERR_BAD_FORMAT,
		    "<a/> without a number h");
		return;
	}
	sent = s2s->sent - s2s->sent_before;
	if (!sm_behind(sent, (uint32_t)h, &behind)) {
		end_too_high(s2s, h, sent);
		return;
	}
	/* Behind it is what a former stream sent. */
	s2s_acked(s2s, behind <= s2s->sent ? s2s->sent - behind : 0);
}

/* Section 4: what was sent and received before <enable/> and <enabled/> does
 * not count. But the peer may take h for a proof of that too. */
static void
begin(struct s2s *s2s)
{
	s2s->has_acks = true;
	s2s->sent_before = s2s->sent;
	start_counting(s2s);
	s2s->early = s2s->handled.taken;
	s2s_begin_marks(s2s);
}

static bool
is_true(struct str text)
{
	return str_is(text, "true") || str_is(text, "1");
}

/* Not while the answer to <resume/> is awaited, either: it is one of both. */
static bool
may_begin(const struct s2s *s2s)
{
	return !s2s->has_acks && s2s->former.len == 0 &&
	       s2s->stream.is_authenticated;
}

static void
on_enable(struct s2s *s2s, const struct node *node)
{
	struct arena *arena;
	struct node *enabled;

	if (!may_begin(s2s)) {
		send_failed(s2s, STANZA_ERR_UNEXPECTED_REQUEST);
		return;
	}
	arena = arena_make(0);
	enabled = node_make(arena, "enabled", NS_SM);
	if (is_true(node_attr(node, "resume"))) {
		s2s->sm_id = s2s_kept_id(s2s);
		node_set(enabled, "id", s2s->sm_id);
		node_set(enabled, "resume", STR("true"));
	}
	stream_send(&s2s->stream, enabled);
	begin(s2s);
	arena_free(&arena);
}

static void
on_enabled(struct s2s *s2s, const struct node *node)
{
	struct str id = node_attr(node, "id");

	begin(s2s);
	if (is_true(node_attr(node, "resume")) && id.len > 0 &&
	    id.len <= ID_MAX)
		s2s->sm_id = str_dup(s2s->stream.arena, id);
}

static void
on_resume(struct s2s *s2s, const struct node *node)
{
	struct str id = node_attr(node, "previd");
	uint64_t h;

	if (!may_begin(s2s)) {
		send_failed(s2s, STANZA_ERR_UNEXPECTED_REQUEST);
	} else if (!str_to_u64(node_attr(node, "h"), UINT32_MAX, &h) ||
		   id.len == 0 || id.len > ID_MAX || !s2s_ask_kept(s2s, id)) {
		send_failed(s2s, STANZA_ERR_ITEM_NOT_FOUND);
	} else {
		s2s->former = str_dup(s2s->stream.arena, id);
		s2s->former_h = h;
		start_counting(s2s);
	}
}

void
s2s_sm_stop(struct s2s *s2s)
{
	if (s2s->handled.role != NULL)
		handled_stop(&s2s->handled);
	s2s->handled = (struct handled){0};
}

/* What is open then is waited for no more. */
static void
stop_counting(struct s2s *s2s)
{
	s2s_sm_stop(s2s);
	stream_hold(&s2s->stream, false);
}

static void
not_known(struct s2s *s2s)
{
	stop_counting(s2s);
	send_failed(s2s, STANZA_ERR_ITEM_NOT_FOUND);
	if (++s2s->resume_failures == RESUME_FAILURES)
		stream_fail(&s2s->stream, STREAM_ERR_POLICY_VIOLATION,
		    "too many streams to be resumed that nobody knows");
}

void
s2s_sm_resumed(struct s2s *s2s, const struct s2s_resume *resume)
{
	s2s->former = STR_NONE;
	if (!resume->is_known) {
		not_known(s2s);
	} else if (s2s_go_on(s2s, &resume->kept, s2s->former_h)) {
		s2s->handled_before = resume->taken;
		send_resume(s2s, "resumed", resume->kept.id, resume->taken);
		s2s_tell_resumed(s2s);
		log_info(&s2s->stream.log, "goes on where it was cut");
	} else {
		end_too_high(s2s, s2s->former_h, resume->kept.sent);
	}
}

/* Of a stream that we opened: what the peer has needs not be sent again. */
static bool
on_resumed(struct s2s *s2s, const struct node *node)
{
	const struct s2s_kept *kept = s2s_kept_former(s2s);
	uint64_t h;

	if (kept == NULL || kept->waiter.use != 0 ||
	    !str_equal(node_attr(node, "previd"), kept->id)) {
		disbelieve(s2s, "this is not what was to be resumed");
		return false;
	}
	if (!str_to_u64(node_attr(node, "h"), UINT32_MAX, &h)) {
		disbelieve(s2s, "<resumed/> without a number h");
		return false;
	}
	if (!s2s_go_on(s2s, kept, h)) {
		end_too_high(s2s, h, kept->sent);
		return false;
	}
	s2s->handled_before = s2s->former_h;
	s2s->early = s2s->handled.taken;
	s2s_forget(s2s);
	log_info(&s2s->stream.log, "goes on where it was cut");
	return true;
}

static bool
on_failed(struct s2s *s2s)
{
	const bool is_resume = s2s->former.len > 0;

	if (!is_resume) {
		stop_counting(s2s);
		return true;
	}
	log_info(&s2s->stream.log, "the server does not resume: what it has "
				   "not acknowledged goes again");
	s2s_forget(s2s);
	s2s->former = STR_NONE;
	s2s_sm_enable(s2s);
	return false;
}

bool
s2s_sm_answered(struct s2s *s2s, const struct node *node)
{
	const bool is_resume = s2s->former.len > 0;

	if (str_is(node->name, "failed"))
		return on_failed(s2s);
	if (is_resume != str_is(node->name, "resumed")) {
		disbelieve(s2s, "this is no answer to what was asked");
		return false;
	}
	if (is_resume)
		return on_resumed(s2s, node);
	on_enabled(s2s, node);
	return true;
}

static bool
is_answer(const struct node *node)
{
	return str_is(node->name, "enabled") || str_is(node->name, "resumed") ||
	       str_is(node->name, "failed");
}

/* Section 6. An answer that nobody asked for gets none: else two servers would
 * go on so without end. */
bool
s2s_sm_take(struct s2s *s2s, const struct node *node)
{
	if (!str_is(node->ns, NS_SM))
		return false;
	if (str_is(node->name, "r") && s2s->has_acks)
		handled_ask(&s2s->handled);
	else if (str_is(node->name, "a") && s2s->has_acks)
		on_ack(s2s, node);
	else if (str_is(node->name, "enable") && !s2s->is_out)
		on_enable(s2s, node);
	else if (str_is(node->name, "resume") && !s2s->is_out)
		on_resume(s2s, node);
	else if (!is_answer(node))
		send_failed(s2s, STANZA_ERR_UNEXPECTED_REQUEST);
	return true;
}

/* Stream management of a client (XEP-0198): the words on the wire. What is
 * counted and acknowledged is decided at the account (server/resume.h). */
#include "server/c2s_internal.h"
#include "server/handled.h"
#include "server/resume.h"
#include "server/stream_pace.h"

/* Stanzas in flight. What has been read already is sent up all the same. */
#define CREDIT (HANDLED_WINDOW_CLIENT / 4)

static void
send(struct c2s *c2s, const struct node *node)
{
	stream_send(&c2s->stream, node);
}

static void
send_failed(struct c2s *c2s, enum stanza_err err, const uint32_t *h)
{
	struct arena *arena = arena_make(0);
	struct node *failed = node_make(arena, "failed", NS_SM);

	if (h != NULL)
		node_set_format(failed, "h", "%u", *h);

	node_add(failed, stanza_err_element(err), NS_STANZA_ERR);
	send(c2s, failed);
	arena_free(&arena);
}

void
c2s_sm_count(struct c2s *c2s)
{
	if (c2s->is_managed && ++c2s->in_flight >= CREDIT)
		stream_hold(&c2s->stream, true);
}

static void
on_credit(struct c2s *c2s, unsigned count)
{
	c2s->in_flight -= count < c2s->in_flight ? count : c2s->in_flight;
	if (c2s->in_flight < CREDIT)
		stream_hold(&c2s->stream, false);
}

void
c2s_sm_request(struct c2s *c2s)
{
	struct arena *arena = arena_make(0);

	send(c2s, node_make(arena, "r", NS_SM));
	arena_free(&arena);
}

/* --- from the client ----------------------------------------------------- */

static struct post *
note_new(struct c2s *c2s, enum sm_event event, struct sm_note **note)
{
	struct post *letter = post_new(POST_SM_ASK, NULL);
	struct arena *arena = letter->arena;

	letter->to = jid_to_bare(arena, jid_copy(arena, c2s->stream.peer));
	letter->stream = c2s->stream.id;
	letter->sm = *note = arena_new(arena, struct sm_note);
	(*note)->event = event;
	return letter;
}

static bool
is_true(struct str text)
{
	return str_is(text, "true") || str_is(text, "1");
}

/* Section 3: at most one attempt. */
static void
on_enable(struct c2s *c2s, const struct node *node)
{
	struct sm_note *note;
	struct post *letter;

	if (c2s->is_managed) {
		send_failed(c2s, STANZA_ERR_UNEXPECTED_REQUEST, NULL);
		stream_fail(&c2s->stream, STREAM_ERR_POLICY_VIOLATION,
		    "stream management is enabled already");
		return;
	}
	c2s->is_managed = true;
	letter = note_new(c2s, SM_ENABLE, &note);
	note->can_resume = is_true(node_attr(node, "resume"));
	(void)str_to_u64(node_attr(node, "max"), UINT64_MAX, &note->seconds);
	post_send(c2s->stream.shard, letter);
}

static void
on_request(struct c2s *c2s, const struct node *node)
{
	struct sm_note *note;

	(void)node;
	post_send(c2s->stream.shard, note_new(c2s, SM_REQUEST, &note));
}

static void
on_ack(struct c2s *c2s, const struct node *node)
{
	struct sm_note *note;
	struct post *letter;
	uint64_t h;

	if (!str_to_u64(node_attr(node, "h"), UINT32_MAX, &h)) {
		stream_fail(&c2s->stream, STREAM_ERR_BAD_FORMAT,
		    "<a/> without a number h");
		return;
	}
	letter = note_new(c2s, SM_ACK, &note);
	note->h = (uint32_t)h;
	post_send(c2s->stream.shard, letter);
}

static void
on_resume(struct c2s *c2s, const struct node *node)
{
	struct sm_note *note;
	struct post *letter;
	uint64_t h;

	if (!str_to_u64(node_attr(node, "h"), UINT32_MAX, &h)) {
		send_failed(c2s, STANZA_ERR_BAD_REQUEST, NULL);
		return;
	}
	letter = note_new(c2s, SM_RESUME, &note);
	note->h = (uint32_t)h;
	note->id = str_dup(letter->arena, node_attr(node, "previd"));
	c2s_describe(c2s, letter->arena, &note->origin);
	c2s->stage = C2S_BINDING;
	c2s->has_asked_bind = true;
	post_send(c2s->stream.shard, letter);
}

bool
c2s_sm_take(struct c2s *c2s, const struct node *node)
{
	const bool is_bound = c2s->stage == C2S_BOUND;

	if (!str_is(node->ns, NS_SM))
		return false;
	if (str_is(node->name, "enable") && is_bound)
		on_enable(c2s, node);
	else if (str_is(node->name, "resume") && !is_bound)
		on_resume(c2s, node);
	else if (str_is(node->name, "r") && c2s->is_managed)
		on_request(c2s, node);
	else if (str_is(node->name, "a") && c2s->is_managed)
		on_ack(c2s, node);
	else
		send_failed(c2s, STANZA_ERR_UNEXPECTED_REQUEST, NULL);
	return true;
}

/* --- from the account ---------------------------------------------------- */

static void
send_enabled(struct c2s *c2s, const struct sm_note *note)
{
	struct arena *arena = arena_make(0);
	struct node *enabled = node_make(arena, "enabled", NS_SM);

	if (note->id.len > 0) {
		node_set(enabled, "id", note->id);
		node_set(enabled, "resume", STR("true"));
		node_set_format(
		    enabled, "max", "%llu", (unsigned long long)note->seconds);
	}
	send(c2s, enabled);
	arena_free(&arena);
}

static void
send_h(struct c2s *c2s, const char *name, const struct sm_note *note)
{
	struct arena *arena = arena_make(0);
	struct node *node = node_make(arena, name, NS_SM);

	node_set_format(node, "h", "%u", note->h);
	if (note->id.len > 0)
		node_set(node, "previd", note->id);
	send(c2s, node);
	arena_free(&arena);
}

static void
on_resumed(struct c2s *c2s, const struct sm_note *note)
{
	send_h(c2s, "resumed", note);
	c2s->is_managed = true;
	c2s_bound(c2s, note->jid, "resumed");
}

void
c2s_sm_take_letter(struct c2s *c2s, const struct post *letter)
{
	const struct sm_note *note = letter->sm;

	switch (note->event) {
	case SM_ENABLED:
		send_enabled(c2s, note);
		break;
	case SM_REQUEST:
		c2s_sm_request(c2s);
		break;
	case SM_ACK:
		send_h(c2s, "a", note);
		break;
	case SM_RESUMED:
		on_resumed(c2s, note);
		break;
	case SM_FAILED:
		send_failed(c2s, note->err, note->has_h ? &note->h : NULL);
		c2s_bound(c2s, NULL, NULL);
		break;
	case SM_TOO_HIGH:
		sm_end_too_high(&c2s->stream, note->h, note->sent);
		break;
	case SM_CREDIT:
		on_credit(c2s, note->h);
		break;
	default:
		(void)expect(false);
	}
}

/* Stream management between servers: XEP-0198. */
#include "base/err.h"
#include "server/s2s_internal.h"

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
	send_number(s2s, "enable", NULL, 0);
}

void
s2s_sm_ask(struct s2s *s2s)
{
	send_number(s2s, "r", NULL, 0);
}

/* Section 4: h wraps at 2^32; it is the count nearest below what was sent. */
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
	behind = (uint32_t)((uint32_t)sent - (uint32_t)h);
	if (behind > sent) {
		stream_fail(&s2s->stream, STREAM_ERR_UNDEFINED_CONDITION,
		    "more was acknowledged than was sent");
		return;
	}
	s2s->is_ack_open = false;
	s2s_acked(s2s, s2s->sent - behind);
}

/* From here on each side counts what the other sends. */
static void
begin(struct s2s *s2s)
{
	s2s->has_acks = true;
	s2s->is_ack_open = false;
	s2s->sent_before = s2s->sent;
	s2s->taken = 0;
}

static void
on_enable(struct s2s *s2s)
{
	if (s2s->has_acks || !s2s->stream.is_authenticated) {
		send_failed(s2s, STANZA_ERR_UNEXPECTED_REQUEST);
		return;
	}
	send_number(s2s, "enabled", NULL, 0);
	begin(s2s);
}

bool
s2s_sm_take(struct s2s *s2s, const struct node *node)
{
	if (!str_is(node->ns, NS_SM))
		return false;
	if (str_is(node->name, "r") && s2s->has_acks)
		send_number(s2s, "a", "h", s2s->taken);
	else if (str_is(node->name, "a"))
		on_ack(s2s, node);
	else if (str_is(node->name, "enable") && !s2s->is_out)
		on_enable(s2s);
	else if (str_is(node->name, "enabled") && s2s->is_out)
		begin(s2s);
	else if (str_is(node->name, "resume"))
		send_failed(s2s, STANZA_ERR_ITEM_NOT_FOUND);
	return true;
}

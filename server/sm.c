#include "server/sm.h"

#include "server/stream.h"

void
sm_end_too_high(struct stream *stream, uint32_t h, uint32_t sent)
{
	struct arena *arena = arena_make(0);
	struct node *specific =
	    node_make(arena, "handled-count-too-high", NS_SM);
	struct str text =
	    str_format(arena, "you acknowledged %u stanzas, of %u", h, sent);

	node_set_format(specific, "h", "%u", h);
	node_set_format(specific, "send-count", "%u", sent);
	stream_fail_with(
	    stream, STREAM_ERR_UNDEFINED_CONDITION, text.text, specific);
	arena_free(&arena);
}

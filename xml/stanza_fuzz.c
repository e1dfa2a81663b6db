/*
 * xml/stanza_fuzz.c - a stanza that was read can be stored and read again, and
 * its answers are stanzas.
 */
#include "base/err.h"
#include "xml/stanza.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

static void
check_same(struct arena *arena, const struct stanza *stanza)
{
	struct str text = stanza_text(arena, stanza);
	const struct stanza *again = stanza_parse(arena, text);

	must(again != NULL && again->kind == stanza->kind &&
	     again->type == stanza->type);
	must(str_equal(stanza_text(arena, again), text));
}

int
LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
	struct arena *arena = arena_make(0);
	const struct node *node = node_parse(
	    arena, (struct str){(const char *)bytes, len}, NS_CLIENT);
	struct stanza stanza;
	enum stanza_err err;

	if (node != NULL) {
		err = stanza_read(arena, node, &stanza);
		if (err == STANZA_ERR_NONE)
			check_same(arena, &stanza);
		if (err != STANZA_ERR_FEATURE_NOT_IMPLEMENTED &&
		    stanza_may_fail(&stanza) && stanza.id.len > 0)
			check_same(arena, stanza_make_error(arena, &stanza,
					      STANZA_ERR_BAD_REQUEST, "no"));
	}
	arena_free(&arena);
	return 0;
}

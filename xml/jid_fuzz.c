/*
 * xml/jid_fuzz.c - an address that parses is normalized: it parses again, to
 * the same bytes.
 */
#include "base/err.h"
#include "xml/jid.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

int
LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
	struct str text = {(const char *)bytes, len};
	struct arena *arena = arena_make(0);
	const struct jid *jid = jid_parse(arena, text), *again;

	if (jid != NULL) {
		again = jid_parse(arena, jid_full(jid));
		must(again != NULL && jid_equal(jid, again));
	}
	arena_free(&arena);
	return 0;
}

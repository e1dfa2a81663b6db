/*
 * server/posh_fuzz.c - a document of POSH.
 */
#include <stdint.h>

#include "base/err.h"
#include "server/posh_document.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

int
LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
	const struct str json = {(const char *)bytes, len};
	struct arena *arena = arena_make(0);
	struct posh_document document;
	struct str why = STR_NONE;

	if (posh_document_read(arena, json, &document, &why)) {
		must(document.expires_s > 0);
		must((document.count > 0) != (document.url.len > 0));
		must(!posh_document_matches(&document, arena, STR("a")));
	} else {
		must(why.len > 0);
	}
	arena_free(&arena);
	return 0;
}

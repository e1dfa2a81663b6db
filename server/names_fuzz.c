/*
 * server/names_fuzz.c - the value of a subjectAltName.
 */
#include <stdint.h>

#include "base/err.h"
#include "server/names.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

int
LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
	const struct name_wanted wanted = {STR("a.example"), STR("a.example")};
	struct arena *arena = arena_make(0);
	const struct name *found;
	struct names names;

	if (!names_read(arena, (struct str){(const char *)bytes, len}, &names))
		must(names.count == 0);
	found = names_find(&names, arena, &wanted);
	must(found == NULL || found->text.len >= wanted.ascii.len);
	must(names_text(&names, arena).len > 0);
	arena_free(&arena);
	return 0;
}

#include "base/code.h"

#include "base/err.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

/* What decodes is the one right form of what it decodes to. */
int
LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
	struct arena *arena = arena_make(0);
	struct str text = {(const char *)bytes, len}, back;

	if (base64_decode(arena, text, &back))
		must(str_equal(base64_encode(arena, back), text));
	if (hex_decode(arena, text, &back))
		must(str_equal_ascii_case(hex_encode(arena, back), text));
	arena_free(&arena);
	return 0;
}

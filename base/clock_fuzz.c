#include "base/clock.h"

#include "base/err.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

/* What is read is written as the same time, to the millisecond. */
int
LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
	struct arena *arena = arena_make(0);
	uint64_t us, back;

	if (clock_parse((struct str){(const char *)bytes, len}, &us)) {
		struct str text = clock_format(arena, us);

		/* West of Greenwich the year 9999 ends in our year 10000. */
		if (us < 253402300800000000)
			must(clock_parse(text, &back) &&
			     back / 1000 == us / 1000);
	}
	arena_free(&arena);
	return 0;
}

#include "server/digest.h"

#include "base/check.h"
#include "base/code.h"

/* FIPS 180-4's examples. */
static void
known_texts_have_known_hashes(void **state)
{
	struct arena *arena = arena_make(0);

	CHECK_STR(hex_encode(arena, digest_sha1(arena, STR("abc"))),
	    "a9993e364706816aba3e25717850c26c9cd0d89d");
	CHECK_STR(hex_encode(arena, digest_sha1(arena, STR_NONE)),
	    "da39a3ee5e6b4b0d3255bfef95601890afd80709");
	CHECK_STR(hex_encode(arena, digest_sha256(arena, STR("abc"))),
	    "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
	arena_free(&arena);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(known_texts_have_known_hashes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

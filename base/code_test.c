#include "base/code.h"

#include "base/check_arena.h"

/* RFC 4648, section 10. */
static const struct {
	const char *bytes, *base64, *hex;
} vectors[] = {
    {"", "", ""},
    {"f", "Zg==", "66"},
    {"fo", "Zm8=", "666f"},
    {"foo", "Zm9v", "666f6f"},
    {"foob", "Zm9vYg==", "666f6f62"},
    {"fooba", "Zm9vYmE=", "666f6f6261"},
    {"foobar", "Zm9vYmFy", "666f6f626172"},
};

static void
both_ways(void **state)
{
	for (size_t i = 0; i < COUNT_OF(vectors); i++) {
		struct str bytes = str_of(vectors[i].bytes), back;

		CHECK_STR(base64_encode(arena, bytes), vectors[i].base64);
		CHECK(base64_decode(arena, str_of(vectors[i].base64), &back));
		CHECK_STR(back, vectors[i].bytes);
		CHECK_STR(hex_encode(arena, bytes), vectors[i].hex);
		CHECK(hex_decode(arena, str_of(vectors[i].hex), &back));
		CHECK_STR(back, vectors[i].bytes);
	}
}

static void
every_byte_survives(void **state)
{
	char all[256];
	struct str bytes = {all, sizeof(all)}, back;

	for (size_t i = 0; i < sizeof(all); i++)
		all[i] = (char)i;
	CHECK(base64_decode(arena, base64_encode(arena, bytes), &back));
	CHECK(str_equal(bytes, back));
	CHECK(hex_decode(arena, hex_encode(arena, bytes), &back));
	CHECK(str_equal(bytes, back));
	CHECK(hex_decode(arena, STR("aAfF"), &back));
	CHECK_STR(back, "\xaa\xff");
}

static void
sloppy_base64_is_refused(void **state)
{
	static const char *const bad[] = {
	    "Z",
	    "Zg",
	    "Zg=",
	    "Zm9",
	    "=",
	    "==",
	    "====",
	    "Z===",
	    "Zg==Zg==",
	    "Zm8=Zm8=",
	    " Zg==",
	    "Zg==\n",
	    "Zm9v\n",
	    "Z-9v",
	    "Z_9v",
	    "Zm9\x80",
	    "Zh==", /* stray bits */
	    "Zm9=",
	    "Zg=v",
	    "Z=9v",
	};
	struct str back;

	for (size_t i = 0; i < COUNT_OF(bad); i++)
		CHECK(!base64_decode(arena, str_of(bad[i]), &back));
	CHECK(!base64_decode(arena, (struct str){"Zm9\0", 4}, &back));
}

static void
bad_hex_is_refused(void **state)
{
	static const char *const bad[] = {"a", "0g", "g0", "0x", " 0", "00 "};
	struct str back;

	for (size_t i = 0; i < COUNT_OF(bad); i++)
		CHECK(!hex_decode(arena, str_of(bad[i]), &back));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(both_ways),
	    cmocka_unit_test(every_byte_survives),
	    cmocka_unit_test(sloppy_base64_is_refused),
	    cmocka_unit_test(bad_hex_is_refused),
	};

	return cmocka_run_group_tests(
	    tests, check_arena_make, check_arena_free);
}

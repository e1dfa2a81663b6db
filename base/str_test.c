#include "base/str.h"

#include "base/check_arena.h"

static void
equality_is_of_bytes(void **state)
{
	CHECK(str_equal(STR_NONE, STR("")));
	CHECK(str_is(STR("query"), "query"));
	CHECK(!str_is(STR("query"), "quer"));
	CHECK(!str_is(STR("Query"), "query"));
	CHECK(str_equal_ascii_case(STR("QuErY[@"), STR("qUeRy[@")));
	CHECK(!str_equal_ascii_case(STR("["), STR("{")));
	CHECK(!str_equal_ascii_case(STR("a"), STR("ab")));
	CHECK(str_equal_ascii_case(STR_NONE, STR("")));
}

static void
prefix_and_suffix(void **state)
{
	CHECK(str_starts(STR("abc"), STR("ab")));
	CHECK(str_starts(STR("abc"), STR_NONE));
	CHECK(str_starts(STR_NONE, STR("")));
	CHECK(!str_starts(STR("ab"), STR("abc")));
	CHECK(!str_starts(STR("xabc"), STR("abc")));
	CHECK(str_ends(STR("abc"), STR("bc")));
	CHECK(str_ends(STR("abc"), STR("")));
	CHECK(!str_ends(STR("bc"), STR("abc")));
	CHECK(!str_ends(STR("abcx"), STR("abc")));
}

static void
order_is_by_byte_then_length(void **state)
{
	CHECK(str_compare(STR("a"), STR("b")) < 0);
	CHECK(str_compare(STR("b"), STR("aa")) > 0);
	CHECK(str_compare(STR("a"), STR("aa")) < 0);
	CHECK(str_compare(STR("aa"), STR("a")) > 0);
	CHECK(str_compare(STR("\xff"), STR("a")) > 0);
	CHECK_EQUAL(str_compare(STR_NONE, STR("")), 0);
	CHECK(str_compare(STR_NONE, STR("a")) < 0);
}

static void
cut_splits_at_the_first(void **state)
{
	struct str before, after;

	CHECK(str_cut(STR("a/b/c"), '/', &before, &after));
	CHECK_STR(before, "a");
	CHECK_STR(after, "b/c");
	CHECK(str_cut(STR("/"), '/', &before, &after));
	CHECK_STR(before, "");
	CHECK_STR(after, "");
	CHECK(!str_cut(STR("abc"), '/', &before, &after));
	CHECK_STR(before, "abc");
	CHECK(after.text == NULL && after.len == 0);
	CHECK(!str_cut(STR_NONE, '/', &before, &after));
}

static void
trim_takes_white_space_off(void **state)
{
	CHECK_STR(str_trim(STR(" \t\r\n a b \n")), "a b");
	CHECK_EQUAL(str_trim(STR(" \n")).len, 0);
	CHECK_EQUAL(str_trim(STR_NONE).len, 0);
	/* A no-break space is none of XML's. */
	CHECK_STR(str_trim(STR("\xc2\xa0")), "\xc2\xa0");
}

static void
made_text_ends_with_nul(void **state)
{
	char long_text[1001];
	struct str str = str_dup(arena, (struct str){"abcd", 2});

	CHECK_TEXT(str.text, "ab");
	CHECK_TEXT(str_dup(arena, STR_NONE).text, "");
	CHECK_TEXT(str_join2(arena, STR("ab"), STR("cd")).text, "abcd");
	CHECK_TEXT(str_join2(arena, STR_NONE, STR_NONE).text, "");
	CHECK_TEXT(str_format(arena, "%d%%", 42).text, "42%");

	memset(long_text, 'x', 1000);
	long_text[1000] = '\0';
	str = str_format(arena, "<%s>", long_text);
	CHECK_EQUAL(str.len, 1002);
	CHECK_EQUAL(strlen(str.text), 1002);
	CHECK_EQUAL(str.text[1001], '>');
}

static void
unsigned_numbers(void **state)
{
	static const struct {
		const char *text;
		uint64_t max, want;
		bool ok;
	} cases[] = {
	    {"0", 0, 0, true},
	    {"007", 10, 7, true},
	    {"18446744073709551615", UINT64_MAX, UINT64_MAX, true},
	    {"18446744073709551616", UINT64_MAX, 0, false},
	    {"99999999999999999999", UINT64_MAX, 0, false},
	    {"11", 10, 0, false},
	    {"", 10, 0, false},
	    {"+1", 10, 0, false},
	    {"-1", 10, 0, false},
	    {" 1", 10, 0, false},
	    {"1 ", 10, 0, false},
	    {"0x1", 10, 0, false},
	};

	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		uint64_t number = 0;

		CHECK_EQUAL(
		    str_to_u64(str_of(cases[i].text), cases[i].max, &number),
		    cases[i].ok);
		CHECK(number == cases[i].want);
	}
}

static void
signed_numbers(void **state)
{
	int64_t number;

	CHECK(str_to_i64(STR("-9223372036854775808"), &number));
	CHECK(number == INT64_MIN);
	CHECK(str_to_i64(STR("9223372036854775807"), &number));
	CHECK(number == INT64_MAX);
	CHECK(str_to_i64(STR("-0"), &number) && number == 0);
	CHECK(!str_to_i64(STR("9223372036854775808"), &number));
	CHECK(!str_to_i64(STR("-9223372036854775809"), &number));
	CHECK(!str_to_i64(STR("--1"), &number));
	CHECK(!str_to_i64(STR("-"), &number));
	CHECK(!str_to_i64(STR_NONE, &number));
}

static void
utf8_is_that_of_rfc_3629(void **state)
{
	static const struct {
		const char *text;
		bool ok;
	} cases[] = {
	    {"", true},
	    {"plain text of more than eight", true},
	    {"\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80", true},
	    {"12345678\xc3\xa4", true},
	    {"1234567\xc3\xa4 and on", true},
	    {"\xed\x9f\xbf\xee\x80\x80\xf4\x8f\xbf\xbf", true},
	    {"\xed\xa0\x80", false},     /* a surrogate */
	    {"\xf4\x90\x80\x80", false}, /* above U+10FFFF */
	    {"\xf5\x80\x80\x80", false},
	    {"\xc0\x80", false}, /* overlong */
	    {"\xc1\xbf", false},
	    {"\xe0\x9f\xbf", false},
	    {"\xf0\x8f\xbf\xbf", false},
	    {"\x80", false}, /* alone */
	    {"\xff", false},
	    {"12345678\xc3", false}, /* cut */
	    {"\xe2\x82", false},
	    {"\xe2\x82g", false},
	    {"\xf0\x9f\x98", false},
	};

	for (size_t i = 0; i < COUNT_OF(cases); i++)
		CHECK_EQUAL(str_is_utf8(str_of(cases[i].text)), cases[i].ok);
	CHECK(str_is_utf8((struct str){"a\0b", 3}));
	CHECK_EQUAL(str_utf8_len(STR_NONE), 0);
	CHECK_EQUAL(str_utf8_len(STR("\xe2\x82\xacx")), 3);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(equality_is_of_bytes),
	    cmocka_unit_test(prefix_and_suffix),
	    cmocka_unit_test(order_is_by_byte_then_length),
	    cmocka_unit_test(cut_splits_at_the_first),
	    cmocka_unit_test(trim_takes_white_space_off),
	    cmocka_unit_test(made_text_ends_with_nul),
	    cmocka_unit_test(unsigned_numbers),
	    cmocka_unit_test(signed_numbers),
	    cmocka_unit_test(utf8_is_that_of_rfc_3629),
	};

	return cmocka_run_group_tests(
	    tests, check_arena_make, check_arena_free);
}

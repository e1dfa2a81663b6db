#include "base/escape.h"

#include "base/check.h"

static const struct {
	struct str text;
	const char *plain, *inside, *json; /* for people, in and as JSON */
} cases[] = {
    {STR("Bücher \"a\\\""), "Bücher \"a\\\"", "Bücher \\\"a\\\\\\\"",
	"Bücher \"a\\\""},
    {STR("a\nb\x7f"), "a\\x0ab\\x7f", "a\\u000ab\\u007f", "a\nb\\u007f"},
    {STR("\x1b[m"), "\\x1b[m", "\\u001b[m", "\\u001b[m"},
    {STR("\xc2\x9bm\xc2\xa0"), "\\x9bm\xc2\xa0", "\\u009bm\xc2\xa0",
	"\\u009bm\xc2\xa0"},
    {STR("\xff\xc2"), "\\xff\\xc2", "\\ufffd\\ufffd", "\\ufffd\\ufffd"},
    {STR("a\0b"), "a\\x00b", "a\\u0000b", "a\\u0000b"},
};

static void
check_one(
    void (*escape)(struct buf *, struct str), struct str text, const char *want)
{
	struct buf buf = {0};

	escape(&buf, text);
	CHECK_STR(buf_str(&buf), want);
	buf_deinit(&buf);
}

static void
control_characters_are_escaped(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		check_one(escape_text, cases[i].text, cases[i].plain);
		check_one(escape_json_string, cases[i].text, cases[i].inside);
		check_one(escape_json, cases[i].text, cases[i].json);
	}
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
	    cmocka_unit_test(control_characters_are_escaped),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

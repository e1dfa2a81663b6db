#include "server/setting.h"

#include "base/check_arena.h"

static const char *const colours[] = {"red", "green", NULL};
static const char *const sinks[] = {"stderr", NULL};

enum row { BOOL, INT, FREE_INT, TIME, SIZE, TEXT, PATH, SINK, LIST, ONE, SOME };

static const struct setting rows[] = {
    [BOOL] = {"bool", SETTING_BOOL},
    [INT] = {"int", SETTING_INT, .min = 2, .max = 10},
    [FREE_INT] = {"free", SETTING_INT},
    [TIME] = {"time", SETTING_TIME, .min = SECOND, .max = 90 * MINUTE},
    [SIZE] = {"size", SETTING_SIZE, .min = 1536},
    [TEXT] = {"text", SETTING_TEXT},
    [PATH] = {"path", SETTING_PATH},
    [SINK] = {"sink", SETTING_PATH, .choices = sinks},
    [LIST] = {"list", SETTING_LIST},
    [ONE] = {"one", SETTING_CHOICE, .choices = colours},
    [SOME] = {"some", SETTING_CHOICES, .choices = colours},
};

static bool
parse(enum row row, const char *text, struct setting_value *value,
    struct str *why)
{
	const struct yaml *yaml = yaml_parse(arena, "t", str_of(text), why);
	struct setting_wrong wrong;
	bool is_good;

	assert_non_null(yaml);
	is_good =
	    setting_parse(arena, &rows[row], yaml, STR("etc/"), value, &wrong);
	*why = wrong.why;
	return is_good;
}

static const struct {
	enum row row;
	const char *text;
	uint64_t number;
} numbers[] = {
    {BOOL, "true", 1},
    {BOOL, "on", 1},
    {BOOL, "yes", 1},
    {BOOL, "false", 0},
    {BOOL, "off", 0},
    {BOOL, "no", 0},
    {INT, "2", 2},
    {INT, "10", 10},
    {INT, "'7'", 7},
    {FREE_INT, "18446744073709551615", UINT64_MAX},
    {TIME, "1000 ms", 1000},
    {TIME, "30 s", 30000},
    {TIME, "30s", 30000},
    {TIME, "90 min", 5400000},
    {TIME, "1 h", 3600000},
    {SIZE, "1536 B", 1536},
    {SIZE, "64 KiB", 65536},
    {SIZE, "3 MiB", 3145728},
    {SIZE, "2 GiB", 2147483648},
    {ONE, "green", 1},
};

static void
numbers_have_units(void **state)
{
	for (size_t i = 0; i < COUNT_OF(numbers); i++) {
		struct setting_value value;
		struct str why;

		CHECK(parse(numbers[i].row, numbers[i].text, &value, &why));
		CHECK(value.number == numbers[i].number);
	}
}

#define LINE "must be a single line of text, without control characters"

static const struct {
	enum row row;
	const char *text, *why;
} bad[] = {
    {BOOL, "1", "must be true or false, not \"1\""},
    {BOOL, "", "must be true or false, not nothing"},
    {BOOL, "[true]", "must be true or false, not a list"},
    {INT, "x", "must be a whole number, not \"x\""},
    {INT, "5 s", "must be a whole number, not \"5 s\""},
    {INT, "-5", "must be a whole number, not \"-5\""},
    {INT, "1", "must be a whole number from 2 to 10, not 1"},
    {INT, "11", "must be a whole number from 2 to 10, not 11"},
    {INT, "{a: 1}", "must be a whole number, not a map"},
    {FREE_INT, "18446744073709551616",
	"must be a whole number, not \"18446744073709551616\""},
    {TIME, "30", "must be a time like \"30 s\" or \"5 min\", not \"30\""},
    {TIME, "30 sec",
	"must be a time like \"30 s\" or \"5 min\", not \"30 sec\""},
    {TIME, "s", "must be a time like \"30 s\" or \"5 min\", not \"s\""},
    {TIME, "99999999999999999 d",
	"must be a time like \"30 s\" or \"5 min\", "
	"not \"99999999999999999 d\""},
    {TIME, "0", "must be a time from 1 s to 90 min, not 0"},
    {TIME, "2 h", "must be a time from 1 s to 90 min, not 2 h"},
    {SIZE, "64 KB", "must be a size like \"64 KiB\", not \"64 KB\""},
    {SIZE, "1 KiB", "must be a size of at least 1536 B, not 1 KiB"},
    {TEXT, "\"a\\nb\"", LINE},
    {TEXT, "\"a\\rb\"", LINE},
    {PATH, "\"a\\0b\"", LINE},
    {LIST, "\"a\\x01b\"", LINE},
    {LIST, "[a, \"b\\n\"]", LINE},
    {TEXT, "[a]", "must be text, not a list"},
    {PATH, "", "must be a path, not nothing"},
    {SINK, "[]", "must be a path or one of stderr, not a list"},
    {LIST, "{a: b}", "must be a list of texts, not a map"},
    {LIST, "[[a]]", "must be a list of texts, not a list"},
    {ONE, "blue", "must be one of red, green, not \"blue\""},
    {SOME, "[red, blue]", "must be a list of red, green, not \"blue\""},
};

static void
bad_values_are_explained(void **state)
{
	for (size_t i = 0; i < COUNT_OF(bad); i++) {
		struct setting_value value;
		struct str why;

		CHECK(!parse(bad[i].row, bad[i].text, &value, &why));
		CHECK_STR(why, bad[i].why);
	}
}

static void
paths_begin_at_the_folder(void **state)
{
	struct setting_value value;
	struct str why;

	CHECK(parse(PATH, "a/b.pem", &value, &why));
	CHECK_STR(value.text, "etc/a/b.pem");
	CHECK(parse(PATH, "/a/b.pem", &value, &why));
	CHECK_STR(value.text, "/a/b.pem");
	CHECK(parse(SINK, "stderr", &value, &why));
	CHECK_STR(value.text, "stderr");
	CHECK(parse(SINK, "log", &value, &why));
	CHECK_STR(value.text, "etc/log");
	CHECK(parse(TEXT, "a/b.pem", &value, &why));
	CHECK_STR(value.text, "a/b.pem");
}

static void
one_alone_is_a_list(void **state)
{
	struct setting_value value, other;
	struct str why;

	CHECK(parse(LIST, "[a, 'b c']", &value, &why));
	CHECK_EQUAL(value.list.count, 2);
	CHECK_STR(value.list.items[1], "b c");
	CHECK(parse(LIST, "a", &other, &why));
	CHECK_EQUAL(other.list.count, 1);
	CHECK(!setting_equal(&value, &other));
	CHECK(parse(LIST, "[a, b c]", &other, &why));
	CHECK(setting_equal(&value, &other));
	CHECK(parse(LIST, "[]", &value, &why));
	CHECK_EQUAL(value.list.count, 0);
	CHECK(parse(SOME, "[green, red]", &value, &why));
	CHECK_STR(value.list.items[0], "green");
}

static void
bounds_are_words(void **state)
{
	CHECK_STR(
	    setting_bounds(arena, &rows[INT]), "a whole number from 2 to 10");
	CHECK_STR(setting_bounds(arena, &rows[FREE_INT]), "a whole number");
	CHECK_STR(
	    setting_bounds(arena, &rows[TIME]), "a time from 1 s to 90 min");
	CHECK_STR(
	    setting_bounds(arena, &rows[SIZE]), "a size of at least 1536 B");
	CHECK_STR(setting_bounds(arena, &rows[SOME]), "a list of red, green");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(numbers_have_units),
	    cmocka_unit_test(bad_values_are_explained),
	    cmocka_unit_test(paths_begin_at_the_folder),
	    cmocka_unit_test(one_alone_is_a_list),
	    cmocka_unit_test(bounds_are_words),
	};

	return cmocka_run_group_tests(
	    tests, check_arena_make, check_arena_free);
}

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/clock.h"
#include "storage/backend.h"

#define BYTES(literal) ((struct str){literal, sizeof(literal) - 1})

static void
keys_sort_part_by_part(void **state)
{
	struct arena *arena = arena_make(0);
	struct str a = store_key2(arena, STR("a"), STR("z"));
	struct str ab = store_key2(arena, STR("ab"), STR("a"));

	assert_true(str_compare(a, ab) < 0);
	assert_true(str_starts(a, store_key2(arena, STR("a"), STR_NONE)));
	assert_false(str_starts(ab, store_key2(arena, STR("a"), STR_NONE)));
	arena_free(&arena);
}

static void
keys_come_apart_again(void **state)
{
	struct arena *arena = arena_make(0);
	struct str key = store_key3(arena, STR("one"), STR_NONE, STR("three"));

	assert_true(str_is(store_key_part(key, 0), "one"));
	assert_true(str_is(store_key_part(key, 1), ""));
	assert_true(str_is(store_key_part(key, 2), "three"));
	assert_true(str_is(store_key_part(key, 3), ""));
	assert_true(str_is(store_key_part(STR_NONE, 1), ""));
	arena_free(&arena);
}

static void
below_is_the_end_of_a_prefix(void **state)
{
	static const struct {
		struct str prefix, below;
	} cases[] = {
	    {BYTES(""), BYTES("")},
	    {BYTES("a"), BYTES("b")},
	    {BYTES("a\0"), BYTES("a\1")},
	    {BYTES("a\xff"), BYTES("b")},
	    {BYTES("\x7f"), BYTES("\x80")},
	    {BYTES("\xff\xff"), BYTES("")},
	};
	struct arena *arena = arena_make(0);

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		assert_true(str_equal(
		    store_key_below(arena, cases[i].prefix), cases[i].below));
	arena_free(&arena);
}

static void
log_ids_grow_even_when_the_clock_does_not(void **state)
{
	clock_fake(1, 1000);
	assert_int_equal(store_log_id(0), 1000);
	assert_int_equal(store_log_id(1000), 1001);
	assert_int_equal(store_log_id(5000), 5001);
	clock_fake(0, 0);
}

static void
signatures_fit_their_statements(void **state)
{
	struct buf text = {0};

	for (unsigned sql = 0; sql < SQL_COUNT_ALL; sql++) {
		const char *signature = sql_signature(sql);
		size_t count = strlen(signature);
		char last[24], next[24];

		assert_true(count <= SQL_ARGS_MAX);
		sql_text(sql, true, &text);
		buf_add_byte(&text, '\0');
		snprintf(last, sizeof(last), "$%zu", count);
		snprintf(next, sizeof(next), "$%zu", count + 1);
		if (text.len > 1 && count > 0)
			assert_non_null(strstr(text.text, last));
		assert_null(strstr(text.text, next));
	}
	buf_deinit(&text);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(keys_sort_part_by_part),
	    cmocka_unit_test(keys_come_apart_again),
	    cmocka_unit_test(below_is_the_end_of_a_prefix),
	    cmocka_unit_test(log_ids_grow_even_when_the_clock_does_not),
	    cmocka_unit_test(signatures_fit_their_statements),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

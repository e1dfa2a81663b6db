#include "base/buf.h"

#include "base/check.h"

static void
it_grows_at_the_end(void **state)
{
	struct buf buf = {0};

	for (int i = 0; i < 1000; i++) {
		buf_add(&buf, STR("ab"));
		buf_add(&buf, STR_NONE);
		buf_add_byte(&buf, 'c');
	}
	CHECK_EQUAL(buf_str(&buf).len, 3000);
	for (size_t i = 0; i < 1000; i++)
		assert_memory_equal(buf.text + 3 * i, "abc", 3);
	buf_deinit(&buf);
	CHECK(buf.text == NULL && buf.len == 0 && buf.cap == 0);
}

static void
formats_of_any_length_fit(void **state)
{
	struct buf buf = {0};
	char text[2001];

	memset(text, 'x', 2000);
	text[2000] = '\0';
	buf_add_format(&buf, "%d,", 7);
	buf_add_format(&buf, "%s", text);
	buf_add_format(&buf, "%s", "");
	buf_add_format(&buf, ",%u", 8u);
	CHECK_EQUAL(buf.len, 2004);
	assert_memory_equal(buf.text, "7,xx", 4);
	assert_memory_equal(buf.text + 2000, "xx,8", 4);
	buf_deinit(&buf);
}

static void
room_is_written_directly(void **state)
{
	struct buf buf = {0};

	memcpy(buf_room(&buf, 600), "hello", 5);
	CHECK_EQUAL(buf.len, 0);
	buf_grew(&buf, 5);
	CHECK_STR(buf_str(&buf), "hello");
	CHECK_ABORTS(buf_grew(&buf, 100000));
	buf_deinit(&buf);
}

static void
drop_forgets_the_first(void **state)
{
	struct buf buf = {0};

	buf_drop(&buf, 0);
	buf_add(&buf, STR("hello world"));
	buf_drop(&buf, 6);
	CHECK_STR(buf_str(&buf), "world");
	buf_drop(&buf, 0);
	CHECK_STR(buf_str(&buf), "world");
	CHECK_ABORTS(buf_drop(&buf, 6));
	buf_drop(&buf, 5);
	CHECK_EQUAL(buf.len, 0);
	buf_deinit(&buf);
}

static void
clear_gives_back_only_much(void **state)
{
	struct buf buf = {0};

	buf_add(&buf, STR("hello"));
	buf_clear(&buf, 4096);
	CHECK(buf.len == 0 && buf.cap > 0);
	buf_room(&buf, 10000);
	buf_clear(&buf, 4096);
	CHECK(buf.len == 0 && buf.cap == 0 && buf.text == NULL);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(it_grows_at_the_end),
	    cmocka_unit_test(formats_of_any_length_fit),
	    cmocka_unit_test(room_is_written_directly),
	    cmocka_unit_test(drop_forgets_the_first),
	    cmocka_unit_test(clear_gives_back_only_much),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

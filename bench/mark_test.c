#include "bench/mark.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static void
marks_are_read_as_written(void **state)
{
	const struct mark sent = {.sender = 9999,
	    .place = UINT32_MAX,
	    .at_ns = UINT64_C(0x123456789abcdef0)};
	char text[MARK_LEN + 20] = "[b:<x>[b";
	const char *at = text;
	size_t len = 6 + MARK_LEN + 5;
	struct mark mark;

	memcpy(text, "<x>[b ", 6);
	mark_write(&sent, text + 6);
	memcpy(text + 6 + MARK_LEN, "</x>[", 5);
	assert_true(mark_next(&at, &len, &mark));
	assert_int_equal(mark.sender, sent.sender);
	assert_int_equal(mark.place, sent.place);
	assert_true(mark.at_ns == sent.at_ns);
	assert_false(mark_next(&at, &len, &mark));
	assert_int_equal(len, 1); /* "[" may be the start of one */
}

static void
marks_cut_in_two_are_kept(void **state)
{
	const struct mark sent = {.sender = 1, .place = 2, .at_ns = 3};
	char text[4 + MARK_LEN] = "body";
	struct mark mark;

	mark_write(&sent, text + 4);
	for (size_t cut = 0; cut < sizeof(text); cut++) {
		const char *at = text;
		size_t len = cut;

		assert_false(mark_next(&at, &len, &mark));
		assert_int_equal(len, cut > 4 ? cut - 4 : 0);
	}
}

static const struct {
	const char *places;
	unsigned came, repeated, out_of_order;
} cases[] = {
    {"0123", 4, 0, 0}, {"0", 1, 0, 0}, {"00", 1, 1, 0}, {"0211", 3, 1, 1},
    {"0321", 4, 0, 2}, {"3", 1, 0, 0}, {"30123", 4, 1, 3}, {"0z", 2, 0, 0},
    {"0z1", 2, 1, 0}, /* so late that it counts as a repetition */
};

static void
places_are_counted(void **state)
{
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct mark_seen seen = {0};
		struct mark_count count = {0};

		for (const char *at = cases[i].places; *at != '\0'; at++)
			mark_check(&seen,
			    *at == 'z' ? 100 : (uint32_t)(*at - '0'), &count);
		assert_int_equal(count.came, cases[i].came);
		assert_int_equal(count.repeated, cases[i].repeated);
		assert_int_equal(count.out_of_order, cases[i].out_of_order);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(marks_are_read_as_written),
	    cmocka_unit_test(marks_cut_in_two_are_kept),
	    cmocka_unit_test(places_are_counted),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

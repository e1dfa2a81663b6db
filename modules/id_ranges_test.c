#include "modules/id_ranges.h"

#include "base/check.h"
#include "base/str.h"

static const struct {
	const char *does; /* +FROM-TO and -FROM-TO, in order */
	const char *is;
} rows[] = {
    {"+5-5", "5-5"},
    {"+5-4", ""},
    {"+5-6+1-2", "1-2 5-6"},
    {"+1-2+5-6+3-4", "1-6"},
    {"+1-2+5-6+3-3", "1-3 5-6"},
    {"+1-2+5-6+9-9+2-8", "1-9"},
    {"+1-2+5-6+9-9+4-7", "1-2 4-7 9-9"},
    {"+0-0+1-1", "0-1"},
    {"+1-9-4-6", "1-3 7-9"},
    {"+1-9-0-4", "5-9"},
    {"+1-9-9-20", "1-8"},
    {"+1-9-0-20", ""},
    {"+1-2+5-6+8-9-2-8", "1-1 9-9"},
    {"+5-6-1-4-7-9", "5-6"},
    {"-1-4", ""},
};

static void
play(struct id_ranges *ranges, const char *does)
{
	while (*does != '\0') {
		const bool is_added = *does == '+';
		char *end;
		uint64_t from, to;

		from = strtoull(does + 1, &end, 10);
		to = strtoull(end + 1, &end, 10);
		if (is_added)
			id_ranges_add(ranges, from, to);
		else
			id_ranges_remove(ranges, from, to);
		does = end;
	}
}

static void
a_set_is_ranges(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct id_ranges ranges = {0};
		char is[64] = "";

		play(&ranges, rows[i].does);
		for (size_t j = 0; j < ranges.count; j++)
			snprintf(is + strlen(is), sizeof(is) - strlen(is),
			    "%s%llu-%llu", j == 0 ? "" : " ",
			    (unsigned long long)ranges.list[j].from,
			    (unsigned long long)ranges.list[j].to);
		assert_string_equal(is, rows[i].is);
		for (uint64_t id = 0; id < 12; id++) {
			bool is_in = false;

			for (size_t j = 0; j < ranges.count; j++)
				is_in |= ranges.list[j].from <= id &&
					 ranges.list[j].to >= id;
			assert_int_equal(id_ranges_have(&ranges, id), is_in);
		}
		id_ranges_free(&ranges);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(a_set_is_ranges),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

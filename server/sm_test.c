#include "server/sm.h"

#include "base/check.h"

static void
h_wraps(void **state)
{
	static const struct {
		uint64_t sent;
		uint32_t h;
		bool is_good;
		uint64_t behind;
	} rows[] = {
	    {0, 0, true, 0},
	    {10, 10, true, 0},
	    {10, 7, true, 3},
	    {10, 11, false, 0},
	    {UINT32_MAX, UINT32_MAX, true, 0},
	    {UINT64_C(1) << 32, 0, true, 0},
	    {UINT64_C(1) << 32, UINT32_MAX, true, 1},
	    {(UINT64_C(1) << 32) + 5, 3, true, 2},
	    {(UINT64_C(1) << 32) + 5, UINT32_MAX, true, 6},
	    {UINT32_MAX, 0, false, 0},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		uint64_t behind;

		CHECK(sm_behind(rows[i].sent, rows[i].h, &behind) ==
		      rows[i].is_good);
		if (rows[i].is_good)
			CHECK_EQUAL(behind, rows[i].behind);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(h_wraps)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

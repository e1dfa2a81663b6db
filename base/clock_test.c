#include "base/clock.h"

#include "base/check_arena.h"

#define NOON 1795262400 /* 2026-11-21T12:00:00Z */

static const struct {
	const char *text;
	uint64_t ms;
	bool is_canonical; /* clock_format gives the same text */
} good[] = {
    {"1970-01-01T00:00:00Z", 0, true},
    {"2000-02-29T23:59:59Z", 951868799000, true},
    {"2026-11-21T12:00:00Z", NOON * 1000ull, true},
    {"2026-11-21T12:00:00.056Z", NOON * 1000ull + 56, true},
    {"2100-03-01T00:00:00Z", 4107542400000, true},
    {"9999-12-31T23:59:59.999Z", 253402300799999, true},
    {"2026-11-21T12:00:00.5Z", NOON * 1000ull + 500, false},
    {"2026-11-21T12:00:00.0569999999Z", NOON * 1000ull + 56, false},
    {"2026-11-21T12:00:00.000Z", NOON * 1000ull, false},
    {"2026-11-21T13:00:00+01:00", NOON * 1000ull, false},
    {"2026-11-21T06:15:00-05:45", NOON * 1000ull, false},
    {"2026-11-22T02:00:00+14:00", NOON * 1000ull, false},
    {"2026-11-21T12:00:00-00:00", NOON * 1000ull, false},
    {"2026-11-20T24:00:00+12:00", NOON * 1000ull - 86400000, false},
    {"1969-07-21T02:56:15Z", 0, false}, /* XEP-0082, example 2 */
    {"1969-07-20T21:56:15-05:00", 0, false},
    {"0000-01-01T00:00:00Z", 0, false},
};

static const char *const bad[] = {
    "",
    "2026-11-21",
    "2026-11-21T12:00:00",
    "2026-11-21 12:00:00Z",
    "2026-11-21T12:00Z",
    "2026-11-21T12:00:00z",
    "2026-11-21T12:00:00Z ",
    " 2026-11-21T12:00:00Z",
    "2026-11-21T12:00:00.Z",
    "2026-11-21T12:00:00,5Z",
    "2026-11-21T12:00:00+0100",
    "2026-11-21T12:00:00+14:30",
    "2026-11-21T12:00:00+01:60",
    "2026-11-21T12:00:00+",
    "2026-02-29T12:00:00Z",
    "2100-02-29T12:00:00Z",
    "2026-04-31T12:00:00Z",
    "2026-00-01T12:00:00Z",
    "2026-13-01T12:00:00Z",
    "2026-01-00T12:00:00Z",
    "2026-01-01T24:00:01Z",
    "2026-01-01T25:00:00Z",
    "2026-01-01T00:60:00Z",
    "2026-01-01T00:00:60Z",
    "-2026-01-01T00:00:00Z",
    "12026-01-01T00:00:00Z",
    "20261121T12:00:00",
};

static void
dates_are_read(void **state)
{
	for (size_t i = 0; i < COUNT_OF(good); i++) {
		uint64_t us = 1;

		CHECK(clock_parse(str_of(good[i].text), &us));
		assert_int_equal(us / 1000, good[i].ms);
	}
	for (size_t i = 0; i < COUNT_OF(bad); i++) {
		uint64_t us;

		CHECK(!clock_parse(str_of(bad[i]), &us));
	}
}

static void
dates_are_written(void **state)
{
	char text[CLOCK_TEXT_LEN];

	for (size_t i = 0; i < COUNT_OF(good); i++) {
		if (good[i].is_canonical)
			CHECK_STR(clock_format(arena, good[i].ms * 1000),
			    good[i].text);
	}
	clock_text(text, NOON * 1000000ull);
	CHECK_TEXT(text, "2026-11-21T12:00:00.000Z");
}

static void
every_day_survives(void **state)
{
	for (uint64_t day = 0; day < 400 * 366; day++) {
		uint64_t us = day * 86400 * 1000000, back;
		char text[CLOCK_TEXT_LEN];

		clock_text(text, us);
		assert_true(clock_parse(str_of(text), &back));
		assert_int_equal(us, back);
	}
}

static void
clocks_go_on(void **state)
{
	uint64_t mono = clock_mono_ms(), wall = clock_wall_us();

	CHECK(wall > NOON / 2 * 1000000ull);
	usleep(3000);
	CHECK(clock_mono_ms() > mono);
	CHECK(clock_wall_us() != wall);
}

static void
fake_clocks_stand(void **state)
{
	clock_fake(5, 7000);
	CHECK_EQUAL(clock_mono_ms(), 5);
	CHECK_EQUAL(clock_wall_us(), 7000);
	CHECK_EQUAL(clock_wall_ms(), 7);
	clock_fake(0, 0);
	CHECK(clock_wall_us() > 7000);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(dates_are_read),
	    cmocka_unit_test(dates_are_written),
	    cmocka_unit_test(every_day_survives),
	    cmocka_unit_test(clocks_go_on),
	    cmocka_unit_test(fake_clocks_stand),
	};

	return cmocka_run_group_tests(
	    tests, check_arena_make, check_arena_free);
}

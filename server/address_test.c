#include "server/address.h"

#include "base/check.h"

static const struct {
	const char *address, *meter;
} meters[] = {
    {"192.0.2.7", "192.0.2.7"},
    {"2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"},
    {"2001:db8:1:2::1", "2001:db8:1:2::/64"},
    {"2001:db8:1:3::1", "2001:db8:1:3::/64"},
    {"::1", "::/64"},
    {"::ffff:192.0.2.7", "192.0.2.7"},
    {"", ""},
    {"what a world calls a peer, at some length",
	"what a world calls a peer, at some length"},
};

static void
addresses_count_by_their_network(void **state)
{
	struct arena *arena = arena_make(0);

	for (size_t i = 0; i < sizeof(meters) / sizeof(meters[0]); i++)
		CHECK_STR(address_meter(arena, str_of(meters[i].address)),
		    meters[i].meter);
	arena_free(&arena);
}

static const struct {
	unsigned failures, longest_ms, delay_ms;
} delays[] = {
    {0, 30000, 0},
    {1, 30000, 0},
    {5, 30000, 0},
    {6, 30000, 1000},
    {7, 30000, 2000},
    {8, 30000, 4000},
    {10, 30000, 16000},
    {11, 30000, 30000},
    {4000000000, 30000, 30000},
    {4000000000, 4000000000, 4000000000},
    {6, 500, 500},
    {100, 0, 0},
};

static void
failures_are_slowed_more_and_more(void **state)
{
	for (size_t i = 0; i < sizeof(delays) / sizeof(delays[0]); i++)
		CHECK_EQUAL(address_delay_ms(
				delays[i].failures, 5, delays[i].longest_ms),
		    delays[i].delay_ms);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(addresses_count_by_their_network),
	    cmocka_unit_test(failures_are_slowed_more_and_more),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

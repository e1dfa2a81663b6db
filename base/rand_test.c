#include "base/rand.h"

#include "base/check.h"

static void
bytes_differ_at_any_length(void **state)
{
	static const size_t lens[] = {8, 16, 63, 64, 65, 255, 256, 1000};

	for (size_t i = 0; i < COUNT_OF(lens); i++) {
		char a[1000] = "", b[1000] = "";

		rand_bytes(a, lens[i]);
		rand_bytes(b, lens[i]);
		assert_memory_not_equal(a, b, lens[i]);
		/* Nothing is written behind them. */
		for (size_t j = lens[i]; j < sizeof(a); j++)
			assert_int_equal(a[j], 0);
	}
	rand_bytes(NULL, 0);
}

static void
below_reaches_all_and_no_more(void **state)
{
	unsigned seen[5] = {0};

	for (int i = 0; i < 1000; i++) {
		uint64_t number = rand_below(5);

		assert_true(number < 5);
		seen[number]++;
	}
	/* Each about 200 times; 100 off is 8 standard deviations. */
	for (size_t i = 0; i < COUNT_OF(seen); i++)
		assert_in_range(seen[i], 100, 300);
	CHECK_EQUAL(rand_below(1), 0);
	CHECK(rand_below(UINT64_MAX) < UINT64_MAX);
	CHECK_ABORTS(rand_below(0));
}

static void
ids_are_letters_and_digits(void **state)
{
	struct arena *arena = arena_make(0);
	struct str a = rand_id(arena, 20), b = rand_id(arena, 20);

	CHECK_EQUAL(a.len, 20);
	CHECK_EQUAL(strspn(a.text, "abcdefghijklmnopqrstuvwxyz0123456789"), 20);
	CHECK_EQUAL(strlen(a.text), 20);
	CHECK(!str_equal(a, b));
	arena_free(&arena);
}

static void
a_seed_repeats_itself(void **state)
{
	uint64_t first[10];

	rand_fake(7);
	for (size_t i = 0; i < COUNT_OF(first); i++)
		first[i] = rand_u64();
	rand_fake(7);
	for (size_t i = 0; i < COUNT_OF(first); i++)
		CHECK(rand_u64() == first[i]);
	rand_fake(8);
	CHECK(rand_u64() != first[0]);
	rand_fake(0);
	CHECK(rand_u64() != first[0]);
}

static void
a_child_draws_its_own(void **state)
{
	uint64_t mine, theirs;
	int ends[2];
	pid_t child;

	mine = rand_u64(); /* some are in store now */
	CHECK_EQUAL(pipe(ends), 0);
	child = fork();
	if (child == 0) {
		theirs = rand_u64();
		_exit(write(ends[1], &theirs, sizeof(theirs)) < 0);
	}
	mine = rand_u64();
	CHECK_EQUAL(read(ends[0], &theirs, sizeof(theirs)), sizeof(theirs));
	CHECK(mine != theirs);
	CHECK_EQUAL(waitpid(child, NULL, 0), child);
	close(ends[0]);
	close(ends[1]);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(bytes_differ_at_any_length),
	    cmocka_unit_test(below_reaches_all_and_no_more),
	    cmocka_unit_test(ids_are_letters_and_digits),
	    cmocka_unit_test(a_seed_repeats_itself),
	    cmocka_unit_test(a_child_draws_its_own),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

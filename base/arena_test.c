#include "base/arena.h"

#include <pthread.h>
#include <stdalign.h>

#include "base/check.h"

static bool
is_zero(const char *bytes, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		if (bytes[i] != 0)
			return false;
	}
	return true;
}

static void
memory_is_zeroed_and_aligned(void **state)
{
	static const size_t lens[] = {0, 1, 7, 16, 100, 500, 4000, 100000};

	/* Twice, so that the second meets used chunks. */
	for (int turn = 0; turn < 2; turn++) {
		struct arena *arena = arena_make(0);

		for (size_t i = 0; i < 100; i++) {
			size_t len = lens[i % COUNT_OF(lens)];
			char *bytes;

			arena_text(arena, 3);
			bytes = arena_alloc(arena, len);
			CHECK_EQUAL((uintptr_t)bytes % alignof(max_align_t), 0);
			CHECK(is_zero(bytes, len));
			memset(bytes, 0xff, len);
		}
		arena_free(&arena);
		CHECK(arena == NULL);
	}
}

static void
what_it_gave_stays_apart(void **state)
{
	struct arena *arena = arena_make(100);
	char *texts[2000];

	for (size_t i = 0; i < COUNT_OF(texts); i++) {
		texts[i] = arena_text(arena, i);
		memset(texts[i], (int)(i % 251), i);
	}
	for (size_t i = 0; i < COUNT_OF(texts); i++) {
		for (size_t j = 0; j < i; j++)
			assert_int_equal((unsigned char)texts[i][j], i % 251);
	}
	arena_free(&arena);
}

static void
dup_ends_with_nul(void **state)
{
	struct arena *arena = arena_make(0);

	CHECK_TEXT(arena_dup(arena, "abcdef", 3), "abc");
	CHECK_TEXT(arena_dup(arena, NULL, 0), "");
	arena_free(&arena);
}

static void
len_follows_what_is_held(void **state)
{
	struct arena *arena = arena_make(0);
	size_t before = arena_len(arena);

	arena_alloc(arena, 8);
	CHECK_EQUAL(arena_len(arena), before);
	arena_alloc(arena, 1000000);
	CHECK(arena_len(arena) >= before + 1000000);
	arena_free(&arena);
	arena_free(&arena);
}

static void
impossible_lengths_abort(void **state)
{
	struct arena *arena = arena_make(0);

	CHECK_ABORTS(arena_alloc(arena, SIZE_MAX));
	CHECK_ABORTS(arena_text(arena, SIZE_MAX - 8));
	CHECK_ABORTS((void)arena_array(arena, uint64_t, SIZE_MAX / 4));
	CHECK_ABORTS(arena_make(SIZE_MAX));
	arena_free(&arena);
}

/* Arenas made here and freed there, as letters are. */
#define FLIGHT 500

static void *
free_all(void *arg)
{
	struct arena **arenas = arg;

	for (size_t i = 0; i < FLIGHT; i++)
		arena_free(&arenas[i]);
	arena_thread_done();
	return NULL;
}

static void
arenas_end_on_another_thread(void **state)
{
	for (int turn = 0; turn < 20; turn++) {
		struct arena *arenas[FLIGHT];
		pthread_t thread;

		for (size_t i = 0; i < FLIGHT; i++) {
			arenas[i] = arena_make(i * 10);
			arena_alloc(arenas[i], i * 20);
		}
		pthread_create(&thread, NULL, free_all, arenas);
		pthread_join(thread, NULL);
	}
	arena_thread_done();
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(memory_is_zeroed_and_aligned),
	    cmocka_unit_test(what_it_gave_stays_apart),
	    cmocka_unit_test(dup_ends_with_nul),
	    cmocka_unit_test(len_follows_what_is_held),
	    cmocka_unit_test(impossible_lengths_abort),
	    cmocka_unit_test(arenas_end_on_another_thread),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

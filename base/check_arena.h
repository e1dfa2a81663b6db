/*
 * base/check_arena.h - for tests that need memory and no more: an arena that is
 * made before the first of them and freed after the last.
 *
 *	return cmocka_run_group_tests(
 *	    tests, check_arena_make, check_arena_free);
 */
#pragma once

#include "base/arena.h"
#include "base/check.h"

static struct arena *arena;

static inline int
check_arena_make(void **state)
{
	(void)state;
	arena = arena_make(0);
	return 0;
}

static inline int
check_arena_free(void **state)
{
	(void)state;
	arena_free(&arena);
	return 0;
}

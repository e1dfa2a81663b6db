/*
 * base/prefetch.h - asks for memory before it is needed.
 *
 * For loops over many things that the caches do not hold: while one is handled
 * the next one comes. Any address will do, NULL too.
 */
#pragma once

static inline void
prefetch(const void *at)
{
	__builtin_prefetch(at);
}

/*
 * base/clock.h - time: monotonic for waiting, wall time for people and ids.
 *
 * A world sets fake clocks for its thread; then both run only when told.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/str.h"

uint64_t clock_mono_ms(void);
uint64_t clock_wall_us(void); /* microseconds since 1970, UTC */
static inline uint64_t
clock_wall_ms(void)
{
	return clock_wall_us() / 1000;
}

/* From now on this thread's clocks stand at these values; 0, 0 ends it. */
void clock_fake(uint64_t mono_ms, uint64_t wall_us);

/* XEP-0082 dateTime in UTC: "2026-11-21T02:03:04Z", with ".056Z" only when
 * the milliseconds are not zero. */
struct str clock_format(struct arena *, uint64_t wall_us);
/* The same without an arena and always with milliseconds. */
#define CLOCK_TEXT_LEN sizeof("2026-11-21T02:03:04.056Z")
void clock_text(char text[CLOCK_TEXT_LEN], uint64_t wall_us);

/* Reads any dateTime of XEP-0082 with a year of four digits; what is before
 * 1970 is read as 0. False when it is none. */
bool clock_parse(struct str, uint64_t *wall_us_r);

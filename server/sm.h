/*
 * server/sm.h - what stream management (XEP-0198) of clients and of servers has
 * in common.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct stream;

#define NS_SM "urn:xmpp:sm:3"

/* Section 4: h wraps at 2^32, so it stands for the count nearest to what was
 * sent. How many of those are not covered by it, in *behind_r; it may be
 * more than there are when the peer repeats an old h. False when it says that
 * more was handled than was sent. */
static inline bool
sm_behind(uint64_t sent, uint32_t h, uint64_t *behind_r)
{
	const uint32_t behind = (uint32_t)sent - h;

	*behind_r = behind;
	return behind <= UINT32_MAX / 2;
}

/* How many of the stanzas that came are of h: the early ones were there before
 * the peer counted. */
static inline uint64_t
sm_counted(uint64_t came, uint64_t early)
{
	return came > early ? came - early : 0;
}

/* Section 6: the peer says that it handled more than it was sent. */
void sm_end_too_high(struct stream *, uint32_t h, uint32_t sent);

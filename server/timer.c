#include "server/timer.h"

#include <stdlib.h>

#include "base/clock.h"
#include "base/err.h"
#include "server/shard.h"

#define FIRST_ROOM 64

void
timers_init(struct timers *timers)
{
	*timers = (struct timers){0};
}

void
timers_deinit(struct timers *timers)
{
	free(timers->heap);
	*timers = (struct timers){0};
}

void
timers_stop(struct timers *timers)
{
	for (size_t i = 0; i < timers->count; i++)
		timers->heap[i]->place = 0;
	timers->count = 0;
}

/* Places count from 1, so that a zeroed timer is a stopped one. */
static void
put(struct timers *timers, size_t place, struct timer *timer)
{
	timers->heap[place - 1] = timer;
	timer->place = place;
}

static struct timer *
at(const struct timers *timers, size_t place)
{
	return timers->heap[place - 1];
}

static void
rise(struct timers *timers, struct timer *timer)
{
	size_t place = timer->place;

	while (place > 1 && at(timers, place / 2)->due_ms > timer->due_ms) {
		put(timers, place, at(timers, place / 2));
		place /= 2;
	}
	put(timers, place, timer);
}

static void
sink(struct timers *timers, struct timer *timer)
{
	size_t place = timer->place;

	while (place * 2 <= timers->count) {
		size_t child = place * 2;

		if (child < timers->count &&
		    at(timers, child + 1)->due_ms < at(timers, child)->due_ms)
			child++;
		if (at(timers, child)->due_ms >= timer->due_ms)
			break;
		put(timers, place, at(timers, child));
		place = child;
	}
	put(timers, place, timer);
}

static void
take_out(struct timers *timers, struct timer *timer)
{
	size_t place = timer->place;
	struct timer *last = at(timers, timers->count);

	timers->count--;
	timer->place = 0;
	if (last == timer)
		return;
	put(timers, place, last);
	rise(timers, last);
	sink(timers, last);
}

static void
put_in(struct timers *timers, struct timer *timer)
{
	if (timers->count == timers->room) {
		timers->room =
		    timers->room == 0 ? FIRST_ROOM : timers->room * 2;
		timers->heap = realloc(
		    timers->heap, timers->room * sizeof(timers->heap[0]));
		must(timers->heap != NULL);
	}
	timers->count++;
	put(timers, timers->count, timer);
	rise(timers, timer);
}

uint64_t
timers_next(const struct timers *timers)
{
	return timers->count == 0 ? UINT64_MAX : at(timers, 1)->due_ms;
}

/* Only as many as were there: one that starts itself anew without delay must
 * not hold the turn. */
void
timers_ring(struct timers *timers, uint64_t now_ms)
{
	size_t left = timers->count;

	while (left-- > 0 && timers_next(timers) <= now_ms) {
		struct timer *timer = at(timers, 1);

		take_out(timers, timer);
		timer->done(timer);
	}
}

void
timer_start(struct shard *shard, struct timer *timer, uint64_t after_ms,
    void (*done)(struct timer *))
{
	timer_stop(shard, timer);
	timer->done = done;
	timer->due_ms = clock_mono_ms() + after_ms;
	put_in(&shard->timers, timer);
}

void
timer_stop(struct shard *shard, struct timer *timer)
{
	if (timer->place != 0)
		take_out(&shard->timers, timer);
}

bool
timer_is_running(const struct timer *timer)
{
	return timer->place != 0;
}

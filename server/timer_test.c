#include "base/check.h"
#include "base/clock.h"
#include "base/rand.h"
#include "server/shard.h"

#define TIMERS 200

static struct shard shard;
static uint64_t last_due;
static unsigned rung;

static void
on_ring(struct timer *timer)
{
	CHECK(!timer_is_running(timer));
	CHECK(timer->due_ms >= last_due);
	last_due = timer->due_ms;
	rung++;
}

static void
begin(void)
{
	timers_init(&shard.timers);
	clock_fake(1000, 1);
	last_due = 0;
	rung = 0;
}

static void
end(void)
{
	timers_deinit(&shard.timers);
	clock_fake(0, 0);
}

static void
timers_ring_in_order(void **state)
{
	struct timer timers[TIMERS] = {0};
	unsigned stopped = 0;

	begin();
	rand_fake(1);
	for (unsigned i = 0; i < TIMERS; i++)
		timer_start(&shard, &timers[i], rand_below(500), on_ring);
	for (unsigned i = 0; i < TIMERS; i += 3) {
		timer_stop(&shard, &timers[i]);
		stopped++;
	}
	for (unsigned i = 1; i < TIMERS; i += 3)
		timer_start(&shard, &timers[i], rand_below(500), on_ring);
	for (uint64_t now = 1000; now < 1500; now += 7) {
		timers_ring(&shard.timers, now);
		CHECK(timers_next(&shard.timers) > now);
	}
	timers_ring(&shard.timers, 2000);
	CHECK_EQUAL(rung, TIMERS - stopped);
	CHECK(timers_next(&shard.timers) == UINT64_MAX);
	rand_fake(0);
	end();
}

static void
on_ring_again(struct timer *timer)
{
	rung++;
	timer_start(&shard, timer, 0, on_ring_again);
}

static void
one_that_starts_itself_does_not_hold_the_turn(void **state)
{
	struct timer timer = {0};

	begin();
	timer_start(&shard, &timer, 0, on_ring_again);
	timers_ring(&shard.timers, 1000);
	CHECK_EQUAL(rung, 1);
	timer_stop(&shard, &timer);
	timer_stop(&shard, &timer);
	CHECK(!timer_is_running(&timer));
	end();
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(timers_ring_in_order),
	    cmocka_unit_test(one_that_starts_itself_does_not_hold_the_turn),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

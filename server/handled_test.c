#include "server/handled.h"

#include "base/check.h"
#include "base/clock.h"
#include "server/shard.h"

static struct shard shard;
static struct handled handled;
static struct receipt receipts[16]; /* of stanzas 1 and up */
static uint64_t now_ms;
static unsigned told;   /* so often */
static uint64_t told_h; /* the last time */

static void
on_returned(struct handled *counter)
{
	handled_settle(counter, counter->returned);
}

static void
tell(struct handled *counter)
{
	told++;
	told_h = counter->settled;
}

static const struct handled_role role = {
    .window = HANDLED_WINDOW_CLIENT,
    .on_returned = on_returned,
    .tell = tell,
};

static int
begin(void **state)
{
	(void)state;
	timers_init(&shard.timers);
	table_init(&shard.handled);
	clock_fake(now_ms = 1000, 1);
	handled = (struct handled){0};
	handled_start(&handled, &shard, &role, handled_number(&shard));
	told = 0;
	return 0;
}

static int
end(void **state)
{
	(void)state;
	handled_stop(&handled);
	table_deinit(&shard.handled);
	timers_deinit(&shard.timers);
	clock_fake(0, 0);
	return 0;
}

static void
take(unsigned count)
{
	for (unsigned i = 0; i < count; i++) {
		const struct receipt receipt = handled_count(&handled);

		receipts[receipt.number] = receipt;
	}
}

static void
give_back(unsigned number)
{
	handled_take(&shard, &receipts[number]);
	timers_ring(&shard.timers, now_ms);
}

static void
pass(uint64_t ms)
{
	now_ms += ms;
	clock_fake(now_ms, 1);
	timers_ring(&shard.timers, now_ms);
}

static void
must_have_told(unsigned times, uint64_t h)
{
	CHECK_EQUAL(told, times);
	CHECK_EQUAL(told_h, h);
}

static void
what_is_settled_is_told_at_once(void **state)
{
	(void)state;
	take(2);
	give_back(1);
	give_back(2);
	handled_ask(&handled);
	must_have_told(1, 2);
	pass(1000);
	CHECK_EQUAL(told, 1);
}

static void
it_covers_what_comes_before(void **state)
{
	(void)state;
	take(3);
	give_back(3);
	give_back(2);
	CHECK_EQUAL(handled.settled, 0);
	CHECK_EQUAL(handled_open(&handled), 3);
	give_back(1);
	CHECK_EQUAL(handled.settled, 3);
	CHECK(!handled_is_open(&shard, &role));
}

static void
an_answer_waits_for_what_is_soon_settled(void **state)
{
	(void)state;
	take(2);
	handled_ask(&handled);
	pass(10);
	give_back(1);
	CHECK_EQUAL(told, 0);
	give_back(2);
	must_have_told(1, 2);
	pass(1000);
	CHECK_EQUAL(told, 1);
}

static void
it_does_not_wait_long_and_progress_is_told(void **state)
{
	(void)state;
	take(4);
	give_back(1);
	handled_ask(&handled);
	pass(19);
	CHECK_EQUAL(told, 0);
	pass(1);
	must_have_told(1, 1);
	pass(1000);
	CHECK_EQUAL(told, 1);

	give_back(2);
	must_have_told(2, 2);
	/* At most once a turn. */
	handled_take(&shard, &receipts[3]);
	handled_take(&shard, &receipts[4]);
	pass(0);
	must_have_told(3, 4);

	/* Nobody asked for more. */
	take(1);
	give_back(5);
	CHECK_EQUAL(told, 3);
}

static void
who_is_gone_is_told_nothing(void **state)
{
	(void)state;
	take(1);
	handled_ask(&handled);
	handled_forget_ask(&handled);
	give_back(1);
	pass(1000);
	CHECK_EQUAL(told, 0);
}

static void
receipts_of_one_that_ended_are_nobodys(void **state)
{
	struct handled later = {0};

	(void)state;
	take(1);
	handled_move(&later, &handled, &role);
	handled_stop(&later);
	give_back(1);
	CHECK_EQUAL(later.settled, 0);
	handled_start(&handled, &shard, &role, handled_number(&shard));
	give_back(1);
	CHECK_EQUAL(handled.settled, 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(what_is_settled_is_told_at_once),
		TEST(it_covers_what_comes_before),
		TEST(an_answer_waits_for_what_is_soon_settled),
		TEST(it_does_not_wait_long_and_progress_is_told),
		TEST(who_is_gone_is_told_nothing),
		TEST(receipts_of_one_that_ended_are_nobodys),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

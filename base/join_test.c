#include "base/join.h"

#include "base/check.h"

static unsigned done_count;
static enum err done_with;

static void
all_done(struct join *join)
{
	done_count++;
	done_with = join->first;
}

static void
done_comes_once_after_all(void **state)
{
	struct join join;

	done_count = 0;
	join_init(&join, all_done);
	join_wait(&join);
	join_wait_done(&join, ERR_NONE);
	CHECK_EQUAL(done_count, 0);
	join_wait(&join);
	join_wait(&join);
	join_wait_done(&join, ERR_NONE);
	join_wait_done(&join, ERR_TIMEOUT);
	CHECK_EQUAL(done_count, 0);
	join_wait_done(&join, ERR_NONE);
	CHECK_EQUAL(done_count, 1);
	CHECK_EQUAL(done_with, ERR_TIMEOUT);
	CHECK_ABORTS(join_wait(&join));
	CHECK_ABORTS(join_wait_done(&join, ERR_NONE));
}

static void
the_first_failure_stays(void **state)
{
	struct join join;

	join_init(&join, all_done);
	join_wait(&join);
	join_wait(&join);
	join_wait_done(&join, ERR_FULL);
	join_wait_done(&join, ERR_IO);
	join_wait_done(&join, ERR_NONE);
	CHECK_EQUAL(done_with, ERR_FULL);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(done_comes_once_after_all),
	    cmocka_unit_test(the_first_failure_stays),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

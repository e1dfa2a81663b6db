#include "base/err.h"

#include "base/check.h"
#include "base/log.h"

static char seen[1024];

static void
keep(enum log_level level, const char *text)
{
	CHECK_EQUAL(level, LOG_ERROR);
	snprintf(seen, sizeof(seen), "%s", text);
}

static void
every_error_has_words(void **state)
{
	CHECK_TEXT(err_text(ERR_NONE), "no error");
	CHECK_TEXT(err_text(ERR_TIMEOUT), "timed out");
	CHECK_TEXT(err_text(ERR_IO), "input/output error");
	CHECK_TEXT(err_text((enum err)1000), "unknown error");
}

static void
must_aborts_only_when_false(void **state)
{
	must(seen[0] == '\0');
	CHECK_ABORTS(must(seen[0] != '\0'));
}

static void
expect_logs_counts_and_goes_on(void **state)
{
	log_capture(keep);
	err_doing("testing");
	CHECK(expect(1 + 1 == 2));
	CHECK_EQUAL(expect_failures(), 0);
	CHECK(!expect(1 + 1 == 3));
	log_capture(NULL);
	CHECK_EQUAL(expect_failures(), 1);
	CHECK(strstr(seen, "expected: 1 + 1 == 3; while: testing") != NULL);
}

static void
expect_aborts_when_fatal(void **state)
{
	expect_is_fatal(true);
	CHECK_ABORTS((void)expect(1 + 1 == 3));
	expect_is_fatal(false);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(every_error_has_words),
	    cmocka_unit_test(must_aborts_only_when_false),
	    cmocka_unit_test(expect_logs_counts_and_goes_on),
	    cmocka_unit_test(expect_aborts_when_fatal),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

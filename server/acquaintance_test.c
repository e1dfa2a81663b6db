#include "server/acquaintance.h"

#include <stdio.h>
#include <string.h>

#include "base/check.h"

static struct str
name_of(char text[32], unsigned number)
{
	snprintf(text, 32, "d%u.example", number);
	return str_of(text);
}

static void
who_was_added_is_found_and_few_others_are(void **state)
{
	enum { ADDED = 4000, OTHERS = 10000 };
	static struct acquaintances all;
	unsigned others = 0;
	char text[32];

	(void)state;
	CHECK(!acquaintance_find(&all, STR("verona.example")));
	for (unsigned i = 0; i < ADDED; i++) {
		acquaintance_add(&all, name_of(text, i));
		acquaintance_add(&all, name_of(text, i));
	}
	for (unsigned i = 0; i < ADDED; i++)
		CHECK(acquaintance_find(&all, name_of(text, i)));
	for (unsigned i = 0; i < OTHERS; i++)
		others += acquaintance_find(&all, name_of(text, ADDED + i));
	CHECK(others < OTHERS / 10);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(who_was_added_is_found_and_few_others_are),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

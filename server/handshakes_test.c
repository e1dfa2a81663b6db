/* server/handshakes_test.c - places for handshakes, shared among addresses. */
#include "server/handshakes.h"

#include "base/check.h"

enum { MAX = 8, MANY = 40 };

static struct handshakes handshakes;

static int
start(void **state)
{
	(void)state;
	handshakes_init(&handshakes);
	return 0;
}

static int
stop(void **state)
{
	(void)state;
	handshakes_deinit(&handshakes);
	return 0;
}

static void
come(struct handshake *handshake, const char *address)
{
	*handshake = (struct handshake){0};
	handshakes_wait(&handshakes, handshake, str_of(address), MAX);
}

static void
come_all(struct handshake *all, size_t count, const char *address)
{
	for (size_t i = 0; i < count; i++)
		come(&all[i], address);
}

static void
end_all(struct handshake *all, size_t count)
{
	for (size_t i = 0; i < count; i++)
		handshakes_end(&handshakes, &all[i]);
}

static void
places_are_limited_and_given_in_order(void **state)
{
	struct handshake all[MANY];

	CHECK(handshakes_next(&handshakes) == NULL);
	come_all(all, MANY, "192.0.2.1");
	for (size_t i = 0; i < MAX; i++)
		CHECK(handshakes_next(&handshakes) == &all[i]);
	CHECK(handshakes_next(&handshakes) == NULL);
	CHECK_EQUAL(handshakes.count, MAX);
	for (size_t i = 0; i + MAX < MANY; i++) {
		handshakes_end(&handshakes, &all[i]);
		CHECK(handshakes_next(&handshakes) == &all[i + MAX]);
	}
	handshakes_end(&handshakes, &all[0]); /* harmless */
	end_all(all, MANY);
	CHECK_EQUAL(handshakes.count, 0);
}

/* Those who hold few come first, whoever came before. */
static void
who_waits_has_its_turn(void **state)
{
	static const char *const addresses[] = {
	    "2001:db8::1", "192.0.2.2", "192.0.2.3"};
	struct handshake all[MANY], others[3];

	come_all(all, MANY, "192.0.2.1");
	while (handshakes_next(&handshakes) != NULL)
		continue;
	for (size_t i = 0; i < 3; i++)
		come(&others[i], addresses[i]);
	for (size_t i = 0; i < 3; i++) {
		handshakes_end(&handshakes, &all[i]);
		CHECK(handshakes_next(&handshakes) == &others[i]);
	}
	handshakes_end(&handshakes, &others[1]);
	CHECK(handshakes_next(&handshakes) == &all[MAX]);
	end_all(all, MANY);
	end_all(others, 3);
}

/* Whoever has more than a quarter gives the last of it up. */
static void
who_has_too_much_gives_it_up(void **state)
{
	struct handshake all[MANY], other, same, far[MAX];

	come_all(all, MANY, "2001:db8::1");
	while (handshakes_next(&handshakes) != NULL)
		continue;
	CHECK(handshakes_excess(&handshakes, &all[MAX]) == NULL);
	come(&same, "2001:db8::2");
	CHECK(handshakes_excess(&handshakes, &same) == NULL);
	come(&other, "2001:db8:0:1::1");
	CHECK(handshakes_excess(&handshakes, &other) == &all[MAX - 1]);
	handshakes_end(&handshakes, &all[MAX - 1]);
	CHECK(handshakes_next(&handshakes) == &other);
	for (size_t i = 0; i < MAX; i++) {
		struct handshake *excess;

		come(&far[i], i % 2 == 0 ? "192.0.2.1" : "192.0.2.2");
		excess = handshakes_excess(&handshakes, &far[i]);
		CHECK((excess != NULL) == (i < 4));
		if (excess == NULL)
			continue;
		CHECK(excess == &all[MAX - 2 - i]);
		handshakes_end(&handshakes, excess);
		CHECK(handshakes_next(&handshakes) == &far[i]);
	}
	end_all(all, MANY);
	end_all(far, MAX);
	handshakes_end(&handshakes, &other);
	handshakes_end(&handshakes, &same);
	CHECK_EQUAL(handshakes.count, 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(
		places_are_limited_and_given_in_order, start, stop),
	    cmocka_unit_test_setup_teardown(
		who_waits_has_its_turn, start, stop),
	    cmocka_unit_test_setup_teardown(
		who_has_too_much_gives_it_up, start, stop),
	};

	return cmocka_run_group_tests_name("handshakes", tests, NULL, NULL);
}

#include "base/table.h"

#include "base/check.h"

struct item {
	uint64_t number;
	struct table_link link;
};

#define MANY 5000

static struct item items[MANY];

static bool
is_number(const struct table_link *link, const void *key)
{
	const struct item *item = table_entry(
	    (struct table_link *)(uintptr_t)link, struct item, link);

	return item->number == *(const uint64_t *)key;
}

static struct item *
find(const struct table *table, uint64_t hash, uint64_t number)
{
	return table_entry(
	    table_find(table, hash, is_number, &number), struct item, link);
}

/* Few different hashes, so that chains are long and hashes equal. */
static uint64_t
hash_of(uint64_t number)
{
	return number % 700 * 0x9e3779b97f4a7c15;
}

static void
fill(struct table *table)
{
	table_init(table);
	for (uint64_t i = 0; i < MANY; i++) {
		items[i].number = i;
		table_add(table, &items[i].link, hash_of(i));
	}
}

static void
an_empty_one_has_nothing(void **state)
{
	struct table table;

	table_init(&table);
	CHECK(find(&table, 0, 0) == NULL);
	CHECK(table_fetch(&table, 0) == NULL);
	CHECK(table_next(&table, NULL) == NULL);
	table_deinit(&table);
}

static void
all_is_found_again(void **state)
{
	struct table table;

	fill(&table);
	CHECK_EQUAL(table.count, MANY);
	for (uint64_t i = 0; i < MANY; i++)
		CHECK(find(&table, hash_of(i), i) == &items[i]);
	CHECK(table_fetch(&table, hash_of(1)) != NULL);
	CHECK(find(&table, hash_of(1), MANY) == NULL);
	CHECK(find(&table, hash_of(1) + 1, 1) == NULL);
	table_deinit(&table);
	CHECK_EQUAL(table.count, 0);
}

static void
removed_is_gone(void **state)
{
	struct table table;

	fill(&table);
	for (uint64_t i = 0; i < MANY; i += 2)
		table_remove(&table, &items[i].link);
	CHECK_EQUAL(table.count, MANY / 2);
	for (uint64_t i = 0; i < MANY; i++)
		CHECK((find(&table, hash_of(i), i) != NULL) == (i % 2 == 1));
	CHECK_ABORTS(table_remove(&table, &items[0].link));
	table_deinit(&table);
}

static void
a_walk_sees_each_once(void **state)
{
	struct table table;
	struct table_link *link, *next;
	uint64_t sum = 0;

	fill(&table);
	for (link = table_next(&table, NULL); link != NULL; link = next) {
		next = table_next(&table, link);
		sum += table_entry(link, struct item, link)->number;
		table_remove(&table, link);
	}
	CHECK_EQUAL(table.count, 0);
	CHECK_EQUAL(sum, (uint64_t)MANY * (MANY - 1) / 2);
	table_deinit(&table);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(an_empty_one_has_nothing),
	    cmocka_unit_test(all_is_found_again),
	    cmocka_unit_test(removed_is_gone),
	    cmocka_unit_test(a_walk_sees_each_once),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

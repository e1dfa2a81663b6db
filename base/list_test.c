#include "base/list.h"

#include "base/check.h"

struct item {
	int number;
	struct link link;
};

static struct item items[6];
static struct list list;

static int
number_of(struct link *link)
{
	struct item *item = list_entry(link, struct item, link);

	return item == NULL ? -1 : item->number;
}

/* The numbers in order, as one decimal. */
static int
numbers(const struct list *which)
{
	int all = 0;

	list_each (item, which, struct item, link)
		all = all * 10 + item->number;
	return all;
}

static int
start(void **state)
{
	list_init(&list);
	for (int i = 0; i < (int)COUNT_OF(items); i++)
		items[i] = (struct item){.number = i};
	return 0;
}

static void
items_stand_where_they_were_put(void **state)
{
	CHECK(list_is_empty(&list));
	CHECK(list_first(&list) == NULL && list_last(&list) == NULL);
	list_add_last(&list, &items[3].link);
	list_add_last(&list, &items[4].link);
	list_add_first(&list, &items[1].link);
	list_add_before(&items[3].link, &items[2].link);
	CHECK_EQUAL(numbers(&list), 1234);
	CHECK_EQUAL(number_of(list_first(&list)), 1);
	CHECK_EQUAL(number_of(list_last(&list)), 4);
	CHECK_EQUAL(number_of(list_next(&list, &items[3].link)), 4);
	CHECK_EQUAL(number_of(list_next(&list, &items[4].link)), -1);
	CHECK_ABORTS(list_add_last(&list, &items[4].link));
}

static void
removing_is_harmless_twice(void **state)
{
	list_add_last(&list, &items[1].link);
	list_add_last(&list, &items[2].link);
	CHECK(list_holds(&items[1].link));
	list_remove(&items[1].link);
	list_remove(&items[1].link);
	CHECK(!list_holds(&items[1].link));
	CHECK_EQUAL(numbers(&list), 2);
	CHECK_EQUAL(number_of(list_take_first(&list)), 2);
	CHECK(list_take_first(&list) == NULL);
	CHECK(list_is_empty(&list));
}

static void
each_may_remove_the_item_at_hand(void **state)
{
	for (size_t i = 1; i < COUNT_OF(items); i++)
		list_add_last(&list, &items[i].link);
	list_each (item, &list, struct item, link) {
		if (item->number % 2 == 1)
			list_remove(&item->link);
	}
	CHECK_EQUAL(numbers(&list), 24);
}

static void
move_takes_all(void **state)
{
	struct list other;

	list_init(&other);
	list_move(&list, &other);
	CHECK(list_is_empty(&list));
	list_add_last(&other, &items[3].link);
	list_add_last(&other, &items[4].link);
	list_move(&list, &other);
	CHECK_EQUAL(numbers(&list), 34);
	CHECK(list_is_empty(&other));
	list_add_last(&other, &items[5].link);
	list_move(&list, &other);
	CHECK_EQUAL(numbers(&list), 345);
	CHECK_EQUAL(number_of(list_last(&list)), 5);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup(items_stand_where_they_were_put, start),
	    cmocka_unit_test_setup(removing_is_harmless_twice, start),
	    cmocka_unit_test_setup(each_may_remove_the_item_at_hand, start),
	    cmocka_unit_test_setup(move_takes_all, start),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

#include "base/blob.h"

#include <pthread.h>

#include "base/check.h"

static void
it_is_a_copy(void **state)
{
	char text[] = "hello";
	struct blob *blob = blob_new((struct str){text, 5});

	text[0] = 'j';
	CHECK_STR(blob_str(blob), "hello");
	CHECK_EQUAL(strlen(blob_str(blob).text), 5);
	blob_unref(&blob);
	CHECK(blob == NULL);
	blob_unref(&blob);

	blob = blob_new(STR_NONE);
	CHECK_STR(blob_str(blob), "");
	blob_unref(&blob);
}

static void *
read_and_drop(void *arg)
{
	struct blob *blob = arg;

	for (int i = 0; i < 1000; i++) {
		struct blob *mine = blob_ref(blob);

		blob_unref(&mine);
	}
	CHECK_STR(blob_str(blob), "shared");
	blob_unref(&blob);
	return NULL;
}

static void
the_last_thread_frees_it(void **state)
{
	struct blob *blob = blob_new(STR("shared"));
	pthread_t threads[4];

	for (size_t i = 0; i < COUNT_OF(threads); i++)
		pthread_create(
		    &threads[i], NULL, read_and_drop, blob_ref(blob));
	blob_unref(&blob);
	for (size_t i = 0; i < COUNT_OF(threads); i++)
		pthread_join(threads[i], NULL);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(it_is_a_copy),
	    cmocka_unit_test(the_last_thread_frees_it),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

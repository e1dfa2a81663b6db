#include "server/dialback.h"

#include "base/arena.h"
#include "base/check.h"
#include "server/shard.h"

/* XEP-0185, section 3, and XEP-0220, examples 1 and 5. */
static const struct {
	const char *secret, *receiving, *originating, *id, *key;
} examples[] = {
    {"s3cr3tf0rd14lb4ck", "xmpp.example.com", "example.org", "D60000229F",
	"37c69b1cf07a3f67c04a5ef5902fa5114f2c76fe4a2686482ba5b89323075643"},
    {"s3cr3tf0rd14lb4ck", "montague.example", "capulet.example", "D60000229F",
	"b4835385f37fe2895af6c196b59097b16862406db80559900d96bf6fa7d23df3"},
    {"d14lb4ck43v3r", "capulet.example", "montague.example", "417GAF25",
	"225cc5aa6a071133249d25fef42ae516fc7a86c523aa1c6980a7f73e784c972d"},
};

static void
keys_are_those_of_the_examples(void **state)
{
	struct arena *arena = arena_make(0);

	(void)state;
	for (size_t i = 0; i < sizeof(examples) / sizeof(examples[0]); i++)
		CHECK(
		    str_equal(dialback_key_of(arena, str_of(examples[i].secret),
				  str_of(examples[i].receiving),
				  str_of(examples[i].originating),
				  str_of(examples[i].id)),
			str_of(examples[i].key)));
	arena_free(&arena);
}

static void
a_key_is_for_one_server_pair_and_stream(void **state)
{
	static const struct server one = {.secret = "one"},
				   two = {.secret = "two"};
	struct arena *arena = arena_make(0);
	struct str a = STR("a.example"), b = STR("b.example"), id = STR("1");
	struct str key = dialback_key(arena, &one, a, b, id);

	(void)state;
	CHECK(dialback_is_key(&one, key, a, b, id));
	CHECK(!dialback_is_key(&two, key, a, b, id));
	CHECK(!dialback_is_key(&one, key, b, a, id));
	CHECK(!dialback_is_key(&one, key, a, b, STR("2")));
	CHECK(!dialback_is_key(&one, STR(""), a, b, id));
	arena_free(&arena);
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
	    cmocka_unit_test(keys_are_those_of_the_examples),
	    cmocka_unit_test(a_key_is_for_one_server_pair_and_stream),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

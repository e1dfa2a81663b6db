#include "base/hash.h"

#include "base/check.h"

static uint8_t numbered[64]; /* 0, 1, 2, ... */

static struct str
first(size_t len)
{
	return (struct str){(const char *)numbered, len};
}

static int
number_them(void **state)
{
	for (size_t i = 0; i < sizeof(numbered); i++)
		numbered[i] = (uint8_t)i;
	return 0;
}

/* The test values of SipHash-2-4's authors. If this fails, every account of
 * every running server moves to another place: undo the change. */
static void
frozen_never_changes(void **state)
{
	CHECK(hash_frozen(first(0)) == 0x726fdb47dd0e0e31);
	CHECK(hash_frozen(first(1)) == 0x74f839c593dc67fd);
	CHECK(hash_frozen(first(8)) == 0x93f5f5799a932462);
	CHECK(hash_frozen(first(15)) == 0xa129ca6149be45e5);
	CHECK(hash_frozen(STR("romeo@montague.example")) == 0xe394222e4bb4cc64);
	CHECK(hash_frozen(STR_NONE) == hash_frozen(STR("")));
}

static void
keyed_depends_on_the_key(void **state)
{
	static const uint8_t other[16] = {1};
	struct str name = STR("romeo");
	uint64_t drawn = hash_keyed(name), fixed;

	hash_set_key(numbered);
	fixed = hash_keyed(name);
	CHECK(fixed == hash_keyed(name));
	CHECK(fixed != drawn);
	/* SipHash-1-3 under the key 0, 1, ... 15. */
	CHECK(hash_keyed(first(0)) == 0xabac0158050fc4dc);
	hash_set_key(other);
	CHECK(hash_keyed(name) != fixed);
}

static void
secret_is_that_of_the_key(void **state)
{
	static const uint8_t other[16] = {1};

	CHECK(hash_secret(numbered, first(15)) == 0xa129ca6149be45e5);
	CHECK(hash_secret(other, first(15)) != 0xa129ca6149be45e5);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(frozen_never_changes),
	    cmocka_unit_test(secret_is_that_of_the_key),
	    cmocka_unit_test(keyed_depends_on_the_key),
	};

	return cmocka_run_group_tests(tests, number_them, NULL);
}

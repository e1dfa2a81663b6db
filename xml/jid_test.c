#include "xml/jid.h"

#include "base/check_arena.h"

static const struct {
	const char *text, *local, *domain, *resource;
} good[] = {
    {"juliet@example.com", "juliet", "example.com", ""},
    {"juliet@example.com/foo", "juliet", "example.com", "foo"},
    {"juliet@example.com/foo bar", "juliet", "example.com", "foo bar"},
    {"juliet@example.com/foo@bar", "juliet", "example.com", "foo@bar"},
    {"foo\\20bar@example.com", "foo\\20bar", "example.com", ""},
    {"fussball@example.com", "fussball", "example.com", ""},
    {"fu\u00dfball@example.com", "fu\u00dfball", "example.com", ""},
    {"\u03c0@example.com", "\u03c0", "example.com", ""},
    {"\u03a3@example.com/foo", "\u03c3", "example.com", "foo"},
    {"\u03c3@example.com/foo", "\u03c3", "example.com", "foo"},
    {"\u03c2@example.com/foo", "\u03c2", "example.com", "foo"},
    {"king@example.com/\u265a", "king", "example.com", "\u265a"},
    {"example.com", "", "example.com", ""},
    {"example.com/foobar", "", "example.com", "foobar"},
    {"a.example.com/b@example.net", "", "a.example.com", "b@example.net"},
    {"juliet@example.com/ foo", "juliet", "example.com", " foo"},
    {"Romeo@Montague.Example./Orchard", "romeo", "montague.example", "Orchard"},
    {"localhost/a/b", "", "localhost", "a/b"},
    {"a@[::1]/\u00c4", "a", "[::1]", "\u00c4"},
    {"\u00c4@xn--bcher-kva.example", "\u00e4", "b\u00fccher.example", ""},
};

/* RFC 7622, section 3.5, examples 1 to 15; 18, which the RFC has among those
 * that are none (prep.h says why); and some more. */
static void
good_addresses_are_split(void **state)
{
	for (size_t i = 0; i < COUNT_OF(good); i++) {
		const struct jid *jid = jid_parse(arena, str_of(good[i].text));

		CHECK(jid != NULL);
		CHECK_STR(jid_local(jid), good[i].local);
		CHECK_STR(jid_domain(jid), good[i].domain);
		CHECK_STR(jid_resource(jid), good[i].resource);
		CHECK_EQUAL(jid_is_bare(jid), good[i].resource[0] == '\0');
		CHECK(jid_equal(jid, jid_parse(arena, jid_full(jid))));
	}
}

/* RFC 7622, section 3.5, examples 16 to 23 less 18, and some more. */
static const char *const bad[] = {
    "\"juliet\"@example.com",
    "foo bar@example.com",
    "@example.com/",
    "@example.com",
    "henry\u2163@example.com",
    "\u265a@example.com",
    "juliet@",
    "/foobar",
    "",
    "@",
    "/",
    "@/",
    "juliet@example.com/",
    "a@b@c",
    "juliet@example.com/a\tb",
    "juliet@example.com/\xff",
    "jul\x7f@example.com",
};

static void
bad_addresses_are_refused(void **state)
{
	for (size_t i = 0; i < COUNT_OF(bad); i++)
		assert_null(jid_parse(arena, str_of(bad[i])));
}

static struct str
repeat(char byte, size_t len)
{
	return (struct str){memset(arena_text(arena, len), byte, len), len};
}

static void
parts_have_a_longest(void **state)
{
	struct str longest = repeat('a', 1023), longer = repeat('a', 1024);

	CHECK(
	    jid_parse(arena, str_format(arena, "%.*s@example.com/%.*s",
				 STR_ARG(longest), STR_ARG(longest))) != NULL);
	CHECK(jid_parse(arena, str_format(arena, "%.*s@example.com",
				   STR_ARG(longer))) == NULL);
	CHECK(jid_parse(arena, str_format(arena, "example.com/%.*s",
				   STR_ARG(longer))) == NULL);
}

static void
parts_are_put_together(void **state)
{
	const struct jid *full = jid_parse(arena, STR("a@b.example/c"));
	const struct jid *bare = jid_to_bare(arena, full);

	CHECK_STR(jid_full(bare), "a@b.example");
	CHECK(jid_to_bare(arena, bare) == bare);
	CHECK_STR(jid_bare(full), "a@b.example");
	CHECK_STR(jid_full(jid_with_resource(arena, full, STR("d"))),
	    "a@b.example/d");
	CHECK_STR(jid_full(jid_to_domain(arena, full)), "b.example");
	CHECK(jid_equal(full, jid_copy(arena, full)));
	CHECK(jid_equal(
	    full, jid_make(arena, STR("a"), STR("b.example"), STR("c"))));
	CHECK(jid_equal_bare(full, bare));
	CHECK(!jid_equal(full, bare));
	CHECK_TEXT(full->text, "a@b.example/c");
	CHECK_ABORTS(jid_make(arena, STR("a"), STR_NONE, STR_NONE));
}

/* If this fails, accounts move to other places: undo the change. */
static void
hash_never_changes(void **state)
{
	const struct jid *full =
	    jid_parse(arena, STR("Romeo@montague.example/orchard"));

	CHECK(jid_hash(full) == 0xe394222e4bb4cc64);
	CHECK(jid_hash(jid_to_bare(arena, full)) == jid_hash(full));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(good_addresses_are_split),
	    cmocka_unit_test(bad_addresses_are_refused),
	    cmocka_unit_test(parts_have_a_longest),
	    cmocka_unit_test(parts_are_put_together),
	    cmocka_unit_test(hash_never_changes),
	};

	return cmocka_run_group_tests(
	    tests, check_arena_make, check_arena_free);
}

#include "xml/prep.h"

#include "base/check_arena.h"

struct example {
	const char *text, *want; /* want NULL: not allowed */
};

typedef bool prep_fn(struct arena *, struct str *);

static void
check(prep_fn *prep, const char *text, const char *want)
{
	struct str got = str_of(text), again;
	bool ok = prep(arena, &got);

	if (ok != (want != NULL))
		print_error("\"%s\" is %sallowed\n", text, ok ? "" : "not ");
	CHECK_EQUAL(ok, want != NULL);
	CHECK_STR(got, ok ? want : text);
	again = got;
	CHECK(!ok || (prep(arena, &again) && str_equal(again, got)));
}

static void
check_all(prep_fn *prep, const struct example *examples, size_t count)
{
	for (size_t i = 0; i < count; i++)
		check(prep, examples[i].text, examples[i].want);
}

/* --- localparts ------------------------------------------------------- */

static const struct example locals[] = {
    {"juliet", "juliet"},
    {"Juliet", "juliet"},
    {"foo\\20bar", "foo\\20bar"},
    {"a!#$%()*+,-.;=?[]^_`{|}~", "a!#$%()*+,-.;=?[]^_`{|}~"},
    /* RFC 8265, section 3.6 */
    {"juliet@example.com", NULL}, /* RFC 7622, section 3.3.1 */
    {"fussball", "fussball"},
    {"fu\u00dfball", "fu\u00dfball"},
    {"\u03c0", "\u03c0"},
    {"\u03a3", "\u03c3"},
    {"\u03c3", "\u03c3"},
    {"\u03c2", "\u03c2"},
    {"foo bar", NULL},
    {"", NULL},
    {"henry\u2163", NULL},
    {"\u221e", NULL},
    /* RFC 7622, section 3.3.1 and 3.5 */
    {"\"", NULL},
    {"&", NULL},
    {"'", NULL},
    {"/", NULL},
    {":", NULL},
    {"<", NULL},
    {">", NULL},
    {"\u265a", NULL},
    /* Case: no language, no place in the word */
    {"\u03a3\u038a\u03a3\u03a5\u03a6\u039f\u03a3",
	"\u03c3\u03af\u03c3\u03c5\u03c6\u03bf\u03c3"},
    {"\u0130stanbul", "i\u0307stanbul"},
    {"\u0131", "\u0131"},
    {"I\u0307", "i\u0307"},
    {"\u1e9e", "\u00df"},
    {"\u00c4RGER", "\u00e4rger"},
    {"\U00010400", "\U00010428"},
    {"\u0132", NULL}, /* the ligature has a compatibility mapping */
    {"\u01c5", NULL},
    {"\u1f88", NULL}, /* titlecase: not a traditional letter */
    {"\u212b", NULL}, /* Angstrom: prepared before it is mapped */
    /* Width */
    {"\uff21\uff22\uff10", "ab0"},
    {"\uff76\uff9e", "\u30ac"},
    {"\uff20", NULL},
    {"a\uff0fb", NULL},
    {"a\u3000b", NULL},
    {"\uffa1", NULL}, /* becomes U+3131, of compatibility itself */
    /* Composition */
    {"e\u0301", "\u00e9"},
    {"E\u0301", "\u00e9"},
    {"a\u0323\u0307", "\u1ea1\u0307"},
    {"a\u0307\u0323", "\u1ea1\u0307"},
    {"\u1112\u1161\u11ab", NULL}, /* conjoining jamo */
    {"\ud55c\uae00", "\ud55c\uae00"},
    {"\u0958", NULL}, /* never composed again */
    {"\ufb01", NULL},
    /* Direction */
    {"\u05d0\u05d1\u05d2", "\u05d0\u05d1\u05d2"},
    {"\u05d01", "\u05d01"},
    {"1\u05d0", NULL},
    {"a\u05d0", NULL},
    {"\u05d0a", NULL},
    {"\u05d0-", NULL},
    {"\u05d0\u05b0", "\u05d0\u05b0"},
    {"\u05b0\u05d0", NULL},
    {"\u0627\u0661", "\u0627\u0661"},
    {"\u0627\u06611", NULL},
    {"\u0661", NULL},
    {"\u0627-\u0628", "\u0627-\u0628"},
    /* Contexts, RFC 5892, appendix A */
    {"l\u00b7l", "l\u00b7l"},
    {"L\u00b7L", NULL}, /* checked before case is mapped */
    {"a\u00b7l", NULL},
    {"l\u00b7", NULL},
    {"\u00b7", NULL},
    {"\u0375\u03b1", "\u0375\u03b1"},
    {"\u03b1\u0375", NULL},
    {"\u0375a", NULL},
    {"\u05d0\u05f3", "\u05d0\u05f3"},
    {"\u05d0\u05f4\u05d1", "\u05d0\u05f4\u05d1"},
    {"\u05f3\u05d0", NULL},
    {"\u30ab\u30fb\u30ab", "\u30ab\u30fb\u30ab"},
    {"\u30fb\u4e00", "\u30fb\u4e00"},
    {"a\u30fb", NULL},
    {"\u0627\u0661\u06f1", NULL},
    {"\u0627\u06f1", "\u0627\u06f1"},
    {"\u0915\u094d\u200d", "\u0915\u094d\u200d"},
    {"\u0915\u094d\u200c\u0937", "\u0915\u094d\u200c\u0937"},
    {"\u0628\u200c\u0628", "\u0628\u200c\u0628"},
    {"\u0628\u064e\u200c\u064e\u0628", "\u0628\u064e\u200c\u064e\u0628"},
    {"\u0627\u200c\u0628", NULL}, /* alef joins to the right only */
    {"\u0628\u200c", NULL},
    {"\u200c\u0628", NULL},
    {"\u0628\u200d\u0628", NULL},
    {"a\u200db", NULL},
    /* Never */
    {"a\u00adb", NULL},
    {"a\u200bb", NULL},
    {"a\ufe0fb", NULL},
    {"a\u202eb\u202c", NULL},
    {"\u0640", NULL},
    {"\u0378", NULL},
    {"\U000e0fff", NULL},
    {"\ue000", NULL},
    {"\ufdd0", NULL},
    {"\ufffd", NULL},
    {"a\x01", NULL},
    {"a\x7f", NULL},
    {"\xc3", NULL},
    {"a\xff", NULL},
    {"\xed\xa0\x80", NULL},
    {"\xc0\xaf", NULL},
};

static void
locals_are_prepared(void **state)
{
	check_all(prep_local, locals, COUNT_OF(locals));
}

/* --- domains ---------------------------------------------------------- */

static const struct example domains[] = {
    {"example.com", "example.com"},
    {"Example.COM", "example.com"},
    {"example.com.", "example.com"},
    {"localhost", "localhost"},
    {"xmpp-1.example", "xmpp-1.example"},
    {"127.0.0.1", "127.0.0.1"},
    {"[::1]", "[::1]"},
    {"[2001:DB8:0:0:0:0:0:1]", "[2001:db8::1]"},
    {"[::1].", "[::1]"},
    {"", NULL},
    {".", NULL},
    {"..", NULL},
    {".example", NULL},
    {"example..com", NULL},
    {"example.com..", NULL},
    {"-a.example", NULL},
    {"a-.example", NULL},
    {"ab--cd.example", NULL},
    {"_xmpp.example", NULL},
    {"a b", NULL},
    {"a@b", NULL},
    {"[::1", NULL},
    {"[", NULL},
    {"[]", NULL},
    {"[::1]x", NULL},
    {"[127.0.0.1]", NULL},
    {"[fe80::1%eth0]", NULL},
    {"[v1.x]", NULL},
    {"::1", NULL},
    /* U-labels and A-labels */
    {"b\u00fccher.example", "b\u00fccher.example"},
    {"B\u00dcCHER.example", "b\u00fccher.example"},
    {"bu\u0308cher.example", "b\u00fccher.example"},
    {"xn--bcher-kva.example", "b\u00fccher.example"},
    {"XN--BCHER-KVA.EXAMPLE.", "b\u00fccher.example"},
    {"xn--bcher-kva.xn--p1ai", "b\u00fccher.\u0440\u0444"},
    {"b\u00fccher\u3002example", "b\u00fccher.example"},
    {"b\u00fccher\uff0eexample", "b\u00fccher.example"},
    {"\uff45\uff58ample.com", "example.com"},
    {"fa\u00df.example", "fa\u00df.example"},
    {"xn--fa-hia.example", "fa\u00df.example"},
    {"\u03c3\u03c2.example", "\u03c3\u03c2.example"},
    {"\u4f8b\u3048.\u30c6\u30b9\u30c8", "\u4f8b\u3048.\u30c6\u30b9\u30c8"},
    {"\u13eb.example", "\u13eb.example"},
    {"xn--bce.example", "\u13eb.example"},
    {"\uabbb.example", NULL},
    {"xn--", NULL},
    {"xn--a.example", NULL},
    {"xn--example.com", NULL},
    {"xn--bcher-99999999.example", NULL},
    {"xn--45h.example", NULL},    /* a chess king */
    {"xn--wca.example", NULL},    /* a capital U with diaeresis */
    {"xn--ux-uub.example", NULL}, /* not composed */
    {"xn--a-0hc.example", NULL},  /* a and alef */
    {"xn--Bcher-Kva-.example", NULL},
    {"b\u00fc--cher.example", NULL},
    {"-b\u00fccher.example", NULL},
    {"b\u00fccher-.example", NULL},
    {"b\u00fc_cher.example", NULL},
    {"b\u00fccher..example", NULL},
    {"\u0301a.example", NULL},
    {"\u265a.example", NULL},
    {"a\u200db.example", NULL},
    {"a\u30fbb.example", NULL},
    {"\u0378.example", NULL},
    {"\xff.example", NULL},
    /* Direction: every label counts once one is right to left */
    {"\u05d0\u05d1.example", "\u05d0\u05d1.example"},
    {"a\u05d0.example", NULL},
    {"\u05d0\u05d1.1a", NULL},
    {"1a.example", "1a.example"},
};

static void
domains_are_prepared(void **state)
{
	check_all(prep_domain, domains, COUNT_OF(domains));
}

static const struct example asciis[] = {
    {"example.com", "example.com"},
    {"127.0.0.1", "127.0.0.1"},
    {"[::1]", "[::1]"},
    {"b\u00fccher.example", "xn--bcher-kva.example"},
    {"fa\u00df.\u0440\u0444", "xn--fa-hia.xn--p1ai"},
};

static void
domains_have_an_ascii_form(void **state)
{
	check_all(prep_domain_ascii, asciis, COUNT_OF(asciis));
}

/* --- opaque strings --------------------------------------------------- */

static const struct example opaques[] = {
    {"orchard", "orchard"},
    {"foo bar", "foo bar"},
    {"foo@bar/baz", "foo@bar/baz"},
    /* RFC 7622's example 18, see prep.h */
    {" foo", " foo"},
    {"\u265a", "\u265a"},
    /* RFC 8265, section 4.3 */
    {"correct horse battery staple", "correct horse battery staple"},
    {"Correct Horse Battery Staple", "Correct Horse Battery Staple"},
    {"\u03c0\u00df\u00e5", "\u03c0\u00df\u00e5"},
    {"Jack of \u2666s", "Jack of \u2666s"},
    {"foo\u1680bar", "foo bar"},
    {"", NULL},
    {"my cat is a \tby", NULL},
    /* Case and width are kept, composition is not */
    {"\uff21\uff22", "\uff21\uff22"},
    {"\u2163", "\u2163"},
    {"E\u0301", "\u00c9"},
    {"\u212b", "\u00c5"},
    {"\u00a0\u3000", "  "},
    {"a\u05d0", "a\u05d0"},
    {"\U0001f339", "\U0001f339"},
    /* Contexts and what is never allowed count here too */
    {"l\u00b7l", "l\u00b7l"},
    {"a\u00b7b", NULL},
    {"a\u200db", NULL},
    {"\u2764\ufe0f", NULL},
    {"a\u00adb", NULL},
    {"\u1100", NULL},
    {"\u0378", NULL},
    {"\ue000", NULL},
    {"a\nb", NULL},
    {"a\x7f", NULL},
    {"\x80", NULL},
};

static void
opaque_strings_are_prepared(void **state)
{
	check_all(prep_resource, opaques, COUNT_OF(opaques));
	check_all(prep_password, opaques, COUNT_OF(opaques));
}

/* --- SASLprep --------------------------------------------------------- */

static const struct example sasls[] = {
    /* RFC 4013, section 3 */
    {"I\u00adX", "IX"},
    {"user", "user"},
    {"USER", "USER"},
    {"\u00aa", "a"},
    {"\u2168", "IX"},
    {"\x07", NULL},
    {"\u06271", NULL},
    /* RFC 3454, section 6 */
    {"\u06271\u0628", "\u06271\u0628"},
    {"\u0627a\u0628", NULL},
    {"1\u0627", NULL},
    /* Each table */
    {"a\u00a0b\u3000c", "a b c"},
    {"a\u200bb", "a b"},
    {"a\u200d\u2060\ufeff\ufe0f\u034fb", "ab"},
    {"\u00ad", NULL},
    {"\xc2\x85", NULL},
    {"\u2028", NULL},
    {"\ue000", NULL},
    {"\ufdd0", NULL},
    {"\uffff", NULL},
    {"\ufffd", NULL},
    {"\u2ff0", NULL},
    {"\u200e", NULL},
    {"\u202e\u202c", NULL},
    {"\U000e0001", NULL},
    {"\U00100000", NULL},
    {"\u0378", NULL},
    {"p\u00e4ss\U0001f339", "p\u00e4ss\U0001f339"},
    {"\xff", NULL},
    {"", NULL},
};

static void
sasl_strings_are_prepared(void **state)
{
	check_all(prep_sasl, sasls, COUNT_OF(sasls));
}

/* --- lengths ---------------------------------------------------------- */

static struct str
repeat(const char *text, size_t count)
{
	struct str part = str_of(text);
	char *all = arena_text(arena, part.len * count);

	for (size_t i = 0; i < count; i++)
		memcpy(all + i * part.len, part.text, part.len);
	return (struct str){all, part.len * count};
}

static const struct {
	prep_fn *prep;
	const char *text;
	size_t count;
	bool ok;
} lengths[] = {
    {prep_local, "a", 1023, true},
    {prep_local, "a", 1024, false},
    {prep_local, "\u00e4", 511, true},
    {prep_local, "\u00e4", 512, false},
    {prep_local, "e\u0301", 511, true}, /* 1533 bytes, then 1022 */
    {prep_local, "e\u0301", 512, false},
    {prep_local, "\u00e4", 100000, false},
    {prep_resource, "a", 1023, true},
    {prep_resource, "a", 1024, false},
    {prep_resource, "\u265a", 341, true}, /* 1023 bytes */
    {prep_resource, "\u265a", 342, false},
    {prep_resource, "\u265a", 100000, false},
    {prep_password, "\u265a", 10000, true},
    {prep_domain, "a", 63, true},
    {prep_domain, "a", 64, false},
    {prep_domain, "a.", 127, true}, /* 253 and the dot that goes */
    {prep_domain, "a.", 128, false},
    {prep_domain, "\u00e4.", 31, true}, /* "xn--4ca" is 7 */
    {prep_domain, "\u00e4.", 32, false},
    {prep_domain, "\u00e4", 100000, false},
};

static void
lengths_are_limited(void **state)
{
	for (size_t i = 0; i < COUNT_OF(lengths); i++) {
		struct str text = repeat(lengths[i].text, lengths[i].count);

		if (lengths[i].prep(arena, &text) != lengths[i].ok)
			print_error("length %zu\n", i);
		text = repeat(lengths[i].text, lengths[i].count);
		CHECK_EQUAL(lengths[i].prep(arena, &text), lengths[i].ok);
	}
}

static void
absent_parts_stay_absent(void **state)
{
	struct str none = STR_NONE, nul = {"a\0b", 3};

	CHECK(prep_local(arena, &none) && none.text == NULL);
	CHECK(prep_resource(arena, &none) && none.text == NULL);
	CHECK(!prep_password(arena, &none));
	CHECK(!prep_sasl(arena, &none));
	CHECK(!prep_local(arena, &nul));
	CHECK(!prep_domain(arena, &nul));
	CHECK(!prep_resource(arena, &nul));
	nul = (struct str){"\u00fc\0b", 4};
	CHECK(!prep_local(arena, &nul));
	CHECK(!prep_domain(arena, &nul));
	CHECK(!prep_resource(arena, &nul));
	CHECK(!prep_sasl(arena, &nul));
	nul = STR("xn--bcher-kva\0a.example");
	CHECK(!prep_domain(arena, &nul));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(locals_are_prepared),
	    cmocka_unit_test(domains_are_prepared),
	    cmocka_unit_test(domains_have_an_ascii_form),
	    cmocka_unit_test(opaque_strings_are_prepared),
	    cmocka_unit_test(sasl_strings_are_prepared),
	    cmocka_unit_test(lengths_are_limited),
	    cmocka_unit_test(absent_parts_stay_absent),
	};

	return cmocka_run_group_tests(
	    tests, check_arena_make, check_arena_free);
}

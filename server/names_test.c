/*
 * server/names_test.c - which names of certificates stand for a domain.
 */
#include "server/names.h"

#include "base/check_arena.h"

static const struct {
	enum name_kind kind;
	const char *name, *domain;
	bool is_found;
} cases[] = {
    {NAME_DNS, "a.example", "a.example", true},
    {NAME_DNS, "A.Example", "a.example", true},
    {NAME_DNS, "b.example", "a.example", false},
    {NAME_DNS, "a.example.", "a.example", false},
    {NAME_DNS, "a.exampl", "a.example", false},
    {NAME_DNS, "example", "a.example", false},
    {NAME_DNS, "*.example", "a.example", true},
    {NAME_DNS, "*.example", "b.a.example", false},
    {NAME_DNS, "*.example", "example", false},
    {NAME_DNS, "*.a.example", "a.example", false},
    {NAME_DNS, "f*.example", "foo.example", false},
    {NAME_DNS, "*o.example", "foo.example", false},
    {NAME_DNS, "a.*.example", "a.b.example", false},
    {NAME_DNS, "*", "localhost", false},
    {NAME_DNS, "*.*.example", "a.b.example", false},
    {NAME_DNS, "xn--bcher-kva.example",
	"b\xc3\xbc"
	"cher.example",
	true},
    {NAME_DNS,
	"b\xc3\xbc"
	"cher.example",
	"b\xc3\xbc"
	"cher.example",
	false},
    {NAME_DNS, "*.example",
	"b\xc3\xbc"
	"cher.example",
	true},
    {NAME_DNS, "_xmpp-server.a.example", "a.example", false},
    {NAME_DNS, "192.0.2.1", "192.0.2.1", false},
    {NAME_DNS, "*.0.2.1", "192.0.2.1", false},
    {NAME_SRV, "_xmpp-server.a.example", "a.example", true},
    {NAME_SRV, "_XMPP-Server.a.example", "a.example", true},
    {NAME_SRV, "_xmpp-server.*.example", "a.example", true},
    {NAME_SRV, "_xmpp-client.a.example", "a.example", false},
    {NAME_SRV, "_xmpp-server.b.example", "a.example", false},
    {NAME_SRV, "_xmpp-server.", "a.example", false},
    {NAME_SRV, "a.example", "a.example", false},
    {NAME_SRV, "_xmpp-server.xn--bcher-kva.example",
	"b\xc3\xbc"
	"cher.example",
	true},
    {NAME_XMPP, "a.example", "a.example", true},
    {NAME_XMPP, "A.EXAMPLE", "a.example", true},
    {NAME_XMPP,
	"b\xc3\xbc"
	"cher.example",
	"b\xc3\xbc"
	"cher.example",
	true},
    {NAME_XMPP, "*.example", "a.example", false},
    {NAME_XMPP, "romeo@a.example", "a.example", false},
    {NAME_XMPP, "a.example/orchard", "a.example", false},
};

static void
names_stand_for_domains(void **state)
{
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		const struct name name = {cases[i].kind, str_of(cases[i].name)};
		const struct names names = {&name, 1};
		struct name_wanted wanted;
		bool is_found =
		    name_wanted_of(arena, str_of(cases[i].domain), &wanted) &&
		    names_find(&names, arena, &wanted) == &name;

		if (is_found != cases[i].is_found)
			print_error(
			    "%s for %s\n", cases[i].name, cases[i].domain);
		CHECK_EQUAL(is_found, cases[i].is_found);
	}
}

#define OID_XMPP "\x06\x08\x2b\x06\x01\x05\x05\x07\x08\x05"
#define OID_SRV  "\x06\x08\x2b\x06\x01\x05\x05\x07\x08\x07"
#define OID_ELSE "\x06\x08\x2b\x06\x01\x05\x05\x07\x08\x09"

static const struct {
	struct str der;
	bool is_good;
	const char *text;
} extensions[] = {
    {STR("\x30\x00"), true, "no domain"},
    {STR("\x30\x05\x82\x03"
	 "a.b"),
	true, "a.b"},
    {STR("\x30\x0a\x82\x03"
	 "a.b\x87\x03"
	 "1.2"),
	true, "a.b"},
    {STR("\x30\x13\xa0\x11" OID_XMPP "\xa0\x05\x0c\x03"
	 "a.b"),
	true, "a.b"},
    {STR("\x30\x13\xa0\x11" OID_SRV "\xa0\x05\x16\x03"
	 "_a\n"),
	true, "_a?"},
    {STR("\x30\x13\xa0\x11" OID_ELSE "\xa0\x05\x16\x03"
	 "a.b"),
	true, "no domain"},
    /* the length in the long form */
    {STR("\x30\x81\x05\x82\x03"
	 "a.b"),
	true, "a.b"},
    /* a string of another kind; cut off; too long; bytes behind */
    {STR("\x30\x13\xa0\x11" OID_XMPP "\xa0\x05\x16\x03"
	 "a.b"),
	false, "no domain"},
    {STR("\x30\x05\x82\x03"
	 "a."),
	false, "no domain"},
    {STR("\x30\x05\x82\x7f"
	 "a.b"),
	false, "no domain"},
    {STR("\x30\x05\x82\x03"
	 "a.bc"),
	false, "no domain"},
    {STR("\x30\x84\xff\xff\xff\xff"), false, "no domain"},
    {STR("\x30\x80\x00\x00"), false, "no domain"},
    {STR("\x30"), false, "no domain"},
    {STR(""), false, "no domain"},
};

static void
extensions_are_read(void **state)
{
	for (size_t i = 0; i < sizeof(extensions) / sizeof(extensions[0]);
	    i++) {
		struct names names;

		CHECK_EQUAL(names_read(arena, extensions[i].der, &names),
		    extensions[i].is_good);
		CHECK_STR(names_text(&names, arena), extensions[i].text);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(names_stand_for_domains),
	    cmocka_unit_test(extensions_are_read),
	};

	return cmocka_run_group_tests_name(
	    "names", tests, check_arena_make, check_arena_free);
}

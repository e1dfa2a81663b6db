/* The verification string against the examples of XEP-0115. */
#include "modules/caps.h"

#include "base/check_arena.h"

/* Nothing comes in the order in which it is hashed. */
static const struct {
	const char *children, *ver;
} cases[] = {
    /* Section 5.2. */
    {"<identity category='client' type='pc' name='Exodus 0.9.1'/>"
     "<feature var='http://jabber.org/protocol/muc'/>"
     "<feature var='http://jabber.org/protocol/disco#items'/>"
     "<feature var='http://jabber.org/protocol/disco#info'/>"
     "<feature var='http://jabber.org/protocol/caps'/>",
	"QgayPKawpkPSDYmwT/WM94uAlu0="},
    /* Section 5.3. */
    {"<x xmlns='jabber:x:data' type='result'>"
     "<field var='software_version'><value>0.11</value></field>"
     "<field var='ip_version' type='text-multi'>"
     "<value>ipv6</value><value>ipv4</value></field>"
     "<field var='FORM_TYPE' type='hidden'>"
     "<value>urn:xmpp:dataforms:softwareinfo</value></field>"
     "<field var='os'><value>Mac</value></field>"
     "<field var='software'><value>Psi</value></field>"
     "<field var='os_version'><value>10.5.1</value></field></x>"
     "<identity xml:lang='en' category='client' name='Psi 0.11' type='pc'/>"
     "<identity xml:lang='el' category='client' name='\u03a8 0.11' type='pc'/>"
     "<feature var='http://jabber.org/protocol/muc'/>"
     "<feature var='http://jabber.org/protocol/caps'/>"
     "<feature var='http://jabber.org/protocol/disco#items'/>"
     "<feature var='http://jabber.org/protocol/disco#info'/>",
	"q07IKJEyjvHSyhy//CH0CxmKi8w="},
    /* Section 5.1: the four characters of "&lt;" are not a '<'. */
    {"<identity category='client' type='pc' name='a&amp;lt;b'/>"
     "<feature var='f'/>",
	"UY2BantSPpJixLH31ry8a+3ATsk="},
    {"<identity category='client' type='pc' name='a'/>"
     "<feature var='b'/><feature var='f'/>",
	"gS8eDBdxcxusGm8ottyhbk9+VlI="},
    /* By octets: capitals first. */
    {"<identity category='b' type='a'/><identity category='a' type='b'/>"
     "<identity category='a' type='a' xml:lang='de'/>"
     "<identity category='a' type='a' xml:lang='DE'/>"
     "<feature var='\u00e4'/><feature var='z'/><feature var='Z'/>",
	"kn4nbq9iIbx9JQx3GNxYVNQQ7BI="},
    /* By category, not by what stands behind it; of a form, fields only. */
    {"<identity category='a-b' type='x' name='n'/>"
     "<identity category='a' type='x' name='n'/><feature var='f'/>",
	"zcpTA41wD6U7cv30MlKPjcyuiAc="},
    {"<identity category='a' type='b'/><feature var='f'/>"
     "<x xmlns='jabber:x:data' type='result'>"
     "<field var='FORM_TYPE'><value>urn:x:y</value></field>"
     "<field var='z'><value>4</value></field></x>"
     "<x xmlns='jabber:x:data' type='result'><title>t</title>"
     "<field var='FORM_TYPE'><value>urn:x</value></field>"
     "<field var='abc-x'><value>3</value></field>"
     "<field var='abc'><value>2</value><value>1</value></field></x>",
	"T0txHQxYfe6Dk6hMAxDj9MMPmWA="},
};

static void
strings_are_those_of_the_xep(void **state)
{
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		struct str text = str_format(arena,
		    "<query xmlns='http://jabber.org/protocol/disco#info'>%s"
		    "</query>",
		    cases[i].children);
		const struct node *query = node_parse(arena, text, "");

		assert_non_null(query);
		CHECK_STR(caps_verification(arena, query), cases[i].ver);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(strings_are_those_of_the_xep),
	};

	return cmocka_run_group_tests_name(
	    "caps", tests, check_arena_make, check_arena_free);
}

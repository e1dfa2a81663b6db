#include "xml/form.h"

#include "base/check_arena.h"
#include "xml/writer.h"

static void
forms_are_made(void **state)
{
	struct node *query = node_make(arena, "query", "q");
	struct node *form = form_add(query, "form", "urn:x"), *field;

	form_title(form, "T");
	form_instructions(form, "I");
	field = form_field(form, "list-single", "v", "L");
	form_option(field, "One", STR("1"));
	form_option(field, NULL, STR("2"));
	form_value(field, STR("1"));
	form_add(query, "cancel", NULL);
	CHECK_STR(writer_text(arena, query),
	    "<query xmlns='q'><x xmlns='jabber:x:data' type='form'>"
	    "<field type='hidden' var='FORM_TYPE'><value>urn:x</value></field>"
	    "<title>T</title><instructions>I</instructions>"
	    "<field type='list-single' var='v' label='L'>"
	    "<option label='One'><value>1</value></option>"
	    "<option><value>2</value></option><value>1</value></field></x>"
	    "<x xmlns='jabber:x:data' type='cancel'/></query>");
}

static void
forms_are_read(void **state)
{
	const struct node *form = form_find(node_parse(arena,
	    STR("<q><x xmlns='jabber:x:data' type='submit'>"
		"<field var='FORM_TYPE'><value>urn:x</value></field>"
		"<field var='yes'><value>true</value></field>"
		"<field var='one'><value>1</value><value>2</value></field>"
		"<field var='no'><value>0</value></field>"
		"<field var='none'/><field var='empty'><value/></field>"
		"</x></q>"),
	    ""));

	CHECK(form_is_type(form, "submit") && !form_is_type(form, "form"));
	CHECK(form_has_type(arena, form, "urn:x"));
	CHECK(!form_has_type(arena, form, "urn:y"));
	CHECK_STR(form_get(arena, form, "one"), "1");
	CHECK_STR(form_get(arena, form, "empty"), "");
	CHECK(form_get(arena, form, "none").text == NULL);
	CHECK(form_get(arena, form, "absent").text == NULL);
	CHECK(form_get_bool(arena, form, "yes", false));
	CHECK(form_get_bool(arena, form, "one", false));
	CHECK(!form_get_bool(arena, form, "no", true));
	CHECK(!form_get_bool(arena, form, "empty", true));
	CHECK(form_get_bool(arena, form, "none", true));
	CHECK(!form_get_bool(arena, form, "absent", false));
	CHECK(form_field_of(form, "none") != NULL);
	CHECK(form_field_of(form, "absent") == NULL);
}

static void
no_form_has_nothing(void **state)
{
	const struct node *form =
	    form_find(node_parse(arena, STR("<q><x xmlns='other'/></q>"), ""));

	CHECK(form == NULL);
	CHECK(!form_is_type(form, "submit"));
	CHECK(!form_has_type(arena, form, "urn:x"));
	CHECK(form_get(arena, form, "one").text == NULL);
	CHECK(form_get_bool(arena, form, "one", true));
	CHECK(form_field_of(form, "one") == NULL);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(forms_are_made),
	    cmocka_unit_test(forms_are_read),
	    cmocka_unit_test(no_form_has_nothing),
	};

	return cmocka_run_group_tests(
	    tests, check_arena_make, check_arena_free);
}

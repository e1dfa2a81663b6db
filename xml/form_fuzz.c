/*
 * xml/form_fuzz.c - a data form in an element: what is read of it is in it, and
 * a form made of that reads the same.
 */
#include "base/err.h"
#include "xml/form.h"
#include "xml/stanza.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

static void
check_field(struct arena *arena, const struct node *form, struct node *copy,
    const struct node *field)
{
	const char *var = str_dup(arena, node_attr(field, "var")).text;
	struct str value = form_get(arena, form, var);

	must(form_field_of(form, var) != NULL);
	if (value.text == NULL || form_field_of(copy, var) != NULL)
		return;
	must(form_get_bool(arena, form, var, true) ==
	     form_get_bool(arena, form, var, false));
	form_value(form_field(copy, NULL, var, NULL), value);
	must(str_equal(form_get(arena, copy, var), value));
}

int
LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
	struct arena *arena = arena_make(0);
	const struct node *node = node_parse(
	    arena, (struct str){(const char *)bytes, len}, NS_CLIENT);
	const struct node *form = node == NULL ? NULL : form_find(node);
	struct node *copy;

	if (form != NULL) {
		copy = form_add(
		    node_make(arena, "query", NS_CLIENT), "submit", NULL);
		must(form_is_type(copy, "submit"));
		(void)form_is_type(form, "submit");
		(void)form_has_type(arena, form, "urn:xmpp:mam:2");
		node_each (field, form)
			if (node_is(field, "field", NS_FORM) &&
			    node_attr(field, "var").text != NULL)
				check_field(arena, form, copy, field);
	}
	arena_free(&arena);
	return 0;
}

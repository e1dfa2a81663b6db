#include "xml/form.h"

struct node *
form_add(struct node *parent, const char *type, const char *form_type)
{
	struct node *form = node_add(parent, "x", NS_FORM);
	struct node *field;

	node_set(form, "type", str_of(type));
	if (form_type != NULL) {
		field = form_field(form, "hidden", "FORM_TYPE", NULL);
		form_value(field, str_of(form_type));
	}
	return form;
}

void
form_title(struct node *form, const char *title)
{
	node_add_with_text(form, "title", NS_FORM, str_of(title));
}

void
form_instructions(struct node *form, const char *text)
{
	node_add_with_text(form, "instructions", NS_FORM, str_of(text));
}

static void
set_if(struct node *node, const char *name, const char *value)
{
	if (value != NULL)
		node_set(node, name, str_of(value));
}

struct node *
form_field(
    struct node *form, const char *type, const char *var, const char *label)
{
	struct node *field = node_add(form, "field", NS_FORM);

	set_if(field, "type", type);
	set_if(field, "var", var);
	set_if(field, "label", label);
	return field;
}

void
form_value(struct node *field, struct str value)
{
	node_add_with_text(field, "value", NS_FORM, value);
}

void
form_option(struct node *field, const char *label, struct str value)
{
	struct node *option = node_add(field, "option", NS_FORM);

	set_if(option, "label", label);
	form_value(option, value);
}

const struct node *
form_find(const struct node *parent)
{
	return node_child(parent, "x", NS_FORM);
}

bool
form_is_type(const struct node *form, const char *type)
{
	return form != NULL && str_equal(node_attr(form, "type"), str_of(type));
}

bool
form_has_type(
    struct arena *arena, const struct node *form, const char *form_type)
{
	return form != NULL &&
	       str_equal(form_get(arena, form, "FORM_TYPE"), str_of(form_type));
}

const struct node *
form_field_of(const struct node *form, const char *var)
{
	struct str wanted = str_of(var);

	if (form == NULL)
		return NULL;
	node_each (field, form) {
		if (node_is(field, "field", NS_FORM) &&
		    str_equal(node_attr(field, "var"), wanted))
			return field;
	}
	return NULL;
}

struct str
form_get(struct arena *arena, const struct node *form, const char *var)
{
	const struct node *field = form_field_of(form, var);

	return node_child_text(arena, field, "value", NS_FORM);
}

/* XEP-0004, section 3.3: the forms of a boolean in XML Schema. */
bool
form_get_bool(
    struct arena *arena, const struct node *form, const char *var, bool missing)
{
	struct str value = form_get(arena, form, var);

	if (value.text == NULL)
		return missing;
	return str_is(value, "1") || str_is(value, "true");
}

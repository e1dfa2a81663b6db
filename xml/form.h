/*
 * xml/form.h - data forms, XEP-0004, with FORM_TYPE as XEP-0068 has it.
 */
#pragma once

#include <stdbool.h>

#include "base/str.h"
#include "xml/node.h"

#define NS_FORM "jabber:x:data"

/* A new form under parent; type is "form", "submit", "result" or "cancel".
 * form_type may be NULL. */
struct node *form_add(
    struct node *parent, const char *type, const char *form_type);
void form_title(struct node *form, const char *title);
void form_instructions(struct node *form, const char *text);
/* A field; type may be NULL (results), label too. Values are added to it. */
struct node *form_field(
    struct node *form, const char *type, const char *var, const char *label);
void form_value(struct node *field, struct str value);
void form_option(struct node *field, const char *label, struct str value);

/* The form in an element: <x xmlns='jabber:x:data'/>; NULL when absent. */
const struct node *form_find(const struct node *parent);
bool form_is_type(const struct node *form, const char *type);
/* Whether its FORM_TYPE is this. */
bool form_has_type(
    struct arena *, const struct node *form, const char *form_type);
/* The first value of a field; text NULL when there is no such field. */
struct str form_get(struct arena *, const struct node *form, const char *var);
/* Whether the first value is "1" or "true"; missing when there is none. */
bool form_get_bool(
    struct arena *, const struct node *form, const char *var, bool missing);
/* Each <value/> of the field; NULL when none. */
const struct node *form_field_of(const struct node *form, const char *var);

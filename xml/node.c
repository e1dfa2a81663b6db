#include "xml/node.h"

#include "base/err.h"
#include "xml/reader.h"

/* --- reading ---------------------------------------------------------- */

static bool
named(const struct node *node, struct str name, struct str ns)
{
	return str_equal(node->name, name) &&
	       (ns.text == NULL || str_equal(node->ns, ns));
}

bool
node_is(const struct node *node, const char *name, const char *ns)
{
	return node != NULL && named(node, str_of(name), str_of(ns));
}

static struct attr *
find_attr(const struct node *node, struct str name, struct str ns)
{
	struct attr *attr = node->attrs;

	while (attr != NULL &&
	       (!str_equal(attr->name, name) || !str_equal(attr->ns, ns)))
		attr = attr->next;
	return attr;
}

static struct str
attr_value(const struct node *node, struct str name, struct str ns)
{
	const struct attr *attr = find_attr(node, name, ns);

	return attr == NULL ? STR_NONE : attr->value;
}

struct str
node_attr(const struct node *node, const char *name)
{
	return attr_value(node, str_of(name), STR_NONE);
}

struct str
node_lang(const struct node *node)
{
	return attr_value(node, STR("lang"), STR(NS_XML));
}

/* From here on, the text between elements left out. */
static const struct node *
element_from(const struct node *node)
{
	while (node != NULL && node_is_text(node))
		node = node->next;
	return node;
}

const struct node *
node_first(const struct node *node)
{
	return element_from(node->first);
}

const struct node *
node_next(const struct node *node)
{
	return element_from(node->next);
}

const struct node *
node_child(const struct node *node, const char *name, const char *ns)
{
	struct str name_str = str_of(name), ns_str = str_of(ns);

	if (node == NULL)
		return NULL;
	node_each (child, node) {
		if (named(child, name_str, ns_str))
			return child;
	}
	return NULL;
}

const struct node *
node_child_ns(const struct node *node, const char *ns)
{
	struct str ns_str = str_of(ns);

	if (node == NULL)
		return NULL;
	node_each (child, node) {
		if (str_equal(child->ns, ns_str))
			return child;
	}
	return NULL;
}

/* From here on, the elements between text left out. */
static const struct node *
text_from(const struct node *node)
{
	while (node != NULL && !node_is_text(node))
		node = node->next;
	return node;
}

static struct str
join_text(struct arena *arena, const struct node *first)
{
	struct str all = {NULL, 0};
	const struct node *node;
	char *at;

	for (node = first; node != NULL; node = text_from(node->next))
		all.len += node->text.len;
	at = arena_text(arena, all.len + 1);
	all.text = at;
	for (node = first; node != NULL; node = text_from(node->next)) {
		if (node->text.len > 0)
			memcpy(at, node->text.text, node->text.len);
		at += node->text.len;
	}
	*at = '\0';
	return all;
}

struct str
node_text(struct arena *arena, const struct node *node)
{
	const struct node *first = text_from(node->first);

	if (first == NULL || first->text.text == NULL)
		return STR("");
	if (text_from(first->next) == NULL)
		return first->text;
	return join_text(arena, first);
}

struct str
node_child_text(struct arena *arena, const struct node *node, const char *name,
    const char *ns)
{
	const struct node *child = node_child(node, name, ns);

	return child == NULL ? STR_NONE : node_text(arena, child);
}

/* --- making ----------------------------------------------------------- */

struct node *
node_make(struct arena *arena, const char *name, const char *ns)
{
	struct node *node = arena_new(arena, struct node);

	node->arena = arena;
	node->name = str_of(name);
	node->ns = str_of(ns);
	return node;
}

static struct node *
shell_of(struct arena *arena, const struct node *node)
{
	struct node *shell = arena_new(arena, struct node);

	*shell = *node;
	shell->arena = arena;
	shell->next = NULL;
	shell->last = NULL;
	return shell;
}

/* Children that are shared get shells of their own before one is added: the
 * list itself runs through them. */
static void
add(struct node *parent, struct node *child)
{
	const struct node *shared = parent->first;

	if (parent->last == NULL) {
		parent->first = NULL;
		for (; shared != NULL; shared = shared->next)
			node_append(parent, shell_of(parent->arena, shared));
	}
	node_append(parent, child);
}

struct node *
node_add(struct node *parent, const char *name, const char *ns)
{
	struct node *child = node_make(parent->arena, name, ns);

	add(parent, child);
	return child;
}

void
node_add_text(struct node *parent, struct str text)
{
	struct node *child = arena_new(parent->arena, struct node);

	child->arena = parent->arena;
	child->text = text;
	add(parent, child);
}

struct node *
node_add_with_text(
    struct node *parent, const char *name, const char *ns, struct str text)
{
	struct node *child = node_add(parent, name, ns);

	node_add_text(child, text);
	return child;
}

void
node_add_copy(struct node *parent, const struct node *child)
{
	add(parent, shell_of(parent->arena, child));
}

static void
set(struct node *node, struct str name, struct str ns, struct str value)
{
	struct attr *attr = find_attr(node, name, ns);
	struct attr **end = &node->attrs;

	if (attr == NULL) {
		while (*end != NULL)
			end = &(*end)->next;
		attr = arena_new(node->arena, struct attr);
		attr->name = name;
		attr->ns = ns;
		*end = attr;
	}
	attr->value = value;
}

void
node_set(struct node *node, const char *name, struct str value)
{
	set(node, str_of(name), STR_NONE, value);
}

void
node_set_format(struct node *node, const char *name, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	node_set(node, name, str_vformat(node->arena, format, args));
	va_end(args);
}

void
node_set_lang(struct node *node, struct str value)
{
	set(node, STR("lang"), STR(NS_XML), value);
}

static struct attr *
copy_attrs(struct arena *arena, const struct attr *attr)
{
	struct attr *first = NULL, **end = &first;

	for (; attr != NULL; attr = attr->next) {
		*end = arena_new(arena, struct attr);
		**end = *attr;
		end = &(*end)->next;
	}
	return first;
}

struct node *
node_copy(struct arena *arena, const struct node *node)
{
	struct node *shell = shell_of(arena, node);

	/* node_set changes attributes where they stand. */
	shell->attrs = copy_attrs(arena, node->attrs);
	return shell;
}

struct node *
node_copy_without(struct arena *arena, const struct node *node,
    bool (*drop)(const struct node *child, const void *arg), const void *arg)
{
	struct node *shell = node_copy(arena, node);
	const struct node *child = node->first;

	shell->first = NULL;
	for (; child != NULL; child = child->next) {
		if (node_is_text(child) || !drop(child, arg))
			node_append(shell, shell_of(arena, child));
	}
	return shell;
}

static struct str
dup_or_none(struct arena *arena, struct str str)
{
	return str.text == NULL ? STR_NONE : str_dup(arena, str);
}

static struct node *
copy_deep(struct arena *arena, const struct node *node)
{
	struct node *copy = node_copy(arena, node);
	const struct node *child = node->first;

	copy->name = dup_or_none(arena, node->name);
	copy->ns = dup_or_none(arena, node->ns);
	copy->text = dup_or_none(arena, node->text);
	for (struct attr *attr = copy->attrs; attr != NULL; attr = attr->next) {
		attr->name = dup_or_none(arena, attr->name);
		attr->ns = dup_or_none(arena, attr->ns);
		attr->value = dup_or_none(arena, attr->value);
	}
	copy->first = NULL;
	for (; child != NULL; child = child->next)
		node_append(copy, copy_deep(arena, child));
	return copy;
}

const struct node *
node_copy_deep(struct arena *arena, const struct node *node)
{
	return copy_deep(arena, node);
}

const struct node *
node_parse(struct arena *arena, struct str text, const char *default_ns)
{
	const struct node *node;

	if (reader_document(arena, text, default_ns, &reader_limits_stored,
		&node) != READ_ERR_NONE)
		return NULL;
	return node;
}

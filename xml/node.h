/*
 * xml/node.h - XML as a tree in an arena.
 *
 * A node is an element or a piece of text. Who makes a node may add to it until
 * it is handed on as const struct node *; from then on nobody changes it: a
 * change is a new node (node_copy) that shares the children of the old one.
 */
#pragma once

#include <stdbool.h>

#include "base/arena.h"
#include "base/str.h"

#define NS_XML "http://www.w3.org/XML/1998/namespace"

struct attr {
	struct attr *next;
	struct str name;
	struct str ns; /* empty for nearly all */
	struct str value;
};

struct node {
	struct arena *arena;
	const struct node *next; /* sibling */
	const struct node *first;
	struct node *last; /* of the children; NULL once shared */
	struct attr *attrs;
	struct str name; /* empty for text */
	struct str ns;   /* of the element */
	struct str text; /* of a piece of text */
};

/* --- reading ---------------------------------------------------------- */

static inline bool
node_is_text(const struct node *node)
{
	return node->name.len == 0;
}

/* node may be NULL: false. */
bool node_is(const struct node *, const char *name, const char *ns);
/* The value of an attribute without namespace; text NULL when absent. */
struct str node_attr(const struct node *, const char *name);
/* xml:lang of this very element; text NULL when absent. */
struct str node_lang(const struct node *);
/* The first child element of that name and namespace; ns NULL: of any. NULL
 * when absent or when node is NULL. */
const struct node *node_child(
    const struct node *, const char *name, const char *ns);
/* The first child element of that namespace, whatever its name. */
const struct node *node_child_ns(const struct node *, const char *ns);
/* The first child element; the next element after one. NULL at the end. */
const struct node *node_first(const struct node *);
const struct node *node_next(const struct node *);
/* All text directly in it, joined; usually a view and no copy. Empty, with
 * text not NULL, when there is none. */
struct str node_text(struct arena *, const struct node *);
/* node_text of a child element; text NULL when there is no such child. */
struct str node_child_text(
    struct arena *, const struct node *, const char *name, const char *ns);

/* Each child element. */
#define node_each(each, parent)                                          \
	for (const struct node *each = node_first(parent); each != NULL; \
	    each = node_next(each))

/* --- making ----------------------------------------------------------- */

/* name and ns are kept by pointer: literals, or text of the same arena. */
struct node *node_make(struct arena *, const char *name, const char *ns);
/* A new element at the end of parent; returns the new one. */
struct node *node_add(struct node *parent, const char *name, const char *ns);
/* node_add with text in it. */
struct node *node_add_with_text(
    struct node *parent, const char *name, const char *ns, struct str text);
/* The text is kept by pointer. */
void node_add_text(struct node *, struct str text);
/* Adds a copy of child's shell that shares its attributes and children. child
 * must live as long as the parent's arena. */
void node_add_copy(struct node *parent, const struct node *child);
/* The value is kept by pointer. An attribute there already is replaced. */
void node_set(struct node *, const char *name, struct str value);
void node_set_format(struct node *, const char *name, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
void node_set_lang(struct node *, struct str value);

/* A shell that can be added to and set anew, in arena; children and attributes
 * are shared with the old node, which must live as long. */
struct node *node_copy(struct arena *, const struct node *);
/* The same without the children for which drop(child) holds. */
struct node *node_copy_without(struct arena *, const struct node *,
    bool (*drop)(const struct node *child, const void *arg), const void *arg);
/* Everything copied into arena: nothing of the old one is needed any more. */
const struct node *node_copy_deep(struct arena *, const struct node *);

/* Reads one element from text with the limits of stored XML (reader.h). The
 * default namespace is the one given, "" for none. NULL when it is not one
 * well-formed element. */
const struct node *node_parse(
    struct arena *, struct str text, const char *default_ns);

/* --- for node.c and build.c --------------------------------------------- */

/* Puts child last; the list of children must be shared with no other node. */
static inline void
node_append(struct node *parent, struct node *child)
{
	if (parent->first == NULL)
		parent->first = child;
	else
		parent->last->next = child;
	parent->last = child;
}

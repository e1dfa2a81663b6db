/*
 * xml/build.h - a tree from what expat tells. Only the reader uses it.
 */
#pragma once

#include <stddef.h>

#include "xml/node.h"

/* Between the parts of a name as expat gives it: URI, name, prefix. No XML
 * holds this byte, so no URI does. */
#define BUILD_SEPARATOR '\x01'

struct name {
	struct str ns, local, prefix; /* empty when absent */
};

/* A zeroed builder is an empty one. Its list of open elements is reused from
 * one tree to the next. */
struct builder {
	struct arena *arena; /* of the tree, NULL when there is none */
	struct node **open;  /* the elements begun, outermost first */
	unsigned depth;      /* how many */
	unsigned room;
	size_t ns_len;     /* of the namespaces that were copied for the tree */
	struct node *text; /* the piece of text that more may be added to */
	size_t text_room;
};

struct name build_name(const char *);

/* attrs are pairs, NULL behind the last; attr_count counts the pairs. Returns
 * the new element. */
struct node *build_start(struct builder *, const char *name, const char **attrs,
    unsigned attr_count);
/* Returns the element that ended. */
const struct node *build_end(struct builder *);
void build_text(struct builder *, const char *text, size_t len);
/* Forgets the tree, without freeing its arena. */
void build_reset(struct builder *);
void build_deinit(struct builder *);

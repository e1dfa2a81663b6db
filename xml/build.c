#include "xml/build.h"

#include <stdlib.h>

#include "base/err.h"

#define FIRST_ROOM 16

struct name
build_name(const char *text)
{
	struct str all = str_of(text), rest;
	struct name name = {0};

	if (!str_cut(all, BUILD_SEPARATOR, &name.ns, &rest)) {
		name.ns = STR_NONE;
		name.local = all;
		return name;
	}
	str_cut(rest, BUILD_SEPARATOR, &name.local, &name.prefix);
	return name;
}

static struct str
dup_if(struct arena *arena, struct str str)
{
	return str.len == 0 ? STR_NONE : str_dup(arena, str);
}

/* Namespaces that nearly every stanza is in cost no copy, nor does that of the
 * parent. */
static struct str
keep_ns(struct builder *builder, struct str ns)
{
	static const struct str known[] = {
	    {"jabber:client", 13}, {"jabber:server", 13}};

	if (builder->depth > 0 &&
	    str_equal(ns, builder->open[builder->depth - 1]->ns))
		return builder->open[builder->depth - 1]->ns;
	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
		if (str_equal(ns, known[i]))
			return known[i];
	}
	builder->ns_len += ns.len;
	return str_dup(builder->arena, ns);
}

static void
set_attrs(struct builder *builder, struct node *node, const char **attrs,
    unsigned attr_count)
{
	struct arena *arena = builder->arena;
	struct attr *attr = arena_array(arena, struct attr, attr_count);
	struct attr **end = &node->attrs;

	for (; attrs[0] != NULL; attrs += 2, attr++) {
		struct name name = build_name(attrs[0]);

		attr->name = str_dup(arena, name.local);
		attr->ns = dup_if(arena, name.ns);
		builder->ns_len += name.ns.len;
		attr->value = str_dup(arena, str_of(attrs[1]));
		*end = attr;
		end = &attr->next;
	}
}

static void
append(struct builder *builder, struct node *child)
{
	if (builder->depth > 0)
		node_append(builder->open[builder->depth - 1], child);
}

static void
push(struct builder *builder, struct node *node)
{
	if (builder->depth == builder->room) {
		builder->room =
		    builder->room == 0 ? FIRST_ROOM : builder->room * 2;
		builder->open = reallocarray(
		    builder->open, builder->room, sizeof(struct node *));
		must(builder->open != NULL);
	}
	builder->open[builder->depth++] = node;
}

struct node *
build_start(struct builder *builder, const char *text, const char **attrs,
    unsigned attr_count)
{
	struct name name = build_name(text);
	struct node *node = arena_new(builder->arena, struct node);

	node->arena = builder->arena;
	node->ns = keep_ns(builder, name.ns);
	node->name = str_dup(builder->arena, name.local);
	if (attr_count > 0)
		set_attrs(builder, node, attrs, attr_count);
	append(builder, node);
	push(builder, node);
	builder->text = NULL;
	return node;
}

const struct node *
build_end(struct builder *builder)
{
	builder->text = NULL;
	return builder->open[--builder->depth];
}

/* expat gives text in pieces at line ends and references. The first gets just
 * the room it needs; for more the room is doubled. */
static void
lengthen(struct builder *builder, const char *bytes, size_t len)
{
	struct str *text = &builder->text->text;
	char *room = (char *)text->text;

	if (text->len + len >= builder->text_room) {
		builder->text_room = (text->len + len) * 2 + 1;
		room = arena_text(builder->arena, builder->text_room);
		memcpy(room, text->text, text->len);
		text->text = room;
	}
	memcpy(room + text->len, bytes, len);
	text->len += len;
	room[text->len] = '\0';
}

void
build_text(struct builder *builder, const char *bytes, size_t len)
{
	struct node *node;

	if (builder->text != NULL) {
		lengthen(builder, bytes, len);
		return;
	}
	node = arena_new(builder->arena, struct node);
	node->arena = builder->arena;
	node->text.text = arena_dup(builder->arena, bytes, len);
	node->text.len = len;
	append(builder, node);
	builder->text = node;
	builder->text_room = len + 1;
}

void
build_reset(struct builder *builder)
{
	builder->arena = NULL;
	builder->depth = 0;
	builder->text = NULL;
}

void
build_deinit(struct builder *builder)
{
	free(builder->open);
	*builder = (struct builder){0};
}

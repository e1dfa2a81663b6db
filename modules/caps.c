/*
 * modules/caps.c - the server's own capabilities, in its stream features
 * (XEP-0115, section 6.3), and the disco#info for their node.
 */
#include "modules/caps.h"

#include <stdlib.h>

#include "base/buf.h"
#include "base/code.h"
#include "modules/disco.h"
#include "server/digest.h"
#include "server/setup.h"
#include "xml/form.h"

#define CAPS_NODE "https://jackdaw.im"

static void on_features(struct features_ask *);
static void on_info(struct disco_ask *);

static const struct hook hooks[] = {
    {.on = HOOK_STREAM_FEATURES, .order = 100, .features = on_features},
    {.on = HOOK_DISCO_INFO, .order = 1000, .disco = on_info},
    {.on = HOOK_END},
};

const struct module caps_module = {
    .api = MODULE_API,
    .name = "caps",
    .help = "Entity capabilities of the server",
    .xeps = (const char *const[]){"XEP-0115 1.6.0", NULL},
    .features = (const char *const[]){NS_CAPS, NULL},
    .hooks = hooks,
};

/* --- the verification string: section 5.1 -------------------------------- */

struct texts {
	struct arena *arena;
	struct str *items;
	size_t count, room;
};

static void
texts_add(struct texts *texts, struct str text)
{
	if (texts->count == texts->room) {
		struct str *items;

		texts->room = texts->room == 0 ? 64 : 2 * texts->room;
		items = arena_array(texts->arena, struct str, texts->room);
		for (size_t i = 0; i < texts->count; i++)
			items[i] = texts->items[i];
		texts->items = items;
	}
	texts->items[texts->count++] = text;
}

static int
by_octets(const void *a, const void *b)
{
	return str_compare(*(const struct str *)a, *(const struct str *)b);
}

/* Between the parts of a text while it is sorted: less than all that XML may
 * hold, so that what is a part of another part comes before it. */
#define BREAK '\1'

/* Sorted by their parts, each with '<' behind it. */
static void
write_sorted(struct buf *buf, struct texts *texts)
{
	if (texts->count > 0)
		qsort(texts->items, texts->count, sizeof(texts->items[0]),
		    by_octets);
	for (size_t i = 0; i < texts->count; i++) {
		buf_add(buf, texts->items[i]);
		buf_add_byte(buf, '<');
	}
}

static void
write_breaks(struct buf *buf, char as)
{
	for (size_t i = 0; i < buf->len; i++)
		if (buf->text[i] == BREAK)
			buf->text[i] = as;
}

static void
write_identities(struct buf *buf, struct arena *arena, const struct node *query)
{
	struct texts texts = {.arena = arena};

	node_each (identity, query)
		if (node_is(identity, "identity", NS_DISCO_INFO))
			texts_add(&texts,
			    str_format(arena, "%.*s%c%.*s%c%.*s%c%.*s",
				STR_ARG(node_attr(identity, "category")), BREAK,
				STR_ARG(node_attr(identity, "type")), BREAK,
				STR_ARG(node_lang(identity)), BREAK,
				STR_ARG(node_attr(identity, "name"))));
	write_sorted(buf, &texts);
	write_breaks(buf, '/');
}

static void
write_features(struct buf *buf, struct arena *arena, const struct node *query)
{
	struct texts texts = {.arena = arena};

	node_each (feature, query)
		if (node_is(feature, "feature", NS_DISCO_INFO))
			texts_add(&texts, node_attr(feature, "var"));
	write_sorted(buf, &texts);
}

/* One field: its name, then its values, sorted; they have '<' between them. */
static struct str
field_text(struct arena *arena, const struct node *field)
{
	struct texts values = {.arena = arena};
	struct buf buf = {0};
	struct str text;

	buf_add(&buf, node_attr(field, "var"));
	buf_add_byte(&buf, BREAK);
	node_each (value, field)
		if (node_is(value, "value", NS_FORM))
			texts_add(&values, node_text(arena, value));
	write_sorted(&buf, &values);
	buf.len--; /* write_sorted of the fields adds the last '<' again */
	text = str_dup(arena, buf_str(&buf));
	buf_deinit(&buf);
	return text;
}

static struct str
form_text(struct arena *arena, const struct node *form)
{
	struct texts fields = {.arena = arena};
	struct buf buf = {0};
	struct str text;

	buf_add(&buf, form_get(arena, form, "FORM_TYPE"));
	buf_add_byte(&buf, BREAK);
	node_each (field, form)
		if (node_is(field, "field", NS_FORM) &&
		    !str_is(node_attr(field, "var"), "FORM_TYPE"))
			texts_add(&fields, field_text(arena, field));
	write_sorted(&buf, &fields);
	buf.len--;
	text = str_dup(arena, buf_str(&buf));
	buf_deinit(&buf);
	return text;
}

static void
write_forms(struct buf *buf, struct arena *arena, const struct node *query)
{
	struct texts texts = {.arena = arena};

	node_each (form, query)
		if (node_is(form, "x", NS_FORM))
			texts_add(&texts, form_text(arena, form));
	write_sorted(buf, &texts);
	write_breaks(buf, '<');
}

struct str
caps_verification(struct arena *arena, const struct node *query)
{
	struct buf buf = {0};
	struct str hash;

	write_identities(&buf, arena, query);
	write_features(&buf, arena, query);
	write_forms(&buf, arena, query);
	hash = digest_sha1(arena, buf_str(&buf));
	buf_deinit(&buf);
	return base64_encode(arena, hash);
}

/* --- ours ---------------------------------------------------------------- */

static struct str
own_verification(struct arena *arena, const struct host *host)
{
	return caps_verification(arena, disco_host_info(arena, host, NULL));
}

static void
on_features(struct features_ask *ask)
{
	struct arena *arena = ask->features->arena;
	struct node *caps;

	if (!ask->is_authenticated)
		return;
	caps = node_add(ask->features, "c", NS_CAPS);
	node_set(caps, "hash", STR("sha-1"));
	node_set(caps, "node", STR(CAPS_NODE));
	node_set(caps, "ver", own_verification(arena, ask->host));
}

/* disco#info for node#ver is the same as without a node. */
static void
on_info(struct disco_ask *ask)
{
	struct str wanted;

	if (ask->account != NULL || !str_starts(ask->node, STR(CAPS_NODE "#")))
		return;
	wanted = str_join2(ask->arena, STR(CAPS_NODE "#"),
	    own_verification(ask->arena, ask->host));
	if (!str_equal(ask->node, wanted))
		return;
	node_each (child, disco_host_info(ask->arena, ask->host, NULL))
		node_add_copy(ask->query, child);
}

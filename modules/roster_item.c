#include "modules/roster_item.h"

#include <string.h>

#include "modules/roster_private.h"
#include "xml/writer.h"

static bool
has_group_before(
    struct arena *arena, const struct node *item, const struct node *group)
{
	const struct str text = node_text(arena, group);

	node_each (other, item) {
		if (other == group)
			return false;
		if (node_is(other, "group", NS_ROSTER) &&
		    str_equal(node_text(arena, other), text))
			return true;
	}
	return false;
}

enum stanza_err
roster_item_check(struct arena *arena, const struct node *item)
{
	unsigned groups = 0;

	if (node_attr(item, "name").len > ROSTER_NAME_LEN_MAX)
		return STANZA_ERR_NOT_ACCEPTABLE;
	node_each (group, item) {
		const size_t len = node_text(arena, group).len;

		if (!node_is(group, "group", NS_ROSTER))
			continue;
		if (len == 0 || len > ROSTER_NAME_LEN_MAX ||
		    ++groups > ROSTER_GROUPS_MAX)
			return STANZA_ERR_NOT_ACCEPTABLE;
		if (has_group_before(arena, item, group))
			return STANZA_ERR_BAD_REQUEST;
	}
	return STANZA_ERR_NONE;
}

static void
read_groups(struct contact *contact, const struct node *item)
{
	struct str *groups;
	size_t count = 0;

	node_each (group, item)
		count += node_is(group, "group", NS_ROSTER);
	if (count == 0)
		return;
	groups = arena_array(contact->arena, struct str, count);
	node_each (group, item)
		if (node_is(group, "group", NS_ROSTER))
			groups[contact->group_count++] = str_dup(
			    contact->arena, node_text(contact->arena, group));
	contact->groups = groups;
}

struct contact *
roster_item_make(const struct jid *jid, const struct node *item)
{
	struct arena *arena = arena_make(192);
	struct contact *contact = arena_new(arena, struct contact);

	contact->arena = arena;
	contact->jid = jid_copy(arena, jid);
	if (item != NULL) {
		contact->name = str_dup(arena, node_attr(item, "name"));
		read_groups(contact, item);
	}
	return contact;
}

struct contact *
roster_item_copy(const struct contact *old)
{
	struct contact *contact = roster_item_make(old->jid, NULL);
	struct str *groups;

	contact->sub = old->sub;
	contact->is_listed = old->is_listed;
	contact->is_removed = old->is_removed;
	contact->ver = old->ver;
	contact->asked = old->asked;
	contact->seen = old->seen;
	contact->name = str_dup(contact->arena, old->name);
	groups = arena_array(contact->arena, struct str, old->group_count);
	for (size_t i = 0; i < old->group_count; i++)
		groups[i] = str_dup(contact->arena, old->groups[i]);
	contact->groups = groups;
	contact->group_count = old->group_count;
	if (old->request != NULL)
		contact->request = node_copy_deep(contact->arena, old->request);
	return contact;
}

/* --- on the wire -------------------------------------------------------- */

static const char *
subscription_text(unsigned sub)
{
	static const char *const texts[] = {"none", "to", "from", "both"};

	return texts[sub & (SUB_TO | SUB_FROM)];
}

static struct node *
add_item(struct node *parent, const struct contact *contact)
{
	struct node *item = node_add(parent, "item", NS_ROSTER);

	node_set(item, "jid", jid_full(contact->jid));
	if (contact->name.len > 0)
		node_set(item, "name", contact->name);
	for (size_t i = 0; i < contact->group_count; i++)
		node_add_with_text(
		    item, "group", NS_ROSTER, contact->groups[i]);
	return item;
}

void
roster_item_add(struct node *query, const struct contact *contact)
{
	struct node *item;

	if (contact->is_removed) {
		item = node_add(query, "item", NS_ROSTER);
		node_set(item, "jid", jid_full(contact->jid));
		node_set(item, "subscription", STR("remove"));
		return;
	}
	item = add_item(query, contact);
	node_set(item, "subscription", str_of(subscription_text(contact->sub)));
	if ((contact->sub & SUB_ASK) != 0)
		node_set(item, "ask", STR("subscribe"));
	if ((contact->sub & SUB_APPROVED) != 0)
		node_set(item, "approved", STR("true"));
}

const struct node *
roster_push_item(struct arena *arena, const struct contact *contact)
{
	struct node *query = node_make(arena, "query", NS_ROSTER);

	node_set_format(query, "ver", "%llx", (unsigned long long)contact->ver);
	roster_item_add(query, contact);
	return node_copy_deep(arena, query);
}

bool
roster_ver_read(struct str text, uint64_t *ver_r)
{
	uint64_t ver = 0;

	if (text.len == 0 || text.len > 16)
		return false;
	for (size_t i = 0; i < text.len; i++) {
		const char *digits = "0123456789abcdef";
		const char *digit = strchr(digits, text.text[i]);

		if (digit == NULL || *digit == '\0')
			return false;
		ver = ver << 4 | (uint64_t)(digit - digits);
	}
	*ver_r = ver;
	return true;
}

/* --- in the store ------------------------------------------------------- */

struct str
roster_item_text(struct arena *arena, const struct contact *contact)
{
	struct node *parent = node_make(arena, "query", NS_ROSTER);
	struct node *item = add_item(parent, contact);

	node_set_format(item, "sub", "%u", contact->sub);
	node_set_format(item, "ver", "%llx", (unsigned long long)contact->ver);
	node_set_format(
	    item, "asked", "%llu", (unsigned long long)contact->asked);
	node_set_format(
	    item, "seen", "%llu", (unsigned long long)contact->seen);
	node_set(item, "listed",
	    contact->is_removed  ? STR("removed")
	    : contact->is_listed ? STR("yes")
				 : STR("no"));
	if (contact->request != NULL)
		node_add_copy(item, contact->request);
	return writer_text(arena, item);
}

struct contact *
roster_item_read(const struct map_row *row)
{
	struct arena *arena = arena_make(0);
	const struct node *item = node_parse(arena, row->value, "");
	const struct jid *jid = jid_parse(arena, row->key);
	struct contact *contact = NULL;
	uint64_t sub, ver;

	if (jid != NULL && node_is(item, "item", NS_ROSTER) &&
	    str_to_u64(node_attr(item, "sub"), 31, &sub) &&
	    roster_ver_read(node_attr(item, "ver"), &ver)) {
		const struct node *request =
		    node_child(item, "presence", NS_CLIENT);

		contact = roster_item_make(jid, item);
		contact->sub = (unsigned)sub;
		contact->ver = ver;
		(void)str_to_u64(
		    node_attr(item, "asked"), UINT64_MAX, &contact->asked);
		(void)str_to_u64(
		    node_attr(item, "seen"), UINT64_MAX, &contact->seen);
		contact->is_listed = str_is(node_attr(item, "listed"), "yes");
		contact->is_removed =
		    str_is(node_attr(item, "listed"), "removed");
		if (request != NULL)
			contact->request =
			    node_copy_deep(contact->arena, request);
	}
	arena_free(&arena);
	return contact;
}

bool
roster_row_is_floor(const struct map_row *row)
{
	return row->key.len == 0;
}

uint64_t
roster_floor_read(const struct map_row *row)
{
	uint64_t floor;

	return roster_ver_read(row->value, &floor) ? floor : 0;
}

struct str
roster_floor_text(struct arena *arena, uint64_t floor)
{
	return str_format(arena, "%llx", (unsigned long long)floor);
}

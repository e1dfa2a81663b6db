/*
 * modules/stanza_id.c - a stanza-id that claims to be by the recipient's
 * account was not made by it, so it goes (XEP-0359, section 3, rule 2).
 */
#include "modules/stanza_id.h"

#define NS_SID "urn:xmpp:sid:0"

static enum verdict on_received(
    struct account *, struct session *, struct post *);

static const struct hook hooks[] = {
    {.on = HOOK_RECEIVED_MESSAGE, .order = -50, .stanza = on_received},
    {.on = HOOK_END},
};

const struct module stanza_id_module = {
    .api = MODULE_API,
    .name = "stanza_id",
    .help = "Unique and stable stanza ids",
    .xeps = (const char *const[]){"XEP-0359 0.7.0", NULL},
    .features = (const char *const[]){NS_SID, NULL},
    .account_features = (const char *const[]){NS_SID, NULL},
    .hooks = hooks,
};

static bool
is_by(const struct node *child, const void *account)
{
	struct arena *arena;
	const struct jid *by;
	bool is_ours;

	if (!node_is(child, "stanza-id", NS_SID))
		return false;
	if (str_equal(node_attr(child, "by"), jid_full(account_jid(account))))
		return true;
	arena = arena_make(0);
	by = jid_parse(arena, node_attr(child, "by"));
	is_ours = by != NULL && jid_equal(by, account_jid(account));
	arena_free(&arena);
	return is_ours;
}

const struct stanza *
stanza_id_strip(const struct account *account, struct arena *arena,
    const struct stanza *stanza)
{
	if (node_child(stanza->node, "stanza-id", NS_SID) == NULL)
		return stanza;
	return stanza_without(arena, stanza, is_by, account);
}

const struct stanza *
stanza_id_add(const struct account *account, struct arena *arena,
    const struct stanza *stanza, struct str id)
{
	struct stanza *with =
	    stanza_readdress(arena, stanza, stanza->from, stanza->to);
	struct node *node = node_copy(arena, stanza->node);
	struct node *stanza_id = node_add(node, "stanza-id", NS_SID);

	node_set(
	    stanza_id, "by", str_dup(arena, jid_full(account_jid(account))));
	node_set(stanza_id, "id", id);
	with->node = node;
	return with;
}

struct str
stanza_id_of(const struct account *account, const struct stanza *stanza)
{
	node_each (child, stanza->node)
		if (node_is(child, "stanza-id", NS_SID) &&
		    str_equal(
			node_attr(child, "by"), jid_full(account_jid(account))))
			return node_attr(child, "id");
	return STR_NONE;
}

/* One that came back from a session that was gone has our own. */
static enum verdict
on_received(
    struct account *account, struct session *session, struct post *letter)
{
	(void)session;
	if (!letter->is_returned)
		letter->stanza =
		    stanza_id_strip(account, letter->arena, letter->stanza);
	return PASS;
}

/*
 * modules/stanza_id.c - a stanza-id that claims to be by the recipient's
 * account was not made by it, so it goes (XEP-0359, section 3, rule 2).
 */
#include "modules/stanza_id.h"

#include "server/account.h"

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
is_forged(const struct node *child, const void *account)
{
	struct arena *arena;
	const struct jid *by;
	bool is_ours;

	if (!node_is(child, "stanza-id", NS_SID))
		return false;
	arena = arena_make(0);
	by = jid_parse(arena, node_attr(child, "by"));
	is_ours = by != NULL && jid_equal(by, account_jid(account));
	arena_free(&arena);
	return is_ours;
}

static enum verdict
on_received(
    struct account *account, struct session *session, struct post *letter)
{
	(void)session;
	if (node_child(letter->stanza->node, "stanza-id", NS_SID) != NULL)
		letter->stanza = stanza_without(
		    letter->arena, letter->stanza, is_forged, account);
	return PASS;
}

/*
 * modules/disco.c - service discovery: identities and features come from the
 * descriptors of the modules that are on, the rest from their hooks.
 */
#include "modules/disco.h"

#include "modules/caps.h"
#include "modules/roster.h"
#include "server/domains.h"
#include "server/iq.h"
#include "server/session.h"
#include "server/setup.h"

static void on_info(struct iq *);
static void on_items(struct iq *);

static const struct hook hooks[] = {
    {.on = HOOK_IQ_GET,
	.ns = NS_DISCO_INFO,
	.name = "query",
	.scope = SCOPE_ACCOUNT | SCOPE_HOST,
	.iq = on_info},
    {.on = HOOK_IQ_GET,
	.ns = NS_DISCO_ITEMS,
	.name = "query",
	.scope = SCOPE_ACCOUNT | SCOPE_HOST | SCOPE_NOBODY,
	.iq = on_items},
    {.on = HOOK_END},
};

const struct module disco_module = {
    .api = MODULE_API,
    .name = "disco",
    .help = "Service discovery",
    .xeps = (const char *const[]){"XEP-0030 2.5.0", "XEP-0128 1.0.1", NULL},
    .features = (const char *const[]){NS_DISCO_INFO, NS_DISCO_ITEMS, NULL},
    .account_features =
	(const char *const[]){NS_DISCO_INFO, NS_DISCO_ITEMS, NULL},
    .hooks = hooks,
};

static void
add_identity(struct node *query, const char *category, const char *type,
    const char *name)
{
	struct node *identity = node_add(query, "identity", NS_DISCO_INFO);

	node_set(identity, "category", str_of(category));
	node_set(identity, "type", str_of(type));
	if (name != NULL)
		node_set(identity, "name", str_of(name));
}

static void
add_features(struct node *query, const char *const *features)
{
	for (; *features != NULL; features++)
		node_set(node_add(query, "feature", NS_DISCO_INFO), "var",
		    str_of(*features));
}

struct node *
disco_host_info(
    struct arena *arena, const struct host *host, const struct jid *from)
{
	struct node *query = node_make(arena, "query", NS_DISCO_INFO);
	struct disco_ask ask = {
	    .arena = arena, .host = host, .from = from, .query = query};

	add_identity(query, "server", "im", "Jackdaw");
	add_features(query, hook_features_of_host(host));
	hook_disco(HOOK_DISCO_INFO, &ask);
	return query;
}

/* XEP-0030, section 8: who may not see the presence of an account may not learn
 * whether it exists. */
static bool
may_see(const struct iq *iq)
{
	struct account *account = iq_account(iq);
	const struct jid *asker = jid_to_bare(iq_arena(iq), iq_from(iq));

	return iq_is_own(iq) ||
	       (account != NULL && (roster_sub(account, asker) & SUB_FROM));
}

static struct disco_ask
ask_of(struct iq *iq, struct node *query)
{
	return (struct disco_ask){.arena = iq_arena(iq),
	    .host = iq_host(iq),
	    .account = iq_is_for_host(iq) ? NULL : iq_account(iq),
	    .from = iq_from(iq),
	    .node = node_attr(iq_payload(iq), "node"),
	    .query = query};
}

/* A node is known when a module puts something into its answer. */
static void
reply_node(struct iq *iq, enum hook_on on, const char *ns)
{
	struct node *query = node_make(iq_arena(iq), "query", ns);
	struct disco_ask ask = ask_of(iq, query);

	node_set(query, "node", ask.node);
	hook_disco(on, &ask);
	if (node_first(query) == NULL)
		iq_refuse(iq, STANZA_ERR_ITEM_NOT_FOUND);
	else
		iq_reply(iq, query);
}

static void
reply_account_info(struct iq *iq)
{
	struct node *query = node_make(iq_arena(iq), "query", NS_DISCO_INFO);
	struct disco_ask ask = ask_of(iq, query);

	add_identity(query, "account",
	    account_is_guest(iq_account(iq)) ? "anonymous" : "registered",
	    NULL);
	add_features(query, hook_features_of_accounts(iq_host(iq)));
	hook_disco(HOOK_DISCO_INFO, &ask);
	iq_reply(iq, query);
}

static void
on_info(struct iq *iq)
{
	if (!iq_is_for_host(iq) && !may_see(iq))
		iq_refuse(iq, STANZA_ERR_SERVICE_UNAVAILABLE);
	else if (node_attr(iq_payload(iq), "node").len > 0)
		reply_node(iq, HOOK_DISCO_INFO, NS_DISCO_INFO);
	else if (iq_is_for_host(iq))
		iq_reply(iq,
		    disco_host_info(iq_arena(iq), iq_host(iq), iq_from(iq)));
	else
		reply_account_info(iq);
}

static void
add_resources(struct node *query, const struct account *account)
{
	session_each (session, account)
		if (session->is_available)
			node_set(node_add(query, "item", NS_DISCO_ITEMS), "jid",
			    jid_full(session->jid));
}

static void
add_components(struct node *query, const struct host *host)
{
	size_t count;
	const struct str *names =
	    config_domains(setup_config(host->setup), &count);

	for (size_t i = 0; i < count; i++)
		if (domain_secret(host->setup, names[i]).len > 0 &&
		    domain_host(host->setup, names[i]) == host)
			node_set(node_add(query, "item", NS_DISCO_ITEMS), "jid",
			    names[i]);
}

static void
on_items(struct iq *iq)
{
	struct node *query = node_make(iq_arena(iq), "query", NS_DISCO_ITEMS);
	struct disco_ask ask = ask_of(iq, query);

	if (!iq_is_for_host(iq) && !may_see(iq)) {
		if (ask.node.len > 0)
			node_set(query, "node", ask.node);
		iq_reply(iq, query);
		return;
	}
	if (ask.node.len > 0) {
		reply_node(iq, HOOK_DISCO_ITEMS, NS_DISCO_ITEMS);
		return;
	}
	if (iq_is_for_host(iq))
		add_components(query, iq_host(iq));
	else
		add_resources(query, iq_account(iq));
	hook_disco(HOOK_DISCO_ITEMS, &ask);
	iq_reply(iq, query);
}

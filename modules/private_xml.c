/*
 * modules/private_xml.c - private XML storage: elements that a client keeps for
 * itself, one per name and namespace.
 */
#include "modules/private_xml.h"

#include "server/iq.h"
#include "server/settings.h"
#include "server/setup.h"
#include "xml/writer.h"

#define NS_PRIVATE "jabber:iq:private"

static void on_get(struct iq *);
static void element_loaded(struct store_get *);
static void on_set(struct iq *);
static void space_counted(struct store_count *);
static void elements_saved(struct store_commit *);

const struct store_kind private_kind = {"private", STORE_MAP, KIND_COUNTED};

static const struct hook hooks[] = {
    {.on = HOOK_IQ_GET,
	.ns = NS_PRIVATE,
	.name = "query",
	.scope = SCOPE_ACCOUNT,
	.iq = on_get},
    {.on = HOOK_IQ_SET,
	.ns = NS_PRIVATE,
	.name = "query",
	.scope = SCOPE_ACCOUNT,
	.iq = on_set},
    {.on = HOOK_END},
};

const struct module private_xml_module = {
    .api = MODULE_API,
    .name = "private_xml",
    .help = "XML that clients keep on the server",
    .xeps = (const char *const[]){"XEP-0049 1.2", NULL},
    .features = (const char *const[]){NS_PRIVATE, NULL},
    .account_features = (const char *const[]){NS_PRIVATE, NULL},
    .hooks = hooks,
    .kinds = (const struct store_kind *const[]){&private_kind, NULL},
};

struct element_get {
	struct store_get get;
	struct iq *iq;
};

/* Whether the asker may, and how many elements it names; answers when not. */
static bool
is_allowed(struct iq *iq, enum stanza_err if_empty)
{
	const struct node *first = node_first(iq_payload(iq));

	if (!iq_is_own(iq))
		iq_refuse(iq, STANZA_ERR_FORBIDDEN);
	else if (first == NULL || first->ns.len == 0 ||
		 str_is(first->ns, NS_PRIVATE))
		iq_refuse(iq, if_empty);
	else
		return true;
	return false;
}

static struct str
key_of(struct arena *arena, const struct node *element)
{
	return store_key2(arena, element->ns, element->name);
}

static void
on_get(struct iq *iq)
{
	const struct node *element = node_first(iq_payload(iq));
	struct element_get *get;

	if (!is_allowed(iq, STANZA_ERR_BAD_REQUEST))
		return;
	if (node_next(element) != NULL) {
		iq_refuse(iq, STANZA_ERR_BAD_REQUEST);
		return;
	}
	get = arena_new(iq_arena(iq), struct element_get);
	get->iq = iq;
	store_get(iq_store(iq), &get->get, iq_arena(iq),
	    &(struct map_key){iq_account(iq)->owner.id, &private_kind,
		key_of(iq_arena(iq), element)},
	    element_loaded);
}

/* Of what was never stored, the element asked for is the answer: section 2.2.
 */
static void
element_loaded(struct store_get *get)
{
	struct element_get *loaded = container_of(get, struct element_get, get);
	struct iq *iq = loaded->iq;
	struct node *query = node_make(iq_arena(iq), "query", NS_PRIVATE);
	const struct node *element = node_first(iq_payload(iq));

	if (get->err == ERR_NONE)
		element = node_parse(iq_arena(iq), get->row.value, "");
	else if (get->err != ERR_NOT_FOUND) {
		iq_refuse(iq, stanza_err_of(get->err));
		return;
	}
	if (element == NULL) {
		iq_refuse(iq, STANZA_ERR_INTERNAL_SERVER_ERROR);
		return;
	}
	node_add_copy(query, element);
	iq_reply(iq, query);
}

struct elements_set {
	struct store_count count;
	struct store_commit commit;
	struct iq *iq;
};

static void
on_set(struct iq *iq)
{
	struct elements_set *set;

	if (!is_allowed(iq, STANZA_ERR_NOT_ACCEPTABLE))
		return;
	set = arena_new(iq_arena(iq), struct elements_set);
	set->iq = iq;
	store_count(iq_store(iq), &set->count, iq_account(iq)->owner.id,
	    &private_kind, space_counted);
}

/* An element that replaces another counts in full until it has: near the quota
 * the old one must go first. */
static void
space_counted(struct store_count *count)
{
	struct elements_set *set =
	    container_of(count, struct elements_set, count);
	struct iq *iq = set->iq;
	uint64_t bytes = count->bytes;
	struct store_write *write;

	if (count->err != ERR_NONE) {
		iq_refuse(iq, stanza_err_of(count->err));
		return;
	}
	write = store_write_new(iq_store(iq));
	node_each (element, iq_payload(iq)) {
		const struct str text = writer_text(iq_arena(iq), element);

		bytes += text.len;
		store_put(write, iq_account(iq)->owner.id, &private_kind,
		    key_of(iq_arena(iq), element), text);
	}
	if (bytes > host_bytes(iq_host(iq), SETTING(QUOTA_PRIVATE))) {
		store_write_free(&write);
		iq_refuse_text(iq, STANZA_ERR_RESOURCE_CONSTRAINT,
		    "the private storage is full");
		return;
	}
	store_commit(write, &set->commit, elements_saved);
}

static void
elements_saved(struct store_commit *commit)
{
	struct elements_set *set =
	    container_of(commit, struct elements_set, commit);

	if (commit->err == ERR_NONE)
		iq_reply(set->iq, NULL);
	else
		iq_refuse(set->iq, stanza_err_of(commit->err));
}

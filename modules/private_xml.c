/*
 * modules/private_xml.c - private XML storage: elements that a client keeps for
 * itself, one per name and namespace.
 */
#include "modules/private_xml.h"

#include <stdlib.h>

#include "server/iq.h"
#include "server/settings.h"
#include "server/setup.h"
#include "xml/writer.h"

#define NS_PRIVATE "jabber:iq:private"

#define ELEMENTS_MAX 10000 /* of an account */

static void on_get(struct iq *);
static void element_loaded(struct store_get *);
static void on_set(struct iq *);
static void elements_loaded(struct store_scan *);

const struct store_kind private_kind = {"private", STORE_MAP, 0};

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

struct private_xml {
	struct list sets; /* oldest first; zeroed until first used */
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
    .account_size = sizeof(struct private_xml),
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

/* One after the other: each is measured with what those before it wrote. */
struct elements_set {
	struct link link; /* in private->sets */
	struct store_scan scan;
	struct iq *iq;
};

static struct list *
sets_of(struct account *account)
{
	struct private_xml *private;

	private = account_slot(account, &private_xml_module);
	if (private->sets.head.next == NULL)
		list_init(&private->sets);
	return &private->sets;
}

static void
measure(struct elements_set *set)
{
	struct iq *iq = set->iq;

	store_scan(iq_store(iq), &set->scan, iq_arena(iq),
	    &(struct map_query){.owner = iq_account(iq)->owner.id,
		.kind = &private_kind,
		.max = ELEMENTS_MAX},
	    elements_loaded);
}

static void
on_set(struct iq *iq)
{
	struct list *sets = sets_of(iq_account(iq));
	struct elements_set *set;
	bool is_first;

	if (!is_allowed(iq, STANZA_ERR_NOT_ACCEPTABLE))
		return;
	set = arena_new(iq_arena(iq), struct elements_set);
	set->iq = iq;
	is_first = list_is_empty(sets);
	list_add_last(sets, &set->link);
	if (is_first)
		measure(set);
}

static int
by_text(const void *a, const void *b)
{
	const struct str *one = a, *other = b;

	return str_compare(*one, *other);
}

/* Writes the new elements; their keys, in order of text, are for the caller. */
static uint64_t
put_elements(struct iq *iq, struct store_write *write, struct str *keys)
{
	uint64_t bytes = 0;
	size_t count = 0;

	node_each (element, iq_payload(iq)) {
		const struct str text = writer_text(iq_arena(iq), element);

		bytes += text.len;
		keys[count] = key_of(iq_arena(iq), element);
		store_put(write, iq_account(iq)->owner.id, &private_kind,
		    keys[count++], text);
	}
	qsort(keys, count, sizeof(keys[0]), by_text);
	return bytes;
}

/* What the new elements take, and the old ones that they do not replace. */
static void
write_elements(struct iq *iq, const struct store_scan *scan)
{
	struct store_write *write = store_write_new(iq_store(iq));
	struct str *keys;
	uint64_t bytes;
	size_t count = 0;

	node_each (element, iq_payload(iq))
		count++;
	keys = arena_array(iq_arena(iq), struct str, count);
	bytes = put_elements(iq, write, keys);
	for (size_t i = 0; i < scan->count; i++)
		if (bsearch(&scan->rows[i].key, keys, count, sizeof(keys[0]),
			by_text) == NULL)
			bytes += scan->rows[i].value.len;
	if (bytes > host_bytes(iq_host(iq), SETTING(QUOTA_PRIVATE)) ||
	    scan->is_more) {
		store_write_free(&write);
		iq_refuse_text(iq, STANZA_ERR_RESOURCE_CONSTRAINT,
		    "the private storage is full");
		return;
	}
	iq_commit(iq, write, false, NULL);
}

/* What fails for one fails for those that wait for it. Of an account that is
 * gone nothing must be written, for nothing would remove it. */
static void
refuse_all(struct list *sets, enum err err)
{
	list_each (set, sets, struct elements_set, link) {
		list_remove(&set->link);
		iq_refuse(set->iq, stanza_err_of(err));
	}
}

static void
elements_loaded(struct store_scan *scan)
{
	struct elements_set *set =
	    container_of(scan, struct elements_set, scan);
	struct account *account = iq_account(set->iq);
	struct list *sets = sets_of(account);
	struct link *next;

	if (scan->err != ERR_NONE || account->owner.is_detached) {
		refuse_all(
		    sets, scan->err == ERR_NONE ? ERR_NOT_FOUND : scan->err);
		return;
	}
	list_remove(&set->link);
	next = list_first(sets);
	write_elements(set->iq, scan);
	if (next != NULL)
		measure(list_entry(next, struct elements_set, link));
}

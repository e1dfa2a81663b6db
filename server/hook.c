#include "server/hooks.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/err.h"
#include "server/account.h"
#include "server/loader.h"
#include "server/session.h"

struct hook_row {
	const struct hook *hook;
	const struct module *module;
	size_t place; /* of the module and its hook: breaks ties of order */
};

struct hook_list {
	struct hook_row *rows;
	size_t count;
};

struct hooks {
	struct hook_list on[HOOK_ON_COUNT];
	const struct module **modules; /* that are on */
	size_t module_count;
	const char **features, **account_features; /* end with NULL */
};

/* --- slots -------------------------------------------------------------- */

/* Modules keep pointers and numbers of 64 bits there, nothing wider. */
#define SLOT_ALIGN         8
#define SLOT_ALIGN_UP(len) (((len) + SLOT_ALIGN - 1) / SLOT_ALIGN * SLOT_ALIGN)

static struct slot *
slot_of(const struct slots *slots, const struct module *module)
{
	size_t place = ((uintptr_t)module >> 4) & (slots->room - 1);

	while (slots->table[place].module != NULL &&
	       slots->table[place].module != module)
		place = (place + 1) & (slots->room - 1);
	return &slots->table[place];
}

void
slots_init(struct slots *slots, struct arena *arena,
    const struct module *const *modules)
{
	const size_t count = loader_count(modules);

	*slots = (struct slots){.room = 16};
	while (slots->room < count * 2)
		slots->room *= 2;
	slots->table = arena_array(arena, struct slot, slots->room);
	for (size_t i = 0; i < count; i++) {
		struct slot *slot = slot_of(slots, modules[i]);

		slot->module = modules[i];
		slot->account = slots->account_len;
		slot->session = slots->session_len;
		slots->account_len += SLOT_ALIGN_UP(modules[i]->account_size);
		slots->session_len += SLOT_ALIGN_UP(modules[i]->session_size);
	}
}

size_t
hook_account_slot(const struct setup *setup, const struct module *module)
{
	const struct slot *slot = slot_of(setup_slots(setup), module);

	must(slot->module == module);
	return slot->account;
}

size_t
hook_session_slot(const struct setup *setup, const struct module *module)
{
	const struct slot *slot = slot_of(setup_slots(setup), module);

	must(slot->module == module);
	return slot->session;
}

size_t
hook_account_slots_len(const struct setup *setup)
{
	return setup_slots(setup)->account_len;
}

size_t
hook_session_slots_len(const struct setup *setup)
{
	return setup_slots(setup)->session_len;
}

/* --- making tables ------------------------------------------------------ */

static bool
is_on(const struct config *config, unsigned host, const struct module *module)
{
	char name[128];
	const struct setting *setting;

	snprintf(name, sizeof(name), "modules.%s", module->name);
	setting = config_find(config, str_of(name));
	if (setting == NULL)
		return !module->is_off;
	return config_bool(config, host, setting);
}

static int
compare_text(const char *a, const char *b)
{
	if (a == NULL || b == NULL)
		return (a != NULL) - (b != NULL);
	return strcmp(a, b);
}

static int
compare_places(const struct hook_row *a, const struct hook_row *b)
{
	if (a->hook->order != b->hook->order)
		return a->hook->order < b->hook->order ? -1 : 1;
	return a->place < b->place ? -1 : a->place > b->place;
}

/* Iqs by namespace and name, a name of NULL first; the others by order. */
static int
compare_rows(const void *left, const void *right)
{
	const struct hook_row *a = left, *b = right;
	int compared = compare_text(a->hook->ns, b->hook->ns);

	if (compared == 0)
		compared = compare_text(a->hook->name, b->hook->name);
	return compared != 0 ? compared : compare_places(a, b);
}

static void
count_hooks(struct hooks *hooks)
{
	for (size_t i = 0; i < hooks->module_count; i++) {
		const struct hook *hook = hooks->modules[i]->hooks;

		for (; hook != NULL && hook->on != HOOK_END; hook++)
			hooks->on[hook->on].count++;
	}
}

static void
fill_lists(struct hooks *hooks)
{
	size_t place = 0;

	for (size_t i = 0; i < hooks->module_count; i++) {
		const struct hook *hook = hooks->modules[i]->hooks;

		for (; hook != NULL && hook->on != HOOK_END; hook++) {
			struct hook_list *list = &hooks->on[hook->on];

			list->rows[list->count++] =
			    (struct hook_row){hook, hooks->modules[i], place++};
		}
	}
}

static void
make_lists(struct hooks *hooks, struct arena *arena)
{
	count_hooks(hooks);
	for (unsigned on = 0; on < HOOK_ON_COUNT; on++) {
		struct hook_list *list = &hooks->on[on];

		list->rows = arena_array(arena, struct hook_row, list->count);
		list->count = 0;
	}
	fill_lists(hooks);
	for (unsigned on = 0; on < HOOK_ON_COUNT; on++)
		if (hooks->on[on].count > 1)
			qsort(hooks->on[on].rows, hooks->on[on].count,
			    sizeof(hooks->on[on].rows[0]), compare_rows);
}

/* Of nonzas there is one scope. */
static bool
is_same_scope(const struct hook *a, const struct hook *b)
{
	return a->on == HOOK_NONZA || (a->scope & b->scope) != 0;
}

/* Rows of one namespace and name follow each other. */
static bool
are_distinct(
    const struct hook_list *list, struct arena *arena, struct str *why_r)
{
	for (size_t i = 1; i < list->count; i++) {
		const struct hook_row *a = &list->rows[i - 1];
		const struct hook_row *b = &list->rows[i];

		if (compare_text(a->hook->ns, b->hook->ns) != 0 ||
		    compare_text(a->hook->name, b->hook->name) != 0 ||
		    !is_same_scope(a->hook, b->hook))
			continue;
		*why_r = str_format(arena,
		    "modules %s and %s both take <%s xmlns='%s'/>",
		    a->module->name, b->module->name,
		    b->hook->name == NULL ? "*" : b->hook->name, b->hook->ns);
		return false;
	}
	return true;
}

static size_t
count_texts(const char *const *texts)
{
	size_t count = 0;

	while (texts != NULL && texts[count] != NULL)
		count++;
	return count;
}

static const char **
join_features(const struct hooks *hooks, struct arena *arena,
    const char *const *(*features)(const struct module *))
{
	size_t count = 1;
	const char **all, **end;

	for (size_t i = 0; i < hooks->module_count; i++)
		count += count_texts(features(hooks->modules[i]));
	all = end = arena_array(arena, const char *, count);
	for (size_t i = 0; i < hooks->module_count; i++) {
		const char *const *from = features(hooks->modules[i]);

		for (; from != NULL && *from != NULL; from++)
			*end++ = *from;
	}
	return all;
}

static const char *const *
of_host(const struct module *module)
{
	return module->features;
}

static const char *const *
of_account(const struct module *module)
{
	return module->account_features;
}

const struct hooks *
hooks_new(struct arena *arena, const struct module *const *modules,
    const struct config *config, unsigned host, struct str *why_r)
{
	struct hooks *hooks = arena_new(arena, struct hooks);
	const size_t count = loader_count(modules);

	hooks->modules = arena_array(arena, const struct module *, count);
	for (size_t i = 0; i < count; i++)
		if (is_on(config, host, modules[i]))
			hooks->modules[hooks->module_count++] = modules[i];
	make_lists(hooks, arena);
	hooks->features = join_features(hooks, arena, of_host);
	hooks->account_features = join_features(hooks, arena, of_account);
	if (!are_distinct(&hooks->on[HOOK_IQ_GET], arena, why_r) ||
	    !are_distinct(&hooks->on[HOOK_IQ_SET], arena, why_r) ||
	    !are_distinct(&hooks->on[HOOK_NONZA], arena, why_r))
		return NULL;
	return hooks;
}

bool
hooks_equal(const struct hooks *a, const struct hooks *b)
{
	if (a->module_count != b->module_count)
		return false;
	for (size_t i = 0; i < a->module_count; i++)
		if (a->modules[i] != b->modules[i])
			return false;
	return true;
}

bool
host_has(const struct host *host, const struct module *module)
{
	for (size_t i = 0; i < host->hooks->module_count; i++)
		if (host->hooks->modules[i] == module)
			return true;
	return false;
}

const char *const *
hook_features_of_host(const struct host *host)
{
	return host->hooks->features;
}

const char *const *
hook_features_of_accounts(const struct host *host)
{
	return host->hooks->account_features;
}

/* --- running ------------------------------------------------------------ */

static const struct hook_list *
list_of(const struct host *host, enum hook_on on)
{
	return &host->hooks->on[on];
}

#define hook_each(row, list)                                                  \
	for (const struct hook_row *row = (list)->rows,                       \
				   *row##_end = (list)->rows + (list)->count; \
	    row < row##_end; row++)

enum verdict
hook_stanza(enum hook_on on, struct account *account, struct session *session,
    struct post *letter)
{
	hook_each(row,
	    list_of(account->host, on)) if (row->hook->stanza(account, session,
						letter) == TAKEN) return TAKEN;
	return PASS;
}

void
hook_session(enum hook_on on, struct session *session)
{
	hook_each(row, list_of(session->account->host, on))
	    row->hook->session(session);
}

void
hook_session_save(struct session *session, struct node *node)
{
	hook_each(row, list_of(session->account->host, HOOK_SESSION_SAVE))
	    row->hook->save(session, node);
}

void
hook_session_restore(struct session *session, const struct node *node)
{
	hook_each(row, list_of(session->account->host, HOOK_SESSION_RESTORE))
	    row->hook->restore(session, node);
}

void
hook_proved(struct session *session, uint64_t ticket)
{
	hook_each(row, list_of(session->account->host, HOOK_PROVED))
	    row->hook->proved(session, ticket);
}

void
hook_load(struct account *account, struct join *join)
{
	hook_each(row, list_of(account->host, HOOK_ACCOUNT_LOAD))
	    row->hook->load(account, join);
}

void
hook_loaded(struct account *account)
{
	hook_each(row, list_of(account->host, HOOK_ACCOUNT_LOADED))
	    row->hook->account(account);
}

static void
forget(const struct module *module, struct account *account)
{
	const struct hook *hook = module->hooks;

	for (; hook != NULL && hook->on != HOOK_END; hook++)
		if (hook->on == HOOK_ACCOUNT_FORGET)
			hook->account(account);
}

void
hook_forget(struct account *account)
{
	const struct module *const *module =
	    account->owner.shard->server->modules;

	for (; *module != NULL; module++)
		forget(*module, account);
}

void
hook_sweep(struct shard *shard, const struct host *host, owner_id owner)
{
	hook_each(row, list_of(host, HOOK_SWEEP))
	    row->hook->sweep(shard, host, owner);
}

void
hook_drain(struct account *account)
{
	hook_each(row, list_of(account->host, HOOK_ACCOUNT_DRAIN))
	    row->hook->account(account);
}

void
hook_domain(struct account *account, const struct domain_note *note)
{
	hook_each(row, list_of(account->host, HOOK_DOMAIN))
	    row->hook->domain(account, note);
}

void
hook_removed(struct account *account, struct store_write *write)
{
	hook_each(row, list_of(account->host, HOOK_ACCOUNT_REMOVED))
	    row->hook->removed(account, write);
}

void
hook_features(struct features_ask *ask)
{
	hook_each(row, list_of(ask->host, HOOK_STREAM_FEATURES))
	    row->hook->features(ask);
}

void
hook_disco(enum hook_on on, struct disco_ask *ask)
{
	hook_each(row, list_of(ask->host, on)) row->hook->disco(ask);
}

static bool
is_for(const struct hook *hook, const struct node *payload)
{
	return str_equal(str_of(hook->ns), payload->ns) &&
	       (hook->name == NULL ||
		   str_equal(str_of(hook->name), payload->name));
}

static int
compare_str(const char *text, struct str str)
{
	return str_compare(str_of(text), str);
}

/* The first row whose namespace is not before this one. */
static size_t
find_ns(const struct hook_list *list, struct str ns)
{
	size_t low = 0, high = list->count;

	while (low < high) {
		size_t middle = (low + high) / 2;

		if (compare_str(list->rows[middle].hook->ns, ns) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

/* The last one that fits is the best: one with the name comes behind one for
 * any name. scope 0: any. */
static const struct hook *
find_hook(const struct hook_list *list, const struct node *node, unsigned scope)
{
	const struct hook *found = NULL;
	size_t i = find_ns(list, node->ns);

	for (; i < list->count; i++) {
		const struct hook *hook = list->rows[i].hook;

		if (!str_equal(str_of(hook->ns), node->ns))
			break;
		if ((scope == 0 || (hook->scope & scope) != 0) &&
		    is_for(hook, node))
			found = hook;
	}
	return found;
}

const struct hook *
hook_iq(const struct host *host, bool is_set, const struct node *payload,
    unsigned scope)
{
	return find_hook(
	    list_of(host, is_set ? HOOK_IQ_SET : HOOK_IQ_GET), payload, scope);
}

const struct hook *
hook_nonza(const struct host *host, const struct node *node)
{
	return find_hook(list_of(host, HOOK_NONZA), node, 0);
}

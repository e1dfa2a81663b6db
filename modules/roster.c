/*
 * modules/roster.c - the roster in memory, and its requests by clients.
 */
#include "modules/roster.h"

#include <stdlib.h>

#include "base/hash.h"
#include "base/prefetch.h"
#include "modules/blocking.h"
#include "modules/own_iq.h"
#include "modules/roster_item.h"
#include "modules/roster_private.h"
#include "server/session.h"
#include "server/settings.h"
#include "server/setup.h"

/* So often a request waits for what was changed meanwhile. */
#define GET_ROUNDS_MAX 10

static void on_load(struct account *, struct join *);
static void on_forget(struct account *);
static void on_get(struct iq *);
static void on_set(struct iq *);
static void on_features(struct features_ask *);
static void on_closed(struct session *);

const struct store_kind roster_kind = {"roster", STORE_MAP, 0};

static void on_save(struct session *, struct node *);
static void on_restore(struct session *, const struct node *);

static const struct hook hooks[] = {
    {.on = HOOK_ACCOUNT_LOAD, .order = -100, .load = on_load},
    {.on = HOOK_ACCOUNT_LOADED, .account = roster_amend_all},
    {.on = HOOK_ACCOUNT_FORGET, .account = on_forget},
    {.on = HOOK_IQ_GET,
	.ns = NS_ROSTER,
	.name = "query",
	.scope = SCOPE_ACCOUNT,
	.iq = on_get},
    {.on = HOOK_IQ_SET,
	.ns = NS_ROSTER,
	.name = "query",
	.scope = SCOPE_ACCOUNT,
	.iq = on_set},
    {.on = HOOK_STREAM_FEATURES, .order = 50, .features = on_features},
    {.on = HOOK_SESSION_CLOSED, .session = on_closed},
    {.on = HOOK_SESSION_SAVE, .save = on_save},
    {.on = HOOK_SESSION_RESTORE, .restore = on_restore},
    {.on = HOOK_END},
};

const struct module roster_module = {
    .api = MODULE_API,
    .name = "roster",
    .help = "Contacts and their subscriptions",
    .xeps = (const char *const[]){"XEP-0237 1.3", NULL},
    .features = (const char *const[]){NS_ROSTER, NULL},
    .account_features = (const char *const[]){NS_ROSTER, NULL},
    .hooks = hooks,
    .kinds = (const struct store_kind *const[]){&roster_kind, NULL},
    .account_size = sizeof(struct roster),
    .session_size = sizeof(struct roster_session),
};

struct roster *
roster_of(struct account *account)
{
	return account_slot(account, &roster_module);
}

bool
roster_is_full(struct account *account)
{
	return roster_of(account)->listed >=
	       host_int(account->host, SETTING(QUOTA_ROSTER_ITEMS));
}

bool
roster_is_settled(struct account *account)
{
	return roster_of(account)->edits_open == 0;
}

/* --- in memory ---------------------------------------------------------- */

static bool
is_contact(const struct table_link *link, const void *key)
{
	const struct contact *contact;

	contact = container_of((struct table_link *)link, struct contact, link);
	return jid_equal(contact->jid, key);
}

struct contact *
roster_find(struct roster *roster, const struct jid *jid)
{
	return table_entry(table_find(&roster->contacts,
			       hash_keyed(jid_full(jid)), is_contact, jid),
	    struct contact, link);
}

void
roster_put(struct roster *roster, struct contact *contact)
{
	struct contact *old = roster_find(roster, contact->jid);

	if (old != NULL)
		roster_drop(roster, old);
	table_add(&roster->contacts, &contact->link,
	    hash_keyed(jid_full(contact->jid)));
	roster->listed += contact->is_listed;
	roster->pending += (contact->sub & SUB_PENDING_IN) != 0;
	if (contact->ver > roster->ver)
		roster->ver = contact->ver;
}

void
roster_drop(struct roster *roster, struct contact *contact)
{
	struct arena *arena = contact->arena;

	roster->listed -= contact->is_listed;
	roster->pending -= (contact->sub & SUB_PENDING_IN) != 0;
	table_remove(&roster->contacts, &contact->link);
	arena_free(&arena);
}

static void
clear(struct roster *roster)
{
	const struct contact *next;
	struct contact *contact;

	contact = table_entry(
	    table_next(&roster->contacts, NULL), struct contact, link);
	while (contact != NULL) {
		next =
		    table_entry(table_next(&roster->contacts, &contact->link),
			struct contact, link);
		roster_drop(roster, contact);
		contact = (struct contact *)next;
	}
	table_deinit(&roster->contacts);
}

/* Also before it is loaded anew. Edits that are on their way then are void:
 * what they were made of goes. */
static void
roster_init(struct account *account)
{
	struct roster *roster = roster_of(account);
	struct list gets;

	list_init(&gets);
	if (roster->edits.head.next != NULL) {
		roster_give_up(account);
		list_move(&gets, &roster->gets);
	}
	clear(roster);
	*roster = (struct roster){.edits_made = roster->edits_made,
	    .edits_open = roster->edits_open,
	    .is_void = true,
	    .amends = roster->amends};
	table_init(&roster->contacts);
	list_init(&roster->edits);
	list_init(&roster->gets);
	list_move(&roster->gets, &gets);
}

const struct contact *
roster_contact(struct account *account, const struct jid *jid)
{
	return roster_find(roster_of(account), jid);
}

unsigned
roster_sub(struct account *account, const struct jid *bare)
{
	const struct contact *contact = roster_contact(account, bare);

	return contact == NULL ? 0 : contact->sub;
}

const struct contact *
roster_next(struct account *account, const struct contact *contact)
{
	struct roster *roster = roster_of(account);
	const struct table_link *link = contact == NULL ? NULL : &contact->link;

	return table_entry(
	    table_next(&roster->contacts, link), struct contact, link);
}

const struct jid *const *
roster_with(
    struct account *account, struct arena *arena, unsigned sub, size_t *count_r)
{
	struct roster *roster = roster_of(account);
	const struct jid **jids;
	const struct contact *contact = NULL;
	size_t count = 0;

	jids = arena_array(arena, const struct jid *, roster->contacts.count);
	while ((contact = roster_next(account, contact)) != NULL) {
		if ((contact->sub & sub) == 0)
			continue;
		prefetch(contact->jid);
		jids[count++] = contact->jid;
	}
	*count_r = count;
	return jids;
}

unsigned
roster_pending_count(struct account *account)
{
	return roster_of(account)->pending;
}

bool
roster_is_interested(struct session *session)
{
	const struct roster_session *slot;

	slot = session_slot(session, &roster_module);
	return slot->is_interested;
}

/* --- over a restart ------------------------------------------------------ */

static void
on_save(struct session *session, struct node *node)
{
	const struct roster_session *slot;

	slot = session_slot(session, &roster_module);
	if (slot->is_interested)
		node_add(node, "interested", NS_ROSTER);
}

static void
on_restore(struct session *session, const struct node *node)
{
	struct roster_session *slot = session_slot(session, &roster_module);

	slot->is_interested = node_child(node, "interested", NS_ROSTER) != NULL;
}

/* --- loading ------------------------------------------------------------ */

static void
refuse_gets(struct roster *roster, enum err err)
{
	list_each (get, &roster->gets, struct roster_get, link) {
		list_remove(&get->link);
		iq_refuse(get->iq, stanza_err_of(err));
	}
}

static enum err
take_rows(struct account *account, const struct store_scan *scan)
{
	struct roster *roster = roster_of(account);
	enum err err = scan->err;

	for (size_t i = 0; err == ERR_NONE && i < scan->count; i++) {
		struct contact *contact;

		if (roster_row_is_floor(&scan->rows[i])) {
			roster->floor = roster_floor_read(&scan->rows[i]);
			continue;
		}
		contact = roster_item_read(&scan->rows[i]);
		if (contact == NULL)
			err = ERR_CORRUPT;
		else
			roster_put(roster, contact);
	}
	if (roster->ver < roster->floor)
		roster->ver = roster->floor;
	roster->is_void = err != ERR_NONE;
	if (err == ERR_NONE)
		roster_answer_gets(roster);
	else
		refuse_gets(roster, err);
	return err;
}

static void
on_load(struct account *account, struct join *join)
{
	roster_init(account);
	account_load_rows(
	    account, join, &roster_kind, ROSTER_ROWS_MAX, take_rows);
}

static void
on_forget(struct account *account)
{
	clear(roster_of(account));
	roster_amend_forget(roster_of(account));
}

/* --- get ---------------------------------------------------------------- */

static void
on_features(struct features_ask *ask)
{
	if (!ask->is_authenticated)
		return;
	node_add(ask->features, "ver", "urn:xmpp:features:rosterver");
	node_add(ask->features, "sub", "urn:xmpp:features:pre-approval");
}

static void
reply_whole(struct iq *iq)
{
	struct account *account = iq_account(iq);
	struct node *query = node_make(iq_arena(iq), "query", NS_ROSTER);
	const struct contact *contact = NULL;

	node_set_format(
	    query, "ver", "%llx", (unsigned long long)roster_of(account)->ver);
	while ((contact = roster_next(account, contact)) != NULL)
		if (contact->is_listed)
			roster_item_add(query, contact);
	iq_reply(iq, query);
}

static int
by_ver(const void *a, const void *b)
{
	const struct contact *const *left = a, *const *right = b;

	return ((*left)->ver > (*right)->ver) - ((*left)->ver < (*right)->ver);
}

/* Of what waits for a client pushes are a part, at most: more would end its
 * session, and again when it comes back with the same version. */
static bool
are_too_many(struct account *account, size_t changes)
{
	return changes > host_int(account->host, SETTING(SESSIONS_QUEUE)) / 4;
}

/* RFC 6121, section 2.6.3: an empty result, then one push for each contact that
 * changed since, in the order of the changes. */
static void
reply_changes(struct iq *iq, struct session *session, uint64_t since)
{
	struct account *account = iq_account(iq);
	struct arena *arena = arena_make(0);
	const struct contact **changed, *contact = NULL;
	size_t count = 0;

	changed = arena_array(
	    arena, const struct contact *, roster_of(account)->contacts.count);
	while ((contact = roster_next(account, contact)) != NULL)
		if (contact->ver > since)
			changed[count++] = contact;
	if (are_too_many(account, count)) {
		reply_whole(iq);
		arena_free(&arena);
		return;
	}
	if (count > 0)
		qsort(changed, count, sizeof(changed[0]), by_ver);
	iq_reply(iq, NULL);
	for (size_t i = 0; i < count; i++)
		own_iq_send(session, roster_push_item(arena, changed[i]));
	arena_free(&arena);
}

static void
answer_get(struct iq *iq)
{
	struct session *session = iq_session(iq);
	struct str ver = node_attr(iq_payload(iq), "ver");
	struct roster *roster = roster_of(iq_account(iq));
	struct roster_session *slot;
	uint64_t since;

	if (session == NULL) {
		iq_refuse(iq, STANZA_ERR_SERVICE_UNAVAILABLE);
		return;
	}
	slot = session_slot(session, &roster_module);
	slot->is_interested = true;
	if (roster_ver_read(ver, &since) && since >= roster->floor &&
	    since <= roster->ver && since > 0)
		reply_changes(iq, session, since);
	else
		reply_whole(iq);
}

/* What was changed since it was asked is in memory, too, and waited for, unless
 * there is always more. */
static bool
is_answerable(const struct roster *roster, struct roster_get *get)
{
	if (roster->is_void ||
	    get->after > roster->edits_made - roster->edits_open)
		return false;
	if (roster->edits_open == 0 || get->rounds == GET_ROUNDS_MAX)
		return true;
	get->rounds++;
	get->after = roster->edits_made;
	return false;
}

void
roster_answer_gets(struct roster *roster)
{
	list_each (get, &roster->gets, struct roster_get, link) {
		if (!is_answerable(roster, get))
			continue;
		list_remove(&get->link);
		answer_get(get->iq);
	}
}

static void
on_get(struct iq *iq)
{
	struct roster *roster = roster_of(iq_account(iq));
	struct roster_get *get;

	if (!iq_is_own(iq)) {
		iq_refuse(iq, STANZA_ERR_FORBIDDEN);
		return;
	}
	if (roster_is_settled(iq_account(iq))) {
		answer_get(iq);
		return;
	}
	get = arena_new(iq_arena(iq), struct roster_get);
	get->iq = iq;
	get->after = roster->edits_made;
	list_add_last(&roster->gets, &get->link);
}

/* Who asked is gone, and what that waits for may never come. */
static void
on_closed(struct session *session)
{
	struct roster *roster = roster_of(session->account);

	if (roster->edits_open == 0 && !roster->is_void)
		return;
	list_each (get, &roster->gets, struct roster_get, link) {
		if (iq_session(get->iq) != NULL)
			continue;
		list_remove(&get->link);
		iq_refuse(get->iq, STANZA_ERR_SERVICE_UNAVAILABLE);
	}
}

/* --- set ---------------------------------------------------------------- */

/* RFC 6121, section 2.5.2: whoever is subscribed is told. A request that waits
 * for an answer is denied by the same letter. To who is blocked the account is
 * offline already, and its resources are none of his business. */
static void
cancel_subscriptions(struct roster_edit *edit, struct account *account,
    const struct contact *contact)
{
	if ((contact->sub & (SUB_TO | SUB_ASK)) != 0)
		roster_edit_letter(edit, contact->jid, STANZA_UNSUBSCRIBE);
	if ((contact->sub & SUB_FROM) != 0 &&
	    !blocking_blocks(account, contact->jid))
		roster_send_presence(account, contact->jid, false);
	if ((contact->sub & (SUB_FROM | SUB_PENDING_IN)) != 0)
		roster_edit_letter(edit, contact->jid, STANZA_UNSUBSCRIBED);
}

static void
remove_item(struct iq *iq, const struct jid *jid)
{
	struct account *account = iq_account(iq);
	const struct contact *contact = roster_contact(account, jid);
	struct roster_edit *edit;

	if (contact == NULL || !contact->is_listed) {
		iq_refuse(iq, STANZA_ERR_ITEM_NOT_FOUND);
		return;
	}
	edit = roster_edit_new(account);
	cancel_subscriptions(edit, account, contact);
	roster_edit_remove(edit, jid);
	roster_edit_commit(edit, iq);
}

static void
set_item(struct iq *iq, const struct jid *jid, const struct node *item)
{
	struct account *account = iq_account(iq);
	const struct contact *old = roster_contact(account, jid);
	const bool is_new = old == NULL || !old->is_listed;
	enum stanza_err err = roster_item_check(iq_arena(iq), item);
	struct roster_edit *edit;

	if (err != STANZA_ERR_NONE) {
		iq_refuse(iq, err);
		return;
	}
	if (is_new && roster_is_full(account)) {
		iq_refuse_text(
		    iq, STANZA_ERR_RESOURCE_CONSTRAINT, "the roster is full");
		return;
	}
	edit = roster_edit_new(account);
	roster_edit_item(edit, jid, item);
	roster_edit_commit(edit, iq);
}

static void
on_set(struct iq *iq)
{
	const struct node *item = node_first(iq_payload(iq));
	const struct jid *jid;

	if (!iq_is_own(iq)) {
		iq_refuse(iq, STANZA_ERR_FORBIDDEN);
		return;
	}
	if (!node_is(item, "item", NS_ROSTER) || node_next(item) != NULL ||
	    node_attr(item, "jid").len == 0) {
		iq_refuse(iq, STANZA_ERR_BAD_REQUEST);
		return;
	}
	jid = jid_parse(iq_arena(iq), node_attr(item, "jid"));
	if (jid == NULL)
		iq_refuse(iq, STANZA_ERR_JID_MALFORMED);
	else if (jid_equal(jid, account_jid(iq_account(iq))))
		iq_refuse_text(iq, STANZA_ERR_NOT_ALLOWED,
		    "an account cannot be its own contact");
	else if (str_is(node_attr(item, "subscription"), "remove"))
		remove_item(iq, jid);
	else
		set_item(iq, jid, item);
}

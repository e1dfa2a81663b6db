/*
 * modules/blocking.c - the block list of an account, in memory with it.
 */
#include "modules/blocking.h"

#include "base/hash.h"
#include "base/rand.h"
#include "modules/own_iq.h"
#include "modules/roster.h"
#include "server/iq.h"
#include "server/outbox.h"
#include "server/router.h"
#include "server/session.h"
#include "server/settings.h"
#include "server/setup.h"

#define NS_BLOCKING        "urn:xmpp:blocking"
#define NS_BLOCKING_ERRORS "urn:xmpp:blocking:errors"

/* No quota allows more. */
#define ROWS_MAX 1000000

static void on_load(struct account *, struct join *);
static void on_loaded(struct account *);
static void on_forget(struct account *);
static enum verdict on_sent(struct account *, struct session *, struct post *);
static enum verdict on_received(
    struct account *, struct session *, struct post *);
static void on_get(struct iq *);
static void on_block(struct iq *);
static void on_unblock(struct iq *);

const struct store_kind blocking_kind = {"blocking", STORE_MAP, 0};

static void on_save(struct session *, struct node *);
static void on_restore(struct session *, const struct node *);

#define OWN_IQ(when, element, handler) \
	{.on = (when),                 \
	    .ns = NS_BLOCKING,         \
	    .name = (element),         \
	    .scope = SCOPE_SELF,       \
	    .iq = (handler)}

static const struct hook hooks[] = {
    {.on = HOOK_ACCOUNT_LOAD, .load = on_load},
    {.on = HOOK_ACCOUNT_LOADED, .account = on_loaded},
    {.on = HOOK_ACCOUNT_FORGET, .account = on_forget},
    {.on = HOOK_SENT_MESSAGE, .order = -100, .stanza = on_sent},
    {.on = HOOK_SENT_PRESENCE, .order = -100, .stanza = on_sent},
    {.on = HOOK_SENT_IQ, .order = -100, .stanza = on_sent},
    {.on = HOOK_RECEIVED_MESSAGE, .order = -100, .stanza = on_received},
    {.on = HOOK_RECEIVED_PRESENCE, .order = -100, .stanza = on_received},
    {.on = HOOK_RECEIVED_IQ, .order = -100, .stanza = on_received},
    OWN_IQ(HOOK_IQ_GET, "blocklist", on_get),
    OWN_IQ(HOOK_IQ_SET, "block", on_block),
    OWN_IQ(HOOK_IQ_SET, "unblock", on_unblock),
    {.on = HOOK_SESSION_SAVE, .save = on_save},
    {.on = HOOK_SESSION_RESTORE, .restore = on_restore},
    {.on = HOOK_END},
};

struct blocked {
	struct table_link link;
	struct table_link link_by_bare; /* when it has a resource */
	struct arena *arena;
	const struct jid *jid;
};

struct block_list {
	struct table blocked;
	struct table by_bare; /* those with a resource */
	struct told *told;    /* changes that failed, until it is loaded anew */
	unsigned open;        /* changes that are not committed yet */
	bool is_shown;        /* a session asked for the list with these */
};

/* Contacts saw the change, which may or may not hold. */
struct told {
	struct told *next;
	struct arena *arena;
	const struct jid *jid;
	bool is_uncertain; /* it is not what the sessions know */
};

struct blocking_session {
	bool is_interested; /* asked for the list: gets pushes */
};

const struct module blocking_module = {
    .api = MODULE_API,
    .name = "blocking",
    .help = "Block lists of accounts",
    .xeps = (const char *const[]){"XEP-0191 1.3", NULL},
    .features = (const char *const[]){NS_BLOCKING, NULL},
    .account_features = (const char *const[]){NS_BLOCKING, NULL},
    .hooks = hooks,
    .kinds = (const struct store_kind *const[]){&blocking_kind, NULL},
    .account_size = sizeof(struct block_list),
    .session_size = sizeof(struct blocking_session),
};

/* --- over a restart ------------------------------------------------------ */

static void
on_save(struct session *session, struct node *node)
{
	const struct blocking_session *slot;

	slot = session_slot(session, &blocking_module);
	if (slot->is_interested)
		node_add(node, "interested", NS_BLOCKING);
}

static void
on_restore(struct session *session, const struct node *node)
{
	struct blocking_session *slot = session_slot(session, &blocking_module);

	slot->is_interested =
	    node_child(node, "interested", NS_BLOCKING) != NULL;
}

/* --- the list in memory -------------------------------------------------- */

static struct block_list *
list_of(struct account *account)
{
	return account_slot(account, &blocking_module);
}

static struct table *
table_of(struct account *account)
{
	return &list_of(account)->blocked;
}

static struct table *
table_by_bare(struct account *account)
{
	return &list_of(account)->by_bare;
}

static bool
is_jid(const struct table_link *link, const void *key)
{
	const struct blocked *blocked;

	blocked = container_of((struct table_link *)link, struct blocked, link);
	return str_equal(jid_full(blocked->jid), *(const struct str *)key);
}

static struct blocked *
find(struct account *account, struct str jid)
{
	return table_entry(
	    table_find(table_of(account), hash_keyed(jid), is_jid, &jid),
	    struct blocked, link);
}

static void
add(struct account *account, const struct jid *jid)
{
	struct arena *arena;
	struct blocked *blocked;

	if (find(account, jid_full(jid)) != NULL)
		return;
	arena = arena_make(128);
	blocked = arena_new(arena, struct blocked);
	blocked->arena = arena;
	blocked->jid = jid_copy(arena, jid);
	table_add(table_of(account), &blocked->link,
	    hash_keyed(jid_full(blocked->jid)));
	if (!jid_is_bare(jid))
		table_add(table_by_bare(account), &blocked->link_by_bare,
		    hash_keyed(jid_bare(blocked->jid)));
}

static void
drop(struct account *account, struct blocked *blocked)
{
	struct arena *arena = blocked->arena;

	table_remove(table_of(account), &blocked->link);
	if (!jid_is_bare(blocked->jid))
		table_remove(table_by_bare(account), &blocked->link_by_bare);
	arena_free(&arena);
}

static struct blocked *
next(struct account *account, struct blocked *blocked)
{
	return table_entry(table_next(table_of(account),
			       blocked == NULL ? NULL : &blocked->link),
	    struct blocked, link);
}

static void
clear(struct account *account)
{
	struct blocked *blocked = next(account, NULL);

	while (blocked != NULL) {
		struct blocked *after = next(account, blocked);

		drop(account, blocked);
		blocked = after;
	}
	table_deinit(table_of(account));
	table_deinit(table_by_bare(account));
}

static void
forget_first_told(struct block_list *list)
{
	struct arena *arena = list->told->arena;

	list->told = list->told->next;
	arena_free(&arena);
}

static void
on_forget(struct account *account)
{
	clear(account);
	while (list_of(account)->told != NULL)
		forget_first_told(list_of(account));
}

static bool
has_other(struct account *account, struct str jid, const struct jid *item)
{
	return (item == NULL || !str_equal(jid, jid_full(item))) &&
	       find(account, jid) != NULL;
}

/* Whether an item of the list blocks it, other than this one (or NULL). */
static bool
blocks_without(
    struct account *account, const struct jid *jid, const struct jid *item)
{
	struct arena *arena;
	bool is_blocked;

	if (table_of(account)->count == 0 ||
	    jid_equal_bare(jid, account_jid(account)))
		return false;
	if (has_other(account, jid_full(jid), item) ||
	    has_other(account, jid_bare(jid), item))
		return true;
	arena = arena_make(0);
	is_blocked = has_other(account, jid_domain(jid), item) ||
		     has_other(account,
			 jid_full(jid_make(arena, STR_NONE, jid_domain(jid),
			     jid_resource(jid))),
			 item);
	arena_free(&arena);
	return is_blocked;
}

bool
blocking_blocks(struct account *account, const struct jid *jid)
{
	return blocks_without(account, jid, NULL);
}

/* --- presence that some resources must not see --------------------------- */

static bool
has_bare(const struct table_link *link, const void *key)
{
	const struct blocked *blocked;

	blocked = container_of(
	    (struct table_link *)link, struct blocked, link_by_bare);
	return str_equal(jid_bare(blocked->jid), *(const struct str *)key);
}

static bool
hides_from(struct account *account, struct str bare)
{
	return table_find(table_by_bare(account), hash_keyed(bare), has_bare,
		   &bare) != NULL;
}

bool
blocking_hides_some(struct account *account, const struct jid *bare)
{
	return table_by_bare(account)->count != 0 &&
	       !jid_equal(bare, account_jid(account)) &&
	       (hides_from(account, jid_bare(bare)) ||
		   hides_from(account, jid_domain(bare)));
}

void
blocking_hide(struct account *account, struct post *letter)
{
	const struct jid *to = letter->stanza->to;
	struct blocked *blocked = NULL;
	struct str *hidden;

	if (!jid_is_bare(to) || !blocking_hides_some(account, to))
		return;
	hidden = arena_array(
	    letter->arena, struct str, table_by_bare(account)->count);
	letter->hidden_from = hidden;
	while ((blocked = next(account, blocked)) != NULL)
		if (!jid_is_bare(blocked->jid) &&
		    (str_equal(jid_bare(blocked->jid), jid_bare(to)) ||
			str_equal(jid_bare(blocked->jid), jid_domain(to))))
			hidden[letter->hidden_count++] =
			    str_dup(letter->arena, jid_resource(blocked->jid));
}

void
blocking_send_presence(struct account *account, const struct stanza *stanza)
{
	struct post *letter = post_new(POST_STANZA, NULL);

	letter->stanza = stanza_copy_deep(letter->arena, stanza);
	blocking_hide(account, letter);
	router_route(account->owner.shard, account, letter);
}

/* --- loading ------------------------------------------------------------- */

/* When it is loaded anew what was there holds until then: what was asked of the
 * store before goes on meanwhile. */
static enum err
take_list(struct account *account, const struct store_scan *scan)
{
	enum err err = scan->err;

	if (err == ERR_NONE)
		clear(account);
	for (size_t i = 0; err == ERR_NONE && i < scan->count; i++) {
		const struct jid *jid =
		    jid_parse(scan->arena, scan->rows[i].key);

		if (jid == NULL)
			err = ERR_CORRUPT;
		else
			add(account, jid);
	}
	return err;
}

static void
on_load(struct account *account, struct join *join)
{
	account_load_rows(account, join, &blocking_kind, ROWS_MAX, take_list);
}

/* --- what it keeps out and in -------------------------------------------- */

/* Presence, too: a client would believe that it changed a subscription. */
static bool
must_tell(const struct stanza *stanza)
{
	return stanza->kind == STANZA_PRESENCE ? stanza->type != STANZA_ERROR
					       : stanza_may_fail(stanza);
}

/* Section 3.3: not-acceptable, and that it is the user's own doing. */
static enum verdict
on_sent(struct account *account, struct session *session, struct post *letter)
{
	const struct stanza *stanza = letter->stanza;
	struct stanza *error;

	if (stanza->to == NULL || !blocking_blocks(account, stanza->to))
		return PASS;
	if (must_tell(stanza)) {
		error = stanza_make_error(
		    letter->arena, stanza, STANZA_ERR_NOT_ACCEPTABLE, NULL);
		node_add(
		    stanza_error_body(error), "blocked", NS_BLOCKING_ERRORS);
		session_send(session, error);
	}
	post_free(&letter);
	return TAKEN;
}

/* Changes of subscriptions, and that a request met nobody (outbox_return), are
 * kept, in silence (subscription.c): the rosters of both must agree when the
 * block ends. */
static bool
is_subscription(const struct post *letter)
{
	const struct stanza *stanza = letter->stanza;

	return stanza->kind == STANZA_PRESENCE &&
	       (letter->durable.row != 0 ||
		   (stanza->type >= STANZA_SUBSCRIBE &&
		       stanza->type <= STANZA_UNSUBSCRIBED));
}

/* To a blocked address the account looks offline. */
static enum verdict
on_received(
    struct account *account, struct session *session, struct post *letter)
{
	const struct stanza *stanza = letter->stanza;
	struct shard *shard = account->owner.shard;

	(void)session;
	if (!blocking_blocks(account, stanza->from) || is_subscription(letter))
		return PASS;
	outbox_drop(shard, letter->durable);
	if (stanza->kind == STANZA_PRESENCE)
		post_free(&letter);
	else
		router_bounce(
		    shard, letter, STANZA_ERR_SERVICE_UNAVAILABLE, NULL);
	return TAKEN;
}

/* --- the list on the wire ------------------------------------------------ */

static void
on_get(struct iq *iq)
{
	struct account *account = iq_account(iq);
	struct session *session = iq_session(iq);
	struct node *list = node_make(iq_arena(iq), "blocklist", NS_BLOCKING);
	struct blocked *blocked = NULL;

	if (session != NULL) {
		struct blocking_session *slot;

		slot = session_slot(session, &blocking_module);
		slot->is_interested = true;
		list_of(account)->is_shown |= list_of(account)->open > 0;
	}
	while ((blocked = next(account, blocked)) != NULL)
		node_set(node_add(list, "item", NS_BLOCKING), "jid",
		    jid_full(blocked->jid));
	iq_reply(iq, list);
}

/* The JIDs of the items; NULL, with the answer given, when one is bad. */
static const struct jid **
read_items(struct iq *iq, size_t *count_r)
{
	const struct jid **jids;
	size_t count = 0;

	node_each (item, iq_payload(iq))
		count += node_is(item, "item", NS_BLOCKING);
	jids = arena_array(iq_arena(iq), const struct jid *, count + 1);
	*count_r = 0;
	node_each (item, iq_payload(iq)) {
		const struct jid *jid;

		if (!node_is(item, "item", NS_BLOCKING))
			continue;
		jid = jid_parse(iq_arena(iq), node_attr(item, "jid"));
		if (jid == NULL) {
			iq_refuse(iq, STANZA_ERR_JID_MALFORMED);
			return NULL;
		}
		jids[(*count_r)++] = jid;
	}
	return jids;
}

/* Who may see our presence sees us go, or come back: sections 3.3 and 3.4. A
 * domain or a resource stands for all contacts it matches. Whom another item
 * blocks sees nothing before and after. */
static void
tell_contacts(struct account *account, const struct jid *jid, bool is_available)
{
	const struct contact *contact = NULL;
	struct arena *arena = arena_make(0);

	while ((contact = roster_next(account, contact)) != NULL) {
		const struct jid *to;
		const bool matches =
		    jid_local(jid).len == 0
			? str_equal(jid_domain(jid), jid_domain(contact->jid))
			: jid_equal_bare(jid, contact->jid);

		if (!matches || (contact->sub & SUB_FROM) == 0)
			continue;
		to = jid_make(arena, jid_local(contact->jid), jid_domain(jid),
		    jid_resource(jid));
		if (!blocks_without(account, to, jid))
			roster_send_presence(account, to, is_available);
	}
	arena_free(&arena);
}

/* --- changing it --------------------------------------------------------- */

/* Lives in the arena of its iq. */
struct change {
	struct store_commit commit;
	struct iq *iq;
	struct store_write *write;
	const struct jid **jids; /* that were not in the list, or were */
	size_t count;
};

static void list_committed(struct store_commit *);

static struct change *
change_new(struct iq *iq, size_t max)
{
	struct change *change = arena_new(iq_arena(iq), struct change);

	change->iq = iq;
	change->write = store_write_new(iq_store(iq));
	change->jids = arena_array(iq_arena(iq), const struct jid *, max);
	return change;
}

static void
change_commit(struct change *change)
{
	list_of(iq_account(change->iq))->open++;
	store_commit(change->write, &change->commit, list_committed);
}

static void
block(struct account *account, const struct jid *jid)
{
	tell_contacts(account, jid, false);
	add(account, jid);
}

static void
unblock(struct account *account, struct blocked *blocked)
{
	struct arena *arena = arena_make(0);
	const struct jid *jid = jid_copy(arena, blocked->jid);

	drop(account, blocked);
	tell_contacts(account, jid, true);
	arena_free(&arena);
}

/* Contacts were told already. */
static void
note_told(struct account *account, const struct jid *jid, enum err err)
{
	struct arena *arena = arena_make(128);
	struct told *told = arena_new(arena, struct told);

	told->arena = arena;
	told->jid = jid_copy(arena, jid);
	told->is_uncertain = err == ERR_UNCERTAIN || list_of(account)->is_shown;
	told->next = list_of(account)->told;
	list_of(account)->told = told;
}

static void
push(struct account *account, const struct node *payload)
{
	session_each (session, account) {
		const struct blocking_session *slot;

		slot = session_slot(session, &blocking_module);
		if (slot->is_interested)
			own_iq_send(session, payload);
	}
}

static void
push_item(struct account *account, const struct told *told, bool is_blocked)
{
	struct node *list = node_make(
	    told->arena, is_blocked ? "block" : "unblock", NS_BLOCKING);

	node_set(
	    node_add(list, "item", NS_BLOCKING), "jid", jid_full(told->jid));
	push(account, list);
}

/* After changes that failed all are told what holds. */
static void
on_loaded(struct account *account)
{
	struct block_list *list = list_of(account);

	for (; list->told != NULL; forget_first_told(list)) {
		const struct told *told = list->told;
		const bool is_blocked =
		    find(account, jid_full(told->jid)) != NULL;

		if (told->is_uncertain)
			push_item(account, told, is_blocked);
		tell_contacts(account, told->jid, !is_blocked);
	}
}

/* Result and pushes leave after the commit. */
static void
list_saved(struct iq *iq)
{
	push(iq_account(iq), iq_payload(iq));
	iq_reply(iq, NULL);
}

static void
list_committed(struct store_commit *commit)
{
	struct change *change = container_of(commit, struct change, commit);
	struct account *account = iq_account(change->iq);
	struct block_list *list = list_of(account);

	for (size_t i = 0; commit->err != ERR_NONE && i < change->count; i++)
		note_told(account, change->jids[i], commit->err);
	if (--list->open == 0)
		list->is_shown = false;
	if (commit->err == ERR_NONE) {
		list_saved(change->iq);
		return;
	}
	owner_reload(&account->owner);
	iq_refuse(change->iq, stanza_err_of(commit->err));
}

static size_t
count_new(struct account *account, const struct jid **jids, size_t count)
{
	size_t news = 0;

	for (size_t i = 0; i < count; i++)
		news += find(account, jid_full(jids[i])) == NULL;
	return news;
}

static void
on_block(struct iq *iq)
{
	struct account *account = iq_account(iq);
	struct change *change;
	const struct jid **jids;
	size_t count;

	if ((jids = read_items(iq, &count)) == NULL)
		return;
	if (count == 0) {
		iq_refuse(iq, STANZA_ERR_BAD_REQUEST);
		return;
	}
	if (table_of(account)->count + count_new(account, jids, count) >
	    host_int(iq_host(iq), SETTING(QUOTA_BLOCKED))) {
		iq_refuse_text(iq, STANZA_ERR_RESOURCE_CONSTRAINT,
		    "the block list is full");
		return;
	}
	change = change_new(iq, count);
	for (size_t i = 0; i < count; i++) {
		if (find(account, jid_full(jids[i])) == NULL) {
			block(account, jids[i]);
			change->jids[change->count++] = jids[i];
		}
		store_put(change->write, account->owner.id, &blocking_kind,
		    jid_full(jids[i]), STR(""));
	}
	change_commit(change);
}

static void
unblock_all(struct change *change)
{
	struct account *account = iq_account(change->iq);
	struct blocked *blocked;

	store_remove_all(
	    change->write, account->owner.id, &blocking_kind, STR(""));
	while ((blocked = next(account, NULL)) != NULL) {
		change->jids[change->count++] =
		    jid_copy(iq_arena(change->iq), blocked->jid);
		unblock(account, blocked);
	}
}

static void
unblock_some(struct change *change, const struct jid **jids, size_t count)
{
	struct account *account = iq_account(change->iq);

	for (size_t i = 0; i < count; i++) {
		struct blocked *blocked = find(account, jid_full(jids[i]));

		/* It may be gone by a change that is yet to fail. */
		store_remove(change->write, account->owner.id, &blocking_kind,
		    jid_full(jids[i]));
		if (blocked == NULL)
			continue;
		change->jids[change->count++] = jids[i];
		unblock(account, blocked);
	}
}

static void
on_unblock(struct iq *iq)
{
	struct change *change;
	const struct jid **jids;
	size_t count;

	if ((jids = read_items(iq, &count)) == NULL)
		return;
	change = change_new(
	    iq, count == 0 ? table_of(iq_account(iq))->count : count);
	if (count == 0)
		unblock_all(change);
	else
		unblock_some(change, jids, count);
	change_commit(change);
}

/*
 * modules/push.c - registrations: who enabled what, and who is notified.
 *
 * They are loaded with the account and live in memory while it does. The key
 * of a row is service and node, its value an element with the session, what is
 * counted, and the form.
 */
#include "modules/push.h"

#include "modules/carbons.h"
#include "modules/presence.h"
#include "modules/push_private.h"
#include "server/iq.h"
#include "server/resume.h"
#include "server/session.h"
#include "server/wake.h"
#include "xml/form.h"
#include "xml/writer.h"

#define NS_PUBSUB          "http://jabber.org/protocol/pubsub"
#define NS_PUBLISH_OPTIONS NS_PUBSUB "#publish-options"

/* Of what a client asks to be kept, in bytes. */
#define NODE_LEN_MAX    1023
#define OPTIONS_LEN_MAX 4096

static void on_load(struct account *, struct join *);
static void on_forget(struct account *);
static void on_drain(struct account *);
static void on_removed(struct account *, struct store_write *);
static void on_enable(struct iq *);
static void on_disable(struct iq *);
static enum verdict on_received(
    struct account *, struct session *, struct post *);
static enum verdict on_kept(struct account *, struct session *, struct post *);
static enum verdict on_deliver(
    struct account *, struct session *, struct post *);
static void on_detached(struct session *);
static void on_resumed(struct session *);
static void on_save(struct session *, struct node *);
static void on_restore(struct session *, const struct node *);
static void on_available(struct session *);

const struct setting push_settings[] = {
    [PUSH_REGISTRATIONS] = {"push.registrations", SETTING_INT,
	SETTING_PER_HOST | SETTING_RELOADS, .min = 1, .max = 1000,
	.preset = "20",
	.help = "Devices of an account that may have push notifications."},
    [PUSH_INTERVAL] = {"push.interval", SETTING_TIME,
	SETTING_PER_HOST | SETTING_RELOADS, .max = 30 * SECOND, .preset = "2 s",
	.help = "The least time between two notifications to a device; what "
		"happens meanwhile is told together."},
    [PUSH_SHOW_SENDER] = {"push.show_sender", SETTING_BOOL,
	SETTING_PER_HOST | SETTING_RELOADS, .preset = "false",
	.help = "Whether notifications tell push services who wrote."},
    [PUSH_SHOW_BODY] = {"push.show_body", SETTING_BOOL,
	SETTING_PER_HOST | SETTING_RELOADS, .preset = "false",
	.help = "Whether they tell them what was written, if it is not "
		"encrypted."},
    [PUSH_GIVE_UP] = {"push.give_up", SETTING_TIME,
	SETTING_PER_HOST | SETTING_RELOADS, .min = MINUTE, .max = 365 * DAY,
	.preset = "7 d",
	.help = "When a device is forgotten whose push service does not "
		"answer, or says that it cannot now."},
    {NULL},
};

const struct store_kind push_kind = {"push", STORE_MAP, 0};

static const struct hook hooks[] = {
    {.on = HOOK_ACCOUNT_LOAD, .load = on_load},
    {.on = HOOK_ACCOUNT_FORGET, .account = on_forget},
    {.on = HOOK_ACCOUNT_DRAIN, .account = on_drain},
    {.on = HOOK_ACCOUNT_REMOVED, .removed = on_removed},
    {.on = HOOK_IQ_SET,
	.ns = NS_PUSH,
	.name = "enable",
	.scope = SCOPE_SELF,
	.iq = on_enable},
    {.on = HOOK_IQ_SET,
	.ns = NS_PUSH,
	.name = "disable",
	.scope = SCOPE_SELF,
	.iq = on_disable},
    {.on = HOOK_RECEIVED_MESSAGE, .stanza = on_received},
    {.on = HOOK_KEPT, .stanza = on_kept},
    {.on = HOOK_DELIVER, .order = 900, .stanza = on_deliver},
    {.on = HOOK_SESSION_DETACHED, .session = on_detached},
    {.on = HOOK_SESSION_RESUMED, .session = on_resumed},
    {.on = HOOK_SESSION_SAVE, .save = on_save},
    {.on = HOOK_SESSION_RESTORE, .restore = on_restore},
    {.on = HOOK_SESSION_AVAILABLE, .session = on_available},
    {.on = HOOK_END},
};

struct push {
	struct list registrations; /* zeroed until first used */
	unsigned count;
	bool has_wake; /* its row is there: server/wake.h */
};

struct push_session {
	uint64_t told; /* of what it was sent until it was detached: so many
			  were looked at */
	bool is_cut;   /* the end of the server detached it */
};

const struct module push_module = {
    .api = MODULE_API,
    .name = "push",
    .help = "Notifications that wake devices",
    .xeps = (const char *const[]){"XEP-0357 0.4.1", NULL},
    .account_features = (const char *const[]){NS_PUSH, NULL},
    .hooks = hooks,
    .kinds = (const struct store_kind *const[]){&push_kind, NULL},
    .settings = push_settings,
    .account_size = sizeof(struct push),
    .session_size = sizeof(struct push_session),
};

/* --- in memory ---------------------------------------------------------- */

static struct push *
push_of(struct account *account)
{
	struct push *push = account_slot(account, &push_module);

	if (push->registrations.head.next == NULL)
		list_init(&push->registrations);
	return push;
}

#define registration_each(each, account) \
	list_each (                      \
	    each, &push_of(account)->registrations, struct registration, link)

struct registration *
push_find(struct account *account, const struct jid *jid, struct str node)
{
	registration_each(
	    each, account) if (jid_equal(each->jid, jid) &&
			       str_equal(each->node, node)) return each;
	return NULL;
}

static struct registration *
registration_new(
    struct account *account, const struct jid *jid, struct str node)
{
	struct arena *arena = arena_make(0);
	struct registration *registration =
	    arena_new(arena, struct registration);

	registration->arena = arena;
	registration->account = account;
	registration->jid = jid_copy(arena, jid);
	registration->node = str_dup(arena, node);
	return registration;
}

static void
drop(struct registration *registration)
{
	struct push *push = push_of(registration->account);
	struct arena *arena = registration->arena;

	push_state_drop(registration);
	if (list_holds(&registration->link)) {
		list_remove(&registration->link);
		push->count--;
	}
	arena_free(&arena);
}

static void
add(struct registration *registration)
{
	struct push *push = push_of(registration->account);

	list_add_last(&push->registrations, &registration->link);
	push->count++;
}

/* In the place of the one with the same address; who enables it is there, and
 * needs no notification of what was. Nor does the answer to one that is under
 * way concern what it enabled. */
static void
replace(struct registration *registration)
{
	struct registration *old = push_find(
	    registration->account, registration->jid, registration->node);

	if (old != NULL) {
		old->state.is_due = false;
		old->state.open = NULL;
		push_state_move(registration, old);
		drop(old);
	}
	add(registration);
}

static void
on_forget(struct account *account)
{
	registration_each(each, account) drop(each);
}

/* --- in the store ------------------------------------------------------- */

static struct str
key_of(struct arena *arena, const struct registration *registration)
{
	return store_key2(
	    arena, jid_full(registration->jid), registration->node);
}

static void
write_row(struct store_write *write, const struct registration *registration)
{
	struct arena *arena = arena_make(0);
	struct node *row = node_make(arena, "push", "");

	node_set(row, "resource", registration->resource);
	node_set_format(row, "messages", "%llu",
	    (unsigned long long)registration->messages);
	node_set_format(row, "failing", "%llu",
	    (unsigned long long)registration->failing_us);
	if (registration->has_waited)
		node_set(row, "waited", STR("1"));
	if (push_owes(registration))
		node_set(row, "owed", STR("1"));
	if (registration->options != NULL)
		node_add_copy(row, registration->options);
	store_put(write, registration->account->owner.id, &push_kind,
	    key_of(arena, registration), writer_text(arena, row));
	arena_free(&arena);
}

static void
remove_row(struct store_write *write, const struct registration *registration)
{
	struct arena *arena = arena_make(0);

	store_remove(write, registration->account->owner.id, &push_kind,
	    key_of(arena, registration));
	arena_free(&arena);
}

static bool
owes(struct account *account)
{
	registration_each(each, account) if (push_owes(each)) return true;
	return false;
}

/* The account shall be loaded by the next run while anything is owed. */
static void
note_wake(struct store_write *write, struct account *account)
{
	struct push *push = push_of(account);
	const bool wants = owes(account);

	if (wants == push->has_wake)
		return;
	push->has_wake = wants;
	if (wants)
		wake_add(write, account, push_module.name);
	else
		wake_remove(write, account, push_module.name);
}

void
push_save(struct registration *registration)
{
	struct account *account = registration->account;
	struct store_write *write =
	    store_write_new(account->owner.shard->store);

	write_row(write, registration);
	note_wake(write, account);
	store_commit_lazy(write, NULL, NULL);
}

void
push_remove(struct registration *registration)
{
	struct account *account = registration->account;
	struct store_write *write =
	    store_write_new(account->owner.shard->store);

	remove_row(write, registration);
	drop(registration);
	note_wake(write, account);
	store_commit_lazy(write, NULL, NULL);
}

/* What happened since it was written that something is owed. */
static void
on_drain(struct account *account)
{
	registration_each(each, account) if (push_owes(each)) push_save(each);
}

static void
on_removed(struct account *account, struct store_write *write)
{
	wake_remove(write, account, push_module.name);
}

/* NULL when it is damaged. */
static struct registration *
read_row(struct account *account, const struct map_row *row)
{
	struct arena *arena = arena_make(0);
	const struct node *node = node_parse(arena, row->value, "");
	const struct jid *jid = jid_parse(arena, store_key_part(row->key, 0));
	struct registration *registration = NULL;

	if (jid != NULL && node_is(node, "push", "")) {
		const struct node *form = form_find(node);

		registration =
		    registration_new(account, jid, store_key_part(row->key, 1));
		registration->resource =
		    str_dup(registration->arena, node_attr(node, "resource"));
		(void)str_to_u64(node_attr(node, "messages"), UINT64_MAX,
		    &registration->messages);
		(void)str_to_u64(node_attr(node, "failing"), UINT64_MAX,
		    &registration->failing_us);
		registration->has_waited = node_attr(node, "waited").len > 0;
		registration->state.is_due = node_attr(node, "owed").len > 0;
		if (form != NULL)
			registration->options =
			    node_copy_deep(registration->arena, form);
	}
	arena_free(&arena);
	return registration;
}

/* Those that were there before go unless they are there still. */
static enum err
take_rows(struct account *account, const struct store_scan *scan)
{
	struct push *push = push_of(account);
	struct list old;

	if (scan->err != ERR_NONE)
		return scan->err;
	list_init(&old);
	list_move(&old, &push->registrations);
	push->has_wake = false;
	for (size_t i = 0; i < scan->count; i++) {
		struct registration *read = read_row(account, &scan->rows[i]);

		if (read == NULL) {
			log_error(&account->owner.log,
			    "a push registration is damaged");
			continue;
		}
		push->has_wake |= push_owes(read);
		add(read);
		list_each (each, &old, struct registration, link)
			if (jid_equal(each->jid, read->jid) &&
			    str_equal(each->node, read->node))
				push_state_move(read, each);
		if (push_owes(read))
			push_resume(read);
	}
	list_each (each, &old, struct registration, link)
		drop(each);
	return ERR_NONE;
}

static void
on_load(struct account *account, struct join *join)
{
	account_load_rows(account, join, &push_kind, UINT16_MAX, take_rows);
}

/* --- on the wire: sections 5 and 6 -------------------------------------- */

/* The service; NULL, with the answer given, when there is none. */
static const struct jid *
read_service(struct iq *iq)
{
	const struct str text = node_attr(iq_payload(iq), "jid");
	const struct jid *jid = jid_parse(iq_arena(iq), text);

	if (jid == NULL)
		iq_refuse(iq, text.len == 0 ? STANZA_ERR_BAD_REQUEST
					    : STANZA_ERR_JID_MALFORMED);
	return jid;
}

/* The form with what each publish shall carry; NULL without one. */
static const struct node *
read_options(struct iq *iq)
{
	node_each (child, iq_payload(iq))
		if (node_is(child, "x", NS_FORM) &&
		    form_has_type(iq_arena(iq), child, NS_PUBLISH_OPTIONS))
			return child;
	return NULL;
}

static bool
is_too_large(struct iq *iq, struct str node, const struct node *options)
{
	return node.len > NODE_LEN_MAX ||
	       (options != NULL &&
		   writer_text(iq_arena(iq), options).len > OPTIONS_LEN_MAX);
}

static void
enable(struct iq *iq, const struct jid *jid, struct str node,
    const struct node *options)
{
	struct store_write *write = store_write_new(iq_store(iq));
	struct registration *registration =
	    registration_new(iq_account(iq), jid, node);

	registration->resource =
	    str_dup(registration->arena, jid_resource(iq_from(iq)));
	if (options != NULL)
		registration->options =
		    node_copy_deep(registration->arena, options);
	replace(registration);
	registration->messages = 0;
	registration->has_waited = false;
	write_row(write, registration);
	note_wake(write, iq_account(iq));
	iq_commit(iq, write, true, NULL);
}

static void
on_enable(struct iq *iq)
{
	struct account *account = iq_account(iq);
	const struct str node = node_attr(iq_payload(iq), "node");
	const struct node *options = read_options(iq);
	const struct jid *jid = read_service(iq);

	if (jid == NULL)
		return;
	if (is_too_large(iq, node, options))
		iq_refuse_text(iq, STANZA_ERR_NOT_ACCEPTABLE,
		    "the node or the publish options are too long");
	else if (push_find(account, jid, node) == NULL &&
		 push_of(account)->count >=
		     host_int(
			 account->host, &push_settings[PUSH_REGISTRATIONS]))
		iq_refuse_text(iq, STANZA_ERR_RESOURCE_CONSTRAINT,
		    "too many devices have push notifications");
	else
		enable(iq, jid, node, options);
}

/* Without a node all of that service. */
static void
on_disable(struct iq *iq)
{
	const struct str node = node_attr(iq_payload(iq), "node");
	const struct jid *jid = read_service(iq);
	struct store_write *write;

	if (jid == NULL)
		return;
	write = store_write_new(iq_store(iq));
	registration_each(each, iq_account(iq))
	{
		if (!jid_equal(each->jid, jid) ||
		    (node.text != NULL && !str_equal(each->node, node)))
			continue;
		remove_row(write, each);
		drop(each);
	}
	note_wake(write, iq_account(iq));
	iq_commit(iq, write, true, NULL);
}

/* --- section 8 ---------------------------------------------------------- */

static bool
tells_end(const struct account *account, const struct node *pubsub)
{
	node_each (child, pubsub) {
		const struct str affiliation = node_attr(child, "affiliation");

		if (node_is(child, "affiliation", NS_PUBSUB) &&
		    str_equal(node_attr(child, "jid"),
			jid_full(account_jid(account))) &&
		    (str_is(affiliation, "none") ||
			str_is(affiliation, "outcast")))
			return true;
	}
	return false;
}

/* The service wants no more notifications. The message goes on: it is how the
 * client learns of it. */
static enum verdict
on_received(
    struct account *account, struct session *session, struct post *letter)
{
	const struct stanza *stanza = letter->stanza;
	const struct node *pubsub;
	struct registration *registration;

	(void)session;
	if (push_of(account)->count == 0)
		return PASS;
	pubsub = node_child(stanza->node, "pubsub", NS_PUBSUB);
	if (pubsub == NULL || stanza->from == NULL ||
	    !tells_end(account, pubsub))
		return PASS;
	registration =
	    push_find(account, stanza->from, node_attr(pubsub, "node"));
	if (registration != NULL)
		push_remove(registration);
	return PASS;
}

/* --- who is notified ---------------------------------------------------- */

static struct session *
session_of(const struct registration *registration)
{
	session_each (session, registration->account)
		if (str_equal(
			jid_resource(session->jid), registration->resource))
			return session;
	return NULL;
}

static bool
is_served(const struct session *session)
{
	return session != NULL && session->is_available &&
	       session->priority >= 0 && !session->is_detached;
}

static bool
is_anybody_served(const struct account *account)
{
	session_each (session, account)
		if (is_served(session))
			return true;
	return false;
}

/* What comes back from a session that waited in vain was told its device; or
 * it has its carbon (XEP-0280), also if it is not available. */
static bool
has_had(const struct registration *registration)
{
	struct session *session = session_of(registration);

	return registration->has_waited ||
	       (session != NULL && !session->is_detached &&
		   carbons_is_enabled(session));
}

static enum verdict
on_kept(struct account *account, struct session *session, struct post *letter)
{
	const struct stanza *stanza = letter->stanza;
	const bool is_request = stanza->kind == STANZA_PRESENCE;
	struct push_ring ring;

	(void)session;
	if (push_of(account)->count == 0 ||
	    (!is_request && !push_rings(letter->arena, account_jid(account),
				STR_NONE, stanza, &ring)))
		return PASS;
	registration_each(each, account)
	{
		if (is_served(session_of(each)) ||
		    (letter->is_returned && has_had(each)))
			continue;
		push_notify(each, is_request ? NULL : &ring);
	}
	return PASS;
}

/* Its own device; and when nobody is there, those without a session too. */
static bool
concerns(struct registration *registration, const struct session *session)
{
	const struct session *own = session_of(registration);

	return own == session ||
	       (own == NULL && !is_anybody_served(session->account));
}

static void
session_waits(struct session *session, const struct stanza *stanza)
{
	struct account *account = session->account;
	const bool is_request = stanza->type == STANZA_SUBSCRIBE;
	struct arena *arena;
	struct push_ring ring;

	if (stanza->from == NULL)
		return;
	arena = arena_make(0);
	if (is_request ||
	    push_rings(arena, account_jid(account),
		presence_nick(session, stanza->from), stanza, &ring))
		registration_each(each, account)
		{
			if (!concerns(each, session))
				continue;
			each->has_waited = true;
			push_notify(each, is_request ? NULL : &ring);
		}
	arena_free(&arena);
}

static enum verdict
on_deliver(
    struct account *account, struct session *session, struct post *letter)
{
	if (session->is_detached && push_of(account)->count > 0)
		session_waits(session, letter->stanza);
	return PASS;
}

/* What was sent to it already may be lost on the way. At the end of the server
 * nobody can be told: the next run does it. */
static void
on_detached(struct session *session)
{
	struct push_session *slot = session_slot(session, &push_module);

	slot->is_cut = session->account->owner.shard->is_draining;
	if (slot->is_cut)
		return;
	if (push_of(session->account)->count > 0)
		resume_unacked(session, slot->told, session_waits);
	slot->told = resume_sent(session);
}

static void
on_save(struct session *session, struct node *node)
{
	const struct push_session *slot = session_slot(session, &push_module);
	const bool is_told = session->is_detached && !slot->is_cut;

	node_set_format(node_add(node, "push", NS_PUSH), "told", "%llu",
	    (unsigned long long)(is_told ? resume_sent(session) : slot->told));
}

/* The end of the server broke its stream. */
static void
on_restore(struct session *session, const struct node *node)
{
	struct push_session *slot = session_slot(session, &push_module);
	const struct node *saved = node_child(node, "push", NS_PUSH);

	if (saved != NULL)
		(void)str_to_u64(
		    node_attr(saved, "told"), UINT64_MAX, &slot->told);
	on_detached(session);
}

static void
on_resumed(struct session *session)
{
	struct push_session *slot = session_slot(session, &push_module);

	slot->told = resume_sent(session);
	on_available(session);
}

/* It gets what waited; so do the user's eyes, also for devices that have no
 * session. */
static void
on_available(struct session *session)
{
	registration_each(each, session->account)
	{
		const struct session *own = session_of(each);

		if (own == session || (own == NULL && is_served(session)))
			push_settle(each);
	}
}

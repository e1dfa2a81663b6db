/*
 * modules/presence.c - presence: broadcast, probed, directed.
 *
 * A broadcast is serialised once for all receivers (router_fan_out). Contacts
 * of our own hosts are probed with the new resource's full JID, so that the
 * answers reach only the resource that lacks them; on the way to other servers
 * a probe comes from the bare JID (RFC 6121, section 4.3.1).
 */
#include "modules/presence.h"

#include "base/clock.h"
#include "base/rand.h"
#include "modules/blocking.h"
#include "modules/last.h"
#include "modules/presence_seen.h"
#include "modules/roster.h"
#include "server/domains.h"
#include "server/kept.h"
#include "server/metrics.h"
#include "server/router.h"
#include "server/session.h"
#include "server/setup.h"

#define NS_DELAY "urn:xmpp:delay"
#define NS_SAVED "urn:jackdaw:presence:1"

static enum verdict on_sent(struct account *, struct session *, struct post *);
static enum verdict on_received(
    struct account *, struct session *, struct post *);
static enum verdict on_received_iq(
    struct account *, struct session *, struct post *);
static void on_ended(struct session *);
static void on_closed(struct session *);
static void on_save(struct session *, struct node *);
static void on_restore(struct session *, const struct node *);
static void on_forget(struct account *);
static void on_session_forget(struct session *);

static const struct setting settings[] = {
    {"presence.directed", SETTING_INT, SETTING_PER_HOST | SETTING_RELOADS,
	.min = 1, .max = 100000, .preset = "1000",
	.help = "The most addresses that one session may send directed "
		"presence to."},
    {NULL},
};

static const struct hook hooks[] = {
    {.on = HOOK_SENT_PRESENCE, .order = 10, .stanza = on_sent},
    {.on = HOOK_RECEIVED_PRESENCE, .order = 10, .stanza = on_received},
    {.on = HOOK_RECEIVED_IQ, .order = 10, .stanza = on_received_iq},
    {.on = HOOK_SESSION_UNAVAILABLE, .order = -10, .session = on_ended},
    {.on = HOOK_SESSION_CLOSED, .order = -10, .session = on_closed},
    {.on = HOOK_SESSION_FORGET, .session = on_session_forget},
    {.on = HOOK_SESSION_SAVE, .save = on_save},
    {.on = HOOK_SESSION_RESTORE, .restore = on_restore},
    {.on = HOOK_ACCOUNT_FORGET, .account = on_forget},
    {.on = HOOK_DOMAIN, .domain = seen_on_domain},
    {.on = HOOK_END},
};

/* An address that directed presence was sent to: section 4.6. */
struct directed {
	struct link link;
	struct arena *arena;
	const struct jid *jid;
};

struct presence_session {
	struct list directed; /* zeroed until first used */
	unsigned directed_count;
	bool is_announced; /* contacts believe it to be available */
};

const struct module presence_module = {
    .api = MODULE_API,
    .name = "presence",
    .help = "Presence of accounts and their contacts",
    .hooks = hooks,
    .settings = settings,
    .account_size = sizeof(struct seen),
    .session_size = sizeof(struct presence_session),
};

struct seen *
seen_slot(struct account *account)
{
	return account_slot(account, &presence_module);
}

/* --- directed presence --------------------------------------------------- */

static struct presence_session *
slot_of(struct session *session)
{
	struct presence_session *slot;

	slot = session_slot(session, &presence_module);
	if (slot->directed.head.next == NULL)
		list_init(&slot->directed);
	return slot;
}

static struct directed *
directed_find(struct session *session, const struct jid *jid)
{
	list_each (directed, &slot_of(session)->directed, struct directed, link)
		if (jid_equal(directed->jid, jid))
			return directed;
	return NULL;
}

static void
directed_free(struct session *session, struct directed *directed)
{
	struct arena *arena = directed->arena;

	slot_of(session)->directed_count--;
	list_remove(&directed->link);
	arena_free(&arena);
}

static void
directed_remove(struct session *session, struct directed *directed)
{
	directed_free(session, directed);
	kept_show(session);
}

static bool
directed_add(struct session *session, const struct jid *jid)
{
	struct presence_session *slot = slot_of(session);
	struct directed *directed;
	struct arena *arena;

	if (directed_find(session, jid) != NULL)
		return true;
	if (slot->directed_count >=
	    host_int(session->account->host, &settings[0]))
		return false;
	arena = arena_make(128);
	directed = arena_new(arena, struct directed);
	directed->arena = arena;
	directed->jid = jid_copy(arena, jid);
	list_add_last(&slot->directed, &directed->link);
	slot->directed_count++;
	kept_show(session);
	return true;
}

bool
presence_is_shared(struct session *session, const struct jid *with)
{
	struct account *account = session->account;
	struct arena *arena;
	unsigned sub;

	if (jid_equal_bare(with, account_jid(account)))
		return true;
	arena = arena_make(0);
	sub = roster_sub(account, jid_to_bare(arena, with));
	arena_free(&arena);
	if ((sub & SUB_FROM) != 0 && session->is_available)
		return true;
	list_each (directed, &slot_of(session)->directed, struct directed, link)
		if (jid_equal(directed->jid, with) ||
		    (jid_is_bare(directed->jid) &&
			jid_equal_bare(directed->jid, with)))
			return true;
	return false;
}

struct str
presence_nick(struct session *session, const struct jid *room)
{
	list_each (directed, &slot_of(session)->directed, struct directed, link)
		if (jid_equal_bare(directed->jid, room))
			return jid_resource(directed->jid);
	return STR_NONE;
}

bool
presence_is_directed(struct account *account, const struct jid *jid)
{
	list_each (session, &account->sessions, struct session, link)
		list_each (directed, &slot_of(session)->directed,
		    struct directed, link)
			if (jid_equal_bare(directed->jid, jid))
				return true;
	return false;
}

/* --- broadcast ----------------------------------------------------------- */

/* Contacts with one of the SUB_ bits, without those that are blocked. */
static const struct jid *const *
open_contacts(
    struct account *account, struct arena *arena, unsigned sub, size_t *count_r)
{
	const struct jid *const *all;
	const struct jid **open;
	size_t count;

	all = roster_with(account, arena, sub, &count);
	open = arena_array(arena, const struct jid *, count);
	*count_r = 0;
	for (size_t i = 0; i < count; i++)
		if (!blocking_blocks(account, all[i]))
			open[(*count_r)++] = all[i];
	return open;
}

/* Contacts that see our presence with every resource; those with some that are
 * blocked are sent the stanza by this already. */
static const struct jid *const *
seeing_contacts(struct account *account, struct arena *arena,
    const struct stanza *stanza, size_t *count_r)
{
	const struct jid *const *open;
	const struct jid **seeing;
	size_t count;

	open = open_contacts(account, arena, SUB_FROM, &count);
	seeing = arena_array(arena, const struct jid *, count);
	*count_r = 0;
	for (size_t i = 0; i < count; i++)
		if (blocking_hides_some(account, open[i]))
			blocking_send_presence(
			    account, stanza_readdress(
					 arena, stanza, stanza->from, open[i]));
		else
			seeing[(*count_r)++] = open[i];
	return seeing;
}

/* To all who are subscribed, and to the account's own available resources. */
static void
broadcast(struct session *session, const struct stanza *stanza)
{
	struct account *account = session->account;
	struct arena *arena = arena_make(0);
	const struct jid *const *contacts;
	size_t count;

	contacts = seeing_contacts(account, arena, stanza, &count);
	if (count > 0)
		router_fan_out(account->owner.shard, stanza, contacts, count);
	stanza =
	    stanza_readdress(arena, stanza, session->jid, account_jid(account));
	session_each (other, account)
		if (other->is_available || other == session)
			session_send(other, stanza);
	arena_free(&arena);
}

/* Who had directed presence and did not hear of the end with the others. */
static void
end_directed(struct session *session, const struct stanza *unavailable,
    bool was_announced)
{
	struct account *account = session->account;
	struct arena *arena = arena_make(0);

	list_each (
	    directed, &slot_of(session)->directed, struct directed, link) {
		const struct jid *bare = jid_to_bare(arena, directed->jid);

		if (!was_announced ||
		    (roster_sub(account, bare) & SUB_FROM) == 0)
			router_send(account->owner.shard, account,
			    stanza_readdress(arena, unavailable, session->jid,
				directed->jid));
		directed_remove(session, directed);
	}
	arena_free(&arena);
}

static void
probe_contacts(struct session *session, bool with_ours)
{
	struct account *account = session->account;
	const struct setup *setup = account->host->setup;
	struct arena *arena = arena_make(0);
	const struct jid *const *contacts;
	const struct jid **local, **remote;
	size_t count, locals = 0, remotes = 0;
	struct stanza *probe;

	contacts = open_contacts(account, arena, SUB_TO, &count);
	local = arena_array(arena, const struct jid *, count);
	remote = arena_array(arena, const struct jid *, count);
	for (size_t i = 0; i < count; i++)
		if (setup_host(setup, jid_domain(contacts[i])) != NULL)
			local[locals++] = contacts[i];
		else
			remote[remotes++] = contacts[i];
	probe = stanza_make(arena, STANZA_PRESENCE, STANZA_PROBE, session->jid,
	    NULL, rand_id(arena, 12));
	if (locals > 0 && with_ours)
		router_fan_out(account->owner.shard, probe, local, locals);
	probe->from = account_jid(account);
	if (remotes > 0)
		router_fan_out(account->owner.shard, probe, remote, remotes);
	arena_free(&arena);
}

bool
presence_is_behind(
    struct account *account, const struct jid *jid, struct str domain)
{
	return str_equal(
	    domain_carrier(account->host->setup, jid_domain(jid)), domain);
}

static const struct jid *const *
contacts_of(struct account *account, struct arena *arena, unsigned sub,
    struct str domain, size_t *count_r)
{
	const struct jid *const *all;
	const struct jid **chosen;
	size_t count;

	all = open_contacts(account, arena, sub, &count);
	chosen = arena_array(arena, const struct jid *, count);
	*count_r = 0;
	for (size_t i = 0; i < count; i++)
		if (presence_is_behind(account, all[i], domain))
			chosen[(*count_r)++] = all[i];
	return chosen;
}

bool
presence_has_contacts(struct account *account, struct str domain)
{
	struct arena *arena = arena_make(0);
	size_t to, from;

	(void)contacts_of(account, arena, SUB_TO, domain, &to);
	(void)contacts_of(account, arena, SUB_FROM, domain, &from);
	arena_free(&arena);
	return to + from > 0;
}

static void
send_ours(
    struct account *account, const struct jid *const *contacts, size_t count)
{
	session_each (session, account)
		if (session->is_available)
			router_fan_out(account->owner.shard, session->presence,
			    contacts, count);
}

void
presence_meet_again(struct account *account, struct str domain, bool with_ours)
{
	struct shard *shard = account->owner.shard;
	struct arena *arena = arena_make(0);
	const struct jid *const *contacts;
	struct stanza *probe;
	size_t count;

	contacts = contacts_of(account, arena, SUB_FROM, domain, &count);
	if (with_ours && count > 0)
		send_ours(account, contacts, count);
	contacts = contacts_of(account, arena, SUB_TO, domain, &count);
	probe = stanza_make(arena, STANZA_PRESENCE, STANZA_PROBE,
	    account_jid(account), NULL, rand_id(arena, 12));
	if (count > 0)
		router_fan_out(shard, probe, contacts, count);
	arena_free(&arena);
}

/* What a new resource does not know yet: its siblings, its contacts. */
static void
tell_newcomer(struct session *session)
{
	struct arena *arena = arena_make(0);

	session_each (other, session->account)
		if (other != session && other->is_available)
			session_send(session,
			    stanza_readdress(arena, other->presence, other->jid,
				account_jid(session->account)));
	probe_contacts(session, true);
	arena_free(&arena);
}

/* --- outbound ------------------------------------------------------------ */

/* RFC 6121, section 4.7.2.3. */
static bool
read_priority(struct arena *arena, const struct node *node, int8_t *priority_r)
{
	struct str text = node_child_text(arena, node, "priority", NULL);
	int64_t number = 0;

	if (text.text != NULL && (!str_to_i64(str_trim(text), &number) ||
				     number < -128 || number > 127))
		return false;
	*priority_r = (int8_t)number;
	return true;
}

/* No error goes around for presence, but whoever sent it here is told. */
static void
refuse(struct session *session, struct post *letter, enum stanza_err err,
    const char *text)
{
	session_send(session,
	    stanza_make_error(letter->arena, letter->stanza, err, text));
	metric_add(session->account->owner.shard, METRIC_STANZA_ERRORS, 1);
	post_free(&letter);
}

static void
send_available(struct session *session, struct post *letter)
{
	const bool is_new = !session->is_available;
	int8_t priority;

	if (!read_priority(letter->arena, letter->stanza->node, &priority)) {
		refuse(session, letter, STANZA_ERR_BAD_REQUEST,
		    "priority is a number from -128 to 127");
		return;
	}
	slot_of(session)->is_announced = true;
	broadcast(session, letter->stanza);
	if (is_new)
		tell_newcomer(session);
	session_set_presence(session, letter->stanza, priority);
	post_free(&letter);
}

/* To whoever was told that it is available, by whatever presence. */
static void
announce_end(struct session *session, const struct stanza *unavailable)
{
	struct presence_session *slot = slot_of(session);
	const bool was_announced = slot->is_announced;

	slot->is_announced = false;
	if (was_announced)
		broadcast(session, unavailable);
	end_directed(session, unavailable, was_announced);
}

static void
send_directed(struct session *session, struct post *letter)
{
	struct account *account = session->account;
	const struct stanza *stanza = letter->stanza;
	struct directed *directed = directed_find(session, stanza->to);

	if (stanza->type == STANZA_UNAVAILABLE && directed != NULL)
		directed_remove(session, directed);
	else if (stanza->type == STANZA_AVAILABLE &&
		 !directed_add(session, stanza->to)) {
		refuse(session, letter, STANZA_ERR_RESOURCE_CONSTRAINT,
		    "directed presence was sent to too many addresses");
		return;
	}
	blocking_hide(account, letter);
	router_route(account->owner.shard, account, letter);
}

static enum verdict
on_sent(struct account *account, struct session *session, struct post *letter)
{
	const enum stanza_type type = letter->stanza->type;

	(void)account;
	if (letter->stanza->to != NULL) {
		if (type != STANZA_AVAILABLE && type != STANZA_UNAVAILABLE)
			return PASS;
		send_directed(session, letter);
		return TAKEN;
	}
	if (type == STANZA_AVAILABLE) {
		send_available(session, letter);
		return TAKEN;
	}
	if (type == STANZA_UNAVAILABLE) {
		announce_end(session, letter->stanza);
		if (session->is_available)
			session_set_presence(session, letter->stanza, 0);
	}
	post_free(&letter);
	return TAKEN;
}

/* The stream ended before the client said so: section 4.5.2. */
static void
on_ended(struct session *session)
{
	struct arena *arena = arena_make(0);

	announce_end(
	    session, stanza_make(arena, STANZA_PRESENCE, STANZA_UNAVAILABLE,
			 session->jid, NULL, STR_NONE));
	arena_free(&arena);
}

/* Nobody is left who would be told. */
static void
on_closed(struct session *session)
{
	on_ended(session);
	if (session->account->session_count == 0)
		seen_forget(session->account);
}

static void
on_session_forget(struct session *session)
{
	struct list *all = &slot_of(session)->directed;

	list_each (directed, all, struct directed, link)
		directed_free(session, directed);
}

static void
on_forget(struct account *account)
{
	seen_forget(account);
}

/* --- over a restart: who was told, but for contacts ---------------------- */

static void
on_save(struct session *session, struct node *node)
{
	const struct presence_session *slot = slot_of(session);

	if (slot->is_announced)
		node_add(node, "announced", NS_SAVED);
	list_each (directed, &slot->directed, struct directed, link)
		node_add_with_text(
		    node, "directed", NS_SAVED, jid_full(directed->jid));
}

static void
restore_directed(struct session *session, const struct node *node)
{
	struct arena *arena = arena_make(0);
	const struct jid *jid = jid_parse(arena, node_text(arena, node));

	if (jid != NULL)
		(void)directed_add(session, jid);
	arena_free(&arena);
}

/* What contacts of other servers did meanwhile was told to nobody; who will not
 * come back need not know. */
static void
on_restore(struct session *session, const struct node *node)
{
	node_each (child, node) {
		if (node_is(child, "announced", NS_SAVED))
			slot_of(session)->is_announced = true;
		else if (node_is(child, "directed", NS_SAVED))
			restore_directed(session, child);
	}
	if (session->is_available && str_is(node_attr(node, "state"), "whole"))
		probe_contacts(session, false);
}

/* --- inbound ------------------------------------------------------------- */

static bool
is_hidden_from(const struct session *session, const struct post *letter)
{
	for (size_t i = 0; i < letter->hidden_count; i++)
		if (str_equal(
			letter->hidden_from[i], jid_resource(session->jid)))
			return true;
	return false;
}

/* letter, which has the stanza, may be NULL. */
static void
deliver(
    struct account *account, const struct stanza *stanza, struct post *letter)
{
	session_each (session, account) {
		if (jid_is_bare(stanza->to)
			? !session->is_available
			: !jid_equal(session->jid, stanza->to))
			continue;
		if (letter != NULL && is_hidden_from(session, letter))
			continue;
		if (letter != NULL && letter->blob != NULL)
			session_share(session, letter);
		else
			session_send(session, stanza);
	}
}

void
presence_deliver(struct account *account, const struct stanza *stanza)
{
	deliver(account, stanza, NULL);
}

/* Section 4.6.1: whoever goes is not told of us any more. */
static void
forget_directed(struct account *account, const struct jid *jid)
{
	session_each (session, account) {
		struct directed *directed = directed_find(session, jid);

		if (directed != NULL)
			directed_remove(session, directed);
	}
}

static void
answer(
    struct account *account, const struct stanza *probe, struct stanza *reply)
{

	reply->to = probe->from;
	router_send(account->owner.shard, account, reply);
}

/* Section 4.3.2, rule 3. */
static void
answer_offline(
    struct account *account, struct arena *arena, const struct stanza *probe)
{
	const uint64_t seen_us = last_seen_us(account);
	struct stanza *reply;

	reply = stanza_make(arena, STANZA_PRESENCE, STANZA_UNAVAILABLE,
	    account_jid(account), NULL, probe->id);
	if (seen_us != 0)
		node_set(node_add(stanza_body(reply), "delay", NS_DELAY),
		    "stamp", clock_format(arena, seen_us));
	answer(account, probe, reply);
}

/* Rule 4; of one resource only its availability, if it is asked for. */
static void
answer_subscriber(
    struct account *account, struct arena *arena, const struct stanza *probe)
{
	bool is_online = false;

	session_each (session, account) {
		if (!session->is_available)
			continue;
		if (jid_is_bare(probe->to)) {
			is_online = true;
			answer(account, probe,
			    stanza_readdress(
				arena, session->presence, session->jid, NULL));
		} else if (jid_equal(session->jid, probe->to)) {
			is_online = true;
			answer(account, probe,
			    stanza_make(arena, STANZA_PRESENCE,
				STANZA_AVAILABLE, session->jid, NULL,
				probe->id));
		}
	}
	if (!is_online)
		answer_offline(account, arena, probe);
}

/* Section 4.6.6: of a resource that sent directed presence, that it is there;
 * otherwise rule 1. */
static void
answer_stranger(
    struct account *account, struct arena *arena, const struct stanza *probe)
{
	struct session *session = session_find(account, probe->to);

	if (session != NULL && presence_is_shared(session, probe->from))
		answer(account, probe,
		    stanza_make(arena, STANZA_PRESENCE, STANZA_AVAILABLE,
			session->jid, NULL, probe->id));
	else
		answer(account, probe,
		    stanza_make(arena, STANZA_PRESENCE, STANZA_UNSUBSCRIBED,
			account_jid(account), NULL, probe->id));
}

static void
receive_probe(struct account *account, const struct stanza *probe)
{
	struct arena *arena = arena_make(0);
	const struct jid *bare = jid_to_bare(arena, probe->from);

	if ((roster_sub(account, bare) & SUB_FROM) != 0 ||
	    jid_equal(bare, account_jid(account)))
		answer_subscriber(account, arena, probe);
	else
		answer_stranger(account, arena, probe);
	arena_free(&arena);
}

static enum verdict
on_received(
    struct account *account, struct session *session, struct post *letter)
{
	const struct stanza *stanza = letter->stanza;

	(void)session;
	if (stanza->type == STANZA_PROBE)
		receive_probe(account, stanza);
	else
		deliver(account, stanza, letter);
	seen_presence(account, stanza);
	if (stanza->type == STANZA_UNAVAILABLE)
		forget_directed(account, stanza->from);
	post_free(&letter);
	return TAKEN;
}

/* Requests to a resource that does not share its presence get the same answer
 * as those to one that is not there: section 8.5.3.1. */
static enum verdict
on_received_iq(
    struct account *account, struct session *session, struct post *letter)
{
	const struct stanza *stanza = letter->stanza;

	if (jid_is_bare(stanza->to) ||
	    (stanza->type != STANZA_GET && stanza->type != STANZA_SET))
		return PASS;
	session = session_find(account, stanza->to);
	if (session == NULL || presence_is_shared(session, stanza->from))
		return PASS;
	router_bounce(
	    account->owner.shard, letter, STANZA_ERR_SERVICE_UNAVAILABLE, NULL);
	return TAKEN;
}

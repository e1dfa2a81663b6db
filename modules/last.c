/*
 * modules/last.c - when an account was last available, and how long the server
 * is up.
 */
#include "modules/last.h"

#include "base/clock.h"
#include "modules/roster.h"
#include "server/iq.h"
#include "server/router.h"
#include "server/session.h"
#include "server/setup.h"

#define NS_LAST "jabber:iq:last"

static void on_load(struct account *, struct join *);
static void seen_loaded(struct account *, struct arena *, struct str text);
static void on_unavailable(struct session *);
static enum verdict on_received_iq(
    struct account *, struct session *, struct post *);
static void on_get(struct iq *);

const struct store_kind last_kind = {"last", STORE_MAP, 0};

static const struct hook hooks[] = {
    {.on = HOOK_ACCOUNT_LOAD, .load = on_load},
    {.on = HOOK_SESSION_UNAVAILABLE, .order = 10, .session = on_unavailable},
    {.on = HOOK_RECEIVED_IQ, .stanza = on_received_iq},
    {.on = HOOK_IQ_GET,
	.ns = NS_LAST,
	.name = "query",
	.scope = SCOPE_ACCOUNT | SCOPE_HOST,
	.iq = on_get},
    {.on = HOOK_END},
};

struct last {
	uint64_t seen_us;
};

const struct module last_module = {
    .api = MODULE_API,
    .name = "last",
    .help = "Time since an account was last available",
    .xeps = (const char *const[]){"XEP-0012 2.0", NULL},
    .features = (const char *const[]){NS_LAST, NULL},
    .account_features = (const char *const[]){NS_LAST, NULL},
    .hooks = hooks,
    .kinds = (const struct store_kind *const[]){&last_kind, NULL},
    .account_size = sizeof(struct last),
};

static struct last *
last_of(struct account *account)
{
	return account_slot(account, &last_module);
}

uint64_t
last_seen_us(struct account *account)
{
	if (!host_has(account->host, &last_module))
		return 0;
	return last_of(account)->seen_us;
}

/* --- keeping it ---------------------------------------------------------- */

static void
on_load(struct account *account, struct join *join)
{
	account_load_row(account, join, &last_kind, STR(""), seen_loaded);
}

static void
seen_loaded(struct account *account, struct arena *arena, struct str text)
{
	struct last *last = last_of(account);

	(void)arena;
	last->seen_us = 0;
	if (text.len > 0)
		str_to_u64(text, UINT64_MAX, &last->seen_us);
}

static bool
is_online(const struct account *account)
{
	session_each (session, account)
		if (session->is_available)
			return true;
	return false;
}

static void
on_unavailable(struct session *session)
{
	struct account *account = session->account;
	struct store_write *write;
	struct arena *arena;

	if (is_online(account))
		return;
	arena = arena_make(0);
	last_of(account)->seen_us = clock_wall_us();
	write = store_write_new(account->owner.shard->store);
	store_put(write, account->owner.id, &last_kind, STR(""),
	    str_format(
		arena, "%llu", (unsigned long long)last_of(account)->seen_us));
	store_commit(write, NULL, NULL);
	arena_free(&arena);
}

/* --- telling it ---------------------------------------------------------- */

static void
reply_seconds(struct iq *iq, uint64_t seconds)
{
	struct node *query = node_make(iq_arena(iq), "query", NS_LAST);

	node_set_format(query, "seconds", "%llu", (unsigned long long)seconds);
	iq_reply(iq, query);
}

static bool
may_see(struct account *account, const struct jid *from)
{
	struct arena *arena = arena_make(0);
	const struct jid *asker = jid_to_bare(arena, from);
	const bool may = jid_equal(asker, account_jid(account)) ||
			 (roster_sub(account, asker) & SUB_FROM) != 0;

	arena_free(&arena);
	return may;
}

/* Section 4: a resource is not even asked by others. */
static enum verdict
on_received_iq(
    struct account *account, struct session *session, struct post *letter)
{
	const struct stanza *stanza = letter->stanza;

	(void)session;
	if (stanza->type != STANZA_GET || jid_is_bare(stanza->to) ||
	    node_child(stanza->node, "query", NS_LAST) == NULL ||
	    may_see(account, stanza->from))
		return PASS;
	router_bounce(account->owner.shard, letter, STANZA_ERR_FORBIDDEN, NULL);
	return TAKEN;
}

/* 0 when the clock was set back. */
static uint64_t
seconds_since(uint64_t wall_us)
{
	const uint64_t now_us = clock_wall_us();

	return now_us < wall_us ? 0 : (now_us - wall_us) / 1000000;
}

/* Section 3: only who may see the account's presence is told. */
static void
reply_account(struct iq *iq)
{
	struct account *account = iq_account(iq);
	const uint64_t seen_us = last_of(account)->seen_us;

	if (!may_see(account, iq_from(iq)))
		iq_refuse(iq, STANZA_ERR_FORBIDDEN);
	else if (is_online(account))
		reply_seconds(iq, 0);
	else if (seen_us == 0)
		iq_refuse(iq, STANZA_ERR_ITEM_NOT_FOUND);
	else
		reply_seconds(iq, seconds_since(seen_us));
}

static void
on_get(struct iq *iq)
{
	const struct shard *shard = iq_shard(iq);

	if (iq_is_for_host(iq))
		reply_seconds(
		    iq, (clock_mono_ms() - shard->server->started_ms) / 1000);
	else
		reply_account(iq);
}

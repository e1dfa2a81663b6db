#include "server/account.h"

#include "base/clock.h"
#include "base/err.h"
#include "server/admin.h"
#include "server/hooks.h"
#include "server/iq.h"
#include "server/iq_ask.h"
#include "server/kept.h"
#include "server/login.h"
#include "server/outbox.h"
#include "server/register.h"
#include "server/remote.h"
#include "server/resume.h"
#include "server/router.h"
#include "server/session.h"
#include "server/settings.h"
#include "server/setup.h"

/* Accounts that have to do with a domain that is back begin within so long,
 * times their number. */
#define SPREAD_MS     2
#define SPREAD_MAX_MS (60 * SECOND)
/* Of full size: a quarter of what may wait to be read. */
#define STANZAS_AT_ONCE 4

static const enum hook_on sent_hooks[] = {
    [STANZA_MESSAGE] = HOOK_SENT_MESSAGE,
    [STANZA_PRESENCE] = HOOK_SENT_PRESENCE,
    [STANZA_IQ] = HOOK_SENT_IQ,
};

static const enum hook_on received_hooks[] = {
    [STANZA_MESSAGE] = HOOK_RECEIVED_MESSAGE,
    [STANZA_PRESENCE] = HOOK_RECEIVED_PRESENCE,
    [STANZA_IQ] = HOOK_RECEIVED_IQ,
};

struct account *
account_of(struct owner *owner)
{
	if (owner == NULL || owner->stage == OWNER_ABSENT ||
	    owner->stage == OWNER_UNREAD)
		return NULL;
	return container_of(owner, struct account, owner);
}

struct account *
account_find(struct shard *shard, const struct jid *jid)
{
	return account_of(owner_find(shard, jid));
}

void *
account_slot(struct account *account, const struct module *module)
{
	return account->slots +
	       hook_account_slot(account->owner.shard->setup, module);
}

uint64_t
account_bytes_at_once(const struct account *account)
{
	return STANZAS_AT_ONCE *
	       host_bytes(account->host, SETTING(LIMITS_STANZA));
}

/* --- stanzas ------------------------------------------------------------ */

/* Of a stream that ended before it was told its name: what it sent behind its
 * request to bind says no more than the account. */
static void
complete_from(const struct session *session, struct post *letter)
{
	const struct stanza *stanza = letter->stanza;

	if (jid_is_bare(stanza->from))
		letter->stanza = stanza_readdress(letter->arena, stanza,
		    jid_copy(letter->arena, session->jid), stanza->to);
}

static void
on_sent(struct account *account, struct post *letter)
{
	struct session *session = session_of_stream(account, letter->stream);

	if (session == NULL ||
	    (session->resume != NULL && !resume_count(session, letter))) {
		post_free(&letter);
		return;
	}
	session->active_ms = clock_mono_ms();
	complete_from(session, letter);
	if (hook_stanza(sent_hooks[letter->stanza->kind], account, session,
		letter) == PASS)
		router_route(account->owner.shard, account, letter);
}

static void
bounce(struct account *account, struct post *letter)
{
	router_bounce(
	    account->owner.shard, letter, STANZA_ERR_SERVICE_UNAVAILABLE, NULL);
}

/* RFC 6121, section 8.5, where no module knows better. */
static void
take_message(
    struct account *account, struct session *session, struct post *letter)
{
	outbox_drop(account->owner.shard, letter->durable);
	letter->durable = (struct durable_id){0};
	if (session != NULL)
		session_pass(session, letter);
	else if (letter->stanza->type == STANZA_ERROR ||
		 letter->stanza->type == STANZA_HEADLINE)
		post_free(&letter);
	else if (hook_stanza(HOOK_UNDELIVERED, account, NULL, letter) == PASS)
		bounce(account, letter);
}

static void
take_presence(
    struct account *account, struct session *session, struct post *letter)
{
	outbox_drop(account->owner.shard, letter->durable);
	if (session != NULL)
		session_pass(session, letter);
	else
		post_free(&letter);
}

static bool
is_request(const struct stanza *stanza)
{
	return stanza->type == STANZA_GET || stanza->type == STANZA_SET;
}

static void
take_iq(struct account *account, struct session *session, struct post *letter)
{
	const struct stanza *stanza = letter->stanza;

	if (session != NULL)
		session_pass(session, letter);
	else if (!is_request(stanza))
		iq_ask_route(account->owner.shard, letter);
	else if (!jid_is_bare(stanza->to))
		bounce(account, letter);
	else
		iq_take(account->owner.shard, account,
		    session_find(account, stanza->from), letter, false);
}

/* Its stream cannot send any more: the session is over, though its GONE has not
 * come yet. */
static void
end_returning(struct account *account, struct post *letter)
{
	struct session *session = session_of_stream(account, letter->stream);

	if (session == NULL)
		return;
	session_end(session);
	owner_catch(&account->owner, letter->stream);
}

static void
on_stanza(struct account *account, struct post *letter)
{
	static void (*const take[])(
	    struct account *, struct session *, struct post *) = {
	    [STANZA_MESSAGE] = take_message,
	    [STANZA_PRESENCE] = take_presence,
	    [STANZA_IQ] = take_iq,
	};
	enum stanza_kind kind = letter->stanza->kind;
	struct session *session = NULL;

	if (letter->is_returned)
		end_returning(account, letter);
	if (account->owner.is_catching) {
		owner_take(account->owner.shard, letter);
		return;
	}
	if (resume_takes_error(account, letter) ||
	    hook_stanza(received_hooks[kind], account, NULL, letter) == TAKEN)
		return;
	if (!jid_is_bare(letter->stanza->to))
		session = session_find(account, letter->stanza->to);
	take[kind](account, session, letter);
}

static void
on_proved(struct account *account, struct post *letter)
{
	struct session *session = session_of_stream(account, letter->stream);

	if (session != NULL)
		hook_proved(session, letter->ticket);
	post_free(&letter);
}

static void
on_sure(struct account *account, struct post *letter)
{
	outbox_sure(account->owner.shard, letter);
}

static void
on_nonza(struct account *account, struct post *letter)
{
	struct session *session = session_of_stream(account, letter->stream);
	const struct hook *hook = hook_nonza(account->host, letter->nonza);

	if (session != NULL && hook != NULL)
		hook->nonza(session, letter->nonza);
	post_free(&letter);
}

static void
on_admin(struct account *account, struct post *letter)
{
	admin_at_owner(&account->owner, letter);
}

static void
on_absent_bind(struct account *account, struct post *letter)
{
	session_refuse(account->owner.shard, letter, STANZA_ERR_NOT_AUTHORIZED);
}

static void
on_absent_stanza(struct account *account, struct post *letter)
{
	router_absent(account->owner.shard, letter);
}

typedef void account_handler(struct account *, struct post *);

static account_handler *const handlers[POST_KIND_COUNT] = {
    [POST_STANZA] = on_stanza,
    [POST_SENT] = on_sent,
    [POST_KEYS_ASK] = login_answer,
    [POST_LOGIN] = login_count,
    [POST_BIND] = session_bind,
    [POST_GONE] = session_gone,
    [POST_PROVED] = on_proved,
    [POST_SURE] = on_sure,
    [POST_ADMIN] = on_admin,
    [POST_REGISTER] = register_end,
    [POST_SAID] = session_said,
    [POST_SM_ASK] = resume_take,
    [POST_KEPT] = kept_restore,
    [POST_NONZA] = on_nonza,
};

static account_handler *const absent_handlers[POST_KIND_COUNT] = {
    [POST_STANZA] = on_absent_stanza,
    [POST_KEYS_ASK] = login_answer,
    [POST_LOGIN] = login_count,
    [POST_BIND] = on_absent_bind,
    [POST_SM_ASK] = resume_take_absent,
    [POST_SURE] = on_sure,
    [POST_ADMIN] = on_admin,
    [POST_KEPT] = kept_refuse,
};

static bool
is_of_client(const struct post *letter)
{
	return letter->kind == POST_SENT || letter->kind == POST_SAID ||
	       letter->kind == POST_NONZA || letter->kind == POST_SM_ASK ||
	       letter->kind == POST_GONE;
}

void
account_take(struct account *account, struct post *letter)
{
	bool is_absent = account->owner.stage == OWNER_ABSENT;
	account_handler *handler =
	    (is_absent ? absent_handlers : handlers)[letter->kind];

	if (!is_absent && !list_is_empty(&account->binds) &&
	    is_of_client(letter) && session_awaits(account, letter))
		return;
	if (handler != NULL)
		handler(account, letter);
	else
		post_free(&letter);
}

/* --- the configuration changes; the end --------------------------------- */

void
account_close_sessions(
    struct account *account, const struct session *keep, enum stream_err err)
{
	session_each (session, account)
		if (session != keep)
			session_close(session, err, NULL);
}

static void
setup_changed(struct account *account)
{
	struct setup *setup = account->owner.shard->setup;
	const struct host *host = setup_host(setup, account->host->name);
	bool is_same;

	if (host == NULL) {
		account_end(account, STREAM_ERR_HOST_GONE);
		return;
	}
	is_same = hooks_equal(host->hooks, account->host->hooks);
	account->host = host;
	setup_unref(&account->setup);
	account->setup = setup_ref(setup);
	if (!is_same)
		owner_reload(&account->owner);
}

/* Pinned, all of them: one that ends may push out another. */
void
account_setup_changed(struct shard *shard)
{
	struct arena *arena = arena_make(0);
	size_t count = 0, max = shard->owners.count;
	struct owner **owners = arena_array(arena, struct owner *, max);
	struct table_link *link = NULL;

	while ((link = table_next(&shard->owners, link)) != NULL) {
		owners[count] = container_of(link, struct owner, link);
		owner_pin(owners[count++]);
	}
	while (count-- > 0) {
		setup_changed(
		    container_of(owners[count], struct account, owner));
		owner_unpin(owners[count]);
	}
	arena_free(&arena);
}

/* The more there are, the longer they may take. */
static void
tell_domain(struct shard *shard, struct domain_note *note)
{
	struct table_link *link = NULL;

	note->spread_ms = shard->owners.count * SPREAD_MS;
	if (note->spread_ms > SPREAD_MAX_MS)
		note->spread_ms = SPREAD_MAX_MS;
	while ((link = table_next(&shard->owners, link)) != NULL) {
		struct account *account =
		    account_of(container_of(link, struct owner, link));

		if (account != NULL && account->session_count > 0 &&
		    account->slots != NULL &&
		    (note->local.len == 0 ||
			str_equal(account->host->name, note->local)))
			hook_domain(account, note);
	}
}

void
account_take_domain(struct shard *shard, struct post *letter)
{
	struct domain_note note = *letter->domain;

	tell_domain(shard, &note);
	post_free(&letter);
}

void
account_drain_all(struct shard *shard)
{
	struct table_link *link = NULL;

	while ((link = table_next(&shard->owners, link)) != NULL) {
		struct account *account =
		    account_of(container_of(link, struct owner, link));

		if (account != NULL && account->slots != NULL)
			hook_drain(account);
	}
}

void
account_drop_sessions(struct account *account)
{
	session_each (session, account)
		session_drop(session);
	session_each_spent (session, account)
		session_drop(session);
}

/* --- what modules keep -------------------------------------------------- */

struct row_load {
	struct store_get get;
	struct account *account;
	struct arena *arena;
	struct join *join;
	void (*taken)(struct account *, struct arena *, struct str value);
};

static void
row_loaded(struct store_get *get)
{
	struct row_load *load = container_of(get, struct row_load, get);
	struct arena *arena = load->arena;
	struct join *join = load->join;
	const enum err err = get->err == ERR_NOT_FOUND ? ERR_NONE : get->err;

	if (err == ERR_NONE)
		load->taken(load->account, arena,
		    get->err == ERR_NONE ? get->row.value : STR_NONE);
	arena_free(&arena);
	join_wait_done(join, err);
}

void
account_load_row(struct account *account, struct join *join,
    const struct store_kind *kind, struct str key,
    void (*taken)(struct account *, struct arena *, struct str value))
{
	struct arena *arena = arena_make(0);
	struct row_load *load = arena_new(arena, struct row_load);

	load->account = account;
	load->arena = arena;
	load->join = join;
	load->taken = taken;
	join_wait(join);
	store_get(account->owner.shard->store, &load->get, arena,
	    &(struct map_key){account->owner.id, kind, key}, row_loaded);
}

struct rows_load {
	struct store_scan scan;
	struct account *account;
	struct join *join;
	enum err (*taken)(struct account *, const struct store_scan *);
};

static void
rows_loaded(struct store_scan *scan)
{
	struct rows_load *load = container_of(scan, struct rows_load, scan);
	struct arena *arena = scan->arena;
	struct join *join = load->join;
	const enum err err = load->taken(load->account, scan);

	arena_free(&arena);
	join_wait_done(join, err);
}

void
account_load_rows(struct account *account, struct join *join,
    const struct store_kind *kind, unsigned max,
    enum err (*taken)(struct account *, const struct store_scan *))
{
	struct arena *arena = arena_make(0);
	struct rows_load *load = arena_new(arena, struct rows_load);
	const struct map_query query = {
	    .owner = account->owner.id, .kind = kind, .max = max};

	load->account = account;
	load->join = join;
	load->taken = taken;
	join_wait(join);
	store_scan(account->owner.shard->store, &load->scan, arena, &query,
	    rows_loaded);
}

#include "server/owner.h"

#include <stdio.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/hash.h"
#include "server/account.h"
#include "server/admin.h"
#include "server/metrics.h"
#include "server/outbox.h"
#include "server/owner_private.h"
#include "server/resume.h"
#include "server/router.h"
#include "server/session.h"
#include "server/settings.h"
#include "server/setup.h"

#define LOADS_MAX       256 /* owners loading at once, per shard */
#define ABSENTS_MAX     1024
#define BRAKED_MAX      64
#define FORGET_AFTER_MS (60 * SECOND)
#define RETRY_FIRST_MS  (1 * SECOND)
#define RETRY_LAST_MS   (60 * SECOND)
#define PATIENCE_S      60

static void load(struct owner *);
static void owner_found(struct store_owner *);
static void owner_loaded(struct join *);

struct owner_load {
	struct store_owner find;
	struct owner *owner;
};

/* --- finding and forgetting --------------------------------------------- */

static bool
is_owner(const struct table_link *link, const void *key)
{
	const struct owner *owner =
	    container_of(link, const struct owner, link);

	return jid_equal_bare(owner->jid, key);
}

uint64_t
owner_hash(const struct jid *jid)
{
	return hash_keyed(jid_bare(jid));
}

static struct owner *
find(struct shard *shard, const struct jid *jid, uint64_t hash)
{
	return table_entry(table_find(&shard->owners, hash, is_owner, jid),
	    struct owner, link);
}

struct owner *
owner_find(struct shard *shard, const struct jid *jid)
{
	return find(shard, jid, owner_hash(jid));
}

static void
name_owner(const struct log *log, char *text, size_t len)
{
	const struct owner *owner = container_of(log, const struct owner, log);
	struct str bare = jid_bare(owner->jid);

	snprintf(text, len, "%.*s", STR_ARG(bare));
}

static struct owner *
owner_new(struct shard *shard, const struct jid *jid, const struct host *host)
{
	struct arena *arena = arena_make(0);
	struct account *account = arena_new(arena, struct account);
	struct owner *owner = &account->owner;

	owner->shard = shard;
	owner->arena = arena;
	owner->jid = jid_make(arena, jid_local(jid), jid_domain(jid), STR_NONE);
	owner->log.name = name_owner;
	list_init(&owner->inbox);
	list_init(&owner->again);
	account->host = host;
	account->setup = setup_ref(shard->setup);
	list_init(&account->sessions);
	list_init(&account->spent);
	list_init(&account->binds);
	list_init(&account->farewells);
	table_add(&shard->owners, &owner->link, owner_hash(owner->jid));
	metric_add(shard, METRIC_OWNERS, 1);
	return owner;
}

static void
forget_slots(struct account *account)
{
	if (account->slots != NULL)
		hook_forget(account);
}

static bool
is_unloaded(const struct owner *owner)
{
	return owner->stage == OWNER_ABSENT || owner->stage == OWNER_UNREAD;
}

static void
leave_absents(struct owner *owner)
{
	if (is_unloaded(owner))
		owner->shard->absent_count--;
	list_remove(&owner->queue);
}

static void
owner_free(struct owner *owner)
{
	struct account *account = account_in(owner);
	struct shard *shard = owner->shard;
	struct arena *arena = owner->arena;

	timer_stop(shard, &owner->idle);
	if (!owner->is_detached)
		table_remove(&shard->owners, &owner->link);
	leave_absents(owner);
	post_free_all(&owner->inbox);
	post_free_all(&owner->again);
	post_free_all(&account->farewells);
	session_drop_binds(account);
	forget_slots(account);
	setup_unref(&account->setup);
	metric_add(shard, METRIC_OWNERS, -1);
	arena_free(&arena);
}

/* Failed logins are remembered for a while, so that the brake holds. */
static bool
is_braked(struct owner *owner)
{
	uint64_t for_ms =
	    config_ms(setup_config(account_in(owner)->host->setup),
		account_in(owner)->host->index, SETTING(AUTH_FORGET_AFTER));

	return owner->failures > 0 &&
	       clock_mono_ms() - owner->failed_ms < for_ms;
}

static void
on_idle(struct timer *timer)
{
	struct owner *owner = container_of(timer, struct owner, idle);

	if (owner->pins > 0 || owner->is_loading)
		return;
	if (owner->stage == OWNER_LOADING)
		load(owner);
	else if (is_braked(owner))
		timer_start(owner->shard, timer, FORGET_AFTER_MS, on_idle);
	else
		owner_free(owner);
}

static void
forget_later(struct owner *owner)
{
	const bool is_retried =
	    owner->stage == OWNER_LOADING && timer_is_running(&owner->idle);

	if (owner->pins == 0 && !owner->is_loading && !is_retried)
		timer_start(owner->shard, &owner->idle,
		    owner->is_detached ? 0 : FORGET_AFTER_MS, on_idle);
}

void
owner_pin(struct owner *owner)
{
	owner->pins++;
}

void
owner_unpin(struct owner *owner)
{
	must(owner->pins > 0);
	owner->pins--;
	forget_later(owner);
}

/* One that can go: the oldest, but for some that brake guesses. */
static struct owner *
oldest_absent(struct shard *shard)
{
	struct owner *first = NULL;
	unsigned seen = 0;

	list_each (owner, &shard->absents, struct owner, queue) {
		if (owner->pins > 0 || owner->is_loading)
			continue;
		if (first == NULL)
			first = owner;
		if (!is_braked(owner))
			return owner;
		if (++seen == BRAKED_MAX)
			break;
	}
	return first;
}

/* The oldest goes when there are too many: whoever asks for names at random
 * must not fill the memory. */
static void
set_unloaded(struct owner *owner, enum owner_stage stage)
{
	struct shard *shard = owner->shard;
	struct owner *oldest =
	    shard->absent_count >= ABSENTS_MAX ? oldest_absent(shard) : NULL;

	leave_absents(owner);
	owner->stage = stage;
	if (oldest != NULL && oldest != owner)
		owner_free(oldest);
	list_add_last(&shard->absents, &owner->queue);
	shard->absent_count++;
}

static void
put_back_inbox(struct owner *owner)
{
	mailbox_put_back(owner->shard, &owner->inbox);
	mailbox_put_back(owner->shard, &owner->again);
	owner->inbox_count = 0;
	owner->retry_ms = owner->failing_s = 0;
}

/* Letters go on at once, also when something is under way: what comes for that
 * name from now on, and what tells of them, must not pass them. */
static void
stop_waiting(struct owner *owner)
{
	const bool is_queued =
	    owner->stage == OWNER_LOADING && list_holds(&owner->queue);

	if (owner->is_catching || is_queued)
		owner->is_catching = owner->is_loading = false;
	put_back_inbox(owner);
}

void
owner_detach(struct owner *owner)
{
	timer_stop(owner->shard, &owner->idle);
	stop_waiting(owner);
	owner->is_detached = true;
	table_remove(&owner->shard->owners, &owner->link);
	set_unloaded(owner, OWNER_ABSENT);
	forget_later(owner);
}

void
owner_forget_absent(struct shard *shard, const struct jid *jid)
{
	struct owner *owner = owner_find(shard, jid);

	if (owner == NULL)
		return;
	if (owner->is_loading)
		owner->is_stale = true;
	else if (owner->stage == OWNER_ABSENT)
		owner->stage = OWNER_UNREAD;
}

/* --- loading ------------------------------------------------------------ */

static void
load(struct owner *owner)
{
	struct owner_load *wait;

	owner->is_loading = true;
	if (owner->shard->load_count >= LOADS_MAX) {
		list_add_last(&owner->shard->loads, &owner->queue);
		return;
	}
	owner->shard->load_count++;
	owner->is_stale = false;
	wait = arena_new(owner->arena, struct owner_load);
	wait->owner = owner;
	store_owner_find(owner->shard->store, &wait->find, owner->arena,
	    jid_domain(owner->jid), jid_local(owner->jid), owner_found);
}

/* One load ended: the next owner in the queue may begin. */
static void
load_ended(struct owner *owner)
{
	struct shard *shard = owner->shard;
	struct link *link;

	owner->is_loading = false;
	shard->load_count--;
	link = list_take_first(&shard->loads);
	if (link != NULL)
		load(container_of(link, struct owner, queue));
}

static struct owner *
begin(struct shard *shard, const struct jid *jid)
{
	const struct host *host = setup_host(shard->setup, jid_domain(jid));
	struct owner *owner;

	if (host == NULL || jid_local(jid).len == 0)
		return NULL;
	owner = owner_new(shard, jid, host);
	set_unloaded(owner, OWNER_UNREAD);
	return owner;
}

static void
begin_to_load(struct owner *owner)
{
	timer_stop(owner->shard, &owner->idle);
	leave_absents(owner);
	owner->stage = OWNER_LOADING;
	load(owner);
}

struct owner *
owner_want(struct shard *shard, const struct jid *jid)
{
	struct owner *owner = owner_find(shard, jid);

	if (owner == NULL)
		owner = begin(shard, jid);
	if (owner != NULL && owner->stage == OWNER_UNREAD)
		begin_to_load(owner);
	return owner;
}

static void
on_retry(struct timer *timer)
{
	load(container_of(timer, struct owner, idle));
}

static void
retry_later(struct owner *owner)
{
	owner->retry_ms =
	    owner->retry_ms == 0 ? RETRY_FIRST_MS : owner->retry_ms * 2;
	if (owner->retry_ms > RETRY_LAST_MS)
		owner->retry_ms = RETRY_LAST_MS;
	if (!owner->shard->is_draining)
		timer_start(
		    owner->shard, &owner->idle, owner->retry_ms, on_retry);
}

static void work_inbox(struct owner *);

/* An outage of the database is short, as a rule. */
static bool
is_patient(struct owner *owner)
{
	const unsigned now_s = (unsigned)(clock_mono_ms() / SECOND);

	if (owner->failing_s == 0)
		owner->failing_s = now_s == 0 ? 1 : now_s;
	return now_s < owner->failing_s + PATIENCE_S;
}

/* With sessions the owner must stay, and durable letters wait for it: so it is
 * loaded anew. */
static void
load_failed(struct owner *owner, enum err err)
{
	struct shard *shard = owner->shard;

	metric_add(shard, METRIC_STORE_ERRORS, 1);
	/* That the database is away was told: not again for each owner. */
	log_at(store_is_up(shard->store) ? LOG_WARN : LOG_DEBUG, &owner->log,
	    "could not be loaded: %s", err_text(err));
	if (owner->is_detached) {
		work_inbox(owner);
		return;
	}
	load_ended(owner);
	inbox_refuse(owner, err, is_patient(owner));
	if (owner->pins > 0 || !list_is_empty(&owner->inbox) ||
	    !list_is_empty(&owner->again))
		retry_later(owner);
	else
		owner_free(owner);
}

static void
work_inbox(struct owner *owner)
{
	put_back_inbox(owner);
	load_ended(owner);
	forget_later(owner);
}

static void
load_modules(struct owner *owner)
{
	struct account *account = account_in(owner);
	size_t len = hook_account_slots_len(owner->shard->setup);

	if (account->slots == NULL)
		account->slots = arena_alloc(owner->arena, len == 0 ? 1 : len);
	join_init(&owner->loading, owner_loaded);
	hook_load(account, &owner->loading);
	join_wait_done(&owner->loading, ERR_NONE);
}

/* Also one that was loaded: a removal that seemed to fail was done. */
static void
set_absent(struct owner *owner)
{
	if (owner->id == 0)
		set_unloaded(owner, OWNER_ABSENT);
	else
		account_removed(account_in(owner));
	work_inbox(owner);
}

static void
owner_found(struct store_owner *find)
{
	struct owner_load *wait = container_of(find, struct owner_load, find);
	struct owner *owner = wait->owner;
	const bool is_other = find->err == ERR_NONE && owner->id != 0 &&
			      owner->id != find->row.id;

	shard_must_be_current(owner->shard);
	if (owner->is_detached) {
		work_inbox(owner);
	} else if (find->err == ERR_NOT_FOUND && owner->is_stale) {
		load_ended(owner);
		load(owner);
	} else if (find->err == ERR_NOT_FOUND || is_other) {
		set_absent(owner);
	} else if (find->err != ERR_NONE) {
		load_failed(owner, find->err);
	} else {
		owner->id = find->row.id;
		owner->state = find->row.state;
		owner->made_us = find->row.made_us;
		account_found(account_in(owner));
		load_modules(owner);
	}
}

static void
owner_loaded(struct join *loading)
{
	struct owner *owner = container_of(loading, struct owner, loading);

	if (loading->first != ERR_NONE) {
		load_failed(owner, loading->first);
		return;
	}
	if (!owner->is_detached)
		owner->stage = OWNER_READY;
	if (!owner->is_detached && !owner->is_stale)
		hook_loaded(account_in(owner));
	work_inbox(owner);
	if (owner->is_stale)
		owner_reload(owner);
}

void
owner_reload(struct owner *owner)
{
	if (owner->stage == OWNER_LOADING)
		owner->is_stale = true;
	if (owner->stage != OWNER_READY)
		return;
	timer_stop(owner->shard, &owner->idle);
	owner->stage = OWNER_LOADING;
	load(owner);
}

void
owner_again(struct owner *owner, struct post *letter)
{
	list_add_last(&owner->again, &letter->link);
	if (owner->stage == OWNER_LOADING)
		owner->is_stale = true;
	if (owner->stage != OWNER_READY)
		return;
	owner->stage = OWNER_LOADING;
	retry_later(owner);
}

void
owner_hold(struct owner *owner)
{
	must(owner->stage == OWNER_READY);
	owner->stage = OWNER_LOADING;
	owner->is_loading = true;
}

void
owner_resume(struct owner *owner)
{
	put_back_inbox(owner);
	owner->is_loading = false;
	if (!owner->is_detached)
		owner->stage = OWNER_READY;
	forget_later(owner);
	if (owner->is_stale)
		owner_reload(owner);
}

/* An empty letter goes where the others went. */
void
owner_catch(struct owner *owner, struct stream_id stream)
{
	struct post *letter;

	if (owner->stage != OWNER_READY)
		return;
	owner_hold(owner);
	owner->is_catching = true;
	letter = post_new(POST_DOWN, NULL);
	letter->to = jid_copy(letter->arena, owner->jid);
	letter->stream = stream;
	post_send(owner->shard, letter);
}

void
owner_take_caught(struct shard *shard, struct post *letter)
{
	struct owner *owner = owner_find(shard, letter->to);

	post_free(&letter);
	if (owner == NULL || !owner->is_catching)
		return;
	owner->is_catching = false;
	owner_resume(owner);
}

/* --- letters ------------------------------------------------------------ */

/* An account that is not in memory has no session: nobody would see these. */
static bool
is_for_sessions_only(struct shard *shard, const struct post *letter)
{
	const struct stanza *stanza = letter->stanza;

	if (letter->kind != POST_STANZA)
		return letter->kind != POST_KEYS_ASK &&
		       letter->kind != POST_LOGIN &&
		       letter->kind != POST_BIND &&
		       letter->kind != POST_SM_ASK &&
		       letter->kind != POST_KEPT && letter->kind != POST_WAKE &&
		       letter->kind != POST_ADMIN &&
		       letter->kind != POST_REGISTER;
	if (inbox_is_durable(letter))
		return false;
	switch (stanza->type) {
	case STANZA_ERROR:
	case STANZA_RESULT:
	case STANZA_AVAILABLE:
	case STANZA_UNAVAILABLE:
		return true;
	case STANZA_PROBE:
		return setup_host(shard->setup, jid_domain(stanza->from)) !=
		       NULL;
	default:
		return false;
	}
}

static void
wait_in_inbox(struct owner *owner, struct post *letter)
{
	if (!inbox_add(owner, letter) || owner->is_loading)
		return;
	timer_stop(owner->shard, &owner->idle);
	load(owner);
}

void
owner_take(struct shard *shard, struct post *letter)
{
	owner_take_hashed(shard, letter, owner_hash(letter->to));
}

/* Nothing is read for who only tries to log in: server/login.h. */
static bool
is_of_stranger(const struct post *letter)
{
	return letter->kind == POST_KEYS_ASK ||
	       (letter->kind == POST_LOGIN && !letter->login->is_success);
}

/* To one that is not in memory, or of whom nothing was read. */
static void
take_unread(struct shard *shard, struct owner *owner, struct post *letter)
{
	if (letter->kind == POST_SURE) {
		outbox_sure(shard, letter);
		return;
	}
	if (is_for_sessions_only(shard, letter)) {
		post_free(&letter);
		return;
	}
	if (owner == NULL)
		owner = begin(shard, letter->to);
	if (owner == NULL && letter->kind == POST_ADMIN) {
		admin_refuse(shard, letter, ERR_NOT_FOUND);
	} else if (owner == NULL) {
		router_absent(shard, letter);
	} else if (is_of_stranger(letter)) {
		account_take(account_in(owner), letter);
		forget_later(owner);
	} else {
		begin_to_load(owner);
		wait_in_inbox(owner, letter);
	}
}

void
owner_take_hashed(struct shard *shard, struct post *letter, uint64_t hash)
{
	struct owner *owner = find(shard, letter->to, hash);

	shard_must_be_current(shard);
	if (owner == NULL || owner->stage == OWNER_UNREAD)
		take_unread(shard, owner, letter);
	else if (owner->stage == OWNER_LOADING)
		wait_in_inbox(owner, letter);
	else
		account_take(account_in(owner), letter);
}

void
owner_take_first(struct owner *owner, struct list *letters)
{
	list_move(letters, &owner->inbox);
	owner->inbox_count = 0;
	list_each (letter, letters, struct post, link) {
		list_remove(&letter->link);
		owner_take(owner->shard, letter);
	}
}

/* --- the end ------------------------------------------------------------- */

void
owner_free_all(struct shard *shard)
{
	struct table_link *link;

	while ((link = table_next(&shard->owners, NULL)) != NULL) {
		struct owner *owner = container_of(link, struct owner, link);

		account_drop_sessions(account_in(owner));
		owner_free(owner);
	}
	list_each (owner, &shard->absents, struct owner, queue)
		owner_free(owner);
}

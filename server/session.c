#include "server/session.h"

#include <stdio.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/rand.h"
#include "server/handled.h"
#include "server/kept.h"
#include "server/metrics.h"
#include "server/resume.h"
#include "server/router.h"
#include "server/settings.h"
#include "server/setup.h"
#include "xml/prep.h"

/* So long after it began a login is good for a session. */
#define BIND_WITHIN_MS (50 * SECOND)
/* Two clocks that are read one after the other. */
#define CLOCKS_MS      10
#define GONE_WITHIN_MS (10 * SECOND)
#define RESOURCE_LEN   12 /* of one that the server makes */
#define SUFFIX_LEN     4
#define PRESENCE_LEN   256 /* of one as most are */

/* --- finding ------------------------------------------------------------ */

void *
session_slot(struct session *session, const struct module *module)
{
	return session->slots +
	       hook_session_slot(session->account->owner.shard->setup, module);
}

static struct session *
find_resource(struct account *account, struct str resource)
{
	session_each (session, account)
		if (str_equal(jid_resource(session->jid), resource))
			return session;
	return NULL;
}

struct session *
session_find(struct account *account, const struct jid *jid)
{
	if (!jid_equal_bare(jid, account_jid(account)))
		return NULL;
	return find_resource(account, jid_resource(jid));
}

struct session *
session_of_number(struct account *account, uint64_t number)
{
	session_each (session, account)
		if (session->number == number)
			return session;
	return NULL;
}

struct session *
session_of_stream(struct account *account, struct stream_id stream)
{
	session_each (session, account)
		if (stream_id_equal(session->stream, stream))
			return session;
	return NULL;
}

unsigned
session_count_all(const struct account *account)
{
	unsigned count = account->session_count;

	session_each_spent (session, account)
		count++;
	return count;
}

/* --- the stream --------------------------------------------------------- */

void
session_cut(struct session *session, enum stream_err err, const char *text)
{
	struct post *letter = post_new(POST_CLOSE, NULL);
	struct stream_end *end = arena_new(letter->arena, struct stream_end);

	letter->stream = session->stream;
	end->err = err;
	end->text = str_dup(letter->arena, str_of(text));
	letter->end = end;
	post_send(session->account->owner.shard, letter);
}

/* In the place of a stream that is gone already. */
static void
post_gone(struct session *session)
{
	struct post *letter = post_new(POST_GONE, NULL);

	letter->to = jid_copy(letter->arena, account_jid(session->account));
	letter->stream = session->stream;
	letter->end = arena_new(letter->arena, struct stream_end);
	post_send(session->account->owner.shard, letter);
}

void
session_close(struct session *session, enum stream_err err, const char *text)
{
	if (session->is_closing)
		return;
	session->is_closing = true;
	if (session->is_detached)
		post_gone(session);
	else
		session_cut(session, err, text);
}

void
session_said(struct account *account, struct post *letter)
{
	struct session *session = session_of_stream(account, letter->stream);
	const bool is_taken =
	    session != NULL &&
	    (session->resume == NULL || resume_count(session, letter));

	if (!is_taken || letter->stanza == NULL)
		post_free(&letter);
	else
		session_pass(session, letter);
}

/* --- presence ----------------------------------------------------------- */

static void
forget_presence(struct session *session)
{
	session->is_available = false;
	session->presence = NULL;
	arena_free(&session->presence_arena);
}

/* Most are short, and there are as many as sessions: from is the session's. */
static void
keep_presence(struct session *session, const struct stanza *stanza)
{
	struct stanza head = *stanza, *kept;

	session->presence_arena = arena_make(PRESENCE_LEN);
	head.from = NULL;
	kept = stanza_copy_deep(session->presence_arena, &head);
	kept->from = session->jid;
	session->presence = kept;
}

void
session_set_presence(
    struct session *session, const struct stanza *stanza, int8_t priority)
{
	const bool is_available = stanza->type == STANZA_AVAILABLE;
	const bool is_news = is_available != session->is_available;

	forget_presence(session);
	session->is_available = is_available;
	session->priority = priority;
	if (is_available)
		keep_presence(session, stanza);
	hook_session(
	    is_available ? HOOK_SESSION_AVAILABLE : HOOK_SESSION_UNAVAILABLE,
	    session);
	if (is_news)
		kept_show(session);
	else
		kept_note(session);
}

void
session_restore_presence(
    struct session *session, const struct stanza *stanza, int8_t priority)
{
	session->is_available = true;
	session->priority = priority;
	keep_presence(session, stanza);
}

/* --- ending ------------------------------------------------------------- */

void
session_drop(struct session *session)
{
	struct arena *arena = session->arena;
	struct account *account = session->account;

	post_free_all(&session->held);
	resume_drop(session);
	if (account->slots != NULL && !session->is_spent)
		hook_session(HOOK_SESSION_FORGET, session);
	kept_drop(session);
	if (list_holds(&session->link)) {
		list_remove(&session->link);
		account->session_count -= !session->is_spent;
	}
	metric_add(account->owner.shard, METRIC_SESSIONS, -1);
	arena_free(&session->presence_arena);
	arena_free(&arena);
}

/* While the account's modules are loaded anew there is nothing to tell them. */
static void
leave(struct session *session)
{
	struct account *account = session->account;
	bool was_available = session->is_available;

	list_remove(&session->link);
	account->session_count--;
	session->is_closing = true;
	forget_presence(session);
	if (account->slots != NULL) {
		if (was_available)
			hook_session(HOOK_SESSION_UNAVAILABLE, session);
		hook_session(HOOK_SESSION_CLOSED, session);
	}
	kept_end(session);
}

void
session_spend(struct session *session)
{
	struct account *account = session->account;

	leave(session);
	resume_spend(session);
	session_return_held(session);
	if (account->slots != NULL)
		hook_session(HOOK_SESSION_FORGET, session);
	session->is_spent = true;
	list_add_last(&account->spent, &session->link);
	log_debug(&session->log, "session ended but for its count");
}

void
session_end(struct session *session)
{
	struct account *account = session->account;

	if (!session->is_spent)
		leave(session);
	resume_end(session);
	session_return_held(session);
	log_debug(&session->log, "session ended");
	session_drop(session);
	owner_unpin(&account->owner);
}

/* --- binding ------------------------------------------------------------ */

/* A BIND, or who wants to resume, waits for the GONE of the stream it replaces;
 * lives in the letter. */
struct bind_wait {
	struct link link;
	struct timer timer;
	struct account *account;
	struct post *letter;
	struct list behind; /* what came of a stream that has ended, its GONE
			       last */
};

static struct post *
take_wait(struct bind_wait *wait)
{
	timer_stop(wait->account->owner.shard, &wait->timer);
	list_remove(&wait->link);
	post_free_all(&wait->behind);
	return wait->letter;
}

static void
on_gone_too_late(struct timer *timer)
{
	struct bind_wait *wait = container_of(timer, struct bind_wait, timer);
	struct shard *shard = wait->account->owner.shard;

	struct post *letter = take_wait(wait);

	if (letter->kind == POST_BIND)
		session_refuse(shard, letter, STANZA_ERR_RESOURCE_CONSTRAINT);
	else
		resume_too_late(shard, letter);
}

void
session_wait(struct account *account, struct post *letter)
{
	struct bind_wait *wait = arena_new(letter->arena, struct bind_wait);

	wait->account = account;
	wait->letter = letter;
	list_init(&wait->behind);
	list_add_last(&account->binds, &wait->link);
	timer_start(account->owner.shard, &wait->timer, GONE_WITHIN_MS,
	    on_gone_too_late);
}

bool
session_awaits(struct account *account, struct post *letter)
{
	const bool is_end = letter->kind == POST_GONE;

	list_each (wait, &account->binds, struct bind_wait, link) {
		if (wait->letter->kind != POST_BIND ||
		    !stream_id_equal(wait->letter->stream, letter->stream) ||
		    (is_end && list_is_empty(&wait->behind)))
			continue;
		list_add_last(&wait->behind, &letter->link);
		return true;
	}
	return false;
}

void
session_refuse_binds(struct account *account)
{
	list_each (wait, &account->binds, struct bind_wait, link) {
		struct post *letter = take_wait(wait);

		if (letter->kind == POST_BIND)
			session_refuse(account->owner.shard, letter,
			    STANZA_ERR_NOT_AUTHORIZED);
		else
			resume_take_absent(account, letter);
	}
}

void
session_drop_binds(struct account *account)
{
	list_each (wait, &account->binds, struct bind_wait, link) {
		struct post *letter = take_wait(wait);

		post_free(&letter);
	}
}

void
session_refuse(struct shard *shard, struct post *letter, enum stanza_err err)
{
	struct bound *bound = arena_new(letter->arena, struct bound);

	bound->err = err;
	letter->kind = POST_BOUND;
	letter->bound = bound;
	post_send(shard, letter);
}

static void
accept_bind(
    struct shard *shard, struct post *letter, const struct session *session)
{
	struct bound *bound = arena_new(letter->arena, struct bound);

	bound->jid = jid_copy(letter->arena, session->jid);
	letter->kind = POST_BOUND;
	letter->bound = bound;
	post_send(shard, letter);
}

static void
name_session(const struct log *log, char *text, size_t len)
{
	const struct session *session =
	    container_of(log, const struct session, log);
	struct str full = jid_full(session->jid);

	snprintf(text, len, "%.*s", STR_ARG(full));
}

void
session_set_origin(struct session *session, struct arena *arena,
    const struct session_origin *from)
{
	struct session_origin *origin = &session->origin;

	origin->address = str_dup(arena, from->address);
	origin->mechanism = str_dup(arena, from->mechanism);
	origin->tls = str_dup(arena, from->tls);
	origin->lang = str_dup(arena, from->lang);
}

static struct session *
session_new(
    struct account *account, struct stream_id stream, struct str resource)
{
	struct arena *arena = arena_make(512);
	struct session *session = arena_new(arena, struct session);
	size_t len = hook_session_slots_len(account->owner.shard->setup);

	session->account = account;
	session->arena = arena;
	session->number = handled_number(account->owner.shard);
	session->jid = jid_with_resource(arena, account_jid(account), resource);
	session->log.name = name_session;
	session->stream = stream;
	session->bound_us = clock_wall_us();
	session->active_ms = clock_mono_ms();
	list_init(&session->held);
	session->slots = arena_alloc(arena, len == 0 ? 1 : len);
	list_add_last(&account->sessions, &session->link);
	account->session_count++;
	owner_pin(&account->owner);
	metric_add(account->owner.shard, METRIC_SESSIONS, 1);
	return session;
}

/* One that makes room for who is there. */
static struct session *
find_ghost(struct account *account)
{
	session_each (session, account)
		if (resume_is_ghost(session))
			return session;
	return NULL;
}

static void
refuse_or_wait(struct account *account, struct post *letter)
{
	struct session *ghost = find_ghost(account);

	if (ghost == NULL) {
		session_refuse(account->owner.shard, letter,
		    STANZA_ERR_RESOURCE_CONSTRAINT);
		return;
	}
	session_close(ghost, STREAM_ERR_CONFLICT, NULL);
	session_wait(account, letter);
}

static void
bind_as(struct account *account, struct post *letter, struct str resource)
{
	struct shard *shard = account->owner.shard;
	uint64_t max = host_int(account->host, SETTING(SESSIONS_PER_ACCOUNT));
	struct session *session;

	if (session_count_all(account) >= max) {
		refuse_or_wait(account, letter);
		return;
	}
	session = session_new(account, letter->stream, resource);
	session_set_origin(session, session->arena, &letter->bind->origin);
	accept_bind(shard, letter, session);
	hook_session(HOOK_SESSION_OPENED, session);
}

struct session *
session_restore(struct account *account, struct str resource)
{
	struct session *session;

	if (resource.len == 0 || find_resource(account, resource) != NULL)
		return NULL;
	session = session_new(account, (struct stream_id){0}, resource);
	/* No stream has use 0; so its GONE finds this session alone. */
	session->stream.slot = (uint32_t)session->number;
	hook_session(HOOK_SESSION_OPENED, session);
	return session;
}

/* A long one has no room for a suffix. */
static struct str
renamed(struct arena *arena, struct str resource)
{
	if (resource.len + 1 + SUFFIX_LEN > PREP_PART_MAX)
		return rand_id(arena, RESOURCE_LEN);
	return str_format(arena, "%.*s-%.*s", STR_ARG(resource),
	    STR_ARG(rand_id(arena, SUFFIX_LEN)));
}

/* RFC 6120, section 7.7.2.2, and what the administrator chose of it. */
static void
resolve_conflict(
    struct account *account, struct session *old, struct post *letter)
{
	struct shard *shard = account->owner.shard;
	struct arena *arena = letter->arena;

	/* Who waits for its client is there only for that one. */
	if (old->is_detached) {
		session_close(old, STREAM_ERR_CONFLICT, NULL);
		session_wait(account, letter);
		return;
	}
	switch (config_choice(setup_config(account->host->setup),
	    account->host->index, SETTING(SESSIONS_CONFLICT))) {
	case CONFLICT_REFUSE:
		session_refuse(shard, letter, STANZA_ERR_CONFLICT);
		break;
	case CONFLICT_RENAME:
		bind_as(
		    account, letter, renamed(arena, letter->bind->resource));
		break;
	default:
		session_close(
		    old, STREAM_ERR_CONFLICT, "replaced by a new connection");
		session_wait(account, letter);
		break;
	}
}

/* Whether the account has that name since the login began: the one that it was
 * for may be gone, and another made. The clock may have been set back. */
static bool
is_same_account(const struct account *account, uint64_t login_ms)
{
	const uint64_t now_us = clock_wall_us();
	const uint64_t made_us = account->owner.made_us;
	const uint64_t since_ms = clock_mono_ms() - login_ms;

	return made_us > now_us ||
	       (now_us - made_us) / 1000 + CLOCKS_MS >= since_ms;
}

/* A password may have been changed since the keys were read, and an account
 * that is in memory knows: it stays there longer than this. */
static bool
is_login_good(const struct account *account, const struct bind_ask *ask)
{
	return (account->password_ms == 0 ||
		   ask->login_ms > account->password_ms) &&
	       is_same_account(account, ask->login_ms) &&
	       clock_mono_ms() - ask->login_ms < BIND_WITHIN_MS;
}

void
session_bind(struct account *account, struct post *letter)
{
	struct str resource = letter->bind->resource;
	struct session *old;

	if (account->is_leaving || account->owner.state == OWNER_DISABLED ||
	    !is_login_good(account, letter->bind)) {
		session_refuse(
		    account->owner.shard, letter, STANZA_ERR_NOT_AUTHORIZED);
		return;
	}
	if (resource.len == 0)
		resource = rand_id(letter->arena, RESOURCE_LEN);
	old = find_resource(account, resource);
	if (old != NULL)
		resolve_conflict(account, old, letter);
	else
		bind_as(account, letter, resource);
}

/* Those that asked first come first; who still has to wait does so anew. While
 * the account loads they wait as all do. */
static void
retry_binds(struct account *account, struct stream_id gone)
{
	struct list binds, letters;

	list_init(&binds);
	list_init(&letters);
	list_move(&binds, &account->binds);
	list_each (wait, &binds, struct bind_wait, link) {
		struct list behind;
		struct post *letter;

		list_init(&behind);
		list_move(&behind, &wait->behind);
		letter = take_wait(wait);
		if (stream_id_equal(letter->stream, gone))
			post_free(&letter);
		else
			list_add_last(&letters, &letter->link);
		list_move(&letters, &behind);
	}
	owner_take_first(&account->owner, &letters);
}

void
session_retry(struct account *account)
{
	retry_binds(account, (struct stream_id){0});
}

/* When nobody took it over at once. */
static void
tell_detached(struct account *account, uint64_t number)
{
	struct session *session = session_of_number(account, number);

	if (session != NULL && session->is_detached)
		hook_session(HOOK_SESSION_DETACHED, session);
}

/* Whether letters to the stream come back, and this one must wait for them. */
static bool
end_gone(struct session *session, struct post *gone)
{
	struct owner *owner = &session->account->owner;
	const bool is_behind =
	    session->resume == NULL && session->sent != gone->end->taken;

	session_end(session);
	if (is_behind)
		owner_catch(owner, gone->stream);
	return owner->is_catching;
}

void
session_gone(struct account *account, struct post *letter)
{
	struct session *session = session_of_stream(account, letter->stream);
	uint64_t detached = 0;

	owner_pin(&account->owner);
	if (session != NULL && resume_may_wait(session, letter->end)) {
		detached = session->number;
		resume_detach(session);
	} else if (session != NULL && session->is_closing &&
		   resume_must_settle(session, letter->end)) {
		log_debug(&session->log, "is ended when it is settled");
	} else if (session != NULL && end_gone(session, letter)) {
		owner_take(account->owner.shard, letter);
		owner_unpin(&account->owner);
		return;
	}
	if (!list_is_empty(&account->binds))
		retry_binds(account, letter->stream);
	if (detached != 0 && account->slots != NULL)
		tell_detached(account, detached);
	owner_unpin(&account->owner);
	post_free(&letter);
}

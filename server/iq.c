#include "server/iq.h"

#include "base/err.h"
#include "server/metrics.h"
#include "server/router.h"
#include "server/session.h"
#include "server/settle.h"
#include "server/setup.h"

/* Lives in its letter, which becomes the answer. */
struct iq {
	struct link link; /* in shard->iqs */
	struct shard *shard;
	struct account *account; /* NULL: a host is asked from elsewhere, or
				    nobody is */
	struct post *letter;
	uint64_t session; /* number of the asking one */
	bool is_own, is_for_host, is_given_up;
};

static void committed(struct store_commit *);

static unsigned
scope_of(bool is_there, bool is_own, bool is_for_host)
{
	if (is_for_host)
		return SCOPE_HOST;
	if (!is_there)
		return SCOPE_NOBODY;
	return is_own ? SCOPE_ACCOUNT | SCOPE_SELF : SCOPE_ACCOUNT;
}

void
iq_take(struct shard *shard, struct account *account, struct session *session,
    struct post *letter, bool is_for_host)
{
	const struct stanza *stanza = letter->stanza;
	const struct node *payload = node_first(stanza->node);
	const struct host *host =
	    is_for_host || account == NULL
		? setup_host(shard->setup, jid_domain(stanza->to))
		: account->host;
	const struct hook *hook = NULL;
	struct receipt receipt = {0};
	struct iq *iq;

	if (payload != NULL && host != NULL)
		hook = hook_iq(host, stanza->type == STANZA_SET, payload,
		    scope_of(account != NULL, session != NULL, is_for_host));
	if (hook == NULL) {
		router_bounce(
		    shard, letter, STANZA_ERR_SERVICE_UNAVAILABLE, NULL);
		return;
	}
	letter = post_own(letter);
	iq = arena_new(letter->arena, struct iq);
	iq->shard = shard;
	iq->account = account;
	iq->letter = letter;
	iq->is_own = session != NULL;
	iq->is_for_host = is_for_host;
	if (session != NULL)
		iq->session = session->number;
	list_add_last(&shard->iqs, &iq->link);
	if (account != NULL)
		owner_pin(&account->owner);
	if (stanza->type == STANZA_GET)
		receipt = receipt_take(letter);
	hook->iq(iq);
	receipt_settle(shard, &receipt);
}

void
iq_only_reads(struct iq *iq)
{
	receipt_settle(iq->shard, &iq->letter->receipt);
}

/* --- asking it ---------------------------------------------------------- */

struct arena *
iq_arena(const struct iq *iq)
{
	return iq->letter->arena;
}

const struct stanza *
iq_stanza(const struct iq *iq)
{
	return iq->letter->stanza;
}

const struct jid *
iq_from(const struct iq *iq)
{
	return iq->letter->stanza->from;
}

const struct node *
iq_payload(const struct iq *iq)
{
	return node_first(iq->letter->stanza->node);
}

bool
iq_is_set(const struct iq *iq)
{
	return iq->letter->stanza->type == STANZA_SET;
}

struct account *
iq_account(const struct iq *iq)
{
	return iq->account;
}

struct shard *
iq_shard(const struct iq *iq)
{
	return iq->shard;
}

const struct host *
iq_host(const struct iq *iq)
{
	const struct setup *setup = iq->shard->setup;
	const struct host *host;

	if (!iq->is_for_host && iq->account != NULL)
		return iq->account->host;
	host = setup_host(setup, jid_domain(iq->letter->stanza->to));
	return host == NULL ? setup_default_host(setup) : host;
}

bool
iq_is_for_host(const struct iq *iq)
{
	return iq->is_for_host;
}

struct session *
iq_session(const struct iq *iq)
{
	return iq->is_own ? session_of_number(iq->account, iq->session) : NULL;
}

bool
iq_is_own(const struct iq *iq)
{
	return iq->is_own;
}

struct store *
iq_store(const struct iq *iq)
{
	return iq->shard->store;
}

/* --- answering it ------------------------------------------------------- */

/* What it is made of may be the account's, which goes on: so it is serialised
 * for the account's own session, which takes the short way, or copied. */
static void
answer(struct iq *iq, const struct stanza *stanza)
{
	struct shard *shard = iq->shard;
	struct account *account = iq->account;
	struct post *letter = iq->letter;
	struct session *session = iq_session(iq);

	shard_must_be_current(shard);
	list_remove(&iq->link);
	letter->kind = POST_STANZA;
	letter->stanza = stanza;
	if (iq->is_given_up) {
		post_free(&letter);
	} else if (session != NULL) {
		letter->blob = router_serialise(shard, stanza);
		session_pass(session, letter);
	} else if (iq->is_own) {
		post_free(&letter);
	} else {
		letter->stanza = stanza_copy_deep(letter->arena, stanza);
		router_route(shard, account, letter);
	}
	if (account != NULL)
		owner_unpin(&account->owner);
}

void
iq_reply(struct iq *iq, const struct node *payload)
{
	answer(
	    iq, stanza_make_result(iq_arena(iq), iq->letter->stanza, payload));
}

void
iq_refuse(struct iq *iq, enum stanza_err err)
{
	iq_refuse_text(iq, err, NULL);
}

void
iq_refuse_text(struct iq *iq, enum stanza_err err, const char *text)
{
	metric_add(iq->shard, METRIC_STANZA_ERRORS, 1);
	answer(
	    iq, stanza_make_error(iq_arena(iq), iq->letter->stanza, err, text));
}

/* As the plain error, but for another type and one more condition in it. */
void
iq_refuse_with(struct iq *iq, enum stanza_err err, const char *type,
    const struct node *specific)
{
	struct stanza *stanza =
	    stanza_make_error(iq_arena(iq), iq->letter->stanza, err, NULL);
	struct node *error = stanza_error_body(stanza);

	if (type != NULL)
		node_set(error, "type", str_of(type));
	if (specific != NULL)
		node_add_copy(error, specific);
	metric_add(iq->shard, METRIC_STANZA_ERRORS, 1);
	answer(iq, stanza);
}

struct iq_write {
	struct store_commit commit;
	struct iq *iq;
	bool is_in_memory;
	void (*done)(struct iq *);
};

void
iq_commit(struct iq *iq, struct store_write *write, bool is_in_memory,
    void (*done)(struct iq *))
{
	struct iq_write *writing = arena_new(iq_arena(iq), struct iq_write);

	writing->iq = iq;
	writing->is_in_memory = is_in_memory;
	writing->done = done;
	store_commit(write, &writing->commit, committed);
}

static void
committed(struct store_commit *commit)
{
	struct iq_write *writing =
	    container_of(commit, struct iq_write, commit);
	struct iq *iq = writing->iq;

	if (commit->err != ERR_NONE) {
		if (writing->is_in_memory)
			owner_reload(&iq->account->owner);
		iq_refuse(iq, stanza_err_of(commit->err));
	} else if (writing->done != NULL)
		writing->done(iq);
	else
		iq_reply(iq, NULL);
}

/* --- the end ------------------------------------------------------------ */

/* The receipt goes with the answer: nobody is to ask this again because of
 * h. */
static void
give_up(struct iq *iq)
{
	struct session *session = iq_session(iq);
	struct post *letter = post_new(POST_STANZA, NULL);

	iq->is_given_up = true;
	letter->receipt = receipt_take(iq->letter);
	letter->stanza = stanza_copy_deep(letter->arena,
	    stanza_make_error(letter->arena, iq->letter->stanza,
		stanza_err_of(ERR_CANCELED), "the server is being stopped"));
	metric_add(iq->shard, METRIC_STANZA_ERRORS, 1);
	if (session != NULL)
		session_pass(session, letter);
	else if (iq->is_own)
		post_free(&letter);
	else
		router_route(iq->shard, iq->account, letter);
}

void
iq_give_up(struct shard *shard)
{
	list_each (iq, &shard->iqs, struct iq, link)
		if (!iq->is_given_up)
			give_up(iq);
}

void
iq_free_all(struct shard *shard)
{
	list_each (iq, &shard->iqs, struct iq, link) {
		struct post *letter = iq->letter;

		list_remove(&iq->link);
		post_free(&letter);
	}
}

enum stanza_err
stanza_err_of(enum err err)
{
	switch (err) {
	case ERR_NOT_FOUND:
		return STANZA_ERR_ITEM_NOT_FOUND;
	case ERR_EXISTS:
	case ERR_CONFLICT:
		return STANZA_ERR_CONFLICT;
	case ERR_TOO_LARGE:
		return STANZA_ERR_NOT_ACCEPTABLE;
	case ERR_INVALID:
		return STANZA_ERR_BAD_REQUEST;
	case ERR_DENIED:
		return STANZA_ERR_FORBIDDEN;
	case ERR_CORRUPT:
	case ERR_IO:
		return STANZA_ERR_INTERNAL_SERVER_ERROR;
	default:
		return STANZA_ERR_RESOURCE_CONSTRAINT;
	}
}

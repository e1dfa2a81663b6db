/*
 * Letters that wait until their owner is loaded, and what becomes of them when
 * it cannot be.
 */
#include "base/err.h"
#include "server/account.h"
#include "server/admin.h"
#include "server/iq.h"
#include "server/keys.h"
#include "server/owner_private.h"
#include "server/resume.h"
#include "server/router.h"
#include "server/session.h"
#include "server/setup.h"

#define INBOX_MAX 1024

static void
answer_keys(struct shard *shard, struct post *letter, enum err err)
{
	struct keys *keys = arena_new(letter->arena, struct keys);

	keys->err = err;
	letter->kind = POST_KEYS;
	letter->keys = keys;
	post_send(shard, letter);
}

/* Answers a letter whose owner could not be loaded. */
static void
answer_failure(struct shard *shard, struct post *letter, enum err err)
{
	switch (letter->kind) {
	case POST_STANZA:
	case POST_SENT:
		router_bounce(shard, letter, stanza_err_of(err), NULL);
		break;
	case POST_KEYS_ASK:
		answer_keys(shard, letter, err);
		break;
	case POST_BIND:
		session_refuse(shard, letter, STANZA_ERR_RESOURCE_CONSTRAINT);
		break;
	case POST_SM_ASK:
		resume_too_late(shard, letter);
		break;
	case POST_ADMIN:
		admin_refuse(shard, letter, err);
		break;
	default:
		post_free(&letter);
		break;
	}
}

/* Durable letters must not be answered but carried out, and what tells of them
 * goes with them. */
bool
inbox_is_durable(const struct post *letter)
{
	return letter->durable.row != 0 || letter->kind == POST_KEPT ||
	       letter->kind == POST_WAKE;
}

/* What a stream told its session is told once, and so is what nobody may
 * refuse: it waits as the session does, which would count wrongly, or miss the
 * end of its stream or an answer. Of what may come without end the rest is
 * dropped. */
static bool
is_of_session(struct owner *owner, const struct post *letter)
{
	const bool is_many = owner->inbox_count > INBOX_MAX;
	const enum post_kind kind = letter->kind;

	if (session_count_all(account_in(owner)) == 0)
		return false;
	if (kind == POST_SENT)
		return letter->is_counted;
	if (kind == POST_SM_ASK && letter->sm->event != SM_ENABLE)
		return letter->sm->event != SM_RESUME && !is_many;
	if (kind == POST_PROVED || kind == POST_NONZA)
		return !is_many;
	if (kind == POST_STANZA)
		return !is_many && !stanza_may_fail(letter->stanza);
	return kind == POST_GONE || kind == POST_SAID || kind == POST_SM_ASK;
}

/* Another server has told its user that it is on its way, and waits for the
 * receipt. Ours are told at once that something is wrong. */
static bool
can_wait(struct owner *owner, const struct post *letter)
{
	return letter->kind == POST_STANZA && letter->receipt.counter != 0 &&
	       letter->stanza->kind == STANZA_MESSAGE &&
	       setup_host(owner->shard->setup,
		   jid_domain(letter->stanza->from)) == NULL;
}

void
inbox_refuse(struct owner *owner, enum err err, bool is_patient)
{
	list_each (letter, &owner->inbox, struct post, link) {
		if (inbox_is_durable(letter) || is_of_session(owner, letter) ||
		    (is_patient && can_wait(owner, letter)))
			continue;
		list_remove(&letter->link);
		owner->inbox_count--;
		answer_failure(owner->shard, letter, err);
	}
}

static bool
is_question(const struct post *letter)
{
	return (letter->kind == POST_STANZA ||
		   (letter->kind == POST_SENT && !letter->is_counted)) &&
	       letter->stanza->kind == STANZA_IQ &&
	       stanza_may_fail(letter->stanza);
}

static void
refuse_questions(struct owner *owner)
{
	list_each (letter, &owner->inbox, struct post, link) {
		if (!is_question(letter))
			continue;
		list_remove(&letter->link);
		owner->inbox_count--;
		answer_failure(owner->shard, letter, ERR_CANCELED);
	}
}

void
owner_give_up_iqs(struct shard *shard)
{
	struct table_link *link = NULL;

	while ((link = table_next(&shard->owners, link)) != NULL)
		refuse_questions(container_of(link, struct owner, link));
}

/* What is counted is bounded where it is read (c2s_sm_count, s2s_sm_count). */
static bool
is_bounded(const struct post *letter)
{
	if (letter->kind == POST_STANZA)
		return letter->receipt.counter == 0 &&
		       !inbox_is_durable(letter);
	return (letter->kind == POST_SENT && !letter->is_counted) ||
	       letter->kind == POST_KEYS_ASK;
}

bool
inbox_add(struct owner *owner, struct post *letter)
{
	if (letter->is_returned && letter->stream.use != 0) {
		list_add_last(&owner->again, &letter->link);
		return false;
	}
	if (owner->inbox_count < INBOX_MAX || !is_bounded(letter)) {
		owner->inbox_count++;
		list_add_last(&owner->inbox, &post_own(letter)->link);
		return !inbox_is_durable(letter) &&
		       (!can_wait(owner, letter) ||
			   store_is_up(owner->shard->store));
	}
	if (letter->kind == POST_STANZA &&
	    letter->stanza->kind == STANZA_PRESENCE)
		post_free(&letter);
	else
		answer_failure(owner->shard, letter, ERR_FULL);
	return false;
}

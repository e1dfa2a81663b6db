/*
 * server/session_send.c - what a session is sent, and in which order: letters
 * wait behind places until those are released.
 */
#include "base/clock.h"
#include "server/hooks.h"
#include "server/resume.h"
#include "server/router.h"
#include "server/session.h"
#include "server/settings.h"
#include "server/settle.h"
#include "server/setup.h"

#define BLOB_LETTER_LEN 256 /* of one that only refers to a blob */

/* --- sending ------------------------------------------------------------ */

/* Whether it may go at once: nothing is held before it. */
static bool
is_first(const struct session *session)
{
	const struct link *first = list_first(&session->held);

	return first == NULL ||
	       (session->filling != NULL && first == &session->filling->link);
}

static bool
holds_too_many(const struct session *session)
{
	return session->held_count >
	       host_int(session->account->host, SETTING(SESSIONS_QUEUE));
}

/* It is the stream's now, or with stream management the client's. */
static void
leave(struct session *session, struct post *letter)
{
	struct shard *shard = session->account->owner.shard;

	if (session->resume != NULL) {
		resume_send(session, letter);
		return;
	}
	receipt_settle(shard, &letter->receipt);
	letter->stream = session->stream;
	session->sent++;
	post_send(shard, letter);
}

/* A place is a letter among those held that is never sent. */
static bool
is_place(const struct post *letter)
{
	return letter->kind == POST_KIND_COUNT;
}

bool
session_is_refused(const struct session *session, const struct post *letter)
{
	return letter->receipt.counter == session->number &&
	       letter->receipt.shard == session->account->owner.shard->index &&
	       letter->stanza != NULL && letter->stanza->type == STANZA_ERROR;
}

/* An error of its own waits for nothing: its stanza does not count as handled
 * before. What waits is as good as sent: nobody waits for who does not read. */
static void
send_down(struct session *session, struct post *letter)
{
	letter->kind = POST_DOWN;
	if (is_first(session) || session_is_refused(session, letter)) {
		leave(session, letter);
		return;
	}
	receipt_settle(session->account->owner.shard, &letter->receipt);
	letter->durable.since_us = clock_wall_us();
	if (session->filling != NULL)
		list_add_before(&session->filling->link, &letter->link);
	else
		list_add_last(&session->held, &letter->link);
	session->held_count++;
	if (holds_too_many(session))
		session_close(session, STREAM_ERR_RESOURCE_CONSTRAINT,
		    "too much waits to be sent");
}

static struct post *
blob_letter(struct blob *blob, const struct jid *to)
{
	struct post *letter = post_new(POST_DOWN, arena_make(BLOB_LETTER_LEN));

	letter->blob = blob_ref(blob);
	letter->to = to == NULL ? NULL : jid_copy(letter->arena, to);
	return letter;
}

/* Of a lent letter only the bytes and the address travel on. */
static struct post *
own_bytes(struct post *letter)
{
	struct post *own;

	if (!letter->is_lent || letter->blob == NULL)
		return post_own(letter);
	own = blob_letter(letter->blob, letter->to);
	own->ticket = letter->ticket;
	return own;
}

/* The last look of the modules; a changed stanza is no longer what the blob
 * says. False when one took it. */
static bool
may_deliver(struct session *session, struct post *letter)
{
	const struct stanza *stanza = letter->stanza;

	if (hook_stanza(HOOK_DELIVER, session->account, session, letter) ==
	    TAKEN)
		return false;
	if (letter->stanza != stanza && letter->blob != NULL) {
		if (letter->is_lent)
			letter->blob = NULL;
		else
			blob_unref(&letter->blob);
	}
	return true;
}

void
session_pass(struct session *session, struct post *letter)
{
	if (!may_deliver(session, letter))
		return;
	letter->to = letter->stanza->to;
	send_down(session, own_bytes(letter));
}

void
session_send(struct session *session, const struct stanza *stanza)
{
	session_send_proved(session, stanza, 0);
}

void
session_send_proved(
    struct session *session, const struct stanza *stanza, uint64_t ticket)
{
	struct post *letter = post_new(POST_DOWN, NULL);

	letter->stanza = stanza_copy_deep(letter->arena, stanza);
	letter->ticket = ticket;
	session_pass(session, letter);
}

static void
make_blob(struct shard *shard, struct post *letter)
{
	const struct stanza *stanza = letter->stanza;

	if (letter->blob != NULL)
		return;
	letter->blob = router_serialise(shard, stanza);
}

void
session_share(struct session *session, struct post *letter)
{
	struct post lent;

	make_blob(session->account->owner.shard, letter);
	lent = *letter;
	lent.link = (struct link){0};
	lent.is_lent = true;
	lent.receipt = (struct receipt){0};
	session_pass(session, &lent);
}

struct post *
session_keep(struct session *session, struct post *letter)
{
	struct shard *shard = session->account->owner.shard;
	struct blob *blob = letter->blob == NULL
				? router_serialise(shard, letter->stanza)
				: blob_ref(letter->blob);
	struct post *kept = blob_letter(blob, letter->stanza->to);

	kept->ticket = letter->ticket;
	blob_unref(&blob);
	post_free(&letter);
	return kept;
}

void
session_let_go(struct session *session, struct post *letter)
{
	send_down(session, letter);
}

/* --- a place in the order ----------------------------------------------- */

static struct post *
find_place(struct session *session, unsigned place)
{
	list_each (letter, &session->held, struct post, link) {
		if (is_place(letter) && letter->ticket == place)
			return letter;
	}
	return NULL;
}

unsigned
session_hold(struct session *session)
{
	struct post *place = post_new(POST_KIND_COUNT, NULL);

	place->ticket = ++session->place_count;
	list_add_last(&session->held, &place->link);
	return session->place_count;
}

void
session_fill(struct session *session, unsigned place,
    const struct stanza *stanza, uint64_t ticket)
{
	session->filling = find_place(session, place);
	session_send_proved(session, stanza, ticket);
	session->filling = NULL;
}

struct post *
session_next_held(const struct session *session, const struct post *letter)
{
	const struct link *link =
	    letter == NULL ? list_first(&session->held) : letter->link.next;
	struct post *next;

	while (link != NULL && link != &session->held.head) {
		next = list_entry(link, struct post, link);
		if (!is_place(next))
			return next;
		link = link->next;
	}
	return NULL;
}

uint64_t
session_held_ticket(const struct session *session, uint64_t bit)
{
	const struct post *letter = NULL;

	while ((letter = session_next_held(session, letter)) != NULL)
		if (letter->ticket != 0 &&
		    (letter->ticket & TICKET_ROWS) == bit)
			return letter->ticket;
	return UINT64_MAX;
}

void
session_release(struct session *session, unsigned place)
{
	struct post *held = find_place(session, place);

	if (held == NULL)
		return;
	list_remove(&held->link);
	post_free(&held);
	list_each (letter, &session->held, struct post, link) {
		if (is_place(letter))
			return;
		list_remove(&letter->link);
		session->held_count--;
		leave(session, letter);
	}
}

void
session_release_all(struct session *session)
{
	struct link *first;

	while ((first = list_first(&session->held)) != NULL)
		session_release(session,
		    (unsigned)container_of(first, struct post, link)->ticket);
}

void
session_take_back(struct session *session, unsigned place,
    bool (*has_back)(struct session *, const struct post *))
{
	const struct post *held = find_place(session, place);
	struct link *link = session->held.head.prev;

	while (held != NULL && link != &held->link) {
		struct post *letter = list_entry(link, struct post, link);

		link = link->prev;
		if (is_place(letter) || !has_back(session, letter))
			continue;
		list_remove(&letter->link);
		session->held_count--;
		post_free(&letter);
	}
}

void
session_return_held(struct session *session)
{
	list_each (letter, &session->held, struct post, link)
		if (is_place(letter)) {
			list_remove(&letter->link);
			post_free(&letter);
		}
	router_return_all(session->account->owner.shard, &session->held);
}

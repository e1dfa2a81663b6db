/*
 * modules/offline_bounce.c - the return of a message that we had taken for
 * sent: it comes as a durable letter, goes to the session that sent the
 * message, and is done with when that proved receipt. Without that session it
 * is kept like a message (XEP-0160 leaves errors open; an error for what was
 * acknowledged is the last that its sender can hear of it).
 */
#include "modules/offline_private.h"
#include "server/outbox.h"
#include "server/session.h"

static void sender_sure(struct outbox_wait *);

/* Lives in the arena of its letter. */
struct bounce {
	struct link link; /* in the account's; not when it is proved */
	uint64_t session; /* its number */
	struct shard *shard;
	struct post *letter;
	uint64_t ticket;
	struct outbox_wait wait; /* while the letter is not sure */
};

static struct bounces *
bounces_of(struct account *account)
{
	struct bounces *bounces = &offline_of(account)->bounces;

	if (bounces->list.head.next == NULL)
		list_init(&bounces->list);
	return bounces;
}

static void
send_proved(struct session *session, struct post *letter)
{
	struct bounces *bounces = bounces_of(session->account);
	struct bounce *bounce = arena_new(letter->arena, struct bounce);

	bounce->shard = session->account->owner.shard;
	bounce->session = session->number;
	bounce->letter = letter;
	bounce->ticket = TICKET_APART | ++bounces->count;
	list_add_last(&bounces->list, &bounce->link);
	if (!letter->durable.is_sure)
		outbox_wait(bounce->shard, &bounce->wait, letter, sender_sure);
	session_send_proved(session, letter->stanza, bounce->ticket);
}

static void
done_with(struct bounce *bounce)
{
	struct post *letter = bounce->letter;

	outbox_drop(bounce->shard, letter->durable);
	post_free(&letter);
}

/* When its sender could not commit there is no row. */
static void
sender_sure(struct outbox_wait *wait)
{
	struct bounce *bounce = container_of(wait, struct bounce, wait);
	struct durable_id *durable = &bounce->letter->durable;

	durable->is_sure = true;
	if (wait->err != ERR_NONE)
		durable->row = 0;
	if (!list_holds(&bounce->link))
		done_with(bounce);
}

enum verdict
bounce_received(
    struct account *account, struct session *session, struct post *letter)
{
	if (letter->durable.row == 0)
		return PASS;
	session = session_find(account, letter->stanza->to);
	if (session != NULL && !session->is_closing)
		send_proved(session, letter);
	else
		offline_keep(account, letter);
	return TAKEN;
}

void
bounce_proved(struct session *session, uint64_t ticket)
{
	struct bounces *bounces = bounces_of(session->account);

	list_each (bounce, &bounces->list, struct bounce, link) {
		if (bounce->session != session->number ||
		    bounce->ticket > ticket)
			continue;
		list_remove(&bounce->link);
		if (bounce->letter->durable.is_sure)
			done_with(bounce);
	}
}

static struct post *
give_up(struct bounce *bounce)
{
	list_remove(&bounce->link);
	if (!bounce->letter->durable.is_sure)
		outbox_unwait(bounce->shard, &bounce->wait);
	return bounce->letter;
}

/* What it did not prove is the next one's. */
void
bounce_find_sessions(struct account *account)
{
	list_each (bounce, &bounces_of(account)->list, struct bounce, link)
		if (session_of_number(account, bounce->session) == NULL)
			offline_keep(account, give_up(bounce));
}

void
bounce_forget(struct account *account)
{
	list_each (bounce, &bounces_of(account)->list, struct bounce, link) {
		struct post *letter = give_up(bounce);

		post_free(&letter);
	}
}

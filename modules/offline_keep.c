/*
 * modules/offline_keep.c - a message becomes a row. One of which it is not
 * known whether it is there is written again until it is.
 */
#include "base/clock.h"
#include "base/err.h"
#include "base/rand.h"
#include "modules/offline_private.h"
#include "server/iq.h"
#include "server/metrics.h"
#include "server/outbox.h"
#include "server/router.h"
#include "server/setup.h"

#define RETRY_MS (10 * SECOND)

static void message_kept(struct store_commit *);

struct keeping {
	struct link link; /* in offline->uncertain */
	struct store_commit commit;
	struct outbox_wait wait;
	struct account *account; /* pinned */
	struct post *letter;
	struct log_row row;
	bool is_uncertain; /* it may be there: no error is said */
};

/* Of an account that is gone nothing is written (struct owner). */
static void
write_row(struct keeping *keeping)
{
	struct owner *owner = &keeping->account->owner;
	struct store_write *write;

	if (owner->is_detached) {
		router_absent(owner->shard, keeping->letter);
		owner_unpin(owner);
		return;
	}
	write = store_write_new(owner->shard->store);
	store_append(write, &offline_kind, &keeping->row);
	if (keeping->letter->durable.row != 0)
		outbox_remove(write, keeping->letter->durable);
	store_commit_lazy(write, &keeping->commit, message_kept);
}

static void
append(struct keeping *keeping)
{
	struct account *account = keeping->account;
	struct post *letter = keeping->letter;
	struct offline *offline = offline_of(account);

	keeping->row = (struct log_row){.owner = account->owner.id,
	    .id = store_log_id(offline->last_id),
	    .nonce = rand_u64(),
	    .time_us = clock_wall_us(),
	    .peer = jid_full(letter->stanza->from),
	    .value = stanza_text(letter->arena, letter->stanza)};
	offline->last_id = keeping->row.id;
	offline->count++;
	offline->added++;
	offline->has_grown = true;
	write_row(keeping);
}

/* When its sender could not commit, the letter was never sent. */
static void
sender_sure(struct outbox_wait *wait)
{
	struct keeping *keeping = container_of(wait, struct keeping, wait);
	struct account *account = keeping->account;

	if (wait->err == ERR_NONE) {
		append(keeping);
		return;
	}
	post_free(&keeping->letter);
	owner_unpin(&account->owner);
}

void
offline_keep(struct account *account, struct post *letter)
{
	struct keeping *keeping = arena_new(letter->arena, struct keeping);

	keeping->account = account;
	keeping->letter = letter;
	owner_pin(&account->owner);
	if (letter->durable.row != 0)
		outbox_wait(
		    account->owner.shard, &keeping->wait, letter, sender_sure);
	else
		append(keeping);
}

static void
on_keep(struct timer *timer)
{
	offline_keep_again(container_of(timer, struct offline, keep)->account);
}

void
offline_keep_again(struct account *account)
{
	struct offline *offline = offline_of(account);

	timer_stop(account->owner.shard, &offline->keep);
	if (offline->uncertain.head.next == NULL)
		return;
	list_each (keeping, &offline->uncertain, struct keeping, link) {
		list_remove(&keeping->link);
		write_row(keeping);
	}
}

bool
offline_keep_is_unsure(struct account *account)
{
	const struct list *uncertain = &offline_of(account)->uncertain;

	return uncertain->head.next != NULL && !list_is_empty(uncertain);
}

/* The same row, until it is known to be there. */
static void
keep_later(struct keeping *keeping)
{
	struct account *account = keeping->account;
	struct offline *offline = offline_of(account);

	keeping->is_uncertain = true;
	if (offline->uncertain.head.next == NULL)
		list_init(&offline->uncertain);
	list_add_last(&offline->uncertain, &keeping->link);
	if (!timer_is_running(&offline->keep))
		timer_start(
		    account->owner.shard, &offline->keep, RETRY_MS, on_keep);
}

void
offline_keep_forget(struct account *account)
{
	struct offline *offline = offline_of(account);
	struct shard *shard = account->owner.shard;

	timer_stop(shard, &offline->keep);
	if (offline->uncertain.head.next == NULL)
		return;
	list_each (keeping, &offline->uncertain, struct keeping, link) {
		struct post *letter = keeping->letter;

		list_remove(&keeping->link);
		post_free(&letter);
		if (!shard->is_ended)
			owner_unpin(&account->owner);
	}
}

static bool
is_to_be_kept_again(const struct keeping *keeping)
{
	const enum err err = keeping->commit.err;

	return (err == ERR_UNCERTAIN || keeping->is_uncertain) &&
	       err != ERR_NONE && err != ERR_CANCELED &&
	       !keeping->account->owner.is_detached;
}

static void
message_kept(struct store_commit *commit)
{
	struct keeping *keeping = container_of(commit, struct keeping, commit);
	struct account *account = keeping->account;
	struct post *letter = keeping->letter;
	const bool is_durable = letter->durable.row != 0;

	if (is_to_be_kept_again(keeping)) {
		keep_later(keeping);
		return;
	}
	if (commit->err == ERR_NONE) {
		metric_add(account->owner.shard, METRIC_OFFLINE_STORED, 1);
		(void)hook_stanza(HOOK_KEPT, account, NULL, letter);
		post_free(&letter);
	} else {
		offline_of(account)->count--;
		router_bounce(account->owner.shard, letter,
		    stanza_err_of(commit->err),
		    "the message could not be kept");
	}
	/* Another resource may be there to take it. */
	if (is_durable)
		offline_offer(account);
	owner_unpin(&account->owner);
}

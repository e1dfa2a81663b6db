/*
 * Presence waits a minute, but what it says may hold for longer. Who is told
 * nothing in time is told when the link is there again: subscriptions, and who
 * has gone, are kept for that; all else accounts say anew.
 */
#include "base/clock.h"
#include "server/remote_private.h"
#include "server/remote_queue.h"

/* Of a pair: an eighth of its queue, or half of its places if these are few, so
 * that messages find room too. */
#define OWED_BYTES_MAX ((size_t)2 * 1024 * 1024)
#define OWED_SHARE     2
/* Of a shard, likewise. */
#define OWED_BYTES_OF_ALL_MAX (SILENT_BYTES_MAX / 4)

/* Nobody would say it again. Who asks is told when it was refused.
 * Subscriptions that changed something are durable; others answer who may ask
 * again. */
static bool
is_last_word(const struct pair *pair, const struct post *letter)
{
	const enum stanza_type type = letter->stanza->type;

	if (type == STANZA_UNAVAILABLE)
		return true;
	return letter->durable.row != 0 &&
	       (type != STANZA_SUBSCRIBE || !pair->is_refused);
}

/* By accounts, to contacts, when they hear that the domain is back: broadcasts,
 * and what one contact is told, who was approved or who probed. */
static bool
is_said_anew(const struct post *letter)
{
	return letter->kind == POST_MANY ||
	       (letter->stanza->type == STANZA_AVAILABLE &&
		   jid_is_bare(letter->stanza->to));
}

/* What only who is known there has reason to say. To take a request back, one
 * needs to have asked only; but what an earlier run left is believed. */
static bool
is_for_contacts(const struct post *letter)
{
	const enum stanza_type type = letter->stanza->type;

	return letter->kind == POST_MANY ||
	       (letter->durable.row != 0 && type != STANZA_SUBSCRIBE &&
		   (type != STANZA_UNSUBSCRIBE ||
		       letter->durable.since_us != 0));
}

/* Whether somebody there waits for it: not at a name that somebody made up. */
static bool
is_awaited(const struct pair *pair, const struct post *letter)
{
	const struct remote_counters total = remote_total(pair->remote);

	if (pair->is_acquainted)
		return true;
	if (queue_is_answer(letter) && pair_is_in_crowd(pair))
		return false;
	if (total.sent > 0 || total.received > 0)
		return !pair->is_lost || !pair_is_in_crowd(pair);
	return !pair->is_refused && is_for_contacts(letter) &&
	       (letter->kind == POST_MANY || !pair_is_in_crowd(pair));
}

static bool
is_too_old(const struct entry *entry)
{
	return clock_wall_us() >= entry->since_us + GIVE_UP_MS * 1000;
}

static bool
has_room(const struct pair *pair, const struct entry *entry)
{
	const struct remotes *remotes = pair_shard(pair)->remotes;

	return pair->owed_bytes + entry->bytes <= OWED_BYTES_MAX &&
	       pair->owed_count < queue_max(pair) / OWED_SHARE &&
	       remotes->owed_bytes + entry->bytes <= OWED_BYTES_OF_ALL_MAX;
}

/* By ticket: one whose commit was awaited comes late. */
static void
add(struct pair *pair, struct entry *entry)
{
	struct link *last = list_last(&pair->owed);
	struct entry *after = list_entry(last, struct entry, link);

	list_remove(&entry->link);
	pair->owed_count++;
	pair->owed_bytes += entry->bytes;
	pair_shard(pair)->remotes->owed_bytes += entry->bytes;
	if (after == NULL || after->ticket < entry->ticket) {
		list_add_last(&pair->owed, &entry->link);
		return;
	}
	list_each (later, &pair->owed, struct entry, link)
		if (later->ticket > entry->ticket) {
			list_add_before(&later->link, &entry->link);
			return;
		}
}

bool
owed_take(struct entry *entry)
{
	struct pair *pair = entry->pair;
	const struct post *letter = entry->letter;
	const bool is_kept =
	    is_last_word(pair, letter) && has_room(pair, entry);

	if (letter->stanza->kind != STANZA_PRESENCE || pair->is_over ||
	    is_too_old(entry) || (!is_kept && !is_said_anew(letter)) ||
	    !is_awaited(pair, letter))
		return false;
	if (pair->broken_ms == 0)
		pair->broken_ms = clock_mono_ms();
	if (!is_kept) {
		pair->is_behind = true;
		return false;
	}
	add(pair, entry);
	return true;
}

void
owed_miss(struct pair *pair, const struct post *letter)
{
	if (letter->stanza->kind != STANZA_PRESENCE || !is_said_anew(letter) ||
	    !is_awaited(pair, letter))
		return;
	link_be_behind(pair);
}

void
owed_remove(struct entry *entry)
{
	struct pair *pair = entry->pair;

	list_remove(&entry->link);
	pair->owed_count--;
	pair->owed_bytes -= entry->bytes;
	pair_shard(pair)->remotes->owed_bytes -= entry->bytes;
}

void
owed_return(struct pair *pair)
{
	struct list others;

	list_init(&others);
	list_move(&others, &pair->waits);
	list_each (entry, &pair->owed, struct entry, link) {
		list_each (other, &others, struct entry, link) {
			if (other->ticket > entry->ticket)
				break;
			list_remove(&other->link);
			list_add_last(&pair->waits, &other->link);
		}
		owed_remove(entry);
		list_add_last(&pair->waits, &entry->link);
	}
	list_move(&pair->waits, &others);
}

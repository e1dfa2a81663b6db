/*
 * modules/archive_retract.c - who takes back a message (XEP-0424) leaves a
 * tombstone in its place. It is looked for among the last messages of the
 * conversation, from the newest on: there is no index of what clients call
 * their messages, which would cost each of them more than this costs the few.
 */
#include "modules/archive_retract.h"

#include <stdlib.h>

#include "base/clock.h"
#include "base/err.h"
#include "modules/archive_private.h"

#define NS_MUC_USER "http://jabber.org/protocol/muc#user"

/* How far back a message is found. */
#define PAGE_ROWS 100
#define PAGES_MAX 50
/* Retractions of an account that are in memory: the notes of more are read when
 * these are done. */
#define QUEUE_MAX 100

#define RETRY_MS (5 * SECOND)
/* Rows that are yet to be written are looked for so often. */
#define WAIT_MS SECOND

static void read_page(struct archive_retract *);
static void read_again(struct timer *);
static void page_read(struct store_page *);
static void buried(struct store_commit *);
static void read_notes(struct account *, struct join *);
static void notes_read(struct store_scan *);

/* By the id of the row that takes back another one: its message. */
const struct store_kind archive_retract_kind = {
    "archive-retract", STORE_MAP, 0};

struct archive_retracts {
	struct list queue; /* struct archive_retract; the first is at work */
	struct list tombs; /* those that found theirs: it is being written */
	bool has_more;     /* notes, not in memory */
};

struct archive_retract {
	struct link link; /* in retracts->queue or ->tombs */
	struct store_page page;
	struct store_commit commit;
	struct timer retry;
	struct account *account; /* pinned once it is queued */
	struct arena *arena, *rows;
	const struct jid *from, *peer;
	struct str wanted, id; /* of the message; of its retraction */
	bool is_room;          /* who speaks there is a full JID */
	bool is_failing;       /* and somebody was told */
	uint64_t row;          /* of the retraction */
	uint64_t before;       /* what is left to be looked at */
	unsigned pages;
	unsigned failures; /* of rows, when the page was asked for */
	struct log_row tomb;
};

static bool
is_of_room(const struct stanza *stanza)
{
	return node_child(stanza->node, "x", NS_MUC_USER) != NULL;
}

struct archive_retract *
archive_retract_new(struct account *account, const struct stanza *stanza,
    const struct jid *peer, uint64_t row)
{
	const struct node *retract =
	    node_child(stanza->node, "retract", NS_RETRACT);
	const struct str wanted =
	    retract == NULL ? STR_NONE : node_attr(retract, "id");
	struct archive_retract *made;
	struct arena *arena;

	if (wanted.len == 0 || stanza->id.len == 0)
		return NULL;
	arena = arena_make(0);
	made = arena_new(arena, struct archive_retract);
	made->arena = arena;
	made->account = account;
	made->from = jid_copy(arena, stanza->from);
	made->peer = jid_to_bare(arena, jid_copy(arena, peer));
	made->wanted = str_dup(arena, wanted);
	made->id = str_dup(arena, stanza->id);
	made->is_room = is_of_room(stanza);
	made->row = row;
	made->before = row;
	return made;
}

void
archive_retract_free(struct archive_retract **retract)
{
	struct arena *arena;

	if (*retract == NULL)
		return;
	arena_free(&(*retract)->rows);
	arena = (*retract)->arena;
	*retract = NULL;
	arena_free(&arena);
}

static struct archive_retracts *
retracts_of(struct account *account)
{
	struct archive *archive = archive_of(account);

	if (archive->retracts == NULL) {
		archive->retracts = calloc(1, sizeof(*archive->retracts));
		must(archive->retracts != NULL);
		list_init(&archive->retracts->queue);
		list_init(&archive->retracts->tombs);
	}
	return archive->retracts;
}

static void
free_retracts(struct account *account)
{
	struct archive *archive = archive_of(account);

	free(archive->retracts);
	archive->retracts = NULL;
}

/* --- what is left to do -------------------------------------------------- */

static struct str
key_of(struct arena *arena, uint64_t row)
{
	return str_format(arena, "%020llu", (unsigned long long)row);
}

void
archive_retract_note(struct store_write *write, const struct log_row *row)
{
	store_put(write, row->owner, &archive_retract_kind,
	    key_of(store_write_arena(write), row->id), row->value);
}

static void
remove_note(struct store_write *write, const struct archive_retract *retract)
{
	store_remove(write, retract->account->owner.id, &archive_retract_kind,
	    key_of(store_write_arena(write), retract->row));
}

static bool
has_row(const struct list *retracts, uint64_t row, size_t *count)
{
	list_each (retract, retracts, struct archive_retract, link) {
		(*count)++;
		if (retract->row == row)
			return true;
	}
	return false;
}

void
archive_retract_start(struct archive_retract *retract)
{
	struct account *account = retract->account;
	struct archive_retracts *retracts = retracts_of(account);
	const bool is_first = list_is_empty(&retracts->queue);
	size_t count = 0;

	/* The note of it may be read while it is under way. */
	if (has_row(&retracts->queue, retract->row, &count) ||
	    has_row(&retracts->tombs, retract->row, &count) ||
	    count >= QUEUE_MAX) {
		retracts->has_more |= count >= QUEUE_MAX;
		archive_retract_free(&retract);
		return;
	}
	owner_pin(&account->owner);
	list_add_last(&retracts->queue, &retract->link);
	if (is_first)
		read_page(retract);
}

/* Once one is done. */
static void
leave(struct archive_retract *retract)
{
	struct account *account = retract->account;
	struct archive_retracts *retracts = retracts_of(account);

	list_remove(&retract->link);
	archive_retract_free(&retract);
	if (list_is_empty(&retracts->queue) &&
	    list_is_empty(&retracts->tombs)) {
		if (retracts->has_more && !account->owner.is_detached)
			read_notes(account, NULL);
		free_retracts(account);
	}
	owner_unpin(&account->owner);
}

/* Once the first of the queue left it. */
static void
go_on(struct account *account)
{
	struct archive_retracts *retracts = archive_of(account)->retracts;
	struct link *next =
	    retracts == NULL ? NULL : list_first(&retracts->queue);

	if (next != NULL)
		read_page(container_of(next, struct archive_retract, link));
}

static bool
is_over(struct account *account, enum err err)
{
	return err == ERR_NONE || err == ERR_CANCELED || account->is_leaving ||
	       account->owner.is_detached;
}

static void
try_later(struct archive_retract *retract, enum err err,
    void (*again)(struct timer *))
{
	struct account *account = retract->account;

	if (!retract->is_failing)
		log_warn(&account->owner.log,
		    "could not take a message back, will try again: %s",
		    err_text(err));
	retract->is_failing = true;
	timer_start(account->owner.shard, &retract->retry, RETRY_MS, again);
}

static void
take_note(struct account *account, const struct map_row *row)
{
	struct arena *arena = arena_make(0);
	const struct stanza *stanza = stanza_parse(arena, row->value);
	struct archive_retract *retract = NULL;
	uint64_t id;

	if (stanza != NULL && stanza->from != NULL && stanza->to != NULL &&
	    str_to_u64(row->key, INT64_MAX, &id))
		retract = archive_retract_new(account, stanza,
		    jid_equal_bare(stanza->from, account_jid(account))
			? stanza->to
			: stanza->from,
		    id);
	if (retract != NULL)
		archive_retract_start(retract);
	else
		log_error(&account->owner.log,
		    "what says that a message is taken back is damaged");
	arena_free(&arena);
}

struct notes {
	struct store_scan scan;
	struct account *account; /* pinned */
	struct join *join;       /* NULL: it is loaded */
};

static void
read_notes(struct account *account, struct join *join)
{
	struct arena *arena = arena_make(0);
	struct notes *notes = arena_new(arena, struct notes);

	notes->account = account;
	notes->join = join;
	owner_pin(&account->owner);
	store_scan(account->owner.shard->store, &notes->scan, arena,
	    &(struct map_query){.owner = account->owner.id,
		.kind = &archive_retract_kind,
		.max = QUEUE_MAX},
	    notes_read);
}

static void
notes_read(struct store_scan *scan)
{
	struct notes *notes = container_of(scan, struct notes, scan);
	struct account *account = notes->account;
	struct arena *arena = scan->arena;
	struct join *join = notes->join;
	const enum err err = scan->err;

	if (err != ERR_NONE || scan->is_more)
		retracts_of(account)->has_more = true;
	for (size_t i = 0; err == ERR_NONE && i < scan->count; i++)
		take_note(account, &scan->rows[i]);
	arena_free(&arena);
	owner_unpin(&account->owner);
	if (join == NULL)
		return;
	archive_of(account)->has_read_notes = err == ERR_NONE;
	join_wait_done(join, err);
}

/* What an account that is loaded anew has in memory is newer. */
void
archive_retract_load(struct account *account, struct join *join)
{
	if (archive_of(account)->has_read_notes)
		return;
	join_wait(join);
	read_notes(account, join);
}

static void
forget(struct list *retracts, struct shard *shard)
{
	list_each (retract, retracts, struct archive_retract, link) {
		list_remove(&retract->link);
		timer_stop(shard, &retract->retry);
		archive_retract_free(&retract);
	}
}

void
archive_retract_forget(struct account *account)
{
	struct archive_retracts *retracts = archive_of(account)->retracts;

	if (retracts == NULL)
		return;
	forget(&retracts->queue, account->owner.shard);
	forget(&retracts->tombs, account->owner.shard);
	free_retracts(account);
}

/* --- the message --------------------------------------------------------- */

static void
read_again(struct timer *timer)
{
	read_page(container_of(timer, struct archive_retract, retry));
}

static void
read_page(struct archive_retract *retract)
{
	struct account *account = retract->account;
	const struct log_query query = {.owner = account->owner.id,
	    .kind = &archive_kind,
	    .before = retract->before,
	    .peer = jid_full(retract->peer),
	    .is_backward = true,
	    .max = PAGE_ROWS};

	/* It may be one that waits for its recipient. */
	if (archive_unwritten(account) < retract->row) {
		timer_start(
		    account->owner.shard, &retract->retry, WAIT_MS, read_again);
		return;
	}
	retract->failures = archive_of(account)->failures;
	retract->rows = arena_make(0);
	store_page(account->owner.shard->store, &retract->page, retract->rows,
	    &query, page_read);
}

/* Section 5: said by the same. */
static bool
is_same_sender(
    const struct archive_retract *retract, const struct stanza *stanza)
{
	if (retract->is_room || is_of_room(stanza))
		return jid_equal(stanza->from, retract->from);
	return jid_equal_bare(stanza->from, retract->from);
}

/* Without reading XML; an id that is written with references may be any. */
static bool
may_be(const struct archive_retract *retract, const struct log_row *row)
{
	const struct str wanted = retract->wanted;

	for (size_t i = 0; i < wanted.len; i++)
		if (strchr("&<>'\"", wanted.text[i]) != NULL)
			return true;
	return memmem(row->value.text, row->value.len, wanted.text,
		   wanted.len) != NULL;
}

/* NULL when it is not this row. Retractions stay (section 5), whatever their
 * ids. */
static const struct stanza *
read_row(const struct archive_retract *retract, const struct log_row *row)
{
	const struct stanza *stanza;

	if (!may_be(retract, row))
		return NULL;
	stanza = stanza_parse(
	    retract->rows, archive_retract_text(retract->account, row));
	if (stanza == NULL || stanza->from == NULL ||
	    !str_equal(stanza->id, retract->wanted) ||
	    !is_same_sender(retract, stanza) ||
	    node_child(stanza->node, "retract", NS_RETRACT) != NULL)
		return NULL;
	return stanza;
}

static void
give_up(struct archive_retract *retract)
{
	struct account *account = retract->account;

	owner_pin(&account->owner);
	leave(retract);
	go_on(account);
	owner_unpin(&account->owner);
}

/* There is nothing to take back, or not any more. */
static void
settle(struct archive_retract *retract)
{
	struct store_write *write =
	    store_write_new(retract->account->owner.shard->store);

	remove_note(write, retract);
	store_commit_lazy(write, NULL, NULL);
	give_up(retract);
}

static void
write_tomb(struct archive_retract *retract)
{
	const struct log_row *tomb = &retract->tomb;
	struct store_write *write =
	    store_write_new(retract->account->owner.shard->store);

	store_append(write, &archive_kind, tomb);
	store_log_words(write, tomb->owner, &archive_kind, tomb->id, STR(""));
	remove_note(write, retract);
	store_commit(write, &retract->commit, buried);
}

static bool
is_any(const struct node *child, const void *arg)
{
	(void)child;
	(void)arg;
	return true;
}

/* Section 4: all that it said goes; its head, id and time stay. */
static struct str
tomb_text(const struct archive_retract *retract, const struct stanza *stanza)
{
	struct arena *arena = retract->rows;
	struct stanza *tomb = stanza_without(arena, stanza, is_any, NULL);
	struct node *node =
	    node_copy_without(arena, stanza->node, is_any, NULL);
	struct node *retracted = node_add(node, "retracted", NS_RETRACT);

	node_set(retracted, "id", retract->id);
	node_set(retracted, "stamp", clock_format(arena, retract->row));
	tomb->node = node;
	return str_dup(retract->arena, stanza_text(arena, tomb));
}

static void
bury(struct archive_retract *retract, const struct log_row *row,
    const struct stanza *stanza)
{
	struct archive_retracts *retracts = retracts_of(retract->account);

	retract->tomb = *row;
	retract->tomb.peer = str_dup(retract->arena, row->peer);
	retract->tomb.value = tomb_text(retract, stanza);
	arena_free(&retract->rows);
	archive_of(retract->account)->buried++;
	list_remove(&retract->link);
	list_add_last(&retracts->tombs, &retract->link);
	write_tomb(retract);
	go_on(retract->account);
}

/* What was taken back before is not taken back again, and nothing else in its
 * stead: an older message may have the same id. */
static void
take_back(struct archive_retract *retract, const struct log_row *row,
    const struct stanza *stanza)
{
	if (node_child(stanza->node, "retracted", NS_RETRACT) != NULL)
		settle(retract);
	else
		bury(retract, row, stanza);
}

static bool
find(struct archive_retract *retract)
{
	const struct store_page *page = &retract->page;

	for (size_t i = 0; i < page->count; i++) {
		const struct stanza *stanza = read_row(retract, &page->rows[i]);

		if (stanza != NULL) {
			take_back(retract, &page->rows[i], stanza);
			return true;
		}
		retract->before = page->rows[i].id;
	}
	return false;
}

static void
page_failed(struct archive_retract *retract, enum err err)
{
	arena_free(&retract->rows);
	if (is_over(retract->account, err))
		give_up(retract);
	else
		try_later(retract, err, read_again);
}

/* The page may lack a row that is written again. */
static bool
has_failures(const struct archive_retract *retract)
{
	return retract->failures != archive_of(retract->account)->failures;
}

/* Of an account that is gone nothing is written (struct owner). */
static void
page_read(struct store_page *page)
{
	struct archive_retract *retract =
	    container_of(page, struct archive_retract, page);

	if (page->err != ERR_NONE || retract->account->owner.is_detached) {
		page_failed(retract, page->err);
		return;
	}
	if (has_failures(retract)) {
		arena_free(&retract->rows);
		read_page(retract);
		return;
	}
	if (find(retract))
		return;
	arena_free(&retract->rows);
	if (page->is_more && ++retract->pages < PAGES_MAX)
		read_page(retract);
	else
		settle(retract);
}

static void
write_again(struct timer *timer)
{
	struct archive_retract *retract =
	    container_of(timer, struct archive_retract, retry);

	if (retract->account->owner.is_detached)
		leave(retract);
	else
		write_tomb(retract);
}

static void
buried(struct store_commit *commit)
{
	struct archive_retract *retract =
	    container_of(commit, struct archive_retract, commit);

	if (is_over(retract->account, commit->err))
		leave(retract);
	else
		try_later(retract, commit->err, write_again);
}

struct str
archive_retract_text(struct account *account, const struct log_row *row)
{
	const struct archive_retracts *retracts = archive_of(account)->retracts;

	if (retracts == NULL)
		return row->value;
	list_each (retract, &retracts->tombs, struct archive_retract, link)
		if (retract->tomb.id == row->id)
			return retract->tomb.value;
	return row->value;
}

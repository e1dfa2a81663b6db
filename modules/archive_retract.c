/*
 * modules/archive_retract.c - who takes back a message (XEP-0424) leaves a
 * tombstone in its place. It is looked for among the last messages of the
 * conversation, from the newest on: there is no index of what clients call
 * their messages, which would cost each of them more than this costs the few.
 */
#include "base/clock.h"
#include "base/err.h"
#include "modules/archive_private.h"

#define NS_MUC_USER "http://jabber.org/protocol/muc#user"

/* How far back a message is found. */
#define PAGE_ROWS 100
#define PAGES_MAX 50
/* Retractions of an account that wait for their turn; more are not done. */
#define QUEUE_MAX 100

static void read_page(struct archive_retract *);
static void page_read(struct store_page *);
static void buried(struct store_commit *);

struct archive_retract {
	struct link link; /* in archive->retracts; the first is at work */
	struct store_page page;
	struct store_commit commit;
	struct account *account; /* pinned once it is queued */
	struct arena *arena, *rows;
	const struct jid *from, *peer;
	struct str wanted, id; /* of the message; of its retraction */
	bool is_room;          /* who speaks there is a full JID */
	uint64_t before, time_us;
	unsigned pages;
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
	made->before = row;
	made->time_us = row;
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

static size_t
count(const struct list *retracts)
{
	size_t found = 0;

	list_each (retract, retracts, struct archive_retract, link)
		found++;
	return found;
}

void
archive_retract_start(struct archive_retract *retract)
{
	struct account *account = retract->account;
	struct list *retracts = &archive_of(account)->retracts;
	bool is_first;

	if (retracts->head.next == NULL)
		list_init(retracts);
	is_first = list_is_empty(retracts);
	if (count(retracts) >= QUEUE_MAX) {
		archive_retract_free(&retract);
		return;
	}
	owner_pin(&account->owner);
	list_add_last(retracts, &retract->link);
	if (is_first)
		read_page(retract);
}

static void
finish(struct archive_retract *retract, enum err err)
{
	struct account *account = retract->account;
	struct list *retracts = &archive_of(account)->retracts;
	struct link *next;

	if (err != ERR_NONE)
		log_warn(&account->owner.log,
		    "a retracted message stays in the archive: %s",
		    err_text(err));
	list_remove(&retract->link);
	archive_retract_free(&retract);
	next = list_first(retracts);
	if (next != NULL)
		read_page(container_of(next, struct archive_retract, link));
	owner_unpin(&account->owner);
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
	stanza = stanza_parse(retract->rows, row->value);
	if (stanza == NULL || stanza->from == NULL ||
	    !str_equal(stanza->id, retract->wanted) ||
	    !is_same_sender(retract, stanza) ||
	    node_child(stanza->node, "retract", NS_RETRACT) != NULL)
		return NULL;
	return stanza;
}

static bool
is_any(const struct node *child, const void *arg)
{
	(void)child;
	(void)arg;
	return true;
}

/* Section 4: all that it said goes; its head, id and time stay. */
static void
bury(struct archive_retract *retract, const struct log_row *row,
    const struct stanza *stanza)
{
	struct arena *arena = retract->rows;
	struct stanza *tomb = stanza_without(arena, stanza, is_any, NULL);
	struct node *node =
	    node_copy_without(arena, stanza->node, is_any, NULL);
	struct node *retracted = node_add(node, "retracted", NS_RETRACT);
	struct log_row buried_row = *row;
	struct store_write *write =
	    store_write_new(retract->account->owner.shard->store);

	archive_of(retract->account)->buried++;
	node_set(retracted, "id", retract->id);
	node_set(retracted, "stamp", clock_format(arena, retract->time_us));
	tomb->node = node;
	buried_row.value = stanza_text(arena, tomb);
	store_append(write, &archive_kind, &buried_row);
	store_log_words(write, row->owner, &archive_kind, row->id, STR(""));
	store_commit(write, &retract->commit, buried);
}

/* What was taken back before is not taken back again, and nothing else in its
 * stead: an older message may have the same id. */
static void
take_back(struct archive_retract *retract, const struct log_row *row,
    const struct stanza *stanza)
{
	if (node_child(stanza->node, "retracted", NS_RETRACT) != NULL)
		finish(retract, ERR_NONE);
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
page_read(struct store_page *page)
{
	struct archive_retract *retract =
	    container_of(page, struct archive_retract, page);

	if (page->err != ERR_NONE) {
		finish(retract, page->err);
		return;
	}
	if (find(retract))
		return;
	arena_free(&retract->rows);
	if (page->is_more && ++retract->pages < PAGES_MAX)
		read_page(retract);
	else
		finish(retract, ERR_NONE);
}

static void
buried(struct store_commit *commit)
{
	finish(
	    container_of(commit, struct archive_retract, commit), commit->err);
}

/*
 * modules/archive_keep.c - what is kept, and writing it.
 */
#include "base/clock.h"
#include "base/err.h"
#include "base/rand.h"
#include "modules/archive_private.h"
#include "modules/hints.h"
#include "modules/stanza_id.h"
#include "server/metrics.h"
#include "server/resume.h"
#include "server/router.h"
#include "server/settle.h"
#include "server/setup.h"

#define RETRY_MIN_MS SECOND
#define RETRY_MAX_MS (30 * SECOND)
/* A query waits so long for rows that are not written yet. */
#define AWAIT_MS (5 * SECOND)

static void row_written(struct store_commit *);

/* --- the public id --------------------------------------------------------
 */

struct str
archive_id_text(struct arena *arena, struct archive_id id)
{
	return str_format(arena, "%016llx%016llx", (unsigned long long)id.id,
	    (unsigned long long)id.nonce);
}

static bool
read_hex(struct str text, uint64_t *number_r)
{
	uint64_t number = 0;

	for (size_t i = 0; i < text.len; i++) {
		const char c = text.text[i];
		unsigned digit;

		if (c >= '0' && c <= '9')
			digit = (unsigned)(c - '0');
		else if (c >= 'a' && c <= 'f')
			digit = (unsigned)(c - 'a') + 10;
		else
			return false;
		number = number << 4 | digit;
	}
	*number_r = number;
	return true;
}

bool
archive_id_read(struct str text, struct archive_id *id_r)
{
	const size_t half = ARCHIVE_ID_LEN / 2;

	return text.len == ARCHIVE_ID_LEN &&
	       read_hex((struct str){text.text, half}, &id_r->id) &&
	       read_hex((struct str){text.text + half, half}, &id_r->nonce) &&
	       id_r->id != 0 && id_r->id <= INT64_MAX;
}

struct archive_id
archive_next_id(struct account *account)
{
	struct archive *archive = archive_of(account);

	archive->last_id = store_log_id(archive->last_id);
	return (struct archive_id){archive->last_id, rand_u64()};
}

/* --- what is worth it ------------------------------------------------------
 */

/* Beyond what has a body: what says something that all devices of a user want
 * to know. XEP-0184 and XEP-0333: that it arrived or was read; encrypted
 * payloads, whose body is inside; XEP-0334: the sender asks for it. */
static const struct {
	const char *name, *ns;
} kept[] = {
    {"body", NS_CLIENT},
    {"encryption", "urn:xmpp:eme:0"},
    {"encrypted", "urn:xmpp:omemo:2"},
    {"encrypted", "eu.siacs.conversations.axolotl"},
    {"openpgp", "urn:xmpp:openpgp:0"},
    {"x", "jabber:x:encrypted"},
    {"received", "urn:xmpp:receipts"},
    {"received", "urn:xmpp:chat-markers:0"},
    {"displayed", "urn:xmpp:chat-markers:0"},
    {"acknowledged", "urn:xmpp:chat-markers:0"},
    {"retract", NS_RETRACT},
    {"reactions", "urn:xmpp:reactions:0"},
    {"store", NS_HINTS},
};

static bool
says_something(const struct node *message)
{
	node_each (child, message)
		for (size_t i = 0; i < sizeof(kept) / sizeof(kept[0]); i++)
			if (node_is(child, kept[i].name, kept[i].ns))
				return true;
	return false;
}

bool
archive_wants(struct account *account, const struct stanza *stanza,
    const struct jid *peer)
{
	if (stanza->type != STANZA_NORMAL && stanza->type != STANZA_CHAT)
		return false;
	return says_something(stanza->node) && !hints_has(stanza, "no-store") &&
	       !hints_has(stanza, "no-permanent-store") &&
	       archive_prefs_want(account, peer);
}

/* --- writing ---------------------------------------------------------------
 */

static void
add_to(struct list *list, struct link *link)
{
	if (list->head.next == NULL)
		list_init(list);
	list_add_last(list, link);
}

struct row_open {
	struct store_commit commit;
	struct link link; /* in archive->failed, ->deferred, or in no list */
	struct account *account;   /* pinned */
	struct store_write *write; /* its arena holds this and the row; NULL:
				      the store has it */
	struct log_row row;
	struct post *letter;       /* bounced when the row fails; or NULL */
	struct receipt receipt;    /* settled when the row is there */
	struct resume_row awaited; /* of one that was sent */
	bool is_retried;           /* it was not there in time */
	struct archive_retract *retract; /* of one that takes back another */
};

static uint64_t
least(const struct list *rows)
{
	uint64_t id = UINT64_MAX;

	if (rows->head.next == NULL)
		return id;
	list_each (open, rows, struct row_open, link)
		if (id > open->row.id)
			id = open->row.id;
	return id;
}

uint64_t
archive_unwritten(struct account *account)
{
	const struct archive *archive = archive_of(account);
	const uint64_t failed = least(&archive->failed);
	const uint64_t deferred = least(&archive->deferred);

	return failed < deferred ? failed : deferred;
}

uint64_t
archive_failed(struct account *account)
{
	return least(&archive_of(account)->failed);
}

static void
on_await_end(struct timer *timer)
{
	struct archive_await *await =
	    container_of(timer, struct archive_await, timer);

	list_remove(&await->link);
	await->done(await);
}

void
archive_await_rows(struct account *account, struct archive_await *await,
    void (*done)(struct archive_await *))
{
	struct archive *archive = archive_of(account);

	if (archive_unwritten(account) == UINT64_MAX) {
		done(await);
		return;
	}
	await->account = account;
	await->upto = archive->last_id;
	await->done = done;
	add_to(&archive->awaits, &await->link);
	timer_start(
	    account->owner.shard, &await->timer, AWAIT_MS, on_await_end);
}

/* A row is given to the store, in a moment, or given up. */
static void
row_leaves(struct row_open *open)
{
	struct account *account = open->account;
	struct archive *archive = archive_of(account);
	uint64_t unwritten;

	if (!list_holds(&open->link))
		return;
	list_remove(&open->link);
	if (archive->awaits.head.next == NULL ||
	    list_is_empty(&archive->awaits))
		return;
	unwritten = archive_unwritten(account);
	list_each (await, &archive->awaits, struct archive_await, link)
		if (await->upto < unwritten)
			timer_start(account->owner.shard, &await->timer, 0,
			    on_await_end);
}

static void
row_free(struct row_open *open)
{
	struct account *account = open->account;
	struct store_write *write = open->write;

	row_leaves(open);
	archive_retract_free(&open->retract);
	store_write_free(&write);
	owner_unpin(&account->owner);
}

static void
row_kept(struct row_open *open)
{
	struct account *account = open->account;
	struct shard *shard = account->owner.shard;
	struct post *letter = open->letter;

	archive_of(account)->retry_ms = 0;
	metric_add(shard, METRIC_ARCHIVED, 1);
	archive_limit_grown(account);
	if (open->retract != NULL)
		archive_retract_start(open->retract);
	open->retract = NULL;
	receipt_settle(shard, &open->receipt);
	if (letter != NULL) {
		metric_add(shard, METRIC_OFFLINE_STORED, 1);
		(void)hook_stanza(HOOK_KEPT, account, NULL, letter);
		post_free(&letter);
	}
	if (open->is_retried)
		archive_offer(account);
	row_free(open);
}

static void
row_refused(struct row_open *open)
{
	struct shard *shard = open->account->owner.shard;
	struct post *letter = open->letter;
	const enum err err = open->commit.err;

	if (letter != NULL)
		router_bounce(shard, letter, stanza_err_of(err),
		    "the message could not be kept");
	if (err != ERR_CANCELED)
		receipt_settle(shard, &open->receipt);
	row_free(open);
}

static void
row_write(struct row_open *open)
{
	struct store_write *write = open->write;

	open->write = NULL;
	store_append_own(write, &archive_kind, &open->row);
	store_commit_lazy(write, &open->commit, row_written);
	row_leaves(open);
}

static struct row_open *
row_make(struct account *account, struct arena **arena_r)
{
	struct store_write *write =
	    store_write_new(account->owner.shard->store);
	struct row_open *open;

	*arena_r = store_write_arena(write);
	open = arena_new(*arena_r, struct row_open);
	open->account = account;
	open->write = write;
	return open;
}

/* The time of a row is its id: so a time bounds a page as an id does. */
static struct row_open *
row_new(struct account *account, const struct stanza *stanza,
    const struct jid *peer, struct archive_id id)
{
	struct arena *arena;
	struct row_open *open = row_make(account, &arena);

	open->row = (struct log_row){.owner = account->owner.id,
	    .id = id.id,
	    .nonce = id.nonce,
	    .time_us = id.id,
	    .peer = str_dup(arena, jid_full(peer)),
	    .value = stanza_text(arena, stanza)};
	open->retract = archive_retract_new(account, stanza, peer, id.id);
	owner_pin(&account->owner);
	return open;
}

void
archive_keep(struct account *account, const struct stanza *stanza,
    struct archive_id id, struct post *letter)
{
	struct row_open *open = row_new(account, stanza, stanza->from, id);

	open->receipt = receipt_take(letter);
	row_write(open);
}

void
archive_keep_or_bounce(
    struct account *account, struct post *letter, struct archive_id id)
{
	const struct stanza *stanza =
	    stanza_id_strip(account, letter->arena, letter->stanza);
	struct row_open *open = row_new(account, stanza, stanza->from, id);

	open->letter = letter;
	row_write(open);
}

static void
awaited_add(struct resume_row *row, struct store_write *write)
{
	struct row_open *open = container_of(row, struct row_open, awaited);

	store_append(write, &archive_kind, &open->row);
	row_leaves(open);
}

static void
awaited_done(struct resume_row *row, enum err err)
{
	struct row_open *open = container_of(row, struct row_open, awaited);

	if (err == ERR_NONE)
		row_kept(open);
	else
		row_free(open);
}

static void
awaited_alone(struct resume_row *row)
{
	row_write(container_of(row, struct row_open, awaited));
}

void
archive_keep_sent(struct account *account, struct session *session,
    const struct stanza *stanza, const struct post *letter,
    struct archive_id id)
{
	struct row_open *open = row_new(account, stanza, stanza->to, id);

	open->awaited.add = awaited_add;
	open->awaited.done = awaited_done;
	open->awaited.alone = awaited_alone;
	if (resume_defer(session, letter, &open->awaited))
		add_to(&archive_of(account)->deferred, &open->link);
	else
		row_write(open);
}

static void
on_retry(struct timer *timer)
{
	struct archive *archive = container_of(timer, struct archive, retry);

	list_each (open, &archive->failed, struct row_open, link)
		row_write(open);
}

void
archive_keep_drain(struct account *account)
{
	struct timer *retry = &archive_of(account)->retry;

	if (!timer_is_running(retry))
		return;
	timer_stop(account->owner.shard, retry);
	on_retry(retry);
}

/* For the store is about to forget it. */
static struct row_open *
row_copy(const struct row_open *failed)
{
	struct arena *arena;
	struct row_open *open = row_make(failed->account, &arena);
	struct store_write *write = open->write;

	*open = *failed;
	open->write = write;
	open->row.peer = str_dup(arena, failed->row.peer);
	open->row.value = str_dup(arena, failed->row.value);
	return open;
}

/* The message was delivered, so there is no way back. */
static void
try_again(struct row_open *open)
{
	struct account *account = open->account;
	struct archive *archive = archive_of(account);

	open->is_retried = true;
	add_to(&archive->failed, &row_copy(open)->link);
	if (timer_is_running(&archive->retry))
		return;
	archive->retry_ms *= 2;
	if (archive->retry_ms < RETRY_MIN_MS)
		archive->retry_ms = RETRY_MIN_MS;
	if (archive->retry_ms > RETRY_MAX_MS)
		archive->retry_ms = RETRY_MAX_MS;
	log_warn(&account->owner.log, "could not archive messages: %s",
	    err_text(open->commit.err));
	timer_start(
	    account->owner.shard, &archive->retry, archive->retry_ms, on_retry);
}

static void
row_written(struct store_commit *commit)
{
	struct row_open *open = container_of(commit, struct row_open, commit);

	if (commit->err == ERR_NONE)
		row_kept(open);
	else if (open->letter != NULL || commit->err == ERR_CANCELED ||
		 open->account->owner.is_detached)
		row_refused(open);
	else
		try_again(open);
}

void
archive_keep_forget(struct account *account)
{
	struct archive *archive = archive_of(account);
	struct shard *shard = account->owner.shard;

	timer_stop(shard, &archive->retry);
	if (archive->failed.head.next == NULL)
		return;
	list_each (open, &archive->failed, struct row_open, link) {
		struct store_write *write = open->write;

		list_remove(&open->link);
		archive_retract_free(&open->retract);
		store_write_free(&write);
		if (!shard->is_ended)
			owner_unpin(&account->owner);
	}
}

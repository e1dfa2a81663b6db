/*
 * modules/archive_keep.c - what is kept, and writing it.
 */
#include <endian.h>

#include "base/clock.h"
#include "base/code.h"
#include "base/err.h"
#include "base/hash.h"
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
#define RETRY_MAX_MS (5 * SECOND)
/* Rows of one commit. */
#define BATCH_MAX 256
/* Bytes of rows that wait in memory. */
#define QUEUE_LEN_MAX ((size_t)16 * 1024 * 1024)
/* A query waits so long for rows that are not written yet. */
#define AWAIT_MS (5 * SECOND)

static void batch_written(struct store_commit *);

/* --- the public id ------------------------------------------------------- */

/* Of the secret and the nonce, and of nothing else that is made with the
 * secret. */
static uint64_t
mask(const struct account *account, uint64_t nonce)
{
	const struct server *server = account->owner.shard->server;
	char text[24] = "archive id";

	memcpy(text + sizeof(text) - sizeof(nonce), &nonce, sizeof(nonce));
	return hash_secret(server->secret, (struct str){text, sizeof(text)});
}

struct str
archive_id_text(
    const struct account *account, struct arena *arena, struct archive_id id)
{
	const uint64_t parts[] = {
	    htobe64(id.nonce), htobe64(id.id ^ mask(account, id.nonce))};

	return hex_encode(
	    arena, (struct str){(const char *)parts, sizeof(parts)});
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
archive_id_read(
    const struct account *account, struct str text, struct archive_id *id_r)
{
	const size_t half = ARCHIVE_ID_LEN / 2;

	if (text.len != ARCHIVE_ID_LEN ||
	    !read_hex((struct str){text.text, half}, &id_r->nonce) ||
	    !read_hex((struct str){text.text + half, half}, &id_r->id))
		return false;
	id_r->id ^= mask(account, id_r->nonce);
	return id_r->id != 0 && id_r->id <= INT64_MAX;
}

struct archive_id
archive_next_id(struct account *account)
{
	struct archive *archive = archive_of(account);

	archive->last_id = store_log_id(archive->last_id);
	return (struct archive_id){archive->last_id, rand_u64()};
}

/* --- what is worth it ---------------------------------------------------- */

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

/* --- writing ------------------------------------------------------------- */

struct row_open {
	struct link link; /* in archive->queue, ->deferred, or of a batch */
	struct account *account;   /* pinned */
	struct store_write *write; /* its arena holds this and the row; NULL:
				      the store has it */
	struct log_row row;
	struct post *letter;       /* bounced when the row fails; or NULL */
	struct receipt receipt;    /* settled when the row is there */
	struct resume_row awaited; /* of one that was sent */
	bool is_late;              /* readers were told to wait for it */
	bool is_uncertain;         /* it may be there: no error is said */
	struct archive_retract *retract; /* of one that takes back another */
};

/* Rows that are committed together; in the memory of their write. */
struct batch {
	struct store_commit commit;
	struct account *account; /* pinned by each row */
	struct list rows;
};

static struct row_open *
first_row(const struct list *rows)
{
	return rows->head.next == NULL
		   ? NULL
		   : list_entry(list_first(rows), struct row_open, link);
}

/* Their ids grow. */
static uint64_t
least(const struct list *rows)
{
	const struct row_open *first = first_row(rows);

	return first == NULL ? UINT64_MAX : first->row.id;
}

uint64_t
archive_queued(struct account *account)
{
	return least(&archive_of(account)->queue);
}

uint64_t
archive_unwritten(struct account *account)
{
	const uint64_t queued = archive_queued(account);
	const uint64_t deferred = least(&archive_of(account)->deferred);

	return queued < deferred ? queued : deferred;
}

static void
add_in_order(struct list *rows, struct row_open *open)
{
	struct link *before;

	if (rows->head.next == NULL)
		list_init(rows);
	before = rows->head.prev;
	while (
	    before != &rows->head &&
	    container_of(before, struct row_open, link)->row.id > open->row.id)
		before = before->prev;
	list_add_before(before->next, &open->link);
}

bool
archive_is_full(struct account *account)
{
	return archive_of(account)->queue_len > QUEUE_LEN_MAX;
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
	if (archive->awaits.head.next == NULL)
		list_init(&archive->awaits);
	list_add_last(&archive->awaits, &await->link);
	timer_start(
	    account->owner.shard, &await->timer, AWAIT_MS, on_await_end);
}

/* Rows were given to the store, or given up. */
static void
tell_awaits(struct account *account)
{
	struct archive *archive = archive_of(account);
	uint64_t unwritten;

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

	if (list_holds(&open->link)) {
		list_remove(&open->link);
		tell_awaits(account);
	}
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
	row_free(open);
}

static void
row_refused(struct row_open *open, enum err err)
{
	struct shard *shard = open->account->owner.shard;
	struct post *letter = open->letter;

	if (letter != NULL)
		router_bounce(shard, letter, stanza_err_of(err),
		    "the message could not be kept");
	if (err != ERR_CANCELED)
		receipt_settle(shard, &open->receipt);
	row_free(open);
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

static void
queue_add(struct row_open *open)
{
	struct account *account = open->account;

	store_expect(account->owner.shard->store, 1);
	add_in_order(&archive_of(account)->queue, open);
	archive_of(account)->queue_len += open->row.value.len;
}

static void
queue_remove(struct row_open *open)
{
	store_expect(open->account->owner.shard->store, -1);
	list_remove(&open->link);
	archive_of(open->account)->queue_len -= open->row.value.len;
}

/* In the memory of another write. */
static struct row_open *
row_copy(struct arena *arena, const struct row_open *from)
{
	struct row_open *open = arena_new(arena, struct row_open);

	*open = *from;
	open->link = (struct link){0};
	open->row.peer = str_dup(arena, from->row.peer);
	open->row.value = str_dup(arena, from->row.value);
	return open;
}

/* The first row's write becomes that of all. */
static void
batch_add(struct batch *batch, struct store_write *write, struct row_open *open)
{
	struct store_write *own = open->write;

	queue_remove(open);
	if (own != write) {
		open = row_copy(store_write_arena(write), open);
		store_write_free(&own);
	}
	open->write = NULL;
	store_append_own(write, &archive_kind, &open->row);
	if (open->retract != NULL)
		archive_retract_note(write, &open->row);
	list_add_last(&batch->rows, &open->link);
}

/* Of an account that is gone nothing is written (struct owner). */
static void
refuse_queue(struct account *account)
{
	list_each (open, &archive_of(account)->queue, struct row_open, link) {
		queue_remove(open);
		if (open->letter != NULL)
			router_absent(account->owner.shard, open->letter);
		open->letter = NULL;
		row_refused(open, ERR_NOT_FOUND);
	}
}

static void
write_queue(struct account *account)
{
	struct archive *archive = archive_of(account);
	struct row_open *first = first_row(&archive->queue);
	const unsigned max = archive->is_careful ? 1 : BATCH_MAX;
	struct store_write *write;
	struct batch *batch;
	unsigned count = 0;

	if (first == NULL)
		return;
	if (account->owner.is_detached) {
		refuse_queue(account);
		return;
	}
	write = first->write;
	batch = arena_new(store_write_arena(write), struct batch);
	batch->account = account;
	list_init(&batch->rows);
	list_each (open, &archive->queue, struct row_open, link) {
		if (count++ == max)
			break;
		batch_add(batch, write, open);
	}
	archive->writing++;
	store_commit_lazy(write, &batch->commit, batch_written);
	tell_awaits(account);
}

static bool
may_write(struct archive *archive)
{
	return archive->writing == 0 && !timer_is_running(&archive->retry);
}

static void
row_write(struct row_open *open)
{
	struct account *account = open->account;
	struct archive *archive = archive_of(account);

	list_remove(&open->link);
	queue_add(open);
	open->is_late = !may_write(archive);
	if (!open->is_late)
		write_queue(account);
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
	if (timer_is_running(&archive_of(account)->retry))
		row_refused(open, ERR_UNAVAILABLE);
	else
		row_write(open);
}

static void
awaited_add(struct resume_row *row, struct store_write *write)
{
	struct row_open *open = container_of(row, struct row_open, awaited);

	store_append(write, &archive_kind, &open->row);
	if (open->retract != NULL)
		archive_retract_note(write, &open->row);
	list_remove(&open->link);
	tell_awaits(open->account);
}

static void
awaited_failed(struct resume_row *row)
{
	struct row_open *open = container_of(row, struct row_open, awaited);
	struct archive *archive = archive_of(open->account);

	archive->failures++;
	add_in_order(&archive->deferred, open);
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
	open->awaited.failed = awaited_failed;
	open->awaited.done = awaited_done;
	open->awaited.alone = awaited_alone;
	if (resume_defer(session, letter, &open->awaited))
		add_in_order(&archive_of(account)->deferred, open);
	else
		row_write(open);
}

/* --- written, or not ----------------------------------------------------- */

static void
on_retry(struct timer *timer)
{
	write_queue(container_of(timer, struct archive, retry)->account);
}

void
archive_keep_drain(struct account *account)
{
	struct archive *archive = archive_of(account);

	timer_stop(account->owner.shard, &archive->retry);
	while (first_row(&archive->queue) != NULL)
		write_queue(account);
}

/* Not for what the world is like, but for what it is. */
static bool
is_hopeless(enum err err)
{
	return err == ERR_TOO_LARGE || err == ERR_INVALID || err == ERR_EXISTS;
}

/* The message was delivered, or may be, so there is no way back; and the store
 * is about to forget the row. */
static void
try_again(struct row_open *failed)
{
	struct account *account = failed->account;
	struct store_write *write =
	    store_write_new(account->owner.shard->store);
	struct row_open *open = row_copy(store_write_arena(write), failed);

	open->write = write;
	open->is_late = true;
	archive_of(account)->failures++;
	queue_add(open);
}

static void
row_failed(struct row_open *open, enum err err, bool is_alone)
{
	const bool is_lost = is_alone && is_hopeless(err);

	list_remove(&open->link);
	open->is_uncertain |= err == ERR_UNCERTAIN;
	if (is_lost)
		log_error(&open->account->owner.log,
		    "a message cannot be archived: %s", err_text(err));
	if (is_lost || (open->letter != NULL && !open->is_uncertain) ||
	    err == ERR_CANCELED || open->account->owner.is_detached)
		row_refused(open, err);
	else
		try_again(open);
}

/* What nobody had yet does not wait for what may take long. */
static void
refuse_letters(struct account *account, enum err err)
{
	struct list *queue = &archive_of(account)->queue;

	if (first_row(queue) == NULL)
		return;
	list_each (open, queue, struct row_open, link) {
		if (open->letter == NULL || open->is_uncertain)
			continue;
		queue_remove(open);
		row_refused(open, err);
	}
}

static void
wait_to_retry(struct account *account, enum err err)
{
	struct archive *archive = archive_of(account);

	if (first_row(&archive->queue) == NULL ||
	    timer_is_running(&archive->retry))
		return;
	if (archive->retry_ms == 0)
		archive->failing_ms = clock_mono_ms();
	archive->retry_ms *= 2;
	if (archive->retry_ms < RETRY_MIN_MS)
		archive->retry_ms = RETRY_MIN_MS;
	if (archive->retry_ms > RETRY_MAX_MS)
		archive->retry_ms = RETRY_MAX_MS;
	log_warn(&account->owner.log, "could not archive messages: %s",
	    err_text(err));
	timer_start(
	    account->owner.shard, &archive->retry, archive->retry_ms, on_retry);
}

static void
batch_failed(struct batch *batch)
{
	const enum err err = batch->commit.err;
	const bool is_alone =
	    list_first(&batch->rows) == list_last(&batch->rows);

	archive_of(batch->account)->is_careful = is_hopeless(err);
	list_each (open, &batch->rows, struct row_open, link)
		row_failed(open, err, is_alone);
	if (!is_hopeless(err))
		refuse_letters(batch->account, err);
	wait_to_retry(batch->account, err);
}

static void
batch_kept(struct batch *batch)
{
	struct account *account = batch->account;
	struct archive *archive = archive_of(account);
	bool is_late = false;

	archive->retry_ms = 0;
	list_each (open, &batch->rows, struct row_open, link) {
		is_late |= open->is_late;
		list_remove(&open->link);
		row_kept(open);
	}
	if (first_row(&archive->queue) == NULL)
		archive->is_careful = false;
	if (is_late)
		archive_offer(account);
}

static void
batch_written(struct store_commit *commit)
{
	struct batch *batch = container_of(commit, struct batch, commit);
	struct account *account = batch->account;
	struct archive *archive = archive_of(account);

	owner_pin(&account->owner);
	archive->writing--;
	if (commit->err == ERR_NONE)
		batch_kept(batch);
	else
		batch_failed(batch);
	if (may_write(archive))
		write_queue(account);
	archive_catch_up_written(account);
	owner_unpin(&account->owner);
}

void
archive_keep_forget(struct account *account)
{
	struct archive *archive = archive_of(account);
	struct shard *shard = account->owner.shard;

	timer_stop(shard, &archive->retry);
	if (archive->queue.head.next == NULL)
		return;
	list_each (open, &archive->queue, struct row_open, link) {
		struct store_write *write = open->write;

		list_remove(&open->link);
		post_free(&open->letter);
		archive_retract_free(&open->retract);
		store_write_free(&write);
		if (!shard->is_ended)
			owner_unpin(&account->owner);
	}
}

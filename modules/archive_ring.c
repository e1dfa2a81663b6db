/*
 * modules/archive_ring.c - devices are told (HOOK_KEPT) of what comes back from
 * sessions when nobody else is there to have it.
 *
 * What was kept for nobody was told when it was kept; so this is for what was
 * sent as it came. Of that no letter is left: its rows are read.
 */
#include "base/err.h"
#include "modules/archive_private.h"
#include "modules/blocking.h"
#include "server/setup.h"

/* Rows read at once. */
#define PAGE_ROWS 100
#define RETRY_MS  (5 * SECOND)

static void rows_written(struct archive_await *);
static void on_retry(struct timer *);
static void page_read(struct store_page *);

/* From the first row that comes back until its devices are told. */
struct archive_ring {
	struct archive_await await;
	struct timer retry;
	struct store_page page;
	struct account *account; /* pinned while it is at work */
	struct arena *arena, *rows;
	struct id_ranges back;
	uint64_t after, upto; /* rows that are to be read */
	unsigned failures;    /* of rows, when that began */
	bool is_at_work;
};

static struct archive_ring **
place_of(struct account *account)
{
	return &archive_of(account)->waiting.ring;
}

void
archive_ring_add(struct account *account, uint64_t id)
{
	struct archive_ring **ring = place_of(account);

	if (*ring == NULL) {
		struct arena *arena = arena_make(0);

		*ring = arena_new(arena, struct archive_ring);
		(*ring)->arena = arena;
		(*ring)->account = account;
	}
	id_ranges_add(&(*ring)->back, id, id);
}

void
archive_ring_forget(struct account *account)
{
	struct archive_ring **place = place_of(account);
	struct archive_ring *ring = *place;
	struct arena *arena;

	if (ring == NULL)
		return;
	*place = NULL;
	timer_stop(account->owner.shard, &ring->retry);
	id_ranges_free(&ring->back);
	arena_free(&ring->rows);
	arena = ring->arena;
	arena_free(&arena);
}

static void
end(struct archive_ring *ring)
{
	struct account *account = ring->account;

	archive_ring_forget(account);
	owner_unpin(&account->owner);
}

static void
begin(struct archive_ring *ring)
{
	archive_await_rows(ring->account, &ring->await, rows_written);
}

/* Who is there is sent what comes back. */
static bool
is_anybody_there(struct account *account)
{
	session_each (session, account)
		if (archive_may_send(session))
			return true;
	return false;
}

void
archive_ring(struct account *account)
{
	struct archive_ring *ring = *place_of(account);

	if (ring == NULL || ring->is_at_work)
		return;
	if (is_anybody_there(account)) {
		archive_ring_forget(account);
		return;
	}
	ring->is_at_work = true;
	owner_pin(&account->owner);
	begin(ring);
}

static void
try_later(struct archive_ring *ring)
{
	timer_start(
	    ring->account->owner.shard, &ring->retry, RETRY_MS, on_retry);
}

static void
on_retry(struct timer *timer)
{
	begin(container_of(timer, struct archive_ring, retry));
}

static void
read_page(struct archive_ring *ring)
{
	struct account *account = ring->account;

	ring->rows = arena_make(0);
	store_page(account->owner.shard->store, &ring->page, ring->rows,
	    &(struct log_query){.owner = account->owner.id,
		.kind = &archive_kind,
		.after = ring->after,
		.before = ring->upto + 1,
		.max = PAGE_ROWS},
	    page_read);
}

static void
rows_written(struct archive_await *await)
{
	struct archive_ring *ring =
	    container_of(await, struct archive_ring, await);
	struct account *account = ring->account;
	const struct id_ranges *back = &ring->back;

	ring->after = back->list[0].from - 1;
	ring->upto = back->list[back->count - 1].to;
	ring->failures = archive_of(account)->failures;
	if (archive_unwritten(account) <= ring->upto)
		try_later(ring);
	else
		read_page(ring);
}

/* The hook sees the letter as one that came back. */
static void
tell(struct account *account, const struct log_row *row)
{
	struct post *letter = post_new(POST_STANZA, NULL);
	const struct stanza *stanza =
	    stanza_parse(letter->arena, archive_retract_text(account, row));

	letter->is_returned = true;
	letter->stanza = stanza;
	if (stanza != NULL && !blocking_blocks(account, stanza->from))
		(void)hook_stanza(HOOK_KEPT, account, NULL, letter);
	post_free(&letter);
}

/* What came back meanwhile may be older than the page. */
static void
tell_rows(struct archive_ring *ring)
{
	struct account *account = ring->account;
	const struct store_page *page = &ring->page;
	const uint64_t from = ring->after + 1;

	for (size_t i = 0; i < page->count; i++) {
		const struct log_row *row = &page->rows[i];

		if (id_ranges_have(&ring->back, row->id) &&
		    archive_waits_for(&archive_of(account)->waiting, row->id))
			tell(account, row);
		ring->after = row->id;
	}
	if (!page->is_more)
		ring->after = ring->upto;
	id_ranges_remove(&ring->back, from, ring->after);
}

/* More may have come back meanwhile. */
static void
go_on(struct archive_ring *ring)
{
	if (ring->back.count == 0)
		end(ring);
	else if (ring->page.is_more)
		read_page(ring);
	else
		begin(ring);
}

static void
page_read(struct store_page *page)
{
	struct archive_ring *ring =
	    container_of(page, struct archive_ring, page);
	struct account *account = ring->account;
	const enum err err = page->err;
	const bool is_whole =
	    err == ERR_NONE && ring->failures == archive_of(account)->failures;

	if (is_whole && !is_anybody_there(account))
		tell_rows(ring);
	arena_free(&ring->rows);
	if (err == ERR_CANCELED || account->is_leaving ||
	    account->owner.is_detached || is_anybody_there(account))
		end(ring);
	else if (is_whole)
		go_on(ring);
	else
		try_later(ring);
}

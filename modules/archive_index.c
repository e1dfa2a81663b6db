/*
 * modules/archive_index.c - full text search (XEP-0431) for who wants it: words
 * are indexed when somebody searches, up to the newest message, and not when a
 * message comes. Most archives are never searched, and an index of words costs
 * more than all else that is written for a message.
 */
#include "base/buf.h"
#include "base/err.h"
#include "modules/archive_private.h"

#define PAGE_ROWS 200
/* Clients do not wait for an answer much longer. */
#define WAIT_MS (10 * SECOND)

/* Of an account, while its words are being indexed; goes on also when nobody
 * waits for it any more, so that who searches again has less to wait for. */
struct archive_indexing {
	struct store_get get;
	struct store_page page;
	struct store_commit commit;
	struct account *account; /* pinned */
	struct arena *arena;     /* its own */
	struct arena *rows;      /* of the page */
	struct list waits;       /* struct archive_index */
	uint64_t upto;           /* rows that are in the index */
	unsigned failures;       /* of rows, when the page was asked for */
	uint16_t buried;         /* likewise */
	bool is_asked;           /* since the page was asked for */
};

static void mark_read(struct store_get *);
static void read_page(struct archive_indexing *);
static void page_read(struct store_page *);
static void page_indexed(struct store_commit *);

static void
tell(struct archive_index *index, enum err err, bool is_more)
{
	timer_stop(index->account->owner.shard, &index->timer);
	list_remove(&index->link);
	index->err = err;
	index->is_more = is_more;
	index->done(index);
}

static void
on_due(struct timer *timer)
{
	tell(container_of(timer, struct archive_index, timer), ERR_NONE, true);
}

static void
finish(struct archive_indexing *indexing, enum err err)
{
	struct account *account = indexing->account;
	struct arena *arena = indexing->arena;

	if (account->slots != NULL && archive_of(account)->indexing == indexing)
		archive_of(account)->indexing = NULL;
	list_each (index, &indexing->waits, struct archive_index, link)
		tell(index, err, false);
	arena_free(&arena);
	owner_unpin(&account->owner);
}

static struct archive_indexing *
begin(struct account *account)
{
	struct arena *arena = arena_make(0);
	struct archive_indexing *indexing =
	    arena_new(arena, struct archive_indexing);

	indexing->account = account;
	indexing->arena = arena;
	list_init(&indexing->waits);
	owner_pin(&account->owner);
	store_get(account->owner.shard->store, &indexing->get, arena,
	    &(struct map_key){
		account->owner.id, &archive_mark_kind, STR("words")},
	    mark_read);
	return indexing;
}

void
archive_index(struct account *account, struct archive_index *index,
    void (*done)(struct archive_index *))
{
	struct archive *archive = archive_of(account);

	if (archive->indexing == NULL)
		archive->indexing = begin(account);
	archive->indexing->is_asked = true;
	index->account = account;
	index->done = done;
	list_add_last(&archive->indexing->waits, &index->link);
	timer_start(account->owner.shard, &index->timer, WAIT_MS, on_due);
}

static void
mark_read(struct store_get *get)
{
	struct archive_indexing *indexing =
	    container_of(get, struct archive_indexing, get);

	if (get->err == ERR_NONE)
		(void)str_to_u64(get->row.value, INT64_MAX, &indexing->upto);
	if (get->err == ERR_NONE || get->err == ERR_NOT_FOUND)
		read_page(indexing);
	else
		finish(indexing, get->err);
}

static void
read_page(struct archive_indexing *indexing)
{
	struct account *account = indexing->account;
	uint64_t unwritten;

	if (account->slots == NULL || account->is_leaving) {
		finish(indexing, ERR_CANCELED);
		return;
	}
	unwritten = archive_unwritten(account);
	indexing->is_asked = false;
	indexing->failures = archive_of(account)->failures;
	indexing->buried = archive_of(account)->buried;
	indexing->rows = arena_make(0);
	store_page(account->owner.shard->store, &indexing->page, indexing->rows,
	    &(struct log_query){.owner = account->owner.id,
		.kind = &archive_kind,
		.after = indexing->upto,
		.before = unwritten == UINT64_MAX ? 0 : unwritten,
		.max = PAGE_ROWS},
	    page_read);
}

/* What people wrote. */
static struct str
words_of(
    struct account *account, struct arena *arena, const struct log_row *row)
{
	const struct stanza *stanza =
	    stanza_parse(arena, archive_retract_text(account, row));
	struct buf text = {0};
	struct str words;

	if (stanza == NULL)
		return STR_NONE;
	node_each (child, stanza->node) {
		if (!node_is(child, "body", NS_CLIENT) &&
		    !node_is(child, "subject", NS_CLIENT))
			continue;
		buf_add_byte(&text, ' ');
		buf_add(&text, node_text(arena, child));
	}
	words = str_dup(arena, buf_str(&text));
	buf_deinit(&text);
	return words;
}

static void
write_page(struct archive_indexing *indexing)
{
	struct account *account = indexing->account;
	const struct store_page *page = &indexing->page;
	struct store_write *write =
	    store_write_new(account->owner.shard->store);

	for (size_t i = 0; i < page->count; i++) {
		const struct log_row *row = &page->rows[i];
		const struct str words = words_of(account, indexing->rows, row);

		if (words.len > 0)
			store_log_words(write, account->owner.id, &archive_kind,
			    row->id, words);
		indexing->upto = row->id;
	}
	store_put(write, account->owner.id, &archive_mark_kind, STR("words"),
	    str_format(
		indexing->rows, "%llu", (unsigned long long)indexing->upto));
	store_commit(write, &indexing->commit, page_indexed);
}

/* Who asked since may look for what came since. */
static void
page_done(struct archive_indexing *indexing, enum err err, bool is_more)
{
	arena_free(&indexing->rows);
	if (err == ERR_NONE && (is_more || indexing->is_asked))
		read_page(indexing);
	else
		finish(indexing, err);
}

/* A row that could not be written is written again, and may not be in the
 * page; one that was taken back may be there as it was. */
static bool
is_stale(const struct archive_indexing *indexing)
{
	const struct archive *archive = archive_of(indexing->account);

	return indexing->failures != archive->failures ||
	       indexing->buried != archive->buried;
}

static void
page_read(struct store_page *page)
{
	struct archive_indexing *indexing =
	    container_of(page, struct archive_indexing, page);
	const struct account *account = indexing->account;

	if (page->err != ERR_NONE)
		page_done(indexing, page->err, false);
	else if (account->slots == NULL || account->is_leaving)
		page_done(indexing, ERR_CANCELED, false);
	else if (is_stale(indexing))
		page_done(indexing, ERR_NONE, true);
	else if (page->count > 0)
		write_page(indexing);
	else
		page_done(indexing, ERR_NONE, false);
}

static void
page_indexed(struct store_commit *commit)
{
	struct archive_indexing *indexing =
	    container_of(commit, struct archive_indexing, commit);

	page_done(indexing, commit->err, indexing->page.is_more);
}

/*
 * modules/archive_index.c - full text search (XEP-0431) for who wants it: words
 * are indexed when somebody searches, up to the newest message, and not when a
 * message comes. Most archives are never searched, and an index of words costs
 * more than all else that is written for a message.
 */
#include "base/err.h"
#include "modules/archive_private.h"

/* Rows at once, and in one search. */
#define PAGE_ROWS 200
#define PAGES_MAX 100

static void mark_read(struct store_get *);
static void read_page(struct archive_index *);
static void page_read(struct store_page *);
static void page_indexed(struct store_commit *);

static void
finish(struct archive_index *index, enum err err)
{
	index->err = err;
	index->done(index);
}

void
archive_index(struct account *account, struct archive_index *index,
    struct arena *arena, void (*done)(struct archive_index *))
{
	index->account = account;
	index->done = done;
	store_get(account->owner.shard->store, &index->get, arena,
	    &(struct map_key){
		account->owner.id, &archive_mark_kind, STR("words")},
	    mark_read);
}

static void
mark_read(struct store_get *get)
{
	struct archive_index *index =
	    container_of(get, struct archive_index, get);

	if (get->err != ERR_NONE && get->err != ERR_NOT_FOUND) {
		finish(index, get->err);
		return;
	}
	if (get->err == ERR_NONE)
		(void)str_to_u64(get->row.value, INT64_MAX, &index->upto);
	read_page(index);
}

static void
read_page(struct archive_index *index)
{
	struct account *account = index->account;
	const uint64_t unwritten = archive_unwritten(account);
	const struct log_query query = {.owner = account->owner.id,
	    .kind = &archive_kind,
	    .after = index->upto,
	    .before = unwritten == UINT64_MAX ? 0 : unwritten,
	    .max = PAGE_ROWS};

	index->arena = arena_make(0);
	store_page(account->owner.shard->store, &index->page, index->arena,
	    &query, page_read);
}

/* What people wrote. */
static struct str
words_of(struct arena *arena, const struct log_row *row)
{
	const struct stanza *stanza = stanza_parse(arena, row->value);
	struct str words = STR("");

	if (stanza == NULL)
		return words;
	node_each (child, stanza->node) {
		if (!node_is(child, "body", NS_CLIENT) &&
		    !node_is(child, "subject", NS_CLIENT))
			continue;
		words = str_join2(arena, words, STR(" "));
		words = str_join2(arena, words, node_text(arena, child));
	}
	return words;
}

static void
write_page(struct archive_index *index)
{
	struct account *account = index->account;
	const struct store_page *page = &index->page;
	struct store_write *write =
	    store_write_new(account->owner.shard->store);

	for (size_t i = 0; i < page->count; i++) {
		const struct log_row *row = &page->rows[i];
		const struct str words = words_of(index->arena, row);

		if (words.len > 0)
			store_log_words(write, account->owner.id, &archive_kind,
			    row->id, words);
		index->upto = row->id;
	}
	store_put(write, account->owner.id, &archive_mark_kind, STR("words"),
	    str_format(index->arena, "%llu", (unsigned long long)index->upto));
	store_commit(write, &index->commit, page_indexed);
}

static void
page_read(struct store_page *page)
{
	struct archive_index *index =
	    container_of(page, struct archive_index, page);
	const enum err err = page->err;

	if (err == ERR_NONE && page->count > 0) {
		write_page(index);
		return;
	}
	arena_free(&index->arena);
	finish(index, err);
}

static void
page_indexed(struct store_commit *commit)
{
	struct archive_index *index =
	    container_of(commit, struct archive_index, commit);
	const bool is_more = index->is_more = index->page.is_more;

	arena_free(&index->arena);
	if (commit->err != ERR_NONE)
		finish(index, commit->err);
	else if (is_more && ++index->pages < PAGES_MAX)
		read_page(index);
	else
		finish(index, ERR_NONE);
}

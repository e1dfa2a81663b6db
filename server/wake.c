#include "server/wake.h"

#include "base/err.h"
#include "base/log.h"
#include "server/timer.h"

#define PAGE_ROWS 256
#define AGAIN_MS  (5 * SECOND)

/* The bare JID, and why. */
const struct store_kind wake_kind = {"wake", STORE_MAP, 0};

struct waking {
	struct store_scan scan;
	struct timer again;
	struct arena *arena; /* of this page */
	struct shard *shard;
	struct str after;
};

static void page_read(struct store_scan *);

static struct str
key_of(struct arena *arena, const struct account *account, const char *why)
{
	return store_key2(arena, jid_bare(account_jid(account)), str_of(why));
}

void
wake_add(
    struct store_write *write, const struct account *account, const char *why)
{
	struct arena *arena = arena_make(0);

	store_put(write, OWNER_SERVER, &wake_kind, key_of(arena, account, why),
	    STR(""));
	arena_free(&arena);
}

void
wake_remove(
    struct store_write *write, const struct account *account, const char *why)
{
	struct arena *arena = arena_make(0);

	store_remove(
	    write, OWNER_SERVER, &wake_kind, key_of(arena, account, why));
	arena_free(&arena);
}

/* --- at the start ------------------------------------------------------- */

static void
read_page(struct waking *waking)
{
	store_scan(waking->shard->store, &waking->scan, waking->arena,
	    &(struct map_query){.owner = OWNER_SERVER,
		.kind = &wake_kind,
		.after = waking->after,
		.max = PAGE_ROWS},
	    page_read);
}

static void
read_again(struct timer *timer)
{
	read_page(container_of(timer, struct waking, again));
}

static void
begin_page(struct shard *shard, struct str after)
{
	struct arena *arena = arena_make(0);
	struct waking *waking = arena_new(arena, struct waking);

	waking->arena = arena;
	waking->shard = shard;
	waking->after = str_dup(arena, after);
	shard->waking = waking;
	read_page(waking);
}

/* That the letter comes is all. */
static void
wake(struct shard *shard, struct str key)
{
	struct post *letter = post_new(POST_WAKE, NULL);

	letter->to = jid_parse(letter->arena, store_key_part(key, 0));
	if (letter->to != NULL)
		post_send(shard, letter);
	else
		post_free(&letter);
}

static void
page_read(struct store_scan *scan)
{
	struct waking *waking = container_of(scan, struct waking, scan);
	struct shard *shard = waking->shard;
	struct arena *arena = waking->arena;

	if (scan->err != ERR_NONE && scan->err != ERR_CANCELED) {
		log_warn(&log_server,
		    "accounts with something to do cannot be read, will try "
		    "again: %s",
		    err_text(scan->err));
		timer_start(shard, &waking->again, AGAIN_MS, read_again);
		return;
	}
	shard->waking = NULL;
	for (size_t i = 0; i < scan->count && scan->err == ERR_NONE; i++)
		wake(shard, scan->rows[i].key);
	if (scan->err == ERR_NONE && scan->is_more)
		begin_page(shard, scan->rows[scan->count - 1].key);
	arena_free(&arena);
}

void
wake_start(struct shard *shard)
{
	begin_page(shard, STR_NONE);
}

void
wake_free(struct shard *shard)
{
	struct arena *arena =
	    shard->waking == NULL ? NULL : shard->waking->arena;

	arena_free(&arena);
}

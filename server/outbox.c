#include "server/outbox.h"

#include "base/clock.h"
#include "base/err.h"
#include "server/metrics.h"
#include "server/router.h"
#include "server/settle.h"
#include "server/setup.h"

#define PAGE_ROWS 200
/* Ids of one shard never meet those of another: each has its own remainder. */
#define ID_STEP 1024
/* What the store cannot tell now is asked again after so long. */
#define AGAIN_MS 1000
#define FOREVER  ((uint64_t)INT64_MAX)

const struct store_kind outbox_kind = {
    .name = "outbox", .shape = STORE_LOG, .flags = KIND_DUE};

static uint64_t
next_id(struct shard *shard)
{
	/* They begin behind those of earlier runs. */
	const uint64_t before = shard->server->outbox_before;

	must(shard->index < ID_STEP);
	if (shard->outbox_last < before)
		shard->outbox_last = before;
	shard->outbox_last = store_log_id(shard->outbox_last);
	return shard->outbox_last * ID_STEP + shard->index;
}

/* --- questions that are asked until they are answered -------------------- */

struct again {
	struct link link; /* of the shard's outbox_again */
	struct timer timer;
	struct shard *shard;
	struct arena *arena; /* of what it is embedded in */
	void (*ask)(struct again *);
};

static void
again_due(struct timer *timer)
{
	struct again *again = container_of(timer, struct again, timer);

	list_remove(&again->link);
	again->ask(again);
}

/* False when the shard ends: the row is left to the next start. */
static bool
ask_again(struct again *again, struct shard *shard, enum err err,
    void (*ask)(struct again *))
{
	if (err == ERR_CANCELED || shard->is_draining)
		return false;
	log_warn(&log_server,
	    "durable letters cannot be read, will try again: %s",
	    err_text(err));
	again->shard = shard;
	again->ask = ask;
	list_add_last(&shard->outbox_again, &again->link);
	timer_start(shard, &again->timer, AGAIN_MS, again_due);
	return true;
}

static void
forget_questions(struct shard *shard)
{
	struct link *link;

	while ((link = list_take_first(&shard->outbox_again)) != NULL) {
		struct again *again = container_of(link, struct again, link);
		struct arena *arena = again->arena;

		timer_stop(shard, &again->timer);
		arena_free(&arena);
	}
}

/* --- by the sender ------------------------------------------------------ */

/* What becomes of the write that holds the row. */
struct outbox_sent {
	struct store_commit commit;
	struct store_page page; /* when that is uncertain */
	struct again again;
	struct arena *arena;
	struct shard *shard;
	const struct jid *to;
	uint64_t row;
};

static void
tell_receiver(struct outbox_sent *sent, bool is_sure)
{
	struct post *letter = post_new(POST_SURE, sent->arena);

	letter->to = sent->to;
	letter->durable = (struct durable_id){
	    .owner = OWNER_SERVER, .row = sent->row, .is_sure = is_sure};
	post_send(sent->shard, letter);
}

static void ask_row(struct again *);

static void
row_found(struct store_page *page)
{
	struct outbox_sent *sent = container_of(page, struct outbox_sent, page);

	if (page->err != ERR_NONE &&
	    ask_again(&sent->again, sent->shard, page->err, ask_row))
		return;
	tell_receiver(sent, page->err == ERR_NONE && page->count > 0 &&
				page->rows[0].id == sent->row);
}

static void
ask_row(struct again *again)
{
	struct outbox_sent *sent =
	    container_of(again, struct outbox_sent, again);

	store_page(sent->shard->store, &sent->page, sent->arena,
	    &(struct log_query){.owner = OWNER_SERVER,
		.kind = &outbox_kind,
		.after = sent->row - 1,
		.max = 1},
	    row_found);
}

/* The row is there exactly when the change is that caused it. */
static void
write_ended(struct store_commit *commit)
{
	struct outbox_sent *sent =
	    container_of(commit, struct outbox_sent, commit);

	if (commit->err == ERR_UNCERTAIN)
		ask_row(&sent->again);
	else
		tell_receiver(sent, commit->err == ERR_NONE);
}

static void
add_row(struct shard *shard, struct store_write *write, struct post *letter,
    uint64_t since_us)
{
	const struct str text = stanza_text(letter->arena, letter->stanza);
	struct log_row row = {
	    .owner = OWNER_SERVER,
	    .id = next_id(shard),
	    .nonce = shard->server->run,
	    .time_us = since_us,
	    .peer = jid_bare(letter->stanza->to),
	    .value = str_format(letter->arena, "%llu %.*s",
		(unsigned long long)letter->durable.turn, STR_ARG(text)),
	};

	letter->durable.owner = row.owner;
	letter->durable.row = row.id;
	store_append(write, &outbox_kind, &row);
}

void
outbox_keep(struct shard *shard, struct store_write *write, struct post *letter,
    uint64_t since_us)
{
	add_row(shard, write, letter, since_us);
	letter->durable.is_sure = true;
}

static void
watch_write(
    struct shard *shard, struct store_write *write, const struct post *letter)
{
	struct arena *arena = arena_make(0);
	struct outbox_sent *sent = arena_new(arena, struct outbox_sent);

	sent->arena = arena;
	sent->again.arena = arena;
	sent->shard = shard;
	sent->to = jid_copy(arena, letter->to);
	sent->row = letter->durable.row;
	store_also(write, &sent->commit, write_ended);
}

void
outbox_post(struct shard *shard, struct store_write *write, struct post *letter)
{
	shard_must_be_current(shard);
	letter->to = router_owner_of(shard, letter->arena, letter->stanza->to);
	if (letter->to != NULL) {
		add_row(shard, write, letter, clock_wall_us());
		watch_write(shard, write, letter);
	}
	router_route(shard, NULL, letter);
}

/* What an account says when it goes is posted when that is certain: its
 * contacts could not take it back. */
static void
say_farewell(
    struct account *account, struct store_write *write, struct post *letter)
{
	struct shard *shard = account->owner.shard;

	letter->to = router_owner_of(shard, letter->arena, letter->stanza->to);
	if (letter->to == NULL) {
		post_free(&letter);
		return;
	}
	add_row(shard, write, letter, clock_wall_us());
	letter->durable.is_sure = true;
	list_add_last(&account->farewells, &letter->link);
}

void
outbox_send(struct account *account, struct store_write *write,
    const struct stanza *stanza, uint64_t turn)
{
	struct post *letter = post_new(POST_STANZA, NULL);

	letter->stanza = stanza_copy_deep(letter->arena, stanza);
	letter->durable.turn = turn;
	if (account->is_leaving)
		say_farewell(account, write, letter);
	else
		outbox_post(account->owner.shard, write, letter);
}

/* --- by the receiver ---------------------------------------------------- */

static bool
is_wait(const struct table_link *link, const void *key)
{
	const struct outbox_wait *wait =
	    container_of(link, const struct outbox_wait, link);
	const struct durable_id *durable = key;

	return wait->durable.row == durable->row;
}

/* A letter that is sure already is told of by one to ourselves, so that done
 * is not called before we have returned. */
void
outbox_wait(struct shard *shard, struct outbox_wait *wait,
    const struct post *letter, void (*done)(struct outbox_wait *))
{
	struct post *sure;

	must(letter->durable.row != 0);
	wait->durable = letter->durable;
	wait->done = done;
	table_add(&shard->outbox_waits, &wait->link, wait->durable.row);
	if (!letter->durable.is_sure)
		return;
	sure = post_new(POST_SURE, NULL);
	sure->to = jid_copy(sure->arena, letter->to);
	sure->durable = wait->durable;
	post_send(shard, sure);
}

void
outbox_unwait(struct shard *shard, struct outbox_wait *wait)
{
	table_remove(&shard->outbox_waits, &wait->link);
}

static void
end_wait(struct shard *shard, struct table_link *link, enum err err)
{
	struct outbox_wait *wait = container_of(link, struct outbox_wait, link);

	table_remove(&shard->outbox_waits, link);
	wait->err = err;
	wait->done(wait);
}

void
outbox_sure(struct shard *shard, struct post *letter)
{
	struct table_link *link = table_find(&shard->outbox_waits,
	    letter->durable.row, is_wait, &letter->durable);

	if (link != NULL)
		end_wait(shard, link,
		    letter->durable.is_sure ? ERR_NONE : ERR_CANCELED);
	post_free(&letter);
}

void
outbox_cancel(struct shard *shard)
{
	struct table_link *link;

	while ((link = table_next(&shard->outbox_waits, NULL)) != NULL)
		end_wait(shard, link, ERR_CANCELED);
	forget_questions(shard);
}

void
outbox_remove(struct store_write *write, struct durable_id durable)
{
	store_log_remove(write, durable.owner, &outbox_kind, durable.row);
}

/* --- by a receiver that has nothing to write ---------------------------- */

struct outbox_dropped {
	struct outbox_wait wait;
	struct arena *arena;
	struct shard *shard;
};

static void
remove_row(struct shard *shard, struct durable_id durable)
{
	struct store_write *write = store_write_new(shard->store);

	outbox_remove(write, durable);
	store_commit_lazy(write, NULL, NULL);
}

static void
dropped_sure(struct outbox_wait *wait)
{
	struct outbox_dropped *dropped =
	    container_of(wait, struct outbox_dropped, wait);
	struct arena *arena = dropped->arena;

	if (wait->err == ERR_NONE)
		remove_row(dropped->shard, wait->durable);
	arena_free(&arena);
}

void
outbox_drop(struct shard *shard, struct durable_id durable)
{
	struct outbox_dropped *dropped;
	struct arena *arena;

	if (durable.row == 0)
		return;
	if (durable.is_sure) {
		remove_row(shard, durable);
		return;
	}
	arena = arena_make(0);
	dropped = arena_new(arena, struct outbox_dropped);
	dropped->arena = arena;
	dropped->shard = shard;
	dropped->wait.durable = durable;
	dropped->wait.done = dropped_sure;
	table_add(&shard->outbox_waits, &dropped->wait.link, durable.row);
}

/* The row of the message may not be there yet: then the one of its return is
 * what its sender may be told of. */
struct outbox_replaced {
	struct store_commit commit;
	struct arena *arena;
	struct shard *shard;
	struct receipt receipt;
};

static void
row_replaced(struct store_commit *commit)
{
	struct outbox_replaced *replaced =
	    container_of(commit, struct outbox_replaced, commit);
	struct arena *arena = replaced->arena;

	if (commit->err != ERR_CANCELED)
		receipt_settle(replaced->shard, &replaced->receipt);
	arena_free(&arena);
}

static void
commit_return(
    struct shard *shard, struct store_write *write, struct post *letter)
{
	struct arena *arena = arena_make(0);
	struct outbox_replaced *replaced =
	    arena_new(arena, struct outbox_replaced);

	replaced->arena = arena;
	replaced->shard = shard;
	replaced->receipt = receipt_take(letter);
	store_commit(write, &replaced->commit, row_replaced);
}

static void
return_kept(struct shard *shard, struct post *letter, enum stanza_err err,
    const char *text)
{
	struct store_write *write = store_write_new(shard->store);
	struct post *answer = post_new(POST_STANZA, NULL);
	const struct stanza *error;

	error = stanza_make_error(answer->arena, letter->stanza, err, text);
	answer->stanza = stanza_copy_deep(answer->arena, error);
	outbox_remove(write, letter->durable);
	outbox_post(shard, write, answer);
	commit_return(shard, write, letter);
	metric_add(shard, METRIC_STANZA_ERRORS, 1);
	post_free(&letter);
}

void
outbox_bounce(struct shard *shard, struct post *letter, enum stanza_err err,
    const char *text)
{
	const struct stanza *stanza = letter->stanza;

	if (letter->durable.row != 0 && stanza->kind == STANZA_MESSAGE &&
	    stanza_may_fail(stanza)) {
		return_kept(shard, letter, err, text);
		return;
	}
	outbox_drop(shard, letter->durable);
	router_bounce(shard, letter, err, text);
}

struct outbox_returned {
	struct outbox_wait wait;
	struct shard *shard;
	struct post *letter; /* it lives in */
	enum stanza_err err;
};

static void
send_back(struct shard *shard, struct post *letter, enum stanza_err err)
{
	struct post *answer = post_new(POST_STANZA, NULL);

	answer->stanza = stanza_copy_deep(answer->arena,
	    stanza_make_error(answer->arena, letter->stanza, err, NULL));
	answer->durable = letter->durable;
	answer->durable.is_sure = true;
	post_free(&letter);
	metric_add(shard, METRIC_STANZA_ERRORS, 1);
	router_route(shard, NULL, answer);
}

static void
returned_sure(struct outbox_wait *wait)
{
	struct outbox_returned *returned =
	    container_of(wait, struct outbox_returned, wait);

	if (wait->err == ERR_NONE)
		send_back(returned->shard, returned->letter, returned->err);
	else
		post_free(&returned->letter);
}

void
outbox_return(struct shard *shard, struct post *letter, enum stanza_err err)
{
	struct outbox_returned *returned;

	if (letter->durable.is_sure) {
		send_back(shard, letter, err);
		return;
	}
	returned = arena_new(letter->arena, struct outbox_returned);
	returned->shard = shard;
	returned->letter = letter;
	returned->err = err;
	outbox_wait(shard, &returned->wait, letter, returned_sure);
}

/* --- at the start ------------------------------------------------------- */

struct outbox_opening {
	struct store_count count;
	struct again again;
	struct arena *arena;
	struct shard *shard;
	void (*done)(struct shard *);
};

static void ask_last(struct again *);

static void
last_told(struct store_count *count)
{
	struct outbox_opening *opening =
	    container_of(count, struct outbox_opening, count);
	struct shard *shard = opening->shard;
	struct arena *arena = opening->arena;

	if (count->err == ERR_NONE) {
		shard->server->outbox_before = count->last_id / ID_STEP;
		opening->done(shard);
	} else if (ask_again(&opening->again, shard, count->err, ask_last)) {
		return;
	}
	arena_free(&arena);
}

static void
ask_last(struct again *again)
{
	struct outbox_opening *opening =
	    container_of(again, struct outbox_opening, again);

	store_count(opening->shard->store, &opening->count, OWNER_SERVER,
	    &outbox_kind, last_told);
}

void
outbox_open(struct shard *shard, void (*done)(struct shard *))
{
	struct arena *arena = arena_make(0);
	struct outbox_opening *opening =
	    arena_new(arena, struct outbox_opening);

	opening->arena = opening->again.arena = arena;
	opening->shard = shard;
	opening->done = done;
	ask_last(&opening->again);
}

/* Of what earlier runs left. The clock may have been set back since: so times
 * do not tell their rows from those that this run, which posts what it writes,
 * writes meanwhile. */
struct outbox_page {
	struct store_page page;
	struct again again;
	struct arena *arena;
	struct shard *shard;
	struct due_query query;
	void (*done)(struct shard *);
};

static void ask_page(
    struct shard *, struct due_query, void (*done)(struct shard *));

/* What cannot be read is left where it is, for a later release. */
static void
post_row(struct shard *shard, const struct log_row *row)
{
	struct post *letter = post_new(POST_STANZA, NULL);
	struct str turn, text;

	str_cut(row->value, ' ', &turn, &text);
	letter->stanza = stanza_parse(letter->arena, text);
	if (letter->stanza == NULL || letter->stanza->to == NULL ||
	    letter->stanza->from == NULL) {
		log_error(&log_server, "durable letter %llu is damaged",
		    (unsigned long long)row->id);
		post_free(&letter);
		return;
	}
	letter->to = letter->stanza->to;
	letter->durable = (struct durable_id){.owner = row->owner,
	    .row = row->id,
	    .since_us = row->time_us,
	    .is_sure = true};
	(void)str_to_u64(turn, UINT64_MAX, &letter->durable.turn);
	router_route(shard, NULL, letter);
}

static void
ask_page_again(struct again *again)
{
	struct outbox_page *wait =
	    container_of(again, struct outbox_page, again);
	struct arena *arena = wait->arena;

	ask_page(wait->shard, wait->query, wait->done);
	arena_free(&arena);
}

static void
post_rows(struct outbox_page *wait)
{
	const struct store_page *page = &wait->page;
	struct due_query query = wait->query;

	for (size_t i = 0; i < page->count; i++)
		if (page->rows[i].nonce != wait->shard->server->run)
			post_row(wait->shard, &page->rows[i]);
	if (page->is_more) {
		query.after_us = page->rows[page->count - 1].time_us;
		query.after_id = page->rows[page->count - 1].id;
		ask_page(wait->shard, query, wait->done);
	} else if (wait->done != NULL) {
		wait->done(wait->shard);
	}
}

static void
page_read(struct store_page *page)
{
	struct outbox_page *wait = container_of(page, struct outbox_page, page);
	struct arena *arena = wait->arena;

	if (page->err == ERR_NONE)
		post_rows(wait);
	else if (ask_again(
		     &wait->again, wait->shard, page->err, ask_page_again))
		return;
	arena_free(&arena);
}

static void
ask_page(
    struct shard *shard, struct due_query query, void (*done)(struct shard *))
{
	struct arena *arena = arena_make(0);
	struct outbox_page *wait = arena_new(arena, struct outbox_page);

	wait->arena = arena;
	wait->again.arena = arena;
	wait->shard = shard;
	wait->query = query;
	wait->done = done;
	store_due(shard->store, &wait->page, arena, &wait->query, page_read);
}

void
outbox_start(struct shard *shard, void (*done)(struct shard *))
{
	ask_page(shard,
	    (struct due_query){
		.kind = &outbox_kind, .until_us = FOREVER, .max = PAGE_ROWS},
	    done);
}

/*
 * modules/offline_live.c - what an account is sent while somebody is there, so
 * that it outlives a crash.
 *
 * A message whose sender waits to hear that it is kept, and that no archive
 * keeps, becomes a row unless its reader proves receipt before: the row is
 * written a moment later, with others, and goes with the proof. Until then it
 * belongs to the sessions that were sent it; without them it waits as any other
 * row does.
 */
#include "base/clock.h"
#include "base/err.h"
#include "base/rand.h"
#include "modules/carbons.h"
#include "modules/message.h"
#include "modules/offline_private.h"
#include "server/metrics.h"
#include "server/router.h"
#include "server/settle.h"
#include "server/setup.h"
#include "xml/keepable.h"
#include "xml/writer.h"

/* A row waits so long for others, once it may be written. */
#define WRITE_MS 3
/* And not before: who is near has proved by then. What another server waits to
 * hear may wait for who is far. */
#define LEAST_MS  3
#define SERVER_MS 100
#define RETRY_MS  SECOND
#define ARENA_LEN 256 /* of one as most are */

enum live_stage {
	LIVE_FRESH,   /* it is to be written */
	LIVE_WRITING, /* given to the store */
	LIVE_KEPT
};

struct live {
	struct link link; /* in a list of lives, or in rows that are written
			     or erased */
	struct table_link by_id;
	struct arena *arena;     /* holds this */
	struct account *account; /* pinned */
	uint64_t id;
	enum live_stage stage;
	unsigned sent;          /* to so many sessions that are there */
	unsigned round;         /* in which its row was counted */
	bool is_proved;         /* by one of them, while others have yet to */
	bool is_uncertain;      /* its row may be there though FRESH */
	uint64_t due_ms;        /* it is not written before */
	bool is_patient;        /* another server waits: that may take longer */
	struct receipt receipt; /* settled when it is proved or written */
	const struct jid *from, *to;
	struct blob *blob; /* NULL: nobody was sent it; or it was read */
};

static void row_is_free(struct live *);
static void on_write(struct timer *);
static void erase_proved(struct account *);

static struct lives *
lives_of(struct account *account)
{
	struct lives *lives = &offline_of(account)->lives;

	if (lives->fresh.head.next == NULL) {
		table_init(&lives->table);
		list_init(&lives->fresh);
		list_init(&lives->proved);
		list_init(&lives->done);
	}
	return lives;
}

static struct shard *
shard_of_live(const struct live *live)
{
	return live->account->owner.shard;
}

/* --- the table ----------------------------------------------------------- */

static bool
has_id(const struct table_link *link, const void *id)
{
	return container_of(link, const struct live, by_id)->id ==
	       *(const uint64_t *)id;
}

static struct live *
find(struct account *account, uint64_t id)
{
	return table_entry(
	    table_find(&lives_of(account)->table, id, has_id, &id), struct live,
	    by_id);
}

bool
live_has_any(struct account *account)
{
	return lives_of(account)->table.count > 0;
}

uint64_t
live_least(struct account *account)
{
	const struct table *table = &lives_of(account)->table;
	struct table_link *link = NULL;
	uint64_t least = UINT64_MAX;

	while ((link = table_next(table, link)) != NULL) {
		const struct live *live =
		    container_of(link, struct live, by_id);

		if (!live->is_proved && live->id < least)
			least = live->id;
	}
	return least;
}

static struct live *
live_new(struct account *account, uint64_t id)
{
	struct arena *arena = arena_make(ARENA_LEN);
	struct live *live = arena_new(arena, struct live);

	live->arena = arena;
	live->account = account;
	live->id = id;
	owner_pin(&account->owner);
	table_add(&lives_of(account)->table, &live->by_id, id);
	return live;
}

static void
live_free(struct live *live)
{
	struct account *account = live->account;
	struct shard *shard = shard_of_live(live);
	struct arena *arena = live->arena;

	list_remove(&live->link);
	table_remove(&lives_of(account)->table, &live->by_id);
	receipt_settle(shard, &live->receipt);
	blob_unref(&live->blob);
	if (!shard->is_ended)
		owner_unpin(&account->owner);
	arena_free(&arena);
}

/* --- how many of the rows that there are do not wait --------------------- */

static bool
is_stored(const struct live *live)
{
	return live->stage != LIVE_FRESH && !live->is_proved;
}

void
live_count(struct account *account, unsigned round)
{
	const struct table *table = &lives_of(account)->table;
	struct table_link *link = NULL;

	while ((link = table_next(table, link)) != NULL) {
		struct live *live = container_of(link, struct live, by_id);

		live->round = is_stored(live) ? round : 0;
	}
}

uint64_t
live_counted(struct account *account, unsigned round)
{
	const struct table *table = &lives_of(account)->table;
	struct table_link *link = NULL;
	uint64_t count = 0;

	while ((link = table_next(table, link)) != NULL) {
		const struct live *live =
		    container_of(link, struct live, by_id);

		count += live->round == round && is_stored(live);
	}
	return count;
}

/* --- writing ------------------------------------------------------------- */

struct writing {
	struct store_commit commit;
	struct account *account; /* pinned by the rows */
	struct arena *arena;
	struct store_write *write;
	struct list rows; /* struct live */
	bool is_patient;  /* all of them are */
};

static void rows_written(struct store_commit *);

static struct writing *
writing_new(struct account *account)
{
	struct arena *arena = arena_make(0);
	struct writing *writing = arena_new(arena, struct writing);

	writing->account = account;
	writing->arena = arena;
	writing->write = store_write_new(account->owner.shard->store);
	list_init(&writing->rows);
	writing->is_patient = true;
	owner_pin(&account->owner);
	return writing;
}

/* As stanza_text writes it. */
static struct str
text_of(struct arena *arena, const struct live *live)
{
	const struct str bytes = blob_str(live->blob);
	const size_t len = stanza_tag_len(bytes);
	struct buf buf = {0};
	struct str text;

	buf_add(&buf, (struct str){bytes.text, len});
	buf_add(&buf, STR(" xmlns='" NS_CLIENT "' to='"));
	writer_escaped(&buf, jid_full(live->to));
	buf_add(&buf, STR("'"));
	buf_add(&buf, (struct str){bytes.text + len, bytes.len - len});
	text = str_dup(arena, buf_str(&buf));
	buf_deinit(&buf);
	return text;
}

static void
add_row(struct writing *writing, struct live *live)
{
	const struct log_row row = {.owner = live->account->owner.id,
	    .id = live->id,
	    .nonce = rand_u64(),
	    .time_us = live->id,
	    .peer = jid_full(live->from),
	    .value = text_of(writing->arena, live)};

	store_append(writing->write, &offline_kind, &row);
	live->stage = LIVE_WRITING;
	writing->is_patient &= live->is_patient;
	list_remove(&live->link);
	list_add_last(&writing->rows, &live->link);
}

static void
write_in(struct account *account, uint64_t ms)
{
	struct lives *lives = lives_of(account);

	lives->write_ms = clock_mono_ms() + ms;
	timer_start(account->owner.shard, &lives->write, ms, on_write);
}

static void
try_later(struct account *account, enum err err)
{
	struct lives *lives = lives_of(account);

	if (!lives->is_failing)
		log_warn(&account->owner.log,
		    "could not keep, or forget, messages that were sent, will "
		    "try again: %s",
		    err_text(err));
	lives->is_failing = true;
	write_in(account, RETRY_MS);
	lives->write_ms = 0;
}

static void
write_by(struct account *account, uint64_t at_ms)
{
	const struct lives *lives = lives_of(account);
	const uint64_t now_ms = clock_mono_ms();

	if (!timer_is_running(&lives->write) || lives->write_ms > at_ms)
		write_in(account, at_ms > now_ms ? at_ms - now_ms : 0);
}

/* Those that are due by then. What a module took on its way to the
 * sessions is none to keep. */
static void
write_fresh(struct account *account, uint64_t by_ms)
{
	struct writing *writing = NULL;

	list_each (live, &lives_of(account)->fresh, struct live, link) {
		if (live->due_ms > by_ms)
			continue;
		if (live->blob == NULL || account->is_leaving) {
			live_free(live);
			continue;
		}
		if (writing == NULL)
			writing = writing_new(account);
		add_row(writing, live);
	}
	if (writing == NULL)
		return;
	if (writing->is_patient)
		store_commit_lazy(
		    writing->write, &writing->commit, rows_written);
	else
		store_commit(writing->write, &writing->commit, rows_written);
}

static void
on_write(struct timer *timer)
{
	struct account *account =
	    container_of(timer, struct offline, lives.write)->account;

	erase_proved(account);
	write_fresh(account, clock_mono_ms());
	list_each (live, &lives_of(account)->fresh, struct live, link)
		write_by(account, live->due_ms + WRITE_MS);
}

static void
row_kept(struct live *live)
{
	live->stage = LIVE_KEPT;
	receipt_settle(shard_of_live(live), &live->receipt);
	if (live->is_proved)
		list_add_last(&lives_of(live->account)->proved, &live->link);
	else if (live->sent == 0)
		row_is_free(live);
}

/* It was sent, so there is no way back; but who proves it needs no row. */
static void
row_not_kept(struct live *live, enum err err)
{
	live->is_uncertain |= err == ERR_UNCERTAIN;
	if (err == ERR_CANCELED)
		live->receipt = (struct receipt){0};
	if (err == ERR_CANCELED || live->account->owner.is_detached ||
	    (live->is_proved && !live->is_uncertain)) {
		live_free(live);
		return;
	}
	live->stage = LIVE_FRESH;
	if (live->is_proved) {
		list_add_last(&lives_of(live->account)->proved, &live->link);
		return;
	}
	list_add_last(&lives_of(live->account)->fresh, &live->link);
}

static void
rows_written(struct store_commit *commit)
{
	struct writing *writing = container_of(commit, struct writing, commit);
	struct account *account = writing->account;
	struct arena *arena = writing->arena;
	const enum err err = commit->err;

	list_each (live, &writing->rows, struct live, link) {
		list_remove(&live->link);
		if (err == ERR_NONE)
			row_kept(live);
		else
			row_not_kept(live, err);
	}
	if (err == ERR_NONE)
		lives_of(account)->is_failing = false;
	if (err != ERR_NONE && err != ERR_CANCELED)
		try_later(account, err);
	else
		erase_proved(account);
	arena_free(&arena);
	offline_offer(account);
	owner_unpin(&account->owner);
}

/* --- erasing ------------------------------------------------------------- */

static void
rows_erased(struct store_commit *commit)
{
	struct writing *writing = container_of(commit, struct writing, commit);
	struct account *account = writing->account;
	struct arena *arena = writing->arena;
	const bool is_over = commit->err == ERR_NONE ||
			     commit->err == ERR_CANCELED ||
			     account->owner.is_detached;

	list_each (live, &writing->rows, struct live, link) {
		list_remove(&live->link);
		if (!is_over)
			list_add_last(&lives_of(account)->proved, &live->link);
		else if (live->sent == 0)
			row_is_free(live);
	}
	if (commit->err == ERR_NONE)
		lives_of(account)->is_failing = false;
	if (!is_over)
		try_later(account, commit->err);
	arena_free(&arena);
	owner_unpin(&account->owner);
}

static void
erase_proved(struct account *account)
{
	struct lives *lives = lives_of(account);
	struct writing *writing;

	if (list_is_empty(&lives->proved))
		return;
	writing = writing_new(account);
	list_each (live, &lives->proved, struct live, link)
		store_log_remove(
		    writing->write, account->owner.id, &offline_kind, live->id);
	list_move(&writing->rows, &lives->proved);
	store_commit_lazy(writing->write, &writing->commit, rows_erased);
}

/* --- what happens to them ------------------------------------------------ */

/* Nobody is there to tell; it comes back from sessions that were sent it. */
static void
tell_kept(struct live *live)
{
	struct account *account = live->account;
	struct post *letter;

	if (live->blob == NULL)
		return;
	letter = post_new(POST_STANZA, NULL);
	letter->is_returned = true;
	letter->stanza =
	    stanza_parse(letter->arena, text_of(letter->arena, live));
	if (letter->stanza != NULL)
		(void)hook_stanza(HOOK_KEPT, account, NULL, letter);
	post_free(&letter);
}

/* It waits like others. */
static void
count_waiting(const struct live *live)
{
	struct offline *offline = offline_of(live->account);

	offline->count++;
	if (live->round != offline->rounds)
		offline->added++;
}

/* No session has it any more, nor was any sent it that proved it. */
static bool
is_back(const struct live *live)
{
	return live->sent == 0 && !live->is_proved;
}

bool
live_has(struct account *account, uint64_t id)
{
	struct live *live = find(account, id);

	if (live == NULL)
		return false;
	if (!is_back(live) || live->stage != LIVE_KEPT)
		return true;
	count_waiting(live);
	live_free(live);
	return false;
}

bool
live_is_unsure(struct account *account)
{
	const struct table *table = &lives_of(account)->table;
	struct table_link *link = NULL;

	while ((link = table_next(table, link)) != NULL) {
		const struct live *live =
		    container_of(link, struct live, by_id);

		if (is_back(live) && live->stage != LIVE_KEPT)
			return true;
	}
	return false;
}

/* For whoever comes. */
static void
begin_waiting(struct live *live)
{
	struct offline *offline = offline_of(live->account);
	bool is_somebody = false;

	count_waiting(live);
	if (offline->again == 0 || offline->again > live->id)
		offline->again = live->id;
	metric_add(shard_of_live(live), METRIC_OFFLINE_STORED, 1);
	session_each (session, live->account)
		is_somebody |= offline_may_send(session);
	if (!is_somebody)
		tell_kept(live);
	live_free(live);
}

static void
let_go(struct live *live)
{
	if (live->is_proved)
		live_free(live);
	else
		begin_waiting(live);
}

/* No session has it any more, or none yet. One that is yet to be written or
 * erased is looked at again then; a page that is being read may have it. */
static void
row_is_free(struct live *live)
{
	struct offline *offline = offline_of(live->account);

	if (list_holds(&live->link))
		return;
	if (offline->is_reading)
		list_add_last(&offline->lives.done, &live->link);
	else
		let_go(live);
}

void
live_reading_ended(struct account *account)
{
	list_each (live, &lives_of(account)->done, struct live, link)
		let_go(live);
}

static void
prove(struct live *live)
{
	live->is_proved = true;
	receipt_settle(shard_of_live(live), &live->receipt);
	if (live->stage == LIVE_FRESH)
		list_remove(&live->link);
	if (live->stage == LIVE_KEPT ||
	    (live->stage == LIVE_FRESH && live->is_uncertain))
		list_add_last(&lives_of(live->account)->proved, &live->link);
}

void
live_proved(struct session *session, uint64_t ticket)
{
	struct account *account = session->account;
	struct tickets *tickets = &offline_session_of(session)->tickets;
	uint64_t id;

	while (tickets_take(tickets, ticket, &id)) {
		struct live *live = find(account, id);

		if (live == NULL)
			continue;
		if (!live->is_proved)
			prove(live);
		if (--live->sent == 0)
			row_is_free(live);
	}
	erase_proved(account);
}

void
live_trimmed(struct account *account, uint64_t upto)
{
	const struct table *table = &lives_of(account)->table;
	struct table_link *link = NULL;

	while ((link = table_next(table, link)) != NULL) {
		struct live *live = container_of(link, struct live, by_id);

		live->is_proved |= live->id <= upto;
	}
}

bool
live_waits(struct session *session, const struct post *letter)
{
	struct tickets *tickets = &offline_session_of(session)->tickets;
	struct live *live;
	uint64_t id;

	if ((letter->ticket & TICKET_ROWS) != TICKET_LIVE ||
	    letter->to == NULL || letter->to->resource_len > 0 ||
	    !tickets_take_one(tickets, letter->ticket, &id))
		return false;
	live = find(session->account, id);
	if (live != NULL && --live->sent == 0)
		row_is_free(live);
	return true;
}

void
live_session_closed(struct session *session)
{
	struct account *account = session->account;
	struct tickets *tickets = &offline_session_of(session)->tickets;
	uint64_t id;

	while (tickets_take_any(tickets, &id)) {
		struct live *live = find(account, id);

		if (live == NULL || --live->sent > 0)
			continue;
		live->due_ms = 0;
		row_is_free(live);
	}
	write_fresh(account, 0);
	offline_offer(account);
}

static void
count_sent(struct session *session)
{
	struct tickets *tickets = &offline_session_of(session)->tickets;
	const uint64_t *row;

	for (size_t i = 0; (row = tickets_row(tickets, i)) != NULL; i++) {
		struct live *live = find(session->account, *row);

		if (live != NULL)
			live->sent++;
	}
}

void
live_find_sessions(struct account *account)
{
	const struct table *table = &lives_of(account)->table;
	struct table_link *link = NULL, *next;

	while ((link = table_next(table, link)) != NULL)
		container_of(link, struct live, by_id)->sent = 0;
	session_each (session, account)
		count_sent(session);
	for (link = table_next(table, NULL); link != NULL; link = next) {
		struct live *live = container_of(link, struct live, by_id);

		next = table_next(table, link);
		if (live->sent == 0)
			row_is_free(live);
	}
}

/* --- on the way of a message --------------------------------------------- */

static bool
is_of_ours(const struct account *account, const struct jid *jid)
{
	return setup_host(account->owner.shard->setup, jid_domain(jid)) != NULL;
}

/* An archive takes the receipt out before. */
enum verdict
live_received(
    struct account *account, struct session *session, struct post *letter)
{
	struct offline *offline = offline_of(account);
	const struct stanza *stanza = letter->stanza;
	struct live *live;

	(void)session;
	if (letter->receipt.counter == 0 || letter->is_returned ||
	    letter->durable.row != 0 || !stanza_is_keepable(stanza) ||
	    message_way(account, stanza) != MESSAGE_DELIVERED)
		return PASS;
	offline->last_id = store_log_id(offline->last_id);
	live = live_new(account, offline->last_id);
	live->receipt = receipt_take(letter);
	live->from = jid_copy(live->arena, stanza->from);
	live->to = jid_copy(live->arena, stanza->to);
	live->is_patient = !is_of_ours(account, stanza->from);
	live->due_ms =
	    clock_mono_ms() + (live->is_patient ? SERVER_MS : LEAST_MS);
	list_add_last(&offline->lives.fresh, &live->link);
	letter->ticket = TICKET_LIVE | live->id;
	write_by(account, live->due_ms + WRITE_MS);
	return PASS;
}

/* The same bytes go to the session. */
static void
share_text(struct live *live, struct post *letter)
{
	if (letter->blob == NULL)
		letter->blob =
		    router_serialise(shard_of_live(live), letter->stanza);
	live->blob = blob_ref(letter->blob);
}

/* The message itself, a copy of one that the session might be sent else
 * (XEP-0280), or a row that was read. */
enum verdict
live_deliver(
    struct account *account, struct session *session, struct post *letter)
{
	struct tickets *tickets;
	struct live *live;
	bool is_copy, is_read;

	if ((letter->ticket & TICKET_LIVE) == 0)
		return PASS;
	live = find(account, letter->ticket & ~TICKET_ROWS);
	is_copy =
	    carbons_inner(account_jid(account), letter->stanza, false) != NULL;
	is_read = (letter->ticket & TICKET_READ) != 0;
	letter->ticket = 0;
	if (live == NULL || (is_copy && !offline_may_send(session)))
		return PASS;
	if (!is_copy && live->blob == NULL && live->stage == LIVE_FRESH)
		share_text(live, letter);
	tickets = &offline_session_of(session)->tickets;
	letter->ticket = TICKET_LIVE | tickets_add(tickets, session->arena,
					   live->id, is_read);
	live->sent++;
	return PASS;
}

uint64_t
live_row(struct account *account, uint64_t id)
{
	struct offline *offline = offline_of(account);
	struct live *live = live_new(account, id);

	live->stage = LIVE_KEPT;
	if (offline->count > 0)
		offline->count--;
	return TICKET_LIVE | TICKET_READ | id;
}

void
live_row_sent(struct account *account, uint64_t id)
{
	struct live *live = find(account, id);

	if (live != NULL && live->sent == 0)
		live_free(live);
}

/* --- the end, and over a restart ----------------------------------------- */

void
live_forget(struct account *account)
{
	struct lives *lives = lives_of(account);
	struct table_link *link;

	timer_stop(account->owner.shard, &lives->write);
	while ((link = table_next(&lives->table, NULL)) != NULL)
		live_free(container_of(link, struct live, by_id));
	table_deinit(&lives->table);
	*lives = (struct lives){0};
}

void
live_save(struct session *session, struct node *node, const char *ns)
{
	struct tickets *tickets = &offline_session_of(session)->tickets;
	uint64_t *row;

	write_fresh(session->account, UINT64_MAX);
	for (size_t i = 0; (row = tickets_row(tickets, i)) != NULL; i++) {
		const struct live *live = find(session->account, *row);

		if (live == NULL || live->is_proved)
			*row = 0;
	}
	tickets_save(tickets, session, TICKET_LIVE, node, ns);
}

void
live_restore(struct session *session, const struct node *node)
{
	struct account *account = session->account;
	struct tickets *tickets = &offline_session_of(session)->tickets;
	const uint64_t *row;

	tickets_restore(tickets, session->arena, node);
	for (size_t i = 0; (row = tickets_row(tickets, i)) != NULL; i++) {
		if (find(account, *row) == NULL)
			(void)live_row(account, *row);
		find(account, *row)->sent++;
	}
}

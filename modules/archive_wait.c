/*
 * modules/archive_wait.c - which rows a client of the account has, for who
 * comes online is sent the others.
 *
 * Most rows are sent as they come and proved a moment later. Stored is one mark
 * for each account: the newest row that is done with, with the older ones that
 * are not. It is written a moment late: after a crash a client may see again
 * what it saw in that moment.
 */
#include "modules/archive_wait.h"

#include <stdlib.h>

#include "base/err.h"
#include "modules/archive_private.h"
#include "server/session.h"

#define SAVE_MS 1000
/* More become fewer: what lies between the newest waits, too. */
#define RANGES_MAX 1000

static void on_save(struct timer *);

const struct store_kind archive_mark_kind = {"archive-mark", STORE_MAP, 0};

static struct archive_waiting *
waiting_of(struct account *account)
{
	return &archive_of(account)->waiting;
}

/* --- the rows ------------------------------------------------------------ */

static size_t
place_of(const struct archive_waiting *waiting, uint64_t id)
{
	size_t low = 0, high = waiting->count;

	/* New ones come at the end. */
	if (high > 0 && waiting->list[high - 1].id < id)
		return high;
	while (low < high) {
		const size_t middle = (low + high) / 2;

		if (waiting->list[middle].id < id)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

static struct archive_open *
find(const struct archive_waiting *waiting, uint64_t id)
{
	const size_t place = place_of(waiting, id);

	return place < waiting->count && waiting->list[place].id == id
		   ? &waiting->list[place]
		   : NULL;
}

static struct archive_open *
find_or_add(struct archive_waiting *waiting, uint64_t id)
{
	const size_t place = place_of(waiting, id);
	struct archive_open *at;

	if (place < waiting->count && waiting->list[place].id == id)
		return &waiting->list[place];
	if (waiting->count == waiting->room) {
		waiting->room = waiting->room == 0 ? 8 : 2 * waiting->room;
		waiting->list = realloc(
		    waiting->list, waiting->room * sizeof(waiting->list[0]));
		must(waiting->list != NULL);
	}
	at = &waiting->list[place];
	memmove(at + 1, at, (waiting->count++ - place) * sizeof(*at));
	*at = (struct archive_open){.id = id};
	return at;
}

static void
remove_open(struct archive_waiting *waiting, struct archive_open *open)
{
	const size_t place = (size_t)(open - waiting->list);

	memmove(open, open + 1, (--waiting->count - place) * sizeof(*open));
}

bool
archive_waits_for(const struct archive_waiting *waiting, uint64_t id)
{
	return id_ranges_have(&waiting->ranges, id);
}

bool
archive_waits(
    const struct archive_waiting *waiting, uint64_t *from_r, uint64_t *to_r)
{
	const struct id_ranges *ranges = &waiting->ranges;

	if (ranges->count == 0)
		return false;
	*from_r = ranges->list[0].from;
	*to_r = ranges->list[ranges->count - 1].to;
	return true;
}

/* All between two that are not done with and not sent waits as well, if it is
 * newer than what is done with: so most of the time there is one range. */
static void
wait_for(struct archive_waiting *waiting, uint64_t id)
{
	struct id_ranges *ranges = &waiting->ranges;
	const size_t place = place_of(waiting, id);
	uint64_t from = id;

	if (id > waiting->done)
		from = waiting->done + 1;
	if (place > 0 && from <= waiting->list[place - 1].id)
		from = waiting->list[place - 1].id + 1;
	id_ranges_add(ranges, from, id);
	if (ranges->count > RANGES_MAX)
		id_ranges_add(ranges, ranges->list[ranges->count - 2].from,
		    ranges->list[ranges->count - 1].to);
}

static void
is_done(struct archive_waiting *waiting, uint64_t id)
{
	if (waiting->done < id)
		waiting->done = id;
}

/* --- the mark ------------------------------------------------------------ */

static uint64_t
mark_of(struct account *account)
{
	const struct archive_waiting *waiting = waiting_of(account);

	if (waiting->count == 0 && waiting->ranges.count == 0)
		return archive_of(account)->last_id;
	return waiting->done;
}

/* The mark, and the rows up to it that wait or are not proved. */
static struct str
mark_text(struct account *account, struct arena *arena, uint64_t mark)
{
	const struct archive_waiting *waiting = waiting_of(account);
	const struct id_ranges *ranges = &waiting->ranges;
	struct buf buf = {0};
	struct str text;

	buf_add_format(&buf, "%llu", (unsigned long long)mark);
	for (size_t i = 0; i < ranges->count; i++)
		if (ranges->list[i].from <= mark)
			buf_add_format(&buf, " %llu-%llu",
			    (unsigned long long)ranges->list[i].from,
			    (unsigned long long)ranges->list[i].to);
	for (size_t i = 0; i < waiting->count; i++) {
		const struct archive_open *open = &waiting->list[i];

		if (open->id <= mark && !open->is_proved)
			buf_add_format(
			    &buf, " %llu", (unsigned long long)open->id);
	}
	text = str_dup(arena, buf_str(&buf));
	buf_deinit(&buf);
	return text;
}

struct mark_save {
	struct store_commit commit;
	struct account *account; /* pinned */
	struct arena *arena;
};

static void save_later(struct account *);

static void
saved(struct store_commit *commit)
{
	struct mark_save *saving =
	    container_of(commit, struct mark_save, commit);
	struct account *account = saving->account;
	struct arena *arena = saving->arena;

	if (commit->err != ERR_NONE && commit->err != ERR_CANCELED)
		save_later(account);
	arena_free(&arena);
	owner_unpin(&account->owner);
}

static struct store_write *
write_mark(struct account *account)
{
	struct store_write *write =
	    store_write_new(account->owner.shard->store);
	struct arena *arena = arena_make(0);
	const uint64_t mark = mark_of(account);

	waiting_of(account)->mark = mark;
	store_put(write, account->owner.id, &archive_mark_kind, STR("mark"),
	    mark_text(account, arena, mark));
	arena_free(&arena);
	return write;
}

static void
save(struct account *account)
{
	struct mark_save *saving;
	struct arena *arena;

	if (account->is_leaving || account->owner.is_detached)
		return;
	arena = arena_make(0);
	saving = arena_new(arena, struct mark_save);
	saving->account = account;
	saving->arena = arena;
	owner_pin(&account->owner);
	store_commit_lazy(write_mark(account), &saving->commit, saved);
}

static void
on_save(struct timer *timer)
{
	save(container_of(timer, struct archive, waiting.save)->account);
}

static void
save_later(struct account *account)
{
	struct archive_waiting *waiting = waiting_of(account);

	if (!timer_is_running(&waiting->save))
		timer_start(
		    account->owner.shard, &waiting->save, SAVE_MS, on_save);
}

static void
save_now(struct account *account)
{
	struct archive_waiting *waiting = waiting_of(account);

	if (!timer_is_running(&waiting->save) &&
	    mark_of(account) == waiting->mark)
		return;
	timer_stop(account->owner.shard, &waiting->save);
	save(account);
}

/* --- loading ------------------------------------------------------------- */

static void
read_range(struct archive_waiting *waiting, struct str word)
{
	struct str first, last;
	uint64_t from, to;

	if (!str_cut(word, '-', &first, &last))
		last = first;
	if (str_to_u64(first, INT64_MAX, &from) &&
	    str_to_u64(last, INT64_MAX, &to))
		id_ranges_add(&waiting->ranges, from, to);
}

static void
read_mark(struct archive_waiting *waiting, struct str text)
{
	struct str word, rest = text;

	str_cut(text, ' ', &word, &rest);
	if (!str_to_u64(word, INT64_MAX, &waiting->mark))
		return;
	while (rest.text != NULL) {
		str_cut(rest, ' ', &word, &rest);
		read_range(waiting, word);
	}
}

/* What an account that is loaded anew knows is newer than the mark. */
static void
mark_loaded(struct account *account, struct arena *arena, struct str text)
{
	struct archive *archive = archive_of(account);

	(void)arena;
	if (archive->account == NULL)
		read_mark(&archive->waiting, text);
}

void
archive_wait_load(struct account *account, struct join *join)
{
	account_load_row(
	    account, join, &archive_mark_kind, STR("mark"), mark_loaded);
}

/* --- what happens to rows ------------------------------------------------ */

/* How many have it is known again. While the module was switched off nobody
 * said which sessions went. */
static void
count_sent(struct account *account)
{
	struct archive_waiting *waiting = waiting_of(account);
	const uint64_t *row;

	for (size_t i = 0; i < waiting->count; i++)
		waiting->list[i].sent = 0;
	session_each (session, account) {
		struct tickets *sent = &archive_session_of(session)->sent;

		for (size_t i = 0; (row = tickets_row(sent, i)) != NULL; i++)
			if (find(waiting, *row) != NULL)
				find(waiting, *row)->sent++;
	}
	for (size_t i = waiting->count; i-- > 0;) {
		const struct archive_open open = waiting->list[i];

		if (open.sent > 0)
			continue;
		remove_open(waiting, &waiting->list[i]);
		if (!open.is_proved)
			wait_for(waiting, open.id);
	}
}

/* Of an account that is loaded anew. */
static void
begin_again(struct account *account)
{
	struct archive_waiting *waiting = waiting_of(account);

	count_sent(account);
	if (waiting->paused == 0 ||
	    session_of_number(account, waiting->paused) != NULL)
		return;
	waiting->paused = 0;
	waiting->is_reading = false;
}

void
archive_wait_begin(struct account *account)
{
	struct archive *archive = archive_of(account);
	struct archive_waiting *waiting = &archive->waiting;

	if (archive->account != NULL) {
		begin_again(account);
		return;
	}
	archive->account = account;
	/* Rows are removed; their ids are not used again. */
	if (archive->last_id < waiting->mark)
		archive->last_id = waiting->mark;
	waiting->done = waiting->mark;
	id_ranges_add(&waiting->ranges, waiting->mark + 1, archive->last_id);
}

void
archive_wait_add(struct account *account, uint64_t id)
{
	wait_for(waiting_of(account), id);
}

static void
is_sent(struct session *session, uint64_t id)
{
	struct archive_waiting *waiting = waiting_of(session->account);

	id_ranges_remove(&waiting->ranges, id, id);
	find_or_add(waiting, id)->sent++;
}

uint64_t
archive_wait_sent(struct session *session, uint64_t id, bool is_read)
{
	struct tickets *sent = &archive_session_of(session)->sent;

	is_sent(session, id);
	return TICKET_ARCHIVE | tickets_add(sent, session->arena, id, is_read);
}

/* One session less has yet to prove it. Whether it waits again. */
static bool
give_up(struct archive_waiting *waiting, uint64_t id, bool is_proved)
{
	struct archive_open *open = find(waiting, id);

	if (open == NULL)
		return false;
	if (is_proved) {
		open->is_proved = true;
		is_done(waiting, id);
	}
	if (--open->sent > 0)
		return false;
	is_proved = open->is_proved;
	remove_open(waiting, open);
	if (!is_proved)
		wait_for(waiting, id);
	return !is_proved;
}

/* From a session that was sent it as it came. */
static void
come_back(struct account *account, uint64_t id)
{
	if (give_up(waiting_of(account), id, false))
		archive_ring_add(account, id);
}

void
archive_wait_proved(struct session *session, uint64_t ticket)
{
	struct account *account = session->account;
	struct archive_waiting *waiting = waiting_of(account);
	struct tickets *sent = &archive_session_of(session)->sent;
	uint64_t id;

	if ((ticket & TICKET_ARCHIVE) == 0)
		return;
	while (tickets_take(sent, ticket, &id))
		(void)give_up(waiting, id, true);
	save_later(account);
	archive_catch_up_on(session);
}

bool
archive_wait_again(struct session *session, const struct post *letter)
{
	struct tickets *sent = &archive_session_of(session)->sent;
	uint64_t id;

	if ((letter->ticket & TICKET_ROWS) != TICKET_ARCHIVE ||
	    letter->to == NULL || letter->to->resource_len > 0 ||
	    !tickets_take_one(sent, letter->ticket, &id))
		return false;
	come_back(session->account, id);
	return true;
}

void
archive_wait_closed(struct session *session)
{
	struct account *account = session->account;
	struct tickets *sent = &archive_session_of(session)->sent;
	uint64_t id;

	while (tickets_take(sent, ~TICKET_ROWS, &id))
		come_back(account, id);
	while (tickets_take_any(sent, &id))
		(void)give_up(waiting_of(account), id, false);
	save_now(account);
	archive_catch_up_closed(session);
	archive_offer(account);
	archive_ring(account);
}

void
archive_wait_drain(struct account *account)
{
	if (archive_of(account)->account != NULL)
		save_now(account);
}

/* --- over a restart ------------------------------------------------------ */

#define NS_SENT "urn:jackdaw:archive:sent:1"

/* What is in the session's queue is there only when all of it is. */
void
archive_wait_save(struct session *session, struct node *node)
{
	const struct archive_session *own = archive_session_of(session);
	struct node *archive;

	if (!str_is(node_attr(node, "state"), "whole"))
		return;
	archive = node_add(node, "archive", NS_SENT);
	node_set_format(
	    archive, "queried", "%llu", (unsigned long long)own->queried);
	tickets_save(&own->sent, session, TICKET_ARCHIVE, archive, NS_SENT);
}

/* What was sent, is not after the mark, and is not among those that nobody had:
 * another session had it. */
static void
restore_sent(struct session *session, uint64_t id)
{
	struct archive_waiting *waiting = waiting_of(session->account);
	const bool is_proved =
	    find(waiting, id) == NULL && !archive_waits_for(waiting, id);

	is_sent(session, id);
	find(waiting, id)->is_proved |= is_proved;
}

void
archive_wait_restore(struct session *session, const struct node *node)
{
	struct archive_session *own = archive_session_of(session);
	const struct node *archive = node_child(node, "archive", NS_SENT);
	const uint64_t *row;

	if (archive == NULL)
		return;
	(void)str_to_u64(
	    node_attr(archive, "queried"), UINT64_MAX, &own->queried);
	tickets_restore(&own->sent, session->arena, archive);
	for (size_t i = 0; (row = tickets_row(&own->sent, i)) != NULL; i++)
		restore_sent(session, *row);
	archive_catch_up_restored(session);
}

/* --- what was read ------------------------------------------------------- */

void
archive_wait_read(struct account *account, uint64_t from, uint64_t upto)
{
	struct archive_waiting *waiting = waiting_of(account);

	id_ranges_remove(&waiting->ranges, from, upto);
	if (waiting->count == 0 && waiting->ranges.count == 0)
		is_done(waiting, upto);
}

void
archive_wait_drop(struct account *account, uint64_t upto)
{
	struct archive_waiting *waiting = waiting_of(account);
	uint64_t from, to;

	if (!archive_waits(waiting, &from, &to) || from > upto)
		return;
	archive_wait_read(account, 0, upto);
	is_done(waiting, to < upto ? to : upto);
	save_later(account);
}

void
archive_wait_forget(struct account *account)
{
	struct archive_waiting *waiting = waiting_of(account);
	struct shard *shard = account->owner.shard;

	if (timer_is_running(&waiting->save) && !shard->is_ended)
		store_commit_lazy(write_mark(account), NULL, NULL);
	timer_stop(shard, &waiting->save);
	timer_stop(shard, &waiting->retry);
	archive_ring_forget(account);
	id_ranges_free(&waiting->ranges);
	free(waiting->list);
	*waiting = (struct archive_waiting){0};
}

/*
 * modules/archive_catch_up.c - who comes online is sent what waits, save what
 * it could have when it asked the archive itself (XEP-0313, section 6.1.1).
 * While rows are read the session holds its place, so that newer messages come
 * after older ones.
 */
#include "base/clock.h"
#include "base/err.h"
#include "modules/archive_private.h"
#include "modules/blocking.h"
#include "modules/stanza_id.h"
#include "server/session.h"
#include "server/settings.h"
#include "server/setup.h"
#include "xml/delay.h"

/* Rows read at once. */
#define PAGE_MAX 100
#define RETRY_MS (10 * SECOND)
/* So long a session waits for a read, or a write, that fails, and so often a
 * read is tried: what is new would overtake what waits. But the store may be
 * away for long, and who is there is to hear what others say meanwhile. */
#define HOLD_MS     (30 * SECOND)
#define HOLD_TRY_MS SECOND
/* Rows that a client without XEP-0198 may have and not have proved: what it
 * does not read fills our memory. */
#define UNPROVED_MAX 200

static void read_page(struct session *, unsigned place);
static void page_read(struct store_page *);

struct catch_up {
	struct store_page page;
	struct account *account; /* pinned */
	struct arena *arena;
	uint64_t reader;   /* session->number */
	uint64_t from, to; /* the rows that waited and were there: others may
			      since have come back from sessions */
	unsigned place;    /* that it holds */
	unsigned failures; /* of rows, when it began */
};

bool
archive_may_send(const struct session *session)
{
	return session->is_available && session->priority >= 0 &&
	       !session->is_closing;
}

/* By a row that is yet to be written. */
static bool
is_held_up(struct account *account)
{
	uint64_t from, to;

	return archive_waits(&archive_of(account)->waiting, &from, &to) &&
	       from >= archive_queued(account);
}

/* The same, and it failed for so long that nobody waits for it any more. */
static bool
is_stuck(struct account *account)
{
	const struct archive *archive = archive_of(account);

	return is_held_up(account) && timer_is_running(&archive->retry) &&
	       clock_mono_ms() - archive->failing_ms >= HOLD_MS;
}

/* What one that ends was sent is older than what it was not: that is for others
 * when it has ended. */
static bool
is_away(const struct session *session)
{
	return !session->is_closing && !archive_may_send(session);
}

/* What is new waits behind what is left, wherever that goes. */
static void
end(struct account *account, struct session *session, unsigned place)
{
	archive_of(account)->waiting.is_reading = false;
	if (session == NULL)
		return;
	if (is_away(session)) {
		session_take_back(session, place, archive_wait_again);
		archive_ring(account);
	}
	session_release(session, place);
}

/* Its client is away, perhaps for long, and another one is there; or it went
 * while the module was switched off. */
static bool
has_given_up_its_turn(struct account *account)
{
	struct archive_waiting *waiting = &archive_of(account)->waiting;
	struct session *reader = session_of_number(account, waiting->paused);

	if (waiting->paused == 0 || (reader != NULL && !reader->is_detached))
		return false;
	waiting->paused = 0;
	end(account, reader, waiting->place);
	return true;
}

static void
pause(struct session *session, unsigned place)
{
	struct archive_waiting *waiting =
	    &archive_of(session->account)->waiting;

	waiting->paused = session->number;
	waiting->place = place;
	waiting->is_asked = false;
}

static bool
is_asking(const struct archive_session *session)
{
	return session->asked + session->queries > 0;
}

/* What it asked is answered, so it is known what it is to be sent. */
static void
go_on(struct session *session)
{
	struct account *account = session->account;
	struct archive_waiting *waiting = &archive_of(account)->waiting;
	uint64_t from, to;

	waiting->is_asked = false;
	archive_wait_drop(account, archive_session_of(session)->queried);
	if (archive_waits(waiting, &from, &to)) {
		archive_catch_up_on(session);
		return;
	}
	waiting->paused = 0;
	end(account, session, waiting->place);
	archive_offer(account);
}

static void
on_asked_for_long(struct timer *timer)
{
	struct account *account =
	    container_of(timer, struct archive, waiting.retry)->account;
	struct archive_waiting *waiting = &archive_of(account)->waiting;
	struct session *session = session_of_number(account, waiting->paused);

	if (session == NULL || !waiting->is_asked)
		return;
	archive_session_of(session)->asked = 0;
	go_on(session);
}

void
archive_catch_up_asked(struct session *session)
{
	struct account *account = session->account;
	struct archive_waiting *waiting = &archive_of(account)->waiting;

	if (is_asking(archive_session_of(session)) ||
	    waiting->paused != session->number || !waiting->is_asked)
		return;
	timer_stop(account->owner.shard, &waiting->retry);
	go_on(session);
}

void
archive_catch_up(struct session *session)
{
	struct account *account = session->account;
	struct archive_waiting *waiting = &archive_of(account)->waiting;
	uint64_t from, to;
	unsigned place;

	if (!archive_may_send(session) ||
	    (waiting->is_reading &&
		(session->is_detached || !has_given_up_its_turn(account))))
		return;
	archive_wait_drop(account, archive_session_of(session)->queried);
	/* Rows that could not be written come when they are. */
	if (!archive_waits(waiting, &from, &to) || is_stuck(account))
		return;
	waiting->is_reading = true;
	place = session_hold(session);
	if (!is_asking(archive_session_of(session))) {
		read_page(session, place);
		return;
	}
	pause(session, place);
	waiting->is_asked = true;
	timer_start(
	    account->owner.shard, &waiting->retry, HOLD_MS, on_asked_for_long);
}

/* Half of its queue, at most, is for what waits. */
static unsigned
share_of(const struct session *session)
{
	if (session->resume == NULL)
		return UNPROVED_MAX;
	return (unsigned)host_int(
		   session->account->host, SETTING(SESSIONS_QUEUE)) /
	       2;
}

static bool
is_full(struct session *session)
{
	return archive_of(session->account)->waiting.is_full &&
	       archive_session_of(session)->sent.read.count > 0;
}

/* Rows that may be read for it now. */
static unsigned
room_of(struct session *session)
{
	const unsigned share = share_of(session);
	const size_t sent = archive_session_of(session)->sent.read.count;

	if (sent >= share || is_full(session))
		return 0;
	return share - sent > PAGE_MAX ? PAGE_MAX : share - (unsigned)sent;
}

static void
read_page(struct session *session, unsigned place)
{
	struct account *account = session->account;
	struct arena *arena;
	struct catch_up *catch_up;
	struct log_query query = {.owner = account->owner.id,
	    .kind = &archive_kind,
	    .max = room_of(session)};

	if (query.max == 0 || is_held_up(account)) {
		pause(session, place);
		archive_catch_up_left(session);
		return;
	}
	arena = arena_make(0);
	catch_up = arena_new(arena, struct catch_up);
	(void)archive_waits(
	    &archive_of(account)->waiting, &catch_up->from, &catch_up->to);
	if (catch_up->to >= archive_queued(account))
		catch_up->to = archive_queued(account) - 1;
	query.after = catch_up->from - 1;
	query.before = catch_up->to + 1;
	catch_up->failures = archive_of(account)->failures;
	catch_up->account = account;
	catch_up->arena = arena;
	catch_up->reader = session->number;
	catch_up->place = place;
	owner_pin(&account->owner);
	store_page(account->owner.shard->store, &catch_up->page, arena, &query,
	    page_read);
}

/* What the account said itself is in the archive, too. Kept before the block:
 * XEP-0191, section 3.3. */
static void
send_row(const struct catch_up *catch_up, struct session *session,
    const struct log_row *row)
{
	struct account *account = session->account;
	struct arena *arena = catch_up->arena;
	const struct stanza *stanza =
	    stanza_parse(arena, archive_retract_text(account, row));
	const struct str host = account->host->name;

	if (stanza == NULL) {
		log_error(&session->log, "archived message %llu is damaged",
		    (unsigned long long)row->id);
		return;
	}
	if (!jid_equal_bare(stanza->to, account_jid(account)) ||
	    blocking_blocks(account, stanza->from))
		return;
	stanza = stanza_id_add(account, arena, stanza,
	    archive_id_text(
		account, arena, (struct archive_id){row->id, row->nonce}));
	if (!delay_has(stanza, host))
		stanza = delay_add(arena, stanza, host, row->time_us);
	session_fill(session, catch_up->place, stanza,
	    archive_wait_sent(session, row->id, true));
}

static void
send_rows(const struct catch_up *catch_up, struct session *session)
{
	struct account *account = catch_up->account;
	struct archive_waiting *waiting = &archive_of(account)->waiting;
	const struct store_page *page = &catch_up->page;
	const uint64_t most = account_bytes_at_once(account);
	uint64_t len = 0;

	waiting->is_full = false;
	for (size_t i = 0; i < page->count; i++) {
		const struct log_row *row = &page->rows[i];

		len += row->value.len;
		if (i > 0 && len > most) {
			waiting->is_full = true;
			return;
		}
		if (archive_waits_for(waiting, row->id))
			send_row(catch_up, session, row);
		archive_wait_read(account, catch_up->from, row->id);
	}
	if (!page->is_more)
		archive_wait_read(account, catch_up->from, catch_up->to);
}

void
archive_catch_up_left(struct session *session)
{
	if (session->is_detached)
		archive_offer(session->account);
}

void
archive_offer(struct account *account)
{
	session_each (session, account)
		archive_catch_up(session);
}

static void
on_retry(struct timer *timer)
{
	struct account *account =
	    container_of(timer, struct archive, waiting.retry)->account;

	archive_catch_up_written(account);
	archive_offer(account);
	/* Nobody is there to wait. */
	if (!archive_of(account)->waiting.is_reading)
		archive_of(account)->waiting.failing_ms = 0;
}

static void
try_later(const struct catch_up *catch_up, struct session *session)
{
	struct account *account = catch_up->account;
	struct archive_waiting *waiting = &archive_of(account)->waiting;
	bool is_held = session != NULL && !is_away(session);

	if (waiting->failing_ms == 0) {
		waiting->failing_ms = clock_mono_ms();
		log_warn(&account->owner.log,
		    "could not read archived messages, will try again: %s",
		    err_text(catch_up->page.err));
	}
	is_held = is_held && clock_mono_ms() - waiting->failing_ms < HOLD_MS;
	timer_start(account->owner.shard, &waiting->retry,
	    is_held ? HOLD_TRY_MS : RETRY_MS, on_retry);
	if (is_held)
		pause(session, catch_up->place);
	else
		end(account, session, catch_up->place);
}

static void
page_read(struct store_page *page)
{
	struct catch_up *catch_up = container_of(page, struct catch_up, page);
	struct account *account = catch_up->account;
	struct archive_waiting *waiting = &archive_of(account)->waiting;
	struct arena *arena = catch_up->arena;
	struct session *session = session_of_number(account, catch_up->reader);
	const bool is_there = session != NULL && !is_away(session);
	uint64_t from, to;

	if (page->err == ERR_NONE)
		waiting->failing_ms = 0;
	/* Else it may lack rows, and is read again. */
	if (page->err == ERR_NONE && is_there &&
	    catch_up->failures == archive_of(account)->failures)
		send_rows(catch_up, session);
	if (page->err == ERR_CANCELED) {
		end(account, session, catch_up->place);
	} else if (page->err != ERR_NONE) {
		try_later(catch_up, session);
	} else if (is_there && archive_waits(waiting, &from, &to) &&
		   !is_stuck(account)) {
		read_page(session, catch_up->place);
	} else {
		end(account, session, catch_up->place);
		archive_offer(account);
	}
	arena_free(&arena);
	owner_unpin(&account->owner);
}

/* Pages are read when there is room for a whole one. */
static bool
has_room(struct session *session)
{
	return !is_full(session) &&
	       (session->resume == NULL ||
		   2 * archive_session_of(session)->sent.read.count <=
		       share_of(session));
}

void
archive_catch_up_on(struct session *session)
{
	struct account *account = session->account;
	struct archive_waiting *waiting = &archive_of(account)->waiting;
	const bool is_over = is_stuck(account) || is_away(session);

	if (waiting->paused != session->number || session->is_closing ||
	    (!is_over && (waiting->is_asked || !has_room(session))))
		return;
	waiting->paused = 0;
	if (!is_over) {
		read_page(session, waiting->place);
		return;
	}
	end(account, session, waiting->place);
	archive_offer(account);
}

void
archive_catch_up_restored(struct session *session)
{
	struct archive_waiting *waiting =
	    &archive_of(session->account)->waiting;
	uint64_t from, to;

	if (!archive_may_send(session) || waiting->is_reading ||
	    !archive_waits(waiting, &from, &to))
		return;
	waiting->is_reading = true;
	pause(session, session_hold(session));
}

void
archive_catch_up_came(struct session *session)
{
	if (archive_of(session->account)->waiting.paused == session->number)
		archive_catch_up_on(session);
	else
		archive_catch_up(session);
}

void
archive_catch_up_written(struct account *account)
{
	const uint64_t paused = archive_of(account)->waiting.paused;
	struct session *session = session_of_number(account, paused);

	if (session != NULL)
		archive_catch_up_on(session);
}

void
archive_catch_up_closed(struct session *session)
{
	struct archive_waiting *waiting =
	    &archive_of(session->account)->waiting;

	if (waiting->paused != session->number)
		return;
	waiting->paused = 0;
	waiting->is_reading = false;
}

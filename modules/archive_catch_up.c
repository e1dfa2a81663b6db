/*
 * modules/archive_catch_up.c - who comes online is sent what waits, save what
 * it could have when it asked the archive itself (XEP-0313, section 6.1.1).
 * While rows are read the session holds its place, so that newer messages come
 * after older ones.
 */
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
	uint64_t to;       /* the last row that waited and was there */
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

/* The same, and nobody knows for how long. */
static bool
is_stuck(struct account *account)
{
	return is_held_up(account) &&
	       timer_is_running(&archive_of(account)->retry);
}

void
archive_catch_up(struct session *session)
{
	struct account *account = session->account;
	struct archive_waiting *waiting = &archive_of(account)->waiting;
	uint64_t from, to;

	if (!archive_may_send(session) || waiting->is_reading)
		return;
	archive_wait_drop(account, archive_session_of(session)->queried);
	/* Rows that could not be written come when they are. */
	if (!archive_waits(waiting, &from, &to) || is_stuck(account))
		return;
	waiting->is_reading = true;
	read_page(session, session_hold(session));
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

/* Rows that may be read for it now. */
static unsigned
room_of(struct session *session)
{
	const unsigned share = share_of(session);
	const size_t sent = archive_session_of(session)->sent.read.count;

	if (sent >= share)
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
		archive_of(account)->waiting.paused = session->number;
		archive_of(account)->waiting.place = place;
		return;
	}
	arena = arena_make(0);
	catch_up = arena_new(arena, struct catch_up);
	(void)archive_waits(
	    &archive_of(account)->waiting, &query.after, &catch_up->to);
	if (catch_up->to >= archive_queued(account))
		catch_up->to = archive_queued(account) - 1;
	query.after--;
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
	const struct stanza *stanza = stanza_parse(arena, row->value);
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
	    archive_id_text(arena, (struct archive_id){row->id, row->nonce}));
	if (!delay_has(stanza, host))
		stanza = delay_add(arena, stanza, host, row->time_us);
	session_fill(session, catch_up->place, stanza,
	    archive_wait_sent(session, row->id, true));
}

static void
send_rows(const struct catch_up *catch_up, struct session *session)
{
	struct account *account = catch_up->account;
	const struct store_page *page = &catch_up->page;

	for (size_t i = 0; i < page->count; i++) {
		const struct log_row *row = &page->rows[i];

		if (archive_waits_for(&archive_of(account)->waiting, row->id))
			send_row(catch_up, session, row);
		archive_wait_read(account, row->id);
	}
	if (!page->is_more)
		archive_wait_read(account, catch_up->to);
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
	struct archive *archive =
	    container_of(timer, struct archive, waiting.retry);

	archive_offer(archive->account);
}

static void
try_later(struct account *account, enum err err)
{
	struct timer *retry = &archive_of(account)->waiting.retry;

	log_warn(&account->owner.log, "could not read archived messages: %s",
	    err_text(err));
	if (err != ERR_CANCELED)
		timer_start(account->owner.shard, retry, RETRY_MS, on_retry);
}

static void
end(struct account *account, struct session *session, unsigned place,
    enum err err)
{
	archive_of(account)->waiting.is_reading = false;
	if (session != NULL)
		session_release(session, place);
	if (err != ERR_NONE)
		try_later(account, err);
	else
		archive_offer(account);
}

/* What one that ends was sent is older than what it was not: that is for others
 * when it has ended. */
static bool
is_away(const struct session *session)
{
	return !session->is_closing && !archive_may_send(session);
}

static void
page_read(struct store_page *page)
{
	struct catch_up *catch_up = container_of(page, struct catch_up, page);
	struct account *account = catch_up->account;
	struct archive_waiting *waiting = &archive_of(account)->waiting;
	struct arena *arena = catch_up->arena;
	struct session *session = session_of_number(account, catch_up->reader);
	const bool is_sent =
	    page->err == ERR_NONE && session != NULL && !is_away(session) &&
	    catch_up->failures == archive_of(account)->failures;
	uint64_t from, to;

	if (is_sent)
		send_rows(catch_up, session);
	if (is_sent && archive_waits(waiting, &from, &to) && !is_stuck(account))
		read_page(session, catch_up->place);
	else
		end(account, session, catch_up->place, page->err);
	arena_free(&arena);
	owner_unpin(&account->owner);
}

/* Pages are read when there is room for a whole one. */
static bool
has_room(struct session *session)
{
	return session->resume == NULL ||
	       2 * archive_session_of(session)->sent.read.count <=
		   share_of(session);
}

void
archive_catch_up_on(struct session *session)
{
	struct account *account = session->account;
	struct archive_waiting *waiting = &archive_of(account)->waiting;
	const bool is_over = is_stuck(account) || is_away(session);

	if (waiting->paused != session->number || session->is_closing ||
	    (!is_over && !has_room(session)))
		return;
	waiting->paused = 0;
	if (is_over)
		end(account, session, waiting->place, ERR_NONE);
	else
		read_page(session, waiting->place);
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

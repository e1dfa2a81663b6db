/*
 * modules/offline.c - messages that nobody could take are kept, and sent to the
 * first resource that becomes available with a priority that is not negative.
 *
 * A row goes only when its reader proved receipt (HOOK_PROVED); until then the
 * next resource would get it too. While rows are read the resource holds its
 * place, so that newer messages come after older ones.
 */
#include "modules/offline.h"

#include "base/clock.h"
#include "modules/blocking.h"
#include "modules/hints.h"
#include "modules/offline_private.h"
#include "modules/repeat.h"
#include "server/iq.h"
#include "server/metrics.h"
#include "server/router.h"
#include "server/session.h"
#include "server/settings.h"
#include "server/setup.h"
#include "xml/delay.h"

/* Rows read at once; with stream management a part of the queue, at most. */
#define PAGE_MAX   100
#define QUEUE_PART 4
#define RETRY_MS   (10 * SECOND)
/* So long a reader waits for a read that fails, and so often it is tried: what
 * is new would overtake what waits. */
#define HOLD_MS     (30 * SECOND)
#define HOLD_TRY_MS SECOND

static void on_load(struct account *, struct join *);
static void on_forget(struct account *);
static void rows_counted(struct store_count *);
static enum verdict on_received(
    struct account *, struct session *, struct post *);
static enum verdict on_undelivered(
    struct account *, struct session *, struct post *);
static void on_available(struct session *);
static void on_resumed(struct session *);
static void read_page(struct session *, unsigned place);
static void read_on(struct session *, unsigned place);
static void page_read(struct store_page *);
static void on_proved(struct session *, uint64_t ticket);
static void on_presence(struct session *);
static void on_closed(struct session *);
static void on_save(struct session *, struct node *);
static void on_restore(struct session *, const struct node *);

const struct store_kind offline_kind = {"offline", STORE_LOG, KIND_COUNTED};

static const struct hook hooks[] = {
    {.on = HOOK_ACCOUNT_LOAD, .load = on_load},
    {.on = HOOK_ACCOUNT_FORGET, .account = on_forget},
    {.on = HOOK_ACCOUNT_DRAIN, .account = offline_keep_again},
    {.on = HOOK_RECEIVED_MESSAGE, .order = -200, .stanza = bounce_received},
    {.on = HOOK_RECEIVED_MESSAGE, .order = -50, .stanza = on_received},
    {.on = HOOK_RECEIVED_MESSAGE, .order = 550, .stanza = live_received},
    {.on = HOOK_UNDELIVERED, .stanza = on_undelivered},
    {.on = HOOK_DELIVER, .order = 980, .stanza = live_deliver},
    {.on = HOOK_SESSION_AVAILABLE, .order = 200, .session = on_presence},
    {.on = HOOK_SESSION_RESUMED, .session = on_resumed},
    {.on = HOOK_PROVED, .proved = on_proved},
    {.on = HOOK_SESSION_UNAVAILABLE, .session = on_presence},
    {.on = HOOK_SESSION_CLOSED, .session = on_closed},
    {.on = HOOK_SESSION_SAVE, .save = on_save},
    {.on = HOOK_SESSION_RESTORE, .restore = on_restore},
    {.on = HOOK_END},
};

const struct module offline_module = {
    .api = MODULE_API,
    .name = "offline",
    .help = "Messages kept for accounts that are offline",
    .xeps = (const char *const[]){"XEP-0160 1.0.1", "XEP-0203 2.0", NULL},
    .features = (const char *const[]){"msgoffline", NULL},
    .hooks = hooks,
    .kinds = (const struct store_kind *const[]){&offline_kind, NULL},
    .account_size = sizeof(struct offline),
    .session_size = sizeof(struct offline_session),
};

struct offline *
offline_of(struct account *account)
{
	return account_slot(account, &offline_module);
}

struct offline_session *
offline_session_of(struct session *session)
{
	return session_slot(session, &offline_module);
}

/* --- how many there are -------------------------------------------------- */

struct rows_count {
	struct store_count count;
	struct account *account; /* pinned */
	struct arena *arena;
	unsigned round;
	struct join *join; /* while the account loads; else NULL */
};

static void
count_rows(struct account *account, struct join *join)
{
	struct arena *arena = arena_make(0);
	struct rows_count *counting = arena_new(arena, struct rows_count);

	counting->account = account;
	counting->arena = arena;
	counting->join = join;
	counting->round = ++offline_of(account)->rounds;
	offline_of(account)->added = 0;
	live_count(account, counting->round);
	owner_pin(&account->owner);
	store_count(account->owner.shard->store, &counting->count,
	    account->owner.id, &offline_kind, rows_counted);
}

static uint64_t
waiting_of(uint64_t rows, uint64_t sent)
{
	return rows > sent ? rows - sent : 0;
}

static void
rows_counted(struct store_count *count)
{
	struct rows_count *counting =
	    container_of(count, struct rows_count, count);
	struct account *account = counting->account;
	struct offline *offline = offline_of(account);
	struct arena *arena = counting->arena;
	struct join *join = counting->join;
	const enum err err = count->err;

	if (err == ERR_NONE) {
		offline->count = waiting_of(count->count + offline->added,
		    live_counted(account, counting->round));
		if (offline->last_id < count->last_id)
			offline->last_id = count->last_id;
	}
	if (err == ERR_NONE && join != NULL)
		repeats_load(&offline->repeats, account, &offline_kind,
		    count->last_id, join);
	arena_free(&arena);
	owner_unpin(&account->owner);
	if (join != NULL)
		join_wait_done(join, err);
}

/* While the module is switched off nobody says that a session went. */
static struct session *
reader_of(struct account *account)
{
	return session_of_number(account, offline_of(account)->reader);
}

/* When a page is on its way, reading ends with that. */
static void
find_sessions(struct account *account)
{
	struct offline *offline = offline_of(account);

	if (reader_of(account) == NULL) {
		if (offline->paused != 0)
			offline->is_reading = false;
		offline->reader = 0;
		offline->paused = 0;
		offline->failing_ms = 0;
		timer_stop(account->owner.shard, &offline->retry);
		if (!offline->is_reading)
			live_reading_ended(account);
	}
	live_find_sessions(account);
	bounce_find_sessions(account);
}

static void
on_load(struct account *account, struct join *join)
{
	offline_of(account)->account = account;
	find_sessions(account);
	join_wait(join);
	count_rows(account, join);
}

static void
on_forget(struct account *account)
{
	timer_stop(account->owner.shard, &offline_of(account)->trim);
	timer_stop(account->owner.shard, &offline_of(account)->retry);
	offline_keep_forget(account);
	bounce_forget(account);
	live_forget(account);
	repeats_forget(&offline_of(account)->repeats);
}

/* --- what only this host may say: XEP-0203, section 5 -------------------- */

static bool
is_forged(const struct node *child, const void *host_name)
{
	return delay_is_by(child, *(const struct str *)host_name);
}

static enum verdict
on_received(
    struct account *account, struct session *session, struct post *letter)
{
	(void)session;
	if (letter->is_returned)
		return PASS;
	if (repeats_have(&offline_of(account)->repeats, letter->stanza)) {
		post_free(&letter);
		return TAKEN;
	}
	if (delay_has(letter->stanza, account->host->name))
		letter->stanza = stanza_without(letter->arena, letter->stanza,
		    is_forged, &account->host->name);
	return PASS;
}

/* --- keeping ------------------------------------------------------------- */

static enum verdict
on_undelivered(
    struct account *account, struct session *session, struct post *letter)
{
	const struct stanza *stanza = letter->stanza;

	(void)session;
	if (stanza_is_only_chat_state(stanza)) {
		post_free(&letter);
		return TAKEN;
	}
	if (hints_has(stanza, "no-store"))
		return PASS;
	if (offline_of(account)->count >=
	    host_int(account->host, SETTING(QUOTA_OFFLINE_MESSAGES))) {
		router_bounce(account->owner.shard, letter,
		    STANZA_ERR_SERVICE_UNAVAILABLE,
		    "too many messages wait for this account");
		return TAKEN;
	}
	offline_keep(account, post_own(letter));
	return TAKEN;
}

/* --- sending ------------------------------------------------------------- */

struct reading {
	struct store_page page;
	struct account *account; /* pinned */
	struct arena *arena;
	uint64_t reader; /* session->number */
	unsigned place;  /* that it holds */
};

bool
offline_may_send(const struct session *session)
{
	return session->is_available && session->priority >= 0 &&
	       !session->is_closing;
}

static void
on_available(struct session *session)
{
	struct offline *offline = offline_of(session->account);
	const struct session *reader = reader_of(session->account);

	if (!offline_may_send(session) || offline->count == 0 ||
	    offline->is_reading)
		return;
	if (reader != session && reader != NULL && offline_may_send(reader))
		return;
	if (reader != session)
		offline->ticket = offline->sent_id = offline->proved_id;
	else if (offline->again != 0 && offline->again <= offline->sent_id)
		offline->sent_id = offline->again - 1;
	offline->again = 0;
	offline->reader = session->number;
	offline->is_reading = true;
	read_page(session, session_hold(session));
}

/* Since a restart there may be more than it was sent before. */
static void
on_resumed(struct session *session)
{
	struct offline *offline = offline_of(session->account);

	if (offline->paused != 0 && offline->reader == session->number)
		read_on(session, offline->paused);
	else
		on_available(session);
}

void
offline_offer(struct account *account)
{
	session_each (session, account)
		on_available(session);
}

static unsigned
page_max(const struct session *session)
{
	const unsigned part = (unsigned)host_int(session->account->host,
				  SETTING(SESSIONS_QUEUE)) /
			      QUEUE_PART;

	return session->resume == NULL || part > PAGE_MAX ? PAGE_MAX : part;
}

static void
read_page(struct session *session, unsigned place)
{
	struct account *account = session->account;
	struct arena *arena = arena_make(0);
	struct reading *reading = arena_new(arena, struct reading);
	const struct log_query query = {.owner = account->owner.id,
	    .kind = &offline_kind,
	    .after = offline_of(account)->sent_id,
	    .max = page_max(session)};

	reading->account = account;
	reading->arena = arena;
	reading->reader = session->number;
	reading->place = place;
	offline_of(account)->has_grown = false;
	offline_keep_again(account);
	owner_pin(&account->owner);
	store_page(account->owner.shard->store, &reading->page, arena, &query,
	    page_read);
}

/* XEP-0203: when it came, said by the host. */
static void
send_row(const struct reading *reading, struct session *session,
    const struct log_row *row)
{
	struct arena *arena = reading->arena;
	struct stanza *stanza = stanza_parse(arena, row->value);
	struct str host = session->account->host->name;

	if (stanza == NULL) {
		log_error(&session->log, "kept message %llu is damaged",
		    (unsigned long long)row->id);
		return;
	}
	/* Kept before the block: XEP-0191, section 3.3. */
	if (blocking_blocks(session->account, stanza->from))
		return;
	if (!delay_has(stanza, host))
		stanza = delay_add(arena, stanza, host, row->time_us);
	offline_of(session->account)->unproved++;
	/* While there are others that come or go alone, this one does. */
	if (!live_has_any(session->account)) {
		session_fill(session, reading->place, stanza, row->id);
		offline_of(session->account)->ticket = row->id;
		return;
	}
	session_fill(session, reading->place, stanza,
	    live_row(session->account, row->id));
	live_row_sent(session->account, row->id);
}

/* Whether there are more. */
static bool
send_rows(const struct reading *reading, struct session *session)
{
	struct account *account = reading->account;
	struct offline *offline = offline_of(account);
	const struct store_page *page = &reading->page;
	const uint64_t most = account_bytes_at_once(account);
	uint64_t len = 0;

	offline->failing_ms = 0;
	offline->is_full = false;
	for (size_t i = 0; i < page->count; i++) {
		len += page->rows[i].value.len;
		if (i > 0 && len > most) {
			offline->is_full = true;
			return true;
		}
		if (!live_has(account, page->rows[i].id))
			send_row(reading, session, &page->rows[i]);
		offline->sent_id = page->rows[i].id;
	}
	return page->is_more;
}

static bool
is_page_proved(struct session *session)
{
	const struct offline *offline = offline_of(session->account);

	return offline->ticket <= offline->proved_id &&
	       offline_session_of(session)->tickets.read.count == 0;
}

/* A queue that overflows ends the session, and so does a client that does not
 * read: the next page waits for the proof of this one. With few rows nobody
 * would ask for that proof. */
static void
read_on(struct session *session, unsigned place)
{
	struct offline *offline = offline_of(session->account);
	const bool may_read = is_page_proved(session) ||
			      (session->resume == NULL && !offline->is_full &&
				  offline->unproved < SESSION_PROOFS_MANY);

	offline->paused = may_read ? 0 : place;
	if (may_read)
		read_page(session, place);
}

static void
end_reading(struct account *account, struct session *session, unsigned place)
{
	struct offline *offline = offline_of(account);
	const struct session *reader;

	if (session != NULL && !session->is_closing &&
	    !offline_may_send(session))
		session_take_back(session, place, live_waits);
	offline->is_reading = false;
	if (session != NULL)
		session_release(session, place);
	live_reading_ended(account);
	/* The reader went meanwhile: somebody else may want them. */
	reader = reader_of(account);
	if (reader == NULL || !offline_may_send(reader) ||
	    offline->again != 0 || offline->has_grown)
		offline_offer(account);
}

static void
on_retry(struct timer *timer)
{
	struct offline *offline = container_of(timer, struct offline, retry);
	struct session *reader = reader_of(offline->account);

	if (reader == NULL)
		return;
	if (offline->paused != 0)
		read_on(reader, offline->paused);
	else
		on_available(reader);
}

/* Not for ever: the store may be away for long, and who is there is to hear
 * what others say meanwhile. */
static void
try_later(struct account *account, struct session *reader,
    const struct reading *reading)
{
	struct offline *offline = offline_of(account);
	bool is_held;

	if (offline->failing_ms == 0) {
		offline->failing_ms = clock_mono_ms();
		log_warn(&account->owner.log,
		    "could not read kept messages, will try again: %s",
		    err_text(reading->page.err));
	}
	is_held = clock_mono_ms() - offline->failing_ms < HOLD_MS;
	timer_start(account->owner.shard, &offline->retry,
	    is_held ? HOLD_TRY_MS : RETRY_MS, on_retry);
	if (is_held)
		offline->paused = reading->place;
	else
		end_reading(account, reader, reading->place);
}

static void
page_read(struct store_page *page)
{
	struct reading *reading = container_of(page, struct reading, page);
	struct account *account = reading->account;
	struct offline *offline = offline_of(account);
	struct arena *arena = reading->arena;
	struct session *session = session_of_number(account, reading->reader);
	const bool is_there = session != NULL &&
			      session->number == offline->reader &&
			      offline_may_send(session);
	bool is_more = false;

	if (page->err == ERR_NONE &&
	    (offline_keep_is_unsure(account) || live_is_unsure(account)))
		page->err = ERR_UNCERTAIN;
	if (is_there && page->err == ERR_NONE)
		is_more = send_rows(reading, session);
	if (is_there && page->err != ERR_NONE && page->err != ERR_CANCELED)
		try_later(account, session, reading);
	else if (is_more)
		read_on(session, reading->place);
	else
		end_reading(account, session, reading->place);
	arena_free(&arena);
	owner_unpin(&account->owner);
}

/* --- proof --------------------------------------------------------------- */

struct trimming {
	struct store_commit commit;
	struct account *account; /* pinned */
	struct arena *arena;
};

static void rows_trimmed(struct store_commit *);

static void
trim(struct account *account)
{
	struct store_write *write =
	    store_write_new(account->owner.shard->store);
	struct arena *arena = arena_make(0);
	struct trimming *trimming = arena_new(arena, struct trimming);

	trimming->account = account;
	trimming->arena = arena;
	owner_pin(&account->owner);
	store_log_trim(write, account->owner.id, &offline_kind,
	    offline_of(account)->proved_id);
	store_commit_lazy(write, &trimming->commit, rows_trimmed);
}

static void
on_trim(struct timer *timer)
{
	struct account *account =
	    container_of(timer, struct offline, trim)->account;

	trim(account);
	owner_unpin(&account->owner);
}

static void
trim_later(struct account *account, enum err err)
{
	struct timer *timer = &offline_of(account)->trim;

	if (timer_is_running(timer))
		return;
	log_warn(&account->owner.log,
	    "could not forget messages that were read: %s", err_text(err));
	owner_pin(&account->owner);
	timer_start(account->owner.shard, timer, RETRY_MS, on_trim);
}

static void
rows_trimmed(struct store_commit *commit)
{
	struct trimming *trimming =
	    container_of(commit, struct trimming, commit);
	struct account *account = trimming->account;
	struct arena *arena = trimming->arena;

	if (commit->err != ERR_NONE && commit->err != ERR_CANCELED &&
	    !account->owner.is_detached)
		trim_later(account, commit->err);
	arena_free(&arena);
	owner_unpin(&account->owner);
}

static void
rows_proved(struct account *account, uint64_t upto)
{
	struct offline *offline = offline_of(account);

	if (offline->proved_id < upto)
		offline->proved_id = upto;
	trim(account);
	live_trimmed(account, offline->proved_id);
	count_rows(account, NULL);
}

static void
on_proved(struct session *session, uint64_t ticket)
{
	struct offline *offline = offline_of(session->account);

	if ((ticket & TICKET_ARCHIVE) != 0)
		return;
	if ((ticket & TICKET_APART) != 0) {
		bounce_proved(session, ticket);
		return;
	}
	if ((ticket & TICKET_LIVE) != 0)
		live_proved(session, ticket);
	else
		rows_proved(session->account, ticket);
	if (offline->reader == session->number)
		offline->unproved = 0;
	if (offline->paused != 0 && offline->reader == session->number)
		read_on(session, offline->paused);
}

/* The rest is for others; what it was sent it has, as long as nobody else
 * reads. */
static void
stop_reading(struct session *session)
{
	struct account *account = session->account;
	struct offline *offline = offline_of(account);
	const unsigned paused = offline->paused;

	if (offline->reader != session->number)
		return;
	offline->unproved = 0;
	offline->paused = 0;
	offline->failing_ms = 0;
	timer_stop(account->owner.shard, &offline->retry);
	if (paused != 0)
		end_reading(
		    account, session->is_closing ? NULL : session, paused);
	else if (!offline->is_reading)
		offline_offer(account);
}

/* One that ends gives up first what it did not prove: it is older than what it
 * was not sent. */
static void
on_presence(struct session *session)
{
	if (offline_may_send(session))
		on_available(session);
	else if (!session->is_closing)
		stop_reading(session);
}

static void
on_closed(struct session *session)
{
	struct offline *offline = offline_of(session->account);

	live_session_closed(session);
	stop_reading(session);
	if (offline->reader == session->number)
		offline->reader = 0;
	bounce_find_sessions(session->account);
}

/* --- over a restart ------------------------------------------------------ */

#define NS_SENT "urn:jackdaw:offline:sent:1"

/* Up to which row the session has all, or has it in its queue. */
static uint64_t
sent_to(const struct session *session)
{
	struct account *account = session->account;
	const struct offline *offline = offline_of(account);
	const uint64_t held = session_held_ticket(session, 0);
	const uint64_t live = live_least(account);
	uint64_t upto = offline->sent_id;

	if (upto >= held)
		upto = held - 1;
	/* Those that are in the queue are saved one by one. */
	if (upto >= live)
		upto = live - 1;
	if (offline->again != 0 && upto >= offline->again)
		upto = offline->again - 1;
	return upto;
}

/* What is in the session's queue is there only when all of it is. */
static void
on_save(struct session *session, struct node *node)
{
	struct node *own;

	if (!str_is(node_attr(node, "state"), "whole"))
		return;
	own = node_add(node, "offline", NS_SENT);
	live_save(session, own, NS_SENT);
	if (offline_of(session->account)->reader == session->number)
		node_set_format(
		    own, "upto", "%llu", (unsigned long long)sent_to(session));
}

static void
on_restore(struct session *session, const struct node *node)
{
	struct offline *offline = offline_of(session->account);
	const struct node *own = node_child(node, "offline", NS_SENT);

	if (own == NULL)
		return;
	live_restore(session, own);
	if (!str_to_u64(node_attr(own, "upto"), INT64_MAX, &offline->sent_id))
		return;
	offline->reader = session->number;
	if (offline->count == 0 || !offline_may_send(session))
		return;
	offline->is_reading = true;
	offline->paused = session_hold(session);
}

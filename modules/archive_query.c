/*
 * modules/archive_query.c - answering queries: rows are sent as they are
 * stored, without being read as XML again.
 */
#include <stdlib.h>

#include "base/blob.h"
#include "base/clock.h"
#include "modules/archive_private.h"
#include "server/resume.h"
#include "server/session.h"
#include "server/settings.h"
#include "server/setup.h"
#include "xml/writer.h"

#define NS_FORWARD "urn:xmpp:forward:0"
#define NS_DELAY   "urn:xmpp:delay"

/* So often rows that fail are waited for, some seconds each time. */
#define AWAITS_MAX 2

/* So often a query looks whether there is room for its page, and so long. */
#define ROOM_MS        100
#define ROOM_WITHIN_MS (10 * SECOND)

struct reading;

static void begin(struct reading *);
static void rows_written(struct archive_await *);
static void words_indexed(struct archive_index *);
static void page_read(struct store_page *);
static void lookup_read(struct store_page *);
static void all_read(struct join *);

/* A row that is named by its id. */
struct lookup {
	struct store_page page;
	struct reading *reading;
	struct archive_id id;
};

/* The page and the rows that the query names are read at once. Lives in the
 * iq. */
struct reading {
	struct iq *iq;
	struct archive_ask ask;
	struct timer room;
	unsigned room_waits, wanted; /* rows that have their room */
	struct archive_await await;
	struct archive_index index;
	struct join join;
	struct store_page page;
	struct lookup *bounds, *ids;
	const struct stanza *head; /* of the messages with the results */
	uint64_t upto;             /* rows after it were not asked for */
	uint64_t unwritten;        /* the least that may not be there yet */
	unsigned failures;         /* of rows, when it began */
	unsigned awaits;           /* since rows failed meanwhile */
	bool is_missing;           /* a row that was named is not there */
	bool is_early;             /* and one is yet to be written */
	bool is_cut;               /* there are rows that are not written yet */
};

/* What is sent, oldest first. */
struct found {
	const struct log_row **rows;
	size_t count;
	bool is_more;
};

/* --- room ---------------------------------------------------------------- */

/* Of the session's queue pages leave a quarter, at least, to all else: of a
 * client that asks for many at once, the session would end before it could
 * acknowledge the first. */
static bool
has_room(struct session *session, unsigned rows)
{
	const uint64_t queue =
	    host_int(session->account->host, SETTING(SESSIONS_QUEUE));

	return session->held_count + resume_open(session) +
		   archive_session_of(session)->wanted + rows <=
	       queue - queue / 4;
}

static void
on_room(struct timer *timer)
{
	begin(container_of(timer, struct reading, room));
}

/* It is answered next. */
static struct session *
leave(const struct reading *reading)
{
	struct session *session = iq_session(reading->iq);

	if (session != NULL) {
		archive_session_of(session)->wanted -= reading->wanted;
		archive_session_of(session)->queries--;
	}
	return session;
}

static void
refuse(struct reading *reading, enum stanza_err err, const char *why)
{
	struct session *session = leave(reading);

	iq_refuse_text(reading->iq, err, why);
	if (session != NULL)
		archive_catch_up_asked(session);
}

static void
begin(struct reading *reading)
{
	struct iq *iq = reading->iq;
	struct session *session = iq_session(iq);
	const unsigned rows = reading->ask.rows.max;

	if (session == NULL || has_room(session, rows)) {
		reading->wanted = rows;
		if (session != NULL)
			archive_session_of(session)->wanted += rows;
		archive_await_rows(
		    iq_account(iq), &reading->await, rows_written);
	} else if (reading->room_waits++ < ROOM_WITHIN_MS / ROOM_MS) {
		timer_start(iq_shard(iq), &reading->room, ROOM_MS, on_room);
	} else {
		refuse(reading, STANZA_ERR_RESOURCE_CONSTRAINT,
		    "too much is not acknowledged; ask again");
	}
}

/* --- reading ------------------------------------------------------------- */

static void
read_page(struct reading *reading, struct store_page *page,
    const struct log_query *query, void (*done)(struct store_page *))
{
	join_wait(&reading->join);
	store_page(
	    iq_store(reading->iq), page, iq_arena(reading->iq), query, done);
}

static struct lookup *
look_up(struct reading *reading, const struct archive_id *ids, unsigned count)
{
	struct lookup *lookups =
	    arena_array(iq_arena(reading->iq), struct lookup, count);

	for (unsigned i = 0; i < count; i++) {
		const struct log_query query = {
		    .owner = reading->ask.rows.owner,
		    .kind = &archive_kind,
		    .after = ids[i].id - 1,
		    .before = ids[i].id + 1,
		    .max = 1};

		lookups[i].reading = reading;
		lookups[i].id = ids[i];
		read_page(reading, &lookups[i].page, &query, lookup_read);
	}
	return lookups;
}

/* Who was sent a message that cannot be written now is not told that there is
 * none: it would begin anew with an archive that it knows. */
static void
not_found(struct reading *reading, uint64_t id)
{
	if (id >= reading->unwritten &&
	    id <= archive_of(iq_account(reading->iq))->last_id)
		reading->is_early = true;
	else
		reading->is_missing = true;
}

static void
lookup_read(struct store_page *page)
{
	struct lookup *lookup = container_of(page, struct lookup, page);

	if (page->err == ERR_NONE &&
	    (page->count == 0 || page->rows[0].nonce != lookup->id.nonce))
		not_found(lookup->reading, lookup->id.id);
	join_wait_done(&lookup->reading->join, page->err);
}

static void
page_read(struct store_page *page)
{
	struct reading *reading = container_of(page, struct reading, page);

	join_wait_done(&reading->join, page->err);
}

/* Its query is no longer on its way. */
static void
arrive(struct session *session)
{
	struct archive_session *own = archive_session_of(session);

	if (own->asked > 0)
		own->asked--;
}

static void
refuse_form(struct iq *iq, enum stanza_err err, const char *why)
{
	struct session *session = iq_session(iq);

	iq_refuse_text(iq, err, why);
	if (session != NULL)
		archive_catch_up_asked(session);
}

void
archive_on_query(struct iq *iq)
{
	struct reading *reading = arena_new(iq_arena(iq), struct reading);
	struct archive_ask *ask = &reading->ask;
	enum stanza_err err;
	const char *why;

	if (!iq_is_own(iq)) {
		iq_refuse(iq, STANZA_ERR_FORBIDDEN);
		return;
	}
	if (iq_session(iq) != NULL)
		arrive(iq_session(iq));
	err = archive_ask_read(iq, ask, &why);
	if (err != STANZA_ERR_NONE) {
		refuse_form(iq, err, why);
		return;
	}
	iq_only_reads(iq);
	reading->iq = iq;
	reading->head = stanza_make(iq_arena(iq), STANZA_MESSAGE, STANZA_NORMAL,
	    account_jid(iq_account(iq)), iq_from(iq), STR_NONE);
	if (iq_session(iq) != NULL)
		archive_session_of(iq_session(iq))->queries++;
	begin(reading);
}

static void
read_all(struct reading *reading)
{
	struct archive_ask *ask = &reading->ask;

	reading->failures = archive_of(iq_account(reading->iq))->failures;
	reading->is_missing = reading->is_early = false;
	join_init(&reading->join, all_read);
	reading->bounds = look_up(reading, ask->bounds, ask->bound_count);
	if (ask->has_ids)
		reading->ids = look_up(reading, ask->ids, ask->id_count);
	else
		read_page(reading, &reading->page, &ask->rows, page_read);
	join_wait_done(&reading->join, ERR_NONE);
}

/* What is not written yet, and what came after it, is for another page. */
static void
rows_written(struct archive_await *await)
{
	struct reading *reading = container_of(await, struct reading, await);
	struct account *account = iq_account(reading->iq);
	struct log_query *rows = &reading->ask.rows;
	const uint64_t unwritten = archive_unwritten(account);

	reading->unwritten = unwritten;
	if (unwritten != UINT64_MAX &&
	    (rows->before == 0 || rows->before > unwritten)) {
		rows->before = unwritten;
		reading->is_cut = true;
	}
	if (!reading->ask.has_ids)
		reading->upto = archive_of(account)->last_id;
	if (rows->before > 0 && rows->before <= reading->upto)
		reading->upto = rows->before - 1;
	if (rows->words.len == 0)
		read_all(reading);
	else
		archive_index(account, &reading->index, words_indexed);
}

static void
words_indexed(struct archive_index *index)
{
	struct reading *reading = container_of(index, struct reading, index);

	if (index->err == ERR_NONE && !index->is_more)
		read_all(reading);
	else if (index->err == ERR_NONE)
		refuse(reading, STANZA_ERR_RESOURCE_CONSTRAINT,
		    "the archive is being indexed; search again");
	else
		refuse(reading, stanza_err_of(index->err), NULL);
}

/* --- what was found ------------------------------------------------------ */

static struct found
found_of_page(struct reading *reading)
{
	const struct store_page *page = &reading->page;
	struct found found = {.count = page->count, .is_more = page->is_more};

	found.rows = arena_array(
	    iq_arena(reading->iq), const struct log_row *, page->count);
	for (size_t i = 0; i < page->count; i++)
		found.rows[reading->ask.rows.is_backward ? page->count - 1 - i
							 : i] = &page->rows[i];
	return found;
}

static bool
has_peer(const struct log_row *row, struct str peer)
{
	return str_equal(row->peer, peer) ||
	       (memchr(peer.text, '/', peer.len) == NULL &&
		   str_starts(row->peer, peer) &&
		   row->peer.text[peer.len] == '/');
}

/* What the rest of the query says of a row that it names. */
static bool
is_wanted(const struct log_query *query, const struct log_row *row)
{
	return row->id > query->after &&
	       (query->before == 0 || row->id < query->before) &&
	       (query->peer.len == 0 || has_peer(row, query->peer));
}

static int
compare_rows(const void *a, const void *b)
{
	const struct log_row *const *rows[] = {a, b};
	const uint64_t left = (*rows[0])->id, right = (*rows[1])->id;

	return left < right ? -1 : left > right;
}

/* Sorted, each once, and the page of them. */
static struct found
found_of_ids(struct reading *reading)
{
	const struct archive_ask *ask = &reading->ask;
	struct found found = {0};
	size_t count = 0;

	found.rows = arena_array(
	    iq_arena(reading->iq), const struct log_row *, ask->id_count);
	for (unsigned i = 0; i < ask->id_count; i++)
		if (is_wanted(&ask->rows, reading->ids[i].page.rows))
			found.rows[count++] = reading->ids[i].page.rows;
	qsort(found.rows, count, sizeof(*found.rows), compare_rows);
	for (size_t i = 0; i < count; i++)
		if (i == 0 || found.rows[i]->id != found.rows[i - 1]->id)
			found.rows[found.count++] = found.rows[i];
	if (found.count > ask->rows.max) {
		found.is_more = true;
		if (ask->rows.is_backward)
			found.rows += found.count - ask->rows.max;
		found.count = ask->rows.max;
	}
	return found;
}

/* As many as their bytes allow, and one at least: the rest is for the next
 * page. */
static void
shorten(const struct reading *reading, struct found *found)
{
	const bool is_backward = reading->ask.rows.is_backward;
	const uint64_t most = account_bytes_at_once(reading->ask.account);
	uint64_t len = 0;
	size_t count = 0;

	for (; count < found->count; count++) {
		const size_t at =
		    is_backward ? found->count - 1 - count : count;

		len += found->rows[at]->value.len;
		if (count > 0 && len > most)
			break;
	}
	found->is_more |= count < found->count;
	if (is_backward)
		found->rows += found->count - count;
	found->count = count;
}

/* --- sending ------------------------------------------------------------- */

static void
add_attr(struct buf *buf, const char *name, struct str value)
{
	writer_attr(
	    buf, &(struct attr){.name = str_of(name), .value = value}, 0);
}

static struct str
id_of(const struct reading *reading, const struct log_row *row)
{
	return archive_id_text(reading->ask.account, iq_arena(reading->iq),
	    (struct archive_id){row->id, row->nonce});
}

/* Rows are ours: what is checked here is that the file is whole. */
static bool
is_damaged(struct str value)
{
	return !str_starts(value, STR("<message ")) ||
	       !str_ends(value, STR(">"));
}

/* Modules that look at what goes to the session see the head. */
static void
share(const struct reading *reading, struct session *session, struct blob *blob)
{
	struct post letter = {
	    .kind = POST_DOWN,
	    .arena = iq_arena(reading->iq),
	    .stanza = reading->head,
	    .blob = blob,
	    .is_lent = true,
	};

	session_share(session, &letter);
}

static void
send_row(const struct reading *reading, struct session *session,
    const struct log_row *row)
{
	struct buf *buf = &iq_shard(reading->iq)->scratch;
	struct blob *blob;

	if (is_damaged(row->value)) {
		log_error(&session->log, "archived message %llu is damaged",
		    (unsigned long long)row->id);
		return;
	}
	buf_clear(buf, SIZE_MAX);
	buf_add(buf, STR("<message"));
	add_attr(buf, "from", jid_full(account_jid(session->account)));
	buf_add(buf, STR("><result xmlns='" NS_MAM "'"));
	if (reading->ask.queryid.text != NULL)
		add_attr(buf, "queryid", reading->ask.queryid);
	add_attr(buf, "id", id_of(reading, row));
	buf_add(buf, STR("><forwarded xmlns='" NS_FORWARD "'>"
			 "<delay xmlns='" NS_DELAY "'"));
	add_attr(
	    buf, "stamp", clock_format(iq_arena(reading->iq), row->time_us));
	buf_add(buf, STR("/>"));
	buf_add(buf, archive_retract_text(session->account, row));
	buf_add(buf, STR("</forwarded></result></message>"));
	blob = blob_new(buf_str(buf));
	share(reading, session, blob);
	blob_unref(&blob);
}

static void
send_rows(const struct reading *reading, const struct found *found)
{
	struct session *session = iq_session(reading->iq);
	struct archive_session *own;

	if (session == NULL)
		return;
	own = archive_session_of(session);
	if (own->queried < reading->upto)
		own->queried = reading->upto;
	for (size_t i = 0; i < found->count; i++)
		send_row(reading, session,
		    found->rows[reading->ask.is_flipped ? found->count - 1 - i
							: i]);
}

static void
answer(struct reading *reading, const struct found *found)
{
	struct node *fin = node_make(iq_arena(reading->iq), "fin", NS_MAM);
	struct node *set;

	if (!found->is_more && !reading->is_cut)
		node_set(fin, "complete", STR("true"));
	set = node_add(fin, "set", NS_RSM);
	if (found->count > 0) {
		node_add_with_text(
		    set, "first", NS_RSM, id_of(reading, found->rows[0]));
		node_add_with_text(set, "last", NS_RSM,
		    id_of(reading, found->rows[found->count - 1]));
	}
	iq_reply(reading->iq, fin);
}

/* The disk may be full for long: then it is what is there by now. */
static void
read_again(struct reading *reading)
{
	if (reading->awaits++ < AWAITS_MAX)
		archive_await_rows(
		    iq_account(reading->iq), &reading->await, rows_written);
	else
		rows_written(&reading->await);
}

static void
all_read(struct join *join)
{
	struct reading *reading = container_of(join, struct reading, join);
	struct account *account = iq_account(reading->iq);
	struct session *session;
	struct found found;

	if (join->first != ERR_NONE) {
		refuse(reading, stanza_err_of(join->first), NULL);
		return;
	}
	if (reading->failures != archive_of(account)->failures) {
		read_again(reading);
		return;
	}
	if (reading->is_missing) {
		refuse(reading, STANZA_ERR_ITEM_NOT_FOUND, NULL);
		return;
	}
	if (reading->is_early) {
		refuse(reading, STANZA_ERR_RESOURCE_CONSTRAINT,
		    "a message that is named is yet to be written; ask again");
		return;
	}
	found = reading->ask.has_ids ? found_of_ids(reading)
				     : found_of_page(reading);
	shorten(reading, &found);
	session = leave(reading);
	send_rows(reading, &found);
	answer(reading, &found);
	if (session != NULL)
		archive_catch_up_asked(session);
}

/* --- the form, and the ends ---------------------------------------------- */

void
archive_on_form(struct iq *iq)
{
	if (iq_is_own(iq))
		iq_reply(iq, archive_ask_form(iq_arena(iq)));
	else
		iq_refuse(iq, STANZA_ERR_FORBIDDEN);
}

/* Section 5: the first and the last row. */
struct ends {
	struct iq *iq;
	struct archive_await await;
	struct join join;
	struct store_page first, last;
};

static void
first_read(struct store_page *page)
{
	struct ends *ends = container_of(page, struct ends, first);

	join_wait_done(&ends->join, page->err);
}

static void
last_read(struct store_page *page)
{
	struct ends *ends = container_of(page, struct ends, last);

	join_wait_done(&ends->join, page->err);
}

static void
add_end(const struct account *account, struct node *metadata, const char *name,
    const struct store_page *page)
{
	struct node *end;

	if (page->count == 0)
		return;
	end = node_add(metadata, name, NS_MAM);
	node_set(end, "id",
	    archive_id_text(account, metadata->arena,
		(struct archive_id){page->rows[0].id, page->rows[0].nonce}));
	node_set(end, "timestamp",
	    clock_format(metadata->arena, page->rows[0].time_us));
}

static void
ends_read(struct join *join)
{
	struct ends *ends = container_of(join, struct ends, join);
	const struct account *account = iq_account(ends->iq);
	struct node *metadata;

	if (join->first != ERR_NONE) {
		iq_refuse(ends->iq, stanza_err_of(join->first));
		return;
	}
	metadata = node_make(iq_arena(ends->iq), "metadata", NS_MAM);
	add_end(account, metadata, "start", &ends->first);
	add_end(account, metadata, "end", &ends->last);
	iq_reply(ends->iq, metadata);
}

static void
read_ends(struct archive_await *await)
{
	struct ends *ends = container_of(await, struct ends, await);
	struct iq *iq = ends->iq;
	struct log_query query = {
	    .owner = iq_account(iq)->owner.id, .kind = &archive_kind, .max = 1};

	join_init(&ends->join, ends_read);
	join_wait(&ends->join);
	store_page(
	    iq_store(iq), &ends->first, iq_arena(iq), &query, first_read);
	query.is_backward = true;
	join_wait(&ends->join);
	store_page(iq_store(iq), &ends->last, iq_arena(iq), &query, last_read);
	join_wait_done(&ends->join, ERR_NONE);
}

void
archive_on_metadata(struct iq *iq)
{
	struct ends *ends = arena_new(iq_arena(iq), struct ends);

	if (!iq_is_own(iq)) {
		iq_refuse(iq, STANZA_ERR_FORBIDDEN);
		return;
	}
	ends->iq = iq;
	archive_await_rows(iq_account(iq), &ends->await, read_ends);
}

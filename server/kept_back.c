#include "base/clock.h"
#include "base/err.h"
#include "server/kept_private.h"
#include "server/settings.h"
#include "server/setup.h"
#include "xml/node.h"
#include "xml/writer.h"

#define PAGE_ROWS 50
#define AGAIN_MS  1000
/* A client that comes back after a restart has so long at least. */
#define LEFT_MS ((uint64_t)MINUTE)
/* Contacts of a session that was lost in a crash hear of it after so long. */
#define GHOST_MS ((uint64_t)MINUTE)
#define ENDED_US ((uint64_t)DAY * 1000)
/* So often rows are looked at that are older. */
#define ROUND_MS ((uint64_t)DAY)

/* --- one session ------------------------------------------------------- */

static uint64_t
number_of(const struct node *node, const char *name)
{
	uint64_t number = 0;

	(void)str_to_u64(node_attr(node, name), UINT64_MAX, &number);
	return number;
}

/* NULL for what is damaged or of another version. */
static const struct node *
read_row(struct arena *arena, struct str text)
{
	const struct node *node = node_parse(arena, text, "");

	return node != NULL && node_is(node, "session", NS_KEPT) ? node : NULL;
}

/* The bytes of a stream, without to. */
static const struct stanza *
read_stanza(struct arena *arena, struct str text, const struct jid *to)
{
	struct stanza *stanza = arena_new(arena, struct stanza);
	const struct node *node = node_parse(arena, text, NS_CLIENT);

	if (node == NULL || stanza_read(arena, node, stanza) != STANZA_ERR_NONE)
		return NULL;
	stanza->to = to;
	return stanza;
}

static void
take_item(struct resume *resume, const struct node *item)
{
	struct post *letter = post_new(POST_DOWN, NULL);
	struct str text = node_text(letter->arena, item);
	struct str to = node_attr(item, "to");

	letter->blob = blob_new(text);
	letter->durable.since_us = number_of(item, "sent");
	letter->ticket = number_of(item, "ticket");
	letter->refuses = number_of(item, "refuses");
	if (to.len > 0)
		letter->to = jid_parse(letter->arena, to);
	if (node_attr(item, "copy").len == 0)
		letter->stanza = read_stanza(letter->arena, text, letter->to);
	list_add_last(&resume->unacked, &letter->link);
}

static void
take_presence(struct session *session, const struct node *node)
{
	struct arena *arena = arena_make(0);
	struct str text = node_child_text(arena, node, "presence", NS_KEPT);
	const struct stanza *presence = NULL;
	int64_t priority = 0;

	if (text.len > 0)
		presence = stanza_parse(arena, text);
	else if (node_child(node, "here", NS_KEPT) != NULL)
		presence = stanza_make(arena, STANZA_PRESENCE, STANZA_AVAILABLE,
		    session->jid, NULL, STR_NONE);
	(void)str_to_i64(node_attr(node, "priority"), &priority);
	if (presence != NULL)
		session_restore_presence(session, presence, (int8_t)priority);
	arena_free(&arena);
}

static void
take_origin(struct session *session, const struct node *node)
{
	const struct session_origin origin = {
	    .address = node_attr(node, "address"),
	    .mechanism = node_attr(node, "mechanism"),
	    .tls = node_attr(node, "tls"),
	    .lang = node_attr(node, "lang"),
	};

	session_set_origin(session, session->arena, &origin);
	session->bound_us = number_of(node, "since");
}

/* Who was there when the server crashed gets nothing but what names it. */
static void
bring_ghost(struct session *session)
{
	struct resume *resume = session->resume;

	resume->is_ghost = true;
	if (session->is_available)
		session->priority = -1;
	resume_wait(session, GHOST_MS);
}

static void
bring_whole(struct session *session, const struct node *node)
{
	struct resume *resume = session->resume;
	const uint64_t left = number_of(node, "left");

	resume->wait_ms = number_of(node, "wait");
	resume->sent = number_of(node, "sent");
	take_origin(session, node);
	node_each (child, node)
		if (node_is(child, "item", NS_KEPT))
			take_item(resume, child);
	resume->acked = resume->sent;
	list_each (letter, &resume->unacked, struct post, link)
		resume->acked--;
	resume_wait(session, left > LEFT_MS ? left : LEFT_MS);
}

static bool
is_whole(const struct node *node)
{
	return str_is(node_attr(node, "state"), "whole");
}

/* Its row should have gone, when it could be resumed or when it ended: what
 * this one says is newer. */
static void
drop_former(struct account *account, const struct kept_note *note,
    const struct node *node)
{
	struct arena *arena = arena_make(0);
	struct session *former =
	    session_find(account, jid_with_resource(arena, account_jid(account),
				      node_attr(node, "resource")));

	if (former != NULL && resume_is_ghost(former) &&
	    (is_whole(node) ||
		(kept_is_plain(former->row->id) && !kept_is_plain(note->id)))) {
		kept_end(former);
		session_drop(former);
		owner_unpin(&account->owner);
	}
	arena_free(&arena);
}

static void
bring_back(struct account *account, const struct kept_note *note,
    const struct node *node)
{
	const struct str resource = node_attr(node, "resource");
	struct session *session;
	struct resume *resume;

	drop_former(account, note, node);
	session = session_restore(account, resource);
	if (session == NULL)
		return;
	resume = resume_new(session);
	kept_row_of(session)->id = str_dup(session->arena, note->id);
	session->row->is_written = true;
	if (!kept_is_plain(note->id))
		resume->id = session->row->id;
	resume->handled.taken = number_of(node, "h");
	resume->handled.returned = resume->handled.settled =
	    resume->handled.taken;
	take_presence(session, node);
	if (is_whole(node))
		bring_whole(session, node);
	else
		bring_ghost(session);
	hook_session_restore(session, node);
	log_info(&session->log, "%s from before the restart",
	    resume->is_ghost ? "is missed" : "waits for its client");
	/* What is whole in the row is told to the client once. */
	if (kept_can_resume(session))
		kept_renew(session);
}

static void
remove_row(struct shard *shard, struct str key)
{
	struct store_write *write = store_write_new(shard->store);

	store_remove(write, OWNER_SERVER, &kept_kind, key);
	store_commit_lazy(write, NULL, NULL);
}

void
kept_refuse(struct account *account, struct post *letter)
{
	struct shard *shard = account->owner.shard;

	remove_row(shard,
	    kept_key(letter->arena, account_jid(account), letter->kept->id));
	post_free(&letter);
}

void
kept_restore(struct account *account, struct post *letter)
{
	const struct node *node = read_row(letter->arena, letter->kept->text);

	if (account->is_leaving || account->owner.state == OWNER_DISABLED) {
		kept_refuse(account, letter);
		return;
	}
	if (node != NULL)
		bring_back(account, letter->kept, node);
	post_free(&letter);
}

/* --- at the start -------------------------------------------------------- */

struct kept_reading {
	struct store_scan scan;
	struct timer again;
	struct arena *arena; /* of this page */
	struct shard *shard;
	struct str after;
	void (*done)(struct shard *); /* at the start; NULL: of a round */
};

static void page_read(struct store_scan *);

static void
read_page(struct kept_reading *reading)
{
	store_scan(reading->shard->store, &reading->scan, reading->arena,
	    &(struct map_query){.owner = OWNER_SERVER,
		.kind = &kept_kind,
		.after = reading->after,
		.max = PAGE_ROWS},
	    page_read);
}

static void
read_again(struct timer *timer)
{
	read_page(container_of(timer, struct kept_reading, again));
}

/* Of one that nobody came back for only its count is left, for a while. */
static bool
is_over(const struct node *node)
{
	return str_is(node_attr(node, "state"), "ended");
}

static bool
is_served(struct shard *shard, const struct jid *bare)
{
	return bare == NULL ||
	       setup_host(shard->setup, jid_domain(bare)) != NULL;
}

/* A host that is not configured may be so again at the next start. */
static bool
is_old(struct shard *shard, const struct jid *bare, const struct node *node)
{
	return (is_over(node) || !is_served(shard, bare)) &&
	       number_of(node, "time") + ENDED_US < clock_wall_us();
}

static const struct jid *
account_of_row(struct arena *arena, const struct map_row *row)
{
	return jid_parse(arena, store_key_part(row->key, 0));
}

static void
refuse_row(struct shard *shard, const struct map_row *row)
{
	log_warn(&log_server,
	    "a session of %.*s is lost: it was kept by another version, or is "
	    "damaged",
	    STR_ARG(store_key_part(row->key, 0)));
	remove_row(shard, row->key);
}

static void
post_row(struct shard *shard, struct arena *arena, const struct map_row *row)
{
	const struct node *node = read_row(arena, row->value);
	const struct jid *bare = account_of_row(arena, row);
	struct kept_note *note;
	struct post *letter;

	if (node == NULL || bare == NULL) {
		refuse_row(shard, row);
		return;
	}
	if (is_old(shard, bare, node))
		remove_row(shard, row->key);
	if (is_over(node) || !is_served(shard, bare))
		return;
	letter = post_new(POST_KEPT, NULL);
	letter->to = jid_copy(letter->arena, bare);
	letter->kept = note = arena_new(letter->arena, struct kept_note);
	note->id = str_dup(letter->arena, store_key_part(row->key, 1));
	note->text = str_dup(letter->arena, row->value);
	post_send(shard, letter);
}

static void
sweep_row(struct shard *shard, struct arena *arena, const struct map_row *row)
{
	const struct node *node = read_row(arena, row->value);

	if (node != NULL && is_old(shard, account_of_row(arena, row), node))
		remove_row(shard, row->key);
}

static struct kept_reading *
reading_new(struct shard *shard, struct str after, void (*done)(struct shard *))
{
	struct arena *arena = arena_make(0);
	struct kept_reading *reading = arena_new(arena, struct kept_reading);

	reading->arena = arena;
	reading->shard = shard;
	reading->after = str_dup(arena, after);
	reading->done = done;
	shard->kept_reading = reading;
	return reading;
}

static void
begin_round(struct shard *shard)
{
	timer_start(shard, &reading_new(shard, STR_NONE, NULL)->again, ROUND_MS,
	    read_again);
}

/* At the start the rows are posted, but in a round the old ones go. */
static void
take_page(const struct kept_reading *reading)
{
	const struct store_scan *scan = &reading->scan;

	for (size_t i = 0; i < scan->count; i++)
		if (reading->done == NULL)
			sweep_row(
			    reading->shard, reading->arena, &scan->rows[i]);
		else
			post_row(
			    reading->shard, reading->arena, &scan->rows[i]);
}

/* Nobody waits for a round. */
static void
try_later(struct kept_reading *reading)
{
	if (reading->done != NULL)
		log_warn(&log_server,
		    "kept sessions cannot be read, will try again: %s",
		    err_text(reading->scan.err));
	timer_start(reading->shard, &reading->again,
	    reading->done == NULL ? ROUND_MS : AGAIN_MS, read_again);
}

static void
page_taken(struct shard *shard, const struct store_scan *scan,
    void (*done)(struct shard *))
{
	if (scan->is_more) {
		read_page(
		    reading_new(shard, scan->rows[scan->count - 1].key, done));
		return;
	}
	begin_round(shard);
	if (done != NULL)
		done(shard);
}

static void
page_read(struct store_scan *scan)
{
	struct kept_reading *reading =
	    container_of(scan, struct kept_reading, scan);
	struct shard *shard = reading->shard;
	void (*done)(struct shard *) = reading->done;
	struct arena *arena = reading->arena;

	if (scan->err != ERR_NONE && scan->err != ERR_CANCELED) {
		try_later(reading);
		return;
	}
	shard->kept_reading = NULL;
	if (scan->err == ERR_NONE) {
		take_page(reading);
		page_taken(shard, scan, done);
	}
	arena_free(&arena);
}

void
kept_start(struct shard *shard, void (*done)(struct shard *))
{
	read_page(reading_new(shard, STR_NONE, done));
}

void
kept_free(struct shard *shard)
{
	struct arena *arena =
	    shard->kept_reading == NULL ? NULL : shard->kept_reading->arena;

	arena_free(&arena);
	kept_forget_removals(shard);
}

/* --- a session that is not there ----------------------------------------- */

struct kept_asking {
	struct store_get get;
	struct account *account; /* pinned */
	struct post *letter;
};

/* With what its row says that was handled. */
static void
tell_missing(
    struct shard *shard, struct post *letter, const struct store_get *get)
{
	const struct node *node = NULL;
	uint64_t h = 0;
	bool has_h;

	if (get->err == ERR_NONE)
		node = read_row(letter->arena, get->row.value);
	has_h = node != NULL && node_attr(node, "h").len > 0;
	if (has_h)
		h = number_of(node, "h");
	resume_fail(shard, letter->stream, STANZA_ERR_ITEM_NOT_FOUND,
	    has_h ? &h : NULL);
	post_free(&letter);
}

static void
row_found(struct store_get *get)
{
	struct kept_asking *asking = container_of(get, struct kept_asking, get);
	struct account *account = asking->account;
	struct post *letter = asking->letter;

	if (get->err == ERR_NONE || get->err == ERR_NOT_FOUND)
		tell_missing(account->owner.shard, letter, get);
	else
		resume_too_late(account->owner.shard, letter);
	owner_unpin(&account->owner);
}

void
kept_ask(struct account *account, struct post *letter)
{
	struct kept_asking *asking =
	    arena_new(letter->arena, struct kept_asking);

	asking->account = account;
	asking->letter = letter;
	owner_pin(&account->owner);
	store_get(account->owner.shard->store, &asking->get, letter->arena,
	    &(struct map_key){.owner = OWNER_SERVER,
		.kind = &kept_kind,
		.key = kept_key(
		    letter->arena, account_jid(account), letter->sm->id)},
	    row_found);
}

#include "server/kept.h"

#include "base/clock.h"
#include "base/err.h"
#include "server/outbox.h"
#include "server/resume_private.h"
#include "server/settings.h"
#include "server/setup.h"
#include "xml/node.h"
#include "xml/writer.h"

#define NS_KEPT   "urn:jackdaw:session:1"
#define PAGE_ROWS 50
#define AGAIN_MS  1000
#define NOTE_MS   1000
/* A client that comes back after a restart has so long at least. */
#define LEFT_MS ((uint64_t)MINUTE)
/* Contacts of a session that was lost in a crash hear of it after so long. */
#define GHOST_MS ((uint64_t)MINUTE)
#define ENDED_US ((uint64_t)DAY * 1000)

const struct store_kind kept_kind = {"session", STORE_MAP, 0};

/* --- writing it down --------------------------------------------------------
 */

static struct shard *
shard_of_session(const struct session *session)
{
	return session->account->owner.shard;
}

static struct str
key_of(struct arena *arena, const struct jid *bare, struct str id)
{
	return store_key2(arena, jid_full(bare), id);
}

static void
set_number(struct node *node, const char *name, uint64_t number)
{
	node_set_format(node, name, "%llu", (unsigned long long)number);
}

static void
add_item(struct node *parent, const struct post *letter)
{
	struct node *item;

	/* These have rows of their own, and come again. */
	if ((letter->ticket & TICKET_APART) != 0)
		return;
	item =
	    node_add_with_text(parent, "item", NS_KEPT, blob_str(letter->blob));
	if (letter->to != NULL)
		node_set(item, "to", jid_full(letter->to));
	if (letter->ticket != 0)
		set_number(item, "ticket", letter->ticket);
	if (letter->refuses != 0)
		set_number(item, "refuses", letter->refuses);
	if (letter->stanza == NULL)
		node_set(item, "copy", STR("1"));
}

static void
add_origin(struct node *node, const struct session_origin *origin)
{
	node_set(node, "address", origin->address);
	node_set(node, "mechanism", origin->mechanism);
	node_set(node, "tls", origin->tls);
	node_set(node, "lang", origin->lang);
}

static uint64_t
left_ms(const struct resume *resume)
{
	const uint64_t now = clock_mono_ms();

	if (!resume->session->is_detached)
		return resume->wait_ms;
	return resume->expiry.due_ms > now ? resume->expiry.due_ms - now : 0;
}

static void
add_presence(struct node *node, struct session *session)
{
	if (session->presence == NULL)
		return;
	node_set_format(node, "priority", "%d", session->priority);
	node_add_with_text(node, "presence", NS_KEPT,
	    stanza_text(node->arena, session->presence));
}

static void
add_whole(struct node *node, struct session *session)
{
	const struct resume *resume = session->resume;

	set_number(node, "sent", resume->sent);
	set_number(node, "acked", resume->acked);
	set_number(node, "left", left_ms(resume));
	set_number(node, "wait", resume->wait_ms);
	set_number(node, "since", session->bound_us);
	add_origin(node, &session->origin);
	list_each (letter, &resume->unacked, struct post, link)
		add_item(node, letter);
}

/* What was refused is not done with, when the session is lost, before the
 * client has the error: it sends it again, and gets another one. */
static uint64_t
safe_h(const struct resume *resume, uint64_t h)
{
	list_each (letter, &resume->unacked, struct post, link)
		if (letter->refuses != 0 && letter->refuses <= h)
			h = letter->refuses - 1;
	return h;
}

static void
add_row(struct session *session, struct store_write *write, const char *state,
    uint64_t h)
{
	struct resume *resume = session->resume;
	struct arena *arena = arena_make(0);
	struct node *node = node_make(arena, "session", NS_KEPT);

	node_set(node, "state", str_of(state));
	node_set(node, "resource", jid_resource(session->jid));
	set_number(
	    node, "h", str_is(str_of(state), "live") ? safe_h(resume, h) : h);
	set_number(node, "time", clock_wall_us());
	if (str_is(str_of(state), "whole"))
		add_whole(node, session);
	if (!str_is(str_of(state), "ended")) {
		add_presence(node, session);
		hook_session_save(session, node);
	}
	store_put(write, OWNER_SERVER, &kept_kind,
	    key_of(arena, account_jid(session->account), resume->id),
	    writer_text(arena, node));
	arena_free(&arena);
}

static bool
is_refusal(const struct post *letter)
{
	return letter->refuses != 0 && letter->stanza != NULL &&
	       letter->stanza->kind == STANZA_MESSAGE;
}

/* Of errors that its client has not, another session hears: they become
 * durable letters, which are for who posts them when that is committed. */
static struct store_write *
write_ended(struct session *session, struct list *errors)
{
	struct shard *shard = shard_of_session(session);
	struct store_write *write = store_write_new(shard->store);

	add_row(session, write, "ended", session->resume->handled.settled);
	list_each (letter, &session->resume->unacked, struct post, link) {
		struct post *error;

		if (!is_refusal(letter))
			continue;
		error = post_new(POST_STANZA, NULL);
		error->stanza = stanza_copy_deep(error->arena, letter->stanza);
		error->to =
		    jid_copy(error->arena, account_jid(session->account));
		outbox_keep(shard, write, error, clock_wall_us());
		list_add_last(errors, &error->link);
	}
	return write;
}

static void
write_row(struct session *session, const char *state)
{
	struct store_write *write =
	    store_write_new(shard_of_session(session)->store);

	add_row(session, write, state, session->resume->handled.settled);
	store_commit_lazy(write, NULL, NULL);
}

void
kept_add(struct session *session, struct store_write *write, uint64_t h)
{
	if (session->resume->id.len > 0)
		add_row(session, write, "live", h);
}

static void
on_note(struct timer *timer)
{
	struct resume *resume = container_of(timer, struct resume, note);

	/* While modules are loaded anew they have nothing to save; and what is
	 * being committed, or may be though it failed, has a greater h than
	 * this would put over it. */
	if (resume->session->account->slots == NULL || resume->is_committing ||
	    timer_is_running(&resume->retry))
		kept_note(resume->session);
	else
		write_row(resume->session, "live");
}

void
kept_note(struct session *session)
{
	struct resume *resume = session->resume;

	if (resume == NULL || resume->id.len == 0 ||
	    timer_is_running(&resume->note))
		return;
	timer_start(shard_of_session(session), &resume->note, NOTE_MS, on_note);
}

struct kept_ending {
	struct store_commit commit;
	struct arena *arena;
	struct account *account; /* pinned */
	uint64_t session;
	struct list errors;
};

static void
drop_refusals(struct resume *resume)
{
	list_each (letter, &resume->unacked, struct post, link)
		if (is_refusal(letter)) {
			list_remove(&letter->link);
			post_free(&letter);
		}
}

static void
post_errors(struct shard *shard, struct list *errors, bool is_written)
{
	list_each (letter, errors, struct post, link) {
		list_remove(&letter->link);
		if (is_written)
			post_send(shard, letter);
		else
			post_free(&letter);
	}
}

static void
ending_written(struct store_commit *commit)
{
	struct kept_ending *ending =
	    container_of(commit, struct kept_ending, commit);
	struct account *account = ending->account;
	struct session *session = session_of_number(account, ending->session);
	struct arena *arena = ending->arena;

	post_errors(
	    account->owner.shard, &ending->errors, commit->err == ERR_NONE);
	if (session != NULL && commit->err == ERR_NONE)
		drop_refusals(session->resume);
	if (session != NULL)
		session->resume->is_ending = false;
	if (session != NULL && commit->err != ERR_CANCELED)
		resume_end_written(session->resume, commit->err);
	arena_free(&arena);
	owner_unpin(&account->owner);
}

void
kept_write_end(struct session *session)
{
	struct arena *arena;
	struct kept_ending *ending;

	if (session->resume->is_ending)
		return;
	session->resume->is_ending = true;
	arena = arena_make(0);
	ending = arena_new(arena, struct kept_ending);
	timer_stop(shard_of_session(session), &session->resume->note);
	ending->arena = arena;
	ending->account = session->account;
	ending->session = session->number;
	list_init(&ending->errors);
	owner_pin(&session->account->owner);
	store_commit_lazy(write_ended(session, &ending->errors),
	    &ending->commit, ending_written);
}

void
kept_end(struct session *session)
{
	struct shard *shard = shard_of_session(session);
	const struct resume *resume = session->resume;
	struct store_write *write;
	struct arena *arena;

	if (resume == NULL || resume->id.len == 0 || resume->is_over)
		return;
	arena = arena_make(0);
	write = store_write_new(shard->store);
	store_remove(write, OWNER_SERVER, &kept_kind,
	    key_of(arena, account_jid(session->account), resume->id));
	store_commit_lazy(write, NULL, NULL);
	arena_free(&arena);
}

void
kept_save_all(struct shard *shard)
{
	struct handled *handled = NULL;

	while (
	    (handled = handled_next(shard, &resume_handled, handled)) != NULL) {
		struct resume *resume =
		    container_of(handled, struct resume, handled);

		timer_stop(shard, &resume->note);
		if (resume->id.len == 0 ||
		    resume->session->account->slots == NULL)
			continue;
		if (resume->is_over)
			kept_write_end(resume->session);
		else if (!resume->session->is_closing)
			write_row(resume->session,
			    resume->is_ghost ? "live" : "whole");
	}
}

/* --- bringing it back
 * --------------------------------------------------------- */

static uint64_t
number_of(const struct node *node, const char *name)
{
	uint64_t number = 0;

	(void)str_to_u64(node_attr(node, name), UINT64_MAX, &number);
	return number;
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
	const struct stanza *presence =
	    text.len == 0 ? NULL : stanza_parse(arena, text);
	int64_t priority = 0;

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

static void
bring_back(struct account *account, struct str id, const struct node *node)
{
	struct session *session =
	    session_restore(account, node_attr(node, "resource"));
	struct resume *resume;

	if (session == NULL)
		return;
	resume = resume_new(session);
	resume->id = str_dup(session->arena, id);
	resume->handled.taken = number_of(node, "h");
	resume->handled.returned = resume->handled.settled =
	    resume->handled.taken;
	take_presence(session, node);
	if (str_is(node_attr(node, "state"), "whole"))
		bring_whole(session, node);
	else
		bring_ghost(session);
	hook_session_restore(session, node);
	log_info(&session->log, "%s from before the restart",
	    resume->is_ghost ? "is missed" : "waits for its client");
	/* What is whole in the row is told to the client once. */
	write_row(session, "live");
}

void
kept_restore(struct account *account, struct post *letter)
{
	const struct node *node =
	    node_parse(letter->arena, letter->kept->text, "");

	if (node == NULL)
		log_error(&account->owner.log, "a kept session is damaged");
	else if (!account->is_leaving && account->owner.state != OWNER_DISABLED)
		bring_back(account, letter->kept->id, node);
	post_free(&letter);
}

/* --- at the start
 * -------------------------------------------------------------- */

struct kept_reading {
	struct store_scan scan;
	struct timer again;
	struct arena *arena; /* of this page */
	struct shard *shard;
	struct str after;
	void (*done)(struct shard *);
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

static void
remove_row(struct shard *shard, struct str key)
{
	struct store_write *write = store_write_new(shard->store);

	store_remove(write, OWNER_SERVER, &kept_kind, key);
	store_commit_lazy(write, NULL, NULL);
}

static void
post_row(struct shard *shard, struct arena *arena, const struct map_row *row)
{
	const struct node *node = node_parse(arena, row->value, "");
	const struct jid *bare = jid_parse(arena, store_key_part(row->key, 0));
	struct kept_note *note;
	struct post *letter;

	if (node == NULL || bare == NULL ||
	    (is_over(node) &&
		number_of(node, "time") + ENDED_US < clock_wall_us())) {
		remove_row(shard, row->key);
		return;
	}
	if (is_over(node))
		return;
	letter = post_new(POST_KEPT, NULL);
	letter->to = jid_copy(letter->arena, bare);
	letter->kept = note = arena_new(letter->arena, struct kept_note);
	note->id = str_dup(letter->arena, store_key_part(row->key, 1));
	note->text = str_dup(letter->arena, row->value);
	post_send(shard, letter);
}

static void
begin_page(struct shard *shard, struct str after, void (*done)(struct shard *))
{
	struct arena *arena = arena_make(0);
	struct kept_reading *reading = arena_new(arena, struct kept_reading);

	reading->arena = arena;
	reading->shard = shard;
	reading->after = str_dup(arena, after);
	reading->done = done;
	shard->kept_reading = reading;
	read_page(reading);
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
		log_warn(&log_server,
		    "kept sessions cannot be read, will try again: %s",
		    err_text(scan->err));
		timer_start(shard, &reading->again, AGAIN_MS, read_again);
		return;
	}
	shard->kept_reading = NULL;
	for (size_t i = 0; i < scan->count && scan->err == ERR_NONE; i++)
		post_row(shard, arena, &scan->rows[i]);
	if (scan->err == ERR_NONE && scan->is_more)
		begin_page(shard, scan->rows[scan->count - 1].key, done);
	else if (scan->err == ERR_NONE)
		done(shard);
	arena_free(&arena);
}

void
kept_start(struct shard *shard, void (*done)(struct shard *))
{
	begin_page(shard, STR_NONE, done);
}

void
kept_free(struct shard *shard)
{
	struct arena *arena =
	    shard->kept_reading == NULL ? NULL : shard->kept_reading->arena;

	arena_free(&arena);
}

/* --- a session that is not there
 * ------------------------------------------------ */

struct kept_asking {
	struct store_get get;
	struct account *account; /* pinned */
	struct post *letter;
};

static void
row_found(struct store_get *get)
{
	struct kept_asking *asking = container_of(get, struct kept_asking, get);
	struct account *account = asking->account;
	struct post *letter = asking->letter;
	const struct node *node = NULL;
	uint64_t h;

	if (get->err == ERR_NONE)
		node = node_parse(letter->arena, get->row.value, "");
	if (node != NULL)
		h = number_of(node, "h");
	resume_fail(account->owner.shard, letter->stream,
	    STANZA_ERR_ITEM_NOT_FOUND, node == NULL ? NULL : &h);
	post_free(&letter);
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
		.key = key_of(
		    letter->arena, account_jid(account), letter->sm->id)},
	    row_found);
}

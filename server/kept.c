#include "server/kept.h"

#include "base/clock.h"
#include "base/err.h"
#include "server/kept_private.h"
#include "server/outbox.h"
#include "server/router.h"
#include "server/settings.h"
#include "server/setup.h"
#include "xml/node.h"
#include "xml/writer.h"

#define NOTE_MS        1000
#define REMOVE_LAST_MS (64 * NOTE_MS)

const struct store_kind kept_kind = {"session", STORE_MAP, 0};

static struct shard *
shard_of_session(const struct session *session)
{
	return session->account->owner.shard;
}

struct kept_row *
kept_row_of(struct session *session)
{
	if (session->row == NULL) {
		session->row = arena_new(session->arena, struct kept_row);
		session->row->session = session;
	}
	return session->row;
}

/* No SM-ID looks like that. */
#define PLAIN_ID '/'

bool
kept_is_plain(struct str id)
{
	return id.len > 0 && id.text[0] == PLAIN_ID;
}

/* Of one that cannot be resumed its resource: "/orchard". */
static struct str
id_of(const struct session *session)
{
	const struct str full = jid_full(session->jid);
	const size_t bare_len = jid_bare(session->jid).len;
	const struct resume *resume = session->resume;

	if (resume != NULL && resume->id.len > 0)
		return resume->id;
	return (struct str){full.text + bare_len, full.len - bare_len};
}

struct str
kept_key(struct arena *arena, const struct jid *bare, struct str id)
{
	return store_key2(arena, jid_full(bare), id);
}

static void
set_number(struct node *node, const char *name, uint64_t number)
{
	node_set_format(node, name, "%llu", (unsigned long long)number);
}

/* What has a row of its own comes again; but its client, which counted it when
 * it came, may have it. */
static void
add_item(struct node *parent, const struct post *letter)
{
	const bool is_apart = (letter->ticket & TICKET_APART) != 0;
	struct node *item = node_add_with_text(parent, "item", NS_KEPT,
	    is_apart ? STR("") : blob_str(letter->blob));

	set_number(item, "sent", letter->durable.since_us);
	if (letter->to != NULL)
		node_set(item, "to", jid_full(letter->to));
	if (letter->ticket != 0 && !is_apart)
		set_number(item, "ticket", letter->ticket);
	if (letter->refuses != 0)
		set_number(item, "refuses", letter->refuses);
	if (letter->stanza == NULL || is_apart)
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
	if (!kept_can_resume(session)) {
		node_add(node, "here", NS_KEPT);
		return;
	}
	node_set_format(node, "priority", "%d", session->priority);
	node_add_with_text(node, "presence", NS_KEPT,
	    stanza_text(node->arena, session->presence));
}

/* What waits behind places, as if it had been sent; but what has a row is read
 * again. How many there are. */
static unsigned
add_held(struct node *node, struct session *session)
{
	struct post *letter = NULL;
	unsigned count = 0;

	while ((letter = session_next_held(session, letter)) != NULL) {
		if (letter->ticket != 0)
			continue;
		if (letter->blob == NULL)
			letter->blob = router_serialise(
			    shard_of_session(session), letter->stanza);
		add_item(node, letter);
		count++;
	}
	return count;
}

static void
add_whole(struct node *node, struct session *session)
{
	const struct resume *resume = session->resume;

	set_number(node, "left", left_ms(resume));
	set_number(node, "wait", resume->wait_ms);
	set_number(node, "since", session->bound_us);
	add_origin(node, &session->origin);
	list_each (letter, &resume->unacked, struct post, link)
		add_item(node, letter);
	set_number(node, "sent", resume->sent + add_held(node, session));
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

static struct str
row_text(
    struct arena *arena, struct session *session, const char *state, uint64_t h)
{
	const bool is_live = str_is(str_of(state), "live");
	struct node *node = node_make(arena, "session", NS_KEPT);

	node_set(node, "state", str_of(state));
	node_set(node, "resource", jid_resource(session->jid));
	if (kept_can_resume(session))
		set_number(node, "h", is_live ? safe_h(session->resume, h) : h);
	set_number(node, "time", clock_wall_us());
	if (str_is(str_of(state), "whole"))
		add_whole(node, session);
	if (!str_is(str_of(state), "ended")) {
		add_presence(node, session);
		hook_session_save(session, node);
	}
	return writer_text(arena, node);
}

static void
take_away(struct store_write *write, const struct kept_row *row)
{
	struct arena *arena = arena_make(0);

	store_remove(write, OWNER_SERVER, &kept_kind,
	    kept_key(arena, account_jid(row->session->account), row->id));
	arena_free(&arena);
}

/* Who can be resumed from now on gets another key. */
static void
add_row(struct session *session, struct store_write *write, const char *state,
    uint64_t h)
{
	struct arena *arena = arena_make(0);
	struct kept_row *row = kept_row_of(session);
	const struct str id = id_of(session);

	if (row->is_written && !str_equal(row->id, id))
		take_away(write, row);
	row->id = id;
	row->is_written = true;
	store_put(write, OWNER_SERVER, &kept_kind,
	    kept_key(arena, account_jid(session->account), id),
	    row_text(arena, session, state, h));
	arena_free(&arena);
}

/* That of a stream, which is from nobody, is the account's. */
static struct post *
error_to_keep(struct session *session, const struct stanza *stanza)
{
	struct post *error = post_new(POST_STANZA, NULL);
	struct stanza *copy = stanza_copy_deep(error->arena, stanza);

	error->to = jid_copy(error->arena, account_jid(session->account));
	if (copy->from == NULL)
		copy->from = error->to;
	error->stanza = copy;
	return error;
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

		if (!resume_is_refusal(letter))
			continue;
		error = error_to_keep(session, letter->stanza);
		outbox_keep(shard, write, error, clock_wall_us());
		list_add_last(errors, &error->link);
	}
	return write;
}

void
kept_write(struct session *session, const char *state)
{
	struct store_write *write =
	    store_write_new(shard_of_session(session)->store);
	const struct resume *resume = session->resume;

	add_row(session, write, state,
	    resume == NULL ? 0 : resume->handled.settled);
	store_commit_lazy(write, NULL, NULL);
}

static bool
is_whole(const struct session *session)
{
	return session->row != NULL && session->row->is_whole;
}

/* The end of one that is spent is written once more, with its errors. */
void
kept_add(struct session *session, struct store_write *write, uint64_t h)
{
	if (session->resume->id.len == 0)
		return;
	if (session->is_spent)
		add_row(session, write, "ended", safe_h(session->resume, h));
	else
		add_row(
		    session, write, is_whole(session) ? "whole" : "live", h);
}

/* While modules are loaded anew they have nothing to save; and what is being
 * committed, or may be though it failed, has a greater h than this would put
 * over it. */
static bool
may_be_written(const struct session *session)
{
	const struct resume *resume = session->resume;

	return session->account->slots != NULL &&
	       (resume == NULL || (!resume->is_committing &&
				      !timer_is_running(&resume->retry)));
}

static void
on_note(struct timer *timer)
{
	struct kept_row *row = container_of(timer, struct kept_row, note);

	row->noted_ms = clock_mono_ms();
	if (!may_be_written(row->session))
		kept_show(row->session);
	else if (row->is_old)
		kept_renew(row->session);
	else
		kept_write(row->session, "live");
}

static void
note_after(struct session *session, uint64_t ms)
{
	timer_start(shard_of_session(session), &kept_row_of(session)->note, ms,
	    on_note);
}

void
kept_note(struct session *session)
{
	if (kept_can_resume(session) && !is_whole(session) &&
	    !session->is_spent &&
	    !timer_is_running(&kept_row_of(session)->note))
		note_after(session, NOTE_MS);
}

void
kept_show(struct session *session)
{
	const struct kept_row *row = kept_row_of(session);
	const uint64_t now = clock_mono_ms();
	const uint64_t next =
	    row->noted_ms == 0 ? now : row->noted_ms + NOTE_MS;

	if (!row->is_whole &&
	    (!timer_is_running(&row->note) || row->note.due_ms > next))
		note_after(session, next > now ? next - now : 0);
}

bool
kept_is_old(const struct session *session)
{
	return session->row != NULL && session->row->is_old;
}

struct kept_renewal {
	struct store_commit commit;
	struct arena *arena;
	struct account *account; /* pinned */
	uint64_t session;
};

static void
row_renewed(struct store_commit *commit)
{
	struct kept_renewal *renewal =
	    container_of(commit, struct kept_renewal, commit);
	struct account *account = renewal->account;
	struct session *session = session_of_number(account, renewal->session);
	struct arena *arena = renewal->arena;

	if (session != NULL && commit->err == ERR_NONE) {
		session->row->is_old = false;
		session_retry(account);
	} else if (session != NULL && commit->err != ERR_CANCELED &&
		   !session->row->is_whole) {
		note_after(session, NOTE_MS);
	}
	arena_free(&arena);
	owner_unpin(&account->owner);
}

void
kept_renew(struct session *session)
{
	struct store_write *write =
	    store_write_new(shard_of_session(session)->store);
	struct arena *arena = arena_make(0);
	struct kept_renewal *renewal = arena_new(arena, struct kept_renewal);

	renewal->arena = arena;
	renewal->account = session->account;
	renewal->session = session->number;
	kept_row_of(session)->is_old = true;
	owner_pin(&session->account->owner);
	add_row(session, write, "live", session->resume->handled.settled);
	store_commit_lazy(write, &renewal->commit, row_renewed);
}

static void
stop_notes(struct session *session)
{
	if (session->row != NULL)
		timer_stop(shard_of_session(session), &session->row->note);
}

void
kept_drop(struct session *session)
{
	stop_notes(session);
	session->row = NULL;
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
		if (resume_is_refusal(letter)) {
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
	struct shard *shard = account->owner.shard;
	struct handled *handled =
	    handled_find(shard, &resume_handled, ending->session);
	struct arena *arena = ending->arena;
	struct resume *resume = NULL;

	if (handled != NULL)
		resume = container_of(handled, struct resume, handled);
	post_errors(shard, &ending->errors, commit->err == ERR_NONE);
	if (resume != NULL && commit->err == ERR_NONE)
		drop_refusals(resume);
	if (resume != NULL)
		resume->is_ending = false;
	if (resume != NULL && commit->err != ERR_CANCELED)
		resume_end_written(resume, commit->err);
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
	stop_notes(session);
	ending->arena = arena;
	ending->account = session->account;
	ending->session = session->number;
	list_init(&ending->errors);
	owner_pin(&session->account->owner);
	store_commit_lazy(write_ended(session, &ending->errors),
	    &ending->commit, ending_written);
}

/* --- a row that goes ----------------------------------------------------- */

struct kept_removal {
	struct link link; /* in shard->kept_removals, until it is tried again */
	struct timer again;
	uint64_t wait_ms; /* that it waits for that */
	struct store_commit commit;
	struct arena *arena;
	struct shard *shard;
	const struct jid *bare;
	struct str id;
};

static void row_removed(struct store_commit *);

static void
removal_free(struct kept_removal *removal)
{
	struct arena *arena = removal->arena;

	arena_free(&arena);
}

/* Another session of that resource was seen since. */
static bool
is_taken(const struct kept_removal *removal)
{
	struct account *account = account_find(removal->shard, removal->bare);

	if (account == NULL)
		return false;
	session_each (session, account)
		if (session->row != NULL && session->row->is_written &&
		    str_equal(session->row->id, removal->id))
			return true;
	return false;
}

static void
remove_row(struct kept_removal *removal)
{
	struct store_write *write = store_write_new(removal->shard->store);

	store_remove(write, OWNER_SERVER, &kept_kind,
	    kept_key(store_write_arena(write), removal->bare, removal->id));
	store_commit_lazy(write, &removal->commit, row_removed);
}

static void
remove_again(struct timer *timer)
{
	struct kept_removal *removal =
	    container_of(timer, struct kept_removal, again);

	list_remove(&removal->link);
	if (is_taken(removal))
		removal_free(removal);
	else
		remove_row(removal);
}

/* What is left would be missed after a crash. */
static void
row_removed(struct store_commit *commit)
{
	struct kept_removal *removal =
	    container_of(commit, struct kept_removal, commit);
	struct shard *shard = removal->shard;

	if (commit->err == ERR_NONE || commit->err == ERR_CANCELED ||
	    shard->is_draining) {
		removal_free(removal);
		return;
	}
	list_add_last(&shard->kept_removals, &removal->link);
	timer_start(shard, &removal->again, removal->wait_ms, remove_again);
	if (removal->wait_ms < REMOVE_LAST_MS)
		removal->wait_ms *= 2;
}

void
kept_end(struct session *session)
{
	const struct kept_row *row = session->row;
	struct kept_removal *removal;
	struct arena *arena;

	stop_notes(session);
	if (row == NULL || !row->is_written ||
	    (kept_can_resume(session) && session->resume->is_over))
		return;
	arena = arena_make(512);
	removal = arena_new(arena, struct kept_removal);
	removal->arena = arena;
	removal->shard = shard_of_session(session);
	removal->bare = jid_copy(arena, account_jid(session->account));
	removal->id = str_dup(arena, row->id);
	removal->wait_ms = NOTE_MS;
	remove_row(removal);
}

void
kept_remove_all(struct store_write *write, const struct jid *bare)
{
	store_remove_all(write, OWNER_SERVER, &kept_kind,
	    kept_key(store_write_arena(write), bare, STR_NONE));
}

void
kept_forget_removals(struct shard *shard)
{
	list_each (removal, &shard->kept_removals, struct kept_removal, link)
		removal_free(removal);
	list_init(&shard->kept_removals);
}

/* --- the server ends ------------------------------------------------------ */

static void
save(struct resume *resume)
{
	struct session *session = resume->session;

	kept_row_of(session)->is_whole = !resume->is_ghost;
	kept_write(session, resume->is_ghost ? "live" : "whole");
}

void
kept_save_all(struct shard *shard)
{
	struct handled *handled = NULL;

	while (
	    (handled = handled_next(shard, &resume_handled, handled)) != NULL) {
		struct resume *resume =
		    container_of(handled, struct resume, handled);

		stop_notes(resume->session);
		if (resume->id.len == 0 ||
		    resume->session->account->slots == NULL)
			continue;
		if (resume->is_over)
			kept_write_end(resume->session);
		else if (!resume->session->is_closing)
			save(resume);
	}
}

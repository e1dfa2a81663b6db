/*
 * modules/roster_edit.c - changes of a roster: memory first, then the commit,
 * then the pushes and the answer.
 *
 * What will be pushed is written down at the time of the change: when the
 * commit is done, the contact may have changed again. Edits of one account are
 * committed in the order in which they were made, so pushes leave in that order
 * too (RFC 6121, section 2.6.3): one that a durable letter caused waits until
 * its sender is sure, and those behind it wait with it. When one cannot be
 * committed, all that are not yet are void, the roster is loaded anew, and the
 * durable letters behind them are carried out once more.
 */
#include "base/rand.h"
#include "modules/blocking.h"
#include "modules/own_iq.h"
#include "modules/roster_item.h"
#include "modules/roster_private.h"
#include "server/router.h"
#include "server/session.h"
#include "server/settle.h"
#include "server/setup.h"

struct push {
	struct push *next;
	const struct node *query;
};

struct hold {
	uint64_t session; /* number */
	unsigned place;
	bool is_shown, is_pushed;
};

struct roster_edit {
	struct link link; /* in roster->edits */
	struct store_commit commit;
	struct outbox_wait wait;
	bool is_waiting;         /* for the sender of the letter */
	struct account *account; /* pinned */
	struct arena *arena;
	struct store_write *write;
	const struct jid *jid;  /* whom it is about; NULL: nothing changes */
	unsigned before, after; /* SUB_ bits */
	struct push *first, **last;
	enum roster_show show; /* the letter or cause */
	struct hold *held;     /* sessions that wait for that and the pushes */
	size_t held_count;
	struct iq *iq;
	bool is_request;
	uint64_t seen;       /* 0: no request came */
	struct post *letter; /* the durable one that caused it; else NULL */
	struct post *cause;  /* what a session or another server sent; or
				NULL */
};

static void advance(struct account *);
static void sender_sure(struct outbox_wait *);
static void commit_ready(struct roster *);
static void committed(struct store_commit *);
static void fail(struct roster_edit *, enum err);

struct roster_edit *
roster_edit_new(struct account *account)
{
	struct arena *arena = arena_make(0);
	struct roster_edit *edit = arena_new(arena, struct roster_edit);

	edit->account = account;
	edit->arena = arena;
	edit->write = store_write_new(account->owner.shard->store);
	edit->last = &edit->first;
	owner_pin(&account->owner);
	roster_of(account)->edits_made++;
	roster_of(account)->edits_open++;
	return edit;
}

struct store_write *
roster_edit_write(struct roster_edit *edit)
{
	return edit->write;
}

void
roster_edit_ask(struct roster_edit *edit)
{
	edit->is_request = true;
}

void
roster_edit_seen(struct roster_edit *edit, uint64_t turn)
{
	edit->seen = turn;
}

void
roster_edit_show(struct roster_edit *edit, enum roster_show show)
{
	edit->show = show;
}

static void
note_change(struct roster_edit *edit, const struct jid *jid, unsigned sub)
{
	edit->jid = jid_copy(edit->arena, jid);
	edit->before = roster_sub(edit->account, jid);
	edit->after = sub;
}

static void
count_turns(const struct roster_edit *edit, const struct contact *old,
    struct contact *contact)
{
	if (old != NULL) {
		contact->asked = old->asked;
		contact->seen = old->seen;
	}
	if (edit->is_request)
		contact->asked++;
	if (edit->seen != 0)
		contact->seen = edit->seen;
}

/* Puts the changed contact into memory and into the transaction; a change that
 * clients see gets the next version and a push. */
static void
keep(struct roster_edit *edit, struct contact *contact, bool is_seen)
{
	struct account *account = edit->account;
	struct roster *roster = roster_of(account);

	if (is_seen) {
		struct push *push = arena_new(edit->arena, struct push);

		contact->ver = store_log_id(roster->ver);
		push->query = roster_push_item(edit->arena, contact);
		*edit->last = push;
		edit->last = &push->next;
	}
	store_put(edit->write, account->owner.id, &roster_kind,
	    jid_full(contact->jid), roster_item_text(edit->arena, contact));
	roster_put(roster, contact);
}

static void
forget_row(struct roster_edit *edit, struct contact *contact)
{
	store_remove(edit->write, edit->account->owner.id, &roster_kind,
	    jid_full(contact->jid));
	roster_drop(roster_of(edit->account), contact);
}

void
roster_edit_sub(struct roster_edit *edit, const struct jid *jid, unsigned sub,
    bool is_listed, const struct node *request)
{
	struct contact *old = roster_find(roster_of(edit->account), jid);
	const bool was_listed = old != NULL && old->is_listed;
	struct contact *contact;

	note_change(edit, jid, sub);
	if (old != NULL && !was_listed && !is_listed && !old->is_removed &&
	    sub == 0) {
		forget_row(edit, old);
		return;
	}
	contact =
	    old == NULL ? roster_item_make(jid, NULL) : roster_item_copy(old);
	count_turns(edit, old, contact);
	contact->sub = sub;
	contact->is_listed = was_listed || is_listed;
	contact->is_removed = contact->is_removed && !contact->is_listed;
	if ((sub & SUB_PENDING_IN) == 0)
		contact->request = NULL;
	else if (request != NULL)
		contact->request = node_copy_deep(contact->arena, request);
	/* Who merely asks is not shown: section 3.1.3. */
	keep(edit, contact,
	    contact->is_listed && (!was_listed || (old->sub | SUB_PENDING_IN) !=
						      (sub | SUB_PENDING_IN)));
}

void
roster_edit_item(
    struct roster_edit *edit, const struct jid *jid, const struct node *item)
{
	const struct contact *old = roster_find(roster_of(edit->account), jid);
	struct contact *contact = roster_item_make(jid, item);

	note_change(edit, jid, old == NULL ? 0 : old->sub);
	count_turns(edit, old, contact);
	if (old != NULL) {
		contact->sub = old->sub;
		if (old->request != NULL)
			contact->request =
			    node_copy_deep(contact->arena, old->request);
	}
	contact->is_listed = true;
	keep(edit, contact, true);
}

/* It may have asked for a subscription since it was removed. */
static void
forget_tombstone(struct roster_edit *edit, struct contact *old)
{
	struct contact *contact;

	if (old->sub == 0) {
		forget_row(edit, old);
		return;
	}
	contact = roster_item_copy(old);
	contact->is_removed = false;
	keep(edit, contact, false);
}

/* The oldest tombstones go; what they told is then before the floor. */
static void
trim_tombstones(struct roster_edit *edit)
{
	struct roster *roster = roster_of(edit->account);
	const struct contact *contact = NULL;
	struct contact *oldest = NULL;
	unsigned count = 0;

	while ((contact = roster_next(edit->account, contact)) != NULL) {
		if (!contact->is_removed)
			continue;
		count++;
		if (oldest == NULL || contact->ver < oldest->ver)
			oldest = (struct contact *)contact;
	}
	if (count <= ROSTER_TOMBSTONES_MAX)
		return;
	roster->floor = oldest->ver;
	store_put(edit->write, edit->account->owner.id, &roster_kind, STR(""),
	    roster_floor_text(edit->arena, roster->floor));
	forget_tombstone(edit, oldest);
}

void
roster_edit_remove(struct roster_edit *edit, const struct jid *jid)
{
	struct contact *contact = roster_item_make(jid, NULL);

	note_change(edit, jid, 0);
	count_turns(edit, roster_find(roster_of(edit->account), jid), contact);
	contact->is_removed = true;
	keep(edit, contact, true);
	trim_tombstones(edit);
}

void
roster_edit_letter(
    struct roster_edit *edit, const struct jid *to, enum stanza_type type)
{
	const bool is_request =
	    type == STANZA_SUBSCRIBE || type == STANZA_UNSUBSCRIBE;
	const struct contact *contact =
	    roster_find(roster_of(edit->account), to);
	uint64_t turn = edit->seen;
	const struct stanza *stanza;

	if (is_request)
		edit->is_request = true;
	if (contact != NULL && is_request)
		turn = contact->asked + 1;
	else if (contact != NULL && turn == 0)
		turn = contact->seen;
	stanza = stanza_make(edit->arena, STANZA_PRESENCE, type,
	    account_jid(edit->account), to, rand_id(edit->arena, 12));
	outbox_send(edit->account, edit->write, stanza, turn);
}

void
roster_edit_cause(struct roster_edit *edit, struct post *letter)
{
	edit->cause = letter;
}

static struct post *
copy_of(const struct post *letter)
{
	struct post *copy = post_new(POST_STANZA, NULL);

	copy->stanza = stanza_copy_deep(copy->arena, letter->stanza);
	copy->to = copy->stanza->to;
	return copy;
}

void
roster_edit_received(struct roster_edit *edit, struct post *letter)
{
	if (letter->durable.row == 0) {
		edit->cause = copy_of(letter);
		edit->cause->receipt = receipt_take(letter);
		return;
	}
	edit->letter = copy_of(letter);
	edit->letter->durable = letter->durable;
	edit->is_waiting = true;
	outbox_remove(edit->write, letter->durable);
	outbox_wait(
	    edit->account->owner.shard, &edit->wait, letter, sender_sure);
}

/* RFC 6121, section 3.1.6: the push comes before the presence of who is now a
 * contact, which does not wait for the commit. */
static void
hold_sessions(struct roster_edit *edit)
{
	struct account *account = edit->account;

	if (edit->first == NULL && edit->show == SHOW_NONE)
		return;
	edit->held =
	    arena_array(edit->arena, struct hold, account->session_count);
	session_each (session, account) {
		const struct hold hold = {
		    .session = session->number,
		    .is_shown = roster_shows_to(edit->show, session),
		    .is_pushed =
			edit->first != NULL && roster_is_interested(session),
		};

		if (!hold.is_shown && !hold.is_pushed)
			continue;
		edit->held[edit->held_count] = hold;
		edit->held[edit->held_count++].place = session_hold(session);
	}
}

void
roster_edit_commit(struct roster_edit *edit, struct iq *iq)
{
	hold_sessions(edit);
	edit->iq = iq;
	list_add_last(&roster_of(edit->account)->edits, &edit->link);
	advance(edit->account);
}

static void
advance(struct account *account)
{
	if (account->owner.is_detached)
		roster_give_up(account);
	else
		commit_ready(roster_of(account));
}

static void
commit_ready(struct roster *roster)
{
	list_each (edit, &roster->edits, struct roster_edit, link) {
		struct store_write *write = edit->write;

		if (edit->is_waiting)
			return;
		list_remove(&edit->link);
		edit->write = NULL;
		store_commit(write, &edit->commit, committed);
	}
}

static void
sender_sure(struct outbox_wait *wait)
{
	struct roster_edit *edit = container_of(wait, struct roster_edit, wait);
	struct account *account = edit->account;

	edit->is_waiting = false;
	edit->letter->durable.is_sure = true;
	if (wait->err == ERR_NONE) {
		advance(account);
		return;
	}
	post_free(&edit->letter);
	roster_give_up(account);
	owner_reload(&account->owner);
}

void
roster_give_up(struct account *account)
{
	struct roster *roster = roster_of(account);

	list_each (edit, &roster->edits, struct roster_edit, link) {
		list_remove(&edit->link);
		if (edit->is_waiting)
			outbox_unwait(account->owner.shard, &edit->wait);
		store_write_free(&edit->write);
		fail(edit, ERR_CANCELED);
	}
}

/* --- when it is committed ----------------------------------------------- */

static struct post *
shown(const struct roster_edit *edit)
{
	return edit->letter != NULL ? edit->letter : edit->cause;
}

static void
fill_place(const struct roster_edit *edit, const struct hold *hold,
    struct session *session)
{
	if (hold->is_shown)
		session_fill(session, hold->place, shown(edit)->stanza, 0);
	if (!hold->is_pushed)
		return;
	for (const struct push *push = edit->first; push; push = push->next)
		own_iq_fill(session, hold->place, push->query);
}

/* A session that became interested since saw the change already. */
static void
fill_places(struct roster_edit *edit, bool is_committed)
{
	for (size_t i = 0; i < edit->held_count; i++) {
		const struct hold *hold = &edit->held[i];
		struct session *session =
		    session_of_number(edit->account, hold->session);

		if (session == NULL)
			continue;
		if (is_committed)
			fill_place(edit, hold, session);
		session_release(session, hold->place);
	}
}

static void
tell_that_it_is_kept(struct roster_edit *edit)
{
	struct account *account = edit->account;

	if (edit->show == SHOW_AVAILABLE && edit->held_count == 0 &&
	    !account->owner.is_detached)
		(void)hook_stanza(HOOK_KEPT, account, NULL, shown(edit));
}

static void
done_with(struct roster_edit *edit)
{
	struct arena *arena = edit->arena;
	struct roster *roster = roster_of(edit->account);

	roster->edits_open--;
	roster_answer_gets(roster);
	owner_unpin(&edit->account->owner);
	arena_free(&arena);
}

/* Of an account that is gone nothing can be changed. */
static void
try_again(struct roster_edit *edit)
{
	struct owner *owner = &edit->account->owner;
	struct post *letter = edit->letter;

	edit->letter = NULL;
	if (owner->is_detached) {
		outbox_drop(owner->shard, letter->durable);
		post_free(&letter);
	} else {
		owner_again(owner, letter);
	}
}

static void
note_failure(struct roster_edit *edit, enum err err)
{
	const struct post *letter = shown(edit);

	if (edit->jid == NULL || edit->account->owner.is_detached)
		return;
	roster_amend_note(roster_of(edit->account),
	    &(struct roster_failure){
		.jid = edit->jid,
		.sub = edit->after,
		.is_seen = ((edit->before ^ edit->after) & SUB_FROM) != 0,
		.is_uncertain = err == ERR_UNCERTAIN,
		.show = letter == NULL ? SHOW_NONE : edit->show,
		.stanza = letter == NULL ? NULL : letter->stanza,
	    });
}

static void
fail(struct roster_edit *edit, enum err err)
{
	roster_of(edit->account)->is_void = true;
	note_failure(edit, err);
	log_warn(&edit->account->owner.log, "could not save the roster: %s",
	    err_text(err));
	if (edit->iq != NULL)
		iq_refuse(edit->iq, stanza_err_of(err));
	fill_places(edit, false);
	if (edit->letter != NULL)
		try_again(edit);
	if (edit->cause != NULL)
		router_bounce(edit->account->owner.shard, edit->cause,
		    stanza_err_of(err), NULL);
	done_with(edit);
}

static void
committed(struct store_commit *commit)
{
	struct roster_edit *edit =
	    container_of(commit, struct roster_edit, commit);
	struct account *account = edit->account;

	if (commit->err != ERR_NONE) {
		owner_pin(&account->owner);
		fail(edit, commit->err);
		roster_give_up(account);
		owner_reload(&account->owner);
		owner_unpin(&account->owner);
		return;
	}
	if (edit->iq != NULL)
		iq_reply(edit->iq, NULL);
	fill_places(edit, true);
	tell_that_it_is_kept(edit);
	post_free(&edit->letter);
	post_free(&edit->cause);
	done_with(edit);
}

/* --- presence that a change of subscription causes ----------------------- */

void
roster_send_presence(
    struct account *account, const struct jid *to, bool is_available)
{
	struct arena *arena = arena_make(0);

	session_each (session, account) {
		const struct stanza *stanza;

		if (!session->is_available)
			continue;
		if (is_available)
			stanza = stanza_readdress(
			    arena, session->presence, session->jid, to);
		else
			stanza = stanza_make(arena, STANZA_PRESENCE,
			    STANZA_UNAVAILABLE, session->jid, to, STR_NONE);
		blocking_send_presence(account, stanza);
	}
	arena_free(&arena);
}

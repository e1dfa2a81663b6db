/*
 * modules/subscription.c - the state tables of RFC 6121, appendix A.
 *
 * The nine states are combinations of four bits (modules/roster.h), so that
 * each table is a line or two: which bits decide, which change. A change and
 * the letter that tells the other side are one transaction; the other side
 * keeps its part when the letter comes, now or after the next start.
 */
#include "modules/subscription.h"

#include "base/rand.h"
#include "modules/blocking.h"
#include "modules/roster.h"
#include "modules/roster_private.h"
#include "server/router.h"
#include "server/session.h"
#include "server/settings.h"
#include "server/setup.h"

static enum verdict on_sent(struct account *, struct session *, struct post *);
static enum verdict on_received(
    struct account *, struct session *, struct post *);
static void on_available(struct session *);
static void on_unavailable(struct session *);
static void on_removed(struct account *, struct store_write *);

/* A request that is longer is not kept: section 3.1.3, security warning. */
#define REQUEST_LEN_MAX 4096

static const struct hook hooks[] = {
    {.on = HOOK_SENT_PRESENCE, .stanza = on_sent},
    {.on = HOOK_RECEIVED_PRESENCE, .stanza = on_received},
    {.on = HOOK_SESSION_AVAILABLE, .order = 100, .session = on_available},
    {.on = HOOK_SESSION_UNAVAILABLE, .session = on_unavailable},
    {.on = HOOK_ACCOUNT_REMOVED, .removed = on_removed},
    {.on = HOOK_END},
};

struct asked_session {
	bool has_requests; /* of this presence session */
};

const struct module subscription_module = {
    .api = MODULE_API,
    .name = "subscription",
    .help = "Requests, approvals and cancellations of presence subscriptions",
    .hooks = hooks,
    .session_size = sizeof(struct asked_session),
};

/* One stanza at work: whose roster, which contact, what holds between them. */
struct change {
	struct account *account;
	const struct jid *contact; /* bare */
	unsigned sub;
	uint64_t asked, seen;
	bool is_listed;
	bool is_blocked; /* nothing is shown or answered: XEP-0191 */
	struct post *letter;
};

static bool
is_subscription(const struct stanza *stanza)
{
	return stanza->type >= STANZA_SUBSCRIBE &&
	       stanza->type <= STANZA_UNSUBSCRIBED;
}

static bool
is_request(const struct stanza *stanza)
{
	return stanza->type == STANZA_SUBSCRIBE ||
	       stanza->type == STANZA_UNSUBSCRIBE;
}

static struct change
change_of(struct account *account, struct post *letter, const struct jid *jid)
{
	struct change change = {.account = account,
	    .contact = jid_to_bare(letter->arena, jid),
	    .letter = letter};
	const struct contact *contact = roster_contact(account, change.contact);

	if (contact != NULL) {
		change.sub = contact->sub;
		change.asked = contact->asked;
		change.seen = contact->seen;
		change.is_listed = contact->is_listed;
	}
	return change;
}

/* --- outbound: appendix A.2 ----------------------------------------------- */

/* The new state, and the letter to the contact, in one transaction. */
static void
change_and_route(const struct change *change, unsigned sub, bool is_listed)
{
	struct roster_edit *edit = roster_edit_new(change->account);
	const struct stanza *stanza = change->letter->stanza;
	uint64_t turn = change->seen;

	if (is_request(stanza)) {
		roster_edit_ask(edit);
		turn = change->asked + 1;
	}
	roster_edit_sub(edit, change->contact, sub, is_listed, NULL);
	outbox_send(change->account, roster_edit_write(edit), stanza, turn);
	roster_edit_cause(edit, change->letter);
	roster_edit_commit(edit, NULL);
}

static void
change_only(const struct change *change, unsigned sub, bool is_listed)
{
	struct roster_edit *edit = roster_edit_new(change->account);

	roster_edit_sub(edit, change->contact, sub, is_listed, NULL);
	roster_edit_cause(edit, change->letter);
	roster_edit_commit(edit, NULL);
}

static void
route(const struct change *change)
{
	router_route(
	    change->account->owner.shard, change->account, change->letter);
}

static void
drop(const struct change *change)
{
	post_free(&(struct post *){change->letter});
}

/* Also when nothing changes it counts: an answer may be on its way. */
static void
send_subscribe(const struct change *change)
{
	const bool is_known = (change->sub & (SUB_TO | SUB_ASK)) != 0;

	change_and_route(
	    change, is_known ? change->sub : change->sub | SUB_ASK, true);
}

static void
send_unsubscribe(const struct change *change)
{
	if ((change->sub & (SUB_TO | SUB_ASK)) != 0)
		change_and_route(change,
		    change->sub & ~(unsigned)(SUB_TO | SUB_ASK),
		    change->is_listed);
	else
		route(change);
}

/* Without a request it is a pre-approval: section 3.4.2. */
static void
send_subscribed(const struct change *change)
{
	struct account *account = change->account;
	const struct jid *contact = change->contact;
	unsigned sub = change->sub;

	if ((sub & SUB_PENDING_IN) != 0) {
		struct arena *arena = arena_make(0);

		contact = jid_copy(arena, contact);
		sub = (sub & ~(unsigned)SUB_PENDING_IN) | SUB_FROM;
		change_and_route(change, sub, true);
		roster_send_presence(account, contact, true);
		arena_free(&arena);
	} else if ((sub & (SUB_FROM | SUB_APPROVED)) == 0) {
		change_only(change, sub | SUB_APPROVED, true);
	} else {
		drop(change);
	}
}

/* Section 3.2.2: unavailable goes before unsubscribed. */
static void
send_unsubscribed(const struct change *change)
{
	const unsigned ends = SUB_FROM | SUB_PENDING_IN | SUB_APPROVED;
	const unsigned sub = change->sub & ~ends;

	if ((change->sub & SUB_FROM) != 0)
		roster_send_presence(change->account, change->contact, false);
	if ((change->sub & (SUB_FROM | SUB_PENDING_IN)) != 0)
		change_and_route(change, sub, change->is_listed);
	else if (sub != change->sub)
		change_only(change, sub, change->is_listed);
	else
		drop(change);
}

/* Whether the contact becomes one that the user sees. An answer to a request
 * does not count: the quota of those bounds it. */
static bool
lists_more(const struct change *change)
{
	const enum stanza_type type = change->letter->stanza->type;

	return !change->is_listed &&
	       (type == STANZA_SUBSCRIBE ||
		   (type == STANZA_SUBSCRIBED &&
		       (change->sub & SUB_PENDING_IN) == 0));
}

static enum verdict
on_sent(struct account *account, struct session *session, struct post *letter)
{
	static void (*const send[])(const struct change *) = {
	    [STANZA_SUBSCRIBE] = send_subscribe,
	    [STANZA_UNSUBSCRIBE] = send_unsubscribe,
	    [STANZA_SUBSCRIBED] = send_subscribed,
	    [STANZA_UNSUBSCRIBED] = send_unsubscribed,
	};
	struct shard *shard = account->owner.shard;
	struct change change;

	(void)session;
	if (!is_subscription(letter->stanza))
		return PASS;
	if (letter->stanza->to == NULL) {
		router_bounce(shard, letter, STANZA_ERR_BAD_REQUEST, NULL);
		return TAKEN;
	}
	change = change_of(account, letter, letter->stanza->to);
	/* Everybody sees their own presence already. */
	if (jid_equal(change.contact, account_jid(account))) {
		post_free(&letter);
		return TAKEN;
	}
	if (lists_more(&change) && roster_is_full(account)) {
		router_bounce(shard, letter, STANZA_ERR_RESOURCE_CONSTRAINT,
		    "the roster is full");
		return TAKEN;
	}
	/* Both addresses bare: sections 3 and 3.1.2. */
	letter->stanza = stanza_readdress(letter->arena, letter->stanza,
	    jid_copy(letter->arena, account_jid(account)), change.contact);
	send[letter->stanza->type](&change);
	return TAKEN;
}

/* --- inbound: appendix A.3 ------------------------------------------------ */

static struct roster_edit *
edit_of(const struct change *change)
{
	struct roster_edit *edit = roster_edit_new(change->account);

	if (is_request(change->letter->stanza))
		roster_edit_seen(edit, change->letter->durable.turn);
	return edit;
}

/* Our new state, and an answer to the contact (none: STANZA_ERROR), in one
 * transaction; the letter is done with its commit, and is shown then. */
static void
keep(const struct change *change, unsigned sub, const struct node *request,
    enum stanza_type answer, enum roster_show show)
{
	struct roster_edit *edit = edit_of(change);

	if (!change->is_blocked)
		roster_edit_show(edit, show);
	roster_edit_sub(edit, change->contact, sub, change->is_listed, request);
	if (answer != STANZA_ERROR)
		roster_edit_letter(edit, change->contact, answer);
	roster_edit_received(edit, change->letter);
	roster_edit_commit(edit, NULL);
}

/* Nothing changes. A durable letter is done with in its turn all the same: if
 * it came again after a later change it could mean something else. */
static void
ignore(const struct change *change)
{
	struct roster_edit *edit;

	if (change->letter->durable.row == 0)
		return;
	edit = edit_of(change);
	if (change->sub != 0)
		roster_edit_sub(edit, change->contact, change->sub,
		    change->is_listed, NULL);
	roster_edit_received(edit, change->letter);
	roster_edit_commit(edit, NULL);
}

/* Our contact is told again what holds; section 3.1.3, rule 2. */
static void
answer_again(const struct change *change, enum stanza_type type)
{
	struct roster_edit *edit = edit_of(change);

	roster_edit_sub(
	    edit, change->contact, change->sub, change->is_listed, NULL);
	roster_edit_letter(edit, change->contact, type);
	roster_edit_received(edit, change->letter);
	roster_edit_commit(edit, NULL);
}

static bool
is_too_much(const struct change *change)
{
	struct arena *arena = arena_make(0);
	const size_t len = stanza_text(arena, change->letter->stanza).len;

	arena_free(&arena);
	return len > REQUEST_LEN_MAX ||
	       roster_pending_count(change->account) >=
		   host_int(
		       change->account->host, SETTING(QUOTA_PENDING_REQUESTS));
}

static void
receive_subscribe(const struct change *change)
{
	const unsigned sub = change->sub;

	if ((sub & SUB_FROM) != 0 && !change->is_blocked) {
		answer_again(change, STANZA_SUBSCRIBED);
	} else if ((sub & SUB_FROM) != 0) {
		ignore(change);
	} else if ((sub & SUB_APPROVED) != 0 && !change->is_blocked) {
		keep(change, (sub & ~(unsigned)SUB_PENDING_IN) | SUB_FROM, NULL,
		    STANZA_SUBSCRIBED, SHOW_NONE);
		roster_send_presence(change->account, change->contact, true);
	} else if ((sub & SUB_PENDING_IN) != 0) {
		ignore(change);
	} else if (is_too_much(change)) {
		log_info(&change->account->owner.log,
		    "dropped a subscription request of %.*s: over the limit",
		    STR_ARG(jid_bare(change->contact)));
		ignore(change);
	} else {
		keep(change, sub | SUB_PENDING_IN, change->letter->stanza->node,
		    STANZA_ERROR, SHOW_AVAILABLE);
	}
}

/* Section 3.3.3: told to the user, answered with unavailable and unsubscribed.
 * An account of ours has committed its part and needs no such answer, which
 * could meet a request that it made since. */
static void
receive_unsubscribe(const struct change *change)
{
	const unsigned ends = SUB_FROM | SUB_PENDING_IN;

	if ((change->sub & ends) == 0) {
		ignore(change);
		return;
	}
	if ((change->sub & SUB_FROM) != 0 && !change->is_blocked)
		roster_send_presence(change->account, change->contact, false);
	keep(change, change->sub & ~ends, NULL,
	    change->letter->durable.row != 0 || change->is_blocked
		? STANZA_ERROR
		: STANZA_UNSUBSCRIBED,
	    SHOW_INTERESTED);
}

/* An answer that the contact gave before it saw our last request, which it will
 * answer too: until then that one waits. */
static bool
is_late(const struct change *change)
{
	const uint64_t turn = change->letter->durable.turn;

	return turn != 0 && turn < change->asked;
}

static void
receive_subscribed(const struct change *change)
{
	if ((change->sub & SUB_ASK) == 0 || is_late(change)) {
		ignore(change);
		return;
	}
	keep(change, (change->sub & ~(unsigned)SUB_ASK) | SUB_TO, NULL,
	    STANZA_ERROR, SHOW_INTERESTED);
}

static void
receive_unsubscribed(const struct change *change)
{
	const unsigned ends = SUB_TO | SUB_ASK;
	unsigned sub = change->sub & ~ends;

	if ((change->sub & ends) == 0 ||
	    (is_late(change) && (change->sub & SUB_TO) == 0)) {
		ignore(change);
		return;
	}
	if (is_late(change))
		sub |= SUB_ASK;
	keep(change, sub, NULL, STANZA_ERROR, SHOW_INTERESTED);
}

/* Section 3.1.2: our request met nobody (outbox_return). */
static void
receive_error(const struct change *change)
{
	if ((change->sub & SUB_ASK) == 0 || is_late(change))
		ignore(change);
	else
		keep(change, change->sub & ~(unsigned)SUB_ASK, NULL,
		    STANZA_ERROR, SHOW_INTERESTED);
}

static enum verdict
on_received(
    struct account *account, struct session *session, struct post *letter)
{
	static void (*const receive[])(const struct change *) = {
	    [STANZA_SUBSCRIBE] = receive_subscribe,
	    [STANZA_UNSUBSCRIBE] = receive_unsubscribe,
	    [STANZA_SUBSCRIBED] = receive_subscribed,
	    [STANZA_UNSUBSCRIBED] = receive_unsubscribed,
	    [STANZA_ERROR] = receive_error,
	};
	const struct stanza *stanza = letter->stanza;
	struct change change;

	(void)session;
	if (!is_subscription(stanza) &&
	    (stanza->type != STANZA_ERROR || letter->durable.row == 0))
		return PASS;
	change = change_of(account, letter, stanza->from);
	change.is_blocked = blocking_blocks(account, change.contact);
	letter->stanza = stanza_readdress(letter->arena, stanza, change.contact,
	    jid_copy(letter->arena, account_jid(account)));
	receive[stanza->type](&change);
	post_free(&letter);
	return TAKEN;
}

/* --- requests that wait -------------------------------------------------- */

/* Section 3.1.3, rule 4: to each resource that becomes available, until it is
 * answered. */
static void
on_available(struct session *session)
{
	struct asked_session *asked;
	const struct contact *contact = NULL;
	struct account *account = session->account;
	struct arena *arena;

	asked = session_slot(session, &subscription_module);
	if (asked->has_requests)
		return;
	asked->has_requests = true;
	if (roster_pending_count(account) == 0)
		return;
	arena = arena_make(0);
	while ((contact = roster_next(account, contact)) != NULL) {
		struct stanza stanza = {.kind = STANZA_PRESENCE,
		    .type = STANZA_SUBSCRIBE,
		    .from = contact->jid,
		    .to = account_jid(account),
		    .node = contact->request};

		if ((contact->sub & SUB_PENDING_IN) == 0 ||
		    contact->request == NULL ||
		    blocking_blocks(account, contact->jid))
			continue;
		stanza.id = node_attr(contact->request, "id");
		session_send(session, &stanza);
	}
	arena_free(&arena);
}

static void
on_unavailable(struct session *session)
{
	struct asked_session *asked;

	asked = session_slot(session, &subscription_module);
	asked->has_requests = false;
}

/* An account that goes cancels what it has with others: they are told as after
 * the removal of each contact. While changes are not kept yet they may be
 * undone, so contacts are told of all that might hold. */
static void
on_removed(struct account *account, struct store_write *write)
{
	const unsigned maybe =
	    roster_is_settled(account) ? 0 : SUB_TO | SUB_FROM;
	const struct contact *contact = NULL;
	struct arena *arena = arena_make(0);

	while ((contact = roster_next(account, contact)) != NULL) {
		const struct jid *own = account_jid(account);
		const unsigned sub = contact->sub | maybe;

		if ((sub & (SUB_TO | SUB_ASK)) != 0)
			outbox_send(account, write,
			    stanza_make(arena, STANZA_PRESENCE,
				STANZA_UNSUBSCRIBE, own, contact->jid,
				rand_id(arena, 12)),
			    contact->asked + 1);
		if ((sub & (SUB_FROM | SUB_PENDING_IN)) != 0)
			outbox_send(account, write,
			    stanza_make(arena, STANZA_PRESENCE,
				STANZA_UNSUBSCRIBED, own, contact->jid,
				rand_id(arena, 12)),
			    0);
	}
	arena_free(&arena);
}

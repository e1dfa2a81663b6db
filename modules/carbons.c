/*
 * modules/carbons.c - who gets copies of what.
 *
 * The rules are those of section 6.1, all of them (urn:xmpp:carbons:rules:0).
 * What an account sends to itself has one way only: its copies are made where
 * it arrives.
 */
#include "modules/carbons.h"

#include "base/clock.h"
#include "base/hash.h"
#include "modules/had.h"
#include "modules/hints.h"
#include "modules/message.h"
#include "server/iq.h"
#include "server/setup.h"
#include "xml/delay.h"
#include "xml/forward.h"

#define NS_CARBONS_RULES "urn:xmpp:carbons:rules:0"
#define NS_MUC_USER      "http://jabber.org/protocol/muc#user"

/* So many messages are remembered to know errors that answer them. */
#define NOTES_MAX 128

static void on_enable(struct iq *);
static void on_disable(struct iq *);
static void on_save(struct session *, struct node *);
static void on_restore(struct session *, const struct node *);
static enum verdict on_sent(struct account *, struct session *, struct post *);
static enum verdict on_durable(
    struct account *, struct session *, struct post *);
static enum verdict on_received(
    struct account *, struct session *, struct post *);

static const struct hook hooks[] = {
    {.on = HOOK_SENT_MESSAGE, .order = 600, .stanza = on_sent},
    {.on = HOOK_RECEIVED_MESSAGE, .order = -300, .stanza = on_durable},
    {.on = HOOK_RECEIVED_MESSAGE, .order = 600, .stanza = on_received},
    {.on = HOOK_IQ_SET,
	.ns = NS_CARBONS,
	.name = "enable",
	.scope = SCOPE_ACCOUNT,
	.iq = on_enable},
    {.on = HOOK_IQ_SET,
	.ns = NS_CARBONS,
	.name = "disable",
	.scope = SCOPE_ACCOUNT,
	.iq = on_disable},
    {.on = HOOK_SESSION_SAVE, .save = on_save},
    {.on = HOOK_SESSION_RESTORE, .restore = on_restore},
    {.on = HOOK_END},
};

/* Hashes of peer and id of the last messages that were to be copied. */
struct notes {
	uint32_t hashes[NOTES_MAX];
	unsigned next;
};

struct carbons {
	struct notes *notes; /* in the owner's arena; NULL until needed */
};

struct carbons_session {
	bool is_enabled;
};

const struct module carbons_module = {
    .api = MODULE_API,
    .name = "carbons",
    .help = "Copies of messages for the other devices of a user",
    .xeps = (const char *const[]){"XEP-0280 1.0.1", "XEP-0297 1.0", NULL},
    .features = (const char *const[]){NS_CARBONS, NS_CARBONS_RULES, NULL},
    .account_features =
	(const char *const[]){NS_CARBONS, NS_CARBONS_RULES, NULL},
    .hooks = hooks,
    .account_size = sizeof(struct carbons),
    .session_size = sizeof(struct carbons_session),
};

/* --- sections 4 and 5 ----------------------------------------------------- */

bool
carbons_is_enabled(struct session *session)
{
	const struct carbons_session *slot =
	    session_slot(session, &carbons_module);

	return slot->is_enabled;
}

void
carbons_set_enabled(struct session *session, bool is_enabled)
{
	struct carbons_session *slot = session_slot(session, &carbons_module);

	slot->is_enabled = is_enabled;
}

static void
set_enabled(struct iq *iq, bool is_enabled)
{
	struct session *session = iq_session(iq);

	if (!iq_is_own(iq)) {
		iq_refuse(iq, STANZA_ERR_NOT_ALLOWED);
		return;
	}
	if (session != NULL)
		carbons_set_enabled(session, is_enabled);
	iq_reply(iq, NULL);
}

static void
on_enable(struct iq *iq)
{
	set_enabled(iq, true);
}

static void
on_disable(struct iq *iq)
{
	set_enabled(iq, false);
}

static void
on_save(struct session *session, struct node *node)
{
	if (carbons_is_enabled(session))
		node_add(node, "enable", NS_CARBONS);
}

static void
on_restore(struct session *session, const struct node *node)
{
	carbons_set_enabled(
	    session, node_child(node, "enable", NS_CARBONS) != NULL);
}

static bool
is_anybody_enabled(struct account *account)
{
	session_each (session, account)
		if (carbons_is_enabled(session))
			return true;
	return false;
}

/* --- section 6 ------------------------------------------------------------ */

/* What instant messaging has beside bodies: XEP-0184, XEP-0085, XEP-0333, and
 * direct invitations to rooms (XEP-0249). */
static const char *const im_payloads[] = {
    "urn:xmpp:receipts",
    "http://jabber.org/protocol/chatstates",
    "urn:xmpp:chat-markers:0",
    "jabber:x:conference",
};

/* XEP-0045, section 7.8.2. */
static bool
is_invitation(const struct node *message)
{
	return node_child(node_child(message, "x", NS_MUC_USER), "invite",
		   NS_MUC_USER) != NULL;
}

static bool
is_im(const struct stanza *stanza)
{
	const struct node *message = stanza->node;

	if (stanza->type == STANZA_CHAT)
		return true;
	if (stanza->type != STANZA_NORMAL)
		return false;
	for (size_t i = 0; i < sizeof(im_payloads) / sizeof(*im_payloads); i++)
		if (node_child_ns(message, im_payloads[i]) != NULL)
			return true;
	return node_child(message, "body", NS_CLIENT) != NULL ||
	       is_invitation(message);
}

static bool
is_private(const struct stanza *stanza)
{
	return node_child(stanza->node, "private", NS_CARBONS) != NULL ||
	       hints_has(stanza, "no-copy");
}

/* The room itself sends it to all that joined. */
static bool
is_from_occupant(const struct stanza *stanza)
{
	return stanza->from != NULL && !jid_is_bare(stanza->from) &&
	       node_child(stanza->node, "x", NS_MUC_USER) != NULL &&
	       !is_invitation(stanza->node);
}

static uint32_t
note_of(const struct jid *peer, struct str id)
{
	return (uint32_t)(hash_keyed(jid_bare(peer)) * 31 + hash_keyed(id));
}

static void
note(struct account *account, const struct jid *peer, struct str id)
{
	struct carbons *carbons = account_slot(account, &carbons_module);

	if (carbons->notes == NULL)
		carbons->notes = arena_new(account->owner.arena, struct notes);
	carbons->notes->hashes[carbons->notes->next++ % NOTES_MAX] =
	    note_of(peer, id);
}

static bool
is_noted(struct account *account, const struct jid *peer, struct str id)
{
	const struct carbons *carbons = account_slot(account, &carbons_module);
	const uint32_t hash = note_of(peer, id);

	for (unsigned i = 0; carbons->notes != NULL && i < NOTES_MAX; i++)
		if (carbons->notes->hashes[i] == hash)
			return true;
	return false;
}

/* An error is copied if what it answers was; but no copy is answered so
 * (section 10.3), for peer is another account. */
static bool
is_eligible(struct account *account, const struct stanza *stanza,
    const struct jid *peer)
{
	if (is_private(stanza))
		return false;
	if (stanza->type == STANZA_ERROR)
		return is_noted(account, peer, stanza->id);
	if (!is_im(stanza))
		return false;
	note(account, peer, stanza->id);
	return true;
}

/* --- copies ------------------------------------------------------------- */

static struct post *
copy_new(
    struct account *account, const struct stanza *stanza, const char *direction)
{
	struct post *copy = post_new(POST_DOWN, NULL);
	struct stanza *outer = stanza_make(copy->arena, STANZA_MESSAGE,
	    stanza->type, account_jid(account), NULL, STR_NONE);

	forward_add(node_add(stanza_body(outer), direction, NS_CARBONS), stanza,
	    account->host->name, clock_wall_us());
	copy->stanza = outer;
	return copy;
}

/* Serialised once for all of them. */
static void
send_copy(struct session *session, struct post *copy)
{
	copy->stanza = stanza_readdress(
	    copy->arena, copy->stanza, copy->stanza->from, session->jid);
	session_share(session, copy);
}

static bool
is_from(const struct session *session, const struct stanza *stanza)
{
	return stanza->from != NULL && jid_equal(session->jid, stanza->from);
}

static bool
is_to_itself(const struct account *account, const struct stanza *stanza)
{
	return stanza->to == NULL ||
	       jid_equal_bare(stanza->to, account_jid(account));
}

static enum verdict
on_sent(struct account *account, struct session *session, struct post *letter)
{
	const struct stanza *stanza = letter->stanza;
	struct post *copy = NULL;

	(void)session;
	if (!is_anybody_enabled(account) || is_to_itself(account, stanza) ||
	    !is_eligible(account, stanza, stanza->to))
		return PASS;
	session_each (each, account) {
		if (!carbons_is_enabled(each) || is_from(each, stanza))
			continue;
		if (copy == NULL)
			copy = copy_new(account, stanza, "sent");
		send_copy(each, copy);
	}
	post_free(&copy);
	return PASS;
}

/* Whether the account takes it, so that its devices shall know; errors to the
 * account itself are dropped (RFC 6121, section 8.5.2.1). */
static bool
is_taken(struct account *account, const struct stanza *stanza)
{
	if (stanza->type == STANZA_ERROR)
		return !jid_is_bare(stanza->to);
	return message_way(account, stanza) != MESSAGE_REFUSED;
}

/* What nobody can take waits for who comes: one that is yet to come gets it
 * then. */
static bool
is_due(struct session *session, const struct stanza *stanza)
{
	if (!carbons_is_enabled(session) || is_from(session, stanza) ||
	    message_is_for(session, stanza))
		return false;
	return session->is_available || stanza->type == STANZA_ERROR ||
	       message_way(session->account, stanza) == MESSAGE_DELIVERED;
}

static void
copy_received(struct account *account, struct post *letter)
{
	const struct stanza *stanza = letter->stanza;
	struct post *copy = NULL;

	if (stanza->from == NULL || !is_anybody_enabled(account) ||
	    is_from_occupant(stanza) || !is_taken(account, stanza) ||
	    !is_eligible(account, stanza, stanza->from))
		return;
	session_each (session, account) {
		if (!is_due(session, stanza))
			continue;
		if (copy == NULL)
			copy = copy_new(account, stanza, "received");
		copy->ticket = letter->ticket;
		had_note(letter, session);
		send_copy(session, copy);
	}
	post_free(&copy);
}

/* Errors that are durable go another way than messages, from here on
 * (modules/offline_bounce.c). */
static enum verdict
on_durable(
    struct account *account, struct session *session, struct post *letter)
{
	(void)session;
	if (letter->durable.row != 0)
		copy_received(account, letter);
	return PASS;
}

/* One that came back from a session that was gone was copied the first time. */
static enum verdict
on_received(
    struct account *account, struct session *session, struct post *letter)
{
	(void)session;
	if (!letter->is_returned && letter->durable.row == 0)
		copy_received(account, letter);
	return PASS;
}

const struct node *
carbons_inner(
    const struct jid *account, const struct stanza *stanza, bool is_sent)
{
	const struct node *copy;

	if (stanza->kind != STANZA_MESSAGE || stanza->from == NULL ||
	    !jid_equal(stanza->from, account))
		return NULL;
	copy =
	    node_child(stanza->node, is_sent ? "sent" : "received", NS_CARBONS);
	return node_child(
	    node_child(copy, "forwarded", NS_FORWARD), "message", NS_CLIENT);
}

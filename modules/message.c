/*
 * modules/message.c - the delivery table of RFC 6121, section 8.5.4.
 *
 * Where the RFC leaves a choice: normal and chat messages to the bare JID go to
 * all resources of the highest non-negative priority; what cannot be delivered
 * comes back as an error, so that nothing gets lost in silence.
 */
#include "modules/message.h"

#include "modules/had.h"
#include "server/router.h"
#include "server/session.h"
#include "server/setup.h"

static enum verdict on_received(
    struct account *, struct session *, struct post *);

static const struct hook hooks[] = {
    {.on = HOOK_RECEIVED_MESSAGE, .order = 1000, .stanza = on_received},
    {.on = HOOK_END},
};

const struct module message_module = {
    .api = MODULE_API,
    .name = "message",
    .help = "Delivery of messages to resources",
    .hooks = hooks,
};

/* The least priority of those that get it; INT8_MAX + 1 when nobody does. */
static int
highest_priority(const struct account *account)
{
	int highest = -1;

	session_each (session, account)
		if (session->is_available && session->priority > highest)
			highest = session->priority;
	return highest < 0 ? INT8_MAX + 1 : highest;
}

enum message_way
message_way(struct account *account, const struct stanza *stanza)
{
	if (!jid_is_bare(stanza->to)) {
		if (session_find(account, stanza->to) != NULL)
			return MESSAGE_DELIVERED;
		if (stanza->type == STANZA_NORMAL)
			return MESSAGE_REFUSED;
	}
	return highest_priority(account) <= INT8_MAX ? MESSAGE_DELIVERED
						     : MESSAGE_UNDELIVERED;
}

bool
message_is_for(struct session *session, const struct stanza *stanza)
{
	struct account *account = session->account;

	if (!jid_is_bare(stanza->to)) {
		const struct session *target =
		    session_find(account, stanza->to);

		if (target != NULL)
			return target == session;
		if (stanza->type == STANZA_NORMAL)
			return false;
	}
	return stanza->type != STANZA_ERROR && session->is_available &&
	       session->priority >= highest_priority(account);
}

/* To each available resource from that priority on; the last one gets the
 * letter itself. False when there is none: the letter is still the caller's. */
static bool
deliver(struct account *account, struct post *letter, int priority)
{
	struct session *last = NULL;

	session_each (session, account) {
		if (!session->is_available || session->priority < priority)
			continue;
		if (last != NULL) {
			had_note(letter, last);
			session_share(last, letter);
		}
		last = session;
	}
	if (last != NULL)
		session_pass(last, letter);
	return last != NULL;
}

static void
refuse(struct account *account, struct post *letter)
{
	router_bounce(
	    account->owner.shard, letter, STANZA_ERR_SERVICE_UNAVAILABLE, NULL);
}

static void
to_best(struct account *account, struct post *letter)
{
	if (deliver(account, letter, highest_priority(account)))
		return;
	if (hook_stanza(HOOK_UNDELIVERED, account, NULL, letter) == PASS)
		refuse(account, letter);
}

static void
to_all(struct account *account, struct post *letter)
{
	if (!deliver(account, letter, 0))
		post_free(&letter);
}

static void
drop(struct account *account, struct post *letter)
{
	(void)account;
	post_free(&letter);
}

static enum verdict
on_received(
    struct account *account, struct session *session, struct post *letter)
{
	typedef void way(struct account *, struct post *);
	static way *const to_bare[] = {
	    [STANZA_NORMAL] = to_best,
	    [STANZA_CHAT] = to_best,
	    [STANZA_GROUPCHAT] = refuse,
	    [STANZA_HEADLINE] = to_all,
	    [STANZA_ERROR] = drop,
	};
	/* When no resource matches the full JID. */
	static way *const to_nobody[] = {
	    [STANZA_NORMAL] = refuse,
	    [STANZA_CHAT] = to_best,
	    [STANZA_GROUPCHAT] = refuse,
	    [STANZA_HEADLINE] = drop,
	    [STANZA_ERROR] = drop,
	};
	const struct stanza *stanza = letter->stanza;

	if (letter->is_returned && had_by_another(account, letter)) {
		post_free(&letter);
		return TAKEN;
	}
	if (jid_is_bare(stanza->to)) {
		to_bare[stanza->type](account, letter);
		return TAKEN;
	}
	session = session_find(account, stanza->to);
	if (session != NULL)
		session_pass(session, letter);
	else
		to_nobody[stanza->type](account, letter);
	return TAKEN;
}

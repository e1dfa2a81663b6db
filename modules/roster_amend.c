/*
 * modules/roster_amend.c - what is told after a change that failed.
 *
 * Presence goes to a contact at once, before the change that causes it is
 * committed; and a commit may be done though nobody says so. So when one failed
 * all hear what holds, when that has been read.
 */
#include "modules/blocking.h"
#include "modules/own_iq.h"
#include "modules/roster_item.h"
#include "modules/roster_private.h"
#include "server/session.h"
#include "server/setup.h"

struct roster_amend {
	struct roster_amend *next;
	struct arena *arena;
	struct roster_failure failure;
};

void
roster_amend_note(struct roster *roster, const struct roster_failure *failure)
{
	struct arena *arena = arena_make(0);
	struct roster_amend *amend = arena_new(arena, struct roster_amend);
	struct roster_amend **last = &roster->amends;

	amend->arena = arena;
	amend->failure = *failure;
	amend->failure.jid = jid_copy(arena, failure->jid);
	if (failure->stanza != NULL)
		amend->failure.stanza =
		    stanza_copy_deep(arena, failure->stanza);
	while (*last != NULL)
		last = &(*last)->next;
	*last = amend;
}

void
roster_amend_forget(struct roster *roster)
{
	struct roster_amend *amend = roster->amends;

	roster->amends = NULL;
	while (amend != NULL) {
		struct arena *arena = amend->arena;

		amend = amend->next;
		arena_free(&arena);
	}
}

bool
roster_shows_to(enum roster_show show, struct session *session)
{
	return (show == SHOW_INTERESTED && roster_is_interested(session)) ||
	       (show == SHOW_AVAILABLE && session->is_available);
}

/* What the sessions would know had the commit not seemed to fail. */
static void
tell_sessions(struct account *account, const struct roster_failure *failure)
{
	const struct contact *contact = roster_contact(account, failure->jid);
	const bool is_item =
	    contact != NULL && (contact->is_listed || contact->is_removed);
	const bool is_done = contact != NULL && contact->sub == failure->sub;
	struct arena *arena = arena_make(0);

	session_each (session, account) {
		if (is_done && roster_shows_to(failure->show, session))
			session_send(session, failure->stanza);
		if (is_item && roster_is_interested(session))
			own_iq_send(session, roster_push_item(arena, contact));
	}
	arena_free(&arena);
}

void
roster_amend_all(struct account *account)
{
	const struct roster_amend *amend = roster_of(account)->amends;

	for (; amend != NULL; amend = amend->next) {
		const struct roster_failure *failure = &amend->failure;
		const unsigned sub = roster_sub(account, failure->jid);

		if (failure->is_uncertain)
			tell_sessions(account, failure);
		if (failure->is_seen && !blocking_blocks(account, failure->jid))
			roster_send_presence(
			    account, failure->jid, (sub & SUB_FROM) != 0);
	}
	roster_amend_forget(roster_of(account));
}

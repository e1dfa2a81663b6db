/*
 * When a path to a domain was lost for a while, nobody knows what was missed:
 * contacts there are probed again, and who does not answer is unavailable.
 */
#include "modules/presence_seen.h"

#include "base/hash.h"
#include "base/rand.h"
#include "modules/roster.h"
#include "server/remote.h"
#include "server/setting.h"
#include "server/setup.h"
#include "server/timer.h"

/* What a crowd abroad can make an account hold; half of it if they are in rooms
 * and no contacts, and little if nobody here spoke to them first. */
#define SEEN_MAX      10000
#define UNASKED_MAX   100
#define ANSWERS_IN_MS (30 * SECOND)

struct seen_jid {
	struct table_link link; /* by the bare JID */
	struct arena *arena;
	const struct jid *jid; /* full */
	bool is_doubted;
	bool is_unasked; /* counted in seen->unasked */
};

/* A domain that is back. */
struct meeting {
	struct link link; /* in seen->meetings */
	struct timer timer;
	struct arena *arena;
	struct account *account;
	struct str domain;
	bool with_ours; /* it was lost: both sides tell all, twice */
	bool is_repeated;
};

static struct seen *
seen_of(struct account *account)
{
	struct seen *seen = seen_slot(account);

	if (seen->account == NULL) {
		seen->account = account;
		table_init(&seen->jids);
		list_init(&seen->meetings);
	}
	return seen;
}

static bool
is_full(const struct table_link *link, const void *key)
{
	const struct seen_jid *seen =
	    container_of((struct table_link *)link, struct seen_jid, link);

	return jid_equal(seen->jid, key);
}

static bool
is_bare(const struct table_link *link, const void *key)
{
	const struct seen_jid *seen =
	    container_of((struct table_link *)link, struct seen_jid, link);

	return jid_equal_bare(seen->jid, key);
}

static struct seen_jid *
seen_find(struct seen *seen, const struct jid *jid)
{
	return table_entry(table_find(&seen->jids, hash_keyed(jid_bare(jid)),
			       jid_is_bare(jid) ? is_bare : is_full, jid),
	    struct seen_jid, link);
}

static bool
is_contact(struct account *account, const struct jid *jid)
{
	struct arena *arena = arena_make(128);
	const unsigned sub = roster_sub(account, jid_to_bare(arena, jid));

	arena_free(&arena);
	return (sub & SUB_TO) != 0;
}

/* No stranger takes the room of contacts, nor who comes unasked that of others.
 */
static bool
has_room(struct account *account, const struct jid *jid, bool *is_unasked_r)
{
	struct seen *seen = seen_of(account);
	const size_t count = seen->jids.count;

	*is_unasked_r = false;
	if (count >= SEEN_MAX || is_contact(account, jid))
		return count < SEEN_MAX;
	*is_unasked_r = !presence_is_directed(account, jid);
	return count < SEEN_MAX / 2 &&
	       (!*is_unasked_r || seen->unasked < UNASKED_MAX);
}

static void
seen_add(struct account *account, const struct jid *jid)
{
	const uint64_t hash = hash_keyed(jid_bare(jid));
	struct seen *seen = seen_of(account);
	struct seen_jid *found = seen_find(seen, jid);
	struct arena *arena;
	bool is_unasked, is_first;

	if (found != NULL)
		found->is_doubted = false;
	if (found != NULL || !has_room(account, jid, &is_unasked))
		return;
	is_first = table_find(&seen->jids, hash, is_bare, jid) == NULL;
	arena = arena_make(128);
	found = arena_new(arena, struct seen_jid);
	found->arena = arena;
	found->jid = jid_copy(arena, jid);
	found->is_unasked = is_unasked;
	seen->unasked += is_unasked;
	table_add(&seen->jids, &found->link, hash);
	/* A room has many. */
	if (is_first && !is_contact(account, jid))
		remote_see(
		    account->owner.shard, account->host->name, jid_domain(jid));
}

static void
seen_remove(struct seen *seen, struct seen_jid *found)
{
	struct arena *arena = found->arena;

	table_remove(&seen->jids, &found->link);
	seen->unasked -= found->is_unasked;
	arena_free(&arena);
}

void
seen_presence(struct account *account, const struct stanza *stanza)
{
	const struct jid *from = stanza->from;
	const struct str domain = jid_domain(from);
	struct seen *seen;
	struct seen_jid *found;

	/* Most are of the same host: that is known at once. */
	if (str_equal(domain, account->host->name) ||
	    setup_host(account->host->setup, domain) != NULL)
		return;
	seen = seen_of(account);
	if (stanza->type == STANZA_AVAILABLE && !jid_is_bare(from) &&
	    account->session_count > 0)
		seen_add(account, from);
	else if (stanza->type == STANZA_UNAVAILABLE)
		while ((found = seen_find(seen, from)) != NULL)
			seen_remove(seen, found);
}

static void
meeting_end(struct meeting *meeting)
{
	struct arena *arena = meeting->arena;

	timer_stop(meeting->account->owner.shard, &meeting->timer);
	list_remove(&meeting->link);
	arena_free(&arena);
}

void
seen_forget(struct account *account)
{
	struct seen *seen = seen_of(account);
	struct table_link *link;

	list_each (meeting, &seen->meetings, struct meeting, link)
		meeting_end(meeting);
	while ((link = table_next(&seen->jids, NULL)) != NULL)
		seen_remove(seen, container_of(link, struct seen_jid, link));
	table_deinit(&seen->jids);
	seen->account = NULL;
}

/* --- a domain is lost ---------------------------------------------------- */

static struct seen_jid *
seen_next(struct seen *seen, const struct seen_jid *at)
{
	return table_entry(
	    table_next(&seen->jids, at == NULL ? NULL : &at->link),
	    struct seen_jid, link);
}

/* Shows those of the domain as unavailable; all, or the doubted ones. */
static void
lose(struct account *account, struct str domain, bool is_all)
{
	struct seen *seen = seen_of(account);
	struct seen_jid *found = seen_next(seen, NULL), *next;
	struct arena *arena = arena_make(0);

	for (; found != NULL; found = next) {
		next = seen_next(seen, found);
		if (!presence_is_behind(account, found->jid, domain) ||
		    (!is_all && !found->is_doubted))
			continue;
		presence_deliver(account,
		    stanza_make(arena, STANZA_PRESENCE, STANZA_UNAVAILABLE,
			jid_copy(arena, found->jid), account_jid(account),
			STR_NONE));
		seen_remove(seen, found);
	}
	arena_free(&arena);
}

/* --- and back ------------------------------------------------------------ */

static void on_probe(struct timer *);

/* After a long time the other side may take as long to see that its end of the
 * old link is dead, and may have answered there. */
static void
on_no_answer(struct timer *timer)
{
	struct meeting *meeting = container_of(timer, struct meeting, timer);

	if (meeting->with_ours && !meeting->is_repeated) {
		meeting->is_repeated = true;
		on_probe(timer);
		return;
	}
	lose(meeting->account, meeting->domain, false);
	meeting_end(meeting);
}

/* Contacts answer probes; others need not. */
static void
doubt(struct account *account, struct str domain)
{
	struct arena *arena = arena_make(0);
	struct seen *seen = seen_of(account);
	struct seen_jid *found = NULL;

	while ((found = seen_next(seen, found)) != NULL)
		if (presence_is_behind(account, found->jid, domain) &&
		    (roster_sub(account, jid_to_bare(arena, found->jid)) &
			SUB_TO) != 0)
			found->is_doubted = true;
	arena_free(&arena);
}

static void
on_probe(struct timer *timer)
{
	struct meeting *meeting = container_of(timer, struct meeting, timer);
	struct account *account = meeting->account;

	doubt(account, meeting->domain);
	presence_meet_again(account, meeting->domain, meeting->with_ours);
	timer_start(account->owner.shard, timer, ANSWERS_IN_MS, on_no_answer);
}

/* Not all accounts at once. */
static void
meet_later(
    struct account *account, const struct domain_note *note, bool with_ours)
{
	struct arena *arena = arena_make(0);
	struct meeting *meeting = arena_new(arena, struct meeting);

	meeting->arena = arena;
	meeting->account = account;
	meeting->domain = str_dup(arena, note->domain);
	meeting->with_ours = with_ours;
	list_add_last(&seen_of(account)->meetings, &meeting->link);
	timer_start(account->owner.shard, &meeting->timer,
	    rand_below(note->spread_ms + 1), on_probe);
}

/* A link that breaks again finds some who have not told all yet. */
void
seen_on_domain(struct account *account, const struct domain_note *note)
{
	bool with_ours = note->event == DOMAIN_BACK;

	list_each (meeting, &seen_of(account)->meetings, struct meeting, link) {
		if (!str_equal(meeting->domain, note->domain))
			continue;
		with_ours |= meeting->with_ours;
		meeting_end(meeting);
	}
	if (note->event == DOMAIN_LOST)
		lose(account, note->domain, true);
	else if (presence_has_contacts(account, note->domain))
		meet_later(account, note, with_ours);
}

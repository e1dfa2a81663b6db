#include "modules/modules_rig.h"
#include "modules/roster_private.h"
#include "server/world_private.h"

#define GET "<iq type='get' id='g'><query xmlns='jabber:iq:roster'/></iq>"
#define SET(id, item)                                                      \
	"<iq type='set' id='" id "'><query xmlns='jabber:iq:roster'>" item \
	"</query></iq>"
#define PUSH(item)                                                         \
	"<iq type='set'><query xmlns='jabber:iq:roster' ver='{any}'>" item \
	"</query></iq>"
#define DONE(id) "<iq type='result' id='" id "'/>"

static struct world_peer *
interested(struct world *world, const char *jid)
{
	struct world_peer *peer = rig_bind(world, jid);

	rig_send(peer, GET);
	rig_skip(peer);
	return peer;
}

/* --- sets ---------------------------------------------------------------- */

static const struct {
	const char *sent, *answer;
	const char *push; /* NULL: none */
} sets[] = {
    {SET("s", "<item jid='" JULIET "' name='J'><group>A</group></item>"),
	DONE("s"),
	PUSH("<item jid='" JULIET "' name='J' subscription='none'>"
	     "<group>A</group></item>")},
    {SET("s", "<item jid='Juliet@CAPULET.example' name='K'/>"), DONE("s"),
	PUSH("<item jid='" JULIET "' name='K' subscription='none'>"
	     "<group>{not}</group></item>")},
    {SET("s", "<item jid='" JULIET "' subscription='both' ask='subscribe'/>"),
	DONE("s"),
	PUSH("<item jid='" JULIET "' subscription='none' ask='{none}'/>")},
    {SET("s", "<item jid='" JULIET "' subscription='remove'/>"), DONE("s"),
	PUSH("<item jid='" JULIET "' subscription='remove'/>")},
    {SET("s", "<item jid='" JULIET "' subscription='remove'/>"),
	RIG_ERROR("s", "cancel", "item-not-found"), NULL},
    {SET("s", ""), RIG_ERROR("s", "modify", "bad-request"), NULL},
    {SET("s", "<item/>"), RIG_ERROR("s", "modify", "bad-request"), NULL},
    {SET("s", "<item jid='a@b'/><item jid='c@d'/>"),
	RIG_ERROR("s", "modify", "bad-request"), NULL},
    {SET("s", "<item jid='@'/>"), RIG_ERROR("s", "modify", "jid-malformed"),
	NULL},
    {SET("s", "<item jid='" ROMEO "'/>"),
	RIG_ERROR("s", "cancel", "not-allowed"), NULL},
    {SET("s", "<item jid='" JULIET "'><group/></item>"),
	RIG_ERROR("s", "modify", "not-acceptable"), NULL},
    {SET("s", "<item jid='" JULIET "'><group>A</group><group>A</group>"
	      "</item>"),
	RIG_ERROR("s", "modify", "bad-request"), NULL},
};

static void
sets_are_answered_and_pushed(void **state)
{
	struct world *world = rig_world(1, 2, NULL);
	struct world_peer *romeo = interested(world, ROMEO "/orchard");
	struct world_peer *other = interested(world, ROMEO "/garden");
	struct world_peer *third = rig_bind(world, ROMEO "/hall");

	for (size_t i = 0; i < COUNT_OF(sets); i++) {
		rig_send(romeo, sets[i].sent);
		if (sets[i].push != NULL) {
			rig_expect(romeo, sets[i].push);
			rig_expect(other, sets[i].push);
		}
		rig_expect_at(romeo, sets[i].answer, sets[i].sent, (int)i);
		rig_expect_nothing(romeo);
		rig_expect_nothing(other);
		rig_expect_nothing(third);
	}
	world_free(&world);
}

static void
others_may_not_ask(void **state)
{
	struct world *world = rig_world(1, 2, NULL);
	struct world_peer *juliet = rig_bind(world, JULIET "/balcony");
	static const struct rig_talk talks[] = {
	    {"<iq type='get' id='g' to='" ROMEO
	     "'><query xmlns='jabber:iq:roster'/></iq>",
		"<iq type='error' id='g'/>"},
	    {"<iq type='set' id='g' to='" ROMEO
	     "'><query xmlns='jabber:iq:roster'><item jid='a@b'/></query>"
	     "</iq>",
		"<iq type='error' id='g'/>"},
	};

	rig_talks(juliet, talks, COUNT_OF(talks));
	world_free(&world);
}

static void
the_roster_has_a_quota(void **state)
{
	struct world *world = rig_world(1, 2, "quota.roster_items: 2\n");
	struct world_peer *romeo = rig_bind(world, ROMEO "/orchard");
	static const struct rig_talk talks[] = {
	    {SET("s", "<item jid='a@b.example'/>"), DONE("s")},
	    {SET("s", "<item jid='c@b.example'/>"), DONE("s")},
	    {SET("s", "<item jid='d@b.example'/>"),
		RIG_ERROR("s", "wait", "resource-constraint")},
	    {SET("s", "<item jid='c@b.example' name='C'/>"), DONE("s")},
	    {SET("s", "<item jid='a@b.example' subscription='remove'/>"),
		DONE("s")},
	    {SET("s", "<item jid='d@b.example'/>"), DONE("s")},
	};

	rig_talks(romeo, talks, COUNT_OF(talks));
	world_free(&world);
}

/* --- versions ------------------------------------------------------------ */

/* The version that the next push or roster tells, copied. */
static void
read_ver(struct world_peer *peer, char *ver_r, size_t len)
{
	const char *text = world_next(peer);
	const char *at = text == NULL ? NULL : strstr(text, " ver='");

	assert_non_null(at);
	snprintf(ver_r, len, "%.*s", (int)strcspn(at + 6, "'"), at + 6);
}

static void
ask_since(struct world_peer *peer, const char *ver)
{
	char text[200];

	snprintf(text, sizeof(text),
	    "<iq type='get' id='g'><query xmlns='jabber:iq:roster' ver='%s'/>"
	    "</iq>",
	    ver);
	rig_send(peer, text);
}

static void
only_what_changed_since_is_told(void **state)
{
	struct world *world = rig_world(1, 2, NULL);
	struct world_peer *romeo = interested(world, ROMEO "/orchard");
	char first[32], second[32];

	rig_send(romeo, SET("s", "<item jid='a@b.example'/>"));
	read_ver(romeo, first, sizeof(first));
	rig_expect(romeo, DONE("s"));
	rig_send(romeo, SET("s", "<item jid='c@b.example'/>"));
	rig_send(romeo, SET("s", "<item jid='d@b.example'/>"));
	rig_send(
	    romeo, SET("s", "<item jid='a@b.example' subscription='remove'/>"));
	rig_skip(romeo);

	ask_since(romeo, first);
	rig_expect(romeo, "<iq type='result' id='g'><query>{not}</query></iq>");
	rig_expect(romeo, PUSH("<item jid='c@b.example'/>"));
	rig_expect(romeo, PUSH("<item jid='d@b.example'/>"));
	rig_expect(
	    romeo, PUSH("<item jid='a@b.example' subscription='remove'/>"));
	rig_expect_nothing(romeo);

	/* Also when it was loaded anew. */
	world_cut(&romeo);
	world_kill(world);
	romeo = rig_bind(world, ROMEO "/orchard");
	rig_send(romeo, GET);
	read_ver(romeo, second, sizeof(second));
	ask_since(romeo, second);
	rig_expect(romeo, "<iq type='result' id='g'/>");
	rig_expect_nothing(romeo);
	ask_since(romeo, first);
	rig_expect(romeo, "<iq type='result' id='g'/>");
	rig_expect(romeo, PUSH("<item jid='c@b.example'/>"));
	rig_skip(romeo);

	/* What nobody knows gets the whole. */
	ask_since(romeo, "junk");
	rig_expect(romeo,
	    "<iq type='result' id='g'><query xmlns='jabber:iq:roster'>"
	    "<item jid='c@b.example'/></query></iq>");
	world_free(&world);
}

/* More contacts than are remembered as removed. */
static void
remove_many(struct world_peer *romeo)
{
	char text[300];

	for (unsigned i = 0; i < ROSTER_TOMBSTONES_MAX + 2; i++) {
		snprintf(text, sizeof(text),
		    SET("s", "<item jid='c%u@b.example'/>"), i);
		rig_send(romeo, text);
		snprintf(text, sizeof(text),
		    SET("s", "<item jid='c%u@b.example' "
			     "subscription='remove'/>"),
		    i);
		rig_send(romeo, text);
	}
}

static void
old_tombstones_go(void **state)
{
	struct world *world = rig_world(1, 2, NULL);
	struct world_peer *romeo = interested(world, ROMEO "/orchard");
	char first[32];

	rig_send(romeo, SET("s", "<item jid='a@b.example'/>"));
	read_ver(romeo, first, sizeof(first));
	rig_expect(romeo, DONE("s"));
	remove_many(romeo);
	rig_skip(romeo);
	for (unsigned i = 0; i < 2; i++) {
		ask_since(romeo, first);
		rig_expect(romeo, "<iq type='result' id='g'>"
				  "<query xmlns='jabber:iq:roster'>"
				  "<item jid='a@b.example'/></query></iq>");
		rig_expect_nothing(romeo);
		world_cut(&romeo);
		world_kill(world);
		romeo = rig_bind(world, ROMEO "/orchard");
	}
	world_free(&world);
}

/* Who was removed long ago may have asked since. */
static void
a_request_outlives_the_tombstone(void **state)
{
	struct world *world = rig_world(1, 2, NULL);
	struct world_peer *romeo = interested(world, ROMEO "/orchard");
	struct world_peer *juliet = rig_login(world, JULIET "/balcony");

	(void)state;
	rig_send(romeo, SET("s", "<item jid='" JULIET "'/>"));
	rig_send(
	    romeo, SET("s", "<item jid='" JULIET "' subscription='remove'/>"));
	rig_send(juliet, "<presence type='subscribe' to='" ROMEO "'/>");
	remove_many(romeo);
	CHECK_EQUAL(rig_sub(world, ROMEO, JULIET), SUB_PENDING_IN);
	world_kill(world);
	romeo = rig_login(world, ROMEO "/orchard");
	CHECK_EQUAL(rig_sub(world, ROMEO, JULIET), SUB_PENDING_IN);
	rig_send(romeo, "<presence type='subscribed' to='" JULIET "'/>");
	CHECK_EQUAL(rig_sub(world, ROMEO, JULIET), SUB_FROM);
	CHECK_EQUAL(rig_sub(world, JULIET, ROMEO), SUB_TO);
	world_free(&world);
}

/* --- the store ----------------------------------------------------------- */

/* A change that is not kept is undone, and nobody is told of it. */
static void
what_cannot_be_kept_is_undone(void **state)
{
	struct world *world = rig_world(1, 2, NULL);
	struct world_peer *romeo = interested(world, ROMEO "/orchard");

	rig_send(romeo, SET("s", "<item jid='a@b.example'/>"));
	rig_skip(romeo);
	world_break_store(world, ERR_UNAVAILABLE);
	rig_send(romeo, SET("s", "<item jid='c@b.example'/>"));
	rig_expect(romeo, "<iq type='error' id='s'><error type='wait'/></iq>");
	rig_expect_nothing(romeo);
	world_break_store(world, ERR_NONE);
	world_sleep(world, 60000);
	rig_send(romeo, GET);
	rig_expect(romeo,
	    "<iq type='result' id='g'><query xmlns='jabber:iq:roster'>"
	    "<item jid='a@b.example'/><item jid='c@b.example'>{not}</item>"
	    "</query></iq>");
	world_free(&world);
}

/* Nor is it told to who asks while it is being kept. */
static void
what_cannot_be_kept_is_not_told(void **state)
{
	static const enum err errs[] = {ERR_IO, ERR_TIMEOUT, ERR_UNAVAILABLE};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(errs); i++) {
		struct world *world = rig_world(i + 1, 2, NULL);
		struct world_peer *romeo = interested(world, ROMEO "/orchard");
		struct world_peer *other = rig_bind(world, ROMEO "/garden");

		rig_send(romeo, SET("s", "<item jid='a@b.example'/>"));
		rig_skip(romeo);
		world_hold_store(world, true);
		rig_send(romeo, SET("s", "<item jid='c@b.example'/>"));
		rig_send(other, GET);
		world_break_store(world, errs[i]);
		world_hold_store(world, false);
		world_run(world);
		rig_expect(romeo, "<iq type='error' id='s'/>");
		world_break_store(world, ERR_NONE);
		world_sleep(world, 60000);
		rig_expect(other,
		    "<iq type='result' id='g'><query "
		    "xmlns='jabber:iq:roster'><item jid='a@b.example'/>"
		    "<item jid='c@b.example'>{not}</item></query></iq>");
		rig_expect_nothing(other);
		world_free(&world);
	}
}

static bool
is_told_of(struct world_peer *peer, const char *contact)
{
	bool is_told = false;
	const char *text;

	while ((text = world_next(peer)) != NULL)
		is_told |= strstr(text, contact) != NULL;
	return is_told;
}

/* Nor what was changed after he asked, and fails after that which he waits for
 * is kept. */
static void
what_is_changed_meanwhile_is_not_told_either(void **state)
{
	(void)state;
	for (unsigned step = 0; step < 20; step++) {
		struct world *world = rig_world(step + 1, 1, NULL);
		struct world_peer *romeo = interested(world, ROMEO "/orchard");
		struct world_peer *other = rig_bind(world, ROMEO "/garden");
		struct arena *arena = arena_make(0);
		const struct jid *jid = jid_parse(arena, STR("d@b.example"));
		bool is_told;

		world_hold_store(world, true);
		rig_send(romeo, SET("s", "<item jid='c@b.example'/>"));
		rig_send(other, GET);
		rig_send(romeo, SET("s", "<item jid='d@b.example'/>"));
		world_hold_store(world, false);
		world_step(world, step);
		world_break_store(world, ERR_IO);
		world_sleep(world, 1000);
		world_break_store(world, ERR_NONE);
		world_sleep(world, 60000);
		is_told = is_told_of(other, "d@b.example");
		CHECK_EQUAL(is_told,
		    roster_contact(rig_account(world, ROMEO), jid) != NULL);
		arena_free(&arena);
		world_free(&world);
	}
}

static struct roster_edit *
add_contact(struct account *account, const char *jid)
{
	struct arena *arena = arena_make(0);
	struct roster_edit *edit;

	shard_enter(account->owner.shard);
	edit = roster_edit_new(account);
	roster_edit_sub(edit, jid_parse(arena, str_of(jid)), 0, true, NULL);
	arena_free(&arena);
	return edit;
}

/* The account is loaded anew, for another reason, when a change is committed
 * that somebody waits for. */
static void
who_waits_is_told_what_was_read(void **state)
{
	struct world *world = rig_world(1, 1, NULL);
	struct world_peer *romeo = interested(world, ROMEO "/orchard");
	struct account *account = rig_account(world, ROMEO);
	struct roster_edit *edit;

	(void)state;
	rig_send(romeo, SET("s", "<item jid='a@b.example'/>"));
	rig_skip(romeo);
	edit = add_contact(account, "c@b.example");
	rig_send(romeo, GET);
	rig_expect_nothing(romeo);
	shard_enter(account->owner.shard);
	owner_reload(&account->owner);
	roster_edit_commit(edit, NULL);
	world_hold_store(world, false);
	world_run(world);
	CHECK(rig_finds(romeo,
	    "<iq type='result' id='g'><query xmlns='jabber:iq:roster'>"
	    "<item jid='a@b.example'/><item jid='c@b.example'/></query></iq>"));
	world_free(&world);
}

/* More pushes than wait for a client would end its session, each time it asks.
 */
static void
many_changes_are_told_as_the_whole(void **state)
{
	struct world *world = rig_world(1, 2, "sessions.queue: 20\n");
	struct world_peer *romeo = interested(world, ROMEO "/orchard");
	char first[32], id[RIG_ID_LEN], text[200];

	(void)state;
	rig_send(romeo, SET("s", "<item jid='a@b.example'/>"));
	read_ver(romeo, first, sizeof(first));
	for (unsigned i = 0; i < 30; i++) {
		snprintf(text, sizeof(text),
		    SET("s", "<item jid='c%u@b.example'/>"), i);
		rig_send(romeo, text);
	}
	world_cut(&romeo);
	romeo = rig_bind(world, ROMEO "/orchard");
	rig_enable(romeo, id);
	ask_since(romeo, first);
	rig_expect(romeo,
	    "<iq type='result' id='g'><query xmlns='jabber:iq:roster'>"
	    "<item jid='a@b.example'/><item jid='c29@b.example'/>"
	    "</query></iq>");
	CHECK(!world_is_closed(romeo));
	world_free(&world);
}

static void
removed(struct store_commit *commit)
{
	CHECK_EQUAL(commit->err, ERR_NONE);
}

/* Then nothing is read any more. */
static void
nobody_waits_for_an_account_that_is_removed(void **state)
{
	struct world *world = rig_world(1, 2, NULL);
	struct world_peer *romeo = interested(world, ROMEO "/orchard");
	struct account *account = rig_account(world, ROMEO);
	struct store_commit commit;

	(void)state;
	world_hold_store(world, true);
	rig_send(romeo, SET("s", "<item jid='c@b.example'/>") GET);
	world_break_store(world, ERR_IO);
	world_hold_store(world, false);
	world_run(world);
	world_break_store(world, ERR_NONE);
	shard_enter(account->owner.shard);
	account_remove(account, &commit, removed);
	world_hold_store(world, false);
	world_run(world);
	CHECK(rig_account(world, ROMEO) == NULL);
	world_free(&world);
}

static void
a_damaged_row_refuses_the_account(void **state)
{
	struct world *world = rig_world(1, 2, NULL);
	struct world_peer *romeo;

	rig_put(world, JULIET, &roster_kind, ROMEO, "junk");
	world_kill(world);
	romeo = rig_bind(world, ROMEO "/orchard");
	rig_send(
	    romeo, "<message to='" JULIET "' id='m'><body>x</body></message>");
	rig_expect(romeo, "<message type='error' id='m'/>");
	world_free(&world);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(sets_are_answered_and_pushed),
	    cmocka_unit_test(others_may_not_ask),
	    cmocka_unit_test(the_roster_has_a_quota),
	    cmocka_unit_test(only_what_changed_since_is_told),
	    cmocka_unit_test(many_changes_are_told_as_the_whole),
	    cmocka_unit_test(old_tombstones_go),
	    cmocka_unit_test(a_request_outlives_the_tombstone),
	    cmocka_unit_test(what_cannot_be_kept_is_undone),
	    cmocka_unit_test(what_cannot_be_kept_is_not_told),
	    cmocka_unit_test(what_is_changed_meanwhile_is_not_told_either),
	    cmocka_unit_test(who_waits_is_told_what_was_read),
	    cmocka_unit_test(nobody_waits_for_an_account_that_is_removed),
	    cmocka_unit_test(a_damaged_row_refuses_the_account),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

#include "modules/register.h"

#include "modules/last.h"
#include "modules/modules_rig.h"
#include "server/world_private.h"

#define QUERY(type, id, content)      \
	"<iq type='" type "' id='" id \
	"'><query xmlns='jabber:iq:register'>" content "</query></iq>"
#define CHANGE(user, password) \
	QUERY("set", "r",      \
	    "<username>" user "</username><password>" password "</password>")
#define TO_CAPULET(type, content)                                 \
	"<iq type='" type "' id='r' to='capulet.example'><query " \
	"xmlns='jabber:iq:register'>" content "</query></iq>"
#define DONE "<iq type='result' id='r'><query>{not}</query></iq>"

static const struct rig_talk talks[] = {
    {QUERY("get", "r", ""), QUERY("result", "r",
				"<registered/><username>romeo</username>"
				"<password/>")},
    {QUERY("set", "r", ""), RIG_ERROR("r", "modify", "bad-request")},
    {QUERY("set", "r", "<username>romeo</username>"),
	RIG_ERROR("r", "modify", "bad-request")},
    {CHANGE("romeo", ""), RIG_ERROR("r", "modify", "bad-request")},
    {CHANGE("romeo", "a"), RIG_ERROR("r", "modify", "not-acceptable")},
    {CHANGE("juliet", "longenough"), RIG_ERROR("r", "cancel", "not-allowed")},
    {"<iq type='set' id='r' to='" JULIET
     "'><query xmlns='jabber:iq:register'><remove/></query></iq>",
	"<iq type='error' id='r'/>"},
    {"<iq type='set' id='r' to='" JULIET
     "'><query xmlns='jabber:iq:register'><username>juliet</username>"
     "<password>longenough</password></query></iq>",
	"<iq type='error' id='r'/>"},
};

static void
requests_are_checked(void **state)
{
	struct world *world = rig_world(1, 2, NULL);
	struct world_peer *romeo = rig_bind(world, ROMEO "/orchard");

	rig_talks(romeo, talks, COUNT_OF(talks));
	CHECK(rig_account(world, JULIET) != NULL);
	world_free(&world);
}

/* Section 3.2: where somebody has no account there is none to remove. */
static const struct rig_talk elsewhere[] = {
    {TO_CAPULET("get", ""), "<iq type='error' id='r'/>"},
    {TO_CAPULET("set", "<username>romeo</username>"
		       "<password>longenough</password>"),
	"<iq type='error' id='r'/>"},
    {TO_CAPULET("set", "<remove/>"), "<iq type='error' id='r'/>"},
};

static void
another_host_knows_no_such_account(void **state)
{
	struct world *world = rig_world(1, 2, NULL);
	struct world_peer *romeo = rig_bind(world, ROMEO "/orchard");

	(void)state;
	rig_talks(romeo, elsewhere, COUNT_OF(elsewhere));
	CHECK(rig_account(world, ROMEO) != NULL);
	world_free(&world);
}

static bool
can_login(struct world *world, const char *password)
{
	struct world_peer *peer = world_accept(world);
	bool is_in = world_login(peer, STR("romeo"), STR("montague.example"),
	    str_of(password), STR("test"));

	world_cut(&peer);
	world_run(world);
	return is_in;
}

static void
a_new_password_ends_the_other_sessions(void **state)
{
	struct world *world = rig_world(1, 2, NULL);
	struct world_peer *romeo = rig_bind(world, ROMEO "/orchard");
	struct world_peer *other = rig_bind(world, ROMEO "/garden");

	CHECK(can_login(world, "secret"));
	rig_send(romeo, CHANGE("Romeo", "open sesame"));
	rig_expect(romeo, DONE);
	CHECK(!world_is_closed(romeo));
	CHECK(rig_finds(other,
	    "<error xmlns='http://etherx.jabber.org/streams'><reset "
	    "xmlns='urn:ietf:params:xml:ns:xmpp-streams'/></error>"));
	world_sleep(world, 60000);
	CHECK(world_is_closed(other));
	CHECK(!world_is_closed(romeo));
	CHECK(!can_login(world, "secret"));
	world_sleep(world, 60000);
	CHECK(can_login(world, "open sesame"));
	world_cut(&romeo);
	world_kill(world);
	CHECK(can_login(world, "open sesame"));
	world_free(&world);
}

/* Nobody knows whether it was committed; it was. */
static void
a_password_that_may_be_new_ends_the_other_sessions(void **state)
{
	struct world *world = rig_world(1, 2, NULL);
	struct world_peer *romeo = rig_bind(world, ROMEO "/orchard");
	struct world_peer *other = rig_bind(world, ROMEO "/garden");

	(void)state;
	world_break_store(world, ERR_UNCERTAIN);
	rig_send(romeo, CHANGE("Romeo", "open sesame"));
	world_break_store(world, ERR_NONE);
	rig_expect(romeo, "<iq type='error' id='r'/>");
	world_sleep(world, 60000);
	CHECK(world_is_closed(other));
	CHECK(!world_is_closed(romeo));
	CHECK(can_login(world, "open sesame"));
	world_free(&world);
}

static void
state_set(struct store_commit *commit)
{
	CHECK_EQUAL(commit->err, ERR_UNCERTAIN);
}

static void
who_is_disabled_after_all_goes(void **state)
{
	struct world *world = rig_world(1, 2, NULL);
	struct world_peer *romeo = rig_bind(world, ROMEO "/orchard");
	struct account *account = rig_account(world, ROMEO);
	struct store_commit commit;

	(void)state;
	world_break_store(world, ERR_UNCERTAIN);
	shard_enter(account->owner.shard);
	account_set_disabled(account, true, &commit, state_set);
	world_hold_store(world, false);
	world_run(world);
	world_break_store(world, ERR_NONE);
	world_sleep(world, 60000);
	CHECK(world_is_closed(romeo));
	CHECK(!can_login(world, "secret"));
	world_free(&world);
}

/* Who logged in with the old one and has no session yet gets none. */
static void
a_new_password_is_asked_of_who_is_not_bound(void **state)
{
	static const char bind[] =
	    "<iq type='set' id='b'><bind xmlns='urn:ietf:params:xml:ns:"
	    "xmpp-bind'/></iq>";
	struct world *world = rig_world(1, 2, NULL);
	struct world_peer *romeo = rig_bind(world, ROMEO "/orchard");
	struct world_peer *early = world_connect(world, ROMEO);
	struct world_peer *late = world_connect(world, ROMEO);

	rig_send(late, bind);
	rig_expect(late, "<iq type='result' id='b'/>");
	rig_send(romeo, CHANGE("Romeo", "open sesame"));
	rig_expect(romeo, DONE);
	rig_send(early, bind);
	rig_expect(early, "<iq type='error' id='b'><error><not-authorized "
			  "xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/>"
			  "</error></iq>");
	world_free(&world);
}

static void
what_cannot_be_kept_changes_nothing(void **state)
{
	static const char *const sent[] = {
	    CHANGE("romeo", "open sesame"), QUERY("set", "r", "<remove/>")};

	for (size_t i = 0; i < COUNT_OF(sent); i++) {
		struct world *world = rig_world(i, 0, NULL);
		struct world_peer *romeo = rig_bind(world, ROMEO "/orchard");
		struct world_peer *other = rig_bind(world, ROMEO "/garden");

		world_break_store(world, ERR_UNAVAILABLE);
		rig_send(romeo, sent[i]);
		rig_expect(
		    romeo, "<iq type='error' id='r'><error type='wait'/></iq>");
		world_break_store(world, ERR_NONE);
		CHECK(!world_is_closed(other));
		rig_send(other, "<message to='" ROMEO "/orchard' id='m'/>");
		rig_expect(romeo, "<message id='m'/>");
		CHECK(can_login(world, "secret"));
		world_free(&world);
	}
}

static void
a_removed_account_is_gone(void **state)
{
	for (uint64_t seed = 1; seed <= 10; seed++) {
		struct world *world = rig_world(seed, 0, NULL);
		struct world_peer *romeo = rig_bind(world, ROMEO "/orchard");
		struct world_peer *other = rig_bind(world, ROMEO "/garden");

		rig_send(romeo, QUERY("set", "r", "<remove/>"));
		rig_expect(romeo, DONE);
		CHECK(rig_finds(other,
		    "<error xmlns='http://etherx.jabber.org/streams'>"
		    "<not-authorized "
		    "xmlns='urn:ietf:params:xml:ns:xmpp-streams'/></error>"));
		world_sleep(world, 60000);
		CHECK(world_is_closed(romeo) && world_is_closed(other));
		CHECK(!can_login(world, "secret"));
		world_free(&world);
	}
}

/* Its contacts must not believe it gone. */
static void
an_account_that_stays_is_seen(void **state)
{
	(void)state;
	for (uint64_t seed = 1; seed <= 10; seed++) {
		struct world *world = rig_world(seed, 0, NULL);
		struct world_peer *romeo = rig_login(world, ROMEO "/orchard");
		struct world_peer *juliet = rig_login(world, JULIET "/balcony");

		rig_send(juliet, "<presence type='subscribe' to='" ROMEO "'/>");
		rig_send(
		    romeo, "<presence type='subscribed' to='" JULIET "'/>");
		rig_send(juliet, "<iq type='get' id='g'><query "
				 "xmlns='jabber:iq:roster'/></iq>");
		rig_skip(romeo);
		rig_skip(juliet);
		world_break_store(world, ERR_UNAVAILABLE);
		rig_send(romeo, QUERY("set", "r", "<remove/>"));
		rig_expect(
		    romeo, "<iq type='error' id='r'><error type='wait'/></iq>");
		world_break_store(world, ERR_NONE);
		rig_expect_nothing(juliet);
		rig_send(romeo, QUERY("set", "r", "<remove/>"));
		rig_expect(romeo, DONE);
		rig_expect(juliet,
		    "<presence type='unavailable' from='" ROMEO "/orchard'/>");
		rig_expect(
		    juliet, "<presence type='unsubscribed' from='" ROMEO "'/>");
		rig_expect(juliet, "<iq type='set'/>");
		rig_expect_nothing(juliet);
		world_free(&world);
	}
}

/* What its sessions leave when they end goes, too. */
static void
the_end_of_an_account_leaves_no_row(void **state)
{
	(void)state;
	for (uint64_t seed = 1; seed <= 10; seed++) {
		struct world *world = rig_world(seed, 0, NULL);
		struct world_peer *romeo = rig_login(world, ROMEO "/orchard");
		const owner_id owner = rig_account(world, ROMEO)->owner.id;

		rig_send(romeo, QUERY("set", "r", "<remove/>"));
		rig_expect(romeo, DONE);
		world_sleep(world, 60000);
		CHECK(!rig_has(world, owner, last_module.kinds[0]));
		world_free(&world);
	}
}

/* Its host is taken away while it is being removed. */
static void
an_account_ends_once(void **state)
{
	(void)state;
	for (uint64_t seed = 1; seed <= 10; seed++) {
		struct world *world = rig_world(seed, 0, NULL);
		struct world_peer *romeo = rig_bind(world, ROMEO "/orchard");

		world_hold_store(world, true);
		rig_send(romeo, QUERY("set", "r", "<remove/>"));
		world_reload(world, "hosts: {capulet.example: {}}\n");
		world_run(world);
		world_hold_store(world, false);
		world_sleep(world, 60000);
		CHECK(world_is_closed(romeo));
		world_free(&world);
	}
}

/* --- what a crash leaves -------------------------------------------------- */

static void
done(struct store_commit *commit)
{
	CHECK_EQUAL(commit->err, ERR_NONE);
}

/* A removed owner of an earlier run, with a row. */
static owner_id
leave_removed(struct world *world, unsigned number)
{
	struct arena *arena = arena_make(0);
	struct store *store = world->server.shards[0].store;
	struct store_write *write;
	struct store_commit commit;
	owner_id owner;

	shard_enter(&world->server.shards[0]);
	write = store_write_new(store);
	store_owner_make(write, STR("montague.example"),
	    str_format(arena, "guard%u", number), &owner);
	store_put(write, 0, &guest_kind, STR("row"), STR("value"));
	store_commit(write, &commit, done);
	world_hold_store(world, false);
	world_run(world);
	write = store_write_new(store);
	store_owner_set_state(write, owner, OWNER_DELETED);
	store_commit(write, &commit, done);
	world_hold_store(world, false);
	world_run(world);
	arena_free(&arena);
	return owner;
}

static void
all_removed_accounts_are_purged_at_the_start(void **state)
{
	struct world *world = rig_world(1, 2, NULL);
	owner_id first = leave_removed(world, 0), last = first;

	for (unsigned i = 1; i < 1100; i++)
		last = leave_removed(world, i);
	CHECK(rig_has(world, first, &guest_kind));
	CHECK(rig_has(world, last, &guest_kind));
	world_kill(world);
	world_run(world);
	for (owner_id owner = first; owner <= last; owner++)
		CHECK(!rig_has(world, owner, &guest_kind));
	world_free(&world);
}

#define MANY_ROWS 1800

static owner_id
leave_removed_with_many_rows(struct world *world)
{
	struct arena *arena = arena_make(0);
	owner_id owner = leave_removed(world, 0);
	struct store_write *write;
	struct store_commit commit;

	shard_enter(&world->server.shards[0]);
	write = store_write_new(world->server.shards[0].store);
	for (unsigned i = 1; i < MANY_ROWS; i++)
		store_put(write, owner, &guest_kind, str_format(arena, "%u", i),
		    STR("value"));
	store_commit(write, &commit, done);
	world_hold_store(world, false);
	world_run(world);
	arena_free(&arena);
	return owner;
}

struct rows_now {
	struct store_scan scan;
	bool is_done;
};

static void
rows_came(struct store_scan *scan)
{
	container_of(scan, struct rows_now, scan)->is_done = true;
}

/* How many are left, with as little as possible done meanwhile. */
static size_t
rows_now(struct world *world, owner_id owner)
{
	struct arena *arena = arena_make(0);
	struct rows_now now = {.is_done = false};

	shard_enter(&world->server.shards[0]);
	store_scan(world->server.shards[0].store, &now.scan, arena,
	    &(struct map_query){
		.owner = owner, .kind = &guest_kind, .max = 2 * MANY_ROWS},
	    rows_came);
	world_hold_store(world, false);
	while (!now.is_done)
		CHECK(world_step(world, 1));
	CHECK_EQUAL(now.scan.err, ERR_NONE);
	arena_free(&arena);
	return now.scan.count;
}

static void
a_purge_that_is_killed_goes_on(void **state)
{
	struct world *world = rig_world(1, 2, NULL);
	owner_id owner = leave_removed_with_many_rows(world);
	size_t left = rows_now(world, owner);
	unsigned kills_in_between = 0;

	CHECK_EQUAL(left, MANY_ROWS);
	for (unsigned steps = 0; left > 0; steps++) {
		size_t before = left;

		CHECK(steps < 200);
		world_kill(world);
		world_step(world, steps);
		left = rows_now(world, owner);
		CHECK(left <= before);
		kills_in_between += left > 0 && left < before;
	}
	CHECK(kills_in_between >= 2);
	world_free(&world);
}

static owner_id
let_guest_in(struct world *world, struct world_peer **peer_r)
{
	struct world_peer *peer = world_accept(world);
	const struct account *account;
	const char *text;
	char bare[100];
	owner_id owner;

	CHECK(world_start_stream(peer, STR("montague.example")));
	world_send(peer, "<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' "
			 "mechanism='ANONYMOUS'/>");
	CHECK(world_expect(peer, "success"));
	CHECK(world_start_stream(peer, STR("montague.example")));
	rig_send(peer, "<iq type='set' id='b'>"
		       "<bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'/></iq>");
	text = strstr(world_next(peer), "<jid>") + strlen("<jid>");
	snprintf(bare, sizeof(bare), "%.*s", (int)strcspn(text, "/"), text);
	account = rig_account(world, bare);
	must(account != NULL);
	owner = account->owner.id;
	*peer_r = peer;
	return owner;
}

static void
a_guest_goes_with_the_stream_or_a_crash(void **state)
{
	for (uint64_t seed = 1; seed <= 10; seed++) {
		struct world *world =
		    rig_world(seed, 0, "auth.anonymous: true\n");
		struct world_peer *peer, *other;
		const owner_id guest = let_guest_in(world, &peer);
		const owner_id left = let_guest_in(world, &other);

		CHECK(rig_has(world, guest, &guest_kind));
		world_cut(&peer);
		world_sleep(world, 60000);
		CHECK(!rig_has(world, guest, &guest_kind));
		CHECK(rig_has(world, left, &guest_kind));
		world_kill(world);
		world_run(world);
		CHECK(!rig_has(world, left, &guest_kind));
		world_cut(&other);
		world_free(&world);
	}
}

static void
a_guest_has_nothing_to_change(void **state)
{
	static const char *const asks[] = {QUERY("get", "r", ""),
	    CHANGE("guest", "open sesame"), QUERY("set", "r", "<remove/>")};
	struct world *world = rig_world(1, 0, "auth.anonymous: true\n");
	struct world_peer *peer;
	const owner_id guest = let_guest_in(world, &peer);

	for (size_t i = 0; i < COUNT_OF(asks); i++) {
		rig_send(peer, asks[i]);
		rig_expect(peer, RIG_ERROR("r", "cancel", "not-allowed"));
	}
	CHECK(rig_has(world, guest, &guest_kind));
	rig_send(peer, "<iq type='get' id='d'><query "
		       "xmlns='http://jabber.org/protocol/disco#info'/></iq>");
	rig_expect(peer, "<iq type='result' id='d'><query "
			 "xmlns='http://jabber.org/protocol/disco#info'>"
			 "<identity category='account' type='anonymous'/>"
			 "</query></iq>");
	world_free(&world);
}

#define TYBALT "tybalt@capulet.example"
/* "\0tybalt\0secret" */
#define GUESS                                            \
	"<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl'" \
	" mechanism='PLAIN'>AHR5YmFsdABzZWNyZXQ=</auth>"

static void
tybalt_made(struct account_make *make)
{
	CHECK_EQUAL(make->err, ERR_NONE);
}

/* It is known that there is no such account, and somebody is about to learn it
 * who tries to log in. */
static void
who_is_made_while_others_try_can_log_in(void **state)
{
	struct world *world = rig_world(1, 2, NULL);
	struct world_peer *romeo = rig_login(world, ROMEO "/orchard");
	struct world_peer *early = world_accept(world);
	struct arena *arena = arena_make(0);
	const struct jid *tybalt = jid_parse(arena, STR(TYBALT));
	struct shard *shard = shard_of(&world->server, tybalt);
	struct account_make make = {0};

	(void)state;
	rig_send(
	    romeo, "<message to='" TYBALT "' id='m'><body>x</body></message>");
	rig_expect(romeo, "<message type='error' id='m'/>");
	CHECK(world_start_stream(early, STR("capulet.example")));
	world_hold_store(world, true);
	world_send(early, GUESS);
	world_run(world);
	shard_enter(shard);
	account_make(shard, &make, tybalt, STR("secret"), tybalt_made);
	world_hold_store(world, false);
	world_run(world);
	CHECK(world_login(world_accept(world), STR("tybalt"),
	    STR("capulet.example"), STR("secret"), STR("test")));
	arena_free(&arena);
	world_free(&world);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(requests_are_checked),
	    cmocka_unit_test(another_host_knows_no_such_account),
	    cmocka_unit_test(a_new_password_ends_the_other_sessions),
	    cmocka_unit_test(
		a_password_that_may_be_new_ends_the_other_sessions),
	    cmocka_unit_test(who_is_disabled_after_all_goes),
	    cmocka_unit_test(a_new_password_is_asked_of_who_is_not_bound),
	    cmocka_unit_test(what_cannot_be_kept_changes_nothing),
	    cmocka_unit_test(a_removed_account_is_gone),
	    cmocka_unit_test(an_account_that_stays_is_seen),
	    cmocka_unit_test(the_end_of_an_account_leaves_no_row),
	    cmocka_unit_test(an_account_ends_once),
	    cmocka_unit_test(all_removed_accounts_are_purged_at_the_start),
	    cmocka_unit_test(a_purge_that_is_killed_goes_on),
	    cmocka_unit_test(a_guest_goes_with_the_stream_or_a_crash),
	    cmocka_unit_test(a_guest_has_nothing_to_change),
	    cmocka_unit_test(who_is_made_while_others_try_can_log_in),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

#include "modules/register.h"

#include "modules/modules_rig.h"
#include "server/world_private.h"

#define QUERY(type, id, content)      \
	"<iq type='" type "' id='" id \
	"'><query xmlns='jabber:iq:register'>" content "</query></iq>"
#define CHANGE(user, password) \
	QUERY("set", "r",      \
	    "<username>" user "</username><password>" password "</password>")
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
	CHECK(account != NULL);
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

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(requests_are_checked),
	    cmocka_unit_test(a_new_password_ends_the_other_sessions),
	    cmocka_unit_test(what_cannot_be_kept_changes_nothing),
	    cmocka_unit_test(a_removed_account_is_gone),
	    cmocka_unit_test(all_removed_accounts_are_purged_at_the_start),
	    cmocka_unit_test(a_guest_goes_with_the_stream_or_a_crash),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

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

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(requests_are_checked),
	    cmocka_unit_test(a_new_password_ends_the_other_sessions),
	    cmocka_unit_test(what_cannot_be_kept_changes_nothing),
	    cmocka_unit_test(a_removed_account_is_gone),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

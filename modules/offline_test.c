#include "modules/offline.h"

#include "modules/modules_rig.h"
#include "server/world_private.h"

#define KIND (offline_module.kinds[0])
/* Then what nobody can take waits here and not in the archive. */
#define ALONE "modules: {archive: false}\n"

static void
say(struct world_peer *romeo, const char *id)
{
	char text[200];

	snprintf(text, sizeof(text),
	    "<message type='chat' to='%s' id='%s'><body>Hi</body></message>",
	    JULIET, id);
	rig_send(romeo, text);
}

/* That the next message is this one, and was kept. */
static void
expect_kept(struct world_peer *juliet, const char *id)
{
	char text[300];

	snprintf(text, sizeof(text),
	    "<message from='%s/orchard' id='%s'><body>Hi</body>"
	    "<delay xmlns='urn:xmpp:delay' from='capulet.example' "
	    "stamp='{time}'/></message>",
	    ROMEO, id);
	rig_expect(juliet, text);
}

/* Available, with what it is then sent; the own presence is skipped. */
static struct world_peer *
come(struct world *world, const char *jid, const char *presence)
{
	struct world_peer *peer = rig_bind(world, jid);

	rig_send(peer, presence);
	rig_expect(peer, "<presence/>");
	return peer;
}

/* The kernel is asked, then something arrives: proof of receipt. */
static void
prove(struct world *world, struct world_peer *peer)
{
	world_sleep(world, 1500);
	rig_send(peer, " ");
	world_sleep(world, 1500);
	rig_send(peer, " ");
}

/* --- what is kept ----------------------------------------------------------
 */

#define TO    "to='" JULIET "' id='m1'"
#define ERROR "<message type='error' id='m1'><error type='cancel'>"

static const struct {
	const char *sent;
	bool is_kept;
	const char *answer; /* NULL: none */
} kinds[] = {
    {"<message " TO "><body>x</body></message>", true, NULL},
    {"<message type='chat' " TO "><body>x</body></message>", true, NULL},
    {"<message type='chat' to='" JULIET "/balcony' id='m1'><body>x</body>"
     "</message>",
	true, NULL},
    {"<message type='headline' " TO "><body>x</body></message>", false, NULL},
    {"<message type='error' " TO "><body>x</body></message>", false, NULL},
    {"<message type='groupchat' " TO "><body>x</body></message>", false,
	ERROR "<service-unavailable "
	      "xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error>"
	      "</message>"},
    {"<message type='chat' " TO "><composing "
     "xmlns='http://jabber.org/protocol/chatstates'/></message>",
	false, NULL},
    {"<message type='chat' " TO "><body>x</body><active "
     "xmlns='http://jabber.org/protocol/chatstates'/></message>",
	true, NULL},
    {"<message type='chat' " TO "><body>x</body><no-store "
     "xmlns='urn:xmpp:hints'/></message>",
	false,
	ERROR "<service-unavailable "
	      "xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error>"
	      "</message>"},
};

static void
only_what_is_worth_it_is_kept(void **state)
{
	struct world *world = rig_world(1, 2, ALONE);
	struct world_peer *romeo = rig_bind(world, ROMEO "/orchard");

	for (size_t i = 0; i < COUNT_OF(kinds); i++) {
		struct world_peer *juliet;

		rig_send(romeo, kinds[i].sent);
		if (kinds[i].answer != NULL)
			rig_expect(romeo, kinds[i].answer);
		rig_expect_nothing(romeo);
		juliet = come(world, JULIET "/balcony", "<presence/>");
		if (kinds[i].is_kept)
			rig_expect(juliet,
			    "<message id='m1'><delay "
			    "xmlns='urn:xmpp:delay'/></message>");
		rig_expect_nothing(juliet);
		prove(world, juliet);
		world_cut(&juliet);
		world_run(world);
	}
	world_free(&world);
}

/* --- when it is sent -------------------------------------------------------
 */

static void
kept_messages_come_in_order_and_before_new_ones(void **state)
{
	for (uint64_t seed = 1; seed <= 10; seed++) {
		struct world *world = rig_world(seed, 0, ALONE);
		struct world_peer *romeo = rig_bind(world, ROMEO "/orchard");
		struct world_peer *juliet;
		char id[16];

		for (unsigned i = 100; i < 320; i++) {
			snprintf(id, sizeof(id), "m%u", i);
			say(romeo, id);
		}
		juliet = rig_bind(world, JULIET "/balcony");
		world_send(juliet, "<presence/>");
		world_send(romeo,
		    "<message to='" JULIET "' id='new'><body>x</body>"
		    "</message>");
		world_run(world);
		rig_expect(juliet, "<presence/>");
		for (unsigned i = 100; i < 320; i++) {
			snprintf(id, sizeof(id), "m%u", i);
			expect_kept(juliet, id);
		}
		rig_expect(juliet, "<message id='new'/>");
		rig_expect_nothing(juliet);
		world_free(&world);
	}
}

static void
what_was_not_proved_comes_again(void **state)
{
	struct world *world = rig_world(1, 3, ALONE);
	struct world_peer *romeo = rig_bind(world, ROMEO "/orchard");
	struct world_peer *juliet;
	owner_id owner;

	say(romeo, "m1");
	say(romeo, "m2");
	juliet = come(world, JULIET "/balcony", "<presence/>");
	expect_kept(juliet, "m1");
	expect_kept(juliet, "m2");
	world_cut(&juliet);
	world_run(world);

	juliet = come(world, JULIET "/chamber", "<presence/>");
	expect_kept(juliet, "m1");
	expect_kept(juliet, "m2");
	prove(world, juliet);
	owner = rig_account(world, JULIET)->owner.id;
	CHECK_EQUAL(rig_count(world, owner, KIND), 0);
	world_cut(&juliet);
	world_run(world);

	juliet = come(world, JULIET "/chamber", "<presence/>");
	rig_expect_nothing(juliet);
	world_free(&world);
}

static void
two_sessions_do_not_both_get_it(void **state)
{
	for (uint64_t seed = 1; seed <= 20; seed++) {
		struct world *world = rig_world(seed, 0, ALONE);
		struct world_peer *romeo = rig_bind(world, ROMEO "/orchard");
		struct world_peer *first, *second;
		bool has_first, has_second;

		say(romeo, "m1");
		first = rig_bind(world, JULIET "/balcony");
		second = rig_bind(world, JULIET "/chamber");
		world_send(first, "<presence/>");
		world_send(second, "<presence/>");
		world_run(world);
		has_first = rig_finds(first, "<message id='m1'/>");
		has_second = rig_finds(second, "<message id='m1'/>");
		CHECK(has_first != has_second);

		/* The one that has it goes without a proof. */
		world_cut(has_first ? &first : &second);
		world_run(world);
		CHECK(rig_finds(
		    has_first ? second : first, "<message id='m1'/>"));
		world_free(&world);
	}
}

static void
negative_priority_gets_none(void **state)
{
	struct world *world = rig_world(1, 2, ALONE);
	struct world_peer *romeo = rig_bind(world, ROMEO "/orchard");
	struct world_peer *juliet, *other;

	juliet = come(world, JULIET "/balcony",
	    "<presence><priority>-1</priority></presence>");
	say(romeo, "m1");
	rig_expect_nothing(juliet);
	rig_send(juliet, "<presence/>");
	rig_expect(juliet, "<presence/>");
	expect_kept(juliet, "m1");
	prove(world, juliet);

	/* Who read before does not keep them from another one. */
	rig_send(juliet, "<presence><priority>-1</priority></presence>");
	rig_skip(juliet);
	say(romeo, "m2");
	other = rig_bind(world, JULIET "/chamber");
	rig_send(other, "<presence/>");
	CHECK(rig_finds(other, "<message id='m2'/>"));
	CHECK(!rig_finds(juliet, "<message/>"));
	world_free(&world);
}

/* --- what goes wrong -------------------------------------------------------
 */

static void
over_the_quota_is_refused(void **state)
{
	struct world *world =
	    rig_world(1, 2, "quota.offline_messages: 2\n" ALONE);
	struct world_peer *romeo = rig_bind(world, ROMEO "/orchard");
	struct world_peer *juliet;

	say(romeo, "m1");
	say(romeo, "m2");
	rig_expect_nothing(romeo);
	say(romeo, "m3");
	rig_expect(romeo,
	    "<message type='error' id='m3'><error type='cancel'>"
	    "<service-unavailable "
	    "xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></message>");
	juliet = come(world, JULIET "/balcony", "<presence/>");
	expect_kept(juliet, "m1");
	expect_kept(juliet, "m2");
	prove(world, juliet);
	world_cut(&juliet);
	world_run(world);
	say(romeo, "m4");
	rig_expect_nothing(romeo);
	world_free(&world);
}

static void
what_cannot_be_kept_is_refused(void **state)
{
	struct world *world = rig_world(1, 2, ALONE);
	struct world_peer *romeo = rig_bind(world, ROMEO "/orchard");
	struct world_peer *juliet;

	rig_account(world, JULIET);
	world_break_store(world, ERR_UNAVAILABLE);
	say(romeo, "m1");
	rig_expect(romeo, "<message type='error' id='m1'/>");
	world_break_store(world, ERR_NONE);
	say(romeo, "m2");
	juliet = come(world, JULIET "/balcony", "<presence/>");
	expect_kept(juliet, "m2");
	rig_expect_nothing(juliet);
	world_free(&world);
}

/* The store is away while she comes: she gets them when it is back. */
static void
what_cannot_be_read_is_read_later(void **state)
{
	struct world *world = rig_world(1, 2, ALONE);
	struct world_peer *romeo = rig_bind(world, ROMEO "/orchard");
	struct world_peer *juliet;

	say(romeo, "m1");
	juliet = rig_bind(world, JULIET "/balcony");
	world_break_store(world, ERR_UNAVAILABLE);
	rig_send(juliet, "<presence/>");
	rig_expect(juliet, "<presence/>");
	rig_expect_nothing(juliet);
	world_break_store(world, ERR_NONE);
	world_sleep(world, 60000);
	expect_kept(juliet, "m1");
	world_free(&world);
}

static void
a_damaged_row_does_not_stop_the_others(void **state)
{
	struct world *world = rig_world(1, 2, ALONE);
	struct world_peer *romeo = rig_bind(world, ROMEO "/orchard");
	struct world_peer *juliet;

	say(romeo, "m1");
	rig_append(world, JULIET, KIND, "junk");
	world_kill(world);
	world_cut(&romeo);
	romeo = rig_bind(world, ROMEO "/orchard");
	say(romeo, "m2");
	juliet = come(world, JULIET "/balcony", "<presence/>");
	expect_kept(juliet, "m1");
	expect_kept(juliet, "m2");
	rig_expect_nothing(juliet);
	world_free(&world);
}

/* Kept before she blocked him. */
static void
what_a_blocked_contact_said_is_not_sent(void **state)
{
	struct world *world = rig_world(1, 2, ALONE);
	struct world_peer *romeo = rig_bind(world, ROMEO "/orchard");
	struct world_peer *juliet = rig_bind(world, JULIET "/balcony");

	say(romeo, "m1");
	rig_send(juliet,
	    "<iq type='set' id='b'><block xmlns='urn:xmpp:blocking'>"
	    "<item jid='" ROMEO "'/></block></iq>");
	rig_expect(juliet, "<iq type='result' id='b'/>");
	rig_send(juliet, "<presence/>");
	rig_expect(juliet, "<presence/>");
	rig_expect_nothing(juliet);
	world_free(&world);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(only_what_is_worth_it_is_kept),
	    cmocka_unit_test(kept_messages_come_in_order_and_before_new_ones),
	    cmocka_unit_test(what_was_not_proved_comes_again),
	    cmocka_unit_test(two_sessions_do_not_both_get_it),
	    cmocka_unit_test(negative_priority_gets_none),
	    cmocka_unit_test(over_the_quota_is_refused),
	    cmocka_unit_test(what_cannot_be_kept_is_refused),
	    cmocka_unit_test(what_cannot_be_read_is_read_later),
	    cmocka_unit_test(a_damaged_row_does_not_stop_the_others),
	    cmocka_unit_test(what_a_blocked_contact_said_is_not_sent),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

#include "modules/offline.h"

#include "modules/waiting_rig.h"
#include "server/world_private.h"

#define KIND (offline_module.kinds[0])
/* Then what nobody can take waits here and not in the archive. */
#define ALONE "modules: {archive: false}\n"

/* --- what is kept -------------------------------------------------------- */

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
    {"<message " TO "><composing "
     "xmlns='http://jabber.org/protocol/chatstates'/></message>",
	false, NULL},
    {"<message type='chat' " TO "><thread>t</thread><gone "
     "xmlns='http://jabber.org/protocol/chatstates'/></message>",
	false, NULL},
    {"<message " TO "><thread>t</thread></message>", true, NULL},
    {"<message type='chat' " TO "><received xmlns='urn:xmpp:receipts' id='x'/>"
     "</message>",
	true, NULL},
    {"<message " TO "><received xmlns='urn:xmpp:receipts' id='x'/></message>",
	true, NULL},
    {"<message type='chat' " TO "><displayed "
     "xmlns='urn:xmpp:chat-markers:0' id='x'/></message>",
	true, NULL},
    {"<message type='chat' " TO "><body>x</body><request "
     "xmlns='urn:xmpp:receipts'/></message>",
	true, NULL},
    {"<message type='chat' " TO "><received xmlns='urn:xmpp:receipts' id='x'/>"
     "<no-store xmlns='urn:xmpp:hints'/></message>",
	false,
	ERROR "<service-unavailable "
	      "xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error>"
	      "</message>"},
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
		juliet = waiting_come(world, JULIET "/balcony", "<presence/>");
		if (kinds[i].is_kept)
			rig_expect(juliet,
			    "<message id='m1'><delay "
			    "xmlns='urn:xmpp:delay'/></message>");
		rig_expect_nothing(juliet);
		waiting_prove(world, juliet);
		world_cut(&juliet);
		world_run(world);
	}
	world_free(&world);
}

/* --- when it is sent ----------------------------------------------------- */

static void
what_was_not_proved_comes_again(void **state)
{
	struct world *world = rig_world(1, 3, ALONE);
	struct world_peer *romeo = rig_bind(world, ROMEO "/orchard");
	struct world_peer *juliet;
	owner_id owner;

	waiting_say(romeo, "m1");
	waiting_say(romeo, "m2");
	juliet = waiting_come(world, JULIET "/balcony", "<presence/>");
	waiting_expect(juliet, "m1");
	waiting_expect(juliet, "m2");
	world_cut(&juliet);
	world_run(world);

	juliet = waiting_come(world, JULIET "/chamber", "<presence/>");
	waiting_expect(juliet, "m1");
	waiting_expect(juliet, "m2");
	waiting_prove(world, juliet);
	owner = rig_account(world, JULIET)->owner.id;
	CHECK_EQUAL(rig_count(world, owner, KIND), 0);
	world_cut(&juliet);
	world_run(world);

	juliet = waiting_come(world, JULIET "/chamber", "<presence/>");
	rig_expect_nothing(juliet);
	world_free(&world);
}

/* --- what goes wrong ----------------------------------------------------- */

static void
over_the_quota_is_refused(void **state)
{
	struct world *world =
	    rig_world(1, 2, "quota.offline_messages: 2\n" ALONE);
	struct world_peer *romeo = rig_bind(world, ROMEO "/orchard");
	struct world_peer *juliet;

	waiting_say(romeo, "m1");
	waiting_say(romeo, "m2");
	rig_expect_nothing(romeo);
	waiting_say(romeo, "m3");
	rig_expect(romeo,
	    "<message type='error' id='m3'><error type='cancel'>"
	    "<service-unavailable "
	    "xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></message>");
	juliet = waiting_come(world, JULIET "/balcony", "<presence/>");
	waiting_expect(juliet, "m1");
	waiting_expect(juliet, "m2");
	waiting_prove(world, juliet);
	world_cut(&juliet);
	world_run(world);
	waiting_say(romeo, "m4");
	rig_expect_nothing(romeo);
	world_free(&world);
}

static void
a_damaged_row_does_not_stop_the_others(void **state)
{
	waiting_check_damaged_row(ALONE, KIND);
}

/* A row before those that she was sent comes back from her other session, while
 * she wants none, and the server is restarted. */
static void
what_comes_back_late_waits_over_a_restart(void **state)
{
	static const char negative[] =
	    "<presence><priority>-1</priority></presence>";
	struct world *world = rig_world(1, 2, ALONE);
	struct world_peer *romeo = rig_bind(world, ROMEO "/orchard");
	struct world_peer *juliet = rig_bind(world, JULIET "/balcony");
	struct world_peer *other = rig_bind(world, JULIET "/chamber");
	char id[RIG_ID_LEN];

	(void)state;
	rig_enable(romeo, id);
	rig_enable(juliet, id);
	rig_send(juliet, negative);
	rig_send(other, negative);
	rig_send(romeo, "<message type='chat' to='" JULIET
			"/chamber' id='m1'><body>Hi</body></message>");
	world_sleep(world, 1000);
	waiting_say(romeo, "m2");
	rig_send(juliet, "<presence/>");
	CHECK(rig_finds(juliet, "<message id='m2'/>"));
	rig_send(juliet, negative);
	world_cut(&other);
	world_sleep(world, 1000);
	world_restart(world);

	juliet = rig_come_back(
	    world, JULIET, id, 0, "<resumed xmlns='urn:xmpp:sm:3'/>");
	rig_send(juliet, "<presence/>");
	CHECK(rig_finds(juliet, "<message id='m1'/>"));
	world_free(&world);
}

#define SWITCHED(offline)                                      \
	"hosts: {montague.example: {}, capulet.example: {}}\n" \
	"modules: {archive: false, offline: " offline "}\n"

/* Who read before it was switched off may be gone when it is on again. */
static void
who_reads_may_go_unseen(void **state)
{
	struct world *world = rig_world(1, 0, ALONE);
	struct world_peer *romeo = rig_bind(world, ROMEO "/orchard");
	struct world_peer *juliet;

	(void)state;
	rig_send(romeo, "<message " TO "><body>x</body></message>");
	juliet = rig_login(world, JULIET "/balcony");
	rig_skip(juliet);
	(void)rig_login(world, JULIET "/chamber");
	world_reload(world, SWITCHED("false"));
	world_sleep(world, 1000);
	world_cut(&juliet);
	world_sleep(world, 1000);
	world_reload(world, SWITCHED("true"));
	world_sleep(world, 1000);
	juliet = rig_bind(world, JULIET "/garden");
	rig_send(juliet, "<presence/>");
	CHECK(rig_finds(juliet, "<message id='m1'/>"));
	world_free(&world);
}

static void
who_is_to_read_on_may_go_unseen(void **state)
{
	(void)state;
	waiting_check_unseen_reader(SWITCHED("true"), SWITCHED("false"));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(only_what_is_worth_it_is_kept),
	    cmocka_unit_test_prestate(
		waiting_kept_messages_come_in_order_and_before_new_ones,
		(void *)ALONE),
	    cmocka_unit_test(what_was_not_proved_comes_again),
	    cmocka_unit_test_prestate(
		waiting_two_sessions_do_not_both_get_it, (void *)ALONE),
	    cmocka_unit_test_prestate(
		waiting_a_proof_is_of_what_came_before, (void *)ALONE),
	    cmocka_unit_test_prestate(
		waiting_negative_priority_gets_none, (void *)ALONE),
	    cmocka_unit_test(over_the_quota_is_refused),
	    cmocka_unit_test_prestate(
		waiting_what_cannot_be_kept_is_refused, (void *)ALONE),
	    cmocka_unit_test_prestate(
		waiting_what_may_be_kept_is_not_refused, (void *)ALONE),
	    cmocka_unit_test_prestate(
		waiting_what_cannot_be_read_is_read_before_what_is_new,
		(void *)ALONE),
	    cmocka_unit_test_prestate(
		waiting_nobody_waits_long_for_what_cannot_be_read,
		(void *)ALONE),
	    cmocka_unit_test_prestate(
		waiting_who_comes_later_waits_as_long, (void *)ALONE),
	    cmocka_unit_test_prestate(
		waiting_what_may_be_kept_comes_once, (void *)ALONE),
	    cmocka_unit_test_prestate(
		waiting_what_may_be_kept_comes_before_what_is_new,
		(void *)ALONE),
	    cmocka_unit_test_prestate(
		waiting_what_comes_while_others_are_read_comes_too,
		(void *)ALONE),
	    cmocka_unit_test_prestate(
		waiting_who_turns_negative_gets_no_more, (void *)ALONE),
	    cmocka_unit_test_prestate(
		waiting_who_goes_and_comes_back_has_it_once, (void *)ALONE),
	    cmocka_unit_test_prestate(
		waiting_nobody_waits_for_who_does_not_read, (void *)ALONE),
	    cmocka_unit_test_prestate(
		waiting_order_is_kept_over_a_restart, (void *)ALONE),
	    cmocka_unit_test_prestate(
		waiting_order_is_kept_by_who_turns_negative, (void *)ALONE),
	    cmocka_unit_test(what_comes_back_late_waits_over_a_restart),
	    cmocka_unit_test(who_reads_may_go_unseen),
	    cmocka_unit_test(who_is_to_read_on_may_go_unseen),
	    cmocka_unit_test(a_damaged_row_does_not_stop_the_others),
	    cmocka_unit_test_prestate(
		waiting_what_a_blocked_contact_said_is_not_sent, (void *)ALONE),
	    cmocka_unit_test_prestate(
		waiting_others_come_though_most_are_blocked, (void *)ALONE),
	    cmocka_unit_test_prestate(
		waiting_large_ones_come_in_parts, (void *)ALONE),
	    cmocka_unit_test_prestate(
		waiting_more_than_the_queue_comes_in_parts, (void *)ALONE),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

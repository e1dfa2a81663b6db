#include "modules/offline.h"

#include "modules/waiting_rig.h"
#include "server/world_private.h"

#define KIND (offline_module.kinds[0])
/* Then what nobody can take waits here and not in the archive. */
#define ALONE "modules: {archive: false}\n"

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

/* --- when it is sent -------------------------------------------------------
 */

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

/* --- what goes wrong -------------------------------------------------------
 */

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
	struct world *world = rig_world(1, 2, ALONE);
	struct world_peer *romeo = rig_bind(world, ROMEO "/orchard");
	struct world_peer *juliet;

	waiting_say(romeo, "m1");
	rig_append(world, JULIET, KIND, "junk");
	world_kill(world);
	world_cut(&romeo);
	romeo = rig_bind(world, ROMEO "/orchard");
	waiting_say(romeo, "m2");
	juliet = waiting_come(world, JULIET "/balcony", "<presence/>");
	waiting_expect(juliet, "m1");
	waiting_expect(juliet, "m2");
	rig_expect_nothing(juliet);
	world_free(&world);
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
		waiting_what_cannot_be_read_is_read_later, (void *)ALONE),
	    cmocka_unit_test(a_damaged_row_does_not_stop_the_others),
	    cmocka_unit_test_prestate(
		waiting_what_a_blocked_contact_said_is_not_sent, (void *)ALONE),
	    cmocka_unit_test_prestate(
		waiting_others_come_though_most_are_blocked, (void *)ALONE),
	    cmocka_unit_test_prestate(
		waiting_more_than_the_queue_comes_in_parts, (void *)ALONE),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

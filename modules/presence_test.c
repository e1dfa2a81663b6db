#include "modules/presence.h"

#include "modules/last.h"
#include "modules/modules_rig.h"
#include "modules/roster.h"
#include "server/world_private.h"

/* RFC 6121, sections 4.2 to 4.5: who comes, changes and goes is seen by whom
 * the subscription says. */
static void
contacts_see_who_comes_and_goes(void **state)
{
	for (uint64_t seed = 1; seed <= 20; seed++) {
		struct world *world = rig_world(seed, 0, NULL);
		struct world_peer *romeo, *juliet;

		rig_put_subs(world, SUB_FROM, SUB_TO);
		juliet = rig_login(world, JULIET "/balcony");
		romeo = rig_login(world, ROMEO "/orchard");
		rig_expect(juliet,
		    "<presence from='" ROMEO "/orchard' type='{none}'/>");
		rig_send(romeo, "<presence><show>away</show></presence>");
		rig_skip(romeo);
		rig_expect(juliet, "<presence><show>away</show></presence>");
		/* He does not see her. */
		rig_send(juliet, "<presence><show>dnd</show></presence>");
		rig_skip(juliet);
		rig_expect_nothing(romeo);
		if (seed % 3 == 0)
			world_cut(&romeo);
		else if (seed % 3 == 1)
			rig_send(romeo, "</stream:stream>");
		else
			rig_send(romeo, "<presence type='unavailable'>"
					"<status>Bye</status></presence>");
		world_sleep(world, 5000);
		rig_expect(juliet,
		    "<presence from='" ROMEO "/orchard' type='unavailable'/>");
		rig_expect_nothing(juliet);
		world_free(&world);
	}
}

/* Section 4.3: a newcomer is told of those who are there. */
static void
a_newcomer_sees_who_is_there(void **state)
{
	for (uint64_t seed = 1; seed <= 20; seed++) {
		struct world *world = rig_world(seed, 0, NULL);
		struct world_peer *romeo, *other, *juliet;

		rig_put_subs(world, SUB_FROM, SUB_TO);
		romeo = rig_login(world, ROMEO "/orchard");
		other = rig_bind(world, ROMEO "/garden");
		rig_send(romeo, "<presence><show>away</show></presence>");
		rig_skip(romeo);
		juliet = rig_bind(world, JULIET "/balcony");
		rig_send(juliet, "<presence/>");
		rig_expect(juliet, "<presence from='" JULIET "/balcony'/>");
		rig_expect(juliet, "<presence from='" ROMEO
				   "/orchard'><show>away</show></presence>");
		rig_expect_nothing(juliet);
		rig_expect_nothing(romeo);
		rig_expect_nothing(other);
		world_free(&world);
	}
}

/* Section 4.6: directed presence is shared until it is taken back, or the
 * session goes in whatever way. */
static void
directed_presence_ends_with_the_session(void **state)
{
	for (uint64_t seed = 1; seed <= 20; seed++) {
		struct world *world = rig_world(seed, 0, NULL);
		struct world_peer *romeo = rig_bind(world, ROMEO "/orchard");
		struct world_peer *juliet = rig_login(world, JULIET "/balcony");

		rig_send(romeo, "<presence to='" JULIET "/balcony'/>");
		rig_expect(juliet, "<presence from='" ROMEO "/orchard'/>");
		rig_send(juliet, "<iq type='get' id='p' to='" ROMEO
				 "/orchard'><ping xmlns='urn:xmpp:ping'/>"
				 "</iq>");
		rig_expect(romeo, "<iq type='get' id='p'/>");
		if (seed % 2 == 0)
			world_cut(&romeo);
		else
			rig_send(romeo,
			    "<presence type='unavailable' to='" JULIET
			    "/balcony'/>");
		world_run(world);
		rig_expect(juliet,
		    "<presence type='unavailable' from='" ROMEO "/orchard'/>");
		rig_expect_nothing(juliet);
		if (romeo != NULL) {
			rig_send(juliet,
			    "<iq type='get' id='p' to='" ROMEO "/orchard'>"
			    "<ping xmlns='urn:xmpp:ping'/></iq>");
			rig_expect(juliet,
			    RIG_ERROR("p", "cancel", "service-unavailable"));
			rig_expect_nothing(romeo);
		}
		world_free(&world);
	}
}

static const struct rig_talk priorities[] = {
    {"<presence><priority>127</priority></presence>", "<presence/>"},
    {"<presence><priority>-128</priority></presence>", "<presence/>"},
    {"<presence id='p'><priority>128</priority></presence>",
	"<presence type='error' id='p'/>"},
    {"<presence id='p'><priority>x</priority></presence>",
	"<presence type='error' id='p'/>"},
};

static void
priorities_are_checked(void **state)
{
	struct world *world = rig_world(1, 2, NULL);
	struct world_peer *romeo = rig_bind(world, ROMEO "/orchard");

	rig_talks(romeo, priorities, COUNT_OF(priorities));
	world_free(&world);
}

static void
directed_presence_has_a_limit(void **state)
{
	struct world *world = rig_world(1, 2, "presence.directed: 1\n");
	struct world_peer *romeo = rig_bind(world, ROMEO "/orchard");

	rig_send(romeo, "<presence to='" JULIET "'/>");
	rig_expect_nothing(romeo);
	rig_send(romeo, "<presence to='" JULIET "'/>");
	rig_expect_nothing(romeo);
	rig_send(romeo, "<presence to='nurse@capulet.example' id='p'/>");
	rig_expect(romeo, "<presence type='error' id='p'/>");
	world_free(&world);
}

/* A clock that was set back since: XEP-0012, section 3. */
static void
nobody_was_seen_in_the_future(void **state)
{
	struct world *world = rig_world(1, 2, NULL);
	struct world_peer *juliet;

	(void)state;
	rig_put_subs(world, SUB_FROM, SUB_TO);
	rig_put(world, ROMEO, last_module.kinds[0], "", "9999999999999999");
	world_kill(world);
	juliet = rig_login(world, JULIET "/balcony");
	rig_skip(juliet);
	rig_send(juliet, "<iq type='get' id='l' to='" ROMEO
			 "'><query xmlns='jabber:iq:last'/></iq>");
	rig_expect(juliet, "<iq type='result' id='l'><query "
			   "xmlns='jabber:iq:last' seconds='0'/></iq>");
	world_free(&world);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(contacts_see_who_comes_and_goes),
	    cmocka_unit_test(a_newcomer_sees_who_is_there),
	    cmocka_unit_test(directed_presence_ends_with_the_session),
	    cmocka_unit_test(priorities_are_checked),
	    cmocka_unit_test(directed_presence_has_a_limit),
	    cmocka_unit_test(nobody_was_seen_in_the_future),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

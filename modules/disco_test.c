/*
 * What is asked of host and accounts and answered at once: disco, version,
 * time, ping, last activity, contact addresses; and forged stanza ids.
 */
#include "modules/disco.h"

#include "modules/modules_rig.h"
#include "modules/roster.h"
#include "server/world_private.h"

#define ASK(to, payload) "<iq type='get' id='q' to='" to "'>" payload "</iq>"
#define HOST             "montague.example"
#define RESULT(payload)  "<iq type='result' id='q'>" payload "</iq>"
#define HIDDEN           RIG_ERROR("q", "cancel", "service-unavailable")
#define INFO             "<query xmlns='" NS_DISCO_INFO "'/>"
#define ITEMS            "<query xmlns='" NS_DISCO_ITEMS "'/>"
#define SOME_ITEMS       "<query xmlns='" NS_DISCO_ITEMS "' node='some'/>"
#define NO_ITEMS(attrs) \
	RESULT("<query xmlns='" NS_DISCO_ITEMS "'" attrs ">{only}</query>")
#define LAST "<query xmlns='jabber:iq:last'/>"
#define PING "<ping xmlns='urn:xmpp:ping'/>"

/* By Romeo, whom Juliet lets see her presence, and not the nurse. */
static const struct rig_talk talks[] = {
    {ASK(HOST, INFO),
	RESULT("<query xmlns='" NS_DISCO_INFO "'>"
	       "<identity category='server' type='im'/>"
	       "<feature var='" NS_DISCO_INFO "'/>"
	       "<feature var='msgoffline'/><feature var='urn:xmpp:ping'/>"
	       "<feature var='vcard-temp'/><feature var='urn:xmpp:blocking'/>"
	       "<x xmlns='jabber:x:data'><field var='FORM_TYPE'>"
	       "<value>http://jabber.org/network/serverinfo</value></field>"
	       "<field var='abuse-addresses'>"
	       "<value>mailto:abuse@montague.example</value></field></x>"
	       "</query>")},
    {ASK(HOST, "<query xmlns='" NS_DISCO_INFO "' node='none'/>"),
	RIG_ERROR("q", "cancel", "item-not-found")},
    {ASK(HOST, ITEMS), RESULT("<query xmlns='" NS_DISCO_ITEMS "'/>")},
    {ASK(ROMEO, INFO),
	RESULT("<query xmlns='" NS_DISCO_INFO "'>"
	       "<identity category='account' type='registered'/></query>")},
    {ASK(JULIET, INFO),
	RESULT("<query xmlns='" NS_DISCO_INFO "'>"
	       "<identity category='account' type='registered'/></query>")},
    {ASK("nurse@capulet.example", INFO), HIDDEN},
    {ASK("nobody@capulet.example", INFO), HIDDEN},
    {ASK("nurse@capulet.example", ITEMS), NO_ITEMS("")},
    {ASK("nobody@capulet.example", ITEMS), NO_ITEMS("")},
    {ASK("nurse@capulet.example", SOME_ITEMS), NO_ITEMS(" node='some'")},
    {ASK("nobody@capulet.example", SOME_ITEMS), NO_ITEMS(" node='some'")},
    {ASK("nobody@capulet.example/x", ITEMS), HIDDEN},
    {ASK(ROMEO, ITEMS), RESULT("<query xmlns='" NS_DISCO_ITEMS
			       "'><item jid='" ROMEO "/orchard'/></query>")},
    {ASK(HOST, "<query xmlns='jabber:iq:version'/>"),
	RESULT("<query xmlns='jabber:iq:version'><name>Jackdaw</name>"
	       "<version>{any}</version><os>{not}</os></query>")},
    {ASK(HOST, "<time xmlns='urn:xmpp:time'/>"),
	RESULT("<time xmlns='urn:xmpp:time'><tzo>+00:00</tzo>"
	       "<utc>{time}</utc></time>")},
    {ASK(HOST, PING), RESULT("")},
    {ASK(ROMEO, PING), RESULT("")},
    {ASK(JULIET, PING), HIDDEN},
    {ASK("nobody@capulet.example", PING), HIDDEN},
    {ASK(HOST, LAST),
	RESULT("<query xmlns='jabber:iq:last' seconds='{number}'/>")},
    {ASK(JULIET, LAST),
	RESULT("<query xmlns='jabber:iq:last' seconds='100'/>")},
    {ASK("nurse@capulet.example", LAST), "<iq type='error' id='q'/>"},
    {ASK(HOST, "<query xmlns='none:such'/>"), HIDDEN},
    {ASK(HOST, ""), "<iq type='error' id='q'/>"},
};

static void
questions_are_answered(void **state)
{
	struct world *world = rig_world(
	    1, 3, "contact.abuse: [\"mailto:abuse@montague.example\"]\n");
	struct world_peer *romeo, *juliet;

	world_add_account(world, "nurse@capulet.example", NULL);
	rig_put_sub(world, JULIET, ROMEO, SUB_FROM);
	world_kill(world);
	juliet = rig_login(world, JULIET "/balcony");
	rig_send(juliet, "<presence type='unavailable'/>");
	world_cut(&juliet);
	world_sleep(world, 100000);
	romeo = rig_login(world, ROMEO "/orchard");
	rig_talks(romeo, talks, COUNT_OF(talks));
	world_free(&world);
}

static void
the_operating_system_is_told_when_wanted(void **state)
{
	struct world *world = rig_world(1, 2, "version.show_system: true\n");
	struct world_peer *romeo = rig_bind(world, ROMEO "/orchard");

	rig_send(romeo, ASK(HOST, "<query xmlns='jabber:iq:version'/>"));
	rig_expect(romeo,
	    RESULT("<query xmlns='jabber:iq:version'><name>Jackdaw</name>"
		   "<version>{any}</version><os>Linux</os></query>"));
	world_free(&world);
}

#define SID(by) "<stanza-id xmlns='urn:xmpp:sid:0' id='1' by='" by "'/>"

/* XEP-0359, section 3: only what claims to be by her own account goes. */
static void
forged_stanza_ids_go(void **state)
{
	struct world *world = rig_world(1, 2, NULL);
	struct world_peer *romeo = rig_bind(world, ROMEO "/orchard");
	struct world_peer *juliet = rig_login(world, JULIET "/balcony");

	rig_send(romeo, "<message to='" JULIET "' id='m'><body>x</body>" SID(
			    JULIET) SID("room@x.example") "</message>");
	rig_expect(juliet,
	    "<message id='m'><stanza-id xmlns='urn:xmpp:sid:0' "
	    "by='room@x.example'/><stanza-id xmlns='urn:xmpp:sid:0' id='1' "
	    "by='" JULIET "'>{not}</stanza-id></message>");
	world_free(&world);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(questions_are_answered),
	    cmocka_unit_test(the_operating_system_is_told_when_wanted),
	    cmocka_unit_test(forged_stanza_ids_go),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

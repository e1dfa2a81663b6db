#include "modules/client_state.h"

#include "modules/modules_rig.h"
#include "server/world_private.h"

#define CSI      "urn:xmpp:csi:0"
#define INACTIVE "<inactive xmlns='" CSI "'/>"
#define ACTIVE   "<active xmlns='" CSI "'/>"
#define STATES   "http://jabber.org/protocol/chatstates"
#define PHONE    JULIET "/phone"
#define MUC      "http://jabber.org/protocol/muc#user"

/* What Romeo sends, and whether it waits. */
static const struct {
	const char *xml;
	bool waits;
} stanzas[] = {
    {"<presence to='" PHONE "'/>", true},
    {"<presence to='" PHONE "' type='unavailable'/>", true},
    {"<presence to='" JULIET "' type='unsubscribe'/>", false},
    {"<presence to='" PHONE "' type='error'/>", false},
    {"<presence to='" PHONE "'><x xmlns='" MUC "'/></presence>", true},
    {"<presence to='" PHONE "'><x xmlns='" MUC
     "'><status code='110'/></x></presence>",
	false},
    {"<message type='chat' to='" PHONE "'><composing xmlns='" STATES
     "'/></message>",
	true},
    {"<message to='" PHONE "'><paused xmlns='" STATES
     "'/><no-store xmlns='urn:xmpp:hints'/><thread>t</thread></message>",
	true},
    {"<message type='chat' to='" PHONE "'><gone xmlns='" STATES
     "'/><store xmlns='urn:xmpp:hints'/></message>",
	false},
    {"<message type='groupchat' to='" PHONE "'><active xmlns='" STATES
     "'/></message>",
	true},
    {"<message type='error' to='" PHONE "'><active xmlns='" STATES
     "'/></message>",
	false},
    {"<message type='chat' to='" PHONE "'><body>x</body><active xmlns='" STATES
     "'/></message>",
	false},
    {"<message type='chat' to='" PHONE "'/>", false},
    {"<message to='" PHONE "'><received xmlns='urn:xmpp:receipts'/></message>",
	false},
    {"<message to='" PHONE
     "'><displayed xmlns='urn:xmpp:chat-markers:0'/></message>",
	false},
    {"<message to='" PHONE "'><encrypted xmlns='urn:xmpp:omemo:2'/></message>",
	false},
    {"<message type='groupchat' to='" PHONE "'><subject>x</subject></message>",
	false},
    {"<message type='headline' to='" PHONE "'><body>x</body></message>", false},
    {"<iq type='get' id='i' to='" PHONE "'><ping xmlns='urn:xmpp:ping'/></iq>",
	false},
};

struct stage {
	struct world *world;
	struct world_peer *romeo, *phone;
};

/* They see each other's presence. */
static struct stage
stage(uint64_t seed, const char *yaml)
{
	struct stage on = {.world = rig_world(seed, 0, yaml)};

	on.romeo = rig_login(on.world, ROMEO "/orchard");
	on.phone = rig_login(on.world, PHONE);
	rig_send(on.romeo, "<presence type='subscribe' to='" JULIET "'/>");
	rig_send(on.phone, "<presence type='subscribed' to='" ROMEO "'/>");
	rig_send(on.phone, "<presence type='subscribe' to='" ROMEO "'/>");
	rig_send(on.romeo, "<presence type='subscribed' to='" JULIET "'/>");
	rig_skip(on.romeo);
	rig_skip(on.phone);
	return on;
}

static struct stage
quiet_stage(uint64_t seed, const char *yaml)
{
	struct stage on = stage(seed, yaml);

	rig_send(on.phone,
	    "<iq type='get' id='r'><query xmlns='jabber:iq:roster'/></iq>");
	rig_skip(on.phone);
	rig_send(on.phone, INACTIVE);
	rig_expect_nothing(on.phone);
	return on;
}

static void
what_matters_goes_at_once(void **state)
{
	for (size_t i = 0; i < COUNT_OF(stanzas); i++) {
		struct stage on = quiet_stage(i, NULL);

		rig_send(on.romeo, stanzas[i].xml);
		if (stanzas[i].waits)
			rig_expect_nothing_at(on.phone, stanzas[i].xml, (int)i);
		rig_send(on.phone, ACTIVE);
		if (world_next(on.phone) == NULL) {
			print_error("lost: %s\n", stanzas[i].xml);
			fail();
		}
		world_free(&on.world);
	}
}

static void
show(struct world_peer *peer, const char *show)
{
	char xml[100];

	snprintf(
	    xml, sizeof(xml), "<presence><show>%s</show></presence>", show);
	rig_send(peer, xml);
}

static void
only_the_last_of_each_is_kept_and_goes_first(void **state)
{
	struct stage on = quiet_stage(1, NULL);
	struct world_peer *other = rig_login(on.world, ROMEO "/other");

	show(on.romeo, "away");
	rig_send(other, "<message type='chat' to='" PHONE
			"'><composing xmlns='" STATES "'/></message>");
	show(on.romeo, "dnd");
	show(other, "xa");
	rig_send(other, "<message type='chat' to='" PHONE
			"'><paused xmlns='" STATES "'/></message>");
	rig_expect_nothing(on.phone);
	rig_send(on.romeo,
	    "<message type='chat' to='" PHONE "' id='m'><body>x</body>"
	    "</message>");
	rig_expect(on.phone, "<presence from='" ROMEO "/orchard' to='" JULIET
			     "'><show>dnd</show></presence>");
	rig_expect(on.phone,
	    "<presence from='" ROMEO "/other'><show>xa</show></presence>");
	rig_expect(on.phone, "<message from='" ROMEO
			     "/other'><paused xmlns='" STATES "'/></message>");
	rig_expect(on.phone, "<message id='m'/>");
	rig_expect_nothing(on.phone);
	show(on.romeo, "chat");
	rig_expect_nothing(on.phone);
	world_free(&on.world);
}

/* Section 5.1. */
static void
an_active_client_has_it_before_the_next_answer(void **state)
{
	struct stage on = quiet_stage(2, NULL);

	show(on.romeo, "away");
	rig_send(on.phone, ACTIVE "<iq type='get' id='p' to='capulet.example'>"
				  "<ping xmlns='urn:xmpp:ping'/></iq>");
	rig_expect(on.phone, "<presence><show>away</show></presence>");
	rig_expect(on.phone, "<iq type='result' id='p'/>");
	show(on.romeo, "dnd");
	rig_expect(on.phone, "<presence><show>dnd</show></presence>");
	world_free(&on.world);
}

static void
copies_of_chat_states_wait_too(void **state)
{
	struct stage on = stage(3, NULL);
	struct world_peer *laptop = rig_login(on.world, JULIET "/laptop");

	rig_send(on.phone,
	    "<iq type='set' id='e'><enable xmlns='urn:xmpp:carbons:2'/></iq>");
	rig_skip(on.phone);
	rig_send(on.phone, INACTIVE);
	rig_send(laptop, "<message type='chat' to='" ROMEO
			 "/orchard'><composing xmlns='" STATES "'/></message>");
	rig_send(on.romeo, "<message type='chat' to='" JULIET
			   "/laptop'><active xmlns='" STATES "'/></message>");
	rig_expect_nothing(on.phone);
	rig_send(on.romeo,
	    "<message type='chat' to='" JULIET "/laptop'><body>x</body>"
	    "</message>");
	rig_expect(
	    on.phone, "<message><sent xmlns='urn:xmpp:carbons:2'/></message>");
	rig_expect(on.phone,
	    "<message><received xmlns='urn:xmpp:carbons:2'/></message>");
	rig_expect(on.phone,
	    "<message><received xmlns='urn:xmpp:carbons:2'/></message>");
	rig_expect_nothing(on.phone);
	world_free(&on.world);
}

static void
send_from(struct world_peer *romeo, unsigned number)
{
	char xml[200];

	snprintf(xml, sizeof(xml),
	    "<message type='chat' to='" PHONE "'><x xmlns='%u'/></message>",
	    number);
	rig_send(romeo, xml);
}

static unsigned
count_of(struct world_peer *peer)
{
	unsigned count = 0;

	while (world_next(peer) != NULL)
		count++;
	return count;
}

/* As many resources as it takes. */
static void
what_is_held_has_a_limit(void **state)
{
	struct stage on = quiet_stage(4, "client_state: {held: 3}\n");
	char jid[64];

	for (unsigned i = 0; i < 4; i++) {
		struct world_peer *peer;

		rig_expect_nothing(on.phone);
		snprintf(jid, sizeof(jid), "%s/r%u", ROMEO, i);
		peer = rig_bind(on.world, jid);
		rig_send(peer, "<presence/>");
	}
	CHECK_EQUAL(count_of(on.phone), 4);
	world_free(&on.world);
}

static void
with_a_limit_of_none_nothing_is_held(void **state)
{
	struct stage on = quiet_stage(5, "client_state: {held: 0}\n");

	show(on.romeo, "away");
	rig_expect(on.phone, "<presence/>");
	world_free(&on.world);
}

static void
many_bytes_are_a_limit_too(void **state)
{
	struct stage on = quiet_stage(6, NULL);
	static char xml[100 * 1024];

	for (unsigned i = 0; i < 3; i++) {
		char jid[64];
		struct world_peer *peer;

		rig_expect_nothing(on.phone);
		snprintf(jid, sizeof(jid), "%s/r%u", ROMEO, i);
		peer = rig_bind(on.world, jid);
		snprintf(xml, sizeof(xml),
		    "<presence to='" PHONE "'><status>%090000d</status>"
		    "</presence>",
		    0);
		rig_send(peer, xml);
	}
	CHECK_EQUAL(count_of(on.phone), 3);
	world_free(&on.world);
}

static void
a_resumed_client_is_active(void **state)
{
	struct stage on = stage(7, NULL);
	char id[RIG_ID_LEN];

	rig_enable(on.phone, id);
	rig_send(on.phone, INACTIVE);
	show(on.romeo, "away");
	world_cut(&on.phone);
	world_run(on.world);
	show(on.romeo, "dnd");
	on.phone = rig_come_back(
	    on.world, JULIET, id, 0, "<resumed xmlns='urn:xmpp:sm:3'/>");
	rig_expect(on.phone, "<presence><show>dnd</show></presence>");
	show(on.romeo, "away");
	CHECK(rig_finds(on.phone, "<presence><show>away</show></presence>"));
	world_free(&on.world);
}

/* Also what came while it waited for its client. */
static void
what_is_held_survives_a_restart(void **state)
{
	struct stage on = stage(9, NULL);
	char id[RIG_ID_LEN], xml[256];

	(void)state;
	rig_enable(on.phone, id);
	snprintf(xml, sizeof(xml),
	    "<resume xmlns='urn:xmpp:sm:3' previd='%s' h='0'/>", id);
	rig_send(on.phone, INACTIVE);
	world_cut(&on.phone);
	world_run(on.world);
	rig_send(on.romeo, "<presence type='unavailable'/>");
	world_restart(on.world);
	world_run(on.world);
	on.phone = world_connect(on.world, JULIET);
	rig_send(on.phone, xml);
	CHECK(rig_finds(on.phone, "<resumed xmlns='urn:xmpp:sm:3'/>"));
	rig_expect(on.phone,
	    "<presence type='unavailable' from='" ROMEO "/orchard'/>");
	world_free(&on.world);
}

/* The presence of a session says nothing of it, and the other way round. */
static void
other_sessions_go_on(void **state)
{
	struct stage on = quiet_stage(8, NULL);
	struct world_peer *laptop = rig_login(on.world, JULIET "/laptop");

	rig_expect_nothing(on.phone);
	show(on.romeo, "away");
	rig_expect(laptop, "<presence><show>away</show></presence>");
	rig_expect_nothing(on.phone);
	show(on.phone, "chat");
	CHECK(rig_finds(on.phone,
	    "<presence from='" PHONE "'><show>chat</show></presence>"));
	show(on.romeo, "xa");
	rig_expect_nothing(on.phone);
	send_from(on.romeo, 1);
	CHECK_EQUAL(count_of(on.phone), 2);
	show(on.romeo, "away");
	world_cut(&on.phone);
	world_free(&on.world);
}

/* While what waited for her is read, what came since waits behind it: a
 * presence that is held back must not pass what its sender said before. */
static void
what_is_held_does_not_overtake(void **state)
{
	(void)state;
	for (uint64_t seed = 1; seed <= 10; seed++) {
		struct stage on = quiet_stage(seed, NULL);

		rig_send(
		    on.phone, "<presence><priority>-1</priority></presence>");
		rig_send(on.romeo, "<message type='chat' to='" JULIET
				   "' id='old'><body>x</body></message>");
		world_sleep(on.world, 1000);
		world_hold_store(on.world, true);
		rig_send(on.phone, "<presence/>");
		rig_send(on.romeo, "<message type='chat' to='" PHONE
				   "' id='new'><body>x</body></message>");
		rig_send(on.romeo,
		    "<presence to='" PHONE "'><show>away</show></presence>");
		CHECK(!rig_finds(on.phone, "<message/>"));
		world_hold_store(on.world, false);
		world_sleep(on.world, 1000);
		rig_send(on.phone, ACTIVE);
		CHECK(rig_finds(on.phone, "<message id='old'/>"));
		CHECK(rig_finds(on.phone, "<message id='new'/>"));
		CHECK(rig_finds(on.phone,
		    "<presence from='" ROMEO "/orchard'><show>away</show>"
		    "</presence>"));
		world_free(&on.world);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(what_matters_goes_at_once),
	    cmocka_unit_test(only_the_last_of_each_is_kept_and_goes_first),
	    cmocka_unit_test(an_active_client_has_it_before_the_next_answer),
	    cmocka_unit_test(copies_of_chat_states_wait_too),
	    cmocka_unit_test(what_is_held_has_a_limit),
	    cmocka_unit_test(with_a_limit_of_none_nothing_is_held),
	    cmocka_unit_test(many_bytes_are_a_limit_too),
	    cmocka_unit_test(a_resumed_client_is_active),
	    cmocka_unit_test(what_is_held_survives_a_restart),
	    cmocka_unit_test(other_sessions_go_on),
	    cmocka_unit_test(what_is_held_does_not_overtake),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

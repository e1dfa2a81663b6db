/* What is told to several devices, and acknowledged by some. */
#include "modules/had.h"

#include "modules/waiting_rig.h"

#define SM      "urn:xmpp:sm:3"
#define SHORT   "sessions.resume: 20 s\n"
#define ALONE   SHORT "modules: {archive: false}\n"
#define TO_ALL  "<message type='chat' to='" JULIET "' id='m1'>"
#define TO_ONE  "<message type='chat' to='" JULIET "/balcony' id='m1'>"
#define BODY    "<body>Hi</body>"
#define NO_HINT "<no-store xmlns='urn:xmpp:hints'/>"
#define STATE   "<composing xmlns='http://jabber.org/protocol/chatstates'/>"
#define END     "</message>"

/* Two of hers: a letter goes to the balcony itself, the chamber has its bytes
 * or a copy (XEP-0280). */
struct talk {
	struct world *world;
	struct world_peer *romeo, *chamber, *balcony;
	char romeo_id[RIG_ID_LEN], chamber_id[RIG_ID_LEN],
	    balcony_id[RIG_ID_LEN];
};

static struct talk
talk_new(uint64_t seed, const char *yaml)
{
	struct talk talk = {.world = rig_world(seed, 0, yaml)};

	talk.romeo = rig_bind(talk.world, ROMEO "/orchard");
	talk.chamber = rig_login(talk.world, JULIET "/chamber");
	talk.balcony = rig_login(talk.world, JULIET "/balcony");
	rig_send(talk.chamber,
	    "<iq type='set' id='c'><enable xmlns='urn:xmpp:carbons:2'/></iq>");
	rig_skip(talk.chamber);
	rig_enable(talk.chamber, talk.chamber_id);
	rig_enable(talk.balcony, talk.balcony_id);
	return talk;
}

static const struct {
	const char *yaml, *sent;
	bool is_counted; /* he waits to hear that it is kept */
} rows[] = {
    {SHORT, TO_ALL BODY NO_HINT END, false},
    {SHORT, TO_ALL BODY NO_HINT END, true},
    {SHORT, TO_ALL STATE END, true},
    {SHORT, TO_ONE BODY NO_HINT END, true},
    {SHORT, TO_ONE STATE END, false},
    {SHORT, "<message type='headline' to='" JULIET "' id='m1'>" BODY END, true},
    {ALONE, TO_ALL BODY END, false},
    {ALONE, TO_ALL BODY END, true},
    {ALONE, TO_ONE BODY END, false},
    {ALONE, TO_ONE BODY END, true},
};

static bool
has(struct world_peer *peer)
{
	return rig_hears(peer, "id='m1'") > 0;
}

static struct talk
say(uint64_t seed, size_t i)
{
	struct talk talk = talk_new(seed, rows[i].yaml);

	if (rows[i].is_counted)
		rig_enable(talk.romeo, talk.romeo_id);
	rig_send(talk.romeo, rows[i].sent);
	CHECK(has(talk.chamber));
	CHECK(has(talk.balcony));
	return talk;
}

static void
what_another_acknowledged_is_settled(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		struct talk talk = say(i + 1, i);

		rig_send(talk.chamber, "<a xmlns='" SM "' h='1'/>");
		world_sleep(talk.world, 100);
		rig_send(
		    talk.romeo, "<message to='" JULIET "/chamber' id='m2'/>");
		world_cut(&talk.balcony);
		world_sleep(talk.world, 60 * 1000);
		if (has(talk.chamber))
			fail_msg("row %zu comes twice", i);
		world_free(&talk.world);
	}
}

/* Whoever of them ends first. */
static void
what_nobody_acknowledged_is_not_lost(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		struct talk talk = say(i + 1, i);
		struct world_peer *garden;

		world_cut(i % 2 == 0 ? &talk.chamber : &talk.balcony);
		world_sleep(talk.world, 10 * 1000);
		world_cut(i % 2 == 0 ? &talk.balcony : &talk.chamber);
		world_sleep(talk.world, 60 * 1000);
		garden = rig_bind(talk.world, JULIET "/garden");
		rig_send(garden, "<presence/>");
		if (strstr(rows[i].sent, "<body>") != NULL &&
		    strstr(rows[i].sent, "headline") == NULL && !has(garden) &&
		    !has(talk.romeo))
			fail_msg("row %zu is lost", i);
		world_free(&talk.world);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(what_another_acknowledged_is_settled),
	    cmocka_unit_test(what_nobody_acknowledged_is_not_lost),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

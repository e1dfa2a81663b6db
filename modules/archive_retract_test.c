/* Who takes back a message (XEP-0424) leaves a tombstone in its place. */
#include "modules/archive.h"

#include "modules/modules_rig.h"

static void
say(struct world_peer *romeo, const char *id)
{
	char text[200];

	snprintf(text, sizeof(text),
	    "<message type='chat' to='%s' id='%s'><body>Hi</body></message>",
	    JULIET, id);
	rig_send(romeo, text);
}

/* The retraction has an id of its own, as the others have. */
static void
take_back_as(struct world_peer *romeo, const char *id, const char *own)
{
	char text[300];

	snprintf(text, sizeof(text),
	    "<message type='chat' to='%s' id='%s'><retract "
	    "xmlns='urn:xmpp:message-retract:1' id='%s'/></message>",
	    JULIET, own, id);
	rig_send(romeo, text);
}

static void
take_back(struct world_peer *romeo, const char *id)
{
	take_back_as(romeo, id, "r");
}

static char
shape_of(const char *result)
{
	if (strstr(result, "<retracted ") != NULL)
		return strstr(result, "Hi") == NULL ? 'T' : '?';
	if (strstr(result, "<retract ") != NULL)
		return 'R';
	return strstr(result, "<body>Hi</body>") != NULL ? 'W' : '?';
}

/* What is in the archive, oldest first, up to 250: W words, T a tombstone, R a
 * retraction. */
static const char *
shape(struct world_peer *peer)
{
	static char shapes[256];
	const char *came;
	size_t count = 0;

	rig_skip(peer);
	rig_send(peer,
	    "<iq type='set' id='q'><query xmlns='urn:xmpp:mam:2'><set "
	    "xmlns='http://jabber.org/protocol/rsm'><max>250</max></set>"
	    "</query></iq>");
	while ((came = world_next(peer)) != NULL)
		if (strstr(came, "<result ") != NULL)
			shapes[count++] = shape_of(came);
	shapes[count] = '\0';
	return shapes;
}

#define TOMB                                                               \
	"<message><result xmlns='urn:xmpp:mam:2'><forwarded "              \
	"xmlns='urn:xmpp:forward:0'><message xmlns='jabber:client'><body " \
	"xmlns='jabber:client'>{not}</body><retracted "                    \
	"xmlns='urn:xmpp:message-retract:1' id='r'/></message>"            \
	"</forwarded></result></message>"

/* --- what is found ------------------------------------------------------- */

/* Pages back, and one whose id looks otherwise in the archive. */
static void
what_is_taken_back_is_found(void **state)
{
	struct world *world = rig_world(1, 2, NULL);
	struct world_peer *romeo = rig_login(world, ROMEO "/orchard");
	char id[16];

	(void)state;
	say(romeo, "a&amp;b");
	for (unsigned i = 0; i < 320; i++) {
		snprintf(id, sizeof(id), "m%u", i);
		say(romeo, id);
	}
	take_back(romeo, "a&amp;b");
	take_back(romeo, "m7");
	take_back(romeo, "none");
	world_run(world);
	CHECK(strncmp(shape(romeo), "TWWWWWWWTW", 10) == 0);
	rig_send(romeo,
	    "<iq type='set' id='q'><query xmlns='urn:xmpp:mam:2'/></iq>");
	rig_expect(romeo, TOMB);
	world_free(&world);
}

/* There are clients that give all messages the same id, and that take back the
 * last one twice: what they said before it stays. */
static void
a_retraction_takes_back_one_message(void **state)
{
	struct world *world = rig_world(1, 2, NULL);
	struct world_peer *romeo = rig_login(world, ROMEO "/orchard");
	struct world_peer *juliet;

	(void)state;
	say(romeo, "m");
	say(romeo, "m");
	take_back_as(romeo, "m", "r");
	CHECK_TEXT(shape(romeo), "WTR");
	take_back_as(romeo, "m", "r");
	take_back_as(romeo, "m", "m");
	take_back_as(romeo, "m", "m");
	CHECK_TEXT(shape(romeo), "WTRRRR");
	say(romeo, "m");
	take_back_as(romeo, "m", "m");
	CHECK_TEXT(shape(romeo), "WTRRRRTR");
	juliet = rig_login(world, JULIET "/balcony");
	CHECK_TEXT(shape(juliet), "WTRRRRTR");
	world_free(&world);
}

static void
what_cannot_be_taken_back_stays(void **state)
{
	struct world *world = rig_world(1, 2, NULL);
	struct world_peer *romeo = rig_login(world, ROMEO "/orchard");

	(void)state;
	say(romeo, "m1");
	world_send(romeo,
	    "<message type='chat' to='" JULIET "' id='r'><retract "
	    "xmlns='urn:xmpp:message-retract:1' id='m1'/>"
	    "</message>");
	world_step(world, 6);
	world_break_store(world, ERR_UNAVAILABLE);
	world_run(world);
	world_break_store(world, ERR_NONE);
	world_sleep(world, 40000);
	CHECK(strlen(shape(romeo)) == 2);
	world_free(&world);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(what_is_taken_back_is_found),
	    cmocka_unit_test(a_retraction_takes_back_one_message),
	    cmocka_unit_test(what_cannot_be_taken_back_stays),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

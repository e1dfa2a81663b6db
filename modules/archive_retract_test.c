/* Who takes back a message (XEP-0424) leaves a tombstone in its place. */
#include "modules/archive.h"

#include "modules/archive_retract.h"
#include "modules/waiting_rig.h"

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

#define RETRACT                                        \
	"<message type='chat' to='" JULIET "' id='r'>" \
	"<retract xmlns='urn:xmpp:message-retract:1' " \
	"id='m1'/></message>"

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

	waiting_say(romeo, "a&amp;b");
	for (unsigned i = 0; i < 320; i++) {
		snprintf(id, sizeof(id), "m%u", i);
		waiting_say(romeo, id);
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

	waiting_say(romeo, "m");
	waiting_say(romeo, "m");
	take_back_as(romeo, "m", "r");
	CHECK_TEXT(shape(romeo), "WTR");
	take_back_as(romeo, "m", "r");
	take_back_as(romeo, "m", "m");
	take_back_as(romeo, "m", "m");
	CHECK_TEXT(shape(romeo), "WTRRRR");
	waiting_say(romeo, "m");
	take_back_as(romeo, "m", "m");
	CHECK_TEXT(shape(romeo), "WTRRRRTR");
	juliet = rig_login(world, JULIET "/balcony");
	CHECK_TEXT(shape(juliet), "WTRRRRTR");
	world_free(&world);
}

static void
say_counted(struct world_peer *romeo)
{
	char id[RIG_ID_LEN];

	rig_skip(romeo);
	rig_enable(romeo, id);
	world_send(romeo, "<message type='chat' to='" JULIET "' id='m1'>"
			  "<body>Hi</body></message>");
}

/* What has stream management is written when its recipient has it; another
 * device does not wait for that. */
static void
what_another_device_takes_back_is_found(void **state)
{
	for (unsigned i = 0; i < 60; i++) {
		struct world *world = rig_world(i, 2, NULL);
		struct world_peer *romeo = rig_login(world, ROMEO "/orchard");
		struct world_peer *other = rig_login(world, ROMEO "/garden");
		const char *is;

		say_counted(romeo);
		world_step(world, i / 4);
		world_send(other, RETRACT);
		world_sleep(world, 20000);
		is = shape(other);
		CHECK(strcmp(is, "TR") == 0 || strcmp(is, "RW") == 0);
		world_free(&world);
	}
}

/* --- what goes wrong ----------------------------------------------------- */

/* The same, and while it is looked for it cannot be written. */
static void
what_is_written_late_is_found(void **state)
{
	for (unsigned i = 0; i < 120; i++) {
		struct world *world = rig_world(i, 2, NULL);
		struct world_peer *romeo = rig_login(world, ROMEO "/orchard");
		struct world_peer *other = rig_login(world, ROMEO "/garden");
		const char *is;

		rig_login(world, JULIET "/balcony");
		say_counted(romeo);
		world_send(other, RETRACT);
		world_step(world, i / 4);
		world_break_store(world, ERR_FULL);
		world_sleep(world, 4000);
		world_break_store(world, ERR_NONE);
		world_sleep(world, 20000);
		is = shape(other);
		CHECK(strcmp(is, "TR") == 0 || strcmp(is, "RW") == 0);
		world_free(&world);
	}
}

/* A world in which Romeo is about to take back what he said. */
static struct world *
about_to(unsigned seed, struct world_peer **romeo_r)
{
	struct world *world = rig_world(seed, 2, NULL);

	*romeo_r = rig_login(world, ROMEO "/orchard");
	waiting_say(*romeo_r, "m1");
	rig_skip(*romeo_r);
	return world;
}

/* Whether an account that has the retraction has the tombstone, too. */
static bool
is_done(struct world *world, const char *jid)
{
	struct world_peer *peer = rig_login(world, jid);
	const char *is = shape(peer);

	return strcmp(is, "W") == 0 || strcmp(is, "TR") == 0;
}

/* Killed at any moment, also once more when it is about to do the rest. */
static void
what_was_taken_back_is_so_after_a_crash(void **state)
{
	for (unsigned i = 0; i < 80; i++) {
		struct world_peer *romeo;
		struct world *world = about_to(i, &romeo);

		world_send(romeo, RETRACT);
		world_kill_after(world, 1 + i / 2);
		world_run(world);
		(void)world_was_killed(world);
		world_cut(&romeo);
		if (i % 2 == 1) {
			rig_bind(world, ROMEO "/garden");
			world_kill(world);
		}
		CHECK(is_done(world, ROMEO "/orchard"));
		CHECK(is_done(world, JULIET "/balcony"));
		world_free(&world);
	}
}

/* More at once than wait in memory. */
static void
all_that_is_taken_back_is_so(void **state)
{
	for (unsigned is_killed = 0; is_killed < 2; is_killed++) {
		struct world *world = rig_world(1, 2, NULL);
		struct world_peer *romeo = rig_login(world, ROMEO "/orchard");
		char id[16], text[300];

		for (unsigned i = 0; i < 120; i++) {
			snprintf(id, sizeof(id), "m%u", i);
			waiting_say(romeo, id);
		}
		world_hold_store(world, true);
		for (unsigned i = 0; i < 120; i++) {
			snprintf(text, sizeof(text),
			    "<message type='chat' to='" JULIET "' id='r%u'>"
			    "<retract xmlns='urn:xmpp:message-retract:1' "
			    "id='m%u'/></message>",
			    i, i);
			world_send(romeo, text);
		}
		world_run(world);
		world_hold_store(world, false);
		world_step(world, 30);
		if (is_killed == 1) {
			world_kill(world);
			world_cut(&romeo);
			romeo = rig_login(world, ROMEO "/orchard");
		}
		world_run(world);
		CHECK(strchr(shape(romeo), 'W') == NULL);
		world_free(&world);
	}
}

/* Reads and writes fail for a while, from any moment on. */
static void
what_cannot_be_taken_back_now_is_so_later(void **state)
{
	static const enum err errors[] = {
	    ERR_UNAVAILABLE, ERR_FULL, ERR_UNCERTAIN, ERR_INVALID};

	for (unsigned i = 0; i < 40 * COUNT_OF(errors); i++) {
		struct world_peer *romeo;
		struct world *world = about_to(i, &romeo);

		world_send(romeo, RETRACT);
		world_step(world, i / COUNT_OF(errors));
		world_break_store(world, errors[i % COUNT_OF(errors)]);
		world_sleep(world, 20000);
		world_break_store(world, ERR_NONE);
		world_sleep(world, 20000);
		CHECK(is_done(world, ROMEO "/garden"));
		CHECK(is_done(world, JULIET "/balcony"));
		world_free(&world);
	}
}

/* The tombstone is not written yet, and everybody sees it all the same. */
static void
what_is_taken_back_is_not_shown(void **state)
{
	unsigned tombs = 0;

	for (unsigned i = 0; i < 160; i++) {
		struct world_peer *romeo;
		struct world *world = about_to(1, &romeo);
		const owner_id owner = rig_account(world, ROMEO)->owner.id;

		world_send(romeo, RETRACT);
		world_step(world, i / 4);
		world_break_store(world, ERR_FULL);
		world_step(world, 1 + i % 4);
		world_break_store(world, ERR_NONE);
		world_run(world);
		if (rig_has(world, owner, &archive_retract_kind) &&
		    strcmp(shape(romeo), "TR") == 0 &&
		    rig_has(world, owner, &archive_retract_kind))
			tombs++;
		world_sleep(world, 6000);
		CHECK_TEXT(shape(romeo), "TR");
		CHECK(!rig_has(world, owner, &archive_retract_kind));
		world_free(&world);
	}
	CHECK(tombs > 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(what_is_taken_back_is_found),
	    cmocka_unit_test(a_retraction_takes_back_one_message),
	    cmocka_unit_test(what_another_device_takes_back_is_found),
	    cmocka_unit_test(what_is_written_late_is_found),
	    cmocka_unit_test(what_was_taken_back_is_so_after_a_crash),
	    cmocka_unit_test(all_that_is_taken_back_is_so),
	    cmocka_unit_test(what_cannot_be_taken_back_now_is_so_later),
	    cmocka_unit_test(what_is_taken_back_is_not_shown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

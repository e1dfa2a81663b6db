/* When what comes late was sent (XEP-0203): the stamp of all ways is the time
 * at which the message came, and only those who delayed it say so. */
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "modules/modules_rig.h"
#include "server/world_neighbour.h"
#include "server/world_private.h"

#define SM        "urn:xmpp:sm:3"
#define HOUR_MS   (60 * 60 * 1000)
#define STAMP_LEN 40
#define FORGED                                                  \
	"<delay xmlns='urn:xmpp:delay' from='capulet.example' " \
	"stamp='2002-09-10T23:08:25Z'/>"
#define FOREIGN                                                \
	"<delay xmlns='urn:xmpp:delay' from='verona.example' " \
	"stamp='2002-09-10T23:08:25Z'/>"

static const char *const settings[] = {
    NULL, "modules: {archive: false}\n", "archive: {default: never}\n"};

/* Romeo writes, with that in it, after a while in which nothing happens, so
 * that the stamp is of this second alone. */
static void
say(struct world_peer *romeo, const char *to, const char *more,
    char stamp[static STAMP_LEN])
{
	struct arena *arena = arena_make(0);
	char text[400];

	world_sleep(romeo->world, 10 * 1000);
	snprintf(stamp, STAMP_LEN, "%.*s", (int)strlen("2026-11-21T10:00:00"),
	    clock_format(arena, clock_wall_us()).text);
	snprintf(text, sizeof(text),
	    "<message type='chat' to='%s' id='m1'><body>x</body>%s</message>",
	    to, more);
	rig_send(romeo, text);
	world_sleep(romeo->world, 500);
	arena_free(&arena);
}

static void
expect_delayed(struct world_peer *peer, const char *stamp, const char *more)
{
	char text[500];

	snprintf(text, sizeof(text),
	    "<message id='m1'><body>x</body>%s<delay xmlns='urn:xmpp:delay' "
	    "from='capulet.example' stamp='%s{any}'/></message>",
	    more, stamp);
	rig_expect(peer, text);
}

#define NOT_FORGED                                                    \
	"<delay xmlns='urn:xmpp:delay' stamp='2002-09-10T23:08:25Z' " \
	"from='capulet.example'>{not}</delay>"

/* --- who is away ---------------------------------------------------------- */

static void
what_waits_says_since_when(void **state)
{
	static const struct {
		const char *sent, *wanted;
	} rows[] = {{"", ""}, {FORGED, NOT_FORGED}, {FOREIGN, FOREIGN}};

	(void)state;
	for (unsigned i = 0; i < 2 * 9; i++) {
		struct world *world = rig_world(i, 0, settings[i % 3]);
		struct world_peer *romeo = rig_bind(world, ROMEO "/orchard");
		struct world_peer *juliet;
		char stamp[STAMP_LEN];

		say(romeo, JULIET, rows[i / 3 % 3].sent, stamp);
		world_sleep(world, HOUR_MS);
		if (i >= 9)
			world_restart(world);
		juliet = rig_login(world, JULIET "/chamber");
		world_cut(&juliet);
		world_sleep(world, HOUR_MS);
		juliet = rig_bind(world, JULIET "/balcony");
		rig_send(juliet, "<presence/>");
		rig_expect(juliet, "<presence/>");
		expect_delayed(juliet, stamp, rows[i / 3 % 3].wanted);
		world_free(&world);
	}
}

/* --- who comes back ------------------------------------------------------- */

static void
what_came_while_one_was_cut_off_says_when(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 2 * COUNT_OF(settings); i++) {
		struct world *world =
		    rig_world(i, 0, settings[i % COUNT_OF(settings)]);
		struct world_peer *romeo = rig_bind(world, ROMEO "/orchard");
		struct world_peer *juliet = rig_login(world, JULIET "/balcony");
		char id[RIG_ID_LEN], stamp[STAMP_LEN];

		rig_enable(juliet, id);
		world_cut(&juliet);
		say(romeo, JULIET "/balcony", "", stamp);
		world_sleep(world, 60 * 1000);
		if (i >= COUNT_OF(settings))
			world_restart(world);
		juliet = rig_come_back(
		    world, JULIET, id, 0, "<resumed xmlns='" SM "'/>");
		expect_delayed(juliet, stamp, "");
		world_free(&world);
	}
}

/* XEP-0198, section 4: with the time at which it could not be delivered, though
 * the session lasted longer. */
static void
what_was_not_acknowledged_says_when(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 2 * COUNT_OF(settings); i++) {
		struct world *world =
		    rig_world(i, 0, settings[i % COUNT_OF(settings)]);
		const bool is_detached = i >= COUNT_OF(settings);
		struct world_peer *romeo = rig_bind(world, ROMEO "/orchard");
		struct world_peer *juliet = rig_login(world, JULIET "/balcony");
		char id[RIG_ID_LEN], stamp[STAMP_LEN];

		rig_enable(juliet, id);
		if (is_detached)
			world_cut(&juliet);
		say(romeo, JULIET "/balcony", "", stamp);
		if (!is_detached)
			world_cut(&juliet);
		world_sleep(world, HOUR_MS);
		juliet = rig_bind(world, JULIET "/chamber");
		rig_send(juliet, "<presence/>");
		rig_expect(juliet, "<presence/>");
		expect_delayed(juliet, stamp, "");
		world_free(&world);
	}
}

/* --- archive and copies -------------------------------------------------- */

#define FORWARDED(name, ns, inner)                                             \
	"<message><" name " xmlns='" ns                                        \
	"'><forwarded xmlns='urn:xmpp:forward:0'><delay "                      \
	"xmlns='urn:xmpp:delay' stamp='%s{any}'/><message "                    \
	"xmlns='jabber:client' id='m1'>" inner "</message></forwarded></" name \
	"></message>"

static void
expect_forwarded(struct world_peer *peer, const char *format, const char *stamp)
{
	char text[600];

	snprintf(text, sizeof(text), format, stamp);
	CHECK(rig_finds(peer, text));
}

/* The archive tells when it came; what the sender says of others stays, and
 * what is said in our name does not. */
static void
the_archive_tells_when_it_came(void **state)
{
	static const struct {
		const char *sent, *wanted;
	} rows[] = {
	    {"", FORWARDED("result", "urn:xmpp:mam:2",
		     "<delay xmlns='urn:xmpp:delay'>{not}</delay>")},
	    {FOREIGN, FORWARDED("result", "urn:xmpp:mam:2", FOREIGN)},
	    {FORGED, FORWARDED("result", "urn:xmpp:mam:2",
			 "<delay xmlns='urn:xmpp:delay'>{not}</delay>")},
	};

	(void)state;
	for (unsigned i = 0; i < 2 * COUNT_OF(rows); i++) {
		struct world *world = rig_world(i, 0, NULL);
		struct world_peer *romeo = rig_bind(world, ROMEO "/orchard");
		struct world_peer *juliet = NULL;
		char stamp[STAMP_LEN];

		if (i % 2 == 0)
			juliet = rig_login(world, JULIET "/balcony");
		say(romeo, JULIET, rows[i / 2].sent, stamp);
		world_sleep(world, 60 * 1000);
		if (juliet == NULL)
			juliet = rig_bind(world, JULIET "/balcony");
		rig_skip(juliet);
		rig_send(juliet, "<iq type='set' id='q'><query "
				 "xmlns='urn:xmpp:mam:2'/></iq>");
		expect_forwarded(juliet, rows[i / 2].wanted, stamp);
		world_free(&world);
	}
}

/* Also to a device that comes back for it later. */
static void
copies_tell_when_it_came(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 4; i++) {
		struct world *world = rig_world(i, 0, settings[i % 2]);
		struct world_peer *romeo = rig_bind(world, ROMEO "/orchard");
		struct world_peer *juliet = rig_login(world, JULIET "/balcony");
		struct world_peer *other = rig_bind(world, JULIET "/chamber");
		char id[RIG_ID_LEN], stamp[STAMP_LEN];

		rig_enable(other, id);
		rig_send(other, "<iq type='set' id='c'><enable "
				"xmlns='urn:xmpp:carbons:2'/></iq>");
		rig_expect(other, "<iq type='result' id='c'/>");
		if (i >= 2)
			world_cut(&other);
		rig_skip(juliet);
		say(romeo, JULIET "/balcony", FORGED, stamp);
		rig_expect(juliet,
		    "<message id='m1'><delay xmlns='urn:xmpp:delay'>{not}"
		    "</delay></message>");
		if (i >= 2) {
			world_sleep(world, 60 * 1000);
			other = rig_come_back(
			    world, JULIET, id, 0, "<resumed xmlns='" SM "'/>");
			CHECK(rig_finds(other, "<iq type='result' id='c'/>"));
		}
		expect_forwarded(other,
		    FORWARDED("received", "urn:xmpp:carbons:2",
			"<delay xmlns='urn:xmpp:delay'>{not}</delay>"),
		    stamp);
		world_free(&world);
	}
}

/* --- other servers -------------------------------------------------------- */

#define ESCALUS "escalus@verona.example"

/* What it was sent, after so long in which it was not reached. */
static const char *
arrive_late(struct world *world, struct neighbour *verona, uint64_t ms)
{
	const char *text;

	world_sleep(world, ms);
	verona->mood = NEIGHBOUR_WILLING;
	world_sleep(world, 5 * 60 * 1000);
	do
		text = neighbour_next(verona);
	while (text != NULL && strstr(text, "id='m1'") == NULL);
	must(text != NULL);
	return text;
}

static void
what_waits_for_another_server_says_since_when(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 6; i++) {
		struct world *world =
		    rig_world(i, 0, settings[i % COUNT_OF(settings)]);
		struct neighbour *verona =
		    neighbour_new(world, "verona.example");
		struct world_peer *romeo = rig_bind(world, ROMEO "/orchard");
		char stamp[STAMP_LEN], wanted[160];
		const char *text;

		verona->mood = NEIGHBOUR_UNREACHABLE;
		say(romeo, ESCALUS, i < 3 ? FOREIGN : "", stamp);
		if (i % 2 == 1)
			world_restart(world);
		text = arrive_late(world, verona, 60 * 1000);
		snprintf(wanted, sizeof(wanted),
		    "<delay xmlns='urn:xmpp:delay' from='montague.example' "
		    "stamp='%s",
		    stamp);
		CHECK(strstr(text, wanted) != NULL);
		CHECK((strstr(text, FOREIGN) != NULL) == (i < 3));
		world_free(&world);
	}
}

/* Though opening a connection takes a moment. */
static void
what_goes_at_once_says_nothing(void **state)
{
	struct world *world = rig_world(1, 0, NULL);
	struct neighbour *verona = neighbour_new(world, "verona.example");
	struct world_peer *romeo = rig_bind(world, ROMEO "/orchard");
	char stamp[STAMP_LEN];

	(void)state;
	say(romeo, ESCALUS, "", stamp);
	CHECK(strstr(arrive_late(world, verona, 0), "delay") == NULL);
	world_free(&world);
}

/* What was sent, and lost, is sent with the time of its first sending. */
static void
what_is_sent_again_says_when(void **state)
{
	struct world *world = rig_world(1, 0, NULL);
	struct neighbour *verona = neighbour_new(world, "verona.example");
	struct world_peer *romeo = rig_bind(world, ROMEO "/orchard");
	char stamp[STAMP_LEN];

	(void)state;
	verona->is_deaf = true;
	verona->is_lazy = true;
	say(romeo, ESCALUS, "", stamp);
	CHECK(neighbour_next(verona) == NULL);
	verona->mood = NEIGHBOUR_UNREACHABLE;
	neighbour_cut(verona, false);
	verona->is_deaf = false;
	verona->is_lazy = false;
	CHECK(strstr(arrive_late(world, verona, 60 * 1000), stamp) != NULL);
	world_free(&world);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(what_waits_says_since_when),
	    cmocka_unit_test(what_came_while_one_was_cut_off_says_when),
	    cmocka_unit_test(what_was_not_acknowledged_says_when),
	    cmocka_unit_test(the_archive_tells_when_it_came),
	    cmocka_unit_test(copies_tell_when_it_came),
	    cmocka_unit_test(what_waits_for_another_server_says_since_when),
	    cmocka_unit_test(what_goes_at_once_says_nothing),
	    cmocka_unit_test(what_is_sent_again_says_when),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

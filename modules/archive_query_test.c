/* Many queries at once (XEP-0313). */
#include "modules/archive.h"

#include "modules/waiting_rig.h"

#define ASK "<iq type='set' id='q'><query xmlns='urn:xmpp:mam:2'/></iq>"

#define ASK_WRONG                                                   \
	"<iq type='set' id='q'><query xmlns='urn:xmpp:mam:2'><set " \
	"xmlns='http://jabber.org/protocol/rsm'><after>"            \
	"00000000000000010000000000000001</after></set></query></iq>"

#define ASK_BAD                                                     \
	"<iq type='set' id='q'><query xmlns='urn:xmpp:mam:2'><set " \
	"xmlns='http://jabber.org/protocol/rsm'><max>x</max></set>" \
	"</query></iq>"

/* How often she heard m1; and whether she heard m2 before it. */
static unsigned
count_first(struct world_peer *peer, bool *is_late_r)
{
	unsigned count = 0;
	const char *text;

	*is_late_r = false;
	while ((text = world_next(peer)) != NULL) {
		count += strstr(text, "id='m1'") != NULL;
		*is_late_r |= count == 0 && strstr(text, "id='m2'") != NULL;
	}
	return count;
}

/* How many results and errors came; all that counts is added to *got. */
static unsigned
take_answers(struct world_peer *peer, unsigned *got, unsigned *errors)
{
	unsigned results = 0;
	const char *text;

	while ((text = world_next(peer)) != NULL) {
		*got += strncmp(text, "<message", 8) == 0 ||
			strncmp(text, "<iq", 3) == 0;
		*errors += strstr(text, "<resource-constraint") != NULL;
		results += strstr(text, "<result") != NULL;
	}
	return results;
}

/* It waits for a row that cannot be written; nothing of it is left over. */
static void
the_server_may_end_while_one_waits(void **state)
{
	struct world *world = rig_world(1, 2, NULL);
	struct world_peer *romeo = rig_bind(world, ROMEO "/orchard");

	(void)state;
	world_break_store(world, ERR_FULL);
	waiting_say(romeo, "m1");
	rig_send(romeo, ASK);
	CHECK(!rig_finds(romeo, "<iq"));
	world_kill(world);
	world_free(&world);
	arena_thread_done(); /* what is left over is not reachable then */
}

/* All pages are asked for before one of them is acknowledged; who acknowledges
 * nothing is told to ask again. */
static void
many_queries_at_once_end_no_session(void **state)
{
	(void)state;
	for (unsigned acks = 0; acks < 2; acks++) {
		struct world *world = rig_world(1, 2, "sessions.queue: 100\n");
		struct world_peer *romeo = rig_bind(world, ROMEO "/orchard");
		unsigned results = 0, errors = 0, got = 0;
		char text[RIG_ID_LEN];

		waiting_say_many(romeo, 0, 60);
		rig_enable(romeo, text);
		for (unsigned i = 0; i < 10; i++)
			world_send(romeo, ASK);
		world_run(world);
		for (unsigned i = 0; i < 120; i++) {
			results += take_answers(romeo, &got, &errors);
			snprintf(text, sizeof(text),
			    "<a xmlns='urn:xmpp:sm:3' h='%u'/>", got);
			if (acks == 1)
				rig_send(romeo, text);
			world_sleep(world, 100);
		}
		CHECK(!world_is_closed(romeo));
		CHECK_EQUAL(results, acks == 1 ? 500 : 50);
		CHECK_EQUAL(errors, acks == 1 ? 0 : 9);
		world_free(&world);
	}
}

static const char *const asks[] = {ASK, ASK_WRONG, ASK_BAD};

/* She asks and comes in one go, as clients do; or what she asks is refused. */
static void
what_is_asked_for_as_she_comes_comes_once(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 60; i++) {
		struct world *world = rig_world(i, 0, NULL);
		struct world_peer *romeo = rig_bind(world, ROMEO "/orchard");
		struct world_peer *juliet;
		bool is_late;

		waiting_say(romeo, "m1");
		juliet = rig_bind(world, JULIET "/balcony");
		world_send(juliet, asks[i % COUNT_OF(asks)]);
		world_send(juliet, "<presence/>");
		world_step(world, i / COUNT_OF(asks));
		world_send(romeo,
		    "<message to='" JULIET "' id='m2'><body>x</body>"
		    "</message>");
		world_run(world);
		CHECK_EQUAL(count_first(juliet, &is_late), 1);
		CHECK(i % COUNT_OF(asks) == 0 || !is_late);
		world_free(&world);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(the_server_may_end_while_one_waits),
	    cmocka_unit_test(many_queries_at_once_end_no_session),
	    cmocka_unit_test(what_is_asked_for_as_she_comes_comes_once),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

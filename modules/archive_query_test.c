/* Many queries at once (XEP-0313). */
#include "modules/archive.h"

#include "modules/waiting_rig.h"

#define ASK "<iq type='set' id='q'><query xmlns='urn:xmpp:mam:2'/></iq>"

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

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(many_queries_at_once_end_no_session),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

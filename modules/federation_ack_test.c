/*
 * Another server sends messages and a request to a user who is not there, or
 * who is, and the server is killed at every step: what it had acknowledged by
 * then is kept.
 *
 *	federation_ack_test FIRST_SEED COUNT
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "modules/modules_rig.h"
#include "modules/offline.h"
#include "server/handled.h"
#include "server/s2s_stage.h"

#define KIND         (offline_module.kinds[0])
#define STEPS_MAX    300
#define MESSAGES     3
#define STANZAS_SENT (MESSAGES + 1)
#define UNPROVED     4000
#define TOO_MANY     (HANDLED_WINDOW_SERVER + 4000)

static uint64_t first_seed = 1, seed_count = 2;

static void
say_all(struct world_peer *peer)
{
	char text[256];

	for (unsigned i = 1; i <= MESSAGES; i++) {
		snprintf(text, sizeof(text),
		    "<message type='chat' id='m%u' from='escalus@" VERONA
		    "' to='" ROMEO "'><body>Hi</body></message>",
		    i);
		world_send(peer, text);
	}
	world_send(peer, "<presence type='subscribe' from='escalus@" VERONA
			 "' to='" ROMEO "'/>");
	world_send(peer, "<r xmlns='urn:xmpp:sm:3'/>");
}

/* The last h that came; it never falls. */
static unsigned
read_h(struct world_peer *peer)
{
	const char *text, *value;
	unsigned h = 0;

	while ((text = world_next(peer)) != NULL) {
		unsigned next;

		if (strstr(text, "<a ") == NULL)
			continue;
		value = strstr(text, "h='");
		must(value != NULL);
		next = (unsigned)strtoul(value + 3, NULL, 10);
		CHECK(next >= h);
		h = next;
	}
	return h;
}

/* How many of them are there after a new start: the first ones, in order. */
static unsigned
count_kept(struct world *world)
{
	struct world_peer *romeo = rig_bind(world, ROMEO "/chamber");
	bool is_asked = false;
	unsigned count = 0;
	const char *text;
	char id[20];

	rig_send(romeo, "<presence/>");
	while ((text = world_next(romeo)) != NULL) {
		is_asked |= strstr(text, "type='subscribe'") != NULL;
		snprintf(id, sizeof(id), "id='m%u'", count + 1);
		if (strstr(text, "<message") == NULL)
			continue;
		if (strstr(text, id) == NULL)
			fail_msg("wanted %s, came %s", id, text);
		count++;
	}
	return count < MESSAGES ? count : count + is_asked;
}

/* Whether it was killed before there was nothing more to do. */
static bool
play(uint64_t seed, unsigned step, const char *yaml, bool is_there)
{
	struct stage stage = stage_begin(seed, yaml);
	struct world_peer *peer = stage_arrive_proved(&stage);
	bool was_killed;
	unsigned h, kept;

	if (is_there)
		rig_send(stage.romeo, "<presence/>");
	else
		world_cut(&stage.romeo);
	world_send(peer, "<enable xmlns='urn:xmpp:sm:3'/>");
	CHECK(stage_comes(peer, "<enabled"));
	say_all(peer);
	world_kill_after(stage.world, step);
	world_sleep(stage.world, 200); /* by then rows are written */
	was_killed = world_was_killed(stage.world);
	if (!was_killed)
		world_sleep(stage.world, 1000);
	h = read_h(peer);
	/* He proved nothing. */
	if (is_there && !was_killed)
		world_kill(stage.world);
	kept = count_kept(stage.world);
	if (h > kept || kept > STANZAS_SENT ||
	    (!was_killed && h != STANZAS_SENT))
		fail_msg("seed %llu, step %u: %u were acknowledged, %u kept",
		    (unsigned long long)seed, step, h, kept);
	world_free(&stage.world);
	return was_killed;
}

static void
at_every_step(const char *yaml, bool is_there)
{
	for (uint64_t seed = first_seed; seed < first_seed + seed_count; seed++)
		for (unsigned step = 1; step < STEPS_MAX; step++)
			if (!play(seed, step, yaml, is_there))
				break;
}

static void
what_is_acknowledged_is_kept(void **state)
{
	(void)state;
	at_every_step(CLEAR, false);
}

static void
also_without_an_archive(void **state)
{
	(void)state;
	at_every_step(CLEAR "modules.archive: false\n", false);
}

static void
also_when_he_is_there(void **state)
{
	(void)state;
	at_every_step(CLEAR "modules.archive: false\n", true);
}

/* Another server may wait: who proves within a tenth of a second needs no row.
 */
static void
rows_are_not_written_at_once(void **state)
{
	struct stage stage = stage_begin(1, CLEAR "modules.archive: false\n");
	struct world_peer *peer = stage_arrive_proved(&stage);
	const struct account *romeo = rig_account(stage.world, ROMEO);

	(void)state;
	rig_send(stage.romeo, "<presence/>");
	world_send(peer, "<enable xmlns='urn:xmpp:sm:3'/>");
	CHECK(stage_comes(peer, "<enabled"));
	say_all(peer);
	world_sleep(stage.world, 50);
	CHECK_EQUAL(rig_count(stage.world, romeo->owner.id, KIND), 0);
	world_sleep(stage.world, 100);
	CHECK_EQUAL(rig_count(stage.world, romeo->owner.id, KIND), MESSAGES);
	world_free(&stage.world);
}

/* Nobody waits for what others have yet to prove. */
static void
many_may_be_unproved(void **state)
{
	struct stage stage = stage_begin(1, CLEAR "modules.archive: false\n");
	struct world_peer *peer = stage_arrive_proved(&stage);
	unsigned came = 0;
	const char *text;

	(void)state;
	rig_send(stage.romeo, "<presence/>");
	world_send(peer, "<enable xmlns='urn:xmpp:sm:3'/>");
	CHECK(stage_comes(peer, "<enabled"));
	for (unsigned i = 0; i < UNPROVED; i += MESSAGES + 1)
		say_all(peer);
	world_run(stage.world);
	while ((text = world_next(stage.romeo)) != NULL)
		came += strstr(text, "<body>") != NULL;
	CHECK_EQUAL(came, UNPROVED / (MESSAGES + 1) * MESSAGES);
	world_free(&stage.world);
}

/* --- the store takes its time --------------------------------------------- */

/* Stream management that can be resumed by id. */
static struct world_peer *
arrive(const struct stage *stage, char id[static 64])
{
	struct world_peer *peer = stage_arrive_proved(stage);
	const char *text;

	world_send(peer, "<enable xmlns='urn:xmpp:sm:3' resume='true'/>");
	world_run(stage->world);
	text = world_next(peer);
	CHECK(text != NULL && strstr(text, " id='") != NULL);
	text = strstr(text, " id='") + 5;
	snprintf(id, 64, "%.*s", (int)strcspn(text, "'"), text);
	return peer;
}

/* An answer is not withheld, and another one comes. */
static void
who_asked_is_told_twice(void **state)
{
	struct stage stage = stage_begin(1, CLEAR);
	char id[64];
	struct world_peer *peer = arrive(&stage, id);

	(void)state;
	world_cut(&stage.romeo);
	world_hold_store(stage.world, true);
	say_all(peer);
	world_sleep(stage.world, 30);
	CHECK(stage_comes(peer, "<a xmlns='urn:xmpp:sm:3' h='0'"));
	world_sleep(stage.world, 500);
	CHECK(world_next(peer) == NULL);
	world_hold_store(stage.world, false);
	world_sleep(stage.world, 500);
	CHECK(stage_comes(peer, "<a xmlns='urn:xmpp:sm:3' h='4'"));
	CHECK(world_next(peer) == NULL);
	world_free(&stage.world);
}

/* It goes on when what it had sent is kept, or after ten seconds with what is.
 */
static void
resumption_waits_for_commits(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 4; i++) {
		const bool is_patient = i % 2 == 0;
		struct stage stage = stage_begin(i + 1, CLEAR);
		struct world_peer *peer, *next;
		char id[64], said[200];

		peer = arrive(&stage, id);
		next = stage_arrive_proved(&stage);
		world_cut(&stage.romeo);
		world_run(stage.world);
		world_hold_store(stage.world, true);
		say_all(peer);
		world_run(stage.world);
		if (i < 2)
			world_cut(&peer);
		snprintf(said, sizeof(said),
		    "<resume xmlns='urn:xmpp:sm:3' previd='%s' h='0'/>", id);
		world_send(next, said);
		world_sleep(stage.world, 9000);
		CHECK(world_next(next) == NULL);
		if (is_patient)
			world_hold_store(stage.world, false);
		world_sleep(stage.world, 2000);
		CHECK(stage_comes(next, is_patient ? "h='4'" : "h='0'"));
		world_hold_store(stage.world, false);
		world_free(&stage.world);
	}
}

/* What came just before it is not asked for again. */
static void
resumption_tells_of_what_came_last(void **state)
{
	(void)state;
	for (uint64_t seed = 1; seed <= 40; seed++) {
		struct stage stage = stage_begin(seed, CLEAR);
		struct world_peer *peer, *next;
		char id[64], said[200];
		bool has_come;

		peer = arrive(&stage, id);
		next = stage_arrive_proved(&stage);
		snprintf(said, sizeof(said),
		    "<resume xmlns='urn:xmpp:sm:3' previd='%s' h='0'/>", id);
		world_send(peer, "<presence from='escalus@" VERONA
				 "' to='montague.example'/>");
		world_send(next, said);
		world_sleep(stage.world, 100);
		has_come = stage_comes(peer, "<a xmlns='urn:xmpp:sm:3' h='1'");
		CHECK(stage_comes(next, has_come ? "h='1'" : "h='0'"));
		world_free(&stage.world);
	}
}

/* A peer that ends its stream hears first what is kept. */
static void
the_end_waits_for_commits(void **state)
{
	struct stage stage = stage_begin(1, CLEAR);
	char id[64];
	struct world_peer *peer = arrive(&stage, id);

	(void)state;
	world_cut(&stage.romeo);
	world_run(stage.world);
	world_hold_store(stage.world, true);
	say_all(peer);
	world_send(peer, "</stream:stream>");
	world_sleep(stage.world, 500);
	CHECK(!world_is_closed(peer));
	world_hold_store(stage.world, false);
	world_sleep(stage.world, 100);
	CHECK(stage_comes(peer, "h='4'"));
	CHECK(stage_comes(peer, "</stream:stream>"));
	world_free(&stage.world);
}

/* So does one that ends it right behind what is done with at once. */
static void
the_end_tells_of_what_came_with_it(void **state)
{
	struct stage stage = stage_begin(1, CLEAR);
	char id[64];
	struct world_peer *peer = arrive(&stage, id);

	(void)state;
	world_send(peer, "<presence from='escalus@" VERONA
			 "' to='montague.example'/></stream:stream>");
	world_sleep(stage.world, 100);
	CHECK(stage_comes(peer, "h='1'"));
	CHECK(stage_comes(peer, "</stream:stream>"));
	world_free(&stage.world);
}

/* It is answered by nobody, and nothing of it is left. */
static void
the_server_may_end_while_one_resumes(void **state)
{
	(void)state;
	for (uint64_t seed = 1; seed <= 6; seed++) {
		struct stage stage = stage_begin(seed, CLEAR);
		struct world_peer *peer, *next;
		char id[64], said[200];

		peer = arrive(&stage, id);
		next = stage_arrive_proved(&stage);
		world_cut(&stage.romeo);
		world_run(stage.world);
		world_hold_store(stage.world, true);
		say_all(peer);
		world_run(stage.world);
		snprintf(said, sizeof(said),
		    "<resume xmlns='urn:xmpp:sm:3' previd='%s' h='0'/>", id);
		world_send(next, said);
		world_run(stage.world);
		world_kill(stage.world);
		world_hold_store(stage.world, false);
		CHECK(world_next(next) == NULL);
		world_free(&stage.world);
	}
}

/* More than is held open is not read until some of it is done. */
static void
who_sends_too_fast_is_not_read(void **state)
{
	struct stage stage = stage_begin(1, CLEAR "s2s.rate: 0\n");
	char id[64];
	struct world_peer *peer = arrive(&stage, id);
	unsigned h;

	(void)state;
	world_cut(&stage.romeo);
	world_run(stage.world);
	world_hold_store(stage.world, true);
	for (unsigned i = 0; i < TOO_MANY / 2; i++) {
		world_send(peer, "<presence from='escalus@" VERONA
				 "' to='" ROMEO "' type='subscribed'/>");
		world_send(peer, "<message type='chat' from='escalus@" VERONA
				 "' to='" ROMEO "'><body>x</body></message>");
	}
	world_send(peer, "<r xmlns='urn:xmpp:sm:3'/>");
	world_sleep(stage.world, 5000);
	CHECK(!world_is_closed(peer));
	world_hold_store(stage.world, false);
	world_sleep(stage.world, 60000);
	h = read_h(peer);
	CHECK(!world_is_closed(peer));
	CHECK_EQUAL(h, TOO_MANY);
	world_free(&stage.world);
}

int
main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(what_is_acknowledged_is_kept),
	    cmocka_unit_test(also_without_an_archive),
	    cmocka_unit_test(also_when_he_is_there),
	    cmocka_unit_test(rows_are_not_written_at_once),
	    cmocka_unit_test(many_may_be_unproved),
	    cmocka_unit_test(who_asked_is_told_twice),
	    cmocka_unit_test(resumption_waits_for_commits),
	    cmocka_unit_test(resumption_tells_of_what_came_last),
	    cmocka_unit_test(the_server_may_end_while_one_resumes),
	    cmocka_unit_test(the_end_waits_for_commits),
	    cmocka_unit_test(the_end_tells_of_what_came_with_it),
	    cmocka_unit_test(who_sends_too_fast_is_not_read),
	};

	rig_seeds(argc, argv, &first_seed, &seed_count);
	return cmocka_run_group_tests(tests, NULL, NULL);
}

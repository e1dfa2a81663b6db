/* Streams between servers and time: answers that are late, peers that are
 * silent or gone, what nobody uses. */
#include <stdio.h>
#include <string.h>

#include "base/check.h"
#include "server/s2s_internal.h"
#include "server/s2s_limits.h"
#include "server/s2s_stage.h"
#include "server/shard.h"
#include "server/stream_pace.h"

const struct module *const modules_builtin[] = {NULL};

#define SECONDS ((uint64_t)1000)
#define MINUTES (60 * SECONDS)

/* --- late answers of DNS: RFC 8305, section 3 ---------------------------- */

static void
slow_answers_hold_nobody_up(void **state)
{
	for (uint64_t seed = 1; seed <= 10; seed++) {
		struct stage stage = stage_begin(seed, NULL);
		struct world_peer *peer;

		world_delay_ipv6(stage.world, VERONA, UINT64_MAX);
		stage_say(&stage, "m1");
		world_sleep(stage.world, 49);
		CHECK(world_dialled(stage.world, VERONA) == NULL);
		world_sleep(stage.world, 1);
		peer = stage_dialled(&stage, STAGE_LINES);
		CHECK(stage_comes(peer, "id='m1'"));
		CHECK_EQUAL(stage_attempts(&stage), 0);
		world_free(&stage.world);
	}
}

/* Whatever becomes of the stream meanwhile. */
static void
questions_may_outlast_the_attempt(void **state)
{
	for (size_t at = 0; at <= STAGE_LINES; at++) {
		struct stage stage = stage_begin(at + 1, NULL);
		struct world_peer *peer;

		world_delay_ipv6(stage.world, VERONA, 4 * SECONDS);
		stage_say(&stage, "m1");
		world_sleep(stage.world, 50);
		peer = stage_dialled(&stage, at);
		world_cut(&peer);
		world_sleep(stage.world, 10 * SECONDS);
		world_sleep(stage.world, 50);
		peer = stage_dialled(&stage, STAGE_LINES);
		CHECK(stage_comes(peer, "id='m1'"));
		world_free(&stage.world);
	}
}

static void
an_end_while_questions_are_open_leaves_nothing(void **state)
{
	for (size_t at = 0; at <= STAGE_LINES; at++) {
		struct stage stage = stage_begin(at + 1, NULL);

		world_delay_ipv6(stage.world, VERONA, UINT64_MAX);
		stage_say(&stage, "m1");
		world_sleep(stage.world, 50);
		stage_answer(world_dialled(stage.world, VERONA), at);
		if (at % 2 == 0)
			world_kill(stage.world);
		else
			world_restart(stage.world);
		world_free(&stage.world);
	}
}

/* --- what nobody uses ---------------------------------------------------- */

#define SM_FEATURES(more)                                       \
	ANSWER "<stream:features>"                              \
	       "<dialback xmlns='urn:xmpp:features:dialback'/>" \
	       "<sm xmlns='urn:xmpp:sm:3'/>" more "</stream:features>"
#define LIMITS(idle)                                              \
	"<limits xmlns='urn:xmpp:stream-limits:0'><max-bytes>"    \
	"100000</max-bytes><idle-seconds>" idle "</idle-seconds>" \
	"</limits>"

/* A stream that we opened to a server with these features; it carried a
 * message, which was acknowledged. */
static struct world_peer *
open_with(const struct stage *stage, const char *features)
{
	struct world_peer *peer;

	stage_say(stage, "m1");
	peer = stage_dialled(stage, 2);
	CHECK(stage_comes(peer, "<stream:stream>"));
	world_send(peer, features);
	CHECK(stage_comes(peer, "<result"));
	world_send(peer, "<db:result" PAIR " type='valid'/>");
	CHECK(stage_comes(peer, "<enable"));
	world_send(peer, "<enabled xmlns='urn:xmpp:sm:3'/>");
	CHECK(stage_comes(peer, "id='m1'"));
	CHECK(stage_comes(peer, "<r "));
	world_send(peer, "<a xmlns='urn:xmpp:sm:3' h='1'/>");
	world_run(stage->world);
	return peer;
}

/* Our own setting, or what the peer says of itself (XEP-0478) if that is less:
 * we are there a tenth of it before. What it says makes nothing longer. */
static const struct {
	const char *features;
	uint64_t ms;
} idlers[] = {
    {SM_FEATURES(""), 2 * MINUTES},
    {SM_FEATURES(LIMITS("100")), 90 * SECONDS},
    {SM_FEATURES(LIMITS("3600")), 2 * MINUTES},
    {SM_FEATURES(LIMITS("0")), 2 * MINUTES},
    {SM_FEATURES(LIMITS("-5")), 2 * MINUTES},
    {SM_FEATURES(LIMITS("soon")), 2 * MINUTES},
    {SM_FEATURES(LIMITS("99999999999999999999")), 2 * MINUTES},
};

/* XEP-0478, sections 3.1 and 4: with new features, as behind the login, there
 * are new limits; each may be absent, and is not known then. */
static void
limits_are_those_of_the_last_features(void **state)
{
	static const struct {
		const char *features;
		uint64_t max_bytes, idle_s;
	} cases[] = {
	    {"<features xmlns='" NS_STREAM "'>" LIMITS("100") "</features>",
		100000, 100},
	    {"<features xmlns='" NS_STREAM "'><limits "
	     "xmlns='urn:xmpp:stream-limits:0'><max-bytes>20000</max-bytes>"
	     "</limits></features>",
		20000, 0},
	    {"<features xmlns='" NS_STREAM "'>" LIMITS("soon") "</features>",
		100000, 0},
	    {"<features xmlns='" NS_STREAM "'/>", 0, 0},
	};
	struct stage stage = stage_begin(1, NULL);
	struct world_peer *peer = open_with(&stage, SM_FEATURES(LIMITS("7")));
	struct s2s *s2s = stage_s2s(peer);
	struct arena *arena = arena_make(0);

	(void)state;
	CHECK(s2s->max_bytes == 100000 && s2s->idle_s == 7);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		s2s_limits_read(
		    s2s, node_parse(arena, str_of(cases[i].features), ""));
		CHECK_EQUAL(s2s->max_bytes, cases[i].max_bytes);
		CHECK_EQUAL(s2s->idle_s, cases[i].idle_s);
	}
	arena_free(&arena);
	world_free(&stage.world);
}

static void
our_own_idle_streams_end_in_order(void **state)
{
	for (size_t i = 0; i < sizeof(idlers) / sizeof(idlers[0]); i++) {
		struct stage stage = stage_begin(
		    i + 1, "limits.idle_ping: 0 s\ns2s.idle: 2 min\n");
		struct world_peer *peer = open_with(&stage, idlers[i].features);

		world_sleep(stage.world, 30 * SECONDS);
		stage_say(&stage, "m2");
		CHECK(stage_comes(peer, "id='m2'"));
		world_send(peer, "<a xmlns='urn:xmpp:sm:3' h='2'/>");
		world_sleep(stage.world, idlers[i].ms - 100);
		if (stage_comes(peer, "</stream:stream>"))
			fail_msg("too early: %s", idlers[i].features);
		world_sleep(stage.world, 200);
		if (!stage_comes(peer, "</stream:stream>"))
			fail_msg("too late: %s", idlers[i].features);
		world_send(peer, "</stream:stream>");
		world_sleep(stage.world, 10 * MINUTES);
		CHECK(world_is_closed(peer));
		CHECK(world_dialled(stage.world, VERONA) == NULL);
		CHECK(world_next(stage.romeo) == NULL);
		stage_say(&stage, "m3");
		CHECK(world_dialled(stage.world, VERONA) != NULL);
		world_free(&stage.world);
	}
}

/* Theirs may end with an error that says so, as those of ejabberd do. Other
 * errors, and a cut, leave doubt: they are connected to. */
static void
their_idle_streams_leave_no_doubt(void **state)
{
	static const struct {
		const char *said;
		bool is_dialled;
	} cases[] = {
	    {"</stream:stream>", false},
	    {"<stream:error><connection-timeout" NS(
		 "streams") "/>"
			    "</stream:error></stream:stream>",
		false},
	    {"<stream:error><system-shutdown" NS(
		 "streams") "/>"
			    "</stream:error></stream:stream>",
		true},
	    {NULL, true},
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		struct stage stage = stage_begin(i + 1, CLEAR);
		struct world_peer *peer = stage_arrive_proved(&stage);

		world_send(peer, MESSAGE("escalus@" VERONA));
		world_sleep(stage.world, 5 * MINUTES);
		while (world_dialled(stage.world, VERONA) != NULL)
			continue;
		if (cases[i].said == NULL)
			world_cut(&peer);
		else
			world_send(peer, cases[i].said);
		world_sleep(stage.world, 5 * SECONDS);
		CHECK_EQUAL(world_dialled(stage.world, VERONA) != NULL,
		    cases[i].is_dialled);
		world_free(&stage.world);
	}
}

/* Who does not answer our end, of their stream or of ours, may be gone for
 * long: that is seen when we connect. */
static void
who_does_not_answer_our_end_leaves_doubt(void **state)
{
	static const char yaml[] =
	    CLEAR "limits.idle_ping: 0 s\ns2s.idle: 2 min\n";

	(void)state;
	for (unsigned i = 0; i < 4; i++) {
		const bool is_answered = i % 2 == 0;
		struct stage stage = stage_begin(i + 1, yaml);
		struct world_peer *peer;

		if (i < 2)
			peer = stage_arrive_proved(&stage);
		else
			peer = open_with(&stage, SM_FEATURES(""));
		world_sleep(stage.world, 2 * MINUTES);
		CHECK(stage_comes(peer, "</stream:stream>"));
		CHECK(world_dialled(stage.world, VERONA) == NULL);
		if (is_answered)
			world_send(peer, "</stream:stream>");
		world_sleep(stage.world, 10 * SECONDS);
		CHECK(world_is_closed(peer));
		CHECK_EQUAL(
		    world_dialled(stage.world, VERONA) != NULL, !is_answered);
		world_free(&stage.world);
	}
}

/* What was not acknowledged is still awaited. */
static void
who_owes_an_answer_is_not_idle(void **state)
{
	struct stage stage =
	    stage_begin(1, "limits.idle_ping: 0 s\ns2s.idle: 2 min\n");
	struct world_peer *peer = open_with(&stage, SM_FEATURES(""));

	(void)state;
	stage_say(&stage, "m2");
	world_sleep(stage.world, 10 * MINUTES);
	CHECK(!stage_comes(peer, "</stream:stream>"));
	world_send(peer, "<a xmlns='urn:xmpp:sm:3' h='2'/>");
	world_sleep(stage.world, 5 * MINUTES);
	CHECK(stage_comes(peer, "</stream:stream>"));
	world_free(&stage.world);
}

/* --- who is not there any more ------------------------------------------- */

#define ASKING \
	"limits.idle_ping: 1 min\nlimits.idle_timeout: 20 s\ns2s.idle: 1 h\n"

/* A link that is cut in silence: we ask, wait a while and go; what was sent
 * meanwhile goes again. */
static void
dead_streams_are_noticed(void **state)
{
	for (uint64_t seed = 1; seed <= 10; seed++) {
		struct stage stage = stage_begin(seed, ASKING);
		struct world_peer *peer = open_with(&stage, SM_FEATURES(""));

		CHECK(!stage_comes(peer, "<r "));
		world_sleep(stage.world, 59 * SECONDS);
		CHECK(!stage_comes(peer, "<r "));
		world_sleep(stage.world, 2 * SECONDS);
		CHECK(stage_comes(peer, "<r "));
		world_sleep(stage.world, 18 * SECONDS);
		CHECK(!world_is_closed(peer));
		stage_say(&stage, "m2");
		world_sleep(stage.world, 2 * SECONDS);
		CHECK(world_is_closed(peer));
		world_sleep(stage.world, 5 * SECONDS);
		peer = stage_dialled(&stage, STAGE_LINES);
		CHECK(stage_comes(peer, "id='m2'"));
		CHECK(!stage_comes(stage.romeo, "type='error'"));
		world_free(&stage.world);
	}
}

/* A message was sent to a peer that has been asked to acknowledge it, or, with
 * pings, will be asked so only. */
static struct world_peer *
owe(const struct stage *stage, bool has_acks)
{
	struct world_peer *peer;

	stage_say(stage, "m1");
	peer = stage_dialled(stage, STAGE_LINES - 1);
	CHECK(stage_comes(peer, "<enable"));
	world_send(peer, has_acks ? "<enabled xmlns='urn:xmpp:sm:3'/>"
				  : "<failed xmlns='urn:xmpp:sm:3'/>");
	CHECK(stage_comes(peer, "id='m1'"));
	CHECK(stage_comes(peer, has_acks ? "<r " : "urn:xmpp:ping"));
	return peer;
}

/* The same where a ping has to do; its first answer never comes. */
static void
dead_streams_are_noticed_by_pings(void **state)
{
	struct stage stage = stage_begin(1, ASKING);
	struct world_peer *peer = owe(&stage, false);

	(void)state;
	world_sleep(stage.world, 61 * SECONDS);
	CHECK(stage_comes(peer, "urn:xmpp:ping"));
	CHECK(!world_is_closed(peer));
	world_sleep(stage.world, 20 * SECONDS);
	CHECK(world_is_closed(peer));
	world_sleep(stage.world, 5 * SECONDS);
	peer = stage_dialled(&stage, STAGE_LINES);
	CHECK(stage_comes(peer, "id='m1'"));
	world_free(&stage.world);
}

static void
who_answers_stays(void **state)
{
	struct stage stage = stage_begin(1, ASKING);
	struct world_peer *peer = open_with(&stage, SM_FEATURES(""));

	(void)state;
	for (unsigned i = 0; i < 10; i++) {
		world_sleep(stage.world, 61 * SECONDS);
		CHECK(stage_comes(peer, "<r "));
		world_send(peer, "<a xmlns='urn:xmpp:sm:3' h='1'/>");
	}
	world_sleep(stage.world, 30 * SECONDS);
	CHECK(!world_is_closed(peer));
	world_free(&stage.world);
}

/* It is there, and says something now and then, but no answer. */
static void
talk(const struct stage *stage, struct world_peer *peer, unsigned times)
{
	for (unsigned i = 0; i < times; i++) {
		world_sleep(stage->world, 25 * SECONDS);
		CHECK(!world_is_closed(peer));
		world_send(peer, " ");
	}
}

/* However much it says; what it was sent goes again. */
static void
who_never_acknowledges_is_given_up(void **state)
{
	for (unsigned i = 0; i < 2; i++) {
		struct stage stage = stage_begin(i + 1, ASKING);
		struct world_peer *peer = owe(&stage, i == 0);

		talk(&stage, peer, 3);
		world_sleep(stage.world, 4 * SECONDS);
		CHECK(!world_is_closed(peer));
		world_sleep(stage.world, 2 * SECONDS);
		CHECK(world_is_closed(peer));
		world_sleep(stage.world, 5 * SECONDS);
		peer = stage_dialled(&stage, STAGE_LINES);
		CHECK(stage_comes(peer, "id='m1'"));
		CHECK(!stage_comes(stage.romeo, "type='error'"));
		world_free(&stage.world);
	}
}

/* That it is asked once more gives it no more time. */
static void
who_only_seems_to_answer_is_given_up(void **state)
{
	struct stage stage = stage_begin(1, ASKING);
	struct world_peer *peer = owe(&stage, true);

	(void)state;
	world_sleep(stage.world, 61 * SECONDS);
	CHECK(stage_comes(peer, "<r "));
	world_send(peer, " ");
	world_sleep(stage.world, 18 * SECONDS);
	CHECK(!world_is_closed(peer));
	world_sleep(stage.world, 2 * SECONDS);
	CHECK(world_is_closed(peer));
	world_free(&stage.world);
}

static void
who_acknowledges_late_stays(void **state)
{
	struct stage stage = stage_begin(1, ASKING);
	struct world_peer *peer = owe(&stage, true);
	char said[100];

	(void)state;
	for (unsigned i = 1; i <= 5; i++) {
		talk(&stage, peer, 3);
		snprintf(
		    said, sizeof(said), "<a xmlns='urn:xmpp:sm:3' h='%u'/>", i);
		world_send(peer, said);
		world_run(stage.world);
		stage_say(&stage, "next");
		CHECK(stage_comes(peer, "id='next'"));
		CHECK(stage_comes(peer, "<r "));
	}
	CHECK(!world_is_closed(peer));
	world_free(&stage.world);
}

/* The answer to a ping of that stream which was sent behind so many stanzas. */
static void
say_pong(struct world_peer *ear, struct world_peer *asked, unsigned count)
{
	const struct stream_id id = stage_s2s(asked)->stream.id;
	char pong[200];

	snprintf(pong, sizeof(pong),
	    "<iq type='result'" PAIR " id='jackdaw-ack-%u-%u-%u-%u'/>",
	    id.shard, id.slot, id.use, count);
	world_send(ear, pong);
}

/* Or always the same: it is there, and has as long as messages are held. */
static void
who_acknowledges_nothing_is_given_up(void **state)
{
	for (unsigned i = 0; i < 2; i++) {
		struct stage stage = stage_begin(
		    i + 1, ASKING CLEAR "s2s.hold_messages: 3 min\n");
		struct world_peer *peer = owe(&stage, i == 0);
		struct world_peer *ear =
		    i == 0 ? NULL : stage_arrive_proved(&stage);

		(void)state;
		for (unsigned j = 0; j < 7; j++) {
			talk(&stage, peer, 1);
			if (i == 0)
				world_send(
				    peer, "<a xmlns='urn:xmpp:sm:3' h='0'/>");
			else
				say_pong(ear, peer, 0);
			CHECK(stage_comes(
			    peer, i == 0 ? "<r " : "urn:xmpp:ping"));
		}
		world_sleep(stage.world, 4 * SECONDS);
		CHECK(!world_is_closed(peer));
		world_sleep(stage.world, 2 * SECONDS);
		CHECK(world_is_closed(peer));
		world_free(&stage.world);
	}
}

/* And then no longer than others, once it acknowledged something. */
static void
who_is_silent_later_has_no_more_time(void **state)
{
	struct stage stage =
	    stage_begin(1, ASKING "s2s.hold_messages: 30 min\n");
	struct world_peer *peer = owe(&stage, true);

	(void)state;
	stage_say(&stage, "m2");
	talk(&stage, peer, 1);
	world_send(peer, "<a xmlns='urn:xmpp:sm:3' h='0'/>");
	talk(&stage, peer, 3);
	world_send(peer, "<a xmlns='urn:xmpp:sm:3' h='1'/>");
	talk(&stage, peer, 3);
	world_sleep(stage.world, 10 * SECONDS);
	CHECK(world_is_closed(peer));
	world_free(&stage.world);
}

/* However little it is, while there is more of it. */
static void
who_acknowledges_little_by_little_stays(void **state)
{
	struct stage stage = stage_begin(1, ASKING);
	struct world_peer *peer = owe(&stage, true);
	char said[100];

	(void)state;
	for (unsigned i = 1; i <= 4; i++)
		stage_say(&stage, "more");
	for (unsigned i = 1; i <= 4; i++) {
		talk(&stage, peer, 3);
		snprintf(
		    said, sizeof(said), "<a xmlns='urn:xmpp:sm:3' h='%u'/>", i);
		world_send(peer, said);
		CHECK(stage_comes(peer, "<r "));
	}
	talk(&stage, peer, 3);
	world_sleep(stage.world, 10 * SECONDS);
	CHECK(world_is_closed(peer));
	world_free(&stage.world);
}

/* Its answer is there, but we do not read. */
static void
who_is_not_read_is_not_late(void **state)
{
	struct stage stage = stage_begin(1, ASKING);
	struct world_peer *peer = owe(&stage, true);
	struct stream *stream = &stage_s2s(peer)->stream;

	(void)state;
	talk(&stage, peer, 3);
	shard_enter(stream->shard);
	stream_hold(stream, true);
	world_sleep(stage.world, 10 * MINUTES);
	CHECK(!world_is_closed(peer));
	shard_enter(stream->shard);
	stream_hold(stream, false);
	world_sleep(stage.world, 4 * SECONDS);
	CHECK(!world_is_closed(peer));
	world_sleep(stage.world, 2 * SECONDS);
	CHECK(world_is_closed(peer));
	world_free(&stage.world);
}

/* A stranger's domain may have any number of endpoints that say nothing: what
 * it makes us ask takes a place among few all the while. */
static void
questions_end_however_many_say_nothing(void **state)
{
	char yaml[400] = CLEAR "domains: {" VERONA ": {s2s: {route: [";
	struct stage stage;

	for (unsigned port = 1; port <= 8; port++) {
		const size_t len = strlen(yaml);

		snprintf(yaml + len, sizeof(yaml) - len,
		    "\"xmpp://192.0.2.1:%u\"%s", port,
		    port < 8 ? ", " : "]}}}\n");
	}
	stage = stage_begin(1, yaml);
	stage_arrive_with_key(&stage);
	CHECK(world_dialled(stage.world, VERONA) != NULL);
	world_sleep(stage.world, 59 * SECONDS);
	CHECK_EQUAL(stage_attempts(&stage), 1);
	world_sleep(stage.world, 2 * SECONDS);
	CHECK_EQUAL(stage_attempts(&stage), 0);
	world_sleep(stage.world, 1 * MINUTES);
	world_free(&stage.world);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(slow_answers_hold_nobody_up),
	    cmocka_unit_test(questions_may_outlast_the_attempt),
	    cmocka_unit_test(an_end_while_questions_are_open_leaves_nothing),
	    cmocka_unit_test(questions_end_however_many_say_nothing),
	    cmocka_unit_test(limits_are_those_of_the_last_features),
	    cmocka_unit_test(our_own_idle_streams_end_in_order),
	    cmocka_unit_test(their_idle_streams_leave_no_doubt),
	    cmocka_unit_test(who_does_not_answer_our_end_leaves_doubt),
	    cmocka_unit_test(who_owes_an_answer_is_not_idle),
	    cmocka_unit_test(dead_streams_are_noticed),
	    cmocka_unit_test(dead_streams_are_noticed_by_pings),
	    cmocka_unit_test(who_answers_stays),
	    cmocka_unit_test(who_never_acknowledges_is_given_up),
	    cmocka_unit_test(who_only_seems_to_answer_is_given_up),
	    cmocka_unit_test(who_acknowledges_late_stays),
	    cmocka_unit_test(who_acknowledges_nothing_is_given_up),
	    cmocka_unit_test(who_is_silent_later_has_no_more_time),
	    cmocka_unit_test(who_acknowledges_little_by_little_stays),
	    cmocka_unit_test(who_is_not_read_is_not_late),
	};

	return cmocka_run_group_tests_name("s2s_time", tests, NULL, NULL);
}

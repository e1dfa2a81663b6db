/*
 * Requests whose stream broke before it was known what became of them: none is
 * carried out twice, and who asked hears of each once.
 */
#include <stdio.h>
#include <string.h>

#include "base/check.h"
#include "server/remote_list.h"
#include "server/s2s_stage.h"

/* Without modules: stanzas go straight between sessions and streams. */
const struct module *const modules_builtin[] = {NULL};

#define LASTING "<enabled xmlns='urn:xmpp:sm:3' id='s1' resume='true'/>"
#define PASSING "<enabled xmlns='urn:xmpp:sm:3'/>"
#define ANSWERED                                                         \
	"<iq type='result' id='q1' from='escalus@" VERONA "' to='" ROMEO \
	"/orchard'/>"

static void
ask(const struct stage *stage, const char *type, const char *id)
{
	char text[256];

	snprintf(text, sizeof(text),
	    "<iq type='%s' id='%s' to='escalus@" VERONA "'>"
	    "<query xmlns='urn:example:deeds'/></iq>",
	    type, id);
	world_send(stage->romeo, text);
	world_run(stage->world);
}

/* The next stream of ours, up to "<enable/>" or "<resume/>". */
static struct world_peer *
await(const struct stage *stage)
{
	world_sleep(stage->world, 3000);
	return stage_dialled(stage, STAGE_LINES - 1);
}

/* A request and a message were sent on a stream of ours, which was cut. */
static struct stage
begin_cut(uint64_t seed, const char *type, const char *enabled)
{
	struct stage stage = stage_begin(seed, CLEAR);
	struct world_peer *peer;

	ask(&stage, type, "q1");
	stage_say(&stage, "m1");
	peer = await(&stage);
	world_send(peer, enabled);
	CHECK(stage_comes(peer, "id='q1'"));
	CHECK(stage_comes(peer, "id='m1'"));
	world_cut(&peer);
	world_run(stage.world);
	return stage;
}

/* How often this came, of all that did. */
static unsigned
count(struct world_peer *peer, const char *part)
{
	unsigned times = 0;

	while (stage_comes(peer, part))
		times++;
	return times;
}

/* The message comes, and not the request before it. */
static bool
only_m1_comes(struct world_peer *peer)
{
	const char *text;

	world_run(peer->world);
	while ((text = world_next(peer)) != NULL) {
		if (strstr(text, "id='m1'") != NULL)
			return true;
		if (strstr(text, "id='q1'") != NULL)
			return false;
	}
	return false;
}

/* Romeo hears, within the time that requests wait, of q1 just this, once. */
static void
hears(const struct stage *stage, const char *part)
{
	const char *text;
	unsigned times = 0;

	world_sleep(stage->world, 70000);
	while ((text = world_next(stage->romeo)) != NULL) {
		if (strstr(text, "id='q1'") == NULL)
			continue;
		if (strstr(text, part) == NULL)
			fail_msg("%s", text);
		times++;
	}
	CHECK_EQUAL(times, 1);
}

#define TIMEOUT "<remote-server-timeout"

/* It waits for its answer, or for the end of its time. */
static void
what_may_be_done_is_not_asked_for_again(void **state)
{
	for (unsigned i = 0; i < 2; i++) {
		struct stage stage = begin_cut(i + 1, "set", PASSING);
		struct world_peer *peer = await(&stage), *other;

		world_send(peer, PASSING);
		CHECK(only_m1_comes(peer));
		ask(&stage, "set", "q2");
		CHECK(stage_comes(peer, "id='q2'"));
		world_send(peer, "<a xmlns='urn:xmpp:sm:3' h='2'/>");
		other = stage_arrive_certified(&stage, VERONA);
		if (i == 0)
			world_send(other, ANSWERED);
		hears(&stage, i == 0 ? "type='result'" : TIMEOUT);
		CHECK_EQUAL(count(peer, "id='q1'"), 0);
		world_free(&stage.world);
	}
}

/* The answer overtook the acknowledgement. */
static void
what_was_answered_is_done(void **state)
{
	struct stage stage = stage_begin(1, CLEAR);
	struct world_peer *other = stage_arrive_proved(&stage), *peer;

	ask(&stage, "set", "q1");
	peer = await(&stage);
	world_send(peer, PASSING);
	CHECK(stage_comes(peer, "id='q1'"));
	world_send(other, ANSWERED);
	world_run(stage.world);
	world_cut(&peer);
	stage_say(&stage, "m1");
	peer = await(&stage);
	world_send(peer, PASSING);
	CHECK(only_m1_comes(peer));
	hears(&stage, "type='result'");
	CHECK_EQUAL(count(peer, "id='q1'"), 0);
	world_free(&stage.world);
}

/* Nor what somebody else answers, or something else of the same name. */
static void
only_its_answer_answers_it(void **state)
{
	static const char *const answers[] = {
	    "<iq type='result' id='q2' from='escalus@" VERONA "' to='" ROMEO
	    "/orchard'/>",
	    "<iq type='result' id='q1' from='paris@" VERONA "' to='" ROMEO
	    "/balcony'/>",
	    "<iq type='get' id='q1' from='escalus@" VERONA "' to='" ROMEO
	    "/balcony'><query xmlns='urn:example:deeds'/></iq>",
	};

	for (size_t i = 0; i < COUNT_OF(answers); i++) {
		struct stage stage = begin_cut(i + 1, "set", PASSING);
		struct world_peer *other =
		    stage_arrive_certified(&stage, VERONA);

		world_send(other, answers[i]);
		hears(&stage, TIMEOUT);
		world_free(&stage.world);
	}
}

/* What only asks may be asked again. */
static void
who_only_asks_asks_again(void **state)
{
	struct stage stage = begin_cut(1, "get", PASSING);
	struct world_peer *peer = await(&stage), *other;

	world_send(peer, PASSING);
	CHECK(stage_comes(peer, "id='q1'"));
	CHECK(stage_comes(peer, "id='m1'"));
	world_send(peer, "<a xmlns='urn:xmpp:sm:3' h='2'/>");
	other = stage_arrive_certified(&stage, VERONA);
	world_send(other, ANSWERED);
	hears(&stage, "type='result'");
	world_free(&stage.world);
}

/* Who resumes the stream says what became of it. */
static void
who_resumes_tells_what_was_done(void **state)
{
	for (unsigned h = 0; h < 2; h++) {
		struct stage stage = begin_cut(h + 1, "set", LASTING);
		struct world_peer *peer = await(&stage), *other;
		char said[100];

		CHECK(stage_comes(peer, "<resume "));
		snprintf(said, sizeof(said),
		    "<resumed xmlns='urn:xmpp:sm:3' previd='s1' h='%u'/>", h);
		world_send(peer, said);
		world_run(stage.world);
		CHECK_EQUAL(count(peer, "id='q1'"), 1 - h);
		world_send(peer, "<a xmlns='urn:xmpp:sm:3' h='2'/>");
		other = stage_arrive_certified(&stage, VERONA);
		world_send(other, ANSWERED);
		hears(&stage, "type='result'");
		world_free(&stage.world);
	}
}

/* What the administration sees, of the pair with VERONA. */
static long long
seen(const struct stage *stage, const char *what)
{
	long long sum = 0;

	for (unsigned i = 0; i < stage->world->server.shard_count; i++) {
		json_t *pairs = remote_list(&stage->world->server.shards[i]);

		sum += json_integer_value(
		    json_object_get(json_array_get(pairs, 0), what));
		json_decref(pairs);
	}
	return sum;
}

/* Who does not resume it says nothing. */
static void
who_does_not_resume_tells_nothing(void **state)
{
	struct stage stage = begin_cut(1, "set", LASTING);
	struct world_peer *peer = await(&stage);

	world_send(peer, "<failed xmlns='urn:xmpp:sm:3'/>");
	CHECK(stage_comes(peer, "<enable"));
	CHECK_EQUAL(seen(&stage, "in_doubt"), 2);
	world_send(peer, PASSING);
	CHECK(only_m1_comes(peer));
	CHECK_EQUAL(seen(&stage, "in_doubt"), 1);
	world_send(peer, "<a xmlns='urn:xmpp:sm:3' h='1'/>");
	stage_say(&stage, "m2");
	CHECK(stage_comes(peer, "id='m2'"));
	CHECK(seen(&stage, "oldest_s") >= 3);
	hears(&stage, TIMEOUT);
	CHECK_EQUAL(seen(&stage, "in_doubt"), 0);
	CHECK_EQUAL(count(peer, "id='q1'"), 0);
	world_free(&stage.world);
}

/* A stream of theirs that is not resumed in time; and one that is resumed, but
 * was not the one that carried it. */
static void
who_resumes_another_tells_nothing(void **state)
{
	for (unsigned i = 0; i < 2; i++) {
		struct stage stage = stage_begin(i + 1, CLEAR);
		struct world_peer *first, *second;
		char said[200];
		const char *id;

		first = stage_arrive_certified(&stage, VERONA);
		world_send(
		    first, "<enable xmlns='urn:xmpp:sm:3' resume='true'/>");
		CHECK(stage_comes(first, "<enabled"));
		second = stage_arrive_certified(&stage, VERONA);
		world_send(
		    second, "<enable xmlns='urn:xmpp:sm:3' resume='true'/>");
		world_run(stage.world);
		id = strstr(world_next(second), " id='") + 5;
		snprintf(said, sizeof(said),
		    "<resume xmlns='urn:xmpp:sm:3' previd='%.*s' h='0'/>",
		    (int)strcspn(id, "'"), id);
		ask(&stage, "set", "q1");
		CHECK(stage_comes(first, "id='q1'"));
		world_cut(&first);
		world_cut(&second);
		second = stage_arrive_certified(&stage, VERONA);
		if (i == 1)
			world_send(second, said);
		world_sleep(stage.world, 20000);
		CHECK_EQUAL(count(second, "id='q1'"), 0);
		hears(&stage, TIMEOUT);
		world_free(&stage.world);
	}
}

/* --- pings --------------------------------------------------------------- */

/* What names a ping of ours, and whether it proves what went before that: any
 * answer does, also a refusal. */
static const struct {
	const char *from, *type;
	bool is_proof;
} pongs[] = {
    {VERONA, "result", true},
    {VERONA, "error", true},
    {VERONA, "set", false},
    {"mantua.example", "result", false},
    {"mantua.example", "error", false},
};

/* Its answer comes on another stream, when that which it proves the end of is
 * gone. */
static void
a_ping_is_answered_after_the_cut(void **state)
{
	for (unsigned i = 0; i < COUNT_OF(pongs); i++) {
		struct stage stage = stage_begin(i + 1, CLEAR);
		struct world_peer *other, *peer;
		char said[300];
		const char *id;

		stage_say(&stage, "m1");
		peer = await(&stage);
		world_send(peer, "<failed xmlns='urn:xmpp:sm:3'/>");
		CHECK(stage_comes(peer, "id='m1'"));
		id = strstr(world_next(peer), " id='") + 5;
		snprintf(said, sizeof(said),
		    "<iq type='%s' id='%.*s' from='%s' "
		    "to='montague.example'><x xmlns='urn:x'/></iq>",
		    pongs[i].type, (int)strcspn(id, "'"), id, pongs[i].from);
		world_cut(&peer);
		world_run(stage.world);
		other = stage_arrive_one_way(&stage, pongs[i].from);
		world_send(other, said);
		peer = await(&stage);
		world_send(peer, PASSING);
		if (count(peer, "id='m1'") != (pongs[i].is_proof ? 0 : 1))
			fail_msg("%s of %s", pongs[i].type, pongs[i].from);
		world_free(&stage.world);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(what_may_be_done_is_not_asked_for_again),
	    cmocka_unit_test(what_was_answered_is_done),
	    cmocka_unit_test(only_its_answer_answers_it),
	    cmocka_unit_test(who_only_asks_asks_again),
	    cmocka_unit_test(who_resumes_tells_what_was_done),
	    cmocka_unit_test(who_does_not_resume_tells_nothing),
	    cmocka_unit_test(who_resumes_another_tells_nothing),
	    cmocka_unit_test(a_ping_is_answered_after_the_cut),
	};

	return cmocka_run_group_tests_name("s2s_doubt", tests, NULL, NULL);
}

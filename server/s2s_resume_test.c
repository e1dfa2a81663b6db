/* Resumption where both servers connect again at once: nothing comes twice. */
#include <stdio.h>
#include <string.h>

#include "base/check.h"
#include "server/s2s_stage.h"

/* Without modules: stanzas go straight between sessions and streams. */
const struct module *const modules_builtin[] = {NULL};

/* Said on a stream of ours, which was cut then; VERONA has one of two. */
static struct stage
begin_cut(uint64_t seed)
{
	struct stage stage = stage_begin(seed, CLEAR);
	struct world_peer *peer;

	stage_say(&stage, "m1");
	stage_say(&stage, "m2");
	peer = stage_dialled(&stage, STAGE_LINES - 1);
	CHECK(stage_comes(peer, "<enable"));
	world_send(peer, ENABLED);
	CHECK(stage_comes(peer, "id='m2'"));
	world_cut(&peer);
	world_run(stage.world);
	CHECK(world_dialled(stage.world, VERONA) == NULL);
	return stage;
}

/* VERONA came when we waited before the next attempt, or when that had begun.
 */
static void
another_stream_waits_for_the_resumed_one(void **state)
{
	for (uint64_t seed = 1; seed <= 20; seed++) {
		struct stage stage = begin_cut(seed);
		struct world_peer *peer, *other;

		world_sleep(stage.world, seed % 2 == 0 ? 0 : 2000);
		other = stage_arrive_certified(&stage, VERONA);
		CHECK(!stage_comes(other, "<message"));
		peer = stage_dialled(&stage, STAGE_LINES - 1);
		CHECK(stage_comes(peer, "<resume "));
		world_send(peer, RESUMED);
		world_run(stage.world);
		CHECK(strstr(world_next(other), "id='m2'") != NULL);
		CHECK(!stage_comes(peer, "<message"));
		CHECK(world_dialled(stage.world, VERONA) == NULL);
		world_free(&stage.world);
	}
}

/* VERONA may have said something on the stream that was cut: it waits. */
static void
who_has_nothing_to_say_resumes_too(void **state)
{
	struct stage stage = stage_begin(1, CLEAR);
	struct world_peer *peer;

	stage_say(&stage, "m1");
	peer = stage_dialled(&stage, STAGE_LINES - 1);
	world_send(peer, ENABLED);
	CHECK(stage_comes(peer, "id='m1'"));
	world_send(peer, "<a xmlns='urn:xmpp:sm:3' h='1'/>");
	world_run(stage.world);
	world_cut(&peer);
	stage_arrive_certified(&stage, VERONA);
	world_run(stage.world);
	peer = stage_dialled(&stage, STAGE_LINES - 1);
	CHECK(stage_comes(peer, "<resume "));
	world_send(peer, RESUMED);
	world_run(stage.world);
	world_sleep(stage.world, 20000);
	CHECK(world_dialled(stage.world, VERONA) == NULL);
	world_free(&stage.world);
}

/* A link that broke may break again. But what cannot be resumed, because nobody
 * lets us connect, goes all the same. */
static void
who_cannot_connect_tries_again_and_then_uses_the_other(void **state)
{
	for (unsigned i = 0; i < 2; i++) {
		struct stage stage = begin_cut(1);
		struct world_peer *other =
		    stage_arrive_certified(&stage, VERONA);
		struct world_peer *peer = world_dialled(stage.world, VERONA);

		world_cut(&peer);
		world_sleep(stage.world, 3000);
		CHECK(!stage_comes(other, "<message"));
		if (i == 0) {
			peer = stage_dialled(&stage, STAGE_LINES - 1);
			CHECK(stage_comes(peer, "<resume "));
			world_send(peer, "<resumed xmlns='urn:xmpp:sm:3' "
					 "previd='s1' h='2'/>");
		}
		world_sleep(stage.world, 13000);
		CHECK(stage_comes(other, "id='m2'") == (i == 1));
		world_free(&stage.world);
	}
}

/* What it waits for is tried then, too, and first. */
static void
who_comes_after_a_long_time_waits_for_the_resumed_one(void **state)
{
	struct stage stage = begin_cut(1);
	struct world_peer *peer, *other;

	(void)state;
	for (unsigned i = 0; i < 40; i++) {
		peer = world_dialled(stage.world, VERONA);
		if (peer != NULL)
			world_cut(&peer);
		world_sleep(stage.world, 1000);
	}
	other = stage_arrive(&stage);
	world_send(other, OPENING);
	CHECK(stage_comes(other, "features"));
	world_send(other, "<bidi xmlns='urn:xmpp:bidi'/>"
			  "<db:result" PAIR ">key</db:result>");
	world_run(stage.world);
	CHECK(stage_vouch(&stage, "valid"));
	CHECK(stage_comes(other, "type='valid'"));
	world_sleep(stage.world, 3000);
	peer = stage_dialled(&stage, STAGE_LINES - 1);
	CHECK(stage_comes(peer, "<resume "));
	world_free(&stage.world);
}

/* What is remembered of a stream says nothing of what is sent later, when all
 * else of the link was forgotten. */
static void
what_comes_later_is_not_taken_for_done(void **state)
{
	struct stage stage = begin_cut(1);
	struct world_peer *other = stage_arrive_certified(&stage, VERONA);
	struct world_peer *peer = world_dialled(stage.world, VERONA);

	world_send(other, "<enable xmlns='urn:xmpp:sm:3'/>");
	world_cut(&peer);
	world_sleep(stage.world, 16000);
	CHECK(stage_comes(other, "id='m2'"));
	world_send(other, "<a xmlns='urn:xmpp:sm:3' h='2'/>");
	world_run(stage.world);
	world_send(other, "</stream:stream>");
	world_run(stage.world);
	stage_say(&stage, "m3");
	peer = stage_dialled(&stage, STAGE_LINES - 1);
	CHECK(stage_comes(peer, "<resume "));
	world_send(peer, "<resumed xmlns='urn:xmpp:sm:3' previd='s1' h='2'/>");
	CHECK(stage_comes(peer, "id='m3'"));
	world_free(&stage.world);
}

static void
who_does_not_resume_is_not_awaited_for_long(void **state)
{
	struct stage stage = stage_begin(1, CLEAR);
	struct world_peer *peer = stage_arrive_certified(&stage, VERONA);

	world_send(peer, ENABLE);
	stage_say(&stage, "m1");
	CHECK(stage_comes(peer, "id='m1'"));
	world_cut(&peer);
	peer = stage_arrive_certified(&stage, VERONA);
	world_send(peer, ENABLE);
	world_sleep(stage.world, 14000);
	CHECK(!stage_comes(peer, "<message"));
	world_sleep(stage.world, 2000);
	CHECK(stage_comes(peer, "id='m1'"));
	world_free(&stage.world);
}

/* "<resume/>" for the stream that was enabled on this one. */
static void
resume_text(struct world_peer *peer, char *text, size_t len)
{
	const char *id;

	world_send(peer, ENABLE);
	world_run(peer->world);
	id = strstr(world_next(peer), " id='") + 5;
	snprintf(text, len,
	    "<resume xmlns='urn:xmpp:sm:3' previd='%.*s' h='1'/>",
	    (int)strcspn(id, "'"), id);
}

/* A stream that the peer opened, with and without its end being noticed. */
static void
what_the_peer_resumes_comes_once(void **state)
{
	for (uint64_t seed = 1; seed <= 20; seed++) {
		struct stage stage = stage_begin(seed, CLEAR);
		struct world_peer *peer =
		    stage_arrive_certified(&stage, VERONA);
		char said[200];

		resume_text(peer, said, sizeof(said));
		stage_say(&stage, "m1");
		stage_say(&stage, "m2");
		CHECK(stage_comes(peer, "id='m2'"));
		if (seed % 2 == 0)
			world_cut(&peer);
		peer = stage_arrive_certified(&stage, VERONA);
		CHECK(!stage_comes(peer, "<message"));
		world_send(peer, said);
		CHECK(stage_comes(peer, "<resumed"));
		world_run(stage.world);
		CHECK(strstr(world_next(peer), "id='m2'") != NULL);
		world_send(peer, "<a xmlns='urn:xmpp:sm:3' h='2'/>");
		world_run(stage.world);
		world_cut(&peer);
		peer = stage_arrive_certified(&stage, VERONA);
		CHECK(!stage_comes(peer, "<message"));
		world_free(&stage.world);
	}
}

/* m1 is acknowledged; m2 goes on the new connection before it is resumed. */
static struct world_peer *
say_before_it_is_resumed(struct stage *stage, char *said, size_t size)
{
	struct world_peer *peer = stage_arrive_certified(stage, VERONA);

	resume_text(peer, said, size);
	stage_say(stage, "m1");
	CHECK(stage_comes(peer, "id='m1'"));
	world_send(peer, "<a xmlns='urn:xmpp:sm:3' h='1'/>");
	world_run(stage->world);
	world_cut(&peer);
	peer = stage_arrive_certified(stage, VERONA);
	stage_say(stage, "m2");
	CHECK(stage_comes(peer, "id='m2'"));
	world_send(peer, said);
	CHECK(stage_comes(peer, "<resumed"));
	return peer;
}

/* What goes before <resume/> comes is not of the count, but acknowledged with
 * what follows: a ping, and m3. */
static void
what_went_before_it_was_resumed_does_not_count(void **state)
{
	struct stage stage = stage_begin(1, CLEAR);
	char said[200];
	struct world_peer *peer =
	    say_before_it_is_resumed(&stage, said, sizeof(said));

	stage_say(&stage, "m3");
	CHECK(stage_comes(peer, "id='m3'"));
	world_send(peer, "<a xmlns='urn:xmpp:sm:3' h='3'/>");
	world_run(stage.world);
	world_cut(&peer);
	peer = stage_arrive_certified(&stage, VERONA);
	world_sleep(stage.world, 20000);
	CHECK(!stage_comes(peer, "<message"));
	world_free(&stage.world);
}

/* It is not of the count, so what is said of that proves nothing. */
static void
what_went_before_it_was_resumed_is_not_lost(void **state)
{
	for (unsigned i = 0; i < 2; i++) {
		struct stage stage = stage_begin(i + 1, CLEAR);
		char said[200];
		struct world_peer *peer =
		    say_before_it_is_resumed(&stage, said, sizeof(said));

		if (i == 1)
			world_send(peer, "<a xmlns='urn:xmpp:sm:3' h='1'/>");
		world_run(stage.world);
		world_cut(&peer);
		peer = stage_arrive_certified(&stage, VERONA);
		world_send(peer, said);
		CHECK(stage_comes(peer, "<resumed"));
		CHECK(stage_comes(peer, "id='m2'"));
		world_free(&stage.world);
	}
}

/* What went before <enable/> came is proved by the next stanza that is of the
 * count, and there is one. */
static void
what_went_before_it_was_enabled_is_not_lost(void **state)
{
	for (unsigned i = 0; i < 2; i++) {
		struct stage stage = stage_begin(i + 1, CLEAR);
		struct world_peer *peer =
		    stage_arrive_certified(&stage, VERONA);

		stage_say(&stage, "m1");
		CHECK(stage_comes(peer, "id='m1'"));
		world_send(peer, ENABLE);
		CHECK(stage_comes(peer, "<enabled"));
		CHECK(stage_comes(peer, "urn:xmpp:ping"));
		CHECK(stage_comes(peer, "<r "));
		world_send(peer, i == 0 ? "<a xmlns='urn:xmpp:sm:3' h='0'/>"
					: "<a xmlns='urn:xmpp:sm:3' h='1'/>");
		world_run(stage.world);
		world_cut(&peer);
		peer = stage_arrive_certified(&stage, VERONA);
		world_sleep(stage.world, 20000);
		CHECK(stage_comes(peer, "id='m1'") == (i == 0));
		world_free(&stage.world);
	}
}

/* Each time it comes to any shard, and is looked for on all. */
static void
a_stream_is_resumed_again_and_again(void **state)
{
	for (uint64_t seed = 1; seed <= 20; seed++) {
		struct stage stage = stage_begin(seed, CLEAR);
		struct world_peer *peer =
		    stage_arrive_certified(&stage, VERONA);
		char said[200];

		resume_text(peer, said, sizeof(said));
		stage_say(&stage, "m1");
		CHECK(stage_comes(peer, "id='m1'"));
		for (unsigned i = 0; i < 4; i++) {
			if ((seed + i) % 2 == 0)
				world_cut(&peer);
			peer = stage_arrive_certified(&stage, VERONA);
			world_send(peer, said);
			CHECK(stage_comes(peer, "<resumed"));
			world_run(stage.world);
			CHECK(world_next(peer) == NULL);
		}
		world_free(&stage.world);
	}
}

/* It was said before VERONA knew that nothing is resumed: what is not done
 * with then stops nobody later. */
static void
who_cannot_resume_is_heard(void **state)
{
	enum { MANY = 1024 };
	struct stage stage = stage_begin(1, CLEAR);
	struct world_peer *peer = stage_arrive_certified(&stage, VERONA);
	struct buf said = {0};

	(void)state;
	world_add_account(stage.world, TYBALT, NULL);
	world_hold_store(stage.world, true);
	buf_add(
	    &said, STR("<resume xmlns='urn:xmpp:sm:3' previd='0-x' h='0'/>"));
	for (unsigned i = 0; i < MANY; i++)
		buf_add(&said, STR(TO_TYBALT("t1")));
	buf_add_byte(&said, '\0');
	world_send(peer, said.text);
	CHECK(stage_comes(peer, "<failed"));
	world_hold_store(stage.world, false);
	world_sleep(stage.world, 10000);
	world_send(peer, MESSAGE("escalus@" VERONA));
	world_run(stage.world);
	CHECK(stage_comes(stage.romeo, "escalus@"));
	buf_deinit(&said);
	world_free(&stage.world);
}

/* --- false answers ------------------------------------------------------- */

/* The next attempt, to go on. */
static struct world_peer *
await_resume(const struct stage *stage)
{
	struct world_peer *peer;

	world_sleep(stage->world, 5000);
	peer = stage_dialled(stage, STAGE_LINES - 1);
	CHECK(stage_comes(peer, "<resume "));
	return peer;
}

static const char *
next_message(struct world_peer *peer)
{
	const char *text;

	do
		text = world_next(peer);
	while (text != NULL && strstr(text, "<message") == NULL);
	return text == NULL ? "" : text;
}

/* The next attempt, to begin anew: both come again, in order, and m3. */
static void
all_comes_again(const struct stage *stage)
{
	struct world_peer *peer;

	world_sleep(stage->world, 5000);
	peer = stage_dialled(stage, STAGE_LINES - 1);
	CHECK(stage_comes(peer, "<enable "));
	world_send(peer, ENABLED);
	world_run(stage->world);
	for (unsigned i = 1; i <= 3; i++) {
		char id[16];

		snprintf(id, sizeof(id), "id='m%u'", i);
		CHECK(strstr(next_message(peer), id) != NULL);
	}
	CHECK(!stage_comes(peer, "<message"));
}

static void
false_answers_prove_nothing(void **state)
{
	static const struct {
		const char *said, *error;
	} cases[] = {
	    {"<resumed xmlns='urn:xmpp:sm:3' previd='s2' h='2'/>",
		"<bad-format"},
	    {"<resumed xmlns='urn:xmpp:sm:3' h='2'/>", "<bad-format"},
	    {"<resumed xmlns='urn:xmpp:sm:3' previd='s1' h='3'/>",
		"<handled-count-too-high xmlns='urn:xmpp:sm:3' h='3' "
		"send-count='2'/>"},
	    {"<resumed xmlns='urn:xmpp:sm:3' previd='s1' h='4294967295'/>",
		"<handled-count-too-high"},
	    {"<resumed xmlns='urn:xmpp:sm:3' previd='s1' h='-1'/>",
		"<bad-format"},
	    {"<resumed xmlns='urn:xmpp:sm:3' previd='s1'/>", "<bad-format"},
	    {ENABLED, "<bad-format"},
	};

	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		struct stage stage = begin_cut(i + 1);
		struct world_peer *peer = await_resume(&stage);

		stage_say(&stage, "m3");
		world_send(peer, cases[i].said);
		if (!stage_comes(peer, cases[i].error))
			fail_msg("%s", cases[i].said);
		all_comes_again(&stage);
		world_free(&stage.world);
	}
}

/* Without <resume/>, and what ends it before it is an answer. */
static void
nobody_resumes_what_is_new(void **state)
{
	struct stage stage = stage_begin(1, CLEAR);
	struct world_peer *peer;

	for (unsigned i = 1; i <= 3; i++) {
		char id[16];

		snprintf(id, sizeof(id), "m%u", i);
		stage_say(&stage, id);
	}
	peer = stage_dialled(&stage, STAGE_LINES - 1);
	CHECK(stage_comes(peer, "<enable"));
	world_send(peer, RESUMED);
	CHECK(stage_comes(peer, "<bad-format"));
	all_comes_again(&stage);
	world_free(&stage.world);
}

/* The second is the answer to <enable/>: pings have to do. */
static void
who_refuses_twice_gets_all_again(void **state)
{
	struct stage stage = begin_cut(1);
	struct world_peer *peer = await_resume(&stage);

	world_send(peer, "<failed xmlns='urn:xmpp:sm:3'/>"
			 "<failed xmlns='urn:xmpp:sm:3'/>" ENABLED);
	CHECK(stage_comes(peer, "id='m1'"));
	CHECK(stage_comes(peer, "id='m2'"));
	CHECK(stage_comes(peer, "urn:xmpp:ping"));
	world_send(peer, "<a xmlns='urn:xmpp:sm:3' h='2'/>");
	stage_say(&stage, "m3");
	world_cut(&peer);
	all_comes_again(&stage);
	world_free(&stage.world);
}

/* So does who acknowledges too much on a stream that is open, as nothing that
 * it counts can be believed. */
static void
who_acknowledges_too_much_gets_all_again(void **state)
{
	struct stage stage = stage_begin(1, CLEAR);
	struct world_peer *peer;

	stage_say(&stage, "m1");
	stage_say(&stage, "m2");
	peer = stage_dialled(&stage, STAGE_LINES - 1);
	world_send(peer, ENABLED);
	CHECK(stage_comes(peer, "id='m2'"));
	world_send(peer, "<a xmlns='urn:xmpp:sm:3' h='3'/>");
	CHECK(stage_comes(peer, "<handled-count-too-high xmlns='urn:xmpp:sm:3' "
				"h='3' send-count='2'/>"));
	stage_say(&stage, "m3");
	all_comes_again(&stage);
	world_free(&stage.world);
}

/* What it had is not doubted, and what it says of the rest is believed. */
static void
who_takes_back_what_it_acknowledged_gets_the_rest(void **state)
{
	struct stage stage = begin_cut(1);
	struct world_peer *peer = await_resume(&stage);

	world_send(peer, "<resumed xmlns='urn:xmpp:sm:3' previd='s1' h='1'/>");
	CHECK(stage_comes(peer, "id='m2'"));
	stage_say(&stage, "m3");
	CHECK(stage_comes(peer, "id='m3'"));
	world_cut(&peer);
	peer = await_resume(&stage);
	world_send(peer, "<resumed xmlns='urn:xmpp:sm:3' previd='s1' h='0'/>");
	world_run(stage.world);
	CHECK(strstr(next_message(peer), "id='m2'") != NULL);
	CHECK(strstr(next_message(peer), "id='m3'") != NULL);
	world_send(peer, "<a xmlns='urn:xmpp:sm:3' h='1'/>");
	world_run(stage.world);
	world_cut(&peer);
	peer = await_resume(&stage);
	world_send(peer, "<resumed xmlns='urn:xmpp:sm:3' previd='s1' h='1'/>");
	world_run(stage.world);
	CHECK(strstr(next_message(peer), "id='m3'") != NULL);
	world_free(&stage.world);
}

/* On a stream of theirs. */
static void
who_resumes_with_too_much_gets_all_again(void **state)
{
	struct stage stage = stage_begin(1, CLEAR);
	struct world_peer *peer = stage_arrive_certified(&stage, VERONA);
	char said[200];

	resume_text(peer, said, sizeof(said));
	world_run(stage.world);
	world_cut(&peer);
	peer = stage_arrive_certified(&stage, VERONA);
	world_send(peer, said);
	CHECK(stage_comes(peer, "<handled-count-too-high xmlns='urn:xmpp:sm:3' "
				"h='1' send-count='0'/>"));
	peer = stage_arrive_certified(&stage, VERONA);
	world_send(peer, said);
	CHECK(stage_comes(peer, "<failed"));
	world_free(&stage.world);
}

/* Nobody heard the answer, so it is as if nobody had asked. */
static void
who_is_cut_while_it_resumes_may_try_again(void **state)
{
	struct stage stage = stage_begin(1, CLEAR);
	struct world_peer *peer = stage_arrive_certified(&stage, VERONA);
	char said[200];

	(void)state;
	world_add_account(stage.world, TYBALT, NULL);
	resume_text(peer, said, sizeof(said));
	stage_say(&stage, "m1");
	stage_say(&stage, "m2");
	CHECK(stage_comes(peer, "id='m2'"));
	world_hold_store(stage.world, true);
	world_send(peer, TO_TYBALT("t1"));
	for (unsigned i = 0; i < 2; i++) {
		world_cut(&peer);
		peer = stage_arrive_certified(&stage, VERONA);
		world_send(peer, said);
		CHECK(!stage_comes(peer, "<resumed"));
	}
	world_cut(&peer);
	world_hold_store(stage.world, false);
	world_sleep(stage.world, 1000);
	peer = stage_arrive_certified(&stage, VERONA);
	world_send(peer, said);
	CHECK(stage_comes(peer, "h='1'"));
	CHECK(strstr(next_message(peer), "id='m2'") != NULL);
	world_free(&stage.world);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(another_stream_waits_for_the_resumed_one),
	    cmocka_unit_test(who_has_nothing_to_say_resumes_too),
	    cmocka_unit_test(
		who_cannot_connect_tries_again_and_then_uses_the_other),
	    cmocka_unit_test(
		who_comes_after_a_long_time_waits_for_the_resumed_one),
	    cmocka_unit_test(what_comes_later_is_not_taken_for_done),
	    cmocka_unit_test(who_does_not_resume_is_not_awaited_for_long),
	    cmocka_unit_test(what_the_peer_resumes_comes_once),
	    cmocka_unit_test(what_went_before_it_was_resumed_does_not_count),
	    cmocka_unit_test(what_went_before_it_was_resumed_is_not_lost),
	    cmocka_unit_test(what_went_before_it_was_enabled_is_not_lost),
	    cmocka_unit_test(a_stream_is_resumed_again_and_again),
	    cmocka_unit_test(who_cannot_resume_is_heard),
	    cmocka_unit_test(false_answers_prove_nothing),
	    cmocka_unit_test(nobody_resumes_what_is_new),
	    cmocka_unit_test(who_refuses_twice_gets_all_again),
	    cmocka_unit_test(who_acknowledges_too_much_gets_all_again),
	    cmocka_unit_test(who_takes_back_what_it_acknowledged_gets_the_rest),
	    cmocka_unit_test(who_resumes_with_too_much_gets_all_again),
	    cmocka_unit_test(who_is_cut_while_it_resumes_may_try_again),
	};

	return cmocka_run_group_tests_name("s2s_resume", tests, NULL, NULL);
}

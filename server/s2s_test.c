/* Streams between servers, against peers that a world plays. */
#include <stdio.h>
#include <string.h>

#include "base/check.h"
#include "base/log.h"
#include "server/remote_list.h"
#include "server/router.h"
#include "server/s2s_internal.h"
#include "server/s2s_stage.h"

/* Without modules: stanzas go straight between sessions and streams. */
const struct module *const modules_builtin[] = {NULL};

static void
a_stream_is_opened_and_carries_in_order(void **state)
{
	for (uint64_t seed = 1; seed <= 20; seed++) {
		struct stage stage = stage_begin(seed, NULL);
		struct world_peer *peer;

		stage_say(&stage, "m1");
		stage_say(&stage, "m2");
		peer = stage_dialled(&stage, STAGE_LINES);
		CHECK(stage_comes(peer, "id='m1'"));
		CHECK(stage_comes(peer, "id='m2'"));
		world_send(peer, "<a xmlns='urn:xmpp:sm:3' h='2'/>");
		stage_say(&stage, "m3");
		CHECK(stage_comes(peer, "id='m3'"));
		CHECK(stage_comes(peer, "<r "));
		CHECK(world_dialled(stage.world, VERONA) == NULL);
		CHECK(world_next(stage.romeo) == NULL);
		world_free(&stage.world);
	}
}

/* Nothing that comes before its time makes the stream usable. */
static void
what_comes_unasked_helps_nobody(void **state)
{
	static const char *const unasked[] = {
	    "<db:result" PAIR " type='valid'/>",
	    "<enabled xmlns='urn:xmpp:sm:3'/>",
	    "<failed xmlns='urn:xmpp:sm:3'/>",
	    "<success" NS("sasl") "/>",
	    "<proceed" NS("tls") "/>",
	    ANSWER,
	};

	for (size_t i = 0; i < sizeof(unasked) / sizeof(unasked[0]); i++) {
		for (size_t at = 1; at < STAGE_LINES - 1; at++) {
			struct stage stage = stage_begin(i + at * 100, NULL);
			struct world_peer *peer;

			stage_say(&stage, "m1");
			peer = stage_dialled(&stage, at);
			world_send(peer, unasked[i]);
			if (at > 2 && i == 0) {
				world_free(&stage.world);
				continue;
			}
			CHECK(!stage_comes(peer, "<message"));
			world_free(&stage.world);
		}
	}
}

/* RFC 6120, section 5.4.3.3: whoever sits between us may have said it. */
static void
what_is_offered_before_tls_is_forgotten(void **state)
{
	struct stage stage = stage_begin(1, NULL);
	struct world_peer *peer;

	stage_say(&stage, "m1");
	peer = world_dialled(stage.world, VERONA);
	CHECK(stage_comes(peer, "<stream:stream>"));
	world_send(peer,
	    ANSWER "<stream:features><starttls" NS(
		"tls") "/>"
		       "<sm xmlns='urn:xmpp:sm:3'/>"
		       "<limits xmlns='urn:xmpp:stream-limits:0'>"
		       "<max-bytes>10</max-bytes></limits></stream:features>");
	CHECK(stage_comes(peer, "<starttls"));
	world_send(peer, "<proceed" NS("tls") "/>");
	world_peer_restart(peer);
	CHECK(stage_comes(peer, "<stream:stream>"));
	world_send(peer, ANSWER "<stream:features/>");
	CHECK(stage_comes(peer, "<result"));
	world_send(peer, "<db:result" PAIR " type='valid'/>");
	world_run(stage.world);
	CHECK(strstr(world_next(peer), "id='m1'") != NULL);
	CHECK(world_next(stage.romeo) == NULL);
	world_free(&stage.world);
}

static void
a_cut_at_any_time_loses_nothing(void **state)
{
	for (size_t at = 0; at <= STAGE_LINES; at++) {
		struct stage stage = stage_begin(at + 1, NULL);
		struct world_peer *peer;

		stage_say(&stage, "m1");
		peer = stage_dialled(&stage, at);
		world_cut(&peer);
		world_sleep(stage.world, 10000);
		peer = stage_dialled(&stage, STAGE_LINES);
		CHECK(stage_comes(peer, "id='m1'"));
		CHECK(world_next(stage.romeo) == NULL);
		world_free(&stage.world);
	}
}

/* A peer that says nothing more, at any time. */
static void
silence_is_not_waited_for(void **state)
{
	for (size_t at = 0; at < STAGE_LINES; at++) {
		struct stage stage = stage_begin(at + 1, NULL);
		struct world_peer *peer;

		stage_say(&stage, "m1");
		peer = stage_dialled(&stage, at);
		world_sleep(stage.world, 45000);
		CHECK(world_is_closed(peer));
		CHECK(world_dialled(stage.world, VERONA) != NULL);
		world_free(&stage.world);
	}
}

static void
a_kill_at_any_time_leaves_nothing(void **state)
{
	for (size_t at = 0; at <= STAGE_LINES; at++) {
		struct stage stage = stage_begin(at + 1, NULL);

		stage_say(&stage, "m1");
		stage_dialled(&stage, at);
		world_step(stage.world, (unsigned)at);
		world_kill(stage.world);
		world_free(&stage.world);
	}
}

/* --- they connect -------------------------------------------------------- */

static void
who_is_vouched_for_may_send(void **state)
{
	for (uint64_t seed = 1; seed <= 20; seed++) {
		struct stage stage = stage_begin(seed, CLEAR);
		struct world_peer *peer = stage_arrive_with_key(&stage);

		CHECK(stage_vouch(&stage, "valid"));
		CHECK(stage_comes(peer, "type='valid'"));
		world_send(peer, MESSAGE("escalus@" VERONA));
		CHECK(stage_comes(stage.romeo, "id='v1'"));
		world_send(peer, MESSAGE("a@mantua.example"));
		CHECK(stage_comes(peer, "<invalid-from"));
		CHECK(world_next(stage.romeo) == NULL);
		world_free(&stage.world);
	}
}

static void
who_is_not_may_not(void **state)
{
	struct stage stage = stage_begin(1, CLEAR);
	struct world_peer *peer = stage_arrive_with_key(&stage);

	world_send(peer, MESSAGE("escalus@" VERONA));
	CHECK(stage_vouch(&stage, "invalid"));
	CHECK(stage_comes(peer, "<not-authorized"));
	CHECK(world_next(stage.romeo) == NULL);
	peer = stage_arrive_with_key(&stage);
	CHECK(stage_vouch(&stage, "invalid"));
	CHECK(stage_comes(peer, "type='invalid'"));
	CHECK(stage_comes(peer, "</stream:stream>"));
	world_free(&stage.world);
}

/* The stream that asked ends while the authority is being asked. */
static void
late_verdicts_are_nobodys(void **state)
{
	struct stage stage = stage_begin(1, CLEAR);
	struct world_peer *peer = stage_arrive_with_key(&stage);

	world_cut(&peer);
	CHECK(stage_vouch(&stage, "valid"));
	world_free(&stage.world);
}

static const struct {
	const char *opening, *said, *want;
} attacks[] = {
    {HEAD("from='" VERONA "' to='mantua.example'"), "", "<host-unknown"},
    {HEAD("from='" VERONA "'"), "", "<host-unknown"},
    {HEAD("from='capulet.example' to='montague.example'"), "", "<invalid-from"},
    {HEAD("from='a@" VERONA "' to='montague.example'"), "",
	"<improper-addressing"},
    {HEAD("from='' to='montague.example'"), "", "<improper-addressing"},
    {OPENING, MESSAGE("escalus@" VERONA), "<not-authorized"},
    {OPENING, MESSAGE("juliet@capulet.example"), "<not-authorized"},
    {OPENING, "<message to='" ROMEO "'/>", "<improper-addressing"},
    {OPENING, "<message from='a@" VERONA "'/>", "<improper-addressing"},
    {OPENING, "<message from='a@" VERONA "' to='a@mantua.example'/>",
	"<host-unknown"},
    {OPENING, "<db:result" PAIR " type='valid'/>" MESSAGE("a@" VERONA),
	"<not-authorized"},
    {OPENING, "<db:verify" PAIR " type='valid' id='x'/>" MESSAGE("a@" VERONA),
	"<not-authorized"},
    {OPENING, "<db:verify" PAIR " id='x'>0</db:verify>", "type='invalid'"},
    {OPENING, "<db:verify" PAIR ">0</db:verify>", "<item-not-found"},
    {OPENING, "<db:result from='" VERONA "' to='mantua.example'>0</db:result>",
	"<item-not-found"},
    {OPENING, "<db:result from='' to='montague.example'>0</db:result>",
	"<improper-addressing"},
    {OPENING,
	"<db:result from='capulet.example' to='montague.example'>0</db:result>",
	"<not-authorized"},
    {OPENING, "<auth" NS("sasl") " mechanism='EXTERNAL'>=</auth>",
	"<not-authorized"},
    {OPENING, "<enable xmlns='urn:xmpp:sm:3'/>", "<unexpected-request"},
    {OPENING, "<resume xmlns='urn:xmpp:sm:3' previd='x' h='0'/>",
	"<unexpected-request"},
    {OPENING, "<r xmlns='urn:xmpp:sm:3'/>", "<unexpected-request"},
    {OPENING, "<a xmlns='urn:xmpp:sm:3' h='0'/>", "<unexpected-request"},
    {OPENING, "<starttls" NS("tls") "/>", "<failure"},
};

static void
attacks_are_told_what_is_wrong(void **state)
{
	for (size_t i = 0; i < sizeof(attacks) / sizeof(attacks[0]); i++) {
		struct stage stage = stage_begin(i + 1, CLEAR);
		struct world_peer *peer = stage_arrive(&stage);

		world_send(peer, attacks[i].opening);
		world_send(peer, attacks[i].said);
		if (!stage_comes(peer, attacks[i].want))
			fail_msg("%s%s", attacks[i].opening, attacks[i].said);
		CHECK(world_next(stage.romeo) == NULL);
		world_free(&stage.world);
	}
}

static char told[4096];

static void
note_line(enum log_level level, const char *text)
{
	const size_t len = strlen(told);

	(void)level;
	snprintf(told + len, sizeof(told) - len, "%s\n", text);
}

/* A line of the log names the domain and the reason. */
static void
refusals_are_told_to_the_administrator(void **state)
{
	static const struct {
		const char *opening, *said, *domain, *reason;
	} cases[] = {
	    {HEAD("from='" VERONA "' to='mantua.example'"), "", VERONA,
		"mantua.example is not served here"},
	    {HEAD("from='capulet.example' to='montague.example'"), "",
		"capulet.example", "that domain is served here"},
	    {OPENING, "<db:result" PAIR ">0</db:result>", VERONA,
		"that domain does not know the key"},
	    {OPENING,
		"<db:result from='" VERONA "' to='mantua.example'>0"
		"</db:result>",
		VERONA, "for mantua.example: it is not served here"},
	    {OPENING,
		"<db:verify from='" VERONA "' to='a.example' id='x'>0"
		"</db:verify>",
		VERONA, "for a.example: it is not served here"},
	    {OPENING, "<auth" NS("sasl") " mechanism='EXTERNAL'>=</auth>",
		VERONA, "refused EXTERNAL: not-authorized"},
	    {OPENING, MESSAGE("escalus@" VERONA), VERONA, "not-authorized"},
	    {OPENING, "<message from='a@" VERONA "'/>", VERONA,
		"improper-addressing"},
	    {OPENING,
		"<stream:error><not-authorized" NS("streams") "/><text" NS(
		    "streams") ">It has expired</text></stream:error>",
		VERONA, "the server says not-authorized: It has expired"},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct stage stage = stage_begin(i + 1, CLEAR);
		struct world_peer *peer = stage_arrive(&stage);

		told[0] = '\0';
		log_capture(note_line);
		log_set_level(LOG_INFO);
		world_send(peer, cases[i].opening);
		world_send(peer, cases[i].said);
		world_run(stage.world);
		(void)stage_vouch(&stage, "invalid");
		log_set_level(LOG_ERROR);
		log_capture(NULL);
		if (strstr(told, cases[i].domain) == NULL ||
		    strstr(told, cases[i].reason) == NULL)
			fail_msg("%s: %s", cases[i].reason, told);
		world_free(&stage.world);
	}
}

/* --- what strangers cost ------------------------------------------------- */

/* Claims so many domains that never answer, from the number on. */
static struct world_peer *
claim(const struct stage *stage, unsigned first, unsigned count)
{
	struct world_peer *peer = stage_arrive(stage);
	char text[200];

	world_send(peer, OPENING);
	for (unsigned i = first; i < first + count; i++) {
		const char *domain =
		    str_format(peer->arena, "d%u.example", i).text;

		world_serve(stage->world, domain, WORLD_SILENT);
		snprintf(text, sizeof(text),
		    "<db:result from='%s' to='montague.example'>0</db:result>",
		    domain);
		world_send(peer, text);
	}
	world_run(stage->world);
	return peer;
}

static unsigned
count_of(struct world_peer *peer, const char *part)
{
	unsigned count = 0;
	const char *text;

	while ((text = world_next(peer)) != NULL)
		count += strstr(text, part) != NULL;
	return count;
}

static void
pairs_on_one_stream_are_limited(void **state)
{
	struct stage stage = stage_begin(1, CLEAR);
	struct world_peer *peer = claim(&stage, 0, 100);

	CHECK_EQUAL(stage_attempts(&stage), 8);
	CHECK_EQUAL(count_of(peer, "<resource-constraint"), 92);
	CHECK(!world_is_closed(peer));
	world_sleep(stage.world, 60000);
	CHECK_EQUAL(stage_attempts(&stage), 0);
	world_free(&stage.world);
}

/* Whoever makes us ask does not keep us from sending. */
static void
keys_asked_about_are_limited(void **state)
{
	struct stage stage = stage_begin(1, CLEAR);
	const unsigned max = stage.world->server.shard_count * 500;

	for (unsigned i = 0; i < max / 4; i++)
		(void)claim(&stage, i * 8, 8);
	CHECK(
	    stage_attempts(&stage) > max / 2 && stage_attempts(&stage) <= max);
	stage_say(&stage, "m1");
	CHECK(world_dialled(stage.world, VERONA) != NULL);
	world_free(&stage.world);
}

/* Nor who asks what is to be answered on a stream of ours, and lets nobody in.
 */
static void
questions_of_strangers_do_not_keep_us_from_sending(void **state)
{
	struct stage stage = stage_begin(1, CLEAR);
	struct shard *shard = &stage.world->server.shards[0];
	const unsigned count = stage.world->server.shard_count * 1200;

	(void)state;
	for (unsigned i = 0; i < count; i++) {
		struct post *letter = post_new(POST_STANZA, NULL);
		char text[300], domain[32];

		snprintf(domain, sizeof(domain), "d%u.example", i);
		world_serve(stage.world, domain, WORLD_SILENT);
		snprintf(text, sizeof(text),
		    "<iq xmlns='jabber:server' type='get' id='i1' from='%s' "
		    "to='montague.example'><ping xmlns='urn:xmpp:ping'/></iq>",
		    domain);
		letter->stanza = stanza_parse(letter->arena, str_of(text));
		shard_enter(shard);
		router_route(shard, NULL, letter);
	}
	world_run(stage.world);
	stage_say(&stage, "m1");
	CHECK(world_dialled(stage.world, VERONA) != NULL);
	world_free(&stage.world);
}

/* By nothing, by a header and by a byte a second. */
static void
who_does_not_prove_itself_goes(void **state)
{
	struct stage stage = stage_begin(1, CLEAR);
	struct world_peer *peers[3];

	for (unsigned i = 0; i < 3; i++)
		peers[i] = stage_arrive(&stage);
	world_send(peers[1], OPENING);
	for (unsigned i = 0; i < 31; i++) {
		world_send(peers[2], " ");
		world_sleep(stage.world, 1000);
	}
	for (unsigned i = 0; i < 3; i++)
		CHECK(stage_comes(peers[i], "<connection-timeout") &&
		      world_is_closed(peers[i]));
	world_free(&stage.world);
}

/* --- resumed ------------------------------------------------------------- */

/* What the administration sees of the stream to VERONA. */
static bool
is_seen_resumed(const struct stage *stage)
{
	bool is_resumed = false;

	for (unsigned i = 0; i < stage->world->server.shard_count; i++) {
		json_t *pairs = remote_list(&stage->world->server.shards[i]);
		json_t *streams =
		    json_object_get(json_array_get(pairs, 0), "streams");

		if (json_is_true(
			json_object_get(json_array_get(streams, 0), "resumed")))
			is_resumed = true;
		json_decref(pairs);
	}
	return is_resumed;
}

static void
what_the_peer_had_is_not_sent_again(void **state)
{
	for (uint64_t seed = 1; seed <= 20; seed++) {
		struct stage stage = stage_begin(seed, NULL);
		struct world_peer *peer;

		stage_say(&stage, "m1");
		stage_say(&stage, "m2");
		peer = stage_dialled(&stage, STAGE_LINES - 1);
		CHECK(stage_comes(
		    peer, "<enable xmlns='urn:xmpp:sm:3' resume='true'"));
		world_send(peer, "<enabled xmlns='urn:xmpp:sm:3' id='s1' "
				 "resume='true'/>");
		CHECK(stage_comes(peer, "id='m2'"));
		CHECK(!is_seen_resumed(&stage));
		world_cut(&peer);
		world_sleep(stage.world, 10000);
		peer = stage_dialled(&stage, STAGE_LINES - 1);
		CHECK(stage_comes(
		    peer, "<resume xmlns='urn:xmpp:sm:3' previd='s1' h='0'"));
		world_send(peer, "<resumed xmlns='urn:xmpp:sm:3' previd='s1' "
				 "h='1'/>");
		world_run(stage.world);
		CHECK(strstr(world_next(peer), "id='m2'") != NULL);
		CHECK(is_seen_resumed(&stage));
		stage_say(&stage, "m3");
		CHECK(stage_comes(peer, "id='m3'"));
		world_send(peer, "<a xmlns='urn:xmpp:sm:3' h='3'/>");
		world_cut(&peer);
		world_sleep(stage.world, 10000);
		world_free(&stage.world);
	}
}

static void
who_cannot_resume_gets_all_again(void **state)
{
	struct stage stage = stage_begin(1, NULL);
	struct world_peer *peer;

	stage_say(&stage, "m1");
	peer = stage_dialled(&stage, STAGE_LINES - 1);
	world_send(
	    peer, "<enabled xmlns='urn:xmpp:sm:3' id='s1' resume='true'/>");
	CHECK(stage_comes(peer, "id='m1'"));
	world_cut(&peer);
	world_sleep(stage.world, 10000);
	peer = stage_dialled(&stage, STAGE_LINES - 1);
	CHECK(stage_comes(peer, "<resume "));
	world_send(peer, "<failed xmlns='urn:xmpp:sm:3'/>");
	CHECK(stage_comes(peer, "<enable"));
	world_send(peer, "<enabled xmlns='urn:xmpp:sm:3'/>");
	CHECK(stage_comes(peer, "id='m1'"));
	CHECK(!is_seen_resumed(&stage));
	world_free(&stage.world);
}

static void
a_peer_goes_on_where_it_was_cut(void **state)
{
	for (uint64_t seed = 1; seed <= 20; seed++) {
		struct stage stage = stage_begin(seed, CLEAR);
		struct world_peer *peer, *next;
		char said[200], id[64];
		const char *text;

		peer = stage_arrive_proved(&stage);
		world_send(
		    peer, "<enable xmlns='urn:xmpp:sm:3' resume='true'/>");
		world_run(stage.world);
		text = strstr(world_next(peer), " id='") + 5;
		snprintf(id, sizeof(id), "%.*s", (int)strcspn(text, "'"), text);
		world_send(peer, MESSAGE("escalus@" VERONA));
		CHECK(stage_comes(stage.romeo, "id='v1'"));
		if (seed % 2 == 0) {
			world_cut(&peer);
			world_run(stage.world);
			/* Meanwhile we look whether it is there. */
			CHECK(world_dialled(stage.world, VERONA) != NULL);
		}
		next = stage_arrive_proved(&stage);
		snprintf(said, sizeof(said),
		    "<resume xmlns='urn:xmpp:sm:3' previd='%s' h='0'/>", id);
		world_send(next, said);
		world_run(stage.world);
		text = world_next(next);
		CHECK(strstr(text, "<resumed") && strstr(text, "h='1'"));
		if (seed % 2 != 0)
			CHECK(stage_comes(peer, "<conflict"));
		world_send(next, said);
		CHECK(stage_comes(next, "<unexpected-request"));
		world_free(&stage.world);
	}
}

/* What is asked for before the answer is refused, and nothing is counted. */
static void
who_resumes_does_not_enable(void **state)
{
	struct stage stage = stage_begin(1, CLEAR);
	struct world_peer *peer = stage_arrive_proved(&stage);

	(void)state;
	world_send(peer,
	    "<resume xmlns='urn:xmpp:sm:3' previd='0-nothing' h='0'/>"
	    "<enable xmlns='urn:xmpp:sm:3' resume='true'/>");
	CHECK(stage_comes(peer, "<unexpected-request"));
	CHECK(stage_comes(peer, "<item-not-found"));
	world_send(peer, "<r xmlns='urn:xmpp:sm:3'/>");
	world_send(peer, "<enable xmlns='urn:xmpp:sm:3' resume='true'/>");
	CHECK(stage_comes(peer, "<enabled"));
	world_send(peer, MESSAGE("escalus@" VERONA));
	world_send(peer, "<r xmlns='urn:xmpp:sm:3'/>");
	CHECK(stage_comes(peer, "<a xmlns='urn:xmpp:sm:3' h='1'/>"));
	world_free(&stage.world);
}

/* On a stream that we opened nobody asks us to begin; what answers us is not
 * answered, or two servers would do so without end. */
static void
words_out_of_place_are_answered_once(void **state)
{
	static const struct {
		const char *said;
		bool is_answered;
	} words[] = {
	    {"<r xmlns='urn:xmpp:sm:3'/>", true},
	    {"<a xmlns='urn:xmpp:sm:3' h='0'/>", true},
	    {"<enable xmlns='urn:xmpp:sm:3'/>", true},
	    {"<resume xmlns='urn:xmpp:sm:3' previd='x' h='0'/>", true},
	    {"<enabled xmlns='urn:xmpp:sm:3'/>", false},
	    {"<resumed xmlns='urn:xmpp:sm:3' previd='x' h='0'/>", false},
	    {"<failed xmlns='urn:xmpp:sm:3'/>", false},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
		struct stage stage = stage_begin(i + 1, NULL);
		struct world_peer *peer;

		stage_say(&stage, "m1");
		peer = stage_dialled(&stage, STAGE_LINES - 1);
		CHECK(stage_comes(peer, "<enable"));
		world_send(peer, "<failed xmlns='urn:xmpp:sm:3'/>");
		CHECK(stage_comes(peer, "urn:xmpp:ping"));
		world_send(peer, words[i].said);
		if (stage_comes(peer, "<unexpected-request") !=
		    words[i].is_answered)
			fail_msg("%s", words[i].said);
		CHECK(!world_is_closed(peer));
		world_free(&stage.world);
	}
}

/* --- what proved servers may not ----------------------------------------- */

/* An answer to a ping of that stream. */
static void
send_pong(struct world_peer *peer, struct stream_id id)
{
	char said[256];

	snprintf(said, sizeof(said),
	    "<iq type='result' id='jackdaw-ack-%u-%u-%u-0'" PAIR "/>", id.shard,
	    id.slot, id.use);
	world_send(peer, said);
}

static void
pongs_reach_only_streams_of_that_server(void **state)
{
	struct stage stage = stage_begin(1, CLEAR);
	struct world_peer *peer = stage_arrive_proved(&stage);
	struct shard *shards = stage.world->server.shards;

	for (unsigned i = 0; i < 4; i++) {
		struct stream *stream = NULL;

		while (
		    i < 2 && (stream = stream_next(&shards[i], stream)) != NULL)
			send_pong(peer, stream->id);
		send_pong(peer, (struct stream_id){.shard = (uint16_t)i});
	}
	world_run(stage.world);
	CHECK(!world_is_closed(peer) && !world_is_closed(stage.romeo));
	world_free(&stage.world);
}

/* Servers may answer late, when we have started anew: that is no answer to what
 * they were not asked yet. */
static void
a_start_makes_other_ids(void **state)
{
	struct stage stage = stage_begin(1, CLEAR);
	struct stream_id ids[2];

	for (unsigned i = 0; i < 2; i++) {
		ids[i] = stage_s2s(stage_arrive(&stage))->stream.id;
		world_kill(stage.world);
	}
	CHECK(ids[0].use != ids[1].use);
	world_free(&stage.world);
}

/* What a reload does to streams of before that dialback proved, of which only
 * the one that we opened has TLS. */
static const struct {
	const char *yaml;
	bool in_ends, out_ends;
} reloads[] = {
    {CLEAR "s2s.deny: [" VERONA "]\n", true, true},
    {CLEAR "s2s.allow: [mantua.example]\n", true, true},
    {CLEAR "s2s.proofs: [pkix, dane, posh]\n", true, true},
    {CLEAR "s2s.dialback: never\n", true, true},
    {CLEAR "domains: {" VERONA ": {s2s: {dialback: never}}}\n", true, true},
    {CLEAR "domains: {" VERONA ": {s2s: {tls_required: true}}}\n", true, false},
    {"", true, false},
    {CLEAR, false, false},
    {CLEAR "s2s.dialback: always\n", false, false},
    {CLEAR "s2s.deny: [mantua.example]\n"
	   "domains: {mantua.example: {s2s: {dialback: never}}}\n",
	false, false},
};

/* Streams that are not permitted now end, the others do not. */
static void
a_reload_ends_what_it_forbids(void **state)
{
	for (size_t i = 0; i < sizeof(reloads) / sizeof(reloads[0]); i++) {
		struct stage stage = stage_begin(i + 1, CLEAR);
		struct world_peer *in = stage_arrive_proved(&stage), *out;

		stage_say(&stage, "m1");
		out = stage_dialled(&stage, STAGE_LINES);
		CHECK(stage_comes(out, "id='m1'"));
		told[0] = '\0';
		log_capture(note_line);
		log_set_level(LOG_INFO);
		stage_reload(&stage, reloads[i].yaml);
		log_set_level(LOG_ERROR);
		log_capture(NULL);
		if (stage_comes(in, "<policy-violation") !=
			reloads[i].in_ends ||
		    stage_comes(out, "<policy-violation") !=
			reloads[i].out_ends)
			fail_msg("%s", reloads[i].yaml);
		CHECK((strstr(told, "(s2s.") != NULL ||
			  strstr(told, "s2s.tls_required") != NULL) ==
		      reloads[i].in_ends);
		world_free(&stage.world);
	}
}

static void
who_is_denied_by_a_reload_goes(void **state)
{
	struct stage stage = stage_begin(1, CLEAR);
	struct world_peer *out;

	stage_say(&stage, "m1");
	out = stage_dialled(&stage, STAGE_LINES);
	stage_reload(&stage, CLEAR "s2s.deny: [" VERONA "]\n");
	CHECK(stage_comes(out, "<policy-violation"));
	world_sleep(stage.world, 10000);
	CHECK(stage_comes(stage.romeo, "<policy-violation"));
	world_free(&stage.world);
}

/* What was begun before is decided by what holds now. */
static void
a_reload_holds_for_what_is_being_proved(void **state)
{
	struct stage stage = stage_begin(1, CLEAR);
	struct world_peer *peer = stage_arrive_with_key(&stage), *out;

	stage_reload(&stage, CLEAR "s2s.dialback: never\n");
	CHECK(stage_vouch(&stage, "valid"));
	CHECK(stage_comes(peer, "type='error'"));
	stage_reload(&stage, CLEAR);
	stage_say(&stage, "m1");
	out = stage_dialled(&stage, STAGE_LINES - 2);
	stage_reload(&stage, CLEAR "s2s.dialback: never\n");
	CHECK(stage_comes(out, "<result"));
	world_send(out, "<db:result" PAIR " type='valid'/>");
	world_run(stage.world);
	CHECK(!stage_comes(out, "id='m1'"));
	CHECK(world_is_closed(out) || stage_s2s(out)->stream.is_ending);
	world_free(&stage.world);
}

/* --- idle ---------------------------------------------------------------- */

/* What only comes in is silent as long as its peer likes. */
static void
silent_streams_are_kept_and_idle_ones_closed(void **state)
{
	struct stage stage = stage_begin(1, CLEAR "s2s.idle: 30 min\n");
	struct world_peer *peer = stage_arrive_with_key(&stage);

	CHECK(stage_vouch(&stage, "valid"));
	world_sleep(stage.world, 25 * 60 * 1000);
	CHECK(!world_is_closed(peer));
	world_send(peer, MESSAGE("escalus@" VERONA));
	world_run(stage.world);
	world_sleep(stage.world, 25 * 60 * 1000);
	CHECK(!world_is_closed(peer));
	world_sleep(stage.world, 6 * 60 * 1000);
	CHECK(world_is_closed(peer));
	world_free(&stage.world);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(a_stream_is_opened_and_carries_in_order),
	    cmocka_unit_test(what_comes_unasked_helps_nobody),
	    cmocka_unit_test(what_is_offered_before_tls_is_forgotten),
	    cmocka_unit_test(a_cut_at_any_time_loses_nothing),
	    cmocka_unit_test(silence_is_not_waited_for),
	    cmocka_unit_test(a_kill_at_any_time_leaves_nothing),
	    cmocka_unit_test(who_is_vouched_for_may_send),
	    cmocka_unit_test(who_is_not_may_not),
	    cmocka_unit_test(late_verdicts_are_nobodys),
	    cmocka_unit_test(attacks_are_told_what_is_wrong),
	    cmocka_unit_test(refusals_are_told_to_the_administrator),
	    cmocka_unit_test(pairs_on_one_stream_are_limited),
	    cmocka_unit_test(keys_asked_about_are_limited),
	    cmocka_unit_test(
		questions_of_strangers_do_not_keep_us_from_sending),
	    cmocka_unit_test(who_does_not_prove_itself_goes),
	    cmocka_unit_test(what_the_peer_had_is_not_sent_again),
	    cmocka_unit_test(who_cannot_resume_gets_all_again),
	    cmocka_unit_test(a_peer_goes_on_where_it_was_cut),
	    cmocka_unit_test(who_resumes_does_not_enable),
	    cmocka_unit_test(words_out_of_place_are_answered_once),
	    cmocka_unit_test(pongs_reach_only_streams_of_that_server),
	    cmocka_unit_test(a_start_makes_other_ids),
	    cmocka_unit_test(a_reload_ends_what_it_forbids),
	    cmocka_unit_test(who_is_denied_by_a_reload_goes),
	    cmocka_unit_test(a_reload_holds_for_what_is_being_proved),
	    cmocka_unit_test(silent_streams_are_kept_and_idle_ones_closed),
	};

	return cmocka_run_group_tests_name("s2s", tests, NULL, NULL);
}

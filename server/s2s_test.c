/* Streams between servers, against peers that a world plays. */
#include <stdio.h>
#include <string.h>

#include "base/check.h"
#include "server/s2s.h"
#include "server/world_private.h"

/* Without modules: stanzas go straight between sessions and streams. */
const struct module *const modules_builtin[] = {NULL};

#define ROMEO  "romeo@montague.example"
#define VERONA "verona.example"
#define HEAD(attributes)                                   \
	"<stream:stream xmlns='jabber:server' "            \
	"xmlns:stream='http://etherx.jabber.org/streams' " \
	"xmlns:db='jabber:server:dialback' " attributes " version='1.0'>"
#define ANSWER   HEAD("from='" VERONA "' to='montague.example' id='x1'")
#define OPENING  HEAD("from='" VERONA "' to='montague.example'")
#define NS(name) " xmlns='urn:ietf:params:xml:ns:xmpp-" name "'"
#define PAIR     " from='" VERONA "' to='montague.example'"
#define MESSAGE(from)                                             \
	"<message type='chat' id='v1' from='" from "' to='" ROMEO \
	"/orchard'><body>x</body></message>"

struct stage {
	struct world *world;
	struct world_peer *romeo;
};

static struct stage
begin(uint64_t seed, const char *yaml)
{
	struct stage stage = {.world = world_new(&(struct world_options){
				  .seed = seed, .yaml = yaml})};

	stage.world->server.s2s_connect = s2s_connect;
	world_serve(stage.world, VERONA, WORLD_OPEN);
	world_add_account(stage.world, ROMEO, NULL);
	stage.romeo = world_connect(stage.world, ROMEO "/orchard");
	return stage;
}

static void
say(const struct stage *stage, const char *id)
{
	char text[256];

	snprintf(text, sizeof(text),
	    "<message type='chat' id='%s' to='escalus@" VERONA "'>"
	    "<body>x</body></message>",
	    id);
	world_send(stage->romeo, text);
	world_run(stage->world);
}

/* Whether something that contains this comes, after other things. */
static bool
comes(struct world_peer *peer, const char *part)
{
	const char *text;

	world_run(peer->world);
	while ((text = world_next(peer)) != NULL)
		if (strstr(text, part) != NULL)
			return true;
	return false;
}

/* What the peer says next when the server's part has come. */
static const struct line {
	const char *awaited, *said;
	bool is_new; /* the server's stream begins anew */
} lines[] = {
    {"<stream:stream>",
	ANSWER "<stream:features><starttls" NS("tls") "/></stream:features>"},
    {"<starttls", "<proceed" NS("tls") "/>", true},
    {"<stream:stream>",
	ANSWER "<stream:features><dialback xmlns='urn:xmpp:features:dialback'>"
	       "<errors/></dialback><sm xmlns='urn:xmpp:sm:3'/>"
	       "</stream:features>"},
    {"<result", "<db:result" PAIR " type='valid'/>"},
    {"<enable", "<enabled xmlns='urn:xmpp:sm:3'/>"},
};

#define LINES (sizeof(lines) / sizeof(lines[0]))

/* Plays so many lines of a server that is connected to. */
static void
answer(struct world_peer *peer, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		CHECK(comes(peer, lines[i].awaited));
		world_send(peer, lines[i].said);
		if (lines[i].is_new)
			world_peer_restart(peer);
		world_run(peer->world);
	}
}

static void
a_stream_is_opened_and_carries_in_order(void **state)
{
	for (uint64_t seed = 1; seed <= 20; seed++) {
		struct stage stage = begin(seed, NULL);
		struct world_peer *peer;

		say(&stage, "m1");
		say(&stage, "m2");
		peer = world_dialled(stage.world, VERONA);
		answer(peer, LINES);
		CHECK(comes(peer, "id='m1'"));
		CHECK(comes(peer, "id='m2'"));
		world_send(peer, "<a xmlns='urn:xmpp:sm:3' h='2'/>");
		say(&stage, "m3");
		CHECK(comes(peer, "id='m3'"));
		CHECK(comes(peer, "<r "));
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
		for (size_t at = 1; at < LINES - 1; at++) {
			struct stage stage = begin(i + at * 100, NULL);
			struct world_peer *peer;

			say(&stage, "m1");
			peer = world_dialled(stage.world, VERONA);
			answer(peer, at);
			world_send(peer, unasked[i]);
			if (at > 2 && i == 0) {
				world_free(&stage.world);
				continue;
			}
			CHECK(!comes(peer, "<message"));
			world_free(&stage.world);
		}
	}
}

static void
a_cut_at_any_time_loses_nothing(void **state)
{
	for (size_t at = 0; at <= LINES; at++) {
		struct stage stage = begin(at + 1, NULL);
		struct world_peer *peer;

		say(&stage, "m1");
		peer = world_dialled(stage.world, VERONA);
		answer(peer, at);
		world_cut(&peer);
		world_sleep(stage.world, 10000);
		peer = world_dialled(stage.world, VERONA);
		CHECK(peer != NULL);
		answer(peer, LINES);
		CHECK(comes(peer, "id='m1'"));
		CHECK(world_next(stage.romeo) == NULL);
		world_free(&stage.world);
	}
}

/* A peer that says nothing more, at any time. */
static void
silence_is_not_waited_for(void **state)
{
	for (size_t at = 0; at < LINES; at++) {
		struct stage stage = begin(at + 1, NULL);
		struct world_peer *peer;

		say(&stage, "m1");
		peer = world_dialled(stage.world, VERONA);
		answer(peer, at);
		world_sleep(stage.world, 45000);
		CHECK(world_is_closed(peer));
		CHECK(world_dialled(stage.world, VERONA) != NULL);
		world_free(&stage.world);
	}
}

static void
a_kill_at_any_time_leaves_nothing(void **state)
{
	for (size_t at = 0; at <= LINES; at++) {
		struct stage stage = begin(at + 1, NULL);
		struct world_peer *peer;

		say(&stage, "m1");
		peer = world_dialled(stage.world, VERONA);
		answer(peer, at);
		world_step(stage.world, (unsigned)at);
		world_kill(stage.world);
		world_free(&stage.world);
	}
}

/* --- they connect ----------------------------------------------------------
 */

static struct world_peer *
arrive(const struct stage *stage)
{
	struct world_peer *peer = world_peer_new(stage->world);
	struct conn *conn = &peer->conn->conn;

	conn->is_secure = conn->is_direct_tls = false;
	shard_enter(conn->shard);
	s2s_accept(conn->shard, conn);
	return peer;
}

#define CLEAR "s2s.tls_required: false\n"

/* The authoritative server's part; whether it was asked. */
static bool
vouch(const struct stage *stage, const char *type)
{
	struct world_peer *peer = world_dialled(stage->world, VERONA);
	char said[300];
	const char *id, *text;

	if (peer == NULL)
		return false;
	answer(peer, 2);
	CHECK(comes(peer, "<stream:stream>"));
	world_send(peer, lines[2].said);
	world_run(stage->world);
	text = world_next(peer);
	CHECK(text != NULL && strstr(text, "<verify") != NULL);
	id = strstr(text, " id='") + 5;
	snprintf(said, sizeof(said), "<db:verify" PAIR " type='%s' id='%.*s'/>",
	    type, (int)strcspn(id, "'"), id);
	world_send(peer, said);
	world_run(stage->world);
	return true;
}

static struct world_peer *
arrive_with_key(const struct stage *stage)
{
	struct world_peer *peer = arrive(stage);

	world_send(peer, OPENING);
	CHECK(comes(peer, "features"));
	world_send(peer, "<db:result" PAIR ">key</db:result>");
	world_run(stage->world);
	return peer;
}

static void
who_is_vouched_for_may_send(void **state)
{
	for (uint64_t seed = 1; seed <= 20; seed++) {
		struct stage stage = begin(seed, CLEAR);
		struct world_peer *peer = arrive_with_key(&stage);

		CHECK(vouch(&stage, "valid"));
		CHECK(comes(peer, "type='valid'"));
		world_send(peer, MESSAGE("escalus@" VERONA));
		CHECK(comes(stage.romeo, "id='v1'"));
		world_send(peer, MESSAGE("a@mantua.example"));
		CHECK(comes(peer, "<invalid-from"));
		CHECK(world_next(stage.romeo) == NULL);
		world_free(&stage.world);
	}
}

static void
who_is_not_may_not(void **state)
{
	struct stage stage = begin(1, CLEAR);
	struct world_peer *peer = arrive_with_key(&stage);

	world_send(peer, MESSAGE("escalus@" VERONA));
	CHECK(vouch(&stage, "invalid"));
	CHECK(comes(peer, "<not-authorized"));
	CHECK(world_next(stage.romeo) == NULL);
	peer = arrive_with_key(&stage);
	CHECK(vouch(&stage, "invalid"));
	CHECK(comes(peer, "type='invalid'"));
	CHECK(comes(peer, "</stream:stream>"));
	world_free(&stage.world);
}

/* The stream that asked ends while the authority is being asked. */
static void
late_verdicts_are_nobodys(void **state)
{
	struct stage stage = begin(1, CLEAR);
	struct world_peer *peer = arrive_with_key(&stage);

	world_cut(&peer);
	CHECK(vouch(&stage, "valid"));
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
	"<invalid-mechanism"},
    {OPENING, "<enable xmlns='urn:xmpp:sm:3'/>", "<unexpected-request"},
    {OPENING, "<resume xmlns='urn:xmpp:sm:3' previd='x' h='0'/>",
	"<unexpected-request"},
    {OPENING, "<starttls" NS("tls") "/>", "<failure"},
};

static void
attacks_are_told_what_is_wrong(void **state)
{
	for (size_t i = 0; i < sizeof(attacks) / sizeof(attacks[0]); i++) {
		struct stage stage = begin(i + 1, CLEAR);
		struct world_peer *peer = arrive(&stage);

		world_send(peer, attacks[i].opening);
		world_send(peer, attacks[i].said);
		if (!comes(peer, attacks[i].want))
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
		VERONA, "refused EXTERNAL: invalid-mechanism"},
	    {OPENING, MESSAGE("escalus@" VERONA), VERONA, "not-authorized"},
	    {OPENING, "<message from='a@" VERONA "'/>", VERONA,
		"improper-addressing"},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct stage stage = begin(i + 1, CLEAR);
		struct world_peer *peer = arrive(&stage);

		told[0] = '\0';
		log_capture(note_line);
		log_set_level(LOG_INFO);
		world_send(peer, cases[i].opening);
		world_send(peer, cases[i].said);
		world_run(stage.world);
		(void)vouch(&stage, "invalid");
		log_set_level(LOG_ERROR);
		log_capture(NULL);
		if (strstr(told, cases[i].domain) == NULL ||
		    strstr(told, cases[i].reason) == NULL)
			fail_msg("%s: %s", cases[i].reason, told);
		world_free(&stage.world);
	}
}

/* --- resumed ---------------------------------------------------------------
 */

static void
what_the_peer_had_is_not_sent_again(void **state)
{
	for (uint64_t seed = 1; seed <= 20; seed++) {
		struct stage stage = begin(seed, NULL);
		struct world_peer *peer;

		say(&stage, "m1");
		say(&stage, "m2");
		peer = world_dialled(stage.world, VERONA);
		answer(peer, LINES - 1);
		CHECK(comes(peer, "<enable"));
		world_send(peer, "<enabled xmlns='urn:xmpp:sm:3' id='s1' "
				 "resume='true'/>");
		CHECK(comes(peer, "id='m2'"));
		world_cut(&peer);
		world_sleep(stage.world, 10000);
		peer = world_dialled(stage.world, VERONA);
		answer(peer, LINES - 1);
		CHECK(comes(peer, "<resume "));
		world_send(peer, "<resumed xmlns='urn:xmpp:sm:3' previd='s1' "
				 "h='1'/>");
		world_run(stage.world);
		CHECK(strstr(world_next(peer), "id='m2'") != NULL);
		say(&stage, "m3");
		CHECK(comes(peer, "id='m3'"));
		world_send(peer, "<a xmlns='urn:xmpp:sm:3' h='3'/>");
		world_cut(&peer);
		world_sleep(stage.world, 10000);
		world_free(&stage.world);
	}
}

static void
who_cannot_resume_gets_all_again(void **state)
{
	struct stage stage = begin(1, NULL);
	struct world_peer *peer;

	say(&stage, "m1");
	peer = world_dialled(stage.world, VERONA);
	answer(peer, LINES - 1);
	world_send(
	    peer, "<enabled xmlns='urn:xmpp:sm:3' id='s1' resume='true'/>");
	CHECK(comes(peer, "id='m1'"));
	world_cut(&peer);
	world_sleep(stage.world, 10000);
	peer = world_dialled(stage.world, VERONA);
	answer(peer, LINES - 1);
	CHECK(comes(peer, "<resume "));
	world_send(peer, "<failed xmlns='urn:xmpp:sm:3'/>");
	CHECK(comes(peer, "<enable"));
	world_send(peer, "<enabled xmlns='urn:xmpp:sm:3'/>");
	CHECK(comes(peer, "id='m1'"));
	world_free(&stage.world);
}

static void
arrive_proved(const struct stage *stage, struct world_peer **peer_r)
{
	*peer_r = arrive_with_key(stage);
	CHECK(vouch(stage, "valid"));
	CHECK(comes(*peer_r, "type='valid'"));
}

static void
a_peer_goes_on_where_it_was_cut(void **state)
{
	for (uint64_t seed = 1; seed <= 20; seed++) {
		struct stage stage = begin(seed, CLEAR);
		struct world_peer *peer, *next;
		char said[200], id[64];
		const char *text;

		arrive_proved(&stage, &peer);
		world_send(
		    peer, "<enable xmlns='urn:xmpp:sm:3' resume='true'/>");
		world_run(stage.world);
		text = strstr(world_next(peer), " id='") + 5;
		snprintf(id, sizeof(id), "%.*s", (int)strcspn(text, "'"), text);
		world_send(peer, MESSAGE("escalus@" VERONA));
		CHECK(comes(stage.romeo, "id='v1'"));
		if (seed % 2 == 0)
			world_cut(&peer);
		arrive_proved(&stage, &next);
		snprintf(said, sizeof(said),
		    "<resume xmlns='urn:xmpp:sm:3' previd='%s' h='0'/>", id);
		world_send(next, said);
		world_run(stage.world);
		text = world_next(next);
		CHECK(strstr(text, "<resumed") && strstr(text, "h='1'"));
		if (seed % 2 != 0)
			CHECK(comes(peer, "<conflict"));
		world_send(next, said);
		CHECK(comes(next, "<unexpected-request"));
		world_free(&stage.world);
	}
}

/* --- what proved servers may not ------------------------------------------
 */

/* An answer to a ping of a stream that it guesses. */
static void
pongs_reach_only_streams_of_that_server(void **state)
{
	struct stage stage = begin(1, CLEAR);
	struct world_peer *peer;
	char said[256];

	arrive_proved(&stage, &peer);
	for (unsigned i = 0; i < 4 * 8 * 4; i++) {
		snprintf(said, sizeof(said),
		    "<iq type='result' id='jackdaw-ack-%u-%u-%u-0'" PAIR "/>",
		    i / 32, i / 4 % 8, i % 4);
		world_send(peer, said);
	}
	world_run(stage.world);
	CHECK(!world_is_closed(peer) && !world_is_closed(stage.romeo));
	world_free(&stage.world);
}

/* Streams of before do not outlive it, in either direction. */
static void
who_is_denied_by_a_reload_goes(void **state)
{
	static const char denied[] =
	    CLEAR "hosts: {montague.example: {}, capulet.example: {}}\n"
		  "s2s.deny: [" VERONA "]\nshards: 2\n";
	struct stage stage = begin(1, CLEAR);
	struct world_peer *in, *out;

	arrive_proved(&stage, &in);
	say(&stage, "m1");
	out = world_dialled(stage.world, VERONA);
	answer(out, LINES);
	CHECK(comes(out, "id='m1'"));
	world_reload(stage.world, denied);
	CHECK(comes(in, "<policy-violation"));
	CHECK(comes(out, "<policy-violation"));
	world_sleep(stage.world, 10000);
	CHECK(comes(stage.romeo, "<policy-violation"));
	world_free(&stage.world);
}

/* --- idle ------------------------------------------------------------------
 */

/* What only comes in is silent as long as its peer likes. */
static void
silent_streams_are_kept_and_idle_ones_closed(void **state)
{
	struct stage stage = begin(1, CLEAR "s2s.idle: 30 min\n");
	struct world_peer *peer = arrive_with_key(&stage);

	CHECK(vouch(&stage, "valid"));
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
	    cmocka_unit_test(a_cut_at_any_time_loses_nothing),
	    cmocka_unit_test(silence_is_not_waited_for),
	    cmocka_unit_test(a_kill_at_any_time_leaves_nothing),
	    cmocka_unit_test(who_is_vouched_for_may_send),
	    cmocka_unit_test(who_is_not_may_not),
	    cmocka_unit_test(late_verdicts_are_nobodys),
	    cmocka_unit_test(attacks_are_told_what_is_wrong),
	    cmocka_unit_test(refusals_are_told_to_the_administrator),
	    cmocka_unit_test(what_the_peer_had_is_not_sent_again),
	    cmocka_unit_test(who_cannot_resume_gets_all_again),
	    cmocka_unit_test(a_peer_goes_on_where_it_was_cut),
	    cmocka_unit_test(pongs_reach_only_streams_of_that_server),
	    cmocka_unit_test(who_is_denied_by_a_reload_goes),
	    cmocka_unit_test(silent_streams_are_kept_and_idle_ones_closed),
	};

	return cmocka_run_group_tests_name("s2s", tests, NULL, NULL);
}

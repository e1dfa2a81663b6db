/* Checkups (server/s2s_checkup.c) of a server that a world plays. */
#include <stdio.h>
#include <string.h>

#include "base/check.h"
#include "base/err.h"
#include "server/admin.h"
#include "server/dns.h"
#include "server/outward.h"
#include "server/s2s_stage.h"

const struct module *const modules_builtin[] = {NULL};

/* What came of the last one; "" while it goes on. */
static char told[8192];
static unsigned told_status, told_count;

/* In place of admin_take_answer, by the linker: the answer. */
void __wrap_admin_take_answer(struct shard *, struct post *);

void
__wrap_admin_take_answer(struct shard *shard, struct post *letter)
{
	(void)shard;
	told_status = letter->answer->status;
	told_count++;
	snprintf(told, sizeof(told), "%.*s", STR_ARG(letter->answer->json));
	post_free(&letter);
}

/* In place of conn_peer_chain: what a peer presents. */
static const struct str *presented;
size_t __wrap_conn_peer_chain(
    const struct conn *, struct arena *, const struct str **chain_r);

size_t
__wrap_conn_peer_chain(
    const struct conn *conn, struct arena *arena, const struct str **chain_r)
{
	(void)conn;
	(void)arena;
	*chain_r = presented;
	return presented == NULL ? 0 : 1;
}

static void
ask_shard(const struct stage *stage, enum admin_verb verb)
{
	struct post *letter = post_new(POST_ADMIN, NULL);
	struct admin_call *call = arena_new(letter->arena, struct admin_call);
	struct shard *shard = &stage->world->server.shards[0];

	told[0] = '\0';
	call->verb = verb;
	letter->call = call;
	letter->to = jid_parse(letter->arena, STR(VERONA));
	shard_enter(shard);
	post_send_to(shard, shard_of(shard->server, letter->to)->index, letter);
	world_run(stage->world);
}

static void
check_from(const struct stage *stage, const char *from, const char *domain)
{
	struct post *letter = post_new(POST_ADMIN, NULL);
	struct admin_call *call = arena_new(letter->arena, struct admin_call);
	struct shard *shard = &stage->world->server.shards[0];

	told[0] = '\0';
	call->verb = ADMIN_S2S_CHECK;
	call->text = str_dup(letter->arena, str_of(from));
	letter->call = call;
	letter->to = jid_parse(letter->arena, str_of(domain));
	shard_enter(shard);
	post_send_to(shard, shard_of(shard->server, letter->to)->index, letter);
	world_run(stage->world);
}

/* Whether it says so of that step, and that it ended there. */
static bool
is_told(const char *step, bool is_ok, const char *part)
{
	char start[64];
	const char *at = told;

	snprintf(start, sizeof(start), "{\"step\":\"%s\",\"ok\":%s,", step,
	    is_ok ? "true" : "false");
	while ((at = strstr(at, start)) != NULL) {
		const char *found = strstr(at, part);

		if (found != NULL && found < strchr(at, '}'))
			return true;
		at++;
	}
	return false;
}

static unsigned
failures(void)
{
	unsigned count = 0;

	for (const char *at = told;
	    (at = strstr(at, "\"ok\":false,\"text\"")) != NULL; at++)
		count++;
	return count;
}

static bool
is_all_well(void)
{
	return told_status == 200 &&
	       strstr(told, VERONA "\",\"from\":\"montague.example\","
				   "\"ok\":true") != NULL;
}

/* The answer to the ping, on a stream of the peer's own. */
static void
pong(const struct stage *stage, const char *ping)
{
	struct world_peer *peer = stage_arrive_with_key(stage);
	const char *id = strstr(ping, " id='") + 5;
	char said[256];

	CHECK(stage_vouch(stage, "valid"));
	CHECK(stage_comes(peer, "type='valid'"));
	snprintf(said, sizeof(said), "<iq type='error' id='%.*s'" PAIR "/>",
	    (int)strcspn(id, "'"), id);
	world_send(peer, said);
	world_run(stage->world);
}

static void
a_checkup_goes_all_the_way(void **state)
{
	for (uint64_t seed = 1; seed <= 20; seed++) {
		struct stage stage = stage_begin(seed, CLEAR);
		struct world_peer *peer;
		char ping[512];

		check_from(&stage, NULL, VERONA);
		peer = stage_dialled(&stage, 4);
		snprintf(ping, sizeof(ping), "%s", world_next(peer));
		CHECK(strstr(ping, "urn:xmpp:ping") != NULL);
		CHECK(told[0] == '\0');
		pong(&stage, ping);
		CHECK(is_all_well());
		CHECK(is_told("policy", true, ""));
		CHECK(is_told("dns", true, "no SRV records"));
		CHECK(is_told("dns", true, "192.0.2.1, port 5269"));
		CHECK(is_told("tcp", true, "192.0.2.1"));
		CHECK(is_told("stream", true, "STARTTLS"));
		CHECK(is_told("tls", true, "STARTTLS"));
		CHECK(is_told("certificate", true, "no certificate"));
		CHECK(is_told("features", true, "dialback, sm"));
		CHECK(is_told("authentication", true, "dialback"));
		CHECK(is_told("ping", true, "answers"));
		CHECK(failures() == 0);
		CHECK(stage_comes(peer, "</stream:stream>"));
		world_free(&stage.world);
	}
}

/* The stream that carries is not touched, and carries. */
static void
a_checkup_is_beside_what_is_in_use(void **state)
{
	struct stage stage = stage_begin(1, NULL);
	struct world_peer *used, *peer;

	stage_say(&stage, "m1");
	used = stage_dialled(&stage, STAGE_LINES);
	CHECK(stage_comes(used, "id='m1'"));
	world_send(used, "<a xmlns='urn:xmpp:sm:3' h='1'/>");
	check_from(&stage, NULL, VERONA);
	peer = stage_dialled(&stage, 4);
	stage_say(&stage, "m2");
	CHECK(stage_comes(used, "id='m2'"));
	CHECK(!stage_comes(peer, "id='m2'"));
	world_send(used, "<a xmlns='urn:xmpp:sm:3' h='2'/>");
	world_sleep(stage.world, 21000);
	CHECK(is_told("ping", false, "no answer"));
	CHECK(world_dialled(stage.world, VERONA) == NULL);
	stage_say(&stage, "m3");
	CHECK(stage_comes(used, "id='m3'"));
	world_free(&stage.world);
}

static const struct {
	const char *yaml, *from, *domain, *step, *text;
	enum world_door door;
} ways[] = {
    {"s2s.deny: [" VERONA "]\n", NULL, VERONA, "policy", "s2s.deny"},
    {NULL, "elsewhere.example", VERONA, "policy", "not served here"},
    {NULL, NULL, "montague.example", "policy", "served here"},
    {"domains:\n  echo.example: {component: {secret: x}}\n", NULL,
	"echo.example", "policy", "component"},
    {NULL, NULL, "nowhere.example", "dns", "nowhere.example"},
    {NULL, NULL, VERONA, "tcp", "192.0.2.1", WORLD_SHUT},
    {NULL, NULL, VERONA, "tcp", "192.0.2.1", WORLD_SILENT},
};

static void
a_checkup_says_where_the_way_ends(void **state)
{
	for (size_t i = 0; i < sizeof(ways) / sizeof(ways[0]); i++) {
		struct stage stage = stage_begin(i + 1, ways[i].yaml);

		world_serve(stage.world, VERONA, ways[i].door);
		check_from(&stage, ways[i].from, ways[i].domain);
		world_sleep(stage.world, 35000);
		if (!is_told(ways[i].step, false, ways[i].text))
			fail_msg("%zu: %s", i, told);
		CHECK(!is_all_well() && failures() == 1);
		CHECK(world_next(stage.romeo) == NULL);
		world_free(&stage.world);
	}
}

/* Whether what is forged is that domain, or all that DNS says. */
static void
a_checkup_tells_forgeries_from_a_missing_key(void **state)
{
	static const struct {
		const char *why, *advice;
	} cases[] = {
	    {"validation failure <verona.example. A IN>: no signatures",
		"See whether the domain is spelt right"},
	    {"validation failure <verona.example. A IN>: no DNSKEY rrset from "
	     "127.0.0.1 for trust anchor . while building chain of trust",
		"All of DNS fails here: what dns.resolvers"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct stage stage = stage_begin(i + 1, NULL);

		world_forge(stage.world, VERONA, cases[i].why);
		check_from(&stage, NULL, VERONA);
		world_run(stage.world);
		CHECK(is_told("dns", false, cases[i].why));
		if (strstr(told, cases[i].advice) == NULL)
			fail_msg("%zu: %s", i, told);
		world_free(&stage.world);
	}
}

static const struct {
	size_t lines; /* of a good server, before */
	const char *awaited, *said, *step, *text, *advice;
} talks[] = {
    {0, "<stream:stream>", ANSWER "<stream:features/>", "tls", "in time",
	"to set up TLS there"},
    {0, "<stream:stream>",
	ANSWER "<stream:error><host-unknown xmlns="
	       "'urn:ietf:params:xml:ns:xmpp-streams'/><text xmlns="
	       "'urn:ietf:params:xml:ns:xmpp-streams'>try later</text>"
	       "</stream:error>",
	"stream", "the server says host-unknown: try later",
	"whether it serves the domain"},
    {0, "<stream:stream>", HEAD("from='mantua.example' id='x1'"), "stream",
	"it answers as mantua.example", "whether it serves the domain"},
    {0, "<stream:stream>", HEAD("from='a b' id='x1'"), "stream",
	"it answers as what is no address", "whether it serves the domain"},
    {0, "<stream:stream>",
	"<stream:stream xmlns='jabber:client' from='" VERONA "' id='x1' "
	"xmlns:stream='http://etherx.jabber.org/streams' version='1.0'>",
	"stream", "it speaks to clients, not to servers",
	"whether it serves the domain"},
    {1, "<starttls", "<failure" NS("tls") "/></stream:stream>", "tls",
	"cannot start TLS", "to set up TLS there"},
    {3, "<result", "<db:result" PAIR " type='invalid'/>", "authentication",
	"dialback key is wrong", "look at our certificate"},
    {3, "<result",
	"<stream:error><not-authorized xmlns="
	"'urn:ietf:params:xml:ns:xmpp-streams'/></stream:error>",
	"authentication", "the server says not-authorized",
	"look at our certificate"},
};

static void
a_checkup_says_what_a_server_does_wrong(void **state)
{
	for (size_t i = 0; i < sizeof(talks) / sizeof(talks[0]); i++) {
		struct stage stage = stage_begin(i + 1, NULL);
		struct world_peer *peer;

		check_from(&stage, "montague.example", VERONA);
		peer = stage_dialled(&stage, talks[i].lines);
		CHECK(stage_comes(peer, talks[i].awaited));
		world_send(peer, talks[i].said);
		world_sleep(stage.world, 61000);
		if (!is_told(talks[i].step, false, talks[i].text) ||
		    strstr(told, talks[i].advice) == NULL)
			fail_msg("%zu: %s", i, told);
		CHECK(!is_all_well());
		world_free(&stage.world);
	}
}

/* What ends the connection below a stream, at any time: administrators and
 * senders are told. */
static void
ends_of_connections_are_told(void **state)
{
	for (size_t at = 1; at <= STAGE_LINES; at++) {
		struct stage stage =
		    stage_begin(at, "s2s.hold_messages: 1 s\n");
		struct world_peer *peer;

		(void)state;
		if (at < STAGE_LINES) {
			check_from(&stage, NULL, VERONA);
			peer = stage_dialled(&stage, at);
			world_conn_cut(peer->conn, "TLS: CA is unknown");
			world_sleep(stage.world, 1000);
			if (strstr(told, "(verona.example): "
					 "TLS: CA is unknown") == NULL)
				fail_msg("%zu: %s", at, told);
		}
		stage_say(&stage, "m1");
		peer = stage_dialled(&stage, at);
		world_conn_cut(peer->conn, "TLS: CA is unknown");
		world_run(stage.world);
		ask_shard(&stage, ADMIN_S2S);
		if (strstr(told, "TLS: CA is unknown") == NULL)
			fail_msg("%zu: %s", at, told);
		world_sleep(stage.world, 3000);
		if (at < STAGE_LINES)
			CHECK(stage_comes(stage.romeo, "TLS: CA is unknown"));
		world_free(&stage.world);
	}
}

/* A server that is silent at any time, on each of its addresses; and one end of
 * ours at any time. */
static void
a_checkup_ends(void **state)
{
	for (size_t at = 0; at < 5; at++) {
		struct stage stage = stage_begin(at + 1, NULL);
		const unsigned before = told_count;

		check_from(&stage, NULL, VERONA);
		stage_answer(world_dialled(stage.world, VERONA), at);
		check_from(&stage, NULL, VERONA);
		CHECK(told_status == 429);
		world_sleep(stage.world, 61000);
		CHECK(told_count == before + 2 && told_status == 200);
		check_from(&stage, NULL, VERONA);
		stage_answer(world_dialled(stage.world, VERONA), at);
		world_step(stage.world, (unsigned)at);
		world_kill(stage.world);
		world_free(&stage.world);
	}
}

/* Whatever else may take longer, and wherever it is then. */
static void
a_checkup_takes_a_minute_at_most(void **state)
{
	for (size_t at = 0; at < 5; at++) {
		struct stage stage =
		    stage_begin(at + 1, "s2s.connect_timeout: 5 min\n");
		const unsigned before = told_count;

		world_serve(
		    stage.world, VERONA, at == 4 ? WORLD_SILENT : WORLD_OPEN);
		check_from(&stage, NULL, VERONA);
		if (at < 4)
			stage_answer(world_dialled(stage.world, VERONA), at);
		world_sleep(stage.world, 59000);
		CHECK(told_count == before);
		world_sleep(stage.world, 2000);
		CHECK(told_count == before + 1 && !is_all_well());
		CHECK(strstr(told, "no end of it came in 60 s") != NULL);
		world_free(&stage.world);
	}
}

/* --- certificates and dialback ------------------------------------------- */

/* By default a certificate that is presented and proves nothing is not replaced
 * by dialback: no key is sent, and people are told so. */
static void
a_bad_certificate_is_no_case_for_dialback(void **state)
{
	static const struct str junk = {"junk", 4};
	static const struct {
		const char *yaml;
		bool is_presented, may_go_on;
		const char *advice;
	} cases[] = {
	    {NULL, true, false,
		"never replaced by dialback, unless "
		"s2s.dialback: always"},
	    {"s2s.dialback: never\n", true, false,
		"never replaced by dialback"},
	    {"s2s.dialback: never\n", false, false,
		"for a certificate that holds."},
	    {"s2s.dialback: always\n", true, true, NULL},
	    {NULL, false, true, NULL},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct stage stage = stage_begin(i + 1, cases[i].yaml);
		struct world_peer *peer;

		presented = cases[i].is_presented ? &junk : NULL;
		check_from(&stage, NULL, VERONA);
		peer = stage_dialled(&stage, cases[i].may_go_on ? 3 : 2);
		CHECK(stage_comes(peer, "<result") == cases[i].may_go_on);
		if (cases[i].advice != NULL) {
			CHECK(is_told("certificate", false, "refused: "));
			if (strstr(told, cases[i].advice) == NULL)
				fail_msg("%zu: %s", i, told);
		}
		presented = NULL;
		world_free(&stage.world);
	}
}

/* --- several endpoints ---------------------------------------------------- */

#define OTHER "second.example"
#define TWO                                                     \
	"domains: {" VERONA ": {s2s: {route: [\"xmpp://" VERONA \
	"\", \"xmpp://" OTHER "\"]}}}\n"

/* What one server of a domain is left for, and what is said of it. */
static const struct {
	const char *yaml;
	size_t lines; /* of a good server, before */
	const char *awaited, *said, *why;
	bool is_bad, is_final; /* the certificate; nothing is tried again */
} refusals[] = {
    {"", 2, NULL, NULL, "refused: its certificate cannot be read", true, true},
    {"", 1, "<starttls", "<failure" NS("tls") "/></stream:stream>",
	"the server cannot start TLS"},
    {"", 0, "<stream:stream>",
	HEAD("from='" VERONA "' id='x1'") "<stream:features/>"
					  "<failure" NS("tls") "/>",
	"refused: the server offers no TLS", false, true},
    {CLEAR "s2s.dialback: never\n", 0, "<stream:stream>",
	ANSWER "<stream:features/>", "so only dialback could prove it", false,
	true},
};

#define OLD_HEAD                                                               \
	"<stream:stream xmlns='jabber:server' xmlns:db='jabber:server:dia"     \
	"lback' xmlns:stream='http://etherx.jabber.org/streams' from='" VERONA \
	"' to='montague.example' id='x1'>"

/* The next stream to it, which is refused. */
static void
be_refused(const struct stage *stage, const char *server, size_t i)
{
	static const struct str junk = {"junk", 4};
	struct world_peer *peer = world_dialled(stage->world, server);

	CHECK(peer != NULL);
	presented = refusals[i].is_bad ? &junk : NULL;
	stage_answer(peer, refusals[i].lines);
	if (refusals[i].said != NULL) {
		CHECK(stage_comes(peer, refusals[i].awaited));
		world_send(peer, refusals[i].said);
	}
	world_run(stage->world);
	presented = NULL;
	CHECK(world_is_closed(peer) || stage_comes(peer, "</stream:stream>"));
	/* As a server of before RFC 3920 begins: nobody listens any more. */
	if (!world_is_closed(peer))
		world_send(peer, OLD_HEAD);
	world_run(stage->world);
}

static struct stage
begin_with_two(size_t i)
{
	char yaml[256];
	struct stage stage;

	snprintf(yaml, sizeof(yaml), "%s" TWO, refusals[i].yaml);
	stage = stage_begin(i + 1, yaml);
	world_serve(stage.world, OTHER, WORLD_OPEN);
	return stage;
}

/* RFC 6120, section 3.2.1: what is wrong with one is no matter of the next. */
static void
the_next_server_is_tried_when_one_is_refused(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT_OF(refusals); i++) {
		struct stage stage = begin_with_two(i);
		struct world_peer *peer;

		stage_say(&stage, "m1");
		be_refused(&stage, VERONA, i);
		peer = world_dialled(stage.world, OTHER);
		CHECK(peer != NULL);
		CHECK(world_next(stage.romeo) == NULL);
		if (refusals[i].yaml[0] == '\0') {
			stage_answer(peer, STAGE_LINES);
			CHECK(stage_comes(peer, "id='m1'"));
			CHECK_EQUAL(stage_attempts(&stage), 0);
		}
		world_free(&stage.world);
	}
}

/* And then it is told what was wrong with the first, each time at once where
 * nothing will have changed soon. */
static void
when_all_are_refused_it_is_told_why(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT_OF(refusals); i++) {
		struct stage stage = begin_with_two(i);

		world_serve(stage.world, OTHER, WORLD_SHUT);
		stage_say(&stage, "m1");
		be_refused(&stage, VERONA, i);
		CHECK_EQUAL(stage_attempts(&stage), 0);
		CHECK(stage_comes(stage.romeo, refusals[i].why) ==
		      refusals[i].is_final);
		world_free(&stage.world);
	}
}

static void
a_checkup_tells_of_each_server(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT_OF(refusals); i++) {
		struct stage stage = begin_with_two(i);

		check_from(&stage, "montague.example", VERONA);
		be_refused(&stage, VERONA, i);
		CHECK(told[0] == '\0');
		be_refused(&stage, OTHER, i);
		CHECK_EQUAL(failures(), 2);
		CHECK(strstr(told, refusals[i].why) != NULL);
		CHECK(!is_all_well());
		world_free(&stage.world);
	}
}

/* What senders are told, and not what was tried last. */
static void
advice_is_for_why_all_of_it_failed(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT_OF(refusals); i++) {
		struct stage stage = begin_with_two(i);

		world_serve(stage.world, OTHER, WORLD_SHUT);
		check_from(&stage, "montague.example", VERONA);
		be_refused(&stage, VERONA, i);
		CHECK_EQUAL(failures(), 2);
		CHECK(strstr(told, "The other server is down") == NULL);
		world_free(&stage.world);
	}
}

/* --- DANE: RFC 7673, sections 3.4 and 4 ------------------------------------
 */

/* What DNS says of VERONA: two servers, and a TLSA record of the first. */
static struct {
	struct dns_record srv[2], tlsa;
	bool is_secure;
} zone = {
    .srv = {{.port = 5269,
		.priority = 1,
		.target = {VERONA, sizeof(VERONA) - 1}},
	{.port = 5269, .priority = 2, .target = {OTHER, sizeof(OTHER) - 1}}},
};

static void
answer_with_records(struct dns_ask *ask)
{
	world_outward.answer(ask);
	ask->is_secure = zone.is_secure;
	if (str_is(ask->name, "_xmpp-server._tcp." VERONA)) {
		ask->err = ERR_NONE;
		ask->records = zone.srv;
		ask->count = COUNT_OF(zone.srv);
	} else if (str_is(ask->name, "_5269._tcp." VERONA)) {
		ask->err = ERR_NONE;
		ask->records = &zone.tlsa;
		ask->count = 1;
	}
}

static const struct {
	uint8_t usage;
	bool is_secure, needs_tls;
} published[] = {{3, true, true}, {9, true, false}, {3, false, false}};

/* Whatever s2s.tls_required says; and at that server only. */
static void
tlsa_records_ask_for_tls(void **state)
{
	const struct str digest = STR("0123456789abcdef0123456789abcdef");
	struct outward outward = world_outward;

	(void)state;
	outward.answer = answer_with_records;
	for (size_t i = 0; i < COUNT_OF(published); i++) {
		struct stage stage = stage_begin(i + 1, CLEAR);
		struct world_peer *peer;

		zone.tlsa = (struct dns_record){.usage = published[i].usage,
		    .matching = 1,
		    .association = digest};
		zone.is_secure = published[i].is_secure;
		stage.world->server.outward = &outward;
		world_serve(stage.world, OTHER, WORLD_OPEN);
		check_from(&stage, NULL, VERONA);
		peer = world_dialled(stage.world, VERONA);
		CHECK(stage_comes(peer, "<stream:stream>"));
		world_send(peer, ANSWER "<stream:features/>");
		world_run(stage.world);
		CHECK((strstr(world_next(peer), "<starttls") != NULL) ==
		      published[i].needs_tls);
		world_send(peer, "<failure" NS("tls") "/></stream:stream>");
		peer = world_dialled(stage.world, OTHER);
		CHECK(stage_comes(peer, "<stream:stream>"));
		world_send(peer, ANSWER "<stream:features/>");
		CHECK(stage_comes(peer, "<result"));
		world_send(peer, "</stream:stream>");
		world_run(stage.world);
		CHECK(is_told("tls", false,
			  "no TLS, which its TLSA records (DANE) ask for") ==
		      published[i].needs_tls);
		world_free(&stage.world);
	}
}

/* --- GET /v1/s2s --------------------------------------------------------- */

/* What comes in and what comes back is counted, for each pair of domains. */
static void
links_and_their_counts_are_listed(void **state)
{
	struct stage stage = stage_begin(1, CLEAR);
	struct world_peer *in = stage_arrive_proved(&stage), *out;

	(void)state;
	for (unsigned i = 0; i < 3; i++)
		world_send(in, MESSAGE("escalus@" VERONA));
	world_sleep(stage.world, 2000);
	world_send(in, MESSAGE("escalus@" VERONA));
	stage_say(&stage, "m1");
	out = stage_dialled(&stage, STAGE_LINES);
	CHECK(stage_comes(out, "id='m1'"));
	world_send(out, "<a xmlns='urn:xmpp:sm:3' h='1'/>");
	world_sleep(stage.world, 10000);
	ask_shard(&stage, ADMIN_S2S);
	CHECK_EQUAL(told_status, 200);
	CHECK(strstr(told, "{\"local\":\"montague.example\","
			   "\"remote\":\"" VERONA "\","
			   "\"state\":\"connected\"") != NULL);
	CHECK(strstr(told, "\"direction\":\"out\",\"bidirectional\":false,"
			   "\"stream_management\":true,") != NULL);
	CHECK(strstr(told, "\"proof\":\"dialback\"") != NULL);
	CHECK(strstr(told, "\"direction\":\"in\"") != NULL);
	CHECK(strstr(told, "\"age_s\":10}") != NULL);
	CHECK(strstr(told, "\"age_s\":12}") != NULL);
	CHECK(strstr(told, "\"stanzas\":{\"sent\":1,\"received\":4,"
			   "\"bounced\":0,\"dropped\":0,\"connects\":1,"
			   "\"failures\":0}") != NULL);
	world_free(&stage.world);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(a_checkup_goes_all_the_way),
	    cmocka_unit_test(a_checkup_is_beside_what_is_in_use),
	    cmocka_unit_test(a_checkup_says_where_the_way_ends),
	    cmocka_unit_test(a_checkup_tells_forgeries_from_a_missing_key),
	    cmocka_unit_test(a_checkup_says_what_a_server_does_wrong),
	    cmocka_unit_test(ends_of_connections_are_told),
	    cmocka_unit_test(a_checkup_ends),
	    cmocka_unit_test(a_checkup_takes_a_minute_at_most),
	    cmocka_unit_test(a_bad_certificate_is_no_case_for_dialback),
	    cmocka_unit_test(the_next_server_is_tried_when_one_is_refused),
	    cmocka_unit_test(when_all_are_refused_it_is_told_why),
	    cmocka_unit_test(a_checkup_tells_of_each_server),
	    cmocka_unit_test(advice_is_for_why_all_of_it_failed),
	    cmocka_unit_test(tlsa_records_ask_for_tls),
	    cmocka_unit_test(links_and_their_counts_are_listed),
	};

	return cmocka_run_group_tests_name("s2s_checkup", tests, NULL, NULL);
}

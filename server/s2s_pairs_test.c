/* Pairs of domains on streams between servers: what each is proved by, and what
 * one of them costs the others. */
#include <stdio.h>
#include <string.h>

#include "base/check.h"
#include "base/code.h"
#include "base/log.h"
#include "server/policy.h"
#include "server/remote_private.h"
#include "server/s2s_attempt.h"
#include "server/s2s_stage.h"

const struct module *const modules_builtin[] = {NULL};

#define MANTUA "mantua.example"
#define JULIET "juliet@capulet.example"
#define BUCHER      \
	"b\xc3\xbc" \
	"cher.example"
#define BUCHER_A "xn--bcher-kva.example"

/* What comes and holds this. */
static const char *
comes(struct world_peer *peer, const char *part)
{
	const char *text;

	world_run(peer->world);
	while ((text = world_next(peer)) != NULL)
		if (strstr(text, part) != NULL)
			return text;
	return NULL;
}

/* Another domain sends a key, about which its server is asked. */
static void
send_key(const struct stage *stage, struct world_peer *peer, const char *domain)
{
	char said[200];

	world_serve(stage->world, domain, WORLD_SILENT);
	snprintf(said, sizeof(said),
	    "<db:result from='%s' to='montague.example'>key</db:result>",
	    domain);
	world_send(peer, said);
	world_run(stage->world);
}

/* What came of the question. */
static void
judge(const struct stage *stage, struct world_peer *peer, const char *domain,
    enum stanza_err err, bool is_valid)
{
	struct s2s *s2s = stage_s2s(peer);
	struct post *letter = post_new(POST_DIALBACK_VERDICT, NULL);
	struct dialback *verdict = arena_new(letter->arena, struct dialback);

	verdict->local = STR("montague.example");
	verdict->domain = str_dup(letter->arena, str_of(domain));
	verdict->err = err;
	verdict->is_valid = is_valid;
	letter->dialback = verdict;
	letter->stream = s2s->stream.id;
	shard_enter(s2s->stream.shard);
	post_send(s2s->stream.shard, letter);
	world_run(stage->world);
}

/* And another domain, by dialback. */
static void
add_domain(
    const struct stage *stage, struct world_peer *peer, const char *domain)
{
	send_key(stage, peer, domain);
	judge(stage, peer, domain, STANZA_ERR_NONE, true);
	CHECK(stage_comes(peer, "type='valid'"));
}

/* Two domains on one stream: what proved the one says nothing of the other. */
static void
each_pair_stands_by_its_own_proof(void **state)
{
	static const struct {
		const char *yaml;
		bool ends;
	} cases[] = {
	    {CLEAR "domains: {" VERONA ": {s2s: {dialback: never}}}\n", false},
	    {CLEAR "domains: {" MANTUA ": {s2s: {dialback: never}}}\n", true},
	    {CLEAR "domains: {" VERONA ": {s2s: {proofs: [dialback]}}}\n",
		true},
	    {CLEAR "domains: {" MANTUA ": {s2s: {proofs: [dialback]}}}\n",
		false},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct stage stage = stage_begin(i + 1, CLEAR);
		struct world_peer *peer =
		    stage_arrive_certified(&stage, VERONA);

		add_domain(&stage, peer, MANTUA);
		stage_reload(&stage, cases[i].yaml);
		if (stage_comes(peer, "<policy-violation") != cases[i].ends)
			fail_msg("%s", cases[i].yaml);
		world_free(&stage.world);
	}
}

/* --- a wrong key: XEP-0220, section 2.2.1 --------------------------------- */

/* Who hears "invalid" gives up the other pairs, too. */
static void
a_wrong_key_ends_no_proved_pair(void **state)
{
	for (unsigned i = 0; i < 2; i++) {
		struct stage stage = stage_begin(i + 1, CLEAR);
		struct world_peer *peer =
		    i == 0 ? stage_arrive_proved(&stage)
			   : stage_arrive_certified(&stage, VERONA);

		(void)state;
		send_key(&stage, peer, MANTUA);
		judge(&stage, peer, MANTUA, STANZA_ERR_NONE, false);
		CHECK_TEXT(world_next(peer),
		    "<result xmlns='jabber:server:dialback'"
		    " from='montague.example' to='" MANTUA "' type='error'>"
		    "<error xmlns='jabber:server' type='auth'><forbidden"
		    " xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error>"
		    "</result>");
		world_send(peer, MESSAGE("escalus@" VERONA));
		CHECK(stage_comes(stage.romeo, "id='v1'"));
		world_send(peer, MESSAGE("escalus@" MANTUA));
		CHECK(stage_comes(peer, "<invalid-from"));
		CHECK(!stage_comes(stage.romeo, "id='v1'"));
		world_free(&stage.world);
	}
}

/* A pair that is still being checked is not valid: the stream ends for it as
 * well, and what is said of its key comes too late. */
static void
a_wrong_key_ends_a_stream_that_proved_nothing(void **state)
{
	struct stage stage = stage_begin(1, CLEAR);
	struct world_peer *peer = stage_arrive_with_key(&stage);

	(void)state;
	send_key(&stage, peer, MANTUA);
	judge(&stage, peer, MANTUA, STANZA_ERR_NONE, false);
	CHECK(stage_comes(peer, "type='invalid'"));
	CHECK(stage_comes(peer, "</stream:stream>"));
	judge(&stage, peer, VERONA, STANZA_ERR_NONE, true);
	world_send(peer, "<db:result" PAIR ">key</db:result>");
	world_run(stage.world);
	CHECK(world_next(peer) == NULL);
	CHECK(!stage_s2s(peer)->stream.is_authenticated);
	world_send(peer, MESSAGE("escalus@" VERONA));
	CHECK(!stage_comes(stage.romeo, "id='v1'"));
	world_free(&stage.world);
}

/* Errors end no stream, but the time to log in does. */
static void
errors_leave_a_stream_only_its_time(void **state)
{
	static const char *const domains[] = {MANTUA, VERONA};
	struct stage stage = stage_begin(1, CLEAR);
	struct world_peer *peer = stage_arrive_with_key(&stage);

	(void)state;
	send_key(&stage, peer, MANTUA);
	for (unsigned i = 0; i < 2; i++) {
		world_sleep(stage.world, 10000);
		judge(&stage, peer, domains[i],
		    STANZA_ERR_REMOTE_SERVER_TIMEOUT, false);
		CHECK(stage_comes(peer, "<remote-server-timeout"));
	}
	CHECK(!world_is_closed(peer));
	world_sleep(stage.world, 10000);
	CHECK(stage_comes(peer, "<connection-timeout"));
	world_free(&stage.world);
}

/* --- keys without TLS: XEP-0220, section 2.5 ------------------------------ */

#define STREAM_ERROR "<error xmlns='http://etherx.jabber.org/streams'>"
#define NO_TLS(name, id)                                           \
	"<" name " xmlns='jabber:server:dialback'"                 \
	" from='montague.example' to='" VERONA "' type='error'" id \
	"><error xmlns='jabber:server' type='modify'>"             \
	"<policy-violation"                                        \
	" xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error>"   \
	"</" name ">"

static void
keys_without_tls_are_errors(void **state)
{
	struct stage stage = stage_begin(1, NULL);
	struct world_peer *peer = stage_arrive(&stage);

	(void)state;
	world_send(peer, OPENING);
	CHECK(stage_comes(peer, "features"));
	world_send(peer, "<db:result" PAIR ">key</db:result>");
	world_run(stage.world);
	CHECK_TEXT(world_next(peer), NO_TLS("result", ""));
	world_send(peer, "<db:verify" PAIR " id='x'>key</db:verify>");
	world_run(stage.world);
	CHECK_TEXT(world_next(peer), NO_TLS("verify", " id='x'"));
	CHECK(world_next(peer) == NULL);
	CHECK(!world_is_closed(peer));
	CHECK(world_dialled(stage.world, VERONA) == NULL);
	world_send(peer, MESSAGE("escalus@" VERONA));
	CHECK(stage_comes(peer, STREAM_ERROR "<policy-violation"));
	CHECK(!stage_comes(stage.romeo, "id='v1'"));
	world_free(&stage.world);
}

/* Who knows nothing else is sent away, after some keys or some time. */
static void
keys_without_tls_do_not_go_on_for_ever(void **state)
{
	for (unsigned i = 0; i < 2; i++) {
		struct stage stage = stage_begin(i + 1, NULL);
		struct world_peer *peer = stage_arrive(&stage);

		(void)state;
		world_send(peer, OPENING);
		for (unsigned keys = 0; keys < 2 + i; keys++)
			world_send(peer, "<db:result" PAIR ">key</db:result>");
		world_run(stage.world);
		CHECK(world_is_closed(peer) == (i == 1));
		world_sleep(stage.world, i == 0 ? 30000 : 0);
		CHECK(stage_comes(
		    peer, i == 0 ? STREAM_ERROR "<connection-timeout"
				 : STREAM_ERROR "<policy-violation"));
		world_free(&stage.world);
	}
}

/* --- what is kept of streams that were cut -------------------------------- */

/* A stream that can be resumed is cut: by what. */
static void
be_cut(const struct stage *stage, const char *domain, char *id, size_t len)
{
	struct world_peer *peer = stage_arrive_certified(stage, domain);
	const char *text;

	world_send(peer, "<enable xmlns='urn:xmpp:sm:3' resume='true'/>");
	world_run(stage->world);
	text = strstr(world_next(peer), " id='") + 5;
	snprintf(id, len, "%.*s", (int)strcspn(text, "'"), text);
	world_cut(&peer);
}

static bool
is_resumed(const struct stage *stage, const char *domain, const char *id)
{
	struct world_peer *peer = stage_arrive_certified(stage, domain);
	char said[200];

	snprintf(said, sizeof(said),
	    "<resume xmlns='urn:xmpp:sm:3' previd='%s' h='0'/>", id);
	world_send(peer, said);
	return stage_comes(peer, "<resumed");
}

/* Who is cut again and again only loses what is its own. */
static void
a_domain_pushes_nobody_out(void **state)
{
	enum { TIMES = 5000 };
	struct stage stage = stage_begin(1, CLEAR);
	char id[64], first[64], last[64];

	(void)state;
	be_cut(&stage, VERONA, id, sizeof(id));
	be_cut(&stage, MANTUA, first, sizeof(first));
	for (unsigned i = 0; i < TIMES; i++)
		be_cut(&stage, MANTUA, last, sizeof(last));
	CHECK(!is_resumed(&stage, MANTUA, first));
	CHECK(is_resumed(&stage, MANTUA, last));
	CHECK(is_resumed(&stage, VERONA, id));
	world_free(&stage.world);
}

/* --- why nobody could say: XEP-0220, section 2.5 -------------------------- */

static const struct {
	const char *domain;
	enum world_door door;
	const char *said, *want; /* by the authority; to who gave the key */
} silences[] = {
    {MANTUA, WORLD_OPEN, NULL, "<remote-server-not-found"},
    {VERONA, WORLD_SHUT, NULL, "<remote-connection-failed"},
    {VERONA, WORLD_SILENT, NULL, "<remote-connection-failed"},
    {VERONA, WORLD_OPEN, NULL, "<remote-server-timeout"},
    {VERONA, WORLD_OPEN, "</stream:stream>", "<remote-server-timeout"},
    {VERONA, WORLD_OPEN,
	"<stream:error><system-shutdown" NS("streams") "/></stream:error>",
	"<remote-server-timeout"},
    {VERONA, WORLD_OPEN,
	"<stream:error><host-unknown" NS("streams") "/></stream:error>",
	"<remote-server-not-found"},
};

static void
why_a_key_was_not_verified_is_told(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(silences) / sizeof(silences[0]); i++) {
		struct stage stage =
		    stage_begin(i + 1, CLEAR "s2s.connect_timeout: 5 s\n");
		struct world_peer *peer = stage_arrive(&stage), *authority;
		char said[200];

		world_serve(stage.world, VERONA, silences[i].door);
		snprintf(said, sizeof(said),
		    "<db:result from='%s' to='montague.example'>0</db:result>",
		    silences[i].domain);
		world_send(peer, OPENING);
		world_send(peer, said);
		world_run(stage.world);
		if (silences[i].said != NULL) {
			authority = world_dialled(stage.world, VERONA);
			world_send(authority, ANSWER);
			world_send(authority, silences[i].said);
		}
		world_sleep(stage.world, 20000);
		if (!stage_comes(peer, silences[i].want))
			fail_msg("case %zu", i);
		CHECK(!world_is_closed(peer));
		world_free(&stage.world);
	}
}

/* --- who is not talked to ------------------------------------------------ */

static const struct {
	const char *yaml, *domain;
	bool is_refused;
} lists[] = {
    {"s2s.deny: [" VERONA "]\n", VERONA, true},
    {"s2s.deny: [" VERONA "]\n", MANTUA, false},
    {"s2s.deny: [\"*.example\"]\n", VERONA, true},
    {"s2s.allow: [" MANTUA "]\n", VERONA, true},
    {"s2s.allow: [" MANTUA "]\n", MANTUA, false},
    {"s2s.allow: [" MANTUA "]\ns2s.deny: [" MANTUA "]\n", MANTUA, true},
};

/* Who opens a stream to us as such a domain is told at once; on a stream that
 * names nobody, when it wants to prove it. */
static void
lists_hold_for_who_comes(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(lists) / sizeof(lists[0]) * 2; i++) {
		const bool is_named = i % 2 == 0;
		char yaml[300], said[300];
		struct stage stage;
		struct world_peer *peer;

		snprintf(yaml, sizeof(yaml), CLEAR "%s", lists[i / 2].yaml);
		stage = stage_begin(i + 1, yaml);
		world_serve(stage.world, lists[i / 2].domain, WORLD_SILENT);
		peer = stage_arrive(&stage);
		snprintf(said, sizeof(said), HEAD("%s%s%s %s"),
		    is_named ? "from='" : "",
		    is_named ? lists[i / 2].domain : "", is_named ? "'" : "",
		    "to='montague.example'");
		world_send(peer, said);
		if (!is_named || !lists[i / 2].is_refused) {
			CHECK(stage_comes(peer, "features"));
			snprintf(said, sizeof(said),
			    "<db:result from='%s' to='montague.example'>key"
			    "</db:result>",
			    lists[i / 2].domain);
			world_send(peer, said);
		}
		if (stage_comes(peer, "<policy-violation") !=
		    lists[i / 2].is_refused)
			fail_msg("%s %s", yaml, lists[i / 2].domain);
		CHECK(world_is_closed(peer) ==
		      (is_named && lists[i / 2].is_refused));
		world_free(&stage.world);
	}
}

/* --- what the administrator is told -------------------------------------- */

static char told[8192];

static void
note_line(enum log_level level, const char *text)
{
	const size_t len = strlen(told);

	snprintf(told + len, sizeof(told) - len, "%s%s\n",
	    level <= LOG_WARN ? "!" : "", text);
}

/* Lines that warn, or tell of the end of a stream with an error; the last one
 * of them. */
static unsigned
refusals_told(const char **line_r)
{
	unsigned count = 0;
	char *rest = told, *line;

	*line_r = "";
	while ((line = strsep(&rest, "\n")) != NULL) {
		if (line[0] != '!' && strstr(line, ": closed with ") == NULL)
			continue;
		*line_r = line;
		count++;
	}
	return count;
}

#define FIFTY       "pppppppppp.pppppppppp.pppppppppp.pppppppppp.ppppp."
#define LONG_START  FIFTY FIFTY FIFTY FIFTY
#define LONG_DOMAIN LONG_START FIFTY "it"

static const struct {
	const char *yaml, *opening, *said, *domain, *reason;
	bool is_proved; /* VERONA is, before it says that */
} refusals[] = {
    {"s2s.deny: [" VERONA "]\n", OPENING, "", VERONA,
	"this server does not talk to that domain"},
    {"s2s.allow: [" MANTUA "]\n", OPENING, "", VERONA,
	"this server does not talk to that domain"},
    {"s2s.deny: [" MANTUA "]\n", OPENING,
	"<db:result from='" MANTUA "' to='montague.example'>0</db:result>",
	MANTUA, "this server does not talk to that domain"},
    {"", HEAD("from='" VERONA "' to='mantua.example'"), "", VERONA,
	"mantua.example is not served here"},
    {"", HEAD("from='capulet.example' to='montague.example'"), "",
	"capulet.example", "that domain is served here"},
    {"", HEAD("from='a@" VERONA "' to='montague.example'"), "", VERONA,
	"from must be a domain"},
    {"", OPENING, "<db:result" PAIR ">0</db:result>", VERONA,
	"that domain does not know the key"},
    {"", OPENING,
	"<db:result from='" VERONA "' to='mantua.example'>0</db:result>",
	VERONA, "for mantua.example: it is not served here"},
    {"", OPENING,
	"<db:result from='nowhere.example' to='montague.example'>0"
	"</db:result>",
	"nowhere.example", "DNS has no address of nowhere.example"},
    {"", OPENING,
	"<db:verify from='" VERONA "' to='a.example' id='x'>0</db:verify>",
	VERONA, "for a.example: it is not served here"},
    {"", OPENING, "<db:verify" PAIR " id='x'>0</db:verify>", VERONA,
	"that is none of ours"},
    {"", OPENING, "<auth" NS("sasl") " mechanism='EXTERNAL'>=</auth>", VERONA,
	"refused EXTERNAL: not-authorized"},
    {"", OPENING, MESSAGE("escalus@" VERONA), VERONA,
	"not-authorized: verona.example may not send to montague.example"},
    {"", "", MESSAGE("a@" MANTUA), MANTUA,
	"invalid-from: mantua.example may not send to montague.example", true},
    {"", "", MESSAGE("a@" LONG_DOMAIN), VERONA,
	"invalid-from: " LONG_START " may not send", true},
    {"", "", "<message from='a@" VERONA "' to='a@" MANTUA "'/>", VERONA,
	"host-unknown: mantua.example is not served here", true},
    {"", "", "<message from='a@" VERONA "'/>", VERONA,
	"improper-addressing: from and to must be addresses", true},
    {"domains: {" VERONA ": {s2s: {tls_required: true}}}\n", OPENING,
	"<db:result" PAIR ">0</db:result>", VERONA, "TLS is required"},
    {"domains: {" VERONA ": {s2s: {dialback: never}}}\n", OPENING,
	"<db:result" PAIR ">0</db:result>", VERONA, "no certificate"},
};

/* One line, which names the domain and the reason. */
static void
each_refusal_is_one_line(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(refusals) / sizeof(refusals[0]); i++) {
		char yaml[200], all[sizeof(told)];
		struct stage stage;
		struct world_peer *peer;
		const char *line;
		unsigned count;

		snprintf(yaml, sizeof(yaml), CLEAR "%s", refusals[i].yaml);
		stage = stage_begin(i + 1, yaml);
		peer = refusals[i].is_proved
			   ? stage_arrive_certified(&stage, VERONA)
			   : stage_arrive(&stage);
		told[0] = '\0';
		log_capture(note_line);
		log_set_level(LOG_INFO);
		world_send(peer, refusals[i].opening);
		world_send(peer, refusals[i].said);
		world_run(stage.world);
		(void)stage_vouch(&stage, "invalid");
		log_set_level(LOG_ERROR);
		log_capture(NULL);
		memcpy(all, told, sizeof(all));
		count = refusals_told(&line);
		if (count != 1 || strstr(line, refusals[i].domain) == NULL ||
		    strstr(line, refusals[i].reason) == NULL)
			fail_msg(
			    "%u of %s:\n%s", count, refusals[i].reason, all);
		world_free(&stage.world);
	}
}

/* Who said in clear who it is, and cannot do TLS. */
static void
a_failed_handshake_names_the_domain(void **state)
{
	struct stage stage = stage_begin(1, NULL);
	struct world_peer *peer = stage_arrive(&stage);

	(void)state;
	world_send(peer, OPENING);
	CHECK(stage_comes(peer, "features"));
	told[0] = '\0';
	log_capture(note_line);
	log_set_level(LOG_INFO);
	shard_enter(stage_s2s(peer)->stream.shard);
	stream_start_tls(&stage_s2s(peer)->stream);
	world_conn_cut(peer->conn, "TLS handshake failed: x");
	world_run(stage.world);
	log_set_level(LOG_ERROR);
	log_capture(NULL);
	if (strstr(told, " as " VERONA ": closed: TLS handshake failed: x") ==
	    NULL)
		fail_msg("%s", told);
	world_free(&stage.world);
}

/* The same of streams that we want. */
static const struct {
	const char *yaml;
	size_t lines; /* of a good server, before */
	const char *said, *reason;
} failures[] = {
    {"s2s.deny: [" VERONA "]\n", 0, NULL,
	"this server does not talk to that domain"},
    {"", 1, "<failure" NS("tls") "/></stream:stream>", "cannot start TLS"},
    {"s2s.dialback: never\n", 2, NULL, "no certificate"},
    {"", 3, "<db:result" PAIR " type='invalid'/>", "dialback key is wrong"},
    {"", 3,
	"<db:result" PAIR " type='error'><error type='auth'><not-authorized "
	"xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></db:result>",
	"refused dialback: not-authorized"},
};

static void
each_failure_of_ours_is_one_line(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(failures) / sizeof(failures[0]); i++) {
		struct stage stage = stage_begin(i + 1, failures[i].yaml);
		struct world_peer *peer;
		char all[sizeof(told)];
		const char *line;
		unsigned count;

		told[0] = '\0';
		log_capture(note_line);
		log_set_level(LOG_INFO);
		stage_say(&stage, "m1");
		peer = world_dialled(stage.world, VERONA);
		if (peer != NULL)
			stage_answer(peer, failures[i].lines);
		if (failures[i].said != NULL)
			world_send(peer, failures[i].said);
		world_run(stage.world);
		log_set_level(LOG_ERROR);
		log_capture(NULL);
		memcpy(all, told, sizeof(all));
		count = refusals_told(&line);
		if (count != 1 || strstr(line, VERONA) == NULL ||
		    strstr(line, failures[i].reason) == NULL)
			fail_msg(
			    "%u of %s:\n%s", count, failures[i].reason, all);
		world_free(&stage.world);
	}
}

/* --- what is told of one pair is told of no other ------------------------- */

static size_t
queued(const struct stage *stage, const char *local)
{
	struct str name = str_of(local);
	size_t count = 0;

	for (unsigned i = 0; i < stage->world->server.shard_count; i++) {
		const struct remotes *remotes =
		    stage->world->server.shards[i].remotes;
		const struct remote *remote = NULL;

		while ((remote = remote_next(remotes, remote)) != NULL)
			list_each (pair, &remote->pairs, struct pair, link)
				if (str_equal(pair->local, name))
					count += pair->count;
	}
	return count;
}

/* VERONA opens a stream to one host, and proves itself to another. */
static struct world_peer *
arrive_for_another(const struct stage *stage)
{
	struct world_peer *peer = stage_arrive(stage);

	world_send(peer, HEAD("from='" VERONA "' to='capulet.example'"));
	CHECK(stage_comes(peer, "features"));
	world_send(peer, "<bidi xmlns='urn:xmpp:bidi'/>");
	add_domain(stage, peer, VERONA);
	return peer;
}

/* What waits from JULIET stays, whatever VERONA says of a stream that carried
 * other things. */
static void
a_stream_to_another_host_takes_nothing(void **state)
{
	struct stage stage = stage_begin(1, CLEAR);
	struct world_peer *peer, *juliet;
	char said[200];
	const char *id;

	(void)state;
	world_add_account(stage.world, JULIET, NULL);
	juliet = world_connect(stage.world, JULIET "/balcony");
	world_serve(stage.world, VERONA, WORLD_SILENT);
	world_send(juliet, "<message id='c1' to='escalus@" VERONA
			   "'><body>x</body></message>");
	world_run(stage.world);
	CHECK_EQUAL(queued(&stage, "capulet.example"), 1);
	peer = arrive_for_another(&stage);
	world_send(peer, "<enable xmlns='urn:xmpp:sm:3' resume='true'/>");
	CHECK((id = comes(peer, "<enabled")) != NULL);
	id = strstr(id, " id='");
	snprintf(said, sizeof(said),
	    "<resume xmlns='urn:xmpp:sm:3' previd='%.*s' h='1'/>",
	    id == NULL ? 0 : (int)strcspn(id + 5, "'"),
	    id == NULL ? "" : id + 5);
	stage_say(&stage, "m1");
	CHECK(stage_comes(peer, "id='m1'"));
	world_cut(&peer);
	world_run(stage.world);
	peer = arrive_for_another(&stage);
	world_send(peer, said);
	world_run(stage.world);
	CHECK_EQUAL(queued(&stage, "capulet.example"), 1);
	world_free(&stage.world);
}

/* Who may still finish its sentence is not heard for a host that went. */
static void
a_host_may_go_while_a_stream_closes(void **state)
{
	struct stage stage = stage_begin(1, CLEAR);
	struct world_peer *peer = stage_arrive_with_key(&stage);

	(void)state;
	CHECK(stage_vouch(&stage, "invalid"));
	CHECK(stage_comes(peer, "type='invalid'"));
	CHECK(!world_is_closed(peer));
	world_reload(
	    stage.world, CLEAR "hosts: {capulet.example: {}}\nshards: 2\n");
	world_send(peer, "<starttls" NS("tls") "/>");
	world_run(stage.world);
	CHECK(world_is_closed(peer));
	world_free(&stage.world);
}

/* An attempt goes by what held when it began, also after a reload. */
static void
an_attempt_keeps_its_policy(void **state)
{
	static const char path[] = "/etc/of/some/time/ago.pem";
	struct stage stage =
	    stage_begin(1, "s2s.authorities: /etc/of/some/time/ago.pem\n");
	struct world_peer *peer;
	struct str found;

	(void)state;
	stage_say(&stage, "m1");
	peer = world_dialled(stage.world, VERONA);
	stage_reload(&stage, "");
	found = attempt_policy(stage_s2s(peer)->attempt)->authorities;
	CHECK_EQUAL(found.len, sizeof(path) - 1);
	for (size_t i = 0; i < found.len; i++)
		CHECK_EQUAL(found.text[i], path[i]);
	world_free(&stage.world);
}

/* RFC 6120, section 6.3.8; XEP-0178, section 3: the name of the domain in any
 * of its forms, and no other. */
static void
the_authorization_identity_is_a_domain(void **state)
{
	static const struct {
		const char *from, *said, *want;
	} cases[] = {
	    {VERONA, VERONA, "<success"},
	    {VERONA, "Verona.EXAMPLE", "<success"},
	    {VERONA, VERONA ".", "<success"},
	    {BUCHER, BUCHER, "<success"},
	    {BUCHER, BUCHER_A, "<success"},
	    {BUCHER_A, BUCHER, "<success"},
	    {VERONA, MANTUA, "<invalid-authzid"},
	    {VERONA, "escalus@" VERONA, "<invalid-authzid"},
	    {VERONA, VERONA "/x", "<invalid-authzid"},
	    {VERONA, "\xff", "<invalid-authzid"},
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		struct stage stage = stage_begin(i + 1, CLEAR);
		struct world_peer *peer = stage_arrive(&stage);
		char said[300];

		snprintf(said, sizeof(said),
		    HEAD("from='%s' to='montague.example'"), cases[i].from);
		world_send(peer, said);
		CHECK(stage_comes(peer, "features"));
		stage_s2s(peer)->certified = PROOF_PKIX;
		snprintf(said, sizeof(said),
		    "<auth" NS("sasl") " mechanism='EXTERNAL'>%s</auth>",
		    base64_encode(peer->arena, str_of(cases[i].said)).text);
		world_send(peer, said);
		if (!stage_comes(peer, cases[i].want))
			fail_msg("%s: %s", cases[i].from, cases[i].said);
		world_free(&stage.world);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(each_pair_stands_by_its_own_proof),
	    cmocka_unit_test(a_wrong_key_ends_no_proved_pair),
	    cmocka_unit_test(a_wrong_key_ends_a_stream_that_proved_nothing),
	    cmocka_unit_test(errors_leave_a_stream_only_its_time),
	    cmocka_unit_test(keys_without_tls_are_errors),
	    cmocka_unit_test(keys_without_tls_do_not_go_on_for_ever),
	    cmocka_unit_test(a_domain_pushes_nobody_out),
	    cmocka_unit_test(why_a_key_was_not_verified_is_told),
	    cmocka_unit_test(lists_hold_for_who_comes),
	    cmocka_unit_test(each_refusal_is_one_line),
	    cmocka_unit_test(a_failed_handshake_names_the_domain),
	    cmocka_unit_test(each_failure_of_ours_is_one_line),
	    cmocka_unit_test(a_stream_to_another_host_takes_nothing),
	    cmocka_unit_test(a_host_may_go_while_a_stream_closes),
	    cmocka_unit_test(an_attempt_keeps_its_policy),
	    cmocka_unit_test(the_authorization_identity_is_a_domain),
	};

	return cmocka_run_group_tests_name("s2s_pairs", tests, NULL, NULL);
}

#include "modules/carbons.h"

#include "modules/modules_rig.h"
#include "server/world_neighbour.h"
#include "server/world_private.h"

#define ASK(element) \
	"<iq type='set' id='e'><" element " xmlns='urn:xmpp:carbons:2'/></iq>"
#define ENABLE  ASK("enable")
#define DISABLE ASK("disable")
#define DONE    "<iq type='result' id='e' from='" JULIET "'/>"

#define FORWARDED                                \
	"<forwarded xmlns='urn:xmpp:forward:0'>" \
	"<message xmlns='jabber:client' id='m'/></forwarded>"
/* A copy of what says m. */
#define COPY_OF(way)                                          \
	"<message from='" JULIET "'><" way                    \
	" xmlns='urn:xmpp:carbons:2'>" FORWARDED "</" way ">" \
	"</message>"
#define RECEIVED COPY_OF("received")
#define SENT     COPY_OF("sent")

#define BODY    "<body>x</body>"
#define ACTIVE  "<active xmlns='http://jabber.org/protocol/chatstates'/>"
#define RECEIPT "<received xmlns='urn:xmpp:receipts' id='1'/>"
#define MARKER  "<displayed xmlns='urn:xmpp:chat-markers:0' id='1'/>"
#define DIRECT  "<x xmlns='jabber:x:conference' jid='r@muc.example'/>"
#define MUC(in) "<x xmlns='http://jabber.org/protocol/muc#user'>" in "</x>"
#define INVITE  MUC("<invite from='x@y.example'/>")
#define PRIVATE "<private xmlns='urn:xmpp:carbons:2'/>"
#define NO_COPY "<no-copy xmlns='urn:xmpp:hints'/>"
#define OTHER   "<data xmlns='urn:example:data'/>"

/* Section 6.1: what is copied when it was received (r) or sent (s). */
static const struct {
	const char *type, *payload, *copied;
} rules[] = {
    {"chat", BODY, "rs"},
    {"chat", OTHER, "rs"},
    {"chat", ACTIVE, "rs"},
    {"normal", BODY, "rs"},
    {"unknown", BODY, "rs"},
    {"normal", OTHER, ""},
    {"normal", "<subject>x</subject>", ""},
    {"normal", ACTIVE, "rs"},
    {"normal", RECEIPT, "rs"},
    {"normal", MARKER, "rs"},
    {"normal", DIRECT, "rs"},
    {"normal", INVITE, "rs"},
    {"normal", MUC("<decline/>"), ""},
    {"chat", BODY MUC(""), "s"},
    {"normal", BODY MUC(""), "s"},
    {"chat", BODY INVITE, "rs"},
    {"groupchat", BODY, ""},
    {"headline", BODY, ""},
    {"headline", RECEIPT, ""},
    {"chat", BODY PRIVATE, ""},
    {"chat", BODY NO_COPY, ""},
    {"chat", BODY PRIVATE NO_COPY, ""},
    {"normal", RECEIPT PRIVATE, ""},
    {"error", BODY, ""},
};

struct stage {
	struct world *world;
	struct world_peer *romeo, *phone, *laptop;
};

static struct world_peer *
come(struct world *world, const char *jid, const char *presence)
{
	struct world_peer *peer = rig_bind(world, jid);

	rig_send(peer, ENABLE);
	rig_expect(peer, DONE);
	rig_send(peer, presence);
	rig_skip(peer);
	return peer;
}

static struct stage
stage(uint64_t seed)
{
	struct stage on = {
	    .world = rig_world(seed, 0, "limits.idle_ping: 0 s\n")};

	on.romeo = rig_bind(on.world, ROMEO "/orchard");
	on.phone = come(on.world, JULIET "/phone", "<presence/>");
	on.laptop = come(on.world, JULIET "/laptop", "<presence/>");
	rig_skip(on.phone);
	return on;
}

static void
play_rule(size_t row, bool is_sent)
{
	struct stage on = stage(row);
	struct world_peer *from = is_sent ? on.phone : on.romeo;
	const bool is_copied =
	    strchr(rules[row].copied, is_sent ? 's' : 'r') != NULL;
	char text[400];

	snprintf(text, sizeof(text),
	    "<message type='%s' to='%s' id='m'>%s</message>", rules[row].type,
	    is_sent ? ROMEO "/orchard" : JULIET "/phone", rules[row].payload);
	rig_send(from, text);
	rig_expect_at(
	    is_sent ? on.romeo : on.phone, "<message id='m'/>", text, (int)row);
	if (is_copied)
		rig_expect_at(
		    on.laptop, is_sent ? SENT : RECEIVED, text, (int)row);
	rig_expect_nothing_at(on.laptop, text, (int)row);
	rig_expect_nothing_at(on.phone, text, (int)row);
	world_free(&on.world);
}

static void
each_rule_is_kept(void **state)
{
	for (size_t row = 0; row < COUNT_OF(rules); row++) {
		play_rule(row, false);
		play_rule(row, true);
	}
}

/* Who of three sessions gets the message (in capitals: a copy): a has priority
 * 5, c 1, n -1, u is not available; all enabled carbons, x did not. */
static const struct {
	const char *type, *to, *there, *got;
} ways[] = {
    {"chat", JULIET, "acnu", "aCNU"},
    {"chat", JULIET, "cnu", "cNU"},
    {"chat", JULIET "/a", "acnu", "aCNU"},
    {"chat", JULIET "/n", "acnu", "ACnU"},
    {"chat", JULIET "/u", "acnu", "ACNu"},
    {"chat", JULIET "/gone", "acnu", "aCNU"},
    {"normal", JULIET, "acnu", "aCNU"},
    {"normal", JULIET "/gone", "acnu", ""},
    {"chat", JULIET, "nu", "N"},
    {"chat", JULIET, "ax", "a"},
    {"chat", JULIET "/x", "ax", "Ax"},
    {"chat", JULIET "/x", "x", "x"},
};

static struct world_peer *
come_as(struct world *world, char letter)
{
	static const char *const presences[] = {
	    ['a'] = "<presence><priority>5</priority></presence>",
	    ['c'] = "<presence><priority>1</priority></presence>",
	    ['n'] = "<presence><priority>-1</priority></presence>",
	    ['u'] = "",
	    ['x'] = "",
	};
	char jid[64];
	struct world_peer *peer;

	snprintf(jid, sizeof(jid), "%s/%c", JULIET, letter);
	peer = come(world, jid, presences[(unsigned char)letter]);
	if (letter == 'x') {
		rig_send(peer, DISABLE);
		rig_expect(peer, DONE);
	}
	return peer;
}

static void
play_way(size_t row)
{
	struct world *world = rig_world(row, 0, NULL);
	struct world_peer *romeo = rig_bind(world, ROMEO "/orchard");
	const char *there = ways[row].there, *got = ways[row].got;
	struct world_peer *peers[8];
	char text[200];

	for (size_t i = 0; there[i] != '\0'; i++)
		peers[i] = come_as(world, there[i]);
	for (size_t i = 0; there[i] != '\0'; i++)
		rig_skip(peers[i]);
	snprintf(text, sizeof(text),
	    "<message type='%s' to='%s' id='m'><body>x</body></message>",
	    ways[row].type, ways[row].to);
	rig_send(romeo, text);
	for (size_t i = 0; there[i] != '\0'; i++) {
		if (strchr(got, there[i]) != NULL)
			rig_expect_at(
			    peers[i], "<message id='m'/>", text, (int)row);
		else if (strchr(got, there[i] - 'a' + 'A') != NULL)
			rig_expect_at(peers[i], RECEIVED, text, (int)row);
		rig_expect_nothing_at(peers[i], text, (int)row);
	}
	world_free(&world);
}

static void
each_session_gets_it_once(void **state)
{
	for (size_t row = 0; row < COUNT_OF(ways); row++)
		play_way(row);
}

static void
errors_are_copied_as_what_they_answer(void **state)
{
	struct stage on = stage(1);

	rig_send(on.phone,
	    "<message type='chat' to='nobody@montague.example' id='m'/>");
	rig_expect(on.phone, "<message type='error' id='m'/>");
	rig_expect(on.laptop, SENT);
	rig_expect(on.laptop,
	    "<message type='error' from='" JULIET "'>"
	    "<received xmlns='urn:xmpp:carbons:2'/></message>");
	rig_send(on.phone,
	    "<message to='nobody@montague.example' id='m2'><x xmlns='a'/>"
	    "</message>");
	rig_expect(on.phone, "<message type='error' id='m2'/>");
	rig_expect_nothing(on.laptop);
	world_free(&on.world);
}

/* Those that are durable have a way of their own (modules/offline_bounce.c). */
static void
errors_of_what_waited_are_copied(void **state)
{
	struct stage on = stage(4);
	struct neighbour *verona = neighbour_new(on.world, "verona.example");

	verona->mood = NEIGHBOUR_UNREACHABLE;
	rig_send(on.phone,
	    "<message type='chat' to='escalus@verona.example' id='m'>" BODY
	    "</message>");
	rig_expect(on.laptop, SENT);
	world_sleep(on.world, 20 * 60 * 1000);
	CHECK(rig_finds(on.phone, "<message type='error' id='m'/>"));
	CHECK(rig_finds(on.laptop, RECEIVED));
	rig_expect_nothing(on.laptop);
	world_free(&on.world);
}

/* Section 10.3. */
static void
errors_of_copies_end_here(void **state)
{
	struct stage on = stage(2);

	rig_send(on.romeo, "<message type='chat' to='" JULIET
			   "/phone' id='m'>" BODY "</message>");
	rig_expect(on.phone, "<message id='m'/>");
	rig_expect(on.laptop, RECEIVED);
	rig_send(on.laptop,
	    "<message type='error' to='" JULIET "'><error type='cancel'>"
	    "<service-unavailable xmlns='" STANZAS "'/></error></message>");
	rig_expect_nothing(on.romeo);
	rig_expect_nothing(on.phone);
	rig_expect_nothing(on.laptop);
	world_free(&on.world);
}

static void
what_one_says_to_oneself_comes_once(void **state)
{
	static const char *const tos[] = {
	    "", " to='" JULIET "'", " to='" JULIET "/laptop'"};

	for (size_t i = 0; i < COUNT_OF(tos); i++) {
		struct stage on = stage(i);
		struct world_peer *third = come(on.world, JULIET "/n",
		    "<presence><priority>-1</priority></presence>");
		char text[200];

		rig_skip(on.phone);
		rig_skip(on.laptop);
		snprintf(text, sizeof(text),
		    "<message type='chat'%s id='m'>" BODY "</message>", tos[i]);
		rig_send(on.phone, text);
		if (i < 2)
			rig_expect(on.phone, "<message id='m'/>");
		rig_expect(on.laptop, "<message id='m'/>");
		rig_expect(third, RECEIVED);
		rig_expect_nothing(on.phone);
		rig_expect_nothing(on.laptop);
		rig_expect_nothing(third);
		world_free(&on.world);
	}
}

/* What was lost with its device is told again; but not where a copy is. */
static void
a_copy_counts_for_the_archive(void **state)
{
	for (unsigned has_carbons = 0; has_carbons < 2; has_carbons++) {
		struct stage on = stage(has_carbons);

		if (!has_carbons) {
			rig_send(on.laptop, DISABLE);
			rig_expect(on.laptop, DONE);
		}
		rig_send(on.romeo, "<message type='chat' to='" JULIET
				   "/phone' id='m'>" BODY "</message>");
		if (has_carbons)
			rig_expect(on.laptop, RECEIVED);
		world_cut(&on.phone);
		world_run(on.world);
		CHECK_EQUAL(
		    rig_finds(on.laptop, "<message id='m'/>"), !has_carbons);
		world_free(&on.world);
	}
}

static void
it_stays_on_over_a_restart(void **state)
{
	struct stage on = stage(3);
	char id[RIG_ID_LEN];

	rig_enable(on.laptop, id);
	world_restart(on.world);
	on.romeo = rig_bind(on.world, ROMEO "/orchard");
	on.phone = rig_login(on.world, JULIET "/phone");
	on.laptop = rig_come_back(
	    on.world, JULIET, id, 0, "<resumed xmlns='urn:xmpp:sm:3'/>");
	rig_send(on.romeo, "<message type='chat' to='" JULIET
			   "/phone' id='m'>" BODY "</message>");
	CHECK(rig_finds(on.laptop, RECEIVED));
	world_free(&on.world);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(each_rule_is_kept),
	    cmocka_unit_test(each_session_gets_it_once),
	    cmocka_unit_test(errors_are_copied_as_what_they_answer),
	    cmocka_unit_test(errors_of_what_waited_are_copied),
	    cmocka_unit_test(errors_of_copies_end_here),
	    cmocka_unit_test(what_one_says_to_oneself_comes_once),
	    cmocka_unit_test(a_copy_counts_for_the_archive),
	    cmocka_unit_test(it_stays_on_over_a_restart),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

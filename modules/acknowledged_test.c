/* What h covers, and when (XEP-0198, section 4): stanza by stanza, while the
 * store stands still, and after. */
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "modules/modules_rig.h"
#include "server/s2s.h"
#include "server/s2s_stage.h"
#include "server/world_neighbour.h"

#define ROMEO         "romeo@montague.example"
#define SM            "urn:xmpp:sm:3"
#define HEAD_CHAT(to) "<message type='chat' id='m1' to='" to "'>"
/* Nobody archives, or everybody. */
#define NEVER                  "archive: {default: never}\n"
#define ALWAYS                 "archive: {default: always}\n"
#define BODY                   "<body>Hi</body>"
#define CHAT(to)               HEAD_CHAT(to) BODY "</message>"
#define SUBSCRIPTION(type, to) "<presence type='" type "' to='" to "'/>"
#define SET(in)                "<iq type='set' id='i1'>" in "</iq>"
#define GET(to, in)            "<iq type='get' id='i1'" to ">" in "</iq>"
#define ABOUT(in)                                                       \
	"<query xmlns='jabber:iq:private'><n xmlns='urn:example:n'>" in \
	"</n></query>"
#define NOTE ABOUT("x")

/* Where she is. */
enum place { AWAY, THERE };

struct row {
	const char *sent, *yaml;
	enum place place;
	bool waits; /* for the store */
};

/* Romeo's stream counts from here on. Both accounts are in memory; so is what
 * the archive and presence would read of them. */
struct talk {
	struct world *world;
	struct world_peer *romeo, *juliet;
};

static struct talk
talk_new(uint64_t seed, const char *yaml, enum place place)
{
	struct talk talk = {.world = rig_world(seed, 0, yaml)};
	char id[RIG_ID_LEN];

	neighbour_new(talk.world, VERONA)->mood = NEIGHBOUR_SILENT;
	talk.juliet = rig_login(talk.world, JULIET "/balcony");
	talk.romeo = rig_login(talk.world, ROMEO "/orchard");
	rig_skip(talk.romeo);
	rig_enable(talk.romeo, id);
	if (place == AWAY)
		world_cut(&talk.juliet);
	world_sleep(talk.world, 2000);
	return talk;
}

/* Asks, and waits until an answer must be there; h of the last one. */
static unsigned
ask(const struct talk *talk)
{
	unsigned h = UINT_MAX;
	const char *text, *at;

	rig_send(talk->romeo, "<r xmlns='" SM "'/>");
	world_sleep(talk->world, 30);
	while ((text = world_next(talk->romeo)) != NULL)
		if (strstr(text, "<a ") != NULL &&
		    (at = strstr(text, "h='")) != NULL)
			h = (unsigned)strtoul(at + 3, NULL, 10);
	return h;
}

static void
play(const struct row *row, uint64_t seed)
{
	struct talk talk = talk_new(seed, row->yaml, row->place);
	unsigned held, after;

	world_hold_store(talk.world, true);
	rig_send(talk.romeo, row->sent);
	world_sleep(talk.world, 1000);
	held = ask(&talk);
	world_hold_store(talk.world, false);
	world_sleep(talk.world, 1000);
	after = ask(&talk);
	if (held != (row->waits ? 0 : 1) || after != 1)
		fail_msg("h is %u, then %u, of %s %s (%s there)", held, after,
		    row->yaml, row->sent, row->place == AWAY ? "not" : "");
	world_free(&talk.world);
}

static void
play_all(const struct row *rows, size_t count)
{
	for (size_t i = 0; i < count; i++)
		for (uint64_t seed = 1; seed <= 3; seed++)
			play(&rows[i], seed);
}

/* --- local ---------------------------------------------------------------- */

/* Its rows are committed, whether she is there or not. */
static void
what_is_kept_waits_for_its_row(void **state)
{
	static const struct row rows[] = {
	    {CHAT(JULIET), ALWAYS, AWAY, true},
	    {CHAT(JULIET), ALWAYS, THERE, true},
	    {CHAT(JULIET "/balcony"), ALWAYS, THERE, true},
	    {CHAT(JULIET), NEVER, AWAY, true},
	    {CHAT(JULIET), NEVER, THERE, true},
	    {CHAT(JULIET "/balcony"), NEVER, THERE, true},
	    {"<message to='" JULIET "'>" BODY "</message>", NEVER, THERE, true},
	    {CHAT(ROMEO), ALWAYS, THERE, true},
	};

	(void)state;
	play_all(rows, COUNT_OF(rows));
}

static void
what_is_not_kept_waits_for_nobody(void **state)
{
	static const struct row rows[] = {
	    {"<message type='headline' to='" JULIET "'>" BODY "</message>",
		ALWAYS, THERE, false},
	    {"<message type='headline' to='" JULIET "'>" BODY "</message>",
		ALWAYS, AWAY, false},
	    {"<message type='chat' to='" JULIET "'><composing "
	     "xmlns='http://jabber.org/protocol/chatstates'/></message>",
		ALWAYS, THERE, false},
	    {"<message type='chat' to='" JULIET "'>" BODY
	     "<no-store xmlns='urn:xmpp:hints'/></message>",
		ALWAYS, THERE, false},
	    {"<message type='groupchat' to='" JULIET "/balcony'>" BODY
	     "</message>",
		NEVER, THERE, false},
	    {"<presence><show>away</show></presence>", ALWAYS, THERE, false},
	    {"<presence to='" JULIET "/balcony'/>", ALWAYS, THERE, false},
	    {"<presence to='" JULIET "'/>", ALWAYS, AWAY, false},
	    {SUBSCRIPTION("probe", JULIET), ALWAYS, AWAY, false},
	};

	(void)state;
	play_all(rows, COUNT_OF(rows));
}

static void
requests_wait_for_the_roster(void **state)
{
	static const struct row rows[] = {
	    {SUBSCRIPTION("subscribe", JULIET), ALWAYS, THERE, true},
	    {SUBSCRIPTION("subscribe", JULIET), ALWAYS, AWAY, true},
	    {SUBSCRIPTION("subscribe", "nurse@" VERONA), ALWAYS, AWAY, true},
	};

	(void)state;
	play_all(rows, COUNT_OF(rows));
}

/* The other three need a contact. */
static void
so_do_answers_and_farewells(void **state)
{
	static const char *const types[] = {
	    "subscribed", "unsubscribed", "unsubscribe"};

	(void)state;
	for (uint64_t seed = 1; seed <= 3; seed++) {
		struct talk talk = talk_new(seed, ALWAYS, THERE);
		char text[120];

		rig_send(talk.juliet, SUBSCRIPTION("subscribe", ROMEO));
		rig_send(talk.romeo, SUBSCRIPTION("subscribe", JULIET));
		rig_send(talk.juliet, SUBSCRIPTION("subscribed", ROMEO));
		world_sleep(talk.world, 1000);
		CHECK_EQUAL(ask(&talk), 1);
		for (unsigned i = 0; i < COUNT_OF(types); i++) {
			snprintf(text, sizeof(text), SUBSCRIPTION("%s", JULIET),
			    types[i]);
			world_hold_store(talk.world, true);
			rig_send(talk.romeo, text);
			world_sleep(talk.world, 1000);
			CHECK_EQUAL(ask(&talk), i + 1);
			world_hold_store(talk.world, false);
			world_sleep(talk.world, 1000);
			CHECK_EQUAL(ask(&talk), i + 2);
		}
		world_free(&talk.world);
	}
}

static void
only_iqs_that_write_wait(void **state)
{
	static const struct row rows[] = {
	    {SET(NOTE), ALWAYS, AWAY, true},
	    {SET("<query xmlns='jabber:iq:roster'><item jid='" JULIET
		 "' name='x'/></query>"),
		ALWAYS, AWAY, true},
	    {SET("<vCard xmlns='vcard-temp'><FN>Romeo</FN></vCard>"), ALWAYS,
		AWAY, true},
	    {SET("<block xmlns='urn:xmpp:blocking'><item jid='" JULIET
		 "'/></block>"),
		ALWAYS, AWAY, true},
	    {GET("", "<ping xmlns='urn:xmpp:ping'/>"), ALWAYS, AWAY, false},
	    {SET("<nonsense xmlns='urn:example:none'/>"), ALWAYS, AWAY, false},
	    /* Waits for a read. */
	    {GET("", ABOUT("")), ALWAYS, AWAY, false},
	    {GET(" to='" JULIET "'", "<vCard xmlns='vcard-temp'/>"), ALWAYS,
		AWAY, false},
	    {SET("<query xmlns='urn:xmpp:mam:2'/>"), ALWAYS, AWAY, false},
	    /* Waits for an answer. */
	    {GET(" to='" JULIET "/balcony'", "<ping xmlns='urn:xmpp:ping'/>"),
		ALWAYS, THERE, false},
	    {GET(" to='" VERONA "'", "<ping xmlns='urn:xmpp:ping'/>"), ALWAYS,
		AWAY, false},
	};

	(void)state;
	play_all(rows, COUNT_OF(rows));
}

/* --- to other servers ----------------------------------------------------- */

/* The queue took it. */
static void
the_rest_for_other_servers_waits_for_nobody(void **state)
{
	static const struct row rows[] = {
	    {"<presence to='nurse@" VERONA "'/>", ALWAYS, AWAY, false},
	    {"<message type='headline' to='nurse@" VERONA "'>" BODY
	     "</message>",
		ALWAYS, AWAY, false},
	};

	(void)state;
	play_all(rows, COUNT_OF(rows));
}

static void
say_while_nothing_is_kept(struct talk *talk)
{
	world_hold_store(talk->world, true);
	rig_send(talk->romeo, CHAT("nurse@" VERONA));
	world_sleep(talk->world, 5000);
	CHECK_EQUAL(ask(talk), 0);
	world_hold_store(talk->world, false);
	world_sleep(talk->world, 5000);
	CHECK_EQUAL(ask(talk), 1);
}

/* Nobody answers there: its row is committed. */
static void
what_waits_for_another_server_is_kept_first(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 4; i++) {
		struct talk talk =
		    talk_new(i + 1, i % 2 == 0 ? ALWAYS : NEVER, AWAY);

		say_while_nothing_is_kept(&talk);
		CHECK_EQUAL(rig_outbox(talk.world), 1);
		world_free(&talk.world);
	}
}

/* Its row was not, and no longer will be: that of its return is. */
static void
what_comes_back_meanwhile_is_kept_first(void **state)
{
	(void)state;
	for (uint64_t seed = 1; seed <= 4; seed++) {
		struct talk talk =
		    talk_new(seed, NEVER "s2s: {hold_messages: 1 s}\n", AWAY);

		say_while_nothing_is_kept(&talk);
		world_free(&talk.world);
	}
}

/* Or the other server's h reached it, and then there is no row. */
static void
or_is_acknowledged_there(void **state)
{
	struct stage stage = stage_begin(1, CLEAR NEVER);
	struct talk talk = {.world = stage.world, .romeo = stage.romeo};
	struct world_peer *verona;
	char id[RIG_ID_LEN];

	(void)state;
	rig_skip(talk.romeo);
	rig_enable(talk.romeo, id);
	stage_say(&stage, "m0");
	verona = world_dialled(talk.world, VERONA);
	assert_non_null(verona);
	stage_answer(verona, STAGE_LINES);
	CHECK(stage_comes(verona, "m0"));
	world_send(verona, "<a xmlns='" SM "' h='1'/>");
	world_sleep(talk.world, 1000);
	CHECK_EQUAL(ask(&talk), 1);
	world_hold_store(talk.world, true);
	stage_say(&stage, "m1");
	CHECK(stage_comes(verona, "m1"));
	CHECK_EQUAL(ask(&talk), 1);
	world_send(verona, "<a xmlns='" SM "' h='2'/>");
	world_sleep(talk.world, 50);
	CHECK_EQUAL(ask(&talk), 2);
	world_hold_store(talk.world, false);
	world_sleep(talk.world, 5000);
	CHECK_EQUAL(rig_outbox(talk.world), 0);
	world_free(&talk.world);
}

/* It counts nothing: the answer to our ping, and no other, says that it has all
 * (XEP-0199). Then the row goes, and a new start sends nothing. */
static void
the_row_goes_with_the_pong(void **state)
{
	struct stage stage = stage_begin(1, CLEAR NEVER);
	struct world_peer *verona, *other;
	char pong[300];
	const char *id;

	(void)state;
	stage_say(&stage, "m0");
	verona = stage_dialled(&stage, STAGE_LINES - 1);
	CHECK(stage_comes(verona, "<enable"));
	world_send(verona, "<failed xmlns='" SM "'/>");
	CHECK(stage_comes(verona, "id='m0'"));
	id = strstr(world_next(verona), " id='") + 5;
	snprintf(pong, sizeof(pong), "<iq type='result' id='%.*s'" PAIR "/>",
	    (int)strcspn(id, "'"), id);
	world_sleep(stage.world, 1000);
	CHECK_EQUAL(rig_outbox(stage.world), 1);
	other = stage_arrive_one_way(&stage, VERONA);
	world_send(other, "<iq type='result' id='x'" PAIR "/>");
	world_sleep(stage.world, 1000);
	CHECK_EQUAL(rig_outbox(stage.world), 1);
	world_send(other, pong);
	world_sleep(stage.world, 1000);
	CHECK_EQUAL(rig_outbox(stage.world), 0);
	while (world_dialled(stage.world, VERONA) != NULL)
		continue;
	world_kill(stage.world);
	stage.world->server.s2s_connect = s2s_connect;
	world_sleep(stage.world, 60 * 1000);
	CHECK(world_dialled(stage.world, VERONA) == NULL);
	world_free(&stage.world);
}

/* --- what is refused ------------------------------------------------------ */

#define REFUSED(id) "<message type='error' id='" id "'/>"

/* What is next, but for requests. */
static const char *
next(struct world_peer *peer)
{
	const char *text;

	do
		text = world_next(peer);
	while (text != NULL && strncmp(text, "<r ", 3) == 0);
	return text;
}

/* Its error stands before the acknowledgement. */
static void
expect_refused(const struct talk *talk, const char *sent, const char *answer)
{
	const char *text;

	rig_skip(talk->romeo);
	world_send(talk->romeo, sent);
	rig_send(talk->romeo, "<r xmlns='" SM "'/>");
	world_sleep(talk->world, 3000);
	rig_expect(talk->romeo, answer);
	text = next(talk->romeo);
	CHECK(text != NULL && strncmp(text, "<a ", 3) == 0);
}

static void
errors_stand_before_the_acknowledgement(void **state)
{
	(void)state;
	for (uint64_t seed = 1; seed <= 6; seed++) {
		struct talk talk =
		    talk_new(seed, "quota.offline_messages: 1\n" NEVER, THERE);

		expect_refused(
		    &talk, CHAT("nobody@capulet.example"), REFUSED("m1"));
		rig_send(
		    talk.juliet, SET("<block xmlns='urn:xmpp:blocking'><item "
				     "jid='" ROMEO "'/></block>"));
		expect_refused(&talk, CHAT(JULIET), REFUSED("m1"));
		rig_send(
		    talk.juliet, SET("<unblock xmlns='urn:xmpp:blocking'/>"));
		world_cut(&talk.juliet);
		world_run(talk.world);
		rig_send(talk.romeo, CHAT(JULIET));
		world_sleep(talk.world, 1000);
		expect_refused(&talk, CHAT(JULIET), REFUSED("m1"));
		world_free(&talk.world);
	}
}

static void
what_cannot_be_kept_is_refused_and_handled(void **state)
{
	static const char *const settings[] = {NEVER, ALWAYS};

	(void)state;
	for (unsigned i = 0; i < COUNT_OF(settings); i++) {
		struct talk talk = talk_new(i + 1, settings[i], AWAY);

		world_break_store(talk.world, ERR_FULL);
		expect_refused(&talk, SET(NOTE),
		    RIG_ERROR("i1", "wait", "resource-constraint"));
		world_break_store(talk.world, ERR_NONE);
		world_free(&talk.world);
	}
}

/* --- resuming ------------------------------------------------------------- */

/* It waits ten seconds for what is open; then the new stream ends, and the
 * session is there for another try. */
static void
resumption_waits_ten_seconds(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 4; i++) {
		struct talk talk = {.world = rig_world(i + 1, 0, ALWAYS)};
		struct world_peer *again;
		char id[RIG_ID_LEN];

		talk.romeo = rig_bind(talk.world, ROMEO "/orchard");
		rig_enable(talk.romeo, id);
		rig_send(talk.romeo, "<message to='nobody@capulet.example'/>");
		again = world_connect(talk.world, ROMEO);
		world_hold_store(talk.world, true);
		rig_send(talk.romeo, CHAT(JULIET));
		if (i < 2)
			world_cut(&talk.romeo);
		rig_resume(again, id, 0);
		world_sleep(talk.world, 9500);
		rig_expect_nothing(again);
		if (i % 2 == 0)
			world_hold_store(talk.world, false);
		world_sleep(talk.world, 1000);
		if (i % 2 == 0) {
			rig_expect(again, "<resumed xmlns='" SM "' h='2'/>");
			world_free(&talk.world);
			continue;
		}
		CHECK(rig_finds(again,
		    "<stream:error><resource-constraint "
		    "xmlns='urn:ietf:params:xml:ns:xmpp-streams'/>"
		    "</stream:error>"));
		world_hold_store(talk.world, false);
		world_sleep(talk.world, 1000);
		rig_come_back(talk.world, ROMEO, id, 0,
		    "<resumed xmlns='" SM "' h='2'/>");
		world_free(&talk.world);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(what_is_kept_waits_for_its_row),
	    cmocka_unit_test(what_is_not_kept_waits_for_nobody),
	    cmocka_unit_test(requests_wait_for_the_roster),
	    cmocka_unit_test(so_do_answers_and_farewells),
	    cmocka_unit_test(only_iqs_that_write_wait),
	    cmocka_unit_test(the_rest_for_other_servers_waits_for_nobody),
	    cmocka_unit_test(what_waits_for_another_server_is_kept_first),
	    cmocka_unit_test(what_comes_back_meanwhile_is_kept_first),
	    cmocka_unit_test(or_is_acknowledged_there),
	    cmocka_unit_test(the_row_goes_with_the_pong),
	    cmocka_unit_test(errors_stand_before_the_acknowledgement),
	    cmocka_unit_test(what_cannot_be_kept_is_refused_and_handled),
	    cmocka_unit_test(resumption_waits_ten_seconds),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

#include "modules/archive.h"

#include "modules/waiting_rig.h"
#include "server/sweep.h"
#include "server/world_private.h"

#define ASK "<iq type='set' id='q'><query xmlns='urn:xmpp:mam:2'/></iq>"
#define FIN                                                          \
	"<iq type='result' id='q'><fin xmlns='urn:xmpp:mam:2'><set " \
	"xmlns='http://jabber.org/protocol/rsm'/></fin></iq>"
#define RESULT(id)                                                          \
	"<message><result xmlns='urn:xmpp:mam:2'><forwarded "               \
	"xmlns='urn:xmpp:forward:0'><message xmlns='jabber:client' id='" id \
	"'/></forwarded></result></message>"

/* --- what a query may say ------------------------------------------------ */

#define FORM(fields)                                     \
	"<x xmlns='jabber:x:data' type='submit'><field " \
	"var='FORM_TYPE'><value>urn:xmpp:mam:2</value></field>" fields "</x>"
#define FIELD(var, value) \
	"<field var='" var "'><value>" value "</value></field>"
#define SET(in) "<set xmlns='http://jabber.org/protocol/rsm'>" in "</set>"
#define QUERY(in)                                                            \
	"<iq type='set' id='q'><query xmlns='urn:xmpp:mam:2'>" in "</query>" \
	"</iq>"
#define UNKNOWN            \
	"0000000000000001" \
	"0000000000000001"

static const struct rig_talk talks[] = {
    {QUERY(FORM(FIELD("with", ""))), RIG_ERROR("q", "modify", "bad-request")},
    {QUERY(FORM(FIELD("with", "@"))), RIG_ERROR("q", "modify", "bad-request")},
    {QUERY(FORM(FIELD("end", "2026"))),
	RIG_ERROR("q", "modify", "bad-request")},
    {QUERY(FORM(FIELD("start", "1969-01-01T00:00:00Z"))), FIN},
    {QUERY(FORM(FIELD("colour", "red"))),
	RIG_ERROR("q", "cancel", "feature-not-implemented")},
    {QUERY(FORM(FIELD("with", ROMEO) FIELD("with", ROMEO))),
	RIG_ERROR("q", "modify", "bad-request")},
    {QUERY("<x xmlns='jabber:x:data' type='submit'/>"),
	RIG_ERROR("q", "modify", "bad-request")},
    {QUERY(FORM("<field var='with'/>")), FIN},
    {QUERY(SET("<max>x</max>")), RIG_ERROR("q", "modify", "bad-request")},
    {QUERY(SET("<max>99999999999</max>")), FIN},
    {QUERY(SET("<max>1</max><index>0</index>")),
	RIG_ERROR("q", "cancel", "feature-not-implemented")},
    {QUERY(SET("<before>" UNKNOWN "</before>")),
	RIG_ERROR("q", "cancel", "item-not-found")},
    {QUERY(SET("<after>" UNKNOWN "</after>")
	     FORM(FIELD("after-id", UNKNOWN) FIELD("before-id", UNKNOWN))),
	RIG_ERROR("q", "cancel", "item-not-found")},
    {QUERY(FORM(FIELD("ids", UNKNOWN))),
	RIG_ERROR("q", "cancel", "item-not-found")},
    {QUERY(FORM(FIELD("ids", "00000000000000000000000000000000"))),
	RIG_ERROR("q", "cancel", "item-not-found")},
    {QUERY(SET("<max>0</max>")),
	"<iq type='result' id='q'><fin xmlns='urn:xmpp:mam:2' "
	"complete='true'/></iq>"},
};

static void
queries_are_checked(void **state)
{
	struct world *world = rig_world(1, 2, NULL);
	struct world_peer *romeo = rig_bind(world, ROMEO "/orchard");

	rig_talks(romeo, talks, COUNT_OF(talks));
	waiting_say(romeo, "m1");
	rig_send(romeo, QUERY(SET("<max>0</max>")));
	rig_expect(romeo,
	    "<iq type='result' id='q'><fin xmlns='urn:xmpp:mam:2' "
	    "complete='{none}'/></iq>");
	world_free(&world);
}

/* --- what goes wrong ----------------------------------------------------- */

/* What was delivered is in the archive sooner or later. */
static void
a_row_that_failed_is_written_again(void **state)
{
	struct world *world = rig_world(1, 2, NULL);
	struct world_peer *romeo = rig_login(world, ROMEO "/orchard");
	struct world_peer *juliet = rig_login(world, JULIET "/balcony");

	world_break_store(world, ERR_UNAVAILABLE);
	waiting_say(romeo, "m1");
	rig_expect(juliet, "<message id='m1'/>");
	rig_send(juliet, ASK);
	rig_expect_nothing(juliet);
	world_sleep(world, 6000);
	rig_expect(juliet, RIG_ERROR("q", "wait", "resource-constraint"));
	world_sleep(world, 20000);
	waiting_say(romeo, "m2");
	rig_expect(juliet, "<message id='m2'/>");
	world_break_store(world, ERR_NONE);
	world_sleep(world, 40000);
	rig_send(juliet, ASK);
	rig_expect(juliet, RESULT("m1"));
	rig_expect(juliet, RESULT("m2"));
	rig_expect(juliet, FIN);
	rig_send(romeo, ASK);
	rig_expect(romeo, RESULT("m1"));
	rig_expect(romeo, RESULT("m2"));
	rig_expect(romeo, FIN);
	rig_expect_nothing(romeo);
	world_free(&world);
}

/* A kill does not change the order: who was told of neither sends both again,
 * and what is there already is not written twice. */
static void
what_comes_after_a_row_that_failed_waits(void **state)
{
	struct world *world = rig_world(1, 2, NULL);
	struct world_peer *romeo = rig_login(world, ROMEO "/orchard");
	struct world_peer *juliet = rig_login(world, JULIET "/balcony");

	world_break_store(world, ERR_FULL);
	waiting_say(romeo, "m1");
	world_run(world);
	world_break_store(world, ERR_NONE);
	waiting_say(romeo, "m2");
	world_run(world);
	world_kill(world);
	world_cut(&romeo);
	world_cut(&juliet);
	romeo = rig_login(world, ROMEO "/orchard");
	waiting_say(romeo, "m1");
	waiting_say(romeo, "m2");
	juliet = rig_login(world, JULIET "/balcony");
	rig_send(juliet, ASK);
	rig_expect(juliet, RESULT("m1"));
	rig_expect(juliet, RESULT("m2"));
	rig_expect(juliet, FIN);
	world_free(&world);
}

#define ASK_AFTER QUERY(SET("<after>%s</after>"))
#define ASK_IDS   QUERY(FORM(FIELD("ids", "%s")))
#define ID_LEN    32

/* That the next message is archived under. */
static void
take_id(struct world_peer *peer, char id[static ID_LEN + 1])
{
	const char *text = world_next(peer);
	const char *named = text == NULL ? NULL : strstr(text, "<stanza-id ");

	CHECK(named != NULL);
	snprintf(id, ID_LEN + 1, "%s", strstr(named, " id='") + 5);
}

static void
ask_for(struct world_peer *peer, const char *ask, const char *id)
{
	char xml[500];

	snprintf(xml, sizeof(xml), ask, id);
	rig_send(peer, xml);
}

/* The disk is full: what is there can be read, and that there is more is told.
 */
static void
who_asks_while_nothing_is_written_is_answered(void **state)
{
	struct world *world = rig_world(1, 2, NULL);
	struct world_peer *romeo = rig_login(world, ROMEO "/orchard");
	struct world_peer *juliet = rig_login(world, JULIET "/balcony");

	(void)state;
	waiting_say(romeo, "m1");
	rig_expect(juliet, "<message id='m1'/>");
	world_sleep(world, 1000);
	world_break_store(world, ERR_FULL);
	waiting_say(romeo, "m2");
	rig_expect(juliet, "<message id='m2'/>");
	rig_send(juliet, ASK);
	world_sleep(world, 20000);
	rig_expect(juliet, RESULT("m1"));
	rig_expect(juliet,
	    "<iq type='result' id='q'><fin xmlns='urn:xmpp:mam:2' "
	    "complete='{none}'/></iq>");
	world_break_store(world, ERR_NONE);
	world_sleep(world, 10000);
	rig_send(juliet, ASK);
	rig_expect(juliet, RESULT("m1"));
	rig_expect(juliet, RESULT("m2"));
	rig_expect(juliet, FIN);
	world_free(&world);
}

/* A client that begins anew when its last message is not there knows it from
 * us: while the disk is full it is told to wait. */
static void
what_is_yet_to_be_written_is_not_missing(void **state)
{
	static const char *const asks[] = {ASK_AFTER, ASK_IDS};
	struct world *world = rig_world(1, 2, NULL);
	struct world_peer *romeo = rig_login(world, ROMEO "/orchard");
	struct world_peer *juliet = rig_login(world, JULIET "/balcony");
	char id[ID_LEN + 1];

	(void)state;
	rig_skip(juliet);
	world_break_store(world, ERR_FULL);
	waiting_say(romeo, "m1");
	take_id(juliet, id);
	for (size_t i = 0; i < COUNT_OF(asks); i++) {
		ask_for(juliet, asks[i], id);
		world_sleep(world, 20000);
		rig_expect(
		    juliet, RIG_ERROR("q", "wait", "resource-constraint"));
	}
	ask_for(juliet, ASK_IDS, UNKNOWN);
	world_sleep(world, 20000);
	rig_expect(juliet, RIG_ERROR("q", "cancel", "item-not-found"));
	world_break_store(world, ERR_NONE);
	world_sleep(world, 20000);
	ask_for(juliet, ASK_IDS, id);
	rig_expect(juliet, RESULT("m1"));
	rig_expect(juliet, FIN);
	world_free(&world);
}

/* Who sent it is gone when it could not be written; who reads meanwhile is told
 * of it nevertheless. */
static void
what_is_left_to_be_written_is_told(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 400; i++) {
		struct world *world = rig_world(i / 40, 2, NULL);
		struct world_peer *romeo = rig_bind(world, ROMEO "/orchard");
		struct world_peer *other = rig_bind(world, ROMEO "/garden");
		bool is_passed = false, is_told = false;
		const char *text;

		rig_account(world, JULIET);
		rig_send(romeo, "<enable xmlns='urn:xmpp:sm:3'/>");
		world_send(romeo, "<message type='chat' to='" JULIET
				  "' id='m1'><body>Hi</body></message>");
		world_step(world, i % 40);
		world_hold_store(world, true);
		world_run(world);
		world_cut(&romeo);
		world_run(world);
		rig_send(other, ASK);
		world_break_store(world, ERR_UNAVAILABLE);
		world_hold_store(world, false);
		world_step(world, 1);
		world_break_store(world, ERR_NONE);
		world_sleep(world, 20000);
		while ((text = world_next(other)) != NULL) {
			is_told |= strstr(text, "id='m1'") != NULL;
			is_passed |= strstr(text, "complete='true'") != NULL;
		}
		is_passed &= !is_told;
		rig_send(other, ASK);
		CHECK(!is_passed || !rig_finds(other, RESULT("m1")));
		world_free(&world);
	}
}

#define IDS 16

/* How many of the ids are alike in these digits. */
static unsigned
count_alike(char ids[IDS][ID_LEN + 1], unsigned from, unsigned len)
{
	unsigned alike = 0;

	for (unsigned i = 1; i < IDS; i++)
		alike += strncmp(ids[i] + from, ids[0] + from, len) == 0;
	return alike;
}

/* XEP-0359, section 6: neither when a message came nor what came before. */
static void
ids_say_nothing(void **state)
{
	struct world *world = rig_world(1, 2, NULL);
	struct world_peer *romeo = rig_login(world, ROMEO "/orchard");
	struct world_peer *juliet = rig_login(world, JULIET "/balcony");
	char ids[IDS][ID_LEN + 1];

	rig_skip(juliet);
	for (unsigned i = 0; i < IDS; i++) {
		rig_send(romeo, "<message type='chat' to='" JULIET
				"'><body>Hi</body></message>");
		take_id(juliet, ids[i]);
		CHECK_EQUAL(strspn(ids[i], "0123456789abcdef"), ID_LEN);
	}
	for (unsigned from = 0; from < ID_LEN; from += 4)
		CHECK(count_alike(ids, from, 4) == 0);
	world_free(&world);
}

/* The store stands still: its senders are not heard as fast as they talk. */
static void
who_outruns_the_store_is_slowed_down(void **state)
{
	struct world *world = rig_world(1, 2, "limits: {rate: 0}\n");
	struct world_peer *romeo = rig_login(world, ROMEO "/orchard");
	struct world_peer *juliet = rig_login(world, JULIET "/balcony");
	unsigned heard;

	world_hold_store(world, true);
	for (unsigned i = 0; i < 20000; i++) {
		world_send(romeo, "<message type='chat' to='" JULIET "'>"
				  "<body>x</body></message>");
		if (i % 100 == 0)
			world_run(world);
	}
	world_run(world);
	heard = rig_hears(juliet, "<message");
	CHECK(heard > 100 && heard < 10000);
	world_hold_store(world, false);
	world_sleep(world, 60000);
	heard += rig_hears(juliet, "<message");
	CHECK_EQUAL(heard, 20000);
	world_free(&world);
}

/* Who asks is told of what was said before, also when it is on its way yet. */
static void
the_last_row_is_told_when_it_is_there(void **state)
{
	struct world *world = rig_world(1, 2, NULL);
	struct world_peer *romeo = rig_login(world, ROMEO "/orchard");
	struct world_peer *juliet = rig_login(world, JULIET "/balcony");
	char last[80];
	const char *text;

	world_hold_store(world, true);
	waiting_say(romeo, "m1");
	waiting_say(romeo, "m2");
	rig_expect(juliet, "<message id='m1'/>");
	text = world_next(juliet);
	CHECK(text != NULL && strstr(text, "id='m2'") != NULL);
	snprintf(last, sizeof(last), "<end id='%.32s'",
	    strstr(strstr(text, "<stanza-id"), " id='") + 5);
	rig_send(juliet,
	    "<iq type='get' id='d'><metadata xmlns='urn:xmpp:mam:2'/></iq>");
	world_hold_store(world, false);
	world_run(world);
	text = world_next(juliet);
	CHECK(text != NULL && strstr(text, last) != NULL);
	world_free(&world);
}

/* What the store will never take is given up; the others are written. */
static void
a_row_that_is_refused_does_not_stop_the_others(void **state)
{
	struct world *world = rig_world(1, 2, NULL);
	struct world_peer *romeo = rig_login(world, ROMEO "/orchard");
	struct world_peer *juliet = rig_login(world, JULIET "/balcony");

	world_break_store(world, ERR_TOO_LARGE);
	waiting_say(romeo, "m1");
	world_run(world);
	world_break_store(world, ERR_NONE);
	waiting_say(romeo, "m2");
	rig_expect(juliet, "<message id='m1'/>");
	rig_expect(juliet, "<message id='m2'/>");
	rig_send(juliet, ASK);
	rig_expect(juliet, RESULT("m2"));
	rig_expect(juliet, FIN);
	world_free(&world);
}

/* Also when it waits among others, and nobody knows which of them it is. */
static void
a_row_that_is_refused_is_found_among_others(void **state)
{
	struct world *world = rig_world(1, 2, NULL);
	struct world_peer *romeo = rig_login(world, ROMEO "/orchard");
	struct world_peer *juliet = rig_login(world, JULIET "/balcony");

	world_hold_store(world, true);
	waiting_say(romeo, "m1");
	waiting_say(romeo, "m2");
	waiting_say(romeo, "m3");
	CHECK_EQUAL(rig_hears(juliet, "<message"), 3);
	world_break_store(world, ERR_TOO_LARGE);
	world_hold_store(world, false);
	world_sleep(world, 1500);
	world_break_store(world, ERR_NONE);
	rig_send(juliet, ASK);
	world_sleep(world, 5000);
	rig_expect(juliet, RESULT("m3"));
	rig_expect(juliet, FIN);
	world_free(&world);
}

/* Rows that wait to be written again do not outlive the account. */
static void
the_end_comes_while_rows_wait(void **state)
{
	struct world *world = rig_world(1, 2, NULL);
	struct world_peer *romeo = rig_login(world, ROMEO "/orchard");

	rig_login(world, JULIET "/balcony");
	world_break_store(world, ERR_UNAVAILABLE);
	waiting_say(romeo, "m1");
	world_free(&world);
}

static void
a_damaged_row_does_not_stop_the_others(void **state)
{
	struct world *world = rig_world(1, 2, NULL);
	struct world_peer *romeo = rig_login(world, ROMEO "/orchard");

	waiting_say(romeo, "m1");
	rig_append(world, ROMEO, &archive_kind, "junk");
	rig_send(romeo, ASK);
	rig_expect(romeo, RESULT("m1"));
	rig_expect(romeo, FIN);
	world_free(&world);
}

static void
rows_and_their_order_survive_a_crash(void **state)
{
	struct world *world = rig_world(1, 2, NULL);
	struct world_peer *romeo = rig_login(world, ROMEO "/orchard");

	waiting_say(romeo, "m1");
	world_kill(world);
	world_cut(&romeo);
	romeo = rig_login(world, ROMEO "/orchard");
	waiting_say(romeo, "m2");
	rig_send(romeo, ASK);
	rig_expect(romeo, RESULT("m1"));
	rig_expect(romeo, RESULT("m2"));
	rig_expect(romeo, FIN);
	world_free(&world);
}

static void
archives_can_be_switched_off(void **state)
{
	struct world *world = rig_world(1, 2, "modules: {archive: false}\n");
	struct world_peer *romeo = rig_login(world, ROMEO "/orchard");
	struct world_peer *juliet = rig_login(world, JULIET "/balcony");

	waiting_say(romeo, "m1");
	rig_expect(juliet,
	    "<message id='m1'><stanza-id "
	    "xmlns='urn:xmpp:sid:0'>{not}</stanza-id></message>");
	rig_send(juliet, ASK);
	rig_expect(juliet, RIG_ERROR("q", "cancel", "service-unavailable"));
	world_free(&world);
}

/* --- preferences --------------------------------------------------------- */

#define PREFS(other)                                           \
	"<iq type='set' id='p'><prefs xmlns='urn:xmpp:mam:2' " \
	"default='" other "'/></iq>"

static void
preferences_are_kept_or_refused(void **state)
{
	struct world *world = rig_world(1, 2, "archive.default: roster\n");
	struct world_peer *romeo = rig_login(world, ROMEO "/orchard");

	waiting_say(romeo, "no1");
	world_break_store(world, ERR_UNAVAILABLE);
	rig_send(romeo, PREFS("always"));
	rig_expect(romeo, RIG_ERROR("p", "wait", "resource-constraint"));
	world_break_store(world, ERR_NONE);
	waiting_say(romeo, "no2");
	rig_send(romeo, PREFS("always"));
	rig_expect(romeo, "<iq type='result' id='p'/>");
	world_kill(world);
	world_cut(&romeo);
	romeo = rig_login(world, ROMEO "/orchard");
	waiting_say(romeo, "m1");
	rig_send(romeo, ASK);
	rig_expect(romeo, RESULT("m1"));
	rig_expect(romeo, FIN);
	world_free(&world);
}

/* --- what is worth it ---------------------------------------------------- */

#define HINT(name)  "<" name " xmlns='urn:xmpp:hints'/>"
#define BODY        "<body>x</body>"
#define MARK(name)  "<" name " xmlns='urn:xmpp:chat-markers:0' id='x'/>"
#define STATE(name) "<" name " xmlns='http://jabber.org/protocol/chatstates'/>"

static const struct {
	const char *type, *content;
	bool is_kept;
} worths[] = {
    {"chat", BODY, true},
    {"normal", BODY, true},
    {"headline", BODY, false},
    {"groupchat", BODY, false},
    {"chat", "<body/>" STATE("active"), true},
    {"chat", STATE("active"), false},
    {"chat", "<subject>x</subject>", false},
    /* what only its reader can read */
    {"chat", "<encryption xmlns='urn:xmpp:eme:0' namespace='x'/>", true},
    {"chat", "<encrypted xmlns='urn:xmpp:omemo:2'/>", true},
    {"normal", "<encrypted xmlns='eu.siacs.conversations.axolotl'/>", true},
    {"chat", "<openpgp xmlns='urn:xmpp:openpgp:0'>x</openpgp>", true},
    {"chat", "<x xmlns='jabber:x:encrypted'>x</x>", true},
    {"chat", "<x xmlns='jabber:x:signed'>x</x>", false},
    /* what all devices want to know */
    {"chat", "<received xmlns='urn:xmpp:receipts' id='x'/>", true},
    {"normal", "<received xmlns='urn:xmpp:receipts' id='x'/>", true},
    {"chat", "<request xmlns='urn:xmpp:receipts'/>", false},
    {"chat", MARK("received"), true},
    {"chat", MARK("displayed"), true},
    {"chat", MARK("acknowledged"), true},
    {"chat", "<markable xmlns='urn:xmpp:chat-markers:0'/>", false},
    {"chat", "<reactions xmlns='urn:xmpp:reactions:0' id='x'/>", true},
    /* what its sender wants */
    {"chat", HINT("store"), true},
    {"chat", STATE("active") HINT("store"), true},
    {"chat", BODY HINT("no-copy"), true},
    {"chat", BODY HINT("no-store"), false},
    {"chat", BODY HINT("no-permanent-store"), false},
    {"chat", MARK("displayed") HINT("no-store"), false},
    {"headline", BODY HINT("store"), false},
};

/* By both, or by nobody. */
static void
what_is_worth_it_is_kept(void **state)
{
	struct world *world = rig_world(1, 2, NULL);
	struct world_peer *ends[] = {rig_bind(world, ROMEO "/orchard"),
	    rig_login(world, JULIET "/balcony")};
	char text[400];

	(void)state;
	for (size_t i = 0; i < COUNT_OF(worths); i++) {
		snprintf(text, sizeof(text),
		    "<message type='%s' to='" JULIET
		    "/balcony' id='w%zu'>%s</message>",
		    worths[i].type, i, worths[i].content);
		rig_send(ends[0], text);
	}
	for (size_t end = 0; end < COUNT_OF(ends); end++) {
		rig_skip(ends[end]);
		rig_send(ends[end], QUERY(SET("<max>100</max>")));
		for (size_t i = 0; i < COUNT_OF(worths); i++) {
			if (!worths[i].is_kept)
				continue;
			snprintf(text, sizeof(text), RESULT("w%zu"), i);
			rig_expect(ends[end], text);
		}
		rig_expect(ends[end], FIN);
	}
	world_free(&world);
}

/* --- how much is kept ---------------------------------------------------- */

static unsigned
count_results(struct world_peer *peer)
{
	rig_send(peer, QUERY(SET("<max>250</max>")));
	return rig_hears(peer, "<result");
}

static void
the_oldest_go_when_there_are_too_many(void **state)
{
	struct world *world =
	    rig_world(1, 2, "archive: {keep_messages: 20, keep_for: 0 s}\n");
	struct world_peer *romeo = rig_login(world, ROMEO "/orchard");
	char id[16], text[300];

	for (unsigned i = 0; i < 100; i++) {
		snprintf(id, sizeof(id), "m%u", i);
		waiting_say(romeo, id);
	}
	CHECK(count_results(romeo) <= 31);
	sweep_start(&world->server.shards[0]);
	world_sleep(world, 70 * 1000);
	rig_send(romeo, QUERY(SET("<max>250</max>")));
	for (unsigned i = 80; i < 100; i++) {
		snprintf(text, sizeof(text), RESULT("m%u"), i);
		rig_expect(romeo, text);
	}
	rig_expect(romeo, FIN);
	world_free(&world);
}

/* Also in archives of accounts that are not in memory. */
static void
the_oldest_go_when_their_time_has_come(void **state)
{
	struct world *world = rig_world(1, 2, "archive: {keep_for: 2 h}\n");
	struct world_peer *romeo = rig_login(world, ROMEO "/orchard");
	char id[16];

	sweep_start(&world->server.shards[0]);
	for (unsigned i = 0; i < 700; i++) {
		snprintf(id, sizeof(id), "m%u", i);
		waiting_say(romeo, id);
	}
	world_cut(&romeo);
	world_sleep(world, 20 * 60 * 60 * 1000);
	romeo = rig_bind(world, ROMEO "/orchard");
	waiting_say(romeo, "new");
	CHECK_EQUAL(count_results(romeo), 250);
	world_cut(&romeo);
	world_sleep(world, 5 * 60 * 60 * 1000);
	romeo = rig_bind(world, ROMEO "/orchard");
	CHECK_EQUAL(count_results(romeo), 0);
	waiting_say(romeo, "newer");
	CHECK_EQUAL(count_results(romeo), 1);
	world_free(&world);
}

/* A client that goes on where it was is told that this is not there, and no
 * other message gets its id. */
static void
what_went_is_not_found_any_more(void **state)
{
	struct world *world = rig_world(1, 2, "archive: {keep_for: 2 h}\n");
	struct world_peer *romeo = rig_bind(world, ROMEO "/orchard");
	struct world_peer *juliet = rig_login(world, JULIET "/balcony");
	char gone[ID_LEN + 1], there[ID_LEN + 1];

	(void)state;
	rig_skip(juliet);
	waiting_say(romeo, "m1");
	take_id(juliet, gone);
	sweep_start(&world->server.shards[0]);
	world_cut(&romeo);
	world_cut(&juliet);
	world_sleep(world, 26 * 60 * 60 * 1000);
	romeo = rig_bind(world, ROMEO "/orchard");
	juliet = rig_login(world, JULIET "/balcony");
	rig_skip(juliet);
	waiting_say(romeo, "m2");
	take_id(juliet, there);
	CHECK(strcmp(gone, there) != 0);
	ask_for(juliet, ASK_AFTER, gone);
	rig_expect(juliet, RIG_ERROR("q", "cancel", "item-not-found"));
	ask_for(juliet, ASK_IDS, gone);
	rig_expect(juliet, RIG_ERROR("q", "cancel", "item-not-found"));
	ask_for(juliet, ASK_IDS, there);
	rig_expect(juliet, RESULT("m2"));
	rig_expect(juliet, FIN);
	world_free(&world);
}

/* He keeps all, she the last few, as their hosts say. */
static void
each_host_keeps_as_much_as_it_says(void **state)
{
	static const char *const settings[] = {
	    "hosts: {montague.example: {}, capulet.example: "
	    "{archive: {keep_messages: 20}}}\nshards: 2\n",
	    "hosts: {montague.example: {}, capulet.example: "
	    "{archive: {keep_for: 2 h}}}\nshards: 2\n",
	    "archive: {keep_messages: 20}\nhosts: {montague.example: "
	    "{archive: {keep_messages: 0}}, capulet.example: {}}\nshards: 2\n"};
	static const unsigned hers[] = {20, 0, 20};

	(void)state;
	for (unsigned i = 0; i < COUNT_OF(settings); i++) {
		struct world *world = rig_world(i + 1, 2, NULL);
		struct world_peer *romeo, *juliet;
		char id[16];

		world_reload(world, settings[i]);
		romeo = rig_login(world, ROMEO "/orchard");
		for (unsigned j = 0; j < 50; j++) {
			snprintf(id, sizeof(id), "m%u", j);
			waiting_say(romeo, id);
		}
		sweep_start(&world->server.shards[0]);
		world_cut(&romeo);
		world_sleep(world, 25 * 60 * 60 * 1000);
		romeo = rig_bind(world, ROMEO "/orchard");
		juliet = rig_bind(world, JULIET "/balcony");
		CHECK_EQUAL(count_results(romeo), 50);
		CHECK_EQUAL(count_results(juliet), hers[i]);
		world_free(&world);
	}
}

static void
a_page_is_no_longer_than_the_queue(void **state)
{
	struct world *world = rig_world(1, 2, "sessions.queue: 20\n");
	struct world_peer *romeo = rig_bind(world, ROMEO "/orchard");
	char id[RIG_ID_LEN];

	(void)state;
	for (unsigned i = 0; i < 40; i++) {
		snprintf(id, sizeof(id), "m%u", i);
		waiting_say(romeo, id);
	}
	rig_enable(romeo, id);
	rig_send(romeo, ASK);
	CHECK_EQUAL(rig_hears(romeo, "<result"), 10);
	CHECK(!world_is_closed(romeo));
	world_free(&world);
}

#define BODY_LEN  8000
#define BACKWARDS SET("<before/>")

static const struct {
	const char *query;
	unsigned from; /* the first that comes */
} large_pages[] = {{QUERY(""), 0}, {QUERY(BACKWARDS), 8}};

/* Who does not read it at once would lose the connection over it. */
static void
a_page_is_no_longer_than_may_be_sent_at_once(void **state)
{
	static char text[BODY_LEN + 200];
	struct world *world =
	    rig_world(1, 2, "limits: {stanza: 10000 B, rate: 0 B}\n");
	struct world_peer *romeo = rig_bind(world, ROMEO "/orchard");

	(void)state;
	for (unsigned i = 0; i < 12; i++) {
		snprintf(text, sizeof(text),
		    "<message type='chat' to='" JULIET "' id='m%u'>"
		    "<body>%0*d</body></message>",
		    i, BODY_LEN, 0);
		rig_send(romeo, text);
	}
	for (size_t i = 0; i < COUNT_OF(large_pages); i++) {
		char first[20];

		rig_send(romeo, large_pages[i].query);
		snprintf(first, sizeof(first), "id='m%u'", large_pages[i].from);
		for (unsigned j = 0; j < 4; j++) {
			const char *came = world_next(romeo);

			CHECK(came != NULL && strstr(came, "<result") != NULL);
			if (j == 0)
				CHECK(strstr(came, first) != NULL);
		}
		rig_expect(romeo, FIN);
	}
	world_free(&world);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(queries_are_checked),
	    cmocka_unit_test(a_page_is_no_longer_than_the_queue),
	    cmocka_unit_test(a_page_is_no_longer_than_may_be_sent_at_once),
	    cmocka_unit_test(a_row_that_failed_is_written_again),
	    cmocka_unit_test(what_comes_after_a_row_that_failed_waits),
	    cmocka_unit_test(who_asks_while_nothing_is_written_is_answered),
	    cmocka_unit_test(what_is_yet_to_be_written_is_not_missing),
	    cmocka_unit_test(the_last_row_is_told_when_it_is_there),
	    cmocka_unit_test(what_is_left_to_be_written_is_told),
	    cmocka_unit_test(ids_say_nothing),
	    cmocka_unit_test(who_outruns_the_store_is_slowed_down),
	    cmocka_unit_test(a_row_that_is_refused_does_not_stop_the_others),
	    cmocka_unit_test(a_row_that_is_refused_is_found_among_others),
	    cmocka_unit_test(the_end_comes_while_rows_wait),
	    cmocka_unit_test(a_damaged_row_does_not_stop_the_others),
	    cmocka_unit_test(rows_and_their_order_survive_a_crash),
	    cmocka_unit_test(archives_can_be_switched_off),
	    cmocka_unit_test(preferences_are_kept_or_refused),
	    cmocka_unit_test(the_oldest_go_when_there_are_too_many),
	    cmocka_unit_test(the_oldest_go_when_their_time_has_come),
	    cmocka_unit_test(what_is_worth_it_is_kept),
	    cmocka_unit_test(what_went_is_not_found_any_more),
	    cmocka_unit_test(each_host_keeps_as_much_as_it_says),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

#include "modules/push.h"

#include "modules/push_rig.h"
#include "modules/waiting_rig.h"

/* --- registering -------------------------------------------------------- */

static const struct rig_talk talks[] = {
    {ENABLE(SERVICE, NODE, ""), DONE("e")},
    {ENABLE(SERVICE, NODE, OPTIONS("publish-options", "x")), DONE("e")},
    {SET("e", "<enable xmlns='urn:xmpp:push:0' jid='" SERVICE "'/>"),
	DONE("e")},
    {SET("e", "<enable xmlns='urn:xmpp:push:0' node='x'/>"),
	RIG_ERROR("e", "modify", "bad-request")},
    {ENABLE("@", "x", ""), RIG_ERROR("e", "modify", "jid-malformed")},
    {DISABLE("jid='" SERVICE "' node='other'"), DONE("d")},
    {DISABLE("jid='" SERVICE "'"), DONE("d")},
    {DISABLE("jid='" SERVICE "'"), DONE("d")},
    {DISABLE("node='x'"), RIG_ERROR("d", "modify", "bad-request")},
    {DISABLE("jid='@'"), RIG_ERROR("d", "modify", "jid-malformed")},
    /* Nobody else's. */
    {"<iq type='set' id='e' to='" ROMEO
     "'><enable xmlns='urn:xmpp:push:0' jid='" SERVICE "'/></iq>",
	"<iq type='error' id='e'/>"},
};

static void
registrations_are_taken_and_refused(void **state)
{
	struct stage stage = push_begin_with(NULL);

	rig_talks(stage.juliet, talks, COUNT_OF(talks));
	rig_send(stage.juliet,
	    "<iq type='get' id='i' to='" JULIET
	    "'><query xmlns='http://jabber.org/protocol/disco#info'/></iq>");
	rig_expect(stage.juliet,
	    "<iq type='result' id='i'>"
	    "<query xmlns='http://jabber.org/protocol/disco#info'>"
	    "<feature var='urn:xmpp:push:0'/></query></iq>");
	push_end(&stage);
}

static void
they_have_a_quota_and_a_size(void **state)
{
	struct stage stage = push_begin_with("push.registrations: 2\n");
	char text[6000], filling[5001];

	rig_send(stage.juliet, ENABLE(SERVICE, "1", ""));
	rig_expect(stage.juliet, DONE("e"));
	rig_send(stage.juliet, ENABLE(SERVICE, "2", ""));
	rig_expect(stage.juliet, DONE("e"));
	rig_send(stage.juliet, ENABLE(SERVICE, "3", ""));
	rig_expect(stage.juliet, RIG_ERROR("e", "wait", "resource-constraint"));
	/* One that is there already may change. */
	rig_send(stage.juliet, ENABLE(SERVICE, "2", ""));
	rig_expect(stage.juliet, DONE("e"));
	memset(filling, 'x', 5000);
	filling[5000] = '\0';
	snprintf(text, sizeof(text),
	    ENABLE(SERVICE, "2", OPTIONS("publish-options", "%s")), filling);
	rig_send(stage.juliet, text);
	rig_expect(stage.juliet, RIG_ERROR("e", "modify", "not-acceptable"));
	snprintf(text, sizeof(text), ENABLE(SERVICE, "%s", ""), filling);
	rig_send(stage.juliet, text);
	rig_expect(stage.juliet, RIG_ERROR("e", "modify", "not-acceptable"));
	push_end(&stage);
}

static void
a_broken_store_is_said(void **state)
{
	struct stage stage = push_begin_with(NULL);

	world_break_store(stage.world, ERR_UNAVAILABLE);
	rig_send(stage.juliet, ENABLE(SERVICE, NODE, ""));
	rig_expect(stage.juliet, RIG_ERROR("e", "wait", "resource-constraint"));
	world_break_store(stage.world, ERR_NONE);
	world_sleep(stage.world, 5 * SECONDS);
	world_cut(&stage.juliet);
	CHECK(!push_rings_once(&stage));
	push_end(&stage);
}

static void
a_damaged_row_is_left_out(void **state)
{
	struct stage stage = push_begin(NULL);
	struct arena *arena = arena_make(0);

	rig_put_key(stage.world, JULIET, &push_kind,
	    store_key2(arena, STR(SERVICE), STR("bad")), "junk");
	arena_free(&arena);
	world_cut(&stage.romeo);
	world_kill(stage.world);
	stage.romeo = rig_login(stage.world, ROMEO "/orchard");
	CHECK(push_rings_once(&stage));
	push_end(&stage);
}

/* --- what is said ------------------------------------------------------- */

static void
a_message_that_waits_rings(void **state)
{
	struct stage stage = push_begin(NULL);
	const char *text;

	push_say(&stage);
	text = push_next(&stage);
	CHECK(text != NULL);
	CHECK(strstr(text, "type='set'") != NULL);
	CHECK(strstr(text, "from='" HOST "'") != NULL);
	CHECK(strstr(text, "to='" SERVICE "'") != NULL);
	CHECK(strstr(text, "<publish node='" NODE "'><item><notification "
			   "xmlns='urn:xmpp:push:0'>") != NULL);
	CHECK(strstr(text, "urn:xmpp:push:summary") != NULL);
	CHECK(strstr(text, COUNTS("1")) != NULL);
	CHECK(strstr(text, NO_BODY) != NULL);
	/* What the administrator did not allow. */
	CHECK(strstr(text, "Wherefore") == NULL);
	CHECK(strstr(text, "montague") == NULL);
	CHECK(strstr(text, "juliet") == NULL);
	CHECK(strstr(text, "publish-options") == NULL);
	CHECK(strstr(text, "pending-subscription-count") == NULL);
	CHECK(push_next(&stage) == NULL);
	push_succeed(&stage);
	push_end(&stage);
}

static void
the_administrator_may_allow_more(void **state)
{
	struct stage stage = push_begin("push.show_sender: true\n"
					"push.show_body: true\n");
	char text[1500], long_text[1201];

	push_say(&stage);
	push_expect(&stage, FIELD("last-message-sender", ROMEO "/orchard"),
	    FIELD("last-message-body", "Wherefore?"));
	push_succeed(&stage);
	world_sleep(stage.world, 3 * SECONDS);
	/* What only its reader can read stays hidden. */
	push_write(&stage, "<body>I sent you something encrypted.</body>"
			   "<x xmlns='jabber:x:encrypted'>xyz</x>");
	push_expect(&stage, NO_BODY, COUNTS("2"));
	push_succeed(&stage);
	world_sleep(stage.world, 3 * SECONDS);
	/* A long one ends between two characters. */
	for (unsigned i = 0; i < 1200; i += 2)
		memcpy(long_text + i, "\xc3\xa9", 3);
	snprintf(text, sizeof(text),
	    "<message type='chat' to='" JULIET "'><body>x%s</body></message>",
	    long_text);
	rig_send(stage.romeo, text);
	push_expect(&stage, "\xc3\xa9</value>", COUNTS("3"));
	push_succeed(&stage);
	push_end(&stage);
}

static void
options_go_with_each_publish(void **state)
{
	struct stage stage = push_begin(NULL);

	stage.juliet = rig_bind(stage.world, BALCONY);
	rig_send(stage.juliet,
	    ENABLE(SERVICE, NODE, OPTIONS("publish-options", "old")));
	rig_send(stage.juliet,
	    ENABLE(SERVICE, NODE, OPTIONS("publish-options", "new")));
	rig_skip(stage.juliet);
	/* Another form is none of them. */
	rig_send(
	    stage.juliet, ENABLE(SERVICE, "2", OPTIONS("register", "other")));
	rig_skip(stage.juliet);
	world_cut(&stage.juliet);
	world_run(stage.world);
	world_cut(&stage.romeo);
	world_kill(stage.world);
	stage.romeo = rig_login(stage.world, ROMEO "/orchard");
	push_say(&stage);
	push_expect(&stage, "publish node='2'", "</publish></pubsub>");
	push_succeed(&stage);
	push_expect(&stage,
	    "</publish><publish-options><x xmlns='jabber:x:data'",
	    "<value>new</value>");
	push_succeed(&stage);
	CHECK(push_next(&stage) == NULL);
	push_end(&stage);
}

static void
a_subscription_request_rings(void **state)
{
	struct stage stage = push_begin(NULL);
	const char *text;

	rig_send(stage.romeo, "<presence type='subscribe' to='" JULIET "'/>");
	text = push_next(&stage);
	CHECK(text != NULL);
	CHECK(strstr(text, FIELD("pending-subscription-count", "1")) != NULL);
	CHECK(strstr(text, COUNTS("0")) != NULL);
	CHECK(strstr(text, "last-message-body") == NULL);
	push_succeed(&stage);
	/* The same once more is nothing new. */
	world_sleep(stage.world, 3 * SECONDS);
	rig_send(stage.romeo, "<presence type='subscribe' to='" JULIET "'/>");
	CHECK(push_next(&stage) == NULL);
	push_end(&stage);
}

/* --- when --------------------------------------------------------------- */

static const char *const quiet[] = {
    "<composing xmlns='http://jabber.org/protocol/chatstates'/>",
    "<displayed xmlns='urn:xmpp:chat-markers:0' id='x'/>",
    "<received xmlns='urn:xmpp:receipts' id='x'/>",
    "<body>x</body><no-store xmlns='urn:xmpp:hints'/>",
};

static void
what_would_not_ring_does_not(void **state)
{
	struct stage stage = push_begin(NULL);

	for (size_t i = 0; i < COUNT_OF(quiet); i++) {
		push_write(&stage, quiet[i]);
		CHECK(push_next(&stage) == NULL);
	}
	rig_send(stage.romeo, "<presence type='unsubscribe' to='" JULIET "'/>");
	CHECK(push_next(&stage) == NULL);
	push_end(&stage);
}

static void
a_blocked_sender_does_not_ring(void **state)
{
	struct stage stage = push_begin(NULL);

	stage.juliet = rig_bind(stage.world, BALCONY);
	rig_send(stage.juliet, SET("b", "<block xmlns='urn:xmpp:blocking'>"
					"<item jid='" ROMEO "'/></block>"));
	rig_skip(stage.juliet);
	world_cut(&stage.juliet);
	world_run(stage.world);
	CHECK(!push_rings_once(&stage));
	rig_send(stage.romeo, "<presence type='subscribe' to='" JULIET "'/>");
	CHECK(push_next(&stage) == NULL);
	push_end(&stage);
}

static void
who_is_there_needs_no_push(void **state)
{
	struct stage stage = push_begin(NULL);
	struct world_peer *garden;

	/* Another device takes it. */
	garden = rig_login(stage.world, JULIET "/garden");
	CHECK(!push_rings_once(&stage));
	waiting_prove(stage.world, garden);
	/* It takes none. */
	rig_send(garden, "<presence><priority>-1</priority></presence>");
	CHECK(push_rings_once(&stage));
	world_cut(&garden);
	/* There, but not for messages. */
	stage.juliet = rig_bind(stage.world, BALCONY);
	CHECK(push_rings_once(&stage));
	rig_send(stage.juliet, "<presence/>");
	CHECK(!push_rings_once(&stage));
	waiting_prove(stage.world, stage.juliet);
	world_cut(&stage.juliet);
	world_run(stage.world);
	CHECK(push_rings_once(&stage));
	push_end(&stage);
}

static void
the_count_begins_anew(void **state)
{
	struct stage stage = push_begin(NULL);

	push_say(&stage);
	push_expect(&stage, COUNTS("1"), "");
	push_succeed(&stage);
	world_cut(&stage.romeo);
	world_sleep(stage.world, SECONDS);
	world_kill(stage.world);
	stage.romeo = rig_login(stage.world, ROMEO "/orchard");
	push_say(&stage);
	push_expect(&stage, COUNTS("2"), "");
	push_succeed(&stage);
	stage.juliet = rig_login(stage.world, BALCONY);
	world_cut(&stage.juliet);
	world_sleep(stage.world, 5 * SECONDS);
	push_say(&stage);
	push_expect(&stage, COUNTS("1"), "");
	push_succeed(&stage);
	push_end(&stage);
}

static void
one_at_a_time_and_not_too_often(void **state)
{
	struct stage stage = push_begin("push.interval: 10 s\n");

	push_say(&stage);
	push_expect(&stage, COUNTS("1"), "");
	push_say(&stage);
	push_say(&stage);
	world_sleep(stage.world, 20 * SECONDS);
	/* The first has no answer yet. */
	CHECK(push_next(&stage) == NULL);
	push_succeed(&stage);
	push_expect(&stage, COUNTS("3"), "");
	push_succeed(&stage);
	push_say(&stage);
	push_say(&stage);
	CHECK(push_next(&stage) == NULL);
	world_sleep(stage.world, 11 * SECONDS);
	push_expect(&stage, COUNTS("5"), "");
	push_succeed(&stage);
	/* The device comes before its turn. */
	push_say(&stage);
	stage.juliet = rig_login(stage.world, BALCONY);
	world_sleep(stage.world, 11 * SECONDS);
	CHECK(push_next(&stage) == NULL);
	push_end(&stage);
}

/* --- what comes back ----------------------------------------------------- */

#define MANAGE  "<enable xmlns='urn:xmpp:sm:3' resume='true' max='60'/>"
#define CARBONS SET("c", "<enable xmlns='urn:xmpp:carbons:2'/>")
#define RINGS_ONCE(stage)                                 \
	do {                                              \
		world_sleep((stage)->world, 3 * SECONDS); \
		push_expect((stage), COUNTS("1"), "");    \
		push_succeed(stage);                      \
		world_sleep((stage)->world, 9 * SECONDS); \
		CHECK(push_next(stage) == NULL);          \
	} while (0)

/* Kept by an archive, or because its sender is told when it is. */
static const char *const keepers[] = {NULL, "modules: {archive: false}\n"};

/* Her device has no session; what another one was sent, and did not prove, is
 * for it when that one ends, and is told once. */
static void
what_a_lost_session_had_rings(void **state)
{
	for (unsigned i = 0; i < COUNT_OF(keepers); i++) {
		struct stage stage = push_begin(keepers[i]);
		struct world_peer *garden =
		    rig_login(stage.world, JULIET "/garden");

		rig_send(stage.romeo, MANAGE);
		push_say(&stage);
		CHECK(push_next(&stage) == NULL);
		world_cut(&garden);
		RINGS_ONCE(&stage);
		/* Who reads it, and is lost, too. */
		garden = rig_login(stage.world, JULIET "/garden");
		world_cut(&garden);
		world_sleep(stage.world, 9 * SECONDS);
		CHECK(push_next(&stage) == NULL);
		push_end(&stage);
	}
}

/* The row fails, or cannot be read, or the device comes, at any moment. */
static void
what_a_lost_session_had_rings_when_it_is_written(void **state)
{
	for (unsigned i = 0; i < 40; i++) {
		struct stage stage = push_begin(NULL);
		struct world_peer *garden =
		    rig_login(stage.world, JULIET "/garden");

		if (i % 2 == 0) {
			world_break_store(stage.world, ERR_UNAVAILABLE);
			push_say(&stage);
			world_cut(&garden);
		} else {
			push_say(&stage);
			world_cut(&garden);
			world_step(stage.world, i / 2);
			world_break_store(stage.world, ERR_UNAVAILABLE);
		}
		world_sleep(stage.world, 20 * SECONDS);
		world_break_store(stage.world, ERR_NONE);
		world_sleep(stage.world, 20 * SECONDS);
		RINGS_ONCE(&stage);
		push_end(&stage);
	}
}

/* Two are lost, one after the other; what the second had is older. */
static void
what_all_lost_sessions_had_rings(void **state)
{
	for (unsigned i = 0; i < 20; i++) {
		struct stage stage = push_begin(NULL);
		struct world_peer *garden =
		    rig_login(stage.world, JULIET "/garden");
		struct world_peer *chamber =
		    rig_login(stage.world, JULIET "/chamber");
		bool has_both = false;
		const char *text;

		rig_send(chamber, "<enable xmlns='urn:xmpp:sm:3'/>");
		rig_send(stage.romeo,
		    "<message type='chat' to='" JULIET "/chamber'>"
		    "<body>x</body></message>");
		rig_send(chamber, "<presence type='unavailable'/>");
		push_say(&stage);
		CHECK(push_next(&stage) == NULL);
		world_cut(&garden);
		world_step(stage.world, i);
		world_cut(&chamber);
		world_sleep(stage.world, 9 * SECONDS);
		while ((text = push_next(&stage)) != NULL) {
			has_both = strstr(text, COUNTS("2")) != NULL;
			push_succeed(&stage);
			world_sleep(stage.world, 9 * SECONDS);
		}
		CHECK(has_both);
		push_end(&stage);
	}
}

static void
what_another_device_has_does_not_ring(void **state)
{
	/* It is sent what comes back; it has its carbon, and is there for
	 * messages or not. */
	static const char *const there[] = {"<presence/>",
	    CARBONS "<presence/>", CARBONS,
	    CARBONS "<presence><priority>-1</priority></presence>"};

	for (unsigned i = 0; i < COUNT_OF(there); i++) {
		struct stage stage = push_begin_with(NULL);
		struct world_peer *garden;

		rig_send(stage.juliet, ENABLE(SERVICE, NODE, ""));
		rig_send(stage.juliet, there[i]);
		garden = rig_login(stage.world, JULIET "/garden");
		rig_skip(stage.juliet);
		rig_send(stage.romeo,
		    "<message type='chat' to='" JULIET "/garden' id='m1'>"
		    "<body>x</body></message>");
		CHECK(push_next(&stage) == NULL);
		world_cut(&garden);
		world_sleep(stage.world, 9 * SECONDS);
		CHECK(push_next(&stage) == NULL);
		CHECK_EQUAL(rig_hears(stage.juliet, "'m1'"), 1);
		waiting_prove(stage.world, stage.juliet);
		push_end(&stage);
	}
}

/* What waits behind what is read is new; who is not available any more is not
 * sent it. */
static void
what_is_turned_away_rings(void **state)
{
	struct stage stage = push_begin_with("sessions.queue: 50\n");
	struct world_peer *garden;

	waiting_say_many(stage.romeo, 0, 100);
	rig_send(stage.juliet, ENABLE(SERVICE, NODE, ""));
	garden = rig_bind(stage.world, JULIET "/garden");
	rig_send(garden, MANAGE "<presence/>");
	push_say(&stage);
	CHECK(push_next(&stage) == NULL);
	rig_send(garden, "<presence type='unavailable'/>");
	RINGS_ONCE(&stage);
	world_cut(&garden);
	push_end(&stage);
}

/* --- sessions that wait for their clients: XEP-0198 ---------------------- */

#define IN_HALL(text)                                                     \
	"<message xmlns='jabber:client' type='groupchat' from="           \
	"'hall@" SERVICE "/nurse' to='" BALCONY "'><body>" text "</body>" \
	"</message>"

/* The balcony's device waits. */
static struct stage
begin_waiting_with(const char *yaml, const char *xml)
{
	struct stage stage = push_begin_with(yaml);

	rig_send(stage.juliet, MANAGE "<presence/>"
				      "<presence to='hall@" SERVICE "/Jul'/>");
	rig_send(stage.juliet, ENABLE(SERVICE, "balcony", ""));
	rig_send(stage.juliet, xml);
	world_cut(&stage.juliet);
	world_run(stage.world);
	while (neighbour_next(stage.service) != NULL)
		continue;
	return stage;
}

static struct stage
begin_waiting(void)
{
	return begin_waiting_with(NULL, "");
}

static void
who_waits_is_pushed_to(void **state)
{
	struct stage stage = begin_waiting();

	push_say(&stage);
	push_expect(&stage, "node='balcony'", COUNTS("1"));
	push_succeed(&stage);
	world_sleep(stage.world, 3 * SECONDS);
	push_write(&stage,
	    "<composing xmlns='http://jabber.org/protocol/chatstates'/>");
	neighbour_send(stage.service, IN_HALL("Romeo?"));
	CHECK(push_next(&stage) == NULL);
	neighbour_send(stage.service, IN_HALL("Jul?"));
	push_expect(&stage, "node='balcony'", COUNTS("2"));
	push_succeed(&stage);
	world_sleep(stage.world, 3 * SECONDS);
	rig_send(stage.romeo, "<presence type='subscribe' to='" JULIET "'/>");
	push_expect(&stage, FIELD("pending-subscription-count", "1"), "");
	push_succeed(&stage);
	push_end(&stage);
}

static void
what_waited_in_vain_rings_once(void **state)
{
	(void)state;
	for (unsigned i = 0; i < COUNT_OF(keepers); i++) {
		struct stage stage = begin_waiting_with(keepers[i], "");

		rig_send(stage.romeo, MANAGE);
		push_say(&stage);
		CHECK(push_next(&stage) != NULL);
		push_succeed(&stage);
		/* The session ends, and the message is kept. */
		world_sleep(stage.world, 70 * SECONDS);
		CHECK_EQUAL(rig_account(stage.world, JULIET)->session_count, 0);
		CHECK(push_next(&stage) == NULL);
		push_say(&stage);
		push_expect(&stage, COUNTS("2"), "");
		push_succeed(&stage);
		push_end(&stage);
	}
}

static void
who_is_there_keeps_others_quiet(void **state)
{
	struct stage stage = push_begin_with(NULL);
	struct world_peer *garden;

	/* A device without a session, one that waits, one that is there. */
	rig_send(stage.juliet, ENABLE(SERVICE, "none", ""));
	world_cut(&stage.juliet);
	world_run(stage.world);
	stage.juliet = rig_bind(stage.world, JULIET "/chamber");
	rig_send(stage.juliet, MANAGE "<presence/>");
	rig_send(stage.juliet, ENABLE(SERVICE, "waits", ""));
	garden = rig_login(stage.world, JULIET "/garden");
	rig_send(garden, ENABLE(SERVICE, "there", ""));
	world_cut(&stage.juliet);
	world_run(stage.world);
	push_say(&stage);
	push_expect(&stage, "node='waits'", "");
	push_succeed(&stage);
	CHECK(push_next(&stage) == NULL);
	/* Now the one that waits is the only session. */
	world_cut(&garden);
	world_sleep(stage.world, 3 * SECONDS);
	rig_send(stage.romeo, "<message type='chat' to='" JULIET
			      "' id='m1'><body>x</body></message>");
	push_expect(&stage, "node='none'", COUNTS("1"));
	push_succeed(&stage);
	push_expect(&stage, "node='waits'", COUNTS("2"));
	push_succeed(&stage);
	push_expect(&stage, "node='there'", COUNTS("1"));
	push_succeed(&stage);
	CHECK(push_next(&stage) == NULL);
	push_end(&stage);
}

static void
two_that_wait_ring_once_for_the_rest(void **state)
{
	struct stage stage = push_begin(NULL);
	struct world_peer *peers[2];

	peers[0] = rig_bind(stage.world, JULIET "/garden");
	peers[1] = rig_bind(stage.world, JULIET "/chamber");
	for (unsigned i = 0; i < 2; i++) {
		rig_send(peers[i], MANAGE "<presence/>");
		world_cut(&peers[i]);
	}
	world_run(stage.world);
	rig_send(stage.romeo, "<message type='chat' to='" JULIET
			      "' id='m1'><body>x</body></message>");
	push_expect(&stage, "node='" NODE "'", COUNTS("1"));
	push_succeed(&stage);
	world_sleep(stage.world, 3 * SECONDS);
	CHECK(push_next(&stage) == NULL);
	push_end(&stage);
}

static void
what_was_not_acknowledged_rings(void **state)
{
	struct stage stage = push_begin_with(NULL);
	struct world_peer *garden;

	rig_send(stage.juliet, MANAGE "<presence/>");
	rig_send(stage.juliet, ENABLE(SERVICE, NODE, ""));
	garden = rig_login(stage.world, JULIET "/garden");
	/* For both; the client of the first is not there any more. */
	push_say(&stage);
	rig_send(stage.romeo,
	    "<message type='chat' to='" BALCONY "'><body>x</body></message>");
	CHECK(push_next(&stage) == NULL);
	world_cut(&stage.juliet);
	world_run(stage.world);
	push_expect(&stage, COUNTS("1"), "");
	push_succeed(&stage);
	world_sleep(stage.world, 3 * SECONDS);
	push_expect(&stage, COUNTS("2"), "");
	push_succeed(&stage);
	world_cut(&garden);
	push_end(&stage);
}

static void
a_carbon_rings(void **state)
{
	struct stage stage = begin_waiting_with(NULL, CARBONS);
	struct world_peer *garden = rig_login(stage.world, JULIET "/garden");

	rig_send(stage.romeo, "<message type='chat' to='" JULIET "/garden'>"
			      "<body>x</body></message>");
	push_expect(&stage, "node='balcony'", COUNTS("1"));
	push_succeed(&stage);
	world_sleep(stage.world, 3 * SECONDS);
	/* What she says there is no news. */
	rig_send(garden, "<message type='chat' to='" ROMEO "/orchard'>"
			 "<body>x</body></message>");
	CHECK(push_next(&stage) == NULL);
	world_cut(&garden);
	push_end(&stage);
}

static void
a_restart_rings_no_second_time(void **state)
{
	struct stage stage = begin_waiting();

	push_say(&stage);
	CHECK(push_next(&stage) != NULL);
	push_succeed(&stage);
	world_cut(&stage.romeo);
	world_restart(stage.world);
	world_run(stage.world);
	CHECK(push_next(&stage) == NULL);
	/* Nor when the session ends. */
	world_sleep(stage.world, 15 * MINUTES);
	CHECK(push_next(&stage) == NULL);
	push_end(&stage);
}

static void
what_a_restart_cut_off_rings(void **state)
{
	struct stage stage = push_begin_with(NULL);

	rig_send(stage.juliet, MANAGE "<presence/>");
	rig_send(stage.juliet, ENABLE(SERVICE, NODE, ""));
	push_say(&stage);
	CHECK(push_next(&stage) == NULL);
	world_cut(&stage.romeo);
	world_restart(stage.world);
	world_run(stage.world);
	push_expect(&stage, COUNTS("1"), "");
	push_succeed(&stage);
	push_end(&stage);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(registrations_are_taken_and_refused),
	    cmocka_unit_test(they_have_a_quota_and_a_size),
	    cmocka_unit_test(a_broken_store_is_said),
	    cmocka_unit_test(a_damaged_row_is_left_out),
	    cmocka_unit_test(a_message_that_waits_rings),
	    cmocka_unit_test(the_administrator_may_allow_more),
	    cmocka_unit_test(options_go_with_each_publish),
	    cmocka_unit_test(a_subscription_request_rings),
	    cmocka_unit_test(what_would_not_ring_does_not),
	    cmocka_unit_test(a_blocked_sender_does_not_ring),
	    cmocka_unit_test(who_is_there_needs_no_push),
	    cmocka_unit_test(the_count_begins_anew),
	    cmocka_unit_test(one_at_a_time_and_not_too_often),
	    cmocka_unit_test(what_a_lost_session_had_rings),
	    cmocka_unit_test(what_a_lost_session_had_rings_when_it_is_written),
	    cmocka_unit_test(what_all_lost_sessions_had_rings),
	    cmocka_unit_test(what_another_device_has_does_not_ring),
	    cmocka_unit_test(what_is_turned_away_rings),
	    cmocka_unit_test(who_waits_is_pushed_to),
	    cmocka_unit_test(what_waited_in_vain_rings_once),
	    cmocka_unit_test(who_is_there_keeps_others_quiet),
	    cmocka_unit_test(two_that_wait_ring_once_for_the_rest),
	    cmocka_unit_test(what_was_not_acknowledged_rings),
	    cmocka_unit_test(a_carbon_rings),
	    cmocka_unit_test(a_restart_rings_no_second_time),
	    cmocka_unit_test(what_a_restart_cut_off_rings),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

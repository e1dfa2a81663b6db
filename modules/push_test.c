#include "modules/push.h"

#include <stdio.h>

#include "modules/modules_rig.h"
#include "modules/push_private.h"
#include "server/session.h"
#include "server/world_neighbour.h"
#include "server/world_private.h"

#define SERVICE "push.example"
#define NODE    "yxs32uqsflafdk3iuqo"
#define HOST    "capulet.example"
#define BALCONY JULIET "/balcony"

#define SECONDS ((uint64_t)1000)
#define MINUTES (60 * SECONDS)
#define DAYS    (24 * 60 * MINUTES)

#define SET(id, content) "<iq type='set' id='" id "'>" content "</iq>"
#define DONE(id)         "<iq type='result' id='" id "'/>"
#define ENABLE(jid, node, content)                                           \
	SET("e", "<enable xmlns='urn:xmpp:push:0' jid='" jid "' node='" node \
		 "'>" content "</enable>")
#define DISABLE(attributes) \
	SET("d", "<disable xmlns='urn:xmpp:push:0' " attributes "/>")
#define OPTIONS(type, secret)                                               \
	"<x xmlns='jabber:x:data' type='submit'><field var='FORM_TYPE'>"    \
	"<value>http://jabber.org/protocol/pubsub#" type "</value></field>" \
	"<field var='secret'><value>" secret "</value></field></x>"
#define FIELD(var, value) "var='" var "'><value>" value "</value>"
#define COUNTS(number)    FIELD("message-count", number)
#define NO_BODY           FIELD("last-message-body", "New message!")

struct stage {
	struct world *world;
	struct neighbour *service;
	struct world_peer *juliet, *romeo;
	char id[64]; /* of the publish that came last */
};

static struct stage
begin_with(const char *yaml)
{
	struct stage stage = {.world = rig_world(3, 0, yaml)};

	stage.service = neighbour_new(stage.world, SERVICE);
	stage.romeo = rig_login(stage.world, ROMEO "/orchard");
	stage.juliet = rig_bind(stage.world, BALCONY);
	return stage;
}

/* One device, that is away. */
static struct stage
begin(const char *yaml)
{
	struct stage stage = begin_with(yaml);

	rig_send(stage.juliet, ENABLE(SERVICE, NODE, ""));
	rig_expect(stage.juliet, DONE("e"));
	world_cut(&stage.juliet);
	world_run(stage.world);
	return stage;
}

static void
end(struct stage *stage)
{
	world_sleep(stage->world, 2 * MINUTES);
	world_free(&stage->world);
}

static void
write_to_juliet(struct stage *stage, const char *content)
{
	char text[400];

	snprintf(text, sizeof(text),
	    "<message type='chat' to='" JULIET "'>"
	    "%s</message>",
	    content);
	rig_send(stage->romeo, text);
}

static void
say(struct stage *stage)
{
	write_to_juliet(stage, "<body>Wherefore?</body>");
}

/* The next publish, NULL when none came. */
static const char *
pushed(struct stage *stage)
{
	const char *text;
	struct str before, rest, id;

	do
		text = neighbour_next(stage->service);
	while (text != NULL && strstr(text, NS_PUSH) == NULL);
	if (text == NULL)
		return NULL;
	rest = str_of(text);
	while (str_cut(rest, '\'', &before, &rest))
		if (str_ends(before, STR(" id=")) &&
		    str_cut(rest, '\'', &id, &before))
			snprintf(
			    stage->id, sizeof(stage->id), "%.*s", STR_ARG(id));
	return text;
}

static void
expect_push(struct stage *stage, const char *part, const char *other)
{
	const char *text = pushed(stage);

	if (text == NULL || strstr(text, part) == NULL ||
	    strstr(text, other) == NULL)
		print_error("wanted %s and %s\ncame %s\n", part, other,
		    text == NULL ? "nothing" : text);
	CHECK(text != NULL && strstr(text, part) != NULL &&
	      strstr(text, other) != NULL);
}

static void
answer(struct stage *stage, const char *type, const char *content)
{
	char text[400];

	snprintf(text, sizeof(text),
	    "<iq xmlns='jabber:client' type='%s' id='%s' from='" SERVICE
	    "' to='" HOST "'>%s</iq>",
	    type, stage->id, content);
	neighbour_send(stage->service, text);
}

static void
succeed(struct stage *stage)
{
	answer(stage, "result", "");
}

static void
refuse(struct stage *stage, const char *type, const char *condition)
{
	char text[200];

	snprintf(text, sizeof(text),
	    "<error type='%s'><%s xmlns='" STANZAS "'/></error>", type,
	    condition);
	answer(stage, "error", text);
}

/* A message, and the notification it makes goes well. */
static bool
rings(struct stage *stage)
{
	bool has_rung;

	world_sleep(stage->world, 3 * SECONDS);
	say(stage);
	has_rung = pushed(stage) != NULL;
	if (has_rung)
		succeed(stage);
	CHECK(pushed(stage) == NULL);
	return has_rung;
}

static struct world_peer *
come_back(struct stage *stage)
{
	struct world_peer *juliet = rig_bind(stage->world, BALCONY);

	CHECK(juliet != NULL);
	return juliet;
}

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
	struct stage stage = begin_with(NULL);

	rig_talks(stage.juliet, talks, COUNT_OF(talks));
	rig_send(stage.juliet,
	    "<iq type='get' id='i' to='" JULIET
	    "'><query xmlns='http://jabber.org/protocol/disco#info'/></iq>");
	rig_expect(stage.juliet,
	    "<iq type='result' id='i'>"
	    "<query xmlns='http://jabber.org/protocol/disco#info'>"
	    "<feature var='urn:xmpp:push:0'/></query></iq>");
	end(&stage);
}

static void
they_have_a_quota_and_a_size(void **state)
{
	struct stage stage = begin_with("push.registrations: 2\n");
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
	end(&stage);
}

static void
a_broken_store_is_said(void **state)
{
	struct stage stage = begin_with(NULL);

	world_break_store(stage.world, ERR_UNAVAILABLE);
	rig_send(stage.juliet, ENABLE(SERVICE, NODE, ""));
	rig_expect(stage.juliet, RIG_ERROR("e", "wait", "resource-constraint"));
	world_break_store(stage.world, ERR_NONE);
	world_sleep(stage.world, 5 * SECONDS);
	world_cut(&stage.juliet);
	CHECK(!rings(&stage));
	end(&stage);
}

static void
a_damaged_row_is_left_out(void **state)
{
	struct stage stage = begin(NULL);
	struct arena *arena = arena_make(0);

	rig_put_key(stage.world, JULIET, &push_kind,
	    store_key2(arena, STR(SERVICE), STR("bad")), "junk");
	arena_free(&arena);
	world_cut(&stage.romeo);
	world_kill(stage.world);
	stage.romeo = rig_login(stage.world, ROMEO "/orchard");
	CHECK(rings(&stage));
	end(&stage);
}

/* --- what is said ------------------------------------------------------- */

static void
a_message_that_waits_rings(void **state)
{
	struct stage stage = begin(NULL);
	const char *text;

	say(&stage);
	text = pushed(&stage);
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
	CHECK(pushed(&stage) == NULL);
	succeed(&stage);
	end(&stage);
}

static void
the_administrator_may_allow_more(void **state)
{
	struct stage stage = begin("push.show_sender: true\n"
				   "push.show_body: true\n");
	char text[1500], long_text[1201];

	say(&stage);
	expect_push(&stage, FIELD("last-message-sender", ROMEO "/orchard"),
	    FIELD("last-message-body", "Wherefore?"));
	succeed(&stage);
	world_sleep(stage.world, 3 * SECONDS);
	/* What only its reader can read stays hidden. */
	write_to_juliet(&stage, "<body>I sent you something encrypted.</body>"
				"<x xmlns='jabber:x:encrypted'>xyz</x>");
	expect_push(&stage, NO_BODY, COUNTS("2"));
	succeed(&stage);
	world_sleep(stage.world, 3 * SECONDS);
	/* A long one ends between two characters. */
	for (unsigned i = 0; i < 1200; i += 2)
		memcpy(long_text + i, "\xc3\xa9", 3);
	snprintf(text, sizeof(text),
	    "<message type='chat' to='" JULIET "'><body>x%s</body></message>",
	    long_text);
	rig_send(stage.romeo, text);
	expect_push(&stage, "\xc3\xa9</value>", COUNTS("3"));
	succeed(&stage);
	end(&stage);
}

static void
options_go_with_each_publish(void **state)
{
	struct stage stage = begin(NULL);

	stage.juliet = come_back(&stage);
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
	say(&stage);
	expect_push(&stage, "publish node='2'", "</publish></pubsub>");
	succeed(&stage);
	expect_push(&stage,
	    "</publish><publish-options><x xmlns='jabber:x:data'",
	    "<value>new</value>");
	succeed(&stage);
	CHECK(pushed(&stage) == NULL);
	end(&stage);
}

static void
a_subscription_request_rings(void **state)
{
	struct stage stage = begin(NULL);
	const char *text;

	rig_send(stage.romeo, "<presence type='subscribe' to='" JULIET "'/>");
	text = pushed(&stage);
	CHECK(text != NULL);
	CHECK(strstr(text, FIELD("pending-subscription-count", "1")) != NULL);
	CHECK(strstr(text, COUNTS("0")) != NULL);
	CHECK(strstr(text, "last-message-body") == NULL);
	succeed(&stage);
	/* The same once more is nothing new. */
	world_sleep(stage.world, 3 * SECONDS);
	rig_send(stage.romeo, "<presence type='subscribe' to='" JULIET "'/>");
	CHECK(pushed(&stage) == NULL);
	end(&stage);
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
	struct stage stage = begin(NULL);

	for (size_t i = 0; i < COUNT_OF(quiet); i++) {
		write_to_juliet(&stage, quiet[i]);
		CHECK(pushed(&stage) == NULL);
	}
	rig_send(stage.romeo, "<presence type='unsubscribe' to='" JULIET "'/>");
	CHECK(pushed(&stage) == NULL);
	end(&stage);
}

static void
a_blocked_sender_does_not_ring(void **state)
{
	struct stage stage = begin(NULL);

	stage.juliet = come_back(&stage);
	rig_send(stage.juliet, SET("b", "<block xmlns='urn:xmpp:blocking'>"
					"<item jid='" ROMEO "'/></block>"));
	rig_skip(stage.juliet);
	world_cut(&stage.juliet);
	world_run(stage.world);
	CHECK(!rings(&stage));
	rig_send(stage.romeo, "<presence type='subscribe' to='" JULIET "'/>");
	CHECK(pushed(&stage) == NULL);
	end(&stage);
}

static void
who_is_there_needs_no_push(void **state)
{
	struct stage stage = begin(NULL);
	struct world_peer *garden;

	/* Another device takes it. */
	garden = rig_login(stage.world, JULIET "/garden");
	CHECK(!rings(&stage));
	/* It takes none. */
	rig_send(garden, "<presence><priority>-1</priority></presence>");
	CHECK(rings(&stage));
	world_cut(&garden);
	/* There, but not for messages. */
	stage.juliet = come_back(&stage);
	CHECK(rings(&stage));
	rig_send(stage.juliet, "<presence/>");
	CHECK(!rings(&stage));
	world_cut(&stage.juliet);
	world_run(stage.world);
	CHECK(rings(&stage));
	end(&stage);
}

static void
the_count_begins_anew(void **state)
{
	struct stage stage = begin(NULL);

	say(&stage);
	expect_push(&stage, COUNTS("1"), "");
	succeed(&stage);
	world_cut(&stage.romeo);
	world_sleep(stage.world, SECONDS);
	world_kill(stage.world);
	stage.romeo = rig_login(stage.world, ROMEO "/orchard");
	say(&stage);
	expect_push(&stage, COUNTS("2"), "");
	succeed(&stage);
	stage.juliet = rig_login(stage.world, BALCONY);
	world_cut(&stage.juliet);
	world_sleep(stage.world, 5 * SECONDS);
	say(&stage);
	expect_push(&stage, COUNTS("1"), "");
	succeed(&stage);
	end(&stage);
}

static void
one_at_a_time_and_not_too_often(void **state)
{
	struct stage stage = begin("push.interval: 10 s\n");

	say(&stage);
	expect_push(&stage, COUNTS("1"), "");
	say(&stage);
	say(&stage);
	world_sleep(stage.world, 20 * SECONDS);
	/* The first has no answer yet. */
	CHECK(pushed(&stage) == NULL);
	succeed(&stage);
	expect_push(&stage, COUNTS("3"), "");
	succeed(&stage);
	say(&stage);
	say(&stage);
	CHECK(pushed(&stage) == NULL);
	world_sleep(stage.world, 11 * SECONDS);
	expect_push(&stage, COUNTS("5"), "");
	succeed(&stage);
	/* The device comes before its turn. */
	say(&stage);
	stage.juliet = rig_login(stage.world, BALCONY);
	world_sleep(stage.world, 11 * SECONDS);
	CHECK(pushed(&stage) == NULL);
	end(&stage);
}

/* --- sessions that wait for their clients: XEP-0198 ---------------------- */

#define MANAGE "<enable xmlns='urn:xmpp:sm:3' resume='true' max='60'/>"
#define IN_HALL(text)                                                     \
	"<message xmlns='jabber:client' type='groupchat' from="           \
	"'hall@" SERVICE "/nurse' to='" BALCONY "'><body>" text "</body>" \
	"</message>"

/* The balcony's device waits. */
static struct stage
begin_waiting(void)
{
	struct stage stage = begin_with(NULL);

	rig_send(stage.juliet, MANAGE "<presence/>"
				      "<presence to='hall@" SERVICE "/Jul'/>");
	rig_send(stage.juliet, ENABLE(SERVICE, "balcony", ""));
	world_cut(&stage.juliet);
	world_run(stage.world);
	while (neighbour_next(stage.service) != NULL)
		continue;
	return stage;
}

static void
who_waits_is_pushed_to(void **state)
{
	struct stage stage = begin_waiting();

	say(&stage);
	expect_push(&stage, "node='balcony'", COUNTS("1"));
	succeed(&stage);
	world_sleep(stage.world, 3 * SECONDS);
	write_to_juliet(&stage,
	    "<composing xmlns='http://jabber.org/protocol/chatstates'/>");
	neighbour_send(stage.service, IN_HALL("Romeo?"));
	CHECK(pushed(&stage) == NULL);
	neighbour_send(stage.service, IN_HALL("Jul?"));
	expect_push(&stage, "node='balcony'", COUNTS("2"));
	succeed(&stage);
	world_sleep(stage.world, 3 * SECONDS);
	rig_send(stage.romeo, "<presence type='subscribe' to='" JULIET "'/>");
	expect_push(&stage, FIELD("pending-subscription-count", "1"), "");
	succeed(&stage);
	end(&stage);
}

static void
what_waited_in_vain_rings_once(void **state)
{
	struct stage stage = begin_waiting();

	say(&stage);
	CHECK(pushed(&stage) != NULL);
	succeed(&stage);
	/* The session ends, and the message is kept. */
	world_sleep(stage.world, 70 * SECONDS);
	CHECK(session_find(rig_account(stage.world, JULIET),
		  account_jid(rig_account(stage.world, JULIET))) == NULL);
	CHECK(pushed(&stage) == NULL);
	say(&stage);
	expect_push(&stage, COUNTS("2"), "");
	succeed(&stage);
	end(&stage);
}

static void
who_is_there_keeps_others_quiet(void **state)
{
	struct stage stage = begin_with(NULL);
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
	say(&stage);
	expect_push(&stage, "node='waits'", "");
	succeed(&stage);
	CHECK(pushed(&stage) == NULL);
	/* Now the one that waits is the only session. */
	world_cut(&garden);
	world_sleep(stage.world, 3 * SECONDS);
	rig_send(stage.romeo, "<message type='chat' to='" JULIET
			      "' id='m1'><body>x</body></message>");
	expect_push(&stage, "node='none'", COUNTS("1"));
	succeed(&stage);
	expect_push(&stage, "node='waits'", COUNTS("2"));
	succeed(&stage);
	expect_push(&stage, "node='there'", COUNTS("1"));
	succeed(&stage);
	CHECK(pushed(&stage) == NULL);
	end(&stage);
}

static void
two_that_wait_ring_once_for_the_rest(void **state)
{
	struct stage stage = begin(NULL);
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
	expect_push(&stage, "node='" NODE "'", COUNTS("1"));
	succeed(&stage);
	world_sleep(stage.world, 3 * SECONDS);
	CHECK(pushed(&stage) == NULL);
	end(&stage);
}

static void
what_was_not_acknowledged_rings(void **state)
{
	struct stage stage = begin_with(NULL);
	struct world_peer *garden;

	rig_send(stage.juliet, MANAGE "<presence/>");
	rig_send(stage.juliet, ENABLE(SERVICE, NODE, ""));
	garden = rig_login(stage.world, JULIET "/garden");
	/* For both; the client of the first is not there any more. */
	say(&stage);
	rig_send(stage.romeo,
	    "<message type='chat' to='" BALCONY "'><body>x</body></message>");
	CHECK(pushed(&stage) == NULL);
	world_cut(&stage.juliet);
	world_run(stage.world);
	expect_push(&stage, COUNTS("1"), "");
	succeed(&stage);
	world_sleep(stage.world, 3 * SECONDS);
	expect_push(&stage, COUNTS("2"), "");
	succeed(&stage);
	world_cut(&garden);
	end(&stage);
}

/* --- errors ------------------------------------------------------------- */

static const struct {
	const char *type, *condition;
	bool is_final;
} errors[] = {
    {"cancel", "item-not-found", true},
    {"cancel", "not-allowed", true},
    {"auth", "forbidden", true},
    {"auth", "not-authorized", true},
    {"cancel", "gone", true},
    {"cancel", "conflict", true},
    {"cancel", "feature-not-implemented", true},
    {"cancel", "service-unavailable", false},
    {"cancel", "remote-server-not-found", false},
    {"wait", "remote-server-timeout", false},
    {"wait", "resource-constraint", false},
    {"cancel", "internal-server-error", false},
    {"wait", "policy-violation", false},
};

static void
errors_that_stay_disable_it(void **state)
{
	for (size_t i = 0; i < COUNT_OF(errors); i++) {
		struct stage stage = begin(NULL);

		say(&stage);
		CHECK(pushed(&stage) != NULL);
		refuse(&stage, errors[i].type, errors[i].condition);
		world_sleep(stage.world, 6 * SECONDS);
		/* What may pass is tried again. */
		CHECK_EQUAL(pushed(&stage) == NULL, errors[i].is_final);
		if (!errors[i].is_final)
			succeed(&stage);
		CHECK_EQUAL(rings(&stage), !errors[i].is_final);
		world_cut(&stage.romeo);
		world_kill(stage.world);
		stage.romeo = rig_login(stage.world, ROMEO "/orchard");
		CHECK_EQUAL(rings(&stage), !errors[i].is_final);
		end(&stage);
	}
}

static void
the_same_service_is_disabled_per_device(void **state)
{
	struct stage stage = begin_with(NULL);

	rig_send(stage.juliet, ENABLE(SERVICE, "1", ""));
	rig_send(stage.juliet, ENABLE(SERVICE, "2", ""));
	rig_skip(stage.juliet);
	world_cut(&stage.juliet);
	world_run(stage.world);
	say(&stage);
	expect_push(&stage, "node='1'", "");
	refuse(&stage, "cancel", "item-not-found");
	expect_push(&stage, "node='2'", "");
	succeed(&stage);
	world_sleep(stage.world, 3 * SECONDS);
	say(&stage);
	expect_push(&stage, "node='2'", "");
	succeed(&stage);
	CHECK(pushed(&stage) == NULL);
	end(&stage);
}

static void
without_an_answer_it_is_tried_again(void **state)
{
	struct stage stage = begin(NULL);

	stage.service->is_deaf = true;
	say(&stage);
	CHECK(pushed(&stage) == NULL);
	stage.service->is_deaf = false;
	world_sleep(stage.world, 2 * MINUTES);
	CHECK(pushed(&stage) != NULL);
	succeed(&stage);
	CHECK(rings(&stage));
	end(&stage);
}

static void
one_that_fails_for_long_is_forgotten(void **state)
{
	struct stage stage =
	    begin("push.give_up: 3 d\nlimits.idle_ping: 0 s\n");

	for (unsigned day = 0; day < 5; day++) {
		say(&stage);
		CHECK_EQUAL(pushed(&stage) != NULL, day < 4);
		for (unsigned i = 0; i < 3 && day < 4; i++) {
			refuse(&stage, "wait", "resource-constraint");
			world_sleep(stage.world, 30 * SECONDS);
			CHECK_EQUAL(pushed(&stage) != NULL, i < 2 && day < 3);
		}
		world_sleep(stage.world, DAYS);
	}
	end(&stage);
}

static void
a_success_ends_the_failing(void **state)
{
	struct stage stage = begin("push.give_up: 1 min\n");

	for (unsigned i = 0; i < 4; i++) {
		say(&stage);
		CHECK(pushed(&stage) != NULL);
		refuse(&stage, "wait", "resource-constraint");
		world_sleep(stage.world, 6 * SECONDS);
		CHECK(pushed(&stage) != NULL);
		succeed(&stage);
		world_sleep(stage.world, 2 * MINUTES);
	}
	end(&stage);
}

/* --- the end of a registration ------------------------------------------ */

#define AFFILIATION(from, node, jid, value)                               \
	"<message xmlns='jabber:client' from='" from "' to='" JULIET      \
	"'><pubsub xmlns='http://jabber.org/protocol/pubsub' node='" node \
	"'><affiliation jid='" jid "' affiliation='" value                \
	"'/></pubsub></message>"

static const struct {
	const char *text;
	bool is_end;
} notices[] = {
    {AFFILIATION(SERVICE, NODE, JULIET, "none"), true},
    {AFFILIATION(SERVICE, NODE, JULIET, "outcast"), true},
    {AFFILIATION(SERVICE, NODE, JULIET, "publish-only"), false},
    {AFFILIATION(SERVICE, NODE, ROMEO, "none"), false},
    {AFFILIATION(SERVICE, "other", JULIET, "none"), false},
    {AFFILIATION("x." SERVICE, NODE, JULIET, "none"), false},
};

static void
the_service_may_end_it(void **state)
{
	for (size_t i = 0; i < COUNT_OF(notices); i++) {
		struct stage stage = begin(NULL);

		neighbour_send(stage.service, notices[i].text);
		CHECK_EQUAL(rings(&stage), !notices[i].is_end);
		/* The client hears of it, too. */
		stage.juliet = rig_login(stage.world, BALCONY);
		end(&stage);
	}
}

static void
what_is_disabled_does_not_ring(void **state)
{
	struct stage stage = begin_with(NULL);

	rig_send(stage.juliet, ENABLE(SERVICE, "1", ""));
	rig_send(stage.juliet, ENABLE(SERVICE, "2", ""));
	rig_send(stage.juliet, ENABLE(SERVICE, "3", ""));
	rig_send(stage.juliet, ENABLE("x." SERVICE, "3", ""));
	rig_send(stage.juliet, DISABLE("jid='" SERVICE "' node='2'"));
	rig_skip(stage.juliet);
	say(&stage);
	expect_push(&stage, "node='1'", "");
	succeed(&stage);
	expect_push(&stage, "node='3'", "");
	/* Its answer finds nobody. */
	rig_send(stage.juliet, DISABLE("jid='" SERVICE "'"));
	succeed(&stage);
	world_sleep(stage.world, MINUTES);
	say(&stage);
	CHECK(pushed(&stage) == NULL);
	end(&stage);
}

static void
it_goes_with_the_account(void **state)
{
	struct stage stage = begin("registration.open: true\n"
				   "push.interval: 10 s\n");

	stage.juliet = come_back(&stage);
	say(&stage);
	CHECK(pushed(&stage) != NULL);
	rig_send(stage.juliet,
	    SET("r", "<query xmlns='jabber:iq:register'><remove/></query>"));
	succeed(&stage);
	world_sleep(stage.world, MINUTES);
	world_add_account(stage.world, JULIET, NULL);
	CHECK(!rings(&stage));
	end(&stage);
}

static void
a_reload_keeps_what_goes_on(void **state)
{
	struct stage stage = begin("push.interval: 10 s\n");

	say(&stage);
	CHECK(pushed(&stage) != NULL);
	say(&stage);
	world_reload(stage.world, "hosts:\n  montague.example: {}\n"
				  "  capulet.example: {modules: {vcard: off}}\n"
				  "push.interval: 10 s\n");
	world_sleep(stage.world, 15 * SECONDS);
	CHECK(pushed(&stage) == NULL);
	succeed(&stage);
	expect_push(&stage, COUNTS("2"), "");
	succeed(&stage);
	end(&stage);
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
	    cmocka_unit_test(who_waits_is_pushed_to),
	    cmocka_unit_test(what_waited_in_vain_rings_once),
	    cmocka_unit_test(who_is_there_keeps_others_quiet),
	    cmocka_unit_test(two_that_wait_ring_once_for_the_rest),
	    cmocka_unit_test(what_was_not_acknowledged_rings),
	    cmocka_unit_test(errors_that_stay_disable_it),
	    cmocka_unit_test(the_same_service_is_disabled_per_device),
	    cmocka_unit_test(without_an_answer_it_is_tried_again),
	    cmocka_unit_test(one_that_fails_for_long_is_forgotten),
	    cmocka_unit_test(a_success_ends_the_failing),
	    cmocka_unit_test(the_service_may_end_it),
	    cmocka_unit_test(what_is_disabled_does_not_ring),
	    cmocka_unit_test(it_goes_with_the_account),
	    cmocka_unit_test(a_reload_keeps_what_goes_on),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

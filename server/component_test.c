/* Components, played over their wire (XEP-0114). */
#include "server/component.h"

#include <stdio.h>
#include <string.h>

#include "base/check.h"
#include "base/log.h"
#include "server/world_component.h"
#include "server/world_neighbour.h"
#include "server/world_private.h"

/* Without modules: stanzas go straight between sessions and streams. */
const struct module *const modules_builtin[] = {NULL};

#define ROMEO  "romeo@montague.example"
#define ECHO   "echo.montague.example"
#define PLAYS  "plays.example"
#define VERONA "verona.example"
#define SETTINGS                                                     \
	"limits.idle_ping: 0 s\n"                                    \
	"domains:\n"                                                 \
	"  " ECHO ": {component: {secret: one, subdomains: true}}\n" \
	"  " PLAYS ": {component: {secret: two}}\n"
#define HOSTS                                                  \
	"hosts: {montague.example: {}, capulet.example: {}}\n" \
	"shards: 2\n"
#define BODY        "<body>x</body></message>"
#define TO_ECHO(id) "<message type='chat' id='" id "' to='bot@" ECHO "'>" BODY
#define TO_ROMEO(id, from) \
	"<message id='" id "' from='" from "' to='" ROMEO "/orchard'>" BODY

#define SECONDS ((uint64_t)1000)
#define MINUTES (60 * SECONDS)

struct stage {
	struct world *world;
	struct neighbour *verona;
	struct world_peer *romeo;
};

static struct stage
begin_with(uint64_t seed, const char *yaml)
{
	struct stage stage = {.world = world_new(&(struct world_options){
				  .seed = seed, .yaml = yaml})};

	world_add_account(stage.world, ROMEO, NULL);
	stage.verona = neighbour_new(stage.world, VERONA);
	stage.romeo = world_connect(stage.world, ROMEO "/orchard");
	return stage;
}

static struct stage
begin(uint64_t seed)
{
	return begin_with(seed, SETTINGS);
}

static void
say(struct world_peer *peer, const char *text)
{
	world_send(peer, text);
	world_run(peer->world);
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

/* The next thing that is no ping of the server. */
static bool
is_next(struct world_peer *peer, const char *part)
{
	const char *text;

	world_run(peer->world);
	while ((text = world_next(peer)) != NULL)
		if (strstr(text, "urn:xmpp:ping") == NULL)
			return strstr(text, part) != NULL;
	return false;
}

static struct world_peer *
join_echo(const struct stage *stage)
{
	return world_component_join(stage->world, ECHO, "one");
}

/* Answers the last ping that is there so; whether there was one. */
static bool
pong_as(struct world_peer *peer, const char *type)
{
	const char *text, *id;
	char answer[256], found[64] = "";

	world_run(peer->world);
	while ((text = world_next(peer)) != NULL) {
		id = strstr(text, "jackdaw-ack-");
		if (id != NULL)
			snprintf(found, sizeof(found), "%.*s",
			    (int)strcspn(id, "'\""), id);
	}
	if (found[0] == '\0')
		return false;
	snprintf(answer, sizeof(answer),
	    "<iq type='%s' id='%s' from='" ECHO "' to='montague.example'>"
	    "<x xmlns='urn:x'/></iq>",
	    type, found);
	say(peer, answer);
	return true;
}

static bool
pong(struct world_peer *peer)
{
	return pong_as(peer, "result");
}

static void
a_component_speaks_and_is_spoken_to(void **state)
{
	for (uint64_t seed = 1; seed <= 20; seed++) {
		struct stage stage = begin(seed);
		struct world_peer *echo = join_echo(&stage);

		say(stage.romeo, TO_ECHO("m1"));
		say(stage.romeo, TO_ECHO("m2"));
		CHECK(is_next(echo, "id='m1'"));
		CHECK(is_next(echo, "id='m2'"));
		say(echo, TO_ROMEO("e1", "bot@" ECHO "/x"));
		CHECK(is_next(stage.romeo, "id='e1'"));
		say(echo, TO_ROMEO("e2", "bot@deep." ECHO));
		CHECK(is_next(stage.romeo, "id='e2'"));
		say(stage.romeo,
		    "<message id='m3' to='bot@deep." ECHO "'>" BODY);
		CHECK(is_next(echo, "id='m3'"));
		world_free(&stage.world);
	}
}

static void
components_speak_with_each_other_and_servers(void **state)
{
	for (uint64_t seed = 1; seed <= 20; seed++) {
		struct stage stage = begin(seed);
		struct world_peer *echo = join_echo(&stage);
		struct world_peer *plays =
		    world_component_join(stage.world, PLAYS, "two");

		say(echo,
		    "<message id='p1' from='" ECHO "' to='" PLAYS "'>" BODY);
		CHECK(is_next(plays, "id='p1'"));
		say(echo, "<message id='v1' from='bot@" ECHO
			  "' to='escalus@" VERONA "'>" BODY);
		CHECK(strstr(neighbour_next(stage.verona), "id='v1'") != NULL);
		neighbour_send(stage.verona,
		    "<message xmlns='jabber:client' id='v2' "
		    "from='escalus@" VERONA "' to='bot@" ECHO "'>" BODY);
		CHECK(is_next(echo, "id='v2'"));
		world_free(&stage.world);
	}
}

/* How the last stream ended, as the log has it. */
static char end[300];

static void
note_end(enum log_level level, const char *line)
{
	(void)level;
	if (strstr(line, ": closed") != NULL)
		snprintf(end, sizeof(end), "%s", line);
}

static void
note_ends(bool is_on)
{
	end[0] = '\0';
	log_capture(is_on ? note_end : NULL);
	log_set_level(is_on ? LOG_INFO : LOG_ERROR);
}

static void
who_does_not_know_the_secret_is_nobody(void **state)
{
	static const struct {
		const char *domain, *secret, *said, *err;
	} cases[] = {
	    {ECHO, "two", NULL, "not-authorized"},
	    {ECHO, "", NULL, "not-authorized"},
	    {ECHO, NULL, TO_ROMEO("f", ECHO), "not-authorized"},
	    {"montague.example", NULL, NULL, "host-unknown"},
	    {"deep." ECHO, NULL, NULL, "host-unknown"},
	    {"elsewhere.example", NULL, NULL, "host-unknown"},
	    {ECHO, "one", TO_ROMEO("f", PLAYS), "invalid-from"},
	    {ECHO, "one", TO_ROMEO("f", ROMEO), "invalid-from"},
	    {ECHO, "one", "<message id='f' to='" ROMEO "'>" BODY,
		"improper-addressing"},
	    {ECHO, "one", "<message id='f' from='" ECHO "'>" BODY,
		"improper-addressing"},
	    {PLAYS, "two", TO_ROMEO("f", "bot@deep." PLAYS), "invalid-from"},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct stage stage = begin(i + 1);
		struct world_peer *peer;
		struct str id;

		note_ends(true);
		peer = world_component_arrive(stage.world);
		id = world_component_open(peer, cases[i].domain);
		if (cases[i].secret != NULL)
			world_component_shake(peer, id, cases[i].secret);
		if (cases[i].said != NULL)
			say(peer, cases[i].said);
		CHECK(comes(peer, cases[i].err));
		CHECK(world_is_closed(peer));
		if (strstr(end, cases[i].domain) == NULL ||
		    strstr(end, cases[i].err) == NULL)
			fail_msg("%zu: %s", i, end);
		note_ends(false);
		CHECK(world_next(stage.romeo) == NULL);
		world_free(&stage.world);
	}
}

/* A wrong address costs the stanza, not the stream. */
static void
a_wrong_address_is_answered(void **state)
{
	struct stage stage = begin(1);
	struct world_peer *echo = join_echo(&stage);

	say(echo, "<message id='w1' from='bot@" ECHO "' to='@wrong'>" BODY);
	CHECK(comes(echo, "jid-malformed"));
	say(echo,
	    "<message id='w2' type='error' from='" ECHO "' to='@wrong'>" BODY);
	CHECK(world_next(echo) == NULL);
	CHECK(!world_is_closed(echo));
	say(echo, TO_ROMEO("w3", ECHO));
	CHECK(is_next(stage.romeo, "id='w3'"));
	say(echo, "<message id='w4' from='" ROMEO "' to='@wrong'>" BODY);
	CHECK(comes(echo, "invalid-from"));
	CHECK(world_is_closed(echo));
	world_free(&stage.world);
}

/* Messages wait, and come in order; other stanzas are answered. */
static void
what_waits_for_a_component_comes_in_order(void **state)
{
	for (uint64_t seed = 1; seed <= 20; seed++) {
		struct stage stage = begin(seed);
		struct world_peer *echo;

		say(stage.romeo, TO_ECHO("m1"));
		say(stage.romeo, "<iq type='get' id='i1' to='" ECHO
				 "'><x xmlns='urn:x'/></iq>");
		CHECK(comes(stage.romeo, "the component is not connected"));
		say(stage.romeo, TO_ECHO("m2"));
		world_sleep(stage.world, 5 * MINUTES);
		echo = join_echo(&stage);
		CHECK(is_next(echo, "id='m1'"));
		CHECK(is_next(echo, "id='m2'"));
		world_free(&stage.world);
	}
}

/* XEP-0203; from, if it is there, is an address. */
static void
what_waited_long_says_so(void **state)
{
	struct stage stage = begin(1);
	struct world_peer *echo;
	const char *text;

	say(stage.romeo, TO_ECHO("m1"));
	world_sleep(stage.world, 20 * SECONDS);
	echo = join_echo(&stage);
	world_run(stage.world);
	text = world_next(echo);
	CHECK(strstr(text, "<delay xmlns='urn:xmpp:delay' stamp='") != NULL);
	CHECK(strstr(text, "from=''") == NULL);
	world_free(&stage.world);
}

static void
nobody_waits_for_ever(void **state)
{
	struct stage stage = begin(1);

	say(stage.romeo, TO_ECHO("m1"));
	world_sleep(stage.world, 14 * MINUTES);
	CHECK(world_next(stage.romeo) == NULL);
	world_sleep(stage.world, 2 * MINUTES);
	CHECK(comes(stage.romeo, "remote-server-timeout"));
	CHECK(!world_is_closed(stage.romeo));
	world_free(&stage.world);
}

/* What was answered for, be it by a refusal, is done with; the rest goes again,
 * also after a kill. */
static void
what_was_not_handled_goes_again(void **state)
{
	for (uint64_t seed = 1; seed <= 20; seed++) {
		struct stage stage = begin(seed);
		struct world_peer *echo = join_echo(&stage);

		say(stage.romeo, TO_ECHO("m1"));
		CHECK(pong_as(echo, seed % 2 == 0 ? "result" : "error"));
		say(stage.romeo, TO_ECHO("m2"));
		say(stage.romeo, TO_ECHO("m3"));
		CHECK(comes(echo, "id='m3'"));
		world_cut(&echo);
		world_run(stage.world);
		echo = join_echo(&stage);
		CHECK(is_next(echo, "id='m2'"));
		CHECK(is_next(echo, "id='m3'"));
		world_sleep(stage.world, 1 * SECONDS);
		world_kill(stage.world);
		echo = join_echo(&stage);
		CHECK(is_next(echo, "id='m2'"));
		CHECK(is_next(echo, "id='m3'"));
		world_free(&stage.world);
	}
}

/* Who asks chooses the id of the answer: it may be that of a ping. */
static void
an_answer_to_others_acknowledges_nothing(void **state)
{
	static const char *const others[] = {VERONA, PLAYS};

	for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
		struct stage stage = begin(i + 1);
		struct world_peer *echo = join_echo(&stage);
		char answer[200];

		say(stage.romeo, TO_ECHO("m1"));
		CHECK(comes(echo, "id='jackdaw-ack-1'"));
		snprintf(answer, sizeof(answer),
		    "<iq type='result' id='jackdaw-ack-1' from='" ECHO
		    "' to='%s'/>",
		    others[i]);
		say(echo, answer);
		CHECK(i > 0 || strstr(neighbour_next(stage.verona),
				   "id='jackdaw-ack-1'") != NULL);
		world_cut(&echo);
		world_run(stage.world);
		echo = join_echo(&stage);
		CHECK(is_next(echo, "id='m1'"));
		world_free(&stage.world);
	}
}

/* Who never answers holds no more than any other server; all of it comes when
 * it connects anew, and nothing is lost in between. */
static void
a_component_that_never_answers_fills_its_queue_only(void **state)
{
	struct stage stage = begin_with(1, SETTINGS "s2s.queue: 10\n");
	struct world_peer *echo = join_echo(&stage);

	for (unsigned i = 0; i < 10; i++)
		say(stage.romeo, TO_ECHO("m"));
	CHECK(world_next(stage.romeo) == NULL);
	say(stage.romeo, TO_ECHO("more"));
	CHECK(comes(stage.romeo, "<resource-constraint"));
	say(stage.romeo,
	    "<iq type='get' id='i1' to='" ECHO "'><x xmlns='urn:x'/></iq>");
	CHECK(comes(stage.romeo, "<resource-constraint"));
	world_cut(&echo);
	echo = join_echo(&stage);
	for (unsigned i = 0; i < 10; i++)
		CHECK(is_next(echo, "id='m'"));
	say(echo, TO_ROMEO("e1", ECHO));
	CHECK(is_next(stage.romeo, "id='e1'"));
	CHECK(world_next(stage.romeo) == NULL);
	world_free(&stage.world);
}

static void
who_is_not_proved_in_time_is_named(void **state)
{
	struct stage stage = begin(1);
	struct world_peer *peer = world_component_arrive(stage.world);

	(void)state;
	(void)world_component_open(peer, ECHO);
	note_ends(true);
	world_sleep(stage.world, 5 * MINUTES);
	CHECK(strstr(end, "component ") == end &&
	      strstr(end, " as " ECHO ": closed with connection-timeout: not "
			  "authenticated in time") != NULL);
	note_ends(false);
	world_free(&stage.world);
}

static void
a_second_connection_ends_while_the_first_lives(void **state)
{
	for (uint64_t seed = 1; seed <= 20; seed++) {
		struct stage stage = begin(seed);
		struct world_peer *first = join_echo(&stage);
		struct world_peer *second = world_component_arrive(stage.world);

		world_component_shake(
		    second, world_component_open(second, ECHO), "one");
		CHECK(world_next(second) == NULL);
		note_ends(true);
		CHECK(pong(first));
		CHECK(comes(second, "conflict"));
		CHECK(strstr(end, ECHO ": closed with conflict") != NULL);
		note_ends(false);
		world_sleep(stage.world, 1 * MINUTES);
		say(stage.romeo, TO_ECHO("m1"));
		CHECK(is_next(first, "id='m1'"));
		world_free(&stage.world);
	}
}

static void
a_second_connection_takes_over_from_a_dead_one(void **state)
{
	for (uint64_t seed = 1; seed <= 20; seed++) {
		struct stage stage = begin(seed);
		struct world_peer *first = join_echo(&stage);
		struct world_peer *second = world_component_arrive(stage.world);

		say(stage.romeo, TO_ECHO("m1"));
		world_component_shake(
		    second, world_component_open(second, ECHO), "one");
		world_sleep(stage.world, 11 * SECONDS);
		CHECK(comes(first, "connection-timeout"));
		CHECK(comes(second, "<handshake"));
		CHECK(is_next(second, "id='m1'"));
		world_free(&stage.world);
	}
}

static void
a_component_that_is_configured_no_more_ends(void **state)
{
	struct stage stage = begin(1);
	struct world_peer *echo = join_echo(&stage);

	world_reload(stage.world,
	    "limits.idle_ping: 0 s\n"
	    "domains: {" PLAYS ": {component: {secret: two}}}\n" HOSTS);
	CHECK(comes(echo, "host-gone"));
	CHECK(world_is_closed(echo));
	world_free(&stage.world);
}

static void
a_component_whose_secret_changes_ends(void **state)
{
	struct stage stage = begin(1);
	struct world_peer *echo = join_echo(&stage);

	world_reload(stage.world, SETTINGS HOSTS);
	CHECK(!world_is_closed(echo));
	world_reload(stage.world,
	    "domains:\n"
	    "  " ECHO ": {component: {secret: three}}\n"
	    "  " PLAYS ": {component: {secret: two}}\n" HOSTS);
	CHECK(comes(echo, "policy-violation"));
	CHECK(world_is_closed(echo));
	world_free(&stage.world);
}

/* Of components that a reload takes out: of one that is there, that speaks with
 * another server and that something waits for, and of one that is away. */
static void
nothing_is_left_of_who_is_configured_no_more(void **state)
{
	for (uint64_t seed = 1; seed <= 10; seed++) {
		struct stage stage = begin(seed);
		struct world_peer *echo = join_echo(&stage);
		struct world_peer *plays;

		plays = world_component_join(stage.world, PLAYS, "two");
		say(stage.romeo,
		    "<presence to='bot@" ECHO "'/><presence to='bot@" PLAYS
		    "'/>" TO_ECHO("m1"));
		say(echo, "<message id='m2' from='bot@" ECHO
			  "' to='escalus@" VERONA "'>" BODY);
		world_cut(&plays);
		world_sleep(stage.world, 1 * MINUTES);
		say(stage.romeo, TO_ECHO("m3"));
		world_reload(stage.world, "limits.idle_ping: 0 s\n" HOSTS);
		CHECK(comes(stage.romeo, "id='m3'"));
		/* As the stream to it does for a host that is gone. */
		neighbour_cut(stage.verona, true);
		world_sleep(stage.world, 60 * MINUTES);
		CHECK_EQUAL(neighbours_in_use(stage.world), 0);
		world_free(&stage.world);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(a_component_speaks_and_is_spoken_to),
	    cmocka_unit_test(components_speak_with_each_other_and_servers),
	    cmocka_unit_test(who_does_not_know_the_secret_is_nobody),
	    cmocka_unit_test(a_wrong_address_is_answered),
	    cmocka_unit_test(what_waits_for_a_component_comes_in_order),
	    cmocka_unit_test(what_waited_long_says_so),
	    cmocka_unit_test(nobody_waits_for_ever),
	    cmocka_unit_test(what_was_not_handled_goes_again),
	    cmocka_unit_test(an_answer_to_others_acknowledges_nothing),
	    cmocka_unit_test(
		a_component_that_never_answers_fills_its_queue_only),
	    cmocka_unit_test(who_is_not_proved_in_time_is_named),
	    cmocka_unit_test(a_second_connection_ends_while_the_first_lives),
	    cmocka_unit_test(a_second_connection_takes_over_from_a_dead_one),
	    cmocka_unit_test(a_component_that_is_configured_no_more_ends),
	    cmocka_unit_test(a_component_whose_secret_changes_ends),
	    cmocka_unit_test(nothing_is_left_of_who_is_configured_no_more),
	};

	return cmocka_run_group_tests_name("component", tests, NULL, NULL);
}

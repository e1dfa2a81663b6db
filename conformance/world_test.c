#include "base/check.h"
#include "base/hash.h"
#include "modules/roster.h"
#include "server/account.h"
#include "server/world_private.h"
#include "xml/stanza.h"

#define ROMEO  "romeo@montague.example"
#define JULIET "juliet@capulet.example"

static struct world *
begin(uint64_t seed)
{
	struct world *world = world_new(&(struct world_options){.seed = seed});

	world_add_account(world, ROMEO, NULL);
	world_add_account(world, JULIET, NULL);
	return world;
}

static bool
contains(const char *text, const char *part)
{
	return text != NULL && strstr(text, part) != NULL;
}

/* The next element that says this; what comes before it is dropped. */
static bool
comes(struct world_peer *peer, const char *part)
{
	for (;;) {
		const char *text = world_next(peer);

		if (text == NULL || contains(text, part))
			return text != NULL;
	}
}

static bool
is_silent(struct world_peer *peer)
{
	return world_next(peer) == NULL;
}

/* --- what every day brings ------------------------------------------------ */

static void
a_message_reaches_a_session(void **state)
{
	for (uint64_t seed = 1; seed <= 20; seed++) {
		struct world *world = begin(seed);
		struct world_peer *romeo =
		    world_connect(world, ROMEO "/orchard");
		struct world_peer *juliet =
		    world_connect(world, JULIET "/balcony");

		world_send(romeo,
		    "<message type='chat' to='" JULIET
		    "/balcony' id='m1'><body>Hi</body></message>");
		world_run(world);
		CHECK(comes(juliet, "from='" ROMEO "/orchard'"));
		CHECK(is_silent(romeo));
		world_free(&world);
	}
}

/* RFC 6120, section 10.1. */
static void
order_is_kept_per_pair(void **state)
{
	for (uint64_t seed = 1; seed <= 20; seed++) {
		struct world *world = begin(seed);
		struct world_peer *romeo =
		    world_connect(world, ROMEO "/orchard");
		struct world_peer *juliet =
		    world_connect(world, JULIET "/balcony");
		char text[256], id[32];

		world_send(juliet, "<presence/>");
		world_run(world);
		while (world_next(juliet) != NULL)
			continue;
		for (unsigned i = 0; i < 50; i++) {
			snprintf(text, sizeof(text),
			    "<message type='chat' to='%s' id='n%u'>"
			    "<body>x</body></message>",
			    i % 2 == 0 ? JULIET : JULIET "/balcony", i);
			world_send(romeo, text);
			world_step(world, i % 7);
		}
		world_run(world);
		for (unsigned i = 0; i < 50; i++) {
			snprintf(id, sizeof(id), "id='n%u'", i);
			CHECK(contains(world_next(juliet), id));
		}
		world_free(&world);
	}
}

/* The answer names contacts in the order of a table. */
static void
the_same_seed_gives_the_same_run(void **state)
{
	static const uint8_t keys[2][16] = {{1}, {2}};
	char rosters[2][2048];

	for (unsigned i = 0; i < 2; i++) {
		struct world *world;
		struct world_peer *romeo;
		char text[256];

		hash_set_key(keys[i]); /* that of a process is drawn */
		world = begin(1);
		romeo = world_connect(world, ROMEO "/orchard");
		for (char name = 'a'; name <= 'j'; name++) {
			snprintf(text, sizeof(text),
			    "<iq type='set' id='s'><query "
			    "xmlns='jabber:iq:roster'><item jid='%c@"
			    "montague.example'/></query></iq>",
			    name);
			world_send(romeo, text);
			world_run(world);
			CHECK(comes(romeo, "id='s'"));
		}
		world_send(romeo,
		    "<iq type='get' id='g'><query xmlns='jabber:iq:roster'/>"
		    "</iq>");
		world_run(world);
		snprintf(
		    rosters[i], sizeof(rosters[i]), "%s", world_next(romeo));
		CHECK(contains(rosters[i], "a@montague.example"));
		world_free(&world);
	}
	CHECK_TEXT(rosters[1], rosters[0]);
}

static void
a_session_is_replaced_when_its_stream_has_gone(void **state)
{
	struct world *world = begin(3);
	struct world_peer *old = world_connect(world, ROMEO "/orchard");
	struct world_peer *new = world_connect(world, ROMEO "/orchard");

	CHECK(comes(old, "conflict"));
	CHECK(comes(old, "</stream:stream>"));
	CHECK(!world_is_closed(new));
	world_send(new, "<message to='" ROMEO "/orchard' id='m1'/>");
	world_run(world);
	CHECK(comes(new, "m1"));
	CHECK(is_silent(old));
	world_free(&world);
}

/* --- a store that fails --------------------------------------------------- */

static struct world_peer *
open_stream(struct world *world)
{
	struct world_peer *peer = world_accept(world);

	CHECK(world_start_stream(peer, STR("montague.example")));
	return peer;
}

/* cm9tZW8: romeo, secret */
#define AUTH                                              \
	"<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' " \
	"mechanism='PLAIN'>AHJvbWVvAHNlY3JldA==</auth>"

static void
without_a_store_nobody_logs_in_but_all_go_on(void **state)
{
	struct world *world = begin(4);
	struct world_peer *romeo = world_connect(world, ROMEO "/orchard");
	struct world_peer *juliet, *late;

	world_add_account(world, "nurse@montague.example", NULL);
	juliet = world_connect(world, JULIET "/balcony");
	world_send(romeo, "<presence/>");
	world_send(juliet, "<presence/>");
	world_run(world);
	late = open_stream(world);
	world_sleep(world, 120000);
	world_break_store(world, ERR_UNAVAILABLE);
	world_send(romeo, "<message type='chat' to='" JULIET
			  "' id='m1'><body>Still there?</body></message>");
	world_send(romeo, "<message type='chat' to='nurse@montague.example' "
			  "id='m2'><body>And you?</body></message>");
	world_run(world);
	CHECK(comes(juliet, "m1"));
	CHECK(comes(romeo, "resource-constraint"));
	world_free(&world);
	(void)late;
}

static void
login_waits_for_a_store_that_is_well(void **state)
{
	struct world *world = begin(5);
	struct world_peer *peer;

	world_sleep(world, 120000);
	world_break_store(world, ERR_UNAVAILABLE);
	peer = open_stream(world);
	world_send(peer, AUTH);
	world_run(world);
	CHECK(comes(peer, "temporary-auth-failure"));
	world_break_store(world, ERR_NONE);
	world_send(peer, AUTH);
	world_run(world);
	CHECK(comes(peer, "success"));
	world_free(&world);
}

static void
letters_wait_for_their_owner_in_order(void **state)
{
	struct world *world = begin(6);
	struct world_peer *romeo = world_connect(world, ROMEO "/orchard");
	struct world_peer *juliet;
	char text[256];

	world_sleep(world, 120000);
	world_hold_store(world, true);
	for (unsigned i = 0; i < 5; i++) {
		snprintf(text, sizeof(text),
		    "<message type='chat' to='" JULIET "' id='w%u'>"
		    "<body>x</body></message>",
		    i);
		world_send(romeo, text);
	}
	world_run(world);
	world_hold_store(world, false);
	world_run(world);
	CHECK(is_silent(romeo));
	juliet = world_connect(world, JULIET "/balcony");
	world_send(juliet, "<presence/>");
	world_run(world);
	for (unsigned i = 0; i < 5; i++) {
		snprintf(text, sizeof(text), "id='w%u'", i);
		CHECK(comes(juliet, text));
	}
	world_free(&world);
}

/* --- accounts that go ---------------------------------------------------- */

#define REMOVE                                                      \
	"<iq type='set' id='r1'><query xmlns='jabber:iq:register'>" \
	"<remove/></query></iq>"
#define ROSTER "<iq type='get' id='g1'><query xmlns='jabber:iq:roster'/></iq>"

static void
befriend(struct world *world, struct world_peer *a, const char *a_bare,
    struct world_peer *b, const char *b_bare)
{
	char text[128];

	snprintf(
	    text, sizeof(text), "<presence type='subscribe' to='%s'/>", b_bare);
	world_send(a, text);
	world_run(world);
	snprintf(text, sizeof(text), "<presence type='subscribed' to='%s'/>",
	    a_bare);
	world_send(b, text);
	world_run(world);
}

static void
a_removed_account_leaves_nothing(void **state)
{
	for (uint64_t seed = 1; seed <= 5; seed++) {
		struct world *world = begin(seed);
		struct world_peer *romeo =
		    world_connect(world, ROMEO "/orchard");
		struct world_peer *juliet =
		    world_connect(world, JULIET "/balcony");
		struct world_peer *again;

		world_send(romeo, ROSTER "<presence/>");
		world_send(juliet, ROSTER "<presence/>");
		befriend(world, romeo, ROMEO, juliet, JULIET);
		befriend(world, juliet, JULIET, romeo, ROMEO);
		world_send(romeo, REMOVE);
		world_run(world);
		CHECK(comes(romeo, "type='result' id='r1'"));
		CHECK(comes(romeo, "not-authorized"));
		CHECK(comes(juliet, "type='unsubscribe"));
		world_sleep(world, 60000);
		world_add_account(world, ROMEO, NULL);
		again = world_connect(world, ROMEO "/new");
		world_send(again, ROSTER);
		world_run(world);
		CHECK(!contains(world_next(again), JULIET));
		world_send(juliet, ROSTER);
		world_run(world);
		CHECK(comes(juliet, "id='g1'"));
		world_free(&world);
	}
}

/* --- owners in memory ---------------------------------------------------- */

static struct owner *
owner_of(struct world *world, const char *bare)
{
	struct arena *arena = arena_make(0);
	const struct jid *jid = jid_parse(arena, str_of(bare));
	struct owner *owner = owner_find(shard_of(&world->server, jid), jid);

	arena_free(&arena);
	return owner;
}

static void
owners_are_forgotten_when_nothing_pins_them(void **state)
{
	struct world *world = begin(7);
	struct world_peer *romeo = world_connect(world, ROMEO "/orchard");

	world_send(romeo, "<message to='" JULIET "' id='m1'><body>x</body>"
			  "</message>");
	world_run(world);
	CHECK(owner_of(world, JULIET) != NULL);
	world_sleep(world, 61000);
	CHECK(owner_of(world, JULIET) == NULL);
	CHECK(owner_of(world, ROMEO) != NULL);
	world_cut(&romeo);
	world_sleep(world, 61000);
	CHECK(owner_of(world, ROMEO) == NULL);
	world_free(&world);
}

static void
presence_and_probes_load_nobody(void **state)
{
	struct world *world = begin(8);
	struct world_peer *romeo = world_connect(world, ROMEO "/orchard");

	world_sleep(world, 61000);
	world_send(romeo, "<presence/><presence to='" JULIET "'/>"
			  "<presence type='probe' to='" JULIET "'/>");
	world_run(world);
	CHECK(owner_of(world, JULIET) == NULL);
	world_free(&world);
}

static void
names_of_nobody_are_remembered_in_limited_number(void **state)
{
	struct world *world = begin(9);
	struct world_peer *romeo = world_connect(world, ROMEO "/orchard");
	char text[128];
	size_t most = 0;

	for (unsigned i = 0; i < 5000; i++) {
		snprintf(text, sizeof(text),
		    "<message to='n%u@montague.example' id='n%u'/>", i, i);
		world_send(romeo, text);
		if (i % 500 == 0)
			world_sleep(world, 1000);
	}
	world_sleep(world, 10000);
	for (unsigned i = 0; i < world->server.shard_count; i++)
		most += world->server.shards[i].owners.count;
	CHECK(most <= 1 + 1024 * world->server.shard_count);
	world_free(&world);
}

/* The inbox of an owner that loads holds 1024 letters. */
static void
a_full_inbox_refuses_messages(void **state)
{
	struct world *world = begin(10);
	struct world_peer *romeo = world_connect(world, ROMEO "/orchard");
	char text[128];
	unsigned refused = 0;
	const char *got;

	world_sleep(world, 120000);
	world_hold_store(world, true);
	for (unsigned i = 0; i < 1030; i++) {
		snprintf(text, sizeof(text),
		    "<message type='chat' to='" JULIET "' id='f%u'>"
		    "<body>x</body></message>",
		    i);
		world_send(romeo, text);
		if (i % 200 == 0)
			world_sleep(world, 1000);
	}
	world_run(world);
	while ((got = world_next(romeo)) != NULL)
		refused += contains(got, "resource-constraint");
	CHECK_EQUAL(refused, 6);
	world_free(&world);
}

/* A message on its way to a stream that ends is not lost. */
static void
messages_to_a_stream_that_ends_are_kept(void **state)
{
	for (uint64_t seed = 1; seed <= 200; seed++) {
		struct world *world = begin(seed);
		struct world_peer *romeo =
		    world_connect(world, ROMEO "/orchard");
		struct world_peer *juliet =
		    world_connect(world, JULIET "/balcony");
		bool has_come;

		world_send(juliet, "<presence/>");
		world_run(world);
		world_send(romeo, "<message type='chat' to='" JULIET
				  "/balcony' id='m1'><body>x</body></message>");
		world_step(world, (unsigned)seed % 12);
		has_come = comes(juliet, "m1");
		world_cut_now(&juliet);
		world_run(world);
		juliet = world_connect(world, JULIET "/balcony");
		world_send(juliet, "<presence/>");
		world_run(world);
		/* Nothing came from her that proves that she has it. */
		CHECK(comes(juliet, "m1") || has_come);
		CHECK(is_silent(romeo));
		world_free(&world);
	}
}

/* Not even when the next stream that it is meant for ends, too. */
static void
messages_to_streams_that_end_are_kept(void **state)
{
	for (uint64_t seed = 1; seed <= 300; seed++) {
		struct world *world = world_new(&(struct world_options){
		    .seed = seed, .yaml = "modules.archive: off\n"});
		struct world_peer *romeo, *first, *second;
		bool has_come;

		world_add_account(world, ROMEO, NULL);
		world_add_account(world, JULIET, NULL);
		romeo = world_connect(world, ROMEO "/orchard");
		first = world_connect(world, JULIET "/balcony");
		second = world_connect(world, JULIET "/chamber");
		world_send(
		    first, "<presence><priority>5</priority></presence>");
		world_send(second, "<presence/>");
		world_run(world);
		world_send(romeo, "<message type='chat' to='" JULIET
				  "' id='m1'><body>x</body></message>");
		world_step(world, (unsigned)seed % 12);
		has_come = comes(first, "m1");
		world_cut_now(&first);
		world_step(world, (unsigned)seed / 12 % 12);
		has_come = comes(second, "m1") || has_come;
		world_cut_now(&second);
		world_run(world);
		second = world_connect(world, JULIET "/chamber");
		world_send(second, "<presence/>");
		world_run(world);
		CHECK(comes(second, "m1") || has_come);
		world_free(&world);
	}
}

static void
an_account_has_so_many_sessions(void **state)
{
	struct world *world = world_new(&(struct world_options){
	    .seed = 11, .yaml = "sessions.per_account: 2\n"});
	struct world_peer *third;

	world_add_account(world, ROMEO, NULL);
	world_connect(world, ROMEO "/one");
	world_connect(world, ROMEO "/two");
	third = world_accept(world);
	CHECK(!world_login(third, STR("romeo"), STR("montague.example"),
	    STR(WORLD_PASSWORD), STR("three")));
	CHECK(comes(third, "resource-constraint"));
	world_free(&world);
}

/* What fails for good is undone in memory: the roster is as it was. */
static void
a_failed_write_is_undone(void **state)
{
	for (uint64_t seed = 1; seed <= 10; seed++) {
		struct world *world = begin(seed);
		struct world_peer *romeo =
		    world_connect(world, ROMEO "/orchard");

		world_break_store(world, ERR_IO);
		world_send(romeo,
		    "<iq type='set' id='s1'><query xmlns='jabber:iq:roster'>"
		    "<item jid='nurse@montague.example'/></query></iq>");
		world_run(world);
		CHECK(comes(romeo, "type='error' id='s1'"));
		world_break_store(world, ERR_NONE);
		world_sleep(world, 5000);
		world_send(romeo, ROSTER);
		world_run(world);
		CHECK(!contains(world_next(romeo), "nurse"));
		world_free(&world);
	}
}

static void
a_conflict_is_settled_as_configured(void **state)
{
	static const struct {
		const char *yaml, *want;
		bool is_bound;
	} cases[] = {
	    {"sessions.conflict: refuse\n", "<conflict ", false},
	    {"sessions.conflict: rename\n", NULL, true},
	};

	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		struct world *world = world_new(
		    &(struct world_options){.seed = i, .yaml = cases[i].yaml});
		struct world_peer *old, *new;

		world_add_account(world, ROMEO, NULL);
		old = world_connect(world, ROMEO "/orchard");
		new = world_accept(world);
		CHECK(world_login(new, STR("romeo"), STR("montague.example"),
			  STR(WORLD_PASSWORD),
			  STR("orchard")) == cases[i].is_bound);
		if (cases[i].is_bound)
			CHECK(str_starts(new->jid, STR(ROMEO "/orchard-")));
		else
			CHECK(comes(new, cases[i].want));
		CHECK(!world_is_closed(old));
		world_free(&world);
	}
}

/* Failures are counted by the account, wherever they come from; the right
 * password is not held up. */
static void
wrong_passwords_are_slowed_down(void **state)
{
	struct world *world = begin(12);
	struct world_peer *peer;

	for (unsigned i = 0; i < 12; i++) {
		peer = open_stream(world);
		world_send(peer,
		    "<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' "
		    "mechanism='PLAIN'>AHJvbWVvAHdyb25n</auth>");
		world_run(world);
		CHECK(comes(peer, "not-authorized") == (i < 5));
		world_cut(&peer);
		world_run(world);
	}
	peer = open_stream(world);
	world_send(peer, AUTH);
	world_run(world);
	CHECK(comes(peer, "success"));
	world_free(&world);
}

/* --- a new configuration ------------------------------------------------- */

static void
a_reload_changes_hosts_and_modules(void **state)
{
	for (uint64_t seed = 1; seed <= 5; seed++) {
		struct world *world = begin(seed);
		struct world_peer *romeo =
		    world_connect(world, ROMEO "/orchard");
		struct world_peer *juliet =
		    world_connect(world, JULIET "/balcony");

		world_send(romeo, "<iq type='get' id='p1'>"
				  "<ping xmlns='urn:xmpp:ping'/></iq>");
		world_run(world);
		CHECK(comes(romeo, "type='result' id='p1'"));
		world_reload(world,
		    "hosts: {montague.example: {modules.ping: false}}\n");
		world_sleep(world, 10000);
		CHECK(comes(juliet, "host-gone"));
		world_send(romeo, "<iq type='get' id='p2'>"
				  "<ping xmlns='urn:xmpp:ping'/></iq>");
		world_run(world);
		CHECK(comes(romeo, "service-unavailable"));
		world_send(romeo, "<message to='" JULIET "' id='m1'/>");
		world_run(world);
		CHECK(comes(romeo, "remote-server-not-found"));
		world_reload(world,
		    "hosts: {montague.example: {}, capulet.example: {}}\n");
		juliet = world_connect(world, JULIET "/balcony");
		world_send(romeo, "<message to='" JULIET "/balcony' id='m2'/>");
		world_run(world);
		CHECK(comes(juliet, "m2"));
		world_free(&world);
	}
}

/* --- killed between any two writes --------------------------------------- */

/* RFC 6121, appendix A.1: how romeo's side comes into each state; r: romeo
 * asks, R: romeo grants, j and J juliet. */
static const char *const states[] = {
    "", "r", "j", "rj", "rJ", "rJj", "jR", "jRr", "rJjR"};
static const char *const actions[] = {
    "subscribe", "subscribed", "unsubscribe", "unsubscribed"};

static void
say(struct world *world, struct world_peer *peer, const char *type,
    const char *to)
{
	char text[128];

	snprintf(text, sizeof(text), "<presence type='%s' to='%s'/>", type, to);
	world_send(peer, text);
	world_run(world);
}

static unsigned
sub_of(struct world *world, const char *bare, const char *contact)
{
	struct arena *arena = arena_make(0);
	const struct jid *jid = jid_parse(arena, str_of(bare));
	const struct jid *other = jid_parse(arena, str_of(contact));
	struct shard *shard = shard_of(&world->server, jid);
	struct account *account;
	unsigned sub;

	shard_enter(shard);
	account = account_find(shard, jid);
	CHECK(account != NULL);
	sub = roster_sub(account, other);
	arena_free(&arena);
	return sub;
}

static bool
agree(unsigned mine, unsigned theirs)
{
	return ((mine & SUB_TO) != 0) == ((theirs & SUB_FROM) != 0) &&
	       ((mine & SUB_FROM) != 0) == ((theirs & SUB_TO) != 0) &&
	       ((mine & SUB_ASK) != 0) == ((theirs & SUB_PENDING_IN) != 0) &&
	       ((mine & SUB_PENDING_IN) != 0) == ((theirs & SUB_ASK) != 0);
}

static void
enter_state(struct world *world, const char *path, struct world_peer *romeo,
    struct world_peer *juliet)
{
	for (; *path != '\0'; path++) {
		const char *type = *path >= 'a' ? "subscribe" : "subscribed";
		bool is_romeo = *path == 'r' || *path == 'R';

		say(world, is_romeo ? romeo : juliet, type,
		    is_romeo ? JULIET : ROMEO);
	}
}

/* Whether it was killed before all was done. */
static bool
survives(const char *path, const char *action, unsigned steps, uint64_t seed)
{
	struct world *world = begin(seed);
	struct world_peer *romeo = world_connect(world, ROMEO "/orchard");
	struct world_peer *juliet = world_connect(world, JULIET "/balcony");
	unsigned mine, theirs;
	bool was_killed;

	enter_state(world, path, romeo, juliet);
	world_kill_after(world, steps);
	say(world, romeo, action, JULIET);
	was_killed = world_is_closed(romeo);
	world_kill_after(world, 0);
	world_kill(world);
	world_run(world);
	world_connect(world, ROMEO "/after");
	world_connect(world, JULIET "/after");
	world_run(world);
	mine = sub_of(world, ROMEO, JULIET);
	theirs = sub_of(world, JULIET, ROMEO);
	if (!agree(mine, theirs))
		print_error("state '%s', %s, seed %llu, killed after %u "
			    "steps: %x against %x\n",
		    path, action, (unsigned long long)seed, steps, mine,
		    theirs);
	CHECK(agree(mine, theirs));
	world_free(&world);
	return was_killed;
}

static void
rosters_agree_after_a_kill(void **state)
{
	for (size_t i = 0; i < COUNT_OF(states); i++)
		for (size_t j = 0; j < COUNT_OF(actions); j++) {
			uint64_t seed = i * 10 + j;
			unsigned steps = 1;

			while (survives(states[i], actions[j], steps, seed))
				steps++;
		}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(a_message_reaches_a_session),
	    cmocka_unit_test(order_is_kept_per_pair),
	    cmocka_unit_test(the_same_seed_gives_the_same_run),
	    cmocka_unit_test(a_session_is_replaced_when_its_stream_has_gone),
	    cmocka_unit_test(without_a_store_nobody_logs_in_but_all_go_on),
	    cmocka_unit_test(login_waits_for_a_store_that_is_well),
	    cmocka_unit_test(letters_wait_for_their_owner_in_order),
	    cmocka_unit_test(a_removed_account_leaves_nothing),
	    cmocka_unit_test(owners_are_forgotten_when_nothing_pins_them),
	    cmocka_unit_test(presence_and_probes_load_nobody),
	    cmocka_unit_test(names_of_nobody_are_remembered_in_limited_number),
	    cmocka_unit_test(a_full_inbox_refuses_messages),
	    cmocka_unit_test(messages_to_a_stream_that_ends_are_kept),
	    cmocka_unit_test(messages_to_streams_that_end_are_kept),
	    cmocka_unit_test(an_account_has_so_many_sessions),
	    cmocka_unit_test(a_failed_write_is_undone),
	    cmocka_unit_test(a_conflict_is_settled_as_configured),
	    cmocka_unit_test(wrong_passwords_are_slowed_down),
	    cmocka_unit_test(a_reload_changes_hosts_and_modules),
	    cmocka_unit_test(rosters_agree_after_a_kill),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

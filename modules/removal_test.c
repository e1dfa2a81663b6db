/* Nothing of a removed account is left, and who takes its name sees nothing of
 * it: archive, what waited, preferences, devices to wake, and all the rest. */
#include "base/err.h"
#include "modules/push_rig.h"
#include "server/kept.h"
#include "server/keys.h"

#define MAM       "urn:xmpp:mam:2"
#define GONE      "<query xmlns='jabber:iq:register'><remove/></query>"
#define REMOVE    SET("r", GONE)
#define PREFS     SET("p", "<prefs xmlns='" MAM "' default='never'/>")
#define PRIVATE   "<x xmlns='urn:example:x'>1</x>"
#define QUERY(in) SET("q", "<query xmlns='" MAM "'>" in "</query>")
#define SEARCH                                                           \
	"<x xmlns='jabber:x:data' type='submit'><field var='FORM_TYPE'>" \
	"<value>" MAM "</value></field><field "                          \
	"var='&#123;urn:xmpp:fulltext:0&#125;fulltext'><value>Wherefore" \
	"</value></field></x>"
#define GET(in) "<iq type='get' id='g'>" in "</iq>"

/* What she leaves, by name; "session" and "scram" are the server's. */
static const char *const left[] = {"archive", "archive-mark", "archive-prefs",
    "blocking", "last", "offline", "private", "push", "roster", "scram",
    "session", "vcard"};

static void
page_came(struct store_page *page)
{
	CHECK_EQUAL(page->err, ERR_NONE);
}

static bool
has_rows(struct world *world, owner_id owner, const struct store_kind *kind)
{
	struct arena *arena;
	struct store_page page;
	bool has;

	if (kind->shape == STORE_MAP)
		return rig_has(world, owner, kind);
	arena = arena_make(0);
	shard_enter(&world->server.shards[0]);
	store_page(world->server.shards[0].store, &page, arena,
	    &(struct log_query){.owner = owner, .kind = kind, .max = 1},
	    page_came);
	world_hold_store(world, false);
	world_run(world);
	has = page.count > 0;
	arena_free(&arena);
	return has;
}

static void
scan_came(struct store_scan *scan)
{
	CHECK_EQUAL(scan->err, ERR_NONE);
}

/* Her sessions; others' rows stay. */
static bool
has_sessions(struct world *world)
{
	struct arena *arena = arena_make(0);
	struct store_scan scan;
	bool has;

	shard_enter(&world->server.shards[0]);
	store_scan(world->server.shards[0].store, &scan, arena,
	    &(struct map_query){.owner = OWNER_SERVER,
		.kind = &kept_kind,
		.prefix = store_key2(arena, STR(JULIET), STR_NONE),
		.max = 1},
	    scan_came);
	world_hold_store(world, false);
	world_run(world);
	has = scan.count > 0;
	arena_free(&arena);
	return has;
}

static bool
is_left(const struct store_kind *kind)
{
	for (unsigned i = 0; i < COUNT_OF(left); i++)
		if (strcmp(left[i], kind->name) == 0)
			return true;
	print_message("%s has rows\n", kind->name);
	return false;
}

/* How many kinds have rows of that owner: among those that it leaves. */
static unsigned
count_kinds(struct world *world, owner_id owner)
{
	unsigned count =
	    has_sessions(world) + (unsigned)has_rows(world, owner, &keys_kind);

	for (unsigned i = 0; modules_builtin[i] != NULL; i++) {
		const struct store_kind *const *kind =
		    modules_builtin[i]->kinds;

		for (; kind != NULL && *kind != NULL; kind++) {
			if (!has_rows(world, owner, *kind))
				continue;
			CHECK(is_left(*kind));
			count++;
		}
	}
	return count;
}

/* She is away, and has all that an account may have. */
static void
leave_all(struct stage *stage)
{
	static const char *const sets[] = {
	    ENABLE(SERVICE, NODE, ""),
	    SET("e", "<query xmlns='jabber:iq:private'>" PRIVATE "</query>"),
	    SET("e", "<vCard xmlns='vcard-temp'><FN>Juliet</FN></vCard>"),
	    SET("e", "<block xmlns='urn:xmpp:blocking'><item "
		     "jid='tybalt@capulet.example'/></block>"),
	    SET("e", "<query xmlns='jabber:iq:roster'><item "
		     "jid='" ROMEO "'/></query>"),
	};
	struct world_peer *away; /* its session waits for it */
	char id[RIG_ID_LEN];

	for (unsigned i = 0; i < COUNT_OF(sets); i++) {
		rig_send(stage->juliet, sets[i]);
		CHECK(rig_finds(stage->juliet, DONE("e")));
	}
	rig_send(stage->juliet, "<presence/>");
	push_say(stage);
	CHECK(rig_finds(stage->juliet, "<message/>"));
	rig_send(stage->juliet, QUERY(SEARCH));
	CHECK(rig_finds(
	    stage->juliet, "<message><result xmlns='" MAM "'/></message>"));
	rig_send(stage->juliet, PREFS);
	CHECK(rig_finds(stage->juliet, "<iq type='result' id='p'/>"));
	rig_skip(stage->juliet);
	world_sleep(stage->world, 5 * SECONDS);
	world_cut(&stage->juliet);
	world_run(stage->world);
	push_say(stage);
	world_sleep(stage->world, 5 * SECONDS);
	CHECK(push_next(stage) != NULL);
	push_succeed(stage);
	away = rig_bind(stage->world, JULIET "/garden");
	rig_enable(away, id);
	world_cut(&away);
	stage->juliet = rig_bind(stage->world, JULIET "/chamber");
	rig_enable(stage->juliet, id);
	world_sleep(stage->world, 5 * SECONDS);
}

static void
expect_nothing_left(struct stage *stage)
{
	struct world_peer *juliet = rig_bind(stage->world, BALCONY);

	rig_send(juliet, QUERY(""));
	rig_expect(juliet, "<iq type='result' id='q'><fin xmlns='" MAM
			   "' complete='true'/></iq>");
	rig_send(juliet, QUERY(SEARCH));
	rig_expect(juliet, "<iq type='result' id='q'><fin xmlns='" MAM
			   "' complete='true'/></iq>");
	rig_send(juliet, GET("<prefs xmlns='" MAM "'/>"));
	rig_expect(juliet, "<iq type='result' id='g'><prefs xmlns='" MAM
			   "' default='always'/></iq>");
	rig_send(juliet, GET("<blocklist xmlns='urn:xmpp:blocking'/>"));
	rig_expect(juliet,
	    "<iq type='result' id='g'><blocklist xmlns='urn:xmpp:blocking'>"
	    "{only}</blocklist></iq>");
	rig_send(juliet, "<presence/>");
	rig_expect(juliet, "<presence from='" BALCONY "'/>");
	rig_expect_nothing(juliet);
	world_cut(&juliet);
	world_sleep(stage->world, 5 * SECONDS);
	push_say(stage);
	world_sleep(stage->world, 2 * MINUTES);
	CHECK(push_next(stage) == NULL);
}

/* All rows are, and the next account of that name finds nothing. */
static void
expect_gone(struct stage *stage, owner_id owner)
{
	CHECK_EQUAL(count_kinds(stage->world, owner), 0);
	world_add_account(stage->world, JULIET, NULL);
	expect_nothing_left(stage);
}

static void
all_rows_of_a_removed_account_go(void **state)
{
	(void)state;
	for (unsigned is_killed = 0; is_killed < 2; is_killed++) {
		struct stage stage = push_begin_with(NULL);
		owner_id owner;

		leave_all(&stage);
		owner = rig_account(stage.world, JULIET)->owner.id;
		CHECK_EQUAL(count_kinds(stage.world, owner), COUNT_OF(left));
		rig_send(stage.juliet, REMOVE);
		CHECK(rig_finds(stage.juliet, "<iq type='result' id='r'/>"));
		if (is_killed) {
			world_kill(stage.world);
			stage.romeo = rig_login(stage.world, ROMEO "/orchard");
		}
		world_sleep(stage.world, MINUTES);
		expect_gone(&stage, owner);
		push_end(&stage);
	}
}

/* Also that of a session whose client did not come back: its count, or what is
 * not settled yet. */
static void
what_sessions_left_goes(void **state)
{
	(void)state;
	for (unsigned is_settled = 0; is_settled < 2; is_settled++) {
		struct stage stage = push_begin_with(NULL);
		struct world_peer *garden =
		    rig_bind(stage.world, JULIET "/garden");
		char id[RIG_ID_LEN];

		rig_enable(garden, id);
		rig_send(garden, "<presence/>");
		world_sleep(stage.world, 5 * SECONDS);
		if (!is_settled)
			world_break_store(stage.world, ERR_FULL);
		rig_send(garden, "<message type='chat' to='" ROMEO
				 "'><body>x</body></message>");
		world_cut(&garden);
		world_sleep(stage.world, 15 * MINUTES);
		garden = rig_bind(stage.world, JULIET "/chamber");
		CHECK(has_sessions(stage.world));
		world_break_store(stage.world, ERR_NONE);
		rig_send(garden, REMOVE);
		CHECK(rig_finds(garden, "<iq type='result' id='r'/>"));
		CHECK(!has_sessions(stage.world));
		push_end(&stage);
	}
}

/* The answer said that nobody knows; when that is known she is gone like
 * others, and who had her in his roster hears of it. */
static void
what_was_removed_after_all_is_gone(void **state)
{
	struct stage stage = push_begin_with(NULL);
	struct world_peer *garden;
	owner_id owner;

	(void)state;
	rig_send(stage.romeo, "<iq type='get' id='g'><query "
			      "xmlns='jabber:iq:roster'/></iq>");
	rig_send(stage.romeo, "<presence type='subscribe' to='" JULIET "'/>");
	rig_send(stage.juliet, "<presence type='subscribed' to='" ROMEO "'/>");
	garden = rig_login(stage.world, JULIET "/garden");
	owner = rig_account(stage.world, JULIET)->owner.id;
	rig_skip(stage.romeo);
	rig_skip(stage.juliet);
	world_break_store(stage.world, ERR_UNCERTAIN);
	world_send(stage.juliet, REMOVE);
	while (!rig_finds(stage.juliet, "<iq type='error' id='r'/>"))
		CHECK(world_step(stage.world, 1));
	world_break_store(stage.world, ERR_NONE);
	world_sleep(stage.world, 5 * SECONDS);
	CHECK(world_is_closed(stage.juliet) && world_is_closed(garden));
	CHECK(rig_finds(
	    stage.romeo, "<presence type='unsubscribed' from='" JULIET "'/>"));
	CHECK_EQUAL(rig_outbox(stage.world), 0);
	expect_gone(&stage, owner);
	push_end(&stage);
}

/* Also at the start. */
static void
rows_go_though_the_store_fails_at_first(void **state)
{
	(void)state;
	for (unsigned is_killed = 0; is_killed < 2; is_killed++) {
		struct stage stage = push_begin_with(NULL);
		owner_id owner;

		leave_all(&stage);
		owner = rig_account(stage.world, JULIET)->owner.id;
		world_send(stage.juliet, REMOVE);
		while (!rig_finds(stage.juliet, "<iq type='result' id='r'/>"))
			CHECK(world_step(stage.world, 1));
		world_break_store(stage.world, ERR_IO);
		if (is_killed)
			world_kill(stage.world);
		world_sleep(stage.world, 10 * MINUTES);
		world_break_store(stage.world, ERR_NONE);
		CHECK(count_kinds(stage.world, owner) > 0);
		world_sleep(stage.world, 10 * MINUTES);
		CHECK_EQUAL(count_kinds(stage.world, owner), 0);
		push_end(&stage);
	}
}

/* What could not be written when it came is not written when she is gone. */
static void
nothing_is_written_of_who_is_gone(void **state)
{
	static const char *const keepers[] = {
	    NULL, "modules: {archive: false}\n"};
	static const enum err errors[] = {ERR_FULL, ERR_UNCERTAIN};

	(void)state;
	for (unsigned i = 0; i < 160; i++) {
		struct stage stage = push_begin_with(keepers[i % 2]);
		const owner_id owner =
		    rig_account(stage.world, JULIET)->owner.id;

		if (i % 4 >= 2)
			rig_send(stage.juliet, "<presence/>");
		world_send(stage.romeo,
		    "<message type='chat' to='" JULIET "' id='m1'>"
		    "<body>x</body></message>"
		    "<message type='chat' to='" JULIET "' id='m2'>"
		    "<retract xmlns='urn:xmpp:message-retract:1' id='m1'/>"
		    "</message>");
		world_step(stage.world, i / 8);
		world_break_store(stage.world, errors[i % 8 / 4]);
		world_run(stage.world);
		world_break_store(stage.world, ERR_NONE);
		rig_send(stage.juliet, REMOVE);
		CHECK(rig_finds(stage.juliet, "<iq type='result' id='r'/>"));
		world_sleep(stage.world, MINUTES);
		CHECK_EQUAL(count_kinds(stage.world, owner), 0);
		push_end(&stage);
	}
}

/* And nobody waits for it at the end. */
static void
a_store_that_fails_keeps_no_server(void **state)
{
	struct stage stage = push_begin_with(NULL);

	(void)state;
	leave_all(&stage);
	world_send(stage.juliet, REMOVE);
	while (!rig_finds(stage.juliet, "<iq type='result' id='r'/>"))
		CHECK(world_step(stage.world, 1));
	world_break_store(stage.world, ERR_IO);
	world_sleep(stage.world, MINUTES);
	push_end(&stage);
}

/* A device that is still registered there is not woken for the new account:
 * what was under way when the old one went says nothing to it. */
static void
a_push_under_way_is_nobodys(void **state)
{
	struct stage stage = push_begin(NULL);
	struct world_peer *juliet = rig_bind(stage.world, BALCONY);

	(void)state;
	push_say(&stage);
	world_cut(&juliet);
	world_sleep(stage.world, 5 * SECONDS);
	push_say(&stage);
	CHECK(push_next(&stage) != NULL);
	juliet = rig_bind(stage.world, BALCONY);
	rig_send(juliet, REMOVE);
	CHECK(rig_finds(juliet, "<iq type='result' id='r'/>"));
	world_sleep(stage.world, MINUTES);
	world_add_account(stage.world, JULIET, NULL);
	push_succeed(&stage);
	expect_nothing_left(&stage);
	push_end(&stage);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(all_rows_of_a_removed_account_go),
	    cmocka_unit_test(what_sessions_left_goes),
	    cmocka_unit_test(what_was_removed_after_all_is_gone),
	    cmocka_unit_test(rows_go_though_the_store_fails_at_first),
	    cmocka_unit_test(nothing_is_written_of_who_is_gone),
	    cmocka_unit_test(a_store_that_fails_keeps_no_server),
	    cmocka_unit_test(a_push_under_way_is_nobodys),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

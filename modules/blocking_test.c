#include "modules/blocking.h"

#include "modules/blocking_rig.h"
#include "modules/modules_rig.h"
#include "modules/roster.h"
#include "modules/roster_private.h"
#include "server/owner.h"
#include "server/world_neighbour.h"
#include "server/world_private.h"

#define VERONA  "verona.example"
#define ESCALUS "escalus@" VERONA
#define DONE    "<iq type='result' id='b'/>"

static void
befriend(struct world *world)
{
	rig_put_subs(world, SUB_TO | SUB_FROM, SUB_TO | SUB_FROM);
}

/* They are there and see each other. */
static void
come(struct world *world, struct world_peer **romeo, struct world_peer **juliet)
{
	befriend(world);
	*romeo = rig_login(world, ROMEO "/orchard");
	*juliet = rig_login(world, JULIET "/balcony");
}

static const struct rig_talk talks[] = {
    {GET, "<iq type='result' id='g'><blocklist xmlns='" NS "'><item>{not}"
	  "</item></blocklist></iq>"},
    {"<iq type='set' id='b'><block xmlns='" NS "'/></iq>",
	RIG_ERROR("b", "modify", "bad-request")},
    {BLOCK("b", "@"), RIG_ERROR("b", "modify", "jid-malformed")},
    {"<iq type='set' id='b' to='" JULIET "'><block xmlns='" NS
     "'><item jid='a@b'/></block></iq>",
	RIG_ERROR("b", "cancel", "service-unavailable")},
};

static void
requests_are_checked(void **state)
{
	struct world *world = rig_world(1, 2, NULL);
	struct world_peer *romeo = rig_bind(world, ROMEO "/orchard");

	rig_talks(romeo, talks, COUNT_OF(talks));
	world_free(&world);
}

static void
changes_are_pushed_to_who_asked(void **state)
{
	struct world *world = rig_world(1, 2, NULL);
	struct world_peer *romeo = rig_bind(world, ROMEO "/orchard");
	struct world_peer *other = rig_bind(world, ROMEO "/garden");

	rig_send(other, GET);
	rig_skip(other);
	rig_send(romeo, BLOCK("b", JULIET));
	rig_expect(romeo, DONE);
	rig_expect_nothing(romeo);
	rig_expect(other, "<iq type='set'><block xmlns='" NS
			  "'><item jid='" JULIET "'/></block></iq>");
	world_cut(&romeo);
	world_cut(&other);
	world_kill(world);
	romeo = rig_bind(world, ROMEO "/orchard");
	rig_send(romeo, GET);
	rig_expect(romeo, "<iq type='result'><blocklist xmlns='" NS
			  "'><item jid='" JULIET "'/></blocklist></iq>");
	rig_send(romeo, "<iq type='set' id='b'><unblock xmlns='" NS "'/></iq>");
	rig_expect(romeo, "<iq type='set'><unblock xmlns='" NS
			  "'><item>{not}</item></unblock></iq>");
	rig_expect(romeo, DONE);
	rig_send(romeo, GET);
	rig_expect(romeo,
	    "<iq type='result'><blocklist xmlns='" NS "'><item>{not}</item>"
	    "</blocklist></iq>");
	world_free(&world);
}

/* By bare JID, full JID, domain: section 5, JID matching. */
static const struct {
	const char *block;
	bool is_blocked;
} matches[] = {
    {BLOCK("b", JULIET), true},
    {BLOCK("b", JULIET "/balcony"), true},
    {BLOCK("b", JULIET "/garden"), false},
    {BLOCK("b", "capulet.example"), true},
    {BLOCK("b", "capulet.example/balcony"), true},
    {BLOCK("b", "montague.example"), false},
};

static void
blocked_addresses_get_no_word_through(void **state)
{
	for (size_t i = 0; i < COUNT_OF(matches); i++) {
		struct world *world = rig_world(i, 0, NULL);
		struct world_peer *romeo = rig_login(world, ROMEO "/orchard");
		struct world_peer *juliet = rig_login(world, JULIET "/balcony");

		rig_send(romeo, matches[i].block);
		rig_expect(romeo, DONE);
		rig_send(juliet, "<message type='chat' to='" ROMEO
				 "' id='m'><body>x</body></message>");
		if (!matches[i].is_blocked) {
			rig_expect(romeo, "<message id='m'/>");
			rig_expect_nothing(juliet);
		} else {
			rig_expect_nothing(romeo);
			rig_expect(juliet,
			    "<message type='error' id='m'><error>"
			    "<service-unavailable xmlns='" STANZAS
			    "'/></error></message>");
			rig_send(juliet, "<iq type='get' id='v' to='" ROMEO
					 "'><vCard xmlns='vcard-temp'/></iq>");
			rig_expect(juliet,
			    RIG_ERROR("v", "cancel", "service-unavailable"));
			rig_send(juliet, "<presence to='" ROMEO "/orchard'/>");
			rig_expect_nothing(romeo);
			rig_expect_nothing(juliet);
			rig_send(
			    romeo, "<message to='" JULIET "/balcony' id='o'/>");
			rig_expect(romeo,
			    "<message type='error' id='o'><error>"
			    "<not-acceptable xmlns='" STANZAS
			    "'/><blocked xmlns='urn:xmpp:blocking:errors'/>"
			    "</error></message>");
			rig_expect_nothing(juliet);
		}
		world_free(&world);
	}
}

static void
a_blocked_contact_sees_nobody_online(void **state)
{
	struct world *world = rig_world(1, 2, NULL);
	struct world_peer *romeo, *juliet;

	come(world, &romeo, &juliet);
	rig_skip(romeo);
	rig_send(romeo, BLOCK("b", JULIET));
	rig_expect(romeo, DONE);
	rig_expect(
	    juliet, "<presence type='unavailable' from='" ROMEO "/orchard'/>");
	rig_send(romeo, "<presence><show>away</show></presence>");
	rig_skip(romeo);
	rig_expect_nothing(juliet);
	rig_send(juliet, "<presence><show>away</show></presence>");
	rig_expect(juliet, "<presence/>");
	rig_expect_nothing(juliet);
	rig_expect_nothing(romeo);
	rig_send(juliet, "<presence type='probe' to='" ROMEO "'/>");
	rig_expect_nothing(juliet);

	rig_send(romeo, UNBLOCK("b", JULIET));
	rig_expect(romeo, DONE);
	rig_expect(juliet,
	    "<presence from='" ROMEO "/orchard'><show>away</show></presence>");
	world_free(&world);
}

/* Section 3.3: who sends to a blocked address is told that it goes nowhere,
 * also what else is not answered with an error. */
static void
presence_to_who_is_blocked_is_refused(void **state)
{
	static const char *const types[] = {"", "type='unavailable'",
	    "type='subscribe'", "type='subscribed'", "type='unsubscribe'",
	    "type='unsubscribed'", "type='probe'"};
	struct world *world = rig_world(1, 2, NULL);
	struct world_peer *romeo, *juliet;

	(void)state;
	come(world, &romeo, &juliet);
	rig_send(romeo, BLOCK("b", JULIET));
	rig_skip(romeo);
	rig_skip(juliet);
	for (size_t i = 0; i < COUNT_OF(types); i++) {
		char text[200];

		snprintf(text, sizeof(text),
		    "<presence id='p' to='" JULIET "' %s/>", types[i]);
		rig_send(romeo, text);
		rig_expect(romeo,
		    "<presence type='error' id='p' from='" JULIET "'><error>"
		    "<not-acceptable xmlns='" STANZAS "'/>"
		    "<blocked xmlns='urn:xmpp:blocking:errors'/>"
		    "</error></presence>");
	}
	rig_send(romeo, "<presence type='error' to='" JULIET "'/>");
	rig_expect_nothing(romeo);
	rig_expect_nothing(juliet);
	CHECK_EQUAL(rig_sub(world, ROMEO, JULIET), SUB_TO | SUB_FROM);
	world_free(&world);
}

/* While one item of the list still matches nothing is shown. */
static void
what_two_items_block_is_shown_without_both(void **state)
{
	struct world *world = rig_world(1, 2, NULL);
	struct world_peer *romeo, *juliet;

	(void)state;
	come(world, &romeo, &juliet);
	rig_send(romeo, BLOCK("b", "capulet.example"));
	rig_skip(juliet);
	rig_send(romeo, BLOCK("b", JULIET));
	rig_expect_nothing(juliet);
	rig_send(romeo, UNBLOCK("b", JULIET));
	rig_expect_nothing(juliet);
	rig_send(romeo, UNBLOCK("b", "capulet.example"));
	rig_expect(juliet, "<presence from='" ROMEO "/orchard'/>");
	rig_send(romeo, BLOCK("b", "capulet.example"));
	rig_send(romeo, BLOCK("b", JULIET));
	rig_skip(juliet);
	rig_send(romeo, "<iq type='set' id='b'><unblock xmlns='" NS "'/></iq>");
	rig_expect(juliet, "<presence from='" ROMEO "/orchard'/>");
	rig_expect_nothing(juliet);
	world_free(&world);
}

/* A change that cannot be kept is taken back: contacts see what holds. */
static void
what_cannot_be_kept_is_not_shown(void **state)
{
	static const struct {
		const char *before, *change, *after;
	} rows[] = {
	    {BLOCK("b", "tybalt@" VERONA), BLOCK("b", JULIET),
		"<presence type='{none}' from='" ROMEO "/orchard'/>"},
	    {BLOCK("b", JULIET), UNBLOCK("b", JULIET),
		"<presence type='unavailable' from='" ROMEO "/orchard'/>"},
	    {BLOCK("b", "capulet.example"),
		"<iq type='set' id='b'><unblock xmlns='" NS "'/></iq>",
		"<presence type='unavailable' from='" ROMEO "/orchard'/>"},
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		struct world *world = rig_world(i + 1, 0, NULL);
		struct world_peer *romeo, *juliet;

		come(world, &romeo, &juliet);
		rig_send(romeo, rows[i].before);
		rig_skip(romeo);
		rig_skip(juliet);
		world_break_store(world, ERR_UNAVAILABLE);
		rig_send(romeo, rows[i].change);
		rig_expect(romeo, "<iq type='error' id='b'/>");
		rig_expect(juliet, "<presence/>");
		rig_expect_nothing(juliet);
		world_break_store(world, ERR_NONE);
		world_sleep(world, 120000);
		rig_expect(juliet, rows[i].after);
		rig_expect_nothing(juliet);
		rig_send(romeo, "<presence><show>away</show></presence>");
		if (i == 0)
			rig_expect(
			    juliet, "<presence><show>away</show></presence>");
		rig_expect_nothing(juliet);
		world_free(&world);
	}
}

/* Both fail, in whatever order; what holds is what was before. */
static void
changes_that_undo_each_other_fail_together(void **state)
{
	static const struct {
		const char *before, *sent;
		bool is_shown;
	} rows[] = {
	    {BLOCK("a", "tybalt@" VERONA),
		BLOCK("b", JULIET) UNBLOCK("c", JULIET), true},
	    {BLOCK("a", JULIET), UNBLOCK("b", JULIET) BLOCK("c", JULIET),
		false},
	};

	(void)state;
	for (unsigned i = 0; i < 10; i++) {
		const size_t row = i % COUNT_OF(rows);
		struct world *world = rig_world(i + 1, 0, NULL);
		struct world_peer *romeo, *juliet;
		bool is_shown = false;
		const char *text;

		come(world, &romeo, &juliet);
		rig_send(romeo, rows[row].before);
		rig_skip(romeo);
		rig_skip(juliet);
		world_break_store(world, ERR_IO);
		world_hold_store(world, true);
		rig_send(romeo, rows[row].sent);
		world_hold_store(world, false);
		world_run(world);
		rig_expect(romeo, "<iq type='error' id='b'/>");
		rig_expect(romeo, "<iq type='error' id='c'/>");
		world_break_store(world, ERR_NONE);
		world_sleep(world, 120000);
		while ((text = world_next(juliet)) != NULL)
			is_shown = strstr(text, "unavailable") == NULL;
		CHECK_EQUAL(is_shown, rows[row].is_shown);
		rig_send(romeo, GET);
		CHECK_EQUAL(rig_finds(romeo,
				"<iq type='result' id='g'><blocklist xmlns='" NS
				"'><item jid='" JULIET "'/></blocklist></iq>"),
		    !rows[row].is_shown);
		world_free(&world);
	}
}

/* It was said to have failed, and was kept: sessions and contacts hear that. */
static void
what_was_kept_after_all_is_shown(void **state)
{
	struct world *world = rig_world(1, 0, NULL);
	struct world_peer *romeo, *other, *juliet;

	(void)state;
	befriend(world);
	romeo = rig_login(world, ROMEO "/orchard");
	other = rig_bind(world, ROMEO "/garden");
	juliet = rig_login(world, JULIET "/balcony");
	rig_send(other, GET);
	rig_skip(other);
	rig_skip(romeo);
	world_break_store(world, ERR_UNCERTAIN);
	rig_send(romeo, BLOCK("b", JULIET));
	world_break_store(world, ERR_NONE);
	world_sleep(world, 5000);
	rig_expect(romeo, "<iq type='error' id='b'/>");
	rig_expect(other, "<iq type='set'><block xmlns='" NS
			  "'><item jid='" JULIET "'/></block></iq>");
	CHECK(rig_hears(juliet, "type='unavailable'") > 0);
	world_break_store(world, ERR_UNCERTAIN);
	rig_send(romeo, UNBLOCK("b", JULIET));
	world_break_store(world, ERR_NONE);
	world_sleep(world, 5000);
	rig_expect(other, "<iq type='set'><unblock xmlns='" NS
			  "'><item jid='" JULIET "'/></unblock></iq>");
	CHECK_EQUAL(rig_hears(juliet, "type='unavailable'"), 0);
	world_free(&world);
}

/* What the item did not change is not told either: nobody learns a resource. */
static void
who_is_blocked_otherwise_hears_of_no_failure(void **state)
{
	struct world *world = rig_world(1, 0, NULL);
	struct world_peer *romeo, *juliet;

	(void)state;
	come(world, &romeo, &juliet);
	rig_send(romeo, BLOCK("b", "capulet.example"));
	rig_skip(juliet);
	world_break_store(world, ERR_IO);
	rig_send(romeo, BLOCK("b", JULIET));
	world_break_store(world, ERR_NONE);
	world_sleep(world, 60000);
	rig_expect_nothing(juliet);
	world_free(&world);
}

/* While what waits is read another change fails, and all is loaded anew: what
 * was said before the block is not shown meanwhile. */
static void
it_holds_while_it_is_loaded_anew(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 40; i++) {
		struct world *world = rig_world(1, 2, "sessions.queue: 20\n");
		struct world_peer *romeo = rig_login(world, ROMEO "/orchard");
		struct world_peer *juliet;

		for (unsigned j = 0; j < 60; j++)
			rig_send(romeo, "<message to='" JULIET
					"'><body>x</body></message>");
		juliet = rig_bind(world, JULIET "/balcony");
		rig_send(juliet,
		    "<enable xmlns='urn:xmpp:sm:3'/>" BLOCK("b", ROMEO));
		rig_skip(juliet);
		world_send(juliet,
		    "<iq type='set' id='s'><query xmlns='jabber:iq:roster'>"
		    "<item jid='a@" VERONA "'/></query></iq><presence/>");
		world_break_store(world, ERR_FULL);
		world_step(world, i);
		world_break_store(world, ERR_NONE);
		world_sleep(world, 5000);
		CHECK_EQUAL(rig_hears(juliet, "<body>"), 0);
		world_free(&world);
	}
}

/* Section 3.3: presence of a blocked address is not answered, of whatever kind;
 * what it says of a subscription is kept all the same. */
static void
a_blocked_server_hears_nothing(void **state)
{
	static const struct {
		const char *type;
		unsigned before, after;
	} rows[] = {
	    {"subscribe", 3, 3},
	    {"subscribe", SUB_APPROVED, SUB_APPROVED | SUB_PENDING_IN},
	    {"unsubscribe", 3, SUB_TO},
	    {"unsubscribe", SUB_PENDING_IN, 0},
	    {"unsubscribed", 3, SUB_FROM},
	    {"probe", 3, 3},
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		struct world *world = rig_world(i + 1, 0, NULL);
		struct neighbour *verona = neighbour_new(world, VERONA);
		struct world_peer *romeo;
		char text[200];

		rig_put_sub(world, ROMEO, ESCALUS, rows[i].before);
		world_kill(world);
		romeo = rig_login(world, ROMEO "/orchard");
		rig_send(romeo, BLOCK("b", ESCALUS));
		world_sleep(world, 5000);
		while (neighbour_next(verona) != NULL)
			;
		rig_skip(romeo);
		neighbour_open(verona, "montague.example");
		snprintf(text, sizeof(text),
		    "<presence xmlns='jabber:client' from='" ESCALUS
		    "' to='" ROMEO "' type='%s'/>",
		    rows[i].type);
		neighbour_send(verona, text);
		world_sleep(world, 5000);
		assert_null(neighbour_next(verona));
		rig_expect_nothing(romeo);
		CHECK_EQUAL(rig_sub(world, ROMEO, ESCALUS), rows[i].after);
		world_free(&world);
	}
}

/* One resource of a contact is blocked: its other ones are not. */
static void
a_blocked_resource_sees_nobody_online(void **state)
{
	static const char *const blocks[] = {BLOCK("b", JULIET "/balcony"),
	    BLOCK("b", "capulet.example/balcony")};

	for (size_t i = 0; i < COUNT_OF(blocks); i++) {
		struct world *world = rig_world(i, 0, NULL);
		struct world_peer *romeo, *balcony, *garden;

		befriend(world);
		romeo = rig_login(world, ROMEO "/orchard");
		balcony = rig_login(world, JULIET "/balcony");
		garden = rig_login(world, JULIET "/garden");
		rig_skip(balcony);
		rig_skip(garden);
		rig_send(romeo, blocks[i]);
		rig_skip(romeo);
		rig_expect(balcony, "<presence type='unavailable'/>");
		rig_expect_nothing(balcony);
		rig_expect_nothing(garden);
		rig_send(romeo, "<presence><show>away</show></presence>");
		rig_expect(garden, "<presence from='" ROMEO "/orchard'/>");
		rig_expect_nothing(balcony);
		rig_send(romeo, "<presence to='" JULIET "' id='d'/>");
		rig_expect(garden, "<presence id='d'/>");
		rig_expect_nothing(balcony);
		rig_skip(romeo);
		rig_send(balcony, "<presence><show>xa</show></presence>");
		rig_expect_nothing(romeo);
		rig_send(garden, "<presence><show>xa</show></presence>");
		rig_expect(romeo, "<presence from='" JULIET "/garden'/>");
		rig_skip(balcony);
		rig_skip(garden);
		rig_send(romeo, "<presence type='unavailable'/>");
		rig_expect(garden, "<presence type='unavailable'/>");
		rig_expect_nothing(balcony);
		rig_send(romeo, "<presence/>");
		rig_expect(garden, "<presence from='" ROMEO "/orchard'/>");
		rig_expect_nothing(balcony);
		world_free(&world);
	}
}

/* He looks offline to her; but both rosters know that it is over. */
static void
a_blocked_contact_that_is_removed_sees_no_resource(void **state)
{
	struct world *world = rig_world(1, 0, NULL);
	struct world_peer *romeo, *juliet;

	(void)state;
	come(world, &romeo, &juliet);
	rig_send(romeo, BLOCK("b", JULIET));
	rig_skip(romeo);
	rig_skip(juliet);
	rig_send(romeo,
	    "<iq type='set' id='b'><query xmlns='jabber:iq:roster'>"
	    "<item jid='" JULIET "' subscription='remove'/></query></iq>");
	rig_expect(romeo, DONE);
	CHECK_EQUAL(rig_hears(juliet, "orchard"), 0);
	CHECK_EQUAL(rig_sub(world, ROMEO, JULIET), 0);
	CHECK_EQUAL(rig_sub(world, JULIET, ROMEO), 0);
	world_free(&world);
}

/* What the other side does to the subscription is not shown, but kept. */
static const struct {
	const char *type;
	unsigned before[2], after[2]; /* Romeo's, who blocks, and Juliet's */
} changes[] = {
    {"unsubscribe", {3, 3}, {SUB_TO, SUB_FROM}},
    {"unsubscribed", {3, 3}, {SUB_FROM, SUB_TO}},
    {"subscribe", {SUB_TO, SUB_FROM},
	{SUB_TO | SUB_PENDING_IN, SUB_FROM | SUB_ASK}},
    {"subscribe", {SUB_TO | SUB_APPROVED, SUB_FROM},
	{SUB_TO | SUB_APPROVED | SUB_PENDING_IN, SUB_FROM | SUB_ASK}},
    {"subscribed", {SUB_ASK, SUB_PENDING_IN}, {SUB_TO, SUB_FROM}},
};

static void
rosters_agree_in_spite_of_blocks(void **state)
{
	for (size_t i = 0; i < COUNT_OF(changes); i++) {
		struct world *world = rig_world(i, 0, NULL);
		struct world_peer *romeo, *juliet;
		char text[200];

		rig_put_subs(world, changes[i].before[0], changes[i].before[1]);
		romeo = rig_login(world, ROMEO "/orchard");
		rig_send(romeo, BLOCK("b", JULIET));
		rig_skip(romeo);
		juliet = rig_bind(world, JULIET "/balcony");
		snprintf(text, sizeof(text), "<presence type='%s' to='%s'/>",
		    changes[i].type, ROMEO);
		rig_send(juliet, text);
		rig_expect_nothing(romeo);
		rig_expect_nothing(juliet);
		CHECK_EQUAL(rig_sub(world, ROMEO, JULIET), changes[i].after[0]);
		CHECK_EQUAL(rig_sub(world, JULIET, ROMEO), changes[i].after[1]);
		CHECK_EQUAL(rig_outbox(world), 0);
		world_free(&world);
	}
}

/* The first is still on its way when the second frees what it told. */
static void
an_answer_is_of_its_moment(void **state)
{
	struct world *world = rig_world(1, 2, NULL);
	struct world_peer *romeo = rig_bind(world, ROMEO "/orchard");

	rig_send(romeo, BLOCK("b", "a@b"));
	rig_skip(romeo);
	rig_send(romeo, GET UNBLOCK("b", "a@b"));
	rig_expect(romeo,
	    "<iq type='result'><blocklist xmlns='" NS "'><item jid='a@b'/>"
	    "</blocklist></iq>");
	rig_skip(romeo);
	rig_send(romeo, GET);
	rig_expect(romeo,
	    "<iq type='result'><blocklist xmlns='" NS "'><item>{not}</item>"
	    "</blocklist></iq>");
	world_free(&world);
}

static void
the_list_has_a_quota_and_survives_a_store_that_fails(void **state)
{
	struct world *world = rig_world(1, 2, "quota.blocked: 1\n");
	struct world_peer *romeo = rig_bind(world, ROMEO "/orchard");

	world_break_store(world, ERR_UNAVAILABLE);
	rig_send(romeo, BLOCK("b", "a@b"));
	rig_expect(romeo, "<iq type='error' id='b'><error type='wait'/></iq>");
	world_break_store(world, ERR_NONE);
	world_sleep(world, 60000);
	rig_send(romeo, GET);
	rig_expect(romeo,
	    "<iq type='result'><blocklist xmlns='" NS "'><item>{not}</item>"
	    "</blocklist></iq>");
	rig_send(romeo, BLOCK("b", "a@b"));
	rig_skip(romeo);
	rig_send(romeo, BLOCK("b", "c@d"));
	rig_expect(romeo, RIG_ERROR("b", "wait", "resource-constraint"));
	rig_send(romeo, BLOCK("b", "a@b"));
	rig_expect(romeo, "<iq type='set'/>");
	rig_expect(romeo, DONE);
	world_free(&world);
}

#define MANY      66000
#define AT_A_TIME 1000

static void
many_kept(struct store_commit *commit)
{
	CHECK_EQUAL(commit->err, ERR_NONE);
}

/* Past the server, as rig_put does; all come before juliet's. */
static void
block_many(struct world *world)
{
	const struct account *account = rig_account(world, ROMEO);
	struct shard *shard = account->owner.shard;
	struct arena *arena = arena_make(0);
	struct store_commit commit;

	for (unsigned i = 0; i < MANY; i += AT_A_TIME) {
		struct store_write *write = store_write_new(shard->store);

		for (unsigned k = i; k < i + AT_A_TIME; k++)
			store_put(write, account->owner.id,
			    blocking_module.kinds[0],
			    str_format(arena, "a%u@b.example", k), STR(""));
		store_commit(write, &commit, many_kept);
		world->is_quiet[shard->index] = false;
		world_run(world);
	}
	arena_free(&arena);
}

/* As many as the quota allows are read, not some of them. */
static void
a_long_list_holds_whole(void **state)
{
	struct world *world = rig_world(1, 1, "quota.blocked: 1000000\n");
	struct world_peer *romeo = rig_bind(world, ROMEO "/orchard");
	struct world_peer *juliet;

	rig_send(romeo, BLOCK("b", JULIET));
	rig_expect(romeo, DONE);
	block_many(world);
	world_kill(world);
	romeo = rig_login(world, ROMEO "/orchard");
	juliet = rig_bind(world, JULIET "/balcony");
	rig_send(
	    juliet, "<message to='" ROMEO "' id='m'><body>x</body></message>");
	rig_expect(juliet,
	    "<message type='error' id='m'><error type='cancel'>"
	    "<service-unavailable xmlns='" STANZAS "'/></error></message>");
	rig_expect_nothing(romeo);
	world_free(&world);
}

/* What the server answers in the account's place, as its owner is away. */
static void
errors_of_the_account_itself_come_through(void **state)
{
	struct world *world = rig_world(1, 1, NULL);
	struct world_peer *romeo = rig_bind(world, ROMEO "/orchard");
	struct arena *arena = arena_make(0);

	(void)state;
	rig_send(romeo, BLOCK("b", "a@b"));
	rig_expect(romeo, DONE);
	world_break_store(world, ERR_UNAVAILABLE);
	shard_enter(&world->server.shards[0]);
	owner_reload(
	    owner_find(&world->server.shards[0], jid_parse(arena, STR(ROMEO))));
	rig_send(romeo, "<iq type='get' id='g'><q xmlns='u'/></iq>");
	world_break_store(world, ERR_NONE);
	world_sleep(world, 5000);
	rig_expect(romeo, "<iq type='error' id='g' from='" ROMEO
			  "'><error type='wait'/></iq>");
	arena_free(&arena);
	world_free(&world);
}

/* That of a stream is from nobody; who sent that hears of it all the same. */
static void
errors_from_nobody_outlive_their_session(void **state)
{
	struct world *world = rig_world(1, 0, NULL);
	struct world_peer *romeo = rig_bind(world, ROMEO "/orchard");
	char id[RIG_ID_LEN];

	(void)state;
	rig_send(romeo, BLOCK("b", "a@b"));
	rig_expect(romeo, DONE);
	rig_enable(romeo, id);
	rig_send(romeo, "<message to='@' id='m'><body>x</body></message>");
	rig_expect(romeo, "<message type='error' id='m'/>");
	world_cut(&romeo);
	world_sleep(world, 3600 * 1000);
	CHECK_EQUAL(rig_account(world, ROMEO)->session_count, 0);
	romeo = rig_bind(world, ROMEO "/orchard");
	rig_send(romeo, "<presence/>");
	CHECK(rig_finds(romeo, "<message type='error' id='m'/>"));
	world_free(&world);
}

/* But not where it ends without that. */
static void
errors_from_nobody_come_back_to_nobody(void **state)
{
	struct world *world = rig_world(1, 0, NULL);
	struct world_peer *romeo = rig_bind(world, ROMEO "/orchard");

	(void)state;
	rig_send(romeo, BLOCK("b", "a@b"));
	rig_expect(romeo, DONE);
	rig_send(romeo, "<enable xmlns='urn:xmpp:sm:3'/>");
	rig_send(romeo, "<message to='@' id='m'><body>x</body></message>");
	world_cut(&romeo);
	world_sleep(world, 10 * 1000);
	CHECK_EQUAL(rig_account(world, ROMEO)->session_count, 0);
	world_free(&world);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(requests_are_checked),
	    cmocka_unit_test(changes_are_pushed_to_who_asked),
	    cmocka_unit_test(blocked_addresses_get_no_word_through),
	    cmocka_unit_test(a_blocked_contact_sees_nobody_online),
	    cmocka_unit_test(presence_to_who_is_blocked_is_refused),
	    cmocka_unit_test(what_two_items_block_is_shown_without_both),
	    cmocka_unit_test(what_cannot_be_kept_is_not_shown),
	    cmocka_unit_test(changes_that_undo_each_other_fail_together),
	    cmocka_unit_test(what_was_kept_after_all_is_shown),
	    cmocka_unit_test(who_is_blocked_otherwise_hears_of_no_failure),
	    cmocka_unit_test(it_holds_while_it_is_loaded_anew),
	    cmocka_unit_test(a_blocked_server_hears_nothing),
	    cmocka_unit_test(a_blocked_resource_sees_nobody_online),
	    cmocka_unit_test(
		a_blocked_contact_that_is_removed_sees_no_resource),
	    cmocka_unit_test(an_answer_is_of_its_moment),
	    cmocka_unit_test(rosters_agree_in_spite_of_blocks),
	    cmocka_unit_test(
		the_list_has_a_quota_and_survives_a_store_that_fails),
	    cmocka_unit_test(a_long_list_holds_whole),
	    cmocka_unit_test(errors_of_the_account_itself_come_through),
	    cmocka_unit_test(errors_from_nobody_outlive_their_session),
	    cmocka_unit_test(errors_from_nobody_come_back_to_nobody),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

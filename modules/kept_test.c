/* Sessions that can be resumed, and a server that crashes: XEP-0198, section 5,
 * and what contacts are told. */
#include "server/kept.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "modules/modules_rig.h"
#include "modules/roster.h"
#include "server/world_private.h"

#define SM "urn:xmpp:sm:3"

/* Romeo with a session that can be resumed by *id; Juliet sees him. */
static struct world_peer *
enable(struct world *world, char *id)
{
	struct world_peer *romeo = rig_login(world, ROMEO "/orchard");

	rig_skip(romeo);
	rig_enable(romeo, id);
	return romeo;
}

static void
befriend(struct world *world)
{
	struct world_peer *romeo = rig_login(world, ROMEO "/setup");
	struct world_peer *juliet = rig_login(world, JULIET "/setup");

	rig_send(romeo, "<presence type='subscribe' to='" JULIET "'/>");
	rig_send(juliet, "<presence type='subscribed' to='" ROMEO "'/>");
	CHECK_EQUAL(rig_sub(world, JULIET, ROMEO), SUB_FROM);
	rig_send(juliet, "<presence type='subscribe' to='" ROMEO "'/>");
	rig_send(romeo, "<presence type='subscribed' to='" JULIET "'/>");
	world_cut(&romeo);
	world_cut(&juliet);
	world_run(world);
}

static void
a_crash_ends_it(void **state)
{
	(void)state;
	for (uint64_t seed = 1; seed <= 20; seed++) {
		struct world *world = rig_world(seed, 0, NULL);
		struct world_peer *romeo, *juliet;
		char id[RIG_ID_LEN];

		befriend(world);
		romeo = enable(world, id);
		rig_send(romeo,
		    "<message to='" JULIET "' id='m1'><body>1</body></message>"
		    "<r xmlns='" SM "'/>");
		CHECK(rig_finds(romeo, "<a xmlns='" SM "' h='1'/>"));
		world_sleep(world, 2000);
		world_kill(world);
		juliet = rig_bind(world, JULIET "/balcony");
		rig_send(juliet, "<presence/>");
		CHECK(
		    rig_finds(juliet, "<presence from='" ROMEO "/orchard'/>"));
		rig_come_back(world, ROMEO, id, 0,
		    "<failed xmlns='" SM
		    "' h='1'><item-not-found xmlns='" STANZAS "'/></failed>");
		world_sleep(world, 65 * 1000);
		CHECK(rig_finds(juliet,
		    "<presence from='" ROMEO "/orchard' type='unavailable'/>"));
		world_free(&world);
	}
}

static void
who_binds_anew_after_a_crash_is_there(void **state)
{
	struct world *world = rig_world(1, 0, NULL);
	struct world_peer *juliet;
	char id[RIG_ID_LEN];

	(void)state;
	befriend(world);
	(void)enable(world, id);
	world_sleep(world, 2000);
	world_kill(world);
	juliet = rig_login(world, JULIET "/balcony");
	(void)rig_login(world, ROMEO "/orchard");
	rig_skip(juliet);
	world_sleep(world, 120 * 1000);
	rig_expect_nothing(juliet);
	world_free(&world);
}

static void
messages_of_a_session_that_nobody_resumes_are_kept(void **state)
{
	(void)state;
	for (uint64_t seed = 1; seed <= 20; seed++) {
		struct world *world = rig_world(seed, 0, NULL);
		struct world_peer *romeo, *juliet;
		char id[RIG_ID_LEN];

		romeo = enable(world, id);
		world_cut(&romeo);
		juliet = rig_login(world, JULIET "/balcony");
		rig_send(juliet,
		    "<message to='" ROMEO
		    "/orchard' id='m1' type='chat'><body>1</body></message>");
		world_restart(world);
		world_sleep(world, 15 * 60 * 1000);
		romeo = rig_bind(world, ROMEO "/garden");
		rig_send(romeo, "<presence/>");
		CHECK(rig_finds(romeo, "<message id='m1'/>"));
		world_free(&world);
	}
}

static void
send_numbers(struct world_peer *peer, unsigned from)
{
	char text[160];

	for (unsigned i = from; i < from + 5; i++) {
		snprintf(text, sizeof(text),
		    "<message to='" ROMEO "' type='chat' id='m%u'>"
		    "<body>%u</body></message>",
		    i, i);
		rig_send(peer, text);
	}
}

/* What it was sent comes back when its time is over: also while the account is
 * being loaded anew, so that newer ones wait. */
static void
a_session_ends_before_what_came_later(void **state)
{
	(void)state;
	for (uint64_t seed = 1; seed <= 20; seed++) {
		struct world *world = rig_world(
		    seed, 0, "modules.archive: off\nsessions.resume: 60 s\n");
		struct world_peer *romeo, *garden, *juliet;
		char id[RIG_ID_LEN], wanted[64];

		romeo = enable(world, id);
		rig_send(romeo, "<presence><priority>5</priority></presence>");
		garden = rig_login(world, ROMEO "/garden");
		juliet = rig_login(world, JULIET "/balcony");
		world_cut(&romeo);
		world_run(world);
		send_numbers(juliet, 0);
		world_sleep(world, 50 * 1000);
		rig_skip(garden);

		world_break_store(world, ERR_IO);
		rig_send(garden,
		    "<iq type='set' id='s'><query xmlns='jabber:iq:roster'>"
		    "<item jid='nurse@montague.example'/></query></iq>");
		world_break_store(world, ERR_NONE);
		world_hold_store(world, true);
		send_numbers(juliet, 5);
		world_sleep(world, 15 * 1000);
		world_hold_store(world, false);
		world_sleep(world, 5 * 1000);
		for (unsigned i = 0; i < 10; i++) {
			snprintf(
			    wanted, sizeof(wanted), "<message id='m%u'/>", i);
			CHECK(rig_finds(garden, wanted));
		}
		world_free(&world);
	}
}

/* Its row was committed, and the sender not told. */
static void
what_is_sent_again_after_a_crash_comes_once(void **state)
{
	static const struct {
		const char *message;
		unsigned count; /* with the first one */
	} rows[] = {
	    {"<message to='" JULIET "' id='m1'><body>1</body></message>", 1},
	    {"<message to='" JULIET "' id='m1'><body>2</body></message>", 2},
	    {"<message to='" JULIET "' id='m2'><body>1</body></message>", 2},
	};
	static const char *const settings[] = {
	    NULL, "modules: {archive: false}\n"};

	(void)state;
	for (unsigned i = 0; i < 6; i++) {
		struct world *world = rig_world(i, 0, settings[i % 2]);
		struct world_peer *romeo = rig_bind(world, ROMEO "/orchard");
		struct world_peer *juliet;

		rig_send(romeo, rows[0].message);
		world_sleep(world, 2000);
		world_kill(world);
		juliet = rig_bind(world, JULIET "/balcony");
		rig_send(juliet, "<presence/>");
		romeo = rig_bind(world, ROMEO "/garden");
		rig_send(romeo, rows[i / 2].message);
		CHECK_EQUAL(rig_hears(juliet, "<message"), rows[i / 2].count);
		world_free(&world);
	}
}

/* Until he has the error, a message that was refused counts as not handled when
 * the session is lost; also after a restart that kept the session. */
static void
what_was_refused_is_not_handled(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 2; i++) {
		struct world *world = rig_world(i, 0, NULL);
		char id[RIG_ID_LEN];
		struct world_peer *romeo = enable(world, id);

		rig_send(romeo, "<presence/>");
		world_break_store(world, ERR_UNAVAILABLE);
		rig_send(romeo, "<message to='" JULIET
				"' id='m1'><body>1</body></message>");
		CHECK(rig_finds(romeo, "<message type='error' id='m1'/>"));
		world_break_store(world, ERR_NONE);
		world_sleep(world, 60 * 1000);
		rig_send(romeo, "<r xmlns='" SM "'/>");
		CHECK(rig_finds(romeo, "<a xmlns='" SM "' h='2'/>"));
		if (i == 1)
			world_restart(world);
		world_sleep(world, 2000);
		world_kill(world);
		rig_come_back(world, ROMEO, id, 0,
		    "<failed xmlns='" SM
		    "' h='1'><item-not-found xmlns='" STANZAS "'/></failed>");
		world_free(&world);
	}
}

/* How many of his messages are there, and how many he is told to be handled,
 * when the server is killed so soon after the store works again. */
static bool
overflow(unsigned step, unsigned *h, unsigned *count)
{
	struct world *world = rig_world(1, 0,
	    "modules.archive: off\nlimits.rate: 0\nsessions.queue: 10000\n");
	char id[RIG_ID_LEN];
	struct world_peer *romeo = enable(world, id), *juliet;
	const char *text;
	bool was_killed;

	world_hold_store(world, true);
	for (unsigned i = 0; i < 3; i++)
		world_send(
		    romeo, "<message to='" JULIET "'><body>1</body></message>");
	for (unsigned i = 0; i < 4200; i++)
		world_send(romeo, "<iq/>");
	world_run(world);
	CHECK(world_is_closed(romeo));
	world_hold_store(world, false);
	world_kill_after(world, step);
	world_sleep(world, 100);
	was_killed = world_was_killed(world);
	if (!was_killed)
		world_sleep(world, 2000);
	romeo = world_connect(world, ROMEO);
	rig_resume(romeo, id, 0);
	text = world_next(romeo);
	*h = 0;
	if (text != NULL && strstr(text, " h='") != NULL)
		*h = (unsigned)strtoul(strstr(text, " h='") + 4, NULL, 10);
	juliet = rig_bind(world, JULIET "/balcony");
	rig_send(juliet, "<presence/>");
	*count = rig_hears(juliet, "<message");
	world_free(&world);
	return was_killed;
}

/* Nothing is counted that would be taken for what stands a window before it. */
static void
too_much_at_once_is_not_taken_for_handled(void **state)
{
	unsigned h = 0, count = 0;

	(void)state;
	for (unsigned step = 1; overflow(step, &h, &count); step++)
		if (count < 3 && h > count)
			fail_msg("step %u: h is %u, of 3 there are %u", step, h,
			    count);
	CHECK_EQUAL(count, 3);
	CHECK_EQUAL(h, 4096);
}

/* What he did not hear before his session was over goes to his next one. */
static void
errors_outlive_sessions(void **state)
{
	struct world *world = rig_world(1, 0, NULL);
	char id[RIG_ID_LEN];
	struct world_peer *romeo = enable(world, id);

	(void)state;
	world_break_store(world, ERR_UNAVAILABLE);
	rig_send(
	    romeo, "<message to='" JULIET "' id='m1'><body>1</body></message>");
	world_cut(&romeo);
	world_break_store(world, ERR_NONE);
	world_sleep(world, 15 * 60 * 1000);
	rig_come_back(world, ROMEO, id, 0, "<failed xmlns='" SM "' h='1'/>");
	romeo = rig_bind(world, ROMEO "/garden");
	rig_send(romeo, "<presence/>");
	CHECK(rig_finds(romeo, "<message type='error' id='m1'/>"));
	world_free(&world);
}

/* What has a row of its own, and comes again by it, is not in the session's: so
 * it does not count as sent before. */
static void
what_comes_again_is_counted_once(void **state)
{
	(void)state;
	for (uint64_t seed = 1; seed <= 10; seed++) {
		struct world *world = rig_world(seed, 0, NULL);
		char id[RIG_ID_LEN];
		struct world_peer *romeo = enable(world, id), *juliet;

		world_cut(&romeo);
		world_run(world);
		rig_outbox_add(world,
		    "<message xmlns='jabber:client' type='error' id='m1'"
		    " from='x@verona.example' to='" ROMEO "/orchard'/>",
		    0);
		world_restart(world);
		world_run(world);
		juliet = rig_login(world, JULIET "/balcony");
		rig_send(juliet, "<message type='headline' id='h1' to='" ROMEO
				 "/orchard'/>");
		world_cut(&juliet);
		world_restart(world);
		world_run(world);
		romeo = rig_come_back(
		    world, ROMEO, id, 0, "<resumed xmlns='" SM "'/>");
		CHECK_EQUAL(rig_hears(romeo, "<message"), 2);
		world_cut(&romeo);
		world_run(world);
		romeo = rig_come_back(
		    world, ROMEO, id, 2, "<resumed xmlns='" SM "'/>");
		CHECK_EQUAL(rig_hears(romeo, "<message"), 0);
		world_free(&world);
	}
}

/* What a store that failed is to be asked for again later, is before the end.
 */
static void
what_is_written_later_is_before_a_restart(void **state)
{
	(void)state;
	for (uint64_t seed = 1; seed <= 10; seed++) {
		struct world *world = rig_world(seed, 0, NULL);
		char id[RIG_ID_LEN];
		struct world_peer *romeo = enable(world, id);
		struct world_peer *juliet = rig_login(world, JULIET "/balcony");

		world_break_store(world, ERR_UNAVAILABLE);
		rig_send(romeo, "<message to='" JULIET
				"' id='m1'><body>1</body></message>");
		CHECK(rig_finds(juliet, "<message id='m1'/>"));
		world_sleep(world, 70 * 1000);
		world_break_store(world, ERR_NONE);
		rig_send(romeo, "<r xmlns='" SM "'/>");
		world_sleep(world, 100);
		CHECK(rig_finds(romeo, "<a xmlns='" SM "' h='0'/>"));
		world_restart(world);
		rig_come_back(
		    world, ROMEO, id, 0, "<resumed xmlns='" SM "' h='1'/>");
		world_free(&world);
	}
}

/* The row of before a restart stays, for the disk is full: after a crash it
 * would tell of a session that had not been sent what its client has. */
static void
nobody_resumes_what_a_crash_would_bring_back(void **state)
{
	(void)state;
	for (uint64_t seed = 1; seed <= 10; seed++) {
		struct world *world = rig_world(seed, 0, NULL);
		char id[RIG_ID_LEN], xml[256];
		struct world_peer *romeo = enable(world, id), *juliet;

		world_restart(world);
		world_break_store(world, ERR_FULL);
		world_run(world);
		romeo = world_connect(world, ROMEO);
		snprintf(xml, sizeof(xml),
		    "<resume xmlns='" SM "' previd='%s' h='0'/>", id);
		rig_send(romeo, xml);
		rig_expect_nothing(romeo);
		world_break_store(world, ERR_NONE);
		world_sleep(world, 2000);
		rig_expect(romeo, "<resumed xmlns='" SM "'/>");
		juliet = rig_bind(world, JULIET "/balcony");
		rig_send(juliet,
		    "<message to='" ROMEO
		    "/orchard' id='m1' type='chat'><body>1</body></message>");
		CHECK(rig_finds(romeo, "<message id='m1'/>"));
		world_kill(world);
		juliet = rig_bind(world, JULIET "/balcony");
		rig_send(juliet,
		    "<message to='" ROMEO
		    "/orchard' id='m2' type='chat'><body>2</body></message>");
		rig_come_back(world, ROMEO, id, 0, "<failed xmlns='" SM "'/>");
		romeo = rig_bind(world, ROMEO "/orchard");
		rig_send(romeo, "<presence/>");
		CHECK(rig_finds(romeo, "<message id='m2'/>"));
		world_free(&world);
	}
}

/* What a slow store commits when sessions were written down adds to that. */
static void
what_is_settled_last_is_in_the_whole_row(void **state)
{
	(void)state;
	for (uint64_t seed = 1; seed <= 10; seed++) {
		struct world *world = rig_world(seed, 0, NULL);
		char id[RIG_ID_LEN];
		struct world_peer *romeo = enable(world, id);

		world_hold_store(world, true);
		rig_send(romeo, "<message to='" JULIET
				"' id='m1'><body>1</body></message>");
		for (unsigned i = 0; i < world->server.shard_count; i++) {
			shard_enter(&world->server.shards[i]);
			kept_save_all(&world->server.shards[i]);
			world->is_quiet[i] = false;
		}
		world_hold_store(world, false);
		world_sleep(world, 3000);
		world_kill(world);
		rig_come_back(
		    world, ROMEO, id, 0, "<resumed xmlns='" SM "' h='1'/>");
		world_free(&world);
	}
}

/* What waits for a read is no reason to send it again; what is to be written
 * is. Answers come later. */
static void
questions_hold_no_acknowledgement(void **state)
{
	static const struct {
		const char *asked, *told;
	} rows[] = {
	    {"<iq type='get' id='q'><vCard xmlns='vcard-temp'/></iq>", "1"},
	    {"<iq type='get' id='q' to='" JULIET
	     "'><vCard xmlns='vcard-temp'/></iq>",
		"1"},
	    {"<iq type='set' id='q'><query xmlns='urn:xmpp:mam:2'/></iq>", "1"},
	    {"<iq type='set' id='q'><vCard xmlns='vcard-temp'><FN>R</FN>"
	     "</vCard></iq>",
		"0"},
	    {"<iq type='set' id='q'><query xmlns='jabber:iq:private'>"
	     "<x xmlns='y'/></query></iq>",
		"0"},
	};

	(void)state;
	for (uint64_t seed = 0; seed < 4 * COUNT_OF(rows); seed++) {
		const unsigned i = (unsigned)seed % COUNT_OF(rows);
		struct world *world = rig_world(seed, 0, NULL);
		char id[RIG_ID_LEN], told[64];
		struct world_peer *juliet = rig_login(world, JULIET "/balcony");
		struct world_peer *romeo = enable(world, id);

		(void)juliet;
		world_hold_store(world, true);
		rig_send(romeo, rows[i].asked);
		rig_send(romeo, "<r xmlns='" SM "'/>");
		world_sleep(world, 50);
		snprintf(told, sizeof(told), "<a xmlns='" SM "' h='%s'/>",
		    rows[i].told);
		rig_expect(romeo, told);
		rig_expect_nothing(romeo);
		world_hold_store(world, false);
		world_sleep(world, 1000);
		CHECK(rig_finds(romeo, "<iq type='{any}' id='q'/>"));
		rig_skip(romeo);
		rig_send(romeo, "<r xmlns='" SM "'/>");
		rig_expect(romeo, "<a xmlns='" SM "' h='1'/>");
		world_free(&world);
	}
}

/* --- rows of other releases ---------------------------------------------- */

/* What this release writes of a session that its restart found: frozen, so that
 * those of the next ones go on with it. Only add to these. */
#define ROW(state, more)                                                       \
	"<session xmlns='urn:jackdaw:session:1' state='" state "' "            \
	"resource='orchard' h='3' time='1795255208000000' acked='4' "          \
	"left='593000' wait='600000' since='1795255200000000' "                \
	"address='198.51.0.2:40000' mechanism='PLAIN' tls='TLS1.3' lang='en' " \
	"sent='5' priority='7'><item sent='1795255200000000' to='" ROMEO       \
	"/orchard'>&lt;message from='" JULIET                                  \
	"/balcony' id='m1' type='chat'&gt;&lt;body&gt;1&lt;/body&gt;"          \
	"&lt;/message&gt;</item><presence>&lt;presence xmlns='jabber:client' " \
	"from='" ROMEO "/orchard' xml:lang='en'/&gt;</presence>"               \
	"<announced xmlns='urn:jackdaw:presence:1'/>"                          \
	"<directed xmlns='urn:jackdaw:presence:1'>" JULIET "</directed>" more  \
	"<enable xmlns='urn:xmpp:carbons:2'/>"                                 \
	"<interested xmlns='jabber:iq:roster'/>"                               \
	"<interested xmlns='urn:xmpp:blocking'/></session>"

static const char *const released[] = {
    ROW("whole", "<archive xmlns='urn:jackdaw:archive:sent:1' queried='0' "
		 "sent='1' read='0'/><offline "
		 "xmlns='urn:jackdaw:offline:sent:1' sent='0' read='0'/>"
		 "<push xmlns='urn:xmpp:push:0' told='0'/>"),
    /* Without modules that had nothing to say, */
    ROW("whole", ""),
    /* and with what only a later one knows. */
    ROW("whole' of='the future", "<new xmlns='urn:example:future'>x</new>"),
};

/* Past the server, which sees it at its next start. */
static void
put_row(struct world *world, struct str key, struct str text)
{
	struct shard *shard = &world->server.shards[0];
	struct store_write *write;

	shard_enter(shard);
	write = store_write_new(shard->store);
	store_put(write, OWNER_SERVER, &kept_kind, key, text);
	store_commit(write, NULL, NULL);
	world_hold_store(world, false);
	world_run(world);
}

static void
who_was_kept_by_another_release_goes_on(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 2 * COUNT_OF(released); i++) {
		struct world *world = rig_world(i, 0, NULL);
		struct world_peer *romeo, *garden, *juliet;
		struct arena *arena = arena_make(0);

		put_row(world, store_key2(arena, STR(ROMEO), STR("s1")),
		    str_of(released[i / 2]));
		arena_free(&arena);
		world_kill(world);
		world_run(world);
		romeo = rig_come_back(world, ROMEO, "s1", 4,
		    "<resumed xmlns='" SM "' previd='s1' h='3'/>");
		rig_expect(romeo, "<message id='m1'><body>1</body></message>");
		garden = rig_bind(world, ROMEO "/garden");
		juliet = rig_login(world, JULIET "/balcony");
		rig_send(juliet, "<message to='" ROMEO "/garden' type='chat'>"
				 "<body>2</body></message>");
		CHECK(rig_finds(romeo, "<message><received "
				       "xmlns='urn:xmpp:carbons:2'/>"
				       "</message>"));
		rig_send(garden,
		    "<iq type='set' id='r'><query xmlns='jabber:iq:roster'>"
		    "<item jid='" JULIET "'/></query></iq><iq type='set' "
		    "id='b'><block xmlns='urn:xmpp:blocking'>"
		    "<item jid='tybalt@capulet.example'/></block></iq>");
		CHECK(rig_finds(romeo, "<iq type='set'><query "
				       "xmlns='jabber:iq:roster'/></iq>"));
		CHECK(rig_finds(romeo, "<iq type='set'><block "
				       "xmlns='urn:xmpp:blocking'/></iq>"));
		rig_send(romeo, "<presence type='unavailable'/>");
		CHECK(rig_finds(juliet,
		    "<presence type='unavailable' from='" ROMEO "/orchard'/>"));
		world_free(&world);
	}
}

/* --- counters ------------------------------------------------------------ */

/* One was sent since it acknowledged 2^32 - 1, and as many are handled. */
#define MANY                                                          \
	"<session xmlns='urn:jackdaw:session:1' state='whole' "       \
	"resource='orchard' h='4294967295' time='1795255208000000' "  \
	"left='593000' wait='600000' since='1795255200000000' "       \
	"sent='4294967296'><item sent='1795255200000000' to='" ROMEO  \
	"/orchard'>&lt;message from='" JULIET                         \
	"/balcony' id='m1' type='chat'&gt;&lt;body&gt;1&lt;/body&gt;" \
	"&lt;/message&gt;</item></session>"

static void
counters_begin_again_after_four_billions(void **state)
{
	struct world *world = rig_world(1, 0, NULL);
	struct world_peer *romeo;
	struct arena *arena = arena_make(0);

	(void)state;
	put_row(world, store_key2(arena, STR(ROMEO), STR("s1")), STR(MANY));
	arena_free(&arena);
	world_kill(world);
	world_run(world);
	romeo = rig_come_back(world, ROMEO, "s1", UINT32_MAX,
	    "<resumed xmlns='" SM "' previd='s1' h='4294967295'/>");
	rig_expect(romeo, "<message id='m1'/>");
	rig_skip(romeo);
	rig_send(romeo, "<message to='" JULIET "'><body>1</body></message>"
			"<r xmlns='" SM "'/><a xmlns='" SM "' h='0'/>");
	CHECK(rig_finds(romeo, "<a xmlns='" SM "' h='0'/>"));
	rig_send(romeo, "<message to='" JULIET "'><body>2</body></message>"
			"<r xmlns='" SM "'/>");
	CHECK(rig_finds(romeo, "<a xmlns='" SM "' h='1'/>"));
	rig_send(romeo, "<a xmlns='" SM "' h='1'/>");
	CHECK(
	    rig_finds(romeo, "<stream:error><handled-count-too-high xmlns='" SM
			     "' h='1' send-count='0'/></stream:error>"));
	world_free(&world);
}

/* --- rows of another version --------------------------------------------- */

static void
row_came(struct store_scan *scan)
{
	CHECK_EQUAL(scan->err, ERR_NONE);
}

/* The only row is changed so that its first part is the second. */
static void
change_row(struct world *world, const char *part, const char *other)
{
	struct arena *arena = arena_make(0);
	struct shard *shard = &world->server.shards[0];
	struct store_scan scan;
	struct str before, after;

	shard_enter(shard);
	store_scan(shard->store, &scan, arena,
	    &(struct map_query){
		.owner = OWNER_SERVER, .kind = &kept_kind, .max = 2},
	    row_came);
	world_hold_store(world, false);
	world_run(world);
	CHECK_EQUAL(scan.count, 1);
	before = scan.rows[0].value;
	after = str_of(strstr(before.text, part));
	put_row(world, scan.rows[0].key,
	    str_format(arena, "%.*s%s%s", (int)(after.text - before.text),
		before.text, other, after.text + strlen(part)));
	arena_free(&arena);
}

static void
a_row_of_another_version_is_refused(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 4; i++) {
		struct world *world = rig_world(i, 0, NULL);
		char id[RIG_ID_LEN];
		struct world_peer *juliet, *romeo = enable(world, id);

		juliet = rig_bind(world, JULIET "/balcony");
		rig_send(juliet,
		    "<message to='" ROMEO
		    "/orchard' id='m1' type='chat'><body>1</body></message>");
		if (i < 2)
			world_restart(world);
		else
			world_sleep(world, 2000);
		change_row(world, "urn:jackdaw:session:1",
		    i % 2 == 0 ? "urn:jackdaw:session:9" : "<");
		world_kill(world);
		world_run(world);
		CHECK(!rig_has(world, OWNER_SERVER, &kept_kind));
		rig_come_back(world, ROMEO, id, 0,
		    "<failed xmlns='" SM
		    "' h='{none}'><item-not-found xmlns='" STANZAS
		    "'/></failed>");
		romeo = rig_bind(world, ROMEO "/orchard");
		rig_send(romeo, "<presence/>");
		CHECK(rig_finds(romeo, "<message id='m1'/>"));
		world_free(&world);
	}
}

/* There are as many as sessions. A chunk of memory is twice as large as the one
 * before it: what modules keep of an account must leave room for its head. */
static void
who_is_there_takes_little_memory(void **state)
{
	struct world *world = rig_world(1, 0, NULL);
	const struct account *account;

	(void)rig_login(world, ROMEO "/orchard");
	account = rig_account(world, ROMEO);
	CHECK(arena_len(account->owner.arena) <= 2048);
	session_each (session, account)
		CHECK(arena_len(session->arena) <= 1024);
	world_free(&world);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(a_crash_ends_it),
	    cmocka_unit_test(who_binds_anew_after_a_crash_is_there),
	    cmocka_unit_test(a_session_ends_before_what_came_later),
	    cmocka_unit_test(
		messages_of_a_session_that_nobody_resumes_are_kept),
	    cmocka_unit_test(what_is_sent_again_after_a_crash_comes_once),
	    cmocka_unit_test(what_was_refused_is_not_handled),
	    cmocka_unit_test(too_much_at_once_is_not_taken_for_handled),
	    cmocka_unit_test(errors_outlive_sessions),
	    cmocka_unit_test(what_comes_again_is_counted_once),
	    cmocka_unit_test(who_was_kept_by_another_release_goes_on),
	    cmocka_unit_test(counters_begin_again_after_four_billions),
	    cmocka_unit_test(a_row_of_another_version_is_refused),
	    cmocka_unit_test(nobody_resumes_what_a_crash_would_bring_back),
	    cmocka_unit_test(what_is_settled_last_is_in_the_whole_row),
	    cmocka_unit_test(questions_hold_no_acknowledgement),
	    cmocka_unit_test(what_is_written_later_is_before_a_restart),
	    cmocka_unit_test(who_is_there_takes_little_memory),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

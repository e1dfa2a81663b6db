/* Full text search (XEP-0431) in archives that are large, and not indexed yet.
 */
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/err.h"
#include "modules/archive.h"
#include "modules/modules_rig.h"
#include "server/world_private.h"

#define KIND  (archive_module.kinds[0])
#define ROWS  20500
#define BATCH 500
#define MAM   "urn:xmpp:mam:2"
#define RSM   "http://jabber.org/protocol/rsm"
#define FIN(attributes) \
	"<iq type='result' id='q'><fin xmlns='" MAM "' " attributes "/></iq>"

static void
committed(struct store_commit *commit)
{
	CHECK_EQUAL(commit->err, ERR_NONE);
}

/* All rows say "love", the oldest one "nightingale". */
static void
fill(struct world *world, unsigned rows)
{
	const owner_id owner = rig_account(world, JULIET)->owner.id;
	struct shard *shard = &world->server.shards[0];
	const uint64_t first = clock_wall_us() - ROWS;

	for (unsigned i = 0; i < rows; i += BATCH) {
		struct arena *arena = arena_make(0);
		struct store_commit commit;
		struct store_write *write;

		shard_enter(shard);
		write = store_write_new(shard->store);
		for (unsigned k = i; k < i + BATCH; k++)
			store_append(write, KIND,
			    &(struct log_row){.owner = owner,
				.id = first + k,
				.nonce = k + 1,
				.time_us = first + k,
				.peer = STR(ROMEO "/orchard"),
				.value = str_format(arena,
				    "<message xmlns='jabber:client' "
				    "from='" ROMEO "/orchard' to='" JULIET
				    "' id='m%u' type='chat'><body>%s love"
				    "</body></message>",
				    k, k == 0 ? "nightingale" : "my")});
		store_commit(write, &commit, committed);
		world_hold_store(world, false);
		world_run(world);
		arena_free(&arena);
	}
	/* What is in memory of the account does not know of them. */
	world_kill(world);
	world_run(world);
}

static struct world *
begin(unsigned rows, struct world_peer **juliet_r)
{
	struct world *world = rig_world(1, 2, NULL);

	fill(world, rows);
	*juliet_r = rig_bind(world, JULIET "/balcony");
	return world;
}

static void
begin_to_ask(struct world_peer *peer, const char *word, const char *set)
{
	char text[600];

	snprintf(text, sizeof(text),
	    "<iq type='set' id='q'><query xmlns='" MAM "'>"
	    "<x xmlns='jabber:x:data' type='submit'><field var='FORM_TYPE'>"
	    "<value>" MAM "</value></field><field "
	    "var='&#123;urn:xmpp:fulltext:0&#125;fulltext'><value>%s</value>"
	    "</field></x><set xmlns='" RSM "'>%s</set></query></iq>",
	    word, set);
	world_send(peer, text);
}

static void
ask(struct world_peer *peer, const char *word, const char *set)
{
	begin_to_ask(peer, word, set);
	world_run(peer->world);
}

static void
expect_row(struct world_peer *peer, const char *id)
{
	char text[300];

	snprintf(text, sizeof(text),
	    "<message><result xmlns='" MAM
	    "'><forwarded xmlns='urn:xmpp:forward:0'><message "
	    "xmlns='jabber:client' id='%s'/></forwarded></result></message>",
	    id);
	rig_expect(peer, text);
}

/* --- many rows ------------------------------------------------------------ */

/* The first search has its answer, too. */
static void
a_rare_word_is_found_among_many_rows(void **state)
{
	struct world_peer *juliet;
	struct world *world = begin(ROWS, &juliet);

	(void)state;
	ask(juliet, "nightingale", "<max>10</max><before/>");
	expect_row(juliet, "m0");
	rig_expect(juliet, FIN("complete='true'"));
	ask(juliet, "lark", "<max>10</max><before/>");
	rig_expect(juliet, FIN("complete='true'"));
	world_free(&world);
}

/* The id in what came last, an answer; false when it is complete. */
static bool
read_last(struct world_peer *peer, char last[static 40], unsigned *rows)
{
	const char *text, *at;

	for (;;) {
		text = world_next(peer);
		must(text != NULL);
		if (strncmp(text, "<message", 8) != 0)
			break;
		++*rows;
	}
	CHECK(strstr(text, "type='result'") != NULL);
	at = strstr(text, "<last>");
	must(at != NULL);
	snprintf(last, 40, "%.32s", at + strlen("<last>"));
	return strstr(text, "complete='true'") == NULL;
}

static void
pages_of_a_common_word_have_all_rows(void **state)
{
	struct world_peer *juliet;
	struct world *world = begin(ROWS, &juliet);
	char set[120] = "<max>250</max>", last[40];
	unsigned rows = 0;

	(void)state;
	ask(juliet, "love", set);
	while (read_last(juliet, last, &rows)) {
		snprintf(
		    set, sizeof(set), "<max>250</max><after>%s</after>", last);
		ask(juliet, "love", set);
	}
	CHECK_EQUAL(rows, ROWS);
	world_free(&world);
}

/* --- a slow store --------------------------------------------------------- */

/* Nobody waits for ever; meanwhile it goes on, and who searches again finds. */
static void
who_waited_in_vain_searches_again(void **state)
{
	struct world_peer *juliet;
	struct world *world = begin(5000, &juliet);

	(void)state;
	world_hold_store(world, true);
	ask(juliet, "nightingale", "");
	world_sleep(world, 9000);
	rig_expect_nothing(juliet);
	world_sleep(world, 2000);
	rig_expect(juliet, RIG_ERROR("q", "wait", "resource-constraint"));
	world_hold_store(world, false);
	world_run(world);
	world_hold_store(world, true);
	ask(juliet, "nightingale", "");
	world_hold_store(world, false);
	world_run(world);
	expect_row(juliet, "m0");
	rig_expect(juliet, FIN("complete='true'"));
	world_free(&world);
}

/* Two that ask at once wait for the same; what came meanwhile is found, too. */
static void
several_wait_for_one_index(void **state)
{
	(void)state;
	for (unsigned steps = 1; steps < 400; steps += 13) {
		struct world_peer *juliet;
		struct world *world = begin(1000, &juliet);
		struct world_peer *other = rig_bind(world, JULIET "/chamber");
		struct world_peer *romeo = rig_bind(world, ROMEO "/orchard");

		world_hold_store(world, true);
		ask(juliet, "nightingale", "");
		world_hold_store(world, false);
		(void)world_step(world, steps);
		world_send(romeo, "<message type='chat' to='" JULIET
				  "' id='n'><body>The lark</body></message>");
		(void)world_step(world, 30);
		ask(other, "lark", "");
		expect_row(juliet, "m0");
		rig_expect(juliet, FIN("complete='true'"));
		while (rig_finds(other, FIN("complete='{none}'")))
			ask(other, "lark", "");
		ask(other, "lark", "");
		expect_row(other, "n");
		rig_expect(other, FIN("complete='true'"));
		world_free(&world);
	}
}

static void
a_store_that_fails_is_told(void **state)
{
	struct world_peer *juliet;
	struct world *world = begin(5000, &juliet);

	(void)state;
	world_hold_store(world, true);
	ask(juliet, "nightingale", "");
	world_hold_store(world, false);
	(void)world_step(world, 20);
	world_break_store(world, ERR_UNAVAILABLE);
	world_run(world);
	rig_expect(juliet, RIG_ERROR("q", "wait", "resource-constraint"));
	world_break_store(world, ERR_NONE);
	ask(juliet, "nightingale", "");
	expect_row(juliet, "m0");
	rig_expect(juliet, FIN("complete='true'"));
	world_free(&world);
}

/* The server ends, or the account is removed, while words are indexed. */
static void
the_end_comes_meanwhile(void **state)
{
	(void)state;
	for (unsigned steps = 1; steps < 200; steps += 7) {
		struct world_peer *juliet;
		struct world *world = begin(2000, &juliet);

		world_hold_store(world, true);
		ask(juliet, "nightingale", "");
		world_hold_store(world, false);
		(void)world_step(world, steps);
		if (steps % 3 == 0)
			world_kill(world);
		else if (steps % 3 == 1)
			world_restart(world);
		else
			rig_send(juliet,
			    "<iq type='set' id='r'><query "
			    "xmlns='jabber:iq:register'><remove/></query>"
			    "</iq>");
		world_run(world);
		world_free(&world);
	}
}

/* While the words are indexed that it says. */
static void
what_is_taken_back_is_not_found(void **state)
{
	(void)state;
	for (unsigned steps = 0; steps < 80; steps++) {
		struct world *world = rig_world(steps, 2, NULL);
		struct world_peer *romeo = rig_bind(world, ROMEO "/orchard");

		rig_send(romeo, "<message type='chat' to='" JULIET
				"' id='m1'><body>nightingale</body></message>");
		world_send(romeo,
		    "<message type='chat' to='" JULIET "' id='r'><retract "
		    "xmlns='urn:xmpp:message-retract:1' id='m1'/></message>");
		(void)world_step(world, steps);
		begin_to_ask(romeo, "nightingale", "");
		world_run(world);
		rig_skip(romeo);
		ask(romeo, "nightingale", "");
		rig_expect_at(
		    romeo, FIN("complete='true'"), __FILE__, (int)steps);
		world_free(&world);
	}
}

#define BODIES   5000
#define BODY_LEN 40000

static long
memory_kib(void)
{
	struct rusage usage;

	CHECK_EQUAL(getrusage(RUSAGE_SELF, &usage), 0);
	return usage.ru_maxrss;
}

/* Its words need no more memory than it has bytes, but for a few times. */
static void
a_message_of_many_bodies_is_searched(void **state)
{
	struct world *world = rig_world(1, 2, NULL);
	struct world_peer *juliet = rig_bind(world, JULIET "/balcony");
	struct world_peer *romeo = rig_bind(world, ROMEO "/orchard");
	struct buf text = {0};
	long before;

	(void)state;
	buf_add(
	    &text, STR("<message type='chat' to='" JULIET "' id='m1'><body>"));
	memset(buf_room(&text, BODY_LEN), 'x', BODY_LEN);
	buf_grew(&text, BODY_LEN);
	buf_add(&text, STR("</body>"));
	for (unsigned i = 0; i < BODIES; i++)
		buf_add(&text, STR("<body/>"));
	buf_add(&text, STR("<body>nightingale</body></message>"));
	buf_add_byte(&text, '\0');
	rig_send(romeo, text.text);
	buf_deinit(&text);
	rig_skip(juliet);
	before = memory_kib();
	ask(juliet, "nightingale", "");
	expect_row(juliet, "m1");
	rig_expect(juliet, FIN("complete='true'"));
	CHECK(memory_kib() - before < 100 * 1024);
	world_free(&world);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(a_rare_word_is_found_among_many_rows),
	    cmocka_unit_test(pages_of_a_common_word_have_all_rows),
	    cmocka_unit_test(who_waited_in_vain_searches_again),
	    cmocka_unit_test(several_wait_for_one_index),
	    cmocka_unit_test(a_store_that_fails_is_told),
	    cmocka_unit_test(the_end_comes_meanwhile),
	    cmocka_unit_test(what_is_taken_back_is_not_found),
	    cmocka_unit_test(a_message_of_many_bodies_is_searched),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* What a server may ask for without end: that costs us no more than some of it.
 */
#include <stdio.h>
#include <string.h>

#include "base/check.h"
#include "base/log.h"
#include "server/owner.h"
#include "server/s2s_internal.h"
#include "server/s2s_stage.h"

const struct module *const modules_builtin[] = {NULL};

#define WRONG     " from='mantua.example' to='mantua.example'"
#define KEYS      200
#define LINES_MAX 110
#define SLOWLY_MS 1000
#define MESSAGES  1500

static unsigned lines;

static void
count_line(enum log_level level, const char *line)
{
	(void)level, (void)line;
	lines++;
}

static const struct {
	const char *said;
	uint64_t pause_ms;
	bool ends, is_told;
	const char *last; /* once */
} cases[] = {
    {"<db:result" WRONG "/>", 0, true, false},
    {"<db:result" WRONG "/>", SLOWLY_MS, false, true},
    {"<db:verify" WRONG " id='x'>key</db:verify>", 0, false, false},
    {"<db:verify" PAIR " id='x'>key</db:verify>", 0, false, false},
    {"<db:verify" PAIR " id='x'>key</db:verify>", SLOWLY_MS, false, true},
    {"<db:result" PAIR " type='valid'/>", 0, false, false},
    {"<db:verify" WRONG " id='x'>key</db:verify>", 0, false, false,
	"<db:result" WRONG "/>"},
};

/* Each key costs a look at a certificate and a line of the log. Questions do
 * not end the stream: they may be others' doing. */
static void
keys_without_end_are_not_looked_at_without_end(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct stage stage = stage_begin(i + 1, CLEAR);
		struct world_peer *peer = stage_arrive_one_way(&stage, VERONA);

		lines = 0;
		log_capture(count_line);
		log_set_level(LOG_INFO);
		for (unsigned j = 0; j < KEYS; j++) {
			world_send(peer, cases[i].said);
			world_sleep(stage.world, cases[i].pause_ms);
		}
		if (cases[i].last != NULL)
			world_send(peer, cases[i].last);
		log_set_level(LOG_ERROR);
		log_capture(NULL);
		CHECK_EQUAL(
		    stage_comes(peer, "<policy-violation"), cases[i].ends);
		CHECK_EQUAL(lines > LINES_MAX, cases[i].is_told);
		world_free(&stage.world);
	}
}

static void
streams_that_nobody_knows_are_not_looked_for_without_end(void **state)
{
	struct stage stage = stage_begin(1, CLEAR);
	struct world_peer *peer = stage_arrive_certified(&stage, VERONA);

	(void)state;
	for (unsigned i = 0; i < 3; i++) {
		world_send(
		    peer, "<resume xmlns='urn:xmpp:sm:3' previd='0-x' h='0'/>");
		CHECK(stage_comes(peer, "<failed"));
	}
	CHECK(stage_comes(peer, "<policy-violation"));
	world_free(&stage.world);
}

static size_t longest;

static void
measure_line(enum log_level level, const char *line)
{
	(void)level;
	longest = strlen(line) > longest ? strlen(line) : longest;
}

/* Whatever a peer gives as the reason is a line of the log. */
static void
reasons_are_short(void **state)
{
	struct stage stage = stage_begin(1, CLEAR);
	struct world_peer *peer = stage_arrive_certified(&stage, VERONA);
	char reason[5000], text[12000];

	(void)state;
	memset(reason, 'x', sizeof(reason));
	snprintf(text, sizeof(text),
	    "<stream:error><%.5000s" NS("streams") "/><text" NS(
		"streams") ">%.5000s</text></stream:error>",
	    reason, reason);
	longest = 0;
	log_capture(measure_line);
	log_set_level(LOG_INFO);
	world_send(peer, text);
	world_run(stage.world);
	log_set_level(LOG_ERROR);
	log_capture(NULL);
	CHECK(longest > 400 && longest < 600);
	world_free(&stage.world);
}

/* In place of conn_peer_chain: what a peer presents, of so many bytes. */
static size_t presented;
size_t __wrap_conn_peer_chain(
    const struct conn *, struct arena *, const struct str **chain_r);

size_t
__wrap_conn_peer_chain(
    const struct conn *conn, struct arena *arena, const struct str **chain_r)
{
	struct str *chain = arena_new(arena, struct str);

	(void)conn;
	*chain = (struct str){arena_alloc(arena, presented), presented};
	*chain_r = chain;
	return presented > 0;
}

/* What a certificate was looked at with is not kept for each domain that it was
 * shown for. */
static void
a_pair_that_is_proved_costs_little(void **state)
{
	struct stage stage = stage_begin(1, CLEAR "s2s.dialback: always\n");
	struct world_peer *peer = stage_arrive(&stage);
	const struct s2s_right *right;

	(void)state;
	world_send(peer, OPENING);
	CHECK(stage_comes(peer, "features"));
	presented = 60000;
	world_send(peer, "<db:result" PAIR ">key</db:result>");
	world_run(stage.world);
	presented = 0;
	CHECK(stage_vouch(&stage, "valid"));
	CHECK(stage_comes(peer, "type='valid'"));
	right = list_entry(
	    list_first(&stage_s2s(peer)->rights), struct s2s_right, link);
	CHECK(arena_len(right->arena) < 2000);
	world_free(&stage.world);
}

/* Another server speaks to Romeo, whose account is loaded anew meanwhile. */
static struct world_peer *
speak_while_it_loads(const struct stage *stage, unsigned count)
{
	struct world_peer *peer = stage_arrive_certified(stage, VERONA);
	struct arena *arena = arena_make(0);
	const struct jid *romeo = jid_parse(arena, STR(ROMEO));
	struct shard *shard = shard_of(&stage->world->server, romeo);

	world_send(peer, ENABLE);
	CHECK(stage_comes(peer, "<enabled"));
	world_hold_store(stage->world, true);
	shard_enter(shard);
	owner_reload(owner_find(shard, romeo));
	for (unsigned i = 0; i < count; i++)
		world_send(peer, MESSAGE("escalus@" VERONA));
	world_sleep(stage->world, 1000);
	arena_free(&arena);
	return peer;
}

static unsigned
count_messages(struct world_peer *peer)
{
	unsigned count = 0;

	while (stage_comes(peer, "<message"))
		count++;
	return count;
}

/* However much it is: a stream that has too much open is not read. */
static void
nobody_is_refused_while_an_account_loads(void **state)
{
	struct stage stage = stage_begin(1, CLEAR "s2s.rate: 1 GiB\n");
	struct world_peer *peer = speak_while_it_loads(&stage, MESSAGES);

	(void)state;
	world_hold_store(stage.world, false);
	world_sleep(stage.world, 1000);
	CHECK(!stage_comes(peer, "type='error'"));
	CHECK_EQUAL(count_messages(stage.romeo), MESSAGES);
	world_free(&stage.world);
}

/* For a minute what was promised elsewhere waits for the database. */
static void
a_short_outage_refuses_nobody(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 2; i++) {
		struct stage stage = stage_begin(i, CLEAR);
		struct world_peer *peer = speak_while_it_loads(&stage, 3);

		world_break_store(stage.world, ERR_UNAVAILABLE);
		world_hold_store(stage.world, false);
		world_sleep(stage.world, i == 0 ? 20000 : 200000);
		CHECK_EQUAL(stage_comes(peer, "type='error'"), i == 1);
		world_break_store(stage.world, ERR_NONE);
		world_sleep(stage.world, 60000);
		CHECK_EQUAL(count_messages(stage.romeo), i == 0 ? 3 : 0);
		world_free(&stage.world);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(keys_without_end_are_not_looked_at_without_end),
	    cmocka_unit_test(
		streams_that_nobody_knows_are_not_looked_for_without_end),
	    cmocka_unit_test(reasons_are_short),
	    cmocka_unit_test(a_pair_that_is_proved_costs_little),
	    cmocka_unit_test(nobody_is_refused_while_an_account_loads),
	    cmocka_unit_test(a_short_outage_refuses_nobody),
	};

	return cmocka_run_group_tests_name("s2s_flood", tests, NULL, NULL);
}

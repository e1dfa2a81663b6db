/*
 * The server is killed at every step of every row of the subscription tables
 * (RFC 6121, appendix A), with several shards in seeded orders: afterwards both
 * rosters agree, nothing is half done, and no durable letter is left.
 *
 *	subscription_crash_test FIRST_SEED COUNT
 */
#include "modules/modules_rig.h"
#include "modules/roster_private.h"
#include "server/world_private.h"

#define STEPS_MAX 600 /* that one row may take */

/* --- the tables --------------------------------------------------------- */

/* Appendix A.1. Of a pair the other side's is the mirror. */
enum state { N, NO, NI, NIO, T, TI, F, FO, B, STATE_COUNT };

static const struct {
	const char *name;
	unsigned sub;
	enum state mirror;
} states[] = {
    [N] = {"None", 0, N},
    [NO] = {"None + Pending Out", SUB_ASK, NI},
    [NI] = {"None + Pending In", SUB_PENDING_IN, NO},
    [NIO] = {"None + Pending Out+In", SUB_ASK | SUB_PENDING_IN, NIO},
    [T] = {"To", SUB_TO, F},
    [TI] = {"To + Pending In", SUB_TO | SUB_PENDING_IN, FO},
    [F] = {"From", SUB_FROM, T},
    [FO] = {"From + Pending Out", SUB_FROM | SUB_ASK, TI},
    [B] = {"Both", SUB_TO | SUB_FROM, B},
};

/* By existing state: Romeo's new one (tables 2 to 5) and, when the stanza is
 * routed, Juliet's by her own (tables 6 to 9). */
static const struct {
	const char *type;
	enum state sent[STATE_COUNT], received[STATE_COUNT];
} tables[] = {
    {"subscribe", {NO, NO, NIO, NIO, T, TI, FO, FO, B},
	{NI, NIO, NI, NIO, TI, TI, F, FO, B}},
    {"unsubscribe", {N, N, NI, NI, N, NI, F, F, F},
	{N, NO, N, NO, T, T, N, NO, T}},
    {"subscribed", {N, NO, F, FO, T, B, F, FO, B},
	{N, T, NI, TI, T, TI, F, B, B}},
    {"unsubscribed", {N, NO, N, NO, T, T, N, NO, T},
	{N, N, NI, NI, N, NI, F, F, F}},
};

struct pair {
	unsigned romeo, juliet; /* SUB_ bits */
};

struct row {
	const char *type;
	const char *name;
	struct pair before, after;
};

/* Section 3.4: with an approval in advance the request is granted at once. */
static struct row
row_of(size_t type, enum state state, bool is_approved)
{
	enum state mirror = states[state].mirror;
	struct row row = {
	    .type = tables[type].type,
	    .name = states[state].name,
	    .before = {states[state].sub, states[mirror].sub},
	    .after = {states[tables[type].sent[state]].sub,
		states[tables[type].received[mirror]].sub},
	};

	if (is_approved) {
		row.before.juliet |= SUB_APPROVED;
		row.after.juliet |= SUB_APPROVED;
	}
	if (is_approved && (row.after.romeo & SUB_ASK) != 0) {
		row.after.romeo ^= SUB_ASK | SUB_TO;
		row.after.juliet ^= SUB_PENDING_IN | SUB_FROM;
	}
	if (type == 2 && (row.after.romeo & SUB_FROM) == 0)
		row.after.romeo |= SUB_APPROVED;
	return row;
}

/* --- the world ---------------------------------------------------------- */

static void
put_contact(
    struct world *world, const char *bare, const char *contact, unsigned sub)
{
	char item[400];

	snprintf(item, sizeof(item),
	    "<item xmlns='jabber:iq:roster' jid='%s' sub='%u' ver='1' "
	    "listed='yes'><presence xmlns='jabber:client' type='subscribe' "
	    "from='%s' to='%s' id='s1'/></item>",
	    contact, sub, contact, bare);
	rig_put(world, bare, &roster_kind, contact, item);
}

static void
set_pair(struct world *world, const struct pair *pair)
{
	put_contact(world, ROMEO, JULIET, pair->romeo);
	put_contact(world, JULIET, ROMEO, pair->juliet);
	world_kill(world);
}

static struct pair
get_pair(struct world *world)
{
	world_run(world);
	return (struct pair){
	    rig_sub(world, ROMEO, JULIET), rig_sub(world, JULIET, ROMEO)};
}

static bool
is_pair(struct pair a, struct pair b)
{
	return a.romeo == b.romeo && a.juliet == b.juliet;
}

struct
try {
	uint64_t seed;
	unsigned step;
	const struct row *row;
};

static void
check_pair(
    const struct try *try, struct pair have, bool was_killed, const char *when)
{
	const struct row *row = try->row;

	if (is_pair(have, row->after) ||
	    (was_killed && is_pair(have, row->before)))
		return;
	fail_msg("seed %llu, killed after step %u, \"%s\" sent in \"%s\": %s "
		 "they have %u and %u; before %u and %u, after %u and %u",
	    (unsigned long long)try->seed, try->step, row->type, row->name,
	    when, have.romeo, have.juliet, row->before.romeo,
	    row->before.juliet, row->after.romeo, row->after.juliet);
}

/* Whether it was killed before it was done. */
static bool
kill_at(struct world *world, const struct try *try)
{
	struct world_peer *romeo, *juliet = NULL;
	struct pair have;
	char stanza[200];
	bool was_killed;

	set_pair(world, &try->row->before);
	romeo = rig_login(world, ROMEO "/orchard");
	if (try->seed % 2 == 0)
		juliet = rig_login(world, JULIET "/balcony");
	snprintf(stanza, sizeof(stanza), "<presence type='%s' to='%s'/>",
	    try->row->type, JULIET);
	world_send(romeo, stanza);
	was_killed = rig_run_killed(world, try->step);
	have = get_pair(world);
	check_pair(try, have, was_killed, "at rest");
	if (rig_outbox(world) != 0)
		fail_msg("seed %llu, step %u, \"%s\" sent in \"%s\": "
			 "%u durable letters are left",
		    (unsigned long long)try->seed, try->step, try->row->type,
		    try->row->name, rig_outbox(world));
	world_cut(&romeo);
	world_cut(&juliet);
	world_kill(world);
	if (!is_pair(have, get_pair(world)))
		check_pair(try, get_pair(world), false, "on disk");
	return was_killed;
}

static void
play_row(struct world *world, uint64_t seed, const struct row *row)
{
	struct try try = {seed, 1, row};

	while (kill_at(world, &try))
		CHECK(++try.step < STEPS_MAX);
}

static void
play_rows(struct world *world, uint64_t seed, bool is_approved)
{
	for (size_t type = 0; type < COUNT_OF(tables); type++)
		for (unsigned state = N; state < STATE_COUNT; state++) {
			struct row row = row_of(type, state, is_approved);
			const unsigned known = SUB_FROM | SUB_PENDING_IN;

			if (is_approved && (row.before.juliet & known) != 0)
				continue;
			play_row(world, seed, &row);
		}
}

static uint64_t first_seed = 1, seed_count = 2;

static void
rosters_agree_after_a_kill_at_any_step(void **state)
{
	for (uint64_t i = 0; i < seed_count; i++) {
		struct world *world = rig_world(
		    first_seed + i, 1 + (unsigned)((first_seed + i) % 4), NULL);

		play_rows(world, first_seed + i, false);
		play_rows(world, first_seed + i, true);
		world_free(&world);
	}
}

/* --- both at once -------------------------------------------------------- */

static const char *const said[] = {
    "<presence type='subscribe' to='%s'/>",
    "<presence type='unsubscribe' to='%s'/>",
    "<presence type='subscribed' to='%s'/>",
    "<presence type='unsubscribed' to='%s'/>",
    ("<iq type='set' id='s'><query xmlns='jabber:iq:roster'><item jid='%s' "
     "subscription='remove'/></query></iq>"),
};

static bool
agree(unsigned asker, unsigned asked)
{
	return !(asker & SUB_TO) == !(asked & SUB_FROM) &&
	       !(asker & SUB_ASK) == !(asked & SUB_PENDING_IN);
}

/* Each says something, what the other said is under way still; perhaps the
 * server is killed. */
static void
quarrel(struct world *world, unsigned words)
{
	struct world_peer *peers[2] = {rig_login(world, ROMEO "/orchard"),
	    rig_login(world, JULIET "/balcony")};

	if (world_random(world, 2) == 0)
		world_kill_after(world, 1 + world_random(world, 10 * words));
	for (unsigned i = 0; i < words; i++) {
		const unsigned who = world_random(world, 2);
		char text[250];

		snprintf(text, sizeof(text),
		    said[world_random(world, COUNT_OF(said))],
		    who == 0 ? JULIET : ROMEO);
		world_send(peers[who], text);
		world_step(world, world_random(world, 12));
	}
	world_run(world);
	world_kill_after(world, 0);
	world_sleep(world, 5000);
	world_cut(&peers[0]);
	world_cut(&peers[1]);
}

static void
rosters_agree_whatever_both_say(void **state)
{
	for (uint64_t seed = first_seed; seed < first_seed + seed_count;
	    seed++) {
		struct world *world = rig_world(seed, 0, NULL);

		for (unsigned i = 0; i < 20; i++) {
			struct pair have;

			quarrel(world, 2 + i % 8);
			have = get_pair(world);
			if (!agree(have.romeo, have.juliet) ||
			    !agree(have.juliet, have.romeo))
				fail_msg("seed %llu, quarrel %u: they have %u "
					 "and %u",
				    (unsigned long long)seed, i, have.romeo,
				    have.juliet);
			CHECK_EQUAL(rig_outbox(world), 0);
		}
		world_free(&world);
	}
}

int
main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(rosters_agree_after_a_kill_at_any_step),
	    cmocka_unit_test(rosters_agree_whatever_both_say),
	};

	rig_seeds(argc, argv, &first_seed, &seed_count);
	return cmocka_run_group_tests(tests, NULL, NULL);
}

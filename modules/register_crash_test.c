/*
 * An account is removed and the server killed at every step of it: afterwards
 * the account is whole, or gone with all its rows, its name free, and nobody
 * subscribed to it or by it.
 *
 *	register_crash_test FIRST_SEED COUNT
 */
#include "modules/modules_rig.h"
#include "modules/offline.h"
#include "modules/private_xml.h"
#include "modules/roster_private.h"
#include "modules/vcard.h"
#include "server/keys.h"
#include "server/world_private.h"

#define REMOVE                                                      \
	"<iq type='set' id='r1'><query xmlns='jabber:iq:register'>" \
	"<remove/></query></iq>"

#define KIND_OF(module) ((module).kinds[0])

static const struct store_kind *maps[4];

static int
name_maps(void **state)
{
	maps[0] = &roster_kind;
	maps[1] = &keys_kind;
	maps[2] = KIND_OF(private_xml_module);
	maps[3] = KIND_OF(vcard_module);
	return 0;
}

static const struct {
	unsigned romeo, juliet;
} pairs[] = {
    {SUB_TO | SUB_FROM, SUB_TO | SUB_FROM},
    {SUB_ASK, SUB_PENDING_IN},
    {SUB_PENDING_IN, SUB_ASK},
    {SUB_TO | SUB_PENDING_IN, SUB_FROM | SUB_ASK},
    {SUB_APPROVED, SUB_APPROVED},
};

/* What Juliet says meanwhile. */
static const char *const meanwhile[] = {
    "",
    "<presence type='subscribe' to='" ROMEO "'/>",
    "<presence type='subscribed' to='" ROMEO "'/>",
    "<presence type='unsubscribed' to='" ROMEO "'/>",
};

static owner_id
furnish(struct world *world, size_t pair)
{
	struct world_peer *juliet;

	rig_put_subs(world, pairs[pair].romeo, pairs[pair].juliet);
	juliet = rig_login(world, JULIET "/balcony");
	rig_send(juliet, "<message to='" ROMEO "'><body>Hi</body></message>");
	world_cut(&juliet);
	rig_put(
	    world, ROMEO, KIND_OF(private_xml_module), "key", "<a xmlns='b'/>");
	rig_put(world, ROMEO, KIND_OF(vcard_module), "card", "<vCard/>");
	return rig_account(world, ROMEO)->owner.id;
}

static void
check_gone(struct world *world, owner_id owner)
{
	const unsigned known = rig_sub(world, JULIET, ROMEO);

	for (size_t i = 0; i < COUNT_OF(maps); i++)
		CHECK(!rig_has(world, owner, maps[i]));
	CHECK_EQUAL(rig_count(world, owner, KIND_OF(offline_module)), 0);
	if ((known & (SUB_TO | SUB_FROM | SUB_PENDING_IN)) != 0)
		fail_msg("Juliet still has %u", known);
}

static bool
agree(unsigned asker, unsigned asked)
{
	return !(asker & SUB_TO) == !(asked & SUB_FROM) &&
	       !(asker & SUB_ASK) == !(asked & SUB_PENDING_IN);
}

static void
check_whole(struct world *world, owner_id owner)
{
	const unsigned romeo = rig_sub(world, ROMEO, JULIET);
	const unsigned juliet = rig_sub(world, JULIET, ROMEO);

	for (size_t i = 0; i < COUNT_OF(maps); i++)
		CHECK(rig_has(world, owner, maps[i]));
	CHECK(agree(romeo, juliet) && agree(juliet, romeo));
}

/* A new account of that name sees nothing of the old one. */
static void
check_new(struct world *world)
{
	struct world_peer *romeo;

	world_add_account(world, ROMEO, NULL);
	CHECK_EQUAL(rig_sub(world, ROMEO, JULIET), 0);
	romeo = rig_login(world, ROMEO "/orchard");
	rig_send(romeo,
	    "<iq type='get' id='g1'><query xmlns='jabber:iq:roster'/></iq>");
	CHECK(rig_finds(romeo,
	    "<iq type='result' id='g1'><query xmlns='jabber:iq:roster'>"
	    "<item>{not}</item></query></iq>"));
	world_cut(&romeo);
}

/* Whether it was killed before it was done. */
static bool
kill_at(struct world *world, size_t pair, const char *stanza, unsigned step)
{
	owner_id owner = furnish(world, pair);
	struct world_peer *romeo = rig_login(world, ROMEO "/orchard");
	struct world_peer *juliet = rig_login(world, JULIET "/balcony");
	bool was_killed;

	rig_skip(romeo);
	world_send(romeo, REMOVE);
	world_send(juliet, stanza);
	was_killed = rig_run_killed(world, step);
	if (!was_killed) {
		CHECK(rig_finds(romeo, "<iq type='result' id='r1'/>"));
		CHECK(rig_account(world, ROMEO) == NULL);
	}
	world_cut(&romeo);
	world_cut(&juliet);
	world_sleep(world, 5000);
	CHECK_EQUAL(rig_outbox(world), 0);
	if (rig_account(world, ROMEO) != NULL) {
		check_whole(world, owner);
	} else {
		check_gone(world, owner);
		world_kill(world);
		check_gone(world, owner);
		check_new(world);
	}
	return was_killed;
}

static uint64_t first_seed = 1, seed_count = 2;

static void
a_removed_account_is_whole_or_gone(void **state)
{
	for (uint64_t i = 0; i < seed_count; i++) {
		const unsigned shards = 1 + (unsigned)((first_seed + i) % 4);
		struct world *world = rig_world(first_seed + i, shards, NULL);

		for (size_t k = 0; k < COUNT_OF(pairs) * 4; k++) {
			unsigned step = 1;

			while (kill_at(world, k / 4, meanwhile[k % 4], step))
				CHECK(++step < 200);
		}
		world_free(&world);
	}
}

int
main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(a_removed_account_is_whole_or_gone),
	};

	rig_seeds(argc, argv, &first_seed, &seed_count);
	return cmocka_run_group_tests(tests, name_maps, NULL);
}

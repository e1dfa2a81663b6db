/* What contacts and sessions are told of a change that the store refused, or
 * took without a word: in the end it is what holds. */
#include <stdio.h>
#include <string.h>

#include "modules/modules_rig.h"
#include "modules/roster.h"
#include "server/world_neighbour.h"
#include "server/world_private.h"

#define VERONA  "verona.example"
#define ESCALUS "escalus@" VERONA
#define REMOVE                                                        \
	"<iq type='set' id='r'><query xmlns='jabber:iq:roster'><item" \
	" jid='" JULIET "' subscription='remove'/></query></iq>"
#define TO_JULIET(type) "<presence type='" type "' to='" JULIET "'/>"
#define TO_ROMEO(type)  "<presence type='" type "' to='" ROMEO "'/>"

static const enum err errs[] = {ERR_IO, ERR_TIMEOUT, ERR_UNCERTAIN};

static const struct {
	const char *sent;       /* by Romeo */
	unsigned romeo, juliet; /* SUB_ bits before */
} changes[] = {
    {TO_JULIET("unsubscribed"), SUB_TO | SUB_FROM, SUB_TO | SUB_FROM},
    {TO_JULIET("subscribed"), SUB_PENDING_IN, SUB_ASK},
    {REMOVE, SUB_TO | SUB_FROM, SUB_TO | SUB_FROM},
};

/* The last that she was told, when she was told something: whether he is there.
 */
static bool
sees_romeo(struct world_peer *juliet, bool sees)
{
	const char *text;

	while ((text = world_next(juliet)) != NULL)
		if (strstr(text, "<presence") != NULL &&
		    strstr(text, ROMEO "/orchard") != NULL)
			sees = strstr(text, "unavailable") == NULL;
	return sees;
}

static void
contacts_see_what_holds(void **state)
{
	(void)state;
	for (unsigned i = 0; i < COUNT_OF(changes) * COUNT_OF(errs); i++) {
		const size_t row = i % COUNT_OF(changes);
		struct world *world = rig_world(i + 1, 0, NULL);
		struct world_peer *romeo, *juliet;
		bool sees;

		rig_put_subs(world, changes[row].romeo, changes[row].juliet);
		romeo = rig_interested(world, ROMEO "/orchard");
		juliet = rig_interested(world, JULIET "/balcony");
		rig_skip(romeo);
		world_break_store(world, errs[i / COUNT_OF(changes)]);
		rig_send(romeo, changes[row].sent);
		world_break_store(world, ERR_NONE);
		world_sleep(world, 120 * 1000);
		sees = (rig_sub(world, ROMEO, JULIET) & SUB_FROM) != 0;
		CHECK_EQUAL(
		    sees_romeo(juliet, (changes[row].romeo & SUB_FROM) != 0),
		    sees);
		CHECK_EQUAL(
		    (rig_sub(world, JULIET, ROMEO) & SUB_TO) != 0, sees);
		world_free(&world);
	}
}

/* A request to one who approved it before is granted at once. */
static void
who_is_not_subscribed_after_all_sees_nobody(void **state)
{
	(void)state;
	for (unsigned step = 0; step < 60; step++) {
		struct world *world = rig_world(1 + step % 3, 2, NULL);
		struct world_peer *romeo, *juliet;

		rig_put_subs(world, SUB_APPROVED, 0);
		romeo = rig_interested(world, ROMEO "/orchard");
		juliet = rig_interested(world, JULIET "/balcony");
		world_send(juliet, TO_ROMEO("subscribe"));
		world_step(world, step / 3);
		world_break_store(world, ERR_IO);
		world_sleep(world, 2000);
		world_break_store(world, ERR_NONE);
		world_sleep(world, 120 * 1000);
		rig_skip(romeo);
		CHECK_EQUAL(sees_romeo(juliet, false),
		    (rig_sub(world, ROMEO, JULIET) & SUB_FROM) != 0);
		world_free(&world);
	}
}

static const struct {
	const char *type;
	unsigned romeo, juliet;
} said[] = {
    {"subscribe", 0, 0},
    {"unsubscribe", SUB_TO | SUB_FROM, SUB_TO | SUB_FROM},
    {"subscribed", SUB_ASK, SUB_PENDING_IN},
    {"unsubscribed", SUB_TO | SUB_FROM, SUB_TO | SUB_FROM},
};

/* Juliet says something, and the store fails at some step. */
static void
fail_at(struct world *world, size_t row, enum err err, unsigned step)
{
	struct world_peer *romeo, *juliet;
	char text[200];
	unsigned shown;

	rig_put_subs(world, said[row].romeo, said[row].juliet);
	romeo = rig_interested(world, ROMEO "/orchard");
	juliet = rig_interested(world, JULIET "/balcony");
	rig_skip(romeo);
	snprintf(text, sizeof(text), "<presence type='%s' to='%s'/>",
	    said[row].type, ROMEO);
	world_send(juliet, text);
	world_step(world, step);
	world_break_store(world, err);
	world_sleep(world, 3000);
	world_break_store(world, ERR_NONE);
	world_sleep(world, 120 * 1000);
	snprintf(text, sizeof(text), "type='%s'", said[row].type);
	shown = rig_hears(romeo, text);
	if (shown != (rig_sub(world, ROMEO, JULIET) != said[row].romeo))
		fail_msg("%s, error %d at step %u: Romeo has %u, and saw it "
			 "%u times",
		    said[row].type, (int)err, step,
		    rig_sub(world, ROMEO, JULIET), shown);
	world_cut(&romeo);
	world_cut(&juliet);
	world_run(world);
}

static void
what_comes_is_shown_once_when_it_is_kept(void **state)
{
	(void)state;
	for (uint64_t seed = 1; seed <= 3; seed++) {
		struct world *world = rig_world(seed, 0, NULL);

		for (size_t i = 0; i < COUNT_OF(said) * COUNT_OF(errs); i++)
			for (unsigned step = 0; step < 14; step++)
				fail_at(world, i % COUNT_OF(said),
				    errs[i / COUNT_OF(said)], step);
		world_free(&world);
	}
}

/* The other server has it back, and may say it again. */
static void
what_is_sent_back_is_not_shown(void **state)
{
	struct world *world = rig_world(1, 0, NULL);
	struct neighbour *verona = neighbour_new(world, VERONA);
	struct world_peer *romeo;

	(void)state;
	rig_put_sub(world, ROMEO, ESCALUS, SUB_ASK);
	world_kill(world);
	romeo = rig_interested(world, ROMEO "/orchard");
	neighbour_open(verona, "montague.example");
	world_sleep(world, 5000);
	rig_skip(romeo);
	world_break_store(world, ERR_IO);
	neighbour_send(verona, "<presence xmlns='jabber:client' from='" ESCALUS
			       "' to='" ROMEO "' type='subscribed'/>");
	world_sleep(world, 1000);
	world_break_store(world, ERR_NONE);
	world_sleep(world, 60 * 1000);
	CHECK_EQUAL(rig_hears(romeo, "subscribed"), 0);
	CHECK_EQUAL(rig_sub(world, ROMEO, ESCALUS), SUB_ASK);
	neighbour_send(verona, "<presence xmlns='jabber:client' from='" ESCALUS
			       "' to='" ROMEO "' type='subscribed'/>");
	world_sleep(world, 1000);
	rig_expect(romeo, "<presence type='subscribed'/>");
	rig_expect(romeo, "<iq type='set'/>");
	world_free(&world);
}

/* It was answered with an error, and was kept. */
static void
other_resources_hear_of_what_was_kept_after_all(void **state)
{
	static const char *const sets[] = {
	    "<iq type='set' id='s'><query xmlns='jabber:iq:roster'><item"
	    " jid='" JULIET "' name='J'/></query></iq>",
	    "<iq type='set' id='s'><query xmlns='jabber:iq:roster'><item"
	    " jid='" JULIET "' subscription='remove'/></query></iq>",
	};
	static const char *const pushes[] = {
	    "<iq type='set'><query xmlns='jabber:iq:roster'><item jid='" JULIET
	    "' name='J'/></query></iq>",
	    "<iq type='set'><query xmlns='jabber:iq:roster'><item jid='" JULIET
	    "' subscription='remove'/></query></iq>",
	};
	struct world *world = rig_world(1, 2, NULL);
	struct world_peer *romeo = rig_interested(world, ROMEO "/orchard");
	struct world_peer *other = rig_interested(world, ROMEO "/garden");

	(void)state;
	for (size_t i = 0; i < COUNT_OF(sets); i++) {
		rig_skip(romeo);
		rig_skip(other);
		world_break_store(world, ERR_UNCERTAIN);
		rig_send(romeo, sets[i]);
		world_break_store(world, ERR_NONE);
		world_sleep(world, 5000);
		rig_expect(romeo, "<iq type='error' id='s'/>");
		rig_expect(romeo, pushes[i]);
		rig_expect(other, pushes[i]);
		rig_expect_nothing(other);
	}
	world_free(&world);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(contacts_see_what_holds),
	    cmocka_unit_test(who_is_not_subscribed_after_all_sees_nobody),
	    cmocka_unit_test(what_comes_is_shown_once_when_it_is_kept),
	    cmocka_unit_test(what_is_sent_back_is_not_shown),
	    cmocka_unit_test(other_resources_hear_of_what_was_kept_after_all),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

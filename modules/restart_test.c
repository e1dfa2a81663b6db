/* What clients notice of a planned restart: what they asked is answered before
 * it, and nobody hears that they went. */
#include <stdio.h>
#include <string.h>

#include "modules/modules_rig.h"
#include "server/iq.h"
#include "server/world_neighbour.h"
#include "server/world_private.h"

#define SM     "urn:xmpp:sm:3"
#define SLOW   "urn:jackdaw:test:slow"
#define VERONA "verona.example"
#define PING   "<ping xmlns='urn:xmpp:ping'/>"

/* --- an iq that is not answered in time ----------------------------------- */

#define SLOW_MS 5000 /* longer than a server that ends waits for it */

struct waiting {
	struct timer timer;
	struct iq *iq;
};

static void
on_due(struct timer *timer)
{
	iq_reply(container_of(timer, struct waiting, timer)->iq, NULL);
}

static void
on_slow(struct iq *iq)
{
	struct waiting *waiting = arena_new(iq_arena(iq), struct waiting);

	waiting->iq = iq;
	timer_start(iq_shard(iq), &waiting->timer, SLOW_MS, on_due);
}

static const struct hook slow_hooks[] = {
    {.on = HOOK_IQ_GET,
	.ns = SLOW,
	.name = "slow",
	.scope = SCOPE_HOST | SCOPE_SELF | SCOPE_ACCOUNT,
	.iq = on_slow},
    {.on = HOOK_IQ_SET,
	.ns = SLOW,
	.name = "slow",
	.scope = SCOPE_HOST | SCOPE_SELF | SCOPE_ACCOUNT,
	.iq = on_slow},
    {HOOK_END},
};

static const struct module slow_module = {
    .name = "slow",
    .hooks = slow_hooks,
};

#define MODULES_MAX 64

static struct world *
begin_with(uint64_t seed, const char *yaml)
{
	static const struct module *modules[MODULES_MAX] = {&slow_module};
	struct world *world;

	for (unsigned i = 0; modules_builtin[i] != NULL; i++) {
		must(i + 2 < MODULES_MAX);
		modules[i + 1] = modules_builtin[i];
	}
	world = world_new(&(struct world_options){
	    .seed = seed, .modules = modules, .yaml = yaml});
	neighbour_new(world, VERONA)->mood = NEIGHBOUR_SILENT;
	world_add_account(world, ROMEO, NULL);
	world_add_account(world, JULIET, NULL);
	return world;
}

static struct world *
begin(uint64_t seed)
{
	return begin_with(seed, NULL);
}

/* --- what is asked ------------------------------------------------------- */

static const struct {
	const char *asked, *answer;
} cases[] = {
    {"<iq type='get' id='q' to='escalus@" VERONA "/tower'>" PING "</iq>",
	"<iq type='error' id='q' from='escalus@" VERONA
	"/tower'><error type='wait'><remote-server-timeout xmlns='" STANZAS
	"'/></error></iq>"},
    {"<iq type='get' id='q'><slow xmlns='" SLOW "'/></iq>",
	RIG_ERROR("q", "wait", "resource-constraint")},
    {"<iq type='set' id='q'><slow xmlns='" SLOW "'/></iq>",
	RIG_ERROR("q", "wait", "resource-constraint")},
    {"<iq type='get' id='q' to='" JULIET "'><slow xmlns='" SLOW "'/></iq>",
	"<iq type='error' id='q' from='" JULIET
	"'><error type='wait'><resource-constraint xmlns='" STANZAS
	"'/></error></iq>"},
    {"<iq type='get' id='q' to='montague.example'><slow xmlns='" SLOW
     "'/></iq>",
	"<iq type='error' id='q' from='montague.example'><error type='wait'>"
	"<resource-constraint xmlns='" STANZAS "'/></error></iq>"},
};

/* Before the stream ends; who comes back does not hear it again, nor is he to
 * ask again. */
static void
open_iqs_are_answered_before_streams_end(void **state)
{
	(void)state;
	for (uint64_t seed = 0; seed < 4 * COUNT_OF(cases); seed++) {
		const unsigned i = (unsigned)seed % COUNT_OF(cases);
		struct world *world = begin(seed);
		struct world_peer *romeo = rig_login(world, ROMEO "/orchard");

		rig_send(romeo, cases[i].asked);
		rig_expect_nothing(romeo);
		world_restart(world);
		rig_expect(romeo, cases[i].answer);
		world_free(&world);
	}
}

/* He is away: it waits for him. */
static void
open_iqs_of_who_is_away_are_answered(void **state)
{
	(void)state;
	for (uint64_t seed = 0; seed < 4 * COUNT_OF(cases); seed++) {
		const unsigned i = (unsigned)seed % COUNT_OF(cases);
		struct world *world = begin(seed);
		struct world_peer *romeo = rig_login(world, ROMEO "/orchard");
		char id[RIG_ID_LEN];

		rig_enable(romeo, id);
		rig_send(romeo, cases[i].asked);
		world_cut(&romeo);
		world_restart(world);
		romeo = rig_come_back(
		    world, ROMEO, id, 0, "<resumed xmlns='" SM "' h='1'/>");
		rig_expect(romeo, cases[i].answer);
		rig_expect(romeo, "<r xmlns='" SM "'/>");
		rig_expect_nothing(romeo);
		world_sleep(world, 60 * 1000);
		world_free(&world);
	}
}

/* Neither an error nor a result is answered: RFC 6120, section 8.3.1. */
static void
answers_are_not_answered(void **state)
{
	static const char *const rows[] = {
	    "<iq type='result' id='q' to='escalus@" VERONA "/tower'/>",
	    "<iq type='error' id='q' to='escalus@" VERONA "/tower'>"
	    "<error type='cancel'/></iq>",
	};

	(void)state;
	for (unsigned i = 0; i < COUNT_OF(rows); i++) {
		struct world *world = begin(i);
		struct world_peer *romeo = rig_login(world, ROMEO "/orchard");
		char id[RIG_ID_LEN];

		rig_enable(romeo, id);
		rig_send(romeo, rows[i]);
		world_restart(world);
		romeo = rig_come_back(
		    world, ROMEO, id, 0, "<resumed xmlns='" SM "' h='1'/>");
		rig_expect_nothing(romeo);
		world_free(&world);
	}
}

/* --- what waits says since when ------------------------------------------- */

#define SENT_AT "2026-11-21T10:00:10"
#define DELAYED                                           \
	"<message id='m1'><delay xmlns='urn:xmpp:delay' " \
	"from='montague.example' stamp='" SENT_AT "{any}'/></message>"

/* Romeo, who has not acknowledged what Juliet said ten seconds after the start,
 * and lost his connection a minute later; then the server restarted, or not. */
static struct world *
leave_unread(unsigned seed, char id[static RIG_ID_LEN], bool is_restarted)
{
	static const char *const settings[] = {"limits.idle_ping: 0 s\n",
	    "limits.idle_ping: 0 s\nmodules.archive: off\n"};
	struct world *world = begin_with(seed, settings[seed / 4 % 2]);
	struct world_peer *romeo = rig_bind(world, ROMEO "/orchard");
	struct world_peer *juliet = rig_bind(world, JULIET "/balcony");

	rig_send(romeo, "<presence/>");
	rig_skip(romeo);
	rig_enable(romeo, id);
	world_sleep(world, 10 * 1000);
	rig_send(juliet,
	    "<message to='" ROMEO
	    "/orchard' id='m1' type='chat'><body>1</body></message>");
	CHECK(rig_finds(romeo, "<message id='m1'/>"));
	world_sleep(world, 60 * 1000);
	world_cut(&romeo);
	if (is_restarted)
		world_restart(world);
	return world;
}

static void
what_is_sent_again_says_since_when(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 2; i++) {
		char id[RIG_ID_LEN];
		struct world *world = leave_unread(i, id, i == 1);
		struct world_peer *romeo = rig_come_back(
		    world, ROMEO, id, 0, "<resumed xmlns='" SM "' h='0'/>");

		rig_expect(romeo, DELAYED);
		world_free(&world);
	}
}

/* XEP-0198, section 4: with the time of the delivery that failed. */
static void
what_goes_elsewhere_says_since_when(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 8; i++) {
		char id[RIG_ID_LEN];
		struct world *world = leave_unread(i, id, i % 2 == 1);
		struct world_peer *garden = NULL;

		if (i / 2 % 2 == 0)
			garden = rig_login(world, ROMEO "/garden");
		world_sleep(world, 15 * 60 * 1000);
		if (garden == NULL) {
			garden = rig_bind(world, ROMEO "/garden");
			rig_send(garden, "<presence/>");
		}
		CHECK(rig_finds(garden, DELAYED));
		world_free(&world);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(open_iqs_are_answered_before_streams_end),
	    cmocka_unit_test(open_iqs_of_who_is_away_are_answered),
	    cmocka_unit_test(answers_are_not_answered),
	    cmocka_unit_test(what_is_sent_again_says_since_when),
	    cmocka_unit_test(what_goes_elsewhere_says_since_when),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* Streams between servers over a reload: what it forbids they do no more. */
#include <stdio.h>

#include "base/check.h"
#include "server/policy.h"
#include "server/s2s_internal.h"
#include "server/s2s_stage.h"
#include "server/world_neighbour.h"

const struct module *const modules_builtin[] = {NULL};

#define OURS                                                               \
	CLEAR "hosts: {montague.example: {}, capulet.example: {}, " VERONA \
	      ": {}}\nshards: 2\n"
#define COMPONENT                                                    \
	"hosts: {montague.example: {}, capulet.example: {}}\n" CLEAR \
	"shards: 2\ndomains: {" VERONA ": {component: {secret: x}}}\n"

/* Who served a domain that has come here is not heard for it any more. */
static void
who_served_what_is_ours_now_is_not_heard(void **state)
{
	static const char *const settings[] = {OURS, COMPONENT};

	(void)state;
	for (unsigned i = 0; i < 4; i++) {
		struct stage stage = stage_begin(i + 1, CLEAR);
		struct world_peer *peer =
		    i < 2 ? stage_arrive_proved(&stage)
			  : stage_arrive_one_way(&stage, VERONA);

		world_send(peer, MESSAGE("escalus@" VERONA));
		CHECK(stage_comes(stage.romeo, "id='v1'"));
		world_reload(stage.world, settings[i % 2]);
		world_send(peer, MESSAGE("escalus@" VERONA));
		CHECK(stage_comes(peer, "<policy-violation"));
		CHECK(!stage_comes(stage.romeo, "id='v1'"));
		world_free(&stage.world);
	}
}

/* One stream may speak to several domains of ours: also to one that is gone. */
static void
nobody_is_heard_for_a_domain_that_is_gone(void **state)
{
	static const char *const settings[] = {
	    CLEAR "hosts: {montague.example: {}}\nshards: 2\n",
	    CLEAR "hosts: {montague.example: {}, capulet.example: {}}\n"
		  "shards: 2\n",
	};

	(void)state;
	for (unsigned i = 0; i < 4; i++) {
		struct stage stage = stage_begin(i + 1, CLEAR);
		struct world_peer *peer = stage_arrive_one_way(&stage, VERONA);
		struct s2s *s2s = stage_s2s(peer);

		shard_enter(s2s->stream.shard);
		s2s_right_add(s2s, STR("capulet.example"), STR(VERONA));
		world_run(stage.world);
		CHECK_EQUAL(neighbours_in_use(stage.world), 1);
		world_reload(stage.world, settings[i % 2]);
		CHECK_EQUAL(stage_comes(peer, "<policy-violation"), i % 2 == 0);
		world_free(&stage.world);
	}
}

/* Nor who had not proved itself yet when it was forbidden. */
static void
who_is_forbidden_proves_nothing(void **state)
{
	static const char *const settings[] = {
	    CLEAR "s2s.deny: [" VERONA "]\n",
	    CLEAR "domains: {" VERONA ": {s2s: {tls_required: true}}}\n",
	};

	(void)state;
	for (unsigned i = 0; i < 3; i++) {
		struct stage stage = stage_begin(i + 1, CLEAR);
		struct world_peer *peer = stage_arrive(&stage);

		world_send(peer, OPENING);
		CHECK(stage_comes(peer, "features"));
		stage_s2s(peer)->certified = PROOF_PKIX;
		if (i < 2)
			stage_reload(&stage, settings[i]);
		else
			world_reload(stage.world, OURS);
		world_send(
		    peer, "<auth" NS("sasl") " mechanism='EXTERNAL'>=</auth>");
		CHECK(stage_comes(peer, "<policy-violation"));
		world_free(&stage.world);
	}
}

/* What proved them is not enough any more when they have proved themselves.
 * That says nothing of what they will do when asked for more, unless that is
 * forbidden as well. */
static void
who_proved_too_little_is_asked_again(void **state)
{
	static const struct {
		const char *settings;
		bool comes_back;
	} cases[] = {
	    {CLEAR "s2s.proofs: [pkix, dane, posh]\n", false},
	    {CLEAR "s2s.deny: [" VERONA "]\n", true},
	};

	(void)state;
	for (unsigned i = 0; i < 2; i++) {
		struct stage stage = stage_begin(i + 1, CLEAR);
		struct world_peer *peer;

		stage_say(&stage, "m1");
		peer = stage_dialled(&stage, STAGE_LINES - 2);
		stage_reload(&stage, cases[i].settings);
		world_send(peer, "<db:result" PAIR " type='valid'/>");
		CHECK(stage_comes(peer, "</stream:stream>"));
		CHECK(!stage_comes(stage.romeo, "type='error'"));
		world_sleep(stage.world, 2000);
		CHECK_EQUAL(stage_comes(stage.romeo, "<policy-violation"),
		    cases[i].comes_back);
		world_free(&stage.world);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(who_served_what_is_ours_now_is_not_heard),
	    cmocka_unit_test(nobody_is_heard_for_a_domain_that_is_gone),
	    cmocka_unit_test(who_is_forbidden_proves_nothing),
	    cmocka_unit_test(who_proved_too_little_is_asked_again),
	};

	return cmocka_run_group_tests_name("s2s_reload", tests, NULL, NULL);
}

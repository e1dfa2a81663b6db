/* What is acknowledged outlives a crash, also where it was sent to somebody who
 * is there and nothing archives it. */
#include "modules/offline.h"

#include "modules/waiting_rig.h"
#include "server/world_private.h"

#define KIND (offline_module.kinds[0])
#define SM   "urn:xmpp:sm:3"
/* Nothing is archived: no module, or nobody wants it. */
#define ALONE "modules: {archive: false}\n"
#define NEVER "archive: {default: never}\n"

/* Both are there; he has stream management. */
struct talk {
	struct world *world;
	struct world_peer *romeo, *juliet;
	char id[RIG_ID_LEN];
};

static struct talk
talk_new(uint64_t seed, const char *yaml)
{
	struct talk talk = {.world = rig_world(seed, 0, yaml)};

	talk.romeo = rig_bind(talk.world, ROMEO "/orchard");
	rig_enable(talk.romeo, talk.id);
	talk.juliet = rig_login(talk.world, JULIET "/balcony");
	return talk;
}

/* With this one, what she got she has to acknowledge. */
static struct talk
talk_managed(uint64_t seed, const char *yaml)
{
	struct talk talk = talk_new(seed, yaml);

	rig_enable(talk.juliet, talk.id);
	return talk;
}

static void
ask(struct world_peer *peer)
{
	rig_send(peer, "<r xmlns='" SM "'/>");
}

static bool
is_acked(struct world_peer *peer, unsigned h)
{
	char pattern[80];

	snprintf(pattern, sizeof(pattern), "<a xmlns='" SM "' h='%u'/>", h);
	return rig_finds(peer, pattern);
}

static void
acknowledge(struct world_peer *peer, unsigned h)
{
	char xml[80];

	snprintf(xml, sizeof(xml), "<a xmlns='" SM "' h='%u'/>", h);
	rig_send(peer, xml);
}

static bool
has(struct world_peer *peer, const char *id)
{
	char pattern[80];

	snprintf(pattern, sizeof(pattern), "<message id='%s'/>", id);
	return rig_finds(peer, pattern);
}

static unsigned
rows(const struct talk *talk)
{
	const struct account *account = rig_account(talk->world, JULIET);

	return rig_count(talk->world, account->owner.id, KIND);
}

static void
resume(struct talk *talk, unsigned h)
{
	talk->juliet = rig_come_back(
	    talk->world, JULIET, talk->id, h, "<resumed xmlns='" SM "'/>");
}

/* --- a crash ------------------------------------------------------------- */

static void
what_is_acknowledged_outlives_a_crash(void **state)
{
	static const char *const settings[] = {ALONE, NEVER};

	(void)state;
	for (uint64_t seed = 1; seed <= 20; seed++) {
		struct talk talk = talk_new(seed, settings[seed % 2]);

		waiting_say(talk.romeo, "m1");
		CHECK(has(talk.juliet, "m1"));
		world_sleep(talk.world, 50);
		ask(talk.romeo);
		CHECK(is_acked(talk.romeo, 1));
		world_kill(talk.world);
		talk.juliet =
		    waiting_come(talk.world, JULIET "/balcony", "<presence/>");
		waiting_expect(talk.juliet, "m1");
		waiting_prove(talk.world, talk.juliet);
		CHECK_EQUAL(rows(&talk), 0);
		world_free(&talk.world);
	}
}

/* Killed after each step of what follows a message: it is there if he was told
 * so. */
static void
it_does_so_at_every_instant(void **state)
{
	bool was_killed = true;

	(void)state;
	for (unsigned step = 1; was_killed; step++) {
		struct talk talk = talk_new(step, ALONE);
		bool was_acked, was_there;

		CHECK(step < 300);
		world_send(talk.romeo,
		    "<message type='chat' to='" JULIET "' id='m1'>"
		    "<body>Hi</body></message><r xmlns='" SM "'/>");
		world_kill_after(talk.world, step);
		world_sleep(talk.world, 50);
		was_killed = world_was_killed(talk.world);
		was_acked = is_acked(talk.romeo, 1);
		was_there = has(talk.juliet, "m1");
		CHECK(was_killed || (was_acked && was_there));
		world_kill(talk.world);
		talk.juliet = rig_bind(talk.world, JULIET "/balcony");
		rig_send(talk.juliet, "<presence/>");
		CHECK(has(talk.juliet, "m1") || !was_acked);
		world_free(&talk.world);
	}
}

/* --- when a row is written ----------------------------------------------- */

static void
a_quick_proof_needs_no_row(void **state)
{
	struct talk talk = talk_managed(1, ALONE);

	(void)state;
	world_hold_store(talk.world, true);
	waiting_say(talk.romeo, "m1");
	CHECK(has(talk.juliet, "m1"));
	acknowledge(talk.juliet, 1);
	ask(talk.romeo);
	CHECK(is_acked(talk.romeo, 1));
	world_hold_store(talk.world, false);
	world_sleep(talk.world, 100);
	CHECK_EQUAL(rows(&talk), 0);
	world_free(&talk.world);
}

static void
only_the_acknowledgement_waits(void **state)
{
	struct talk talk = talk_managed(1, ALONE);

	(void)state;
	world_hold_store(talk.world, true);
	waiting_say(talk.romeo, "m1");
	CHECK(has(talk.juliet, "m1"));
	world_sleep(talk.world, 50);
	ask(talk.romeo);
	world_sleep(talk.world, 50);
	CHECK(is_acked(talk.romeo, 0));
	world_hold_store(talk.world, false);
	world_run(talk.world);
	CHECK(is_acked(talk.romeo, 1));
	CHECK_EQUAL(rows(&talk), 1);
	acknowledge(talk.juliet, 1);
	world_sleep(talk.world, 50);
	CHECK_EQUAL(rows(&talk), 0);
	world_free(&talk.world);
}

/* The store is away: she has it, and he is told when it is kept, or when she
 * proved it. */
static void
a_failing_store_delays_it(void **state)
{
	(void)state;
	for (unsigned is_proved = 0; is_proved < 2; is_proved++) {
		struct talk talk = talk_managed(1, ALONE);

		world_break_store(talk.world, ERR_UNAVAILABLE);
		waiting_say(talk.romeo, "m1");
		CHECK(has(talk.juliet, "m1"));
		world_sleep(talk.world, 5000);
		ask(talk.romeo);
		world_sleep(talk.world, 50);
		CHECK(is_acked(talk.romeo, 0));
		if (is_proved)
			acknowledge(talk.juliet, 1);
		else
			world_break_store(talk.world, ERR_NONE);
		world_sleep(talk.world, 2000);
		CHECK(is_acked(talk.romeo, 1));
		world_break_store(talk.world, ERR_NONE);
		CHECK_EQUAL(rows(&talk), 1 - is_proved);
		world_free(&talk.world);
	}
}

/* Nobody knows whether there is a row when she proves that she has it. */
static void
a_row_that_may_be_there_is_erased(void **state)
{
	(void)state;
	for (unsigned is_proved = 0; is_proved < 2; is_proved++) {
		struct talk talk = talk_managed(1, ALONE);

		world_break_store(talk.world, ERR_UNCERTAIN);
		waiting_say(talk.romeo, "m1");
		CHECK(has(talk.juliet, "m1"));
		world_hold_store(talk.world, is_proved);
		world_sleep(talk.world, 50);
		acknowledge(talk.juliet, 1);
		world_hold_store(talk.world, false);
		world_run(talk.world);
		world_break_store(talk.world, ERR_NONE);
		world_sleep(talk.world, 2000);
		CHECK_EQUAL(rows(&talk), 0);
		world_free(&talk.world);
	}
}

static void
what_is_not_worth_it_makes_no_row(void **state)
{
	static const char *const sent[] = {
	    "<message type='headline' to='" JULIET "'><body>x</body></message>",
	    "<message type='chat' to='" JULIET "'><composing "
	    "xmlns='http://jabber.org/protocol/chatstates'/></message>",
	    "<message type='chat' to='" JULIET "'><body>x</body><no-store "
	    "xmlns='urn:xmpp:hints'/></message>",
	    "<message type='groupchat' to='" JULIET "/balcony'><body>x</body>"
	    "</message>",
	};
	struct talk talk = talk_managed(1, ALONE);

	(void)state;
	world_hold_store(talk.world, true);
	for (unsigned i = 0; i < COUNT_OF(sent); i++) {
		rig_send(talk.romeo, sent[i]);
		ask(talk.romeo);
		CHECK(is_acked(talk.romeo, i + 1));
		CHECK(rig_finds(talk.juliet, "<message/>"));
	}
	world_hold_store(talk.world, false);
	world_sleep(talk.world, 1000);
	CHECK_EQUAL(rows(&talk), 0);
	world_free(&talk.world);
}

/* Who waits for no acknowledgement costs nothing. */
static void
without_stream_management_there_is_no_row(void **state)
{
	struct talk talk = talk_managed(1, ALONE);
	struct world_peer *other = rig_bind(talk.world, ROMEO "/garden");

	(void)state;
	waiting_say(other, "m1");
	CHECK(has(talk.juliet, "m1"));
	world_sleep(talk.world, 1000);
	CHECK_EQUAL(rows(&talk), 0);
	world_free(&talk.world);
}

static void
rows_of_who_is_there_count_for_no_quota(void **state)
{
	struct talk talk = talk_new(1, "quota.offline_messages: 2\n" ALONE);
	char id[8];

	(void)state;
	for (unsigned i = 1; i <= 3; i++) {
		snprintf(id, sizeof(id), "m%u", i);
		waiting_say(talk.romeo, id);
		CHECK(has(talk.juliet, id));
		world_sleep(talk.world, 50);
	}
	CHECK_EQUAL(rows(&talk), 3);
	/* Only who may not be sent what waits is there. */
	rig_send(talk.juliet, "<presence><priority>-1</priority></presence>");
	rig_skip(talk.juliet);
	for (unsigned i = 4; i <= 6; i++) {
		snprintf(id, sizeof(id), "m%u", i);
		waiting_say(talk.romeo, id);
		world_sleep(talk.world, 50);
	}
	CHECK(rig_finds(talk.romeo, "<message type='error' id='m6'/>"));
	rig_send(talk.juliet, "<presence/>");
	CHECK(has(talk.juliet, "m4"));
	CHECK(has(talk.juliet, "m5"));
	waiting_prove(talk.world, talk.juliet);
	world_sleep(talk.world, 50);
	CHECK_EQUAL(rows(&talk), 0);
	world_free(&talk.world);
}

/* --- several sessions ---------------------------------------------------- */

static void
one_proof_is_enough(void **state)
{
	struct talk talk = talk_new(1, ALONE);
	struct world_peer *other = rig_login(talk.world, JULIET "/chamber");

	(void)state;
	rig_skip(talk.juliet);
	waiting_say(talk.romeo, "m1");
	CHECK(has(talk.juliet, "m1"));
	CHECK(has(other, "m1"));
	world_sleep(talk.world, 50);
	CHECK_EQUAL(rows(&talk), 1);
	waiting_prove(talk.world, other);
	CHECK_EQUAL(rows(&talk), 0);
	world_cut(&talk.juliet);
	world_sleep(talk.world, 1000);
	CHECK(!has(other, "m1"));
	world_free(&talk.world);
}

/* To one of them; the copy that another one has is as good (XEP-0280). */
static void
a_copy_is_as_good(void **state)
{
	struct talk talk = talk_new(1, ALONE);
	struct world_peer *other = rig_login(talk.world, JULIET "/chamber");

	(void)state;
	rig_send(other,
	    "<iq type='set' id='c'><enable xmlns='urn:xmpp:carbons:2'/></iq>");
	rig_skip(other);
	rig_send(talk.romeo,
	    "<message type='chat' to='" JULIET "/balcony' id='m1'>"
	    "<body>Hi</body></message>");
	CHECK(has(talk.juliet, "m1"));
	world_sleep(talk.world, 50);
	CHECK_EQUAL(rows(&talk), 1);
	waiting_prove(talk.world, other);
	CHECK_EQUAL(rows(&talk), 0);
	rig_skip(other);
	world_cut(&talk.juliet);
	world_sleep(talk.world, 1000);
	CHECK(!has(other, "m1"));
	world_free(&talk.world);
}

static void
who_stays_is_sent_what_nobody_proved(void **state)
{
	(void)state;
	for (uint64_t seed = 1; seed <= 20; seed++) {
		struct talk talk = talk_new(seed, ALONE);
		struct world_peer *other =
		    rig_login(talk.world, JULIET "/chamber");

		rig_send(talk.romeo,
		    "<message type='chat' to='" JULIET "/balcony' id='m1'>"
		    "<body>Hi</body></message>");
		/* Before the row is written, and after. */
		world_sleep(talk.world, seed % 2 * 50);
		CHECK(!has(other, "m1"));
		world_cut(&talk.juliet);
		world_sleep(talk.world, 50);
		CHECK(has(other, "m1"));
		waiting_prove(talk.world, other);
		CHECK_EQUAL(rows(&talk), 0);
		world_free(&talk.world);
	}
}

/* An older row of one session is no business of another that proves newer
 * ones. */
static void
rows_of_others_stay(void **state)
{
	struct talk talk = talk_new(1, ALONE);
	struct world_peer *other;

	(void)state;
	rig_send(talk.juliet, "<presence><priority>-1</priority></presence>");
	rig_send(talk.romeo,
	    "<message type='chat' to='" JULIET "/balcony' id='m1'>"
	    "<body>Hi</body></message>");
	CHECK(has(talk.juliet, "m1"));
	world_sleep(talk.world, 50);
	waiting_say(talk.romeo, "m2");
	other = waiting_come(talk.world, JULIET "/chamber", "<presence/>");
	CHECK(has(other, "m2"));
	CHECK(!has(other, "m1"));
	waiting_prove(talk.world, other);
	CHECK_EQUAL(rows(&talk), 1);
	world_cut(&talk.juliet);
	world_sleep(talk.world, 50);
	CHECK(has(other, "m1"));
	waiting_prove(talk.world, other);
	CHECK_EQUAL(rows(&talk), 0);
	world_free(&talk.world);
}

static void
nothing_is_read_twice(void **state)
{
	struct talk talk = talk_new(1, ALONE);
	struct world_peer *other;

	(void)state;
	rig_send(talk.juliet, "<presence><priority>-1</priority></presence>");
	rig_send(talk.romeo,
	    "<message type='chat' to='" JULIET "/balcony' id='m1'>"
	    "<body>Hi</body></message>");
	world_sleep(talk.world, 50);
	waiting_say(talk.romeo, "m2");
	other = rig_bind(talk.world, JULIET "/chamber");
	world_hold_store(talk.world, true);
	rig_send(other, "<presence/>");
	world_cut(&talk.juliet);
	world_run(talk.world);
	world_hold_store(talk.world, false);
	world_run(talk.world);
	CHECK(has(other, "m1"));
	CHECK(has(other, "m2"));
	CHECK(!rig_finds(other, "<message/>"));
	waiting_prove(talk.world, other);
	CHECK_EQUAL(rows(&talk), 0);
	world_free(&talk.world);
}

/* Who reads goes before it has proved the first part: the next reader is sent
 * all, in order, though there are rows that belong to it alone, from before or
 * after the first one came. */
static void
the_next_reader_is_sent_all_parts(void **state)
{
	(void)state;
	for (unsigned is_before = 0; is_before < 2; is_before++) {
		struct talk talk = talk_new(1, "sessions.queue: 50\n" ALONE);
		struct world_peer *other =
		    rig_bind(talk.world, JULIET "/chamber");

		rig_enable(other, talk.id);
		rig_send(talk.juliet, "<enable xmlns='" SM "'/>");
		rig_send(talk.juliet,
		    "<presence><priority>-1</priority></presence>");
		for (unsigned i = 0; i < 40; i++) {
			char id[16];

			snprintf(id, sizeof(id), "m%u", i);
			waiting_say(talk.romeo, id);
		}
		if (is_before)
			rig_send(talk.romeo,
			    "<message type='chat' to='" JULIET "/chamber'>"
			    "<body>Hi</body></message>");
		rig_send(talk.juliet, "<presence/>");
		rig_send(other, "<presence/>");
		if (!is_before)
			rig_send(talk.romeo,
			    "<message type='chat' to='" JULIET "'>"
			    "<body>Hi</body></message>");
		world_cut(&talk.juliet);
		world_run(talk.world);
		CHECK_EQUAL(waiting_acknowledge_all(other), 40);
		CHECK(!world_is_closed(other));
		world_free(&talk.world);
	}
}

/* --- restarts ------------------------------------------------------------ */

static void
who_resumes_after_a_restart_has_it_once(void **state)
{
	(void)state;
	for (uint64_t seed = 1; seed <= 20; seed++) {
		struct talk talk = talk_managed(seed, ALONE);

		waiting_say(talk.romeo, "m1");
		CHECK(has(talk.juliet, "m1"));
		world_sleep(talk.world, seed % 2 * 50);
		world_restart(talk.world);
		resume(&talk, 0);
		CHECK(has(talk.juliet, "m1"));
		rig_send(talk.juliet, "<presence/>");
		CHECK(!has(talk.juliet, "m1"));
		acknowledge(talk.juliet, 2);
		world_sleep(talk.world, 50);
		CHECK_EQUAL(rows(&talk), 0);
		world_free(&talk.world);
	}
}

/* What waited and was read likewise. */
static void
who_resumes_has_what_waited_once(void **state)
{
	struct talk talk = talk_managed(1, ALONE);

	(void)state;
	rig_send(talk.juliet, "<presence><priority>-1</priority></presence>");
	waiting_say(talk.romeo, "m1");
	rig_send(talk.juliet, "<presence/>");
	CHECK(has(talk.juliet, "m1"));
	world_restart(talk.world);
	resume(&talk, 0);
	CHECK(has(talk.juliet, "m1"));
	rig_send(talk.juliet, "<presence/>");
	CHECK(!has(talk.juliet, "m1"));
	world_free(&talk.world);
}

/* What waits behind the next part is not in the queue, though its row was
 * passed. */
static void
who_resumes_between_two_parts_misses_nothing(void **state)
{
	struct talk talk = talk_managed(1, "sessions.queue: 50\n" ALONE);
	char id[16];

	(void)state;
	rig_send(talk.juliet, "<presence><priority>-1</priority></presence>");
	for (unsigned i = 0; i < 25; i++) {
		if (i == 23)
			rig_send(talk.juliet, "<presence/>");
		snprintf(id, sizeof(id), "m%u", i);
		waiting_say(talk.romeo, id);
		world_sleep(talk.world, 50);
	}
	acknowledge(talk.juliet, 14);
	world_sleep(talk.world, 50);
	world_restart(talk.world);
	resume(&talk, 14);
	for (unsigned i = 12; i < 25; i++) {
		world_sleep(talk.world, 50);
		snprintf(id, sizeof(id), "m%u", i);
		CHECK(has(talk.juliet, id));
		acknowledge(talk.juliet, 14 + i - 11);
	}
	CHECK(!rig_finds(talk.juliet, "<message/>"));
	world_free(&talk.world);
}

/* The store was away while she came. */
static void
who_resumes_is_sent_what_could_not_be_read(void **state)
{
	struct talk talk = talk_managed(1, ALONE);

	(void)state;
	rig_send(talk.juliet, "<presence><priority>-1</priority></presence>");
	waiting_say(talk.romeo, "m1");
	world_sleep(talk.world, 50);
	world_break_store(talk.world, ERR_UNAVAILABLE);
	rig_send(talk.juliet, "<presence/>");
	CHECK(!has(talk.juliet, "m1"));
	world_break_store(talk.world, ERR_NONE);
	world_restart(talk.world);
	resume(&talk, 0);
	world_sleep(talk.world, 50);
	CHECK(has(talk.juliet, "m1"));
	world_free(&talk.world);
}

static void
who_does_not_resume_is_sent_it_at_the_next_login(void **state)
{
	struct talk talk = talk_managed(1, ALONE);

	(void)state;
	waiting_say(talk.romeo, "m1");
	world_sleep(talk.world, 50);
	world_restart(talk.world);
	world_sleep(talk.world, 15 * 60 * 1000);
	talk.juliet =
	    waiting_come(talk.world, JULIET "/chamber", "<presence/>");
	CHECK(has(talk.juliet, "m1"));
	CHECK(!has(talk.juliet, "m1"));
	world_free(&talk.world);
}

#define SWITCHED(offline)                                      \
	"hosts: {montague.example: {}, capulet.example: {}}\n" \
	"modules: {archive: false, offline: " offline "}\n"

/* Who was sent it goes while the module is switched off. */
static void
what_nobody_has_any_more_waits(void **state)
{
	struct talk talk = talk_new(1, ALONE);
	struct world_peer *other = rig_bind(talk.world, JULIET "/chamber");

	(void)state;
	waiting_say(talk.romeo, "m1");
	CHECK(has(talk.juliet, "m1"));
	world_sleep(talk.world, 50);
	CHECK_EQUAL(rows(&talk), 1);
	world_reload(talk.world, SWITCHED("false"));
	world_cut(&talk.juliet);
	world_sleep(talk.world, 1000);
	world_reload(talk.world, SWITCHED("true"));
	rig_send(other, "<presence/>");
	CHECK(has(other, "m1"));
	waiting_prove(talk.world, other);
	CHECK_EQUAL(rows(&talk), 0);
	world_free(&talk.world);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(what_is_acknowledged_outlives_a_crash),
	    cmocka_unit_test(it_does_so_at_every_instant),
	    cmocka_unit_test(a_quick_proof_needs_no_row),
	    cmocka_unit_test(only_the_acknowledgement_waits),
	    cmocka_unit_test(a_failing_store_delays_it),
	    cmocka_unit_test(a_row_that_may_be_there_is_erased),
	    cmocka_unit_test(what_is_not_worth_it_makes_no_row),
	    cmocka_unit_test(without_stream_management_there_is_no_row),
	    cmocka_unit_test(rows_of_who_is_there_count_for_no_quota),
	    cmocka_unit_test(one_proof_is_enough),
	    cmocka_unit_test(a_copy_is_as_good),
	    cmocka_unit_test(who_stays_is_sent_what_nobody_proved),
	    cmocka_unit_test(rows_of_others_stay),
	    cmocka_unit_test(nothing_is_read_twice),
	    cmocka_unit_test(the_next_reader_is_sent_all_parts),
	    cmocka_unit_test(who_resumes_after_a_restart_has_it_once),
	    cmocka_unit_test(who_resumes_has_what_waited_once),
	    cmocka_unit_test(who_resumes_between_two_parts_misses_nothing),
	    cmocka_unit_test(who_resumes_is_sent_what_could_not_be_read),
	    cmocka_unit_test(who_does_not_resume_is_sent_it_at_the_next_login),
	    cmocka_unit_test(what_nobody_has_any_more_waits),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

#include "modules/waiting_rig.h"

#include "server/world_private.h"

void
waiting_say(struct world_peer *romeo, const char *id)
{
	char text[200];

	snprintf(text, sizeof(text),
	    "<message type='chat' to='%s' id='%s'><body>Hi</body></message>",
	    JULIET, id);
	rig_send(romeo, text);
}

void
waiting_expect(struct world_peer *juliet, const char *id)
{
	char text[300];

	snprintf(text, sizeof(text),
	    "<message from='%s/orchard' id='%s'><body>Hi</body>"
	    "<delay xmlns='urn:xmpp:delay' from='capulet.example' "
	    "stamp='{time}'/></message>",
	    ROMEO, id);
	rig_expect(juliet, text);
}

const char *
waiting_next(struct world *world, struct world_peer *peer)
{
	const char *text = world_next(peer);

	for (unsigned tries = 0; tries < 2; tries++) {
		if (text != NULL && strstr(text, "urn:xmpp:ping") == NULL)
			return text;
		if (text != NULL)
			world_send(
			    peer, "<iq type='result' id='jackdaw-ping'/>");
		world_sleep(world, 500);
		text = world_next(peer);
	}
	return text;
}

struct world_peer *
waiting_come(struct world *world, const char *jid, const char *presence)
{
	struct world_peer *peer = rig_bind(world, jid);

	rig_send(peer, presence);
	rig_expect(peer, "<presence/>");
	return peer;
}

void
waiting_prove(struct world *world, struct world_peer *peer)
{
	world_sleep(world, 1500);
	rig_send(peer, " ");
	world_sleep(world, 1500);
	rig_send(peer, " ");
}

void
waiting_kept_messages_come_in_order_and_before_new_ones(void **state)
{
	for (uint64_t seed = 1; seed <= 10; seed++) {
		struct world *world = rig_world(seed, 0, *state);
		struct world_peer *romeo = rig_bind(world, ROMEO "/orchard");
		struct world_peer *juliet;
		char id[16];

		waiting_say_many(romeo, 100, 320);
		juliet = rig_bind(world, JULIET "/balcony");
		world_send(juliet, "<presence/>");
		world_send(romeo,
		    "<message to='" JULIET "' id='new'><body>x</body>"
		    "</message>");
		world_run(world);
		rig_expect(juliet, "<presence/>");
		for (unsigned i = 100; i < 320; i++) {
			snprintf(id, sizeof(id), "'m%u'", i);
			CHECK(strstr(waiting_next(world, juliet), id) != NULL);
		}
		CHECK(strstr(waiting_next(world, juliet), "'new'") != NULL);
		rig_expect_nothing(juliet);
		world_free(&world);
	}
}

void
waiting_two_sessions_do_not_both_get_it(void **state)
{
	for (uint64_t seed = 1; seed <= 20; seed++) {
		struct world *world = rig_world(seed, 0, *state);
		struct world_peer *romeo = rig_bind(world, ROMEO "/orchard");
		struct world_peer *first, *second;
		bool has_first, has_second;

		waiting_say(romeo, "m1");
		first = rig_bind(world, JULIET "/balcony");
		second = rig_bind(world, JULIET "/chamber");
		world_send(first, "<presence/>");
		world_send(second, "<presence/>");
		world_run(world);
		has_first = rig_finds(first, "<message id='m1'/>");
		has_second = rig_finds(second, "<message id='m1'/>");
		CHECK(has_first != has_second);

		/* The one that has it goes without a proof. */
		world_cut(has_first ? &first : &second);
		world_run(world);
		CHECK(rig_finds(
		    has_first ? second : first, "<message id='m1'/>"));
		world_free(&world);
	}
}

/* While m1 is read, m2 comes and waits behind it. She has the first one. */
void
waiting_a_proof_is_of_what_came_before(void **state)
{
	struct world *world = rig_world(1, 2, *state);
	struct world_peer *romeo = rig_bind(world, ROMEO "/orchard");
	struct world_peer *juliet = rig_bind(world, JULIET "/balcony");
	char id[RIG_ID_LEN];

	rig_enable(romeo, id);
	rig_enable(juliet, id);
	waiting_say(romeo, "m1");
	world_sleep(world, 50);
	world_hold_store(world, true);
	rig_send(juliet, "<presence/>");
	waiting_say(romeo, "m2");
	world_hold_store(world, false);
	world_sleep(world, 50);
	CHECK(rig_finds(juliet, "<message id='m2'/>"));
	rig_send(juliet, "<a xmlns='urn:xmpp:sm:3' h='2'/>");
	world_sleep(world, 2000);
	world_kill(world);
	juliet = rig_bind(world, JULIET "/chamber");
	rig_send(juliet, "<presence/>");
	CHECK(!rig_finds(juliet, "<message id='m1'/>"));
	world_cut(&juliet);
	world_run(world);
	juliet = rig_bind(world, JULIET "/chamber");
	rig_send(juliet, "<presence/>");
	CHECK(rig_finds(juliet, "<message id='m2'/>"));
	world_free(&world);
}

void
waiting_negative_priority_gets_none(void **state)
{
	struct world *world = rig_world(1, 2, *state);
	struct world_peer *romeo = rig_bind(world, ROMEO "/orchard");
	struct world_peer *juliet, *other;

	juliet = waiting_come(world, JULIET "/balcony",
	    "<presence><priority>-1</priority></presence>");
	waiting_say(romeo, "m1");
	rig_expect_nothing(juliet);
	rig_send(juliet, "<presence/>");
	rig_expect(juliet, "<presence/>");
	waiting_expect(juliet, "m1");
	waiting_prove(world, juliet);

	/* Who read before does not keep them from another one. */
	rig_send(juliet, "<presence><priority>-1</priority></presence>");
	rig_skip(juliet);
	waiting_say(romeo, "m2");
	other = rig_bind(world, JULIET "/chamber");
	rig_send(other, "<presence/>");
	CHECK(rig_finds(other, "<message id='m2'/>"));
	CHECK(!rig_finds(juliet, "<message/>"));
	world_free(&world);
}

/* --- more than a queue takes ---------------------------------------------- */

void
waiting_say_many(struct world_peer *romeo, unsigned from, unsigned upto)
{
	char id[16];

	for (unsigned i = from; i < upto; i++) {
		snprintf(id, sizeof(id), "m%u", i);
		waiting_say(romeo, id);
	}
}

/* Sessions have a queue of so many. */
static struct world *
queue_world(const char *settings, unsigned queue)
{
	char text[160];

	snprintf(text, sizeof(text), "sessions.queue: %u\n%s", queue,
	    settings == NULL ? "" : settings);
	return rig_world(1, 2, text);
}

/* Juliet with stream management: the first part is on its way to her. */
static struct world_peer *
come_managed(struct world *world, char id[static RIG_ID_LEN])
{
	struct world_peer *juliet = rig_bind(world, JULIET "/balcony");

	rig_enable(juliet, id);
	rig_send(juliet, "<presence/>");
	return juliet;
}

/* Nor the rest of what it was sent a part of. */
void
waiting_who_turns_negative_gets_no_more(void **state)
{
	struct world *world;
	struct world_peer *romeo, *juliet, *other;
	char id[RIG_ID_LEN];

	world = queue_world(*state, 40);
	romeo = rig_bind(world, ROMEO "/orchard");
	waiting_say_many(romeo, 0, 60);
	juliet = come_managed(world, id);
	rig_send(juliet, "<presence><priority>-1</priority></presence>");
	other = rig_bind(world, JULIET "/chamber");
	rig_send(other, "<presence/>");
	CHECK(rig_finds(other, "<message id='m59'/>"));
	CHECK(waiting_acknowledge_all(juliet) < 60);
	CHECK(!rig_finds(juliet, "<message/>"));
	world_free(&world);
}

void
waiting_who_goes_and_comes_back_has_it_once(void **state)
{
	struct world *world = rig_world(1, 2, *state);
	struct world_peer *romeo = rig_bind(world, ROMEO "/orchard");
	struct world_peer *juliet = rig_bind(world, JULIET "/balcony");
	char id[RIG_ID_LEN];

	waiting_say(romeo, "m1");
	rig_enable(juliet, id);
	rig_send(juliet, "<presence/>");
	CHECK(rig_finds(juliet, "<message id='m1'/>"));
	rig_send(juliet, "<presence type='unavailable'/>");
	waiting_say(romeo, "m2");
	rig_send(juliet, "<presence/>");
	CHECK(rig_finds(juliet, "<message id='m2'/>"));
	rig_send(juliet, "<presence><priority>-1</priority></presence>");
	rig_send(juliet, "<presence/>");
	CHECK(!rig_finds(juliet, "<message/>"));
	world_free(&world);
}

void
waiting_what_cannot_be_kept_is_refused(void **state)
{
	struct world *world = rig_world(1, 2, *state);
	struct world_peer *romeo = rig_bind(world, ROMEO "/orchard");
	struct world_peer *juliet;

	rig_account(world, JULIET);
	world_break_store(world, ERR_UNAVAILABLE);
	waiting_say(romeo, "m1");
	rig_expect(romeo, "<message type='error' id='m1'/>");
	world_break_store(world, ERR_NONE);
	waiting_say(romeo, "m2");
	juliet = waiting_come(world, JULIET "/balcony", "<presence/>");
	waiting_expect(juliet, "m2");
	rig_expect_nothing(juliet);
	world_free(&world);
}

/* The store does not know whether it is kept: no error, for she may get it. */
void
waiting_what_may_be_kept_is_not_refused(void **state)
{
	struct world *world = rig_world(1, 2, *state);
	struct world_peer *romeo = rig_bind(world, ROMEO "/orchard");
	struct world_peer *juliet;

	rig_account(world, JULIET);
	world_break_store(world, ERR_UNCERTAIN);
	waiting_say(romeo, "m1");
	world_break_store(world, ERR_UNAVAILABLE);
	world_sleep(world, 5000);
	rig_expect_nothing(romeo);
	world_break_store(world, ERR_NONE);
	world_sleep(world, 10000);
	juliet = waiting_come(world, JULIET "/balcony", "<presence/>");
	waiting_expect(juliet, "m1");
	rig_expect_nothing(juliet);
	world_free(&world);
}

/* The store is away while she comes: she gets them when it is back. */
void
waiting_what_cannot_be_read_is_read_before_what_is_new(void **state)
{
	struct world *world = rig_world(1, 2, *state);
	struct world_peer *romeo = rig_bind(world, ROMEO "/orchard");
	struct world_peer *juliet;

	waiting_say(romeo, "m1");
	juliet = rig_bind(world, JULIET "/balcony");
	world_break_store(world, ERR_UNAVAILABLE);
	rig_send(juliet, "<presence/>");
	rig_expect(juliet, "<presence/>");
	world_sleep(world, 5000);
	waiting_say(romeo, "m2");
	rig_expect_nothing(juliet);
	world_break_store(world, ERR_NONE);
	world_sleep(world, 1500);
	waiting_expect(juliet, "m1");
	rig_expect(juliet, "<message id='m2'/>");
	rig_expect_nothing(juliet);
	world_free(&world);
}

/* Who is there is to hear what others say meanwhile. */
void
waiting_nobody_waits_long_for_what_cannot_be_read(void **state)
{
	struct world *world = rig_world(1, 2, *state);
	struct world_peer *romeo = rig_bind(world, ROMEO "/orchard");
	struct world_peer *juliet;

	waiting_say(romeo, "m1");
	juliet = rig_bind(world, JULIET "/balcony");
	world_break_store(world, ERR_UNAVAILABLE);
	rig_send(juliet, "<presence/>");
	rig_expect(juliet, "<presence/>");
	waiting_say(romeo, "m2");
	world_sleep(world, 28000);
	rig_expect_nothing(juliet);
	world_sleep(world, 3000);
	rig_expect(juliet, "<message id='m2'/>");
	rig_expect_nothing(juliet);
	world_break_store(world, ERR_NONE);
	world_sleep(world, 60000);
	waiting_expect(juliet, "m1");
	rig_expect_nothing(juliet);
	world_free(&world);
}

/* What one waited for in vain is no reason for another one not to wait. */
void
waiting_who_comes_later_waits_as_long(void **state)
{
	struct world *world = rig_world(1, 2, *state);
	struct world_peer *romeo = rig_bind(world, ROMEO "/orchard");
	struct world_peer *juliet;

	waiting_say(romeo, "m1");
	juliet = rig_bind(world, JULIET "/balcony");
	world_break_store(world, ERR_UNAVAILABLE);
	rig_send(juliet, "<presence/>");
	world_sleep(world, 5000);
	world_cut(&juliet);
	world_run(world);
	world_break_store(world, ERR_NONE);
	world_sleep(world, 35000);

	juliet = rig_bind(world, JULIET "/chamber");
	world_break_store(world, ERR_UNAVAILABLE);
	rig_send(juliet, "<presence/>");
	rig_expect(juliet, "<presence/>");
	waiting_say(romeo, "m2");
	world_sleep(world, 5000);
	rig_expect_nothing(juliet);
	world_break_store(world, ERR_NONE);
	world_sleep(world, 1500);
	waiting_expect(juliet, "m1");
	rig_expect(juliet, "<message id='m2'/>");
	world_free(&world);
}

/* The store does not know whether it is kept when she comes. */
void
waiting_what_may_be_kept_comes_once(void **state)
{
	struct world *world = rig_world(1, 2, *state);
	struct world_peer *romeo = rig_bind(world, ROMEO "/orchard");
	struct world_peer *juliet;

	rig_account(world, JULIET);
	world_break_store(world, ERR_UNCERTAIN);
	waiting_say(romeo, "m1");
	world_break_store(world, ERR_FULL);
	juliet = waiting_come(world, JULIET "/balcony", "<presence/>");
	world_break_store(world, ERR_NONE);
	world_sleep(world, 1500);
	waiting_expect(juliet, "m1");
	waiting_prove(world, juliet);
	world_sleep(world, 15000);
	rig_expect_nothing(juliet);
	/* And until she is forgotten. */
	world_cut(&juliet);
	world_sleep(world, 120000);
	juliet = waiting_come(world, JULIET "/chamber", "<presence/>");
	rig_expect_nothing(juliet);
	world_free(&world);
}

/* The same, and what is new waits for it, but not for long. */
void
waiting_what_may_be_kept_comes_before_what_is_new(void **state)
{
	for (unsigned is_long = 0; is_long < 2; is_long++) {
		struct world *world = rig_world(1, 2, *state);
		struct world_peer *romeo = rig_bind(world, ROMEO "/orchard");
		struct world_peer *juliet = rig_bind(world, JULIET "/balcony");

		world_break_store(world, ERR_UNCERTAIN);
		waiting_say(romeo, "m1");
		world_break_store(world, ERR_FULL);
		rig_send(juliet, "<presence/>");
		rig_expect(juliet, "<presence/>");
		waiting_say(romeo, "m2");
		world_sleep(world, 28000);
		rig_expect_nothing(juliet);
		if (is_long) {
			world_sleep(world, 8000);
			rig_expect(juliet, "<message id='m2'/>");
			rig_expect_nothing(juliet);
		}
		world_break_store(world, ERR_NONE);
		world_sleep(world, is_long ? 20000 : 6000);
		waiting_expect(juliet, "m1");
		if (!is_long)
			rig_expect(juliet, "<message id='m2'/>");
		rig_expect_nothing(juliet);
		world_free(&world);
	}
}

/* She is away for no longer than it takes to read what waits. */
void
waiting_what_comes_while_others_are_read_comes_too(void **state)
{
	struct world *world = rig_world(1, 2, *state);
	struct world_peer *romeo = rig_bind(world, ROMEO "/orchard");
	struct world_peer *juliet = rig_bind(world, JULIET "/balcony");

	waiting_say(romeo, "m1");
	world_hold_store(world, true);
	rig_send(juliet, "<presence/>");
	rig_send(juliet, "<presence><priority>-1</priority></presence>");
	waiting_say(romeo, "m2");
	rig_send(juliet, "<presence/>");
	world_hold_store(world, false);
	world_run(world);
	CHECK(rig_finds(juliet, "<message id='m1'/>"));
	CHECK(rig_finds(juliet, "<message id='m2'/>"));
	CHECK(!rig_finds(juliet, "<message/>"));
	world_free(&world);
}

/* Kept before she blocked him. */
void
waiting_what_a_blocked_contact_said_is_not_sent(void **state)
{
	struct world *world = rig_world(1, 2, *state);
	struct world_peer *romeo = rig_bind(world, ROMEO "/orchard");
	struct world_peer *juliet = rig_bind(world, JULIET "/balcony");

	waiting_say(romeo, "m1");
	rig_send(juliet,
	    "<iq type='set' id='b'><block xmlns='urn:xmpp:blocking'>"
	    "<item jid='" ROMEO "'/></block></iq>");
	rig_expect(juliet, "<iq type='result' id='b'/>");
	rig_send(juliet, "<presence/>");
	rig_expect(juliet, "<presence/>");
	rig_expect_nothing(juliet);
	world_free(&world);
}

/* What is left out of a part is no reason to wait for its proof. */
void
waiting_others_come_though_most_are_blocked(void **state)
{
	struct world *world = rig_world(1, 2, *state);
	struct world_peer *romeo = rig_bind(world, ROMEO "/orchard");
	struct world_peer *juliet = rig_bind(world, JULIET "/balcony");
	struct world_peer *other;
	unsigned count = 0;

	world_add_account(world, "mercutio@montague.example", NULL);
	other = rig_bind(world, "mercutio@montague.example/street");
	for (unsigned i = 0; i < 500; i++)
		waiting_say(i % 10 == 0 ? romeo : other, "m1");
	rig_send(juliet,
	    "<iq type='set' id='b'><block xmlns='urn:xmpp:blocking'>"
	    "<item jid='mercutio@montague.example'/></block></iq>");
	rig_expect(juliet, "<iq type='result' id='b'/>");
	rig_send(juliet, "<presence/>");
	rig_expect(juliet, "<presence/>");
	while (waiting_next(world, juliet) != NULL)
		count++;
	CHECK_EQUAL(count, 50);
	world_free(&world);
}

unsigned
waiting_acknowledge_all(struct world_peer *juliet)
{
	unsigned got = 0, messages = 0;
	const char *xml;
	char text[80];

	while ((xml = world_next(juliet)) != NULL) {
		if (strncmp(xml, "<r ", 3) == 0) {
			snprintf(text, sizeof(text),
			    "<a xmlns='urn:xmpp:sm:3' h='%u'/>", got);
			rig_send(juliet, text);
			continue;
		}
		got++;
		snprintf(text, sizeof(text), "id='m%u'", messages);
		messages += strstr(xml, text) != NULL;
	}
	return messages;
}

void
waiting_more_than_the_queue_comes_in_parts(void **state)
{
	struct world *world;
	struct world_peer *romeo, *juliet;
	char id[RIG_ID_LEN];

	world = queue_world(*state, 50);
	romeo = rig_bind(world, ROMEO "/orchard");
	waiting_say_many(romeo, 0, 500);
	juliet = come_managed(world, id);
	CHECK_EQUAL(waiting_acknowledge_all(juliet), 500);
	CHECK(!world_is_closed(juliet));
	waiting_say(romeo, "m500");
	CHECK(rig_finds(juliet, "<message id='m500'/>"));
	world_free(&world);
}

#define LARGE_COUNT 40
#define LARGE_LEN   8000

static void
say_large_ones(struct world_peer *romeo)
{
	char text[LARGE_LEN + 200];

	for (unsigned i = 0; i < LARGE_COUNT; i++) {
		snprintf(text, sizeof(text),
		    "<message type='chat' to='%s' id='m%u'><body>%0*d</body>"
		    "</message>",
		    JULIET, i, LARGE_LEN, 0);
		rig_send(romeo, text);
	}
}

/* All that came is taken, then what asks for an answer has one. Its bytes. */
static size_t
take_part(struct world_peer *juliet, unsigned *got, unsigned *messages)
{
	char text[80], answer[80] = "";
	const char *xml;
	size_t len = 0;

	while ((xml = world_next(juliet)) != NULL) {
		const bool is_request = strncmp(xml, "<r ", 3) == 0;

		*got += !is_request;
		len += strlen(xml);
		snprintf(text, sizeof(text), "id='m%u'", *messages);
		*messages += strstr(xml, text) != NULL;
		if (is_request)
			snprintf(answer, sizeof(answer),
			    "<a xmlns='urn:xmpp:sm:3' h='%u'/>", *got);
		else if (strstr(xml, "urn:xmpp:ping") != NULL)
			snprintf(answer, sizeof(answer),
			    "<iq type='result' id='jackdaw-ping'/>");
	}
	if (answer[0] != '\0')
		rig_send(juliet, answer);
	return len;
}

static struct world *
large_world(const char *settings)
{
	char yaml[200];

	snprintf(yaml, sizeof(yaml), "limits: {stanza: 10000 B, rate: 0 B}\n%s",
	    settings == NULL ? "" : settings);
	return rig_world(1, 2, yaml);
}

/* Else the connection would end, for want of a client that reads all of it
 * before the next is written. got: stanzas that came before. */
static void
check_parts(struct world *world, struct world_peer *juliet, unsigned got,
    unsigned count)
{
	unsigned messages = 0;

	for (unsigned i = 0; i < count; i++) {
		CHECK(take_part(juliet, &got, &messages) < 60000);
		world_sleep(world, 500);
	}
	CHECK_EQUAL(messages, count);
	CHECK(!world_is_closed(juliet));
}

void
waiting_large_ones_come_in_parts(void **state)
{
	char id[RIG_ID_LEN];

	for (unsigned is_managed = 0; is_managed < 2; is_managed++) {
		struct world *world = large_world(*state);
		struct world_peer *romeo = rig_bind(world, ROMEO "/orchard");
		struct world_peer *juliet;

		say_large_ones(romeo);
		juliet = rig_bind(world, JULIET "/balcony");
		if (is_managed == 1)
			rig_enable(juliet, id);
		rig_send(juliet, "<presence/>");
		check_parts(world, juliet, 0, LARGE_COUNT);
		world_free(&world);
	}
}

/* What is new comes behind them. */
void
waiting_large_ones_come_in_parts_to_who_resumes(void **state)
{
	struct world *world = large_world(*state);
	struct world_peer *romeo = rig_bind(world, ROMEO "/orchard");
	struct world_peer *juliet = rig_bind(world, JULIET "/balcony");
	char id[RIG_ID_LEN], last[20];

	rig_enable(juliet, id);
	rig_send(juliet, "<presence/>");
	rig_skip(juliet);
	world_cut(&juliet);
	world_run(world);
	say_large_ones(romeo);
	juliet = rig_come_back(
	    world, JULIET, id, 1, "<resumed xmlns='urn:xmpp:sm:3'/>");
	snprintf(last, sizeof(last), "m%u", LARGE_COUNT);
	waiting_say(romeo, last);
	check_parts(world, juliet, 1, LARGE_COUNT + 1);
	world_free(&world);
}

/* She went in the middle of what waits; what is new waits behind it. */
void
waiting_order_is_kept_over_a_restart(void **state)
{
	struct world *world;
	struct world_peer *romeo, *juliet;
	char id[RIG_ID_LEN];

	world = queue_world(*state, 40);
	romeo = rig_bind(world, ROMEO "/orchard");
	waiting_say_many(romeo, 0, 60);
	come_managed(world, id);
	world_restart(world);

	romeo = rig_bind(world, ROMEO "/orchard");
	waiting_say_many(romeo, 60, 65);
	juliet = rig_come_back(
	    world, JULIET, id, 0, "<resumed xmlns='urn:xmpp:sm:3'/>");
	CHECK_EQUAL(waiting_acknowledge_all(juliet), 65);
	world_free(&world);
}

/* What came behind what waits is not sent before it, though she turns away in
 * the middle; not even when the server is restarted meanwhile. */
void
waiting_order_is_kept_by_who_turns_negative(void **state)
{
	for (unsigned is_restarted = 0; is_restarted < 2; is_restarted++) {
		struct world *world = queue_world(*state, 40);
		struct world_peer *romeo = rig_bind(world, ROMEO "/orchard");
		struct world_peer *juliet;
		char id[RIG_ID_LEN];

		rig_enable(romeo, id);
		waiting_say_many(romeo, 0, 60);
		juliet = come_managed(world, id);
		waiting_say_many(romeo, 60, 62);
		rig_send(
		    juliet, "<presence><priority>-1</priority></presence>");
		world_sleep(world, 1000);
		if (is_restarted == 1) {
			world_restart(world);
			juliet = rig_come_back(world, JULIET, id, 0,
			    "<resumed xmlns='urn:xmpp:sm:3'/>");
		}
		rig_send(juliet, "<presence/>");
		CHECK_EQUAL(waiting_acknowledge_all(juliet), 62);
		world_free(&world);
	}
}

/* Who is sent what waits and reads no more: her own error waits behind it, and
 * what others send her. */
void
waiting_nobody_waits_for_who_does_not_read(void **state)
{
	struct world *world;
	struct world_peer *romeo, *juliet;
	char id[RIG_ID_LEN], other_id[RIG_ID_LEN];

	world = queue_world(*state, 40);
	romeo = rig_bind(world, ROMEO "/orchard");
	rig_enable(romeo, other_id);
	waiting_say_many(romeo, 0, 60);
	juliet = come_managed(world, id);
	rig_send(juliet, "<message to='nobody@capulet.example' id='lost'>"
			 "<body>Hi</body></message>");
	rig_send(romeo, "<message type='headline' to='" JULIET
			"/balcony' id='news'><body>Hi</body></message>");
	rig_skip(romeo);
	rig_send(romeo, "<r xmlns='urn:xmpp:sm:3'/>");
	world_sleep(world, 100);
	rig_expect(romeo, "<a xmlns='urn:xmpp:sm:3' h='61'/>");

	world_cut(&juliet);
	world_sleep(world, 1000);
	juliet = rig_come_back(
	    world, JULIET, id, 0, "<resumed xmlns='urn:xmpp:sm:3' h='2'/>");
	CHECK(rig_finds(juliet, "<message type='error' id='lost'/>"));
	CHECK(!rig_finds(juliet, "<message id='news'/>"));

	world_restart(world);
	juliet = rig_come_back(
	    world, JULIET, id, 0, "<resumed xmlns='urn:xmpp:sm:3' h='2'/>");
	CHECK(rig_finds(juliet, "<message id='news'/>"));
	world_free(&world);
}

void
waiting_check_damaged_row(const char *yaml, const struct store_kind *kind)
{
	struct world *world = rig_world(1, 2, yaml);
	struct world_peer *romeo = rig_bind(world, ROMEO "/orchard");
	struct world_peer *juliet;

	waiting_say(romeo, "m1");
	rig_append(world, JULIET, kind, "junk");
	world_kill(world);
	world_cut(&romeo);
	romeo = rig_bind(world, ROMEO "/orchard");
	waiting_say(romeo, "m2");
	juliet = waiting_come(world, JULIET "/balcony", "<presence/>");
	waiting_expect(juliet, "m1");
	waiting_expect(juliet, "m2");
	rig_expect_nothing(juliet);
	world_free(&world);
}

void
waiting_check_unseen_reader(const char *on, const char *off)
{
	struct world *world = rig_world(1, 2, NULL);
	struct world_peer *romeo, *juliet, *other;

	world_reload(world, on);
	romeo = rig_bind(world, ROMEO "/orchard");
	waiting_say(romeo, "m1");
	juliet = rig_bind(world, JULIET "/balcony");
	other = rig_bind(world, JULIET "/chamber");
	world_break_store(world, ERR_UNAVAILABLE);
	rig_send(juliet, "<presence/>");
	world_break_store(world, ERR_NONE);
	world_reload(world, off);
	world_cut(&juliet);
	world_sleep(world, 60 * 1000);
	world_reload(world, on);
	world_sleep(world, 1000);
	rig_skip(other);
	rig_send(other, "<presence/>");
	CHECK(rig_finds(other, "<message id='m1'/>"));
	world_free(&world);
}

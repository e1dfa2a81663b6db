/* How many connections one address may have (RFC 6120, section 13.12), how many
 * accounts it may make, how many owners load at once, how long a store that is
 * behind stops its peers, and what answers of other servers cost. */
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/check.h"
#include "server/account.h"
#include "server/keys.h"
#include "server/owner.h"
#include "server/remote_private.h"
#include "server/world_neighbour.h"
#include "server/world_private.h"

const struct module *const modules_builtin[] = {NULL};

/* Whether it got features after the header, and no error. */
static bool
is_served(struct world_peer *peer)
{
	const char *text;
	bool has_features = false;

	while ((text = world_next(peer)) != NULL)
		has_features |= strstr(text, "mechanisms") != NULL;
	return has_features && !world_is_closed(peer);
}

static void
one_too_many_is_refused(void **state)
{
	struct world *world = world_new(&(struct world_options){
	    .seed = 1,
	    .yaml = "limits.connections: 2\n",
	    .is_one_address = true,
	});
	struct world_peer *one = world_open_stream(world);
	struct world_peer *two = world_open_stream(world);
	struct world_peer *three = world_open_stream(world);

	CHECK(is_served(one));
	CHECK(is_served(two));
	CHECK(!is_served(three));
	CHECK(world_is_closed(three));
	world_cut(&three);
	world_cut(&one);
	world_run(world);
	one = world_open_stream(world);
	CHECK(is_served(one));
	world_free(&world);
}

/* The answer to a registration of that name. */
static const char *
register_as(struct world *world, struct world_peer *peer, const char *name)
{
	char xml[300];

	snprintf(xml, sizeof(xml),
	    "<iq type='set' id='r'><query xmlns='jabber:iq:register'>"
	    "<username>%s</username><password>long enough</password>"
	    "</query></iq>",
	    name);
	world_send(peer, xml);
	world_run(world);
	return world_next(peer);
}

static void
registrations_of_an_address_are_few(void **state)
{
	struct world *world = world_new(&(struct world_options){
	    .seed = 1,
	    .yaml = "registration: {open: true, per_hour: 2}\n",
	    .is_one_address = true,
	});
	struct world_peer *one = world_open_stream(world);
	struct world_peer *two = world_open_stream(world);

	CHECK(is_served(one) && is_served(two));
	CHECK(strstr(register_as(world, one, "a"), "result") != NULL);
	CHECK(strstr(register_as(world, two, "b"), "result") != NULL);
	CHECK(strstr(register_as(world, one, "c"), "resource-constraint") !=
	      NULL);
	CHECK(strstr(register_as(world, two, "d"), "resource-constraint") !=
	      NULL);
	world_sleep(world, HOUR);
	one = world_open_stream(world);
	CHECK(is_served(one));
	CHECK(strstr(register_as(world, one, "c"), "result") != NULL);
	world_free(&world);
}

/* What it made on another host counts, too. */
static void
each_host_says_how_many(void **state)
{
	struct world *world = world_new(&(struct world_options){
	    .seed = 1, .shard_count = 2, .is_one_address = true});
	struct world_peer *one, *two;

	world_reload(world, "registration: {open: true, per_hour: 3}\n"
			    "hosts: {capulet.example: {}, montague.example:"
			    " {registration: {per_hour: 1}}}\n");
	one = world_open_stream(world);
	two = world_connect(world, "");
	CHECK(is_served(one));
	CHECK(world_start_stream(two, STR("capulet.example")));
	CHECK(strstr(register_as(world, one, "a"), "result") != NULL);
	CHECK(strstr(register_as(world, one, "b"), "resource-constraint") !=
	      NULL);
	(void)is_served(two);
	CHECK(strstr(register_as(world, two, "a"), "result") != NULL);
	CHECK(strstr(register_as(world, two, "b"), "result") != NULL);
	CHECK(strstr(register_as(world, two, "c"), "resource-constraint") !=
	      NULL);
	world_free(&world);
}

#define LOADS_MAX 256
#define OWNERS    1000

static unsigned
count_waiting(struct shard *shard)
{
	unsigned count = 0;

	list_each (owner, &shard->loads, struct owner, queue)
		count++;
	return count;
}

/* Whoever makes us ask for many names gets them one after the other. */
static void
owners_load_some_at_a_time(void **state)
{
	struct world *world =
	    world_new(&(struct world_options){.seed = 1, .shard_count = 1});
	struct arena *arena = arena_make(0);
	struct shard *shard = &world->server.shards[0];

	world_hold_store(world, true);
	shard_enter(shard);
	for (unsigned i = 0; i < OWNERS; i++)
		owner_want(shard,
		    jid_parse(arena,
			str_format(arena, "guard%u@montague.example", i)));
	CHECK_EQUAL(shard->load_count, LOADS_MAX);
	CHECK_EQUAL(count_waiting(shard), OWNERS - LOADS_MAX);
	world_hold_store(world, false);
	while (world_step(world, 1))
		CHECK(shard->load_count <= LOADS_MAX);
	CHECK_EQUAL(shard->load_count, 0);
	CHECK_EQUAL(count_waiting(shard), 0);
	CHECK_EQUAL(shard->absent_count, OWNERS);
	arena_free(&arena);
	world_free(&world);
}

/* As many accounts of that host. */
static void
ask_many(struct world_peer *peer, const char *host, unsigned count)
{
	for (unsigned i = 0; i < count; i++) {
		char iq[120];

		snprintf(iq, sizeof(iq),
		    "<iq type='get' id='g' to='guard%u@%s'><x xmlns='u'/></iq>",
		    i, host);
		world_send(peer, iq);
		world_run(peer->world);
	}
}

/* Of those that load when a reload takes their host, and of those that wait for
 * their turn. */
static void
who_waits_for_a_host_that_goes_is_answered(void **state)
{
	struct world *world =
	    world_new(&(struct world_options){.seed = 1, .shard_count = 1});
	struct world_peer *romeo;
	unsigned answers = 0;
	const char *text;

	(void)state;
	world_add_account(world, "romeo@montague.example", NULL);
	romeo = world_connect(world, "romeo@montague.example/orchard");
	world_hold_store(world, true);
	ask_many(romeo, "capulet.example", LOADS_MAX + 10);
	CHECK_EQUAL(count_waiting(&world->server.shards[0]), 10);
	world_reload(world, "hosts: {montague.example: {}}\n");
	CHECK_EQUAL(count_waiting(&world->server.shards[0]), 0);
	world_hold_store(world, false);
	world_run(world);
	while ((text = world_next(romeo)) != NULL)
		answers += strstr(text, "type='error'") != NULL;
	CHECK_EQUAL(answers, LOADS_MAX + 10);
	CHECK_EQUAL(world->server.shards[0].load_count, 0);
	world_sleep(world, 61 * 1000);
	CHECK_EQUAL(world->server.shards[0].owners.count, 1);
	CHECK_EQUAL(world->server.shards[0].absent_count, 0);
	world_free(&world);
}

/* One that could not be loaded, but has to stay, is loaded again after a while;
 * not when its host went meanwhile, whoever else loads then. */
static void
a_host_that_goes_is_loaded_no_more(void **state)
{
	struct world *world =
	    world_new(&(struct world_options){.seed = 1, .shard_count = 1});
	struct shard *shard = &world->server.shards[0];
	struct arena *arena = arena_make(0);
	struct world_peer *romeo;
	struct owner *juliet;

	(void)state;
	world_add_account(world, "romeo@montague.example", NULL);
	world_add_account(world, "juliet@capulet.example", NULL);
	romeo = world_connect(world, "romeo@montague.example/orchard");
	world_connect(world, "juliet@capulet.example/balcony");
	shard_enter(shard);
	juliet =
	    owner_find(shard, jid_parse(arena, STR("juliet@capulet.example")));
	owner_pin(juliet); /* as an open write does */
	world_break_store(world, ERR_UNAVAILABLE);
	owner_reload(juliet);
	world->is_quiet[0] = false;
	world_run(world);
	CHECK(!juliet->is_loading);
	world_break_store(world, ERR_NONE);
	world_hold_store(world, true);
	ask_many(romeo, "montague.example", LOADS_MAX);
	CHECK_EQUAL(shard->load_count, LOADS_MAX);
	world_reload(world, "hosts: {montague.example: {}}\n");
	world_sleep(world, 5000);
	CHECK_EQUAL(count_waiting(shard), 0);
	world_hold_store(world, false);
	world_run(world);
	shard_enter(shard);
	owner_unpin(juliet);
	world_sleep(world, 61 * 1000);
	CHECK_EQUAL(shard->owners.count, 1);
	CHECK_EQUAL(shard->absent_count, 0);
	arena_free(&arena);
	world_free(&world);
}

#define ABSENTS_MAX 1024
#define NAMES       3000

static void
fail_login(struct shard *shard, const char *bare)
{
	struct post *letter = post_new(POST_LOGIN, NULL);

	letter->to = jid_parse(letter->arena, str_of(bare));
	letter->login = arena_new(letter->arena, struct login);
	owner_take(shard, letter);
}

static void
ask_keys(struct shard *shard, unsigned number)
{
	struct post *letter = post_new(POST_KEYS_ASK, NULL);

	letter->to = jid_parse(letter->arena,
	    str_format(letter->arena, "guard%u@montague.example", number));
	owner_take(shard, letter);
}

/* Whoever guesses names fills no memory, and makes nobody forget how often the
 * password of another was guessed. */
static void
names_guessed_are_few(void **state)
{
	struct world *world =
	    world_new(&(struct world_options){.seed = 1, .shard_count = 1});
	struct arena *arena = arena_make(0);
	struct shard *shard = &world->server.shards[0];
	const struct jid *romeo =
	    jid_parse(arena, STR("romeo@montague.example"));

	world_add_account(world, "romeo@montague.example", NULL);
	for (unsigned i = 0; i < NAMES; i++) {
		shard_enter(shard);
		if (i % 500 == 0)
			fail_login(shard, "romeo@montague.example");
		ask_keys(shard, i);
		world->is_quiet[0] = false;
		world_run(world);
		CHECK(shard->absent_count <= ABSENTS_MAX);
		CHECK_EQUAL(shard->load_count, 0);
	}
	CHECK(owner_find(shard, romeo) != NULL);
	CHECK_EQUAL(owner_find(shard, romeo)->failures, NAMES / 500);
	arena_free(&arena);
	world_free(&world);
}

static void
expect_writes(struct world *world, int count)
{
	for (unsigned i = 0; i < world->server.shard_count; i++)
		store_expect(world->server.shards[i].store, count);
}

/* However much waits for the store: else nobody would answer pings. */
static void
pauses_are_short(void **state)
{
	struct world *world = world_new(&(struct world_options){.seed = 1});
	struct world_peer *peer;

	(void)state;
	expect_writes(world, 3000000);
	peer = world_open_stream(world);
	CHECK(is_served(peer));
	world_send(peer, "</stream:stream>");
	world_run(world);
	CHECK(!world_is_closed(peer));
	world_sleep(world, 1000);
	CHECK(world_is_closed(peer));
	expect_writes(world, -3000000);
	world_free(&world);
}

/* --- what a client has in flight ----------------------------------------- */

static void
send_many(struct world_peer *peer, unsigned count)
{
	struct buf text = {0};

	for (unsigned i = 0; i < count; i++)
		buf_add_format(&text,
		    "<message id='m%u' to='escalus@verona.example'>"
		    "<body>x</body></message>",
		    i);
	buf_add_byte(&text, '\0');
	world_send(peer, text.text);
	buf_deinit(&text);
}

static size_t
queued(const struct world *world)
{
	size_t bytes = 0;

	for (unsigned i = 0; i < world->server.shard_count; i++)
		bytes += world->server.shards[i].remotes->bytes;
	return bytes;
}

/* Whose stanzas are not done with is not read, and loses nothing; when they
 * are, the rest is. */
static void
who_has_too_much_in_flight_waits(void **state)
{
	enum { COUNT = 5000 };

	for (uint64_t seed = 1; seed <= 4; seed++) {
		struct world *world = world_new(&(struct world_options){
		    .seed = seed,
		    .yaml = "limits.rate: 1 GiB\nlimits.burst: 1 GiB\n"
			    "limits.idle_ping: 0 s\n",
		});
		struct world_peer *romeo;
		struct neighbour *verona =
		    neighbour_new(world, "verona.example");
		const char *text, *last = "";
		char acked[64] = "";
		size_t before;

		world_add_account(world, "romeo@montague.example", NULL);
		verona->mood = NEIGHBOUR_SILENT;
		romeo = world_connect(world, "romeo@montague.example/orchard");
		world_send(romeo, "<enable xmlns='urn:xmpp:sm:3'/>");
		world_run(world);
		CHECK(strstr(world_next(romeo), "<enabled") != NULL);
		world_hold_store(world, true);
		send_many(romeo, COUNT);
		world_sleep(world, 5000);
		CHECK(!world_is_closed(romeo));
		CHECK(romeo->conn->in.len > 0);
		before = queued(world);
		CHECK(before > 0);
		world_hold_store(world, false);
		world_sleep(world, 5000);
		CHECK_EQUAL(romeo->conn->in.len, 0);
		CHECK(queued(world) > 2 * before);
		world_send(romeo, "<r xmlns='urn:xmpp:sm:3'/>");
		world_sleep(world, 1000);
		snprintf(acked, sizeof(acked), "h='%u'", COUNT);
		while ((text = world_next(romeo)) != NULL) {
			if (strstr(text, "type='error'") != NULL)
				fail_msg("%s", text);
			last = strstr(text, acked) != NULL ? acked : "";
		}
		CHECK_TEXT(last, acked);
		world_free(&world);
	}
}

/* It is not the client that is silent then. */
static void
who_is_not_read_is_not_dead(void **state)
{
	struct world *world = world_new(&(struct world_options){
	    .seed = 1,
	    .yaml = "limits.rate: 1 GiB\nlimits.burst: 1 GiB\n"
		    "limits.idle_ping: 10 s\nlimits.idle_timeout: 5 s\n",
	});
	struct world_peer *romeo;

	neighbour_new(world, "verona.example")->mood = NEIGHBOUR_SILENT;
	world_add_account(world, "romeo@montague.example", NULL);
	romeo = world_connect(world, "romeo@montague.example/orchard");
	world_send(romeo, "<enable xmlns='urn:xmpp:sm:3'/>");
	world_run(world);
	world_hold_store(world, true);
	send_many(romeo, 5000);
	world_sleep(world, 60 * 1000);
	CHECK(!world_is_closed(romeo));
	CHECK(romeo->conn->in.len > 0);
	world_hold_store(world, false);
	world_sleep(world, 5 * 1000);
	CHECK(!world_is_closed(romeo));
	CHECK_EQUAL(romeo->conn->in.len, 0);
	world_sleep(world, 30 * 1000);
	CHECK(world_is_closed(romeo));
	world_free(&world);
}

/* While an account is loaded anew its letters wait; of those that are counted
 * none is refused, or the count would be wrong from then on. */
static void
what_is_counted_waits_while_an_account_loads(void **state)
{
	enum { COUNT = 2000 };
	struct world *world = world_new(&(struct world_options){
	    .seed = 1,
	    .yaml = "limits.rate: 1 GiB\nlimits.burst: 1 GiB\n",
	});
	struct neighbour *verona = neighbour_new(world, "verona.example");
	struct world_peer *romeo;
	struct arena *arena = arena_make(0);
	const struct jid *jid = jid_parse(arena, STR("romeo@montague.example"));
	struct shard *shard = shard_of(&world->server, jid);
	char acked[64] = "";
	bool is_acked = false;
	const char *text;

	(void)verona;
	world_add_account(world, "romeo@montague.example", NULL);
	romeo = world_connect(world, "romeo@montague.example/orchard");
	world_send(romeo, "<enable xmlns='urn:xmpp:sm:3'/>");
	world_run(world);
	CHECK(strstr(world_next(romeo), "<enabled") != NULL);
	world_hold_store(world, true);
	shard_enter(shard);
	owner_reload(owner_find(shard, jid));
	send_many(romeo, COUNT);
	world_sleep(world, 1000);
	world_hold_store(world, false);
	world_sleep(world, 5000);
	world_send(romeo, "<r xmlns='urn:xmpp:sm:3'/>");
	world_sleep(world, 1000);
	snprintf(acked, sizeof(acked), "h='%u'", COUNT);
	while ((text = world_next(romeo)) != NULL) {
		if (strstr(text, "type='error'") != NULL)
			fail_msg("%s", text);
		is_acked = is_acked || strstr(text, acked) != NULL;
	}
	CHECK(is_acked);
	arena_free(&arena);
	world_free(&world);
}

/* Nor is it, or anything else that a session must hear, while loading fails. */
static void
what_a_session_must_hear_waits_while_loading_fails(void **state)
{
	static const char ask[] =
	    "<iq type='get' id='d' to='montague.example'>"
	    "<query xmlns='http://jabber.org/protocol/disco#info'/></iq>";
	struct world *world = world_new(&(struct world_options){.seed = 1});
	struct arena *arena = arena_make(0);
	const struct jid *jid = jid_parse(arena, STR("romeo@montague.example"));
	struct shard *shard = shard_of(&world->server, jid);
	struct world_peer *romeo, *plain, *gone;

	world_add_account(world, "romeo@montague.example", NULL);
	romeo = world_connect(world, "romeo@montague.example/orchard");
	plain = world_connect(world, "romeo@montague.example/garden");
	gone = world_connect(world, "romeo@montague.example/balcony");
	world_break_store(world, ERR_UNAVAILABLE);
	shard_enter(shard);
	owner_reload(owner_find(shard, jid));
	world_send(plain, ask);
	world_send(romeo, "<enable xmlns='urn:xmpp:sm:3'/>");
	world_send(romeo, ask);
	world_send(romeo, "<r xmlns='urn:xmpp:sm:3'/>");
	world_sleep(world, 500);
	shard_enter(shard);
	owner_give_up_iqs(shard);
	world_cut(&gone);
	world_sleep(world, 5000);
	world_break_store(world, ERR_NONE);
	world_sleep(world, 60 * 1000);
	CHECK(strstr(world_next(plain), "resource-constraint") != NULL);
	CHECK(strstr(world_next(romeo), "<enabled") != NULL);
	CHECK(strstr(world_next(romeo), "service-unavailable") != NULL);
	CHECK_TEXT(world_next(romeo), "<r xmlns='urn:xmpp:sm:3'/>");
	CHECK_TEXT(world_next(romeo), "<a xmlns='urn:xmpp:sm:3' h='1'/>");
	CHECK(world_next(romeo) == NULL);
	shard_enter(shard);
	CHECK_EQUAL(account_find(shard, jid)->session_count, 2);
	arena_free(&arena);
	world_free(&world);
}

/* --- what other servers may cost ----------------------------------------- */

#define VERONA "verona.example"

/* Requests to as many there, all with the same id. */
static void
ask_verona(struct world_peer *peer, unsigned count)
{
	struct buf text = {0};

	for (unsigned i = 0; i < count; i++)
		buf_add_format(&text,
		    "<iq type='set' id='q' to='guard%u@" VERONA "'>"
		    "<x xmlns='u'/></iq>",
		    i);
	buf_add_byte(&text, '\0');
	world_send(peer, text.text);
	world_sleep(peer->world, 1000);
	buf_deinit(&text);
}

/* The time of this processor for as many answers that are none to those. */
static uint64_t
hear_verona(struct world *world, unsigned count)
{
	struct shard *shard = &world->server.shards[0];
	struct arena *arena = arena_make(0);
	const struct stanza *answer = stanza_make(arena, STANZA_IQ,
	    STANZA_RESULT, jid_parse(arena, STR("nobody@" VERONA)),
	    jid_parse(arena, STR("romeo@montague.example/orchard")), STR("q"));
	struct timespec from, to;

	shard_enter(shard);
	for (unsigned i = 0; i < count; i++)
		remote_hear(
		    shard, STR("montague.example"), STR(VERONA), answer);
	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &from);
	world_run(world);
	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &to);
	arena_free(&arena);
	return (uint64_t)(to.tv_sec - from.tv_sec) * 1000000000 +
	       (uint64_t)to.tv_nsec - (uint64_t)from.tv_nsec;
}

/* While so many requests wait, or it is not known what became of them. */
static uint64_t
cost_of_answers(unsigned requests, bool is_cut)
{
	enum { ANSWERS = 2000 };
	struct world *world = world_new(&(struct world_options){
	    .seed = 1,
	    .shard_count = 1,
	    .yaml = "limits.rate: 1 GiB\nlimits.burst: 1 GiB\n",
	});
	struct neighbour *verona = neighbour_new(world, VERONA);
	struct world_peer *romeo;
	uint64_t cost;

	world_add_account(world, "romeo@montague.example", NULL);
	romeo = world_connect(world, "romeo@montague.example/orchard");
	verona->is_lazy = true;
	if (!is_cut)
		verona->mood = NEIGHBOUR_SILENT;
	ask_verona(romeo, requests);
	if (is_cut) {
		neighbour_cut(verona, false);
		world_sleep(world, 5000);
	}
	CHECK(queued(world) > 0);
	cost = hear_verona(world, ANSWERS);
	world_free(&world);
	return cost;
}

/* However much was asked: who is asked answers as often as it likes. */
static void
answers_cost_the_same_always(void **state)
{
	(void)state;
	for (unsigned is_cut = 0; is_cut < 2; is_cut++) {
		const uint64_t few = cost_of_answers(1, is_cut);
		const uint64_t many = cost_of_answers(4000, is_cut);

		if (many > 20 * few)
			fail_msg("%llu ns, not %llu", (unsigned long long)many,
			    (unsigned long long)few);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(one_too_many_is_refused),
	    cmocka_unit_test(registrations_of_an_address_are_few),
	    cmocka_unit_test(each_host_says_how_many),
	    cmocka_unit_test(owners_load_some_at_a_time),
	    cmocka_unit_test(who_waits_for_a_host_that_goes_is_answered),
	    cmocka_unit_test(a_host_that_goes_is_loaded_no_more),
	    cmocka_unit_test(names_guessed_are_few),
	    cmocka_unit_test(pauses_are_short),
	    cmocka_unit_test(who_has_too_much_in_flight_waits),
	    cmocka_unit_test(answers_cost_the_same_always),
	    cmocka_unit_test(who_is_not_read_is_not_dead),
	    cmocka_unit_test(what_is_counted_waits_while_an_account_loads),
	    cmocka_unit_test(
		what_a_session_must_hear_waits_while_loading_fails),
	};

	return cmocka_run_group_tests_name("limits", tests, NULL, NULL);
}

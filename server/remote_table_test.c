/* What is remembered of other domains when nobody talks to them any more. */
#include <stdio.h>
#include <string.h>

#include "base/check.h"
#include "server/remote_list.h"
#include "server/remote_table.h"
#include "server/world_neighbour.h"
#include "server/world_private.h"

/* Without modules: stanzas go straight from sessions to the remote. */
const struct module *const modules_builtin[] = {NULL};

#define VERONA "verona.example"

#define SECONDS ((uint64_t)1000)
#define HOURS   (3600 * SECONDS)

struct stage {
	struct world *world;
	struct neighbour *verona;
	struct world_peer *romeo, *juliet;
};

static struct world_peer *
connect_as(struct world *world, const char *bare)
{
	char jid[64];

	snprintf(jid, sizeof(jid), "%s/balcony", bare);
	world_add_account(world, bare, NULL);
	return world_connect(world, jid);
}

static struct stage
begin(uint64_t seed)
{
	struct stage stage = {
	    .world = world_new(&(struct world_options){.seed = seed,
		.yaml = "limits.idle_ping: 0 s\n"
			"limits.rate: 1 GiB\n"
			"limits.burst: 1 GiB\n"})};

	stage.verona = neighbour_new(stage.world, VERONA);
	stage.romeo = connect_as(stage.world, "romeo@montague.example");
	stage.juliet = connect_as(stage.world, "juliet@capulet.example");
	return stage;
}

static void
say(struct world_peer *peer, const char *domain)
{
	char text[256];

	snprintf(text, sizeof(text),
	    "<message type='chat' id='m1' to='escalus@%s'><body>x</body>"
	    "</message>",
	    domain);
	world_send(peer, text);
	world_run(peer->world);
}

/* The links are closed, as nobody uses them. */
static void
part(const struct stage *stage)
{
	neighbour_cut(stage->verona, true);
	world_run(stage->world);
}

static size_t
pairs(const struct stage *stage)
{
	size_t count = 0;

	for (unsigned i = 0; i < stage->world->server.shard_count; i++) {
		json_t *list = remote_list(&stage->world->server.shards[i]);

		count += json_array_size(list);
		json_decref(list);
	}
	return count;
}

/* What the administration sees of that domain; an empty object: nothing. */
static json_t *
seen(const struct stage *stage, const char *domain)
{
	json_t *found = json_object();

	for (unsigned i = 0; i < stage->world->server.shard_count; i++) {
		json_t *list =
		    remote_list_domains(&stage->world->server.shards[i]);
		json_t *each;
		size_t at;

		json_array_foreach (list, at, each)
			if (strcmp(json_string_value(
				       json_object_get(each, "domain")),
				domain) == 0)
				json_object_update(found, each);
		json_decref(list);
	}
	return found;
}

static bool
is_known(const struct stage *stage, const char *domain)
{
	json_t *json = seen(stage, domain);
	const bool is_there = json_object_size(json) > 0;

	json_decref(json);
	return is_there;
}

static long long
counted(const struct stage *stage, const char *domain, const char *name)
{
	json_t *json = seen(stage, domain);
	const long long count = json_integer_value(
	    json_object_get(json_object_get(json, "stanzas"), name));

	json_decref(json);
	return count;
}

/* -1: it is in use. */
static long long
unused_s(const struct stage *stage, const char *domain)
{
	json_t *json = seen(stage, domain);
	json_t *value = json_object_get(json, "unused_s");
	const long long seconds =
	    json_is_null(value) ? -1 : json_integer_value(value);

	json_decref(json);
	return seconds;
}

static void
counts_outlive_the_link_and_go_on(void **state)
{
	(void)state;
	for (uint64_t seed = 1; seed <= 20; seed++) {
		struct stage stage = begin(seed);

		say(stage.romeo, VERONA);
		CHECK_EQUAL(unused_s(&stage, VERONA), -1);
		part(&stage);
		world_sleep(stage.world, 1 * HOURS);
		CHECK_EQUAL(pairs(&stage), 0);
		CHECK_EQUAL(unused_s(&stage, VERONA), 3600);
		CHECK_EQUAL(counted(&stage, VERONA, "sent"), 1);
		CHECK_EQUAL(counted(&stage, VERONA, "connects"), 1);
		say(stage.romeo, VERONA);
		CHECK_EQUAL(unused_s(&stage, VERONA), -1);
		CHECK_EQUAL(counted(&stage, VERONA, "sent"), 2);
		part(&stage);
		CHECK_EQUAL(unused_s(&stage, VERONA), 0);
		CHECK_EQUAL(counted(&stage, VERONA, "connects"), 2);
		world_free(&stage.world);
	}
}

static void
all_hosts_count_together(void **state)
{
	struct stage stage = begin(1);

	(void)state;
	say(stage.romeo, VERONA);
	say(stage.juliet, VERONA);
	CHECK_EQUAL(pairs(&stage), 2);
	CHECK_EQUAL(counted(&stage, VERONA, "sent"), 2);
	part(&stage);
	say(stage.juliet, VERONA);
	CHECK_EQUAL(pairs(&stage), 1);
	CHECK_EQUAL(counted(&stage, VERONA, "sent"), 3);
	world_free(&stage.world);
}

static void
why_it_failed_can_be_seen_later(void **state)
{
	struct stage stage = begin(1);
	json_t *json;

	(void)state;
	say(stage.romeo, "nowhere.example");
	world_sleep(stage.world, 1 * HOURS);
	CHECK_EQUAL(pairs(&stage), 0);
	CHECK_EQUAL(counted(&stage, "nowhere.example", "bounced"), 1);
	CHECK_EQUAL(counted(&stage, "nowhere.example", "failures"), 1);
	json = seen(&stage, "nowhere.example");
	CHECK_TEXT(json_string_value(json_object_get(json, "last_error")),
	    "there is no such domain");
	json_decref(json);
	world_free(&stage.world);
}

#define DOMAINS 5000
#define UNUSED  1000 /* of a shard */

/* Nor do they drive out a domain that was talked to before. */
static void
domains_at_random_are_forgotten(void **state)
{
	struct stage stage = begin(1);
	const unsigned shards = stage.world->server.shard_count;
	char domain[32];
	size_t known = 0;

	(void)state;
	say(stage.romeo, VERONA);
	part(&stage);
	for (unsigned i = 0; i < DOMAINS; i++) {
		snprintf(domain, sizeof(domain), "d%u.example", i);
		say(stage.romeo, domain);
		if (i % 500 == 499)
			world_sleep(stage.world, 10 * SECONDS);
	}
	CHECK_EQUAL(pairs(&stage), 0);
	for (unsigned i = 0; i < shards; i++)
		known += stage.world->server.shards[i].remotes->table.count;
	CHECK_EQUAL(known, UNUSED * shards);
	CHECK(!is_known(&stage, "d0.example"));
	CHECK(is_known(&stage, domain));
	CHECK_EQUAL(counted(&stage, VERONA, "sent"), 1);
	world_free(&stage.world);
}

/* Nothing is owed to who was never heard of. */
static void
names_that_never_answered_are_forgotten(void **state)
{
	static const char *const said[] = {
	    "<presence to='a@" VERONA "'/>",
	    "<presence type='unavailable' to='a@" VERONA "'/>",
	    "<presence type='unsubscribed' to='a@" VERONA "'/>",
	    "<presence type='subscribe' to='a@" VERONA "'/>",
	};

	for (size_t i = 0; i < COUNT_OF(said); i++) {
		struct stage stage = begin(i + 1);

		stage.verona->mood = NEIGHBOUR_UNREACHABLE;
		world_send(stage.romeo, said[i]);
		world_sleep(stage.world, 30 * SECONDS);
		CHECK(pairs(&stage) == 1);
		world_sleep(stage.world, 5 * 60 * SECONDS);
		CHECK(pairs(&stage) == 0);
		world_free(&stage.world);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(counts_outlive_the_link_and_go_on),
	    cmocka_unit_test(all_hosts_count_together),
	    cmocka_unit_test(why_it_failed_can_be_seen_later),
	    cmocka_unit_test(domains_at_random_are_forgotten),
	    cmocka_unit_test(names_that_never_answered_are_forgotten),
	};

	return cmocka_run_group_tests_name("remote_table", tests, NULL, NULL);
}

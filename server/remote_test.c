#include <stdio.h>
#include <string.h>

#include "base/check.h"
#include "server/outbox.h"
#include "server/remote_list.h"
#include "server/remote_private.h"
#include "server/world_neighbour.h"
#include "server/world_private.h"

/* Without modules: stanzas go straight from sessions to the remote. */
const struct module *const modules_builtin[] = {NULL};

#define ROMEO  "romeo@montague.example"
#define VERONA "verona.example"

#define SECONDS ((uint64_t)1000)
#define MINUTES (60 * SECONDS)

struct stage {
	struct world *world;
	struct neighbour *verona;
	struct world_peer *romeo;
};

static struct stage
begin_with(uint64_t seed, const char *yaml)
{
	struct stage stage = {.world = world_new(&(struct world_options){
				  .seed = seed, .yaml = yaml})};

	world_add_account(stage.world, ROMEO, NULL);
	stage.verona = neighbour_new(stage.world, VERONA);
	stage.romeo = world_connect(stage.world, ROMEO "/orchard");
	return stage;
}

static struct stage
begin(uint64_t seed)
{
	return begin_with(seed, "limits.idle_ping: 0 s\n");
}

static void
say(const struct stage *stage, const char *id)
{
	char text[256];

	snprintf(text, sizeof(text),
	    "<message type='chat' id='%s' to='escalus@" VERONA "'>"
	    "<body>x</body></message>",
	    id);
	world_send(stage->romeo, text);
	world_run(stage->world);
}

static bool
contains(const char *text, const char *part)
{
	return text != NULL && strstr(text, part) != NULL;
}

static bool
got(const struct stage *stage, const char *part)
{
	return contains(neighbour_next(stage->verona), part);
}

static bool
comes(const struct stage *stage, const char *part)
{
	return contains(world_next(stage->romeo), part);
}

static void
page_came(struct store_page *page)
{
	CHECK(page->err == ERR_NONE);
}

/* Rows of the outbox. */
static size_t
kept(const struct stage *stage)
{
	struct shard *shard = &stage->world->server.shards[0];
	struct arena *arena = arena_make(0);
	struct store_page page;
	size_t count;

	shard_enter(shard);
	store_due(shard->store, &page, arena,
	    &(struct due_query){
		.kind = &outbox_kind, .until_us = INT64_MAX, .max = 100},
	    page_came);
	world_hold_store(stage->world, false);
	world_run(stage->world);
	count = page.count;
	arena_free(&arena);
	return count;
}

static void
a_path_is_asked_for_once_and_order_is_kept(void **state)
{
	for (uint64_t seed = 1; seed <= 20; seed++) {
		struct stage stage = begin(seed);

		for (unsigned i = 0; i < 30; i++) {
			char id[16];

			snprintf(id, sizeof(id), "m%u", i);
			say(&stage, id);
		}
		CHECK(stage.verona->connects == 1);
		for (unsigned i = 0; i < 30; i++) {
			char id[16];

			snprintf(id, sizeof(id), "id='m%u'", i);
			CHECK(got(&stage, id));
		}
		CHECK(neighbour_next(stage.verona) == NULL);
		CHECK(world_next(stage.romeo) == NULL);
		world_free(&stage.world);
	}
}

static void
what_is_sent_is_in_the_namespace_of_servers(void **state)
{
	struct stage stage = begin(1);
	const char *text;

	say(&stage, "m1");
	text = neighbour_next(stage.verona);
	CHECK_TEXT(text,
	    "<message to='escalus@verona.example' "
	    "from='romeo@montague.example/orchard' type='chat' id='m1' "
	    "xml:lang='en'>"
	    "<body>x</body></message>");
	world_free(&stage.world);
}

static void
what_was_not_acknowledged_goes_again_first(void **state)
{
	for (uint64_t seed = 1; seed <= 20; seed++) {
		struct stage stage = begin(seed);

		stage.verona->is_lazy = true;
		say(&stage, "m1");
		neighbour_ack(stage.verona);
		say(&stage, "m2");
		say(&stage, "m3");
		stage.verona->mood = NEIGHBOUR_SILENT;
		neighbour_cut(stage.verona, false);
		say(&stage, "m4");
		CHECK(got(&stage, "m1"));
		CHECK(got(&stage, "m2"));
		CHECK(got(&stage, "m3"));
		CHECK(neighbour_next(stage.verona) == NULL);
		neighbour_open(stage.verona, "montague.example");
		CHECK(got(&stage, "m2"));
		CHECK(got(&stage, "m3"));
		CHECK(got(&stage, "m4"));
		CHECK(neighbour_next(stage.verona) == NULL);
		world_free(&stage.world);
	}
}

static void
the_first_path_carries_all_until_it_is_gone(void **state)
{
	struct stage stage = begin(1);

	stage.verona->is_lazy = true;
	say(&stage, "m1");
	neighbour_open(stage.verona, "montague.example");
	say(&stage, "m2");
	CHECK(stage.verona->connects == 1);
	CHECK(got(&stage, "m1"));
	CHECK(got(&stage, "m2"));
	CHECK(neighbour_next(stage.verona) == NULL);
	world_free(&stage.world);
}

static void
what_is_refused_for_good_is_answered_at_once(void **state)
{
	struct stage stage = begin(1);

	stage.verona->mood = NEIGHBOUR_REFUSING;
	say(&stage, "m1");
	CHECK(comes(&stage, "<remote-server-not-found"));
	say(&stage, "m2");
	CHECK(comes(&stage, "there is no such domain"));
	CHECK(stage.verona->connects == 1);
	world_sleep(stage.world, 10 * MINUTES);
	CHECK(neighbours_in_use(stage.world) == 0);
	stage.verona->mood = NEIGHBOUR_WILLING;
	say(&stage, "m3");
	CHECK(got(&stage, "m3"));
	CHECK(world_next(stage.romeo) == NULL);
	world_free(&stage.world);
}

static void
unreachable_servers_are_waited_for(void **state)
{
	struct stage stage = begin(1);

	stage.verona->mood = NEIGHBOUR_UNREACHABLE;
	say(&stage, "m1");
	world_send(stage.romeo, "<iq type='get' id='i1' to='" VERONA "'>"
				"<ping xmlns='urn:xmpp:ping'/></iq>"
				"<presence to='escalus@" VERONA "'/>");
	world_sleep(stage.world, 55 * SECONDS);
	CHECK(world_next(stage.romeo) == NULL);
	world_sleep(stage.world, 10 * SECONDS);
	CHECK(comes(&stage, "id='i1'"));
	CHECK(world_next(stage.romeo) == NULL);
	world_sleep(stage.world, 13 * MINUTES);
	CHECK(world_next(stage.romeo) == NULL);
	world_sleep(stage.world, 2 * MINUTES);
	CHECK(comes(&stage, "connection refused"));
	CHECK(kept(&stage) == 0);
	/* 1, 2, 4 ... 256, 300 s */
	CHECK(stage.verona->connects >= 8 && stage.verona->connects <= 14);
	world_sleep(stage.world, 10 * MINUTES);
	CHECK(neighbours_in_use(stage.world) == 0);
	world_free(&stage.world);
}

#define PING_VERONA                               \
	"<iq type='get' id='i1' to='" VERONA "'>" \
	"<ping xmlns='urn:xmpp:ping'/></iq>"

/* Messages for 15 minutes, all else for one; or as the domain's settings say.
 * And each with the same words: that it took too long. */
static void
each_kind_is_held_for_its_time(void **state)
{
	static const struct {
		const char *settings, *said, *id;
		uint64_t ms; /* 0: nobody is told */
	} cases[] = {
	    {"", "<message id='m1' to='a@" VERONA "'><body>x</body></message>",
		"id='m1'", 15 * MINUTES},
	    {"", PING_VERONA, "id='i1'", 60 * SECONDS},
	    {"", "<presence id='p1' type='subscribe' to='a@" VERONA "'/>",
		"id='p1'", 60 * SECONDS},
	    {"", "<presence to='a@" VERONA "'/>", NULL, 0},
	    {"s2s.hold_messages: 2 min\n",
		"<message id='m1' to='a@" VERONA "'><body>x</body></message>",
		"id='m1'", 2 * MINUTES},
	    {"domains: {" VERONA ": {s2s: {hold_messages: 3 min, "
	     "hold_others: 7 s}}}\n",
		"<message id='m1' to='a@" VERONA "'><body>x</body></message>",
		"id='m1'", 3 * MINUTES},
	    {"domains: {" VERONA ": {s2s: {hold_messages: 3 min, "
	     "hold_others: 7 s}}}\n",
		PING_VERONA, "id='i1'", 7 * SECONDS},
	    {"domains: {mantua.example: {s2s: {hold_others: 7 s}}}\n",
		PING_VERONA, "id='i1'", 60 * SECONDS},
	};

	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		char yaml[200];
		struct stage stage;
		const char *text;

		snprintf(yaml, sizeof(yaml), "limits.idle_ping: 0 s\n%s",
		    cases[i].settings);
		stage = begin_with(i + 1, yaml);
		stage.verona->mood = NEIGHBOUR_UNREACHABLE;
		world_send(stage.romeo, cases[i].said);
		world_run(stage.world);
		world_sleep(stage.world,
		    cases[i].ms == 0 ? 20 * MINUTES : cases[i].ms - 100);
		CHECK(world_next(stage.romeo) == NULL);
		if (cases[i].ms == 0) {
			world_free(&stage.world);
			continue;
		}
		world_sleep(stage.world, 200);
		text = world_next(stage.romeo);
		CHECK(contains(text, cases[i].id));
		CHECK(contains(text, "type='error'"));
		CHECK(contains(text, "<remote-server-timeout"));
		CHECK(world_next(stage.romeo) == NULL);
		CHECK(kept(&stage) == 0);
		world_free(&stage.world);
	}
}

/* RFC 6120, section 8.3.1: nor an answer for an answer. */
static void
no_error_is_sent_for_an_error(void **state)
{
	static const char *const answers[] = {
	    "<message id='e1' type='error' to='a@" VERONA "'><body>x</body>"
	    "<error type='cancel'><service-unavailable xmlns="
	    "'urn:ietf:params:xml:ns:xmpp-stanzas'/></error></message>",
	    "<iq type='result' id='e1' to='a@" VERONA "'/>",
	    "<iq type='error' id='e1' to='a@" VERONA "'><error type='cancel'>"
	    "<service-unavailable xmlns="
	    "'urn:ietf:params:xml:ns:xmpp-stanzas'/></error></iq>",
	    "<presence type='error' id='e1' to='a@" VERONA
	    "'><error type='cancel'><service-unavailable xmlns="
	    "'urn:ietf:params:xml:ns:xmpp-stanzas'/></error></presence>",
	};
	static const enum neighbour_mood moods[] = {
	    NEIGHBOUR_REFUSING, NEIGHBOUR_UNREACHABLE};

	for (size_t i = 0; i < COUNT_OF(answers) * 2; i++) {
		struct stage stage = begin(i + 1);

		stage.verona->mood = moods[i % 2];
		world_send(stage.romeo, answers[i / 2]);
		world_run(stage.world);
		CHECK(stage.verona->connects > 0);
		world_sleep(stage.world, 20 * MINUTES);
		CHECK(world_next(stage.romeo) == NULL);
		CHECK(kept(&stage) == 0);
		world_free(&stage.world);
	}
}

static void
what_waits_goes_when_the_server_is_back(void **state)
{
	struct stage stage = begin(1);

	stage.verona->mood = NEIGHBOUR_UNREACHABLE;
	say(&stage, "m1");
	world_sleep(stage.world, 5 * MINUTES);
	stage.verona->mood = NEIGHBOUR_WILLING;
	world_sleep(stage.world, 5 * MINUTES);
	CHECK(got(&stage, "m1"));
	CHECK(kept(&stage) == 0);
	CHECK(world_next(stage.romeo) == NULL);
	world_free(&stage.world);
}

static void
a_full_queue_answers(void **state)
{
	struct stage stage =
	    begin_with(1, "limits.idle_ping: 0 s\ns2s.queue: 10\n");
	char id[16];

	stage.verona->mood = NEIGHBOUR_SILENT;
	for (unsigned i = 0; i < 11; i++) {
		snprintf(id, sizeof(id), "m%u", i);
		say(&stage, id);
	}
	CHECK(comes(&stage, "id='m10'"));
	world_send(stage.romeo, "<presence to='escalus@" VERONA "'/>");
	world_run(stage.world);
	CHECK(world_next(stage.romeo) == NULL);
	world_free(&stage.world);
}

static void
a_path_that_does_nothing_is_no_success(void **state)
{
	struct stage stage = begin(1);

	stage.verona->is_lazy = true;
	say(&stage, "m1");
	for (unsigned i = 0; i < 100; i++) {
		neighbour_cut(stage.verona, false);
		world_sleep(stage.world, 1 * SECONDS);
	}
	CHECK(stage.verona->connects < 12);
	world_free(&stage.world);
}

static void
what_is_too_large_for_the_peer_comes_back(void **state)
{
	struct stage stage = begin(1);

	stage.verona->max_bytes = 100;
	say(&stage, "m1");
	CHECK(comes(&stage, "<policy-violation"));
	CHECK(neighbour_next(stage.verona) == NULL);
	world_free(&stage.world);
}

static void
strangers_do_not_speak_through_us(void **state)
{
	struct stage stage = begin(1);

	neighbour_send(stage.verona,
	    "<message xmlns='jabber:client' from='a@mantua.example' "
	    "to='b@" VERONA "'><body>x</body></message>");
	CHECK(stage.verona->connects == 0);
	CHECK(neighbours_in_use(stage.world) == 0);
	world_free(&stage.world);
}

static void
nobody_speaks_for_a_host_that_is_gone(void **state)
{
	struct stage stage = begin(1);

	stage.verona->mood = NEIGHBOUR_UNREACHABLE;
	say(&stage, "m1");
	world_reload(stage.world, "hosts: {capulet.example: {}}\nshards: 2\n");
	stage.verona->mood = NEIGHBOUR_WILLING;
	world_sleep(stage.world, 10 * MINUTES);
	CHECK(neighbour_next(stage.verona) == NULL);
	CHECK(neighbours_in_use(stage.world) == 0);
	world_free(&stage.world);
}

/* --- written down --------------------------------------------------------- */

#define CHAT_STATES " xmlns='http://jabber.org/protocol/chatstates'/>"

static void
only_what_waits_is_written_down(void **state)
{
	struct stage stage = begin(1);

	say(&stage, "m1");
	world_sleep(stage.world, 1 * SECONDS);
	CHECK(got(&stage, "m1"));
	CHECK(kept(&stage) == 0);
	stage.verona->is_lazy = true;
	say(&stage, "m2");
	CHECK(kept(&stage) == 0);
	world_sleep(stage.world, 250);
	CHECK(kept(&stage) == 1);
	neighbour_ack(stage.verona);
	world_sleep(stage.world, 250);
	CHECK(kept(&stage) == 0);
	world_free(&stage.world);
}

/* What somebody may want to read, also of a room: not how somebody types, nor
 * what shall not be stored. */
static void
what_is_of_worth_is_written_down(void **state)
{
	static const struct {
		const char *type, *content;
		size_t kept;
	} cases[] = {
	    {"chat", "<body>x</body>", 1},
	    {"normal", "<body>x</body>", 1},
	    {"groupchat", "<body>x</body>", 1},
	    {"groupchat", "<subject>x</subject>", 1},
	    {"groupchat", "<active" CHAT_STATES, 0},
	    {"chat", "<active" CHAT_STATES, 0},
	    {"groupchat", "<body>x</body><no-store xmlns='urn:xmpp:hints'/>",
		0},
	    {"headline", "<body>x</body>", 0},
	};

	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		struct stage stage = begin(i + 1);
		char text[256];

		stage.verona->mood = NEIGHBOUR_UNREACHABLE;
		snprintf(text, sizeof(text),
		    "<message type='%s' id='m1' to='room@" VERONA
		    "'>%s</message>",
		    cases[i].type, cases[i].content);
		world_send(stage.romeo, text);
		world_sleep(stage.world, 50);
		CHECK(kept(&stage) == cases[i].kept);
		world_sleep(stage.world, 16 * MINUTES);
		CHECK(comes(&stage, "<remote-server-timeout"));
		CHECK(world_next(stage.romeo) == NULL);
		CHECK(kept(&stage) == 0);
		world_free(&stage.world);
	}
}

static void
without_a_store_messages_go_on(void **state)
{
	struct stage stage = begin(1);

	stage.verona->mood = NEIGHBOUR_SILENT;
	world_break_store(stage.world, ERR_UNAVAILABLE);
	say(&stage, "m1");
	world_sleep(stage.world, 1 * SECONDS);
	CHECK(world_next(stage.romeo) == NULL);
	world_break_store(stage.world, ERR_NONE);
	CHECK(kept(&stage) == 0);
	world_sleep(stage.world, 11 * SECONDS);
	CHECK(kept(&stage) == 1);
	world_break_store(stage.world, ERR_UNAVAILABLE);
	neighbour_open(stage.verona, "montague.example");
	CHECK(got(&stage, "m1"));
	say(&stage, "m2");
	CHECK(got(&stage, "m2"));
	CHECK(world_next(stage.romeo) == NULL);
	world_free(&stage.world);
}

/* What waited comes at the peer's pace: a connection that is given more than it
 * takes is given up, and all would begin anew. */
static void
no_more_is_sent_than_a_connection_holds(void **state)
{
	enum { LARGE = 50000, COUNT = 100 };
	struct stage stage =
	    begin_with(1, "limits.idle_ping: 0 s\nlimits.rate: 1 GiB\n"
			  "limits.burst: 1 GiB\n");
	char *text = malloc(LARGE + 200), id[16];
	unsigned came = 0, most = 0, now;
	const char *got;

	stage.verona->is_lazy = true;
	for (unsigned i = 0; i < COUNT; i++) {
		snprintf(text, LARGE + 200,
		    "<message id='m%u' to='a@" VERONA "'><body>%0*u</body>"
		    "</message>",
		    i, LARGE, i);
		world_send(stage.romeo, text);
		world_run(stage.world);
	}
	free(text);
	do {
		for (now = 0; (got = neighbour_next(stage.verona)) != NULL;
		    now++) {
			snprintf(id, sizeof(id), "id='m%u'", came++);
			CHECK(contains(got, id));
		}
		if (now > most)
			most = now;
		neighbour_ack(stage.verona);
		world_run(stage.world);
	} while (now > 0);
	CHECK_EQUAL(came, COUNT);
	CHECK(most <= 1 + WINDOW_BYTES / LARGE);
	world_free(&stage.world);
}

/* --- strangers in great number ------------------------------------------- */

#define DOMAINS 20000

static void
say_to(const struct stage *stage, unsigned number)
{
	char text[256];

	snprintf(text, sizeof(text),
	    "<message type='chat' id='n%u' to='a@d%u.example'>"
	    "<body>x</body></message>",
	    number, number);
	world_send(stage->romeo, text);
}

static void
on_connect_never(struct shard *shard, struct str local, struct str domain)
{
	(void)shard, (void)local, (void)domain;
}

static void
domains_at_random_cost_little(void **state)
{
	struct stage stage =
	    begin_with(1, "limits.idle_ping: 0 s\nlimits.rate: 1 GiB\n"
			  "limits.burst: 1 GiB\n");
	unsigned refused = 0;
	const char *text;

	stage.world->server.s2s_connect = on_connect_never;
	for (unsigned i = 0; i < DOMAINS; i++) {
		say_to(&stage, i);
		if (i % 100 == 0)
			world_run(stage.world);
	}
	world_run(stage.world);
	CHECK(neighbours_in_use(stage.world) <=
	      stage.world->server.shard_count * SILENT_MAX);
	while ((text = world_next(stage.romeo)) != NULL)
		refused += contains(text, "<resource-constraint");
	CHECK(refused == DOMAINS - neighbours_in_use(stage.world));
	world_free(&stage.world);
}

/* Nor large messages to them. */
static void
large_messages_at_random_cost_little(void **state)
{
	enum { LARGE = 200000, COUNT = 900 };
	struct stage stage =
	    begin_with(1, "limits.idle_ping: 0 s\nlimits.rate: 1 GiB\n"
			  "limits.burst: 1 GiB\n");
	const struct server *server = &stage.world->server;
	char *text = malloc(LARGE + 200);
	size_t bytes = 0;

	stage.world->server.s2s_connect = on_connect_never;
	for (unsigned i = 0; i < COUNT; i++) {
		snprintf(text, LARGE + 200,
		    "<message to='a@d%u.example'><body>%0*u</body></message>",
		    i, LARGE, i);
		world_send(stage.romeo, text);
		world_run(stage.world);
	}
	free(text);
	for (unsigned i = 0; i < server->shard_count; i++)
		bytes += server->shards[i].remotes->bytes;
	CHECK(bytes > 1000000);
	CHECK(bytes < server->shard_count * (SILENT_BYTES_MAX + 2 * LARGE));
	CHECK(comes(&stage, "<resource-constraint"));
	world_free(&stage.world);
}

static void
request_durably(struct shard *shard, const char *status)
{
	struct post *letter = post_new(POST_STANZA, NULL);
	struct arena *arena = letter->arena;
	struct stanza *stanza = stanza_make(arena, STANZA_PRESENCE,
	    STANZA_SUBSCRIBE, jid_parse(arena, STR(ROMEO)),
	    jid_parse(arena, STR("escalus@" VERONA)), STR("s1"));
	struct store_write *write;

	node_add_text(
	    node_add(stanza_body(stanza), "status", NS_CLIENT), str_of(status));
	letter->stanza = stanza;
	shard_enter(shard);
	write = store_write_new(shard->store);
	outbox_post(shard, write, letter);
	store_commit(write, NULL, NULL);
}

/* Nor requests, which are promised to arrive, but not without end. */
static void
requests_without_end_are_refused(void **state)
{
	enum { LARGE = 500000, COUNT = 250 };
	struct stage stage = begin(1);
	const struct server *server = &stage.world->server;
	char *status = malloc(LARGE + 1);
	size_t bytes = 0;

	memset(status, 'x', LARGE);
	status[LARGE] = '\0';
	stage.verona->mood = NEIGHBOUR_SILENT;
	for (unsigned i = 0; i < COUNT; i++) {
		request_durably(&stage.world->server.shards[0], status);
		world_run(stage.world);
	}
	free(status);
	for (unsigned i = 0; i < server->shard_count; i++)
		bytes += server->shards[i].remotes->bytes;
	CHECK(bytes > LARGE);
	CHECK(bytes < (size_t)LARGE * (COUNT - 10));
	world_free(&stage.world);
}

/* --- seen ---------------------------------------------------------------- */

static json_t *
seen(const struct stage *stage)
{
	json_t *all = json_array();

	for (unsigned i = 0; i < stage->world->server.shard_count; i++) {
		json_t *list = remote_list(&stage->world->server.shards[i]);

		json_array_extend(all, list);
		json_decref(list);
	}
	return all;
}

static long long
counter(json_t *pairs, const char *name)
{
	json_t *stanzas = json_object_get(json_array_get(pairs, 0), "stanzas");

	return json_integer_value(json_object_get(stanzas, name));
}

static void
pairs_can_be_seen(void **state)
{
	struct stage stage = begin(1);
	json_t *pairs, *pair;

	stage.verona->is_lazy = true;
	say(&stage, "m1");
	neighbour_ack(stage.verona);
	say(&stage, "m2");
	world_sleep(stage.world, 3 * SECONDS);
	pairs = seen(&stage);
	pair = json_array_get(pairs, 0);
	CHECK(json_array_size(pairs) == 1);
	CHECK_TEXT(json_string_value(json_object_get(pair, "remote")), VERONA);
	CHECK_TEXT(
	    json_string_value(json_object_get(pair, "state")), "connected");
	CHECK(json_integer_value(json_object_get(pair, "queued")) == 1);
	CHECK(json_integer_value(json_object_get(pair, "kept")) == 1);
	CHECK(json_integer_value(json_object_get(pair, "oldest_s")) == 3);
	CHECK(json_array_size(json_object_get(pair, "streams")) == 1);
	CHECK(counter(pairs, "sent") == 1 && counter(pairs, "connects") == 1);
	json_decref(pairs);
	stage.verona->mood = NEIGHBOUR_UNREACHABLE;
	neighbour_cut(stage.verona, false);
	world_run(stage.world);
	pairs = seen(&stage);
	pair = json_array_get(pairs, 0);
	CHECK_TEXT(
	    json_string_value(json_object_get(pair, "state")), "waiting");
	CHECK_TEXT(json_string_value(json_object_get(pair, "last_error")),
	    "connection refused");
	CHECK(counter(pairs, "failures") == 1);
	json_decref(pairs);
	world_free(&stage.world);
}

static void
what_comes_back_and_what_is_lost_is_counted(void **state)
{
	struct stage stage = begin(1);
	json_t *pairs;

	say(&stage, "m1");
	world_send(stage.romeo, "<presence to='escalus@" VERONA "'/>");
	world_run(stage.world);
	stage.verona->mood = NEIGHBOUR_REFUSING;
	neighbour_cut(stage.verona, false);
	say(&stage, "m2");
	say(&stage, "m3");
	world_send(stage.romeo, "<presence to='escalus@" VERONA "'/>");
	world_run(stage.world);
	pairs = seen(&stage);
	CHECK_EQUAL(counter(pairs, "sent"), 2);
	CHECK_EQUAL(counter(pairs, "bounced"), 2);
	CHECK_EQUAL(counter(pairs, "dropped"), 1);
	CHECK_TEXT(json_string_value(
		       json_object_get(json_array_get(pairs, 0), "state")),
	    "refused");
	json_decref(pairs);
	world_free(&stage.world);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(a_path_is_asked_for_once_and_order_is_kept),
	    cmocka_unit_test(what_is_sent_is_in_the_namespace_of_servers),
	    cmocka_unit_test(what_was_not_acknowledged_goes_again_first),
	    cmocka_unit_test(the_first_path_carries_all_until_it_is_gone),
	    cmocka_unit_test(what_is_refused_for_good_is_answered_at_once),
	    cmocka_unit_test(unreachable_servers_are_waited_for),
	    cmocka_unit_test(each_kind_is_held_for_its_time),
	    cmocka_unit_test(no_error_is_sent_for_an_error),
	    cmocka_unit_test(what_waits_goes_when_the_server_is_back),
	    cmocka_unit_test(a_full_queue_answers),
	    cmocka_unit_test(a_path_that_does_nothing_is_no_success),
	    cmocka_unit_test(what_is_too_large_for_the_peer_comes_back),
	    cmocka_unit_test(no_more_is_sent_than_a_connection_holds),
	    cmocka_unit_test(strangers_do_not_speak_through_us),
	    cmocka_unit_test(nobody_speaks_for_a_host_that_is_gone),
	    cmocka_unit_test(only_what_waits_is_written_down),
	    cmocka_unit_test(what_is_of_worth_is_written_down),
	    cmocka_unit_test(without_a_store_messages_go_on),
	    cmocka_unit_test(domains_at_random_cost_little),
	    cmocka_unit_test(large_messages_at_random_cost_little),
	    cmocka_unit_test(requests_without_end_are_refused),
	    cmocka_unit_test(pairs_can_be_seen),
	    cmocka_unit_test(what_comes_back_and_what_is_lost_is_counted),
	};

	return cmocka_run_group_tests_name("remote", tests, NULL, NULL);
}

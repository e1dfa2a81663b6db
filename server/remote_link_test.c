/* Links that break, and strangers who break many. */
#include <stdio.h>
#include <string.h>

#include "base/check.h"
#include "server/remote_stage.h"
#include "server/router.h"

/* Without modules: stanzas go straight from sessions to the remote. */
const struct module *const modules_builtin[] = {NULL};

#define CROWD (SILENT_MAX / 2)

/* Among strangers who come and go: what of them is known, whether something is
 * said that waits for them when they go, and how they do. */
struct crowd {
	enum path_event event;
	enum stanza_err err;
	const char *text; /* from or to the domain that %s names */
};

#define BREAKS   STANZA_ERR_REMOTE_SERVER_TIMEOUT
#define IN_ORDER STANZA_ERR_NONE
#define ASKS                                                      \
	"<iq xmlns='jabber:server' type='get' id='i1' from='%s' " \
	"to='montague.example'><ping xmlns='urn:xmpp:ping'/></iq>"
#define WRITES                                                         \
	"<message xmlns='jabber:server' from='a@%s' to='nobody@montag" \
	"ue.example'><body>x</body></message>"
#define PROBES                                                          \
	"<presence xmlns='jabber:server' type='unsubscribed' from='nob" \
	"ody@montague.example' to='a@%s'/>"
#define IS_SEEN                                                     \
	"<presence xmlns='jabber:server' from='" ROMEO "/orchard' " \
	"to='a@%s'/>"

static const struct crowd crowds[] = {
    {PATH_READY, BREAKS, NULL},
    {PATH_READY, BREAKS, ASKS},
    {PATH_READY, BREAKS, WRITES},
    {PATH_READY, BREAKS, PROBES},
    {PATH_READY, BREAKS, IS_SEEN},
    {PATH_READY, IN_ORDER, ASKS},
    {PATH_READY, IN_ORDER, WRITES},
    {PATH_READY, IN_ORDER, PROBES},
    {PATH_READY, IN_ORDER, IS_SEEN},
    {PATH_HEARD, BREAKS, NULL},
    {PATH_HEARD, BREAKS, ASKS},
    {PATH_HEARD, BREAKS, WRITES},
    {PATH_HEARD, BREAKS, IS_SEEN},
    {PATH_HEARD, IN_ORDER, ASKS},
    {PATH_HEARD, IN_ORDER, IS_SEEN},
};

static void
route(const struct stage *stage, const char *format, const char *domain)
{
	struct shard *shard = &stage->world->server.shards[0];
	struct post *letter = post_new(POST_STANZA, NULL);
	char text[300];

	snprintf(text, sizeof(text), format, domain);
	letter->stanza = stanza_parse(letter->arena, str_of(text));
	shard_enter(shard);
	router_route(shard, NULL, letter);
	world_run(stage->world);
}

static void
pass(const struct stage *stage, const struct crowd *crowd, unsigned number)
{
	char domain[32];

	snprintf(domain, sizeof(domain), "d%u.example", number);
	neighbour_tell(
	    stage->world, domain, crowd->event, 1000 + number, STANZA_ERR_NONE);
	if (crowd->text != NULL)
		route(stage, crowd->text, domain);
	neighbour_tell(
	    stage->world, domain, PATH_GONE, 1000 + number, crowd->err);
	world_run(stage->world);
}

static void (*connect_to_known)(struct shard *, struct str, struct str);

/* Strangers let nobody in. */
static void
on_connect(struct shard *shard, struct str local, struct str domain)
{
	struct post *letter;

	if (str_equal(domain, STR(VERONA))) {
		connect_to_known(shard, local, domain);
		return;
	}
	path_note_new(PATH_FAILED, local, domain, &letter)->err = BREAKS;
	post_send(shard, letter);
}

static struct stage
begin(void)
{
	struct stage stage = remote_stage("");

	connect_to_known = stage.world->server.s2s_connect;
	stage.world->server.s2s_connect = on_connect;
	return stage;
}

static void
fill(const struct stage *stage)
{
	for (unsigned i = 0; i <= CROWD; i++)
		pass(stage, &crowds[4], i);
	CHECK(stage_remotes(stage)->silent_count >= CROWD);
}

/* Nobody here misses them: they are forgotten, and not called. */
static void
strangers_are_not_missed(void **state)
{
	struct stage stage = remote_stage("");

	(void)state;
	neighbour_open(stage.verona, "montague.example");
	neighbour_cut(stage.verona, false);
	neighbour_tell(stage.world, VERONA, PATH_HEARD, 1000, STANZA_ERR_NONE);
	neighbour_tell(stage.world, VERONA, PATH_GONE, 1000, BREAKS);
	world_sleep(stage.world, 10 * MINUTES);
	CHECK_EQUAL(stage.verona->connects, 0);
	CHECK_EQUAL(neighbours_in_use(stage.world), 0);
	world_free(&stage.world);
}

static void
who_presence_was_exchanged_with_is_missed(void **state)
{
	struct stage stage = remote_stage("");

	(void)state;
	romeo_says(&stage, "<presence to='a@" VERONA "'/>");
	CHECK(neighbour_got(stage.verona, "<presence"));
	CHECK_EQUAL(stage.verona->connects, 1);
	neighbour_cut(stage.verona, false);
	world_sleep(stage.world, 1 * MINUTES);
	CHECK_EQUAL(stage.verona->connects, 2);
	world_free(&stage.world);
}

static void
no_crowd_of_strangers_shuts_others_out(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT_OF(crowds); i++) {
		struct stage stage = begin();
		size_t most = 0;

		for (unsigned j = 0; j < SILENT_MAX + CROWD; j++) {
			pass(&stage, &crowds[i], j);
			if (stage_remotes(&stage)->silent_count > most)
				most = stage_remotes(&stage)->silent_count;
		}
		CHECK(most <= CROWD + 1);
		romeo_says_to(&stage, "m1", VERONA);
		CHECK(neighbour_got(stage.verona, "id='m1'"));
		world_free(&stage.world);
	}
}

/* They are still tried again, until they were missed for so long that accounts
 * are told. */
static void
a_crowd_of_broken_links_leaves_room(void **state)
{
	struct stage stage = begin();

	(void)state;
	fill(&stage);
	world_sleep(stage.world, 20 * MINUTES);
	CHECK_EQUAL(stage_remotes(&stage)->silent_count, CROWD);
	romeo_says_to(&stage, "m1", VERONA);
	CHECK(neighbour_got(stage.verona, "id='m1'"));
	world_free(&stage.world);
}

/* A request is answered at once, in words, and a message arrives at last. */
static void
what_was_promised_waits_in_a_crowd_too(void **state)
{
	struct stage stage = begin();
	const char *text;

	(void)state;
	stage.verona->is_lazy = true;
	romeo_says_to(&stage, "m1", VERONA);
	romeo_says(&stage, "<iq type='get' id='i1' to='" VERONA "'>"
			   "<ping xmlns='urn:xmpp:ping'/></iq>");
	CHECK(neighbour_got(stage.verona, "id='m1'"));
	CHECK(neighbour_got(stage.verona, "id='i1'"));
	fill(&stage);
	stage.verona->mood = NEIGHBOUR_UNREACHABLE;
	neighbour_cut(stage.verona, false);
	text = world_next(stage.romeo);
	CHECK(text != NULL && strstr(text, "id='i1'") != NULL &&
	      strstr(text, "<remote-server-timeout") != NULL);
	world_sleep(stage.world, 1 * MINUTES);
	CHECK(world_next(stage.romeo) == NULL);
	stage.verona->mood = NEIGHBOUR_WILLING;
	world_sleep(stage.world, 5 * MINUTES);
	CHECK(neighbour_got(stage.verona, "id='m1'"));
	world_free(&stage.world);
}

/* What it had to say to them is given up with the link, not left behind. */
static void
who_owes_something_is_not_stranded_in_a_crowd(void **state)
{
	struct stage stage = begin();
	size_t missed;

	(void)state;
	romeo_says(&stage, "<presence to='a@" VERONA "'/>");
	CHECK(neighbour_got(stage.verona, "<presence"));
	stage.verona->mood = NEIGHBOUR_UNREACHABLE;
	neighbour_cut(stage.verona, false);
	romeo_says(&stage, "<presence type='unavailable' to='a@" VERONA "'/>");
	world_sleep(stage.world, 2 * MINUTES);
	CHECK(stage_remotes(&stage)->owed_bytes > 0);
	neighbour_tell(stage.world, VERONA, PATH_HEARD, 1000, STANZA_ERR_NONE);
	world_run(stage.world);
	fill(&stage);
	missed = stage_remotes(&stage)->missed.count;
	neighbour_tell(stage.world, VERONA, PATH_GONE, 1000, IN_ORDER);
	world_run(stage.world);
	CHECK_EQUAL(stage_remotes(&stage)->owed_bytes, 0);
	CHECK_EQUAL(stage_remotes(&stage)->missed.count, missed + 1);
	stage.verona->mood = NEIGHBOUR_WILLING;
	neighbour_open(stage.verona, "montague.example");
	CHECK_EQUAL(stage_remotes(&stage)->missed.count, missed);
	world_free(&stage.world);
}

static unsigned lines;

static void
note_line(enum log_level level, const char *text)
{
	lines += level == LOG_WARN &&
		 (strstr(text, VERONA ": no room for what is sent") != NULL ||
		     strstr(text, "mantua.example is one server too many"));
}

/* Once for a while, not for each. */
static void
the_log_says_where_there_is_no_room(void **state)
{
	struct stage stage = remote_stage("s2s.queue: 10\n");

	(void)state;
	lines = 0;
	log_capture(note_line);
	log_set_level(LOG_WARN);
	stage.verona->mood = NEIGHBOUR_SILENT;
	for (unsigned i = 0; i < 12; i++)
		romeo_says_to(&stage, "m1", VERONA);
	CHECK_EQUAL(lines, 1);
	world_sleep(stage.world, 1 * MINUTES);
	romeo_says_to(&stage, "m1", VERONA);
	CHECK_EQUAL(lines, 2);
	stage_remotes(&stage)->silent_count += SILENT_MAX;
	for (unsigned i = 0; i < 2; i++)
		romeo_says_to(&stage, "m1", "mantua.example");
	CHECK_EQUAL(lines, 3);
	stage_remotes(&stage)->silent_count -= SILENT_MAX;
	log_set_level(LOG_ERROR);
	log_capture(NULL);
	world_free(&stage.world);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(strangers_are_not_missed),
	    cmocka_unit_test(who_presence_was_exchanged_with_is_missed),
	    cmocka_unit_test(no_crowd_of_strangers_shuts_others_out),
	    cmocka_unit_test(a_crowd_of_broken_links_leaves_room),
	    cmocka_unit_test(what_was_promised_waits_in_a_crowd_too),
	    cmocka_unit_test(who_owes_something_is_not_stranded_in_a_crowd),
	    cmocka_unit_test(the_log_says_where_there_is_no_room),
	};

	return cmocka_run_group_tests_name("remote_link", tests, NULL, NULL);
}

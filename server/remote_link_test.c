/* Links that break, and strangers who break many. */
#include <stdio.h>
#include <string.h>

#include "base/check.h"
#include "server/hooks.h"
#include "server/module.h"
#include "server/remote_stage.h"
#include "server/router.h"

static unsigned told;

static void
on_domain(struct account *account, const struct domain_note *note)
{
	(void)account, (void)note;
	told++;
}

static const struct hook hooks[] = {
    {.on = HOOK_DOMAIN, .domain = on_domain},
    {.on = HOOK_END},
};

static const struct module module = {
    .api = MODULE_API,
    .name = "told",
    .help = "Counts what accounts are told of domains",
    .hooks = hooks,
};

const struct module *const modules_builtin[] = {&module, NULL};

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
#define SPEAKS                                                         \
	"<message xmlns='jabber:server' type='groupchat' from='" ROMEO \
	"/orchard' to='a@%s'><body>x</body></message>"
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

/* Its error is waited for longest. */
static const struct crowd waits = {PATH_HEARD, BREAKS, WRITES};

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

/* Strangers whom nobody answers for. */
static void
fill(const struct stage *stage)
{
	for (unsigned i = 0; i < CROWD; i++)
		pass(stage, &waits, i);
	CHECK_EQUAL(stage_remotes(stage)->silent_count, CROWD);
}

/* Something holds this. */
static bool
is_told(const struct stage *stage, const char *part)
{
	const char *text;

	while ((text = world_next(stage->romeo)) != NULL)
		if (strstr(text, part) != NULL)
			return true;
	return false;
}

/* Verona takes presence of ours. */
static void
meet(const struct stage *stage)
{
	romeo_says(stage, "<presence to='a@" VERONA "'/>");
	CHECK(neighbour_got(stage->verona, "<presence"));
}

/* Nobody here misses them: they are forgotten, not called, and no account is
 * told of them. */
static void
strangers_are_not_missed(void **state)
{
	struct stage stage = remote_stage("");

	(void)state;
	romeo_says(&stage, "<presence/>");
	told = 0;
	for (unsigned i = 0; i < 3; i++) {
		neighbour_open(stage.verona, "montague.example");
		neighbour_cut(stage.verona, false);
	}
	neighbour_tell(stage.world, VERONA, PATH_HEARD, 1000, STANZA_ERR_NONE);
	neighbour_tell(stage.world, VERONA, PATH_GONE, 1000, BREAKS);
	world_sleep(stage.world, 10 * MINUTES);
	CHECK_EQUAL(stage.verona->connects, 0);
	CHECK_EQUAL(neighbours_in_use(stage.world), 0);
	CHECK_EQUAL(told, 0);
	world_free(&stage.world);
}

static void
who_took_presence_is_missed(void **state)
{
	struct stage stage = remote_stage("");

	(void)state;
	meet(&stage);
	CHECK_EQUAL(stage.verona->connects, 1);
	neighbour_cut(stage.verona, false);
	world_sleep(stage.world, 1 * MINUTES);
	CHECK_EQUAL(stage.verona->connects, 2);
	world_free(&stage.world);
}

/* Also when nobody missed it as it ended in order, and it cannot be reached
 * then; and when a day has passed, as soon as it is heard. */
static void
who_cannot_be_reached_later_is_missed(void **state)
{
	struct stage stage = remote_stage("");

	(void)state;
	romeo_says(&stage, "<presence/>");
	meet(&stage);
	neighbour_cut(stage.verona, true);
	CHECK_EQUAL(neighbours_in_use(stage.world), 0);
	stage.verona->mood = NEIGHBOUR_REFUSING;
	told = 0;
	romeo_says_to(&stage, "m1", VERONA);
	world_sleep(stage.world, 6 * MINUTES);
	CHECK_EQUAL(told, 1);
	world_sleep(stage.world, 25 * 60 * MINUTES);
	CHECK_EQUAL(neighbours_in_use(stage.world), 0);
	stage.verona->mood = NEIGHBOUR_WILLING;
	neighbour_tell(stage.world, VERONA, PATH_HEARD, 1000, STANZA_ERR_NONE);
	world_run(stage.world);
	CHECK_EQUAL(told, 2);
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

/* Not even messages wait for too many of them; each comes back. */
static void
what_is_said_to_strangers_leaves_room(void **state)
{
	enum { COUNT = SILENT_MAX + CROWD };
	static const struct crowd crowd = {PATH_READY, BREAKS, SPEAKS};
	struct stage stage = begin();
	unsigned returned = 0;
	size_t left;

	(void)state;
	for (unsigned i = 0; i < COUNT; i++) {
		pass(&stage, &crowd, i);
		while (world_next(stage.romeo) != NULL)
			returned++;
	}
	left = stage_remotes(&stage)->silent_count;
	CHECK(left <= SILENT_MAX / 4 * 3 + 1);
	CHECK_EQUAL(returned + left, COUNT);
	romeo_says_to(&stage, "m1", VERONA);
	CHECK(neighbour_got(stage.verona, "id='m1'"));
	world_free(&stage.world);
}

/* The stranger is gone when the answer is there. */
static void
late_answers_leave_room(void **state)
{
	struct stage stage = begin();

	(void)state;
	for (unsigned i = 0; i < SILENT_MAX + CROWD; i++) {
		char domain[32];

		pass(&stage, &crowds[0], i);
		snprintf(domain, sizeof(domain), "d%u.example", i);
		route(&stage, WRITES, domain);
	}
	CHECK(stage_remotes(&stage)->silent_count <= CROWD + 1);
	romeo_says_to(&stage, "m1", VERONA);
	CHECK(neighbour_got(stage.verona, "id='m1'"));
	world_free(&stage.world);
}

/* A few strangers, whom we cannot reach, or who acknowledge nothing, ask much.
 */
static void
what_is_answered_to_strangers_leaves_room(void **state)
{
	enum { DOMAINS = 20, QUESTIONS = 4000 };

	(void)state;
	for (unsigned i = 0; i < 2; i++) {
		struct stage stage = begin();

		meet(&stage);
		for (unsigned j = 0; j < DOMAINS * QUESTIONS; j++) {
			char domain[32];

			snprintf(
			    domain, sizeof(domain), "d%u.example", j % DOMAINS);
			if (j < DOMAINS)
				neighbour_tell(stage.world, domain,
				    i == 0 ? PATH_HEARD : PATH_READY, 1000 + j,
				    STANZA_ERR_NONE);
			route(&stage, ASKS, domain);
		}
		CHECK(stage_remotes(&stage)->bytes <= SILENT_BYTES_MAX);
		romeo_says_to(&stage, "m1", "mantua.example");
		CHECK(!is_told(&stage, "resource-constraint"));
		stage.verona->mood = NEIGHBOUR_UNREACHABLE;
		neighbour_cut(stage.verona, false);
		romeo_says(
		    &stage, "<presence type='unavailable' to='a@" VERONA "'/>");
		stage.verona->mood = NEIGHBOUR_WILLING;
		world_sleep(stage.world, 10 * MINUTES);
		CHECK(neighbour_got(stage.verona, "unavailable"));
		world_free(&stage.world);
	}
}

/* A stream that we opened to them, and that could be resumed. */
static void
tell_out(const struct stage *stage, enum path_event event, unsigned number)
{
	struct shard *shard = &stage->world->server.shards[0];
	struct post *letter;
	struct path_note *note;
	char domain[32];

	snprintf(domain, sizeof(domain), "d%u.example", number);
	shard_enter(shard);
	note = path_note_new(
	    event, STR("montague.example"), str_of(domain), &letter);
	note->is_out = true;
	note->can_resume = event == PATH_GONE;
	note->err = event == PATH_GONE ? BREAKS : STANZA_ERR_NONE;
	letter->stream = (struct stream_id){.slot = 1000 + number, .use = 1};
	post_send(shard, letter);
	world_run(stage->world);
}

static void
strangers_are_resumed_once(void **state)
{
	struct stage stage = begin();

	(void)state;
	for (unsigned i = 0; i < 100; i++) {
		tell_out(&stage, PATH_READY, i);
		tell_out(&stage, PATH_GONE, i);
	}
	world_sleep(stage.world, 5 * MINUTES);
	CHECK_EQUAL(neighbours_in_use(stage.world), 0);
	world_free(&stage.world);
}

/* And others not without end. */
static void
who_is_missed_is_given_up_after_a_day(void **state)
{
	struct stage stage = begin();
	struct shard *shard = &stage.world->server.shards[0];

	(void)state;
	shard_enter(shard);
	CHECK(link_know(shard, STR("montague.example"), STR("d1.example")));
	tell_out(&stage, PATH_READY, 1);
	tell_out(&stage, PATH_GONE, 1);
	world_sleep(stage.world, 12 * 60 * MINUTES);
	CHECK_EQUAL(neighbours_in_use(stage.world), 1);
	world_sleep(stage.world, 13 * 60 * MINUTES);
	CHECK_EQUAL(neighbours_in_use(stage.world), 0);
	world_free(&stage.world);
}

/* However many these are, they are tried again, and others find room. */
static void
all_who_took_presence_are_missed(void **state)
{
	struct stage stage = begin();
	struct shard *shard = &stage.world->server.shards[0];

	(void)state;
	for (unsigned i = 0; i < SILENT_MAX; i++) {
		char domain[32];

		snprintf(domain, sizeof(domain), "d%u.example", i);
		shard_enter(shard);
		CHECK(
		    link_know(shard, STR("montague.example"), str_of(domain)));
		pass(&stage, &crowds[0], i);
	}
	world_sleep(stage.world, 20 * MINUTES);
	CHECK_EQUAL(stage_remotes(&stage)->silent_count, 0);
	CHECK_EQUAL(neighbours_in_use(stage.world), SILENT_MAX);
	romeo_says_to(&stage, "m1", VERONA);
	CHECK(neighbour_got(stage.verona, "id='m1'"));
	world_free(&stage.world);
}

/* A request to a stranger is answered at once, in words, and a message arrives
 * at last. */
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

/* To who is missed all is said in its time. */
static void
a_crowd_takes_nothing_from_who_is_missed(void **state)
{
	struct stage stage = begin();

	(void)state;
	meet(&stage);
	stage.verona->mood = NEIGHBOUR_UNREACHABLE;
	neighbour_cut(stage.verona, false);
	romeo_says(&stage, "<presence type='unavailable' to='a@" VERONA "'/>");
	world_sleep(stage.world, 2 * MINUTES);
	fill(&stage);
	neighbour_tell(stage.world, VERONA, PATH_HEARD, 1000, STANZA_ERR_NONE);
	neighbour_tell(stage.world, VERONA, PATH_GONE, 1000, IN_ORDER);
	world_sleep(stage.world, 10 * MINUTES);
	stage.verona->mood = NEIGHBOUR_WILLING;
	world_sleep(stage.world, 10 * MINUTES);
	CHECK(neighbour_got(stage.verona, "unavailable"));
	world_free(&stage.world);
}

/* Once the crowd is gone, who gave way waits like others. */
static void
who_gave_way_does_so_no_longer(void **state)
{
	struct stage stage = begin();

	(void)state;
	fill(&stage);
	stage.verona->is_lazy = true;
	romeo_says_to(&stage, "m1", VERONA);
	CHECK(neighbour_got(stage.verona, "id='m1'"));
	stage.verona->mood = NEIGHBOUR_UNREACHABLE;
	neighbour_cut(stage.verona, false);
	for (unsigned i = 0; i < CROWD; i++) {
		char domain[32];

		snprintf(domain, sizeof(domain), "d%u.example", i);
		neighbour_tell(
		    stage.world, domain, PATH_READY, 9000 + i, STANZA_ERR_NONE);
	}
	world_run(stage.world);
	romeo_says(&stage, "<iq type='get' id='i1' to='" VERONA "'>"
			   "<ping xmlns='urn:xmpp:ping'/></iq>");
	world_sleep(stage.world, 1000);
	CHECK(world_next(stage.romeo) == NULL);
	world_free(&stage.world);
}

/* Also without a pair, where no others find room. */
static void
who_is_missed_has_a_place(void **state)
{
	struct stage stage = begin();

	(void)state;
	meet(&stage);
	neighbour_cut(stage.verona, true);
	CHECK_EQUAL(neighbours_in_use(stage.world), 0);
	stage_remotes(&stage)->silent_count += SILENT_MAX;
	romeo_says_to(&stage, "m1", VERONA);
	stage_remotes(&stage)->silent_count -= SILENT_MAX;
	CHECK(neighbour_got(stage.verona, "id='m1'"));
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
	    cmocka_unit_test(who_took_presence_is_missed),
	    cmocka_unit_test(who_cannot_be_reached_later_is_missed),
	    cmocka_unit_test(no_crowd_of_strangers_shuts_others_out),
	    cmocka_unit_test(what_is_said_to_strangers_leaves_room),
	    cmocka_unit_test(late_answers_leave_room),
	    cmocka_unit_test(what_is_answered_to_strangers_leaves_room),
	    cmocka_unit_test(strangers_are_resumed_once),
	    cmocka_unit_test(who_is_missed_is_given_up_after_a_day),
	    cmocka_unit_test(all_who_took_presence_are_missed),
	    cmocka_unit_test(what_was_promised_waits_in_a_crowd_too),
	    cmocka_unit_test(a_crowd_takes_nothing_from_who_is_missed),
	    cmocka_unit_test(who_gave_way_does_so_no_longer),
	    cmocka_unit_test(who_is_missed_has_a_place),
	    cmocka_unit_test(the_log_says_where_there_is_no_room),
	};

	return cmocka_run_group_tests_name("remote_link", tests, NULL, NULL);
}

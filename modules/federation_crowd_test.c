/*
 * Contacts of a domain whose link broke, while strangers broke thousands or
 * not: presence becomes right again.
 */
#include <stdio.h>
#include <string.h>

#include "modules/modules_rig.h"
#include "modules/presence_seen.h"
#include "modules/roster.h"
#include "server/account.h"
#include "server/remote_private.h"
#include "server/router.h"
#include "server/world_neighbour.h"
#include "server/world_private.h"

#define BENVOLIO "benvolio@montague.example"
#define VERONA   "verona.example"
#define ESCALUS  "escalus@" VERONA
#define ROOM     "ball@" VERONA
#define CROWD    (SILENT_MAX / 2 + 1)
#define MINUTES  ((uint64_t)60 * 1000)
#define BREAKS   STANZA_ERR_REMOTE_SERVER_TIMEOUT

#define COMES                                                        \
	"<presence xmlns='jabber:server' from='" ESCALUS "/throne' " \
	"to='" ROMEO "'/>"

struct stage {
	struct world *world;
	struct neighbour *verona;
	struct world_peer *romeo;
};

/* That many domains come; they go as by a cut wire, and are not forgotten at
 * once. */
static void
make_crowd(struct world *world, unsigned count)
{
	for (unsigned i = 0; i < count; i++) {
		char domain[32];

		snprintf(domain, sizeof(domain), "d%u.example", i);
		neighbour_tell(
		    world, domain, PATH_READY, 1000 + i, STANZA_ERR_NONE);
		neighbour_tell(world, domain, PATH_GONE, 1000 + i, BREAKS);
	}
	world_run(world);
	CHECK(world->server.shards[0].remotes->silent_count >= CROWD - 1);
}

static bool
got(const struct stage *stage, const char *part)
{
	const char *text;

	while ((text = neighbour_next(stage->verona)) != NULL)
		if (strstr(text, part) != NULL)
			return true;
	return false;
}

/* A stanza of somebody at a domain that has no server here; what it brings is
 * not looked at. */
static void
come(const struct stage *stage, const char *format, const char *domain,
    unsigned number)
{
	struct shard *shard = &stage->world->server.shards[0];
	struct post *letter = post_new(POST_STANZA, NULL);
	char xml[300];

	snprintf(xml, sizeof(xml), format, domain, number);
	letter->stanza = stanza_parse(letter->arena, str_of(xml));
	shard_enter(shard);
	router_route(shard, NULL, letter);
	world_run(stage->world);
	while (stage->romeo != NULL && world_next(stage->romeo) != NULL)
		continue;
}

/* Romeo and Escalus are contacts; nobody is there after a restart. */
static struct stage
begin_alone(void)
{
	struct stage stage = {
	    .world = rig_world(7, 1, "limits.idle_ping: 0 s\n")};

	stage.verona = neighbour_new(stage.world, VERONA);
	rig_put_sub(stage.world, ROMEO, ESCALUS, SUB_TO | SUB_FROM);
	world_kill(stage.world);
	return stage;
}

/* They see each other. */
static struct stage
begin(void)
{
	struct stage stage = begin_alone();

	stage.romeo = rig_login(stage.world, ROMEO "/orchard");
	while (neighbour_next(stage.verona) != NULL)
		continue;
	neighbour_send(stage.verona, COMES);
	rig_expect(stage.romeo, "<presence from='" ESCALUS "/throne'/>");
	return stage;
}

/* Both are told what holds, and Escalus is asked for what he is. */
static void
check_met_again(const struct stage *stage)
{
	bool is_told = false, is_probed = false;
	const char *text;

	while ((text = neighbour_next(stage->verona)) != NULL) {
		is_probed |= strstr(text, "type='probe'") != NULL;
		is_told |= strstr(text, "from='" ROMEO "/orchard'") != NULL;
	}
	CHECK(is_told);
	CHECK(is_probed);
}

/* The domain was there all the time, only its wire was cut, and nobody there
 * has a reason to call. */
static void
who_was_only_cut_off_is_met_again(void **state)
{
	struct stage stage = begin();

	(void)state;
	make_crowd(stage.world, CROWD);
	neighbour_cut(stage.verona, false);
	world_sleep(stage.world, 2 * MINUTES);
	CHECK(got(&stage, "type='probe'"));
	rig_expect(stage.romeo,
	    "<presence type='unavailable' from='" ESCALUS "/throne'/>");
	world_free(&stage.world);
}

/* It was given up after a day; then it speaks on a stream that is no path for
 * us. */
static void
who_is_heard_again_is_met_again(void **state)
{
	struct stage stage = begin();

	(void)state;
	stage.verona->mood = NEIGHBOUR_UNREACHABLE;
	neighbour_cut(stage.verona, false);
	world_sleep(stage.world, 26 * 60 * MINUTES);
	rig_expect(stage.romeo,
	    "<presence type='unavailable' from='" ESCALUS "/throne'/>");
	CHECK_EQUAL(neighbours_in_use(stage.world), 0);
	stage.verona->mood = NEIGHBOUR_WILLING;
	neighbour_tell(stage.world, VERONA, PATH_HEARD, 9, STANZA_ERR_NONE);
	world_sleep(stage.world, 1 * MINUTES);
	check_met_again(&stage);
	world_free(&stage.world);
}

/* It ends its stream in order, and has not taken all. */
static void
what_was_not_taken_is_said_again(void **state)
{
	struct stage stage = begin();

	(void)state;
	make_crowd(stage.world, CROWD);
	stage.verona->is_lazy = true;
	rig_send(stage.romeo, "<presence><show>away</show></presence>");
	CHECK(got(&stage, "away"));
	neighbour_cut(stage.verona, true);
	neighbour_open(stage.verona, "montague.example");
	world_sleep(stage.world, 1 * MINUTES);
	CHECK(got(&stage, "away"));
	world_free(&stage.world);
}

/* Who logs in while there is no room is seen there later. */
static void
who_had_no_room_is_told_later(void **state)
{
	struct stage stage = begin_alone();

	(void)state;
	stage.verona->mood = NEIGHBOUR_SILENT;
	stage.world->server.shards[0].remotes->silent_count += SILENT_MAX;
	stage.romeo = rig_login(stage.world, ROMEO "/orchard");
	CHECK_EQUAL(neighbours_in_use(stage.world), 0);
	stage.world->server.shards[0].remotes->silent_count -= SILENT_MAX;
	neighbour_open(stage.verona, "montague.example");
	world_sleep(stage.world, 1 * MINUTES);
	check_met_again(&stage);
	world_free(&stage.world);
}

/* A stranger comes with any number of resources. */
static void
no_stranger_hides_who_is_lost(void **state)
{
	struct stage stage = begin();

	(void)state;
	neighbour_send(stage.verona,
	    "<presence xmlns='jabber:server' type='unavailable' "
	    "from='" ESCALUS "/throne' to='" ROMEO "'/>");
	for (unsigned i = 0; i < 10000; i++)
		come(&stage,
		    "<presence xmlns='jabber:server' from='a@%s/%u' to='" ROMEO
		    "'/>",
		    "d1.example", i);
	neighbour_send(stage.verona, COMES);
	rig_expect(stage.romeo, "<presence from='" ESCALUS "/throne'/>");
	stage.verona->mood = NEIGHBOUR_UNREACHABLE;
	neighbour_cut(stage.verona, false);
	world_sleep(stage.world, 10 * MINUTES);
	CHECK(rig_finds(stage.romeo,
	    "<presence type='unavailable' from='" ESCALUS "/throne'/>"));
	world_free(&stage.world);
}

static bool
is_busy(const struct stage *stage, const char *jid)
{
	struct shard *shard = &stage->world->server.shards[0];
	struct account *account;

	shard_enter(shard);
	account =
	    account_find(shard, jid_parse(stage->world->arena, str_of(jid)));
	return list_first(&seen_slot(account)->meetings) != NULL;
}

/* Of accounts only those with contacts there have something to do. */
static void
who_knows_nobody_there_does_nothing(void **state)
{
	struct stage stage = begin();

	(void)state;
	world_add_account(stage.world, BENVOLIO, NULL);
	(void)rig_login(stage.world, BENVOLIO "/street");
	neighbour_cut(stage.verona, false);
	world_sleep(stage.world, 5000);
	CHECK(is_busy(&stage, ROMEO));
	CHECK(!is_busy(&stage, BENVOLIO));
	world_free(&stage.world);
}

static void
on_connect_fail(struct shard *shard, struct str local, struct str domain)
{
	struct post *letter;

	path_note_new(PATH_FAILED, local, domain, &letter)->err = BREAKS;
	post_send(shard, letter);
}

/* What answers them is durable. */
static void
who_asks_and_takes_back_leaves_room(void **state)
{
	static const char *const said[] = {"subscribe", "unsubscribe"};
	struct stage stage = begin();

	(void)state;
	stage.world->server.s2s_connect = on_connect_fail;
	for (unsigned i = 0; i < SILENT_MAX + 500; i++) {
		char domain[32], xml[200];

		snprintf(domain, sizeof(domain), "d%u.example", i);
		neighbour_tell(
		    stage.world, domain, PATH_HEARD, 1000 + i, STANZA_ERR_NONE);
		for (size_t j = 0; j < COUNT_OF(said); j++) {
			snprintf(xml, sizeof(xml),
			    "<presence xmlns='jabber:server' type='%s' "
			    "from='a@%%s' to='" ROMEO "'/>",
			    said[j]);
			come(&stage, xml, domain, i);
		}
		neighbour_tell(
		    stage.world, domain, PATH_GONE, 1000 + i, BREAKS);
		world_run(stage.world);
	}
	CHECK(stage.world->server.shards[0].remotes->silent_count <= CROWD);
	world_free(&stage.world);
}

/* After a restart, in a crowd: he answers, and is cut off before he
 * acknowledges anything. */
static void
who_was_seen_before_he_took_anything_is_missed(void **state)
{
	struct stage stage = begin_alone();

	(void)state;
	stage.world->server.s2s_connect = on_connect_fail;
	for (unsigned i = 0; i < CROWD; i++) {
		char domain[32];

		snprintf(domain, sizeof(domain), "d%u.example", i);
		neighbour_tell(
		    stage.world, domain, PATH_HEARD, 1000 + i, STANZA_ERR_NONE);
		come(&stage,
		    "<message xmlns='jabber:server' from='a@%s' "
		    "to='nobody@montague.example'><body>x</body></message>",
		    domain, i);
		neighbour_tell(
		    stage.world, domain, PATH_GONE, 1000 + i, BREAKS);
	}
	world_run(stage.world);
	stage.verona->is_lazy = true;
	neighbour_open(stage.verona, "montague.example");
	stage.romeo = rig_login(stage.world, ROMEO "/orchard");
	neighbour_send(stage.verona, COMES);
	rig_expect(stage.romeo, "<presence from='" ESCALUS "/throne'/>");
	neighbour_cut(stage.verona, false);
	world_sleep(stage.world, 20 * MINUTES);
	CHECK(rig_finds(stage.romeo,
	    "<presence type='unavailable' from='" ESCALUS "/throne'/>"));
	world_free(&stage.world);
}

/* For want of room, though nothing was lost for long. */
static void
what_found_no_room_is_said_anew(void **state)
{
	struct stage stage = begin();

	(void)state;
	world_reload(stage.world,
	    "limits.idle_ping: 0 s\ns2s.queue: 10\n"
	    "hosts: {montague.example: {}, capulet.example: {}}\nshards: 1\n");
	stage.verona->mood = NEIGHBOUR_UNREACHABLE;
	neighbour_cut(stage.verona, false);
	for (unsigned i = 0; i < 12; i++)
		rig_send(stage.romeo,
		    "<message to='" ESCALUS "' type='chat'><body>x</body>"
		    "</message>");
	rig_send(stage.romeo, "<presence><show>away</show></presence>");
	stage.verona->mood = NEIGHBOUR_WILLING;
	world_sleep(stage.world, 4 * MINUTES);
	CHECK(got(&stage, "away"));
	world_free(&stage.world);
}

/* How many of those who come from that JID, one for each resource, are shown as
 * unavailable when their domain is lost. */
static unsigned
count_lost(const struct stage *stage, const char *jid, unsigned count)
{
	char text[200];
	const char *came;
	unsigned lost = 0;

	for (unsigned i = 0; i < count; i++) {
		snprintf(text, sizeof(text),
		    "<presence xmlns='jabber:server' from='%s/r%u' "
		    "to='" ROMEO "/orchard'/>",
		    jid, i);
		neighbour_send(stage->verona, text);
	}
	while (world_next(stage->romeo) != NULL)
		continue;
	stage->verona->mood = NEIGHBOUR_UNREACHABLE;
	neighbour_cut(stage->verona, false);
	world_sleep(stage->world, 6 * MINUTES);
	while ((came = world_next(stage->romeo)) != NULL)
		lost += strstr(came, jid) != NULL &&
			strstr(came, "unavailable") != NULL;
	return lost;
}

/* Anybody may say that he is there, with any number of names. */
static void
who_comes_unasked_takes_little_room(void **state)
{
	static const char *const rooms[] = {ROOM "/romeo", ROOM};
	struct stage stage = begin();

	(void)state;
	CHECK_EQUAL(count_lost(&stage, ROOM, 300), 100);
	world_free(&stage.world);
	for (unsigned i = 0; i < 2; i++) {
		char text[100];

		stage = begin();
		snprintf(text, sizeof(text), "<presence to='%s'/>", rooms[i]);
		rig_send(stage.romeo, text);
		CHECK_EQUAL(count_lost(&stage, ROOM, 300), 300);
		world_free(&stage.world);
	}
	stage = begin();
	CHECK_EQUAL(count_lost(&stage, ESCALUS, 300), 301);
	world_free(&stage.world);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(who_was_only_cut_off_is_met_again),
	    cmocka_unit_test(who_is_heard_again_is_met_again),
	    cmocka_unit_test(what_was_not_taken_is_said_again),
	    cmocka_unit_test(who_had_no_room_is_told_later),
	    cmocka_unit_test(no_stranger_hides_who_is_lost),
	    cmocka_unit_test(who_knows_nobody_there_does_nothing),
	    cmocka_unit_test(who_asks_and_takes_back_leaves_room),
	    cmocka_unit_test(who_was_seen_before_he_took_anything_is_missed),
	    cmocka_unit_test(what_found_no_room_is_said_anew),
	    cmocka_unit_test(who_comes_unasked_takes_little_room),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* What waits for another domain, and in which order it goes. */
#include <string.h>

#include "base/check.h"
#include "server/outbox.h"
#include "server/remote_stage.h"

/* Without modules: stanzas go straight from sessions to the remote. */
const struct module *const modules_builtin[] = {NULL};

#define ASKS                                                            \
	"<presence xmlns='jabber:server' type='subscribe' from='" ROMEO \
	"' to='a@" VERONA "'/>"

/* A durable letter, whose sender is still to commit. */
static struct store_write *
post_unsure(const struct stage *stage)
{
	struct shard *shard = &stage->world->server.shards[0];
	struct post *letter = post_new(POST_STANZA, NULL);
	struct store_write *write;

	shard_enter(shard);
	write = store_write_new(shard->store);
	letter->stanza = stanza_parse(letter->arena, STR(ASKS));
	outbox_post(shard, write, letter);
	world_run(stage->world);
	return write;
}

/* Nothing else may come that would set it going. */
static void
what_stood_behind_what_was_never_sent_goes(void **state)
{
	struct stage stage = remote_stage("");
	struct store_write *write;

	(void)state;
	romeo_says_to(&stage, "m1", VERONA);
	CHECK(neighbour_got(stage.verona, "id='m1'"));
	write = post_unsure(&stage);
	romeo_says_to(&stage, "m2", VERONA);
	CHECK(neighbour_next(stage.verona) == NULL);
	world_break_store(stage.world, ERR_FULL);
	shard_enter(&stage.world->server.shards[0]);
	store_commit(write, NULL, NULL);
	world_hold_store(stage.world, false);
	world_run(stage.world);
	CHECK(neighbour_got(stage.verona, "id='m2'"));
	CHECK(neighbour_next(stage.verona) == NULL);
	world_break_store(stage.world, ERR_NONE);
	world_free(&stage.world);
}

/* The server ends before it is known. */
static void
what_is_unsure_at_the_end_goes_with_it(void **state)
{
	struct stage stage = remote_stage("");
	struct store_write *write;

	(void)state;
	stage.verona->mood = NEIGHBOUR_SILENT;
	write = post_unsure(&stage);
	romeo_says_to(&stage, "m1", VERONA);
	store_write_free(&write);
	world_kill(stage.world);
	world_run(stage.world);
	CHECK(neighbour_next(stage.verona) == NULL);
	world_free(&stage.world);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(what_stood_behind_what_was_never_sent_goes),
	    cmocka_unit_test(what_is_unsure_at_the_end_goes_with_it),
	};

	return cmocka_run_group_tests_name("remote_queue", tests, NULL, NULL);
}

#include "server/settle.h"

#include "base/check.h"
#include "server/handled.h"
#include "server/metrics.h"
#include "server/shard.h"

#define MANY 200 /* more than go together */

static struct server server;
static struct handled handled; /* of the first shard */

static void
on_letter(struct shard *shard, struct post *letter)
{
	(void)shard;
	post_free(&letter);
}

/* In place of the real ones. */
post_handler *const post_handlers[POST_KIND_COUNT] = {
    [POST_STANZA] = on_letter,
    [POST_SETTLED] = settle_take,
};

static void
on_returned(struct handled *counter)
{
	handled_settle(counter, counter->returned);
}

static const struct handled_role role = {
    .window = HANDLED_WINDOW_CLIENT,
    .on_returned = on_returned,
};

static int
begin(void **state)
{
	(void)state;
	server_init(&server, NULL, 2, NULL);
	for (unsigned i = 0; i < 2; i++) {
		struct shard *shard = &server.shards[i];

		shard->server = &server;
		shard->index = i;
		shard->metrics = metrics_new();
		mailbox_init(&shard->mailbox, NULL);
		timers_init(&shard->timers);
		table_init(&shard->handled);
	}
	handled = (struct handled){0};
	handled_start(&handled, &server.shards[0], &role,
	    handled_number(&server.shards[0]));
	return 0;
}

static int
end(void **state)
{
	(void)state;
	handled_stop(&handled);
	for (unsigned i = 0; i < 2; i++) {
		struct shard *shard = &server.shards[i];

		shard_enter(shard);
		shard->is_ended = true;
		settle_free(shard);
		mailbox_deinit(&shard->mailbox);
		timers_deinit(&shard->timers);
		table_deinit(&shard->handled);
		metrics_free(&shard->metrics);
	}
	shard_enter(NULL);
	server_deinit(&server);
	return 0;
}

/* So many turns of one. */
static void
work(unsigned index, unsigned turns)
{
	shard_enter(&server.shards[index]);
	while (turns-- > 0)
		mailbox_work(&server.shards[index], LETTERS_PER_TURN);
}

/* The first shard sends what it counts to the second. */
static void
send_counted(unsigned count)
{
	shard_enter(&server.shards[0]);
	while (count-- > 0) {
		struct post *letter = post_new(POST_STANZA, NULL);

		letter->receipt = handled_count(&handled);
		post_send_to(&server.shards[0], 1, letter);
	}
}

static void
what_is_done_is_settled(void **state)
{
	(void)state;
	send_counted(MANY);
	work(1, 2);
	work(0, 1);
	CHECK_EQUAL(handled.returned, MANY);
}

/* Nobody did it: its sender keeps it, or hears that it is not handled. */
static void
what_a_closed_shard_drops_is_not_settled(void **state)
{
	(void)state;
	server.shards[1].is_closed = true;
	send_counted(MANY);
	work(1, 2);
	work(0, 1);
	CHECK_EQUAL(handled.returned, 0);
}

/* It would be sent again, and come twice. */
static void
what_was_done_before_is_settled_by_a_closed_shard(void **state)
{
	(void)state;
	send_counted(3);
	shard_enter(&server.shards[1]);
	mailbox_work(&server.shards[1], 3);
	server.shards[1].is_closed = true;
	work(1, 1);
	work(0, 1);
	CHECK_EQUAL(handled.returned, 3);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(
		what_is_done_is_settled, begin, end),
	    cmocka_unit_test_setup_teardown(
		what_a_closed_shard_drops_is_not_settled, begin, end),
	    cmocka_unit_test_setup_teardown(
		what_was_done_before_is_settled_by_a_closed_shard, begin, end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

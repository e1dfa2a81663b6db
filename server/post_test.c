#include "base/check.h"
#include "server/metrics.h"
#include "server/shard.h"

static struct server server;
static char trace[64];
static unsigned wakes;

static void
on_letter(struct shard *shard, struct post *letter)
{
	size_t len = strlen(trace);

	trace[len] = (char)letter->ticket;
	trace[len + 1] = '\0';
	post_free(&letter);
}

/* In place of the real ones. */
post_handler *const post_handlers[POST_KIND_COUNT] = {
    [POST_STANZA] = on_letter,
    [POST_DOWN] = on_letter,
    [POST_DRAIN] = on_letter,
};

static void
on_wake(struct shard *shard)
{
	wakes++;
}

static int
begin(void **state)
{
	server_init(&server, NULL, 2, NULL);
	for (unsigned i = 0; i < 2; i++) {
		struct shard *shard = &server.shards[i];

		shard->server = &server;
		shard->index = i;
		shard->metrics = metrics_new();
		mailbox_init(&shard->mailbox, on_wake);
	}
	trace[0] = '\0';
	wakes = 0;
	return 0;
}

static int
end(void **state)
{
	for (unsigned i = 0; i < 2; i++) {
		mailbox_deinit(&server.shards[i].mailbox);
		metrics_free(&server.shards[i].metrics);
	}
	shard_enter(NULL);
	server_deinit(&server);
	return 0;
}

static void
send_to(unsigned from, unsigned to, char name)
{
	struct post *letter = post_new(POST_DRAIN, NULL);

	letter->ticket = (unsigned char)name;
	shard_enter(&server.shards[from]);
	post_send_to(&server.shards[from], to, letter);
}

static bool
work(unsigned index, unsigned max)
{
	shard_enter(&server.shards[index]);
	return mailbox_work(&server.shards[index], max);
}

static void
letters_come_in_order_and_wake_once(void **state)
{
	struct mailbox *mailbox = &server.shards[1].mailbox;

	send_to(0, 1, 'a');
	send_to(0, 1, 'b');
	CHECK_EQUAL(wakes, 1);
	CHECK(!mailbox_is_empty(mailbox));
	send_to(1, 1, 'o');
	CHECK_EQUAL(wakes, 1);
	CHECK(work(1, 2));
	CHECK_TEXT(trace, "oa");
	send_to(0, 1, 'c');
	CHECK_EQUAL(wakes, 2);
	CHECK(!work(1, 10));
	CHECK_TEXT(trace, "oabc");
	CHECK(mailbox_is_empty(mailbox));
}

static void
letters_that_are_put_back_come_first(void **state)
{
	struct list waited;

	list_init(&waited);
	for (char name = 'a'; name <= 'b'; name++) {
		struct post *letter = post_new(POST_DRAIN, NULL);

		letter->ticket = (unsigned char)name;
		list_add_last(&waited, &letter->link);
	}
	send_to(0, 0, 'c');
	mailbox_put_back(&server.shards[0], &waited);
	CHECK(list_is_empty(&waited));
	work(0, 10);
	CHECK_TEXT(trace, "abc");
}

/* Stanzas go to the owner of to, the others to the stream's shard. */
static void
letters_find_their_shard(void **state)
{
	struct post *letter = post_new(POST_STANZA, NULL);
	const struct jid *to =
	    jid_parse(letter->arena, STR("juliet@capulet.example/balcony"));
	unsigned home = shard_of(&server, to)->index;

	shard_enter(&server.shards[1 - home]);
	letter->to = to;
	letter->ticket = 's';
	post_send(&server.shards[1 - home], letter);
	letter = post_new(POST_DOWN, NULL);
	letter->stream.shard = (uint16_t)home;
	letter->ticket = 'd';
	post_send(&server.shards[1 - home], letter);
	work(1 - home, 10);
	CHECK_TEXT(trace, "");
	work(home, 10);
	CHECK_TEXT(trace, "sd");
}

static void
a_lent_letter_is_copied_by_who_keeps_it(void **state)
{
	struct post *many = post_new(POST_MANY, NULL), *own, *lent;
	const struct jid *from = jid_parse(many->arena, STR("a@x/r"));
	struct post one;

	many->stanza = stanza_make(many->arena, STANZA_PRESENCE,
	    STANZA_AVAILABLE, from, NULL, STR("p1"));
	many->blob = blob_new(STR("<presence/>"));
	post_lend(&one, many, jid_parse(many->arena, STR("b@x")));
	CHECK_STR(jid_full(one.stanza->to), "b@x");
	own = post_own(&one);
	CHECK(own != &one && !own->is_lent);
	lent = &one;
	post_free(&lent);
	post_free(&many);
	CHECK_STR(jid_full(own->stanza->to), "b@x");
	CHECK_STR(own->stanza->id, "p1");
	CHECK_STR(blob_str(own->blob), "<presence/>");
	CHECK(post_own(own) == own);
	post_free(&own);
}

static void
only_its_own_thread_may_write_for_a_shard(void **state)
{
	struct post *letter = post_new(POST_DRAIN, NULL);

	shard_enter(&server.shards[1]);
	CHECK_ABORTS(post_send_to(&server.shards[0], 1, letter));
	post_free(&letter);
}

static void
metrics_are_added_up(void **state)
{
	struct buf buf = {0};
	char *text;

	for (unsigned i = 0; i < 2; i++)
		metric_add(&server.shards[i], METRIC_SESSIONS, 3);
	metric_add(&server.shards[1], METRIC_SESSIONS, -1);
	metric_add(&server.shards[0], METRIC_LOGINS, 7);
	metrics_write(&server, &buf);
	buf_add_byte(&buf, '\0');
	text = buf.text;
	CHECK(strstr(text, "# TYPE jackdaw_sessions gauge\n") != NULL);
	CHECK(strstr(text, "\njackdaw_sessions 5\n") != NULL);
	CHECK(strstr(text, "\njackdaw_logins_total 7\n") != NULL);
	CHECK(strstr(text, "\njackdaw_resident_memory_bytes ") != NULL);
	CHECK_TEXT(text + strlen(text) - strlen("# EOF\n"), "# EOF\n");
	buf_deinit(&buf);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(
		letters_come_in_order_and_wake_once, begin, end),
	    cmocka_unit_test_setup_teardown(
		letters_that_are_put_back_come_first, begin, end),
	    cmocka_unit_test_setup_teardown(
		letters_find_their_shard, begin, end),
	    cmocka_unit_test_setup_teardown(
		a_lent_letter_is_copied_by_who_keeps_it, begin, end),
	    cmocka_unit_test_setup_teardown(
		only_its_own_thread_may_write_for_a_shard, begin, end),
	    cmocka_unit_test_setup_teardown(metrics_are_added_up, begin, end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/*
 * server/socket_test.c - both ends of TLS between servers over sockets, on one
 * loop.
 */
#include "server/socket.h"

#include <errno.h>
#include <linux/sockios.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>
#include <uv.h>

#include "base/check.h"
#include "base/clock.h"
#include "base/err.h"
#include "server/conn.h"
#include "server/forge.h"
#include "server/metrics.h"
#include "server/net.h"
#include "server/receipts.h"
#include "server/setup.h"
#include "server/setup_rig.h"
#include "server/shard.h"

#define PAIRS 5

static struct {
	struct arena *arena;
	struct setup *setup;
	struct shard shard;
	uv_loop_t loop;
	char certificate[sizeof("/tmp/socket_test.XXXXXX.pem")];
	char key[sizeof("/tmp/socket_test.XXXXXX.key")];
	unsigned secure, closed;
} rig;

static struct setup *
make_setup(unsigned handshakes)
{
	struct str why, text = str_format(rig.arena,
			    "hosts: {a.example: {certificate: %s, key: %s,"
			    " limits: {stanza: 8 MiB}}}\n"
			    "limits: {handshakes: %u}\n",
			    rig.certificate, rig.key, handshakes);

	return setup_rig(rig.arena, text.text, NULL, true, &why);
}

/* --- ends ----------------------------------------------------------------- */

struct end {
	struct conn *conn;
	char bytes[32];
	const char *why; /* it was closed */
	bool is_secure;
	unsigned reads;
	uint64_t first_acked; /* at the first of them, when it asks */
	bool asks;
};

struct two {
	struct end ours, theirs;
};

static void
on_bytes(struct conn *conn, struct str bytes)
{
	struct end *end = conn->owner;

	if (bytes.len < sizeof(end->bytes))
		memcpy(end->bytes, bytes.text, bytes.len);
	if (end->asks && end->reads++ == 0)
		end->first_acked = conn_acknowledged(conn);
}

static void
on_secure(struct conn *conn)
{
	struct end *end = conn->owner;

	end->is_secure = true;
	rig.secure++;
}

static void
on_closed(struct conn *conn, const char *why)
{
	struct end *end = conn->owner;

	end->why = str_dup(rig.arena, str_of(why)).text;
	end->conn = NULL;
	rig.closed++;
}

static const struct conn_events events = {
    .on_bytes = on_bytes, .on_secure = on_secure, .on_closed = on_closed};

static void
open_end(struct end *end, int fd)
{
	const struct sockaddr address = {.sa_family = AF_UNSPEC};

	*end = (struct end){.conn = socket_new(&rig.shard, fd, &address)};
	end->conn->events = &events;
	end->conn->owner = end;
}

static void
open_two(struct two *two)
{
	int fds[2];

	CHECK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0,
		  fds) == 0);
	open_end(&two->ours, fds[0]);
	open_end(&two->theirs, fds[1]);
	two->theirs.conn->is_s2s = true;
}

/* Over TCP, where the kernel tells what was acknowledged; the far end takes
 * little before it reads. Returns our descriptor. */
static int
open_narrow(struct two *two)
{
	struct sockaddr_in address = {
	    .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t len = sizeof(address);
	int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	int ours =
	    socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	int theirs, room = 4096;

	must(listener >= 0 && ours >= 0);
	CHECK(setsockopt(
		  listener, SOL_SOCKET, SO_RCVBUF, &room, sizeof(room)) == 0);
	CHECK(bind(listener, (struct sockaddr *)&address, len) == 0);
	CHECK(listen(listener, 1) == 0);
	CHECK(getsockname(listener, (struct sockaddr *)&address, &len) == 0);
	CHECK(connect(ours, (struct sockaddr *)&address, len) == 0 ||
	      errno == EINPROGRESS);
	theirs = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
	CHECK(theirs >= 0);
	close(listener);
	open_end(&two->ours, ours);
	open_end(&two->theirs, theirs);
	return ours;
}

static void
secure(struct two *two)
{
	const struct tls_client_options options = {
	    .setup = rig.setup,
	    .host = setup_default_host(rig.setup),
	    .server_name = STR("a.example"),
	};

	conn_start_tls(two->theirs.conn);
	conn_start_tls_client(two->ours.conn, &options);
}

static void
turn(void)
{
	uv_run(&rig.loop, UV_RUN_NOWAIT);
	timers_ring(&rig.shard.timers, clock_mono_ms());
	conn_flush_all(&rig.shard);
	(void)poll(NULL, 0, 1);
}

static void
run_until(const unsigned *count, unsigned wanted)
{
	for (unsigned i = 0; i < 5000 && *count < wanted; i++)
		turn();
	CHECK_EQUAL(*count, wanted);
}

static void
close_two(struct two *two)
{
	rig.closed = 0;
	if (two->ours.conn != NULL)
		conn_close(two->ours.conn);
	if (two->theirs.conn != NULL)
		conn_close(two->theirs.conn);
	for (unsigned i = 0;
	    i < 5000 && (two->ours.conn != NULL || two->theirs.conn != NULL);
	    i++)
		turn();
	CHECK(two->ours.conn == NULL && two->theirs.conn == NULL);
}

/* --- cases ---------------------------------------------------------------- */

static void
servers_talk_in_tls(void **state)
{
	const struct str *ders;
	struct two two;

	rig.secure = 0;
	open_two(&two);
	conn_write(two.ours.conn, STR("plain"));
	for (unsigned i = 0; i < 100 && two.theirs.bytes[0] == '\0'; i++)
		turn();
	CHECK_TEXT(two.theirs.bytes, "plain");
	secure(&two);
	run_until(&rig.secure, 2);
	CHECK_EQUAL(conn_peer_chain(two.ours.conn, rig.arena, &ders), 1);
	CHECK_EQUAL(conn_peer_chain(two.theirs.conn, rig.arena, &ders), 1);
	conn_write(two.ours.conn, STR("hello"));
	conn_write(two.theirs.conn, STR("world"));
	for (unsigned i = 0; i < 100 && two.ours.bytes[0] == '\0'; i++)
		turn();
	CHECK_TEXT(two.ours.bytes, "world");
	CHECK_TEXT(two.theirs.bytes, "hello");
	close_two(&two);
}

/* Of each side one at a time (limits.handshakes). */
static void
handshakes_take_turns(void **state)
{
	struct two twos[PAIRS];

	rig.secure = 0;
	for (unsigned i = 0; i < PAIRS; i++) {
		open_two(&twos[i]);
		secure(&twos[i]);
	}
	CHECK_EQUAL(rig.shard.net->made.count, 1);
	run_until(&rig.secure, 2 * PAIRS);
	CHECK_EQUAL(rig.shard.net->made.count, 0);
	CHECK_EQUAL(rig.shard.net->accepted.count, 0);
	for (unsigned i = 0; i < PAIRS; i++)
		close_two(&twos[i]);
}

/* Who takes all places and does not go on. */
static void
one_address_keeps_nobody_out(void **state)
{
	struct setup *setup = make_setup(4);
	struct two greedy[PAIRS], other;

	rig.secure = rig.closed = 0;
	rig.shard.setup = setup;
	for (unsigned i = 0; i < PAIRS; i++) {
		open_two(&greedy[i]);
		greedy[i].theirs.conn->address = STR("192.0.2.1");
		conn_start_tls(greedy[i].theirs.conn);
		conn_write(greedy[i].ours.conn, STR("\x16\x03"));
	}
	for (unsigned i = 0; i < 100 && rig.shard.net->accepted.count < 4; i++)
		turn();
	CHECK_EQUAL(rig.shard.net->accepted.count, 4);
	open_two(&other);
	other.theirs.conn->address = STR("192.0.2.2");
	secure(&other);
	run_until(&rig.secure, 2);
	CHECK(other.ours.is_secure && other.theirs.is_secure);
	for (unsigned i = 0; i < PAIRS; i++)
		close_two(&greedy[i]);
	close_two(&other);
	CHECK_EQUAL(rig.shard.net->accepted.count, 0);
	rig.shard.setup = rig.setup;
	setup_unref(&setup);
}

static void
what_is_no_tls_is_told(void **state)
{
	const struct tls_client_options options = {
	    .setup = rig.setup, .server_name = STR("a.example")};
	struct two two, next;

	rig.secure = rig.closed = 0;
	open_two(&two);
	conn_start_tls_client(two.ours.conn, &options);
	conn_write(two.theirs.conn, STR("<stream:error/>"));
	/* That one's place is given to the next. */
	open_two(&next);
	secure(&next);
	run_until(&rig.closed, 1);
	CHECK(strstr(two.ours.why, "TLS handshake failed: ") != NULL);
	run_until(&rig.secure, 2);
	close_two(&two);
	close_two(&next);
}

static void
closing_in_the_handshake_is_clean(void **state)
{
	struct two twos[2];

	for (unsigned i = 0; i < 2; i++) {
		open_two(&twos[i]);
		secure(&twos[i]);
	}
	conn_abort(twos[0].ours.conn);
	conn_abort(twos[1].ours.conn);
	for (unsigned i = 0; i < 2; i++)
		close_two(&twos[i]);
	CHECK_EQUAL(rig.shard.net->made.count, 0);
}

/* Who begins one and does not go on gives its place up. */
static void
a_handshake_has_a_deadline(void **state)
{
	const uint64_t begun_ms = clock_mono_ms();
	struct two two, next;

	rig.closed = rig.secure = 0;
	open_two(&two);
	conn_start_tls(two.theirs.conn);
	conn_write(two.ours.conn, STR("\x16\x03"));
	for (unsigned i = 0; i < 100 && rig.shard.net->accepted.count == 0; i++)
		turn();
	CHECK_EQUAL(rig.shard.net->accepted.count, 1);
	timers_ring(&rig.shard.timers, begun_ms + 9999);
	CHECK_EQUAL(rig.shard.net->accepted.count, 1);
	timers_ring(&rig.shard.timers, clock_mono_ms() + 10001);
	CHECK_EQUAL(rig.shard.net->accepted.count, 0);
	for (unsigned i = 0; i < 100 && two.theirs.conn != NULL; i++)
		turn();
	CHECK_TEXT(two.theirs.why, "TLS handshake failed: it took too long");
	close_two(&two);
	rig.secure = 0;
	open_two(&next);
	secure(&next);
	run_until(&rig.secure, 2);
	close_two(&next);
}

/* Nor does what it left behind reach another connection of the shard. */
static void
what_tls_cannot_send_ends_the_connection(void **state)
{
	struct two two, next;

	rig.secure = rig.closed = 0;
	open_two(&two);
	open_two(&next);
	secure(&two);
	secure(&next);
	run_until(&rig.secure, 4);
	tls_bye(two.ours.conn->ops->tls(two.ours.conn));
	conn_write(two.ours.conn, STR("too late"));
	conn_write(next.ours.conn, STR("hello"));
	for (unsigned i = 0; i < 100 && next.theirs.bytes[0] == '\0'; i++)
		turn();
	CHECK_TEXT(next.theirs.bytes, "hello");
	CHECK(two.ours.conn == NULL);
	CHECK_TEXT(two.ours.why, "TLS: could not send");
	close_two(&two);
	close_two(&next);
}

/* As large as one host allows it, and more than sixteen of the others. */
static void
the_largest_stanza_leaves(void **state)
{
	const size_t len = (size_t)8 << 20;
	char *bytes = malloc(len);
	struct two two;

	CHECK(bytes != NULL);
	memset(bytes, 'x', len);
	open_two(&two);
	conn_write(two.ours.conn, (struct str){bytes, len});
	for (unsigned i = 0; i < 100; i++)
		turn();
	CHECK(two.ours.conn != NULL);
	close_two(&two);
	free(bytes);
}

static int
held_by_kernel(int fd)
{
	int held = 0;

	CHECK(ioctl(fd, SIOCOUTQ, &held) == 0);
	return held;
}

static void
run_until_acknowledged(struct conn *conn, uint64_t wanted)
{
	for (unsigned i = 0; i < 5000 && conn_acknowledged(conn) < wanted; i++)
		turn();
	CHECK_EQUAL(conn_acknowledged(conn), wanted);
}

/* Nor is what came before it forgotten over it. */
static void
a_part_of_a_record_is_not_acknowledged(void **state)
{
	static char record[16000];
	struct two two;
	uint64_t first;
	int fd, held;

	rig.secure = 0;
	fd = open_narrow(&two);
	secure(&two);
	run_until(&rig.secure, 2);
	conn_set_reading(two.theirs.conn, false);
	conn_write(two.ours.conn, STR("first"));
	conn_await(two.ours.conn);
	conn_flush(two.ours.conn);
	first = two.ours.conn->written;
	for (unsigned i = 0; i < 5000 && held_by_kernel(fd) > 0; i++)
		turn();
	memset(record, 'x', sizeof(record));
	conn_write(two.ours.conn, (struct str){record, sizeof(record)});
	conn_await(two.ours.conn);
	for (unsigned i = 0; i < 1000; i++)
		turn();
	held = held_by_kernel(fd);
	CHECK(held > 0 && held < (int)sizeof(record));
	CHECK_EQUAL(conn_acknowledged(two.ours.conn), first);
	conn_set_reading(two.theirs.conn, true);
	run_until_acknowledged(two.ours.conn, first + sizeof(record));
	close_two(&two);
}

/* What it said may be older than what it has by now. */
static void
what_the_peer_has_is_not_known_while_it_is_unread(void **state)
{
	struct two two;

	rig.secure = 0;
	(void)open_narrow(&two);
	secure(&two);
	run_until(&rig.secure, 2);
	conn_set_reading(two.ours.conn, false);
	conn_write(two.theirs.conn, STR("older"));
	conn_write(two.ours.conn, STR("newer"));
	conn_await(two.ours.conn);
	for (unsigned i = 0; i < 1000; i++)
		turn();
	CHECK_TEXT(two.theirs.bytes, "newer");
	CHECK_EQUAL(conn_acknowledged(two.ours.conn), 0);
	conn_set_reading(two.ours.conn, true);
	run_until_acknowledged(two.ours.conn, 5);
	CHECK_TEXT(two.ours.bytes, "older");
	close_two(&two);
}

/* Two records that one read brings. */
static void
nor_is_it_between_two_records(void **state)
{
	static char records[TLS_RECORD_MAX + 1];
	struct two two;

	rig.secure = 0;
	(void)open_narrow(&two);
	secure(&two);
	run_until(&rig.secure, 2);
	two.theirs.asks = true;
	conn_set_reading(two.theirs.conn, false);
	conn_write(two.theirs.conn, STR("hello"));
	conn_await(two.theirs.conn);
	conn_write(two.ours.conn, (struct str){records, sizeof(records)});
	for (unsigned i = 0; i < 1000; i++)
		turn();
	conn_set_reading(two.theirs.conn, true);
	run_until(&two.theirs.reads, 2);
	CHECK_EQUAL(two.theirs.first_acked, 0);
	run_until_acknowledged(two.theirs.conn, 5);
	close_two(&two);
}

static void
what_is_awaited_late_is_acknowledged_too(void **state)
{
	struct two two;

	rig.secure = 0;
	(void)open_narrow(&two);
	conn_write(two.ours.conn, STR("plain"));
	conn_await(two.ours.conn);
	run_until_acknowledged(two.ours.conn, 5);
	for (unsigned i = 0; i < 100 && two.theirs.bytes[0] == '\0'; i++)
		turn();
	secure(&two);
	run_until(&rig.secure, 2);
	conn_write(two.ours.conn, STR("hello"));
	conn_flush(two.ours.conn);
	conn_await(two.ours.conn);
	run_until_acknowledged(two.ours.conn, 10);
	close_two(&two);
}

static void
a_later_record_holds_none_back(void **state)
{
	struct receipts receipts = {.wanted = 200};
	uint64_t plain = 0;

	receipts_add(&receipts, 100, 122);
	receipts_add(&receipts, 200, 244);
	receipts_add(&receipts, 210, 276); /* nobody waits for it */
	receipts.wire = 276;
	CHECK(!receipts_take(&receipts, 155, &plain));
	CHECK_EQUAL(plain, 0);
	CHECK(!receipts_take(&receipts, 154, &plain));
	CHECK_EQUAL(plain, 100);
	CHECK(!receipts_take(&receipts, 33, &plain));
	CHECK_EQUAL(plain, 100);
	CHECK(receipts_take(&receipts, 32, &plain));
	CHECK_EQUAL(plain, 200);
}

static void
more_records_than_fit_become_one(void **state)
{
	struct receipts receipts = {.wanted = 1000};
	uint64_t plain = 0;

	for (unsigned i = 1; i <= RECEIPTS_MAX + 10; i++)
		receipts_add(&receipts, i, 2 * i);
	CHECK_EQUAL(receipts.count, RECEIPTS_MAX);
	receipts.wire = 2 * (RECEIPTS_MAX + 10);
	(void)receipts_take(&receipts, 2, &plain);
	CHECK_EQUAL(plain, RECEIPTS_MAX - 1);
	(void)receipts_take(&receipts, 0, &plain);
	CHECK_EQUAL(plain, RECEIPTS_MAX + 10);
}

/* --- what all share ------------------------------------------------------- */

static void
make_certificate(void)
{
	const struct forge_options options = {
	    .name = "a", .dns = {"a.example"}};
	struct forged *forged = forge(rig.arena, &options, NULL);
	int fds[2];

	memcpy(rig.certificate, "/tmp/socket_test.XXXXXX.pem",
	    sizeof(rig.certificate));
	memcpy(rig.key, "/tmp/socket_test.XXXXXX.key", sizeof(rig.key));
	fds[0] = mkstemps(rig.certificate, 4);
	fds[1] = mkstemps(rig.key, 4);
	CHECK(fds[0] >= 0 && fds[1] >= 0);
	close(fds[0]);
	close(fds[1]);
	forged_save(forged, rig.certificate, rig.key);
	forged_free(&forged);
}

static int
set_up(void **state)
{
	static const uint8_t secret[32] = {1};

	rig.arena = arena_make(0);
	make_certificate();
	rig.setup = make_setup(1);
	CHECK(rig.setup != NULL);
	tls_start(secret);
	uv_loop_init(&rig.loop);
	rig.shard.loop = &rig.loop;
	rig.shard.setup = rig.setup;
	rig.shard.metrics = metrics_new();
	rig.shard.net = net_new();
	mailbox_init(&rig.shard.mailbox, NULL);
	list_init(&rig.shard.flushes);
	timers_init(&rig.shard.timers);
	shard_enter(&rig.shard);
	return 0;
}

static int
tear_down(void **state)
{
	unlink(rig.certificate);
	unlink(rig.key);
	uv_run(&rig.loop, UV_RUN_DEFAULT);
	CHECK_EQUAL(uv_loop_close(&rig.loop), 0);
	net_free(&rig.shard.net);
	metrics_free(&rig.shard.metrics);
	timers_deinit(&rig.shard.timers);
	mailbox_deinit(&rig.shard.mailbox);
	shard_enter(NULL);
	setup_unref(&rig.setup);
	tls_stop();
	arena_free(&rig.arena);
	return 0;
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(servers_talk_in_tls),
	    cmocka_unit_test(handshakes_take_turns),
	    cmocka_unit_test(one_address_keeps_nobody_out),
	    cmocka_unit_test(what_is_no_tls_is_told),
	    cmocka_unit_test(closing_in_the_handshake_is_clean),
	    cmocka_unit_test(a_handshake_has_a_deadline),
	    cmocka_unit_test(what_tls_cannot_send_ends_the_connection),
	    cmocka_unit_test(the_largest_stanza_leaves),
	    cmocka_unit_test(a_part_of_a_record_is_not_acknowledged),
	    cmocka_unit_test(what_the_peer_has_is_not_known_while_it_is_unread),
	    cmocka_unit_test(nor_is_it_between_two_records),
	    cmocka_unit_test(what_is_awaited_late_is_acknowledged_too),
	    cmocka_unit_test(a_later_record_holds_none_back),
	    cmocka_unit_test(more_records_than_fit_become_one),
	};

	return cmocka_run_group_tests_name("socket", tests, set_up, tear_down);
}

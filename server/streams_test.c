/*
 * server/streams_test.c - streams over sockets when the configuration changes
 * while their handshakes wait.
 */
#include "server/stream.h"

#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>
#include <uv.h>

#include "base/check.h"
#include "base/clock.h"
#include "base/err.h"
#include "server/address.h"
#include "server/forge.h"
#include "server/metrics.h"
#include "server/net.h"
#include "server/setup.h"
#include "server/setup_rig.h"
#include "server/shard.h"
#include "server/socket.h"

#define GONE  "a.example"
#define OTHER "b.example"

/* A certificate and its key, in files. */
struct pair {
	char certificate[sizeof("/tmp/streams_test.XXXXXX.pem")];
	char key[sizeof("/tmp/streams_test.XXXXXX.key")];
	struct str der;
};

static struct {
	struct arena *arena;
	struct server server;
	struct shard shard;
	uv_loop_t loop;
	struct pair old, now;
	unsigned streams; /* that are not freed */
	unsigned secure, closed;
} rig;

/* --- our end: a role without words ---------------------------------------- */

static void
on_open(struct stream *stream)
{
	(void)stream;
}

static void
on_element(struct stream *stream, struct arena *arena, const struct node *node)
{
	(void)stream;
	(void)node;
	arena_free(&arena);
}

static void
on_letter(struct stream *stream, struct post *letter)
{
	(void)stream;
	post_free(&letter);
}

static void
on_gone(struct stream *stream, const struct stream_end *end)
{
	(void)stream;
	(void)end;
}

static void
on_free(struct stream *stream)
{
	(void)stream;
	rig.streams--;
}

static const struct stream_role role = {
    .name = "test",
    .content_ns = {"jabber:client", sizeof("jabber:client") - 1},
    .len = sizeof(struct stream),
    .on_open = on_open,
    .on_element = on_element,
    .on_letter = on_letter,
    .on_gone = on_gone,
    .on_free = on_free,
};

/* To that host, and about to shake hands. */
static struct stream *
open_stream(int fd, struct str host)
{
	const struct sockaddr address = {.sa_family = AF_UNSPEC};
	struct stream *stream =
	    stream_new(&rig.shard, &role, socket_new(&rig.shard, fd, &address));

	rig.streams++;
	stream->host_name = host;
	stream->host = setup_host(rig.shard.setup, host);
	stream_start_tls(stream);
	return stream;
}

/* --- the peer's ----------------------------------------------------------- */

static void
peer_bytes(struct conn *conn, struct str bytes)
{
	(void)conn;
	(void)bytes;
}

static void
peer_secure(struct conn *conn)
{
	(void)conn;
	rig.secure++;
}

static void
peer_closed(struct conn *conn, const char *why)
{
	(void)conn;
	(void)why;
	rig.closed++;
}

static const struct conn_events peer_events = {
    .on_bytes = peer_bytes, .on_secure = peer_secure, .on_closed = peer_closed};

static struct conn *
open_peer(int fd)
{
	const struct sockaddr address = {.sa_family = AF_UNSPEC};
	struct conn *conn = socket_new(&rig.shard, fd, &address);

	conn->events = &peer_events;
	return conn;
}

/* --- time goes on --------------------------------------------------------- */

static void
turn(void)
{
	uv_run(&rig.loop, UV_RUN_NOWAIT);
	timers_ring(&rig.shard.timers, clock_mono_ms());
	conn_flush_all(&rig.shard);
	usleep(1000);
}

static void
run_until(const unsigned *count, unsigned wanted)
{
	for (unsigned i = 0; i < 5000 && *count != wanted; i++)
		turn();
	CHECK_EQUAL(*count, wanted);
}

/* --- cases ---------------------------------------------------------------- */

static struct setup *
make_setup(const char *hosts)
{
	struct str why = STR_NONE, text = str_format(rig.arena,
				       "hosts: {%s}\n"
				       "limits: {handshakes: 1}\n",
				       hosts);
	struct setup *setup = setup_rig(rig.arena, text.text, NULL, true, &why);

	if (setup == NULL)
		fail_msg("%s", why.text);
	return setup;
}

static const char *
host_text(const char *name, const struct pair *pair)
{
	return str_format(rig.arena, "%s: {certificate: %s, key: %s}", name,
	    pair->certificate, pair->key)
	    .text;
}

static void
change_over(struct setup *setup)
{
	struct setup *old = rig.shard.setup;

	rig.shard.setup = setup;
	streams_setup_changed(&rig.shard);
	setup_unref(&old);
}

static void
pair_of_sockets(int fds[2])
{
	CHECK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0,
		  fds) == 0);
}

/* One of a host that goes has the only place; its end, in the midst of the
 * change, lets the other one begin. */
static void
a_handshake_that_waited_has_the_host_of_now(void **state)
{
	const struct tls_client_options options = {.setup = rig.shard.setup};
	const struct str *ders;
	struct conn *peer;
	int first[2], second[2];

	pair_of_sockets(first);
	pair_of_sockets(second);
	(void)open_stream(first[0], STR(GONE));
	CHECK_EQUAL(write(first[1], "\x16\x03", 2), 2);
	run_until(&rig.shard.net->accepted.count, 1);
	(void)open_stream(second[0], STR(OTHER));
	peer = open_peer(second[1]);
	conn_start_tls_client(peer, &options);
	for (unsigned i = 0; i < 20; i++)
		turn();
	CHECK_EQUAL(rig.secure, 0);

	change_over(make_setup(host_text(OTHER, &rig.now)));
	run_until(&rig.secure, 1);
	CHECK_EQUAL(conn_peer_chain(peer, rig.arena, &ders), 1);
	CHECK(str_equal(ders[0], rig.now.der));

	conn_close(peer);
	run_until(&rig.closed, 1);
	run_until(&rig.streams, 0);
	close(first[1]);
}

/* --- what all share ------------------------------------------------------- */

static void
make_pair(struct pair *pair, const char *name)
{
	const struct forge_options options = {
	    .name = name, .dns = {GONE, OTHER}};
	struct forged *forged = forge(rig.arena, &options, NULL);
	int fds[2];

	memcpy(pair->certificate, "/tmp/streams_test.XXXXXX.pem",
	    sizeof(pair->certificate));
	memcpy(pair->key, "/tmp/streams_test.XXXXXX.key", sizeof(pair->key));
	fds[0] = mkstemps(pair->certificate, 4);
	fds[1] = mkstemps(pair->key, 4);
	CHECK(fds[0] >= 0 && fds[1] >= 0);
	close(fds[0]);
	close(fds[1]);
	forged_save(forged, pair->certificate, pair->key);
	pair->der = forged->der;
	forged_free(&forged);
}

static void
remove_pair(const struct pair *pair)
{
	unlink(pair->certificate);
	unlink(pair->key);
}

static int
set_up(void **state)
{
	static const uint8_t secret[32] = {1};
	struct shard *shard = &rig.shard;

	log_set_level(LOG_ERROR);
	rig.arena = arena_make(0);
	make_pair(&rig.old, "old");
	make_pair(&rig.now, "now");
	rig.server = (struct server){.shards = shard, .shard_count = 1};
	tls_start(secret);
	uv_loop_init(&rig.loop);
	shard->server = &rig.server;
	shard->loop = &rig.loop;
	shard->setup = make_setup(str_format(rig.arena, "%s, %s",
	    host_text(GONE, &rig.old), host_text(OTHER, &rig.old))
		.text);
	shard->metrics = metrics_new();
	shard->net = net_new();
	shard->streams = streams_new();
	mailbox_init(&shard->mailbox, NULL);
	list_init(&shard->flushes);
	timers_init(&shard->timers);
	shard_enter(shard);
	return 0;
}

static int
tear_down(void **state)
{
	struct shard *shard = &rig.shard;

	remove_pair(&rig.old);
	remove_pair(&rig.now);
	uv_run(&rig.loop, UV_RUN_DEFAULT);
	CHECK_EQUAL(uv_loop_close(&rig.loop), 0);
	streams_free(&shard->streams);
	net_free(&shard->net);
	metrics_free(&shard->metrics);
	timers_deinit(&shard->timers);
	mailbox_deinit(&shard->mailbox);
	buf_deinit(&shard->scratch);
	setup_unref(&shard->setup);
	shard_enter(NULL);
	tls_stop();
	arena_free(&rig.arena);
	return 0;
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(a_handshake_that_waited_has_the_host_of_now),
	};

	return cmocka_run_group_tests_name("streams", tests, set_up, tear_down);
}

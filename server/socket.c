#include "server/socket.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/sockios.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>
#include <uv.h>

#include "base/err.h"
#include "base/prefetch.h"
#include "server/metrics.h"
#include "server/net.h"
#include "server/receipts.h"
#include "server/settings.h"
#include "server/setup.h"
#include "server/shard.h"

/* A handshake holds one of few places: so long at most. */
#define HANDSHAKE_MS 10000
/* A peer that was told goodbye has so long to say it too. */
#define LINGER_MS 2000
/* Bytes that wait for a peer that does not read, in stanzas of full size. */
#define UNSENT_STANZAS 16
/* What was written in one turn leaves before its end beyond this. */
#define PENDING_MAX ((size_t)256 * 1024)

enum stage {
	STAGE_OPEN,
	STAGE_HELLO,     /* for the first bytes of the peer's handshake */
	STAGE_WAITING,   /* for its turn to shake hands */
	STAGE_HANDSHAKE, /* TLS */
	STAGE_SENDING,   /* closing: what was written leaves */
	STAGE_LINGERING, /* closing: until the peer closes too */
	STAGE_CLOSED
};

/* Apart from the socket, which may move to another loop before this one has
 * closed the handle. */
struct poller {
	uv_poll_t poll;
	struct socket *socket; /* NULL after a move */
};

struct socket {
	struct conn conn; /* first */
	struct tls *tls;
	struct buf pending; /* written in this turn */
	struct buf unsent;  /* records (or plain bytes) the kernel did not take
			     */
	uint64_t acked;     /* of conn.written, as far as it was known */
	struct receipts *receipts; /* while somebody waits to know; NULL */
	int fd;
	uint8_t stage;
	bool is_reading;
	bool is_client;  /* of TLS */
	uint8_t watched; /* what the loop was asked for: UV_READABLE... */
	struct poller *poller;
	struct timer timer; /* closing */
	struct handshake handshake;
	char *why; /* why it was closed, when there is a reason */
	char address[INET6_ADDRSTRLEN];
};

static void finish(struct socket *);
static void on_poll(uv_poll_t *, int status, int events);
static void shake_hands(struct socket *);
static void watch(struct socket *);

static struct socket *
socket_of(struct conn *conn)
{
	return container_of(conn, struct socket, conn);
}

static struct net *
net_of(const struct socket *socket)
{
	return socket->conn.shard->net;
}

static struct handshakes *
handshakes_of(const struct socket *socket)
{
	struct net *net = net_of(socket);

	return socket->is_client ? &net->made : &net->accepted;
}

/* --- ending --------------------------------------------------------------- */

static void
set_why(struct socket *socket, const char *before, const char *why)
{
	size_t len = strlen(before) + strlen(why) + 1;

	if (socket->why != NULL)
		return;
	socket->why = malloc(len);
	must(socket->why != NULL);
	snprintf(socket->why, len, "%s%s", before, why);
}

static void
fail(struct socket *socket, const char *before, const char *why)
{
	set_why(socket, before, why);
	list_remove(&socket->conn.flush);
	socket->conn.is_closing = true;
	finish(socket);
}

static void
on_poller_closed(uv_handle_t *handle)
{
	struct poller *poller =
	    container_of((uv_poll_t *)handle, struct poller, poll);
	struct socket *socket = poller->socket;

	free(poller);
	if (socket == NULL)
		return;
	shard_enter(socket->conn.shard);
	socket->conn.events->on_closed(
	    &socket->conn, socket->why == NULL ? "closed" : socket->why);
	free(socket->why);
	free(socket);
}

static void
handshake_timed_out(struct timer *timer)
{
	struct socket *socket = container_of(timer, struct socket, timer);

	fail(socket, "TLS handshake failed: ", "it took too long");
}

static void
begin_handshake(struct socket *socket)
{
	struct conn *conn = &socket->conn;
	struct net *net = net_of(socket);
	struct tls_options options = {
	    .setup = conn->shard->setup,
	    .host = conn->host,
	    .is_direct = conn->is_direct_tls,
	    .is_s2s = conn->is_s2s,
	};

	socket->stage = STAGE_HANDSHAKE;
	if (socket->tls == NULL)
		socket->tls = tls_new(&options, &net->records);
	else if (!list_holds(&conn->flush))
		list_add_last(&conn->shard->flushes, &conn->flush);
	timer_start(
	    conn->shard, &socket->timer, HANDSHAKE_MS, handshake_timed_out);
	watch(socket);
}

static void
begin_handshakes(struct handshakes *handshakes)
{
	struct handshake *next;

	while ((next = handshakes_next(handshakes)) != NULL)
		begin_handshake(container_of(next, struct socket, handshake));
}

/* A client, or a server to which the first bytes came: it shakes hands now or
 * when others are done with it. Who only connects takes no place. */
static void
ask_for_handshake(struct socket *socket)
{
	struct handshakes *handshakes = handshakes_of(socket);
	uint64_t max = config_int(setup_config(socket->conn.shard->setup),
	    CONFIG_GLOBAL, SETTING(LIMITS_HANDSHAKES));
	struct handshake *excess;

	socket->stage = STAGE_WAITING;
	handshakes_wait(handshakes, &socket->handshake, socket->conn.address,
	    (unsigned)max);
	begin_handshakes(handshakes);
	if (socket->stage != STAGE_WAITING)
		return;
	watch(socket);
	excess = handshakes_excess(handshakes, &socket->handshake);
	if (excess != NULL)
		fail(container_of(excess, struct socket, handshake),
		    "TLS handshake failed: ",
		    "its address has too many under way, and others wait");
}

static void
end_handshake(struct socket *socket)
{
	struct handshakes *handshakes = handshakes_of(socket);

	handshakes_end(handshakes, &socket->handshake);
	if (socket->stage != STAGE_HANDSHAKE)
		return;
	timer_stop(socket->conn.shard, &socket->timer);
	begin_handshakes(handshakes);
}

static void
finish(struct socket *socket)
{
	if (socket->stage == STAGE_CLOSED)
		return;
	end_handshake(socket);
	socket->stage = STAGE_CLOSED;
	timer_stop(socket->conn.shard, &socket->timer);
	tls_free(&socket->tls);
	/* Others write their records there. */
	buf_clear(&net_of(socket)->records, NET_IN_LEN);
	net_keep_spare(net_of(socket), &socket->pending);
	buf_deinit(&socket->unsent);
	free(socket->receipts);
	socket->receipts = NULL;
	uv_close((uv_handle_t *)&socket->poller->poll, on_poller_closed);
	close(socket->fd);
	socket->fd = -1;
}

static void
on_timeout(struct timer *timer)
{
	struct socket *socket = container_of(timer, struct socket, timer);

	set_why(socket, "", "peer did not close");
	finish(socket);
}

/* All was sent: half-closed, so that the peer still gets the last of it even if
 * bytes of its own are on the way. */
static void
linger(struct socket *socket)
{
	socket->stage = STAGE_LINGERING;
	shutdown(socket->fd, SHUT_WR);
	timer_start(socket->conn.shard, &socket->timer, LINGER_MS, on_timeout);
	watch(socket);
}

/* --- sending -------------------------------------------------------------- */

static size_t
unsent_max(const struct socket *socket)
{
	return UNSENT_STANZAS *
	       (size_t)setup_largest_stanza(socket->conn.shard->setup);
}

/* False when the connection is broken. */
static bool
send_bytes(struct socket *socket, struct str *bytes)
{
	while (bytes->len > 0) {
		ssize_t len =
		    send(socket->fd, bytes->text, bytes->len, MSG_NOSIGNAL);

		if (len < 0 && errno == EINTR)
			continue;
		if (len < 0)
			return errno == EAGAIN || errno == EWOULDBLOCK;
		bytes->text += len;
		bytes->len -= (size_t)len;
	}
	return true;
}

/* Sends or keeps; false when the connection was given up. */
static bool
send_or_keep(struct socket *socket, struct str bytes)
{
	if (socket->unsent.len == 0 && !send_bytes(socket, &bytes)) {
		fail(socket, "", strerror(errno));
		return false;
	}
	if (bytes.len > 0)
		buf_add(&socket->unsent, bytes);
	if (socket->unsent.len > 0 && socket->unsent.len > unsent_max(socket)) {
		fail(socket, "", "peer does not read");
		return false;
	}
	watch(socket);
	return true;
}

/* What TLS made of it all leaves in one call. */
static bool
send_records(struct socket *socket)
{
	struct buf *records = &net_of(socket)->records;
	bool is_good;

	if (socket->receipts != NULL)
		socket->receipts->wire += records->len;
	is_good = records->len == 0 || send_or_keep(socket, buf_str(records));
	buf_clear(records, NET_IN_LEN);
	return is_good;
}

/* In pieces of a record each when somebody waits to know which arrive. */
static bool
encrypt(struct socket *socket, struct str plain)
{
	struct receipts *receipts = socket->receipts;

	if (receipts == NULL)
		return tls_write(socket->tls, plain);
	while (plain.len > 0) {
		struct str piece = {plain.text,
		    plain.len < TLS_RECORD_MAX ? plain.len : TLS_RECORD_MAX};

		if (!tls_write(socket->tls, piece))
			return false;
		plain.text += piece.len;
		plain.len -= piece.len;
		receipts_add(receipts, socket->conn.written - plain.len,
		    net_of(socket)->records.len);
	}
	return true;
}

static bool
send_pending(struct socket *socket)
{
	struct str plain = buf_str(&socket->pending);
	bool is_good;

	if (plain.len == 0)
		return true;
	if (socket->tls != NULL && !encrypt(socket, plain)) {
		fail(socket, "TLS: ", "could not send");
		return false;
	}
	is_good = socket->tls == NULL ? send_or_keep(socket, plain)
				      : send_records(socket);
	if (is_good)
		net_keep_spare(net_of(socket), &socket->pending);
	return is_good;
}

static void
socket_write(struct conn *conn, struct str bytes)
{
	struct socket *socket = socket_of(conn);

	if (socket->pending.text == NULL)
		socket->pending = net_take_spare(net_of(socket));
	buf_add(&socket->pending, bytes);
	prefetch(socket->tls);
	if (socket->pending.len + socket->unsent.len > unsent_max(socket)) {
		fail(socket, "", "peer does not read");
		return;
	}
	if (socket->pending.len > PENDING_MAX &&
	    (socket->tls == NULL || conn->is_secure))
		conn_flush(conn);
}

static void
socket_flush(struct conn *conn)
{
	struct socket *socket = socket_of(conn);

	if (socket->stage == STAGE_OPEN)
		(void)send_pending(socket);
	else if (socket->stage == STAGE_HANDSHAKE && socket->is_client)
		shake_hands(socket);
}

static void
on_writable(struct socket *socket)
{
	struct str unsent = buf_str(&socket->unsent);

	if (!send_bytes(socket, &unsent)) {
		fail(socket, "", strerror(errno));
		return;
	}
	buf_drop(&socket->unsent, socket->unsent.len - unsent.len);
	if (socket->unsent.len == 0)
		buf_deinit(&socket->unsent);
	if (socket->unsent.len == 0 && socket->stage == STAGE_SENDING)
		linger(socket);
	else
		watch(socket);
}

/* --- receiving ------------------------------------------------------------ */

static void
peer_closed(struct socket *socket)
{
	fail(socket, "", "the peer hung up");
}

static void
shake_hands(struct socket *socket)
{
	const char *why = NULL;
	enum tls_result result = tls_handshake(socket->tls, &why);

	if (!send_records(socket))
		return;
	if (result == TLS_FAILED)
		fail(socket, "TLS handshake failed: ", why);
	if (result != TLS_DONE)
		return;
	end_handshake(socket);
	socket->stage = STAGE_OPEN;
	socket->conn.is_secure = true;
	socket->conn.host = NULL;
	socket->conn.events->on_secure(&socket->conn);
}

static void
read_records(struct socket *socket)
{
	struct net *net = net_of(socket);
	const char *why = NULL;

	while (socket->stage == STAGE_OPEN) {
		size_t len = 0;
		enum tls_result result =
		    tls_read(socket->tls, net->plain, NET_IN_LEN, &len, &why);

		if (result == TLS_WANTS_MORE)
			break;
		if (result == TLS_DONE) {
			socket->conn.events->on_bytes(
			    &socket->conn, (struct str){net->plain, len});
			continue;
		}
		if (result == TLS_FAILED) {
			(void)send_records(socket);
			fail(socket, "TLS: ", why);
		} else {
			peer_closed(socket);
		}
		return;
	}
	/* What TLS itself has to say: new keys. */
	if (socket->stage == STAGE_OPEN)
		(void)send_records(socket);
}

static void
take_bytes(struct socket *socket, struct str bytes)
{
	metric_add(socket->conn.shard, METRIC_BYTES_IN, (int64_t)bytes.len);
	if (socket->tls == NULL) {
		socket->conn.events->on_bytes(&socket->conn, bytes);
		return;
	}
	tls_feed(socket->tls, bytes);
	if (socket->stage == STAGE_HANDSHAKE)
		shake_hands(socket);
	if (socket->stage == STAGE_OPEN)
		read_records(socket);
	if (socket->tls != NULL)
		tls_feed(socket->tls, STR_NONE);
}

static void
on_readable(struct socket *socket)
{
	char *in = net_of(socket)->in;
	ssize_t len;

	if (socket->stage == STAGE_HELLO)
		ask_for_handshake(socket);
	if (socket->stage == STAGE_WAITING)
		return;
	len = recv(socket->fd, in, NET_IN_LEN, 0);
	if (len < 0 &&
	    (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR))
		return;
	if (socket->stage >= STAGE_SENDING) {
		if (len <= 0)
			finish(socket);
		return;
	}
	if (len < 0)
		fail(socket, "", strerror(errno));
	else if (len == 0)
		peer_closed(socket);
	else
		take_bytes(socket, (struct str){in, (size_t)len});
}

/* libuv only says that there is one. */
static int
pending_error(const struct socket *socket)
{
	int err = 0;
	socklen_t len = sizeof(err);

	if (getsockopt(socket->fd, SOL_SOCKET, SO_ERROR, &err, &len) != 0 ||
	    err == 0)
		return ECONNRESET;
	return err;
}

/* What a few reads brought is done with while the caches still hold it, however
 * many sockets the loop found readable. */
static void
take_turn(struct shard *shard)
{
	if (++shard->net->reads < NET_READS_PER_TURN)
		return;
	shard->net->reads = 0;
	(void)shard_turn(shard);
}

static void
ask_loop(struct socket *socket, int events)
{
	socket->watched = (uint8_t)events;
	if (events == 0)
		uv_poll_stop(&socket->poller->poll);
	else
		uv_poll_start(&socket->poller->poll, events, on_poll);
}

static bool
wants_to_read(const struct socket *socket)
{
	return (socket->is_reading && socket->stage != STAGE_WAITING) ||
	       socket->stage >= STAGE_HANDSHAKE;
}

static void
on_poll(uv_poll_t *poll, int status, int events)
{
	struct poller *poller = container_of(poll, struct poller, poll);
	struct socket *socket = poller->socket;
	struct shard *shard = socket->conn.shard;

	shard_enter(shard);
	if (status < 0) {
		fail(socket, "", strerror(pending_error(socket)));
		return;
	}
	if ((events & UV_WRITABLE) != 0)
		on_writable(socket);
	if ((events & UV_READABLE) == 0 || socket->fd < 0)
		return;
	if (wants_to_read(socket)) {
		on_readable(socket);
		take_turn(shard);
	} else {
		ask_loop(socket, socket->watched & ~UV_READABLE);
	}
}

/* Asks the loop for what the socket waits for now. To ask again for the same
 * would cost two system calls; and who is not to be read for a moment mostly
 * sends nothing meanwhile, so that is said when something comes. */
static void
watch(struct socket *socket)
{
	int events = socket->watched & UV_READABLE;

	if (socket->stage == STAGE_CLOSED || socket->poller == NULL)
		return;
	if (wants_to_read(socket))
		events |= UV_READABLE;
	if (socket->unsent.len > 0)
		events |= UV_WRITABLE;
	if (events != socket->watched)
		ask_loop(socket, events);
}

/* --- what streams ask for ------------------------------------------------- */

static void
socket_start_tls(struct conn *conn, const struct tls_client_options *options)
{
	struct socket *socket = socket_of(conn);

	conn_flush(conn);
	if (socket->stage != STAGE_OPEN)
		return;
	if (options != NULL) {
		socket->is_client = true;
		socket->tls = tls_new_client(options, &net_of(socket)->records);
		ask_for_handshake(socket);
		return;
	}
	socket->stage = STAGE_HELLO;
	watch(socket);
}

static void
attach(struct socket *socket)
{
	struct poller *poller = calloc(1, sizeof(*poller));

	must(poller != NULL);
	poller->socket = socket;
	socket->poller = poller;
	socket->watched = 0;
	must(uv_poll_init(
		 socket->conn.shard->loop, &poller->poll, socket->fd) == 0);
	if (socket->tls != NULL)
		tls_set_out(socket->tls, &net_of(socket)->records);
}

static void
socket_set_reading(struct conn *conn, bool is_reading)
{
	struct socket *socket = socket_of(conn);

	socket->is_reading = is_reading;
	if (socket->poller == NULL)
		attach(socket);
	watch(socket);
}

static void
on_detached(uv_handle_t *handle)
{
	free(container_of((uv_poll_t *)handle, struct poller, poll));
}

static bool
socket_move(struct conn *conn, struct shard *to)
{
	struct socket *socket = socket_of(conn);

	if (socket->stage != STAGE_OPEN || socket->unsent.len > 0 ||
	    socket->pending.len > 0)
		return false;
	socket->poller->socket = NULL;
	uv_close((uv_handle_t *)&socket->poller->poll, on_detached);
	socket->poller = NULL;
	conn->shard = to;
	return true;
}

/* What the kernel holds of a connection that is given up is dropped with it: a
 * peer that comes back would get it twice. */
static void
forget_sent(const struct socket *socket)
{
	const struct linger at_once = {.l_onoff = 1};

	(void)setsockopt(
	    socket->fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof(at_once));
}

static void
socket_close(struct conn *conn, bool in_order)
{
	struct socket *socket = socket_of(conn);

	if (!in_order) {
		forget_sent(socket);
		finish(socket);
		return;
	}
	if (socket->stage != STAGE_OPEN) {
		finish(socket);
		return;
	}
	if (socket->tls != NULL) {
		tls_bye(socket->tls);
		if (!send_records(socket))
			return;
	}
	if (socket->unsent.len == 0) {
		linger(socket);
		return;
	}
	socket->stage = STAGE_SENDING;
	timer_start(conn->shard, &socket->timer, LINGER_MS, on_timeout);
	watch(socket);
}

static void
socket_await(struct conn *conn)
{
	struct socket *socket = socket_of(conn);

	if (socket->tls == NULL)
		return;
	if (socket->receipts == NULL) {
		socket->receipts = calloc(1, sizeof(*socket->receipts));
		must(socket->receipts != NULL);
	}
	socket->receipts->wanted = conn->written;
	/* A part may have left already. */
	receipts_add(socket->receipts, conn->written - socket->pending.len, 0);
}

/* Of what came, something was not looked at. */
static bool
has_unread(const struct socket *socket)
{
	int waiting = 0;

	if (socket->tls != NULL && tls_has_unread(socket->tls))
		return true;
	return ioctl(socket->fd, SIOCINQ, &waiting) != 0 || waiting > 0;
}

/* What is unread is asked for last: what comes then is newer than the answer of
 * the kernel. */
static uint64_t
socket_acknowledged(struct conn *conn)
{
	struct socket *socket = socket_of(conn);
	int held = 0;
	uint64_t left;

	if (socket->fd < 0 || ioctl(socket->fd, SIOCOUTQ, &held) != 0 ||
	    has_unread(socket))
		return socket->acked;
	left = (uint64_t)held + socket->unsent.len;
	if (socket->tls == NULL) {
		uint64_t sent = conn->written - socket->pending.len;

		socket->acked = sent > left ? sent - left : 0;
	} else if (socket->receipts != NULL &&
		   receipts_take(socket->receipts, left, &socket->acked)) {
		free(socket->receipts);
		socket->receipts = NULL;
	}
	return socket->acked;
}

static struct tls *
socket_tls(struct conn *conn)
{
	return conn->is_secure ? socket_of(conn)->tls : NULL;
}

static const struct conn_ops socket_ops = {
    .write = socket_write,
    .flush = socket_flush,
    .start_tls = socket_start_tls,
    .set_reading = socket_set_reading,
    .close = socket_close,
    .await = socket_await,
    .acknowledged = socket_acknowledged,
    .move = socket_move,
    .tls = socket_tls,
};

static void
set_address(struct socket *socket, const struct sockaddr *address)
{
	const struct sockaddr_in *v4 = (const void *)address;
	const struct sockaddr_in6 *v6 = (const void *)address;

	if (address->sa_family == AF_INET) {
		inet_ntop(AF_INET, &v4->sin_addr, socket->address,
		    sizeof(socket->address));
		socket->conn.port = ntohs(v4->sin_port);
	} else if (address->sa_family == AF_INET6) {
		inet_ntop(AF_INET6, &v6->sin6_addr, socket->address,
		    sizeof(socket->address));
		socket->conn.port = ntohs(v6->sin6_port);
	}
	socket->conn.address = str_of(socket->address);
}

struct conn *
socket_new(struct shard *shard, int fd, const struct sockaddr *address)
{
	struct socket *socket = calloc(1, sizeof(*socket));
	int on = 1;

	must(socket != NULL);
	socket->conn.ops = &socket_ops;
	socket->conn.shard = shard;
	socket->fd = fd;
	socket->is_reading = true;
	set_address(socket, address);
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	attach(socket);
	watch(socket);
	return &socket->conn;
}

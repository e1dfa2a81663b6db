#include "server/conn.h"

#include "base/prefetch.h"
#include "server/metrics.h"
#include "server/shard.h"

/* With what a socket has right behind it. */
void
conn_fetch(const struct conn *conn)
{
	const char *at = (const char *)conn;

	prefetch(at);
	prefetch(at + 64);
	prefetch(at + 128);
}

void
conn_write(struct conn *conn, struct str bytes)
{
	if (conn->is_closing || bytes.len == 0)
		return;
	conn->written += bytes.len;
	metric_add(conn->shard, METRIC_BYTES_OUT, (int64_t)bytes.len);
	if (!list_holds(&conn->flush))
		list_add_last(&conn->shard->flushes, &conn->flush);
	conn->ops->write(conn, bytes);
}

void
conn_flush(struct conn *conn)
{
	list_remove(&conn->flush);
	conn->ops->flush(conn);
}

void
conn_flush_all(struct shard *shard)
{
	struct link *link;

	while ((link = list_take_first(&shard->flushes)) != NULL) {
		struct conn *conn = list_entry(link, struct conn, flush);

		conn->ops->flush(conn);
	}
}

void
conn_start_tls(struct conn *conn)
{
	if (!conn->is_closing)
		conn->ops->start_tls(conn, NULL);
}

void
conn_start_tls_client(
    struct conn *conn, const struct tls_client_options *options)
{
	if (!conn->is_closing)
		conn->ops->start_tls(conn, options);
}

void
conn_set_reading(struct conn *conn, bool is_reading)
{
	if (!conn->is_closing)
		conn->ops->set_reading(conn, is_reading);
}

bool
conn_move(struct conn *conn, struct shard *to)
{
	if (conn->is_closing)
		return false;
	conn_flush(conn);
	return !conn->is_closing && conn->ops->move(conn, to);
}

static void
end(struct conn *conn, bool in_order)
{
	if (conn->is_closing)
		return;
	if (in_order)
		conn_flush(conn);
	list_remove(&conn->flush);
	if (conn->is_closing)
		return;
	conn->is_closing = true;
	conn->ops->close(conn, in_order);
}

void
conn_close(struct conn *conn)
{
	end(conn, true);
}

void
conn_abort(struct conn *conn)
{
	end(conn, false);
}

static void
no_bytes(struct conn *conn, struct str bytes)
{
	(void)conn;
	(void)bytes;
}

static void
nobody_told(struct conn *conn, const char *why)
{
	(void)conn;
	(void)why;
}

static const struct conn_events no_events = {
    .on_bytes = no_bytes, .on_closed = nobody_told};

void
conn_drop(struct conn *conn)
{
	conn->events = &no_events;
	conn_abort(conn);
}

void
conn_await(struct conn *conn)
{
	if (!conn->is_closing && conn->ops->await != NULL)
		conn->ops->await(conn);
}

uint64_t
conn_acknowledged(struct conn *conn)
{
	return conn->ops->acknowledged(conn);
}

static struct tls *
tls_of(struct conn *conn)
{
	return conn->ops->tls == NULL ? NULL : conn->ops->tls(conn);
}

struct str
conn_tls_text(struct conn *conn, struct arena *arena)
{
	struct tls *tls = tls_of(conn);

	return tls == NULL ? STR_NONE : tls_text(tls, arena);
}

bool
conn_has_exporter(struct conn *conn)
{
	struct tls *tls = tls_of(conn);

	return tls != NULL && tls_has_exporter(tls);
}

bool
conn_exporter(struct conn *conn, uint8_t data[32])
{
	struct tls *tls = tls_of(conn);

	return tls != NULL && tls_exporter(tls, data);
}

bool
conn_end_point(struct conn *conn, struct arena *arena, struct str *data_r)
{
	struct tls *tls = tls_of(conn);

	return tls != NULL && tls_end_point(tls, arena, data_r);
}

enum client_proof
conn_peer_certificate(struct conn *conn, const struct tls_identity *host,
    struct arena *arena, struct str *der_r)
{
	struct tls *tls = tls_of(conn);

	return tls == NULL ? CLIENT_UNPROVED
			   : tls_peer_certificate(tls, host, arena, der_r);
}

size_t
conn_peer_chain(
    struct conn *conn, struct arena *arena, const struct str **ders_r)
{
	struct tls *tls = tls_of(conn);

	return tls == NULL ? 0 : tls_peer_chain(tls, arena, ders_r);
}

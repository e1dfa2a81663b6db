#include "server/world_private.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/err.h"
#include "server/net.h"
#include "server/sasl.h"

/* --- what the server does with it ---------------------------------------- */

static struct world_conn *
of(struct conn *conn)
{
	return container_of(conn, struct world_conn, conn);
}

static void
on_write(struct conn *conn, struct str bytes)
{
	buf_add(&of(conn)->out, bytes);
}

static void
on_flush(struct conn *conn)
{
	struct world_conn *own = of(conn);

	if (own->peer != NULL && own->out.len > 0)
		reader_feed(own->peer->reader, buf_str(&own->out));
	buf_clear(&own->out, 0);
}

static void
on_start_tls(struct conn *conn, const struct tls_client_options *options)
{
	(void)options;
	of(conn)->wants_secure = true;
}

static void
on_set_reading(struct conn *conn, bool is_reading)
{
	of(conn)->is_deaf = !is_reading;
}

static void
add_event(struct world_peer *peer, enum world_event_kind kind,
    struct arena *arena, const struct node *node)
{
	struct world_event *event;

	if (arena == NULL)
		arena = arena_make(0);
	event = arena_new(arena, struct world_event);
	event->kind = kind;
	event->arena = arena;
	event->node = node;
	list_add_last(&peer->events, &event->link);
}

static void
end_peer(struct world_peer *peer)
{
	peer->conn = NULL;
	if (!peer->is_ended)
		add_event(peer, WORLD_END, NULL, NULL);
	peer->is_ended = true;
}

static void
on_close(struct conn *conn, bool in_order)
{
	struct world_conn *own = of(conn);

	(void)in_order;
	own->wants_closed = true;
	own->why = "closed";
	if (own->peer != NULL)
		end_peer(own->peer);
	own->peer = NULL;
}

static uint64_t
on_acknowledged(struct conn *conn)
{
	struct world_conn *own = of(conn);

	if (own->in.len == 0)
		own->acked = conn->written - own->out.len;
	return own->acked;
}

static bool
on_move(struct conn *conn, struct shard *shard)
{
	conn->shard = shard;
	return true;
}

static const struct conn_ops ops = {
    .write = on_write,
    .flush = on_flush,
    .start_tls = on_start_tls,
    .set_reading = on_set_reading,
    .close = on_close,
    .acknowledged = on_acknowledged,
    .move = on_move,
};

/* --- what the peer reads -------------------------------------------------- */

static void
peer_opened(
    struct reader *reader, const struct node *header, struct str content_ns)
{
	struct arena *arena = arena_make(0);

	(void)content_ns;
	add_event(reader_owner(reader), WORLD_HEADER, arena,
	    node_copy_deep(arena, header));
}

static void
peer_got(struct reader *reader, struct arena *arena, const struct node *node)
{
	/* Who sent its next header ahead gets the server's right behind this.
	 */
	if (node_is(node, "success", NS_SASL))
		reader_restart(reader);
	add_event(reader_owner(reader), WORLD_ELEMENT, arena, node);
}

static void
peer_closed(struct reader *reader)
{
	add_event(reader_owner(reader), WORLD_CLOSE, NULL, NULL);
}

static void
peer_failed(struct reader *reader, enum read_err err)
{
	struct arena *arena = arena_make(0);

	add_event(reader_owner(reader), WORLD_ELEMENT, arena,
	    node_make(arena, read_err_text(err), "broken"));
}

static const struct reader_events peer_events = {
    .on_open = peer_opened,
    .on_stanza = peer_got,
    .on_close = peer_closed,
    .on_error = peer_failed,
};

static const struct reader_limits peer_limits = {
    .bytes = 16 << 20, .depth = 1000, .attrs = 1000, .children = 1 << 20};

/* --- making and ending ---------------------------------------------------- */

static struct world_conn *
conn_new(struct world *world, struct world_peer *peer)
{
	struct world_conn *own = calloc(1, sizeof(*own));
	unsigned number =
	    world->options.is_one_address ? 1 : ++world->peers_made;

	must(own != NULL);
	own->world = world;
	own->peer = peer;
	own->conn.ops = &ops;
	own->conn.shard =
	    &world->server
		 .shards[world_random(world, world->server.shard_count)];
	snprintf(own->address, sizeof(own->address), "198.51.%u.%u",
	    number / 250 % 250, number % 250 + 1);
	own->conn.address = str_of(own->address);
	own->conn.port = 40000;
	own->conn.is_secure = true;
	own->conn.is_direct_tls = true;
	list_add_last(&world->conns, &own->link);
	return own;
}

struct world_peer *
world_peer_new(struct world *world)
{
	struct arena *arena = arena_make(0);
	struct world_peer *peer = arena_new(arena, struct world_peer);

	peer->world = world;
	peer->arena = arena;
	list_init(&peer->events);
	list_add_last(&world->peers, &peer->link);
	peer->reader =
	    reader_new(world->readers, &peer_events, &peer_limits, peer);
	peer->conn = conn_new(world, peer);
	return peer;
}

void
world_peer_free(struct world_peer **peer)
{
	struct world_peer *freed = *peer;
	struct arena *arena;

	*peer = NULL;
	if (freed == NULL)
		return;
	if (freed->conn != NULL)
		world_conn_cut(freed->conn, "connection reset by peer");
	list_each (event, &freed->events, struct world_event, link)
		world_event_free(&event);
	reader_free(&freed->reader);
	list_remove(&freed->link);
	arena = freed->arena;
	arena_free(&arena);
}

void
world_cut_now(struct world_peer **peer)
{
	struct world_conn *conn = (*peer)->conn;

	world_peer_free(peer);
	shard_enter(conn->conn.shard);
	world_conn_step(conn);
}

void
world_peer_restart(struct world_peer *peer)
{
	reader_free(&peer->reader);
	peer->reader =
	    reader_new(peer->world->readers, &peer_events, &peer_limits, peer);
}

void
world_peer_send(struct world_peer *peer, struct str bytes)
{
	if (peer->conn != NULL)
		buf_add(&peer->conn->in, bytes);
}

void
world_conn_cut(struct world_conn *own, const char *why)
{
	if (own->peer != NULL)
		end_peer(own->peer);
	own->peer = NULL;
	own->wants_closed = true;
	own->why = why;
}

static void
conn_free(struct world_conn *own)
{
	list_remove(&own->link);
	list_remove(&own->conn.flush);
	buf_deinit(&own->in);
	buf_deinit(&own->out);
	free(own);
}

void
world_conns_drop(struct world *world)
{
	list_each (own, &world->conns, struct world_conn, link) {
		if (own->peer != NULL)
			end_peer(own->peer);
		conn_free(own);
	}
}

/* --- steps ---------------------------------------------------------------- */

static bool
has_input(const struct world_conn *own)
{
	return own->in.len > 0 && !own->is_deaf && !own->conn.is_closing;
}

bool
world_conn_is_due(const struct world_conn *own)
{
	return has_input(own) || own->wants_secure || own->wants_closed;
}

/* Mostly all that a read takes, sometimes a part of it. */
static void
give_bytes(struct world_conn *own)
{
	struct str bytes = buf_str(&own->in);
	struct buf piece = {0};

	if (bytes.len > NET_IN_LEN)
		bytes.len = NET_IN_LEN;
	if (world_random(own->world, 4) == 0)
		bytes.len = 1 + world_random(own->world, (unsigned)bytes.len);
	buf_add(&piece, bytes);
	buf_drop(&own->in, bytes.len);
	own->conn.events->on_bytes(&own->conn, buf_str(&piece));
	buf_deinit(&piece);
}

void
world_conn_step(struct world_conn *own)
{
	struct conn *conn = &own->conn;

	if (own->wants_secure) {
		own->wants_secure = false;
		conn->is_secure = true;
		conn->events->on_secure(conn);
	} else if (has_input(own)) {
		give_bytes(own);
	} else if (own->wants_closed) {
		conn->is_closing = true;
		conn->events->on_closed(conn, own->why);
		conn_free(own);
	}
}

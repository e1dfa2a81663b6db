#include "server/world_component.h"

#include "base/check.h"
#include "base/code.h"
#include "base/err.h"
#include "server/component.h"
#include "server/digest.h"
#include "server/world_private.h"

struct world_peer *
world_component_arrive(struct world *world)
{
	struct world_peer *peer = world_peer_new(world);
	struct conn *conn = &peer->conn->conn;

	conn->is_secure = conn->is_direct_tls = false;
	shard_enter(conn->shard);
	component_accept(conn->shard, conn);
	return peer;
}

struct str
world_component_open(struct world_peer *peer, const char *domain)
{
	struct world_event *event;
	struct str id;

	world_send(peer, str_format(peer->arena,
			     "<stream:stream xmlns='" NS_COMPONENT
			     "' xmlns:stream='" NS_STREAM "' to='%s'>",
			     domain)
			     .text);
	event = world_peer_next(peer);
	must(event != NULL);
	CHECK(event->kind == WORLD_HEADER);
	CHECK(node_attr(event->node, "version").text == NULL);
	id = str_dup(peer->arena, node_attr(event->node, "id"));
	world_event_free(&event);
	return id;
}

void
world_component_shake(
    struct world_peer *peer, struct str id, const char *secret)
{
	struct str proof = hex_encode(
	    peer->arena, digest_sha1(peer->arena,
			     str_join2(peer->arena, id, str_of(secret))));

	world_send(peer, str_format(peer->arena, "<handshake>%.*s</handshake>",
			     STR_ARG(proof))
			     .text);
	world_run(peer->world);
}

struct world_peer *
world_component_join(
    struct world *world, const char *domain, const char *secret)
{
	struct world_peer *peer = world_component_arrive(world);

	world_component_shake(peer, world_component_open(peer, domain), secret);
	CHECK(world_expect(peer, "handshake"));
	return peer;
}

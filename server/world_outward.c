#include <arpa/inet.h>
#include <string.h>

#include "base/err.h"
#include "server/outward.h"
#include "server/resolve.h"
#include "server/world_private.h"

/* RFC 5737: for documentation, as the addresses of clients in a world. */
#define NET 0xc0000200u /* 192.0.2.0 */

/* Another server, as DNS and TCP know it. */
struct place {
	struct link link; /* in the world */
	const char *domain;
	enum world_door door;
	uint32_t address;
	const char *why_forged; /* NULL: it is not */
	uint64_t ipv6_ms;       /* until it is said that there is none */
	struct list arrivals;
};

struct arrival {
	struct link link;
	struct world_peer *peer;
};

static struct world *
world_of(struct shard *shard)
{
	return container_of(shard->server, struct world, server);
}

static struct place *
find(struct world *world, struct str domain)
{
	list_each (place, &world->places, struct place, link)
		if (str_equal(domain, str_of(place->domain)))
			return place;
	return NULL;
}

static struct place *
find_address(struct world *world, const struct endpoint *endpoint)
{
	const struct sockaddr_in *v4 = (const void *)&endpoint->address;

	list_each (place, &world->places, struct place, link)
		if (endpoint->address.ss_family == AF_INET &&
		    v4->sin_addr.s_addr == place->address)
			return place;
	return NULL;
}

static void
answer(struct dns_ask *ask)
{
	const struct place *place = find(world_of(ask->shard), ask->name);
	struct dns_record *record;

	ask->err = ERR_NOT_FOUND;
	if (place != NULL && ask->type == DNS_AAAA) {
		ask->delay_ms = place->ipv6_ms;
		if (place->ipv6_ms == UINT64_MAX)
			ask->err = ERR_TIMEOUT;
	}
	if (place != NULL && place->why_forged != NULL) {
		ask->err = ERR_DENIED;
		ask->is_bogus = true;
		ask->why = str_of(place->why_forged);
		return;
	}
	if (place == NULL || ask->type != DNS_A)
		return;
	ask->err = ERR_NONE;
	record = arena_new(ask->arena, struct dns_record);
	memcpy(record->address, &place->address, sizeof(place->address));
	ask->records = record;
	ask->count = 1;
}

static enum err
connect_to(
    struct shard *shard, const struct endpoint *endpoint, struct conn **conn_r)
{
	struct world *world = world_of(shard);
	struct place *place = find_address(world, endpoint);
	struct arrival *arrival;
	struct conn *conn;

	if (place == NULL || place->door == WORLD_SILENT)
		return ERR_TIMEOUT;
	if (place->door == WORLD_SHUT)
		return ERR_UNAVAILABLE;
	arrival = arena_new(world->arena, struct arrival);
	arrival->peer = world_peer_new(world);
	list_add_last(&place->arrivals, &arrival->link);
	conn = &arrival->peer->conn->conn;
	conn->shard = shard;
	conn->port = endpoint->port;
	conn->is_secure = false;
	conn->is_direct_tls = false;
	*conn_r = conn;
	return ERR_NONE;
}

const struct outward world_outward = {
    .answer = answer,
    .connect = connect_to,
};

void
world_serve(struct world *world, const char *domain, enum world_door door)
{
	struct place *place = find(world, str_of(domain));

	if (place == NULL) {
		place = arena_new(world->arena, struct place);
		place->domain = arena_dup(world->arena, domain, strlen(domain));
		place->address = htonl(NET + ++world->place_count);
		list_init(&place->arrivals);
		list_add_last(&world->places, &place->link);
	}
	place->door = door;
}

void
world_delay_ipv6(struct world *world, const char *domain, uint64_t ms)
{
	struct place *place = find(world, str_of(domain));

	must(place != NULL);
	place->ipv6_ms = ms;
}

void
world_forge(struct world *world, const char *domain, const char *why)
{
	struct place *place = find(world, str_of(domain));

	must(place != NULL);
	place->why_forged = arena_dup(world->arena, why, strlen(why));
}

void
world_doors_shut(struct world *world)
{
	list_each (place, &world->places, struct place, link)
		place->door = WORLD_SHUT;
}

struct world_peer *
world_dialled(struct world *world, const char *domain)
{
	struct place *place = find(world, str_of(domain));
	struct link *link;

	must(place != NULL);
	world_run(world);
	link = list_take_first(&place->arrivals);
	return link == NULL ? NULL
			    : list_entry(link, struct arrival, link)->peer;
}

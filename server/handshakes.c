#include "server/handshakes.h"

#include <stdlib.h>

#include "base/err.h"
#include "base/hash.h"
#include "server/address.h"

/* Of all places; more are too many for one address. */
#define FAIR_PARTS 4

struct handshake_address {
	struct table_link link;
	struct link turn;      /* in handshakes->turns */
	struct link greed;     /* in handshakes->greedy */
	struct list waiting;   /* struct handshake */
	struct list under_way; /* struct handshake, the newest last */
	unsigned count;        /* of those */
	struct str meter;
	char text[];
};

void
handshakes_init(struct handshakes *handshakes)
{
	*handshakes = (struct handshakes){0};
	table_init(&handshakes->addresses);
	list_init(&handshakes->turns);
	list_init(&handshakes->greedy);
}

void
handshakes_deinit(struct handshakes *handshakes)
{
	must(handshakes->addresses.count == 0);
	table_deinit(&handshakes->addresses);
}

/* --- addresses ------------------------------------------------------------ */

static bool
is_it(const struct table_link *link, const void *key)
{
	const struct handshake_address *address =
	    container_of(link, const struct handshake_address, link);
	const struct str *meter = key;

	return str_equal(address->meter, *meter);
}

static struct handshake_address *
address_new(struct table *addresses, struct str meter)
{
	struct handshake_address *address =
	    calloc(1, sizeof(*address) + meter.len);

	must(address != NULL);
	memcpy(address->text, meter.text, meter.len);
	address->meter = (struct str){address->text, meter.len};
	list_init(&address->waiting);
	list_init(&address->under_way);
	table_add(addresses, &address->link, hash_keyed(meter));
	return address;
}

static struct handshake_address *
address_want(struct table *addresses, struct str text)
{
	struct arena *arena = arena_make(0);
	struct str meter = address_meter(arena, text);
	struct handshake_address *address =
	    table_entry(table_find(addresses, hash_keyed(meter), is_it, &meter),
		struct handshake_address, link);

	if (address == NULL)
		address = address_new(addresses, meter);
	arena_free(&arena);
	return address;
}

static void
address_forget_idle(
    struct handshakes *handshakes, struct handshake_address *address)
{
	if (address->count > 0 || !list_is_empty(&address->waiting))
		return;
	table_remove(&handshakes->addresses, &address->link);
	free(address);
}

static void
address_weigh(struct handshakes *handshakes, struct handshake_address *address)
{
	list_remove(&address->greed);
	if (address->count > 1 &&
	    (uint64_t)address->count * FAIR_PARTS > handshakes->max)
		list_add_last(&handshakes->greedy, &address->greed);
}

static bool
is_greedy(const struct handshake_address *address)
{
	return list_holds(&address->greed);
}

/* --- places --------------------------------------------------------------- */

void
handshakes_wait(struct handshakes *handshakes, struct handshake *handshake,
    struct str address, unsigned max)
{
	struct handshake_address *at =
	    address_want(&handshakes->addresses, address);

	handshakes->max = max;
	handshake->address = at;
	handshake->is_under_way = false;
	list_add_last(&at->waiting, &handshake->link);
	if (!list_holds(&at->turn))
		list_add_last(&handshakes->turns, &at->turn);
}

/* Greedy ones are few. */
static struct handshake_address *
next_address(const struct handshakes *handshakes)
{
	list_each (address, &handshakes->turns, struct handshake_address, turn)
		if (!is_greedy(address))
			return address;
	return list_entry(
	    list_first(&handshakes->turns), struct handshake_address, turn);
}

struct handshake *
handshakes_next(struct handshakes *handshakes)
{
	struct handshake_address *address = next_address(handshakes);
	struct handshake *handshake;

	if (handshakes->count >= handshakes->max || address == NULL)
		return NULL;
	handshake =
	    list_entry(list_first(&address->waiting), struct handshake, link);
	handshake->is_under_way = true;
	list_remove(&handshake->link);
	list_add_last(&address->under_way, &handshake->link);
	list_remove(&address->turn);
	if (!list_is_empty(&address->waiting))
		list_add_last(&handshakes->turns, &address->turn);
	handshakes->count++;
	address->count++;
	address_weigh(handshakes, address);
	return handshake;
}

struct handshake *
handshakes_excess(
    const struct handshakes *handshakes, const struct handshake *waiting)
{
	const struct handshake_address *most = NULL;

	if (handshakes->count < handshakes->max || is_greedy(waiting->address))
		return NULL;
	list_each (
	    address, &handshakes->greedy, struct handshake_address, greed)
		if (most == NULL || address->count > most->count)
			most = address;
	if (most == NULL || most->count < waiting->address->count + 2)
		return NULL;
	return list_entry(list_last(&most->under_way), struct handshake, link);
}

void
handshakes_end(struct handshakes *handshakes, struct handshake *handshake)
{
	struct handshake_address *address = handshake->address;

	if (address == NULL)
		return;
	handshake->address = NULL;
	list_remove(&handshake->link);
	if (handshake->is_under_way) {
		handshakes->count--;
		address->count--;
		address_weigh(handshakes, address);
	}
	if (list_is_empty(&address->waiting))
		list_remove(&address->turn);
	address_forget_idle(handshakes, address);
}

#include "server/address.h"

#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/hash.h"
#include "server/settings.h"
#include "server/setup.h"
#include "server/shard.h"

/* Failures kept, of addresses without connection: the oldest give way. */
#define IDLE_MAX 65536

struct address {
	struct table_link link;
	struct link idle; /* no connection, but something to remember */
	unsigned connections, failures;
	uint64_t failed_ms;     /* the last failure: clock_mono_ms */
	unsigned registrations; /* in the hour that began then: */
	uint64_t registering_ms;
	struct str meter;
	char text[];
};

/* A connection that closed and still counts. */
struct leaving {
	struct link link; /* in addresses->leaving */
	struct timer timer;
	struct shard *shard;
	struct post *letter;
};

struct addresses {
	struct table table;
	struct list leaving;
	struct list idle; /* by the time of the last failure or registration */
	unsigned idle_count;
};

struct addresses *
addresses_new(void)
{
	struct addresses *addresses = calloc(1, sizeof(*addresses));

	must(addresses != NULL);
	table_init(&addresses->table);
	list_init(&addresses->idle);
	list_init(&addresses->leaving);
	return addresses;
}

void
addresses_free(struct addresses **addresses)
{
	struct addresses *freed = *addresses;
	struct table_link *link;

	*addresses = NULL;
	if (freed == NULL)
		return;
	list_each (leaving, &freed->leaving, struct leaving, link) {
		post_free(&leaving->letter);
		free(leaving);
	}
	while ((link = table_next(&freed->table, NULL)) != NULL) {
		table_remove(&freed->table, link);
		free(table_entry(link, struct address, link));
	}
	table_deinit(&freed->table);
	free(freed);
}

struct str
address_meter(struct arena *arena, struct str address)
{
	struct in6_addr v6;
	char text[INET6_ADDRSTRLEN];

	if (address.len >= sizeof(text))
		return address;
	memcpy(text, address.text, address.len);
	text[address.len] = '\0';
	if (inet_pton(AF_INET6, text, &v6) != 1)
		return address;
	if (IN6_IS_ADDR_V4MAPPED(&v6)) {
		inet_ntop(AF_INET, &v6.s6_addr[12], text, sizeof(text));
		return str_dup(arena, str_of(text));
	}
	memset(&v6.s6_addr[8], 0, 8);
	inet_ntop(AF_INET6, &v6, text, sizeof(text));
	return str_format(arena, "%s/64", text);
}

unsigned
address_delay_ms(unsigned failures, unsigned free_failures, unsigned longest_ms)
{
	uint64_t delay_ms = 1000;

	if (failures <= free_failures)
		return 0;
	for (unsigned i = free_failures + 1;
	    i < failures && delay_ms < longest_ms; i++)
		delay_ms *= 2;
	return delay_ms < longest_ms ? (unsigned)delay_ms : longest_ms;
}

static void
tell(struct shard *shard, struct stream_id stream, struct str address,
    struct address_note told)
{
	struct post *letter = post_new(POST_ADDRESS, NULL);
	struct address_note *note =
	    arena_new(letter->arena, struct address_note);

	*note = told;
	note->address =
	    str_dup(letter->arena, address_meter(letter->arena, address));
	letter->stream = stream;
	letter->address = note;
	post_send_to(shard,
	    shard_of_address(shard->server, note->address)->index, letter);
}

void
address_tell(struct shard *shard, struct stream_id stream, struct str address,
    enum address_event event)
{
	tell(shard, stream, address, (struct address_note){.event = event});
}

void
address_register(struct shard *shard, struct stream_id stream,
    struct str address, uint64_t max)
{
	tell(shard, stream, address,
	    (struct address_note){.event = ADDRESS_REGISTERS, .max = max});
}

void
address_leave(struct shard *shard, struct stream_id stream, struct str address,
    uint64_t slowed_until_ms)
{
	struct address_note note = {.event = ADDRESS_CLOSED};
	const uint64_t now_ms = clock_mono_ms();

	if (slowed_until_ms > now_ms)
		note.delay_ms = (unsigned)(slowed_until_ms - now_ms);
	tell(shard, stream, address, note);
}

/* --- on the shard of the address ------------------------------------------ */

static bool
is_it(const struct table_link *link, const void *key)
{
	const struct address *address =
	    container_of(link, const struct address, link);
	const struct str *meter = key;

	return str_equal(address->meter, *meter);
}

static struct address *
find(struct addresses *addresses, struct str meter)
{
	struct table_link *link =
	    table_find(&addresses->table, hash_keyed(meter), is_it, &meter);

	return table_entry(link, struct address, link);
}

static struct address *
want(struct addresses *addresses, struct str meter)
{
	struct address *address = find(addresses, meter);

	if (address != NULL)
		return address;
	address = calloc(1, sizeof(*address) + meter.len);
	must(address != NULL);
	memcpy(address->text, meter.text, meter.len);
	address->meter = (struct str){address->text, meter.len};
	table_add(&addresses->table, &address->link, hash_keyed(meter));
	return address;
}

static void
set_idle(struct addresses *addresses, struct address *address, bool is_idle)
{
	if (list_holds(&address->idle)) {
		list_remove(&address->idle);
		addresses->idle_count--;
	}
	if (is_idle) {
		list_add_last(&addresses->idle, &address->idle);
		addresses->idle_count++;
	}
}

static void
forget(struct addresses *addresses, struct address *address)
{
	set_idle(addresses, address, false);
	table_remove(&addresses->table, &address->link);
	free(address);
}

static uint64_t
setting_ms(const struct shard *shard, const struct setting *setting)
{
	return config_ms(setup_config(shard->setup), CONFIG_GLOBAL, setting);
}

/* What is known of it, from when. */
static uint64_t
noted_ms(const struct address *address)
{
	return address->registering_ms > address->failed_ms
		   ? address->registering_ms
		   : address->failed_ms;
}

static void
forget_old(struct shard *shard)
{
	struct addresses *addresses = shard->addresses;
	uint64_t now_ms = clock_mono_ms();
	uint64_t after_ms = setting_ms(shard, SETTING(AUTH_FORGET_AFTER));

	if (after_ms < HOUR)
		after_ms = HOUR; /* what registrations are counted by */
	list_each (address, &addresses->idle, struct address, idle) {
		if (addresses->idle_count <= IDLE_MAX &&
		    now_ms - noted_ms(address) < after_ms)
			break;
		forget(addresses, address);
	}
}

static void
send_verdict(struct shard *shard, const struct post *asked, bool is_refused,
    unsigned delay_ms)
{
	struct post *letter = post_new(POST_ADDRESS_VERDICT, NULL);
	struct address_note *note =
	    arena_new(letter->arena, struct address_note);

	note->event = asked->address->event;
	note->is_refused = is_refused;
	note->delay_ms = delay_ms;
	letter->stream = asked->stream;
	letter->address = note;
	post_send(shard, letter);
}

static void
opened(struct shard *shard, const struct post *letter)
{
	struct address *address =
	    want(shard->addresses, letter->address->address);
	uint64_t max = config_int(setup_config(shard->setup), CONFIG_GLOBAL,
	    SETTING(LIMITS_CONNECTIONS));

	set_idle(shard->addresses, address, false);
	address->connections++;
	if (max > 0 && address->connections > max)
		send_verdict(shard, letter, true, 0);
}

static void
closed(struct shard *shard, const struct post *letter)
{
	struct address *address =
	    find(shard->addresses, letter->address->address);

	if (!expect(address != NULL && address->connections > 0))
		return;
	if (--address->connections > 0)
		return;
	if (address->failures == 0 && address->registrations == 0)
		forget(shard->addresses, address);
	else
		set_idle(shard->addresses, address, true);
}

static void
has_left(struct timer *timer)
{
	struct leaving *leaving = container_of(timer, struct leaving, timer);

	list_remove(&leaving->link);
	closed(leaving->shard, leaving->letter);
	post_free(&leaving->letter);
	free(leaving);
}

static void
leave_later(struct shard *shard, struct post *letter)
{
	struct leaving *leaving = calloc(1, sizeof(*leaving));

	must(leaving != NULL);
	leaving->shard = shard;
	leaving->letter = letter;
	list_add_last(&shard->addresses->leaving, &leaving->link);
	timer_start(
	    shard, &leaving->timer, letter->address->delay_ms, has_left);
}

static void
failed(struct shard *shard, const struct post *letter)
{
	const struct config *config = setup_config(shard->setup);
	struct address *address =
	    want(shard->addresses, letter->address->address);
	uint64_t now_ms = clock_mono_ms();

	if (now_ms - address->failed_ms >
	    setting_ms(shard, SETTING(AUTH_FORGET_AFTER)))
		address->failures = 0;
	address->failures++;
	address->failed_ms = now_ms;
	set_idle(shard->addresses, address, address->connections == 0);
	send_verdict(shard, letter, false,
	    address_delay_ms(address->failures,
		(unsigned)config_int(
		    config, CONFIG_GLOBAL, SETTING(AUTH_FREE_FAILURES)),
		(unsigned)setting_ms(shard, SETTING(AUTH_LONGEST_DELAY))));
}

/* So many in each hour, from the first one on. */
static void
registers(struct shard *shard, const struct post *letter)
{
	struct address *address =
	    want(shard->addresses, letter->address->address);
	const uint64_t max = letter->address->max;
	uint64_t now_ms = clock_mono_ms();

	if (address->registrations == 0 ||
	    now_ms - address->registering_ms > HOUR) {
		address->registrations = 0;
		address->registering_ms = now_ms;
	}
	send_verdict(shard, letter, address->registrations >= max, 0);
	if (address->registrations < max)
		address->registrations++;
}

void
address_take(struct shard *shard, struct post *letter)
{
	forget_old(shard);
	switch (letter->address->event) {
	case ADDRESS_OPENED:
		opened(shard, letter);
		break;
	case ADDRESS_CLOSED:
		if (letter->address->delay_ms > 0) {
			leave_later(shard, letter);
			return;
		}
		closed(shard, letter);
		break;
	case ADDRESS_FAILED:
		failed(shard, letter);
		break;
	case ADDRESS_REGISTERS:
		registers(shard, letter);
		break;
	}
	post_free(&letter);
}

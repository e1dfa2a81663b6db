/*
 * server/address.h - what is known of a network address: its connections and
 * its failed logins.
 *
 * Owned by the shard of the address's hash (shard_of_address) and told by
 * letters ADDRESS. IPv6 addresses count by their /64. Nobody waits for leave to
 * connect: ADDRESS_VERDICT comes to who must go, and to each who reports a
 * failure, with how long the answer to it is held back.
 */
#pragma once

#include <stdbool.h>

#include "base/str.h"
#include "server/post.h"

struct addresses;

enum address_event {
	ADDRESS_OPENED,    /* answered only when it must go */
	ADDRESS_CLOSED,    /* by address_leave */
	ADDRESS_FAILED,    /* a login; always answered */
	ADDRESS_REGISTERS, /* by address_register; always answered */
};

/* Of both letters. */
struct address_note {
	struct str address;
	enum address_event event;
	bool is_refused;   /* verdict on OPENED and REGISTERS */
	unsigned delay_ms; /* verdict on FAILED; CLOSED: it counts so long */
	uint64_t max;      /* REGISTERS: so many in an hour */
};

struct addresses *addresses_new(void);
void addresses_free(struct addresses **);

/* Sends the note; stream is who gets the verdict. */
void address_tell(
    struct shard *, struct stream_id, struct str address, enum address_event);
/* CLOSED. Who does not wait for the answer to a failed login holds its place
 * among the connections of the address until it would have come: else a guess
 * would cost no time. */
void address_leave(struct shard *, struct stream_id, struct str address,
    uint64_t slowed_until_ms);
/* REGISTERS: an account is asked for, of a host that allows an address so many
 * in an hour. */
void address_register(
    struct shard *, struct stream_id, struct str address, uint64_t max);
/* Handler of ADDRESS. */
void address_take(struct shard *, struct post *);

/* What addresses are counted by: IPv4 as it is, of IPv6 the first 64 bits. */
struct str address_meter(struct arena *, struct str address);
/* How long the answer to failure number so-and-so (from 1) is held back: none
 * for the free ones, then 1 s and twice as long each time, up to longest. */
unsigned address_delay_ms(
    unsigned failures, unsigned free_failures, unsigned longest_ms);

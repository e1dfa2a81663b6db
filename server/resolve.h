/*
 * server/resolve.h - where the server of a domain is: RFC 6120, section 3.2,
 * and XEP-0368.
 *
 * Routes of the configuration come first. Else both kinds of SRV records are
 * asked for and put into one order; where there are none, the domain's own
 * addresses at port 5269. Of each target IPv6 and IPv4 addresses take turns
 * (RFC 8305, section 4).
 *
 * Nobody need wait for the last answer (RFC 8305, section 3): endpoints can be
 * tried as they come, IPv6 at once, IPv4 when IPv6 was answered too or 50 ms
 * later. Those of a target come when each one of its priority before it has
 * some or has none, or a quarter of a second later; and only when each one of a
 * better priority has some or has none (XEP-0495, section 4.1), or was silent
 * for that priority's share of s2s.connect_timeout.
 */
#pragma once

#include <netinet/in.h>
#include <sys/socket.h>

#include "server/dns.h"
#include "server/policy.h"

/* Where to connect to. */
struct endpoint {
	struct sockaddr_storage address;
	socklen_t len;
	struct str target; /* the name that led there, in A-labels */
	uint16_t port;
	uint16_t priority; /* of RFC 2782: who has less is tried first */
	bool is_direct_tls;
	bool is_secure; /* DNSSEC vouches for the way to it: SRV and address */
	const struct dns_record *tlsa; /* only when it is secure */
	size_t tlsa_count;
	/* In a race: it may be connected to, but nothing be sent or believed,
	 * as what TLSA records there are is not known yet. */
	bool is_tlsa_awaited;
	struct str shut; /* likewise: why it may not be used; empty: it may */
};

struct question {
	struct dns_ask ask; /* first */
	struct resolve *resolve;
};

struct resolve_target;

struct resolve {
	enum err err;   /* NOT_FOUND: no such domain, or none with XMPP;
			   TIMEOUT, UNAVAILABLE, DENIED: not now; CANCELED */
	struct str why; /* words for people when it failed */
	const struct endpoint *endpoints; /* in the order to try them */
	size_t count;
	/* NULL, or set after resolve_start: something of the race is new. Not
	 * called any more when it is done or canceled. */
	void (*found)(struct resolve *);
	/* From then on: places in the order to try them, the same ones for as
	 * long as the arena lives; one with len 0 has no address yet. */
	const struct endpoint *race;
	size_t race_count;
	bool is_srv_secure; /* DNSSEC vouches for the SRV records, or for that
			       there are none */
	void (*done)(struct resolve *);
	/* Its own: */
	struct shard *shard;
	struct arena *arena;
	struct policy policy;
	struct str domain; /* in A-labels */
	struct question direct, plain;
	struct endpoint *list; /* the race: literal addresses, then targets */
	size_t literals;
	struct resolve_target *targets;
	size_t target_count;
	unsigned left;                      /* questions under way */
	void (*answered)(struct resolve *); /* one of them was */
	struct timer soon, patience, share;
	size_t reached;        /* so many targets had their turn */
	size_t impatient_for;  /* so many are not waited for any longer */
	uint16_t priority;     /* that others waited for last */
	uint32_t patient_from; /* the least one that is waited for */
	uint64_t until_ms;     /* clock_mono_ms: all of them have till then */
	bool is_canceled;
};

/* domain is prepared (U-labels). The result lives in the arena. */
void resolve_start(struct shard *, struct resolve *, struct arena *,
    const struct policy *, struct str domain, void (*done)(struct resolve *));
/* Until done: it is called soon, with CANCELED. */
void resolve_cancel(struct resolve *);

/* "192.0.2.1, port 5269 (host.example.org)", for people. */
struct str endpoint_text(struct arena *, const struct endpoint *);

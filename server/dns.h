/*
 * server/dns.h - questions to DNS, with libunbound: asynchronous, with DNSSEC,
 * cached for as long as the answers say.
 *
 * Each shard has a context of libunbound for each list of resolvers that it
 * uses. So many questions are under way at a time, half of them at the most for
 * strangers (struct policy); others wait for their turn.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/list.h"
#include "base/str.h"
#include "server/timer.h"

struct arena;
struct config;
struct policy;
struct shard;

enum dns_type { DNS_A = 1, DNS_AAAA = 28, DNS_SRV = 33, DNS_TLSA = 52 };

/* Of one record: what its type has. */
struct dns_record {
	uint8_t address[16];               /* A: the first four; AAAA */
	uint16_t priority, weight, port;   /* SRV (RFC 2782) */
	struct str target;                 /* SRV: without the final dot; "" is
					      the root: there is no service */
	uint8_t usage, selector, matching; /* TLSA (RFC 6698) */
	struct str association;            /* TLSA: bytes */
};

/* A question and its answer; the caller's until done, which is called once. */
struct dns_ask {
	enum err err;   /* NOT_FOUND: no such name, or not with such data;
			   TIMEOUT; UNAVAILABLE: no resolver, or it failed;
			   DENIED: DNSSEC says that it was forged; CANCELED */
	struct str why; /* words for people when it failed */
	bool is_secure; /* DNSSEC vouches for the answer, also for none */
	bool is_bogus;  /* DNSSEC says that it was forged: err is DENIED */
	const struct dns_record *records; /* in the arena */
	size_t count;
	void (*done)(struct dns_ask *);
	/* Its own: */
	struct shard *shard;
	struct arena *arena;
	struct dns_context *context;
	struct str name;
	enum dns_type type;
	bool is_for_stranger;  /* of the policy */
	uint64_t delay_ms;     /* of server/outward.h */
	int id;                /* of libunbound */
	bool is_asked;         /* libunbound is at it */
	struct link link;      /* in those that wait, or that are under way */
	struct timer deadline; /* runs until done */
};

struct dns_name {
	struct str text; /* in A-labels */
	enum dns_type type;
};

/* Asks the resolvers of the policy. */
void dns_query(struct shard *, struct dns_ask *, struct arena *,
    const struct policy *, struct dns_name, void (*done)(struct dns_ask *));
/* Until done: it is called soon, with CANCELED. */
void dns_cancel(struct dns_ask *);

/* Reads the data of a record; false when it is none of its type. For dns.c and
 * its fuzz target. */
bool dns_record_read(struct arena *, enum dns_type, struct str data,
    struct dns_record *record_r);

/* Whether DNSSEC can begin with the settings' trust anchor, or there is none;
 * else false with a sentence: all questions would fail. */
bool dns_check_anchor(struct arena *, const struct config *, struct str *why_r);

/* A line of the log where there is none, so that DANE proves nobody. */
void dns_tell_anchor(const struct config *);
/* Of what is bogus: whether the reason is that DNSSEC cannot begin, as a
 * resolver takes it out of all answers or the trust anchor is out of date. */
bool dns_cannot_begin(struct str why);

/* After a reload: resolv.conf, the hosts of the system and the trust anchor are
 * read anew, and nothing is cached, for questions that come from now on. */
void dns_setup_changed(struct shard *);
/* Ends what is under way (CANCELED) and closes the contexts: while the shard's
 * loop runs still. */
void dns_close(struct shard *);

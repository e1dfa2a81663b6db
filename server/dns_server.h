/*
 * server/dns_server.h - for tests: a DNS server in a thread of its own, on two
 * free ports of the loopback, which answers from a table.
 */
#pragma once

#include <stddef.h>

/* More types of records; the others are those of enum dns_type. */
enum {
	DNS_CNAME = 5,
	DNS_SOA = 6, /* with what is not there, for as long as ttl says */
	DNS_SILENCE = 1000, /* no answer to any question about the name */
	DNS_FAILURE,        /* SERVFAIL, likewise */
	DNS_ENDLESS         /* of a suffix: 7.x is a name for 8.x, and so on */
};

struct dns_known {
	const char *name;
	unsigned type;
	unsigned numbers[3]; /* SRV */
	const char *text;    /* address or name */
	unsigned nonsense;   /* bytes of it instead */
	const char *owner;   /* it says that it is of this name */
	unsigned class;      /* and of this class */
	unsigned more;       /* so many more of it, with other ports */
	unsigned ttl;        /* seconds; 0: a minute */
};

/* The table stays as it is until stop. */
void dns_server_start(const struct dns_known *, size_t count);
void dns_server_stop(void);
/* "127.0.0.1@5300", for dns.resolvers: of port 0 or 1. */
const char *dns_server_address(unsigned port);
/* How many questions came there about that name; NULL: in all. */
unsigned dns_server_asked(unsigned port, const char *name);

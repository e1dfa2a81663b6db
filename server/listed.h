/*
 * server/listed.h - what lists of the configuration name: domains, servers to
 * connect to, resolvers. Each takes an item as an administrator writes it, and
 * says whether it is one.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/str.h"

#define PORT_S2S     5269
#define PORT_S2S_TLS 5270

/* "Example.org", or "*.example.org" for all that are below it: replaced by the
 * prepared form (xml/prep.h), in the arena. */
bool listed_domain(struct arena *, struct str *);

/* Where a server is. The host, of the text, is a name, an IPv4 address or an
 * IPv6 address in brackets. */
struct route {
	struct str host;
	uint16_t port;
	bool is_direct_tls;
};

/* "xmpp://192.0.2.1:5269", "xmpps://host.example"; without a port the usual
 * one. */
bool route_read(struct str, struct route *route_r);
/* The same, and the host is one: replaced by how DNS knows it. */
bool listed_route(struct arena *, struct str *);

/* "192.0.2.53", "2001:db8::53@5353", "fe80::1%eth0". */
bool listed_resolver(struct arena *, struct str *);

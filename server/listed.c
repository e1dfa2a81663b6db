#include "server/listed.h"

#include <arpa/inet.h>

#include "base/arena.h"
#include "xml/prep.h"

bool
listed_domain(struct arena *arena, struct str *item)
{
	const bool is_many = str_starts(*item, STR("*."));
	struct str name = *item;

	if (is_many)
		name = (struct str){name.text + 2, name.len - 2};
	if (!prep_domain(arena, &name))
		return false;
	*item = is_many ? str_format(arena, "*.%.*s", STR_ARG(name))
			: str_dup(arena, name);
	return true;
}

/* --- servers -------------------------------------------------------------- */

static bool
read_port(struct str text, uint16_t *port_r)
{
	uint64_t number;

	if (!str_to_u64(text, UINT16_MAX, &number) || number == 0)
		return false;
	*port_r = (uint16_t)number;
	return true;
}

/* The last colon that is not of an IPv6 address in brackets. */
static bool
cut_port(struct str *name, uint16_t *port)
{
	size_t at = name->len;

	while (at > 0 && name->text[at - 1] != ':' && name->text[at - 1] != ']')
		at--;
	if (at == 0 || name->text[at - 1] == ']')
		return name->len > 0;
	if (!read_port((struct str){name->text + at, name->len - at}, port))
		return false;
	name->len = at - 1;
	return name->len > 0;
}

bool
route_read(struct str text, struct route *route_r)
{
	size_t scheme;

	route_r->is_direct_tls = str_starts(text, STR("xmpps://"));
	if (!route_r->is_direct_tls && !str_starts(text, STR("xmpp://")))
		return false;
	scheme = route_r->is_direct_tls ? 8 : 7;
	route_r->port = route_r->is_direct_tls ? PORT_S2S_TLS : PORT_S2S;
	route_r->host = (struct str){text.text + scheme, text.len - scheme};
	return cut_port(&route_r->host, &route_r->port);
}

/* Names of machines may have a '_', which those of domains may not. */
static bool
is_machine(struct str name)
{
	bool is_inside = false;

	for (size_t i = 0; i < name.len; i++) {
		const char c = name.text[i];

		if (c == '.' && !is_inside)
			return false;
		is_inside = c != '.';
		if (is_inside && c != '-' && c != '_' &&
		    !(c >= '0' && c <= '9') && !(c >= 'a' && c <= 'z') &&
		    !(c >= 'A' && c <= 'Z'))
			return false;
	}
	return name.len > 0;
}

bool
listed_route(struct arena *arena, struct str *item)
{
	struct route route;
	struct str host;

	if (!route_read(*item, &route))
		return false;
	host = route.host;
	if (!(prep_domain(arena, &host) && prep_domain_ascii(arena, &host)) &&
	    !is_machine(host))
		return false;
	*item = str_format(arena, "%s://%.*s:%u",
	    route.is_direct_tls ? "xmpps" : "xmpp", STR_ARG(host), route.port);
	return true;
}

/* --- resolvers ------------------------------------------------------------ */

/* libunbound's way to write it. */
bool
listed_resolver(struct arena *arena, struct str *item)
{
	struct str address, port, zone;
	uint8_t bytes[16];
	uint16_t number;

	*item = str_dup(arena, *item);
	if (str_cut(*item, '@', &address, &port) && !read_port(port, &number))
		return false;
	if (inet_pton(AF_INET, str_dup(arena, address).text, bytes) == 1)
		return true;
	(void)str_cut(address, '%', &address, &zone);
	return inet_pton(AF_INET6, str_dup(arena, address).text, bytes) == 1;
}

#include "server/listen.h"

#include <errno.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <uv.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/log.h"
#include "server/c2s.h"
#include "server/component.h"
#include "server/config.h"
#include "server/domains.h"
#include "server/s2s.h"
#include "server/settings.h"
#include "server/shard.h"
#include "server/socket.h"

#define BACKLOG 1024
/* Connections accepted before others get their turn. */
#define ACCEPT_MAX 32
/* Out of descriptors: so long until it is tried again. */
#define PAUSE_MS 1000
#define SAY_MS   60000
#define PORT_LEN 6

static bool
always(const struct config *config)
{
	return config != NULL;
}

static bool
are_servers_wanted(const struct config *config)
{
	return config_bool(config, CONFIG_GLOBAL, SETTING(S2S_ENABLED));
}

/* What may be listened for: clients and servers, in clear or in TLS, and
 * components. */
static const struct listen_kind {
	enum settings_index addresses, port;
	bool is_direct_tls, is_s2s;
	bool (*is_wanted)(const struct config *);
	struct stream *(*accept)(struct shard *, struct conn *);
} kinds[] = {
    {SETTINGS_LISTEN_C2S_ADDRESSES, SETTINGS_LISTEN_C2S_PORT, false, false,
	always, c2s_accept},
    {SETTINGS_LISTEN_TLS_ADDRESSES, SETTINGS_LISTEN_TLS_PORT, true, false,
	always, c2s_accept},
    {SETTINGS_LISTEN_S2S_ADDRESSES, SETTINGS_LISTEN_S2S_PORT, false, true,
	are_servers_wanted, s2s_accept},
    {SETTINGS_LISTEN_S2S_TLS_ADDRESSES, SETTINGS_LISTEN_S2S_TLS_PORT, true,
	true, are_servers_wanted, s2s_accept},
    {SETTINGS_LISTEN_COMPONENTS_ADDRESSES, SETTINGS_LISTEN_COMPONENTS_PORT,
	false, false, domains_have_components, component_accept},
};

#define KIND_COUNT (sizeof(kinds) / sizeof(kinds[0]))

/* One address on one shard. */
struct listener {
	uv_poll_t poll;
	struct timer pause;
	struct shard *shard;
	int fd; /* -1: closed */
	const struct listen_kind *kind;
	uint64_t said_ms; /* when it last told of a pause; 0: never */
};

/* One address of the configuration. */
struct place {
	struct sockaddr_storage address;
	socklen_t len;
	const struct listen_kind *kind;
	struct listener *listeners; /* one for each shard */
};

struct listeners {
	struct place *places;
	unsigned place_count, shard_count;
	uint16_t ports[KIND_COUNT];
};

/* --- binding -------------------------------------------------------------- */

static void
set_option(int fd, int level, int option)
{
	int on = 1;

	(void)setsockopt(fd, level, option, &on, sizeof(on));
}

/* errno goes on saying what went wrong before. */
static void
close_after_error(int fd)
{
	int error = errno;

	close(fd);
	errno = error;
}

static int
open_socket(const struct place *place, bool is_shared)
{
	int fd = socket(place->address.ss_family,
	    SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return -1;
	/* Connections of a server before us may still be on their way out. */
	set_option(fd, SOL_SOCKET, SO_REUSEADDR);
	if (is_shared)
		set_option(fd, SOL_SOCKET, SO_REUSEPORT);
	if (place->address.ss_family == AF_INET6)
		set_option(fd, IPPROTO_IPV6, IPV6_V6ONLY);
	if (bind(fd, (const struct sockaddr *)&place->address, place->len) ==
		0 &&
	    listen(fd, BACKLOG) == 0)
		return fd;
	close_after_error(fd);
	return -1;
}

/* SO_REUSEPORT would let a second server of the same user in unnoticed: so the
 * port is first taken without it. The port that 0 stands for is kept. */
static bool
probe(struct place *place)
{
	int fd = open_socket(place, false);
	bool is_free =
	    fd >= 0 && getsockname(fd, (struct sockaddr *)&place->address,
			   &place->len) == 0;

	if (fd >= 0)
		close_after_error(fd);
	return is_free;
}

static bool
open_all(struct listeners *listeners, struct place *place)
{
	for (unsigned i = 0; i < listeners->shard_count; i++)
		place->listeners[i].fd = -1;
	if (!probe(place))
		return false;
	for (unsigned i = 0; i < listeners->shard_count; i++) {
		struct listener *listener = &place->listeners[i];

		listener->kind = place->kind;
		listener->fd = open_socket(place, true);
		if (listener->fd < 0)
			return false;
	}
	return true;
}

static struct str
why_not(struct arena *arena, struct str address, uint64_t port)
{
	const char *hint = "";

	if (errno == EADDRINUSE)
		hint = ": another server has it; stop that one, or choose "
		       "another port";
	else if (errno == EACCES)
		hint = ": ports below 1024 need root or CAP_NET_BIND_SERVICE";
	else if (errno == EADDRNOTAVAIL)
		hint = ": this machine has no such address";
	return str_format(arena, "could not listen on %.*s, port %llu: %s%s",
	    STR_ARG(address), (unsigned long long)port, strerror(errno), hint);
}

static bool
resolve(struct place *place, const char *address, uint64_t port)
{
	struct addrinfo hints = {
	    .ai_flags = AI_PASSIVE | AI_NUMERICHOST | AI_NUMERICSERV,
	    .ai_socktype = SOCK_STREAM,
	};
	struct addrinfo *found;
	char text[PORT_LEN];

	snprintf(text, sizeof(text), "%u", (unsigned)port & 0xffff);
	if (getaddrinfo(address, text, &hints, &found) != 0)
		return false;
	memcpy(&place->address, found->ai_addr, found->ai_addrlen);
	place->len = found->ai_addrlen;
	freeaddrinfo(found);
	return true;
}

static uint16_t
port_of(const struct place *place)
{
	const struct sockaddr_in6 *v6 = (const void *)&place->address;
	const struct sockaddr_in *v4 = (const void *)&place->address;

	return ntohs(place->address.ss_family == AF_INET6 ? v6->sin6_port
							  : v4->sin_port);
}

/* A machine without IPv6 serves what it has. */
static bool
is_missing_family(const struct place *place)
{
	return place->address.ss_family == AF_INET6 &&
	       (errno == EAFNOSUPPORT || errno == EADDRNOTAVAIL);
}

static bool
open_place(struct listeners *listeners, struct arena *arena, struct str address,
    uint64_t port, struct str *why_r)
{
	struct place *place = &listeners->places[listeners->place_count];
	uint16_t *known = &listeners->ports[place->kind - kinds];

	if (port == 0)
		port = *known;
	if (!resolve(place, address.text, port)) {
		*why_r = str_format(arena,
		    "could not listen on \"%.*s\": it is not an IP address",
		    STR_ARG(address));
		return false;
	}
	place->listeners =
	    calloc(listeners->shard_count, sizeof(struct listener));
	must(place->listeners != NULL);
	listeners->place_count++;
	if (open_all(listeners, place)) {
		*known = port_of(place);
		return true;
	}
	if (is_missing_family(place) && str_is(address, "::")) {
		log_info(&log_server, "no IPv6 here: not listening on [::]");
		return true;
	}
	*why_r = why_not(arena, address, port);
	return false;
}

static struct setting_list
addresses_of(const struct config *config, const struct listen_kind *kind)
{
	return config_list(
	    config, CONFIG_GLOBAL, &server_settings[kind->addresses]);
}

static bool
open_kind(struct listeners *listeners, struct arena *arena,
    const struct config *config, const struct listen_kind *kind,
    struct str *why_r)
{
	struct setting_list addresses = addresses_of(config, kind);
	uint64_t port =
	    config_int(config, CONFIG_GLOBAL, &server_settings[kind->port]);

	for (size_t i = 0; i < addresses.count; i++) {
		listeners->places[listeners->place_count].kind = kind;
		if (!open_place(
			listeners, arena, addresses.items[i], port, why_r))
			return false;
	}
	return true;
}

struct listeners *
listeners_open(struct arena *arena, const struct config *config,
    unsigned shard_count, struct str *why_r)
{
	struct listeners *listeners = calloc(1, sizeof(*listeners));
	size_t count = 0;

	must(listeners != NULL);
	listeners->shard_count = shard_count;
	for (size_t i = 0; i < KIND_COUNT; i++)
		count += addresses_of(config, &kinds[i]).count;
	listeners->places = calloc(count + 1, sizeof(struct place));
	must(listeners->places != NULL);
	for (size_t i = 0; i < KIND_COUNT && listeners != NULL; i++) {
		if (kinds[i].is_wanted(config) &&
		    !open_kind(listeners, arena, config, &kinds[i], why_r))
			listeners_free(&listeners);
	}
	return listeners;
}

/* --- accepting ------------------------------------------------------------ */

static void on_connection(uv_poll_t *, int status, int events);

static void
pause_over(struct timer *timer)
{
	struct listener *listener = container_of(timer, struct listener, pause);

	uv_poll_start(&listener->poll, UV_READABLE, on_connection);
}

/* Those who wait stay in the backlog; a line now and then. */
static void
pause_accepting(struct listener *listener)
{
	uint64_t now_ms = clock_mono_ms();

	if (listener->said_ms == 0 || now_ms - listener->said_ms > SAY_MS) {
		listener->said_ms = now_ms;
		log_warn(&log_server,
		    "could not accept a connection: %s; those connected are "
		    "served, others wait",
		    strerror(errno));
	}
	uv_poll_stop(&listener->poll);
	timer_start(listener->shard, &listener->pause, PAUSE_MS, pause_over);
}

static bool
accept_one(struct listener *listener)
{
	struct sockaddr_storage address;
	socklen_t len = sizeof(address);
	struct conn *conn;
	int fd = accept4(listener->fd, (struct sockaddr *)&address, &len,
	    SOCK_NONBLOCK | SOCK_CLOEXEC);

	if (fd < 0 && (errno == EMFILE || errno == ENFILE || errno == ENOBUFS ||
			  errno == ENOMEM))
		pause_accepting(listener);
	if (fd < 0)
		return errno == ECONNABORTED || errno == EINTR;
	conn =
	    socket_new(listener->shard, fd, (const struct sockaddr *)&address);
	conn->is_direct_tls = listener->kind->is_direct_tls;
	conn->is_s2s = listener->kind->is_s2s;
	(void)listener->kind->accept(listener->shard, conn);
	return true;
}

static void
on_connection(uv_poll_t *poll, int status, int events)
{
	struct listener *listener = container_of(poll, struct listener, poll);

	shard_enter(listener->shard);
	for (unsigned i = 0; i < ACCEPT_MAX && accept_one(listener); i++)
		;
}

void
listeners_start(struct listeners *listeners, struct shard *shard)
{
	for (unsigned i = 0; i < listeners->place_count; i++) {
		struct listener *listener =
		    &listeners->places[i].listeners[shard->index];

		listener->shard = shard;
		if (listener->fd < 0)
			continue;
		must(uv_poll_init(shard->loop, &listener->poll, listener->fd) ==
		     0);
		uv_poll_start(&listener->poll, UV_READABLE, on_connection);
	}
}

void
listeners_stop(struct listeners *listeners, struct shard *shard)
{
	for (unsigned i = 0; i < listeners->place_count; i++) {
		struct listener *listener =
		    &listeners->places[i].listeners[shard->index];

		if (listener->fd < 0)
			continue;
		if (listener->shard != NULL) {
			timer_stop(shard, &listener->pause);
			uv_close((uv_handle_t *)&listener->poll, NULL);
		}
		close(listener->fd);
		listener->fd = -1;
	}
}

void
listeners_free(struct listeners **listeners)
{
	struct listeners *freed = *listeners;

	*listeners = NULL;
	if (freed == NULL)
		return;
	for (unsigned i = 0; i < freed->place_count; i++) {
		struct place *place = &freed->places[i];

		for (unsigned j = 0; j < freed->shard_count; j++) {
			if (place->listeners[j].fd >= 0)
				close(place->listeners[j].fd);
		}
		free(place->listeners);
	}
	free(freed->places);
	free(freed);
}

struct str
listeners_text(const struct listeners *listeners, struct arena *arena)
{
	struct str text = str_format(arena, "%u (STARTTLS) and %u (TLS)",
	    listeners->ports[0], listeners->ports[1]);

	if (listeners->ports[2] != 0 || listeners->ports[3] != 0)
		text = str_format(arena, "%.*s, for servers %u and %u",
		    STR_ARG(text), listeners->ports[2], listeners->ports[3]);
	if (listeners->ports[4] != 0)
		text = str_format(arena, "%.*s, for components %u",
		    STR_ARG(text), listeners->ports[4]);
	return text;
}

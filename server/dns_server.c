#include "server/dns_server.h"

#include <arpa/inet.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/err.h"
#include "server/dns.h"

#define PACKET_MAX 16384
#define NAME_ROOM  512

static struct {
	pthread_t thread;
	int stop[2];
	struct {
		int fd;
		char address[32];
		struct buf asked; /* names, each with its NUL */
	} ports[2];
	pthread_mutex_t lock; /* of what was asked */
	const struct dns_known *known;
	size_t count;
} server = {.lock = PTHREAD_MUTEX_INITIALIZER};

static size_t
put_name(uint8_t *at, const char *name)
{
	size_t len = 0;

	while (*name != '\0' && strcmp(name, ".") != 0) {
		size_t label = strcspn(name, ".");

		at[len] = (uint8_t)label;
		memcpy(at + len + 1, name, label);
		len += label + 1;
		name += label + (name[label] == '.');
	}
	at[len] = 0;
	return len + 1;
}

static size_t
put_u16(uint8_t *at, unsigned number)
{
	at[0] = (uint8_t)(number >> 8);
	at[1] = (uint8_t)number;
	return 2;
}

/* RFC 1035, section 3.3.13; the last number counts (RFC 2308). */
static size_t
put_soa(uint8_t *data, unsigned ttl)
{
	size_t len = put_name(data, ".");

	len += put_name(data + len, ".");
	memset(data + len, 0, 20);
	put_u16(data + len + 18, ttl);
	return len + 20;
}

/* The data of a record. */
static size_t
put_data(uint8_t *data, const struct dns_known *known)
{
	size_t len = 0;

	if (known->nonsense > 0) {
		memset(data, 0xc0, known->nonsense);
		return known->nonsense;
	}
	switch (known->type) {
	case DNS_A:
		inet_pton(AF_INET, known->text, data);
		return 4;
	case DNS_AAAA:
		inet_pton(AF_INET6, known->text, data);
		return 16;
	case DNS_SRV:
		for (size_t i = 0; i < 3; i++)
			len += put_u16(data + len, known->numbers[i]);
		break;
	case DNS_SOA:
		return put_soa(data, known->ttl);
	default:
		break;
	}
	return len + put_name(data + len, known->text);
}

/* "" for the root; how long it is there. */
static size_t
read_name(const uint8_t *at, char *name)
{
	const uint8_t *start = at;

	name[0] = '\0';
	while (*at != 0) {
		if (at != start)
			*name++ = '.';
		memcpy(name, at + 1, *at);
		name += *at;
		*name = '\0';
		at += *at + 1;
	}
	return (size_t)(at - start) + 1;
}

static size_t
put_answer(uint8_t *at, const char *name, const struct dns_known *known)
{
	size_t used = put_name(at, known->owner == NULL ? name : known->owner);
	size_t len;

	used += put_u16(at + used, known->type);
	used += put_u16(at + used, known->class == 0 ? 1 : known->class);
	used += put_u16(at + used, 0);
	used += put_u16(at + used, known->ttl == 0 ? 60 : known->ttl);
	len = put_data(at + used + 2, known);
	put_u16(at + used, (unsigned)len);
	return used + 2 + len;
}

/* As often as it says, with another port each time. */
static unsigned
put_answers(uint8_t *packet, size_t *len, const char *name,
    const struct dns_known *known)
{
	struct dns_known record = *known;

	for (unsigned i = 0; i <= known->more; i++) {
		*len += put_answer(packet + *len, name, &record);
		record.numbers[2]++;
	}
	return known->more + 1;
}

/* Names of a suffix that are names for one another without end. */
static bool
goes_on(const struct dns_known *known, const char *name, char *next)
{
	const char *suffix = strchr(name, '.');

	if (known->type != DNS_ENDLESS || suffix == NULL ||
	    strcasecmp(suffix + 1, known->name) != 0)
		return false;
	snprintf(
	    next, NAME_ROOM, "%ld.%s", strtol(name, NULL, 10) + 1, known->name);
	return true;
}

struct reply {
	uint8_t packet[PACKET_MAX];
	size_t len;
	unsigned count, authority;
};

/* The code of the answer, or -1 for none at all. */
static int
answer(struct reply *reply, const char *name, unsigned type)
{
	const struct dns_known *soa = NULL;
	char next[NAME_ROOM];
	int code = 3;

	for (size_t i = 0; i < server.count; i++) {
		const struct dns_known *known = &server.known[i];

		if (goes_on(known, name, next)) {
			const struct dns_known one = {
			    .type = DNS_CNAME, .text = next};

			reply->count +=
			    put_answers(reply->packet, &reply->len, name, &one);
			return 0;
		}
		if (strcasecmp(known->name, name) != 0)
			continue;
		if (known->type == DNS_SILENCE)
			return -1;
		if (known->type == DNS_FAILURE)
			return 2;
		code = 0;
		if (known->type == DNS_SOA)
			soa = known;
		else if (known->type == type || known->type == DNS_CNAME)
			reply->count += put_answers(
			    reply->packet, &reply->len, name, known);
	}
	if (reply->count == 0 && soa != NULL)
		reply->authority =
		    put_answers(reply->packet, &reply->len, name, soa);
	return code;
}

static void
note_question(unsigned port, const char *name)
{
	pthread_mutex_lock(&server.lock);
	buf_add(
	    &server.ports[port].asked, (struct str){name, strlen(name) + 1});
	pthread_mutex_unlock(&server.lock);
}

static void
serve_one(unsigned port)
{
	const int fd = server.ports[port].fd;
	struct sockaddr_storage from;
	socklen_t from_len = sizeof(from);
	struct reply reply = {.count = 0};
	uint8_t *packet = reply.packet;
	char name[NAME_ROOM];
	ssize_t got = recvfrom(
	    fd, packet, PACKET_MAX, 0, (struct sockaddr *)&from, &from_len);
	size_t type_at;
	int code;

	if (got < 17)
		return;
	type_at = 12 + read_name(packet + 12, name);
	note_question(port, name);
	reply.len = type_at + 4;
	code = answer(&reply, name,
	    (unsigned)(packet[type_at] << 8 | packet[type_at + 1]));
	if (code < 0)
		return;
	packet[2] = 0x84;
	packet[3] = (uint8_t)(0x80 | code);
	put_u16(packet + 4, 1);
	put_u16(packet + 6, reply.count);
	put_u16(packet + 8, reply.authority);
	put_u16(packet + 10, 0);
	(void)sendto(
	    fd, packet, reply.len, 0, (struct sockaddr *)&from, from_len);
}

static void *
serve(void *unused)
{
	struct pollfd fds[3] = {{.fd = server.ports[0].fd, .events = POLLIN},
	    {.fd = server.ports[1].fd, .events = POLLIN},
	    {.fd = server.stop[0], .events = POLLIN}};

	(void)unused;
	for (;;) {
		if (poll(fds, 3, -1) > 0 && fds[2].revents != 0)
			return NULL;
		for (unsigned i = 0; i < 2; i++)
			if (fds[i].revents != 0)
				serve_one(i);
	}
}

static int
bind_free(char *text, size_t text_len)
{
	struct sockaddr_in address = {
	    .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t len = sizeof(address);
	const int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	must(fd >= 0);
	must(bind(fd, (struct sockaddr *)&address, sizeof(address)) == 0);
	must(getsockname(fd, (struct sockaddr *)&address, &len) == 0);
	snprintf(text, text_len, "127.0.0.1@%u", ntohs(address.sin_port));
	return fd;
}

void
dns_server_start(const struct dns_known *known, size_t count)
{
	server.known = known;
	server.count = count;
	for (unsigned i = 0; i < 2; i++)
		server.ports[i].fd = bind_free(
		    server.ports[i].address, sizeof(server.ports[i].address));
	must(pipe(server.stop) == 0);
	must(pthread_create(&server.thread, NULL, serve, NULL) == 0);
}

void
dns_server_stop(void)
{
	must(write(server.stop[1], "", 1) == 1);
	pthread_join(server.thread, NULL);
	for (unsigned i = 0; i < 2; i++) {
		close(server.ports[i].fd);
		close(server.stop[i]);
		buf_deinit(&server.ports[i].asked);
	}
}

const char *
dns_server_address(unsigned port)
{
	return server.ports[port].address;
}

unsigned
dns_server_asked(unsigned port, const char *name)
{
	const struct buf *asked = &server.ports[port].asked;
	unsigned count = 0;

	pthread_mutex_lock(&server.lock);
	for (size_t at = 0; at < asked->len; at += strlen(asked->text + at) + 1)
		count +=
		    name == NULL || strcasecmp(asked->text + at, name) == 0;
	pthread_mutex_unlock(&server.lock);
	return count;
}

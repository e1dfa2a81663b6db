#include "bench/client.h"

#include <arpa/inet.h>
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "bench/dance.h"
#include "bench/wire.h"

#define BODY_LEN 120

_Noreturn void
client_fail(const struct client *client, const char *why)
{
	errx(1, "u%u: %s; last heard: %.*s", client->number, why,
	    (int)client->in.len, client->in.len > 0 ? client->in.text : "");
}

static void
append(struct client_bytes *bytes, const char *text, size_t len)
{
	if (bytes->len + len > bytes->room) {
		bytes->room = 2 * (bytes->len + len);
		bytes->text = realloc(bytes->text, bytes->room);
		if (bytes->text == NULL)
			err(1, "memory");
	}
	memcpy(bytes->text + bytes->len, text, len);
	bytes->len += len;
}

static void
cut(struct client_bytes *bytes, size_t len)
{
	bytes->len -= len;
	memmove(bytes->text, bytes->text + len, bytes->len);
}

static void
watch(struct client *client, int change, uint32_t events)
{
	struct epoll_event event = {.events = events, .data.ptr = client};

	if (epoll_ctl(client->epoll, change, client->fd, &event) != 0)
		err(1, "epoll_ctl");
}

void
client_open(struct client *client)
{
	const struct plan *plan = client->plan;
	bool is_far = plan_is_far(plan, client->number);
	unsigned port = is_far ? plan->far_port : plan->port;
	struct sockaddr_in to = {.sin_family = AF_INET,
	    .sin_port = htons((uint16_t)port),
	    .sin_addr = is_far ? plan->far_address : plan->address};
	int on = 1;

	client->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (client->fd < 0 ||
	    connect(client->fd, (struct sockaddr *)&to, sizeof(to)) != 0)
		err(1, "connect to port %u", port);
	setsockopt(client->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	fcntl(client->fd, F_SETFL, O_NONBLOCK);
	client->ready = client->leaving = false;
	client->in.len = client->out.len = 0;
	watch(client, EPOLL_CTL_ADD, EPOLLIN);
	dance_start(client);
}

void
client_cut(struct client *client)
{
	if (client->tls != NULL)
		gnutls_deinit(client->tls);
	client->tls = NULL;
	client->shaken = false;
	close(client->fd);
	client->fd = -1;
	client->ready = false;
}

void
client_drop(struct client *client)
{
	if (client->fd < 0)
		return;
	if (client->shaken)
		(void)gnutls_bye(client->tls, GNUTLS_SHUT_WR);
	client_cut(client);
}

static void
ended(struct client *client)
{
	if (!client->leaving)
		client_fail(client, "the server closed the connection");
	client_drop(client);
	if (client->work->on_left != NULL)
		client->work->on_left(client);
}

static ssize_t
write_some(struct client *client, const char *text, size_t len)
{
	ssize_t done;

	if (client->tls == NULL)
		done = send(client->fd, text, len, MSG_NOSIGNAL);
	else
		done = gnutls_record_send(client->tls, text, len);
	if (done == GNUTLS_E_AGAIN || done == GNUTLS_E_INTERRUPTED ||
	    (client->tls == NULL && errno == EAGAIN && done < 0))
		return 0;
	if (done < 0)
		client_fail(client, "cannot write");
	return done;
}

void
client_send(struct client *client, const char *text, size_t len)
{
	ssize_t done = 0;

	if (client->out.len == 0)
		done = write_some(client, text, len);
	if ((size_t)done == len)
		return;
	if (client->out.len == 0)
		watch(client, EPOLL_CTL_MOD, EPOLLIN | EPOLLOUT);
	append(&client->out, text + done, len - (size_t)done);
}

void
client_mark(struct client *client, uint64_t at_ns, char *text_r)
{
	struct mark mark = {
	    .sender = client->number, .place = client->sent++, .at_ns = at_ns};

	mark_write(&mark, text_r);
}

void
client_say(struct client *client, uint64_t at_ns)
{
	static const char lasting[] = "</body></message>";
	static const char fleeting[] =
	    "</body><no-store xmlns='urn:xmpp:hints'/></message>";
	const struct plan *plan = client->plan;
	const char *end = plan->fleeting ? fleeting : lasting;
	unsigned to = plan_pair(client->number);
	char text[512], resource[16] = "";
	size_t len;

	if (plan->full)
		snprintf(resource, sizeof(resource), "/r%u", to);
	len = (size_t)snprintf(text, sizeof(text) / 2,
	    "<message to='u%u@%s%s' type='chat' id='m%u'><body>", to,
	    plan_domain(plan, to), resource, client->sent);
	client_mark(client, at_ns, text + len);
	memset(text + len + MARK_LEN, 'x', BODY_LEN - MARK_LEN);
	memcpy(text + len + BODY_LEN, end, strlen(end));
	client_send(client, text, len + BODY_LEN + strlen(end));
}

static void
send_more(struct client *client)
{
	ssize_t done = write_some(client, client->out.text, client->out.len);

	cut(&client->out, (size_t)done);
	if (client->out.len == 0)
		watch(client, EPOLL_CTL_MOD, EPOLLIN);
}

void
client_leave(struct client *client)
{
	static const char end[] = "</stream:stream>";

	client->leaving = true;
	client_send(client, end, sizeof(end) - 1);
}

void
client_is_ready(struct client *client)
{
	client->ready = true;
	client->in.len = 0;
	if (client->work->on_ready != NULL)
		client->work->on_ready(client);
}

static bool
has(const char *text, size_t len, const char *word)
{
	return memmem(text, len, word, strlen(word)) != NULL;
}

/* How much of it is used. */
static size_t
read_text(struct client *client, const char *text, size_t len)
{
	if (client->leaving)
		return has(text, len, "</stream:stream>") ? len : 0;
	if (client->ready)
		return client->work->on_text(client, text, len);
	return dance_step(client, text, len) ? len : 0;
}

static void
hear(struct client *client, const char *text, size_t len)
{
	bool was_leaving = client->leaving;
	size_t used;

	if (client->in.len == 0) {
		used = read_text(client, text, len);
		if (used < len)
			append(&client->in, text + used, len - used);
	} else {
		append(&client->in, text, len);
		used = read_text(client, client->in.text, client->in.len);
		if (used < client->in.len)
			cut(&client->in, used);
		else
			client->in.len = 0;
	}
	if (was_leaving && used > 0)
		ended(client);
}

static void
shake(struct client *client)
{
	int result = gnutls_handshake(client->tls);

	if (result == GNUTLS_E_AGAIN || result == GNUTLS_E_INTERRUPTED)
		return;
	if (result < 0)
		client_fail(client, gnutls_strerror(result));
	client->shaken = true;
	dance_secured(client);
}

void
client_secure(struct client *client)
{
	const char *domain = plan_domain(client->plan, client->number);
	const char *where;

	if (gnutls_init(&client->tls, GNUTLS_CLIENT | GNUTLS_NONBLOCK) < 0 ||
	    gnutls_priority_set_direct(
		client->tls, client->plan->priority, &where) < 0)
		client_fail(client, "cannot start TLS");
	gnutls_credentials_set(
	    client->tls, GNUTLS_CRD_CERTIFICATE, client->credentials);
	gnutls_server_name_set(
	    client->tls, GNUTLS_NAME_DNS, domain, strlen(domain));
	wire_attach(client->tls, client->fd);
	shake(client);
}

static void
read_records(struct client *client)
{
	static char text[1 << 14];

	while (client->tls != NULL) {
		ssize_t len =
		    gnutls_record_recv(client->tls, text, sizeof(text));

		if (len == GNUTLS_E_AGAIN && wire_left() == 0)
			return;
		if (len == GNUTLS_E_AGAIN || len == GNUTLS_E_INTERRUPTED)
			continue; /* that was a session ticket */
		if (len > 0) {
			hear(client, text, (size_t)len);
			continue;
		}
		ended(client);
		return;
	}
}

static void
on_readable(struct client *client)
{
	ssize_t len = wire_read(client->fd);

	if (len < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (len <= 0) {
		ended(client);
		return;
	}
	if (client->tls == NULL) {
		size_t plain_len;
		const char *plain = wire_take(&plain_len);

		hear(client, plain, plain_len);
		return;
	}
	if (!client->shaken)
		shake(client);
	if (client->shaken)
		read_records(client);
}

void
client_on_events(struct client *client, uint32_t events)
{
	if (client->out.len > 0 && (events & EPOLLOUT) != 0)
		send_more(client);
	if (client->fd >= 0 && (events & (EPOLLIN | EPOLLHUP | EPOLLERR)) != 0)
		on_readable(client);
}

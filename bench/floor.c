/*
 * bench/floor.c - floor CERTIFICATE KEY PORT: the least that a server can cost.
 *
 * Moves TLS records between sockets without looking into them. The load
 * generator's login is answered with canned text, picked by a word in what
 * came; after its first presence a session's records go to its pair, the
 * session whose resource rN has the number N ^ 1, as they are, and those that
 * begin like a presence to all others of its circle (plan.h). One thread,
 * epoll, GnuTLS.
 */
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <gnutls/gnutls.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "bench/plan.h"
#include "bench/wire.h"

#define EVENTS_MAX   256
#define SESSIONS_MAX 20000
#define RECORD_MAX   (1 << 14)

#define HEADER                                                       \
	"<?xml version='1.0'?><stream:stream xmlns='jabber:client' " \
	"xmlns:stream='http://etherx.jabber.org/streams' id='1' "    \
	"from='localhost' version='1.0'>"
#define SASL "xmlns='urn:ietf:params:xml:ns:xmpp-sasl'"
#define MECHANISMS                                                     \
	"<stream:features><mechanisms " SASL "><mechanism>SCRAM-SHA-1" \
	"</mechanism><mechanism>PLAIN</mechanism></mechanisms>"        \
	"</stream:features>"
#define BIND                                                           \
	"<stream:features><bind xmlns='urn:ietf:params:xml:ns:xmpp-bi" \
	"nd'/></stream:features>"
/* r=floor,s=c2FsdHNhbHRzYWx0c2Fs,i=4096 */
#define CHALLENGE "cj1mbG9vcixzPWMyRnNkSE5oYkhSellXeDBjMkZzLGk9NDA5Ng=="

struct session {
	int fd;
	gnutls_session_t tls;
	bool shaken, authenticated, present;
	unsigned number;
};

static struct session *bound[SESSIONS_MAX + PLAN_CIRCLE];
static gnutls_certificate_credentials_t credentials;
static gnutls_priority_t priority;
static int epoll;

static void
end_session(struct session *session)
{
	if (bound[session->number] == session)
		bound[session->number] = NULL;
	gnutls_deinit(session->tls);
	close(session->fd);
	free(session);
}

static void
say(struct session *session, const char *text, size_t len)
{
	if (gnutls_record_send(session->tls, text, len) != (ssize_t)len)
		warnx("a record was lost");
}

/* "<resource>rN</resource>" */
static void
bind_session(struct session *session, const char *text, size_t len)
{
	const char *at = memmem(text, len, "<resource>r", 11);
	unsigned long number =
	    at == NULL ? SESSIONS_MAX : strtoul(at + 11, NULL, 10);

	if (number >= SESSIONS_MAX)
		errx(1, "a resource is no number");
	session->number = (unsigned)number;
	bound[number] = session;
}

static void
authenticate(struct session *session, const char *text, size_t len)
{
	session->authenticated = true;
}

static void
be_present(struct session *session, const char *text, size_t len)
{
	session->present = true;
}

static const struct {
	const char *word;
	bool authenticated; /* only then */
	const char *reply;
	void (*act)(struct session *, const char *text, size_t len);
} answers[] = {
    {"</stream:stream", false, "</stream:stream>", NULL},
    {"</stream:stream", true, "</stream:stream>", NULL},
    {"<stream:stream", false, HEADER MECHANISMS, NULL},
    {"<stream:stream", true, HEADER BIND, NULL},
    {"'SCRAM-SHA-1'", false, "<challenge " SASL ">" CHALLENGE "</challenge>",
	NULL},
    {"'PLAIN'", false, "<success " SASL "/>", authenticate},
    {"<response", false, "<success " SASL ">dj1mbG9vcg==</success>",
	authenticate},
    {"'bind1'", true, "<iq type='result' id='bind1'/>", bind_session},
    {"'roster1'", true, "<iq type='result' id='roster1'/>", NULL},
    {"<presence", true, "", be_present},
};

static void
answer(struct session *session, const char *text, size_t len)
{
	for (size_t i = 0; i < sizeof(answers) / sizeof(answers[0]); i++) {
		if (answers[i].authenticated != session->authenticated ||
		    memmem(text, len, answers[i].word,
			strlen(answers[i].word)) == NULL)
			continue;
		if (answers[i].act != NULL)
			answers[i].act(session, text, len);
		if (answers[i].reply[0] != '\0')
			say(session, answers[i].reply,
			    strlen(answers[i].reply));
		return;
	}
	errx(1, "no answer to %.*s", (int)len, text);
}

static void
tell_circle(const struct session *session, const char *text, size_t len)
{
	unsigned first = plan_centre(session->number);

	for (unsigned i = first; i < first + PLAN_CIRCLE; i++)
		if (bound[i] != NULL && bound[i] != session)
			say(bound[i], text, len);
}

static void
move_record(struct session *session, const char *text, size_t len)
{
	struct session *pair = bound[plan_pair(session->number)];

	if (!session->present || len == strlen("</stream:stream>"))
		answer(session, text, len);
	else if (strncmp(text, "<presence", strlen("<presence")) == 0)
		tell_circle(session, text, len);
	else if (pair != NULL)
		say(pair, text, len);
}

/* False: the session is over. */
static bool
read_record(struct session *session)
{
	static char text[RECORD_MAX + 1];
	ssize_t len = gnutls_record_recv(session->tls, text, RECORD_MAX);

	if (len == GNUTLS_E_AGAIN || len == GNUTLS_E_INTERRUPTED)
		return true;
	if (len <= 0)
		return false;
	text[len] = '\0';
	move_record(session, text, (size_t)len);
	return true;
}

static bool
shake(struct session *session)
{
	int result = gnutls_handshake(session->tls);

	session->shaken = result == 0;
	return result == 0 || !gnutls_error_is_fatal(result);
}

static void
on_readable(struct session *session)
{
	ssize_t len = wire_read(session->fd);
	bool alive = len > 0;

	if (len < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (alive && !session->shaken)
		alive = shake(session);
	while (alive && session->shaken && wire_left() > 0)
		alive = read_record(session);
	if (!alive)
		end_session(session);
}

static void
watch(int fd, void *what)
{
	struct epoll_event event = {.events = EPOLLIN, .data.ptr = what};

	if (epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event) != 0)
		err(1, "epoll_ctl");
}

static void
accept_session(int listener)
{
	int fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
	struct session *session;
	int on = 1;

	if (fd < 0)
		return;
	session = calloc(1, sizeof(*session));
	if (session == NULL ||
	    gnutls_init(&session->tls, GNUTLS_SERVER | GNUTLS_NONBLOCK) < 0)
		errx(1, "memory");
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	session->fd = fd;
	gnutls_priority_set(session->tls, priority);
	gnutls_credentials_set(
	    session->tls, GNUTLS_CRD_CERTIFICATE, credentials);
	wire_attach(session->tls, fd);
	watch(fd, session);
}

static int
listen_on(unsigned long port)
{
	struct sockaddr_in here = {.sin_family = AF_INET,
	    .sin_port = htons((uint16_t)port),
	    .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	int on = 1;
	int listener =
	    socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	if (listener < 0 ||
	    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) !=
		0 ||
	    bind(listener, (struct sockaddr *)&here, sizeof(here)) != 0 ||
	    listen(listener, 1024) != 0)
		err(1, "cannot listen on port %lu", port);
	return listener;
}

static void
prepare(const char *certificate, const char *key)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
		limit.rlim_cur = limit.rlim_max;
		setrlimit(RLIMIT_NOFILE, &limit);
	}
	if (gnutls_certificate_allocate_credentials(&credentials) < 0 ||
	    gnutls_certificate_set_x509_key_file(
		credentials, certificate, key, GNUTLS_X509_FMT_PEM) < 0 ||
	    gnutls_priority_init(&priority, NULL, NULL) < 0)
		errx(1, "cannot use %s and %s", certificate, key);
}

int
main(int argc, char **argv)
{
	struct epoll_event events[EVENTS_MAX];
	int listener;

	if (argc != 4)
		errx(2, "usage: floor CERTIFICATE KEY PORT");
	prepare(argv[1], argv[2]);
	epoll = epoll_create1(EPOLL_CLOEXEC);
	listener = listen_on(strtoul(argv[3], NULL, 10));
	watch(listener, NULL);
	for (;;) {
		int count = epoll_wait(epoll, events, EVENTS_MAX, -1);

		for (int i = 0; i < count; i++) {
			if (events[i].data.ptr == NULL)
				accept_session(listener);
			else
				on_readable(events[i].data.ptr);
		}
	}
}

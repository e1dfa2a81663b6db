#include "bench/wire.h"

#include <errno.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>

static char arrived[1 << 16];
static size_t arrived_at, arrived_len;

ssize_t
wire_read(int fd)
{
	ssize_t len = recv(fd, arrived, sizeof(arrived), 0);

	arrived_at = 0;
	arrived_len = len > 0 ? (size_t)len : 0;
	return len;
}

size_t
wire_left(void)
{
	return arrived_len - arrived_at;
}

const char *
wire_take(size_t *len_r)
{
	const char *text = arrived + arrived_at;

	*len_r = wire_left();
	arrived_at = arrived_len;
	return text;
}

/* GnuTLS reads errno. */
static ssize_t
pull(gnutls_transport_ptr_t from, void *bytes, size_t len)
{
	if (wire_left() == 0) {
		errno = EAGAIN;
		return -1;
	}
	if (len > wire_left())
		len = wire_left();
	memcpy(bytes, arrived + arrived_at, len);
	arrived_at += len;
	return (ssize_t)len;
}

static ssize_t
push(gnutls_transport_ptr_t to, const void *bytes, size_t len)
{
	return send((int)(intptr_t)to, bytes, len, MSG_NOSIGNAL);
}

void
wire_attach(gnutls_session_t tls, int fd)
{
	arrived_at = arrived_len;
	gnutls_transport_set_int(tls, fd);
	gnutls_transport_set_pull_function(tls, pull);
	gnutls_transport_set_push_function(tls, push);
}

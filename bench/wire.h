/*
 * bench/wire.h - GnuTLS over what one read of a socket brought.
 *
 * One buffer does for all sockets of the program, since it is used up before
 * the next is read: whatever GnuTLS does not take out of it by then, it has
 * asked for and holds itself. So an idle session has no buffer.
 */
#pragma once

#include <gnutls/gnutls.h>
#include <stddef.h>
#include <sys/types.h>

/* Like recv; what came waits for wire_take or the session. */
ssize_t wire_read(int fd);

/* Bytes that came and were not taken. */
size_t wire_left(void);

/* Takes them all, as they came; they stay until the next read. */
const char *wire_take(size_t *len_r);

/* The session takes what comes from now on, and sends to the socket. */
void wire_attach(gnutls_session_t, int fd);

/*
 * server/conn.h - a connection: bytes in, bytes out, with or without TLS.
 *
 * Two kinds share the interface: sockets (conn.c, with tls.c) and the plain
 * ends that a world holds. What is written in one turn leaves at its end, in as
 * few TLS records as fit and one system call. A waiting connection holds its
 * socket, its TLS session and this record; no buffers.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/list.h"
#include "base/str.h"
#include "server/tls.h"

struct conn;
struct host;
struct shard;

/* To the owner of the connection; each may call conn_close. */
struct conn_events {
	void (*on_bytes)(struct conn *, struct str); /* lives for the call */
	/* The TLS handshake that was begun is complete. */
	void (*on_secure)(struct conn *);
	/* Closed by the peer, by an error or by conn_close; the last event. why
	 * is for the log: "connection reset by peer". The conn is freed after.
	 */
	void (*on_closed)(struct conn *, const char *why);
};

/* What a transport does; conn_* call it. */
struct conn_ops {
	void (*write)(struct conn *, struct str);
	void (*flush)(struct conn *);
	/* As a client with options, else as a server. */
	void (*start_tls)(struct conn *, const struct tls_client_options *);
	void (*set_reading)(struct conn *, bool);
	void (*close)(struct conn *, bool in_order);
	void (*await)(struct conn *); /* NULL: it always knows */
	uint64_t (*acknowledged)(struct conn *);
	bool (*move)(struct conn *, struct shard *);
	struct tls *(*tls)(struct conn *); /* NULL: there is none */
};

struct conn {
	const struct conn_ops *ops;
	const struct conn_events *events;
	struct shard *shard;
	void *owner;        /* the stream */
	struct link flush;  /* in shard->flushes when bytes wait */
	uint64_t written;   /* bytes given to conn_write since it began */
	bool is_direct_tls; /* TLS from the first byte (XEP-0368) */
	bool is_s2s;        /* accepted on a port for servers */
	bool is_secure;     /* TLS is up */
	bool is_closing;
	struct str address; /* of the peer, without port; metered by it */
	uint16_t port;      /* of the peer */
	/* When a failed login will be answered: server/address.h. */
	uint64_t slowed_until_ms;
	const struct host *host; /* that the peer asked for before TLS; NULL */
};

/* It will soon be written to: its memory is asked for. */
void conn_fetch(const struct conn *);

/* Copies the bytes to what leaves at the end of the turn. A peer that does not
 * read is closed when more than the limit of the configuration waits. */
void conn_write(struct conn *, struct str);
/* At the end of a turn: shard_turn calls it. */
void conn_flush_all(struct shard *);
/* Now, not at the end of the turn. */
void conn_flush(struct conn *);
/* Server side handshake; certificate by SNI, else of conn->host. */
void conn_start_tls(struct conn *);
/* Client side, towards another server; the options are copied. */
void conn_start_tls_client(struct conn *, const struct tls_client_options *);
/* Not reading makes the peer wait: back-pressure. */
void conn_set_reading(struct conn *, bool);
/* Sends what was written, says goodbye in TLS, closes; on_closed comes later.
 * Idempotent. conn_abort drops what was written. */
void conn_close(struct conn *);
void conn_abort(struct conn *);
/* The same of one that is in nobody's hands yet: no event comes. */
void conn_drop(struct conn *);
/* To another shard, outside of any event of the connection. What was written
 * leaves first; false, and nothing is changed, when it cannot all leave now.
 * conn_set_reading there makes it go on. */
bool conn_move(struct conn *, struct shard *);
/* conn_acknowledged will be asked about what was written so far. */
void conn_await(struct conn *);
/* How many of the bytes written the peer's kernel has acknowledged, as far as
 * conn_await asked for: those in TLS records that it has wholly. What the peer
 * said before it had them may be unread; as long as something is, no more is
 * known than before. */
uint64_t conn_acknowledged(struct conn *);

/* --- of a TLS connection ------------------------------------------------ */

/* "TLS1.3 AES-256-GCM". */
struct str conn_tls_text(struct conn *, struct arena *);
/* Channel binding data, RFC 9266 and 5929; false when there is none. The
 * latter only of the server's side. */
bool conn_has_exporter(struct conn *);
bool conn_exporter(struct conn *, uint8_t data[32]);
bool conn_end_point(struct conn *, struct arena *, struct str *data_r);
/* Of the peer as a client of that host; in DER when it is proved. */
enum client_proof conn_peer_certificate(struct conn *,
    const struct tls_identity *host, struct arena *, struct str *der_r);
/* The chain that the peer presented, DER, its own certificate first, copied to
 * the arena and not verified; 0 when there is none. */
size_t conn_peer_chain(
    struct conn *, struct arena *, const struct str **ders_r);

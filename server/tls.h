/*
 * server/tls.h - TLS over memory: bytes of the network in, bytes out.
 *
 * A session knows no socket. What arrived is lent to it by tls_feed; the
 * records that it makes are appended to the buffer it was given. TLS 1.2 and
 * later, AES-GCM first where the processor has AES, X25519 first; tickets under
 * one key for all shards, so that a session is resumed anywhere.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/str.h"

#define TLS_RECORD_MAX ((size_t)16384) /* RFC 8446 section 5.1 */

struct arena;
struct host;
struct setup;

/* --- certificates --------------------------------------------------------- */

/* Certificate, chain and key of a host; counted, for sessions outlive a
 * reload. */
struct tls_identity;

/* Reads PEM files. NULL with a sentence in *why_r (in arena): cannot be read,
 * no certificate, expired, the key is another one's. */
struct tls_identity *tls_identity_load(
    struct arena *, struct str certificate, struct str key, struct str *why_r);
/* Clients whose certificates these authorities (a PEM file) vouch for may log
 * in with EXTERNAL; without, none is asked for one. */
bool tls_identity_trust(struct tls_identity *, struct arena *,
    struct str authorities, struct str *why_r);
/* Whether the certificate is for that domain (RFC 6125). */
bool tls_identity_is_for(const struct tls_identity *, struct str domain);
/* When it ends, in seconds since 1970. */
int64_t tls_identity_ends_s(const struct tls_identity *);
/* Drops a reference and nulls the pointer; NULL is fine. */
void tls_identity_free(struct tls_identity **);

/* --- sessions ------------------------------------------------------------- */

/* Once, before any session: the key of tickets is made of the secret. */
void tls_start(const uint8_t secret[32]);
void tls_stop(void);

struct tls;

struct tls_options {
	struct setup *setup;     /* picks the host by SNI; for the handshake */
	const struct host *host; /* without SNI; NULL: the default one */
	bool is_direct;          /* ALPN counts (XEP-0368) */
	/* The peer is a server: it is asked for a certificate, of any issuer,
	 * which the handshake does not verify (server/verify.h does); no
	 * tickets, for a resumed session would be without the chain. */
	bool is_s2s;
};

struct tls_client_options {
	struct setup *setup;
	const struct host *host; /* shows its certificate when asked; or NULL */
	struct str server_name;  /* SNI: the remote domain, as A-labels */
	const char *alpn;        /* "xmpp-server" with direct TLS, or NULL */
};

/* A server's session; its records are appended to out. */
struct tls *tls_new(const struct tls_options *, struct buf *out);
/* A client's, to another server; begins with tls_handshake. The peer's
 * certificate is not verified. Keeps nothing of the options' texts. */
struct tls *tls_new_client(const struct tls_client_options *, struct buf *out);
void tls_free(struct tls **);
/* Another shard's buffer, after a move. */
void tls_set_out(struct tls *, struct buf *out);

/* What came from the network; used up by tls_handshake and tls_read, which must
 * be called until they want more. */
void tls_feed(struct tls *, struct str bytes);
/* Some of it was not read yet, but for a part of a record whose rest has yet to
 * come. */
bool tls_has_unread(const struct tls *);

enum tls_result { TLS_DONE, TLS_WANTS_MORE, TLS_CLOSED, TLS_FAILED };

/* DONE: the handshake is complete. FAILED: *why_r (static) says why; an alert
 * for the peer may be in out. */
enum tls_result tls_handshake(struct tls *, const char **why_r);
/* DONE: *len_r bytes were put into plain. CLOSED: the peer said goodbye. */
enum tls_result tls_read(
    struct tls *, char *plain, size_t room, size_t *len_r, const char **why_r);
/* Into as few records as fit: of TLS_RECORD_MAX bytes each. */
bool tls_write(struct tls *, struct str plain);
/* Says goodbye. */
void tls_bye(struct tls *);

/* --- of a complete session: see server/conn.h ----------------------------- */

/* What a client's certificate is worth to the client authorities of a host (RFC
 * 6120, section 13.7.2). */
enum client_proof {
	CLIENT_UNPROVED, /* they are not asked, or it presented none */
	CLIENT_UNKNOWN,  /* its own, or of an authority that is not theirs */
	CLIENT_BAD,      /* what they signed does not hold, or not any more */
	CLIENT_PROVED
};

struct str tls_text(struct tls *, struct arena *);
struct str tls_sni(struct tls *, struct arena *);
bool tls_has_exporter(struct tls *);
bool tls_exporter(struct tls *, uint8_t data[32]);
bool tls_end_point(struct tls *, struct arena *, struct str *data_r);
/* The host is that of the stream: the handshake may have been with another. */
enum client_proof tls_peer_certificate(struct tls *,
    const struct tls_identity *host, struct arena *, struct str *der_r);
size_t tls_peer_chain(struct tls *, struct arena *, const struct str **ders_r);

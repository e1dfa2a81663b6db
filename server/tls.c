#include "server/tls.h"

#include <arpa/inet.h>
#include <errno.h>
#include <gnutls/crypto.h>
#include <gnutls/x509.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#if defined(__aarch64__)
#include <asm/hwcap.h>
#include <sys/auxv.h>
#endif

#include "base/err.h"
#include "server/conn.h"
#include "server/domains.h"
#include "server/settings.h"
#include "server/setup.h"
#include "server/tls_internal.h"
#include "xml/prep.h"

#define ALPN_CLIENT    "xmpp-client"
#define ALPN_SERVER    "xmpp-server"
#define EXTENSION_ALPN 16 /* RFC 7301, section 6 */
#define TICKETS_KEY    "jackdaw: key of TLS tickets"
/* Of all certificates that a server may show. */
#define CHAIN_LEN_MAX ((size_t)64 * 1024)

struct tls {
	gnutls_session_t session;
	struct tls_identity *identity; /* once the host is known */
	struct setup *setup;           /* during the handshake */
	const struct host *host;       /* likewise */
	struct buf *out;
	struct str in; /* fed and not yet read */
	bool is_client, is_direct, is_s2s;
};

static struct {
	gnutls_priority_t since_1_2, since_1_3;
	gnutls_certificate_credentials_t nobody; /* of hosts without key */
	uint8_t tickets[64]; /* GnuTLS makes its keys of it and rotates them */
} shared;

static bool
has_aes(void)
{
#if defined(__x86_64__) || defined(__i386__)
	return __builtin_cpu_supports("aes") != 0;
#elif defined(__aarch64__)
	return (getauxval(AT_HWCAP) & HWCAP_AES) != 0;
#else
	return false;
#endif
}

static gnutls_priority_t
make_priority(const char *versions)
{
	const char *ciphers =
	    has_aes() ? "+AES-128-GCM:+AES-256-GCM:+CHACHA20-POLY1305"
		      : "+CHACHA20-POLY1305:+AES-128-GCM:+AES-256-GCM";
	gnutls_priority_t priority;
	char text[512];

	snprintf(text, sizeof(text),
	    "NORMAL:-VERS-ALL:%s:-CIPHER-ALL:%s:-KX-ALL:+ECDHE-ECDSA:"
	    "+ECDHE-RSA:-GROUP-ALL:+GROUP-X25519:+GROUP-SECP256R1:"
	    "+GROUP-SECP384R1:+GROUP-X448:+GROUP-SECP521R1:"
	    "%%SERVER_PRECEDENCE",
	    versions, ciphers);
	must(gnutls_priority_init(&priority, text, NULL) >= 0);
	return priority;
}

void
tls_start(const uint8_t secret[32])
{
	shared.since_1_2 = make_priority("+VERS-TLS1.3:+VERS-TLS1.2");
	shared.since_1_3 = make_priority("+VERS-TLS1.3");
	must(gnutls_certificate_allocate_credentials(&shared.nobody) >= 0);
	must(gnutls_hmac_fast(GNUTLS_MAC_SHA512, secret, 32, TICKETS_KEY,
		 sizeof(TICKETS_KEY) - 1, shared.tickets) >= 0);
}

void
tls_stop(void)
{
	if (shared.since_1_2 != NULL) {
		gnutls_priority_deinit(shared.since_1_2);
		gnutls_priority_deinit(shared.since_1_3);
		gnutls_certificate_free_credentials(shared.nobody);
	}
	gnutls_memset(&shared, 0, sizeof(shared));
}

/* --- memory instead of a socket ------------------------------------------- */

static ssize_t
pull(gnutls_transport_ptr_t transport, void *bytes, size_t len)
{
	struct tls *tls = transport;

	if (tls->in.len == 0) {
		gnutls_transport_set_errno(tls->session, EAGAIN);
		return -1;
	}
	if (len > tls->in.len)
		len = tls->in.len;
	memcpy(bytes, tls->in.text, len);
	tls->in.text += len;
	tls->in.len -= len;
	return (ssize_t)len;
}

static ssize_t
push(gnutls_transport_ptr_t transport, const void *bytes, size_t len)
{
	struct tls *tls = transport;

	buf_add(tls->out, (struct str){bytes, len});
	return (ssize_t)len;
}

/* --- opening -------------------------------------------------------------- */

/* SNI has A-labels (RFC 6066, section 3), hosts have U-labels. */
static const struct host *
host_of_name(const struct setup *setup, struct str name)
{
	const struct host *host = domain_host(setup, name);
	struct arena *arena;

	if (host != NULL)
		return host;
	arena = arena_make(0);
	if (prep_domain(arena, &name))
		host = domain_host(setup, name);
	arena_free(&arena);
	return host;
}

static const struct host *
host_by_sni(struct tls *tls)
{
	char name[256];
	size_t len = sizeof(name);
	unsigned type;

	if (gnutls_server_name_get(tls->session, name, &len, &type, 0) < 0 ||
	    type != GNUTLS_NAME_DNS)
		return NULL;
	return host_of_name(tls->setup, str_of(name));
}

/* The ClientHello was read: the certificate can be chosen. */
static int
choose_host(gnutls_session_t session)
{
	struct tls *tls = gnutls_session_get_ptr(session);
	const struct host *host = host_by_sni(tls);

	if (host == NULL)
		host = tls->host;
	if (host == NULL)
		host = setup_default_host(tls->setup);
	if (tls->identity == NULL)
		tls->identity = tls_identity_ref(host->identity);
	if (tls->identity->asks_clients || tls->is_s2s)
		gnutls_certificate_server_set_request(
		    session, GNUTLS_CERT_REQUEST);
	/* Authorities for clients are none for servers. */
	if (tls->is_s2s)
		gnutls_certificate_send_x509_rdn_sequence(session, 1);
	return gnutls_credentials_set(
	    session, GNUTLS_CRD_CERTIFICATE, tls->identity->credentials);
}

static int
set_alpn(gnutls_session_t session, const char *protocol, unsigned flags)
{
	const gnutls_datum_t alpn = {
	    (unsigned char *)protocol, (unsigned)strlen(protocol)};

	return gnutls_alpn_set_protocols(session, &alpn, 1, flags);
}

static int
on_extension(void *tls, unsigned id, const unsigned char *bytes, unsigned len)
{
	struct tls *own = tls;

	if (id != EXTENSION_ALPN)
		return 0;
	return set_alpn(own->session, own->is_s2s ? ALPN_SERVER : ALPN_CLIENT,
	    GNUTLS_ALPN_MANDATORY);
}

/* XEP-0368. Only sessions that are asked for a protocol keep what GnuTLS needs
 * to answer: 320 bytes. */
static int
on_client_hello(gnutls_session_t session, unsigned type, unsigned when,
    unsigned is_incoming, const gnutls_datum_t *message)
{
	int err = gnutls_ext_raw_parse(gnutls_session_get_ptr(session),
	    on_extension, message, GNUTLS_EXT_RAW_FLAG_TLS_CLIENT_HELLO);

	/* What is no ClientHello the handshake itself says better. */
	(void)err;
	return 0;
}

static void
set_priority(struct tls *tls)
{
	bool is_strict = config_choice(setup_config(tls->setup), CONFIG_GLOBAL,
			     SETTING(TLS_MIN_VERSION)) == TLS_MIN_1_3;

	must(gnutls_priority_set(tls->session,
		 is_strict ? shared.since_1_3 : shared.since_1_2) >= 0);
}

static struct tls *
open_session(struct setup *setup, struct buf *out, unsigned flags)
{
	struct tls *tls = calloc(1, sizeof(*tls));

	must(tls != NULL);
	tls->setup = setup_ref(setup);
	tls->out = out;
	must(gnutls_init(&tls->session,
		 flags | GNUTLS_NONBLOCK | GNUTLS_NO_SIGNAL) >= 0);
	gnutls_session_set_ptr(tls->session, tls);
	gnutls_transport_set_ptr(tls->session, tls);
	gnutls_transport_set_pull_function(tls->session, pull);
	gnutls_transport_set_push_function(tls->session, push);
	gnutls_handshake_set_timeout(tls->session, 0);
	gnutls_handshake_set_max_packet_length(tls->session, CHAIN_LEN_MAX);
	set_priority(tls);
	return tls;
}

struct tls *
tls_new(const struct tls_options *options, struct buf *out)
{
	const gnutls_datum_t tickets = {shared.tickets, sizeof(shared.tickets)};
	struct tls *tls = open_session(options->setup, out,
	    options->is_s2s ? GNUTLS_SERVER | GNUTLS_NO_TICKETS
			    : GNUTLS_SERVER);

	tls->host = options->host;
	tls->is_direct = options->is_direct;
	tls->is_s2s = options->is_s2s;
	gnutls_handshake_set_post_client_hello_function(
	    tls->session, choose_host);
	if (!tls->is_s2s)
		must(gnutls_session_ticket_enable_server(
			 tls->session, &tickets) >= 0);
	if (tls->is_direct)
		gnutls_handshake_set_hook_function(tls->session,
		    GNUTLS_HANDSHAKE_CLIENT_HELLO, GNUTLS_HOOK_PRE,
		    on_client_hello);
	return tls;
}

/* RFC 6066, section 3: no IP address. What GnuTLS holds for no name is not said
 * either. */
static void
set_server_name(gnutls_session_t session, struct str name)
{
	char text[256];
	uint8_t address[16];

	if (name.len == 0 || name.len >= sizeof(text) || name.text[0] == '[')
		return;
	memcpy(text, name.text, name.len);
	text[name.len] = '\0';
	if (inet_pton(AF_INET, text, address) != 1)
		(void)gnutls_server_name_set(
		    session, GNUTLS_NAME_DNS, text, name.len);
}

/* Our certificate is shown whatever authorities the peer names: what it makes
 * of it is its affair. */
struct tls *
tls_new_client(const struct tls_client_options *options, struct buf *out)
{
	struct tls *tls = open_session(options->setup, out,
	    GNUTLS_CLIENT | GNUTLS_NO_TICKETS | GNUTLS_FORCE_CLIENT_CERT);
	const struct host *host = options->host;

	tls->is_client = true;
	if (host != NULL && host->identity != NULL)
		tls->identity = tls_identity_ref(host->identity);
	must(gnutls_credentials_set(tls->session, GNUTLS_CRD_CERTIFICATE,
		 tls->identity != NULL ? tls->identity->credentials
				       : shared.nobody) >= 0);
	set_server_name(tls->session, options->server_name);
	if (options->alpn != NULL)
		must(set_alpn(tls->session, options->alpn, 0) >= 0);
	return tls;
}

/* Of a resumed session the host may not have been asked for. */
static void
end_handshake(struct tls *tls)
{
	if (tls->identity == NULL && tls->setup != NULL && !tls->is_client)
		(void)choose_host(tls->session);

	tls->host = NULL;
	setup_unref(&tls->setup);
}

void
tls_free(struct tls **tls)
{
	struct tls *freed = *tls;

	*tls = NULL;
	if (freed == NULL)
		return;
	gnutls_deinit(freed->session);
	setup_unref(&freed->setup);
	tls_identity_free(&freed->identity);
	free(freed);
}

void
tls_set_out(struct tls *tls, struct buf *out)
{
	tls->out = out;
}

void
tls_feed(struct tls *tls, struct str bytes)
{
	tls->in = bytes;
}

bool
tls_has_unread(const struct tls *tls)
{
	return tls->in.len > 0 || gnutls_record_check_pending(tls->session) > 0;
}

/* --- the three things to do ----------------------------------------------- */

static const char *
words_of(struct tls *tls, int err)
{
	if (err == GNUTLS_E_FATAL_ALERT_RECEIVED)
		return gnutls_alert_get_name(gnutls_alert_get(tls->session));
	return gnutls_strerror(err);
}

enum tls_result
tls_handshake(struct tls *tls, const char **why_r)
{
	int err;

	do {
		err = gnutls_handshake(tls->session);
	} while (err < 0 && err != GNUTLS_E_AGAIN &&
		 gnutls_error_is_fatal(err) == 0);
	if (err == GNUTLS_E_AGAIN)
		return TLS_WANTS_MORE;
	if (err >= 0) {
		end_handshake(tls);
		return TLS_DONE;
	}
	*why_r = words_of(tls, err);
	if (err != GNUTLS_E_FATAL_ALERT_RECEIVED)
		(void)gnutls_alert_send_appropriate(tls->session, err);
	return TLS_FAILED;
}

enum tls_result
tls_read(struct tls *tls, char *plain, size_t room, size_t *len_r,
    const char **why_r)
{
	ssize_t len;

	do {
		len = gnutls_record_recv(tls->session, plain, room);
		/* TLS 1.2: who renegotiates is left without an answer. TLS 1.3:
		 * of a ticket GnuTLS says AGAIN with records left behind it. */
	} while (len == GNUTLS_E_INTERRUPTED ||
		 len == GNUTLS_E_WARNING_ALERT_RECEIVED ||
		 len == GNUTLS_E_REHANDSHAKE ||
		 (len == GNUTLS_E_AGAIN && tls->in.len > 0));
	if (len > 0) {
		*len_r = (size_t)len;
		return TLS_DONE;
	}
	if (len == 0)
		return TLS_CLOSED;
	if (len == GNUTLS_E_AGAIN)
		return TLS_WANTS_MORE;
	*why_r = words_of(tls, (int)len);
	if (len != GNUTLS_E_FATAL_ALERT_RECEIVED)
		(void)gnutls_alert_send_appropriate(tls->session, (int)len);
	return TLS_FAILED;
}

bool
tls_write(struct tls *tls, struct str plain)
{
	while (plain.len > 0) {
		ssize_t len = gnutls_record_send(tls->session, plain.text,
		    plain.len < TLS_RECORD_MAX ? plain.len : TLS_RECORD_MAX);

		if (len <= 0)
			return false;
		plain.text += len;
		plain.len -= (size_t)len;
	}
	return true;
}

void
tls_bye(struct tls *tls)
{
	(void)gnutls_bye(tls->session, GNUTLS_SHUT_WR);
}

/* --- of a complete session ------------------------------------------------ */

struct str
tls_text(struct tls *tls, struct arena *arena)
{
	return str_format(arena, "%s %s",
	    gnutls_protocol_get_name(gnutls_protocol_get_version(tls->session)),
	    gnutls_cipher_get_name(gnutls_cipher_get(tls->session)));
}

struct str
tls_sni(struct tls *tls, struct arena *arena)
{
	char name[256];
	size_t len = sizeof(name);
	unsigned type;

	if (gnutls_server_name_get(tls->session, name, &len, &type, 0) < 0)
		return STR_NONE;
	return str_dup(arena, str_of(name));
}

/* RFC 9266, section 4.2: before TLS 1.3 only with extended master secret. */
bool
tls_has_exporter(struct tls *tls)
{
	return gnutls_protocol_get_version(tls->session) == GNUTLS_TLS1_3 ||
	       gnutls_session_ext_master_secret_status(tls->session) != 0;
}

bool
tls_exporter(struct tls *tls, uint8_t data[32])
{
	static const char label[] = "EXPORTER-Channel-Binding";

	if (!tls_has_exporter(tls))
		return false;
	return gnutls_prf_rfc5705(tls->session, sizeof(label) - 1, label, 0, "",
		   32, (char *)data) >= 0;
}

bool
tls_end_point(struct tls *tls, struct arena *arena, struct str *data_r)
{
	const struct tls_identity *identity = tls->identity;

	if (tls->is_client || identity == NULL || identity->end_point_len == 0)
		return false;
	data_r->text =
	    arena_dup(arena, identity->end_point, identity->end_point_len);
	data_r->len = identity->end_point_len;
	return true;
}

/* GnuTLS asks whom the session's credentials trust: for the moment these are
 * the host's. */
static int
verify_for(struct tls *tls, const struct tls_identity *host, unsigned *status_r)
{
	int err;

	(void)gnutls_credentials_set(
	    tls->session, GNUTLS_CRD_CERTIFICATE, host->credentials);
	err = gnutls_certificate_verify_peers2(tls->session, status_r);
	(void)gnutls_credentials_set(
	    tls->session, GNUTLS_CRD_CERTIFICATE, tls->identity->credentials);
	return err;
}

enum client_proof
tls_peer_certificate(struct tls *tls, const struct tls_identity *host,
    struct arena *arena, struct str *der_r)
{
	const unsigned unknown =
	    GNUTLS_CERT_INVALID | GNUTLS_CERT_SIGNER_NOT_FOUND;
	const gnutls_datum_t *chain;
	unsigned count = 0, status = 0;

	if (tls->identity == NULL || host == NULL || !host->asks_clients)
		return CLIENT_UNPROVED;
	chain = gnutls_certificate_get_peers(tls->session, &count);
	if (chain == NULL || count == 0)
		return CLIENT_UNPROVED;
	if (verify_for(tls, host, &status) < 0)
		return CLIENT_BAD;
	if (status != 0)
		return status == unknown ? CLIENT_UNKNOWN : CLIENT_BAD;
	*der_r = (struct str){
	    arena_dup(arena, chain[0].data, chain[0].size), chain[0].size};
	return CLIENT_PROVED;
}

size_t
tls_peer_chain(struct tls *tls, struct arena *arena, const struct str **ders_r)
{
	unsigned count = 0;
	const gnutls_datum_t *chain =
	    gnutls_certificate_get_peers(tls->session, &count);
	struct str *ders;

	if (chain == NULL)
		return 0;
	ders = arena_array(arena, struct str, count);
	for (unsigned i = 0; i < count; i++)
		ders[i] =
		    (struct str){arena_dup(arena, chain[i].data, chain[i].size),
			chain[i].size};
	*ders_r = ders;
	return count;
}

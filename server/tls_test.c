/*
 * server/tls_test.c - certificates that are refused, and sessions with a client
 * of GnuTLS over memory.
 */
#include "server/tls.h"

#include <errno.h>
#include <gnutls/crypto.h>
#include <gnutls/gnutls.h>
#include <gnutls/x509.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "base/check.h"
#include "server/setup.h"
#include "server/setup_rig.h"

#define DAY_S 86400

const struct module *const modules_builtin[] = {NULL};

static struct arena *arena;
static char folder[] = "/tmp/tls_test.XXXXXX";

/* A host by its U-labels, as SNI has them. */
#define BOOKS "xn--bcher-kva.example"

/* --- certificates --------------------------------------------------------- */

static struct str
path_of(const char *name, const char *end)
{
	return str_format(arena, "%s/%s.%s", folder, name, end);
}

static void
keep(struct str path, const gnutls_datum_t *pem)
{
	FILE *file = fopen(path.text, "w");

	CHECK(file != NULL);
	CHECK(fwrite(pem->data, 1, pem->size, file) == pem->size);
	fclose(file);
	gnutls_free(pem->data);
}

static void
make_certificate(const char *name, int64_t from_s, int64_t to_s)
{
	gnutls_x509_privkey_t key;
	gnutls_x509_crt_t crt;
	gnutls_datum_t pem;
	time_t now_s = time(NULL);

	CHECK(gnutls_x509_privkey_init(&key) == 0);
	CHECK(gnutls_x509_privkey_generate(key, GNUTLS_PK_ECDSA,
		  GNUTLS_CURVE_TO_BITS(GNUTLS_ECC_CURVE_SECP256R1), 0) == 0);
	CHECK(gnutls_x509_crt_init(&crt) == 0);
	gnutls_x509_crt_set_version(crt, 3);
	gnutls_x509_crt_set_serial(crt, "\1", 1);
	gnutls_x509_crt_set_key(crt, key);
	CHECK(gnutls_x509_crt_set_dn_by_oid(crt, GNUTLS_OID_X520_COMMON_NAME, 0,
		  name, (unsigned)strlen(name)) == 0);
	gnutls_x509_crt_set_activation_time(crt, now_s + from_s);
	gnutls_x509_crt_set_expiration_time(crt, now_s + to_s);
	gnutls_x509_crt_set_subject_alt_name(crt, GNUTLS_SAN_DNSNAME, name,
	    (unsigned)strlen(name), GNUTLS_FSAN_SET);
	CHECK(gnutls_x509_crt_sign2(crt, crt, key, GNUTLS_DIG_SHA384, 0) == 0);
	CHECK(gnutls_x509_crt_export2(crt, GNUTLS_X509_FMT_PEM, &pem) == 0);
	keep(path_of(name, "pem"), &pem);
	CHECK(gnutls_x509_privkey_export2(key, GNUTLS_X509_FMT_PEM, &pem) == 0);
	keep(path_of(name, "key"), &pem);
	gnutls_x509_crt_deinit(crt);
	gnutls_x509_privkey_deinit(key);
}

static const struct {
	const char *certificate, *key, *why;
} refused[] = {
    {"elsewhere.pem", "one.example.key", "No such file"},
    {"one.example.pem", "elsewhere.key", "No such file"},
    {"one.example.key", "one.example.key", "no certificate"},
    {"one.example.pem", "two.example.key", "is not that of"},
    {"over.example.pem", "over.example.key", "expired on"},
    {"early.example.pem", "early.example.key", "is valid from"},
    {"", "one.example.key", "no certificate is configured"},
    {"one.example.pem", "", "no key is configured"},
};

static struct str
in_folder(const char *name)
{
	return *name == '\0' ? STR_NONE
			     : str_format(arena, "%s/%s", folder, name);
}

static void
certificates_that_will_not_do_are_refused(void **state)
{
	struct tls_identity *identity;
	struct str why;

	for (size_t i = 0; i < sizeof(refused) / sizeof(refused[0]); i++) {
		why = STR_NONE;
		CHECK(
		    tls_identity_load(arena, in_folder(refused[i].certificate),
			in_folder(refused[i].key), &why) == NULL);
		if (strstr(why.text, refused[i].why) == NULL)
			print_error("%s\n", why.text);
		CHECK(strstr(why.text, refused[i].why) != NULL);
	}
	identity = tls_identity_load(arena, in_folder("one.example.pem"),
	    in_folder("one.example.key"), &why);
	CHECK(identity != NULL);
	CHECK(tls_identity_is_for(identity, STR("one.example")));
	CHECK(!tls_identity_is_for(identity, STR("two.example")));
	CHECK(!tls_identity_trust(
	    identity, arena, in_folder("one.example.key"), &why));
	CHECK(tls_identity_trust(
	    identity, arena, in_folder("one.example.pem"), &why));
	tls_identity_free(&identity);
	CHECK(identity == NULL);
}

/* --- sessions ------------------------------------------------------------- */

static struct setup *setup;
static gnutls_certificate_credentials_t credentials;

struct pair {
	struct tls *server;
	gnutls_session_t client;
	struct buf to_client, to_server;
	size_t taken; /* of to_client */
	bool is_client_done;
};

static ssize_t
push(gnutls_transport_ptr_t transport, const void *bytes, size_t len)
{
	struct pair *pair = transport;

	buf_add(&pair->to_server, (struct str){bytes, len});
	return (ssize_t)len;
}

static ssize_t
pull(gnutls_transport_ptr_t transport, void *bytes, size_t len)
{
	struct pair *pair = transport;
	size_t left = pair->to_client.len - pair->taken;

	if (left == 0) {
		gnutls_transport_set_errno(pair->client, EAGAIN);
		return -1;
	}
	if (len > left)
		len = left;
	memcpy(bytes, pair->to_client.text + pair->taken, len);
	pair->taken += len;
	return (ssize_t)len;
}

static void
open_pair(
    struct pair *pair, const char *sni, const char *alpn, const char *priority)
{
	const struct tls_options options = {.setup = setup, .is_direct = true};
	gnutls_datum_t protocol = {
	    (unsigned char *)alpn, alpn == NULL ? 0 : (unsigned)strlen(alpn)};

	*pair = (struct pair){0};
	pair->server = tls_new(&options, &pair->to_client);
	CHECK(gnutls_init(&pair->client, GNUTLS_CLIENT | GNUTLS_NONBLOCK |
					     GNUTLS_FORCE_CLIENT_CERT) == 0);
	CHECK(gnutls_priority_set_direct(pair->client, priority, NULL) == 0);
	gnutls_credentials_set(
	    pair->client, GNUTLS_CRD_CERTIFICATE, credentials);
	if (sni != NULL)
		gnutls_server_name_set(
		    pair->client, GNUTLS_NAME_DNS, sni, strlen(sni));
	if (alpn != NULL)
		gnutls_alpn_set_protocols(pair->client, &protocol, 1, 0);
	gnutls_transport_set_ptr(pair->client, pair);
	gnutls_transport_set_push_function(pair->client, push);
	gnutls_transport_set_pull_function(pair->client, pull);
}

static void
close_pair(struct pair *pair)
{
	tls_free(&pair->server);
	gnutls_deinit(pair->client);
	buf_deinit(&pair->to_client);
	buf_deinit(&pair->to_server);
}

/* On a complete session it would begin another handshake. */
static void
client_shakes(struct pair *pair)
{
	if (!pair->is_client_done)
		pair->is_client_done = gnutls_handshake(pair->client) == 0;
}

/* The server gets its bytes one by one. */
static enum tls_result
shake_hands(struct pair *pair, const char **why)
{
	enum tls_result result = TLS_WANTS_MORE;

	for (unsigned i = 0; i < 8 && result == TLS_WANTS_MORE; i++) {
		client_shakes(pair);
		for (size_t at = 0;
		    at < pair->to_server.len && result == TLS_WANTS_MORE;
		    at++) {
			tls_feed(pair->server,
			    (struct str){pair->to_server.text + at, 1});
			result = tls_handshake(pair->server, why);
		}
		buf_clear(&pair->to_server, 0);
	}
	if (result == TLS_DONE)
		client_shakes(pair);
	return result;
}

/* Tickets come first. */
static ssize_t
client_read(struct pair *pair, char *plain, size_t room)
{
	ssize_t len = GNUTLS_E_AGAIN;

	for (unsigned i = 0; i < 8 && len == GNUTLS_E_AGAIN; i++)
		len = gnutls_record_recv(pair->client, plain, room);
	return len;
}

/* Something in each direction; this is also when tickets come. */
static void
talk(struct pair *pair)
{
	char plain[64];
	const char *why;
	size_t len = 0;

	CHECK(tls_write(pair->server, STR("from the server")));
	CHECK_EQUAL(client_read(pair, plain, sizeof(plain)), 15);
	CHECK_EQUAL(gnutls_record_send(pair->client, "hello", 5), 5);
	tls_feed(pair->server, buf_str(&pair->to_server));
	CHECK_EQUAL(
	    tls_read(pair->server, plain, sizeof(plain), &len, &why), TLS_DONE);
	CHECK_STR(((struct str){plain, len}), "hello");
	CHECK_EQUAL(tls_read(pair->server, plain, sizeof(plain), &len, &why),
	    TLS_WANTS_MORE);
	buf_clear(&pair->to_server, 0);
}

static bool
shows_certificate_of(struct pair *pair, const char *name)
{
	unsigned count;
	const gnutls_datum_t *der =
	    gnutls_certificate_get_peers(pair->client, &count);
	gnutls_x509_crt_t crt;
	bool is_it;

	CHECK(der != NULL);
	CHECK(gnutls_x509_crt_init(&crt) == 0);
	CHECK(gnutls_x509_crt_import(crt, der, GNUTLS_X509_FMT_DER) == 0);
	is_it = gnutls_x509_crt_check_hostname(crt, name) != 0;
	gnutls_x509_crt_deinit(crt);
	return is_it;
}

/* The hash of the certificate by that of its signature: SHA-384 here. */
static void
check_end_point(struct pair *pair)
{
	unsigned count;
	uint8_t hash[48];
	struct str data;
	const gnutls_datum_t *der =
	    gnutls_certificate_get_peers(pair->client, &count);

	CHECK(gnutls_hash_fast(GNUTLS_DIG_SHA384, der->data, der->size, hash) ==
	      0);
	CHECK(tls_end_point(pair->server, arena, &data));
	CHECK_EQUAL(data.len, sizeof(hash));
	CHECK(memcmp(data.text, hash, sizeof(hash)) == 0);
}

static const struct {
	const char *sni, *alpn, *priority, *certificate;
} sessions[] = {
    {"one.example", "xmpp-client", "NORMAL", "one.example"},
    {"two.example", "xmpp-client", "NORMAL", "two.example"},
    {"two.example", NULL, "NORMAL:-VERS-ALL:+VERS-TLS1.2", "two.example"},
    {BOOKS, "xmpp-client", "NORMAL", BOOKS},
    {"elsewhere.example", NULL, "NORMAL", "one.example"},
    {NULL, NULL, "NORMAL", "one.example"},
};

static void
sessions_show_the_certificate_and_bind(void **state)
{
	static const char label[] = "EXPORTER-Channel-Binding";
	struct pair pair;
	const char *why = NULL;
	char ours[32], theirs[32];
	struct str data;

	for (size_t i = 0; i < sizeof(sessions) / sizeof(sessions[0]); i++) {
		open_pair(&pair, sessions[i].sni, sessions[i].alpn,
		    sessions[i].priority);
		CHECK_EQUAL(shake_hands(&pair, &why), TLS_DONE);
		talk(&pair);
		CHECK(shows_certificate_of(&pair, sessions[i].certificate));
		check_end_point(&pair);
		CHECK(tls_has_exporter(pair.server));
		CHECK(tls_exporter(pair.server, (uint8_t *)ours));
		CHECK(gnutls_prf_rfc5705(pair.client, sizeof(label) - 1, label,
			  0, "", 32, theirs) == 0);
		CHECK(memcmp(ours, theirs, 32) == 0);
		CHECK(!tls_peer_certificate(pair.server,
		    setup_default_host(setup)->identity, arena, &data));
		data = tls_sni(pair.server, arena);
		CHECK(str_equal(data, str_of(sessions[i].sni)));
		close_pair(&pair);
	}
}

static const struct {
	const char *alpn, *priority;
} failing[] = {
    {"http/1.1", "NORMAL"},
    {NULL, "NORMAL:-VERS-ALL:+VERS-TLS1.1"},
    {NULL, "NORMAL:-CIPHER-ALL:+AES-128-CBC:-VERS-ALL:+VERS-TLS1.2"},
};

static void
what_is_not_spoken_is_refused(void **state)
{
	struct pair pair;
	const char *why;

	for (size_t i = 0; i < sizeof(failing) / sizeof(failing[0]); i++) {
		open_pair(&pair, NULL, failing[i].alpn, failing[i].priority);
		why = NULL;
		CHECK_EQUAL(shake_hands(&pair, &why), TLS_FAILED);
		CHECK(why != NULL);
		/* The client is told, by an alert. */
		CHECK(pair.to_client.len > pair.taken);
		close_pair(&pair);
	}
}

static void
a_ticket_resumes_a_session(void **state)
{
	static const char *const versions[] = {
	    "NORMAL", "NORMAL:-VERS-ALL:+VERS-TLS1.2"};

	for (size_t i = 0; i < 2; i++) {
		gnutls_datum_t session;
		struct pair pair;
		const char *why;

		open_pair(&pair, "two.example", NULL, versions[i]);
		CHECK_EQUAL(shake_hands(&pair, &why), TLS_DONE);
		talk(&pair);
		CHECK(gnutls_session_get_data2(pair.client, &session) == 0);
		close_pair(&pair);
		open_pair(&pair, "two.example", NULL, versions[i]);
		gnutls_session_set_data(
		    pair.client, session.data, session.size);
		gnutls_free(session.data);
		CHECK_EQUAL(shake_hands(&pair, &why), TLS_DONE);
		talk(&pair);
		CHECK(gnutls_session_is_resumed(pair.client) != 0);
		check_end_point(&pair);
		close_pair(&pair);
	}
}

static void
a_goodbye_is_heard(void **state)
{
	struct pair pair;
	const char *why;
	char plain[64];
	size_t len;

	open_pair(&pair, NULL, NULL, "NORMAL");
	CHECK_EQUAL(shake_hands(&pair, &why), TLS_DONE);
	talk(&pair);
	tls_bye(pair.server);
	CHECK_EQUAL(client_read(&pair, plain, sizeof(plain)), 0);
	(void)gnutls_bye(pair.client, GNUTLS_SHUT_WR);
	tls_feed(pair.server, buf_str(&pair.to_server));
	CHECK_EQUAL(tls_read(pair.server, plain, sizeof(plain), &len, &why),
	    TLS_CLOSED);
	close_pair(&pair);
}

/* --- certificates of clients ---------------------------------------------- */

#define TRUSTING     "{certificate: %s/two.example.pem, key: %s/two.example.key"
#define TRUSTS(name) ", auth: {client_authorities: %s/" name ".pem}}\n"

/* Three hosts: two with authorities of their own, one without. */
static struct setup *
make_trusting(void)
{
	const char *at = folder;
	struct str why,
	    text = str_format(arena,
		"hosts:\n"
		"  one.example: " TRUSTING
		    TRUSTS("one.example") "  two.example: " TRUSTING TRUSTS(
			"two.example") "  none.example: " TRUSTING "}\n",
		at, at, at, at, at, at, at, at);
	struct setup *made =
	    setup_rig(arena, text.text, modules_builtin, true, &why);

	CHECK(made != NULL);
	return made;
}

/* What the certificate of one.example is worth at that host, to a client whose
 * handshake was with another. */
static enum client_proof
worth_at(const char *sni, const char *name)
{
	struct pair pair;
	const char *why;
	struct str der;
	enum client_proof proof;

	open_pair(&pair, sni, NULL, "NORMAL");
	CHECK_EQUAL(shake_hands(&pair, &why), TLS_DONE);
	proof = tls_peer_certificate(pair.server,
	    setup_host(setup, str_of(name))->identity, arena, &der);
	close_pair(&pair);
	return proof;
}

/* The name in the handshake need not be that of the stream: who may vouch for
 * one host's accounts may not vouch for another's. */
static void
each_host_has_its_own_authorities(void **state)
{
	struct setup *before = setup;

	setup = make_trusting();
	CHECK(
	    gnutls_certificate_set_x509_key_file(credentials,
		path_of("one.example", "pem").text,
		path_of("one.example", "key").text, GNUTLS_X509_FMT_PEM) >= 0);
	CHECK_EQUAL(worth_at("one.example", "one.example"), CLIENT_PROVED);
	CHECK_EQUAL(worth_at("one.example", "two.example"), CLIENT_UNKNOWN);
	CHECK_EQUAL(worth_at("one.example", "none.example"), CLIENT_UNPROVED);
	CHECK_EQUAL(worth_at("two.example", "one.example"), CLIENT_PROVED);
	CHECK_EQUAL(worth_at("none.example", "one.example"), CLIENT_UNPROVED);
	gnutls_certificate_free_keys(credentials);
	setup_unref(&setup);
	setup = before;
}

/* --- between servers ------------------------------------------------------ */

struct link_of_two {
	struct tls *ours, *theirs; /* client, server */
	struct buf to_ours, to_theirs;
	bool is_ours_done, is_theirs_done;
};

static const struct host *
host_of(const char *name)
{
	return name == NULL ? NULL : setup_host(setup, str_of(name));
}

static void
open_link(struct link_of_two *two, const struct tls_client_options *ours)
{
	const struct tls_options theirs = {
	    .setup = setup, .is_direct = true, .is_s2s = true};

	*two = (struct link_of_two){0};
	two->ours = tls_new_client(ours, &two->to_theirs);
	two->theirs = tls_new(&theirs, &two->to_ours);
}

static void
close_link(struct link_of_two *two)
{
	tls_free(&two->ours);
	tls_free(&two->theirs);
	buf_deinit(&two->to_ours);
	buf_deinit(&two->to_theirs);
}

static enum tls_result
step(struct tls *tls, struct buf *in, bool *is_done, const char **why)
{
	enum tls_result result;

	if (*is_done)
		return TLS_DONE;
	tls_feed(tls, buf_str(in));
	result = tls_handshake(tls, why);
	*is_done = result == TLS_DONE;
	if (!*is_done) /* else there may be records behind */
		buf_clear(in, 0);
	return result;
}

static bool
link_shakes_hands(struct link_of_two *two, const char **why)
{
	for (unsigned i = 0; i < 4; i++) {
		if (step(two->ours, &two->to_ours, &two->is_ours_done, why) ==
			TLS_FAILED ||
		    step(two->theirs, &two->to_theirs, &two->is_theirs_done,
			why) == TLS_FAILED)
			return false;
	}
	return two->is_ours_done && two->is_theirs_done;
}

static bool
is_certificate_of(const struct str *der, const char *name)
{
	const gnutls_datum_t bytes = {
	    (unsigned char *)der->text, (unsigned)der->len};
	gnutls_x509_crt_t crt;
	bool is_it;

	CHECK(gnutls_x509_crt_init(&crt) == 0);
	CHECK(gnutls_x509_crt_import(crt, &bytes, GNUTLS_X509_FMT_DER) == 0);
	is_it = gnutls_x509_crt_check_hostname(crt, name) != 0;
	gnutls_x509_crt_deinit(crt);
	return is_it;
}

static const struct {
	const char *host, *server_name, *alpn;
	size_t shown;            /* by the client */
	const char *certificate; /* of the server */
} links[] = {
    {"one.example", "two.example", "xmpp-server", 1, "two.example"},
    {"two.example", "one.example", NULL, 1, "one.example"},
    {NULL, "two.example", "xmpp-server", 0, "two.example"},
    {"two.example", "192.0.2.1", NULL, 1, "one.example"},
    {"two.example", "[2001:db8::1]", NULL, 1, "one.example"},
};

static void
servers_show_their_certificates(void **state)
{
	for (size_t i = 0; i < sizeof(links) / sizeof(links[0]); i++) {
		const struct tls_client_options options = {
		    .setup = setup,
		    .host = host_of(links[i].host),
		    .server_name = str_of(links[i].server_name),
		    .alpn = links[i].alpn,
		};
		struct link_of_two two;
		const struct str *ders = NULL;
		const char *why = NULL;
		struct str data;

		open_link(&two, &options);
		CHECK(link_shakes_hands(&two, &why));
		CHECK_EQUAL(tls_peer_chain(two.ours, arena, &ders), 1);
		CHECK(is_certificate_of(&ders[0], links[i].certificate));
		CHECK(!tls_end_point(two.ours, arena, &data));
		CHECK_EQUAL(
		    tls_peer_chain(two.theirs, arena, &ders), links[i].shown);
		if (links[i].shown > 0)
			CHECK(is_certificate_of(&ders[0], links[i].host));
		close_link(&two);
	}
}

static void
servers_do_not_speak_as_clients(void **state)
{
	const struct tls_client_options options = {.setup = setup,
	    .server_name = STR("one.example"),
	    .alpn = "xmpp-client"};
	struct link_of_two two;
	const char *why = NULL;

	open_link(&two, &options);
	CHECK(!link_shakes_hands(&two, &why));
	CHECK(why != NULL);
	close_link(&two);
}

/* --- what all share ------------------------------------------------------- */

static int
set_up(void **state)
{
	static const uint8_t secret[32] = {1};
	struct str text, why;

	arena = arena_make(0);
	CHECK(mkdtemp(folder) != NULL);
	make_certificate("one.example", -DAY_S, 100 * DAY_S);
	make_certificate("two.example", -DAY_S, 100 * DAY_S);
	make_certificate(BOOKS, -DAY_S, 100 * DAY_S);
	make_certificate("over.example", -2 * DAY_S, -DAY_S);
	make_certificate("early.example", DAY_S, 2 * DAY_S);
	text = str_format(arena,
	    "hosts:\n"
	    "  one.example: {certificate: %s/one.example.pem,"
	    " key: %s/one.example.key}\n"
	    "  two.example: {certificate: %s/two.example.pem,"
	    " key: %s/two.example.key}\n"
	    "  bücher.example: {certificate: %s/" BOOKS ".pem,"
	    " key: %s/" BOOKS ".key}\n",
	    folder, folder, folder, folder, folder, folder);
	setup = setup_rig(arena, text.text, modules_builtin, true, &why);
	CHECK(setup != NULL);
	gnutls_certificate_allocate_credentials(&credentials);
	tls_start(secret);
	return 0;
}

static int
tear_down(void **state)
{
	static const char *const names[] = {"one.example", "two.example", BOOKS,
	    "over.example", "early.example"};

	for (size_t i = 0; i < 5; i++) {
		unlink(path_of(names[i], "pem").text);
		unlink(path_of(names[i], "key").text);
	}
	rmdir(folder);
	setup_unref(&setup);
	gnutls_certificate_free_credentials(credentials);
	tls_stop();
	arena_free(&arena);
	return 0;
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(certificates_that_will_not_do_are_refused),
	    cmocka_unit_test(sessions_show_the_certificate_and_bind),
	    cmocka_unit_test(what_is_not_spoken_is_refused),
	    cmocka_unit_test(a_ticket_resumes_a_session),
	    cmocka_unit_test(a_goodbye_is_heard),
	    cmocka_unit_test(each_host_has_its_own_authorities),
	    cmocka_unit_test(servers_show_their_certificates),
	    cmocka_unit_test(servers_do_not_speak_as_clients),
	};

	return cmocka_run_group_tests_name("tls", tests, set_up, tear_down);
}

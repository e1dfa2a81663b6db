/*
 * server/sasl_test.c - mechanisms step by step, without a network.
 */
#include "server/sasl.h"

#include <gnutls/crypto.h>
#include <gnutls/gnutls.h>
#include <gnutls/x509.h>
#include <string.h>
#include <time.h>

#include "base/check.h"
#include "base/code.h"
#include "base/rand.h"
#include "server/scram.h"

#define PASSWORD  "Art thou not Romeo"
#define XMPP_ADDR "1.3.6.1.5.5.7.8.5"
#define MESSAGE(text) \
	((struct str){(text), sizeof(text) - 1}) /* may hold NUL */

static struct arena *arena;
static struct keys romeo, nobody;
static struct sasl_channel channel;

static int
set_up(void **state)
{
	static const uint8_t secret[32];

	arena = arena_make(0);
	keys_make(arena, STR(PASSWORD), 4096, &romeo);
	romeo.exists = true;
	nobody = (struct keys){.exists = false};
	keys_fill(arena, secret, STR("nobody@montague.example"),
	    &(struct key_counts){{4096, 4096, 4096}}, &nobody);
	channel = (struct sasl_channel){
	    .host = STR("montague.example"),
	    .is_secure = true,
	    .offers_plus = true,
	    .has_exporter = true,
	    .exporter = STR("0123456789abcdef0123456789abcdef"),
	};
	return 0;
}

static int
tear_down(void **state)
{
	arena_free(&arena);
	return 0;
}

static struct sasl
begin(void)
{
	return (struct sasl){.arena = arena, .channel = &channel};
}

static const struct sasl_mechanism *
named(const char *name)
{
	const struct sasl_mechanism *mechanism = sasl_find(str_of(name));

	CHECK(mechanism != NULL);
	return mechanism;
}

static const struct {
	struct str message;
	enum sasl_step step;
	enum sasl_err err;
} plains[] = {
    {MESSAGE("\0romeo\0" PASSWORD), SASL_ASK_KEYS, SASL_ERR_NONE},
    {MESSAGE("\0ROMEO\0" PASSWORD), SASL_ASK_KEYS, SASL_ERR_NONE},
    {MESSAGE("romeo@montague.example\0romeo\0" PASSWORD), SASL_ASK_KEYS,
	SASL_ERR_NONE},
    {MESSAGE("romeo@montague.example/orchard\0romeo\0" PASSWORD), SASL_FAILURE,
	SASL_ERR_INVALID_AUTHZID},
    {MESSAGE("juliet@montague.example\0romeo\0" PASSWORD), SASL_FAILURE,
	SASL_ERR_INVALID_AUTHZID},
    {MESSAGE("@@\0romeo\0" PASSWORD), SASL_FAILURE, SASL_ERR_INVALID_AUTHZID},
    {MESSAGE("\0romeo@montague.example\0" PASSWORD), SASL_FAILURE,
	SASL_ERR_NOT_AUTHORIZED},
    {MESSAGE("\0romeo\0\x01"), SASL_FAILURE, SASL_ERR_NOT_AUTHORIZED},
    {MESSAGE("romeo\0" PASSWORD), SASL_FAILURE, SASL_ERR_MALFORMED_REQUEST},
    {MESSAGE("\0romeo\0"), SASL_FAILURE, SASL_ERR_MALFORMED_REQUEST},
    {MESSAGE("\0\0" PASSWORD), SASL_FAILURE, SASL_ERR_MALFORMED_REQUEST},
    {MESSAGE("\0romeo\0a\0b"), SASL_FAILURE, SASL_ERR_MALFORMED_REQUEST},
    {MESSAGE("\0romeo\0\xff"), SASL_FAILURE, SASL_ERR_MALFORMED_REQUEST},
    {MESSAGE(""), SASL_FAILURE, SASL_ERR_MALFORMED_REQUEST},
};

static void
plain_messages_are_read_or_refused(void **state)
{
	for (size_t i = 0; i < sizeof(plains) / sizeof(plains[0]); i++) {
		struct sasl sasl = begin();
		enum sasl_step step =
		    sasl_start(&sasl, named("PLAIN"), plains[i].message);

		CHECK_EQUAL(step, plains[i].step);
		CHECK_EQUAL(sasl.err, plains[i].err);
		if (step == SASL_ASK_KEYS)
			CHECK_STR(jid_full(sasl.jid), "romeo@montague.example");
	}
}

static enum sasl_step
try_plain(struct sasl *sasl, const struct keys *keys, struct str message)
{
	enum sasl_step step;

	*sasl = begin();
	step = sasl_start(sasl, named("PLAIN"), message);
	CHECK_EQUAL(step, SASL_ASK_KEYS);
	step = sasl_take_keys(sasl, keys);
	if (step == SASL_CHECK_PASSWORD)
		step = sasl_take_check(
		    sasl, keys_match(sasl->keys, sasl->password));
	return step;
}

static void
a_password_is_proved_once(void **state)
{
	const struct str right = MESSAGE("\0romeo\0" PASSWORD);
	const struct str wrong = MESSAGE("\0romeo\0Wherefore");
	struct keys changed = romeo;
	struct sasl sasl = begin();

	CHECK_EQUAL(try_plain(&sasl, &romeo, wrong), SASL_FAILURE);
	CHECK_EQUAL(sasl.err, SASL_ERR_NOT_AUTHORIZED);
	CHECK_EQUAL(try_plain(&sasl, &romeo, right), SASL_SUCCESS);
	CHECK(sasl.out.text == NULL);

	/* The keyed hash is enough now, but for this password and keys only. */
	sasl = begin();
	(void)sasl_start(&sasl, named("PLAIN"), right);
	CHECK_EQUAL(sasl_take_keys(&sasl, &romeo), SASL_SUCCESS);
	sasl = begin();
	(void)sasl_start(&sasl, named("PLAIN"), wrong);
	CHECK_EQUAL(sasl_take_keys(&sasl, &romeo), SASL_CHECK_PASSWORD);
	keys_make(arena, STR(PASSWORD), 4096, &changed);
	sasl = begin();
	(void)sasl_start(&sasl, named("PLAIN"), right);
	CHECK_EQUAL(sasl_take_keys(&sasl, &changed), SASL_CHECK_PASSWORD);
}

static void
accounts_may_be_away_off_or_unknown(void **state)
{
	const struct str right = MESSAGE("\0romeo\0" PASSWORD);
	struct keys keys = romeo;
	struct sasl sasl = begin();

	keys.is_disabled = true;
	CHECK_EQUAL(try_plain(&sasl, &keys, right), SASL_FAILURE);
	CHECK_EQUAL(sasl.err, SASL_ERR_ACCOUNT_DISABLED);
	/* Who does not know the password is not told so. */
	CHECK_EQUAL(try_plain(&sasl, &keys, MESSAGE("\0romeo\0Wherefore")),
	    SASL_FAILURE);
	CHECK_EQUAL(sasl.err, SASL_ERR_NOT_AUTHORIZED);
	CHECK_EQUAL(try_plain(&sasl, &nobody, right), SASL_FAILURE);
	CHECK_EQUAL(sasl.err, SASL_ERR_NOT_AUTHORIZED);
	keys = (struct keys){.err = ERR_UNAVAILABLE};
	CHECK_EQUAL(try_plain(&sasl, &keys, right), SASL_FAILURE);
	CHECK_EQUAL(sasl.err, SASL_ERR_TEMPORARY_AUTH_FAILURE);
}

static void
nobody_speaks_for_another_than_the_header_said(void **state)
{
	struct sasl sasl = begin();

	channel.claimed = jid_parse(arena, STR("juliet@montague.example"));
	CHECK_EQUAL(
	    sasl_start(&sasl, named("PLAIN"), MESSAGE("\0romeo\0" PASSWORD)),
	    SASL_FAILURE);
	CHECK_EQUAL(sasl.err, SASL_ERR_INVALID_AUTHZID);
}

/* --- SCRAM ---------------------------------------------------------------- */

static struct str
mac(struct str key, struct str text)
{
	char *bytes = arena_text(arena, 32);

	CHECK(gnutls_hmac_fast(GNUTLS_MAC_SHA256, key.text, key.len, text.text,
		  text.len, bytes) == 0);
	return (struct str){bytes, 32};
}

/* What a client that knows the password answers. */
static struct str
answer(struct str bare, struct str challenge, struct str bound)
{
	const struct scram_keys *keys = &romeo.of[KEY_SHA256];
	gnutls_datum_t password = {
	    (unsigned char *)PASSWORD, sizeof(PASSWORD) - 1};
	gnutls_datum_t salt = {
	    (unsigned char *)keys->salt.text, (unsigned)keys->salt.len};
	char *salted = arena_text(arena, 32), *proof = arena_text(arena, 32);
	struct str nonce, rest, text, key, signature;

	CHECK(str_cut(challenge, ',', &nonce, &rest));
	CHECK(gnutls_pbkdf2(GNUTLS_MAC_SHA256, &password, &salt,
		  keys->iterations, salted, 32) == 0);
	bound = base64_encode(arena, bound);
	text = str_format(arena, "c=%.*s,%.*s", STR_ARG(bound), STR_ARG(nonce));
	key = mac((struct str){salted, 32}, STR("Client Key"));
	signature = mac(
	    keys->stored_key, str_format(arena, "%.*s,%.*s,%.*s", STR_ARG(bare),
				  STR_ARG(challenge), STR_ARG(text)));
	for (size_t i = 0; i < 32; i++)
		proof[i] = (char)(key.text[i] ^ signature.text[i]);
	key = base64_encode(arena, (struct str){proof, 32});
	return str_format(arena, "%.*s,p=%.*s", STR_ARG(text), STR_ARG(key));
}

static const struct {
	const char *mechanism, *header, *bound;
	enum sasl_step first, last;
	enum sasl_err err;
} scrams[] = {
    {"SCRAM-SHA-256", "n,,", "n,,", SASL_ASK_KEYS, SASL_SUCCESS, 0},
    {"SCRAM-SHA-256-PLUS", "p=tls-exporter,,",
	"p=tls-exporter,,0123456789abcdef0123456789abcdef", SASL_ASK_KEYS,
	SASL_SUCCESS, 0},
    /* Bound to another connection: somebody is in the middle. */
    {"SCRAM-SHA-256-PLUS", "p=tls-exporter,,",
	"p=tls-exporter,,another connection, 32 bytes long", SASL_ASK_KEYS,
	SASL_FAILURE, SASL_ERR_NOT_AUTHORIZED},
    /* Another header than that of the first message. */
    {"SCRAM-SHA-256", "n,,", "y,,", SASL_ASK_KEYS, SASL_FAILURE,
	SASL_ERR_NOT_AUTHORIZED},
    /* RFC 5802, section 6: we did offer -PLUS. */
    {"SCRAM-SHA-256", "y,,", "", SASL_FAILURE, 0, SASL_ERR_NOT_AUTHORIZED},
    {"SCRAM-SHA-256", "p=tls-exporter,,", "", SASL_FAILURE, 0,
	SASL_ERR_MALFORMED_REQUEST},
    {"SCRAM-SHA-256-PLUS", "n,,", "", SASL_FAILURE, 0,
	SASL_ERR_MALFORMED_REQUEST},
    {"SCRAM-SHA-256-PLUS", "p=tls-unique,,", "", SASL_FAILURE, 0,
	SASL_ERR_NOT_AUTHORIZED},
    {"SCRAM-SHA-256-PLUS", "p=tls-server-end-point,,", "", SASL_FAILURE, 0,
	SASL_ERR_NOT_AUTHORIZED},
};

static void
scram_binds_to_the_channel(void **state)
{
	const struct str bare = STR("n=romeo,r=fyko+d2lbbFgONRv9qkxdawL");

	for (size_t i = 0; i < sizeof(scrams) / sizeof(scrams[0]); i++) {
		struct sasl sasl = begin();
		enum sasl_step step =
		    sasl_start(&sasl, named(scrams[i].mechanism),
			str_join2(arena, str_of(scrams[i].header), bare));

		CHECK_EQUAL(step, scrams[i].first);
		if (step == SASL_ASK_KEYS) {
			CHECK_EQUAL(
			    sasl_take_keys(&sasl, &romeo), SASL_CHALLENGE);
			step = sasl_take(&sasl,
			    answer(bare, sasl.out, str_of(scrams[i].bound)));
			CHECK_EQUAL(step, scrams[i].last);
		}
		CHECK_EQUAL(sasl.err, scrams[i].err);
	}
}

/* RFC 5802, section 5.1: whatever the server prepares it to. */
static void
scram_hashes_the_name_as_it_came(void **state)
{
	const struct str bare = STR("n=ROMEO,r=fyko+d2lbbFgONRv9qkxdawL");
	struct sasl sasl = begin();

	CHECK_EQUAL(sasl_start(&sasl, named("SCRAM-SHA-256"),
			str_join2(arena, STR("n,,"), bare)),
	    SASL_ASK_KEYS);
	CHECK_STR(jid_full(sasl.jid), "romeo@montague.example");
	CHECK_EQUAL(sasl_take_keys(&sasl, &romeo), SASL_CHALLENGE);
	CHECK_EQUAL(
	    sasl_take(&sasl, answer(bare, sasl.out, STR("n,,"))), SASL_SUCCESS);
}

static void
scram_tells_nobody_who_exists(void **state)
{
	const struct str bare = STR("n=nobody,r=fyko+d2lbbFgONRv9qkxdawL");
	struct sasl sasl = begin();

	CHECK_EQUAL(sasl_start(&sasl, named("SCRAM-SHA-256"),
			str_join2(arena, STR("n,,"), bare)),
	    SASL_ASK_KEYS);
	CHECK_EQUAL(sasl_take_keys(&sasl, &nobody), SASL_CHALLENGE);
	CHECK_EQUAL(
	    sasl_take(&sasl, answer(bare, sasl.out, STR("n,,"))), SASL_FAILURE);
	CHECK_EQUAL(sasl.err, SASL_ERR_NOT_AUTHORIZED);
}

static void
mechanisms_need_their_channel(void **state)
{
	CHECK(sasl_fits(named("SCRAM-SHA-1-PLUS"), &channel));
	CHECK(sasl_fits(named("PLAIN"), &channel));
	CHECK(!sasl_fits(named("EXTERNAL"), &channel));
	channel.has_exporter = false;
	channel.exporter = STR_NONE;
	CHECK(!sasl_fits(named("SCRAM-SHA-1-PLUS"), &channel));
	channel.end_point = STR("hash");
	CHECK(sasl_fits(named("SCRAM-SHA-1-PLUS"), &channel));
	channel.certificate = STR("no certificate");
	CHECK(sasl_fits(named("EXTERNAL"), &channel));
	channel.is_secure = false;
	CHECK(!sasl_fits(named("PLAIN"), &channel));
	CHECK(sasl_fits(named("SCRAM-SHA-1"), &channel));
	CHECK(sasl_find(STR("plain")) == NULL);
	CHECK(sasl_find(STR_NONE) == NULL);
}

static void
who_says_nothing_first_is_asked(void **state)
{
	for (size_t i = 0; sasl_mechanisms[i].name != NULL; i++) {
		struct sasl sasl = begin();
		enum sasl_step step =
		    sasl_start(&sasl, &sasl_mechanisms[i], STR_NONE);

		CHECK_EQUAL(step, sasl_mechanisms[i].client_first
				      ? SASL_CHALLENGE
				      : SASL_SUCCESS);
		CHECK(sasl.out.len == 0);
	}
}

static void
what_is_no_certificate_names_nobody(void **state)
{
	struct sasl sasl = begin();

	channel.certificate = STR("no certificate");
	CHECK_EQUAL(
	    sasl_start(&sasl, named("EXTERNAL"), STR("")), SASL_FAILURE);
	CHECK_EQUAL(sasl.err, SASL_ERR_NOT_AUTHORIZED);
	CHECK_EQUAL(
	    sasl_start(&sasl, named("EXTERNAL"), STR("romeo@montague.example")),
	    SASL_FAILURE);
	CHECK_EQUAL(sasl.err, SASL_ERR_INVALID_AUTHZID);
}

/* Of its own authority, with an xmppAddr for each. */
static struct str
certificate_for(const char *one, const char *two)
{
	const char *const names[] = {one, two};
	gnutls_x509_privkey_t key;
	gnutls_x509_crt_t crt;
	gnutls_datum_t der;
	struct str copy;

	CHECK(gnutls_x509_privkey_init(&key) == 0);
	CHECK(gnutls_x509_privkey_generate(key, GNUTLS_PK_ECDSA,
		  GNUTLS_CURVE_TO_BITS(GNUTLS_ECC_CURVE_SECP256R1), 0) == 0);
	CHECK(gnutls_x509_crt_init(&crt) == 0);
	gnutls_x509_crt_set_version(crt, 3);
	gnutls_x509_crt_set_serial(crt, "\1", 1);
	gnutls_x509_crt_set_key(crt, key);
	gnutls_x509_crt_set_activation_time(crt, time(NULL));
	gnutls_x509_crt_set_expiration_time(crt, time(NULL) + 3600);
	for (size_t i = 0; i < 2; i++)
		CHECK(gnutls_x509_crt_set_subject_alt_othername(crt, XMPP_ADDR,
			  names[i], (unsigned)strlen(names[i]),
			  GNUTLS_FSAN_APPEND |
			      GNUTLS_FSAN_ENCODE_UTF8_STRING) == 0);
	CHECK(gnutls_x509_crt_sign2(crt, crt, key, GNUTLS_DIG_SHA256, 0) == 0);
	CHECK(gnutls_x509_crt_export2(crt, GNUTLS_X509_FMT_DER, &der) == 0);
	copy = (struct str){arena_dup(arena, der.data, der.size), der.size};
	gnutls_free(der.data);
	gnutls_x509_crt_deinit(crt);
	gnutls_x509_privkey_deinit(key);
	return copy;
}

static const struct {
	const char *authzid, *claimed;
	const char *chosen; /* NULL: nobody */
} choices[] = {
    {"juliet@montague.example", NULL, "juliet@montague.example"},
    {"", "juliet@montague.example", "juliet@montague.example"},
    {"", "romeo@montague.example/orchard", "romeo@montague.example"},
    {"juliet@montague.example", "juliet@montague.example",
	"juliet@montague.example"},
    {"juliet@montague.example", "romeo@montague.example", NULL},
    {"", "nurse@montague.example", NULL},
    {"nurse@montague.example", NULL, NULL},
    {"", NULL, NULL},
};

static void
of_two_accounts_in_a_certificate_one_is_chosen(void **state)
{
	channel.certificate = certificate_for(
	    "romeo@montague.example", "juliet@montague.example");
	for (size_t i = 0; i < sizeof(choices) / sizeof(choices[0]); i++) {
		struct sasl sasl = begin();
		enum sasl_step step;

		channel.claimed = jid_parse(arena, str_of(choices[i].claimed));
		step = sasl_start(
		    &sasl, named("EXTERNAL"), str_of(choices[i].authzid));
		if (choices[i].chosen == NULL) {
			CHECK_EQUAL(step, SASL_FAILURE);
			CHECK_EQUAL(sasl.err, SASL_ERR_INVALID_AUTHZID);
			continue;
		}
		CHECK_EQUAL(step, SASL_ASK_KEYS);
		CHECK_STR(jid_full(sasl.jid), choices[i].chosen);
	}
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(plain_messages_are_read_or_refused),
		TEST(a_password_is_proved_once),
		TEST(accounts_may_be_away_off_or_unknown),
		TEST(nobody_speaks_for_another_than_the_header_said),
		TEST(scram_binds_to_the_channel),
		TEST(scram_hashes_the_name_as_it_came),
		TEST(scram_tells_nobody_who_exists),
		TEST(mechanisms_need_their_channel),
		TEST(who_says_nothing_first_is_asked),
		TEST(what_is_no_certificate_names_nobody),
		TEST(of_two_accounts_in_a_certificate_one_is_chosen),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

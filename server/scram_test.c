/*
 * server/scram_test.c - the examples of RFC 5802, section 5, and RFC 7677,
 * section 3, and messages that are none.
 */
#include "server/scram.h"

#include <gnutls/crypto.h>
#include <gnutls/gnutls.h>

#include "base/check_arena.h"
#include "base/code.h"

/* The exchange of the user "user" with the password "pencil". */
static const struct exchange {
	enum key_hash hash;
	gnutls_mac_algorithm_t mac;
	gnutls_digest_algorithm_t digest;
	const char *salt, *first, *server_first, *final, *signature;
} exchanges[] = {
    {KEY_SHA1, GNUTLS_MAC_SHA1, GNUTLS_DIG_SHA1, "QSXCR+Q6sek8bf92",
	"n,,n=user,r=fyko+d2lbbFgONRv9qkxdawL",
	"r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j,"
	"s=QSXCR+Q6sek8bf92,i=4096",
	"c=biws,r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j,"
	"p=v0X8v3Bz2T0CJGbJQyF0X+HI4Ts=",
	"v=rmF9pqV8S7suAoZWja4dJRkFsKQ="},
    {KEY_SHA256, GNUTLS_MAC_SHA256, GNUTLS_DIG_SHA256,
	"W22ZaJ0SNY7soEsUEjb6gQ==", "n,,n=user,r=rOprNGfwEbeRWgbNEkqO",
	"r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,"
	"s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096",
	"c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,"
	"p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=",
	"v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4="},
};

static struct str
hmac(const struct exchange *exchange, struct str key, const char *text)
{
	size_t len = scram_hash_len(exchange->hash);
	char *mac = arena_text(arena, len);

	CHECK(gnutls_hmac_fast(exchange->mac, key.text, key.len, text,
		  strlen(text), mac) == 0);
	return (struct str){mac, len};
}

static struct scram_keys
keys_of(const struct exchange *exchange)
{
	struct scram_keys keys = {.iterations = 4096};
	size_t len = scram_hash_len(exchange->hash);
	char *salted = arena_text(arena, len), *stored = arena_text(arena, len);
	struct str client_key;
	gnutls_datum_t password = {(unsigned char *)"pencil", 6}, salt;

	CHECK(base64_decode(arena, str_of(exchange->salt), &keys.salt));
	salt.data = (unsigned char *)keys.salt.text;
	salt.size = (unsigned)keys.salt.len;
	CHECK(gnutls_pbkdf2(exchange->mac, &password, &salt, keys.iterations,
		  salted, len) == 0);
	client_key = hmac(exchange, (struct str){salted, len}, "Client Key");
	CHECK(gnutls_hash_fast(
		  exchange->digest, client_key.text, len, stored) == 0);
	keys.stored_key = (struct str){stored, len};
	keys.server_key =
	    hmac(exchange, (struct str){salted, len}, "Server Key");
	return keys;
}

static void
the_examples_of_the_rfcs_are_proved(void **state)
{
	for (size_t i = 0; i < sizeof(exchanges) / sizeof(exchanges[0]); i++) {
		const struct exchange *exchange = &exchanges[i];
		struct scram_keys keys = keys_of(exchange);
		struct scram_first first;
		struct scram_final final;
		struct str message;

		CHECK(scram_read_first(arena, str_of(exchange->first), &first));
		CHECK_STR(first.user, "user");
		CHECK_STR(first.gs2_header, "n,,");
		CHECK(scram_read_final(arena, str_of(exchange->final), &final));
		CHECK_STR(final.binding, "n,,");
		message = str_format(arena, "%.*s,%s,%.*s", STR_ARG(first.bare),
		    exchange->server_first, STR_ARG(final.without_proof));
		CHECK(
		    scram_proves(exchange->hash, &keys, message, final.proof));
		CHECK_STR(
		    scram_signature(arena, exchange->hash, &keys, message),
		    exchange->signature);
		((char *) final.proof.text)[0] ^= 1;
		CHECK(
		    !scram_proves(exchange->hash, &keys, message, final.proof));
		final.proof.len--;
		CHECK(
		    !scram_proves(exchange->hash, &keys, message, final.proof));
	}
}

static const struct {
	const char *message;
	bool is_good;
	enum scram_binding flag;
	const char *binding, *authzid, *user, *nonce, *header;
} firsts[] = {
    {"y,,n=u,r=n", true, SCRAM_BINDING_UNUSED, NULL, NULL, "u", "n", "y,,"},
    {"p=tls-exporter,,n=u,r=n", true, SCRAM_BINDING, "tls-exporter", NULL, "u",
	"n", "p=tls-exporter,,"},
    {"n,a=a=2Cb=3D,n=u=3D=2C,r=n,x=y", true, SCRAM_BINDING_NONE, NULL,
	"a,b=", "u=,", "n", "n,a=a=2Cb=3D,"},
    {.message = ""},
    {.message = "n"},
    {.message = "n,"},
    {.message = "n,,"},
    {.message = "n,,n=u"},
    {.message = "n,,r=n,n=u"},
    {.message = "n,,n=,r=n"},
    {.message = "n,,n=u,r="},
    {.message = "n,,n=u,r=a b"},
    {.message = "n,,n=u,r=\xc3\xa9"},
    {.message = "n,,n=u=2c,r=n"},
    {.message = "n,,n=u=,r=n"},
    {.message = "n,,n=u=2,r=n"},
    {.message = "n,,n=\xff,r=n"},
    {.message = "n,,m=must,n=u,r=n"},
    {.message = "n,b=x,n=u,r=n"},
    {.message = "p,,n=u,r=n"},
    {.message = "p=,,n=u,r=n"},
    {.message = "x,,n=u,r=n"},
    {.message = "nn,,n=u,r=n"},
};

static void
first_messages_are_read_or_refused(void **state)
{
	for (size_t i = 0; i < sizeof(firsts) / sizeof(firsts[0]); i++) {
		struct scram_first first;
		bool is_good =
		    scram_read_first(arena, str_of(firsts[i].message), &first);

		if (is_good != firsts[i].is_good)
			print_error("%s\n", firsts[i].message);
		CHECK_EQUAL(is_good, firsts[i].is_good);
		if (!is_good)
			continue;
		CHECK_EQUAL(first.flag, firsts[i].flag);
		CHECK(str_equal(first.binding, str_of(firsts[i].binding)));
		CHECK(str_equal(first.authzid, str_of(firsts[i].authzid)));
		CHECK_STR(first.user, firsts[i].user);
		CHECK_STR(first.nonce, firsts[i].nonce);
		CHECK_STR(first.gs2_header, firsts[i].header);
	}
}

static void
final_messages_that_are_none_are_refused(void **state)
{
	static const char *const finals[] = {
	    "",
	    "c=biws",
	    "c=biws,r=n",
	    "c=biws,p=AAAA",
	    "r=n,c=biws,p=AAAA",
	    "c=biws,r=n,p=",
	    "c=biws,r=n,p=A",
	    "c=bi ws,r=n,p=AAAA",
	    "c=biws,r=n,p=AAAA,x=y",
	    "m=x,c=biws,r=n,p=AAAA",
	    "c=biws,r=\xff,p=AAAA",
	};
	struct scram_final final;

	for (size_t i = 0; i < sizeof(finals) / sizeof(finals[0]); i++) {
		bool is_good =
		    scram_read_final(arena, str_of(finals[i]), &final);

		/* An empty proof is read, and proves nothing. */
		CHECK(!is_good || final.proof.len == 0);
	}
	CHECK(scram_read_final(arena, STR("c=biws,r=n,x=y,p=AAAA"), &final));
	CHECK_STR(final.without_proof, "c=biws,r=n,x=y");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(the_examples_of_the_rfcs_are_proved),
	    cmocka_unit_test(first_messages_are_read_or_refused),
	    cmocka_unit_test(final_messages_that_are_none_are_refused),
	};

	return cmocka_run_group_tests(
	    tests, check_arena_make, check_arena_free);
}

/*
 * server/guess_test.c - what a stranger learns by guessing: nobody is told from
 * somebody whose password is another, neither by words nor by the work done.
 */
#include <gnutls/crypto.h>
#include <gnutls/gnutls.h>
#include <string.h>

#include "base/check.h"
#include "base/code.h"
#include "base/str.h"
#include "server/module.h"
#include "server/world.h"

#define NS_SASL "xmlns='urn:ietf:params:xml:ns:xmpp-sasl'"
#define GUESSES 4

const struct module *const modules_builtin[] = {NULL};

/* --- the work ------------------------------------------------------------- */

/* Time is the machine's business; these are what it goes into. */
static struct work {
	uint64_t iterations, macs, mac_bytes, hashes, hash_bytes;
} work;

int __real_gnutls_pbkdf2(gnutls_mac_algorithm_t, const gnutls_datum_t *,
    const gnutls_datum_t *, unsigned, void *, size_t);
int __wrap_gnutls_pbkdf2(gnutls_mac_algorithm_t, const gnutls_datum_t *,
    const gnutls_datum_t *, unsigned, void *, size_t);
int __real_gnutls_hmac_fast(
    gnutls_mac_algorithm_t, const void *, size_t, const void *, size_t, void *);
int __wrap_gnutls_hmac_fast(
    gnutls_mac_algorithm_t, const void *, size_t, const void *, size_t, void *);
int __real_gnutls_hmac(gnutls_hmac_hd_t, const void *, size_t);
int __wrap_gnutls_hmac(gnutls_hmac_hd_t, const void *, size_t);
int __real_gnutls_hash_fast(
    gnutls_digest_algorithm_t, const void *, size_t, void *);
int __wrap_gnutls_hash_fast(
    gnutls_digest_algorithm_t, const void *, size_t, void *);

int
__wrap_gnutls_pbkdf2(gnutls_mac_algorithm_t mac, const gnutls_datum_t *key,
    const gnutls_datum_t *salt, unsigned iterations, void *made, size_t len)
{
	work.iterations += iterations;
	return __real_gnutls_pbkdf2(mac, key, salt, iterations, made, len);
}

int
__wrap_gnutls_hmac_fast(gnutls_mac_algorithm_t mac, const void *key,
    size_t key_len, const void *text, size_t len, void *made)
{
	work.macs++;
	work.mac_bytes += len;
	return __real_gnutls_hmac_fast(mac, key, key_len, text, len, made);
}

int
__wrap_gnutls_hmac(gnutls_hmac_hd_t hmac, const void *text, size_t len)
{
	work.macs++;
	work.mac_bytes += len;
	return __real_gnutls_hmac(hmac, text, len);
}

int
__wrap_gnutls_hash_fast(
    gnutls_digest_algorithm_t digest, const void *text, size_t len, void *made)
{
	work.hashes++;
	work.hash_bytes += len;
	return __real_gnutls_hash_fast(digest, text, len, made);
}

/* --- the words ------------------------------------------------------------ */

/* What guessing as somebody brought. */
struct lesson {
	struct work work;
	unsigned waits;    /* tenths of seconds until the failure was told */
	char words[64];    /* of the challenge: all but nonce and salt */
	struct str salt;   /* in base64 */
	char failure[128]; /* as it was told */
};

static struct world_peer *
open_stream(struct world *world)
{
	struct world_peer *peer = world_connect(world, "");

	world_send(peer,
	    "<stream:stream xmlns='jabber:client' to='montague.example' "
	    "version='1.0' xmlns:stream='http://etherx.jabber.org/streams'>");
	world_run(world);
	while (world_next(peer) != NULL)
		continue;
	return peer;
}

static void
say(struct world *world, struct world_peer *peer, const char *element,
    struct str text)
{
	struct arena *arena = arena_make(0);

	text = base64_encode(arena, text);
	world_send(peer, str_format(arena, "<%s>%.*s</%.*s>", element,
			     STR_ARG(text), (int)strcspn(element, " "), element)
			     .text);
	arena_free(&arena);
	world_run(world);
}

static void
await_failure(struct world *world, struct world_peer *peer, struct lesson *of)
{
	const char *text;

	for (of->waits = 0; (text = world_next(peer)) == NULL; of->waits++) {
		CHECK(of->waits < 600);
		world_sleep(world, 100);
	}
	snprintf(of->failure, sizeof(of->failure), "%s", text);
}

static void
guess_plain(struct world *world, struct arena *arena, const char *user,
    struct lesson *of)
{
	struct world_peer *peer = open_stream(world);

	say(world, peer, "auth " NS_SASL " mechanism='PLAIN'",
	    str_format(arena, "%c%s%cguess", 0, user, 0));
	await_failure(world, peer, of);
	world_cut(&peer);
}

/* "r=NONCE,s=SALT,i=ITERATIONS" */
static struct str
read_challenge(struct arena *arena, const char *challenge, struct lesson *of)
{
	struct str text = str_of(strchr(challenge, '>') + 1), rest, nonce;

	str_cut(text, '<', &text, &rest);
	CHECK(base64_decode(arena, text, &text));
	CHECK(str_cut(text, ',', &nonce, &rest));
	CHECK(str_cut(rest, ',', &of->salt, &rest));
	snprintf(of->words, sizeof(of->words), "%zu,%zu,%.*s", nonce.len,
	    of->salt.len, STR_ARG(rest));
	return nonce;
}

static void
guess_scram(struct world *world, struct arena *arena, const char *user,
    struct lesson *of)
{
	struct world_peer *peer = open_stream(world);
	const char *challenge;
	struct str nonce;

	say(world, peer, "auth " NS_SASL " mechanism='SCRAM-SHA-256'",
	    str_format(arena, "n,,n=%s,r=abc", user));
	challenge = world_next(peer);
	CHECK(challenge != NULL && strstr(challenge, "<challenge") != NULL);
	nonce = read_challenge(arena, challenge, of);
	say(world, peer, "response " NS_SASL,
	    str_format(arena,
		"c=biws,%.*s,p=AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=",
		STR_ARG(nonce)));
	await_failure(world, peer, of);
	world_cut(&peer);
}

typedef void guesser(
    struct world *, struct arena *, const char *user, struct lesson *);

static struct lesson
learn(
    struct world *world, struct arena *arena, guesser *guess, const char *user)
{
	struct lesson lesson = {.waits = 0};

	work = (struct work){0};
	guess(world, arena, user, &lesson);
	lesson.work = work;
	return lesson;
}

static void
compare(const struct lesson *known, const struct lesson *unknown)
{
	CHECK(strcmp(known->failure, unknown->failure) == 0);
	CHECK(strstr(known->failure, "<not-authorized") != NULL);
	CHECK(strcmp(known->words, unknown->words) == 0);
	CHECK_EQUAL(known->waits, unknown->waits);
	CHECK_EQUAL(known->work.iterations, unknown->work.iterations);
	CHECK_EQUAL(known->work.macs, unknown->work.macs);
	CHECK_EQUAL(known->work.mac_bytes, unknown->work.mac_bytes);
	CHECK_EQUAL(known->work.hashes, unknown->work.hashes);
	CHECK_EQUAL(known->work.hash_bytes, unknown->work.hash_bytes);
}

/* Names of one length, each from the beginning and until the brake is on. */
static void
compare_guesses(guesser *guess, bool has_keys, bool has_salt)
{
	struct world *world = world_new(&(struct world_options){.seed = 1});
	struct arena *arena = arena_make(0);
	struct lesson known[GUESSES], unknown[GUESSES];

	world_add_account(world, "romeo@montague.example", NULL);
	for (unsigned i = 0; i < GUESSES; i++)
		known[i] = learn(world, arena, guess, "romeo");
	for (unsigned i = 0; i < GUESSES; i++)
		unknown[i] = learn(world, arena, guess, "rosal");
	for (unsigned i = 0; i < GUESSES; i++)
		compare(&known[i], &unknown[i]);
	CHECK_EQUAL(known[0].work.iterations > 0, has_keys);
	CHECK_EQUAL(known[0].salt.len > 0, has_salt);
	CHECK(str_equal(unknown[0].salt, unknown[1].salt));
	CHECK(!has_salt || !str_equal(known[0].salt, unknown[0].salt));
	arena_free(&arena);
	world_free(&world);
}

static void
plain_tells_nobody_who_exists(void **state)
{
	compare_guesses(guess_plain, true, false);
}

static void
scram_tells_nobody_who_exists(void **state)
{
	compare_guesses(guess_scram, false, true);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(plain_tells_nobody_who_exists),
	    cmocka_unit_test(scram_tells_nobody_who_exists),
	};

	return cmocka_run_group_tests_name("guess", tests, NULL, NULL);
}

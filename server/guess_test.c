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
#include "server/account.h"
#include "server/module.h"
#include "server/world_private.h"

#define NS_SASL "xmlns='urn:ietf:params:xml:ns:xmpp-sasl'"
#define GUESSES 4

/* As much as accounts have to be read when they are needed. */
static void on_load(struct account *, struct join *);

static const struct store_kind kept_kind = {.name = "kept", .shape = STORE_MAP};
static const struct hook hooks[] = {
    {.on = HOOK_ACCOUNT_LOAD, .load = on_load},
    {HOOK_END},
};

static const struct module keeper = {
    .api = MODULE_API,
    .name = "keeper",
    .help = "Has something to read for each account",
    .kinds = (const struct store_kind *const[]){&kept_kind, NULL},
    .hooks = hooks,
};

const struct module *const modules_builtin[] = {&keeper, NULL};

static void
take_row(struct account *account, struct arena *arena, struct str value)
{
}

static void
on_load(struct account *account, struct join *join)
{
	account_load_row(account, join, &kept_kind, STR("a"), take_row);
	account_load_row(account, join, &kept_kind, STR("b"), take_row);
}

/* --- the work ------------------------------------------------------------- */

/* Time is the machine's business; these are what it goes into. */
static struct work {
	uint64_t iterations, macs, mac_bytes, hashes, hash_bytes, questions;
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

bool __real_store_step(struct store *);
bool __wrap_store_step(struct store *);

bool
__wrap_store_step(struct store *store)
{
	bool was_one = __real_store_step(store);

	work.questions += was_one;
	return was_one;
}

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
	struct world_peer *peer = world_open_stream(world);

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
	CHECK_EQUAL(known->work.questions, unknown->work.questions);
}

/* Names of one length, each from the beginning and until the brake is on; who
 * is online is in memory. */
static void
compare_guesses(guesser *guess, bool is_online, bool has_keys, bool has_salt)
{
	struct world *world = world_new(&(struct world_options){.seed = 1});
	struct arena *arena = arena_make(0);
	struct lesson known[GUESSES], unknown[GUESSES];

	world_add_account(world, "romeo@montague.example", NULL);
	if (is_online)
		world_connect(world, "romeo@montague.example/orchard");
	world_run(world);
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
	compare_guesses(guess_plain, false, true, false);
	compare_guesses(guess_plain, true, true, false);
}

static void
scram_tells_nobody_who_exists(void **state)
{
	compare_guesses(guess_scram, false, false, true);
	compare_guesses(guess_scram, true, false, true);
}

/* --- keys that were made with other settings ------------------------------ */

#define NAMES 64

/* The world makes keys of 4,096 rounds, then of 5,000. */
static const char later[] =
    "hosts: {montague.example: {}}\nauth.iterations: 5000\nshards: 2\n";

static bool
has_words(const struct lesson *lesson, const char *end)
{
	return str_ends(str_of(lesson->words), str_of(end));
}

static void
learn_names(struct world *world, struct arena *arena, struct lesson *lessons)
{
	for (unsigned i = 0; i < NAMES; i++) {
		struct str name = str_format(arena, "name%u", i);

		lessons[i] = learn(world, arena, guess_scram, name.text);
	}
}

static void
must_be_same(const struct lesson *before, const struct lesson *after)
{
	for (unsigned i = 0; i < NAMES; i++) {
		CHECK(strcmp(before[i].words, after[i].words) == 0);
		CHECK(str_equal(before[i].salt, after[i].salt));
	}
}

/* Whoever has a count that new keys have no longer is one of many. */
static void
old_counts_tell_nobody_who_exists(void **state)
{
	struct world *world =
	    world_new(&(struct world_options){.seed = 1, .shard_count = 2});
	struct arena *arena = arena_make(0);
	struct lesson known, before[NAMES], after[NAMES];
	unsigned old = 0;

	world_add_account(world, "romeo@montague.example", NULL);
	world_reload(world, later);
	world_add_account(world, "nurse@montague.example", NULL);
	known = learn(world, arena, guess_scram, "romeo");
	CHECK(has_words(&known, ",i=4096"));
	learn_names(world, arena, before);
	for (unsigned i = 0; i < NAMES; i++) {
		old += has_words(&before[i], ",i=4096");
		CHECK(has_words(&before[i], ",i=4096") ||
		      has_words(&before[i], ",i=5000"));
	}
	CHECK(old > 0 && old < NAMES);
	learn_names(world, arena, after);
	must_be_same(before, after);
	world_restart(world);
	learn_names(world, arena, after);
	must_be_same(before, after);
	arena_free(&arena);
	world_free(&world);
}

static void
on_committed(struct store_commit *commit)
{
	CHECK_EQUAL(commit->err, ERR_NONE);
}

/* In memory, for it has a session. */
static struct account *
wake(struct world *world, struct arena *arena, const char *bare)
{
	struct str full = str_format(arena, "%s/orchard", bare);
	const struct jid *jid = jid_parse(arena, full);
	struct shard *shard = shard_of(&world->server, jid);
	struct account *account;

	world_connect(world, full.text);
	world_run(world);
	account = account_find(shard, jid);
	CHECK(account != NULL);
	shard_enter(shard);
	return account;
}

static void
change_password(struct world *world, struct arena *arena, const char *bare)
{
	struct account *account = wake(world, arena, bare);
	struct store_commit *commit = arena_new(arena, struct store_commit);

	account_set_password(
	    account, STR("another one"), NULL, commit, on_committed);
	world->is_quiet[account->owner.shard->index] = false;
	world_run(world);
}

static void
leave(struct world *world, struct arena *arena, const char *bare)
{
	struct account *account = wake(world, arena, bare);
	struct store_commit *commit = arena_new(arena, struct store_commit);

	account_remove(account, commit, on_committed);
	world->is_quiet[account->owner.shard->index] = false;
	world_run(world);
}

/* What stands for nobody goes with who had it, or changed it. */
static void
counts_that_nobody_has_are_not_told(void **state)
{
	struct world *world =
	    world_new(&(struct world_options){.seed = 1, .shard_count = 2});
	struct arena *arena = arena_make(0);
	struct lesson lessons[NAMES];
	unsigned old = 0;

	world_add_account(world, "romeo@montague.example", NULL);
	world_add_account(world, "nurse@montague.example", NULL);
	world_reload(world, later);
	change_password(world, arena, "romeo@montague.example");
	learn_names(world, arena, lessons);
	for (unsigned i = 0; i < NAMES; i++)
		old += has_words(&lessons[i], ",i=4096");
	CHECK(old > 0 && old < NAMES);
	leave(world, arena, "nurse@montague.example");
	learn_names(world, arena, lessons);
	for (unsigned i = 0; i < NAMES; i++)
		CHECK(has_words(&lessons[i], ",i=5000"));
	arena_free(&arena);
	world_free(&world);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(old_counts_tell_nobody_who_exists),
	    cmocka_unit_test(counts_that_nobody_has_are_not_told),
	    cmocka_unit_test(plain_tells_nobody_who_exists),
	    cmocka_unit_test(scram_tells_nobody_who_exists),
	};

	return cmocka_run_group_tests_name("guess", tests, NULL, NULL);
}

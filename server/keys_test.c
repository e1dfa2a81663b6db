#include <uv.h>

#include "base/check_arena.h"
#include "base/code.h"
#include "server/keys_job.h"
#include "server/shard.h"

/* RFC 5802, section 5, and RFC 7677, section 3: the keys behind their proofs
 * (password "pencil"), computed with another implementation. */
static const struct {
	enum key_hash hash;
	const char *salt, *stored, *server;
} known[] = {
    {KEY_SHA1, "QSXCR+Q6sek8bf92",
	"6dlGYMOdZcOPutkcNY8U2g7vK9Y=", "D+CSWLOshSulAsxiupA+qs2/fTE="},
    {KEY_SHA256, "W22ZaJ0SNY7soEsUEjb6gQ==",
	"WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=",
	"wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU="},
};

static void
keys_are_those_of_the_rfcs(void **state)
{
	for (size_t i = 0; i < COUNT_OF(known); i++) {
		struct keys keys = {.exists = true};
		struct scram_keys *one = &keys.of[known[i].hash];

		one->iterations = 4096;
		CHECK(base64_decode(arena, str_of(known[i].salt), &one->salt));
		CHECK(base64_decode(
		    arena, str_of(known[i].stored), &one->stored_key));
		CHECK(base64_decode(
		    arena, str_of(known[i].server), &one->server_key));
		CHECK(keys_match(&keys, STR("pencil")));
		CHECK(!keys_match(&keys, STR("Pencil")));
	}
}

static void
made_keys_fit_their_password_only(void **state)
{
	struct keys keys, copy = {0};

	keys_make(arena, STR("r0m30"), 4096, &keys);
	CHECK(keys_match(&keys, STR("r0m30")));
	CHECK(!keys_match(&keys, STR("r0m31")));
	CHECK(!keys_match(&keys, STR("")));
	keys_copy(arena, &keys, &copy);
	CHECK(!keys_match(&copy, STR("r0m30")));
	copy.exists = true;
	CHECK(keys_match(&copy, STR("r0m30")));
}

/* Of a ligature and a digit in a circle OpaqueString makes nothing else. */
static void
what_saslprep_makes_of_a_password_fits_too(void **state)
{
	struct keys keys, copy = {.exists = true};

	keys_make(arena, STR("\ufb01do \u2460"), 4096, &keys);
	keys_copy(arena, &keys, &copy);
	for (unsigned i = 0; i < KEY_HASH_COUNT; i++)
		CHECK_EQUAL(
		    copy.of[i].stored_sasl.len, copy.of[i].stored_key.len);
	CHECK(keys_match(&copy, STR("\ufb01do \u2460")));
	CHECK(keys_match(&copy, STR("fido 1")));
	CHECK(!keys_match(&copy, STR("fido \u2460")));
	CHECK(!keys_match(&copy, STR("")));
	keys_make(arena, STR("p\u00e4ss"), 4096, &keys);
	CHECK_EQUAL(keys.of[KEY_SHA1].stored_sasl.len, 0);
}

static unsigned jobs_done;

static void
on_keys(struct keys_job *job)
{
	jobs_done++;
}

/* However long they take, the shard's loop goes on. */
static void
a_job_makes_keys_aside(void **state)
{
	uv_loop_t loop;
	struct shard shard = {.loop = &loop};
	char password[] = "r0m30";
	struct keys_job job;

	CHECK_EQUAL(uv_loop_init(&loop), 0);
	keys_job_start(&job, &shard, arena, str_of(password), 4096, on_keys);
	memset(password, 'x', sizeof(password) - 1);
	CHECK_EQUAL(jobs_done, 0);
	CHECK_EQUAL(uv_run(&loop, UV_RUN_DEFAULT), 0);
	CHECK_EQUAL(jobs_done, 1);
	CHECK(keys_match(&job.keys, STR("r0m30")));
	shard_enter(NULL);
	CHECK_EQUAL(uv_loop_close(&loop), 0);
}

static void
nobodys_keys_are_the_same_each_time(void **state)
{
	static const struct key_counts counts = {{5000, 5000, 5000}};
	uint8_t secret[32] = {1};
	struct keys a = {0}, b = {0}, other = {0};

	keys_fill(arena, secret, STR("romeo@localhost"), &counts, &a);
	keys_fill(arena, secret, STR("romeo@localhost"), &counts, &b);
	keys_fill(arena, secret, STR("juliet@localhost"), &counts, &other);
	for (unsigned i = 0; i < KEY_HASH_COUNT; i++) {
		CHECK(str_equal(a.of[i].salt, b.of[i].salt));
		CHECK(str_equal(a.of[i].stored_key, b.of[i].stored_key));
		CHECK(!str_equal(a.of[i].salt, other.of[i].salt));
		CHECK_EQUAL(a.of[i].iterations, 5000);
	}
	CHECK(!str_equal(a.of[KEY_SHA1].salt, a.of[KEY_SHA256].salt));
	CHECK(!str_equal(a.of[KEY_SHA1].salt, a.of[KEY_SHA512].salt));
	CHECK(!str_equal(a.of[KEY_SHA256].salt, a.of[KEY_SHA512].salt));
	CHECK(!keys_match(&a, STR("anything")));
}

/* What an account has counts for a name without one, too: else a mechanism that
 * the account has no key for would tell them apart. */
static void
what_lacks_a_key_shows_a_stand_in(void **state)
{
	static const struct key_counts none = {{0, 7000, 8000}},
				       other = {{6000, 6000, 6000}};
	uint8_t secret[32] = {1};
	struct keys lacking, nobody = {0};

	keys_make(arena, STR("r0m30"), 7000, &lacking);
	lacking.of[KEY_SHA1] = (struct scram_keys){.iterations = 0};
	lacking.of[KEY_SHA512].iterations = 8000;
	keys_fill(arena, secret, STR("romeo@localhost"), &other, &lacking);
	keys_fill(arena, secret, STR("rosal@localhost"), &none, &nobody);
	for (unsigned i = 0; i < KEY_HASH_COUNT; i++) {
		CHECK_EQUAL(lacking.of[i].iterations, nobody.of[i].iterations);
		CHECK_EQUAL(lacking.of[i].salt.len, nobody.of[i].salt.len);
		CHECK_EQUAL(
		    lacking.of[i].is_stand_in, nobody.of[i].is_stand_in);
	}
	CHECK_EQUAL(lacking.of[KEY_SHA1].iterations, 7000);
	CHECK(keys_match(&lacking, STR("r0m30")));
	CHECK(!keys_match(&nobody, STR("r0m30")));
}

static void
damaged_rows_are_noticed(void **state)
{
	static const char *const bad[] = {"", "4096", "4096 QQ== QQ== QQ==",
	    "0 QQ== QQ== QQ==", "x QQ== QQ== QQ==", "4096 ? ? ?"};

	for (size_t i = 0; i < COUNT_OF(bad); i++) {
		struct map_row row = {
		    .key = STR("sha-256"), .value = str_of(bad[i])};
		struct keys keys = {0};

		CHECK(!keys_read(arena, &row, 1, &keys));
		CHECK_EQUAL(keys.of[KEY_SHA256].iterations, 0);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(keys_are_those_of_the_rfcs),
	    cmocka_unit_test(made_keys_fit_their_password_only),
	    cmocka_unit_test(what_saslprep_makes_of_a_password_fits_too),
	    cmocka_unit_test(a_job_makes_keys_aside),
	    cmocka_unit_test(nobodys_keys_are_the_same_each_time),
	    cmocka_unit_test(what_lacks_a_key_shows_a_stand_in),
	    cmocka_unit_test(damaged_rows_are_noticed),
	};

	return cmocka_run_group_tests(
	    tests, check_arena_make, check_arena_free);
}

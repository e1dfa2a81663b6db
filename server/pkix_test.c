/*
 * server/pkix_test.c - chains with more in them than leads up to an authority
 * (what else is wrong with chains: server/verify_test.c).
 */
#include "server/pkix.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/check.h"
#include "base/clock.h"
#include "server/forge.h"

#define DAY_S 86400

static struct arena *arena;
static struct forged *root, *middle, *stranger, *leaf;
static struct chain trusted; /* the root */

static struct forged *
forge_authority(const char *name, int64_t to_s, const struct forged *issuer)
{
	const struct forge_options options = {.name = name,
	    .is_authority = true,
	    .from_s = -20 * DAY_S,
	    .to_s = to_s};

	return forge(arena, &options, issuer);
}

/* The name and key of one, vouched for by another until then. */
static struct forged *
cross_sign(const char *name, const struct forged *of, const struct forged *by,
    int64_t to_s)
{
	struct forged *cross = forge_authority(name, to_s, by);
	gnutls_datum_t der;

	CHECK(gnutls_x509_crt_set_key(cross->crt, of->key) >= 0);
	CHECK(gnutls_x509_crt_sign2(
		  cross->crt, by->crt, by->key, GNUTLS_DIG_SHA256, 0) >= 0);
	CHECK(gnutls_x509_crt_export2(cross->crt, GNUTLS_X509_FMT_DER, &der) >=
	      0);
	cross->der =
	    (struct str){arena_dup(arena, der.data, der.size), der.size};
	gnutls_free(der.data);
	return cross;
}

/* The leaf and those above it. */
static void
read_chain(struct chain *chain, const struct forged *first,
    const struct forged *second, const struct forged *third)
{
	const struct str ders[] = {first->der, second->der, third->der};

	CHECK(chain_read(arena, ders, COUNT_OF(ders), chain));
	CHECK_EQUAL(chain->count, 3);
}

/* By the root. */
static bool
is_believed(const struct chain *chain)
{
	struct trust *trust = trust_of_one(trusted.certs[0]);
	const struct pkix_ask ask = {.chain = chain, .trust = trust};
	struct str why;
	const bool is = pkix_is_trusted(&ask, arena, &why);

	trust_drop(&trust);
	return is;
}

/* --- when it ends --------------------------------------------------------- */

static bool
ends_in(const struct chain *chain, int64_t days)
{
	const int64_t left_s =
	    chain_ends_s(chain) - (int64_t)(clock_wall_us() / 1000000);

	return left_s > (days - 1) * DAY_S && left_s < (days + 1) * DAY_S;
}

/* Who trusts a root does not mind what became of those that once vouched for
 * it. */
static void
authorities_that_are_over_end_nothing(void **state)
{
	struct forged *old = cross_sign("Root", root, stranger, -10 * DAY_S);
	struct chain chain;

	(void)state;
	read_chain(&chain, leaf, middle, old);
	CHECK(is_believed(&chain));
	CHECK(ends_in(&chain, 100));
	chain_deinit(&chain);
	forged_free(&old);
}

static void
authorities_end_what_they_vouch_for(void **state)
{
	struct forged *brief = cross_sign("Middle", middle, root, 10 * DAY_S);
	struct chain chain;

	(void)state;
	read_chain(&chain, leaf, brief, root);
	CHECK(is_believed(&chain));
	CHECK(ends_in(&chain, 10));
	chain_deinit(&chain);
	forged_free(&brief);
}

/* --- what stands beside it ------------------------------------------------ */

static bool
is_for_a_example(const struct chain *chain)
{
	struct name_wanted wanted;
	struct str why;

	CHECK(name_wanted_of(arena, STR("a.example"), &wanted));
	return pkix_is_for(
	    &(struct pkix_ask){.chain = chain}, arena, &wanted, &why);
}

static struct forged *
forge_narrow(const struct forged *issuer)
{
	static const struct forge_options options = {
	    .name = "Narrow", .is_authority = true, .permitted = "b.example"};

	return forge(arena, &options, issuer);
}

static void
authorities_of_others_hold_nothing_up(void **state)
{
	struct forged *narrow = forge_narrow(root);
	struct chain chain;

	(void)state;
	read_chain(&chain, leaf, middle, narrow);
	CHECK(is_believed(&chain));
	CHECK(is_for_a_example(&chain));
	chain_deinit(&chain);
	forged_free(&narrow);
}

/* Of those with the name of the signer each may be the one; so nobody makes one
 * up to hide what it may not do. */
static void
no_namesake_hides_what_is_not_allowed(void **state)
{
	static const struct forge_options options = {
	    .name = "x", .srv = "_xmpp-server.a.example"};
	struct forged *narrow = forge_narrow(root);
	struct forged *decoy = forge_authority("Narrow", 100 * DAY_S, NULL);
	struct forged *below = forge(arena, &options, narrow);
	struct chain chain;

	(void)state;
	read_chain(&chain, below, decoy, narrow);
	CHECK(!is_for_a_example(&chain));
	chain_deinit(&chain);
	forged_free(&below);
	forged_free(&decoy);
	forged_free(&narrow);
}

/* What is not presented, but trusted, may do no more. */
static void
trusted_authorities_are_held_to_what_they_may(void **state)
{
	static const struct forge_options options = {
	    .name = "x", .srv = "_xmpp-server.a.example"};
	char roots[] = "/tmp/pkix_test.XXXXXX";
	struct forged *narrow = forge_narrow(NULL);
	struct forged *below = forge(arena, &options, narrow);
	struct pkix_ask ask = {.chain = NULL};
	struct name_wanted wanted;
	struct trust *trust;
	struct chain chain;
	struct str why;

	(void)state;
	close(mkstemp(roots));
	forged_save(narrow, roots, NULL);
	CHECK(chain_read(arena, &below->der, 1, &chain));
	CHECK(name_wanted_of(arena, STR("a.example"), &wanted));
	trust = trust_take(arena, str_of(roots), STR_NONE, &why);
	CHECK(trust != NULL);
	ask.chain = &chain;
	ask.trust = trust;
	CHECK(!pkix_is_for(&ask, arena, &wanted, &why));
	trust_drop(&trust);
	chain_deinit(&chain);
	forged_free(&below);
	forged_free(&narrow);
	unlink(roots);
	trust_stop();
}

/* A list of the root has that certificate; what is presented behind the leaf
 * and the authority that signed it. */
struct revocation {
	struct forged **revoked, **beside;
	bool is_believed;
};

static void
play_revocation(const struct revocation *played)
{
	char roots[] = "/tmp/pkix_test.XXXXXX";
	char lists[] = "/tmp/pkix_test.XXXXXX";
	struct pkix_ask ask = {.chain = NULL};
	struct chain chain;
	struct trust *trust;
	struct str why = STR_NONE;

	close(mkstemp(roots));
	close(mkstemp(lists));
	forged_save(root, roots, NULL);
	forge_revoked(root, *played->revoked, lists, 0, GNUTLS_DIG_SHA256);
	read_chain(&chain, leaf, middle, *played->beside);
	trust_stop(); /* a file may change twice in a tick */
	trust = trust_take(arena, str_of(roots), str_of(lists), &why);
	CHECK(trust != NULL);
	ask.chain = &chain;
	ask.trust = trust;
	CHECK_EQUAL(pkix_is_trusted(&ask, arena, &why), played->is_believed);
	CHECK(played->is_believed ||
	      strstr(why.text, "\"Middle\" in its chain was revoked"));
	trust_drop(&trust);
	chain_deinit(&chain);
	unlink(roots);
	unlink(lists);
	trust_stop();
}

/* Nor does one with the name of the root, which anybody can make, hide what the
 * root has revoked. */
static void
revoked_authorities_of_others_do_no_harm(void **state)
{
	struct forged *narrow = forge_narrow(root);
	struct forged *decoy = forge_authority("Root", 100 * DAY_S, NULL);
	const struct revocation cases[] = {
	    {&narrow, &narrow, true},
	    {&middle, &narrow, false},
	    {&middle, &decoy, false},
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(cases); i++)
		play_revocation(&cases[i]);
	forged_free(&narrow);
	forged_free(&decoy);
}

/* --- what all share ------------------------------------------------------- */

static int
set_up(void **state)
{
	static const struct forge_options options = {
	    .name = "x", .dns = {"a.example"}};

	(void)state;
	arena = arena_make(0);
	root = forge_authority("Root", 200 * DAY_S, NULL);
	middle = forge_authority("Middle", 150 * DAY_S, root);
	stranger = forge_authority("Stranger", 200 * DAY_S, NULL);
	leaf = forge(arena, &options, middle);
	CHECK(chain_read(arena, &root->der, 1, &trusted));
	return 0;
}

static int
tear_down(void **state)
{
	(void)state;
	forged_free(&root);
	forged_free(&middle);
	forged_free(&stranger);
	forged_free(&leaf);
	chain_deinit(&trusted);
	arena_free(&arena);
	return 0;
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(authorities_that_are_over_end_nothing),
	    cmocka_unit_test(authorities_end_what_they_vouch_for),
	    cmocka_unit_test(authorities_of_others_hold_nothing_up),
	    cmocka_unit_test(no_namesake_hides_what_is_not_allowed),
	    cmocka_unit_test(trusted_authorities_are_held_to_what_they_may),
	    cmocka_unit_test(revoked_authorities_of_others_do_no_harm),
	};

	return cmocka_run_group_tests_name("pkix", tests, set_up, tear_down);
}

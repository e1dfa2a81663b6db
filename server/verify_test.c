/*
 * server/verify_test.c - certificates that prove a domain and those that do
 * not, each with what an administrator is told.
 */
#include "server/verify.h"

#include <gnutls/abstract.h>
#include <gnutls/crypto.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/check.h"
#include "base/clock.h"
#include "base/err.h"
#include "server/dane.h"
#include "server/forge.h"
#include "server/outward.h"
#include "server/pkix.h"
#include "server/resolve.h"
#include "server/setup_rig.h"
#include "server/shard.h"
#include "server/trust.h"

#define DAY_S 86400
#define BUCHER      \
	"b\xc3\xbc" \
	"cher.example"
#define BUCHER_A "xn--bcher-kva.example"

#define SERVER_AUTH "1.3.6.1.5.5.7.3.1"
#define CLIENT_AUTH "1.3.6.1.5.5.7.3.2"
#define CODE_SIGN   "1.3.6.1.5.5.7.3.3"

static struct {
	struct arena *arena;
	struct setup *setup;
	struct shard shard;
	struct server server;
	char authorities[sizeof("/tmp/verify_test.XXXXXX")];
} rig;

/* --- authorities ---------------------------------------------------------- */

enum issuer {
	SELF,
	ROOT,      /* trusted */
	MIDDLE,    /* below it */
	STRANGER,  /* a root that nobody trusts */
	NARROW,    /* for a.example only */
	GARBLED,   /* nobody knows what for */
	SHORT,     /* may sign no authorities */
	BELOW,     /* signed by that all the same */
	OLD,       /* expired */
	PRETENDER, /* no authority at all */
	RSA,       /* a root with a key of RSA */
	ISSUER_COUNT
};

static const struct {
	struct forge_options options;
	enum issuer issuer;
} authorities[ISSUER_COUNT] = {
    [ROOT] = {{.name = "Root", .is_authority = true}, SELF},
    [MIDDLE] = {{.name = "Middle", .is_authority = true}, ROOT},
    [STRANGER] = {{.name = "Stranger", .is_authority = true}, SELF},
    [NARROW] = {{.name = "Narrow",
		    .is_authority = true,
		    .permitted = "a.example"},
	ROOT},
    [GARBLED] = {{.name = "Garbled", .is_authority = true, .is_garbled = true},
	ROOT},
    [SHORT] = {{.name = "Short", .is_authority = true, .path_len = 1}, ROOT},
    [BELOW] = {{.name = "Below", .is_authority = true}, SHORT},
    [OLD] = {{.name = "Old",
		 .is_authority = true,
		 .from_s = -20 * DAY_S,
		 .to_s = -10 * DAY_S},
	ROOT},
    [RSA] = {{.name = "RSA", .is_authority = true, .rsa_bits = 2048}, SELF},
    [PRETENDER] = {{.name = "Pretender", .dns = {"b.example"}}, ROOT},
};

static struct forged *issuers[ISSUER_COUNT];

/* The leaf and all above it. */
static size_t
chain_of(const struct forged *leaf, enum issuer issuer, struct str *ders)
{
	size_t count = 0;

	ders[count++] = leaf->der;
	for (; issuer != SELF; issuer = authorities[issuer].issuer)
		ders[count++] = issuers[issuer]->der;
	return count;
}

/* --- one verification ----------------------------------------------------- */

static bool is_done;

static void
verified(struct verify *verify)
{
	is_done = true;
}

/* The file of revoked certificates; or NULL. */
static const char *revoked;

static void
run(struct verify *verify, const struct verify_ask *ask, unsigned proofs)
{
	struct policy policy;

	policy_of(rig.setup, NULL, ask->domain, &policy);
	policy.proofs = proofs;
	policy.revoked = str_of(revoked == NULL ? "" : revoked);
	is_done = false;
	verify_start(&rig.shard, verify, rig.arena, &policy, ask, verified);
	CHECK(!is_done);
	for (unsigned i = 0; i < 50 && !is_done; i++)
		timers_ring(&rig.shard.timers, clock_mono_ms() + 1);
	CHECK(is_done);
}

/* --- PKIX ----------------------------------------------------------------- */

enum { ALL, ONLY_LEAF, REVERSED };

static const struct pkix_case {
	struct forge_options leaf;
	enum issuer issuer;
	const char *domain;
	const char *why; /* a part of it; NULL: it is proved */
	bool is_client;  /* they came to us */
	uint8_t shown;
} pkix_cases[] = {
    {{.name = "x", .dns = {"a.example"}}, ROOT, "a.example"},
    {{.name = "x", .dns = {"a.example"}}, MIDDLE, "a.example"},
    {{.name = "x", .dns = {"a.example"}}, MIDDLE, "a.example", NULL, true},
    {{.name = "x", .dns = {"b.example", "a.example"}}, ROOT, "a.example"},
    {{.name = "x", .dns = {"*.example"}}, ROOT, "a.example"},
    {{.name = "x", .dns = {"*.example"}}, ROOT, "b.a.example",
	"is for *.example, not for b.a.example"},
    {{.name = "x", .dns = {"f*.example"}}, ROOT, "foo.example",
	"is for f*.example, not for foo.example"},
    {{.name = "x", .srv = "_xmpp-server.a.example"}, ROOT, "a.example"},
    {{.name = "x", .srv = "_xmpp-client.a.example"}, ROOT, "a.example",
	"is for _xmpp-client.a.example, not"},
    {{.name = "x", .xmpp = "a.example"}, ROOT, "a.example"},
    {{.name = "x", .xmpp = BUCHER}, ROOT, BUCHER},
    {{.name = "x", .dns = {BUCHER_A}}, ROOT, BUCHER},
    {{.name = "a.example"}, ROOT, "a.example", "a common name does not count"},
    {{.name = "x", .dns = {"b.example"}}, ROOT, "a.example",
	"is for b.example, not for a.example; ask its administrator"},
    {{.name = "x",
	 .dns = {"a.example"},
	 .from_s = -20 * DAY_S,
	 .to_s = -10 * DAY_S},
	ROOT, "a.example", "the certificate expired on "},
    {{.name = "x",
	 .dns = {"a.example"},
	 .from_s = 10 * DAY_S,
	 .to_s = 20 * DAY_S},
	ROOT, "a.example", "the certificate is valid from "},
    {{.name = "x", .dns = {"a.example"}}, OLD, "a.example",
	"of the authority \"Old\" in its chain expired on "},
    {{.name = "x", .dns = {"a.example"}}, SELF, "a.example", "is self-signed"},
    {{.name = "x", .dns = {"a.example"}}, STRANGER, "a.example",
	"the authority \"Stranger\" that vouches for the certificate is not "
	"trusted here"},
    {{.name = "x", .dns = {"a.example"}}, MIDDLE, "a.example",
	"the certificate of \"Middle\", which signed it, was not presented",
	false, ONLY_LEAF},
    {{.name = "x", .dns = {"a.example"}}, MIDDLE, "a.example", NULL, false,
	REVERSED},
    {{.name = "x", .dns = {"a.example"}, .purpose = SERVER_AUTH}, ROOT,
	"a.example"},
    {{.name = "x", .dns = {"a.example"}, .purpose = SERVER_AUTH}, ROOT,
	"a.example", NULL, true},
    {{.name = "x", .dns = {"a.example"}, .purpose = CLIENT_AUTH}, ROOT,
	"a.example", "is not for servers (extended key usage)"},
    {{.name = "x", .dns = {"a.example"}, .purpose = CLIENT_AUTH}, ROOT,
	"a.example", NULL, true},
    {{.name = "x", .dns = {"a.example"}, .purpose = CODE_SIGN}, ROOT,
	"a.example", "is neither for servers nor for clients", true},
    {{.name = "x", .dns = {"a.example"}, .digest = GNUTLS_DIG_SHA1}, ROOT,
	"a.example", "the certificate is signed with ECDSA-SHA1, which is"},
    {{.name = "x", .dns = {"a.example"}, .digest = GNUTLS_DIG_MD5}, RSA,
	"a.example", "the certificate is signed with RSA-MD5, which is"},
    {{.name = "x", .dns = {"a.example"}}, RSA, "a.example"},
    {{.name = "x", .dns = {"a.example"}, .rsa_bits = 1024}, ROOT, "a.example",
	"is too short"},
    {{.name = "x", .dns = {"a.example"}}, NARROW, "a.example"},
    {{.name = "x", .dns = {"b.example"}}, NARROW, "b.example",
	"was not allowed to vouch for it (\"Narrow\""},
    {{.name = "x", .dns = {"a.example"}, .srv = "_xmpp-server.b.example"},
	NARROW, "b.example", "was not allowed to vouch for it (\"Narrow\""},
    {{.name = "x", .dns = {"a.example"}}, SHORT, "a.example"},
    {{.name = "x", .dns = {"a.example"}}, BELOW, "a.example",
	"was not allowed to vouch for it (\"Below\""},
    {{.name = "x", .dns = {"a.example"}}, PRETENDER, "a.example",
	"that is for no authority (\"Pretender\")"},
    {{.name = "x", .dns = {"192.0.2.1"}}, ROOT, "192.0.2.1",
	"no certificate can stand for an IP address"},
};

static size_t
shown_of(const struct pkix_case *of, const struct forged *leaf,
    struct str ders[ISSUER_COUNT])
{
	size_t count = chain_of(leaf, of->issuer, ders);
	struct str swapped = ders[1];

	if (of->shown == ONLY_LEAF)
		return 1;
	if (of->shown == REVERSED) {
		ders[1] = ders[count - 1];
		ders[count - 1] = swapped;
	}
	return count;
}

static void
check_case(const struct pkix_case *of)
{
	static const struct endpoint endpoint;
	struct forged *leaf = forge(rig.arena, &of->leaf, issuers[of->issuer]);
	struct str ders[ISSUER_COUNT];
	const struct verify_ask ask = {
	    .chain = ders,
	    .count = shown_of(of, leaf, ders),
	    .domain = str_of(of->domain),
	    .endpoint = of->is_client ? NULL : &endpoint,
	};
	struct verify verify;

	run(&verify, &ask, PROOF_PKIX);
	CHECK(verify.was_presented && !verify.is_final);
	if ((of->why == NULL) != (verify.proof == PROOF_PKIX) ||
	    (of->why != NULL && strstr(verify.why.text, of->why) == NULL))
		print_error("%s: %u, \"%.*s\"\n",
		    of->why == NULL ? "proved" : of->why, verify.proof,
		    STR_ARG(verify.why));
	CHECK_EQUAL(verify.proof, of->why == NULL ? PROOF_PKIX : 0);
	CHECK(of->why == NULL || strstr(verify.why.text, of->why) != NULL);
	forged_free(&leaf);
}

static void
authorities_vouch_for_domains(void **state)
{
	for (size_t i = 0; i < COUNT_OF(pkix_cases); i++)
		check_case(&pkix_cases[i]);
}

/* Debian's, where they are installed. */
#define SYSTEM "/etc/ssl/certs/ca-certificates.crt"

/* Who names no authorities trusts those of the system, and no others. */
static void
the_system_says_whom_to_trust(void **state)
{
	struct str why = STR_NONE;
	struct trust *trust = trust_take(rig.arena, STR_NONE, STR_NONE, &why);
	gnutls_x509_crt_t *crts = NULL;
	gnutls_datum_t pem = {0};
	unsigned count = 0, found = 0;

	if (trust == NULL) {
		CHECK(access(SYSTEM, R_OK) != 0);
		CHECK(strstr(why.text, "install ca-certificates") != NULL);
		return;
	}
	CHECK(trust_issuer_of(trust, issuers[ROOT]->crt) == NULL);
	if (gnutls_load_file(SYSTEM, &pem) == 0)
		CHECK(gnutls_x509_crt_list_import2(
			  &crts, &count, &pem, GNUTLS_X509_FMT_PEM, 0) >= 0);
	for (unsigned i = 0; i < count; i++) {
		found += trust_issuer_of(trust, crts[i]) != NULL;
		gnutls_x509_crt_deinit(crts[i]);
	}
	CHECK_EQUAL(found, count);
	gnutls_free(crts);
	gnutls_free(pem.data);
	trust_drop(&trust);
}

/* Nor to GnuTLS, but DANE does not ask it. */
static void
constraints_that_cannot_be_read_permit_nothing(void **state)
{
	static const struct forge_options options = {
	    .name = "x", .dns = {"a.example"}};
	struct forged *leaf = forge(rig.arena, &options, issuers[GARBLED]);
	struct str ders[ISSUER_COUNT], why = STR_NONE;
	const size_t count = chain_of(leaf, GARBLED, ders);
	struct name_wanted wanted;
	struct chain chain;

	CHECK(name_wanted_of(rig.arena, STR("a.example"), &wanted));
	CHECK(chain_read(rig.arena, ders, count, &chain));
	CHECK(!pkix_is_for(
	    &(struct pkix_ask){.chain = &chain}, rig.arena, &wanted, &why));
	CHECK(strstr(why.text, "was not allowed to vouch for it") != NULL);
	chain_deinit(&chain);
	forged_free(&leaf);
}

/* By whom the list is signed, of whom, and what is said of a chain that goes
 * from a leaf over MIDDLE to ROOT. */
static const struct {
	enum issuer signer;
	bool is_of_leaf; /* or of MIDDLE */
	int64_t age_s;
	gnutls_digest_algorithm_t hash;
	const char *why;
} lists[] = {
    {MIDDLE, true, 0, GNUTLS_DIG_SHA256,
	"the certificate was revoked by its authority"},
    {MIDDLE, true, 0, GNUTLS_DIG_SHA1, "the certificate was revoked"},
    {MIDDLE, true, 10 * DAY_S, GNUTLS_DIG_SHA256,
	"the certificate was revoked"},
    {ROOT, false, 0, GNUTLS_DIG_SHA256,
	"the authority \"Middle\" in its chain was revoked"},
    {ROOT, true, 0, GNUTLS_DIG_SHA256, NULL}, /* not its authority */
    {STRANGER, true, 0, GNUTLS_DIG_SHA256, NULL},
};

static void
revoked_certificates_prove_nothing(void **state)
{
	const struct forge_options options = {
	    .name = "x", .dns = {"a.example"}};
	struct forged *leaf = forge(rig.arena, &options, issuers[MIDDLE]);
	struct str ders[ISSUER_COUNT];
	const struct verify_ask ask = {.chain = ders,
	    .count = chain_of(leaf, MIDDLE, ders),
	    .domain = STR("a.example")};
	char path[] = "/tmp/verify_test.XXXXXX";
	struct verify verify;

	close(mkstemp(path));
	revoked = path;
	for (size_t i = 0; i < COUNT_OF(lists); i++) {
		forge_revoked(issuers[lists[i].signer],
		    lists[i].is_of_leaf ? leaf : issuers[MIDDLE], path,
		    lists[i].age_s, lists[i].hash);
		trust_stop(); /* a file may change twice in a tick */
		run(&verify, &ask, PROOF_PKIX);
		CHECK((lists[i].why == NULL) == (verify.proof == PROOF_PKIX));
		CHECK(lists[i].why == NULL ||
		      strstr(verify.why.text, lists[i].why) != NULL);
	}
	unlink(path);
	run(&verify, &ask, PROOF_PKIX);
	CHECK(verify.proof == 0 &&
	      strstr(verify.why.text, "s2s.revoked") != NULL);
	revoked = NULL;
	run(&verify, &ask, PROOF_PKIX);
	CHECK_EQUAL(verify.proof, PROOF_PKIX);
	forged_free(&leaf);
}

static void
what_is_found_is_told(void **state)
{
	const struct forge_options options = {
	    .name = "x", .dns = {"a.example", "*.b.example"}};
	struct forged *leaf = forge(rig.arena, &options, issuers[MIDDLE]);
	struct str ders[ISSUER_COUNT];
	const struct verify_ask ask = {.chain = ders,
	    .count = chain_of(leaf, MIDDLE, ders),
	    .domain = STR("a.example")};
	struct verify verify;
	char day[CLOCK_TEXT_LEN];
	int64_t left_s;

	run(&verify, &ask, PROOF_PKIX);
	left_s = verify.ends_s - (int64_t)(clock_wall_us() / 1000000);
	CHECK(left_s > 99 * DAY_S && left_s < 101 * DAY_S);
	CHECK_STR(verify.names, "a.example, *.b.example");
	CHECK_STR(verify.issuer, "Middle");
	clock_text(day, (uint64_t)verify.ends_s * 1000000);
	CHECK(verify.days.len == strlen("2026-01-02 to 2027-01-01"));
	CHECK(strncmp(verify.days.text + 10, " to ", 4) == 0);
	CHECK(strncmp(verify.days.text + 14, day, 10) == 0);
	clock_text(day, clock_wall_us());
	CHECK(strncmp(verify.days.text, day, 10) < 0);
	CHECK(verify.why.len == 0);
	forged_free(&leaf);
}

static void
nothing_presented_proves_nothing(void **state)
{
	const struct str junk = STR("junk");
	struct verify_ask ask = {.chain = &junk, .domain = STR("a.example")};
	struct verify verify;

	run(&verify, &ask, PROOF_PKIX);
	CHECK(!verify.was_presented && verify.proof == 0);
	CHECK(strstr(verify.why.text, "presented no certificate") != NULL);
	ask.count = 1;
	run(&verify, &ask, PROOF_PKIX);
	CHECK(verify.was_presented && verify.proof == 0);
	CHECK(strstr(verify.why.text, "cannot be read") != NULL);
}

static void
canceling_ends_it_without_proof(void **state)
{
	const struct str junk = STR("junk");
	const struct verify_ask ask = {
	    .chain = &junk, .count = 1, .domain = STR("a.example")};
	struct policy policy;
	struct verify verify;

	policy_of(rig.setup, NULL, ask.domain, &policy);
	is_done = false;
	verify_start(&rig.shard, &verify, rig.arena, &policy, &ask, verified);
	verify_cancel(&verify);
	CHECK(!is_done);
	timers_ring(&rig.shard.timers, clock_mono_ms() + 1);
	CHECK(is_done && verify.proof == 0);
}

/* --- DANE ----------------------------------------------------------------- */

enum part { LEAF, ISSUER, TOP, ELSE };

static const struct {
	enum issuer issuer;
	const char *name;
	struct {
		uint8_t usage, selector, matching;
		enum part of;
	} records[2];
	enum { HOLDS, PKIX, REFUSED } want;
	bool is_expired, only_leaf;
} dane_cases[] = {
    {SELF, "else.example", {{3, 0, 0, LEAF}}, HOLDS},
    {SELF, "else.example", {{3, 0, 1, LEAF}}, HOLDS},
    {SELF, "else.example", {{3, 1, 1, LEAF}}, HOLDS},
    {SELF, "else.example", {{3, 1, 2, LEAF}}, HOLDS},
    {SELF, "else.example", {{3, 1, 0, LEAF}}, HOLDS},
    {SELF, "else.example", {{3, 1, 1, LEAF}}, HOLDS, true},
    {SELF, "a.example", {{3, 1, 1, ELSE}}, REFUSED},
    {MIDDLE, "a.example", {{3, 1, 1, ELSE}}, REFUSED},
    {SELF, "a.example", {{3, 1, 1, ELSE}, {3, 1, 1, LEAF}}, HOLDS},
    /* of two digests the stronger counts */
    {SELF, "a.example", {{3, 1, 1, LEAF}, {3, 1, 2, ELSE}}, REFUSED},
    {SELF, "a.example", {{3, 1, 1, LEAF}, {3, 0, 2, ELSE}}, HOLDS},
    /* unusable: as if there were none */
    {MIDDLE, "a.example", {{4, 0, 1, ELSE}}, PKIX},
    {MIDDLE, "a.example", {{3, 2, 1, ELSE}}, PKIX},
    {MIDDLE, "a.example", {{3, 0, 3, ELSE}}, PKIX},
    {STRANGER, "a.example", {{2, 0, 1, ISSUER}}, HOLDS},
    {STRANGER, "a.example", {{2, 1, 1, ISSUER}}, HOLDS},
    {STRANGER, "a.example", {{2, 0, 0, ISSUER}}, HOLDS, false, true},
    {STRANGER, "a.example", {{2, 0, 1, ISSUER}}, REFUSED, false, true},
    {STRANGER, "target.example", {{2, 0, 1, ISSUER}}, HOLDS},
    {STRANGER, "else.example", {{2, 0, 1, ISSUER}}, REFUSED},
    {STRANGER, "a.example", {{2, 0, 1, ISSUER}}, REFUSED, true},
    {STRANGER, "a.example", {{2, 0, 1, ELSE}}, REFUSED},
    {MIDDLE, "a.example", {{2, 0, 1, ISSUER}}, HOLDS},
    {MIDDLE, "a.example", {{1, 1, 1, LEAF}}, HOLDS},
    {MIDDLE, "else.example", {{1, 1, 1, LEAF}}, REFUSED},
    {STRANGER, "a.example", {{1, 1, 1, LEAF}}, REFUSED},
    {MIDDLE, "a.example", {{0, 0, 1, ISSUER}}, HOLDS},
    {MIDDLE, "a.example", {{0, 0, 1, TOP}}, HOLDS},
    {MIDDLE, "a.example", {{0, 0, 1, ELSE}}, REFUSED},
    {STRANGER, "a.example", {{0, 0, 1, ISSUER}}, REFUSED},
};

static struct str
part_of(const struct forged *forged, uint8_t selector)
{
	unsigned char bytes[1024];
	size_t len = sizeof(bytes);
	gnutls_pubkey_t key;

	if (selector != 1)
		return forged->der;
	gnutls_pubkey_init(&key);
	CHECK(gnutls_pubkey_import_x509(key, forged->crt, 0) == 0);
	CHECK(gnutls_pubkey_export(key, GNUTLS_X509_FMT_DER, bytes, &len) == 0);
	gnutls_pubkey_deinit(key);
	return (struct str){arena_dup(rig.arena, bytes, len), len};
}

static struct dns_record
record_of(
    uint8_t usage, uint8_t selector, uint8_t matching, const struct forged *of)
{
	struct str part = part_of(of, selector);
	unsigned char digest[64];

	if (matching == 1 || matching == 2) {
		size_t len = matching == 1 ? 32 : 64;

		gnutls_hash_fast(
		    matching == 1 ? GNUTLS_DIG_SHA256 : GNUTLS_DIG_SHA512,
		    part.text, part.len, digest);
		part = (struct str){arena_dup(rig.arena, digest, len), len};
	}
	return (struct dns_record){.usage = usage,
	    .selector = selector,
	    .matching = matching,
	    .association = part};
}

static const struct forged *
forged_of(enum part part, const struct forged *leaf, enum issuer issuer)
{
	switch (part) {
	case LEAF:
		return leaf;
	case ISSUER:
		return issuers[issuer];
	case TOP:
		return issuers[ROOT];
	default:
		return issuers[PRETENDER];
	}
}

static void
check_dane(size_t i, bool is_secure)
{
	const struct forge_options options = {.name = "x",
	    .dns = {dane_cases[i].name},
	    .from_s = dane_cases[i].is_expired ? -20 * DAY_S : -DAY_S,
	    .to_s = dane_cases[i].is_expired ? -10 * DAY_S : DAY_S};
	enum issuer issuer = dane_cases[i].issuer;
	struct forged *leaf = forge(rig.arena, &options, issuers[issuer]);
	struct dns_record records[2];
	struct str ders[ISSUER_COUNT];
	struct endpoint endpoint = {.target = STR("target.example"),
	    .is_secure = is_secure,
	    .tlsa = records};
	struct verify_ask ask = {.chain = ders,
	    .count = chain_of(leaf, issuer, ders),
	    .domain = STR("a.example"),
	    .endpoint = &endpoint};
	struct verify verify;

	for (size_t j = 0; j < 2 && (j == 0 || dane_cases[i].records[j].usage);
	    j++)
		records[endpoint.tlsa_count++] =
		    record_of(dane_cases[i].records[j].usage,
			dane_cases[i].records[j].selector,
			dane_cases[i].records[j].matching,
			forged_of(dane_cases[i].records[j].of, leaf, issuer));
	if (dane_cases[i].only_leaf)
		ask.count = 1;
	run(&verify, &ask, PROOF_PKIX | PROOF_DANE);
	forged_free(&leaf);
	if (!is_secure) {
		CHECK(verify.proof != PROOF_DANE && !verify.is_final);
		return;
	}
	if (verify.is_final != (dane_cases[i].want == REFUSED))
		print_error("case %zu: %u \"%.*s\"\n", i, verify.proof,
		    STR_ARG(verify.why));
	CHECK_EQUAL(verify.is_final, dane_cases[i].want == REFUSED);
	CHECK_EQUAL(verify.proof, dane_cases[i].want == HOLDS  ? PROOF_DANE
				  : dane_cases[i].want == PKIX ? PROOF_PKIX
							       : 0);
	CHECK(verify.proof != 0 || strstr(verify.why.text, "(DANE)") != NULL);
}

static void
records_of_dns_decide_when_they_are_secure(void **state)
{
	for (size_t i = 0; i < COUNT_OF(dane_cases); i++) {
		check_dane(i, true);
		check_dane(i, false);
	}
}

/* RFC 7673, section 4.1 */
static void
a_secure_target_may_be_named_instead(void **state)
{
	const struct forge_options options = {
	    .name = "x", .dns = {"target.example"}};
	struct forged *leaf = forge(rig.arena, &options, issuers[MIDDLE]);
	struct str ders[ISSUER_COUNT];
	struct endpoint endpoint = {
	    .target = STR("target.example"), .is_secure = true};
	struct verify_ask ask = {.chain = ders,
	    .count = chain_of(leaf, MIDDLE, ders),
	    .domain = STR("a.example"),
	    .endpoint = &endpoint};
	struct verify verify;

	run(&verify, &ask, PROOF_PKIX | PROOF_DANE);
	CHECK_EQUAL(verify.proof, PROOF_DANE);
	run(&verify, &ask, PROOF_PKIX);
	CHECK_EQUAL(verify.proof, 0);
	endpoint.is_secure = false;
	run(&verify, &ask, PROOF_PKIX | PROOF_DANE);
	CHECK_EQUAL(verify.proof, 0);
	forged_free(&leaf);
}

/* What DNS says of a.example; all else there is not. */
static struct {
	struct dns_record srv, address, tlsa;
	bool is_secure;
} zone = {
    .srv = {.port = 5269, .target = {"x.a.example", 11}},
    .address = {.address = {127, 0, 0, 1}},
};

static void
answer(struct dns_ask *ask)
{
	const struct dns_record *record = NULL;

	if (str_is(ask->name, "_xmpp-server._tcp.a.example"))
		record = &zone.srv;
	else if (str_is(ask->name, "x.a.example") && ask->type == DNS_A)
		record = &zone.address;
	else if (str_is(ask->name, "_5269._tcp.x.a.example"))
		record = &zone.tlsa;
	ask->err = record == NULL ? ERR_NOT_FOUND : ERR_NONE;
	ask->is_secure = zone.is_secure;
	ask->records = record;
	ask->count = record != NULL;
}

static const struct outward outward = {.answer = answer};

static const struct {
	enum part of;
	bool is_secure;
	unsigned proof;
} incoming[] = {{LEAF, true, PROOF_DANE}, {LEAF, false, 0}, {ELSE, true, 0}};

/* RFC 7712, section 5.1 */
static void
records_count_for_who_came_to_us(void **state)
{
	const struct forge_options options = {.name = "x"};
	struct forged *leaf = forge(rig.arena, &options, NULL);
	const struct verify_ask ask = {
	    .chain = &leaf->der, .count = 1, .domain = STR("a.example")};
	struct verify verify;

	for (size_t i = 0; i < COUNT_OF(incoming); i++) {
		zone.is_secure = incoming[i].is_secure;
		zone.tlsa =
		    record_of(3, 1, 1, forged_of(incoming[i].of, leaf, SELF));
		run(&verify, &ask, PROOF_PKIX | PROOF_DANE);
		CHECK_EQUAL(verify.proof, incoming[i].proof);
		CHECK(verify.proof != 0 ||
		      strstr(verify.why.text, "is self-signed") != NULL);
	}
	forged_free(&leaf);
}

#define LONG 16

/* A record for each authority of a long chain, in many forms: nobody else waits
 * for long while it is seen that none holds. */
static void
not_all_of_many_records_are_looked_at(void **state)
{
	struct forge_options options = {.is_authority = true};
	struct dns_record crowd[2 * DANE_LOOKS_MAX];
	struct forged *chain[LONG];
	struct str ders[LONG];
	const struct endpoint endpoint = {.target = STR("target.example"),
	    .is_secure = true,
	    .tlsa = crowd,
	    .tlsa_count = COUNT_OF(crowd)};
	const struct verify_ask ask = {.chain = ders,
	    .count = LONG,
	    .domain = STR("a.example"),
	    .endpoint = &endpoint};
	struct verify verify;

	for (unsigned i = LONG; i-- > 0;) {
		options.name = &"ABCDEFGHIJKLMNOP"[i];
		chain[i] = forge(
		    rig.arena, &options, i == LONG - 1 ? NULL : chain[i + 1]);
		ders[i] = chain[i]->der;
	}
	for (unsigned i = 0; i < COUNT_OF(crowd); i++)
		crowd[i] =
		    record_of(2, i % 2, i / 2 % 2 * 2, chain[LONG - 1 - i / 4]);
	run(&verify, &ask, PROOF_PKIX | PROOF_DANE);
	CHECK_EQUAL(verify.proof, 0);
	CHECK(strstr(verify.why.text, "too many of them are for authorities") !=
	      NULL);
	for (unsigned i = 0; i < LONG; i++)
		forged_free(&chain[i]);
}

/* --- what all share ------------------------------------------------------- */

/* One file of several certificates. */
static void
save_authorities(void)
{
	static const enum issuer trusted[] = {ROOT, RSA};
	FILE *file = fopen(rig.authorities, "w");

	must(file != NULL);
	for (size_t i = 0; i < COUNT_OF(trusted); i++) {
		gnutls_datum_t pem;

		CHECK(gnutls_x509_crt_export2(issuers[trusted[i]]->crt,
			  GNUTLS_X509_FMT_PEM, &pem) == 0);
		CHECK(fwrite(pem.data, 1, pem.size, file) == pem.size);
		gnutls_free(pem.data);
	}
	fclose(file);
}

static int
set_up(void **state)
{
	int fd;

	rig.arena = arena_make(0);
	for (enum issuer i = ROOT; i < ISSUER_COUNT; i++)
		issuers[i] = forge(rig.arena, &authorities[i].options,
		    issuers[authorities[i].issuer]);
	memcpy(rig.authorities, "/tmp/verify_test.XXXXXX",
	    sizeof(rig.authorities));
	fd = mkstemp(rig.authorities);
	CHECK(fd >= 0);
	close(fd);
	save_authorities();
	rig.setup = setup_rig_plain(
	    rig.arena, str_format(rig.arena,
			   "hosts: {z.example: {}}\ns2s: {authorities: %s}\n",
			   rig.authorities)
			   .text);
	rig.shard.setup = rig.setup;
	rig.shard.server = &rig.server;
	rig.server.outward = &outward;
	timers_init(&rig.shard.timers);
	shard_enter(&rig.shard);
	return 0;
}

static int
tear_down(void **state)
{
	unlink(rig.authorities);
	for (enum issuer i = ROOT; i < ISSUER_COUNT; i++)
		forged_free(&issuers[i]);
	trust_stop();
	timers_deinit(&rig.shard.timers);
	shard_enter(NULL);
	setup_unref(&rig.setup);
	arena_free(&rig.arena);
	return 0;
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(authorities_vouch_for_domains),
	    cmocka_unit_test(the_system_says_whom_to_trust),
	    cmocka_unit_test(constraints_that_cannot_be_read_permit_nothing),
	    cmocka_unit_test(revoked_certificates_prove_nothing),
	    cmocka_unit_test(what_is_found_is_told),
	    cmocka_unit_test(nothing_presented_proves_nothing),
	    cmocka_unit_test(canceling_ends_it_without_proof),
	    cmocka_unit_test(records_of_dns_decide_when_they_are_secure),
	    cmocka_unit_test(a_secure_target_may_be_named_instead),
	    cmocka_unit_test(records_count_for_who_came_to_us),
	    cmocka_unit_test(not_all_of_many_records_are_looked_at),
	};

	return cmocka_run_group_tests_name("verify", tests, set_up, tear_down);
}

#include "server/pkix.h"

#include "base/clock.h"
#include "base/err.h"

#define OID_ALT_NAME  "2.5.29.17"
#define OID_XMPP_ADDR "1.3.6.1.5.5.7.8.5"
#define TEXT_MAX      256

/* 112 bits of security: RSA of 2048 bits, SHA-2. */
#define FLAGS                                              \
	(GNUTLS_PROFILE_TO_VFLAGS(GNUTLS_PROFILE_MEDIUM) | \
	    GNUTLS_VERIFY_DISABLE_CRL_CHECKS)

/* So many seconds after its end a certificate has no part in what is believed.
 */
#define OVER_S 3600

/* --- reading -------------------------------------------------------------- */

static bool
import(struct str der, gnutls_x509_crt_t *crt_r)
{
	const gnutls_datum_t bytes = {
	    (unsigned char *)der.text, (unsigned)der.len};

	must(gnutls_x509_crt_init(crt_r) >= 0);
	if (gnutls_x509_crt_import(*crt_r, &bytes, GNUTLS_X509_FMT_DER) >= 0)
		return true;
	gnutls_x509_crt_deinit(*crt_r);
	*crt_r = NULL;
	return false;
}

static void
read_names(struct chain *chain, struct arena *arena)
{
	gnutls_x509_crt_t crt = chain->certs[0];
	gnutls_datum_t value;
	struct str copy;

	chain->names = (struct names){NULL, 0};
	if (gnutls_x509_crt_get_extension_by_oid2(
		crt, OID_ALT_NAME, 0, &value, NULL) < 0)
		return;
	copy =
	    (struct str){arena_dup(arena, value.data, value.size), value.size};
	gnutls_free(value.data);
	(void)names_read(arena, copy, &chain->names);
}

bool
chain_read(struct arena *arena, const struct str *ders, size_t count,
    struct chain *chain)
{
	chain->count = 0;
	while (chain->count < count && chain->count < CHAIN_MAX &&
	       import(ders[chain->count], &chain->certs[chain->count]))
		chain->count++;
	if (chain->count == 0)
		return false;
	read_names(chain, arena);
	return true;
}

void
chain_deinit(struct chain *chain)
{
	for (unsigned i = 0; i < chain->count; i++)
		gnutls_x509_crt_deinit(chain->certs[i]);
	chain->count = 0;
}

/* --- telling -------------------------------------------------------------- */

/* What others wrote goes into logs. */
static struct str
printable(struct arena *arena, const char *text, size_t len)
{
	char *copy = arena_dup(arena, text, len);

	for (size_t i = 0; i < len; i++) {
		if (copy[i] < ' ' || copy[i] > '~' || copy[i] == '"')
			copy[i] = '?';
	}
	return (struct str){copy, len};
}

static struct str
text_of(struct arena *arena, gnutls_x509_crt_t crt,
    int (*get)(gnutls_x509_crt_t, const char *oid, unsigned, unsigned, void *,
	size_t *))
{
	static const char *const oids[] = {GNUTLS_OID_X520_COMMON_NAME,
	    GNUTLS_OID_X520_ORGANIZATION_NAME,
	    GNUTLS_OID_X520_ORGANIZATIONAL_UNIT_NAME};

	for (size_t i = 0; i < sizeof(oids) / sizeof(oids[0]); i++) {
		char text[TEXT_MAX];
		size_t len = sizeof(text);

		if (get(crt, oids[i], 0, 0, text, &len) >= 0 && len > 0)
			return printable(arena, text, len);
	}
	return STR("(without a name)");
}

static struct str
issuer_of(struct arena *arena, gnutls_x509_crt_t crt)
{
	return text_of(arena, crt, gnutls_x509_crt_get_issuer_dn_by_oid);
}

static struct str
subject_of(struct arena *arena, gnutls_x509_crt_t crt)
{
	return text_of(arena, crt, gnutls_x509_crt_get_dn_by_oid);
}

struct str
chain_issuer(const struct chain *chain, struct arena *arena)
{
	return issuer_of(arena, chain->certs[0]);
}

/* "the certificate", or whose in its chain. */
static struct str
which(const struct chain *chain, struct arena *arena, unsigned i)
{
	struct str name;

	if (i == 0)
		return STR("the certificate");
	name = subject_of(arena, chain->certs[i]);
	return str_format(arena,
	    "the certificate of the authority \"%.*s\" in its chain",
	    STR_ARG(name));
}

static bool
is_self_signed(gnutls_x509_crt_t crt)
{
	return gnutls_x509_crt_check_issuer(crt, crt) != 0;
}

/* --- dates ---------------------------------------------------------------- */

/* The one that signed it, among those behind it; 0: none did. */
static unsigned
signer_of(const struct chain *chain, unsigned i)
{
	for (unsigned j = 1; j < chain->count; j++) {
		if (j != i && gnutls_x509_crt_check_issuer(
				  chain->certs[i], chain->certs[j]) != 0)
			return j;
	}
	return 0;
}

/* Of some certificates of a chain: their numbers there. */
struct path {
	unsigned at[CHAIN_MAX], count;
};

static bool
is_over(gnutls_x509_crt_t crt)
{
	return gnutls_x509_crt_get_expiration_time(crt) + OVER_S <
	       (int64_t)(clock_wall_us() / 1000000);
}

static bool
is_on(const struct path *path, unsigned i)
{
	for (unsigned j = 0; j < path->count; j++)
		if (path->at[j] == i)
			return true;
	return false;
}

/* A chain that was believed was so by these: the peer's own and all that lead
 * up from it. What is over had no part in it: a trusted root may have been
 * signed by an older one, which is presented as well. */
static struct path
path_of(const struct chain *chain)
{
	struct path path = {.at = {0}, .count = 1};

	for (unsigned i = 0; i < path.count; i++) {
		gnutls_x509_crt_t crt = chain->certs[path.at[i]];

		for (unsigned j = 1; j < chain->count; j++)
			if (!is_on(&path, j) && !is_over(chain->certs[j]) &&
			    gnutls_x509_crt_check_issuer(
				crt, chain->certs[j]) != 0)
				path.at[path.count++] = j;
	}
	return path;
}

int64_t
chain_ends_s(const struct chain *chain)
{
	const struct path path = path_of(chain);
	int64_t first = INT64_MAX;

	for (unsigned i = 0; i < path.count; i++) {
		int64_t ends_s = gnutls_x509_crt_get_expiration_time(
		    chain->certs[path.at[i]]);

		if (ends_s < first)
			first = ends_s;
	}
	return first;
}

static bool
is_in_time(const struct chain *chain, struct arena *arena, unsigned i,
    struct str *why_r)
{
	gnutls_x509_crt_t crt = chain->certs[i];
	int64_t now_s = (int64_t)(clock_wall_us() / 1000000);
	int64_t begins_s = gnutls_x509_crt_get_activation_time(crt);
	int64_t ends_s = gnutls_x509_crt_get_expiration_time(crt);
	struct str what = which(chain, arena, i);
	char day[CLOCK_TEXT_LEN];

	if (ends_s < now_s) {
		clock_text(day, (uint64_t)(ends_s < 0 ? 0 : ends_s) * 1000000);
		*why_r = str_format(arena,
		    "%.*s expired on %.10s; ask its administrator to renew it",
		    STR_ARG(what), day);
		return false;
	}
	if (begins_s > now_s) {
		clock_text(day, (uint64_t)begins_s * 1000000);
		*why_r = str_format(arena,
		    "%.*s is valid from %.10s only; see whether the clock is "
		    "right, here and there",
		    STR_ARG(what), day);
		return false;
	}
	return true;
}

bool
chain_is_in_time(
    const struct chain *chain, struct arena *arena, struct str *why_r)
{
	return is_in_time(chain, arena, 0, why_r);
}

/* --- what is wrong -------------------------------------------------------- */

static struct str
why_dates(const struct pkix_ask *ask, struct arena *arena)
{
	struct str why;

	for (unsigned i = 0; i < ask->chain->count; i++) {
		if (!is_in_time(ask->chain, arena, i, &why))
			return why;
	}
	return STR("the certificate of the authority that signed it expired; "
		   "ask its administrator for one of another authority");
}

static struct str
why_unknown(const struct pkix_ask *ask, struct arena *arena)
{
	const struct chain *chain = ask->chain;
	gnutls_x509_crt_t last = chain->certs[chain->count - 1];
	struct str issuer = issuer_of(arena, last);

	if (is_self_signed(chain->certs[0]))
		return STR("the certificate is self-signed: no authority "
			   "vouches for it; ask its administrator for one of "
			   "an authority, or trust it by s2s.authorities");
	if (chain->count == 1 || signer_of(chain, 0) == 0)
		return str_format(arena,
		    "the chain is incomplete or its authority unknown: the "
		    "certificate of \"%.*s\", which signed it, was not "
		    "presented and is not trusted here; ask its administrator "
		    "to add the intermediate certificates",
		    STR_ARG(issuer));
	return str_format(arena,
	    "the authority \"%.*s\" that vouches for the certificate is not "
	    "trusted here; if it should be, add it to s2s.authorities",
	    STR_ARG(issuer));
}

static bool
is_weak(gnutls_x509_crt_t crt)
{
	int algorithm = gnutls_x509_crt_get_signature_algorithm(crt);

	return algorithm < 0 ||
	       gnutls_sign_is_secure2((gnutls_sign_algorithm_t)algorithm,
		   GNUTLS_SIGN_FLAG_SECURE_FOR_CERTS) == 0;
}

static struct str
why_weak(const struct pkix_ask *ask, struct arena *arena)
{
	const struct chain *chain = ask->chain;

	for (unsigned i = 0; i < chain->count; i++) {
		int algorithm =
		    gnutls_x509_crt_get_signature_algorithm(chain->certs[i]);
		struct str what = which(chain, arena, i);

		if (is_weak(chain->certs[i]) &&
		    !is_self_signed(chain->certs[i]))
			return str_format(arena,
			    "%.*s is signed with %s, which is too weak; ask "
			    "its administrator for a new one",
			    STR_ARG(what),
			    algorithm < 0
				? "an algorithm that is unknown"
				: gnutls_sign_get_name(
				      (gnutls_sign_algorithm_t)algorithm));
	}
	return STR("a key in the chain of the certificate is too short "
		   "(RSA needs 2048 bits); ask its administrator for a new "
		   "one");
}

static struct str
why_no_authority(const struct pkix_ask *ask, struct arena *arena)
{
	struct str issuer = chain_issuer(ask->chain, arena);

	return str_format(arena,
	    "the certificate was signed with one that is for no authority "
	    "(\"%.*s\"); ask its administrator for one of an authority",
	    STR_ARG(issuer));
}

static struct str
why_constraints(const struct pkix_ask *ask, struct arena *arena)
{
	struct str issuer = chain_issuer(ask->chain, arena);

	return str_format(arena,
	    "an authority above the certificate was not allowed to vouch for "
	    "it (\"%.*s\": name constraints, path length or key usage); ask "
	    "its administrator for one of another authority",
	    STR_ARG(issuer));
}

static struct str
why_purpose(const struct pkix_ask *ask, struct arena *arena)
{
	return ask->is_client
		   ? STR("the certificate is neither for servers nor for "
			 "clients (extended key usage); ask its administrator "
			 "for one with serverAuth")
		   : STR("the certificate is not for servers (extended key "
			 "usage); ask its administrator for one with "
			 "serverAuth");
}

static struct str
why_forged(const struct pkix_ask *ask, struct arena *arena)
{
	struct str issuer = chain_issuer(ask->chain, arena);

	return str_format(arena,
	    "the signature on the certificate is not that of \"%.*s\", which "
	    "it names; somebody may be in between, or the chain is mixed up",
	    STR_ARG(issuer));
}

/* By any with the name of its issuer, so that nobody makes one up to hide the
 * one that signed; lists are of that one only. */
static bool
is_revoked(const struct pkix_ask *ask, gnutls_x509_crt_t crt)
{
	const struct chain *chain = ask->chain;
	gnutls_x509_crt_t issuer = trust_issuer_of(ask->trust, crt);

	if (issuer != NULL && trust_has_revoked(ask->trust, crt, issuer))
		return true;
	for (unsigned i = 1; i < chain->count; i++)
		if (gnutls_x509_crt_check_issuer(crt, chain->certs[i]) != 0 &&
		    trust_has_revoked(ask->trust, crt, chain->certs[i]))
			return true;
	return false;
}

/* The number in the chain of the first that is; count: none is. */
static unsigned
first_revoked(const struct pkix_ask *ask)
{
	const struct path path = path_of(ask->chain);

	for (unsigned i = 0; i < path.count; i++)
		if (is_revoked(ask, ask->chain->certs[path.at[i]]))
			return path.at[i];
	return ask->chain->count;
}

static struct str
why_revoked(const struct pkix_ask *ask, struct arena *arena)
{
	struct str what = which(ask->chain, arena, first_revoked(ask));

	return str_format(arena,
	    "%.*s was revoked by its authority (s2s.revoked); ask its "
	    "administrator for a new one",
	    STR_ARG(what));
}

static const struct {
	unsigned status;
	struct str (*why)(const struct pkix_ask *, struct arena *);
} failures[] = {
    {GNUTLS_CERT_SIGNER_NOT_FOUND, why_unknown},
    {GNUTLS_CERT_EXPIRED | GNUTLS_CERT_NOT_ACTIVATED, why_dates},
    {GNUTLS_CERT_INSECURE_ALGORITHM, why_weak},
    {GNUTLS_CERT_SIGNER_NOT_CA, why_no_authority},
    {GNUTLS_CERT_SIGNER_CONSTRAINTS_FAILURE, why_constraints},
    {GNUTLS_CERT_PURPOSE_MISMATCH, why_purpose},
    {GNUTLS_CERT_SIGNATURE_FAILURE, why_forged},
    {GNUTLS_CERT_REVOKED, why_revoked},
};

static struct str
why_not(const struct pkix_ask *ask, struct arena *arena, unsigned status)
{
	gnutls_datum_t words;
	struct str why;

	for (size_t i = 0; i < sizeof(failures) / sizeof(failures[0]); i++) {
		if ((status & failures[i].status) != 0)
			return failures[i].why(ask, arena);
	}
	if (gnutls_certificate_verification_status_print(
		status, GNUTLS_CRT_X509, &words, 0) < 0)
		return STR("the certificate is not valid");
	why = printable(arena, (const char *)words.data, words.size);
	gnutls_free(words.data);
	return why;
}

/* --- checking ------------------------------------------------------------- */

static unsigned
status_for(const struct pkix_ask *ask, const char *purpose)
{
	struct chain chain = *ask->chain;
	gnutls_typed_vdata_st data = {.type = GNUTLS_DT_KEY_PURPOSE_OID,
	    .data = (unsigned char *)purpose};
	unsigned status = GNUTLS_CERT_INVALID;

	if (gnutls_x509_trust_list_verify_crt2(trust_list(ask->trust),
		chain.certs, chain.count, &data, 1, FLAGS, &status, NULL) < 0)
		return GNUTLS_CERT_INVALID;
	return status;
}

/* Public authorities no longer make certificates for clients, so one for
 * servers is taken in both directions. RFC 6120, section 13.7.1.4, names a
 * purpose of XMPP. */
bool
pkix_is_trusted(
    const struct pkix_ask *ask, struct arena *arena, struct str *why_r)
{
	static const char *const purposes[] = {
	    GNUTLS_KP_TLS_WWW_SERVER, OID_XMPP_ADDR, GNUTLS_KP_TLS_WWW_CLIENT};
	const size_t count = ask->is_client ? 3 : 2;
	unsigned status = GNUTLS_CERT_PURPOSE_MISMATCH;

	for (size_t i = 0;
	    i < count && (status & GNUTLS_CERT_PURPOSE_MISMATCH) != 0; i++)
		status = status_for(ask, purposes[i]);
	if (status == 0 && first_revoked(ask) < ask->chain->count)
		status = GNUTLS_CERT_REVOKED;
	if (status != 0)
		*why_r = why_not(ask, arena, status);
	return status == 0;
}

/* GnuTLS holds names of DNS to the constraints; the others are held to the same
 * here, stricter than RFC 5280 asks. What cannot be read permits nothing. */
static bool
may_vouch(gnutls_x509_crt_t authority, struct str domain)
{
	const gnutls_datum_t name = {
	    (unsigned char *)domain.text, (unsigned)domain.len};
	gnutls_x509_name_constraints_t constraints;
	unsigned is_critical;
	int err;
	bool may;

	must(gnutls_x509_name_constraints_init(&constraints) >= 0);
	err = gnutls_x509_crt_get_name_constraints(
	    authority, constraints, 0, &is_critical);
	may = err == GNUTLS_E_REQUESTED_DATA_NOT_AVAILABLE ||
	      (err >= 0 && gnutls_x509_name_constraints_check(
			       constraints, GNUTLS_SAN_DNSNAME, &name) != 0);
	gnutls_x509_name_constraints_deinit(constraints);
	return may;
}

/* Those that were presented, and those that are trusted and need not be. */
static bool
all_may_vouch(const struct pkix_ask *ask, struct str domain)
{
	const struct path path = path_of(ask->chain);

	for (unsigned i = 0; i < path.count; i++) {
		gnutls_x509_crt_t crt = ask->chain->certs[path.at[i]];
		gnutls_x509_crt_t root = ask->trust == NULL
					     ? NULL
					     : trust_issuer_of(ask->trust, crt);

		if ((i > 0 && !may_vouch(crt, domain)) ||
		    (root != NULL && !may_vouch(root, domain)))
			return false;
	}
	return true;
}

static struct str
why_other_name(const struct chain *chain, struct arena *arena,
    const struct name_wanted *wanted)
{
	struct str names = names_text(&chain->names, arena);

	if (chain->names.count == 0)
		return str_format(arena,
		    "the certificate names no domain (subjectAltName), and a "
		    "common name does not count; ask its administrator for one "
		    "that names %.*s",
		    STR_ARG(wanted->domain));
	return str_format(arena,
	    "the certificate is for %.*s, not for %.*s; ask its administrator "
	    "for one that names it",
	    STR_ARG(names), STR_ARG(wanted->domain));
}

bool
pkix_is_for(const struct pkix_ask *ask, struct arena *arena,
    const struct name_wanted *wanted, struct str *why_r)
{
	const struct chain *chain = ask->chain;

	if (names_find(&chain->names, arena, wanted) == NULL) {
		*why_r = why_other_name(chain, arena, wanted);
		return false;
	}
	if (!all_may_vouch(ask, wanted->ascii)) {
		*why_r = why_constraints(ask, arena);
		return false;
	}
	return true;
}

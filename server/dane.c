#include "server/dane.h"

#include <gnutls/abstract.h>
#include <gnutls/crypto.h>

/* Values of the fields: RFC 6698, sections 2.1.1 to 2.1.3. */
enum usage { PKIX_TA, PKIX_EE, DANE_TA, DANE_EE };
enum selector { WHOLE, PUBLIC_KEY };
enum matching { FULL, SHA256, SHA512 };

#define SHA256_LEN 32
#define SHA512_LEN 64

/* --- which can be used ---------------------------------------------------- */

static bool
is_well_formed(const struct dns_record *record)
{
	switch (record->matching) {
	case FULL:
		return record->association.len > 0;
	case SHA256:
		return record->association.len == SHA256_LEN;
	case SHA512:
		return record->association.len == SHA512_LEN;
	default:
		return false;
	}
}

static bool
is_readable(const struct dns_record *record)
{
	return record->usage <= DANE_EE && record->selector <= PUBLIC_KEY &&
	       is_well_formed(record);
}

/* RFC 7671, section 9: of two digests only the stronger counts. */
static bool
is_usable(const struct dane_ask *ask, const struct dns_record *record)
{
	if (!is_readable(record))
		return false;
	if (record->matching != SHA256)
		return true;
	for (size_t i = 0; i < ask->count; i++) {
		const struct dns_record *other = &ask->records[i];

		if (other->matching == SHA512 && is_readable(other) &&
		    other->usage == record->usage &&
		    other->selector == record->selector)
			return false;
	}
	return true;
}

/* Of two digests one remains. */
bool
dane_needs_tls(const struct dns_record *records, size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (is_readable(&records[i]))
			return true;
	return false;
}

/* --- one record and one certificate --------------------------------------- */

static bool
select_part(gnutls_x509_crt_t crt, uint8_t selector, gnutls_datum_t *part_r)
{
	gnutls_pubkey_t key;
	bool is_good;

	if (selector == WHOLE)
		return gnutls_x509_crt_export2(
			   crt, GNUTLS_X509_FMT_DER, part_r) >= 0;
	if (gnutls_pubkey_init(&key) < 0)
		return false;
	is_good = gnutls_pubkey_import_x509(key, crt, 0) >= 0 &&
		  gnutls_pubkey_export2(key, GNUTLS_X509_FMT_DER, part_r) >= 0;
	gnutls_pubkey_deinit(key);
	return is_good;
}

static bool
is_part(const struct dns_record *record, struct str part)
{
	uint8_t digest[SHA512_LEN];

	if (record->matching == FULL)
		return str_equal(part, record->association);
	if (gnutls_hash_fast(record->matching == SHA256 ? GNUTLS_DIG_SHA256
							: GNUTLS_DIG_SHA512,
		part.text, part.len, digest) < 0)
		return false;
	return memcmp(digest, record->association.text,
		   record->association.len) == 0;
}

static bool
matches(const struct dns_record *record, gnutls_x509_crt_t crt)
{
	gnutls_datum_t part;
	bool is_it;

	if (!select_part(crt, record->selector, &part))
		return false;
	is_it =
	    is_part(record, (struct str){(const char *)part.data, part.size});
	gnutls_free(part.data);
	return is_it;
}

/* --- one record ----------------------------------------------------------- */

/* RFC 7673, section 4.1: either name will do. The sentence is of the first. */
static bool
is_for_either(const struct dane_ask *ask, const struct pkix_ask *pkix,
    struct arena *arena, struct str *why_r)
{
	struct str why;

	return pkix_is_for(pkix, arena, &ask->domain, why_r) ||
	       pkix_is_for(pkix, arena, &ask->target, &why);
}

static bool
is_vouched_for(const struct dane_ask *ask, struct arena *arena,
    const struct trust *trust, struct str *why_r)
{
	const struct pkix_ask pkix = {ask->chain, trust, ask->is_client};

	if (*ask->looks_left == 0) {
		*why_r = STR("too many of them are for authorities that do not "
			     "vouch for it");
		return false;
	}
	--*ask->looks_left;
	return pkix_is_trusted(&pkix, arena, why_r) &&
	       is_for_either(ask, &pkix, arena, why_r);
}

static bool
is_below(const struct dane_ask *ask, struct arena *arena,
    gnutls_x509_crt_t authority, struct str *why_r)
{
	struct trust *trust = trust_of_one(authority);
	bool is_it = is_vouched_for(ask, arena, trust, why_r);

	trust_drop(&trust);
	return is_it;
}

/* RFC 7671, section 5.2.2: with "2 0 0" the authority need not be in what the
 * server presents. */
static bool
is_below_record(const struct dane_ask *ask, struct arena *arena,
    const struct dns_record *record, struct str *why_r)
{
	const gnutls_datum_t der = {(unsigned char *)record->association.text,
	    (unsigned)record->association.len};
	gnutls_x509_crt_t authority;
	bool is_it;

	if (record->selector != WHOLE || record->matching != FULL ||
	    gnutls_x509_crt_init(&authority) < 0)
		return false;
	is_it =
	    gnutls_x509_crt_import(authority, &der, GNUTLS_X509_FMT_DER) >= 0 &&
	    is_below(ask, arena, authority, why_r);
	gnutls_x509_crt_deinit(authority);
	return is_it;
}

/* An authority in the chain, or (root) above it. */
static bool
is_below_match(const struct dane_ask *ask, struct arena *arena,
    const struct dns_record *record, gnutls_x509_crt_t root, struct str *why_r)
{
	for (unsigned i = 1; i < ask->chain->count; i++) {
		if (matches(record, ask->chain->certs[i]) &&
		    is_below(ask, arena, ask->chain->certs[i], why_r))
			return true;
	}
	return root != NULL && matches(record, root) &&
	       is_below(ask, arena, root, why_r);
}

/* The usages 0 and 1 need an authority that we trust as well. */
static bool
holds_with_pkix(const struct dane_ask *ask, struct arena *arena,
    const struct dns_record *record, struct str *why_r)
{
	struct trust *trust =
	    trust_take(arena, ask->authorities, ask->revoked, why_r);
	bool holds;

	if (trust == NULL)
		return false;
	holds = is_vouched_for(ask, arena, trust, why_r);
	if (holds && record->usage == PKIX_TA)
		holds = is_below_match(ask, arena, record,
		    trust_root_of(trust, ask->chain), why_r);
	trust_drop(&trust);
	return holds;
}

/* Usage 3 takes neither names nor dates (RFC 7671, section 5.1). */
static bool
holds(const struct dane_ask *ask, struct arena *arena,
    const struct dns_record *record, struct str *why_r)
{
	gnutls_x509_crt_t own = ask->chain->certs[0];

	switch (record->usage) {
	case DANE_EE:
		return matches(record, own);
	case DANE_TA:
		return is_below_match(ask, arena, record, NULL, why_r) ||
		       is_below_record(ask, arena, record, why_r);
	case PKIX_EE:
		return matches(record, own) &&
		       holds_with_pkix(ask, arena, record, why_r);
	default:
		return holds_with_pkix(ask, arena, record, why_r);
	}
}

enum dane_result
dane_check(const struct dane_ask *ask, struct arena *arena, int64_t *ends_s_r,
    struct str *why_r)
{
	struct str why = STR_NONE;
	size_t usable = 0;

	for (size_t i = 0; i < ask->count; i++) {
		const struct dns_record *record = &ask->records[i];

		if (!is_usable(ask, record))
			continue;
		usable++;
		if (!holds(ask, arena, record, &why))
			continue;
		*ends_s_r =
		    record->usage == DANE_EE ? 0 : chain_ends_s(ask->chain);
		return DANE_HOLDS;
	}
	if (usable == 0)
		return DANE_UNUSABLE;
	*why_r = STR("the TLSA records of its domain (DANE) are for another "
		     "certificate; ask its administrator to publish new ones");
	if (why.len > 0)
		*why_r = str_format(arena,
		    "the TLSA records of its domain (DANE) do not hold: %.*s",
		    STR_ARG(why));
	return DANE_REFUSED;
}

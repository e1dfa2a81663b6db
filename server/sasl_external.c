/* EXTERNAL by client certificate, XEP-0178, and ANONYMOUS, RFC 4505. */
#include <gnutls/x509.h>

#include "base/rand.h"
#include "server/sasl_mechanisms.h"

#define OID_XMPP_ADDR "1.3.6.1.5.5.7.8.5"
#define NAMES_MAX     64
#define ANONYMOUS_LEN 20
#define TRACE_MAX     255

/* An otherName holds a DER UTF8String: its tag, its length, its bytes. */
static bool
read_utf8_string(const uint8_t *der, size_t len, struct str *text_r)
{
	size_t head = 2, text_len;

	if (len < 2 || der[0] != 0x0c)
		return false;
	text_len = der[1];
	if (text_len == 0x81 && len > 2) {
		head = 3;
		text_len = der[2];
	} else if (text_len == 0x82 && len > 3) {
		head = 4;
		text_len = (size_t)der[2] << 8 | der[3];
	} else if (text_len > 0x7f) {
		return false;
	}
	*text_r = (struct str){(const char *)der + head, text_len};
	return head + text_len == len;
}

/* GnuTLS decodes the names that it knows, xmppAddr among them, to plain text.
 */
static const struct jid *
name_at(struct arena *arena, gnutls_x509_crt_t certificate, unsigned index,
    bool *is_last_r)
{
	char name[4096], oid[64];
	size_t len = sizeof(name), oid_len = sizeof(oid);
	struct str text;
	int type = gnutls_x509_crt_get_subject_alt_name(
	    certificate, index, name, &len, NULL);

	*is_last_r = type == GNUTLS_E_REQUESTED_DATA_NOT_AVAILABLE;
	if (type == GNUTLS_SAN_OTHERNAME_XMPP) {
		text = (struct str){name, len};
		return jid_parse(arena, text);
	}
	if (type != GNUTLS_SAN_OTHERNAME ||
	    gnutls_x509_crt_get_subject_alt_othername_oid(
		certificate, index, oid, &oid_len) < 0 ||
	    !str_equal(str_of(oid), STR(OID_XMPP_ADDR)) ||
	    !read_utf8_string((const uint8_t *)name, len, &text))
		return NULL;
	return jid_parse(arena, text);
}

/* The one name on this host that is meant: that of the authorization identity,
 * or else of the stream's header (RFC 6120, section 13.7.2.2.1), or the only
 * one there is (XEP-0178, section 2). */
static const struct jid *
choose_name(
    struct sasl *sasl, gnutls_x509_crt_t certificate, const struct jid *wanted)
{
	const struct jid *found = NULL;
	bool is_last = false;

	for (unsigned i = 0; i < NAMES_MAX && !is_last; i++) {
		const struct jid *name =
		    name_at(sasl->arena, certificate, i, &is_last);

		if (name == NULL || !jid_is_bare(name) ||
		    jid_local(name).len == 0 ||
		    !str_equal(jid_domain(name), sasl->channel->host) ||
		    (wanted != NULL && !jid_equal(name, wanted)))
			continue;
		if (found != NULL && !jid_equal(found, name)) {
			sasl->err = SASL_ERR_INVALID_AUTHZID;
			return NULL;
		}
		found = name;
	}
	return found;
}

static const struct jid *
read_certificate(struct sasl *sasl, const struct jid *wanted)
{
	struct str der = sasl->channel->certificate;
	const gnutls_datum_t datum = {
	    (unsigned char *)der.text, (unsigned)der.len};
	const struct jid *name = NULL;
	gnutls_x509_crt_t certificate;

	if (gnutls_x509_crt_init(&certificate) < 0)
		return NULL;
	if (gnutls_x509_crt_import(certificate, &datum, GNUTLS_X509_FMT_DER) >=
	    0)
		name = choose_name(sasl, certificate, wanted);
	gnutls_x509_crt_deinit(certificate);
	return name;
}

enum sasl_step
external_take(struct sasl *sasl, struct str message)
{
	const struct jid *wanted = NULL, *name;

	sasl->err = SASL_ERR_NOT_AUTHORIZED;
	if (!str_is_utf8(message))
		return sasl_fail(sasl, SASL_ERR_MALFORMED_REQUEST);
	if (message.len > 0) {
		wanted = jid_parse(sasl->arena, message);
		if (wanted == NULL)
			return sasl_fail(sasl, SASL_ERR_INVALID_AUTHZID);
	} else if (sasl->channel->claimed != NULL) {
		wanted = jid_to_bare(sasl->arena, sasl->channel->claimed);
	}
	if (wanted != NULL)
		sasl->err = SASL_ERR_INVALID_AUTHZID;
	name = read_certificate(sasl, wanted);
	if (name == NULL)
		return SASL_FAILURE;
	if (!sasl_set_identity(sasl, jid_local(name), STR_NONE))
		return SASL_FAILURE;
	return SASL_ASK_KEYS;
}

enum sasl_step
external_take_keys(struct sasl *sasl)
{
	return sasl_admit(sasl);
}

/* What the client sends is a trace for people; we keep none. */
enum sasl_step
anonymous_take(struct sasl *sasl, struct str message)
{
	if (!str_is_utf8(message) || message.len > TRACE_MAX)
		return sasl_fail(sasl, SASL_ERR_MALFORMED_REQUEST);
	sasl->jid = jid_make(sasl->arena, rand_id(sasl->arena, ANONYMOUS_LEN),
	    sasl->channel->host, STR_NONE);
	return SASL_SUCCESS;
}

#include "server/sasl.h"

#include "base/err.h"
#include "server/sasl_mechanisms.h"
#include "xml/prep.h"

const struct sasl_mechanism sasl_mechanisms[] = {
    {"EXTERNAL", true, false, .take = external_take,
	.take_keys = external_take_keys, .client_first = true,
	.is_final = true},
    {"SCRAM-SHA-512-PLUS", true, true, KEY_SHA512, scram_take, scram_take_keys,
	true},
    {"SCRAM-SHA-256-PLUS", true, true, KEY_SHA256, scram_take, scram_take_keys,
	true},
    {"SCRAM-SHA-1-PLUS", true, true, KEY_SHA1, scram_take, scram_take_keys,
	true},
    {"SCRAM-SHA-512", false, false, KEY_SHA512, scram_take, scram_take_keys,
	true},
    {"SCRAM-SHA-256", false, false, KEY_SHA256, scram_take, scram_take_keys,
	true},
    {"SCRAM-SHA-1", false, false, KEY_SHA1, scram_take, scram_take_keys, true},
    {"PLAIN", true, false, .take = plain_take, .take_keys = plain_take_keys,
	.client_first = true},
    {"ANONYMOUS", false, false, .take = anonymous_take},
    {NULL},
};

const char *
sasl_err_element(enum sasl_err err)
{
	static const char *const elements[] = {
#define X(name, element) [SASL_ERR_##name] = element,
	    SASL_ERR_MAP(X)
#undef X
	};

	return elements[err];
}

const struct sasl_mechanism *
sasl_find(struct str name)
{
	for (size_t i = 0; sasl_mechanisms[i].name != NULL; i++) {
		if (str_equal(name, str_of(sasl_mechanisms[i].name)))
			return &sasl_mechanisms[i];
	}
	return NULL;
}

bool
sasl_fits(
    const struct sasl_mechanism *mechanism, const struct sasl_channel *channel)
{
	if (mechanism->needs_tls && !channel->is_secure)
		return false;
	if (mechanism->take == external_take && channel->certificate.len == 0)
		return false;
	return !mechanism->needs_binding || channel->has_exporter ||
	       channel->end_point.len > 0;
}

/* --- an attempt ----------------------------------------------------------- */

enum sasl_step
sasl_start(struct sasl *sasl, const struct sasl_mechanism *mechanism,
    struct str initial)
{
	sasl->mechanism = mechanism;
	if (initial.text == NULL && mechanism->client_first) {
		sasl->out = STR("");
		return SASL_CHALLENGE;
	}
	return mechanism->take(sasl, initial);
}

enum sasl_step
sasl_take(struct sasl *sasl, struct str response)
{
	return sasl->mechanism->take(sasl, response);
}

enum sasl_step
sasl_take_keys(struct sasl *sasl, const struct keys *keys)
{
	struct keys *own = arena_new(sasl->arena, struct keys);

	if (keys->err != ERR_NONE)
		return sasl_fail(sasl, SASL_ERR_TEMPORARY_AUTH_FAILURE);
	*own = *keys;
	keys_copy(sasl->arena, keys, own);
	sasl->keys = own;
	return sasl->mechanism->take_keys(sasl);
}

enum sasl_step
sasl_take_check(struct sasl *sasl, bool fits)
{
	if (!fits || !sasl->keys->exists)
		return sasl_fail(sasl, SASL_ERR_NOT_AUTHORIZED);
	plain_remember(sasl);
	return sasl_admit(sasl);
}

bool
sasl_is_over(const struct sasl *sasl)
{
	return sasl->mechanism != NULL && sasl->mechanism->is_final &&
	       (sasl->err == SASL_ERR_NOT_AUTHORIZED ||
		   sasl->err == SASL_ERR_INVALID_AUTHZID);
}

/* --- for mechanisms ------------------------------------------------------- */

enum sasl_step
sasl_fail(struct sasl *sasl, enum sasl_err err)
{
	sasl->err = err;
	return SASL_FAILURE;
}

bool
sasl_set_identity(struct sasl *sasl, struct str authcid, struct str authzid)
{
	const struct sasl_channel *channel = sasl->channel;
	struct str local = authcid;
	const struct jid *other;

	sasl->err = SASL_ERR_NOT_AUTHORIZED;
	if (!prep_local(sasl->arena, &local))
		return false;
	sasl->jid = jid_make(sasl->arena, local, channel->host, STR_NONE);
	sasl->err = SASL_ERR_INVALID_AUTHZID;
	if (authzid.len > 0) {
		other = jid_parse(sasl->arena, authzid);
		if (other == NULL || !jid_equal(other, sasl->jid))
			return false;
	}
	/* RFC 6120, section 6.4.6: the header spoke for somebody else. */
	if (channel->claimed != NULL &&
	    !jid_equal_bare(channel->claimed, sasl->jid))
		return false;
	sasl->err = SASL_ERR_NONE;
	return true;
}

enum sasl_step
sasl_admit(struct sasl *sasl)
{
	if (!sasl->keys->exists)
		return sasl_fail(sasl, SASL_ERR_NOT_AUTHORIZED);
	if (sasl->keys->is_disabled)
		return sasl_fail(sasl, SASL_ERR_ACCOUNT_DISABLED);
	return SASL_SUCCESS;
}

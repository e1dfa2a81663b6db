/* SCRAM as a mechanism, RFC 5802, section 5. */
#include "base/code.h"
#include "base/rand.h"
#include "server/sasl.h"
#include "server/scram.h"

#define NONCE_LEN 24 /* characters of five bits */

struct scram {
	struct scram_first first;
	struct str message; /* the client's first, kept: first points into it */
	struct str nonce;   /* the client's and ours */
	struct str server_first;
	struct str bound; /* what c= must be */
};

/* Section 6: "y" means that the client could bind but saw no -PLUS, which we
 * offered: somebody took it away. */
static enum sasl_err
check_binding(struct sasl *sasl)
{
	const struct sasl_channel *channel = sasl->channel;
	struct scram *scram = sasl->scram;
	struct str type = scram->first.binding, binding = STR_NONE;

	if (sasl->mechanism->needs_binding !=
	    (scram->first.flag == SCRAM_BINDING))
		return SASL_ERR_MALFORMED_REQUEST;
	if (scram->first.flag == SCRAM_BINDING_UNUSED && channel->offers_plus)
		return SASL_ERR_NOT_AUTHORIZED;
	if (str_is(type, "tls-exporter"))
		binding = channel->exporter;
	else if (str_is(type, "tls-server-end-point"))
		binding = channel->end_point;
	if (scram->first.flag == SCRAM_BINDING && binding.len == 0)
		return SASL_ERR_NOT_AUTHORIZED;
	scram->bound = str_join2(sasl->arena, scram->first.gs2_header, binding);
	return SASL_ERR_NONE;
}

static enum sasl_step
take_first(struct sasl *sasl, struct str message)
{
	struct scram *scram = arena_new(sasl->arena, struct scram);
	enum sasl_err err;

	sasl->scram = scram;
	scram->message = str_dup(sasl->arena, message);
	if (!scram_read_first(sasl->arena, scram->message, &scram->first))
		return sasl_fail(sasl, SASL_ERR_MALFORMED_REQUEST);
	err = check_binding(sasl);
	if (err != SASL_ERR_NONE)
		return sasl_fail(sasl, err);
	if (!sasl_set_identity(sasl, scram->first.user, scram->first.authzid))
		return SASL_FAILURE;
	return SASL_ASK_KEYS;
}

enum sasl_step
scram_take_keys(struct sasl *sasl)
{
	const struct scram_keys *keys = &sasl->keys->of[sasl->mechanism->hash];
	struct scram *scram = sasl->scram;
	struct str salt;

	if (keys->iterations == 0)
		return sasl_fail(sasl, SASL_ERR_NOT_AUTHORIZED);
	salt = base64_encode(sasl->arena, keys->salt);
	scram->nonce = str_join2(
	    sasl->arena, scram->first.nonce, rand_id(sasl->arena, NONCE_LEN));
	scram->server_first = str_format(sasl->arena, "r=%.*s,s=%.*s,i=%u",
	    STR_ARG(scram->nonce), STR_ARG(salt), keys->iterations);
	sasl->out = scram->server_first;
	return SASL_CHALLENGE;
}

/* Those that the proof is of; NULL: of none. Where there is one pair only it is
 * tried twice, so that this takes as long for everybody. */
static const struct scram_keys *
find_keys(struct sasl *sasl, struct str auth_message, struct str proof)
{
	const enum key_hash hash = sasl->mechanism->hash;
	const struct scram_keys *keys = &sasl->keys->of[hash];
	struct scram_keys *others;

	if (scram_proves(hash, keys, auth_message, proof))
		return keys;
	others = arena_new(sasl->arena, struct scram_keys);
	*others = *keys;
	if (keys->stored_sasl.len > 0) {
		others->stored_key = keys->stored_sasl;
		others->server_key = keys->server_sasl;
	}
	return scram_proves(hash, others, auth_message, proof) ? others : NULL;
}

static enum sasl_step
take_final(struct sasl *sasl, struct str message)
{
	const struct scram_keys *keys;
	struct scram *scram = sasl->scram;
	struct scram_final final;
	struct str auth_message;
	enum sasl_step step;

	if (!scram_read_final(sasl->arena, message, &final))
		return sasl_fail(sasl, SASL_ERR_MALFORMED_REQUEST);
	auth_message = str_format(sasl->arena, "%.*s,%.*s,%.*s",
	    STR_ARG(scram->first.bare), STR_ARG(scram->server_first),
	    STR_ARG(final.without_proof));
	keys = find_keys(sasl, auth_message, final.proof);
	if (!scram_equal(final.binding, scram->bound) ||
	    !scram_equal(final.nonce, scram->nonce) || keys == NULL)
		return sasl_fail(sasl, SASL_ERR_NOT_AUTHORIZED);
	step = sasl_admit(sasl);
	if (step == SASL_SUCCESS)
		sasl->out = scram_signature(
		    sasl->arena, sasl->mechanism->hash, keys, auth_message);
	return step;
}

enum sasl_step
scram_take(struct sasl *sasl, struct str message)
{
	return sasl->scram == NULL ? take_first(sasl, message)
				   : take_final(sasl, message);
}

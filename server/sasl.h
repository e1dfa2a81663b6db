/*
 * server/sasl.h - SASL (RFC 4422) as RFC 6120, section 6, uses it: mechanisms
 * without a network.
 *
 * An attempt is driven by who owns the stream: it is given what the client
 * says (decoded), the keys of the account it asks for, and the outcome of a
 * password's PBKDF2; each time it says what to do next. Nothing tells an
 * unknown account from a wrong password.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "server/keys.h"
#include "xml/jid.h"

#define NS_SASL         "urn:ietf:params:xml:ns:xmpp-sasl"
#define NS_SASL_BINDING "urn:xmpp:sasl-cb:0"

/* RFC 6120, section 6.5. */
#define SASL_ERR_MAP(X)                               \
	X(NONE, "")                                   \
	X(ABORTED, "aborted")                         \
	X(ACCOUNT_DISABLED, "account-disabled")       \
	X(ENCRYPTION_REQUIRED, "encryption-required") \
	X(INCORRECT_ENCODING, "incorrect-encoding")   \
	X(INVALID_AUTHZID, "invalid-authzid")         \
	X(INVALID_MECHANISM, "invalid-mechanism")     \
	X(MALFORMED_REQUEST, "malformed-request")     \
	X(NOT_AUTHORIZED, "not-authorized")           \
	X(TEMPORARY_AUTH_FAILURE, "temporary-auth-failure")

enum sasl_err {
#define X(name, element) SASL_ERR_##name,
	SASL_ERR_MAP(X)
#undef X
};

const char *sasl_err_element(enum sasl_err);

/* What is known of the stream and its connection. */
struct sasl_channel {
	struct str host; /* prepared domain */
	bool is_secure;
	bool offers_plus;     /* the features had a -PLUS mechanism */
	bool has_exporter;    /* tls-exporter, RFC 9266 */
	struct str exporter;  /* for mechanisms that need it */
	struct str end_point; /* tls-server-end-point, RFC 5929; empty: none */
	struct str certificate;    /* verified, in DER; empty: none */
	bool is_unknown;           /* there is one, but nobody vouches for it */
	const struct jid *claimed; /* the header's from; NULL: none */
};

enum sasl_step {
	SASL_CHALLENGE,      /* send out, wait for the response */
	SASL_ASK_KEYS,       /* of jid: then sasl_take_keys */
	SASL_CHECK_PASSWORD, /* password against keys: sasl_take_check */
	SASL_SUCCESS,        /* send out (text NULL: nothing); jid is in */
	SASL_FAILURE         /* err */
};

struct sasl_mechanism;

/* One attempt. Zeroed but for arena and channel before sasl_start. */
struct sasl {
	struct arena *arena; /* lifetime: attempt */
	const struct sasl_channel *channel;
	const struct sasl_mechanism *mechanism;
	const struct jid *jid; /* who it is about: bare */
	struct str out;
	enum sasl_err err;
	const struct keys *keys; /* in arena */
	struct str password;     /* prepared */
	struct scram *scram;
};

struct sasl_mechanism {
	const char *name;
	bool needs_tls, needs_binding;
	enum key_hash hash; /* of SCRAM */
	/* A message of the client: the initial response, later responses. */
	enum sasl_step (*take)(struct sasl *, struct str message);
	enum sasl_step (*take_keys)(struct sasl *);
	bool client_first; /* without initial response: an empty challenge */
	bool is_final;     /* who it does not let in is sent away */
};

/* All of them, strongest first, as they are offered; ends with a NULL name. */
extern const struct sasl_mechanism sasl_mechanisms[];

/* NULL when there is none of that name. */
const struct sasl_mechanism *sasl_find(struct str name);
/* Whether the channel can carry it. */
bool sasl_fits(const struct sasl_mechanism *, const struct sasl_channel *);

/* Begins; initial text NULL when there was no initial response. */
enum sasl_step sasl_start(
    struct sasl *, const struct sasl_mechanism *, struct str initial);
enum sasl_step sasl_take(struct sasl *, struct str response);
/* The keys are copied. */
enum sasl_step sasl_take_keys(struct sasl *, const struct keys *);
enum sasl_step sasl_take_check(struct sasl *, bool fits);
/* Whether the stream shall end with this failure: XEP-0178, section 2, for what
 * a certificate says does not change with another try. */
bool sasl_is_over(const struct sasl *);

/* --- for mechanisms ------------------------------------------------------- */

enum sasl_step sasl_fail(struct sasl *, enum sasl_err);
/* Whom the authentication identity (a localpart) names: sets jid. False, with
 * err set, when it is none, when the authorization identity (a bare JID, or
 * empty) is another's, or when the stream's header claimed another. */
bool sasl_set_identity(struct sasl *, struct str authcid, struct str authzid);
/* The keys are good and the secret was right: is it let in? */
enum sasl_step sasl_admit(struct sasl *);

enum sasl_step scram_take(struct sasl *, struct str message);
enum sasl_step scram_take_keys(struct sasl *);

/* SASL on a client's stream: RFC 6120, section 6. */
#include <stdlib.h>
#include <string.h>
#include <uv.h>

#include "base/clock.h"
#include "base/code.h"
#include "base/err.h"
#include "server/address.h"
#include "server/c2s_internal.h"
#include "server/metrics.h"
#include "server/register.h"
#include "server/sasl.h"
#include "server/settings.h"
#include "server/setup.h"
#include "server/shard.h"

/* Section 6.4.5: between two and five retries. Who only tried what cannot work
 * (another type of channel binding) guessed nothing and may try more. */
#define GUESSES_MAX  5
#define FAILURES_MAX 12

enum auth_stage {
	AUTH_NONE,
	AUTH_RESPONSE, /* the client's turn */
	AUTH_KEYS,     /* the account's shard is asked for them */
	AUTH_CHECK,    /* PBKDF2 on a thread of the pool */
	AUTH_ACCOUNT,  /* a passing one is made (ANONYMOUS) */
	AUTH_VERDICT,  /* the address's shard is asked how long to wait */
	AUTH_DELAY     /* before a failure is told */
};

struct auth {
	struct c2s *c2s;
	struct arena *arena; /* lifetime: attempt */
	struct sasl sasl;
	struct sasl_channel channel;
	enum auth_stage stage;
	bool is_aborted; /* while it was not the client's turn */
	unsigned failures, guesses, delay_ms;
	uint64_t ticket;   /* of the question that is open */
	uint64_t began_ms; /* the attempt: clock_mono_ms */
	struct timer delay;
};

/* A PBKDF2 under way; the stream may be gone when it is done. */
struct check {
	uv_work_t work;
	struct shard *shard;
	struct stream_id stream;
	uint64_t ticket;
	struct arena *arena;
	struct keys keys;
	struct str password;
	bool fits;
};

static void advance(struct auth *, enum sasl_step);

struct auth *
auth_new(struct c2s *c2s)
{
	struct auth *auth = calloc(1, sizeof(*auth));

	must(auth != NULL);
	auth->c2s = c2s;
	return auth;
}

static void
forget_attempt(struct auth *auth)
{
	if (auth->sasl.password.len > 0)
		explicit_bzero(
		    (char *)auth->sasl.password.text, auth->sasl.password.len);
	auth->sasl = (struct sasl){0};
	auth->stage = AUTH_NONE;
	auth->is_aborted = false;
	auth->delay_ms = 0;
	arena_free(&auth->arena);
}

void
auth_free(struct auth **auth)
{
	struct auth *freed = *auth;

	*auth = NULL;
	if (freed == NULL)
		return;
	timer_stop(freed->c2s->stream.shard, &freed->delay);
	forget_attempt(freed);
	free(freed);
}

/* --- what is offered ------------------------------------------------------ */

static void
describe(struct c2s *c2s, struct arena *arena, struct sasl_channel *channel)
{
	struct conn *conn = c2s->stream.conn;

	*channel = (struct sasl_channel){
	    /* As long as the stream: the host goes with a reload. */
	    .host = c2s->stream.host_name,
	    .is_secure = stream_is_secure(&c2s->stream),
	    .claimed = c2s->stream.claimed,
	};
	if (!channel->is_secure)
		return;
	channel->has_exporter = conn_has_exporter(conn);
	(void)conn_end_point(conn, arena, &channel->end_point);
	channel->is_unknown =
	    conn_peer_certificate(conn, c2s->stream.host->identity, arena,
		&channel->certificate) == CLIENT_UNKNOWN;
}

static bool
is_configured(const struct host *host, const struct sasl_mechanism *mechanism)
{
	const struct config *config = setup_config(host->setup);
	struct setting_list list =
	    config_list(config, host->index, SETTING(AUTH_MECHANISMS));

	if (strcmp(mechanism->name, "ANONYMOUS") == 0)
		return host_bool(host, SETTING(AUTH_ANONYMOUS));
	for (size_t i = 0; i < list.count; i++) {
		if (str_equal(list.items[i], str_of(mechanism->name)))
			return true;
	}
	return false;
}

static bool
is_offered(struct c2s *c2s, const struct sasl_mechanism *mechanism,
    const struct sasl_channel *channel)
{
	return is_configured(c2s->stream.host, mechanism) &&
	       sasl_fits(mechanism, channel);
}

static bool
offers_plus(struct c2s *c2s, const struct sasl_channel *channel)
{
	for (size_t i = 0; sasl_mechanisms[i].name != NULL; i++) {
		if (sasl_mechanisms[i].needs_binding &&
		    is_offered(c2s, &sasl_mechanisms[i], channel))
			return true;
	}
	return false;
}

static void
add_binding(struct node *types, const char *type)
{
	node_set(node_add(types, "channel-binding", NS_SASL_BINDING), "type",
	    str_of(type));
}

void
auth_add_features(struct c2s *c2s, struct node *features)
{
	struct node *list = node_add(features, "mechanisms", NS_SASL), *types;
	struct sasl_channel channel;

	describe(c2s, features->arena, &channel);
	for (size_t i = 0; sasl_mechanisms[i].name != NULL; i++) {
		if (is_offered(c2s, &sasl_mechanisms[i], &channel))
			node_add_with_text(list, "mechanism", NS_SASL,
			    str_of(sasl_mechanisms[i].name));
	}
	if (!offers_plus(c2s, &channel))
		return;
	types = node_add(features, "sasl-channel-binding", NS_SASL_BINDING);
	if (channel.has_exporter)
		add_binding(types, "tls-exporter");
	if (channel.end_point.len > 0)
		add_binding(types, "tls-server-end-point");
}

/* --- how an attempt ends -------------------------------------------------- */

/* Section 6.4.2: an empty one is "=" where nothing means absence. */
static void
send_data(struct auth *auth, const char *name, struct str data)
{
	struct arena *arena = arena_make(0);
	struct node *node = node_make(arena, name, NS_SASL);

	if (data.len > 0)
		node_add_text(node, base64_encode(arena, data));
	stream_send(&auth->c2s->stream, node);
	arena_free(&arena);
}

/* Whether it was the last attempt: then the stream has ended. */
static bool
count_failure(struct auth *auth)
{
	if (++auth->failures < FAILURES_MAX && auth->guesses < GUESSES_MAX)
		return false;
	stream_fail(&auth->c2s->stream, STREAM_ERR_POLICY_VIOLATION,
	    "too many failed logins");
	return true;
}

static void
tell_failure(struct auth *auth)
{
	struct stream *stream = &auth->c2s->stream;
	struct arena *arena = arena_make(0);
	struct node *failure = node_make(arena, "failure", NS_SASL);
	enum sasl_err err =
	    auth->is_aborted ? SASL_ERR_ABORTED : auth->sasl.err;
	bool is_over;

	node_add(failure, sasl_err_element(err), NS_SASL);
	stream_send(stream, failure);
	arena_free(&arena);
	log_debug(&stream->log, "login failed: %s", sasl_err_element(err));
	if (auth->sasl.keys != NULL)
		auth->guesses++;
	is_over = !auth->is_aborted && sasl_is_over(&auth->sasl);
	forget_attempt(auth);
	if (is_over) {
		stream->end.text = str_format(
		    stream->arena, "login failed: %s", sasl_err_element(err));
		stream_close(stream);
	} else {
		(void)count_failure(auth);
	}
}

static void
delay_over(struct timer *timer)
{
	tell_failure(container_of(timer, struct auth, delay));
}

static void
tell_account(struct auth *auth, bool is_success)
{
	struct stream *stream = &auth->c2s->stream;
	struct post *letter = post_new(POST_LOGIN, NULL);
	struct login *login = arena_new(letter->arena, struct login);

	login->is_success = is_success;
	letter->to = jid_copy(letter->arena, auth->sasl.jid);
	letter->stream = stream->id;
	letter->login = login;
	post_send(stream->shard, letter);
}

/* A guess, which the brakes of the account and of the address count; other
 * failures are told at once. */
static void
fail(struct auth *auth)
{
	struct stream *stream = &auth->c2s->stream;

	if (auth->sasl.keys == NULL) {
		tell_failure(auth);
		return;
	}
	metric_add(stream->shard, METRIC_LOGINS_FAILED, 1);
	auth->delay_ms = auth->sasl.keys->delay_ms;
	tell_account(auth, false);
	auth->stage = AUTH_VERDICT;
	address_tell(
	    stream->shard, stream->id, stream->conn->address, ADDRESS_FAILED);
}

static void
succeed(struct auth *auth)
{
	struct c2s *c2s = auth->c2s;
	const struct sasl_mechanism *mechanism = auth->sasl.mechanism;
	const struct jid *jid = auth->sasl.jid;
	struct arena *arena;

	if (auth->sasl.keys != NULL)
		tell_account(auth, true);
	send_data(auth, "success", auth->sasl.out);
	/* The attempt outlives auth by this call. */
	arena = auth->arena;
	auth->arena = NULL;
	c2s_authenticated(c2s, jid, mechanism->name, auth->began_ms);
	arena_free(&arena);
}

/* --- what an attempt waits for -------------------------------------------- */

static void
ask_keys(struct auth *auth)
{
	struct stream *stream = &auth->c2s->stream;
	struct post *letter = post_new(POST_KEYS_ASK, NULL);

	auth->stage = AUTH_KEYS;
	letter->to = jid_copy(letter->arena, auth->sasl.jid);
	letter->stream = stream->id;
	letter->ticket = ++auth->ticket;
	post_send(stream->shard, letter);
}

static void
run_check(uv_work_t *work)
{
	struct check *check = container_of(work, struct check, work);

	check->fits = keys_match(&check->keys, check->password);
}

static void
check_done(uv_work_t *work, int status)
{
	struct check *check = container_of(work, struct check, work);
	struct stream *stream;
	struct auth *auth = NULL;

	shard_enter(check->shard);
	stream = stream_find(check->shard, check->stream);
	if (stream != NULL)
		auth = c2s_of(stream)->auth;
	if (auth != NULL && auth->stage == AUTH_CHECK &&
	    auth->ticket == check->ticket)
		advance(auth,
		    sasl_take_check(&auth->sasl, status == 0 && check->fits));
	explicit_bzero((char *)check->password.text, check->password.len);
	arena_free(&check->arena);
	free(check);
}

/* PBKDF2 takes milliseconds: not on a shard's thread, unless it is a world's.
 */
static void
check_password(struct auth *auth)
{
	struct stream *stream = &auth->c2s->stream;
	struct check *check = calloc(1, sizeof(*check));

	must(check != NULL);
	auth->stage = AUTH_CHECK;
	check->shard = stream->shard;
	check->stream = stream->id;
	check->ticket = ++auth->ticket;
	check->arena = arena_make(0);
	check->keys = *auth->sasl.keys;
	keys_copy(check->arena, auth->sasl.keys, &check->keys);
	check->password = str_dup(check->arena, auth->sasl.password);
	if (stream->shard->loop != NULL &&
	    uv_queue_work(
		stream->shard->loop, &check->work, run_check, check_done) == 0)
		return;
	run_check(&check->work);
	check_done(&check->work, 0);
}

/* Nobody was known: an account is made for the time of the stream. */
static void
make_passing(struct auth *auth)
{
	struct stream *stream = &auth->c2s->stream;

	auth->stage = AUTH_ACCOUNT;
	register_passing(stream->shard, stream->id, auth->sasl.jid, false);
}

static void
passing_made(struct auth *auth, enum err err)
{
	if (err != ERR_NONE) {
		auth->sasl.err = SASL_ERR_TEMPORARY_AUTH_FAILURE;
		tell_failure(auth);
		return;
	}
	if (auth->is_aborted) {
		register_passing(auth->c2s->stream.shard, auth->c2s->stream.id,
		    auth->sasl.jid, true);
		tell_failure(auth);
		return;
	}
	auth->c2s->is_passing = true;
	auth->began_ms = clock_mono_ms(); /* its account is younger */
	succeed(auth);
}

static void
advance(struct auth *auth, enum sasl_step step)
{
	switch (step) {
	case SASL_CHALLENGE:
		auth->stage = AUTH_RESPONSE;
		send_data(auth, "challenge", auth->sasl.out);
		auth->sasl.out = STR_NONE;
		break;
	case SASL_ASK_KEYS:
		ask_keys(auth);
		break;
	case SASL_CHECK_PASSWORD:
		check_password(auth);
		break;
	case SASL_SUCCESS:
		if (auth->is_aborted)
			tell_failure(auth);
		else if (auth->sasl.keys != NULL)
			succeed(auth);
		else
			make_passing(auth);
		break;
	case SASL_FAILURE:
		fail(auth);
		break;
	}
}

/* --- what comes ----------------------------------------------------------- */

/* Text to bytes; false when it is no base64. "=" is an empty message; none at
 * all has text NULL. */
static bool
decode(struct auth *auth, const struct node *node, struct str *bytes_r)
{
	struct str text = str_trim(node_text(auth->arena, node));

	*bytes_r = STR_NONE;
	if (text.len == 0)
		return true;
	if (str_is(text, "=")) {
		*bytes_r = STR("");
		return true;
	}
	return base64_decode(auth->arena, text, bytes_r);
}

static enum sasl_err
choose(struct auth *auth, const struct node *node,
    const struct sasl_mechanism **mechanism_r)
{
	struct c2s *c2s = auth->c2s;
	const struct host *host = c2s->stream.host;
	const struct sasl_mechanism *mechanism =
	    sasl_find(node_attr(node, "mechanism"));

	if (!auth->channel.is_secure && host->identity != NULL &&
	    (host_bool(host, SETTING(TLS_REQUIRED)) ||
		(mechanism != NULL && mechanism->needs_tls)))
		return SASL_ERR_ENCRYPTION_REQUIRED;
	if (mechanism == NULL || !is_configured(host, mechanism))
		return SASL_ERR_INVALID_MECHANISM;
	if (mechanism->is_final && auth->channel.is_unknown) {
		auth->sasl.mechanism = mechanism;
		return SASL_ERR_NOT_AUTHORIZED;
	}
	if (!sasl_fits(mechanism, &auth->channel))
		return SASL_ERR_INVALID_MECHANISM;
	*mechanism_r = mechanism;
	return SASL_ERR_NONE;
}

/* Only for who binds: most do not, and it is not cheap. */
static void
read_exporter(struct auth *auth)
{
	char *data = arena_text(auth->arena, 32);

	if (conn_exporter(auth->c2s->stream.conn, (uint8_t *)data))
		auth->channel.exporter = (struct str){data, 32};
}

static void
on_auth(struct auth *auth, const struct node *node)
{
	const struct sasl_mechanism *mechanism = NULL;
	struct str initial = STR_NONE;
	enum sasl_err err;

	/* Section 6.4.2: another <auth/> gives up the attempt before it. */
	if (auth->stage == AUTH_RESPONSE && count_failure(auth))
		return;
	forget_attempt(auth);
	auth->arena = arena_make(0);
	auth->began_ms = clock_mono_ms();
	describe(auth->c2s, auth->arena, &auth->channel);
	auth->channel.offers_plus = offers_plus(auth->c2s, &auth->channel);
	auth->sasl.arena = auth->arena;
	auth->sasl.channel = &auth->channel;
	err = choose(auth, node, &mechanism);
	if (err == SASL_ERR_NONE && mechanism->needs_binding)
		read_exporter(auth);
	if (err == SASL_ERR_NONE && !decode(auth, node, &initial))
		err = SASL_ERR_INCORRECT_ENCODING;
	if (err != SASL_ERR_NONE)
		advance(auth, sasl_fail(&auth->sasl, err));
	else
		advance(auth, sasl_start(&auth->sasl, mechanism, initial));
}

static void
on_response(struct auth *auth, const struct node *node)
{
	struct str response;

	if (auth->stage != AUTH_RESPONSE) {
		auth->sasl.err = SASL_ERR_MALFORMED_REQUEST;
		tell_failure(auth);
		return;
	}
	if (!decode(auth, node, &response)) {
		advance(
		    auth, sasl_fail(&auth->sasl, SASL_ERR_INCORRECT_ENCODING));
		return;
	}
	if (response.text == NULL)
		response = STR("");
	advance(auth, sasl_take(&auth->sasl, response));
}

bool
auth_is_busy(const struct c2s *c2s)
{
	return c2s->auth != NULL && c2s->auth->stage != AUTH_NONE &&
	       c2s->auth->stage != AUTH_RESPONSE;
}

void
auth_take(struct c2s *c2s, const struct node *node)
{
	const bool is_busy = auth_is_busy(c2s);
	struct auth *auth;

	if (c2s->auth == NULL)
		c2s->auth = auth_new(c2s);
	auth = c2s->auth;
	if (node_is(node, "abort", NS_SASL)) {
		/* Who aborts does not get around the brake. */
		auth->is_aborted = true;
		if (!is_busy)
			tell_failure(auth);
	} else if (is_busy) {
		stream_fail(&c2s->stream, STREAM_ERR_POLICY_VIOLATION,
		    "a login is under way");
	} else if (node_is(node, "auth", NS_SASL)) {
		on_auth(auth, node);
	} else if (node_is(node, "response", NS_SASL)) {
		on_response(auth, node);
	} else {
		stream_fail(
		    &c2s->stream, STREAM_ERR_UNSUPPORTED_STANZA_TYPE, NULL);
	}
}

static void
on_keys(struct auth *auth, const struct post *letter)
{
	enum sasl_step step;

	if (auth->stage != AUTH_KEYS || letter->ticket != auth->ticket)
		return;
	if (auth->is_aborted) {
		tell_failure(auth);
		return;
	}
	step = sasl_take_keys(&auth->sasl, letter->keys);
	advance(auth, step);
}

static void
on_verdict(struct auth *auth, const struct address_note *note)
{
	if (auth->stage != AUTH_VERDICT)
		return;
	if (note->delay_ms > auth->delay_ms)
		auth->delay_ms = note->delay_ms;
	auth->stage = AUTH_DELAY;
	auth->c2s->stream.conn->slowed_until_ms =
	    clock_mono_ms() + auth->delay_ms;
	if (auth->delay_ms == 0)
		tell_failure(auth);
	else
		timer_start(auth->c2s->stream.shard, &auth->delay,
		    auth->delay_ms, delay_over);
}

bool
auth_wants(const struct c2s *c2s, const struct post *letter)
{
	if (c2s->auth == NULL)
		return false;
	if (letter->kind == POST_REGISTERED)
		return c2s->auth->stage == AUTH_ACCOUNT;
	return true;
}

void
auth_take_letter(struct c2s *c2s, const struct post *letter)
{
	if (letter->kind == POST_REGISTERED)
		passing_made(c2s->auth, letter->registered->err);
	else if (letter->kind == POST_KEYS)
		on_keys(c2s->auth, letter);
	else
		on_verdict(c2s->auth, letter->address);
}

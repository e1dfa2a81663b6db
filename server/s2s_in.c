/* A stream that another server opens: RFC 6120, XEP-0178. */
#include "base/code.h"
#include "server/domains.h"
#include "server/s2s_limits.h"
#include "server/s2s_sm.h"
#include "server/sasl.h"
#include "server/settings.h"
#include "server/setup.h"
#include "server/shard.h"
#include "xml/prep.h"

/* --- features ------------------------------------------------------------- */

static void
add_starttls(struct s2s *s2s, struct node *features)
{
	struct node *tls;

	if (stream_is_secure(&s2s->stream) ||
	    s2s->stream.host->identity == NULL)
		return;
	tls = node_add(features, "starttls", NS_TLS);
	if (s2s->policy.needs_tls)
		node_add(tls, "required", NS_TLS);
}

/* Ways to prove a domain, and what goes with them. */
static void
add_proofs(struct s2s *s2s, struct node *features)
{
	struct node *node;

	if (s2s->certified != 0) {
		node = node_add(features, "mechanisms", NS_SASL);
		node_add_with_text(node, "mechanism", NS_SASL, STR("EXTERNAL"));
	}
	node = node_add(features, "dialback", NS_DIALBACK_FEATURE);
	node_add(node, "errors", NS_DIALBACK_FEATURE);
	if (stream_is_secure(&s2s->stream))
		node_add(features, "bidi", NS_BIDI_FEATURE);
}

static void
send_features(struct s2s *s2s)
{
	struct stream *stream = &s2s->stream;
	struct arena *arena = arena_make(0);
	struct node *features = node_make(arena, "features", NS_STREAM);
	const bool must_start_tls =
	    s2s->policy.needs_tls && !stream_is_secure(stream);

	add_starttls(s2s, features);
	if (!must_start_tls) {
		if (!stream->is_authenticated)
			add_proofs(s2s, features);
		node_add(features, "sm", NS_SM);
		/* What is told holds until there are other features, and
		 * dialback brings none: so who cannot use EXTERNAL is told what
		 * holds then. */
		s2s_limits_add(s2s, features,
		    stream->is_authenticated || s2s->certified == 0);
	}
	stream_send_features(stream, features);
	arena_free(&arena);
}

/* --- the peer's certificate ----------------------------------------------- */

/* It may outlive the stream. */
struct s2s_check {
	struct verify verify;
	struct verify_ask ask;
	struct arena *arena;
	struct s2s *s2s; /* NULL: the stream is gone */
};

/* RFC 6120, section 13.7.2; XEP-0178, section 3: without dialback there is
 * nothing else to try. Why is for our administrator only, in the line that
 * tells the stream's end. */
static void
take_bad_check(struct s2s *s2s, const struct s2s_check *check)
{
	struct stream *stream = &s2s->stream;
	struct str why = str_format(stream->arena,
	    "the certificate of %.*s proves nothing: %.*s",
	    STR_ARG(check->ask.domain), STR_ARG(check->verify.why));

	if (verify_leaves_dialback(&check->verify, &s2s->policy)) {
		log_info(&stream->log, "%.*s", STR_ARG(why));
		return;
	}
	stream_fail(stream, STREAM_ERR_NOT_AUTHORIZED,
	    "the certificate that was presented proves nothing");
	stream->end.text = why;
}

static void
take_check(struct s2s *s2s, const struct s2s_check *check)
{
	const struct verify *verify = &check->verify;

	s2s->check = NULL;
	s2s->certified = verify->proof & s2s->policy.proofs;
	s2s->certified_to_s = verify->ends_s;
	if (verify->proof == 0 && verify->was_presented)
		take_bad_check(s2s, check);
	if (s2s->stream.has_version && !s2s->stream.is_ending)
		send_features(s2s);
}

static void
checked(struct verify *verify)
{
	struct s2s_check *check =
	    container_of(verify, struct s2s_check, verify);
	struct arena *arena = check->arena;
	struct s2s *s2s = check->s2s;

	if (s2s != NULL)
		take_check(s2s, check);
	arena_free(&arena);
}

/* Before EXTERNAL can be offered. */
static void
check_peer(struct s2s *s2s)
{
	struct stream *stream = &s2s->stream;
	struct arena *arena = arena_make(0);
	struct s2s_check *check = arena_new(arena, struct s2s_check);

	s2s->check = check;
	check->arena = arena;
	check->s2s = s2s;
	check->ask.domain = str_dup(arena, jid_full(stream->claimed));
	check->ask.count =
	    conn_peer_chain(stream->conn, arena, &check->ask.chain);
	verify_start(stream->shard, &check->verify, arena, &s2s->policy,
	    &check->ask, checked);
}

/* --- opening -------------------------------------------------------------- */

static bool
is_welcome(struct s2s *s2s)
{
	struct stream *stream = &s2s->stream;

	if (stream->claimed == NULL)
		return true;
	if (!str_equal(
		jid_full(stream->claimed), jid_domain(stream->claimed))) {
		stream_fail(stream, STREAM_ERR_IMPROPER_ADDRESSING,
		    "from must be a domain");
		return false;
	}
	policy_of(stream->shard->setup, stream->host, jid_full(stream->claimed),
	    &s2s->policy);
	if (s2s->policy.is_denied) {
		stream_fail(stream, STREAM_ERR_POLICY_VIOLATION,
		    "this server does not talk to that domain (s2s.deny, "
		    "s2s.allow)");
		return false;
	}
	if (domain_is_ours(stream->shard->setup, jid_full(stream->claimed))) {
		stream_fail(stream, STREAM_ERR_INVALID_FROM,
		    "that domain is served here");
		return false;
	}
	return true;
}

static void
on_open(struct stream *stream)
{
	struct s2s *s2s = s2s_of(stream);

	policy_of(stream->shard->setup, stream->host, STR_NONE, &s2s->policy);
	if (!is_welcome(s2s))
		return;
	if (stream_is_secure(stream) && stream->claimed != NULL &&
	    !stream->is_authenticated && s2s->check == NULL)
		check_peer(s2s);
	else if (stream->has_version)
		send_features(s2s);
	if (s2s->is_path_due)
		s2s_path_ready(
		    s2s, stream->host_name, jid_full(stream->peer), s2s->proof);
}

/* --- EXTERNAL: XEP-0178, section 3 ---------------------------------------- */

static void
refuse_auth(struct s2s *s2s, enum sasl_err err)
{
	struct arena *arena = arena_make(0);
	struct node *failure = node_make(arena, "failure", NS_SASL);

	log_warn(
	    &s2s->stream.log, "refused EXTERNAL: %s", sasl_err_element(err));
	node_add(failure, sasl_err_element(err), NS_SASL);
	stream_send(&s2s->stream, failure);
	if (++s2s->auth_failures == 3)
		stream_fail(&s2s->stream, STREAM_ERR_POLICY_VIOLATION,
		    "too many failed attempts to authenticate");
	arena_free(&arena);
}

/* An authorization identity, if any, is the domain that the stream is from, in
 * any of its forms. */
static enum sasl_err
read_auth(struct s2s *s2s, struct arena *arena, const struct node *node)
{
	struct str text = str_trim(node_text(arena, node)), wanted;

	if (!str_is(node_attr(node, "mechanism"), "EXTERNAL"))
		return SASL_ERR_INVALID_MECHANISM;
	if (s2s->certified == 0)
		return SASL_ERR_NOT_AUTHORIZED;
	if (text.len == 0 || str_is(text, "="))
		return SASL_ERR_NONE;
	if (!base64_decode(arena, text, &wanted))
		return SASL_ERR_INCORRECT_ENCODING;
	return prep_domain(arena, &wanted) &&
		       str_equal(wanted, jid_full(s2s->stream.claimed))
		   ? SASL_ERR_NONE
		   : SASL_ERR_INVALID_AUTHZID;
}

/* What its header was judged by may have changed since. */
static void
accept_auth(struct s2s *s2s, struct arena *arena)
{
	struct stream *stream = &s2s->stream;
	const char *why = s2s_objection(
	    s2s, stream->host_name, jid_full(stream->claimed), s2s->certified);

	if (why != NULL) {
		stream_fail(stream, STREAM_ERR_POLICY_VIOLATION, why);
		return;
	}
	s2s->proof = s2s->certified;
	stream_send(stream, node_make(arena, "success", NS_SASL));
	stream_authenticated(stream, stream->claimed);
	s2s_right_add(s2s, stream->host_name, jid_full(stream->peer));
	log_info(&stream->log, "%.*s may send to %.*s, proved by %s%s",
	    STR_ARG(jid_full(stream->peer)), STR_ARG(stream->host_name),
	    proof_text(s2s->proof), s2s->is_bidi ? ", both ways" : "");
	stream_restart(stream);
	s2s->is_path_due = s2s->is_bidi;
	s2s_watch_idle(s2s);
	s2s_proved_until(s2s, s2s->certified_to_s);
}

static void
on_auth(struct s2s *s2s, const struct node *node)
{
	struct arena *arena = arena_make(0);
	enum sasl_err err = SASL_ERR_MALFORMED_REQUEST;

	if (str_is(node->name, "auth"))
		err = read_auth(s2s, arena, node);
	if (err != SASL_ERR_NONE)
		refuse_auth(s2s, err);
	else
		accept_auth(s2s, arena);
	arena_free(&arena);
}

/* --- events --------------------------------------------------------------- */

static void
on_starttls(struct s2s *s2s)
{
	struct stream *stream = &s2s->stream;
	struct arena *arena = arena_make(0);
	bool can = !stream_is_secure(stream) && stream->host->identity != NULL;

	stream_send(
	    stream, node_make(arena, can ? "proceed" : "failure", NS_TLS));
	arena_free(&arena);
	if (can) {
		stream_start_tls(stream);
		return;
	}
	stream->is_peer_ended = true;
	stream_close(stream);
}

/* XEP-0288; it says what its features cannot (XEP-0478, section 3.2). */
static void
on_bidi(struct s2s *s2s, const struct node *node)
{
	if (s2s->stream.is_authenticated)
		return;
	s2s->is_bidi = true;
	s2s_limits_read(s2s, node);
}

/* Elements of the stream itself; false for others. */
static bool
negotiate(struct s2s *s2s, const struct node *node)
{
	if (node_is(node, "error", NS_STREAM))
		s2s_take_error(s2s, node);
	else if (node_is(node, "starttls", NS_TLS))
		on_starttls(s2s);
	else if (str_is(node->ns, NS_DIALBACK)) /* which has its own errors */
		s2s_take_db(s2s, node);
	else if (s2s->policy.needs_tls && !stream_is_secure(&s2s->stream))
		stream_fail(&s2s->stream, STREAM_ERR_POLICY_VIOLATION,
		    "TLS is required");
	else if (str_is(node->ns, NS_SASL) && !s2s->stream.is_authenticated)
		on_auth(s2s, node);
	else if (node_is(node, "bidi", NS_BIDI))
		on_bidi(s2s, node);
	else if (!s2s_sm_take(s2s, node))
		return false;
	return true;
}

static void
on_element(struct stream *stream, struct arena *arena, const struct node *node)
{
	struct s2s *s2s = s2s_of(stream);

	if (!negotiate(s2s, node))
		s2s_take_stanza(s2s, arena, node);
	else
		arena_free(&arena);
}

static void
on_gone(struct stream *stream, const struct stream_end *end)
{
	struct s2s *s2s = s2s_of(stream);
	struct str why = end->text;

	if (why.len == 0)
		why = STR("the stream ended");
	s2s_end(s2s, why);
	if (s2s->check == NULL)
		return;
	s2s->check->s2s = NULL;
	verify_cancel(&s2s->check->verify);
	s2s->check = NULL;
}

static void
on_free(struct stream *stream)
{
	struct s2s *s2s = s2s_of(stream);
	struct arena *arena;

	s2s_deinit(s2s);
	if (s2s->check == NULL)
		return;
	arena = s2s->check->arena;
	arena_free(&arena);
}

static const struct stream_role s2s_in_role = {
    .name = "s2s in",
    .content_ns = {NS_SERVER, sizeof(NS_SERVER) - 1},
    .len = sizeof(struct s2s),
    .is_last = true,
    .is_of_servers = true,
    .on_open = on_open,
    .on_element = on_element,
    .on_letter = s2s_on_letter,
    .on_setup = s2s_on_setup,
    .on_idle = s2s_on_idle,
    .on_peer_closed = s2s_sm_peer_closed,
    .on_closing = s2s_sm_closing,
    .on_gone = on_gone,
    .on_free = on_free,
};

struct stream *
s2s_accept(struct shard *shard, struct conn *conn)
{
	struct stream *stream = stream_new(shard, &s2s_in_role, conn);
	struct s2s *s2s = s2s_of(stream);

	s2s_init(s2s);
	conn->is_s2s = true;
	if (conn->is_direct_tls)
		conn_start_tls(conn);
	return stream;
}

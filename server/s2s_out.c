/* The negotiation of a stream that we open: RFC 6120, sections 4 to 6. */
#include <stdlib.h>

#include "base/code.h"
#include "base/err.h"
#include "server/s2s_attempt.h"
#include "server/s2s_checkup.h"
#include "server/s2s_limits.h"
#include "server/s2s_sm.h"
#include "server/sasl.h"
#include "server/setup.h"
#include "server/shard.h"
#include "xml/prep.h"

#define OFFERED_MAX 64

static const struct stream_role s2s_out_role;

/* --- the peer's certificate ----------------------------------------------- */

static void
on_secure(struct stream *stream)
{
	struct s2s *s2s = s2s_of(stream);

	if (s2s->attempt != NULL)
		attempt_check(s2s->attempt);
}

/* By default a certificate that is wrong ends it: dialback alone may not stand
 * in for it. */
void
s2s_out_checked(struct s2s *s2s, const struct verify *check)
{
	const struct policy *policy = attempt_policy(s2s->attempt);
	const bool may_do_without = verify_leaves_dialback(check, policy);

	s2s->step = OUT_FEATURES;
	s2s->proof = check->proof;
	s2s->certified_to_s = check->ends_s;
	checkup_verified(attempt_checkup(s2s->attempt), check,
	    check->proof != 0 || may_do_without);
	if (check->proof == 0 && !may_do_without) {
		attempt_refused(s2s->attempt, STANZA_ERR_POLICY_VIOLATION, true,
		    "refused: %.*s", STR_ARG(check->why));
		return;
	}
	if (check->proof == 0) {
		s2s->proof = PROOF_DIALBACK;
		log_info(&s2s->stream.log,
		    "its certificate proves nothing, DNS has to do: %.*s",
		    STR_ARG(check->why));
	}
	stream_open(&s2s->stream);
}

/* --- ready ---------------------------------------------------------------- */

static void
ready(struct s2s *s2s)
{
	struct stream *stream = &s2s->stream;
	struct str target = stream->target;

	s2s->step = OUT_READY;
	attempt_succeeded(s2s->attempt);
	if (!stream->is_authenticated) {
		struct arena *arena = arena_make(0);

		stream_authenticated(stream, jid_parse(arena, target));
		arena_free(&arena);
	}
	log_info(&stream->log, "connected from %.*s, proved by %s%s%s",
	    STR_ARG(stream->host_name), proof_text(s2s->proof),
	    s2s->is_bidi ? ", both ways" : "",
	    stream_is_secure(stream) ? "" : ", without TLS");
	s2s_path_ready(s2s, stream->host_name, target, s2s->proof);
	s2s_watch_idle(s2s);
	s2s_proved_until(s2s, s2s->certified_to_s);
}

/* Stream management first, where the peer has it. The peer may send from now
 * on, before it answers that. */
static void
proved(struct s2s *s2s)
{
	struct stream *stream = &s2s->stream;
	const char *why =
	    s2s_objection(s2s, stream->host_name, stream->target, s2s->proof);

	/* Since a reload: the next attempt proves more, or is forbidden. */
	if (why != NULL) {
		attempt_failed(s2s->attempt, STANZA_ERR_POLICY_VIOLATION, false,
		    "refused: %s", why);
		return;
	}
	if (attempt_checkup(s2s->attempt) != NULL) {
		s2s->step = OUT_PING;
		attempt_ping(s2s->attempt);
		return;
	}
	if (s2s->is_bidi)
		s2s_right_add(s2s, stream->host_name, stream->target);
	if (!s2s->offers_sm) {
		ready(s2s);
		return;
	}
	s2s->step = OUT_ENABLED;
	if (!s2s_sm_resume(s2s))
		s2s_sm_enable(s2s);
}

/* --- proving ourselves ---------------------------------------------------- */

static bool
offers_external(const struct node *features)
{
	const struct node *mechanisms =
	    node_child(features, "mechanisms", NS_SASL);
	struct arena *arena = arena_make(0);
	bool is_offered = false;
	unsigned count = 0;

	if (mechanisms != NULL) {
		node_each (each, mechanisms) {
			if (str_is(
				str_trim(node_text(arena, each)), "EXTERNAL"))
				is_offered = true;
			if (++count == OFFERED_MAX)
				break;
		}
	}
	arena_free(&arena);
	return is_offered;
}

/* XEP-0178, section 3. */
static void
send_external(struct s2s *s2s)
{
	struct arena *arena = arena_make(0);
	struct node *auth = node_make(arena, "auth", NS_SASL);

	s2s->step = OUT_EXTERNAL;
	node_set(auth, "mechanism", STR("EXTERNAL"));
	node_add_text(auth, base64_encode(arena, s2s->stream.host_name));
	stream_send(&s2s->stream, auth);
	arena_free(&arena);
}

static void
ask_about_key(struct s2s *s2s)
{
	const struct dialback *question = attempt_question(s2s->attempt);
	struct arena *arena = arena_make(0);
	struct node *verify = s2s_db_make(arena, "verify");

	s2s->step = OUT_QUESTION;
	node_set(verify, "from", s2s->stream.host_name);
	node_set(verify, "to", s2s->stream.target);
	node_set(verify, "id", question->id);
	node_add_text(verify, question->key);
	stream_send(&s2s->stream, verify);
	arena_free(&arena);
}

static void
send_key(struct s2s *s2s)
{
	s2s->step = OUT_KEY;
	s2s_send_key(s2s);
}

/* XEP-0478 and XEP-0198: what the peer offers. */
static void
read_features(struct s2s *s2s, const struct node *features)
{
	s2s_limits_read(s2s, features);
	s2s->offers_sm =
	    s2s->offers_sm || node_child(features, "sm", NS_SM) != NULL;
}

/* RFC 6120, section 5.4.3.3: what is said before TLS is forgotten, so only
 * these features count. */
static void
authenticate(struct s2s *s2s, const struct node *features)
{
	if (features != NULL)
		read_features(s2s, features);
	checkup_features(attempt_checkup(s2s->attempt), features);
	if (attempt_question(s2s->attempt) != NULL)
		ask_about_key(s2s);
	else if (s2s->stream.is_authenticated)
		proved(s2s);
	else if (features != NULL && offers_external(features) &&
		 s2s->stream.host->identity != NULL)
		send_external(s2s);
	else
		send_key(s2s);
}

/* XEP-0288: asked for behind TLS and before the proof; by a path only, as the
 * peer would send on it. */
static void
ask_for_bidi(struct s2s *s2s, const struct node *features)
{
	struct arena *arena;
	struct node *bidi;

	if (s2s->is_bidi || s2s->stream.is_authenticated ||
	    attempt_question(s2s->attempt) != NULL ||
	    attempt_checkup(s2s->attempt) != NULL ||
	    node_child(features, "bidi", NS_BIDI_FEATURE) == NULL)
		return;
	arena = arena_make(0);
	s2s->is_bidi = true;
	bidi = node_make(arena, "bidi", NS_BIDI);
	s2s_limits_add(s2s, bidi, true);
	stream_send(&s2s->stream, bidi);
	arena_free(&arena);
}

/* RFC 7590, section 3.1: who could take the offer out of the features would
 * otherwise decide whether there is TLS. */
static void
start_tls(struct s2s *s2s, bool is_offered)
{
	struct arena *arena = arena_make(0);

	checkup_good(attempt_checkup(s2s->attempt), "the server answers%s",
	    is_offered ? " and offers STARTTLS" : "");
	checkup_at(attempt_checkup(s2s->attempt), CHECKUP_TLS);
	s2s->step = OUT_TLS;
	s2s->is_tls_a_guess = !is_offered;
	stream_send(&s2s->stream, node_make(arena, "starttls", NS_TLS));
	arena_free(&arena);
}

static void
tls_failed(struct s2s *s2s, const struct node *node)
{
	(void)node;
	if (s2s->is_tls_a_guess)
		attempt_refused(s2s->attempt, STANZA_ERR_POLICY_VIOLATION, true,
		    "refused: the server offers no TLS, which %s",
		    attempt_asks_for_tls(s2s->attempt));
	else
		attempt_refused(s2s->attempt, STANZA_ERR_REMOTE_SERVER_TIMEOUT,
		    false, "the server cannot start TLS");
}

/* Without TLS nothing but dialback says who the peer is. */
static bool
may_be_in_clear(struct s2s *s2s)
{
	const struct policy *policy = attempt_policy(s2s->attempt);
	const char *asking = attempt_asks_for_tls(s2s->attempt);

	if (asking != NULL)
		attempt_refused(s2s->attempt, STANZA_ERR_POLICY_VIOLATION, true,
		    "refused: the server offers no TLS, which %s", asking);
	else if ((policy->proofs & PROOF_DIALBACK) == 0)
		attempt_refused(s2s->attempt, STANZA_ERR_POLICY_VIOLATION, true,
		    "refused: the server offers no TLS, so only dialback could "
		    "prove it, which s2s.proofs or s2s.dialback forbids");
	else
		return true;
	return false;
}

static void
go_on_in_clear(struct s2s *s2s, const struct node *features)
{
	struct checkup *checkup = attempt_checkup(s2s->attempt);

	checkup_at(checkup, CHECKUP_TLS);
	if (!may_be_in_clear(s2s))
		return;
	checkup_good(checkup, "none, which s2s.tls_required allows");
	authenticate(s2s, features);
}

static void
on_features(struct s2s *s2s, const struct node *features)
{
	struct stream *stream = &s2s->stream;
	bool is_offered = node_child(features, "starttls", NS_TLS) != NULL;

	if (stream_is_secure(stream)) {
		ask_for_bidi(s2s, features);
		authenticate(s2s, features);
	} else if (is_offered || attempt_asks_for_tls(s2s->attempt) != NULL) {
		start_tls(s2s, is_offered);
	} else {
		go_on_in_clear(s2s, features);
	}
}

/* --- events --------------------------------------------------------------- */

/* A server of before RFC 3920 sends no features: dialback, and no TLS. */
static void
on_open(struct stream *stream)
{
	struct s2s *s2s = s2s_of(stream);

	if (s2s->step != OUT_FEATURES)
		stream_fail(stream, STREAM_ERR_POLICY_VIOLATION,
		    "a header before ours");
	else if (!stream->has_version && stream_is_secure(stream))
		authenticate(s2s, NULL);
	else if (!stream->has_version)
		go_on_in_clear(s2s, NULL);
}

static struct str
condition_of(const struct node *node)
{
	const struct node *condition = node == NULL ? NULL : node_first(node);

	return condition == NULL ? STR("no reason")
				 : str_shorten_utf8(condition->name, WORDS_MAX);
}

static void
on_proceed(struct s2s *s2s, const struct node *node)
{
	(void)node;
	s2s->step = OUT_CHECKED;
	stream_start_tls(&s2s->stream);
}

static void
on_success(struct s2s *s2s, const struct node *node)
{
	struct stream *stream = &s2s->stream;
	struct arena *arena = arena_make(0);

	(void)node;
	checkup_good(attempt_checkup(s2s->attempt),
	    "the server believes our certificate (EXTERNAL)");
	checkup_at(attempt_checkup(s2s->attempt), CHECKUP_FEATURES);
	s2s->step = OUT_FEATURES;
	stream_authenticated(stream, jid_parse(arena, stream->target));
	stream_restart(stream);
	stream_open(stream);
	arena_free(&arena);
}

static void
on_refused(struct s2s *s2s, const struct node *node)
{
	struct str why = condition_of(node);

	log_info(&s2s->stream.log, "EXTERNAL was refused (%.*s), so dialback",
	    STR_ARG(why));
	checkup_refused(attempt_checkup(s2s->attempt), why);
	send_key(s2s);
}

/* Whether an answer of dialback is to what we asked: XEP-0220, section 3.1. */
static bool
is_answer(struct s2s *s2s, const struct node *node)
{
	struct arena *arena = arena_make(0);
	struct str from = node_attr(node, "from"), to = node_attr(node, "to");
	const bool is_ours = from.len > 0 && prep_domain(arena, &from) &&
			     to.len > 0 && prep_domain(arena, &to) &&
			     str_equal(from, s2s->stream.target) &&
			     str_equal(to, s2s->stream.host_name);

	arena_free(&arena);
	if (!is_ours)
		log_info(&s2s->stream.log,
		    "ignored an answer of dialback that nobody asked for");
	return is_ours;
}

/* Section 2.1.1, step 4, and 2.5: what waits is returned. It is the domain that
 * does not believe us, whichever of its servers says so: no other is tried. */
static void
on_result(struct s2s *s2s, const struct node *node)
{
	struct str type = node_attr(node, "type");

	if (!is_answer(s2s, node))
		return;
	if (str_is(type, "valid")) {
		checkup_good(attempt_checkup(s2s->attempt),
		    "the server asked back and believes us (dialback)");
		proved(s2s);
	} else if (str_is(type, "invalid")) {
		attempt_failed(s2s->attempt, STANZA_ERR_INTERNAL_SERVER_ERROR,
		    true,
		    "the server says that our dialback key is wrong: it asked "
		    "another server than this one; look at the DNS records of "
		    "%.*s",
		    STR_ARG(s2s->stream.host_name));
	} else {
		attempt_failed(s2s->attempt, STANZA_ERR_REMOTE_SERVER_TIMEOUT,
		    true, "the server refused dialback: %.*s",
		    STR_ARG(
			condition_of(node_child(node, "error", NS_SERVER))));
	}
}

static void
on_verified(struct s2s *s2s, const struct node *node)
{
	const struct dialback *question = attempt_question(s2s->attempt);
	struct str type = node_attr(node, "type");

	if (!is_answer(s2s, node) ||
	    !str_equal(node_attr(node, "id"), question->id))
		return;
	if (str_is(type, "valid") || str_is(type, "invalid"))
		attempt_answered(s2s->attempt, str_is(type, "valid"));
	else
		attempt_failed(s2s->attempt, STANZA_ERR_REMOTE_SERVER_NOT_FOUND,
		    false,
		    "the server cannot say whether the key is its own: %.*s",
		    STR_ARG(
			condition_of(node_child(node, "error", NS_SERVER))));
}

static void
on_managed(struct s2s *s2s, const struct node *node)
{
	if (s2s_sm_answered(s2s, node))
		ready(s2s);
}

static const struct {
	enum s2s_step step;
	const char *name, *ns;
	void (*take)(struct s2s *, const struct node *);
} expected[] = {
    {OUT_FEATURES, "features", NS_STREAM, on_features},
    {OUT_TLS, "proceed", NS_TLS, on_proceed},
    {OUT_TLS, "failure", NS_TLS, tls_failed},
    {OUT_EXTERNAL, "success", NS_SASL, on_success},
    {OUT_EXTERNAL, "failure", NS_SASL, on_refused},
    {OUT_KEY, "result", NS_DIALBACK, on_result},
    {OUT_QUESTION, "verify", NS_DIALBACK, on_verified},
    {OUT_ENABLED, "enabled", NS_SM, on_managed},
    {OUT_ENABLED, "failed", NS_SM, on_managed},
    {OUT_ENABLED, "resumed", NS_SM, on_managed},
};

/* Nothing that comes unasked brings a stream further: whoever sits between us
 * and the peer must not talk us out of TLS. */
static void
negotiate(struct s2s *s2s, const struct node *node)
{
	for (size_t i = 0; i < sizeof(expected) / sizeof(expected[0]); i++) {
		if (expected[i].step == s2s->step &&
		    node_is(node, expected[i].name, expected[i].ns)) {
			expected[i].take(s2s, node);
			return;
		}
	}
	if (str_is(node->ns, NS_DIALBACK))
		log_info(&s2s->stream.log,
		    "ignored an answer of dialback that nobody asked for");
	else
		stream_fail(&s2s->stream, STREAM_ERR_NOT_AUTHORIZED, NULL);
}

/* Section 4.9.1.1: the peer's error ends the stream. */
static void
on_error(struct s2s *s2s, const struct node *node)
{
	if (s2s->attempt != NULL && s2s->is_tls_a_guess &&
	    !stream_is_secure(&s2s->stream))
		tls_failed(s2s, node);
	else
		s2s_take_error(s2s, node);
}

static bool
is_early_stanza(const struct s2s *s2s, const struct node *node)
{
	return s2s->step == OUT_ENABLED && str_is(node->ns, NS_SERVER);
}

static void
on_element(struct stream *stream, struct arena *arena, const struct node *node)
{
	struct s2s *s2s = s2s_of(stream);

	if (node_is(node, "error", NS_STREAM)) {
		on_error(s2s, node);
	} else if (s2s->step != OUT_READY && !is_early_stanza(s2s, node)) {
		if (s2s->attempt != NULL)
			negotiate(s2s, node);
	} else if (str_is(node->ns, NS_DIALBACK)) {
		s2s_take_db(s2s, node);
	} else if (!s2s_sm_take(s2s, node)) {
		s2s_take_stanza(s2s, arena, node);
		return;
	}
	arena_free(&arena);
}

static void
on_gone(struct stream *stream, const struct stream_end *end)
{
	struct s2s *s2s = s2s_of(stream);
	struct str why = end->text;

	if (why.len == 0)
		why = str_of(stream_err_element(end->err));
	if (why.len == 0)
		why = STR("the server closed the stream");
	s2s_end(s2s, why);
	if (s2s->attempt != NULL)
		attempt_lost(s2s->attempt, why, s2s->is_unknown);
	s2s->attempt = NULL;
}

static void
on_free(struct stream *stream)
{
	s2s_deinit(s2s_of(stream));
}

static const struct stream_role s2s_out_role = {
    .name = "s2s out",
    .content_ns = {NS_SERVER, sizeof(NS_SERVER) - 1},
    .len = sizeof(struct s2s),
    .is_last = true,
    .is_of_servers = true,
    .on_open = on_open,
    .on_element = on_element,
    .on_letter = s2s_on_letter,
    .on_secure = on_secure,
    .on_setup = s2s_on_setup,
    .on_idle = s2s_on_idle,
    .on_peer_closed = s2s_sm_peer_closed,
    .on_closing = s2s_sm_closing,
    .on_gone = on_gone,
    .on_free = on_free,
};

struct s2s *
s2s_out_new(struct shard *shard, struct conn *conn, struct attempt *attempt)
{
	struct stream *stream = stream_new_out(shard, &s2s_out_role, conn,
	    attempt_local(attempt), attempt_domain(attempt));
	struct s2s *s2s = s2s_of(stream);

	s2s->is_out = true;
	s2s->attempt = attempt;
	s2s->proof = PROOF_DIALBACK;
	s2s_init(s2s);
	s2s->step = conn->is_direct_tls ? OUT_CHECKED : OUT_FEATURES;
	if (conn->is_direct_tls)
		stream_start_tls(stream);
	else
		stream_open(stream);
	return s2s;
}

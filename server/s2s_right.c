/* Which domains may send on a stream, and dialback: XEP-0220, 0344. */
#include <string.h>

#include "base/clock.h"
#include "server/domains.h"
#include "server/s2s_internal.h"
#include "server/setting.h"
#include "server/setup.h"
#include "server/shard.h"
#include "xml/prep.h"

/* Pairs of domains on one stream. */
#define RIGHTS_MAX 64
/* Of those, what others are asked about at a time. */
#define CALLS_MAX 8
/* What of dialback is refused on one stream in a minute before it is too much.
 */
#define REFUSALS_MAX 100

/* --- the pairs ------------------------------------------------------------ */

struct s2s_right *
s2s_right_find(struct s2s *s2s, struct str local, struct str domain)
{
	list_each (right, &s2s->rights, struct s2s_right, link)
		if (str_equal(right->domain, domain) &&
		    str_equal(right->local, local))
			return right;
	return NULL;
}

static struct s2s_right *
right_new(struct s2s *s2s, struct str local, struct str domain)
{
	struct arena *arena = arena_make(0);
	struct s2s_right *right = arena_new(arena, struct s2s_right);

	right->s2s = s2s;
	right->arena = arena;
	right->local = str_dup(arena, local);
	right->domain = str_dup(arena, domain);
	list_add_last(&s2s->rights, &right->link);
	s2s->right_count++;
	return right;
}

static void
right_free(struct s2s_right *right)
{
	struct arena *arena = right->arena;

	list_remove(&right->link);
	right->s2s->right_count--;
	arena_free(&right->check_arena);
	arena_free(&arena);
}

void
s2s_right_add(struct s2s *s2s, struct str local, struct str domain)
{
	struct s2s_right *right = s2s_right_find(s2s, local, domain);

	if (right == NULL)
		right = right_new(s2s, local, domain);
	right->stage = RIGHT_PROVED;
	right->proof = s2s->proof;
	s2s_tell_heard(right);
}

/* One that is being checked goes when the check is done. */
void
s2s_rights_cancel(struct s2s *s2s)
{
	list_each (right, &s2s->rights, struct s2s_right, link) {
		if (right->stage != RIGHT_CHECKING)
			continue;
		right->is_gone = true;
		list_remove(&right->link);
		verify_cancel(&right->check);
	}
}

void
s2s_rights_free(struct s2s *s2s)
{
	list_each (right, &s2s->rights, struct s2s_right, link)
		right_free(right);
}

/* --- what the policy says now --------------------------------------------- */

static bool
shows_certificate(const struct s2s *s2s)
{
	struct arena *arena = arena_make(0);
	const struct str *chain;
	const size_t count = conn_peer_chain(s2s->stream.conn, arena, &chain);

	arena_free(&arena);
	return count > 0;
}

static bool
is_enough(const struct s2s *s2s, const struct policy *policy, unsigned proof)
{
	if ((policy->proofs & proof) == 0)
		return false;
	return proof != PROOF_DIALBACK || policy->dialback == DIALBACK_ALWAYS ||
	       !shows_certificate(s2s);
}

const char *
s2s_objection(
    const struct s2s *s2s, struct str local, struct str domain, unsigned proof)
{
	const struct setup *setup = s2s->stream.shard->setup;
	struct policy policy;

	policy_of(setup, domain_host(setup, local), domain, &policy);
	if (policy.is_denied)
		return "this server does not talk to that domain (s2s.deny, "
		       "s2s.allow)";
	if (domain_is_ours(setup, domain))
		return "that domain is served here";
	if (policy.needs_tls && !stream_is_secure(&s2s->stream))
		return "no TLS, which s2s.tls_required asks for";
	if (proof != 0 && !is_enough(s2s, &policy, proof))
		return "what proved that domain is not enough (s2s.proofs, "
		       "s2s.dialback)";
	return NULL;
}

/* To a pair that was let in. */
static const char *
objection_now(
    const struct s2s *s2s, struct str local, struct str domain, unsigned proof)
{
	if (!domain_is_ours(s2s->stream.shard->setup, local))
		return "a domain of the stream is served here no more";
	return s2s_objection(s2s, local, domain, proof);
}

static const char *
objection_to_any(const struct s2s *s2s)
{
	const char *why = NULL;

	list_each (path, &s2s->paths, struct s2s_path, link)
		if (why == NULL)
			why = objection_now(
			    s2s, path->local, path->domain, path->proof);
	list_each (right, &s2s->rights, struct s2s_right, link)
		if (why == NULL)
			why = objection_now(
			    s2s, right->local, right->domain, right->proof);
	return why;
}

/* The other pairs, if any, are proved anew on the next stream. */
void
s2s_on_setup(struct stream *stream)
{
	struct s2s *s2s = s2s_of(stream);
	const char *why = objection_to_any(s2s);

	if (why != NULL) {
		stream_fail(stream, STREAM_ERR_POLICY_VIOLATION, why);
	} else if (!s2s->is_out && stream->claimed != NULL) {
		policy_of(stream->shard->setup, stream->host,
		    jid_full(stream->claimed), &s2s->policy);
		s2s->certified &= s2s->policy.proofs;
	}
}

static unsigned
calls(const struct s2s *s2s)
{
	unsigned count = 0;

	list_each (right, &s2s->rights, struct s2s_right, link)
		count += right->stage == RIGHT_CALLING;
	return count;
}

/* --- the receiving server: section 2.1.1, 2.1.2 --------------------------- */

/* With the prefix that headers declare: some servers know it by nothing else.
 */
struct node *
s2s_db_make(struct arena *arena, const char *name)
{
	return node_make(
	    arena, str_format(arena, "db:%s", name).text, NS_SERVER);
}

static struct node *
answer_to(struct s2s *s2s, struct arena *arena, const char *name,
    struct str from, struct str to, const char *type)
{
	struct node *answer = s2s_db_make(arena, name);

	(void)s2s;
	node_set(answer, "from", from);
	node_set(answer, "to", to);
	node_set(answer, "type", str_of(type));
	return answer;
}

/* Section 2.4: an error ends neither the stream nor other pairs. */
static void
send_error(struct s2s *s2s, const char *name, struct str from, struct str to,
    struct str id, enum stanza_err err)
{
	struct arena *arena = arena_make(0);
	struct node *answer = answer_to(s2s, arena, name, from, to, "error");
	struct node *error = node_add(answer, "error", NS_SERVER);

	if (id.text != NULL)
		node_set(answer, "id", id);
	node_set(error, "type", str_of(stanza_err_type(err)));
	node_add(error, stanza_err_element(err), NS_STANZA_ERR);
	stream_send(&s2s->stream, answer);
	arena_free(&arena);
}

/* Whether it is one too many: each costs a look at a certificate, or at least a
 * line of the log. */
static bool
is_one_too_many(struct s2s_rate *rate)
{
	const uint64_t now_ms = clock_mono_ms();

	if (rate->count == 0 || now_ms - rate->since_ms >= MINUTE)
		*rate = (struct s2s_rate){.since_ms = now_ms};
	return ++rate->count > REFUSALS_MAX;
}

static void
end_flood(struct s2s *s2s)
{
	if (!s2s->stream.is_ending)
		stream_fail(&s2s->stream, STREAM_ERR_POLICY_VIOLATION,
		    "too many keys that prove nothing");
}

static void
log_refusal(const struct s2s_right *right, struct str why)
{
	log_warn(&right->s2s->stream.log,
	    "refused dialback of %.*s for %.*s: %.*s", STR_ARG(right->domain),
	    STR_ARG(right->local), STR_ARG(why));
}

/* The stream goes on; where nothing is proved, until its time to log in is
 * over. */
static void
refuse(struct s2s_right *right, enum stanza_err err, struct str why)
{
	struct s2s *s2s = right->s2s;

	log_refusal(right, why);
	send_error(s2s, "result", right->local, right->domain, STR_NONE, err);
	right_free(right);
	if (is_one_too_many(&s2s->refusals))
		end_flood(s2s);
}

static void
grant(struct s2s_right *right, enum proof proof)
{
	struct s2s *s2s = right->s2s;
	const char *why =
	    s2s_objection(s2s, right->local, right->domain, proof);
	struct arena *arena;

	if (why != NULL) {
		refuse(right, STANZA_ERR_POLICY_VIOLATION, str_of(why));
		return;
	}
	arena = arena_make(0);
	right->stage = RIGHT_PROVED;
	right->proof = proof;
	if (!s2s->stream.is_authenticated)
		stream_authenticated(
		    &s2s->stream, jid_parse(arena, right->domain));
	stream_send(&s2s->stream, answer_to(s2s, arena, "result", right->local,
				      right->domain, "valid"));
	log_info(&s2s->stream.log, "%.*s may send to %.*s, proved by %s",
	    STR_ARG(right->domain), STR_ARG(right->local), proof_text(proof));
	if (s2s->is_bidi)
		s2s_path_ready(s2s, right->local, right->domain, proof);
	s2s_tell_heard(right);
	s2s_watch_idle(s2s);
	s2s_proved_until(s2s, right->check.ends_s);
	arena_free(&arena);
}

/* Section 2.1.2: the authoritative server is asked, by a stream of ours. */
static void
call_back(struct s2s_right *right)
{
	struct stream *stream = &right->s2s->stream;
	struct post *letter = post_new(POST_DIALBACK, NULL);
	struct dialback *question = arena_new(letter->arena, struct dialback);

	right->stage = RIGHT_CALLING;
	question->local = str_dup(letter->arena, right->local);
	question->domain = str_dup(letter->arena, right->domain);
	question->id = str_dup(letter->arena, stream->id_text);
	question->key = str_dup(letter->arena, right->key);
	letter->dialback = question;
	letter->to = jid_parse(letter->arena, right->domain);
	letter->stream = stream->id;
	post_send(stream->shard, letter);
}

/* XEP-0344: a certificate that proves the domain makes the call needless; one
 * that proves nothing is, by default, worse than none. */
static void
checked(struct verify *check)
{
	struct s2s_right *right = container_of(check, struct s2s_right, check);
	const struct policy *policy = &right->policy;
	struct arena *arena = right->check_arena, *gone = NULL;

	right->check_arena = NULL;
	if (right->is_gone) {
		gone = right->arena;
	} else if (right->s2s->stream.is_ending) {
		right_free(right);
	} else if (check->proof != 0) {
		grant(right, (enum proof)check->proof);
	} else if (!verify_leaves_dialback(check, policy)) {
		refuse(right, STANZA_ERR_NOT_AUTHORIZED, check->why);
	} else if (calls(right->s2s) == CALLS_MAX) {
		refuse(right, STANZA_ERR_RESOURCE_CONSTRAINT,
		    STR("too many keys are being asked about"));
	} else {
		call_back(right);
	}
	arena_free(&arena);
	arena_free(&gone);
}

/* One that is not worth being remembered; whether it is one too many. */
static bool
refuse_pair(struct s2s *s2s, const struct dialback *asked, const char *name,
    enum stanza_err err, const char *why)
{
	const bool is_key = strcmp(name, "result") == 0;
	const bool is_too_much =
	    is_one_too_many(is_key ? &s2s->refusals : &s2s->remarks);

	if (!is_too_much)
		log_warn(&s2s->stream.log,
		    "refused dialback of %.*s for %.*s: %s",
		    STR_ARG(asked->domain), STR_ARG(asked->local), why);
	send_error(s2s, name, asked->local, asked->domain, asked->id, err);
	return is_too_much;
}

static void
refuse_key(struct s2s *s2s, const struct dialback *asked, enum stanza_err err,
    const char *why)
{
	if (refuse_pair(s2s, asked, "result", err, why))
		end_flood(s2s);
}

static bool
lacks_tls(const struct s2s *s2s)
{
	return s2s->policy.needs_tls && !stream_is_secure(&s2s->stream);
}

/* Section 2.5: an error leaves the stream open, and TLS may still start. Three
 * of them end it, as three failures of EXTERNAL do. */
static void
refuse_in_the_clear(
    struct s2s *s2s, const struct dialback *asked, const char *name)
{
	(void)refuse_pair(
	    s2s, asked, name, STANZA_ERR_POLICY_VIOLATION, "TLS is required");
	if (++s2s->auth_failures == 3)
		stream_fail(&s2s->stream, STREAM_ERR_POLICY_VIOLATION,
		    "TLS is required");
}

/* What speaks against even trying. */
static bool
is_hopeless(struct s2s_right *right)
{
	struct s2s *s2s = right->s2s;

	if (domain_is_ours(s2s->stream.shard->setup, right->domain))
		refuse(right, STANZA_ERR_NOT_AUTHORIZED,
		    STR("that domain is served here"));
	else if (right->policy.is_denied)
		refuse(right, STANZA_ERR_POLICY_VIOLATION,
		    STR("this server does not talk to that domain (s2s.deny, "
			"s2s.allow)"));
	else if (right->policy.needs_tls && !stream_is_secure(&s2s->stream))
		refuse(right, STANZA_ERR_POLICY_VIOLATION,
		    STR("no TLS, which s2s.tls_required asks for"));
	else
		return false;
	return true;
}

static void
begin(struct s2s *s2s, struct str local, struct str domain, struct str key)
{
	struct s2s_right *right = right_new(s2s, local, domain);

	right->key = str_dup(right->arena, key);
	policy_of(s2s->stream.shard->setup,
	    domain_host(s2s->stream.shard->setup, local), domain,
	    &right->policy);
	if (is_hopeless(right))
		return;
	right->check_arena = arena_make(0);
	right->check_ask.domain = right->domain;
	right->check_ask.count = conn_peer_chain(
	    s2s->stream.conn, right->check_arena, &right->check_ask.chain);
	verify_start(s2s->stream.shard, &right->check, right->check_arena,
	    &right->policy, &right->check_ask, checked);
}

static void
on_result(struct s2s *s2s, struct arena *arena, const struct node *node,
    struct str local, struct str domain)
{
	struct s2s_right *right = s2s_right_find(s2s, local, domain);

	const struct dialback asked = {.local = local, .domain = domain};

	if (lacks_tls(s2s)) {
		refuse_in_the_clear(s2s, &asked, "result");
		return;
	}
	if (domain_host(s2s->stream.shard->setup, local) == NULL) {
		refuse_key(s2s, &asked, STANZA_ERR_ITEM_NOT_FOUND,
		    "it is not served here");
		return;
	}
	if (right == NULL && s2s->right_count == RIGHTS_MAX) {
		refuse_key(s2s, &asked, STANZA_ERR_RESOURCE_CONSTRAINT,
		    "too many pairs of domains on one stream");
		return;
	}
	/* Asked again: the first question is still open, or was answered. */
	if (right == NULL)
		begin(s2s, local, domain, node_text(arena, node));
	else if (right->stage == RIGHT_PROVED)
		stream_send(&s2s->stream,
		    answer_to(s2s, arena, "result", local, domain, "valid"));
}

static bool
has_proved(const struct s2s *s2s)
{
	list_each (right, &s2s->rights, struct s2s_right, link)
		if (right->stage == RIGHT_PROVED)
			return true;
	return false;
}

/* Section 2.2.1. Who hears "invalid" gives up the stream's other pairs, so it
 * is said only where none is proved, and then the stream ends: also for those
 * that are still being checked, which are not valid yet. */
static void
disprove(struct s2s_right *right)
{
	struct s2s *s2s = right->s2s;
	const struct str why = STR("that domain does not know the key");
	struct arena *arena;

	if (has_proved(s2s)) {
		refuse(right, STANZA_ERR_FORBIDDEN, why);
		return;
	}
	arena = arena_make(0);
	log_refusal(right, why);
	stream_send(&s2s->stream, answer_to(s2s, arena, "result", right->local,
				      right->domain, "invalid"));
	right_free(right);
	arena_free(&arena);
	stream_close(&s2s->stream);
}

void
s2s_take_verdict(struct s2s *s2s, const struct dialback *verdict)
{
	struct s2s_right *right =
	    s2s_right_find(s2s, verdict->local, verdict->domain);

	if (right == NULL || right->stage != RIGHT_CALLING)
		return;
	if (s2s->stream.is_ending)
		right_free(right);
	else if (verdict->err != STANZA_ERR_NONE)
		refuse(right, verdict->err, verdict->text);
	else if (verdict->is_valid)
		grant(right, PROOF_DIALBACK);
	else
		disprove(right);
}

/* --- the authoritative server: section 2.1.3 ------------------------------ */

/* A question may be others' doing, who send that server keys that are said to
 * be ours: however many there are, they do not end its stream. */
static void
on_verify(struct s2s *s2s, struct arena *arena, const struct node *node,
    struct str local, struct str domain)
{
	struct shard *shard = s2s->stream.shard;
	struct str id = node_attr(node, "id");
	const struct dialback asked = {
	    .local = local, .domain = domain, .id = id};
	struct node *answer;
	bool is_key;

	if (lacks_tls(s2s)) {
		refuse_in_the_clear(s2s, &asked, "verify");
		return;
	}
	if (domain_host(shard->setup, local) == NULL || id.text == NULL) {
		(void)refuse_pair(s2s, &asked, "verify",
		    STANZA_ERR_ITEM_NOT_FOUND,
		    id.text == NULL ? "the key has no id"
				    : "it is not served here");
		return;
	}
	is_key = dialback_is_key(
	    shard->server, str_trim(node_text(arena, node)), domain, local, id);
	if (!is_key && !is_one_too_many(&s2s->remarks))
		log_warn(&s2s->stream.log,
		    "%.*s asked about a key of %.*s that is none of ours",
		    STR_ARG(domain), STR_ARG(local));
	answer = answer_to(
	    s2s, arena, "verify", local, domain, is_key ? "valid" : "invalid");
	node_set(answer, "id", id);
	stream_send(&s2s->stream, answer);
}

/* --- the initiating server ------------------------------------------------ */

void
s2s_send_key(struct s2s *s2s)
{
	struct stream *stream = &s2s->stream;
	struct arena *arena = arena_make(0);
	struct node *result = s2s_db_make(arena, "result");

	node_set(result, "from", stream->host_name);
	node_set(result, "to", stream->target);
	node_add_text(
	    result, dialback_key(arena, stream->shard->server, stream->target,
			stream->host_name, stream->id_text));
	stream_send(stream, result);
	arena_free(&arena);
}

/* --- all of it ------------------------------------------------------------ */

static bool
read_domain(struct arena *arena, struct str text, struct str *domain_r)
{
	*domain_r = text;
	return text.len > 0 && prep_domain(arena, domain_r);
}

static void
ignore(struct s2s *s2s)
{
	if (!is_one_too_many(&s2s->remarks))
		log_info(&s2s->stream.log,
		    "ignored what of dialback does not belong here");
}

/* Answers (with a type) to what this stream did not ask are nobody's, and to
 * what comes behind its end there are none. */
void
s2s_take_db(struct s2s *s2s, const struct node *node)
{
	struct arena *arena = arena_make(0);
	struct str local, domain;

	if (node_attr(node, "type").text != NULL || s2s->stream.is_ending ||
	    (s2s->is_out && !s2s->is_bidi))
		ignore(s2s);
	else if (!read_domain(arena, node_attr(node, "to"), &local) ||
		 !read_domain(arena, node_attr(node, "from"), &domain))
		stream_fail(&s2s->stream, STREAM_ERR_IMPROPER_ADDRESSING, NULL);
	else if (str_is(node->name, "result"))
		on_result(s2s, arena, node, local, domain);
	else if (str_is(node->name, "verify"))
		on_verify(s2s, arena, node, local, domain);
	arena_free(&arena);
}

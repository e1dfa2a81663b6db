/* A stream to another server, until it can be used. */
#include "server/s2s_attempt.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "server/dane.h"
#include "server/domains.h"
#include "server/metrics.h"
#include "server/remote.h"
#include "server/s2s_checkup.h"
#include "server/s2s_internal.h"
#include "server/s2s_resume.h"
#include "server/settings.h"
#include "server/setup.h"
#include "server/shard.h"

/* Of one shard at a time: whoever names thousands of domains waits. */
#define ATTEMPTS_MAX 1000
/* Keys are not asked about when so much is under way: who makes us ask must not
 * keep us from sending. */
#define QUESTIONS_MAX 500
/* A question may take so many times s2s.connect_timeout, however many endpoints
 * a stranger's domain has that say nothing: by then who asked is gone. */
#define QUESTION_TIMES 2
/* Of a checkup: from its beginning, and for the answer to its ping. */
#define CHECKUP_MS 60000
#define PING_MS    20000
/* What DNS still says when a stream has been made. */
#define LINGER_MS 1000

enum step { RESOLVING, DIALLING, TALKING, CHECKING, OVER };

struct attempt {
	struct link link; /* in shard->attempts */
	struct shard *shard;
	struct arena *arena; /* lifetime: attempt */
	struct log log;
	struct str local, domain;
	struct policy policy;
	struct setup *setup; /* the policy's texts are its */
	enum step step;
	struct resolve resolve;
	bool is_resolving; /* also beside what follows */
	struct dial dial;
	struct verify check;
	struct verify_ask check_ask;
	struct s2s *s2s;                 /* TALKING, CHECKING */
	const struct dialback *question; /* NULL: a path is wanted */
	struct stream_id asker;          /* of the question */
	struct checkup *checkup;         /* NULL: it is for use */
	bool is_late;                    /* its whole time is over */
	bool is_unknown;                 /* to the last endpoint */
	struct str why;                  /* of the last endpoint's stream */
	struct {
		struct str why; /* empty: none was */
		enum stanza_err err;
		bool is_final;
	} refused;             /* of the endpoints */
	struct timer deadline; /* of the talk with one endpoint */
	struct timer end;      /* of a checkup, or a question */
};

static void
name_attempt(const struct log *log, char *text, size_t len)
{
	const struct attempt *attempt =
	    container_of(log, const struct attempt, log);

	snprintf(text, len, "s2s out %.*s -> %.*s", STR_ARG(attempt->local),
	    STR_ARG(attempt->domain));
}

const struct dialback *
attempt_question(const struct attempt *attempt)
{
	return attempt->question;
}

struct checkup *
attempt_checkup(const struct attempt *attempt)
{
	return attempt->checkup;
}

const struct policy *
attempt_policy(const struct attempt *attempt)
{
	return &attempt->policy;
}

/* RFC 7673, section 4: who publishes how to know its certificate has TLS. */
const char *
attempt_asks_for_tls(const struct attempt *attempt)
{
	const struct endpoint *endpoint = attempt->dial.endpoint;

	if (attempt->policy.needs_tls)
		return "s2s.tls_required asks for";
	if (endpoint->is_secure &&
	    dane_needs_tls(endpoint->tlsa, endpoint->tlsa_count))
		return "its TLSA records (DANE) ask for";
	return NULL;
}

struct str
attempt_local(const struct attempt *attempt)
{
	return attempt->local;
}

struct str
attempt_domain(const struct attempt *attempt)
{
	return attempt->domain;
}

/* --- the end -------------------------------------------------------------- */

static void
drop(struct attempt *attempt)
{
	struct arena *arena = attempt->arena;

	timer_stop(attempt->shard, &attempt->deadline);
	timer_stop(attempt->shard, &attempt->end);
	checkup_free(&attempt->checkup);
	if (attempt->step != OVER)
		attempt->shard->attempt_count--;
	list_remove(&attempt->link);
	setup_unref(&attempt->setup);
	arena_free(&arena);
}

static void
on_linger_end(struct timer *timer)
{
	resolve_cancel(&container_of(timer, struct attempt, end)->resolve);
}

/* Its last questions to DNS must end first. What is answered soon is good for
 * the cache (RFC 8305, section 5), but not worth it for strangers. */
static void
attempt_free(struct attempt *attempt)
{
	if (!attempt->is_resolving) {
		drop(attempt);
		return;
	}
	timer_stop(attempt->shard, &attempt->deadline);
	attempt->step = OVER;
	attempt->s2s = NULL;
	attempt->shard->attempt_count--;
	timer_start(attempt->shard, &attempt->end,
	    attempt->question == NULL ? LINGER_MS : 0, on_linger_end);
}

static void
tell_verdict(struct attempt *attempt, bool is_valid, enum stanza_err err)
{
	struct post *letter = post_new(POST_DIALBACK_VERDICT, NULL);
	struct dialback *verdict = arena_new(letter->arena, struct dialback);

	verdict->local = str_dup(letter->arena, attempt->local);
	verdict->domain = str_dup(letter->arena, attempt->domain);
	verdict->is_valid = is_valid;
	verdict->err = err;
	verdict->text = str_dup(letter->arena, attempt->why);
	letter->dialback = verdict;
	letter->stream = attempt->asker;
	post_send(attempt->shard, letter);
}

static void
tell_failure(struct attempt *attempt, enum stanza_err err, bool is_final)
{
	struct post *letter;
	struct path_note *note = path_note_new(
	    PATH_FAILED, attempt->local, attempt->domain, &letter);

	note->err = err;
	note->is_final = is_final;
	note->text = str_dup(letter->arena, attempt->why);
	post_send(attempt->shard, letter);
}

static void
tell_checkup(struct attempt *attempt)
{
	if (attempt->is_late)
		attempt->why = str_format(attempt->arena,
		    "no end of it came in %u s", CHECKUP_MS / 1000);
	checkup_over(attempt->checkup, attempt->why);
	checkup_finish(&attempt->checkup);
}

void
attempt_failed(struct attempt *attempt, enum stanza_err err, bool is_final,
    const char *format, ...)
{
	struct s2s *s2s = attempt->s2s;
	va_list args;

	va_start(args, format);
	attempt->why = str_vformat(attempt->arena, format, args);
	va_end(args);
	/* Of a question who asked it tells, with the same words. */
	if (attempt->question == NULL)
		log_warn(&attempt->log, "%.*s", STR_ARG(attempt->why));
	if (attempt->checkup != NULL)
		tell_checkup(attempt);
	else if (attempt->question != NULL)
		tell_verdict(attempt, false, err);
	else
		tell_failure(attempt, err, is_final);
	attempt_free(attempt);
	if (s2s == NULL)
		return;
	s2s->attempt = NULL;
	stream_close(&s2s->stream);
}

void
attempt_succeeded(struct attempt *attempt)
{
	attempt->s2s->attempt = NULL;
	attempt_free(attempt);
}

void
attempt_answered(struct attempt *attempt, bool is_valid)
{
	struct s2s *s2s = attempt->s2s;

	tell_verdict(attempt, is_valid, STANZA_ERR_NONE);
	attempt_succeeded(attempt);
	stream_close(&s2s->stream);
}

void
attempt_pinged(struct attempt *attempt)
{
	struct s2s *s2s = attempt->s2s;

	checkup_good(
	    attempt->checkup, "%.*s answers", STR_ARG(attempt->domain));
	checkup_at(attempt->checkup, CHECKUP_DONE);
	checkup_finish(&attempt->checkup);
	attempt_succeeded(attempt);
	stream_close(&s2s->stream);
}

/* --- the peer's certificate ----------------------------------------------- */

static void
dial_again(struct attempt *attempt)
{
	attempt->step = DIALLING;
	checkup_at(attempt->checkup, CHECKUP_TCP);
	dial_next(&attempt->dial);
}

/* With the next endpoint. */
static void
go_on(struct attempt *attempt)
{
	if (attempt->shard->is_draining)
		attempt_failed(attempt, STANZA_ERR_REMOTE_SERVER_TIMEOUT, false,
		    "the server is shutting down");
	else
		dial_again(attempt);
}

static void
checked(struct verify *check)
{
	struct attempt *attempt = container_of(check, struct attempt, check);

	attempt->step = TALKING;
	if (attempt->is_late)
		attempt_failed(attempt, STANZA_ERR_REMOTE_SERVER_TIMEOUT, false,
		    "it takes too long");
	else if (attempt->s2s == NULL)
		go_on(attempt);
	else
		s2s_out_checked(attempt->s2s, check);
}

void
attempt_check(struct attempt *attempt)
{
	struct conn *conn = attempt->s2s->stream.conn;

	checkup_good(attempt->checkup, "%.*s, %s",
	    STR_ARG(conn_tls_text(conn, attempt->arena)),
	    conn->is_direct_tls ? "from the first byte" : "by STARTTLS");
	checkup_at(attempt->checkup, CHECKUP_CERTIFICATE);
	attempt->step = CHECKING;
	attempt->check_ask = (struct verify_ask){
	    .domain = attempt->domain,
	    .endpoint = attempt->dial.endpoint,
	};
	attempt->check_ask.count =
	    conn_peer_chain(conn, attempt->arena, &attempt->check_ask.chain);
	verify_start(attempt->shard, &attempt->check, attempt->arena,
	    &attempt->policy, &attempt->check_ask, checked);
}

void
attempt_refused(struct attempt *attempt, enum stanza_err err, bool is_final,
    const char *format, ...)
{
	struct s2s *s2s = attempt->s2s;
	struct str why;
	va_list args;

	va_start(args, format);
	why = str_vformat(attempt->arena, format, args);
	va_end(args);
	checkup_bad(attempt->checkup, why);
	if (attempt->refused.why.len == 0 ||
	    (is_final && !attempt->refused.is_final)) {
		attempt->refused.why = why;
		attempt->refused.err = err;
		attempt->refused.is_final = is_final;
	}
	timer_stop(attempt->shard, &attempt->deadline);
	attempt->s2s = NULL;
	s2s->attempt = NULL;
	s2s->stream.end.text = str_format(s2s->stream.arena, "%s: %.*s",
	    endpoint_text(attempt->arena, attempt->dial.endpoint).text,
	    STR_ARG(why));
	stream_close(&s2s->stream);
	go_on(attempt);
}

/* While it is checked the stream's end is only noted: checked goes on. */
void
attempt_lost(struct attempt *attempt, struct str why, bool is_unknown)
{
	attempt->s2s = NULL;
	attempt->is_unknown = is_unknown;
	timer_stop(attempt->shard, &attempt->deadline);
	attempt->why = str_format(attempt->arena, "%s: %.*s",
	    endpoint_text(attempt->arena, attempt->dial.endpoint).text,
	    STR_ARG(why));
	checkup_bad(attempt->checkup, attempt->why);
	if (attempt->step == TALKING)
		go_on(attempt);
}

/* --- a checkup ------------------------------------------------------------ */

static void
on_no_answer(struct timer *timer)
{
	struct attempt *attempt = container_of(timer, struct attempt, deadline);

	attempt_failed(attempt, STANZA_ERR_REMOTE_SERVER_TIMEOUT, false,
	    "the ping was sent, but no answer came in %u s", PING_MS / 1000);
}

void
attempt_ping(struct attempt *attempt)
{
	checkup_at(attempt->checkup, CHECKUP_PING);
	timer_start(attempt->shard, &attempt->deadline, PING_MS, on_no_answer);
	s2s_send_ping(attempt->s2s, attempt->local, attempt->domain);
}

/* What waits is told to end, and tells that it has. */
static void
on_end(struct timer *timer)
{
	struct attempt *attempt = container_of(timer, struct attempt, end);

	attempt->is_late = true;
	switch (attempt->step) {
	case RESOLVING:
		resolve_cancel(&attempt->resolve);
		break;
	case DIALLING:
		dial_cancel(&attempt->dial);
		break;
	case CHECKING:
		verify_cancel(&attempt->check);
		break;
	case TALKING:
		attempt_failed(attempt, STANZA_ERR_REMOTE_SERVER_TIMEOUT, false,
		    "it takes too long");
		break;
	case OVER:
		break;
	}
}

unsigned
attempt_checkups(struct shard *shard)
{
	unsigned count = 0;

	if (shard->attempts.head.next == NULL)
		return 0;
	list_each (attempt, &shard->attempts, struct attempt, link)
		count += attempt->checkup != NULL;
	return count;
}

bool
attempt_checks(struct shard *shard, struct str local, struct str domain)
{
	if (shard->attempts.head.next == NULL)
		return false;
	list_each (attempt, &shard->attempts, struct attempt, link)
		if (attempt->checkup != NULL &&
		    str_equal(attempt->local, local) &&
		    str_equal(attempt->domain, domain))
			return true;
	return false;
}

/* --- the way there -------------------------------------------------------- */

static void
on_deadline(struct timer *timer)
{
	struct attempt *attempt = container_of(timer, struct attempt, deadline);

	if (attempt->s2s != NULL)
		stream_fail(&attempt->s2s->stream,
		    STREAM_ERR_CONNECTION_TIMEOUT,
		    "the stream could not be used in time");
}

static void
dial_failed(struct dial *dial)
{
	struct attempt *attempt = container_of(dial, struct attempt, dial);

	checkup_bad(attempt->checkup, dial->why);
}

/* What a key is answered with that could not be verified: XEP-0220, section
 * 2.5. Stanzas come back with what RFC 6120 has. */
static enum stanza_err
unreached(const struct attempt *attempt)
{
	if (attempt->question == NULL)
		return STANZA_ERR_REMOTE_SERVER_TIMEOUT;
	if (attempt->is_unknown)
		return STANZA_ERR_REMOTE_SERVER_NOT_FOUND;
	return attempt->why.len > 0 ? STANZA_ERR_REMOTE_SERVER_TIMEOUT
				    : STANZA_ERR_REMOTE_CONNECTION_FAILED;
}

/* Why somebody was refused tells more than that others do not answer. */
static void
fail_with_all(struct attempt *attempt)
{
	const struct dial *dial = &attempt->dial;
	struct str why = attempt->why;

	if (why.len == 0)
		why = dial->why.len > 0 ? dial->why : STR("nobody answers");
	if (attempt->refused.why.len > 0 && dial->err != ERR_CANCELED)
		attempt_failed(attempt, attempt->refused.err,
		    attempt->refused.is_final, "%.*s",
		    STR_ARG(attempt->refused.why));
	else
		attempt_failed(
		    attempt, unreached(attempt), false, "%.*s", STR_ARG(why));
}

static void
dialled(struct dial *dial)
{
	struct attempt *attempt = container_of(dial, struct attempt, dial);
	const struct host *host =
	    domain_host(attempt->shard->setup, attempt->local);

	if (dial->err == ERR_NONE && host == NULL) {
		conn_drop(dial->conn);
		attempt_failed(attempt, STANZA_ERR_REMOTE_SERVER_TIMEOUT, false,
		    "%.*s is served no more", STR_ARG(attempt->local));
		return;
	}
	if (dial->err != ERR_NONE) {
		fail_with_all(attempt);
		return;
	}
	attempt->step = TALKING;
	checkup_good(attempt->checkup, "connected to %.*s",
	    STR_ARG(endpoint_text(attempt->arena, dial->endpoint)));
	checkup_at(attempt->checkup,
	    dial->endpoint->is_direct_tls ? CHECKUP_TLS : CHECKUP_STREAM);
	timer_start(attempt->shard, &attempt->deadline,
	    config_ms(setup_config(attempt->shard->setup), CONFIG_GLOBAL,
		SETTING(S2S_CONNECT_TIMEOUT)),
	    on_deadline);
	dial->conn->is_direct_tls = dial->endpoint->is_direct_tls;
	attempt->s2s = s2s_out_new(attempt->shard, dial->conn, attempt);
}

static void
start_dialling(
    struct attempt *attempt, const struct endpoint *endpoints, size_t count)
{
	checkup_at(attempt->checkup, CHECKUP_TCP);
	attempt->step = DIALLING;
	dial_start(attempt->shard, &attempt->dial, attempt->arena, endpoints,
	    count, dialled);
	attempt->dial.failed = dial_failed;
}

/* A checkup tells all that DNS says before it goes on. */
static void
found(struct resolve *resolve)
{
	struct attempt *attempt =
	    container_of(resolve, struct attempt, resolve);

	if (attempt->checkup != NULL || attempt->shard->is_draining)
		return;
	if (attempt->step == RESOLVING) {
		start_dialling(attempt, resolve->race, resolve->race_count);
		dial_expect_more(&attempt->dial);
	} else {
		dial_more(&attempt->dial, false);
	}
}

static void
resolved(struct resolve *resolve)
{
	struct attempt *attempt =
	    container_of(resolve, struct attempt, resolve);

	attempt->is_resolving = false;
	if (attempt->step == OVER) {
		drop(attempt);
		return;
	}
	if (attempt->step != RESOLVING) {
		dial_more(&attempt->dial, true);
		return;
	}
	checkup_resolved(attempt->checkup, resolve);
	if (resolve->err == ERR_NOT_FOUND) {
		attempt_failed(attempt, STANZA_ERR_REMOTE_SERVER_NOT_FOUND,
		    true, "%.*s", STR_ARG(resolve->why));
		return;
	}
	if (resolve->err != ERR_NONE || attempt->shard->is_draining) {
		attempt_failed(attempt, unreached(attempt), false, "%.*s",
		    STR_ARG(resolve->why));
		return;
	}
	start_dialling(attempt, resolve->endpoints, resolve->count);
}

static struct attempt *
attempt_new(struct shard *shard, struct str local, struct str domain)
{
	struct arena *arena = arena_make(0);
	struct attempt *attempt = arena_new(arena, struct attempt);

	shard_must_be_current(shard);
	if (shard->attempts.head.next == NULL)
		list_init(&shard->attempts);
	attempt->shard = shard;
	attempt->arena = arena;
	attempt->log.name = name_attempt;
	attempt->local = str_dup(arena, local);
	attempt->domain = str_dup(arena, domain);
	attempt->setup = setup_ref(shard->setup);
	policy_of(shard->setup, domain_host(shard->setup, local), domain,
	    &attempt->policy);
	list_add_last(&shard->attempts, &attempt->link);
	shard->attempt_count++;
	return attempt;
}

static bool
is_for_a_path(const struct attempt *attempt)
{
	return attempt->question == NULL && attempt->checkup == NULL;
}

static void
look_for_it(struct attempt *attempt)
{
	checkup_good(attempt->checkup, "%.*s may talk to %.*s%s",
	    STR_ARG(attempt->local), STR_ARG(attempt->domain),
	    attempt->policy.needs_tls ? ", with TLS" : "");
	checkup_at(attempt->checkup, CHECKUP_DNS);
	resolve_start(attempt->shard, &attempt->resolve, attempt->arena,
	    &attempt->policy, attempt->domain, resolved);
	attempt->is_resolving = true;
	attempt->resolve.found = found;
}

static void
attempt_start(struct attempt *attempt)
{
	if (attempt->policy.is_denied)
		attempt_failed(attempt, STANZA_ERR_POLICY_VIOLATION, true,
		    "this server does not talk to that domain (s2s.deny, "
		    "s2s.allow)");
	else if (domain_host(attempt->shard->setup, attempt->local) == NULL)
		attempt_failed(attempt, STANZA_ERR_SERVICE_UNAVAILABLE, true,
		    "%.*s is below no host of this server, whose certificate "
		    "it could show",
		    STR_ARG(attempt->local));
	else if (attempt->shard->is_draining)
		attempt_failed(attempt, STANZA_ERR_REMOTE_SERVER_TIMEOUT, false,
		    "the server is shutting down");
	else if (attempt->shard->attempt_count >
		 (is_for_a_path(attempt) ? ATTEMPTS_MAX : QUESTIONS_MAX))
		attempt_failed(attempt, STANZA_ERR_RESOURCE_CONSTRAINT, false,
		    "too many servers are being connected to");
	else
		look_for_it(attempt);
}

void
s2s_connect(struct shard *shard, struct str local, struct str domain)
{
	attempt_start(attempt_new(shard, local, domain));
}

void
attempt_start_checkup(struct shard *shard, struct checkup *checkup,
    struct str local, struct str domain)
{
	struct attempt *attempt = attempt_new(shard, local, domain);

	attempt->checkup = checkup;
	timer_start(shard, &attempt->end, CHECKUP_MS, on_end);
	attempt_start(attempt);
}

void
s2s_take_dialback(struct shard *shard, struct post *letter)
{
	const struct dialback *asked = letter->dialback;
	struct attempt *attempt =
	    attempt_new(shard, asked->local, asked->domain);
	struct dialback *question = arena_new(attempt->arena, struct dialback);

	question->id = str_dup(attempt->arena, asked->id);
	question->key = str_dup(attempt->arena, asked->key);
	attempt->question = question;
	attempt->policy.is_for_stranger = true;
	attempt->asker = letter->stream;
	post_free(&letter);
	timer_start(shard, &attempt->end,
	    QUESTION_TIMES * config_ms(setup_config(shard->setup),
				 CONFIG_GLOBAL, SETTING(S2S_CONNECT_TIMEOUT)),
	    on_end);
	attempt_start(attempt);
}

void
s2s_stop(struct shard *shard)
{
	if (shard->attempts.head.next == NULL)
		return;
	list_each (attempt, &shard->attempts, struct attempt, link) {
		if (attempt->step == DIALLING)
			dial_cancel(&attempt->dial);
		else if (attempt->step == CHECKING)
			verify_cancel(&attempt->check);
	}
}

void
s2s_free(struct shard *shard)
{
	s2s_kept_free(shard);
	if (shard->attempts.head.next == NULL)
		return;
	list_each (attempt, &shard->attempts, struct attempt, link)
		drop(attempt);
}

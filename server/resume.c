#include "server/resume.h"

#include "base/clock.h"
#include "base/err.h"
#include "base/rand.h"
#include "server/kept.h"
#include "server/resume_private.h"
#include "server/router.h"
#include "server/settings.h"
#include "server/settle.h"
#include "server/setup.h"
#include "server/sm.h"
#include "xml/delay.h"

#define AGAIN_MS    500
#define ID_LEN      24  /* of an SM-ID: 120 bits, nobody guesses it */
#define DOWN_LEN    256 /* of a letter that refers to a blob */
#define SECONDS_MAX (7 * DAY / SECOND)
/* What is sent again after so long is late. */
#define LATE_US ((uint64_t)SECOND * 1000)
/* One that is over is there so long, while the store fails, until it is
 * settled; then it is spent. */
#define SETTLE_MS DAY

static struct shard *
shard_of_session(const struct session *session)
{
	return session->account->owner.shard;
}

/* --- notes to the stream ------------------------------------------------- */

static struct post *
note_new(struct stream_id stream, struct sm_note **note)
{
	struct post *letter = post_new(POST_SM, NULL);

	letter->stream = stream;
	letter->sm = *note = arena_new(letter->arena, struct sm_note);
	return letter;
}

static void
tell(struct session *session, enum sm_event event, uint64_t h)
{
	struct sm_note *note;
	struct post *letter = note_new(session->stream, &note);

	note->event = event;
	note->h = (uint32_t)h;
	post_send(shard_of_session(session), letter);
}

void
resume_fail(struct shard *shard, struct stream_id stream, enum stanza_err err,
    const uint64_t *h)
{
	struct sm_note *note;
	struct post *letter = note_new(stream, &note);

	note->event = SM_FAILED;
	note->err = err;
	note->has_h = h != NULL;
	note->h = h == NULL ? 0 : (uint32_t)*h;
	post_send(shard, letter);
}

static void
tell_too_high(
    struct shard *shard, const struct post *asked, const struct resume *resume)
{
	struct sm_note *note;
	struct post *letter = note_new(asked->stream, &note);

	note->event = SM_TOO_HIGH;
	note->h = asked->sm->h;
	note->sent = (uint32_t)resume->sent;
	post_send(shard, letter);
}

void
resume_tell_h(struct handled *handled)
{
	const struct resume *resume =
	    container_of(handled, struct resume, handled);

	tell(resume->session, SM_ACK, handled->settled);
}

void
resume_tell_credit(struct session *session, uint64_t count)
{
	tell(session, SM_CREDIT, count);
}

/* --- what the client is sent --------------------------------------------- */

static void
post_down(struct resume *resume, const struct post *kept, bool is_last)
{
	struct session *session = resume->session;
	struct post *letter = post_new(POST_DOWN, arena_make(DOWN_LEN));

	letter->blob = blob_ref(kept->blob);
	if (kept->to != NULL)
		letter->to = jid_copy(letter->arena, kept->to);
	letter->stream = session->stream;
	letter->wants_ack = is_last && !resume->is_request_open;
	if (letter->wants_ack)
		resume->is_request_open = true;
	post_send(shard_of_session(session), letter);
}

/* What waits for the client says since when (XEP-0203), and so does what goes
 * to another one instead: section 4. Copies that were made for this session
 * alone have no stanza, and go nowhere else. */
static void
add_delay(const struct session *session, struct post *letter)
{
	const struct stanza *stanza = letter->stanza;
	struct str host = session->account->host->name;

	if (stanza == NULL || stanza->kind != STANZA_MESSAGE ||
	    delay_has(stanza, host))
		return;
	letter->stanza =
	    delay_add(letter->arena, stanza, host, letter->durable.since_us);
	if (letter->blob != NULL)
		blob_unref(&letter->blob);
}

/* As it will go; its bytes. */
static size_t
prepare_again(struct resume *resume, struct post *kept)
{
	struct session *session = resume->session;

	if (kept->durable.since_us + LATE_US <= clock_wall_us())
		add_delay(session, kept);
	if (kept->blob == NULL)
		kept->blob =
		    router_serialise(shard_of_session(session), kept->stanza);
	return blob_str(kept->blob).len;
}

/* How many of those that are due go together, from the first on. */
static uint64_t
count_part(struct resume *resume, struct post *first)
{
	const uint64_t most = account_bytes_at_once(resume->session->account);
	struct post *kept = first;
	uint64_t count = 0, len = 0;

	while (kept != NULL && count < resume->due) {
		len += prepare_again(resume, kept);
		if (count > 0 && len > most)
			break;
		count++;
		kept = list_entry(list_next(&resume->unacked, &kept->link),
		    struct post, link);
	}
	return count;
}

/* On a new stream: those before them are acknowledged, so that the first of
 * them is due. */
static void
send_due(struct resume *resume)
{
	struct post *first =
	    list_entry(list_first(&resume->unacked), struct post, link);
	uint64_t left = count_part(resume, first);

	resume->due -= left;
	list_each (kept, &resume->unacked, struct post, link) {
		if (left-- == 0)
			break;
		post_down(resume, kept, left == 0);
	}
}

static void end_over(struct timer *);

static uint64_t
queue_max(const struct session *session)
{
	return host_int(session->account->host, SETTING(SESSIONS_QUEUE));
}

/* One that is over stays for what its client sent, and while it does takes as
 * much again. */
static bool
is_overfull(const struct resume *resume)
{
	return resume->is_over &&
	       resume->sent - resume->acked > 2 * queue_max(resume->session);
}

void
resume_send(struct session *session, struct post *letter)
{
	struct resume *resume = session->resume;
	struct shard *shard = shard_of_session(session);

	if (letter->durable.since_us == 0)
		letter->durable.since_us = clock_wall_us();
	if (session->is_detached)
		add_delay(session, letter);
	if (letter->blob == NULL)
		letter->blob = router_serialise(shard, letter->stanza);
	list_add_last(&resume->unacked, &letter->link);
	resume->sent++;
	if (session_is_refused(session, letter))
		letter->refuses = letter->receipt.number;
	receipt_settle(shard, &letter->receipt);
	if (!session->is_detached && resume->due > 0)
		resume->due++;
	else if (!session->is_detached)
		post_down(resume, letter, true);
	if (is_overfull(resume))
		timer_start(shard, &resume->expiry, 0, end_over);
	else if (resume->sent - resume->acked > queue_max(session))
		session_close(session, STREAM_ERR_RESOURCE_CONSTRAINT,
		    "too much was not acknowledged");
}

/* The tickets of what was acknowledged are proved, like with like. */
static void
acknowledge(struct resume *resume, uint64_t upto)
{
	uint64_t ticket = 0;

	while (resume->acked < upto) {
		struct link *link = list_take_first(&resume->unacked);
		struct post *letter = container_of(link, struct post, link);

		resume->acked++;
		if (ticket != 0 && ((ticket ^ letter->ticket) & TICKET_ROWS))
			hook_proved(resume->session, ticket);
		if (letter->ticket != 0)
			ticket = letter->ticket;
		post_free(&letter);
	}
	if (ticket != 0)
		hook_proved(resume->session, ticket);
}

/* False when it is more than was sent. */
static bool
take_h(struct resume *resume, uint32_t h)
{
	uint64_t behind;

	if (!sm_behind(resume->sent, h, &behind))
		return false;
	if (behind <= resume->sent - resume->acked)
		acknowledge(resume, resume->sent - behind);
	return true;
}

static void
on_ack(struct resume *resume, const struct post *letter)
{
	resume->is_request_open = false;
	if (!take_h(resume, letter->sm->h)) {
		tell_too_high(
		    shard_of_session(resume->session), letter, resume);
		return;
	}
	if (resume->due >= resume->sent - resume->acked) {
		resume->due = resume->sent - resume->acked;
		send_due(resume);
		return;
	}
	resume->is_request_open = true;
	tell(resume->session, SM_REQUEST, 0);
}

/* --- enabling ------------------------------------------------------------ */

static uint64_t
wait_ms(const struct session *session, const struct sm_note *note)
{
	const struct host *host = session->account->host;
	uint64_t longest_ms = config_ms(
	    setup_config(host->setup), host->index, SETTING(SESSIONS_RESUME));

	if (!note->can_resume)
		return 0;
	if (note->seconds == 0 || note->seconds > SECONDS_MAX ||
	    note->seconds * SECOND > longest_ms)
		return longest_ms;
	return note->seconds * SECOND;
}

struct resume *
resume_new(struct session *session)
{
	struct resume *resume = arena_new(session->arena, struct resume);

	resume->session = session;
	list_init(&resume->unacked);
	list_init(&resume->rows);
	session->resume = resume;
	handled_start(&resume->handled, shard_of_session(session),
	    &resume_handled, session->number);
	return resume;
}

static void
on_enable(struct session *session, const struct post *asked)
{
	struct shard *shard = shard_of_session(session);
	struct resume *resume = resume_new(session);
	struct sm_note *note;
	struct post *letter = note_new(asked->stream, &note);

	resume->wait_ms = wait_ms(session, asked->sm);
	if (resume->wait_ms > 0)
		resume->id = rand_id(session->arena, ID_LEN);
	note->event = SM_ENABLED;
	note->id = str_dup(letter->arena, resume->id);
	note->seconds = resume->wait_ms / SECOND;
	post_send(shard, letter);
	kept_note(session);
}

/* --- waiting for the client ---------------------------------------------- */

bool
resume_may_wait(const struct session *session, const struct stream_end *end)
{
	const struct resume *resume = session->resume;

	return resume != NULL && resume->id.len > 0 && !end->is_final &&
	       !session->is_closing;
}

static bool
is_settled(const struct resume *resume)
{
	return resume->handled.settled == resume->handled.taken;
}

static void
end_now(struct resume *resume)
{
	struct account *account = resume->session->account;

	owner_pin(&account->owner);
	session_end(resume->session);
	session_retry(account);
	owner_unpin(&account->owner);
}

/* Its client is told what was handled, however long the store fails; but it
 * takes no more, and nobody waits for it for ever. */
static void
end_told(struct resume *resume)
{
	struct session *session = resume->session;

	if (!session->is_spent && (!is_settled(resume) || is_overfull(resume)))
		session_spend(session);
	if (is_settled(resume))
		kept_write_end(session);
}

/* What comes back would be behind what waits in the inbox of one that loads. */
static void
end_over(struct timer *timer)
{
	struct resume *resume = container_of(timer, struct resume, expiry);
	const struct owner *owner = &resume->session->account->owner;

	if (owner->stage == OWNER_LOADING)
		timer_start(owner->shard, timer, AGAIN_MS, end_over);
	else if (resume->id.len == 0)
		end_now(resume);
	else
		end_told(resume);
}

void
resume_end_written(struct resume *resume, enum err err)
{
	if (err == ERR_NONE)
		end_now(resume);
	else
		timer_start(shard_of_session(resume->session), &resume->expiry,
		    AGAIN_MS, end_over);
}

/* Ends it when all is settled and that is written, or the time is up. */
static void
be_over(struct resume *resume)
{
	resume->is_over = true;
	timer_start(shard_of_session(resume->session), &resume->expiry,
	    is_settled(resume) ? 0 : SETTLE_MS, end_over);
}

void
resume_is_settled(struct resume *resume)
{
	if (resume->is_over)
		be_over(resume);
}

static void
on_expired(struct timer *timer)
{
	struct resume *resume = container_of(timer, struct resume, expiry);

	log_info(&resume->session->log, "its client did not come back");
	resume->session->is_closing = true;
	be_over(resume);
}

bool
resume_must_settle(struct session *session, const struct stream_end *end)
{
	struct resume *resume = session->resume;

	if (resume == NULL || resume->id.len == 0 || end->is_final)
		return false;
	session->is_detached = true;
	be_over(resume);
	return true;
}

void
resume_wait(struct session *session, uint64_t ms)
{
	session->is_detached = true;
	timer_start(shard_of_session(session), &session->resume->expiry, ms,
	    on_expired);
}

void
resume_detach(struct session *session)
{
	struct resume *resume = session->resume;

	resume->is_request_open = false;
	handled_forget_ask(&resume->handled);
	resume_wait(session, resume->wait_ms);
	log_info(&session->log, "waits %llu s for its client",
	    (unsigned long long)(resume->wait_ms / SECOND));
}

/* Of what comes again otherwise only the place is kept over a restart: what
 * the client did not get is not in its count (server/kept.c). */
static void
drop_places(struct resume *resume)
{
	list_each (kept, &resume->unacked, struct post, link) {
		if (blob_str(kept->blob).len > 0)
			continue;
		list_remove(&kept->link);
		resume->sent--;
		post_free(&kept);
	}
}

/* Whatever else it was told on the old stream is void. */
static void
attach(struct session *session, const struct post *asked)
{
	struct shard *shard = shard_of_session(session);
	struct resume *resume = session->resume;
	struct sm_note *note;
	struct post *letter;

	timer_stop(shard, &resume->expiry);
	drop_places(resume);
	resume->credited = resume->handled.settled;
	session->is_detached = false;
	session->stream = asked->stream;
	arena_free(&resume->origin);
	resume->origin = arena_make(0);
	session_set_origin(session, resume->origin, &asked->sm->origin);
	letter = note_new(asked->stream, &note);
	note->event = SM_RESUMED;
	note->id = str_dup(letter->arena, resume->id);
	note->h = (uint32_t)resume->handled.settled;
	note->jid = jid_copy(letter->arena, session->jid);
	post_send(shard, letter);
	resume->due = resume->sent - resume->acked;
	send_due(resume);
	hook_session(HOOK_SESSION_RESUMED, session);
}

static struct session *
find_id(struct account *account, struct str id)
{
	session_each (session, account)
		if (session->resume != NULL && id.len > 0 &&
		    str_equal(session->resume->id, id))
			return session;
	session_each_spent (session, account)
		if (str_equal(session->resume->id, id))
			return session;
	return NULL;
}

/* The old stream first says all that it has to say, and what came from it is
 * settled: else the client would send it again. */
static bool
is_ready(struct session *session)
{
	const struct resume *resume = session->resume;

	return session->is_detached && !session->is_closing &&
	       !kept_is_old(session) &&
	       resume->handled.settled == resume->handled.taken;
}

static void
on_resume(struct account *account, struct post *letter)
{
	struct shard *shard = account->owner.shard;
	struct session *session = find_id(account, letter->sm->id);

	if (session == NULL) {
		kept_ask(account, letter);
		return;
	}
	if (session->resume->is_ghost) {
		resume_fail(shard, letter->stream, STANZA_ERR_ITEM_NOT_FOUND,
		    &session->resume->handled.settled);
		post_free(&letter);
		return;
	}
	if (!session->is_detached)
		session_cut(
		    session, STREAM_ERR_CONFLICT, "resumed on another stream");
	if (!is_ready(session)) {
		session_wait(account, letter);
		return;
	}
	if (take_h(session->resume, letter->sm->h))
		attach(session, letter);
	else
		tell_too_high(shard, letter, session->resume);
	post_free(&letter);
}

/* --- looking at what is kept --------------------------------------------- */

bool
resume_is_ghost(const struct session *session)
{
	return session->resume != NULL && session->resume->is_ghost;
}

uint64_t
resume_sent(const struct session *session)
{
	return session->resume == NULL ? 0 : session->resume->sent;
}

uint64_t
resume_open(const struct session *session)
{
	const struct resume *resume = session->resume;

	return resume == NULL ? 0 : resume->sent - resume->acked;
}

bool
resume_has_acked(const struct session *session, uint64_t since_us)
{
	const struct resume *resume = session->resume;
	const struct post *oldest;

	if (resume == NULL)
		return true;
	oldest = list_entry(list_first(&resume->unacked), struct post, link);
	return oldest == NULL || oldest->durable.since_us > since_us;
}

/* Copies that were made for this session alone are bytes only. */
static const struct stanza *
stanza_of(struct arena *arena, const struct post *kept)
{
	struct stanza *stanza;
	const struct node *node;

	if (kept->stanza != NULL)
		return kept->stanza;
	node = node_parse(arena, blob_str(kept->blob), NS_CLIENT);
	stanza = arena_new(arena, struct stanza);
	if (node == NULL || stanza_read(arena, node, stanza) != STANZA_ERR_NONE)
		return NULL;
	return stanza;
}

void
resume_unacked(struct session *session, uint64_t after,
    void (*look)(struct session *, const struct stanza *))
{
	struct resume *resume = session->resume;
	uint64_t number;

	if (resume == NULL)
		return;
	number = resume->acked;
	list_each (kept, &resume->unacked, struct post, link) {
		struct arena *arena;
		const struct stanza *stanza;

		if (++number <= after)
			continue;
		arena = arena_make(0);
		if ((stanza = stanza_of(arena, kept)) != NULL)
			look(session, stanza);
		arena_free(&arena);
	}
}

/* --- letters, and the end ------------------------------------------------ */

void
resume_take(struct account *account, struct post *letter)
{
	const enum sm_event event = letter->sm->event;
	struct session *session;

	if (event == SM_RESUME) {
		on_resume(account, letter);
		return;
	}
	session = session_of_stream(account, letter->stream);
	if (session != NULL && event == SM_ENABLE)
		on_enable(session, letter);
	else if (session != NULL && event == SM_REQUEST)
		handled_ask(&session->resume->handled);
	else if (session != NULL && event == SM_ACK)
		on_ack(session->resume, letter);
	post_free(&letter);
}

void
resume_take_absent(struct account *account, struct post *letter)
{
	resume_fail(account->owner.shard, letter->stream,
	    STANZA_ERR_ITEM_NOT_FOUND, NULL);
	post_free(&letter);
}

/* The session stays, for another try. */
void
resume_too_late(struct shard *shard, struct post *letter)
{
	struct stream_end *end = arena_new(letter->arena, struct stream_end);

	if (letter->sm->event != SM_RESUME) {
		post_free(&letter);
		return;
	}
	end->err = STREAM_ERR_RESOURCE_CONSTRAINT;
	end->text = STR("the session cannot be resumed now");
	letter->kind = POST_CLOSE;
	letter->end = end;
	post_send(shard, letter);
}

static void
stop(struct resume *resume)
{
	struct shard *shard = shard_of_session(resume->session);

	resume->session->resume = NULL;
	timer_stop(shard, &resume->expiry);
	resume_stop_rows(resume);
	handled_stop(&resume->handled);
	arena_free(&resume->origin);
}

static bool
is_iq(const struct post *letter)
{
	return letter->stanza != NULL && letter->stanza->kind == STANZA_IQ;
}

/* Section 4: as if they had been sent to a resource that is not there. Copies
 * that were made for this session alone have no stanza. */
static void
give_back(struct session *session, struct list *letters)
{
	struct shard *shard = shard_of_session(session);

	list_each (letter, letters, struct post, link) {
		add_delay(session, letter);
		if (is_iq(letter)) {
			list_remove(&letter->link);
			router_bounce(shard, letter,
			    STANZA_ERR_SERVICE_UNAVAILABLE, NULL);
		}
	}
	router_return_all(shard, letters);
}

void
resume_end(struct session *session)
{
	struct resume *resume = session->resume;

	if (resume == NULL)
		return;
	stop(resume);
	give_back(session, &resume->unacked);
}

bool
resume_is_refusal(const struct post *letter)
{
	return letter->refuses != 0 && letter->stanza != NULL &&
	       letter->stanza->kind == STANZA_MESSAGE;
}

void
resume_spend(struct session *session)
{
	struct resume *resume = session->resume;
	struct list rest;

	list_init(&rest);
	resume->acked = resume->sent;
	list_each (letter, &resume->unacked, struct post, link) {
		if (resume_is_refusal(letter)) {
			resume->acked--;
			continue;
		}
		list_remove(&letter->link);
		list_add_last(&rest, &letter->link);
	}
	give_back(session, &rest);
}

bool
resume_takes_error(struct account *account, struct post *letter)
{
	if (letter->receipt.counter == 0 || letter->durable.row != 0 ||
	    letter->stanza->kind != STANZA_MESSAGE)
		return false;
	session_each_spent (session, account)
		if (session_is_refused(session, letter)) {
			letter->to = letter->stanza->to;
			resume_send(session, letter);
			return true;
		}
	return false;
}

void
resume_drop(struct session *session)
{
	struct resume *resume = session->resume;

	if (resume == NULL)
		return;
	stop(resume);
	post_free_all(&resume->unacked);
}

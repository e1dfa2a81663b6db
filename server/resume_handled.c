/* What a client sent and how much of it is handled: XEP-0198, section 4.
 *
 * First all others are done with a stanza, their rows committed (returned);
 * then what its sender keeps of it is committed, in one transaction with the
 * new count; then it counts as handled. So after a crash the client sends again
 * exactly what is not kept here. */
#include "base/err.h"
#include "server/kept.h"
#include "server/resume_private.h"
#include "server/settle.h"
#include "server/setup.h"

/* An answer to <r/> waits so long for what is being committed. */
#define ANSWER_MS 20
#define RETRY_MS  1000
/* So many stanzas of a client may be open at a time. */
#define WINDOW    4096
#define WORD_BITS 64

static struct shard *
shard_of_session(const struct session *session)
{
	return session->account->owner.shard;
}

static bool
has_number(const struct table_link *link, const void *number)
{
	const struct resume *resume =
	    container_of(link, const struct resume, link);

	return resume->session->number == *(const uint64_t *)number;
}

static struct resume *
find(struct shard *shard, uint64_t number)
{
	return table_entry(
	    table_find(&shard->resumes, number, has_number, &number),
	    struct resume, link);
}

/* --- counting ----------------------------------------------------------------
 */

static uint64_t *
word_of(struct resume *resume, uint64_t number)
{
	return &resume->early[number % WINDOW / WORD_BITS];
}

static uint64_t
bit_of(uint64_t number)
{
	return UINT64_C(1) << number % WORD_BITS;
}

static void
note_early(struct resume *resume, uint64_t number)
{
	if (resume->early == NULL)
		resume->early = arena_array(
		    resume->session->arena, uint64_t, WINDOW / WORD_BITS);
	*word_of(resume, number) |= bit_of(number);
}

static bool
take_early(struct resume *resume, uint64_t number)
{
	if (resume->early == NULL ||
	    (*word_of(resume, number) & bit_of(number)) == 0)
		return false;
	*word_of(resume, number) &= ~bit_of(number);
	return true;
}

void
resume_count(struct session *session, struct post *letter)
{
	struct resume *resume = session->resume;

	letter->receipt = (struct receipt){
	    .session = session->number,
	    .number = ++resume->taken,
	    .shard = (uint16_t)shard_of_session(session)->index,
	};
	if (resume->taken - resume->settled >= WINDOW)
		session_close(session, STREAM_ERR_RESOURCE_CONSTRAINT,
		    "too much of what was sent is not done with");
}

/* --- telling -----------------------------------------------------------------
 */

static void
answer(struct resume *resume)
{
	timer_stop(shard_of_session(resume->session), &resume->answer);
	if (resume->settled >= resume->asked)
		resume->is_asked = false;
	resume_tell_h(resume);
}

static void
on_answer_due(struct timer *timer)
{
	answer(container_of(timer, struct resume, answer));
}

/* Section 4: not withheld; but what a commit under way settles may count. */
void
resume_asked(struct resume *resume)
{
	resume->asked = resume->taken;
	resume->is_asked = true;
	if (resume->settled == resume->taken)
		answer(resume);
	else if (!timer_is_running(&resume->answer))
		timer_start(shard_of_session(resume->session), &resume->answer,
		    ANSWER_MS, on_answer_due);
}

static void
set_settled(struct resume *resume, uint64_t upto)
{
	if (upto <= resume->settled)
		return;
	resume->settled = upto;
	kept_note(resume->session);
	if (resume->session->is_detached)
		session_retry(resume->session->account);
	else if (resume->is_asked && resume->settled >= resume->asked)
		answer(resume);
}

/* --- what the sender keeps
 * ----------------------------------------------------- */

/* Outlives the session, if that ends meanwhile. */
struct committing {
	struct store_commit commit;
	struct arena *arena;
	struct shard *shard;
	uint64_t session, upto;
	struct list rows; /* struct resume_row */
};

static void advance(struct resume *);

static void
on_retry(struct timer *timer)
{
	advance(container_of(timer, struct resume, retry));
}

static void
orphan(struct list *rows)
{
	list_each (row, rows, struct resume_row, link) {
		list_remove(&row->link);
		row->alone(row);
	}
}

static void
cancel(struct list *rows)
{
	list_each (row, rows, struct resume_row, link) {
		list_remove(&row->link);
		row->done(row, ERR_CANCELED);
	}
}

/* They come before those that were added meanwhile. */
static void
put_back(struct resume *resume, struct committing *committing)
{
	struct list later;

	list_init(&later);
	list_move(&later, &resume->rows);
	list_move(&resume->rows, &committing->rows);
	list_move(&resume->rows, &later);
	timer_start(committing->shard, &resume->retry, RETRY_MS, on_retry);
}

static void
committed(struct store_commit *commit)
{
	struct committing *committing =
	    container_of(commit, struct committing, commit);
	struct resume *resume = find(committing->shard, committing->session);
	struct arena *arena = committing->arena;

	if (resume != NULL)
		resume->is_committing = false;
	if (commit->err == ERR_NONE || commit->err == ERR_CANCELED) {
		list_each (row, &committing->rows, struct resume_row, link) {
			list_remove(&row->link);
			row->done(row, commit->err);
		}
	} else if (resume != NULL) {
		put_back(resume, committing);
	} else {
		orphan(&committing->rows);
	}
	if (resume != NULL && commit->err == ERR_NONE) {
		set_settled(resume, committing->upto);
		advance(resume);
	}
	arena_free(&arena);
}

static void
commit_rows(struct resume *resume)
{
	struct session *session = resume->session;
	struct shard *shard = shard_of_session(session);
	struct store_write *write = store_write_new(shard->store);
	struct arena *arena = arena_make(0);
	struct committing *committing = arena_new(arena, struct committing);

	committing->arena = arena;
	committing->shard = shard;
	committing->session = session->number;
	committing->upto = resume->returned;
	list_init(&committing->rows);
	list_each (row, &resume->rows, struct resume_row, link) {
		if (row->number > resume->returned)
			break;
		row->add(row, write);
		list_remove(&row->link);
		list_add_last(&committing->rows, &row->link);
	}
	kept_add(session, write, resume->returned);
	resume->is_committing = true;
	store_commit_lazy(write, &committing->commit, committed);
}

static bool
has_rows(const struct resume *resume)
{
	const struct resume_row *first =
	    list_entry(list_first(&resume->rows), struct resume_row, link);

	return first != NULL && first->number <= resume->returned;
}

static void
advance(struct resume *resume)
{
	if (resume->is_committing || timer_is_running(&resume->retry))
		return;
	if (!has_rows(resume))
		set_settled(resume, resume->returned);
	else if (resume->session->account->slots != NULL)
		commit_rows(resume);
	else /* its modules are loaded anew */
		timer_start(shard_of_session(resume->session), &resume->retry,
		    RETRY_MS, on_retry);
}

void
resume_hurry(struct resume *resume)
{
	timer_stop(shard_of_session(resume->session), &resume->retry);
	advance(resume);
}

static void
on_progress(struct timer *timer)
{
	advance(container_of(timer, struct resume, progress));
}

void
resume_settled(struct shard *shard, const struct receipt *receipt)
{
	struct resume *resume = find(shard, receipt->session);

	if (resume == NULL)
		return;
	if (receipt->number != resume->returned + 1) {
		note_early(resume, receipt->number);
		return;
	}
	do
		resume->returned++;
	while (take_early(resume, resume->returned + 1));
	if (!timer_is_running(&resume->progress))
		timer_start(shard, &resume->progress, 0, on_progress);
}

bool
resume_defer(
    struct session *session, const struct post *letter, struct resume_row *row)
{
	if (session == NULL || session->resume == NULL ||
	    letter->receipt.session != session->number)
		return false;
	row->number = letter->receipt.number;
	list_add_last(&session->resume->rows, &row->link);
	return true;
}

void
resume_stop_handled(struct resume *resume)
{
	struct shard *shard = shard_of_session(resume->session);

	timer_stop(shard, &resume->answer);
	timer_stop(shard, &resume->progress);
	timer_stop(shard, &resume->retry);
	if (shard->is_ended)
		cancel(&resume->rows);
	else
		orphan(&resume->rows);
}

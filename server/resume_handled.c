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

#define RETRY_MS    1000
#define CREDIT_STEP 256

static struct shard *
shard_of_session(const struct session *session)
{
	return session->account->owner.shard;
}

static struct resume *
resume_of(struct handled *handled)
{
	return container_of(handled, struct resume, handled);
}

/* What is on its way when too much is open is not handled, and neither is what
 * comes behind it. */
bool
resume_count(struct session *session, struct post *letter)
{
	struct resume *resume = session->resume;
	struct handled *handled = &resume->handled;

	if (resume->is_deaf)
		return false;
	letter->receipt = handled_count(handled);
	resume->is_deaf = handled_open(handled) == HANDLED_WINDOW_CLIENT;
	if (handled->taken - handled->settled >= HANDLED_WINDOW_CLIENT)
		session_close(session, STREAM_ERR_RESOURCE_CONSTRAINT,
		    "too much of what was sent is not done with");
	return true;
}

/* Not one by one: a stream has credit for many more than that. */
static void
return_credit(struct resume *resume)
{
	const uint64_t count = resume->handled.settled - resume->credited;

	if (count < CREDIT_STEP || resume->session->is_detached)
		return;
	resume->credited = resume->handled.settled;
	resume_tell_credit(resume->session, count);
}

static void
set_settled(struct resume *resume, uint64_t upto)
{
	struct session *session = resume->session;

	if (upto <= resume->handled.settled)
		return;
	handled_settle(&resume->handled, upto);
	return_credit(resume);
	kept_note(session);
	if (resume->handled.settled == resume->handled.taken)
		resume_is_settled(resume);
	if (session->is_detached)
		session_retry(session->account);
}

/* --- what the sender keeps ----------------------------------------------- */

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
rows_failed(struct resume *resume, struct committing *committing)
{
	list_each (row, &committing->rows, struct resume_row, link)
		row->failed(row);
	if (resume != NULL)
		put_back(resume, committing);
	else
		orphan(&committing->rows);
}

static void
committed(struct store_commit *commit)
{
	struct committing *committing =
	    container_of(commit, struct committing, commit);
	struct handled *handled = handled_find(
	    committing->shard, &resume_handled, committing->session);
	struct resume *resume = handled == NULL ? NULL : resume_of(handled);
	struct arena *arena = committing->arena;

	if (resume != NULL)
		resume->is_committing = false;
	if (commit->err == ERR_NONE || commit->err == ERR_CANCELED) {
		list_each (row, &committing->rows, struct resume_row, link) {
			list_remove(&row->link);
			row->done(row, commit->err);
		}
	} else {
		rows_failed(resume, committing);
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
	committing->upto = resume->handled.returned;
	list_init(&committing->rows);
	list_each (row, &resume->rows, struct resume_row, link) {
		if (row->number > resume->handled.returned)
			break;
		row->add(row, write);
		list_remove(&row->link);
		list_add_last(&committing->rows, &row->link);
	}
	kept_add(session, write, resume->handled.returned);
	resume->is_committing = true;
	store_commit_lazy(write, &committing->commit, committed);
}

static bool
has_rows(const struct resume *resume)
{
	const struct resume_row *first =
	    list_entry(list_first(&resume->rows), struct resume_row, link);

	return first != NULL && first->number <= resume->handled.returned;
}

static void
advance(struct resume *resume)
{
	if (resume->is_committing || timer_is_running(&resume->retry))
		return;
	if (!has_rows(resume))
		set_settled(resume, resume->handled.returned);
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
on_returned(struct handled *handled)
{
	advance(resume_of(handled));
}

const struct handled_role resume_handled = {
    .window = HANDLED_WINDOW_CLIENT,
    .on_returned = on_returned,
    .tell = resume_tell_h,
};

bool
resume_defer(
    struct session *session, const struct post *letter, struct resume_row *row)
{
	if (session == NULL || session->resume == NULL ||
	    letter->receipt.counter != session->number)
		return false;
	row->number = letter->receipt.number;
	list_add_last(&session->resume->rows, &row->link);
	return true;
}

void
resume_stop_rows(struct resume *resume)
{
	struct shard *shard = shard_of_session(resume->session);

	timer_stop(shard, &resume->retry);
	if (shard->is_ended)
		cancel(&resume->rows);
	else
		orphan(&resume->rows);
}

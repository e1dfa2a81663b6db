/* One connection in the loop of its shard: opened, pumped, lost, reopened. */
#include <stdlib.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/log.h"
#include "base/rand.h"
#include "storage/postgres.h"

#define READS_A_SEGMENT   64
#define READ_SEGMENTS_MAX 4
#define WRITE_COUNT_MAX   512
#define WRITE_BYTES_MAX   (4u << 20)
#define RETRY_FIRST_MS    20
#define RETRY_MAX_MS      5000
#define RETRY_DOUBLINGS   8
#define CONNECT_MS        10000

/* A poll handle lives until libuv has closed it, a connection not so long. */
struct watch {
	uv_poll_t poll;
	struct line *line;
	int fd, events;
};

static void on_poll(uv_poll_t *, int status, int events);
static void on_timer(uv_timer_t *);
static void line_lost(struct line *, const char *why);

static struct postgres *
postgres_of(const struct line *line)
{
	return container_of(
	    line->store->store.storage, struct postgres, storage);
}

/* --- handles ---------------------------------------------------------- */

static void
handle_gone(struct postgres_store *store)
{
	if (--store->closing == 0 && store->is_closing)
		store_detached(&store->store);
}

static void
watch_closed(uv_handle_t *handle)
{
	struct watch *watch = container_of(handle, struct watch, poll);
	struct postgres_store *store = watch->line->store;

	free(watch);
	handle_gone(store);
}

static void
timer_closed(uv_handle_t *handle)
{
	handle_gone(container_of(handle, struct line, timer)->store);
}

static void
unwatch(struct line *line)
{
	if (line->watch == NULL)
		return;
	uv_poll_stop(&line->watch->poll);
	line->store->closing++;
	uv_close((uv_handle_t *)&line->watch->poll, watch_closed);
	line->watch = NULL;
}

static void
watch(struct line *line, int events)
{
	int fd = PQsocket(line->conn);

	if (line->watch != NULL && line->watch->fd != fd)
		unwatch(line);
	if (line->watch == NULL) {
		line->watch = calloc(1, sizeof(*line->watch));
		must(line->watch != NULL);
		line->watch->line = line;
		line->watch->fd = fd;
		must(uv_poll_init(
			 line->store->store.loop, &line->watch->poll, fd) == 0);
		/* A line that nothing is asked of keeps no loop running. */
		uv_unref((uv_handle_t *)&line->watch->poll);
	}
	if (line->watch->events != events) {
		line->watch->events = events;
		uv_poll_start(&line->watch->poll, events, on_poll);
	}
}

/* --- segments --------------------------------------------------------- */

static struct segment *
segment_new(struct line *line, enum segment_kind kind)
{
	struct segment *segment = calloc(1, sizeof(*segment));

	must(segment != NULL);
	segment->kind = kind;
	segment->begun_ms = clock_mono_ms();
	list_init(&segment->jobs);
	list_add_last(&line->segments, &segment->link);
	if (kind == SEGMENT_READS)
		line->read_segments++;
	else
		line->has_writes = true;
	return segment;
}

static void
segment_free(struct line *line, struct segment *segment)
{
	if (segment->kind == SEGMENT_READS)
		line->read_segments--;
	else
		line->has_writes = false;
	list_remove(&segment->link);
	free(segment->asked);
	free(segment);
}

static struct segment *
first_segment(const struct line *line)
{
	struct link *link = list_first(&line->segments);

	return list_entry(link, struct segment, link);
}

static struct job *
first_job(const struct list *jobs)
{
	struct link *link = list_first(jobs);

	return list_entry(link, struct job, link);
}

static struct job *
next_job(const struct list *jobs, const struct job *job)
{
	struct link *link = list_next(jobs, &job->link);

	return list_entry(link, struct job, link);
}

/* The jobs of a segment wait again, before all others. */
static void
put_back(struct list *waiting, struct list *jobs)
{
	list_each (job, jobs, struct job, link)
		job->is_begun = false;
	list_move(jobs, waiting);
	list_move(waiting, jobs);
}

static void
end(struct job *job, enum err err)
{
	list_remove(&job->link);
	job_end(job, err);
}

static void
end_all(struct list *jobs, enum err err)
{
	struct job *job;

	while ((job = first_job(jobs)) != NULL)
		end(job, err);
}

/* --- sending ---------------------------------------------------------- */

static bool
send_reads(struct line *line)
{
	struct segment *segment = segment_new(line, SEGMENT_READS);
	bool is_sent = true;

	for (unsigned i = 0; i < READS_A_SEGMENT; i++) {
		struct job *job = first_job(&line->reads);

		if (job == NULL || !is_sent)
			break;
		list_remove(&job->link);
		list_add_last(&segment->jobs, &job->link);
		job->is_begun = true;
		is_sent = pipe_send(line->conn, job, job->first);
	}
	return is_sent && PQpipelineSync(line->conn) == 1;
}

static void
note_asked(struct segment *segment, struct job *job, const struct step *step)
{
	segment->asked[segment->asked_count++] =
	    (struct asked){.job = job, .step = step};
}

static bool
send_rows(struct line *line, struct segment *segment)
{
	if (line->rows.count == 0)
		return true;
	note_asked(segment, line->rows.job, line->rows.step);
	return rows_send(&line->rows, line->conn);
}

/* Rows wait for others, as long as nothing comes that sees or changes logs. Two
 * with the same id fail in one statement: who is tried again by himself sends
 * each by one of its own. */
static bool
send_step(struct line *line, struct segment *segment, struct job *job,
    const struct step *step)
{
	if (step->sql == SQL_APPEND) {
		rows_add(&line->rows, job, step);
		return !job->is_alone || send_rows(line, segment);
	}
	if (sql_minds_rows(step->sql) && !send_rows(line, segment))
		return false;
	note_asked(segment, job, step);
	return pipe_send(line->conn, job, step);
}

static bool
send_steps(struct line *line, struct segment *segment)
{
	size_t count = 0;

	list_each (job, &segment->jobs, struct job, link)
		for (struct step *step = job->first; step; step = step->next)
			count++;
	must(count > 0);
	segment->asked = calloc(count, sizeof(*segment->asked));
	must(segment->asked != NULL);
	rows_clear(&line->rows);
	list_each (job, &segment->jobs, struct job, link)
		for (struct step *step = job->first; step; step = step->next)
			if (!send_step(line, segment, job, step))
				return false;
	return send_rows(line, segment);
}

/* An owner's number is needed before the rows of its batch can be sent. */
static bool
needs_id(const struct job *job)
{
	return job->makes && job->made == 0;
}

static void
take_writes(struct list *from, struct list *to)
{
	size_t count = 0, bytes = 0;

	list_each (job, from, struct job, link) {
		if (count >= WRITE_COUNT_MAX || bytes > WRITE_BYTES_MAX ||
		    needs_id(job) || (job->is_alone && count > 0))
			return;
		count++;
		bytes += job->bytes;
		job->err = ERR_NONE;
		job->changed = 0;
		job->is_begun = true;
		list_remove(&job->link);
		list_add_last(to, &job->link);
		if (job->is_alone)
			return;
	}
}

static bool
send_writes(struct line *line)
{
	bool wants_id = needs_id(first_job(&line->writes));
	struct segment *segment =
	    segment_new(line, wants_id ? SEGMENT_ID : SEGMENT_WRITES);

	if (wants_id)
		return pipe_send_plain(line->conn, SQL_OWNER_NEXT) &&
		       PQpipelineSync(line->conn) == 1;
	take_writes(&line->writes, &segment->jobs);
	/* All up to the sync is one transaction, and an error ends it there:
	 * after BEGIN the reads behind it would fail as well. */
	return send_steps(line, segment) && PQpipelineSync(line->conn) == 1;
}

static void
flush(struct line *line)
{
	int left = PQflush(line->conn);

	if (left < 0)
		line_lost(line, PQerrorMessage(line->conn));
	else
		watch(line, left > 0 ? UV_READABLE | UV_WRITABLE : UV_READABLE);
}

/* How long an answer may take: what waits for it was told long before. */
static uint64_t
patience_ms(const struct line *line)
{
	return 2ull * line->store->store.storage->options.deadline_ms;
}

void
line_pump(struct line *line)
{
	bool is_sent = true;

	if (line->state != LINE_READY)
		return;
	while (is_sent && !list_is_empty(&line->reads) &&
	       line->read_segments < READ_SEGMENTS_MAX)
		is_sent = send_reads(line);
	if (is_sent && !list_is_empty(&line->writes) && !line->has_writes)
		is_sent = send_writes(line);
	if (!is_sent) {
		line_lost(line, PQerrorMessage(line->conn));
		return;
	}
	if (list_is_empty(&line->segments))
		return;
	if (!uv_is_active((uv_handle_t *)&line->timer))
		uv_timer_start(&line->timer, on_timer, patience_ms(line), 0);
	flush(line);
}

/* --- results ---------------------------------------------------------- */

static bool
is_done(const PGresult *result)
{
	ExecStatusType status = PQresultStatus(result);

	return status == PGRES_COMMAND_OK || status == PGRES_TUPLES_OK;
}

static void
read_result(struct segment *segment, PGresult *result)
{
	struct job *job =
	    segment->at == NULL ? first_job(&segment->jobs) : segment->at;

	must(job != NULL);
	segment->at = next_job(&segment->jobs, job);
	if (PQresultStatus(result) == PGRES_PIPELINE_ABORTED)
		return;
	if (is_done(result)) {
		pipe_add_rows(job, result);
		end(job, ERR_NONE);
	} else {
		end(job, pipe_err(result, job->first));
	}
}

/* What the result answers; NULL: the commit. */
static const struct asked *
next_asked(struct segment *segment)
{
	return segment->results < segment->asked_count
		   ? &segment->asked[segment->results++]
		   : NULL;
}

static void
write_failed(
    struct segment *segment, const struct asked *asked, PGresult *result)
{
	if (PQresultStatus(result) == PGRES_PIPELINE_ABORTED ||
	    segment->is_failed)
		return;
	segment->is_failed = true;
	segment->err = pipe_err(result, asked == NULL ? NULL : asked->step);
	segment->may_repeat = pipe_may_repeat(result);
	if (asked != NULL && asked->job != NULL && !segment->may_repeat) {
		segment->culprit = asked->job;
		segment->culprit->failed = asked->step->op;
	}
}

static void
write_result(struct segment *segment, PGresult *result)
{
	const struct asked *asked = next_asked(segment);

	if (!is_done(result))
		write_failed(segment, asked, result);
	else if (asked != NULL && asked->job != NULL)
		asked->job->changed += pipe_changed(result);
}

static void
id_result(struct line *line, struct segment *segment, PGresult *result)
{
	struct job *job = first_job(&line->writes);

	if (job == NULL || !needs_id(job))
		return; /* it was given up meanwhile */
	if (is_done(result))
		job->made = pipe_number(result, 0, 0);
	else
		end(job, pipe_err(result, NULL));
}

/* Who caused the failure has its error; all others try again, each by itself
 * when nobody knows who it was. Who is not waited for any more does not. */
static void
writes_undone(struct line *line, struct segment *segment)
{
	struct job *first = first_job(&segment->jobs);
	bool was_alone = first->is_alone;

	if (segment->culprit != NULL)
		end(segment->culprit, segment->err);
	else if (was_alone && !segment->may_repeat)
		end(first, segment->err);
	list_each (job, &segment->jobs, struct job, link) {
		job->is_alone = segment->culprit == NULL;
		if (job->is_orphan)
			end(job, ERR_UNCERTAIN);
	}
	put_back(&line->writes, &segment->jobs);
}

static void
segment_end(struct line *line, struct segment *segment)
{
	if (segment->kind == SEGMENT_READS)
		put_back(&line->reads, &segment->jobs);
	else if (segment->is_failed)
		writes_undone(line, segment);
	else
		end_all(&segment->jobs, ERR_NONE);
	segment_free(line, segment);
}

/* --- becoming ready --------------------------------------------------- */

static bool
send_text(PGconn *conn, const char *text)
{
	return PQsendQueryParams(conn, text, 0, NULL, NULL, NULL, NULL, 0) == 1;
}

/* What the last connection of this line was sent may still be done there, after
 * the loss was noticed here: it is ended, and over before this one is used. The
 * key of the lock is no other server's. */
static bool
send_succession(const struct line *line)
{
	const unsigned key = postgres_of(line)->line_key;
	char end_last[320], lock[80];

	snprintf(end_last, sizeof(end_last),
	    "SELECT pg_terminate_backend(pid) FROM pg_locks"
	    " WHERE locktype = 'advisory' AND database = (SELECT oid FROM"
	    " pg_database WHERE datname = current_database())"
	    " AND classid = %u AND objid = %u AND objsubid = 2",
	    key, line->number);
	snprintf(lock, sizeof(lock), "SELECT pg_advisory_lock(%u, %u)", key,
	    line->number);
	return send_text(line->conn, end_last) && send_text(line->conn, lock);
}

static bool
send_setup(struct line *line)
{
	struct postgres *postgres = postgres_of(line);
	PGconn *conn = line->conn;
	char text[160];

	segment_new(line, SEGMENT_SETUP);
	snprintf(text, sizeof(text),
	    "SELECT set_config('statement_timeout', '%u', false),"
	    " set_config('synchronous_commit', 'on', false)",
	    /* Sooner than the store's own, which must call a write uncertain.
	     */
	    postgres->storage.options.deadline_ms / 4 * 3);
	return send_text(conn, text) &&
	       send_text(conn,
		   "SELECT pg_try_advisory_lock_shared(" POSTGRES_LOCK ")") &&
	       send_text(
		   conn, "SELECT value FROM meta WHERE name = 'server'") &&
	       send_succession(line) && pipe_prepare_all(conn) &&
	       PQpipelineSync(conn) == 1;
}

/* What is wrong with an answer; or NULL. */
static const char *
setup_fault(struct line *line, unsigned index, PGresult *result)
{
	const struct postgres *postgres = postgres_of(line);

	if (!is_done(result))
		return PQresultErrorMessage(result);
	if (index == 1 && *PQgetvalue(result, 0, 0) != 't')
		return "another server has locked the database";
	if (index == 2 && (PQntuples(result) == 0 ||
			      !str_equal(str_of(PQgetvalue(result, 0, 0)),
				  postgres->instance)))
		return "another server uses the database now";
	return NULL;
}

static void
setup_result(struct line *line, struct segment *segment, PGresult *result)
{
	const char *fault = setup_fault(line, segment->results++, result);

	if (fault != NULL)
		line_lost(line, fault);
}

static void
ready(struct line *line)
{
	struct postgres *postgres = postgres_of(line);

	must(first_segment(line) == NULL);
	line->state = LINE_READY;
	line->tries = 0;
	uv_timer_stop(&line->timer);
	if (atomic_exchange(&postgres->is_lost, false))
		log_info(&storage_log, "connected to the database again");
}

/* --- events ----------------------------------------------------------- */

static void
take_result(struct line *line, PGresult *result)
{
	struct segment *segment = first_segment(line);

	must(segment != NULL);
	if (PQresultStatus(result) == PGRES_PIPELINE_SYNC) {
		bool is_setup = segment->kind == SEGMENT_SETUP;

		segment_end(line, segment);
		if (is_setup)
			ready(line);
	} else if (pipe_is_ending(result)) {
		segment->is_cut = pipe_is_cut(result) &&
				  segment->results < segment->asked_count;
		line_lost(line, PQresultErrorMessage(result));
	} else if (segment->kind == SEGMENT_SETUP) {
		setup_result(line, segment, result);
	} else if (segment->kind == SEGMENT_READS) {
		read_result(segment, result);
	} else if (segment->kind == SEGMENT_WRITES) {
		write_result(segment, result);
	} else {
		id_result(line, segment, result);
	}
}

static void
take_results(struct line *line)
{
	unsigned ends = 0;

	/* A NULL ends the answer to each statement and says nothing; but a lost
	 * connection gives them for ever. */
	while (line->conn != NULL && !list_is_empty(&line->segments) &&
	       !PQisBusy(line->conn) && ends < 2) {
		PGresult *result = PQgetResult(line->conn);

		ends = result == NULL ? ends + 1 : 0;
		if (result != NULL)
			take_result(line, result);
		PQclear(result);
	}
}

static void
go_on_connecting(struct line *line)
{
	/* It may try another address, with a socket of the same number. */
	unwatch(line);
	switch (PQconnectPoll(line->conn)) {
	case PGRES_POLLING_READING:
		watch(line, UV_READABLE);
		break;
	case PGRES_POLLING_WRITING:
		watch(line, UV_WRITABLE);
		break;
	case PGRES_POLLING_OK:
		line->state = LINE_PREPARING;
		if (PQsetnonblocking(line->conn, 1) != 0 ||
		    PQenterPipelineMode(line->conn) != 1 || !send_setup(line))
			line_lost(line, PQerrorMessage(line->conn));
		else
			flush(line);
		break;
	default:
		line_lost(line, PQerrorMessage(line->conn));
	}
}

static void
on_poll(uv_poll_t *poll, int status, int events)
{
	struct line *line = container_of(poll, struct watch, poll)->line;

	if (line->state == LINE_CONNECTING) {
		go_on_connecting(line);
		return;
	}
	if ((events & UV_READABLE) != 0 || status < 0) {
		if (PQconsumeInput(line->conn) != 1) {
			/* Read on: it may have said why. */
			take_results(line);
			if (line->conn != NULL)
				line_lost(line, PQerrorMessage(line->conn));
			return;
		}
		take_results(line);
	}
	if (line->conn == NULL)
		return;
	flush(line);
	line_pump(line);
}

/* --- losing and opening ----------------------------------------------- */

static void
ignore_notice(void *arg, const PGresult *result)
{
}

static void
start(struct line *line)
{
	struct postgres *postgres = postgres_of(line);

	line->conn = PQconnectStartParams(postgres->names, postgres->values, 0);
	must(line->conn != NULL);
	PQsetNoticeReceiver(line->conn, ignore_notice, NULL);
	if (PQstatus(line->conn) == CONNECTION_BAD) {
		line_lost(line, PQerrorMessage(line->conn));
		return;
	}
	line->state = LINE_CONNECTING;
	watch(line, UV_WRITABLE);
	uv_timer_start(&line->timer, on_timer, CONNECT_MS, 0);
}

/* When a try has failed nobody waits for the next: reads have their error at
 * once, and so have writes that might not be repeated later. */
static void
tell_waiting(struct line *line)
{
	end_all(&line->reads, ERR_UNAVAILABLE);
	list_each (job, &line->writes, struct job, link) {
		if (job->is_once)
			end(job, ERR_UNAVAILABLE);
	}
}

/* Of a commit that may have been done, unless the server said before it went
 * that it was not. Who waits for it no more has been told that it is uncertain,
 * and would not like to see it later. */
static void
writes_lost(struct line *line, struct segment *segment)
{
	list_each (job, &segment->jobs, struct job, link) {
		if (job->is_orphan || (job->is_once && !segment->is_cut))
			end(job, ERR_UNCERTAIN);
		else if (!segment->is_cut)
			job->is_maybe_done = true;
	}
	put_back(&line->writes, &segment->jobs);
}

static void
segment_lost(struct line *line, struct segment *segment)
{
	if (segment->kind == SEGMENT_READS)
		put_back(&line->reads, &segment->jobs);
	else if (segment->is_failed)
		writes_undone(line, segment);
	else
		writes_lost(line, segment);
	segment_free(line, segment);
}

static uint64_t
retry_ms(unsigned tries)
{
	uint64_t most = (uint64_t)RETRY_FIRST_MS
			<< (tries < RETRY_DOUBLINGS ? tries : RETRY_DOUBLINGS);

	if (most > RETRY_MAX_MS)
		most = RETRY_MAX_MS;
	return most / 2 + rand_below(most / 2);
}

static void
drop(struct line *line)
{
	struct link *link;

	unwatch(line);
	PQfinish(line->conn);
	line->conn = NULL;
	while ((link = list_last(&line->segments)) != NULL)
		segment_lost(line, list_entry(link, struct segment, link));
}

static void
line_lost(struct line *line, const char *why)
{
	struct postgres *postgres = postgres_of(line);
	struct arena *arena = arena_make(0);
	bool was_ready = line->state == LINE_READY;

	if (!atomic_exchange(&postgres->is_lost, true))
		log_error(&storage_log, "lost the database: %.*s",
		    STR_ARG(postgres_words(arena, why)));
	arena_free(&arena);
	line->state = LINE_DOWN;
	drop(line);
	if (!was_ready) {
		line->tries++;
		tell_waiting(line);
	}
	uv_timer_start(&line->timer, on_timer, retry_ms(line->tries), 0);
}

/* What hangs will hardly answer the next try at once. */
static void
line_hangs(struct line *line)
{
	line->tries++;
	line_lost(line, "it does not answer");
	tell_waiting(line);
}

/* The next try; or the end of one, or of an answer, that takes too long. */
static void
on_timer(uv_timer_t *timer)
{
	struct line *line = container_of(timer, struct line, timer);
	const struct segment *segment = first_segment(line);
	uint64_t age_ms;

	if (line->state == LINE_DOWN) {
		start(line);
		return;
	}
	if (line->state != LINE_READY) {
		line_lost(line, "it takes too long to connect");
		return;
	}
	if (segment == NULL)
		return;
	age_ms = clock_mono_ms() - segment->begun_ms;
	if (age_ms < patience_ms(line))
		uv_timer_start(timer, on_timer, patience_ms(line) - age_ms, 0);
	else
		line_hangs(line);
}

void
line_open(struct line *line, struct postgres_store *store)
{
	line->store = store;
	line->number = atomic_fetch_add(&postgres_of(line)->lines, 1);
	list_init(&line->reads);
	list_init(&line->writes);
	list_init(&line->segments);
	must(uv_timer_init(store->store.loop, &line->timer) == 0);
	uv_unref((uv_handle_t *)&line->timer);
	start(line);
}

void
line_close(struct line *line)
{
	if (line->conn != NULL)
		drop(line);
	rows_deinit(&line->rows);
	line->state = LINE_CLOSED;
	line->store->closing++;
	uv_close((uv_handle_t *)&line->timer, timer_closed);
}

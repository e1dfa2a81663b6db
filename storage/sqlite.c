/* The threads of SQLite, and the ways of jobs to them and back. */
#include "storage/sqlite.h"

#include <stdlib.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/log.h"

/* A commit takes what is queued, up to this: later ones wait no longer than
 * that takes. */
#define GROUP_COUNT_MAX 1024
#define GROUP_BYTES_MAX (4u << 20)
#define READ_TAKE_MAX   16 /* reads that one thread takes at a time */
#define DOWN_MS         1000

/* Fresh rows that are placed after a commit: some for each that it appended, so
 * that a round ends before the next must begin, and a few, for else a round
 * would never end. When there is nothing else to do they are more, but so few
 * that what comes then need not wait long. */
#define PLACE_EACH 2
#define PLACE_MIN  64
#define PLACE_IDLE 512

static struct sqlite *
sqlite_of(struct storage *storage)
{
	return container_of(storage, struct sqlite, storage);
}

static struct sqlite_store *
store_of(struct store *store)
{
	return container_of(store, struct sqlite_store, store);
}

/* --- back to the shards ----------------------------------------------- */

/* Gives all jobs of the list that are of one store back to it. */
static void
give_back_one(struct store *store, struct list *jobs)
{
	struct sqlite_store *to = store_of(store);
	struct list mine;

	list_init(&mine);
	list_each (job, jobs, struct job, link) {
		if (job->store != store)
			continue;
		list_remove(&job->link);
		list_add_last(&mine, &job->link);
	}
	pthread_mutex_lock(&to->lock);
	list_move(&to->ended, &mine);
	/* Under the lock: when the store has seen its last job it closes. */
	uv_async_send(&to->wake);
	pthread_mutex_unlock(&to->lock);
}

static void
give_back(struct list *jobs)
{
	struct link *first;

	while ((first = list_first(jobs)) != NULL)
		give_back_one(list_entry(first, struct job, link)->store, jobs);
}

static bool
is_outage(enum err err)
{
	return err == ERR_UNAVAILABLE || err == ERR_FULL || err == ERR_IO ||
	       err == ERR_CORRUPT;
}

static void
end_job(struct sqlite_store *store, struct job *job)
{
	/* A read that fails because it needs a write is no reason yet. */
	if (is_outage(job->err) && (job->is_write || !job->minds_fresh))
		store->failed_ms = clock_mono_ms();
	else if (job->is_write)
		store->failed_ms = 0;
	job_end(job, job->err);
}

static void
on_wake(uv_async_t *wake)
{
	struct sqlite_store *store =
	    container_of(wake, struct sqlite_store, wake);
	struct list ended;
	struct link *link;

	list_init(&ended);
	pthread_mutex_lock(&store->lock);
	list_move(&ended, &store->ended);
	pthread_mutex_unlock(&store->lock);
	while ((link = list_take_first(&ended)) != NULL)
		end_job(store, list_entry(link, struct job, link));
}

/* --- writing ---------------------------------------------------------- */

/* What SQLite says, if it was SQLite that failed. */
static const char *
reason(sqlite3 *db, enum err err)
{
	switch (sqlite3_errcode(db) & 0xff) {
	case SQLITE_OK:
	case SQLITE_ROW:
	case SQLITE_DONE:
		return err_text(err);
	default:
		return sqlite3_errmsg(db);
	}
}

/* Tells of a failing database once, and once when it is well again. */
static void
note_outcome(struct sqlite *sqlite, enum err err)
{
	if (is_outage(err) && !sqlite->is_failing)
		log_error(&storage_log, "could not write to \"%s\": %s",
		    sqlite->storage.options.path,
		    reason(sqlite->writer.db, err));
	else if (err == ERR_NONE && sqlite->is_failing)
		log_info(&storage_log, "writing to \"%s\" works again",
		    sqlite->storage.options.path);
	if (is_outage(err) || err == ERR_NONE)
		sqlite->is_failing = err != ERR_NONE;
}

/* All of it was given to the disk, which does not say whether it has it: until
 * something else is written there, a crash brings it back. */
static bool
is_in_doubt(const struct sqlite_conn *conn, enum err err)
{
	return err != ERR_NONE &&
	       sqlite3_extended_errcode(conn->db) == SQLITE_IOERR_FSYNC;
}

static enum err
commit(struct sqlite_conn *conn, struct list *jobs)
{
	const enum err err = sqlite_conn_do(conn, SQL_COMMIT);
	const bool may_come = is_in_doubt(conn, err);

	list_each (job, jobs, struct job, link)
		if (may_come || err == ERR_NONE)
			job->is_maybe_done = may_come;
	return err;
}

static enum err
commit_jobs(struct sqlite *sqlite, struct list *jobs)
{
	struct sqlite_conn *conn = &sqlite->writer;
	enum err err = fresh_settle(&sqlite->fresh, conn, jobs);

	if (err != ERR_NONE) {
		fresh_drop(&sqlite->fresh);
		return err;
	}
	err = sqlite_conn_sync(conn, true);
	if (err == ERR_NONE)
		err = sqlite_conn_do(conn, SQL_BEGIN);
	list_each (job, jobs, struct job, link) {
		if (err == ERR_NONE)
			err = sqlite_conn_run(conn, job);
	}
	if (err == ERR_NONE)
		err = fresh_write(&sqlite->fresh, conn);
	if (err == ERR_NONE)
		err = commit(conn, jobs);
	note_outcome(sqlite, err);
	if (err != ERR_NONE && sqlite3_get_autocommit(conn->db) == 0)
		(void)!sqlite_conn_do(conn, SQL_ROLLBACK);
	if (err == ERR_NONE)
		fresh_keep(&sqlite->fresh);
	else
		fresh_drop(&sqlite->fresh);
	return err;
}

static void
commit_alone(struct sqlite *sqlite, struct job *job)
{
	struct list alone;
	enum err err;

	list_init(&alone);
	list_add_last(&alone, &job->link);
	err = commit_jobs(sqlite, &alone);
	if (err != ERR_NONE)
		job->err = err;
	list_remove(&job->link);
}

/* Together; and where that fails each by itself, so that nobody pays for the
 * failure of another. */
static void
commit_group(struct sqlite *sqlite, struct list *jobs)
{
	struct list done;
	struct link *link;

	if (list_first(jobs) != list_last(jobs) &&
	    commit_jobs(sqlite, jobs) == ERR_NONE)
		return;
	list_init(&done);
	while ((link = list_take_first(jobs)) != NULL) {
		struct job *job = list_entry(link, struct job, link);

		commit_alone(sqlite, job);
		list_add_last(&done, &job->link);
	}
	list_move(jobs, &done);
}

static void
take_group(struct list *from, struct list *to)
{
	size_t count = 0, bytes = 0;

	list_each (job, from, struct job, link) {
		if (count++ >= GROUP_COUNT_MAX || bytes > GROUP_BYTES_MAX)
			return;
		bytes += job->bytes;
		job->is_begun = true;
		list_remove(&job->link);
		list_add_last(to, &job->link);
	}
}

static int
on_commit(void *arg, sqlite3 *db, const char *name, int pages)
{
	struct sqlite *sqlite = arg;

	sqlite->wal_pages = (unsigned)pages;
	return SQLITE_OK;
}

/* The other thread copies most of the log; what came meanwhile is copied here,
 * and then SQLite begins the log anew. */
static void
keep_wal_short(struct sqlite *sqlite)
{
	bool is_copied;

	if (sqlite->wal_pages < WAL_PAGES)
		return;
	pthread_mutex_lock(&sqlite->lock);
	is_copied = sqlite->is_copied;
	sqlite->is_copied = false;
	if (!is_copied && !sqlite->wants_copy) {
		sqlite->wants_copy = true;
		pthread_cond_signal(&sqlite->copy_wanted);
	}
	pthread_mutex_unlock(&sqlite->lock);
	if (is_copied && sqlite_conn_sync(&sqlite->writer, true) == ERR_NONE) {
		sqlite3_wal_checkpoint_v2(sqlite->writer.db, NULL,
		    SQLITE_CHECKPOINT_PASSIVE, NULL, NULL);
		sqlite->wal_pages = 0;
	}
}

/* Under the lock. */
static void
queue_read(struct sqlite *sqlite, struct job *job)
{
	list_add_last(
	    job->is_long ? &sqlite->long_reads : &sqlite->reads, &job->link);
}

/* Under the lock. */
static void
wake_readers(struct sqlite *sqlite)
{
	if (!list_is_empty(&sqlite->reads))
		pthread_cond_signal(&sqlite->read_wanted);
	if (!list_is_empty(&sqlite->long_reads) || sqlite->is_first_busy)
		pthread_cond_signal(&sqlite->long_wanted);
}

/* What these reads look for is put where they will look. */
static void
place_for(struct sqlite *sqlite, struct list *jobs)
{
	struct list failed;

	list_init(&failed);
	list_each (job, jobs, struct job, link) {
		job->err =
		    fresh_place(&sqlite->fresh, &sqlite->writer, job->owner);
		if (job->err == ERR_NONE)
			continue;
		list_remove(&job->link);
		list_add_last(&failed, &job->link);
	}
	give_back(&failed);
	pthread_mutex_lock(&sqlite->lock);
	list_each (job, jobs, struct job, link) {
		list_remove(&job->link);
		job->is_begun = false;
		queue_read(sqlite, job);
	}
	wake_readers(sqlite);
	pthread_mutex_unlock(&sqlite->lock);
}

static void
go_on_placing(struct sqlite *sqlite, size_t rows)
{
	if (fresh_due_ms(&sqlite->fresh) <= clock_mono_ms())
		(void)!fresh_round(&sqlite->fresh, &sqlite->writer, rows);
}

/* Until a job comes, or fresh rows want to be placed. */
static void
wait_for_work(struct sqlite *sqlite)
{
	struct timespec until;
	uint64_t due_ms;

	while (list_is_empty(&sqlite->writes) &&
	       list_is_empty(&sqlite->unplaced) && !sqlite->is_stopping) {
		due_ms = fresh_due_ms(&sqlite->fresh);
		if (due_ms <= clock_mono_ms())
			return;
		if (due_ms == UINT64_MAX) {
			pthread_cond_wait(&sqlite->write_wanted, &sqlite->lock);
			continue;
		}
		until = (struct timespec){.tv_sec = (time_t)(due_ms / 1000),
		    .tv_nsec = (long)(due_ms % 1000) * 1000000};
		pthread_cond_timedwait(
		    &sqlite->write_wanted, &sqlite->lock, &until);
	}
}

/* What is there to do, of each kind; false when all is done for ever. */
static bool
take_work(struct sqlite *sqlite, struct list *group, struct list *unplaced)
{
	bool is_over;

	pthread_mutex_lock(&sqlite->lock);
	wait_for_work(sqlite);
	take_group(&sqlite->writes, group);
	list_move(unplaced, &sqlite->unplaced);
	list_each (job, unplaced, struct job, link)
		job->is_begun = true;
	is_over = sqlite->is_stopping && list_is_empty(group) &&
		  list_is_empty(unplaced);
	pthread_mutex_unlock(&sqlite->lock);
	return !is_over;
}

static void *
writer_main(void *arg)
{
	struct sqlite *sqlite = arg;
	struct list group, unplaced;
	size_t rows;

	list_init(&group);
	list_init(&unplaced);
	while (take_work(sqlite, &group, &unplaced)) {
		rows = list_is_empty(&group) ? PLACE_IDLE : PLACE_MIN;
		if (!list_is_empty(&unplaced))
			place_for(sqlite, &unplaced);
		if (!list_is_empty(&group)) {
			size_t had = sqlite->fresh.count;

			commit_group(sqlite, &group);
			rows += PLACE_EACH * (sqlite->fresh.count - had);
			give_back(&group);
		}
		go_on_placing(sqlite, rows);
		keep_wal_short(sqlite);
	}
	(void)!fresh_place_all(&sqlite->fresh, &sqlite->writer);
	arena_thread_done();
	return NULL;
}

static void *
copier_main(void *arg)
{
	struct sqlite *sqlite = arg;

	pthread_mutex_lock(&sqlite->lock);
	for (;;) {
		while (!sqlite->wants_copy && !sqlite->is_stopping)
			pthread_cond_wait(&sqlite->copy_wanted, &sqlite->lock);
		if (sqlite->is_stopping)
			break;
		pthread_mutex_unlock(&sqlite->lock);
		sqlite3_wal_checkpoint_v2(sqlite->copier.db, NULL,
		    SQLITE_CHECKPOINT_PASSIVE, NULL, NULL);
		pthread_mutex_lock(&sqlite->lock);
		sqlite->wants_copy = false;
		sqlite->is_copied = true;
	}
	pthread_mutex_unlock(&sqlite->lock);
	return NULL;
}

/* --- reading ---------------------------------------------------------- */

static void
read_job(struct sqlite_conn *conn, struct job *job)
{
	enum err err = sqlite_conn_run(conn, job);

	if (err != ERR_NONE)
		job->err = err;
}

static void
read_job_in_time(struct sqlite_conn *conn, struct job *job)
{
	conn->until_ms = job->until_ms;
	read_job(conn, job);
	conn->until_ms = 0;
}

static void
take_reads(struct sqlite_reader *reader, struct list *to)
{
	struct sqlite *sqlite = reader->sqlite;
	struct link *link;

	for (unsigned i = 0; i < READ_TAKE_MAX; i++) {
		link = list_take_first(&sqlite->reads);
		if (link == NULL)
			break;
		container_of(link, struct job, link)->is_begun = true;
		list_add_last(to, link);
	}
	if (list_is_empty(to) && reader->takes_long &&
	    !list_is_empty(&sqlite->long_reads)) {
		link = list_take_first(&sqlite->long_reads);
		container_of(link, struct job, link)->is_begun = true;
		list_add_last(to, link);
	}
}

/* Who was woken takes some; what he leaves is for another. Under the lock. */
static void
pass_on(struct sqlite *sqlite)
{
	if (!list_is_empty(&sqlite->reads) ||
	    !list_is_empty(&sqlite->long_reads))
		pthread_cond_signal(&sqlite->long_wanted);
}

static void *
reader_main(void *arg)
{
	struct sqlite_reader *reader = arg;
	struct sqlite *sqlite = reader->sqlite;
	struct list jobs;

	list_init(&jobs);
	pthread_mutex_lock(&sqlite->lock);
	for (;;) {
		take_reads(reader, &jobs);
		if (list_is_empty(&jobs)) {
			if (sqlite->is_stopping)
				break;
			pthread_cond_wait(reader->takes_long
					      ? &sqlite->long_wanted
					      : &sqlite->read_wanted,
			    &sqlite->lock);
			continue;
		}
		if (!reader->takes_long)
			sqlite->is_first_busy = true;
		pass_on(sqlite);
		pthread_mutex_unlock(&sqlite->lock);
		list_each (job, &jobs, struct job, link)
			read_job_in_time(&reader->conn, job);
		give_back(&jobs);
		pthread_mutex_lock(&sqlite->lock);
		if (!reader->takes_long)
			sqlite->is_first_busy = false;
	}
	pthread_mutex_unlock(&sqlite->lock);
	arena_thread_done();
	return NULL;
}

/* --- the backend ------------------------------------------------------ */

static void
start_threads(struct sqlite *sqlite)
{
	must(pthread_create(
		 &sqlite->writer_thread, NULL, writer_main, sqlite) == 0);
	must(pthread_create(
		 &sqlite->copier_thread, NULL, copier_main, sqlite) == 0);
	for (unsigned i = 0; i < sqlite->reader_count; i++)
		must(pthread_create(&sqlite->readers[i].thread, NULL,
			 reader_main, &sqlite->readers[i]) == 0);
}

/* A condition that is waited for until a time of clock_mono_ms. */
static void
init_clocked(pthread_cond_t *cond)
{
	pthread_condattr_t attr;

	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(cond, &attr);
	pthread_condattr_destroy(&attr);
}

static struct storage *
backend_open(struct arena *arena, const struct storage_options *options,
    struct str *why_r)
{
	struct sqlite *sqlite = calloc(1, sizeof(*sqlite));

	must(sqlite != NULL);
	sqlite->storage.options = *options;
	pthread_mutex_init(&sqlite->lock, NULL);
	init_clocked(&sqlite->write_wanted);
	pthread_cond_init(&sqlite->read_wanted, NULL);
	pthread_cond_init(&sqlite->long_wanted, NULL);
	pthread_cond_init(&sqlite->copy_wanted, NULL);
	list_init(&sqlite->writes);
	list_init(&sqlite->reads);
	list_init(&sqlite->long_reads);
	list_init(&sqlite->unplaced);
	fresh_init(&sqlite->fresh, options->fresh_max);
	if (!sqlite_prepare(sqlite, arena, options, why_r)) {
		sqlite_unprepare(sqlite);
		free(sqlite);
		return NULL;
	}
	if (!options->is_inline) {
		sqlite3_wal_hook(sqlite->writer.db, on_commit, sqlite);
		sqlite->writer.fresh = &sqlite->fresh;
		start_threads(sqlite);
	}
	return &sqlite->storage;
}

static void
backend_close(struct storage *storage)
{
	struct sqlite *sqlite = sqlite_of(storage);

	if (!storage->options.is_inline) {
		pthread_mutex_lock(&sqlite->lock);
		sqlite->is_stopping = true;
		pthread_cond_broadcast(&sqlite->write_wanted);
		pthread_cond_broadcast(&sqlite->read_wanted);
		pthread_cond_broadcast(&sqlite->long_wanted);
		pthread_cond_broadcast(&sqlite->copy_wanted);
		pthread_mutex_unlock(&sqlite->lock);
		pthread_join(sqlite->writer_thread, NULL);
		pthread_join(sqlite->copier_thread, NULL);
		for (unsigned i = 0; i < sqlite->reader_count; i++)
			pthread_join(sqlite->readers[i].thread, NULL);
	}
	sqlite_unprepare(sqlite);
	free(sqlite);
}

static struct store *
backend_attach(struct storage *storage, uv_loop_t *loop)
{
	struct sqlite_store *store = calloc(1, sizeof(*store));

	must(store != NULL);
	pthread_mutex_init(&store->lock, NULL);
	list_init(&store->ended);
	if (loop != NULL) {
		must(uv_async_init(loop, &store->wake, on_wake) == 0);
		uv_unref((uv_handle_t *)&store->wake);
	}
	return &store->store;
}

static void
wake_closed(uv_handle_t *wake)
{
	store_detached(&container_of(wake, struct sqlite_store, wake)->store);
}

static void
backend_detach(struct store *store)
{
	struct sqlite_store *mine = store_of(store);

	/* A thread may just be leaving give_back_one. */
	pthread_mutex_lock(&mine->lock);
	pthread_mutex_unlock(&mine->lock);
	uv_close((uv_handle_t *)&mine->wake, wake_closed);
}

static void
backend_discard(struct store *store)
{
	pthread_mutex_destroy(&store_of(store)->lock);
	free(store_of(store));
}

/* Under the lock. */
static void
queue(struct sqlite *sqlite, struct job *job)
{
	if (job->is_write)
		list_add_last(&sqlite->writes, &job->link);
	else
		queue_read(sqlite, job);
}

/* Not under the lock: it may take a while. What is committed from now on they
 * need not see. */
static void
take_unplaced(struct sqlite *sqlite, struct list *jobs, struct list *unplaced)
{
	list_each (job, jobs, struct job, link) {
		if (job->is_write || !job->minds_fresh ||
		    !fresh_holds(&sqlite->fresh, job->owner))
			continue;
		list_remove(&job->link);
		list_add_last(unplaced, &job->link);
	}
}

static void
backend_submit(struct store *store, struct list *jobs)
{
	struct sqlite *sqlite = sqlite_of(store->storage);
	struct list unplaced;

	list_init(&unplaced);
	take_unplaced(sqlite, jobs, &unplaced);
	pthread_mutex_lock(&sqlite->lock);
	list_move(&sqlite->unplaced, &unplaced);
	list_each (job, jobs, struct job, link) {
		list_remove(&job->link);
		queue(sqlite, job);
	}
	if (!list_is_empty(&sqlite->writes) ||
	    !list_is_empty(&sqlite->unplaced))
		pthread_cond_signal(&sqlite->write_wanted);
	wake_readers(sqlite);
	pthread_mutex_unlock(&sqlite->lock);
}

static bool
backend_withdraw(struct job *job)
{
	struct sqlite *sqlite = sqlite_of(job->store->storage);
	bool is_ours;

	pthread_mutex_lock(&sqlite->lock);
	is_ours = !job->is_begun;
	if (is_ours)
		list_remove(&job->link);
	pthread_mutex_unlock(&sqlite->lock);
	return is_ours;
}

static enum err
backend_run(struct job *job)
{
	struct sqlite *sqlite = sqlite_of(job->store->storage);

	if (job->is_write)
		commit_alone(sqlite, job);
	else
		read_job(&sqlite->writer, job);
	return job->err;
}

/* Long enough to be noticed; then the next write finds out. */
static bool
backend_is_up(const struct store *store)
{
	const struct sqlite_store *mine =
	    container_of(store, const struct sqlite_store, store);

	return mine->failed_ms == 0 ||
	       clock_mono_ms() - mine->failed_ms > DOWN_MS;
}

const struct backend sqlite_backend = {
    .open = backend_open,
    .close = backend_close,
    .backup = sqlite_backup,
    .attach = backend_attach,
    .detach = backend_detach,
    .discard = backend_discard,
    .submit = backend_submit,
    .withdraw = backend_withdraw,
    .run = backend_run,
    .is_up = backend_is_up,
    .quotes_words = true,
};

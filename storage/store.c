/* The queue of a shard: what may start when, and how it ends. */
#include "storage/store.h"

#include <stdlib.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/log.h"
#include "storage/backend.h"

/* What a database that stands still may cost in memory, each store. */
#define OPEN_COUNT_MAX 65536
#define OPEN_BYTES_MAX (64u << 20)

#define HELD_MAX       64   /* enough company for a commit */
#define COMPLAIN_EVERY 1000 /* ms */

static void
name_storage(const struct log *log, char *text, size_t len)
{
	snprintf(text, len, "storage");
}

const struct log storage_log = {.name = name_storage};

/* --- the database ----------------------------------------------------- */

struct storage *
storage_open(struct arena *arena, const struct storage_options *options,
    struct str *why_r)
{
	struct str name = str_of(options->backend);
	struct storage *storage;
	const struct backend *backend;

	if (str_is(name, "sqlite")) {
		backend = &sqlite_backend;
	} else if (str_is(name, "postgres")) {
		backend = &postgres_backend;
	} else {
		*why_r = str_format(arena,
		    "there is no database backend \"%.*s\"", STR_ARG(name));
		return NULL;
	}
	storage = backend->open(arena, options, why_r);
	if (storage != NULL) {
		storage->backend = backend;
		storage->options = *options;
	}
	return storage;
}

void
storage_close(struct storage **storage)
{
	struct storage *closing = *storage;

	*storage = NULL;
	if (closing != NULL)
		closing->backend->close(closing);
}

enum err
storage_backup(struct storage *storage, const char *path, struct arena *arena,
    struct str *why_r)
{
	return storage->backend->backup(storage, path, arena, why_r);
}

/* --- jobs ------------------------------------------------------------- */

struct job *
job_new(struct store *store, size_t len)
{
	struct arena *arena = arena_make(len);
	struct job *job = arena_new(arena, struct job);

	job->arena = arena;
	job->store = store;
	job->last = &job->first;
	job->also_last = &job->waits.also;
	return job;
}

struct step *
job_step(struct job *job, enum sql sql, unsigned args)
{
	struct step *step = arena_alloc(
	    job->arena, sizeof(*step) + args * sizeof(struct value));

	step->sql = sql;
	step->op = job->ops;
	*job->last = step;
	job->last = &step->next;
	return step;
}

static bool
is_inline(const struct store *store)
{
	return store->loop == NULL;
}

static void on_turn(uv_prepare_t *);
static void on_deadline(uv_timer_t *);
static void on_hold(uv_timer_t *);

/* Makes on_turn run before the loop waits again. */
static void
wake(struct store *store)
{
	if (!is_inline(store) && !uv_is_closing((uv_handle_t *)&store->turn))
		uv_prepare_start(&store->turn, on_turn);
}

/* Nobody else would ever know. */
static void
complain(struct job *job)
{
	uint64_t now = clock_mono_ms();

	if (now - job->store->complained_ms < COMPLAIN_EVERY &&
	    job->store->complained_ms != 0)
		return;
	job->store->complained_ms = now;
	log_error(&storage_log, "a write was lost: %s", err_text(job->err));
}

static void
tell(struct job *job)
{
	if (!job->is_write) {
		job_tell_read(job);
		return;
	}
	if (job->err != ERR_NONE && !job->is_purge && !job->is_orphan &&
	    job->waits.commit == NULL && job->waits.also == NULL)
		complain(job);
	job_tell_write(job);
}

static void
leave_open(struct job *job)
{
	list_remove(&job->open);
	job->store->open_count--;
	job->store->open_bytes -= job->taken;
}

void
job_end(struct job *job, enum err err)
{
	struct store *store = job->store;

	/* It failed, but it was tried before. */
	job->err = err != ERR_NONE && job->is_maybe_done ? ERR_UNCERTAIN : err;
	store->told++;
	if (job->is_orphan)
		store->orphans--;
	else
		leave_open(job);
	gates_release(&store->gates, job, &store->ready);
	tell(job);
	arena_free(&job->arena);
	if (!list_is_empty(&store->ready) || store->is_closing)
		wake(store);
}

/* The backend has it still and may be writing into it: another job, with the
 * same waits, ends in its place. */
static void
orphan(struct job *job, enum err err)
{
	struct job *heir = job_new(job->store, 0);

	heir->is_write = job->is_write;
	heir->shape = job->shape;
	heir->waits = job->waits;
	heir->err = err;
	leave_open(job);
	job->waits = (struct waits){0};
	job->is_orphan = true;
	job->store->orphans++;
	tell(heir);
	arena_free(&heir->arena);
}

/* Ends it before its time, as far as it can be. */
static void
give_up(struct job *job, enum err err)
{
	if (!job->is_submitted) {
		list_remove(&job->link);
		job_end(job, err);
	} else if (job->store->storage->backend->withdraw(job)) {
		job_end(job, err);
	} else {
		orphan(job, job->is_write ? ERR_UNCERTAIN : err);
	}
}

/* --- the queue -------------------------------------------------------- */

static void
release_held(struct store *store)
{
	list_move(&store->ready, &store->held);
	store->held_count = 0;
}

static void
queue_write(struct store *store, struct job *job)
{
	for (struct step *step = job->first; step != NULL; step = step->next) {
		if (step->owner != 0)
			gates_hold(&store->gates, job, step->owner);
	}
	if (!job->is_lazy || store->storage->options.hold_ms == 0) {
		release_held(store);
		list_add_last(&store->ready, &job->link);
		return;
	}
	list_add_last(&store->held, &job->link);
	if (++store->held_count >= HELD_MAX)
		release_held(store);
	else if (!uv_is_active((uv_handle_t *)&store->hold))
		uv_timer_start(
		    &store->hold, on_hold, store->storage->options.hold_ms, 0);
}

static void
queue_read(struct store *store, struct job *job)
{
	if (job->owner != 0 && gates_stop(&store->gates, job))
		release_held(store);
	else
		list_add_last(&store->ready, &job->link);
}

static enum err
refusal(const struct store *store, const struct job *job)
{
	if (store->is_closing)
		return ERR_CANCELED;
	if (store->open_count > OPEN_COUNT_MAX ||
	    store->open_bytes > OPEN_BYTES_MAX)
		return ERR_UNAVAILABLE;
	return ERR_NONE;
}

void
store_queue(struct job *job)
{
	struct store *store = job->store;
	unsigned deadline_ms = store->storage->options.deadline_ms;

	must(!store->is_detached);
	job->until_ms = clock_mono_ms() + deadline_ms;
	job->taken = arena_len(job->arena);
	list_add_last(&store->open, &job->open);
	store->open_count++;
	store->open_bytes += job->taken;
	job->err = refusal(store, job);
	if (job->err != ERR_NONE || job->first == NULL)
		list_add_last(&store->ended, &job->link);
	else if (is_inline(store))
		list_add_last(&store->ready, &job->link);
	else if (job->is_write)
		queue_write(store, job);
	else
		queue_read(store, job);
	if (is_inline(store))
		return;
	wake(store);
	if (!uv_is_active((uv_handle_t *)&store->deadline) &&
	    !uv_is_closing((uv_handle_t *)&store->deadline))
		uv_timer_start(&store->deadline, on_deadline, deadline_ms, 0);
}

static void
submit(struct store *store)
{
	struct list jobs;

	if (list_is_empty(&store->ready))
		return;
	list_init(&jobs);
	list_move(&jobs, &store->ready);
	list_each (job, &jobs, struct job, link)
		job->is_submitted = true;
	store->storage->backend->submit(store, &jobs);
}

static void
end_refused(struct store *store)
{
	struct list jobs;
	struct link *link;

	list_init(&jobs);
	list_move(&jobs, &store->ended);
	while ((link = list_take_first(&jobs)) != NULL) {
		struct job *job = list_entry(link, struct job, link);

		job_end(job, job->err);
	}
}

static void
on_hold(uv_timer_t *timer)
{
	struct store *store = container_of(timer, struct store, hold);

	release_held(store);
	wake(store);
}

static void
on_deadline(uv_timer_t *timer)
{
	struct store *store = container_of(timer, struct store, deadline);
	enum err err = store_is_up(store) ? ERR_TIMEOUT : ERR_UNAVAILABLE;
	uint64_t now = clock_mono_ms();
	struct link *link;

	while ((link = list_first(&store->open)) != NULL) {
		struct job *job = list_entry(link, struct job, open);

		if (job->until_ms > now) {
			uv_timer_start(
			    timer, on_deadline, job->until_ms - now, 0);
			return;
		}
		give_up(job, err);
	}
	/* What a backend unrefs must not let the loop end before these do. */
	if (store->orphans > 0)
		uv_timer_start(
		    timer, on_deadline, store->storage->options.deadline_ms, 0);
}

/* --- opening and closing ---------------------------------------------- */

struct store *
store_open(struct storage *storage, uv_loop_t *loop)
{
	struct store *store = storage->backend->attach(storage, loop);

	must((loop == NULL) == storage->options.is_inline);
	store->storage = storage;
	store->loop = loop;
	list_init(&store->open);
	list_init(&store->ready);
	list_init(&store->held);
	list_init(&store->ended);
	gates_init(&store->gates);
	if (loop != NULL) {
		must(uv_prepare_init(loop, &store->turn) == 0);
		must(uv_timer_init(loop, &store->deadline) == 0);
		must(uv_timer_init(loop, &store->hold) == 0);
	}
	return store;
}

static void
finish(struct store *store)
{
	void (*closed)(void *) = store->closed;
	void *arg = store->closed_arg;

	gates_deinit(&store->gates);
	store->storage->backend->discard(store);
	if (closed != NULL)
		closed(arg);
}

static void
on_handle_closed(uv_handle_t *handle)
{
	struct store *store = handle->data;

	if (--store->handles == 0)
		finish(store);
}

static void
close_handle(struct store *store, uv_handle_t *handle)
{
	handle->data = store;
	store->handles++;
	uv_close(handle, on_handle_closed);
}

void
store_detached(struct store *store)
{
	close_handle(store, (uv_handle_t *)&store->turn);
	close_handle(store, (uv_handle_t *)&store->hold);
	close_handle(store, (uv_handle_t *)&store->deadline);
}

static void
cancel_reads(struct store *store)
{
	list_each (job, &store->open, struct job, open) {
		/* What a backend works on is not looked into. */
		if (!job->is_write &&
		    (job->is_submitted || job->err == ERR_NONE))
			give_up(job, ERR_CANCELED);
	}
}

static void
on_turn(uv_prepare_t *prepare)
{
	struct store *store = container_of(prepare, struct store, turn);
	const size_t told = store->told;

	uv_prepare_stop(prepare);
	if (store->is_closing) {
		release_held(store);
		cancel_reads(store);
	}
	end_refused(store);
	submit(store);
	if (store->is_closing && store->open_count == 0 &&
	    store->orphans == 0 && !store->is_detached) {
		store->is_detached = true;
		store->storage->backend->detach(store);
	}
	/* Who was told may have asked anew, and the loop is about to wait. */
	if (store->told != told)
		uv_timer_start(&store->hold, on_hold, 0, 0);
}

void
store_turn(struct store *store)
{
	if (!is_inline(store) && uv_is_active((uv_handle_t *)&store->turn))
		on_turn(&store->turn);
}

void
store_close(struct store *store, void (*closed)(void *), void *arg)
{
	must(!store->is_closing);
	store->is_closing = true;
	store->closed = closed;
	store->closed_arg = arg;
	wake(store);
}

unsigned
store_load(const struct store *store)
{
	const size_t count =
	    (store->open_count + store->expected) * 100 / OPEN_COUNT_MAX;
	const size_t bytes = store->open_bytes * 100 / OPEN_BYTES_MAX;

	return (unsigned)(count > bytes ? count : bytes);
}

void
store_expect(struct store *store, int count)
{
	store->expected += (size_t)count;
}

bool
store_is_over(const struct store *store)
{
	return store->is_detached;
}

bool
store_is_up(const struct store *store)
{
	return store->storage->backend->is_up(store);
}

/* --- inline ----------------------------------------------------------- */

static enum err
run_inline(struct store *store, struct job *job)
{
	enum err err;

	if (store->is_closing && !job->is_write)
		return ERR_CANCELED;
	if (store->broken != ERR_NONE && store->broken != ERR_UNCERTAIN &&
	    (job->is_write || store->broken != ERR_FULL))
		return store->broken;
	err = store->storage->backend->run(job);
	return store->broken == ERR_UNCERTAIN && job->is_write ? ERR_UNCERTAIN
							       : err;
}

bool
store_step(struct store *store)
{
	struct link *link = list_take_first(&store->ended);
	struct job *job = list_entry(link, struct job, link);

	must(is_inline(store));
	if (job != NULL) {
		job_end(job, job->err);
		return true;
	}
	link = list_take_first(&store->ready);
	job = list_entry(link, struct job, link);
	if (job != NULL) {
		job_end(job, run_inline(store, job));
		return true;
	}
	if (store->is_closing)
		finish(store);
	return false;
}

void
store_break(struct store *store, enum err err)
{
	must(is_inline(store));
	store->broken = err;
}

void
store_kill(struct store **store)
{
	struct store *killed = *store;

	*store = NULL;
	if (killed == NULL)
		return;
	must(is_inline(killed));
	list_each (job, &killed->open, struct job, open)
		arena_free(&job->arena);
	killed->closed = NULL;
	finish(killed);
}

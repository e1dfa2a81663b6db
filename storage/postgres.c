/* The backend: which line a job takes. */
#include "storage/postgres.h"

#include <stdlib.h>

#include "base/err.h"

static struct postgres *
postgres_of(struct storage *storage)
{
	return container_of(storage, struct postgres, storage);
}

static struct postgres_store *
store_of(struct store *store)
{
	return container_of(store, struct postgres_store, store);
}

static void
release(struct postgres *postgres)
{
	PQfinish(postgres->guard);
	arena_free(&postgres->arena);
	free(postgres);
}

static struct storage *
backend_open(struct arena *arena, const struct storage_options *options,
    struct str *why_r)
{
	struct postgres *postgres;

	if (options->conninfo == NULL || options->is_inline) {
		*why_r = STR("PostgreSQL needs a connection string");
		return NULL;
	}
	postgres = calloc(1, sizeof(*postgres));
	must(postgres != NULL);
	postgres->storage.options = *options;
	postgres->arena = arena_make(0);
	if (!postgres_prepare(postgres, arena, why_r)) {
		release(postgres);
		return NULL;
	}
	return &postgres->storage;
}

static void
backend_close(struct storage *storage)
{
	release(postgres_of(storage));
}

static enum err
backend_backup(struct storage *storage, const char *path, struct arena *arena,
    struct str *why_r)
{
	*why_r = str_format(arena,
	    "the database is PostgreSQL's: copy it with pg_dump, for example"
	    " pg_dump --dbname=%s --file=%s",
	    PQdb(postgres_of(storage)->guard), path);
	return ERR_INVALID;
}

static struct store *
backend_attach(struct storage *storage, uv_loop_t *loop)
{
	struct postgres_store *store = calloc(1, sizeof(*store));

	must(store != NULL);
	store->store.storage = storage;
	store->store.loop = loop;
	line_open(&store->main, store);
	line_open(&store->aside, store);
	return &store->store;
}

static void
backend_detach(struct store *store)
{
	struct postgres_store *mine = store_of(store);

	mine->is_closing = true;
	line_close(&mine->main);
	line_close(&mine->aside);
}

static void
backend_discard(struct store *store)
{
	free(store_of(store));
}

/* Nobody should wait for a database that is known to be away. */
static bool
is_hopeless(const struct line *line)
{
	return line->state != LINE_READY && line->tries > 0;
}

static void
submit_one(struct postgres_store *store, struct job *job)
{
	struct line *line = job->is_long ? &store->aside : &store->main;

	list_remove(&job->link);
	if (is_hopeless(line) && (!job->is_write || job->is_once))
		job_end(job, ERR_UNAVAILABLE);
	else
		list_add_last(
		    job->is_write ? &line->writes : &line->reads, &job->link);
}

static void
backend_submit(struct store *store, struct list *jobs)
{
	struct postgres_store *mine = store_of(store);

	list_each (job, jobs, struct job, link)
		submit_one(mine, job);
	line_pump(&mine->main);
	line_pump(&mine->aside);
}

static bool
backend_withdraw(struct job *job)
{
	if (job->is_begun)
		return false;
	list_remove(&job->link);
	return true;
}

static bool
backend_is_up(const struct store *store)
{
	const struct postgres_store *mine =
	    container_of(store, const struct postgres_store, store);

	return mine->main.state == LINE_READY || mine->main.tries == 0;
}

const struct backend postgres_backend = {
    .open = backend_open,
    .close = backend_close,
    .backup = backend_backup,
    .attach = backend_attach,
    .detach = backend_detach,
    .discard = backend_discard,
    .submit = backend_submit,
    .withdraw = backend_withdraw,
    .is_up = backend_is_up,
};

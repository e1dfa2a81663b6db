/* Batches: each operation is one or more steps. */
#include "base/clock.h"
#include "base/err.h"
#include "storage/backend.h"

struct store_write {
	struct job job;
};

#define WRITE_LEN_GUESS 1500

struct store_write *
store_write_new(struct store *store)
{
	struct job *job = job_new(store, WRITE_LEN_GUESS);

	job->is_write = true;
	return container_of(job, struct store_write, job);
}

struct arena *
store_write_arena(struct store_write *write)
{
	return write->job.arena;
}

void
store_write_free(struct store_write **write)
{
	struct store_write *freed = *write;
	struct also *also;

	*write = NULL;
	if (freed == NULL)
		return;
	for (also = freed->job.waits.also; also != NULL; also = also->next) {
		also->wait->err = ERR_CANCELED;
		also->wait->done(also->wait);
	}
	arena_free(&freed->job.arena);
}

void
store_also(struct store_write *write, struct store_commit *wait,
    void (*done)(struct store_commit *))
{
	struct also *also = arena_new(write->job.arena, struct also);

	*wait = (struct store_commit){.done = done};
	also->wait = wait;
	*write->job.also_last = also;
	write->job.also_last = &also->next;
}

static void
commit(struct store_write *write, struct store_commit *wait,
    void (*done)(struct store_commit *), bool is_lazy)
{
	if (wait != NULL)
		*wait = (struct store_commit){.done = done};
	write->job.waits.commit = wait;
	write->job.is_lazy = is_lazy;
	store_queue(&write->job);
}

void
store_commit(struct store_write *write, struct store_commit *wait,
    void (*done)(struct store_commit *))
{
	commit(write, wait, done, false);
}

void
store_commit_lazy(struct store_write *write, struct store_commit *wait,
    void (*done)(struct store_commit *))
{
	commit(write, wait, done, true);
}

/* --- operations ------------------------------------------------------- */

/* Tells the database the name of a kind that it may not know. */
static void
name_kind(struct job *job, struct kind_slot *slot)
{
	struct value *args = job_step(job, SQL_KIND, 3)->args;

	args[0].number = slot->id;
	args[1].bytes = str_of(slot->kind->name);
	args[2].number = slot->kind->flags;
	slot->is_named = true;
}

/* A step for a row of a kind: begins with owner and kind. */
static struct value *
kind_step(struct job *job, enum sql sql, owner_id owner,
    const struct store_kind *kind)
{
	struct kind_slot *slot = store_kind_slot(job->store, kind);
	struct step *step;

	if (!slot->is_named)
		name_kind(job, slot);
	step = job_step(job, sql, (unsigned)strlen(sql_signature(sql)));
	step->owner = owner;
	if (sql == SQL_APPEND)
		step->may_be_fresh = store_may_be_fresh(kind);
	else if (store_may_be_fresh(kind))
		job->minds_fresh = true;
	must(owner != 0 || job->makes);
	step->args[0].number = owner;
	step->args[1].number = slot->id;
	return step->args;
}

static struct value
bytes_of(struct job *job, struct str str)
{
	job->bytes += str.len;
	return (struct value){.bytes = str_dup(job->arena, str)};
}

static struct value *
put(struct job *job, enum sql sql, owner_id owner,
    const struct store_kind *kind, struct str key)
{
	struct value *args = kind_step(job, sql, owner, kind);

	must(kind->shape == STORE_MAP);
	job->store->last_version = store_log_id(job->store->last_version);
	args[2] = bytes_of(job, key);
	args[3].number = job->store->last_version;
	args[4].number = kind->flags;
	return args + 5;
}

void
store_put(struct store_write *write, owner_id owner,
    const struct store_kind *kind, struct str key, struct str value)
{
	struct job *job = &write->job;

	put(job, SQL_PUT, owner, kind, key)[0] = bytes_of(job, value);
	job->ops++;
}

void
store_put_new(struct store_write *write, owner_id owner,
    const struct store_kind *kind, struct str key, struct str value)
{
	struct job *job = &write->job;

	put(job, SQL_PUT_NEW, owner, kind, key)[0] = bytes_of(job, value);
	job->can_fail = job->is_once = true;
	job->ops++;
}

/* The step that was added last. */
static struct step *
last_step(struct job *job)
{
	return container_of(job->last, struct step, next);
}

void
store_put_if(struct store_write *write, owner_id owner,
    const struct store_kind *kind, struct str key, struct str value,
    uint64_t version)
{
	struct job *job = &write->job;
	struct value *args = put(job, SQL_PUT_IF, owner, kind, key);

	args[0] = bytes_of(job, value);
	args[1].number = version;
	last_step(job)->need = ERR_CONFLICT;
	job->can_fail = job->is_once = true;
	job->ops++;
}

void
store_remove(struct store_write *write, owner_id owner,
    const struct store_kind *kind, struct str key)
{
	struct job *job = &write->job;

	must(kind->shape == STORE_MAP);
	kind_step(job, SQL_REMOVE, owner, kind)[2] = bytes_of(job, key);
	job->ops++;
}

void
store_remove_all(struct store_write *write, owner_id owner,
    const struct store_kind *kind, struct str prefix)
{
	struct job *job = &write->job;
	struct str below = store_key_below(job->arena, prefix);
	struct value *args = kind_step(
	    job, below.len > 0 ? SQL_REMOVE_TO : SQL_REMOVE_FROM, owner, kind);

	must(kind->shape == STORE_MAP);
	args[2] = bytes_of(job, prefix);
	if (below.len > 0)
		args[3].bytes = below;
	job->ops++;
}

static struct value
own_bytes(struct job *job, struct str str)
{
	job->bytes += str.len;
	return (struct value){.bytes = str.text == NULL ? STR("") : str};
}

/* Removes the row that has this ref already, under another id. */
static void
unref(struct job *job, const struct store_kind *kind, const struct log_row *row)
{
	struct value *args = kind_step(job, SQL_UNREF, row->owner, kind);

	args[2] = own_bytes(job, row->ref);
	args[3] = own_bytes(job, row->peer);
	args[4].number = row->id;
}

static void
add_words(struct job *job, const struct store_kind *kind, owner_id owner,
    uint64_t id, struct str text)
{
	struct value *args = kind_step(job, SQL_WORDS, owner, kind);

	args[2].number = id;
	args[3].bytes = store_words(job->arena, owner, text);
	job->bytes += text.len;
}

void
store_append_own(struct store_write *write, const struct store_kind *kind,
    const struct log_row *row)
{
	struct job *job = &write->job;
	bool has_ref = (kind->flags & KIND_REF) != 0 && row->ref.len > 0;
	struct value *args;

	must(kind->shape == STORE_LOG && row->id != 0);
	if (has_ref)
		unref(job, kind, row);
	args = kind_step(job, SQL_APPEND, row->owner, kind);
	args[2].number = row->id;
	args[3].number = row->nonce;
	args[4].number = row->time_us;
	if ((kind->flags & KIND_PEER) != 0)
		args[5].number = store_thread(row->peer);
	args[6].number = kind->flags;
	args[7] = own_bytes(job, row->peer);
	if (has_ref)
		args[8] = own_bytes(job, row->ref);
	args[9] = own_bytes(job, row->value);
	if ((kind->flags & KIND_TEXT) != 0 && row->text.len > 0)
		add_words(job, kind, row->owner, row->id, row->text);
	job->ops++;
}

void
store_append(struct store_write *write, const struct store_kind *kind,
    const struct log_row *row)
{
	struct arena *arena = write->job.arena;
	struct log_row own = *row;

	own.peer = str_dup(arena, row->peer);
	own.ref = str_dup(arena, row->ref);
	own.value = str_dup(arena, row->value);
	store_append_own(write, kind, &own);
}

void
store_log_words(struct store_write *write, owner_id owner,
    const struct store_kind *kind, uint64_t id, struct str text)
{
	must((kind->flags & KIND_TEXT) != 0);
	add_words(&write->job, kind, owner, id, text);
	write->job.ops++;
}

static void
log_change(struct store_write *write, enum sql sql, owner_id owner,
    const struct store_kind *kind, uint64_t id)
{
	must(kind->shape == STORE_LOG);
	kind_step(&write->job, sql, owner, kind)[2].number = id;
	write->job.ops++;
}

void
store_log_remove(struct store_write *write, owner_id owner,
    const struct store_kind *kind, uint64_t id)
{
	log_change(write, SQL_LOG_REMOVE, owner, kind, id);
}

void
store_log_trim(struct store_write *write, owner_id owner,
    const struct store_kind *kind, uint64_t upto)
{
	log_change(write, SQL_LOG_TRIM, owner, kind,
	    upto > INT64_MAX ? INT64_MAX : upto);
}

void
store_log_due(struct store_write *write, owner_id owner,
    const struct store_kind *kind, uint64_t id, uint64_t time_us)
{
	log_change(write, SQL_LOG_DUE, owner, kind, id);
	last_step(&write->job)->args[3].number = time_us;
}

/* --- owners ----------------------------------------------------------- */

void
store_owner_make(struct store_write *write, struct str host, struct str local,
    owner_id *id_r)
{
	struct job *job = &write->job;
	struct value *args = job_step(job, SQL_OWNER_MAKE, 4)->args;

	must(!job->makes);
	job->makes = true;
	job->waits.made_r = id_r;
	args[1] = bytes_of(job, host);
	args[2] = bytes_of(job, local);
	args[3].number = clock_wall_us();
	job->can_fail = job->is_once = true;
	job->ops++;
}

void
store_owner_set_state(
    struct store_write *write, owner_id owner, enum owner_state state)
{
	struct job *job = &write->job;
	struct step *step = job_step(job, SQL_OWNER_STATE, 2);

	step->owner = owner;
	step->need = ERR_NOT_FOUND;
	step->args[0].number = owner;
	step->args[1].number = state;
	job->can_fail = true;
	job->ops++;
}

static void
purge_step(struct job *job, enum sql sql, owner_id owner, unsigned max)
{
	struct step *step =
	    job_step(job, sql, (unsigned)strlen(sql_signature(sql)));

	step->owner = owner;
	step->args[0].number = owner;
	if (max > 0)
		step->args[1].number = max;
}

void
store_purge(struct store *store, struct store_commit *wait, owner_id owner,
    unsigned max, void (*done)(struct store_commit *))
{
	struct store_write *write = store_write_new(store);
	struct job *job = &write->job;

	job->is_purge = job->minds_fresh = true;
	purge_step(job, SQL_PURGE_LOGS, owner, max / 2 + 1);
	purge_step(job, SQL_PURGE_MAPS, owner, max / 2 + 1);
	purge_step(job, SQL_PURGE_COUNTS, owner, 0);
	purge_step(job, SQL_PURGE_OWNER, owner, 0);
	store_commit(write, wait, done);
}

void
store_log_limit(struct store *store, struct store_commit *wait,
    const struct log_limit *limit, void (*done)(struct store_commit *))
{
	struct store_write *write = store_write_new(store);
	struct value *args =
	    kind_step(&write->job, SQL_LOG_LIMIT, limit->owner, limit->kind);

	write->job.is_purge = true;
	args[2].number = limit->before;
	args[3].number = limit->keep;
	args[4].number = limit->max;
	store_commit(write, wait, done);
}

/* --- telling ---------------------------------------------------------- */

static void
tell(const struct job *job, struct store_commit *wait)
{
	wait->err = job->err;
	wait->failed = job->failed;
	wait->done(wait);
}

void
job_tell_write(struct job *job)
{
	struct also *also;

	if (job->is_purge && job->err == ERR_NONE && job->changed == 0)
		job->err = ERR_NOT_FOUND;
	if (job->waits.made_r != NULL && job->err == ERR_NONE)
		*job->waits.made_r = job->made;
	for (also = job->waits.also; also != NULL; also = also->next)
		tell(job, also->wait);
	if (job->waits.commit != NULL)
		tell(job, job->waits.commit);
}

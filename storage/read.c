/* What is asked, as steps, and what comes back, as rows of the asker. */
#include "base/err.h"
#include "storage/backend.h"

#define OPEN_END                                                    \
	((uint64_t)INT64_MAX) /* numbers in the database are signed \
			       */

static struct job *
ask(struct store *store, enum shape shape, size_t max)
{
	struct job *job = job_new(store, 0);

	job->shape = shape;
	job->max = max;
	return job;
}

static struct value *
args_of(struct job *job, enum sql sql, unsigned count)
{
	return job_step(job, sql, count)->args;
}

static struct str
kept(struct job *job, struct str str)
{
	return str_dup(job->arena, str);
}

/* --- owners ----------------------------------------------------------- */

void
store_owner_find(struct store *store, struct store_owner *wait,
    struct arena *arena, struct str host, struct str local,
    void (*done)(struct store_owner *))
{
	struct job *job = ask(store, SHAPE_OWNER, 1);
	struct value *args = args_of(job, SQL_OWNER_FIND, 2);

	*wait = (struct store_owner){.done = done, .arena = arena};
	job->waits.owner = wait;
	args[0].bytes = kept(job, host);
	args[1].bytes = kept(job, local);
	store_queue(job);
}

static struct job *
ask_owners(struct store *store, struct store_owners *wait, struct arena *arena,
    unsigned max, void (*done)(struct store_owners *))
{
	struct job *job = ask(store, SHAPE_OWNER, max);

	*wait = (struct store_owners){.done = done, .arena = arena};
	job->waits.owners = wait;
	job->is_long = true;
	return job;
}

void
store_owner_list(struct store *store, struct store_owners *wait,
    struct arena *arena, const struct owner_query *query,
    void (*done)(struct store_owners *))
{
	struct job *job = ask_owners(store, wait, arena, query->max, done);
	struct value *args = args_of(job, SQL_OWNER_LIST, 3);

	args[0].bytes = kept(job, query->host);
	args[1].bytes = kept(job, query->after);
	args[2].number = query->max;
	store_queue(job);
}

void
store_owner_deleted(struct store *store, struct store_owners *wait,
    struct arena *arena, unsigned max, void (*done)(struct store_owners *))
{
	struct job *job = ask_owners(store, wait, arena, max, done);

	args_of(job, SQL_OWNER_DELETED, 1)[0].number = max;
	store_queue(job);
}

void
store_reverse(struct store *store, struct store_owners *wait,
    struct arena *arena, const struct reverse_query *query,
    void (*done)(struct store_owners *))
{
	struct job *job = ask_owners(store, wait, arena, query->max, done);
	struct value *args = args_of(job, SQL_REVERSE, 4);

	must((query->kind->flags & KIND_REVERSE) != 0);
	args[0].number = store_kind_slot(store, query->kind)->id;
	args[1].bytes = kept(job, query->key);
	args[2].number = query->after;
	args[3].number = query->max;
	store_queue(job);
}

/* --- maps ------------------------------------------------------------- */

void
store_get(struct store *store, struct store_get *wait, struct arena *arena,
    const struct map_key *key, void (*done)(struct store_get *))
{
	struct job *job = ask(store, SHAPE_MAP, 1);
	struct value *args = args_of(job, SQL_GET, 3);

	must(key->kind->shape == STORE_MAP);
	*wait = (struct store_get){.done = done, .arena = arena};
	job->waits.get = wait;
	job->owner = key->owner;
	args[0].number = key->owner;
	args[1].number = store_kind_slot(store, key->kind)->id;
	args[2].bytes = kept(job, key->key);
	store_queue(job);
}

/* The first key that a scan may find: the one right after after. */
static struct str
first_key(struct job *job, struct str prefix, struct str after)
{
	struct str next = str_join2(job->arena, after, (struct str){"", 1});

	if (after.len == 0 || str_compare(next, prefix) < 0)
		return kept(job, prefix);
	return next;
}

void
store_scan(struct store *store, struct store_scan *wait, struct arena *arena,
    const struct map_query *query, void (*done)(struct store_scan *))
{
	struct job *job = ask(store, SHAPE_MAP, query->max);
	struct str below = store_key_below(job->arena, query->prefix);
	bool has_end = below.len > 0;
	struct value *args =
	    args_of(job, has_end ? SQL_SCAN_TO : SQL_SCAN, has_end ? 5 : 4);

	must(query->kind->shape == STORE_MAP);
	*wait = (struct store_scan){.done = done, .arena = arena};
	job->waits.scan = wait;
	job->owner = query->owner;
	args[0].number = query->owner;
	args[1].number = store_kind_slot(store, query->kind)->id;
	args[2].bytes = first_key(job, query->prefix, query->after);
	if (has_end)
		args[3].bytes = below;
	args[has_end ? 4 : 3].number = (uint64_t)query->max + 1;
	store_queue(job);
}

/* --- logs ------------------------------------------------------------- */

static struct job *
ask_page(struct store *store, struct store_page *wait, struct arena *arena,
    unsigned max, void (*done)(struct store_page *))
{
	struct job *job = ask(store, SHAPE_LOG, max);

	*wait = (struct store_page){.done = done, .arena = arena};
	job->waits.page = wait;
	job->is_long = true;
	return job;
}

static uint64_t
or_open(uint64_t number)
{
	return number == 0 || number > OPEN_END ? OPEN_END : number;
}

static unsigned
page_conditions(const struct log_query *query)
{
	return (query->is_backward ? PAGE_BACKWARD : 0u) |
	       (query->peer.len > 0 ? PAGE_PEER : 0u) |
	       (query->ref.len > 0 ? PAGE_REF : 0u) |
	       (query->words.len > 0 ? PAGE_WORDS : 0u);
}

/* The bare JID, and all that begin with it and a slash; of a full one only
 * itself. */
static struct value *
add_peer(struct job *job, struct value *args, struct str peer)
{
	const bool is_full = memchr(peer.text, '/', peer.len) != NULL;

	args[0].number = store_thread(peer);
	args[1].bytes = kept(job, peer);
	args[2].bytes =
	    is_full ? args[1].bytes : str_join2(job->arena, peer, STR("/"));
	args[3].bytes = is_full ? args[1].bytes
				: store_key_below(job->arena, args[2].bytes);
	return args + 4;
}

void
store_page(struct store *store, struct store_page *wait, struct arena *arena,
    const struct log_query *query, void (*done)(struct store_page *))
{
	struct job *job = ask_page(store, wait, arena, query->max, done);
	enum sql sql = SQL_PAGE + page_conditions(query);
	struct value *args =
	    args_of(job, sql, (unsigned)strlen(sql_signature(sql)));

	must(query->kind->shape == STORE_LOG);
	must(query->peer.len == 0 || (query->kind->flags & KIND_PEER) != 0);
	job->owner = query->owner;
	job->minds_fresh = store_may_be_fresh(query->kind);
	args[0].number = query->owner;
	args[1].number = store_kind_slot(store, query->kind)->id;
	args[2].number = query->after;
	args[3].number = or_open(query->before);
	args += 4;
	if (query->peer.len > 0)
		args = add_peer(job, args, query->peer);
	if (query->ref.len > 0)
		(args++)->bytes = kept(job, query->ref);
	if (query->words.len > 0)
		(args++)->bytes = store_words_wanted(
		    store, job->arena, query->owner, query->words);
	args->number = (uint64_t)query->max + 1;
	store_queue(job);
}

void
store_due(struct store *store, struct store_page *wait, struct arena *arena,
    const struct due_query *query, void (*done)(struct store_page *))
{
	struct job *job = ask_page(store, wait, arena, query->max, done);
	struct value *args = args_of(job, SQL_DUE, 6);

	must((query->kind->flags & KIND_DUE) != 0);
	args[0].number = store_kind_slot(store, query->kind)->id;
	args[1].number = query->until_us;
	args[2].number = query->after_us;
	args[3].number = query->after_id;
	args[4].number = query->after_owner == 0 && query->after_id != 0
			     ? OPEN_END
			     : query->after_owner;
	args[5].number = (uint64_t)query->max + 1;
	store_queue(job);
}

void
store_count(struct store *store, struct store_count *wait, owner_id owner,
    const struct store_kind *kind, void (*done)(struct store_count *))
{
	struct job *job = ask(store, SHAPE_COUNT, 1);
	struct value *args = args_of(job, SQL_COUNT, 2);

	*wait = (struct store_count){.done = done};
	job->waits.count = wait;
	job->owner = owner;
	job->minds_fresh = store_may_be_fresh(kind);
	args[0].number = owner;
	args[1].number = store_kind_slot(store, kind)->id;
	store_queue(job);
}

/* --- rows ------------------------------------------------------------- */

struct count_row {
	uint64_t count, bytes, first_id, last_id;
};

static const size_t row_len[] = {
    [SHAPE_NONE] = 0,
    [SHAPE_MAP] = sizeof(struct map_row),
    [SHAPE_LOG] = sizeof(struct log_row),
    [SHAPE_OWNER] = sizeof(struct owner_row),
    [SHAPE_COUNT] = sizeof(struct count_row),
};

static void *
row_room(struct job *job)
{
	size_t len = row_len[job->shape];

	if (job->count == job->cap) {
		size_t cap = job->cap == 0 ? 4 : job->cap * 2;
		char *rows = arena_alloc_array(job->arena, len, cap);

		if (job->count > 0)
			memcpy(rows, job->rows, len * job->count);
		job->rows = rows;
		job->cap = cap;
	}
	return (char *)job->rows + len * job->count++;
}

static struct str
text_of(struct job *job, struct str str, bool copy)
{
	return copy ? str_dup(job->arena, str) : str;
}

static void
add_log_row(struct job *job, const struct value *columns, bool copy)
{
	*(struct log_row *)row_room(job) = (struct log_row){
	    .owner = columns[0].number,
	    .id = columns[1].number,
	    .nonce = columns[2].number,
	    .time_us = columns[3].number,
	    .peer = text_of(job, columns[4].bytes, copy),
	    .ref = text_of(job, columns[5].bytes, copy),
	    .value = text_of(job, columns[6].bytes, copy),
	};
}

void
job_add_row(struct job *job, const struct value *columns, bool copy)
{
	switch (job->shape) {
	case SHAPE_NONE:
		break;
	case SHAPE_MAP:
		*(struct map_row *)row_room(job) = (struct map_row){
		    .key = text_of(job, columns[0].bytes, copy),
		    .version = columns[1].number,
		    .value = text_of(job, columns[2].bytes, copy),
		};
		break;
	case SHAPE_LOG:
		add_log_row(job, columns, copy);
		break;
	case SHAPE_OWNER:
		*(struct owner_row *)row_room(job) = (struct owner_row){
		    .id = columns[0].number,
		    .host = text_of(job, columns[1].bytes, copy),
		    .local = text_of(job, columns[2].bytes, copy),
		    .state = (enum owner_state)columns[3].number,
		    .made_us = columns[4].number,
		};
		break;
	case SHAPE_COUNT:
		*(struct count_row *)row_room(job) =
		    (struct count_row){columns[0].number, columns[1].number,
			columns[2].number, columns[3].number};
		break;
	}
}

/* --- telling the asker ------------------------------------------------ */

static struct map_row
map_row_dup(struct arena *arena, const struct map_row *row)
{
	return (struct map_row){.key = str_dup(arena, row->key),
	    .value = str_dup(arena, row->value),
	    .version = row->version};
}

static struct owner_row
owner_row_dup(struct arena *arena, const struct owner_row *row)
{
	struct owner_row copy = *row;

	copy.host = str_dup(arena, row->host);
	copy.local = str_dup(arena, row->local);
	return copy;
}

/* The one that was asked for beyond max only says that there are more. */
static size_t
told_count(const struct job *job)
{
	return job->count > job->max ? job->max : job->count;
}

static void
tell_get(struct job *job, struct store_get *wait)
{
	wait->err = job->err;
	if (wait->err == ERR_NONE && job->count == 0)
		wait->err = ERR_NOT_FOUND;
	if (wait->err == ERR_NONE)
		wait->row = map_row_dup(wait->arena, job->rows);
	wait->done(wait);
}

static void
tell_scan(struct job *job, struct store_scan *wait)
{
	const struct map_row *from = job->rows;
	size_t count = told_count(job);
	struct map_row *rows = arena_array(wait->arena, struct map_row, count);

	for (size_t i = 0; i < count; i++)
		rows[i] = map_row_dup(wait->arena, &from[i]);
	wait->err = job->err;
	wait->rows = rows;
	wait->count = count;
	wait->is_more = job->count > job->max;
	wait->done(wait);
}

static void
tell_page(struct job *job, struct store_page *wait)
{
	const struct log_row *from = job->rows;
	size_t count = told_count(job);
	struct log_row *rows = arena_array(wait->arena, struct log_row, count);

	for (size_t i = 0; i < count; i++) {
		rows[i] = from[i];
		rows[i].peer = str_dup(wait->arena, from[i].peer);
		rows[i].ref = str_dup(wait->arena, from[i].ref);
		rows[i].value = str_dup(wait->arena, from[i].value);
	}
	wait->err = job->err;
	wait->rows = rows;
	wait->count = count;
	wait->is_more = job->count > job->max;
	wait->done(wait);
}

static void
tell_owner(struct job *job, struct store_owner *wait)
{
	wait->err = job->err;
	if (wait->err == ERR_NONE && job->count == 0)
		wait->err = ERR_NOT_FOUND;
	if (wait->err == ERR_NONE)
		wait->row = owner_row_dup(wait->arena, job->rows);
	wait->done(wait);
}

static void
tell_owners(struct job *job, struct store_owners *wait)
{
	const struct owner_row *from = job->rows;
	struct owner_row *rows =
	    arena_array(wait->arena, struct owner_row, job->count);

	for (size_t i = 0; i < job->count; i++)
		rows[i] = owner_row_dup(wait->arena, &from[i]);
	wait->err = job->err;
	wait->rows = rows;
	wait->count = job->count;
	wait->done(wait);
}

static void
tell_count(struct job *job, struct store_count *wait)
{
	wait->err = job->err;
	if (job->err == ERR_NONE && job->count == 1) {
		const struct count_row *row = job->rows;

		wait->count = row->count;
		wait->bytes = row->bytes;
		wait->first_id = row->first_id;
		wait->last_id = row->last_id;
	}
	wait->done(wait);
}

void
job_tell_read(struct job *job)
{
	if (job->err != ERR_NONE)
		job->count = 0;
	if (job->waits.get != NULL)
		tell_get(job, job->waits.get);
	else if (job->waits.scan != NULL)
		tell_scan(job, job->waits.scan);
	else if (job->waits.page != NULL)
		tell_page(job, job->waits.page);
	else if (job->waits.owner != NULL)
		tell_owner(job, job->waits.owner);
	else if (job->waits.owners != NULL)
		tell_owners(job, job->waits.owners);
	else if (job->waits.count != NULL)
		tell_count(job, job->waits.count);
}

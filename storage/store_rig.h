/*
 * storage/store_rig.h - for tests: a store of any backend, asked as if it
 * answered at once.
 */
#pragma once

#include <libpq-fe.h>
#include <uv.h>

#include "storage/store.h"

enum rig_mode { RIG_INLINE, RIG_SQLITE, RIG_POSTGRES };

struct rig {
	enum rig_mode mode;
	struct arena *arena;
	char dir[64]; /* temporary; holds the file "db" */
	struct storage_options options;
	struct storage *storage;
	struct store *store;
	uv_loop_t loop;
};

/* Whether the environment names a PostgreSQL that tests may use. */
bool rig_has_postgres(void);
/* Starts and stops that PostgreSQL; false when the environment does not say
 * how (JACKDAW_TEST_PG_CTL, JACKDAW_TEST_PG_DIR: see etc/check/postgres). */
bool rig_postgres_control(const char *command);
/* Statements, by a connection of their own. */
void rig_postgres_do(const char *conninfo, const char *text);
/* The same by one that is there. */
void rig_postgres_run(PGconn *, const char *text);
/* Ends all connections of the database but the one that says so. */
#define RIG_END_OTHERS                                           \
	"SELECT pg_terminate_backend(pid) FROM pg_stat_activity" \
	" WHERE pid <> pg_backend_pid() AND datname = current_database()"
/* Statements in a file of SQLite, and what a query there counts. */
void rig_sqlite_do(const char *path, const char *text);
int64_t rig_sqlite_count(const char *path, const char *query);

/* No file of this process may become longer than so many bytes; 0: any may. */
void rig_limit_files(uint64_t max);

/* With an empty database and one open store. */
struct rig *rig_new(enum rig_mode);
void rig_free(struct rig **);
/* Closes the store and the database, and opens them again. */
void rig_reopen(struct rig *);
void rig_close_store(struct rig *);
/* The store and the database. */
void rig_close_all(struct rig *);
void rig_open_store(struct rig *);
/* Both, with the options of now. */
void rig_open_all(struct rig *);

/* One round of the loop, or one step. */
void rig_turn(struct rig *);
/* Turns for so long. */
void rig_run_for(struct rig *, unsigned ms);
/* Turns until the number is not zero; fails after a minute. */
void rig_await(struct rig *, const unsigned *number);
/* The same until the store knows that its database is away. */
void rig_await_down(struct rig *);

/* --- questions, each answered when the function returns ---------------- */

struct rig_commit {
	struct store_commit commit;
	unsigned calls;
};
/* Starts it; look at calls and commit.err later. */
void rig_start(struct rig_commit *, struct store_write *);
enum err rig_commit(struct rig *, struct store_write *);

enum err rig_put(struct rig *, owner_id, const struct store_kind *,
    struct str key, struct str value);
/* The same again and again until it is kept: a store that has just been opened,
 * or lost its database, may need longer than a short deadline. */
void rig_keep(struct rig *, owner_id, const struct store_kind *, struct str key,
    struct str value);
/* The value, or the error's words in brackets: "(not found)". */
struct str rig_get(
    struct rig *, owner_id, const struct store_kind *, struct str key);
struct map_row rig_row(
    struct rig *, owner_id, const struct store_kind *, struct str key);
const struct store_scan *rig_scan(struct rig *, const struct map_query *);
const struct store_page *rig_page(struct rig *, const struct log_query *);
const struct store_page *rig_due(struct rig *, const struct due_query *);
struct store_count rig_count(struct rig *, owner_id, const struct store_kind *);
owner_id rig_make(struct rig *, struct str host, struct str local);
enum err rig_set_state(struct rig *, owner_id, enum owner_state);
const struct store_owner *rig_find(
    struct rig *, struct str host, struct str local);
const struct store_owners *rig_list(
    struct rig *, struct str host, struct str after, unsigned max);
const struct store_owners *rig_deleted(struct rig *);
const struct store_owners *rig_reverse(struct rig *, const struct store_kind *,
    struct str key, owner_id after, unsigned max);
enum err rig_purge(struct rig *, owner_id, unsigned max);
enum err rig_limit(struct rig *, const struct log_limit *);

/* --- logs ------------------------------------------------------------- */

/* A row whose nonce and time follow from its id, with the value "value". */
void rig_append(struct store_write *, const struct store_kind *, owner_id,
    uint64_t id, struct str peer);
/* Rows 1 to count of owner 2: odd ids with the peer "c@d", even ones with
 * "a@b/res". */
void rig_fill_log(struct rig *, const struct store_kind *, unsigned count);

/* --- cases ------------------------------------------------------------- */

struct rig_case {
	const char *name;
	void (*run)(void **state); /* *state is a new struct rig */
	unsigned modes;            /* bits 1 << RIG_...; 0: all */
};

/* clang-format off */
#define RIG_CASE_IN(name, modes) {#name, name, (modes)}
/* clang-format on */
#define RIG_CASE(name) RIG_CASE_IN(name, 0)

/* Runs each case on each of its backends that there is. */
int rig_run(const struct rig_case *, size_t count);

#define RIG_TEXT(str, want) rig_check_text((str), (want), __FILE__, __LINE__)
void rig_check_text(struct str, const char *want, const char *file, int line);

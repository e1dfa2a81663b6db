/* Opening, locking, migrating and copying a SQLite database. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "base/err.h"
#include "storage/schema/schema.h"
#include "storage/sqlite.h"

#define MEMORY      ":memory:"
#define READ_MODE   SQLITE_OPEN_READONLY
#define WRITE_MODE  (SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE)
#define FILE_RIGHTS 0600

/* KiB; what is appended at random owners dirties many pages of the indexes. */
#define WRITER_CACHE "PRAGMA cache_size = -16384"

static struct str
errno_text(struct arena *arena, int error)
{
	char text[128];

	return str_dup(arena, str_of(strerror_r(error, text, sizeof(text))));
}

/* What SQLite says, and what the system said to it. */
static struct str
conn_text(struct arena *arena, const struct sqlite_conn *conn)
{
	int error = sqlite3_system_errno(conn->db);

	if (error == 0)
		return str_dup(arena, str_of(sqlite3_errmsg(conn->db)));
	return str_format(arena, "%s (%.*s)", sqlite3_errmsg(conn->db),
	    STR_ARG(errno_text(arena, error)));
}

/* --- one server ------------------------------------------------------- */

/* A file beside it, for a lock of ours on the database itself would be lost
 * whenever a connection of SQLite is closed. */
static bool
lock(struct sqlite *sqlite, struct arena *arena, const char *path,
    struct str *why_r)
{
	struct str name = str_format(arena, "%s.lock", path);

	sqlite->lock_fd =
	    open(name.text, O_RDWR | O_CREAT | O_CLOEXEC, FILE_RIGHTS);
	if (sqlite->lock_fd < 0) {
		*why_r = str_format(arena, "cannot open \"%s\": %.*s",
		    name.text, STR_ARG(errno_text(arena, errno)));
		return false;
	}
	if (flock(sqlite->lock_fd, LOCK_EX | LOCK_NB) == 0)
		return true;
	*why_r = str_format(arena,
	    "the database \"%s\" is used by another server: stop that first"
	    " (it holds a lock on \"%s\")",
	    path, name.text);
	return false;
}

/* --- schema ----------------------------------------------------------- */

static bool
migrate_from(
    struct sqlite_conn *conn, const char *const schema[], unsigned version)
{
	char pragma[64];
	unsigned newest = schema_count(schema);
	int code = sqlite_conn_script(conn, "BEGIN IMMEDIATE");

	for (; code == SQLITE_OK && version < newest; version++)
		code = sqlite_conn_script(conn, schema[version]);
	snprintf(pragma, sizeof(pragma), "PRAGMA user_version = %u", newest);
	if (code == SQLITE_OK)
		code = sqlite_conn_script(conn, pragma);
	if (code == SQLITE_OK)
		code = sqlite_conn_script(conn, "COMMIT");
	return code == SQLITE_OK;
}

static bool
migrate(struct sqlite_conn *conn, struct arena *arena,
    const struct storage_options *options, struct str *why_r)
{
	const char *path = options->path;
	const char *const *schema =
	    options->schema != NULL ? options->schema : schema_sqlite;
	int64_t version = sqlite_conn_number(conn, "PRAGMA user_version");
	int64_t newest = schema_count(schema);
	int64_t tables =
	    sqlite_conn_number(conn, "SELECT count(*) FROM sqlite_schema");

	if (version > newest) {
		*why_r = str_format(arena,
		    "the database \"%s\" was made by a newer version of this"
		    " program (its schema is %lld, this program knows %lld):"
		    " use that version, or a copy made before the upgrade",
		    path, (long long)version, (long long)newest);
		return false;
	}
	if (version == 0 && tables > 0) {
		*why_r = str_format(
		    arena, "\"%s\" is the database of another program", path);
		return false;
	}
	if (version >= 0 && tables >= 0 &&
	    (version == newest ||
		migrate_from(conn, schema, (unsigned)version)))
		return true;
	*why_r = str_format(arena,
	    "cannot bring the database \"%s\" up to date: %.*s", path,
	    STR_ARG(conn_text(arena, conn)));
	return false;
}

/* --- opening ---------------------------------------------------------- */

static bool
open_one(struct sqlite_conn *conn, int flags, struct arena *arena,
    const char *path, struct str *why_r)
{
	if (sqlite_conn_open(conn, path, flags) == SQLITE_OK)
		return true;
	*why_r = str_format(arena, "cannot use the database \"%s\": %.*s", path,
	    STR_ARG(conn_text(arena, conn)));
	return false;
}

static bool
open_readers(struct sqlite *sqlite, struct arena *arena, const char *path,
    struct str *why_r)
{
	unsigned wanted = 1 + sqlite->storage.options.stores;

	if (wanted > READERS_MAX)
		wanted = READERS_MAX;
	if (wanted < 2)
		wanted = 2;
	for (unsigned i = 0; i < wanted; i++) {
		struct sqlite_reader *reader = &sqlite->readers[i];

		reader->sqlite = sqlite;
		reader->takes_long = i > 0;
		sqlite->reader_count++;
		if (!open_one(&reader->conn, READ_MODE, arena, path, why_r))
			return false;
	}
	return true;
}

/* Who has threads places them when it can; others would not see them. */
static bool
load_fresh(struct sqlite *sqlite, struct arena *arena, struct str *why_r)
{
	struct sqlite_conn *conn = &sqlite->writer;
	enum err err = fresh_load(&sqlite->fresh, conn);

	if (err == ERR_CORRUPT &&
	    (sqlite3_errcode(conn->db) & 0xff) != SQLITE_CORRUPT) {
		*why_r = str_format(arena,
		    "the table \"fresh\" of the database \"%s\" is damaged:"
		    " use a backup, or empty that table, which loses the"
		    " newest messages of archives",
		    sqlite->storage.options.path);
		return false;
	}
	if (err == ERR_NONE && sqlite->storage.options.is_inline)
		err = fresh_place_all(&sqlite->fresh, conn);
	if (err != ERR_NONE)
		*why_r = str_format(arena,
		    "cannot put rows of \"%s\" into their places: %s",
		    sqlite->storage.options.path, err_text(err));
	return err == ERR_NONE;
}

bool
sqlite_prepare(struct sqlite *sqlite, struct arena *arena,
    const struct storage_options *options, struct str *why_r)
{
	const char *path = options->path;
	bool is_memory = path != NULL && strcmp(path, MEMORY) == 0;

	sqlite->lock_fd = -1;
	/* Its statistics would cost all threads a lock at each allocation. */
	sqlite3_config(SQLITE_CONFIG_MEMSTATUS, 0);
	if (path == NULL || *path == '\0' ||
	    (is_memory && !options->is_inline)) {
		*why_r = STR("SQLite needs the path of a database file");
		return false;
	}
	if (!is_memory && !lock(sqlite, arena, path, why_r))
		return false;
	if (!open_one(&sqlite->writer, WRITE_MODE, arena, path, why_r) ||
	    !migrate(&sqlite->writer, arena, options, why_r))
		return false;
	sqlite_conn_script(&sqlite->writer, WRITER_CACHE);
	if (!load_fresh(sqlite, arena, why_r))
		return false;
	if (options->is_inline)
		return true;
	return open_one(&sqlite->copier, WRITE_MODE, arena, path, why_r) &&
	       open_readers(sqlite, arena, path, why_r);
}

void
sqlite_unprepare(struct sqlite *sqlite)
{
	for (unsigned i = 0; i < sqlite->reader_count; i++)
		sqlite_conn_close(&sqlite->readers[i].conn);
	sqlite_conn_close(&sqlite->copier);
	sqlite_conn_close(&sqlite->writer);
	fresh_deinit(&sqlite->fresh);
	if (sqlite->lock_fd >= 0)
		close(sqlite->lock_fd);
}

/* --- copying ---------------------------------------------------------- */

static int
copy_to(sqlite3 *from, const char *path)
{
	sqlite3 *to;
	sqlite3_backup *backup;
	int code = sqlite3_open_v2(path, &to, SQLITE_OPEN_READWRITE, NULL);

	if (code == SQLITE_OK) {
		backup = sqlite3_backup_init(to, "main", from, "main");
		if (backup != NULL) {
			sqlite3_backup_step(backup, -1);
			sqlite3_backup_finish(backup);
		}
		code = sqlite3_errcode(to);
	}
	sqlite3_close(to);
	return code;
}

/* A new file, so that nothing is overwritten by a slip of the hand. */
static bool
make_file(const char *path)
{
	int fd =
	    open(path, O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, FILE_RIGHTS);

	return fd >= 0 && close(fd) == 0;
}

enum err
sqlite_backup(struct storage *storage, const char *path, struct arena *arena,
    struct str *why_r)
{
	struct sqlite *sqlite = container_of(storage, struct sqlite, storage);
	struct sqlite_conn own = {0};
	struct sqlite_conn *from =
	    storage->options.is_inline ? &sqlite->writer : &own;
	int code = SQLITE_OK;

	if (!make_file(path)) {
		enum err err = errno == EEXIST ? ERR_EXISTS : ERR_IO;

		*why_r = str_format(arena, "cannot make \"%s\": %.*s", path,
		    STR_ARG(errno_text(arena, errno)));
		return err;
	}
	if (from == &own)
		code = sqlite_conn_open(
		    from, sqlite->storage.options.path, READ_MODE);
	if (code == SQLITE_OK)
		code = copy_to(from->db, path);
	if (code != SQLITE_OK) {
		*why_r = str_format(arena, "cannot copy the database: %s",
		    sqlite3_errstr(code));
		unlink(path);
	}
	sqlite_conn_close(&own);
	return sqlite_err(code);
}

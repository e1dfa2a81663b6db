/* The start: connecting, keeping other servers out, migrating. Blocks. */
#include <stdio.h>
#include <stdlib.h>

#include "base/err.h"
#include "base/rand.h"
#include "storage/postgres.h"
#include "storage/schema/schema.h"

#define CONNECT_S    "10"
#define LOCK_WAIT_MS "5000" /* a killed server's last commits end meanwhile */

struct str
postgres_words(struct arena *arena, const char *message)
{
	struct str words = str_trim(str_of(message));
	char *text = arena_text(arena, words.len + 1);
	size_t len = 0;

	for (size_t i = 0; i < words.len; i++) {
		bool is_space = (unsigned char)words.text[i] <= ' ';

		if (is_space && text[len - 1] == ' ')
			continue;
		text[len++] = is_space ? ' ' : words.text[i];
	}
	text[len] = '\0';
	return (struct str){text, len};
}

static void
ignore_notice(void *arg, const PGresult *result)
{
}

/* All statements of the text, in one transaction if they begin none. The result
 * of the last, or of the one that failed. */
static PGresult *
ask(PGconn *conn, const char *text)
{
	PGresult *last = NULL, *next;

	if (PQsendQuery(conn, text) != 1)
		return NULL;
	while ((next = PQgetResult(conn)) != NULL) {
		if (last != NULL && PQresultStatus(last) == PGRES_FATAL_ERROR) {
			PQclear(next);
			continue;
		}
		PQclear(last);
		last = next;
	}
	return last;
}

static bool
is_done(const PGresult *result)
{
	ExecStatusType status = PQresultStatus(result);

	return status == PGRES_COMMAND_OK || status == PGRES_TUPLES_OK;
}

static bool
did(PGconn *conn, const char *text)
{
	PGresult *result = ask(conn, text);
	bool is_ok = is_done(result);

	PQclear(result);
	return is_ok;
}

/* The first value of the first row; empty when there is none. */
static struct str
value_of(struct arena *arena, PGconn *conn, const char *text)
{
	PGresult *result = ask(conn, text);
	struct str value = STR_NONE;

	if (PQresultStatus(result) == PGRES_TUPLES_OK && PQntuples(result) > 0)
		value = str_dup(arena, str_of(PQgetvalue(result, 0, 0)));
	PQclear(result);
	return value;
}

/* --- connecting ------------------------------------------------------- */

static void
add_param(struct postgres *postgres, const char *name, const char *value)
{
	size_t at = 0;

	while (postgres->names[at] != NULL &&
	       strcmp(postgres->names[at], name) != 0)
		at++;
	must(at + 1 < POSTGRES_PARAMS_MAX);
	postgres->names[at] = name;
	postgres->values[at] = value;
}

static bool
read_params(struct postgres *postgres, struct arena *arena, struct str *why_r)
{
	char *message = NULL;
	PQconninfoOption *options =
	    PQconninfoParse(postgres->storage.options.conninfo, &message);

	if (options == NULL) {
		*why_r = str_format(arena,
		    "the connection string of the database is not valid: %.*s",
		    STR_ARG(postgres_words(arena, message)));
		PQfreemem(message);
		return false;
	}
	for (PQconninfoOption *at = options; at->keyword != NULL; at++) {
		if (at->val != NULL)
			add_param(postgres,
			    str_dup(postgres->arena, str_of(at->keyword)).text,
			    str_dup(postgres->arena, str_of(at->val)).text);
	}
	PQconninfoFree(options);
	add_param(postgres, "client_encoding", "UTF8");
	add_param(postgres, "fallback_application_name", "jackdaw");
	add_param(postgres, "connect_timeout", CONNECT_S);
	return true;
}

static struct str
connect_hint(const PGconn *conn)
{
	if (PQconnectionNeedsPassword(conn) == 1)
		return STR(": it wants a password, and none is configured");
	if (PQconnectionUsedPassword(conn) == 1)
		return STR(": is the password right?");
	return STR(": is it running, and are its address, database and user"
		   " right?");
}

static bool
connect_guard(struct postgres *postgres, struct arena *arena, struct str *why_r)
{
	const char *address;

	postgres->guard =
	    PQconnectdbParams(postgres->names, postgres->values, 0);
	must(postgres->guard != NULL);
	if (PQstatus(postgres->guard) != CONNECTION_OK) {
		*why_r = str_format(arena, "cannot use the database%.*s (%.*s)",
		    STR_ARG(connect_hint(postgres->guard)),
		    STR_ARG(postgres_words(
			arena, PQerrorMessage(postgres->guard))));
		return false;
	}
	PQsetNoticeReceiver(postgres->guard, ignore_notice, NULL);
	address = PQhostaddr(postgres->guard);
	if (address != NULL && *address != '\0') {
		add_param(postgres, "host",
		    str_dup(postgres->arena, str_of(PQhost(postgres->guard)))
			.text);
		add_param(postgres, "port",
		    str_dup(postgres->arena, str_of(PQport(postgres->guard)))
			.text);
		add_param(postgres, "hostaddr",
		    str_dup(postgres->arena, str_of(address)).text);
	}
	return true;
}

/* --- one server, one schema ------------------------------------------- */

static bool
failed(struct postgres *postgres, const char *what, struct arena *arena,
    struct str *why_r)
{
	*why_r = str_format(arena, "%s: %.*s", what,
	    STR_ARG(postgres_words(arena, PQerrorMessage(postgres->guard))));
	return false;
}

static bool
lock(struct postgres *postgres, struct arena *arena, struct str *why_r)
{
	PGconn *conn = postgres->guard;

	if (!did(conn, "SET lock_timeout = " LOCK_WAIT_MS))
		return failed(
		    postgres, "the database does not answer", arena, why_r);
	if (did(conn, "SELECT pg_advisory_lock(" POSTGRES_LOCK ")"))
		return true;
	*why_r = STR("the database is used by another server: stop that first,"
		     " or give this one a database of its own");
	return false;
}

/* Other connections of this server may come from now on, other servers not. */
static bool
share_lock(PGconn *conn)
{
	return did(conn, "SELECT pg_advisory_lock_shared(" POSTGRES_LOCK ")") &&
	       did(conn, "SELECT pg_advisory_unlock(" POSTGRES_LOCK ")");
}

static bool
migrate_from(PGconn *conn, const char *const schema[], unsigned version)
{
	char text[128];
	unsigned newest = schema_count(schema);
	bool is_ok = did(conn, "BEGIN");

	for (; is_ok && version < newest; version++)
		is_ok = did(conn, schema[version]);
	snprintf(text, sizeof(text),
	    "INSERT INTO meta VALUES ('schema', '%u')"
	    " ON CONFLICT (name) DO UPDATE SET value = excluded.value",
	    newest);
	return is_ok && did(conn, text) && did(conn, "COMMIT");
}

static bool
migrate(struct postgres *postgres, struct arena *arena, struct str *why_r)
{
	PGconn *conn = postgres->guard;
	const char *const *schema = postgres->storage.options.schema != NULL
					? postgres->storage.options.schema
					: schema_postgres;
	unsigned newest = schema_count(schema);
	uint64_t version = 0;
	struct str found;

	if (!did(conn, "CREATE TABLE IF NOT EXISTS meta"
		       " (name text PRIMARY KEY, value text NOT NULL)"))
		return failed(postgres, "cannot make tables", arena, why_r);
	found = value_of(
	    arena, conn, "SELECT value FROM meta WHERE name = 'schema'");
	if (found.len > 0 && !str_to_u64(found, UINT32_MAX, &version)) {
		*why_r = STR("the database is that of another program: its"
			     " table meta is not ours");
		return false;
	}
	if (version > newest) {
		*why_r = str_format(arena,
		    "the database was made by a newer version of this program"
		    " (its schema is %llu, this program knows %u): use that"
		    " version, or a copy made before the upgrade",
		    (unsigned long long)version, newest);
		return false;
	}
	if (version < newest && !migrate_from(conn, schema, (unsigned)version))
		return failed(postgres, "cannot bring the database up to date",
		    arena, why_r);
	return true;
}

/* A server that was cut off and comes back when another has started finds
 * another name here, and stays away. */
static bool
sign(struct postgres *postgres, struct arena *arena, struct str *why_r)
{
	struct str text;

	postgres->instance = rand_id(postgres->arena, 20);
	postgres->line_key = (unsigned)rand_below(INT32_MAX);
	text = str_format(arena,
	    "INSERT INTO meta VALUES ('server', '%.*s')"
	    " ON CONFLICT (name) DO UPDATE SET value = excluded.value",
	    STR_ARG(postgres->instance));
	return did(postgres->guard, text.text) ||
	       failed(postgres, "cannot write to the database", arena, why_r);
}

/* Another one has no letters for most names and words: these could not be kept.
 * SQL_ASCII takes all bytes; but what a letter is searches do not know there.
 */
static bool
check_encoding(
    struct postgres *postgres, struct arena *arena, struct str *why_r)
{
	const struct str encoding =
	    str_of(PQparameterStatus(postgres->guard, "server_encoding"));

	if (str_is(encoding, "UTF8") || str_is(encoding, "SQL_ASCII"))
		return true;
	*why_r = str_format(arena,
	    "the database cannot keep every text, for its encoding is %.*s:"
	    " make one with --encoding=UTF8",
	    STR_ARG(encoding));
	return false;
}

bool
postgres_prepare(
    struct postgres *postgres, struct arena *arena, struct str *why_r)
{
	return read_params(postgres, arena, why_r) &&
	       connect_guard(postgres, arena, why_r) &&
	       check_encoding(postgres, arena, why_r) &&
	       lock(postgres, arena, why_r) &&
	       migrate(postgres, arena, why_r) &&
	       sign(postgres, arena, why_r) &&
	       (share_lock(postgres->guard) ||
		   failed(postgres, "cannot keep the lock of the database",
		       arena, why_r));
}

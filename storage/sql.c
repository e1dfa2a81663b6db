#include "storage/sql.h"

/* What a change is counted as: its version grows also when the clock that it
 * was made by has gone back. */
#define NEWER                                           \
	"version = CASE WHEN maps.version < $4 THEN $4" \
	" ELSE maps.version + 1 END, flags = $5, value = $6"
#define OWNER_ROW                                             \
	"owners.id, owners.host, owners.local, owners.state," \
	" owners.made"
#define LOG_ROW                                                  \
	"logs.owner, logs.id, logs.nonce, logs.time, logs.peer," \
	" logs.ref, logs.value"
/* The oldest that stays. */
#define LOG_LIMITED                                                      \
	"CASE WHEN $4 = 0 THEN $3 ELSE coalesce((SELECT CASE WHEN id > " \
	"$3 THEN id ELSE $3 END FROM logs WHERE owner = $1"              \
	" AND kind = $2 ORDER BY id DESC LIMIT 1 OFFSET $4 - 1), $3) END"
#define IS_DELETED "EXISTS (SELECT 1 FROM owners WHERE id = $1 AND state = 2)"
#define ONE_MAP    "owner = $1 AND kind = $2 AND key = $3"
#define ONE_LOG    "owner = $1 AND kind = $2 AND id = $3"

/* PostgreSQL must refuse by itself: in a pipeline nobody could roll back. */
#define NEEDED(change)             \
	"WITH changed AS (" change \
	" RETURNING 1) SELECT jackdaw_need(count(*)) FROM changed"

#define SET_STATE \
	"UPDATE owners SET state = $2 WHERE id = $1 AND (state <> 2 OR $2 = 2)"
#define PUT_IF "UPDATE maps SET " NEWER " WHERE " ONE_MAP " AND version = $7"
#define PUT_NEW                                                      \
	"INSERT INTO maps (owner, kind, key, version, flags, value)" \
	" VALUES ($1, $2, $3, $4, $5, $6)"

#define APPEND                                                           \
	"INSERT INTO logs (owner, kind, id, nonce, time, thread, flags," \
	" peer, ref, value)"
#define TEN        "$1, $2, $3, $4, $5, $6, $7, $8, $9, $10"
#define FRESH_ROW  "owner, kind, id, nonce, time, thread, flags, peer, value"
#define FRESH_LAST "(SELECT coalesce(max(rowid), 0) FROM fresh)"
#define REPLACE                                              \
	" ON CONFLICT (owner, kind, id) DO UPDATE SET"       \
	" nonce = excluded.nonce, time = excluded.time,"     \
	" thread = excluded.thread, flags = excluded.flags," \
	" peer = excluded.peer, ref = excluded.ref,"         \
	" value = excluded.value"

struct text {
	const char *sqlite;
	const char *postgres; /* NULL: the same */
};

static const struct text texts[SQL_PAGE] = {
    [SQL_BEGIN] = {"BEGIN IMMEDIATE", ""},
    [SQL_COMMIT] = {"COMMIT", ""},
    [SQL_ROLLBACK] = {"ROLLBACK", ""},
    [SQL_SAVE] = {"SAVEPOINT batch", ""},
    [SQL_SAVE_BACK] = {"ROLLBACK TO batch", ""},
    [SQL_SAVE_DROP] = {"RELEASE batch", ""},
    [SQL_FRESH_ADD] = {"INSERT INTO fresh (rows) VALUES ($1)", ""},
    [SQL_FRESH_LIST] = {"SELECT rowid, rows FROM fresh ORDER BY rowid", ""},
    [SQL_FRESH_PLACE] = {"INSERT INTO logs (" FRESH_ROW ") SELECT " FRESH_ROW
			 " FROM picked WHERE true" REPLACE,
	""},
    [SQL_FRESH_CLEAR] = {"DELETE FROM fresh WHERE rowid <= $1", ""},
    [SQL_SETTLE_BOUND] = {"UPDATE settled SET upto = " FRESH_LAST
			  " WHERE upto > " FRESH_LAST,
	""},
    [SQL_SETTLE] = {"INSERT OR REPLACE INTO settled VALUES ($1, $2)", ""},
    [SQL_SETTLED] = {"SELECT 1 FROM settled WHERE owner = $1 AND upto >= $2",
	""},
    [SQL_SETTLE_CLEAR] = {"DELETE FROM settled WHERE upto <= $1", ""},
    [SQL_GET] = {"SELECT key, version, value FROM maps WHERE " ONE_MAP, NULL},
    [SQL_SCAN] = {"SELECT key, version, value FROM maps WHERE owner = $1"
		  " AND kind = $2 AND key >= $3 ORDER BY key LIMIT $4",
	NULL},
    [SQL_SCAN_TO] = {"SELECT key, version, value FROM maps WHERE owner = $1"
		     " AND kind = $2 AND key >= $3 AND key < $4"
		     " ORDER BY key LIMIT $5",
	NULL},
    [SQL_REVERSE] = {"SELECT " OWNER_ROW " FROM maps"
		     " JOIN owners ON owners.id = maps.owner"
		     " WHERE maps.kind = $1 AND maps.key = $2"
		     " AND (maps.flags & 2) <> 0 AND maps.owner > $3"
		     " AND owners.state <> 2 ORDER BY maps.owner LIMIT $4",
	NULL},
    [SQL_COUNT] = {"SELECT"
		   " coalesce((SELECT count FROM counts"
		   " WHERE owner = $1 AND kind = $2), 0),"
		   " coalesce((SELECT bytes FROM counts"
		   " WHERE owner = $1 AND kind = $2), 0),"
		   " coalesce((SELECT min(id) FROM logs"
		   " WHERE owner = $1 AND kind = $2), 0),"
		   " coalesce((SELECT max(id) FROM logs"
		   " WHERE owner = $1 AND kind = $2), 0)",
	NULL},
    [SQL_DUE] = {"SELECT " LOG_ROW " FROM logs"
		 " WHERE kind = $1 AND (flags & 4) <> 0 AND time <= $2"
		 " AND (time, id, owner) > ($3, $4, $5)"
		 " ORDER BY time, id, owner LIMIT $6",
	NULL},
    [SQL_OWNER_FIND] = {"SELECT " OWNER_ROW " FROM owners"
			" WHERE host = $1 AND local = $2 AND state <> 2",
	NULL},
    [SQL_OWNER_LIST] = {"SELECT " OWNER_ROW " FROM owners"
			" WHERE host = $1 AND local > $2 AND state <> 2"
			" ORDER BY local LIMIT $3",
	NULL},
    [SQL_OWNER_DELETED] = {"SELECT " OWNER_ROW " FROM owners"
			   " WHERE state = 2 ORDER BY id LIMIT $1",
	NULL},
    [SQL_OWNER_NEXT] = {"", "SELECT nextval('owners_id')"},
    [SQL_OWNER_MAKE] = {"INSERT INTO owners (id, host, local, state, made)"
			" VALUES ($1, $2, $3, 0, $4)",
	NULL},
    [SQL_OWNER_STATE] = {SET_STATE, NEEDED(SET_STATE)},
    [SQL_KIND] = {"INSERT INTO kinds (id, name, flags) VALUES ($1, $2, $3)"
		  " ON CONFLICT (id) DO NOTHING",
	NULL},
    [SQL_PUT] = {PUT_NEW " ON CONFLICT (owner, kind, key) DO UPDATE SET " NEWER,
	NULL},
    [SQL_PUT_NEW] = {PUT_NEW, NULL},
    [SQL_PUT_IF] = {PUT_IF, NEEDED(PUT_IF)},
    [SQL_REMOVE] = {"DELETE FROM maps WHERE " ONE_MAP, NULL},
    [SQL_REMOVE_FROM] = {"DELETE FROM maps"
			 " WHERE owner = $1 AND kind = $2 AND key >= $3",
	NULL},
    [SQL_REMOVE_TO] = {"DELETE FROM maps WHERE owner = $1 AND kind = $2"
		       " AND key >= $3 AND key < $4",
	NULL},
    [SQL_APPEND] = {APPEND " VALUES (" TEN ")" REPLACE,
	APPEND " SELECT * FROM unnest(" TEN ")" REPLACE},
    [SQL_UNREF] = {"DELETE FROM logs WHERE owner = $1 AND kind = $2"
		   " AND ref = $3 AND peer = $4 AND id <> $5",
	NULL},
    [SQL_WORDS] = {"INSERT OR REPLACE INTO words (rowid, text)"
		   " SELECT rowid, $4 FROM logs WHERE " ONE_LOG,
	"INSERT INTO words (owner, kind, id, words)"
	" SELECT owner, kind, id, to_tsvector('simple', $4) FROM logs"
	" WHERE " ONE_LOG
	" ON CONFLICT (owner, kind, id) DO UPDATE SET words = excluded.words"},
    [SQL_LOG_REMOVE] = {"DELETE FROM logs WHERE " ONE_LOG, NULL},
    [SQL_LOG_TRIM] = {"DELETE FROM logs"
		      " WHERE owner = $1 AND kind = $2 AND id <= $3",
	NULL},
    [SQL_LOG_DUE] = {"UPDATE logs SET time = $4 WHERE " ONE_LOG, NULL},
    [SQL_LOG_LIMIT] = {"DELETE FROM logs WHERE rowid IN (SELECT rowid FROM logs"
		       " WHERE owner = $1 AND kind = $2 AND id < " LOG_LIMITED
		       " ORDER BY id LIMIT $5)",
	"DELETE FROM logs WHERE ctid = ANY (ARRAY(SELECT ctid FROM logs"
	" WHERE owner = $1 AND kind = $2 AND id < " LOG_LIMITED
	" ORDER BY id LIMIT $5))"},
    [SQL_PURGE_LOGS] = {"DELETE FROM logs WHERE rowid IN (SELECT rowid"
			" FROM logs WHERE owner = $1 LIMIT $2) AND " IS_DELETED,
	"DELETE FROM logs WHERE ctid = ANY (ARRAY(SELECT ctid FROM logs"
	" WHERE owner = $1 LIMIT $2)) AND " IS_DELETED},
    [SQL_PURGE_MAPS] = {"DELETE FROM maps WHERE owner = $1 AND (kind, key) IN"
			" (SELECT kind, key FROM maps WHERE owner = $1"
			" LIMIT $2) AND " IS_DELETED,
	NULL},
    [SQL_PURGE_COUNTS] =
	{"DELETE FROM counts WHERE owner = $1"
	 " AND NOT EXISTS (SELECT 1 FROM logs WHERE owner = $1)"
	 " AND NOT EXISTS (SELECT 1 FROM maps WHERE owner = $1)"
	 " AND " IS_DELETED,
	    NULL},
    [SQL_PURGE_OWNER] =
	{"DELETE FROM owners WHERE id = $1 AND state = 2"
	 " AND NOT EXISTS (SELECT 1 FROM logs WHERE owner = $1)"
	 " AND NOT EXISTS (SELECT 1 FROM maps WHERE owner = $1)",
	    NULL},
};

static const char *const signatures[SQL_PAGE] = {
#define X(name, signature) signature,
    SQL_MAP(X)
#undef X
};

/* By conditions, without the direction. */
static const char *const page_signatures[PAGE_COUNT >> 1] = {
    "onnnn",
    "onnnnbbbn",
    "onnnbn",
    "onnnnbbbbn",
    "onnntn",
    "onnnnbbbtn",
    "onnnbtn",
    "onnnnbbbbtn",
};

/* $1 to $4 are always there: owner, kind and the ids. */
#define PAGE_ARGS 4

/* By one index, in its order: PostgreSQL keeps to an index that alone has the
 * order wanted and bounds that it cannot misjudge, SQLite to one that it is
 * told. */
static void
key_text(bool has_peer, bool is_postgres, struct buf *text)
{
	const char *key =
	    has_peer ? "(owner, kind, thread, id)" : "(owner, kind, id)";
	const char *thread = has_peer ? " $5," : "";

	if (is_postgres)
		buf_add_format(text,
		    " WHERE %s > ($1, $2,%s $3) AND %s < ($1, $2,%s $4)", key,
		    thread, key, thread);
	else
		buf_add_format(text,
		    " INDEXED BY %s WHERE owner = $1 AND kind = $2"
		    " AND id > $3 AND id < $4%s",
		    has_peer ? "logs_peer" : "logs_id",
		    has_peer ? " AND thread = $5" : "");
}

/* The index of words says which rows. SQLite and PostgreSQL walk the owner's
 * log for them all the same: a rare word costs as much as the log is long. */
static void
search_text(bool has_peer, struct buf *text)
{
	buf_add(text,
	    STR(" WHERE owner = $1 AND kind = $2 AND id > $3 AND id < $4"));
	if (has_peer)
		buf_add(text, STR(" AND thread = $5"));
}

static const char *
order_of(unsigned conditions, bool is_postgres)
{
	const bool is_backward = (conditions & PAGE_BACKWARD) != 0;

	if (!is_postgres || (conditions & PAGE_WORDS) != 0)
		return is_backward ? "id DESC" : "id";
	if ((conditions & PAGE_PEER) == 0)
		return is_backward ? "owner DESC, kind DESC, id DESC"
				   : "owner, kind, id";
	return is_backward ? "owner DESC, kind DESC, thread DESC, id DESC"
			   : "owner, kind, thread, id";
}

static void
page_text(unsigned conditions, bool is_postgres, struct buf *text)
{
	const bool has_peer = (conditions & PAGE_PEER) != 0;
	int next = PAGE_ARGS + 1;

	buf_add(text, STR("SELECT " LOG_ROW " FROM logs"));
	if ((conditions & PAGE_WORDS) != 0)
		search_text(has_peer, text);
	else
		key_text(has_peer, is_postgres, text);
	if (has_peer) {
		buf_add(text,
		    STR(" AND (flags & 32) <> 0"
			" AND (peer = $6 OR (peer >= $7 AND peer < $8))"));
		next += 4;
	}
	if ((conditions & PAGE_REF) != 0)
		buf_add_format(text, " AND ref = $%d", next++);
	if ((conditions & PAGE_WORDS) != 0)
		buf_add_format(text,
		    is_postgres
			? " AND id IN (SELECT id FROM words WHERE owner = $1"
			  " AND kind = $2 AND words.words @@"
			  " plainto_tsquery('simple', $%d))"
			: " AND rowid IN"
			  " (SELECT rowid FROM words WHERE words MATCH $%d)",
		    next++);
	buf_add_format(text, " ORDER BY %s LIMIT $%d",
	    order_of(conditions, is_postgres), next);
}

/* SQLite numbers $1 in order of appearance, and ?1 by its number. */
static void
number_for_sqlite(struct buf *text)
{
	for (size_t i = 0; i < text->len; i++) {
		if (text->text[i] == '$')
			text->text[i] = '?';
	}
}

void
sql_text(enum sql sql, bool is_postgres, struct buf *text)
{
	const struct text *at = &texts[sql < SQL_PAGE ? sql : 0];

	buf_clear(text, SIZE_MAX);
	if (sql >= SQL_PAGE)
		page_text(sql - SQL_PAGE, is_postgres, text);
	else if (is_postgres && at->postgres != NULL)
		buf_add(text, str_of(at->postgres));
	else
		buf_add(text, str_of(at->sqlite));
	if (!is_postgres)
		number_for_sqlite(text);
}

const char *
sql_signature(enum sql sql)
{
	return sql < SQL_PAGE ? signatures[sql]
			      : page_signatures[(sql - SQL_PAGE) >> 1];
}

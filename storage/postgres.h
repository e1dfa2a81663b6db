/*
 * storage/postgres.h - the PostgreSQL backend: its connections.
 *
 * Each store has two lines to the database, polled in the loop of its shard:
 * the main one for writes and short reads, and one aside for reads that may
 * take long. What a turn asks is sent as a segment of a pipeline: all in one
 * round trip. One write segment is under way at a time; what is queued
 * meanwhile makes the next. A lost line is opened again, later each time, when
 * the connection that it had is over in the server too: nothing comes late.
 */
#pragma once

#include <libpq-fe.h>

#include "storage/backend.h"

/* Of the advisory lock that every connection of a server shares, and that a
 * server has to itself for a moment when it starts. */
#define POSTGRES_LOCK "7593466718031487009"

#define POSTGRES_PARAMS_MAX 64

struct postgres {
	struct storage storage;
	PGconn *guard; /* keeps the lock; not used after the start */
	struct arena *arena;
	/* How the lines connect: with the address that was found at the start,
	 * for no shard may wait for the DNS. */
	const char *names[POSTGRES_PARAMS_MAX], *values[POSTGRES_PARAMS_MAX];
	struct str instance; /* this server's name in meta */
	atomic_bool is_lost; /* logged already */
	atomic_uint lines;   /* that were made so far */
	unsigned line_key;   /* random: of the locks of the lines */
};

enum line_state {
	LINE_DOWN,       /* waits for retry */
	LINE_CONNECTING, /* PQconnectPoll */
	LINE_PREPARING,  /* the first segment: settings, lock, statements */
	LINE_READY,
	LINE_CLOSED
};

enum segment_kind { SEGMENT_SETUP, SEGMENT_READS, SEGMENT_WRITES, SEGMENT_ID };

/* Rows that are to be appended, by whatever jobs. */
#define ROWS_COLUMNS 10
#define ROWS_KEPT    65536 /* bytes of memory that are kept, each column */

struct rows {
	struct buf columns[ROWS_COLUMNS]; /* arrays, as they are sent */
	unsigned count;
	struct job *job;         /* whose it is; NULL: there are more */
	const struct step *step; /* of the last */
};

struct asked {           /* a statement that was sent */
	struct job *job; /* NULL: of several rows, nobody knows whose fails */
	const struct step *step;
};

struct segment {
	struct link link;
	enum segment_kind kind;
	struct list jobs;
	struct job *at;      /* READS: whose answer is next */
	struct asked *asked; /* WRITES: all but the commit */
	unsigned asked_count;
	unsigned results;    /* SETUP, WRITES: seen so far */
	bool is_failed;      /* the server undid it */
	bool is_cut;         /* it went before all was done that was asked */
	bool may_repeat;     /* it was no fault of theirs */
	struct job *culprit; /* of a failed write: whose step it was */
	enum err err;
	uint64_t begun_ms;
};

struct line {
	struct postgres_store *store;
	unsigned number; /* of all lines of this server */
	enum line_state state;
	PGconn *conn;
	struct watch *watch; /* of its socket */
	uv_timer_t timer;    /* until the next try, or the next look at it */
	unsigned tries;      /* that failed in a row */
	struct list reads, writes; /* not sent yet */
	struct list segments;      /* sent, in order */
	unsigned read_segments;
	struct rows rows; /* of the segment that is being sent */
	bool has_writes;  /* a segment of writes, or for an id, is under way */
};

struct postgres_store {
	struct store store;
	struct line main, aside;
	unsigned closing; /* handles that are not closed yet */
	bool is_closing;
};

/* --- postgres_open.c -------------------------------------------------- */

/* Blocks. Connects the guard, takes the lock, migrates. */
bool postgres_prepare(struct postgres *, struct arena *, struct str *why_r);
/* The last words of a connection, on one line. */
struct str postgres_words(struct arena *, const char *message);

/* --- postgres_line.c -------------------------------------------------- */

void line_open(struct line *, struct postgres_store *);
/* Sends what can be sent. */
void line_pump(struct line *);
/* Ends it; store->closing tells when its handles are gone. */
void line_close(struct line *);

/* --- postgres_pipe.c -------------------------------------------------- */

/* Sends a prepared step; false when the connection is lost. */
bool pipe_send(PGconn *, const struct job *, const struct step *);
bool pipe_send_values(PGconn *, enum sql, int count, const char *const *values,
    const int *lens, const int *formats);
/* A number among the arguments of a step. */
uint64_t pipe_argument(const struct job *, const struct step *, unsigned at);
/* The type of an argument, by its letter in the signature. */
Oid pipe_oid(char letter);
bool pipe_send_plain(PGconn *, enum sql);
bool pipe_prepare_all(PGconn *);
void pipe_add_rows(struct job *, const PGresult *);
uint64_t pipe_changed(PGresult *);
uint64_t pipe_number(const PGresult *, int row, int column);
/* By SQLSTATE. */
enum err pipe_err(const PGresult *, const struct step *);
/* The transaction was undone for no fault of its own: try it again. */
bool pipe_may_repeat(const PGresult *);
/* The server is going away, or is gone: so is the connection. */
bool pipe_is_ending(const PGresult *);
/* It says so itself, in place of an answer. */
bool pipe_is_cut(const PGresult *);

/* --- postgres_rows.c -------------------------------------------------- */

/* One more row, of a step SQL_APPEND. */
void rows_add(struct rows *, struct job *, const struct step *);
/* Sends all, at least one, by one statement, and empties it; false when the
 * connection is lost. No two may have the same id. */
bool rows_send(struct rows *, PGconn *);
void rows_clear(struct rows *);
void rows_deinit(struct rows *);

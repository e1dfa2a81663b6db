/*
 * modules/archive_wait.h - which rows of an archive who comes online is sent:
 * archive_wait.c knows, archive_catch_up.c sends, archive_ring.c tells devices.
 */
#pragma once

#include "modules/id_ranges.h"
#include "modules/tickets.h"
#include "server/session.h"
#include "server/timer.h"

struct archive_ring;

/* A row that sessions were sent. */
struct archive_open {
	uint64_t id;
	unsigned sent;  /* to so many that are there and have yet to prove it */
	bool is_proved; /* by another one */
};

/* Which rows who comes online is to be sent; in memory while the account is.
 * What neither is open nor waits is done with. */
struct archive_waiting {
	struct id_ranges ranges;   /* these wait */
	struct archive_open *list; /* by id */
	size_t count, room;
	uint64_t done; /* the newest row that is done with */
	uint64_t mark; /* as it is stored: archive_wait.c */
	bool is_reading;
	bool is_full;    /* the rows that were read last were all that their
			    bytes allowed: they are proved first */
	bool is_asked;   /* who is paused waits for answers of the archive: they
			    say what it is to be sent */
	unsigned place;  /* that who is paused holds */
	uint64_t paused; /* session->number: more is read for it when it has
			    proved some of what it was sent, and the next
			    row is written; 0: none */
	struct archive_ring *ring; /* NULL: nothing came back */
	struct timer save;         /* of the mark */
	struct timer retry;        /* of a read that failed, or is_asked */
	uint64_t failing_ms; /* since when reads fail: clock_mono_ms; 0: they do
				not */
};

/* Of a session: what it was sent and has not proved. */
struct archive_session {
	struct tickets sent;
	uint64_t queried; /* rows up to this one it could have from the archive;
			     0: it did not ask */
	unsigned asked;   /* queries that did not come to the handler yet */
	unsigned queries; /* under way */
	unsigned wanted;  /* rows, at most, of those of them that are read */
};

struct archive_session *archive_session_of(struct session *);

extern const struct store_kind archive_mark_kind;

/* Reads the mark; what is after it, up to the last row, waits. */
void archive_wait_load(struct account *, struct join *);
/* After that and last_id are there. */
void archive_wait_begin(struct account *);
void archive_wait_forget(struct account *);
/* Nobody could take this row. */
void archive_wait_add(struct account *, uint64_t id);
/* The session is sent this row: the ticket that its receipt proves. */
uint64_t archive_wait_sent(struct session *, uint64_t id, bool is_read);
/* Whether the letter, which is held, was the row of a message to the account,
 * which waits again then. */
bool archive_wait_again(struct session *, const struct post *);
/* Hooks. */
void archive_wait_proved(struct session *, uint64_t ticket);
void archive_wait_closed(struct session *);
void archive_wait_drain(struct account *);
void archive_wait_save(struct session *, struct node *);
void archive_wait_restore(struct session *, const struct node *);
/* Rows from..to wait: the least and the greatest of them. False when none. */
bool archive_waits(
    const struct archive_waiting *, uint64_t *from_r, uint64_t *to_r);
bool archive_waits_for(const struct archive_waiting *, uint64_t id);
/* These rows wait no more: sent, or not to be sent. */
void archive_wait_read(struct account *, uint64_t from, uint64_t upto);
/* Nothing up to this one waits any more: the client has the archive. */
void archive_wait_drop(struct account *, uint64_t upto);

/* Whether what waits may go to this session. */
bool archive_may_send(const struct session *);
/* Sends what waits to the session, if it is one that may have it. */
void archive_catch_up(struct session *);
/* It is there from before a restart: what comes meanwhile waits behind what it
 * is sent when its client comes back. */
void archive_catch_up_restored(struct session *);
/* Its client came back, or it said with which priority it is available. */
void archive_catch_up_came(struct session *);
/* Its stream broke: others that are there go on where it was. */
void archive_catch_up_left(struct session *);
/* One of its queries is answered, or refused. */
void archive_catch_up_asked(struct session *);
/* It proved some of what it was sent; it is not available; it closed. */
void archive_catch_up_on(struct session *);
/* Rows were written, or could not be. */
void archive_catch_up_written(struct account *);
void archive_catch_up_closed(struct session *);
/* To whichever session may. */
void archive_offer(struct account *);

/* This row came back from a session that was sent it as it came. */
void archive_ring_add(struct account *, uint64_t id);
/* Devices are told of those, if nobody is there: archive_ring.c. */
void archive_ring(struct account *);
void archive_ring_forget(struct account *);

/*
 * modules/offline_private.h - what the files of the module share: offline.c
 * keeps, reads and sends; offline_live.c keeps what is sent to who is online;
 * offline_bounce.c hands errors over that must not get lost.
 */
#pragma once

#include "base/table.h"
#include "modules/offline.h"
#include "modules/repeat.h"
#include "modules/tickets.h"
#include "server/session.h"
#include "server/timer.h"

/* Of an account: errors that were sent to its sessions and not proved to have
 * arrived. */
struct bounces {
	struct list list; /* zeroed until first used */
	uint64_t count;   /* that there ever were */
};

/* Of an account: rows that sessions were sent and have not proved, written or
 * yet to be. Who comes online is not sent them. */
struct lives {
	struct table table; /* struct live, by id */
	struct list fresh;  /* yet to be written */
	struct list proved; /* yet to be erased */
	struct list done;   /* in no session, while rows are read */
	struct timer write; /* of what is yet to be written, erased */
	uint64_t write_ms;  /* when that is: clock_mono_ms; 0: after a failure,
			       and not sooner for new ones */
	bool is_failing;    /* that was logged */
};

struct offline {
	struct account *account; /* once it was loaded */
	uint64_t last_id;        /* of the newest row */
	uint64_t count;          /* of rows that wait, as far as known */
	uint64_t added;          /* since they were last counted */
	unsigned rounds;         /* that they were counted */
	uint64_t reader;         /* session->number of whom rows were sent to;
				    0: nobody */
	uint64_t sent_id;        /* up to this one */
	uint64_t again;          /* the least row that waits anew; 0: none */
	uint64_t proved_id;      /* rows up to this one were proved */
	unsigned unproved;       /* rows it was sent since it proved any */
	bool is_full;            /* the last of them were all that their bytes
				    allowed: they are proved first */
	uint64_t ticket;         /* of the last one that was sent with one of
				    these; live_row gives others */
	bool is_reading;
	bool has_grown;  /* rows were added since a page was asked for */
	unsigned paused; /* the place that the reader holds until it has proved
			    what it was sent, and more is read; 0: none */
	struct lives lives;
	struct bounces bounces;
	struct repeats repeats;
	struct timer retry;    /* of a read that failed; while the account is
				  pinned by the reader */
	uint64_t failing_ms;   /* since when reads fail: clock_mono_ms;
				  0: they do not */
	struct timer trim;     /* of rows that could not be removed */
	struct list uncertain; /* rows that may be there, to be written again;
				  zeroed until used */
	struct timer keep;     /* of those */
};

struct offline_session {
	struct tickets tickets; /* of TICKET_LIVE */
};

extern const struct store_kind offline_kind;

struct offline *offline_of(struct account *);
struct offline_session *offline_session_of(struct session *);
/* Whether what waits may go to this session. */
bool offline_may_send(const struct session *);
/* Sends what waits to whichever session may have it. */
void offline_offer(struct account *);

/* --- offline_keep.c ------------------------------------------------------- */

/* Takes a message of the account's (not lent) and keeps it; that of a durable
 * letter once its sender has committed its part. */
void offline_keep(struct account *, struct post *);
/* Rows that may be there are written again, now. */
void offline_keep_again(struct account *);
/* Whether there are such: a page would lack them, and they would go with what
 * comes after them and is proved, or come twice. */
bool offline_keep_is_unsure(struct account *);
void offline_keep_forget(struct account *);

/* --- offline_live.c ------------------------------------------------------- */

/* A row that is read is sent, and is to be proved with this ticket; live_sent
 * comes after it. */
uint64_t live_row(struct account *, uint64_t id);
void live_row_sent(struct account *, uint64_t id);
/* Whether sessions have the row that was read, or had and proved it. One that
 * came back from them meanwhile waits like others from then on. */
bool live_has(struct account *, uint64_t id);
/* Whether rows that came back are yet to be written: a page would lack them. */
bool live_is_unsure(struct account *);
bool live_has_any(struct account *);
/* The least row that was sent and not proved; UINT64_MAX when there is none. */
uint64_t live_least(struct account *);
/* Rows are counted, and were: how many of them do not wait. */
void live_count(struct account *, unsigned round);
uint64_t live_counted(struct account *, unsigned round);
/* A session proved all rows up to this one; none of them is fresh. */
void live_trimmed(struct account *, uint64_t upto);
/* No rows are read any more. */
void live_reading_ended(struct account *);
void live_forget(struct account *);
/* Hooks. */
enum verdict live_received(struct account *, struct session *, struct post *);
enum verdict live_deliver(struct account *, struct session *, struct post *);
/* Whether the letter, which is held, was one to the account, which waits then.
 */
bool live_waits(struct session *, const struct post *);
/* Tickets of TICKET_LIVE. */
void live_proved(struct session *, uint64_t ticket);
void live_session_closed(struct session *);
/* The same for sessions of which nobody said that they went. */
void live_find_sessions(struct account *);
/* Over a restart: what is in the session's queue. */
void live_save(struct session *, struct node *, const char *ns);
void live_restore(struct session *, const struct node *);

/* --- offline_bounce.c ----------------------------------------------------- */

enum verdict bounce_received(struct account *, struct session *, struct post *);
/* What was sent to sessions that are gone, and not proved, is kept. */
void bounce_find_sessions(struct account *);
void bounce_forget(struct account *);
/* Tickets of TICKET_APART. */
void bounce_proved(struct session *, uint64_t ticket);

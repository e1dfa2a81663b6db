/*
 * modules/archive_private.h - what the files of the module share: archive.c has
 * the hooks, archive_keep.c decides what is kept and writes rows, archive_ask.c
 * reads what a query wants, archive_query.c answers it, archive_prefs.c knows
 * what the account wants to have kept.
 */
#pragma once

#include "base/list.h"
#include "modules/archive.h"
#include "server/iq.h"
#include "server/timer.h"

#define NS_MAM      "urn:xmpp:mam:2"
#define NS_RSM      "http://jabber.org/protocol/rsm"
#define NS_FULLTEXT "urn:xmpp:fulltext:0"

/* The module's settings, in the order of their names. */
enum {
	ARCHIVE_DEFAULT,
	ARCHIVE_KEEP_FOR,
	ARCHIVE_KEEP_MESSAGES,
	ARCHIVE_SETTINGS
};

extern const struct setting archive_settings[ARCHIVE_SETTINGS + 1];

struct archive_prefs;

/* A row that no client has proved to have. */
struct archive_open {
	uint64_t id;
	unsigned sent;  /* to so many sessions that are there; 0: it waits */
	bool is_proved; /* by one of them, while others have yet to */
};

/* Which rows who comes online is to be sent; in memory while the account is.
 * What is neither open nor waiting nor newer than the last row is done with. */
struct archive_waiting {
	uint64_t from, to; /* rows that have waited since the account was
			      loaded; from > to: none */
	struct archive_open *list; /* by id */
	size_t count, room;
	uint64_t proved; /* the newest row that a client proved to have */
	uint64_t mark;   /* as it is stored: archive_wait.c */
	bool is_reading;
	struct timer save;  /* of the mark */
	struct timer retry; /* of a read that failed */
};

/* Of a session: what it was sent and has not proved. */
struct archive_session {
	struct archive_sent {
		uint64_t ticket, id;
	} * sent; /* oldest first, from first on */
	size_t first, count, room;
	uint64_t tickets;
	bool has_queried;
};

/* Of an account. */
struct archive {
	struct account *account; /* once it was loaded */
	uint64_t last_id;        /* of its newest row */
	struct list failed; /* rows to be written again; zeroed until used */
	struct timer retry; /* of those */
	unsigned retry_ms;  /* until the next try */
	uint64_t grown;     /* rows added since it was last limited */
	struct archive_waiting waiting;
	struct archive_prefs *prefs; /* NULL: those of the host */
};

struct archive *archive_of(struct account *);
struct archive_session *archive_session_of(struct session *);

/* --- the public id ------------------------------------------------------ */

struct archive_id {
	uint64_t id, nonce;
};

#define ARCHIVE_ID_LEN 32

struct str archive_id_text(struct arena *, struct archive_id);
/* False when it was not made by archive_id_text. */
bool archive_id_read(struct str, struct archive_id *id_r);

/* --- keeping ------------------------------------------------------------ */

/* Whether a message with this contact belongs into the archive: by its type,
 * what is in it, hints, and the account's preferences. */
bool archive_wants(
    struct account *, const struct stanza *, const struct jid *peer);
/* A new id after all others. */
struct archive_id archive_next_id(struct account *);
/* Writes the row of a message that came, as it is; when that fails it is
 * repeated until it is done. The letter goes on; its receipt is taken out and
 * settled when the row is there. */
void archive_keep(
    struct account *, const struct stanza *, struct archive_id, struct post *);
/* The same for a message that nobody had yet: takes the letter, and bounces it
 * when the row cannot be written. */
void archive_keep_or_bounce(struct account *, struct post *, struct archive_id);
/* Of one that the account sends; session is the sender's. */
void archive_keep_sent(struct account *, struct session *,
    const struct stanza *, const struct post *, struct archive_id);
/* Forgets rows that are yet to be written. */
void archive_keep_forget(struct account *);

/* --- how much is kept ---------------------------------------------------- */

/* Removes what the host keeps no longer; a hook. */
void archive_limit(struct shard *, const struct host *, owner_id);
/* A row was added. */
void archive_limit_grown(struct account *);

/* --- who had it --------------------------------------------------------- */

extern const struct store_kind archive_mark_kind;

/* Reads the mark; what is after it, up to the last row, waits. */
void archive_wait_load(struct account *, struct join *);
/* After that and last_id are there. */
void archive_wait_begin(struct account *);
void archive_wait_forget(struct account *);
/* Nobody could take this row. */
void archive_wait_add(struct account *, uint64_t id);
/* The session is sent this row: the ticket that its receipt proves. */
uint64_t archive_wait_sent(struct session *, uint64_t id);
/* Hooks. */
void archive_wait_proved(struct session *, uint64_t ticket);
void archive_wait_closed(struct session *);
void archive_wait_save(struct session *, struct node *);
void archive_wait_restore(struct session *, const struct node *);
/* Rows from..to wait: the least and the greatest of them. False when none. */
bool archive_waits(
    const struct archive_waiting *, uint64_t *from_r, uint64_t *to_r);
bool archive_waits_for(const struct archive_waiting *, uint64_t id);
/* These rows, up to this one, wait no more: sent, or not to be sent. */
void archive_wait_read(struct account *, uint64_t upto);
/* Nothing waits any more: the client has the archive. */
void archive_wait_drop(struct account *);

/* Whether what waits may go to this session. */
bool archive_may_send(const struct session *);
/* Sends what waits to the session, if it is one that may have it. */
void archive_catch_up(struct session *);
/* To whichever session may. */
void archive_offer(struct account *);

/* --- preferences -------------------------------------------------------- */

extern const struct store_kind archive_prefs_kind;
/* What the preset of archive.default may be; ends with NULL. */
extern const char *const archive_wanted[];

void archive_prefs_load(struct account *, struct join *);
void archive_prefs_forget(struct account *);
/* Whether messages to and from this JID are archived. */
bool archive_prefs_want(struct account *, const struct jid *peer);
/* Iq handlers. */
void archive_on_prefs_get(struct iq *);
void archive_on_prefs_set(struct iq *);

/* --- asking ------------------------------------------------------------- */

/* How many rows one query gets: without max, and at most. */
#define ARCHIVE_PAGE     50
#define ARCHIVE_PAGE_MAX 250
/* How many ids one query may name. */
#define ARCHIVE_IDS_MAX 100

/* What a query wants; lives in the iq. */
struct archive_ask {
	struct str queryid; /* text NULL when absent */
	struct log_query rows;
	bool is_flipped;
	/* Rows that must be there: those that the page begins after or ends
	 * before. */
	struct archive_id bounds[4];
	unsigned bound_count;
	bool has_ids; /* only these rows */
	struct archive_id *ids;
	unsigned id_count;
};

/* NONE, or the error that answers it, with words for people in *why_r. */
enum stanza_err archive_ask_read(
    struct iq *, struct archive_ask *ask_r, const char **why_r);
/* The form of XEP-0313, section 4.1.5. */
const struct node *archive_ask_form(struct arena *);

/* Iq handlers. */
void archive_on_query(struct iq *);
void archive_on_form(struct iq *);
void archive_on_metadata(struct iq *);

/*
 * modules/archive_private.h - what the files of the module share: archive.c has
 * the hooks, archive_keep.c decides what is kept and writes rows, archive_ask.c
 * reads what a query wants, archive_query.c answers it, archive_prefs.c knows
 * what the account wants to have kept.
 */
#pragma once

#include "base/list.h"
#include "modules/archive.h"
#include "modules/archive_retract.h"
#include "modules/archive_wait.h"
#include "modules/repeat.h"
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

struct archive_indexing;
struct archive_prefs;
struct archive_retracts;

/* Of an account. */
struct archive {
	struct account *account; /* once it was loaded */
	uint64_t last_id;        /* of its newest row */
	struct list queue;       /* rows to be written; zeroed until used */
	size_t queue_len;        /* bytes of them */
	unsigned writing;        /* commits of such that are under way */
	bool is_careful;         /* one row at a time: one of them is refused */
	bool has_read_notes;     /* of what is to be taken back */
	uint16_t buried;    /* rows taken back: they may be read as they were */
	struct timer retry; /* of the queue, after one failed */
	struct list deferred; /* rows that wait for others; likewise */
	struct archive_retracts *retracts; /* NULL: none is under way */
	struct list awaits;                /* struct archive_await; likewise */
	unsigned retry_ms;                 /* until the next try */
	unsigned failures; /* rows that could not be written: what is read while
			       it grows may lack some */
	uint64_t failing_ms; /* since the first of these tries: clock_mono_ms */
	uint64_t grown;      /* rows added since it was last limited */
	struct archive_waiting waiting;
	struct repeats repeats;
	struct archive_prefs *prefs;       /* NULL: those of the host */
	struct archive_indexing *indexing; /* NULL: not under way */
};

struct archive *archive_of(struct account *);

/* --- the public id ------------------------------------------------------ */

struct archive_id {
	uint64_t id, nonce;
};

#define ARCHIVE_ID_LEN 32

/* The nonce, and the id under a key of the server: XEP-0359, section 6, wants
 * nobody to learn anything from it, so not when the message came. */
struct str archive_id_text(
    const struct account *, struct arena *, struct archive_id);
/* False when it was not made by archive_id_text. */
bool archive_id_read(
    const struct account *, struct str, struct archive_id *id_r);

/* --- keeping ------------------------------------------------------------ */

/* Whether a message with this contact belongs into the archive: by its type,
 * what is in it, hints, and the account's preferences. */
bool archive_wants(
    struct account *, const struct stanza *, const struct jid *peer);
/* Whether so much waits to be written that no more shall come. */
bool archive_is_full(struct account *);
/* A new id after all others. */
struct archive_id archive_next_id(struct account *);
/* Writes the row of a message that came, as it is; when that fails it is
 * repeated until it is done, and what came later waits: else, if the server
 * were killed, who sent both would send this one again, after the later one.
 * The letter goes on; its receipt is taken out and settled when the row is
 * there. */
void archive_keep(
    struct account *, const struct stanza *, struct archive_id, struct post *);
/* The same for a message that nobody had yet: takes the letter, and bounces it
 * when the row, or one before it, cannot be written. */
void archive_keep_or_bounce(struct account *, struct post *, struct archive_id);
/* Of one that the account sends; session is the sender's. */
void archive_keep_sent(struct account *, struct session *,
    const struct stanza *, const struct post *, struct archive_id);
/* The least id of a row that is not on its way to the store yet, so that a read
 * would miss it; UINT64_MAX when there is none. */
uint64_t archive_unwritten(struct account *);
/* Waits until all rows of now are on their way: else a client that pages by id
 * would miss what comes late. At most some seconds. done is called at once when
 * there is nothing to wait for. */
struct archive_await {
	struct link link;
	struct account *account;
	uint64_t upto;
	struct timer timer;
	void (*done)(struct archive_await *);
};
void archive_await_rows(struct account *, struct archive_await *,
    void (*done)(struct archive_await *));
/* The least id of rows that wait in the queue; UINT64_MAX: none. */
uint64_t archive_queued(struct account *);
/* What waits in the queue is written at once. */
void archive_keep_drain(struct account *);
/* Forgets rows that are yet to be written. */
void archive_keep_forget(struct account *);

/* --- how much is kept ---------------------------------------------------- */

/* Removes what the host keeps no longer; a hook. */
void archive_limit(struct shard *, const struct host *, owner_id);
/* A row was added. */
void archive_limit_grown(struct account *);

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

/* --- searching ---------------------------------------------------------- */

/* Waits until the index of words has all that is written by now, some seconds
 * at most: then there is more, and it goes on. The wait lives until done. */
struct archive_index {
	struct link link;
	struct account *account; /* pinned by the asker */
	struct timer timer;
	bool is_more;
	enum err err;
	void (*done)(struct archive_index *);
};
void archive_index(struct account *, struct archive_index *,
    void (*done)(struct archive_index *));

/* --- asking ------------------------------------------------------------- */

/* How many rows one query gets: without max, and at most. */
#define ARCHIVE_PAGE     50
#define ARCHIVE_PAGE_MAX 250
/* How many ids one query may name. */
#define ARCHIVE_IDS_MAX 100

/* What a query wants; lives in the iq. */
struct archive_ask {
	const struct account *account;
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

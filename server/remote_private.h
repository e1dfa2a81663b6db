/*
 * server/remote_private.h - what the files of the remote share.
 *
 *	remote.c	pairs, paths, attempts
 *	remote_doubt.c	streams that broke: what waits for their resumption
 *	remote_link.c	links that broke: what accounts are told
 *	remote_table.c	domains, and what they counted
 *	remote_list.c	what can be seen of it
 *	remote_queue.h	what is to go there
 */
#pragma once

#include "base/list.h"
#include "base/log.h"
#include "server/remote.h"
#include "server/remote_table.h"
#include "server/shard.h"
#include "server/timer.h"

/* In the queues of a shard: beyond, nothing is taken for servers that are not
 * connected. */
#define SILENT_BYTES_MAX ((size_t)64 * 1024 * 1024)
/* Pairs that nobody answers for, nor misses, of a shard: whoever writes to
 * names at random, or comes by many, must not fill the memory. */
#define SILENT_MAX 4096
/* A link that broke is tried again for so long when nobody wants it. */
#define GIVE_UP_MS (1 * DAY)
/* Sent and not acknowledged, of a pair: far below what a connection holds. */
#define WINDOW_BYTES ((size_t)1024 * 1024)
#define PATHS_MAX    4 /* of a pair; the first carries, the others wait */
#define EARS_MAX     4 /* streams that the peer sends on */

struct path {
	struct stream_id stream;
	uint64_t max_bytes, since_ms;
	bool is_out, is_bidi, has_acks, is_resumed;
	char proof[32], tls[32], address[64];
};

/* What waits first was sent on a stream that can be resumed: it would come
 * twice if it went on another one before that is done. */
enum doubt {
	DOUBT_NONE,
	DOUBT_OURS, /* we opened that stream, so it is ours to resume */
	DOUBT_THEIRS
};

struct pair {
	struct link link;
	struct remote *remote;
	struct arena *arena; /* lifetime: pair */
	struct str local;
	struct log log;    /* subject: "montague.example -> capulet.example" */
	struct list sent;  /* struct entry, by ticket; then come those of */
	struct list waits; /* these, by ticket too */
	struct list undecided; /* requests that, sent again, might be carried
			     out twice: they wait for their answers */
	struct list owed;      /* presence that waited too long, but is to be
				  said when the link is there again */
	size_t owed_count, owed_bytes;
	uint64_t full_told_ms; /* the log was told that there is no room */
	bool is_behind;        /* presence that accounts can say again waited
				  too long */
	size_t count, bytes;   /* of all */
	struct table requests; /* those among them, by what answers them */
	size_t window;         /* bytes on the wire of those that are sent */
	uint64_t last_ticket;
	struct path paths[PATHS_MAX], ears[EARS_MAX];
	unsigned path_count, ear_count;
	bool is_asked;    /* an attempt is under way */
	bool is_refused;  /* it failed for good; until the next one */
	bool is_fruitful; /* something was acknowledged since READY */
	enum doubt doubt;
	struct stream_id doubted; /* that stream */
	uint64_t resume_until_ms; /* so long it is tried to resume a stream that
				     we opened, which the peer may wait for,
				     too; 0: there is none */
	unsigned failures;
	enum stanza_err err; /* of the last failure */
	struct arena *why_arena;
	struct str why;
	uint64_t broken_ms; /* since then the link is broken; 0: it is not */
	bool is_acquainted; /* presence of ours was taken there once, or it is a
			       component's */
	bool is_seen;       /* or accounts show somebody of theirs all the same
			     */
	bool is_lost;       /* accounts were told so */
	bool gives_way;     /* it fell silent where too many strangers are */
	bool is_over;       /* of a component that is configured no more */
	struct timer lost;  /* until they are */
	struct timer retry; /* until the next attempt */
	struct timer doubt_end; /* until another stream is used all the same */
	struct timer sweep;     /* until something has waited too long */
	struct timer keep;      /* until something is to be written down */
	unsigned open_writes;
	struct remote_counters counters;
};

/* --- remote.c ------------------------------------------------------------ */

/* After anything changed: sends what may go, or asks for a path, or settles the
 * pair. */
void pair_advance(struct pair *);
/* The next attempt, at least so much later. */
void pair_try_later(struct pair *, uint64_t ms);
/* Whether it was there for as long as what is of use. */
bool path_has_lasted(const struct path *);
/* Forgets the pair when there is no more need of it: it may not be touched
 * afterwards. */
void pair_settle(struct pair *);
static inline struct shard *
pair_shard(const struct pair *pair)
{
	return pair->remote->shard;
}

/* Of a component: all who write to its domain share it. */
static inline bool
pair_is_component(const struct pair *pair)
{
	return pair->local.len == 0;
}

/* Whether a stream was proved to be from there. */
static inline bool
pair_is_silent(const struct pair *pair)
{
	return pair->path_count == 0 && pair->ear_count == 0;
}

/* Of a link that nobody here misses: where so many are silent, one that breaks
 * is not waited for. */
static inline bool
pair_is_in_crowd(const struct pair *pair)
{
	return !pair->is_acquainted &&
	       pair_shard(pair)->remotes->silent_count > SILENT_MAX / 2;
}

/* Whether it is one of those that are counted. */
static inline bool
pair_is_unknown(const struct pair *pair)
{
	return pair_is_silent(pair) && !pair->is_acquainted;
}

/* --- remote_doubt.c ------------------------------------------------------ */

/* This path of the pair ends, and its stream can be resumed. */
void doubt_begin(struct pair *, const struct path *, const struct path_note *);
/* Not for ever, now that others carry what is new. */
void doubt_wait(struct pair *);
/* A stream is ready: perhaps it tells what the peer has, or it is the one that
 * would have. */
void doubt_weigh(struct pair *, const struct path_note *);
/* An attempt came to nothing. */
void doubt_failed(struct pair *, bool is_final);

/* --- remote_link.c ------------------------------------------------------- */

/* The pair is new: who is acquainted is so still, and missed if it was. */
void link_recall(struct pair *);
/* It is forgotten: whether it is missed stays known. */
void link_forget(struct pair *);
/* All that stayed known, at the shard's end. */
void links_free(struct remotes *);
/* Presence of ours was taken there: from now on it is missed when it is lost.
 * link_know does the same without a pair: false for what is no host of ours,
 * and when too many are known. */
void link_meet(struct pair *);
bool link_know(struct shard *, struct str local, struct str domain);
bool link_is_known(const struct shard *, struct str local, struct str domain);
/* Contacts of a remote without a pair were not told something. */
void link_miss(struct shard *, struct str local, struct str domain);
/* Presence that accounts can say anew was not said in time. */
void link_be_behind(struct pair *);
/* A stream that only the peer sends on is there. */
void link_heard(struct pair *);
/* An attempt came to nothing. */
void link_failed(struct pair *);
/* The last stream is gone; in order, without an error. */
void link_broke(struct pair *, enum stanza_err);
/* And what that does is done: nobody answers any more. */
void link_fell_silent(struct pair *);
/* There is one again. */
void link_found(struct pair *, bool is_resumed);
/* Whether it is missed only for the sake of who is no contact. */
bool link_is_of_strangers(const struct pair *);
/* Whether it was missed for too long to be tried again for its own sake. */
bool link_is_given_up(const struct pair *);
void link_give_up(struct pair *);
/* Nobody will answer any more: accounts are told at once. */
void link_end(struct pair *);

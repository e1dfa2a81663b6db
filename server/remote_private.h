/*
 * server/remote_private.h - what the files of the remote share.
 *
 *	remote.c	pairs, paths, attempts
 *	remote_table.c	domains, and what they counted
 *	remote_queue.c	what waits, what is sent, what is answered
 *	remote_keep.c	what is written down meanwhile
 *	remote_owed.c	what is to be said though it waited too long
 *	remote_list.c	what can be seen of it
 */
#pragma once

#include "base/list.h"
#include "base/log.h"
#include "server/outbox.h"
#include "server/remote.h"
#include "server/remote_table.h"
#include "server/shard.h"
#include "server/timer.h"

/* In the queues of a shard: beyond, nothing is taken for servers that are not
 * connected. */
#define SILENT_BYTES_MAX ((size_t)64 * 1024 * 1024)
/* Pairs that nobody answers for, of a shard: whoever writes to names at random
 * must not fill the memory. */
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

/* What became of an iq that was sent on a stream that is gone. */
enum fate {
	FATE_NONE, /* none was, or it did not arrive */
	FATE_OPEN, /* the stream may be resumed, which tells */
	FATE_LOST  /* nobody knows */
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
	bool is_ours_to_resume;   /* a stream that we opened; the peer may wait
				     for it too */
	unsigned failures;
	enum stanza_err err; /* of the last failure */
	struct arena *why_arena;
	struct str why;
	uint64_t broken_ms; /* since then the link is broken; 0: it is not */
	bool is_lost;       /* accounts were told so */
	struct timer lost;  /* until they are */
	struct timer retry; /* until the next attempt */
	struct timer doubt_end; /* until another stream is used all the same */
	struct timer sweep;     /* until something has waited too long */
	struct timer keep;      /* until something is to be written down */
	unsigned open_writes;
	struct remote_counters counters;
};

/* One letter in a queue; it lives in the letter's arena. */
struct entry {
	struct link link;
	struct table_link request; /* in pair->requests; or nowhere */
	struct pair *pair;
	struct post *letter; /* STANZA; MANY */
	uint64_t ticket;
	uint64_t since_ms;        /* clock_mono_ms, 0 at the least */
	uint64_t since_us;        /* clock_wall_us */
	size_t bytes, sent_bytes; /* in memory; on the wire, once it was sent */
	bool is_keepable, is_unsure; /* its sender's commit is awaited */
	bool is_kept;                /* its row is committed */
	bool is_answered;            /* an iq, before it was acknowledged */
	enum fate fate;
	bool is_late; /* its bytes say since when it waits */
	struct outbox_wait wait;
};

/* --- remote.c ------------------------------------------------------------ */

/* After anything changed: sends what may go, or asks for a path, or settles the
 * pair. */
void pair_advance(struct pair *);
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

/* Where so many are silent, links that broke long ago are given up. */
static inline bool
pair_is_in_crowd(const struct pair *pair)
{
	return pair_shard(pair)->remotes->silent_count > SILENT_MAX / 2;
}

/* --- remote_queue.c ------------------------------------------------------ */

/* Takes the letter; answers it when there is no room. */
void queue_add(struct pair *, struct post *);
/* So many stanzas may be in it. */
size_t queue_max(const struct pair *);
/* Sends what waits on the first path. */
void queue_send(struct pair *);
/* All up to the ticket was handled. */
void queue_acked(struct pair *, uint64_t ticket);
/* What was sent waits again; of iqs the fate may still be told. */
void queue_unsend(struct pair *, bool can_resume);
/* It was told, or will not be: what the stream's peer had not taken when it was
 * resumed did not arrive. */
void queue_settle_fates(struct pair *, bool is_resumed);
/* An iq was answered: it is not sent again, nor told to be lost. */
void queue_answered(struct pair *, const struct stanza *answer);
/* Answers what waits and may be answered; only what has waited too long, or
 * all. */
void queue_sweep(struct pair *, bool is_all);
/* Answers the iqs that wait. */
void queue_give_up_iqs(struct pair *);
/* The pair is forgotten, or the shard ends: frees all, nobody is told. */
void queue_free(struct pair *);
/* Whether somebody is told when it is not sent. */
bool queue_answers(const struct post *);
/* Answers one letter with the pair's last failure or another; takes it. */
void queue_refuse(struct pair *, struct post *, enum stanza_err, const char *);
static inline bool
queue_is_empty(const struct pair *pair)
{
	return list_is_empty(&pair->sent) && list_is_empty(&pair->waits) &&
	       list_is_empty(&pair->undecided) && list_is_empty(&pair->owed);
}

/* --- remote_owed.c ------------------------------------------------------- */

/* The entry has waited too long: false when it need not be said any more. */
bool owed_take(struct entry *);
void owed_remove(struct entry *);
/* All of it waits again in its place: before what was said later. */
void owed_return(struct pair *);

/* --- remote_keep.c ------------------------------------------------------- */

/* The entry is in the queue: it will be written down if it stays. */
void keep_watch(struct entry *);
/* Writes down what is keepable and as old as that. */
void keep_older(struct pair *, uint64_t age_ms);

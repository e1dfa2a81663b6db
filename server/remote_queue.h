/*
 * server/remote_queue.h - what is to go to another domain, of one pair.
 *
 *	remote_queue.c	what waits, what is sent, what is answered
 *	remote_keep.c	what is written down meanwhile
 *	remote_owed.c	what is to be said though it waited too long
 */
#pragma once

#include "base/list.h"
#include "base/table.h"
#include "server/outbox.h"
#include "server/remote_private.h"

/* What became of an iq that was sent on a stream that is gone. */
enum fate {
	FATE_NONE, /* none was, or it did not arrive */
	FATE_OPEN, /* the stream may be resumed, which tells */
	FATE_LOST  /* nobody knows */
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

/* --- remote_queue.c ------------------------------------------------------ */

/* Takes the letter; answers it when there is no room. */
void queue_add(struct pair *, struct post *);
/* For want of room something is refused: whether the log is to be told, which
 * it is once in a minute at the most; then told_ms changes. */
bool queue_tells_full(uint64_t *told_ms);
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
/* Whether strangers there may have brought it about: an answer to them. */
bool queue_is_answer(const struct post *);
/* Whether nothing else waits. */
bool queue_only_answers(const struct pair *);
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
/* There is no room for the letter: if accounts can say it anew, they will. */
void owed_miss(struct pair *, const struct post *);
void owed_remove(struct entry *);
/* All of it waits again in its place: before what was said later. */
void owed_return(struct pair *);

/* --- remote_keep.c ------------------------------------------------------- */

/* The entry is in the queue: it will be written down if it stays. */
void keep_watch(struct entry *);
/* Writes down what is keepable and as old as that. */
void keep_older(struct pair *, uint64_t age_ms);

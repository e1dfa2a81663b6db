/*
 * server/handled.h - how many of a peer's stanzas are handled: the h that we
 * tell it (XEP-0198, section 4). Of a client it is told by its session
 * (server/resume.h), of another server by the stream (server/s2s_sm.c).
 *
 * A stanza that is counted has a receipt (server/settle.h). When receipts are
 * back for it and all before it, it has returned; when its counter says so too,
 * it is settled, and h may cover it. So what was acknowledged is kept, also
 * after a crash.
 */
#pragma once

#include "base/table.h"
#include "server/post.h"
#include "server/timer.h"

/* So many stanzas may be open: have been taken and not returned. A stream of
 * another server carries what all its users say, and some of those they talk to
 * take their time to prove receipt. */
#define HANDLED_WINDOW_CLIENT 4096
#define HANDLED_WINDOW_SERVER 16384

struct handled;

struct handled_role {
	unsigned window; /* the same wherever a counter moves to */
	/* At the end of a turn: more have returned. handled_settle follows, now
	 * or later. */
	void (*on_returned)(struct handled *);
	/* <a/> is to be sent, with what is settled. */
	void (*tell)(struct handled *);
};

struct handled {
	struct table_link link; /* of the shard's, by number */
	const struct handled_role *role;
	struct shard *shard;
	uint64_t number; /* in receipts; never used again on its shard */
	uint64_t taken, returned, settled; /* settled <= returned <= taken */
	uint64_t *early; /* returned before others: a bit each; or NULL */
	uint64_t asked;  /* what the last <r/> was about */
	bool is_asked;   /* that is not answered in full */
	struct timer answer;
	struct timer progress; /* at the end of a turn */
};

/* A number for handled_start. */
uint64_t handled_number(struct shard *);
/* Counts from zero; what it holds is zeroed. */
void handled_start(struct handled *, struct shard *,
    const struct handled_role *, uint64_t number);
/* Receipts that come later are nobody's. */
void handled_stop(struct handled *);
/* The counter lives on in another place, where it is somebody else's. */
void handled_move(
    struct handled *to, struct handled *from, const struct handled_role *);

/* Of that role; NULL when there is none. */
struct handled *handled_find(
    struct shard *, const struct handled_role *, uint64_t number);
/* Each of that role; NULL to begin, and at the end. */
struct handled *handled_next(
    struct shard *, const struct handled_role *, struct handled *);

/* Counts one stanza, when fewer than its window are open; its receipt. */
struct receipt handled_count(struct handled *);
uint64_t handled_open(const struct handled *);
/* Whether any of that role has taken what is not settled. */
bool handled_is_open(struct shard *, const struct handled_role *);
/* Up to there h may go; who asked and was answered in part is told. */
void handled_settle(struct handled *, uint64_t upto);
/* <r/> came: it is answered at once, or soon when something is open; and again
 * as more settles, until all it was about is. */
void handled_ask(struct handled *);
/* Who asked is gone. */
void handled_forget_ask(struct handled *);

/* By settle.c. */
void handled_take(struct shard *, const struct receipt *);

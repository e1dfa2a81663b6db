/*
 * server/drain.h - the end of a server in order, step by step: the daemon and
 * worlds take each step on all shards, and let the letters that it causes pass
 * before the next one.
 *
 *	drain_answer	open iqs are answered; at most DRAIN_ANSWERS_MS later
 *	drain_give_up	those that are still open, too
 *	...		streams of clients end, then those of other servers
 *	drain_begin	what clients sent is settled before the server goes, so
 *			that nobody sends it again; and iqs that came meanwhile
 *			are answered; at most DRAIN_WRITES_MS later
 *	drain_give_up	again
 *	kept_save_all	sessions are written down, with those answers
 */
#pragma once

#include <stdbool.h>

struct shard;

/* A shard that drains waits so long, in ms, at most. */
#define DRAIN_ANSWERS_MS 1000
#define DRAIN_WRITES_MS  1000

/* From now on nobody else is asked: iqs to servers that are not connected are
 * answered. */
void drain_answer(struct shard *);
/* Whether an iq is open that is to be answered here. */
bool drain_is_asked(const struct shard *);
/* Iqs that are open are answered, whatever they wait for. */
void drain_give_up(struct shard *);
/* When the streams are gone: all that is to be written later is written now. */
void drain_begin(struct shard *);
/* Whether something is not settled that a session's client sent. */
bool drain_is_open(struct shard *);

/*
 * server/s2s_checkup.h - what is told of an attempt that only shows how it
 * goes (s2s_check in server/s2s.h): each step as it is done, in words.
 */
#pragma once

#include "server/s2s_internal.h"

/* In the order in which they come; of several endpoints, again. */
enum checkup_step {
	CHECKUP_POLICY,
	CHECKUP_DNS,
	CHECKUP_TCP,
	CHECKUP_STREAM,
	CHECKUP_TLS,
	CHECKUP_CERTIFICATE,
	CHECKUP_FEATURES,
	CHECKUP_AUTHENTICATION,
	CHECKUP_PING,
	CHECKUP_DONE
};

/* All of these do nothing when it is NULL. What is at work from now on: where
 * it fails when it does. */
void checkup_at(struct checkup *, enum checkup_step);
/* What is at work went well, or not, and why. */
void checkup_good(struct checkup *, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
void checkup_bad(struct checkup *, struct str why);
/* Why all of it failed: told, unless it was of an endpoint; advice is for that.
 */
void checkup_over(struct checkup *, struct str why);
/* The same in words of their own. */
void checkup_resolved(struct checkup *, const struct resolve *);
void checkup_verified(struct checkup *, const struct verify *, bool is_enough);
void checkup_features(struct checkup *, const struct node *features);
/* EXTERNAL was: dialback is tried. */
void checkup_refused(struct checkup *, struct str condition);
/* The end of the attempt: the answer, a good one at DONE. Frees it. */
void checkup_finish(struct checkup **);
/* Without an answer. */
void checkup_free(struct checkup **);

/* --- s2s_attempt.c -------------------------------------------------------- */

/* Who is told how it goes; NULL: it is for use. */
struct checkup *attempt_checkup(const struct attempt *);
/* Proved: a checkup pings now, and waits a while for the answer. */
void attempt_ping(struct attempt *);
/* The peer answered that. */
void attempt_pinged(struct attempt *);
/* Of the shard: how many are under way; whether one of a pair is. */
unsigned attempt_checkups(struct shard *);
bool attempt_checks(struct shard *, struct str local, struct str domain);
/* Begins; it is told to the checkup, which is taken. */
void attempt_start_checkup(
    struct shard *, struct checkup *, struct str local, struct str domain);

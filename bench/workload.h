/*
 * bench/workload.h - what the load generator can do to a server.
 *
 * Each runs to its end and adds its figures (figures.h). The accounts have to
 * be there, with contacts that are subscribed both ways: `prepare`
 * does that, and adds no figure.
 */
#pragma once

struct swarm;

/* Registers accounts (if so planned), subscribes pairs to each other, and the
 * first of each circle and the others, too. */
void prepare_run(struct swarm *);

/* kib: memory of one session that is logged in and present. */
void idle_run(struct swarm *);

/* Sessions that can be resumed, and whose connections are cut. live_kib:
 * memory of one before, kib: after that. Then all are resumed, in_flight at a
 * time: the other figures are those of one resumption, with its login. */
void hibernated_run(struct swarm *);

/* Logins, in_flight under way at once, each followed by the stream's end. */
void logins_run(struct swarm *);

/* Messages between pairs, every session with one under way. */
void chat_run(struct swarm *);

/* Messages at a fixed rate, sent when they are due whatever has become of
 * those before. Latency counts from when a message was due. */
void rate_run(struct swarm *);

/* Presence of the first of each circle, sent again when the last change has
 * come to all others. The figures are those of one change for one contact. */
void presence_run(struct swarm *);

/* Pairs write plan->each messages each way; then all read their archives in
 * pages of 50 (XEP-0313), each with one page under way. The figures are those
 * of one message read, and of a page from the query to its end. */
void catch_up_run(struct swarm *);

/* store_: a message for an account that is not there; deliver_: one of those
 * after login, less what login and presence cost without any. */
void offline_run(struct swarm *);

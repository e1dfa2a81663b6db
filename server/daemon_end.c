/*
 * server/daemon_end.c - the end, in phases (server/daemon_private.h).
 *
 * Shard 0 begins a phase with a DRAIN letter to every shard and begins the next
 * when each has answered. The rounds of DRAIN_LETTERS let what the last streams
 * caused pass from shard to shard: the end of a session, its presence, the
 * letters to those who saw it.
 */
#include "base/clock.h"
#include "base/log.h"
#include "server/daemon_private.h"
#include "server/dns.h"
#include "server/drain.h"
#include "server/iq_ask.h"
#include "server/kept.h"
#include "server/outbox.h"
#include "server/posh.h"
#include "server/remote.h"
#include "server/runner.h"
#include "server/s2s.h"
#include "server/stream.h"
#include "storage/store.h"

/* Streams get so long to say goodbye, then they are cut. */
#define PATIENCE_MS 5000
/* Other servers, to acknowledge what they got. */
#define ACKS_MS 1000
#define LOOK_MS 20

static void look_for_streams(struct timer *);

static void
begin_phase(struct daemon *daemon, unsigned phase)
{
	struct shard *first = &daemon->server.shards[0];

	daemon->phase = phase;
	daemon->waiting = daemon->server.shard_count;
	for (unsigned i = 0; i < daemon->server.shard_count; i++) {
		struct post *letter = post_new(POST_DRAIN, NULL);

		letter->ticket = phase;
		post_send_to(first, i, letter);
	}
}

void
daemon_stop(struct daemon *daemon)
{
	if (daemon->phase != 0)
		return;
	log_info(&log_server, "shutting down");
	begin_phase(daemon, DRAIN_ANSWERS);
}

/* --- on each shard ------------------------------------------------------- */

static struct shard_thread *
thread_of(struct shard *shard)
{
	return &shard->server->daemon->threads[shard->index];
}

/* Tells shard 0 that a phase is done here: ticket 0. */
static void
phase_done(struct shard *shard)
{
	post_send_to(shard, 0, post_new(POST_DRAIN, NULL));
}

static void
wait_for_streams(struct shard_thread *thread, bool is_last)
{
	thread->awaits_last = is_last;
	streams_close_all(thread->shard, is_last, STREAM_ERR_SYSTEM_SHUTDOWN);
	thread->give_up_ms = clock_mono_ms() + PATIENCE_MS;
	look_for_streams(&thread->patience);
}

static void
look_for_answers(struct timer *timer)
{
	struct shard_thread *thread =
	    container_of(timer, struct shard_thread, patience);
	struct shard *shard = thread->shard;

	if (drain_is_asked(shard) && clock_mono_ms() < thread->give_up_ms) {
		timer_start(shard, timer, LOOK_MS, look_for_answers);
		return;
	}
	drain_give_up(shard);
	phase_done(shard);
}

static void
answer_all(struct shard *shard)
{
	struct shard_thread *thread = thread_of(shard);

	listeners_stop(thread->daemon->listeners, shard);
	drain_answer(shard);
	thread->give_up_ms = clock_mono_ms() + DRAIN_ANSWERS_MS;
	look_for_answers(&thread->patience);
}

static void
close_streams(struct shard *shard)
{
	struct shard_thread *thread = thread_of(shard);

	dns_close(shard);
	posh_close(shard);
	s2s_stop(shard);
	wait_for_streams(thread, false);
}

/* In the first phase those that are last stay. */
static struct stream *
next_awaited(const struct shard_thread *thread, struct stream *stream)
{
	do
		stream = stream_next(thread->shard, stream);
	while (stream != NULL && stream->role->is_last && !thread->awaits_last);
	return stream;
}

static void
look_for_streams(struct timer *timer)
{
	struct shard_thread *thread =
	    container_of(timer, struct shard_thread, patience);
	struct shard *shard = thread->shard;
	struct stream *stream = next_awaited(thread, NULL);

	if (stream == NULL) {
		phase_done(shard);
		return;
	}
	if (clock_mono_ms() >= thread->give_up_ms)
		for (; stream != NULL; stream = next_awaited(thread, stream))
			conn_abort(stream->conn);
	timer_start(shard, timer, LOOK_MS, look_for_streams);
}

static void
look_for_queues(struct timer *timer)
{
	struct shard_thread *thread =
	    container_of(timer, struct shard_thread, patience);
	struct shard *shard = thread->shard;

	if ((remote_is_sending(shard) || s2s_is_open(shard)) &&
	    clock_mono_ms() < thread->give_up_ms)
		timer_start(shard, timer, LOOK_MS, look_for_queues);
	else
		wait_for_streams(thread, true);
}

static void
close_remotes(struct shard *shard)
{
	struct shard_thread *thread = thread_of(shard);

	thread->give_up_ms = clock_mono_ms() + ACKS_MS;
	look_for_queues(&thread->patience);
}

static void
look_for_writes(struct timer *timer)
{
	struct shard_thread *thread =
	    container_of(timer, struct shard_thread, patience);
	struct shard *shard = thread->shard;

	if ((drain_is_open(shard) || drain_is_asked(shard)) &&
	    clock_mono_ms() < thread->give_up_ms) {
		timer_start(shard, timer, LOOK_MS, look_for_writes);
		return;
	}
	drain_give_up(shard);
	phase_done(shard);
}

static void
settle_writes(struct shard *shard)
{
	struct shard_thread *thread = thread_of(shard);

	drain_begin(shard);
	thread->give_up_ms = clock_mono_ms() + DRAIN_WRITES_MS;
	look_for_writes(&thread->patience);
}

static void
store_closed(void *arg)
{
	struct shard *shard = arg;

	shard->store = NULL;
	shard->is_closed = true;
	phase_done(shard);
}

/* The loop of shard 0 runs on until the others have ended. */
static void
end_loop(struct shard *shard)
{
	runner_stop(shard);
}

void
daemon_take_drain(struct shard *shard, struct post *letter)
{
	struct daemon *daemon = shard->server->daemon;
	const unsigned phase = (unsigned)letter->ticket;

	post_free(&letter);
	if (phase == 0) {
		if (--daemon->waiting == 0 && daemon->phase < DRAIN_LOOPS)
			begin_phase(daemon, daemon->phase + 1);
	} else if (phase == DRAIN_ANSWERS) {
		answer_all(shard);
	} else if (phase == DRAIN_STREAMS) {
		close_streams(shard);
	} else if (phase == DRAIN_REMOTES) {
		close_remotes(shard);
	} else if (phase == DRAIN_WRITES) {
		settle_writes(shard);
	} else if (phase == DRAIN_STORES) {
		kept_save_all(shard);
		outbox_cancel(shard);
		iq_ask_cancel(shard);
		store_close(shard->store, store_closed, shard);
	} else if (phase == DRAIN_LOOPS) {
		end_loop(shard);
	} else {
		phase_done(shard);
	}
}

#include "server/runner.h"

#include <stdlib.h>
#include <uv.h>

#include "base/clock.h"
#include "base/err.h"
#include "server/shard.h"

struct runner {
	struct shard *shard;
	uv_async_t letters;
	uv_prepare_t turn;
	uv_idle_t more; /* active: the loop does not wait */
	uv_timer_t due;
	uint64_t due_ms; /* what the timer is set to; UINT64_MAX: stopped */
	unsigned closing;
};

static void
wake(struct shard *shard)
{
	uv_async_send(&shard->runner->letters);
}

/* What woke the loop is all it is for: the turn follows. */
static void
on_letters(uv_async_t *async)
{
	(void)async;
}

static void
on_more(uv_idle_t *idle)
{
	(void)idle;
}

static void
on_due(uv_timer_t *timer)
{
	(void)timer;
}

static void
wait_until(struct runner *runner, uint64_t due_ms)
{
	uint64_t now_ms;

	if (due_ms == runner->due_ms &&
	    uv_is_active((uv_handle_t *)&runner->due))
		return;
	runner->due_ms = due_ms;
	if (due_ms == UINT64_MAX) {
		uv_timer_stop(&runner->due);
		return;
	}
	now_ms = clock_mono_ms();
	uv_update_time(runner->shard->loop);
	uv_timer_start(
	    &runner->due, on_due, due_ms > now_ms ? due_ms - now_ms : 0, 0);
}

static void
on_turn(uv_prepare_t *prepare)
{
	struct runner *runner = container_of(prepare, struct runner, turn);
	struct shard *shard = runner->shard;

	shard_enter(shard);
	if (shard_turn(shard))
		uv_idle_start(&runner->more, on_more);
	else
		uv_idle_stop(&runner->more);
	if (shard->store != NULL)
		store_turn(shard->store);
	if (shard->runner != NULL)
		wait_until(runner, shard_next_due(shard));
}

void
runner_start(struct shard *shard)
{
	struct runner *runner = calloc(1, sizeof(*runner));

	must(runner != NULL);
	runner->shard = shard;
	must(uv_async_init(shard->loop, &runner->letters, on_letters) == 0);
	uv_prepare_init(shard->loop, &runner->turn);
	uv_idle_init(shard->loop, &runner->more);
	uv_timer_init(shard->loop, &runner->due);
	uv_prepare_start(&runner->turn, on_turn);
	shard->runner = runner;
	pthread_mutex_lock(&shard->mailbox.lock);
	shard->mailbox.wake = wake;
	pthread_mutex_unlock(&shard->mailbox.lock);
	wake(shard);
}

static void
on_close(uv_handle_t *handle)
{
	struct runner *runner = handle->data;

	if (--runner->closing == 0)
		free(runner);
}

static void
close_handle(struct runner *runner, uv_handle_t *handle)
{
	handle->data = runner;
	runner->closing++;
	uv_close(handle, on_close);
}

void
runner_stop(struct shard *shard)
{
	struct runner *runner = shard->runner;

	shard_must_be_current(shard);
	pthread_mutex_lock(&shard->mailbox.lock);
	shard->mailbox.wake = NULL;
	pthread_mutex_unlock(&shard->mailbox.lock);
	shard->runner = NULL;
	close_handle(runner, (uv_handle_t *)&runner->letters);
	close_handle(runner, (uv_handle_t *)&runner->turn);
	close_handle(runner, (uv_handle_t *)&runner->more);
	close_handle(runner, (uv_handle_t *)&runner->due);
}

#include "server/handled.h"

#include <stdlib.h>

#include "base/err.h"
#include "server/shard.h"

/* An answer to <r/> waits so long for what is being committed. */
#define ANSWER_MS 20
#define WORD_BITS 64

static bool
has_number(const struct table_link *link, const void *number)
{
	const struct handled *handled =
	    container_of(link, const struct handled, link);

	return handled->number == *(const uint64_t *)number;
}

static struct handled *
find(struct shard *shard, uint64_t number)
{
	return table_entry(
	    table_find(&shard->handled, number, has_number, &number),
	    struct handled, link);
}

struct handled *
handled_find(
    struct shard *shard, const struct handled_role *role, uint64_t number)
{
	struct handled *handled = find(shard, number);

	return handled != NULL && handled->role == role ? handled : NULL;
}

struct handled *
handled_next(struct shard *shard, const struct handled_role *role,
    struct handled *handled)
{
	struct table_link *link = handled == NULL ? NULL : &handled->link;

	do {
		link = table_next(&shard->handled, link);
		handled = table_entry(link, struct handled, link);
	} while (handled != NULL && handled->role != role);
	return handled;
}

uint64_t
handled_number(struct shard *shard)
{
	return ++shard->handled_numbers;
}

void
handled_start(struct handled *handled, struct shard *shard,
    const struct handled_role *role, uint64_t number)
{
	handled->role = role;
	handled->shard = shard;
	handled->number = number;
	table_add(&shard->handled, &handled->link, number);
}

static void
stop_timers(struct handled *handled)
{
	timer_stop(handled->shard, &handled->answer);
	timer_stop(handled->shard, &handled->progress);
}

void
handled_stop(struct handled *handled)
{
	stop_timers(handled);
	table_remove(&handled->shard->handled, &handled->link);
	free(handled->early);
	handled->early = NULL;
}

static void
on_progress(struct timer *timer)
{
	struct handled *handled = container_of(timer, struct handled, progress);

	handled->role->on_returned(handled);
}

void
handled_move(
    struct handled *to, struct handled *from, const struct handled_role *role)
{
	const bool is_due = timer_is_running(&from->progress);
	struct shard *shard = from->shard;

	must(role->window == from->role->window);
	stop_timers(from);
	table_remove(&shard->handled, &from->link);
	*to = *from;
	to->is_asked = false;
	from->early = NULL;
	handled_start(to, shard, role, from->number);
	if (is_due)
		timer_start(shard, &to->progress, 0, on_progress);
}

/* --- what comes back ------------------------------------------------------ */

static uint64_t *
word_of(struct handled *handled, uint64_t number)
{
	return &handled->early[number % handled->role->window / WORD_BITS];
}

static uint64_t
bit_of(uint64_t number)
{
	return UINT64_C(1) << number % WORD_BITS;
}

static void
note_early(struct handled *handled, uint64_t number)
{
	if (handled->early == NULL) {
		handled->early = calloc(handled->role->window / WORD_BITS,
		    sizeof(handled->early[0]));
		must(handled->early != NULL);
	}
	*word_of(handled, number) |= bit_of(number);
}

static bool
take_early(struct handled *handled, uint64_t number)
{
	if (handled->early == NULL ||
	    (*word_of(handled, number) & bit_of(number)) == 0)
		return false;
	*word_of(handled, number) &= ~bit_of(number);
	return true;
}

struct receipt
handled_count(struct handled *handled)
{
	return (struct receipt){.counter = handled->number,
	    .number = ++handled->taken,
	    .shard = (uint16_t)handled->shard->index};
}

uint64_t
handled_open(const struct handled *handled)
{
	return handled->taken - handled->returned;
}

bool
handled_is_open(struct shard *shard, const struct handled_role *role)
{
	struct handled *handled = NULL;

	while ((handled = handled_next(shard, role, handled)) != NULL)
		if (handled->settled != handled->taken)
			return true;
	return false;
}

void
handled_take(struct shard *shard, const struct receipt *receipt)
{
	struct handled *handled = find(shard, receipt->counter);

	if (handled == NULL)
		return;
	if (receipt->number != handled->returned + 1) {
		note_early(handled, receipt->number);
		return;
	}
	do
		handled->returned++;
	while (take_early(handled, handled->returned + 1));
	if (!timer_is_running(&handled->progress))
		timer_start(shard, &handled->progress, 0, on_progress);
}

/* --- what is told --------------------------------------------------------- */

static void
answer(struct handled *handled)
{
	timer_stop(handled->shard, &handled->answer);
	if (handled->settled >= handled->asked)
		handled->is_asked = false;
	handled->role->tell(handled);
}

static void
on_answer_due(struct timer *timer)
{
	answer(container_of(timer, struct handled, answer));
}

/* Section 4: not withheld; but what a commit under way settles may count. */
void
handled_ask(struct handled *handled)
{
	handled->asked = handled->taken;
	handled->is_asked = true;
	if (handled->settled == handled->taken)
		answer(handled);
	else if (!timer_is_running(&handled->answer))
		timer_start(
		    handled->shard, &handled->answer, ANSWER_MS, on_answer_due);
}

void
handled_forget_ask(struct handled *handled)
{
	handled->is_asked = false;
	timer_stop(handled->shard, &handled->answer);
}

void
handled_settle(struct handled *handled, uint64_t upto)
{
	if (upto <= handled->settled)
		return;
	handled->settled = upto;
	if (handled->is_asked && (handled->settled >= handled->asked ||
				     !timer_is_running(&handled->answer)))
		answer(handled);
}

#include "server/settle.h"

#include <stdlib.h>

#include "base/err.h"
#include "server/handled.h"
#include "server/shard.h"

#define BATCH_MAX 64

/* For one other shard: what is settled during one turn goes together. */
struct settle_batch {
	struct post *letter; /* NULL: nothing waits */
	struct receipt *receipts;
};

struct receipt
receipt_take(struct post *letter)
{
	struct receipt receipt = letter->receipt;

	letter->receipt = (struct receipt){0};
	return receipt;
}

static struct settle_batch *
batch_for(struct shard *shard, unsigned to)
{
	const unsigned count = shard->server->shard_count;

	if (shard->settled == NULL) {
		shard->settled = calloc(count, sizeof(shard->settled[0]));
		must(shard->settled != NULL);
	}
	must(to < count);
	return &shard->settled[to];
}

static void
send_batch(struct shard *shard, unsigned to)
{
	struct settle_batch *batch = batch_for(shard, to);
	struct post *letter = batch->letter;

	if (letter == NULL)
		return;
	*batch = (struct settle_batch){0};
	post_send_to(shard, to, letter);
}

/* A letter to ourselves comes after those at hand: so it ends the batches. */
static void
begin_batch(struct shard *shard, struct settle_batch *batch)
{
	struct post *letter = post_new(POST_SETTLED, NULL);

	batch->letter = letter;
	batch->receipts = arena_array(letter->arena, struct receipt, BATCH_MAX);
	letter->receipts = batch->receipts;
	if (!shard->is_settling)
		post_send_to(shard, shard->index, post_new(POST_SETTLED, NULL));
	shard->is_settling = true;
}

static void
add(struct shard *shard, const struct receipt *receipt)
{
	struct settle_batch *batch = batch_for(shard, receipt->shard);

	if (batch->letter == NULL)
		begin_batch(shard, batch);
	batch->receipts[batch->letter->receiver_count++] = *receipt;
	if (batch->letter->receiver_count == BATCH_MAX)
		send_batch(shard, receipt->shard);
}

void
receipt_settle(struct shard *shard, struct receipt *receipt)
{
	const struct receipt settled = *receipt;

	*receipt = (struct receipt){0};
	if (settled.counter == 0 || shard->is_closed || shard->is_ended)
		return;
	if (settled.shard == shard->index)
		handled_take(shard, &settled);
	else
		add(shard, &settled);
}

void
settle_take(struct shard *shard, struct post *letter)
{
	for (size_t i = 0; i < letter->receiver_count; i++)
		handled_take(shard, &letter->receipts[i]);
	if (letter->receiver_count == 0) {
		shard->is_settling = false;
		for (unsigned i = 0; i < shard->server->shard_count; i++)
			send_batch(shard, i);
	}
	post_free(&letter);
}

void
settle_free(struct shard *shard)
{
	for (unsigned i = 0;
	    shard->settled != NULL && i < shard->server->shard_count; i++)
		post_free(&shard->settled[i].letter);
	free(shard->settled);
	shard->settled = NULL;
}

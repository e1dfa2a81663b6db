/* Receipt is proved when something arrives after the kernel had reported the
 * bytes acknowledged: then the client's program, not only its kernel, is there.
 * What it had sent before may be on its way still, and nobody can tell. Where
 * that is certain, for it waits here unread, or goes on for long, or where much
 * is to be proved, the client is pinged: its answer proves what it got before
 * the ping, whatever else was on its way.
 */
#include <stdlib.h>

#include "base/clock.h"
#include "base/err.h"
#include "server/c2s_internal.h"
#include "server/conn.h"
#include "server/session.h"
#include "server/stream_pace.h"

/* How often the kernel is asked while proofs are awaited. */
#define ASK_MS 1000
/* While the stream ends, and when many are. */
#define ASK_SOON_MS 20
#define ASK_MANY_MS 100
/* So often in vain, then the client is asked. */
#define ASKS_MAX 10

struct proof {
	struct link link;
	uint64_t position; /* of the connection's bytes */
	uint64_t ticket;
};

static void ask_kernel(struct timer *);

/* A stanza of full size is as much to prove as many small ones. */
static bool
are_many(const struct c2s *c2s)
{
	const struct proof *first =
	    list_entry(list_first(&c2s->proofs), struct proof, link);

	return c2s->proof_count >= SESSION_PROOFS_MANY ||
	       (first != NULL && c2s->stream.conn->written - first->position >=
				     stream_max_bytes(&c2s->stream));
}

static void
ask_later(struct c2s *c2s)
{
	timer_start(c2s->stream.shard, &c2s->proof,
	    c2s->stream.is_ending ? ASK_SOON_MS
	    : are_many(c2s)       ? ASK_MANY_MS
				  : ASK_MS,
	    ask_kernel);
}

static void
ask_kernel(struct timer *timer)
{
	struct c2s *c2s = container_of(timer, struct c2s, proof);
	struct proof *last =
	    list_entry(list_last(&c2s->proofs), struct proof, link);

	if (last == NULL || c2s->stream.is_gone)
		return;
	c2s->proof_acked = conn_acknowledged(c2s->stream.conn);
	if (c2s->proof_acked < last->position) {
		c2s->proof_asks++;
		ask_later(c2s);
	}
	if ((are_many(c2s) || c2s->proof_asks >= ASKS_MAX) &&
	    !c2s->stream.is_ending && !c2s->is_ping_open)
		c2s_ping(c2s);
}

void
c2s_want_proof(struct c2s *c2s, uint64_t ticket)
{
	struct proof *proof = calloc(1, sizeof(*proof));

	must(proof != NULL);
	proof->position = c2s->stream.conn->written;
	proof->ticket = ticket;
	conn_await(c2s->stream.conn);
	list_add_last(&c2s->proofs, &proof->link);
	c2s->proof_count++;
	if (are_many(c2s) && c2s->proof.due_ms > clock_mono_ms() + ASK_MANY_MS)
		timer_stop(c2s->stream.shard, &c2s->proof);
	if (!timer_is_running(&c2s->proof))
		ask_later(c2s);
}

static void
tell(struct c2s *c2s, uint64_t ticket)
{
	struct post *letter = post_new(POST_PROVED, NULL);

	letter->to = jid_to_bare(letter->arena, c2s->stream.peer);
	if (letter->to == c2s->stream.peer)
		letter->to = jid_copy(letter->arena, letter->to);
	letter->stream = c2s->stream.id;
	letter->ticket = ticket;
	post_send(c2s->stream.shard, letter);
}

static void
drop(struct c2s *c2s, struct proof *proof)
{
	list_remove(&proof->link);
	free(proof);
	c2s->proof_count--;
}

static void
prove_upto(struct c2s *c2s, uint64_t position)
{
	uint64_t ticket = 0;

	list_each (proof, &c2s->proofs, struct proof, link) {
		if (proof->position > position)
			break;
		if (ticket != 0 && ((ticket ^ proof->ticket) & TICKET_ROWS))
			tell(c2s, ticket);
		ticket = proof->ticket;
		drop(c2s, proof);
	}
	if (ticket != 0)
		tell(c2s, ticket);
}

void
c2s_prove(struct c2s *c2s)
{
	if (list_is_empty(&c2s->proofs))
		return;
	prove_upto(c2s, c2s->proof_acked);
	/* For what comes next; not for these bytes, which may have been on
	 * their way before ours were there. */
	c2s->proof_acked = conn_acknowledged(c2s->stream.conn);
}

void
c2s_prove_pinged(struct c2s *c2s)
{
	c2s->proof_asks = 0;
	if (list_is_empty(&c2s->proofs))
		return;
	prove_upto(c2s, c2s->ping_position);
	if (!list_is_empty(&c2s->proofs) && !timer_is_running(&c2s->proof))
		ask_later(c2s);
}

void
c2s_prove_archived(struct c2s *c2s)
{
	uint64_t ticket = 0;

	list_each (proof, &c2s->proofs, struct proof, link) {
		if ((proof->ticket & TICKET_ARCHIVE) == 0)
			continue;
		if (ticket != 0 && ((ticket ^ proof->ticket) & TICKET_ROWS))
			tell(c2s, ticket);
		ticket = proof->ticket;
	}
	if (ticket != 0)
		tell(c2s, ticket);
}

bool
c2s_hurry_proofs(struct c2s *c2s)
{
	if (list_is_empty(&c2s->proofs))
		return false;
	timer_stop(c2s->stream.shard, &c2s->proof);
	ask_later(c2s);
	return true;
}

void
c2s_forget_proofs(struct c2s *c2s)
{
	timer_stop(c2s->stream.shard, &c2s->proof);
	list_each (proof, &c2s->proofs, struct proof, link)
		drop(c2s, proof);
}

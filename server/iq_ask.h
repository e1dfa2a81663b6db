/*
 * server/iq_ask.h - the other side of an iq: we ask, somebody answers.
 *
 * An ask belongs to the shard that made it. The answer comes to the host or
 * account in whose name it was asked; a host lives nowhere, so the id of the iq
 * says which shard waits. An answer counts when its id and its sender are right
 * (RFC 6120, section 8.1.3); what else comes is dropped, as ever.
 */
#pragma once

#include "base/err.h"
#include "base/table.h"
#include "server/shard.h"
#include "xml/stanza.h"

/* The wait, embedded in the asker's own struct; it must live until done, which
 * is called exactly once, on the shard, never before iq_ask returned. */
struct iq_ask {
	struct table_link link; /* in shard->asks, by id */
	struct shard *shard;
	const struct jid *to;
	struct str id;
	struct timer deadline;
	void (*done)(struct iq_ask *);
	enum err err;                /* NONE, TIMEOUT, CANCELED (shutdown) */
	const struct stanza *answer; /* err NONE: the result or the error; lives
					while done runs */
};

/* An id for an iq that will be asked by this shard. */
struct str iq_ask_id(struct shard *, struct arena *);
/* Sends the iq, a get or a set with such an id, in the name of one of our hosts
 * or of an account of this shard. The stanza is copied, its address and id must
 * live until done. */
void iq_ask(struct shard *, struct iq_ask *, const struct stanza *,
    uint64_t within_ms, void (*done)(struct iq_ask *));

/* By the router and account: an iq result or error to one of ours, which goes
 * to the shard that waits for it. Takes the letter. */
void iq_ask_route(struct shard *, struct post *);
/* The handler of ANSWER. */
void iq_ask_take(struct shard *, struct post *);
/* At shutdown: ends all waits with CANCELED. */
void iq_ask_cancel(struct shard *);

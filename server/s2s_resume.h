/*
 * server/s2s_resume.h - what of a stream between servers outlives it, so that
 * the next one goes on where it was cut: XEP-0198, section 5.
 */
#pragma once

#include "server/s2s_internal.h"
#include "server/s2s_sm.h"

/* What is known of a stream that was cut; counts since management began. */
struct s2s_kept {
	struct link link;    /* in shard->kept */
	struct arena *arena; /* lifetime: kept */
	struct str id; /* empty: it cannot be resumed, but a ping is open */
	struct str local, domain;
	struct stream_id stream;
	bool is_out;
	uint64_t until_ms;
	uint64_t sent;
	struct handled handled; /* of the stream */
	uint64_t early, handled_before;
	struct post *asked;      /* RESUME, which waits for receipts; or NULL */
	struct stream_id waiter; /* is_out: who waits to ask; or use 0 */
	struct timer patience;   /* how long */
	struct s2s_kept_mark {
		uint64_t ticket, sent;
	} *marks;
	size_t mark_count;
};

/* RESUME: id, local, domain, and the ticket is the number of shards that are
 * still to be asked; RESUMED: what is known too, and how many stanzas of the
 * peer are handled. */
struct s2s_resume {
	bool is_known;
	struct s2s_kept kept;
	uint64_t taken;
};

/* The stream was cut; false when it cannot be resumed. Without stream
 * management its ping may be answered yet. */
bool s2s_keep(struct s2s *);
/* A new SM-ID, which names the shard where it is looked for first. */
struct str s2s_kept_id(struct s2s *);
/* Of a stream that we opened; or NULL. */
struct s2s_kept *s2s_kept_of_pair(
    struct shard *, struct str local, struct str domain);
/* The stream wants to go on. Whether what came is done with; if not, it hears
 * by s2s_sm_may_resume, soon at the latest. */
bool s2s_kept_is_done(struct s2s *, struct s2s_kept *);
/* How many stanzas of the peer are handled. */
uint64_t s2s_kept_h(const struct s2s_kept *);
/* The stream is what it was; the peer has so much of what was sent. False when
 * that is more than was. */
bool s2s_go_on(struct s2s *, const struct s2s_kept *, uint64_t h);
/* What a stream that we opened asked to go on with; NULL when it was too long
 * ago. */
struct s2s_kept *s2s_kept_former(const struct s2s *);
void s2s_forget(struct s2s *);
/* Asks the shard of the SM-ID, and then the others; the one that has it, or the
 * last, answers with s2s_sm_resumed. False when the SM-ID is none of ours. */
bool s2s_ask_kept(struct s2s *, struct str id);
/* A ping of a stream that is gone was answered, which may be kept. */
void s2s_kept_pong(struct shard *, const struct post *);
void s2s_kept_free(struct shard *);

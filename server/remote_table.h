/*
 * server/remote_table.h - the other domains that a shard knows, by name.
 *
 * One without pairs stays known for its counters: they can be seen still, and
 * go on when somebody talks to it again. When a thousand of a shard are unused,
 * those that never carried a stanza are forgotten first, so that names at
 * random drive out no others; of these, who is unused longest.
 */
#pragma once

#include "base/list.h"
#include "base/str.h"
#include "base/table.h"
#include "xml/jid.h"

struct arena;
struct pair;
struct shard;

struct remotes {
	struct table table; /* struct remote, by domain */
	struct list unused; /* those without pairs, by age */
	size_t unused_count;
	size_t silent_count;    /* pairs that nobody answers for, nor misses */
	struct table bonds;     /* struct bond: server/remote_link.c */
	uint64_t bonds_told_ms; /* the log was told that there are too many */
	uint64_t full_told_ms;  /* the log was told that these are too many */
	size_t bytes;           /* in all queues */
	size_t owed_bytes;      /* of these */
	uint64_t last_ticket;   /* of all pairs that were forgotten: a stream
				   that is resumed may tell of theirs */
};

struct remote_counters {
	uint64_t sent, received, bounced, dropped, connects, failures;
};

struct remote {
	struct table_link link;
	struct shard *shard;
	struct arena *arena;      /* lifetime: remote */
	const struct jid *domain; /* without localpart and resource */
	struct list pairs;
	struct link unused;          /* in remotes->unused */
	uint64_t unused_ms;          /* since then it is; clock_mono_ms */
	struct remote_counters past; /* of pairs that were forgotten */
	struct arena *why_arena;
	struct str why; /* the last error of those */
};

/* NULL when it is not known. */
struct remote *remote_find(const struct shard *, const struct jid *domain);
/* The same, but made known; a pair is to be added. */
struct remote *remote_want(struct shard *, const struct jid *domain);
/* Any after this one, NULL to begin; NULL at the end. */
struct remote *remote_next(const struct remotes *, const struct remote *);
/* One without pairs. */
void remote_free(struct remote *);

void remote_add(struct remote *, struct pair *);
/* What it counted stays. Its remote may be gone afterwards. */
void remote_remove(struct pair *);
/* All that was counted, also of pairs that are in use. */
struct remote_counters remote_total(const struct remote *);

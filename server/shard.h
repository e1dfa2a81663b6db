/*
 * server/shard.h - one thread of the server: its loop, clock, timers, mailbox,
 * owners, streams and database connection.
 *
 * State of a JID is touched only by the shard that owns it. A shard does its
 * work in turns: letters (server/post.h), timers that are due, answers of the
 * store, bytes from sockets; at the end of a turn everything written to a
 * connection leaves at once. In a world (server/world.h) shards have no loop:
 * shard_turn is called by hand, all shards on one thread, in a seeded order.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/list.h"
#include "base/table.h"
#include "server/post.h"
#include "server/timer.h"
#include "storage/store.h"
#include "xml/jid.h"
#include "xml/reader.h"

/* The frozen number of places that bare JIDs are spread over. */
#define PLACE_COUNT 4096

/* The process: written before the shards start, only read afterwards. */
struct server {
	struct storage *storage;
	struct shard *shards;
	unsigned shard_count;
	uint64_t started_ms; /* clock_mono_ms */
	uint64_t run; /* drawn: which rows are of this one, server/outbox.c */
	uint64_t outbox_before; /* the last of earlier runs: likewise */
	uint16_t place_shard[PLACE_COUNT];
	const struct module *const *modules; /* ends with NULL */
	struct daemon *daemon; /* server/daemon.h; NULL in worlds */
	uint8_t secret[32];    /* of this domain server, kept in the store */
	/* Asks for a path between a domain of ours and a remote one: on the
	 * remote's shard, at most one attempt per pair at a time, answered by a
	 * letter PATH (server/remote.h). NULL: there are no other servers. */
	void (*s2s_connect)(
	    struct shard *, struct str local, struct str domain);
	const struct outward *outward; /* server/outward.h; NULL: the network */
};

struct shard {
	struct server *server;
	unsigned index;
	uv_loop_t *loop; /* NULL in a world */
	struct store *store;
	struct setup *setup; /* configuration at this moment: server/setup.h */
	struct mailbox mailbox;
	struct timers timers;
	struct reader_pool *readers;
	struct buf scratch;          /* for one serialisation at a time */
	struct table owners;         /* server/owner.h */
	struct streams *streams;     /* server/stream.h */
	struct addresses *addresses; /* server/address.h */
	struct net *net;             /* server/net.h; NULL in a world */
	struct dns *dns;   /* server/dns.h; NULL until something was asked */
	struct posh *posh; /* server/posh.h; likewise */
	struct metrics *metrics; /* server/metrics.h */
	struct admin *admin;     /* server/admin.h; NULL but on shard 0 */
	struct list flushes; /* connections with bytes to send: server/conn.h */
	struct list iqs;     /* unanswered: server/iq.h */
	struct list attempts; /* server/s2s_attempt.c */
	unsigned attempt_count;
	struct list kept; /* server/s2s_resume.c */
	unsigned kept_count;
	uint64_t handled_numbers; /* that were given */
	struct list loads;        /* owners that wait for their turn to load */
	unsigned load_count;      /* owners that load now */
	struct list absents;      /* owners ABSENT or UNREAD, oldest first */
	unsigned absent_count;
	struct table asks;         /* server/iq_ask.h */
	struct table outbox_waits; /* server/outbox.h */
	struct list outbox_again;  /* questions the store did not answer */
	struct list purges;        /* server/purge.c: to be tried again */
	struct remotes *remotes;   /* server/remote.h */
	uint64_t outbox_last;
	struct table handled;              /* server/handled.h */
	struct kept_reading *kept_reading; /* server/kept.c; or NULL */
	struct list kept_removals;         /* likewise; to be tried again */
	struct waking *waking;             /* server/wake.c; or NULL */
	struct settle_batch *settled;      /* server/settle.h */
	struct sweep *sweep;               /* server/sweep.h; or NULL */
	bool is_settling;      /* batches wait for the end of the turn */
	struct runner *runner; /* server/runner.h; NULL in a world */
	bool is_draining;      /* shutting down: no new streams */
	bool is_closed;        /* its store is: nothing happens any more, while
				  other shards end */
	bool is_ended;         /* what is freed now was not done */
};

/* Spreads the places over the shards, which are zeroed still. The storage stays
 * the caller's. */
void server_init(struct server *, struct storage *, unsigned shard_count,
    const struct module *const *modules);
void server_deinit(struct server *);

/* Opens the shard's store; loop NULL in a world. Takes a reference of setup. */
void shard_init(struct shard *, struct server *, unsigned index,
    uv_loop_t *loop, struct setup *);
/* Frees owners, streams and letters; what still waits for the store must have
 * been told before (store_close). */
void shard_deinit(struct shard *);

/* Aborts unless the calling thread is this shard's (or a world's, at work for
 * it). At the top of every function that writes owned state. */
void shard_must_be_current(const struct shard *);
/* The shard that this thread is; NULL outside. */
struct shard *shard_current(void);
/* Makes it current for this thread: shards and worlds only. */
void shard_enter(struct shard *);

/* Where a bare JID lives: frozen hash -> place -> shard. */
unsigned shard_place(const struct jid *);
struct shard *shard_of(const struct server *, const struct jid *);
/* The shard that keeps the counters of a network address. */
struct shard *shard_of_address(const struct server *, struct str address);

#define LETTERS_PER_TURN 256

/* One turn: the letters that are there (at most so many), the timers that are
 * due, then the flush. Returns whether more letters wait. */
bool shard_turn(struct shard *);
/* When the next timer is due (clock_mono_ms), UINT64_MAX without one. */
uint64_t shard_next_due(const struct shard *);

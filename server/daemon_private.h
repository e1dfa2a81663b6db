/*
 * server/daemon_private.h - what the files of the daemon share.
 */
#pragma once

#include <pthread.h>
#include <uv.h>

#include "server/admin.h"
#include "server/daemon.h"
#include "server/listen.h"
#include "server/setup.h"
#include "server/shard.h"

/* The phases of the end, for all shards together. */
enum drain_phase {
	DRAIN_ANSWERS = 1,  /* no new streams; open iqs are answered */
	DRAIN_ANSWERED,     /* the answers are on their way: some rounds */
	DRAIN_STREAMS = 5,  /* the streams of clients end */
	DRAIN_LETTERS,      /* what they caused is worked off: some rounds */
	DRAIN_REMOTES = 14, /* other servers hear of it; their streams end */
	DRAIN_GOODBYES,     /* what that caused: some rounds */
	DRAIN_WRITES = 18,  /* what is to be written is, and so settled */
	DRAIN_SETTLED,      /* the last answers are taken: some rounds */
	DRAIN_STORES = 22,  /* writes end, stores close */
	DRAIN_LOOPS,        /* nothing holds the loop any more */
};

struct shard_thread {
	pthread_t thread;
	uv_loop_t loop;
	struct daemon *daemon;
	struct shard *shard;
	struct timer patience; /* DRAIN_ANSWERS, _STREAMS, _REMOTES, _WRITES */
	uint64_t give_up_ms;
	bool awaits_last; /* DRAIN_REMOTES: streams that are last, too */
};

struct daemon {
	struct arena *arena; /* lifetime: process */
	const struct daemon_options *options;
	const struct module *const *modules;
	const struct setting *const *tables;
	size_t table_count;
	const struct config *config;
	struct server server;
	struct shard_thread
	    *threads; /* of each shard; the first has no pthread */
	struct listeners *listeners;
	struct admin *admin;
	uv_signal_t signals[3]; /* SIGTERM, SIGINT, SIGHUP */
	bool is_ready;          /* its clients are let in */
	uv_timer_t watchdog;
	unsigned pulses_left;    /* shards that did not answer the last pulse */
	unsigned phase, waiting; /* of the end: shards not done with it */
};

/* daemon_start.c: all up to the first turn. False with a sentence in *why_r. */
bool daemon_configure(struct daemon *, struct str *why_r);
bool daemon_start(struct daemon *, struct str *why_r);
/* Where and how the log is written, and how much of it; it stays open where old
 * (NULL: none) says the same. */
bool daemon_open_log(struct arena *, const struct config *old,
    const struct config *, struct str *why_r);
/* Starts the threads of the other shards. */
void daemon_start_threads(struct daemon *);
struct setup *daemon_read_setup(
    struct daemon *, struct arena *, const struct config *, struct str *why_r);

/* daemon_end.c */
void daemon_stop(struct daemon *);

/*
 * server/daemon.h - the process: start, signals, reload, end.
 *
 * Shard 0 runs on the first thread, with the signals, the administration and
 * the watchdog; each other shard has a thread of its own. The end goes in
 * phases (DRAIN letters), each begun when all shards have finished the one
 * before: streams close; what they caused is worked off; stores finish their
 * writes; the loops end.
 */
#pragma once

#include "server/module.h"

struct daemon;
struct post;

struct daemon_options {
	const char *config_path;
	const struct module *const *builtin; /* ends with NULL */
	bool is_json;                        /* what check says, for scripts */
};

/* Serves until it is told to end (SIGTERM, SIGINT, the administration). Returns
 * the exit code: 0 in order; 1 when it could not start, with a sentence on
 * standard error and in the log. */
int daemon_run(const struct daemon_options *);
/* Reads configuration and certificates as daemon_run does, and says what is
 * wrong, or that all is well; the exit code. */
int daemon_check(const struct daemon_options *);

/* Post handlers. */
void daemon_take_drain(struct shard *, struct post *);
void daemon_take_pulse(struct shard *, struct post *);
void daemon_take_open(struct shard *, struct post *);

/*
 * server/keys_job.h - keys are made of a password on a thread of the pool:
 * three PBKDF2 take milliseconds, in which a shard's thread would serve nobody.
 * In a world it happens at once.
 */
#pragma once

#include "server/keys.h"

struct shard;

struct keys_job { /* a wait */
	void (*done)(struct keys_job *);
	struct arena *arena; /* the keys live there */
	struct keys keys;
};

/* The password is copied and the copy wiped. done is called on the shard; the
 * wait and the arena are the job's until then. At the end of a shard the store
 * may be closed before. */
void keys_job_start(struct keys_job *, struct shard *, struct arena *,
    struct str password, unsigned iterations, void (*done)(struct keys_job *));

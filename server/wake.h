/*
 * server/wake.h - accounts that have something to do without being asked.
 *
 * A row says so: accounts that have one are loaded when the server starts, and
 * their modules find in what they read (HOOK_ACCOUNT_LOAD) what it is.
 */
#pragma once

#include "server/account.h"

extern const struct store_kind wake_kind;

/* Added to a transaction of the account's: it is loaded at every start until
 * wake_remove with the same reason, the name of a module. */
void wake_add(struct store_write *, const struct account *, const char *why);
void wake_remove(struct store_write *, const struct account *, const char *why);

/* Loads them: once, by shard 0, after the sessions of an earlier run. */
void wake_start(struct shard *);
/* At the end of a shard. */
void wake_free(struct shard *);

/*
 * server/keys_counts.h - the rounds of PBKDF2 that accounts' keys were made
 * with, so that nobody's keys look like somebody's.
 *
 * Keys keep the count they were made with, whatever auth.iterations says now.
 * So a name without an account takes the counts of an account: of the next one
 * in the order of a keyed hash. A stranger can tell neither which that is nor
 * what lies between two; each account has names that are like it, and they stay
 * so while it does. What is after the last one takes the setting.
 */
#pragma once

#include <stdbool.h>

#include "server/keys.h"

/* Rows of all accounts, of no owner else: reads of them wait for no writes but
 * those of other accounts' keys. */
#define OWNER_COUNTS ((owner_id)INT64_MAX)
extern const struct store_kind keys_counts_kind;

/* Puts those of an account into the transaction that puts its keys, or takes
 * them away with it. secret is the server's. */
void keys_counts_put(struct store_write *, const uint8_t secret[32],
    const struct jid *, const struct keys *);
void keys_counts_remove(
    struct store_write *, const uint8_t secret[32], const struct jid *);

/* Looks for the counts that this name would have if it were nobody's: read by
 * keys_counts_read, which is false when there are none. */
void keys_counts_find(struct store *, struct store_scan *, struct arena *,
    const uint8_t secret[32], const struct jid *,
    void (*done)(struct store_scan *));
bool keys_counts_read(const struct store_scan *, struct key_counts *counts_r);

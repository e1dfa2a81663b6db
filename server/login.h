/*
 * server/login.h - what an account does for who wants to log in: it tells its
 * keys, and counts failures for the brake.
 *
 * A stranger learns nothing from it: for each name, whoever it is and whether
 * it is in memory, the store is asked the same questions, and what nobody has
 * is made up (server/keys_counts.h). So nothing else of the account is read
 * until somebody proved to be it (OWNER_UNREAD).
 */
#pragma once

#include "server/account.h"

/* The handler of KEYS_ASK: KEYS follow. */
void login_answer(struct account *, struct post *);
/* The handler of LOGIN. */
void login_count(struct account *, struct post *);

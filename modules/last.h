/*
 * modules/last.h - XEP-0012: since when somebody is away.
 */
#pragma once

#include "server/account.h"

extern const struct module last_module;

/* When the account's last resource became unavailable (wall time); 0 when that
 * is not known. */
uint64_t last_seen_us(struct account *);

/*
 * server/hooks.h - the hook tables of one host, and where modules' slots are:
 * what setup.c keeps and hook.c runs.
 */
#pragma once

#include "server/setup.h"

/* Offsets of the modules' slots in every account and session. The same for all
 * hosts and configurations of one run. */
struct slots {
	struct slot {
		const struct module *module; /* NULL: free */
		size_t account, session;
	} *table; /* by the hash of the module's address */
	size_t room;
	size_t account_len, session_len;
};

void slots_init(
    struct slots *, struct arena *, const struct module *const *modules);
const struct slots *setup_slots(const struct setup *);

/* The hooks of the modules that are on for this host. NULL with a sentence in
 * *why_r (in the arena) when two of them claim one iq. */
const struct hooks *hooks_new(struct arena *,
    const struct module *const *modules, const struct config *, unsigned host,
    struct str *why_r);
/* Whether the same modules are on. */
bool hooks_equal(const struct hooks *, const struct hooks *);

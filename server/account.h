/*
 * server/account.h - a local account: an owner with sessions and modules.
 *
 * What is kept of it lives in its modules: each has a zeroed slot here
 * (module.account_size) and in each session (module.session_size), filled by
 * the module's load hook before any letter is handled.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/list.h"
#include "server/module.h"
#include "server/owner.h"
#include "xml/stanza.h"

struct account {
	struct owner owner;      /* first */
	const struct host *host; /* of the shard's setup; refreshed on reload */
	struct list sessions;    /* struct session, oldest first */
	unsigned session_count;
	bool is_leaving; /* being deleted */
	char *slots;     /* of the modules */
};

/* The account of a loaded owner; NULL when it is ABSENT or not an account. */
struct account *account_of(struct owner *);
struct account *account_find(struct shard *, const struct jid *);
static inline const struct jid *
account_jid(const struct account *account)
{
	return account->owner.jid;
}

/* The slot that the module declared, zeroed at first. */
void *account_slot(struct account *, const struct module *);

/* Removes the account: one transaction marks the owner deleted and frees the
 * name; then streams end, modules are told (HOOK_ACCOUNT_REMOVED, which adds
 * the durable letters to the same transaction), rows are purged. done as a
 * store commit. */
void account_remove(struct account *, struct store_commit *,
    void (*done)(struct store_commit *));
/* New keys from a prepared password (server/keys.h), then ends all sessions but
 * keep (NULL: all). */
void account_set_password(struct account *, struct str password,
    const struct session *keep, struct store_commit *,
    void (*done)(struct store_commit *));

/* Post handlers: letters for an account's owner come here from owner_take. */
void account_take(struct account *, struct post *);

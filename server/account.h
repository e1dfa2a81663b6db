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
#include "server/keys_job.h"
#include "server/module.h"
#include "server/owner.h"
#include "server/stream.h"
#include "xml/stanza.h"

struct account {
	struct owner owner;      /* first */
	const struct host *host; /* of its setup; another one after a reload */
	char *slots;             /* of the modules */
	struct list sessions;    /* struct session, oldest first */
	unsigned session_count;
	struct list spent;     /* struct session: session_spend */
	bool is_leaving;       /* being deleted */
	uint64_t password_ms;  /* since when it has its password, if that was
				  changed while in memory: clock_mono_ms */
	struct setup *setup;   /* referenced */
	struct list binds;     /* BINDs that wait for a GONE: session.c */
	struct list farewells; /* durable letters until that is committed */
};

/* The account of a loaded owner; NULL when it is UNREAD, ABSENT or
 * not an account. */
struct account *account_of(struct owner *);
struct account *account_find(struct shard *, const struct jid *);
static inline const struct jid *
account_jid(const struct account *account)
{
	return account->owner.jid;
}

/* The slot that the module declared, zeroed at first. */
void *account_slot(struct account *, const struct module *);

/* For the load hook of a module: reads one row of the account before join goes
 * on. value lies in arena, which goes after taken; STR_NONE: no row. */
void account_load_row(struct account *, struct join *,
    const struct store_kind *, struct str key,
    void (*taken)(struct account *, struct arena *, struct str value));

/* The same for all its rows of a map kind, no more than max. taken comes also
 * when they could not be read (scan->err); what it returns is what join hears.
 * The rows lie in scan->arena, which goes after it. */
void account_load_rows(struct account *, struct join *,
    const struct store_kind *, unsigned max,
    enum err (*taken)(struct account *, const struct store_scan *));

/* What is kept and sent to one of its sessions in one go has at most so many
 * bytes, or is one row: a client that takes as long as its line does would seem
 * not to read (server/socket.c). */
uint64_t account_bytes_at_once(const struct account *);

/* Makes an account with this prepared password, on the shard that owns the
 * name; EXISTS when there is one. The wait and the name are the caller's until
 * done. */
struct account_make {
	struct keys_job keys;
	struct store_commit commit;
	struct shard *shard;
	const struct jid *jid;
	owner_id id;
	enum err err;
	void (*done)(struct account_make *);
};
void account_make(struct shard *, struct account_make *, const struct jid *bare,
    struct str password, void (*done)(struct account_make *));
/* The same for a guest (ANONYMOUS): no password fits. The account has a row of
 * guest_kind, so that the next start finds it if a crash left it behind. */
#define GUEST_KEY STR("until its stream ends")
extern const struct store_kind guest_kind;
void account_make_guest(struct shard *, struct account_make *,
    const struct jid *bare, void (*done)(struct account_make *));

/* One that is logged in. */
bool account_is_guest(const struct account *);

/* Removes the account: one transaction marks the owner deleted and frees the
 * name, with the durable letters that HOOK_ACCOUNT_REMOVED adds. When it is
 * committed done is called (an answer still reaches its session), then the
 * streams end with not-authorized (XEP-0077, section 3.2), the memory goes, and
 * the rows are purged. */
void account_remove(struct account *, struct store_commit *,
    void (*done)(struct store_commit *));
/* New keys from a prepared password (server/keys_job.h), then ends all sessions
 * but keep (NULL: all). What comes for the account meanwhile waits. */
void account_set_password(struct account *, struct str password,
    const struct session *keep, struct store_commit *,
    void (*done)(struct store_commit *));

/* Switches it off (sessions end) or on again. */
void account_set_disabled(struct account *, bool is_disabled,
    struct store_commit *, void (*done)(struct store_commit *));
/* Both in one transaction; all sessions end. */
void account_set_both(struct account *, struct str password, bool is_disabled,
    struct store_commit *, void (*done)(struct store_commit *));

/* --- for owner.c -------------------------------------------------------- */

/* Letters for an account's owner come here from owner_take, unless it loads. */
void account_take(struct account *, struct post *);
/* The shard has a new configuration: its hosts and their modules may be others.
 */
void account_setup_changed(struct shard *);
/* Ends the account in memory: its streams are told, hooks run, letters find it
 * no more. */
void account_end(struct account *, enum stream_err);
/* It was removed, as is certain now: the same follows, and what it says when it
 * goes leaves. */
void account_removed(struct account *);
/* It is there, and may be disabled: a change that seemed to fail was done, or
 * was not. Its modules are loaded next. */
void account_found(struct account *);
/* The handler of DOMAIN: to all accounts of the shard with sessions. */
void account_take_domain(struct shard *, struct post *);
/* HOOK_ACCOUNT_DRAIN for all of the shard. */
void account_drain_all(struct shard *);
/* At the end of a shard: no hook runs, nobody is told. */
void account_drop_sessions(struct account *);
/* Ends all sessions but keep; for an owner that goes. */
void account_close_sessions(
    struct account *, const struct session *keep, enum stream_err);

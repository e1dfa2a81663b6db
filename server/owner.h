/*
 * server/owner.h - who a bare JID is on its shard, and its loading.
 *
 * Every bare JID that concerns us has at most one owner in memory, on the shard
 * of its place. It is made by the first letter that needs it:
 *
 *	LOADING	the store is asked who it is and what its modules keep; letters
 *		wait in the inbox
 *	READY	letters are handled as they come, in order; hooks never wait
 *	UNREAD	nobody knows whether there is such an account: somebody tries to
 *		log in, and waits for no more than its keys; as ABSENT
 *	ABSENT	there is no such account: letters are answered so; forgotten
 *		soon, and limited in number
 *
 * When loading fails, what waited is answered with wait errors and the owner is
 * forgotten, so that the next letter tries again. Messages of other servers,
 * which wait for our receipt, do so for a minute. An owner stays while
 * something pins it, and is forgotten a while after.
 */
#pragma once

#include <stdbool.h>

#include "base/join.h"
#include "base/log.h"
#include "base/table.h"
#include "server/post.h"
#include "server/shard.h"
#include "server/timer.h"

enum owner_stage { OWNER_LOADING, OWNER_READY, OWNER_ABSENT, OWNER_UNREAD };

struct owner {
	struct table_link link; /* in shard->owners, by bare JID */
	struct shard *shard;
	struct arena *arena;   /* lifetime: owner */
	const struct jid *jid; /* bare */
	struct log log;        /* subject: the bare JID */
	enum owner_stage stage;
	unsigned pins;
	owner_id id;            /* 0 until loaded, and when ABSENT */
	enum owner_state state; /* ACTIVE or DISABLED once READY */
	uint64_t made_us;
	struct list inbox; /* letters, while LOADING */
	struct list again; /* letters that come before those: owner_again, and
			      what comes back from streams */
	unsigned inbox_count;
	struct join loading;
	struct timer idle;  /* until it is forgotten */
	struct link queue;  /* in shard->loads, or in ->absents */
	unsigned retry_ms;  /* until the next try to load */
	bool is_loading;    /* the store was asked or will be */
	bool is_catching;   /* CAUGHT will come; then is_loading, too */
	bool is_detached;   /* the name is free again; goes with its last pin.
			       Nothing must be written then: nothing would
			       remove it */
	bool is_stale;      /* to be loaded anew when it is loaded */
	unsigned failures;  /* logins in a row that failed */
	unsigned failing_s; /* since when it cannot be loaded: seconds of
			       clock_mono_ms; 0: it can */
	uint64_t failed_ms; /* the last of them: clock_mono_ms */
};

/* The owner in memory; NULL when it is not. */
struct owner *owner_find(struct shard *, const struct jid *);
/* The owner in memory, or a new one that begins to load. */
struct owner *owner_want(struct shard *, const struct jid *);
/* Delivers a letter to its owner: handles it at once when READY or ABSENT, in
 * the inbox while LOADING. Makes the owner unless what the letter says needs
 * none (presence to an account that is not in memory is dropped). Takes it. */
void owner_take(struct shard *, struct post *);
/* Those letters, which came before all that is in the inbox. Takes them. */
void owner_take_first(struct owner *, struct list *);

/* For letters to many: owner_take with the hash computed before, so that while
 * one is handled the memory of owners that come later can be asked for, then
 * that of what they point to. */
uint64_t owner_hash(const struct jid *);
void owner_fetch(struct shard *, uint64_t hash);
void owner_fetch_rest(struct shard *, uint64_t hash);
void owner_take_hashed(struct shard *, struct post *, uint64_t hash);

/* While pinned it is not forgotten. */
void owner_pin(struct owner *);
void owner_unpin(struct owner *);

/* After a write failed for good: modules load anew over what their slots hold,
 * sessions stay, letters wait meanwhile. */
void owner_reload(struct owner *);
/* A durable letter whose change could not be committed: it is handled once more
 * when the owner was loaded anew, in a while, before all that came later. Takes
 * it. */
void owner_again(struct owner *, struct post *);
/* While an account is being removed its letters wait, until it is known whether
 * it is gone: what it answered meanwhile could not be taken back. */
void owner_hold(struct owner *);
void owner_resume(struct owner *);
/* A stream of the account ended before it took all it was sent: that comes back
 * (router_return), and until then what came later waits, so that nothing is
 * overtaken. */
void owner_catch(struct owner *, struct stream_id);
/* The handler of CAUGHT. */
void owner_take_caught(struct shard *, struct post *);
/* Forgets that there is no such account: one was made. */
void owner_forget_absent(struct shard *, const struct jid *);
/* The account was removed: letters find it no more, the memory goes with the
 * last pin. */
void owner_detach(struct owner *);
/* The server goes: iqs that wait for owners that load are answered, but for
 * those that a session is to count: its client sends them again. */
void owner_give_up_iqs(struct shard *);
/* At the end of a shard: frees all. */
void owner_free_all(struct shard *);

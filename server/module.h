/*
 * server/module.h - what a module is: one file, one descriptor that reads as
 * its table of contents.
 *
 * Built-in modules and shared objects use the same interface (docs/modules.md).
 * A shared object exports `const struct module jackdaw_module`. At start the
 * hooks of all modules are sorted into tables; two modules that claim one iq
 * are a start-up error. Modules are switched per host by the configuration; an
 * account only sees the hooks of modules that are on for its host.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/join.h"
#include "server/config.h"
#include "server/post.h"
#include "storage/store.h"
#include "xml/node.h"
#include "xml/stanza.h"

struct account;
struct domain_note;
struct session;
struct host;
struct iq;
struct module;
struct shard;

/* Bumped whenever a struct or function that modules see changes. */
#define MODULE_API 2

enum verdict {
	PASS, /* the letter goes to the next hook, at last to the default */
	TAKEN /* the hook took the letter: freed it, kept it or sent it on */
};

/*
 * Hooks, in the order of a stanza's way. Those on stanzas may replace
 * letter->stanza by another one in letter->arena. They never wait.
 */
#define HOOK_MAP(X)                                                            \
	/* At the sender's account, from one of its sessions. */               \
	X(SENT_MESSAGE)                                                        \
	X(SENT_PRESENCE)                                                       \
	X(SENT_IQ)                                                             \
	/* At the recipient's account. */                                      \
	X(RECEIVED_MESSAGE)                                                    \
	X(RECEIVED_PRESENCE)                                                   \
	X(RECEIVED_IQ)                                                         \
	/* A message to the account that no session took. */                   \
	X(UNDELIVERED)                                                         \
	/* Such a message, or a subscription request likewise, is kept for the \
	 * account now. To look at: the letter cannot be taken. */             \
	X(KEPT)                                                                \
	/* Anything about to go to one session: the last look. */              \
	X(DELIVER)                                                             \
	/* An element of its stream that is no stanza, in the order of the     \
	 * session's stanzas. */                                               \
	X(NONZA)                                                               \
	/* Iqs of type get and set for the account or for the host. */         \
	X(IQ_GET)                                                              \
	X(IQ_SET)                                                              \
	/* A session was bound; became available or changed its presence; sent \
	 * unavailable or went (then also CLOSED); is about to be freed. */    \
	X(SESSION_OPENED)                                                      \
	X(SESSION_AVAILABLE)                                                   \
	X(SESSION_UNAVAILABLE)                                                 \
	X(SESSION_CLOSED)                                                      \
	/* Its stream broke, and it waits for its client; the client is back.  \
	 */                                                                    \
	X(SESSION_DETACHED)                                                    \
	X(SESSION_RESUMED)                                                     \
	/* What of a session shall outlive the server is written into a node,  \
	 * and read from it. The session was SESSION_OPENED then, and has its  \
	 * presence without that the hooks for it ran. */                      \
	X(SESSION_SAVE)                                                        \
	X(SESSION_RESTORE)                                                     \
	/* The memory of a session goes: free what is not in its arena. */     \
	X(SESSION_FORGET)                                                      \
	/* A session's peer proved receipt of what was sent with a ticket. */  \
	X(PROVED)                                                              \
	/* Another domain cannot be reached, or is back: for each account with \
	 * a session. */                                                       \
	X(DOMAIN)                                                              \
	/* Reads what the module keeps of an account, before any letter. */    \
	X(ACCOUNT_LOAD)                                                        \
	/* All modules have read that; letters follow. After a write that      \
	 * failed there are sessions, and what they and contacts were told of  \
	 * it may not hold. */                                                 \
	X(ACCOUNT_LOADED)                                                      \
	/* The memory of an account goes: free what is not in its arena. Also  \
	 * where the module is off, for it may have been on. */                \
	X(ACCOUNT_FORGET)                                                      \
	/* The server ends in order, and its streams are gone: for each        \
	 * account in memory, what is to be written later is written now. */   \
	X(ACCOUNT_DRAIN)                                                       \
	/* Once a day, for each account of the host, loaded or not. */         \
	X(SWEEP)                                                               \
	/* An account is removed: add to the transaction. */                   \
	X(ACCOUNT_REMOVED)                                                     \
	/* Children for the features of a stream that is authenticated or not. \
	 */                                                                    \
	X(STREAM_FEATURES)                                                     \
	/* disco#info of host or account: more identities, features, forms. */ \
	X(DISCO_INFO)                                                          \
	X(DISCO_ITEMS)

enum hook_on {
	HOOK_END,
#define X(name) HOOK_##name,
	HOOK_MAP(X)
#undef X
	    HOOK_ON_COUNT
};

/* Who is asked by an iq. */
enum iq_scope {
	SCOPE_ACCOUNT = 1 << 0, /* a bare JID or no to */
	SCOPE_HOST = 1 << 1,    /* a local domain */
	SCOPE_SELF = 1 << 2,    /* the same, by the account's own sessions
				   only: without SCOPE_ACCOUNT */
	SCOPE_NOBODY = 1 << 3,  /* the bare JID of no account: iq_account is
				   NULL, iq_is_for_host false */
};

/* What STREAM_FEATURES is asked about. */
struct features_ask {
	const struct host *host;
	struct node *features; /* add to it */
	bool is_secure, is_authenticated;
};

/* What DISCO_INFO and DISCO_ITEMS are asked about. */
struct disco_ask {
	struct arena *arena;
	const struct host *host;
	const struct account *account; /* NULL: the host itself */
	const struct jid *from;
	struct str node;
	struct node *query; /* add to it */
};

struct hook {
	enum hook_on on;
	const char *ns, *name; /* IQ_GET, IQ_SET: the payload; name may be NULL
				  for any; NONZA: the element */
	unsigned scope;        /* IQ_GET, IQ_SET: enum iq_scope */
	int order; /* lower first; equal: by module order. 0 is usual, the
		      default delivery has 1000 */
	union {
		/* session is the sender's at SENT_*, the receiver's at DELIVER,
		 * else NULL. */
		enum verdict (*stanza)(
		    struct account *, struct session *, struct post *letter);
		void (*iq)(struct iq *); /* owes the answer: server/iq.h */
		void (*nonza)(struct session *, const struct node *);
		void (*session)(struct session *);
		/* Adds to the node when it is saved. */
		void (*save)(struct session *, struct node *);
		void (*restore)(struct session *, const struct node *);
		void (*proved)(struct session *, uint64_t ticket);
		/* Start reads; join_wait for each, join_wait_done in each
		 * continuation. When the account is loaded anew the slot still
		 * holds what it held. */
		void (*load)(struct account *, struct join *);
		void (*account)(struct account *);
		void (*removed)(struct account *, struct store_write *);
		void (*domain)(struct account *, const struct domain_note *);
		void (*sweep)(struct shard *, const struct host *, owner_id);
		void (*features)(struct features_ask *);
		void (*disco)(struct disco_ask *);
	};
};

struct module {
	unsigned api; /* MODULE_API */
	const char *name;
	const char *help; /* one sentence */
	const char *const
	    *xeps; /* "XEP-0054 1.2", NULL-terminated; NULL: none */
	const char *const *features; /* disco#info of the host, likewise */
	const char *const *account_features;   /* disco#info of accounts */
	const struct hook *hooks;              /* ends with HOOK_END */
	const struct store_kind *const *kinds; /* ends with NULL */
	const struct setting *settings;        /* ends with a NULL name */
	size_t account_size, session_size;     /* of its slots, on 8 bytes */
	bool is_off; /* unless the configuration switches it on */
};

/* The built-in ones, ends with NULL (modules/modules.c). */
extern const struct module *const modules_builtin[];

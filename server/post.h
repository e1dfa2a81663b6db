/*
 * server/post.h - letters: how shards, owners and streams talk.
 *
 * A letter is self-contained in an arena of its own, with ids and never
 * pointers or functions of the sender, so that it can travel to another node
 * (RELOAD and MOVE, which concern this process only, are the exceptions).
 * Letters from one shard to one address arrive in the order they were sent,
 * also to the own shard: those take the same way.
 */
#pragma once

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/blob.h"
#include "base/list.h"
#include "xml/jid.h"
#include "xml/stanza.h"

struct shard;

/* Add new kinds at the end: nodes of two releases talk during an upgrade. */
#define POST_MAP(X)                                                           \
	X(STANZA, "a stanza for the owner of to")                             \
	X(MANY, "a stanza for several receivers on one shard")                \
	X(SENT, "a stanza from a bound stream, for its own account")          \
	X(DOWN, "a stanza for a bound stream")                                \
	X(KEYS_ASK, "a stream asks an account for its keys")                  \
	X(KEYS, "the answer to KEYS_ASK")                                     \
	X(LOGIN, "how a login to an account went")                            \
	X(BIND, "a stream asks its account for a place")                      \
	X(BOUND, "the account's answer to BIND")                              \
	X(CLOSE, "an account ends one of its streams")                        \
	X(GONE, "a bound stream ended; its last letter")                      \
	X(PROVED, "a stream's peer proved receipt up to a ticket")            \
	X(SURE,                                                               \
	    "the sender of a durable letter committed its part, or failed")   \
	X(ADDRESS, "a connection of an address was opened, closed, failed")   \
	X(ADDRESS_VERDICT, "whether a connection may stay")                   \
	X(ADMIN, "a request of the administration to one shard")              \
	X(ADMIN_ANSWER, "the answer to ADMIN")                                \
	X(MOVE, "a stream moves to this shard")                               \
	X(RELOAD, "a new configuration")                                      \
	X(DRAIN, "a phase of the end begins, or is done: server/daemon.h")    \
	X(PULSE, "whether a shard still turns, and that it does")             \
	X(REGISTER,                                                           \
	    "a stream asks for a new account, at the shard of its name")      \
	X(REGISTERED, "the answer to REGISTER")                               \
	X(PATH, "a stream to another domain tells its remote how it is")      \
	X(DOMAIN, "a remote tells accounts that its domain is lost, or back") \
	X(DIALBACK, "a stream asks a domain about a key of it")               \
	X(DIALBACK_VERDICT, "the answer to DIALBACK")                         \
	X(PONG, "the answer to a stream's ping came on another stream")       \
	X(RESUME, "a stream between servers wants to go on for a former one") \
	X(RESUMED, "the answer to RESUME")                                    \
	X(OPEN, "what an earlier run left is posted: accept connections")     \
	X(ADMIT, "a remote lets a component's stream carry its stanzas")      \
	X(RIVAL, "another stream of a component asks for the place of this")  \
	X(ANSWER, "the answer to an iq, for the shard that asked")            \
	X(SAID, "a stream answered a stanza itself: to count, and to send")   \
	X(SM_ASK, "a stream tells its account of stream management")          \
	X(SM, "an account tells a stream of stream management")               \
	X(SETTLED, "stanzas that were counted on this shard are settled")     \
	X(KEPT, "a session that an earlier run left, for its account")        \
	X(NONZA, "a bound stream sent an element that is no stanza")          \
	X(CAUGHT, "all that was on its way to a stream that went is back")    \
	X(WAKE, "an account has something to do and shall be loaded")

enum post_kind {
#define X(name, text) POST_##name,
	POST_MAP(X)
#undef X
	    POST_KIND_COUNT
};

struct stream_id {
	uint16_t node, shard;
	uint32_t slot,
	    use; /* use counts how often the slot was taken; never 0 */
};
bool stream_id_equal(struct stream_id, struct stream_id);

/* Who waits to hear that a stanza is settled: server/settle.h. */
struct receipt {
	uint64_t counter; /* handled->number; 0: nobody */
	uint64_t number;  /* of its stanzas */
	uint16_t shard;   /* of the counter */
};

/* KEPT: a row of server/kept.h. */
struct kept_note {
	struct str id, text;
};

/* A row of the log outbox (server/outbox.h). */
struct durable_id {
	uint64_t owner, row; /* row 0: not durable */
	uint64_t turn;       /* STANZA: server/outbox.h; 0: none */
	uint64_t since_us;   /* STANZA posted again: when it was first; DOWN in
				the queue of a session: when it was sent */
	bool is_sure;        /* STANZA: posted again; SURE: it is committed */
};

struct post {
	struct link link;
	struct arena *arena; /* everything below lives in it */
	enum post_kind kind;
	const struct jid *to; /* an owner: picks the shard; or NULL */
	struct stream_id
	    stream;      /* DOWN, KEYS, BOUND, CLOSE: to it; else from */
	uint64_t ticket; /* pairs question and answer; DOWN: of the proof
			    that is wanted, 0 for none; STANZA: what its
			    module makes of it */
	const struct stanza *stanza;
	struct blob *blob; /* the stanza, serialised without its to; the
			      letter has a reference */
	const struct jid *const *receivers; /* MANY; DOWN to a path */
	size_t receiver_count;              /* SETTLED: of receipts */
	const struct str *hidden_from;      /* STANZA, presence for a bare JID:
					       resources that must not get it */
	size_t hidden_count;
	struct durable_id durable; /* STANZA, SURE */
	struct receipt receipt;
	const struct had *had; /* of a message: modules/had.h */
	uint64_t refuses; /* DOWN: number of the receiver's stanza that this
			     error answers; 0: none */
	bool is_lent;     /* it belongs to a MANY: post_own before keeping it */
	bool wants_ack;   /* DOWN: <r/> follows it */
	bool is_counted;  /* SENT: its session counts it, so nobody before that
			     may refuse it */
	bool is_returned; /* STANZA: its session was gone; it passed the hooks
			     of the account once already */
	union {           /* what else a kind says; in the arena */
		const struct keys *keys;
		const struct login *login;
		const struct bind_ask *bind;
		const struct bound *bound;
		const struct register_ask *register_ask;
		const struct registered *registered;
		const struct stream_end *end; /* CLOSE, GONE */
		const struct address_note *address;
		const struct admin_call *call;
		const struct admin_answer *answer;
		struct stream_move *move;
		struct setup *setup;
		const struct path_note *path;
		const struct domain_note *domain;
		const struct dialback *dialback;
		const struct s2s_resume *resume;
		const struct sm_note *sm;
		const struct kept_note *kept;
		const struct receipt *receipts; /* SETTLED */
		const struct node *nonza;
	};
};

/* A letter in an arena of its own, or in one that comes from the reader and
 * that it takes (NULL: a new one). */
struct post *post_new(enum post_kind, struct arena *);
void post_free(struct post **);
/* All of a list of letters, which is empty then. */
void post_free_all(struct list *);
/* The letter itself, or of a lent one a copy: for who keeps it or sends it on.
 * session_pass, router_route and router_bounce do it themselves. */
struct post *post_own(struct post *);
/* The letter of a MANY for one receiver; lives as long as the MANY. */
void post_lend(struct post *one_r, struct post *many, const struct jid *to);

/* Hands the letter over; the caller may not touch it afterwards. It goes to the
 * shard of the stream (DOWN, KEYS, BOUND, CLOSE, ADDRESS_VERDICT,
 * REGISTERED, SM) or else of
 * to. Never blocks, never fails. */
void post_send(struct shard *from, struct post *);
/* To a shard by number: MANY without to, ADDRESS, ADMIN, ADMIN_ANSWER, MOVE,
 * SETTLED, RELOAD, DRAIN, PULSE, DOMAIN, ANSWER. */
void post_send_to(struct shard *from, unsigned shard, struct post *);

/* What a shard does with each kind: one function, which takes the letter (frees
 * it, keeps it or sends it on). post_handlers.c is the list of them. */
typedef void post_handler(struct shard *, struct post *);
extern post_handler *const post_handlers[POST_KIND_COUNT];

/* Letters from others wait in incoming, swapped whole under the lock; those
 * from the own shard go straight to ready. */
struct mailbox {
	pthread_mutex_t lock;
	struct list incoming;         /* under the lock */
	struct list ready;            /* of the shard's thread */
	void (*wake)(struct shard *); /* when incoming was empty */
};

void mailbox_init(struct mailbox *, void (*wake)(struct shard *));
/* Frees what is still in it. */
void mailbox_deinit(struct mailbox *);
/* Handles at most max letters; whether there are more. */
bool mailbox_work(struct shard *, unsigned max);
bool mailbox_is_empty(struct mailbox *);
/* Letters that waited elsewhere come first again. */
void mailbox_put_back(struct shard *, struct list *letters);

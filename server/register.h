/*
 * server/register.h - new accounts, made in-band before login (XEP-0077,
 * section 3.1): off unless the host's registration.open says otherwise, and
 * limited per address.
 */
#pragma once

#include <stdbool.h>

#include "base/err.h"
#include "server/post.h"

#define NS_REGISTER "jabber:iq:register"

struct account;
struct c2s;

/* REGISTER: to the account that shall be. */
struct register_ask {
	struct str password; /* prepared; none when passing */
	bool is_passing;     /* for ANONYMOUS */
	bool is_over;        /* it goes again, without answer */
};
/* REGISTERED: the answer to the stream. */
struct registered {
	enum err err;              /* EXISTS: the name is taken */
	const struct jid *passing; /* made for ANONYMOUS; else NULL */
};

/* Adds the stream feature (section 8) where accounts can be made. */
void register_add_feature(struct c2s *, struct node *features);
/* An element of a stream that is not authenticated. False when it is none of
 * ours; otherwise it is answered, now or later. */
bool register_take(struct c2s *, const struct node *);
/* ADDRESS_VERDICT on a registration, and REGISTERED; the letter stays the
 * caller's. */
void register_take_letter(struct c2s *, const struct post *);
void register_free(struct c2s *);

/* The account of an ANONYMOUS login: made (REGISTERED comes), or over. */
void register_passing(
    struct shard *, struct stream_id, const struct jid *, bool is_over);

/* Ends the guests that a crash left behind: once, by shard 0, when all shards
 * run. done (NULL: nobody waits) is called when all are told; who logs in later
 * is none of them. */
void register_start(struct shard *, void (*done)(struct shard *));

/* REGISTERED came for a stream that is gone; the letter stays the caller's. */
void register_missed(struct shard *, const struct post *);

/* Post handler of REGISTER, on the shard of the name. */
void register_make(struct shard *, struct post *);
/* The same at the account, which is over; takes the letter. */
void register_end(struct account *, struct post *);

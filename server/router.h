/*
 * server/router.h - where a stanza goes next.
 */
#pragma once

#include "server/account.h"
#include "server/post.h"

/* Sends the letter's stanza on to the owner of its to: a local account, the
 * host itself (handled at once, at the account of the sender) or a domain that
 * is not ours. sender is the account at hand, or NULL. Takes the letter. */
void router_route(struct shard *, struct account *sender, struct post *);
/* The same with what another server or a component sent, whose addresses were
 * checked; err: what is wrong with it, which is answered. Who counts it has the
 * receipt. Takes the arena. */
void router_route_foreign(struct shard *, struct arena *, const struct stanza *,
    enum stanza_err err, struct receipt);
/* Whose letters stanzas to this address are: a local account (the address
 * itself) or another domain; NULL for what has no owner: our hosts, and other
 * domains when there are no other servers. */
const struct jid *router_owner_of(
    struct shard *, struct arena *, const struct jid *to);
/* Makes a letter of a stanza (copied) and routes it. */
void router_send(struct shard *, struct account *sender, const struct stanza *);
/* Answers the letter's stanza with an error, if it may have one; takes the
 * letter. text may be NULL. */
void router_bounce(
    struct shard *, struct post *, enum stanza_err, const char *text);

/* One presence for many bare or full JIDs: serialised once, one letter per
 * shard and one per other domain. The stanza has no to; the receivers are
 * copied. */
void router_fan_out(struct shard *, const struct stanza *,
    const struct jid *const *receivers, size_t count);

/* The stanza without its to, as bytes for clients' streams. */
struct blob *router_serialise(struct shard *, const struct stanza *);
/* The handler of MANY. */
void router_take_many(struct shard *, struct post *);

/* A letter DOWN whose stream has ended: messages go back to the account, for
 * another session or to be kept; the rest is dropped. An empty one becomes
 * CAUGHT. Takes it. */
void router_return(struct shard *, struct post *);
/* The same for those that an account of this shard held itself: they come
 * before what waits in the mailbox. Empties the list. */
void router_return_all(struct shard *, struct list *);

/* Answers stanzas to an account that does not exist: RFC 6121, section 8.5.1.
 */
void router_absent(struct shard *, struct post *);

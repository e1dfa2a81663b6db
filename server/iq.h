/*
 * server/iq.h - the duty to answer an iq.
 *
 * Who holds a struct iq * owes the answer; answering consumes it and frees all
 * that hangs on it. Handlers run where the asked owner lives (for a host: at
 * the sender's owner, or where the stream is when the sender is not ours). They
 * may wait for the store with their structs in iq_arena. Debug builds and
 * worlds fail on an iq that is dropped unanswered. When the server ends, those
 * that are open are given a moment and then answered in their handlers' place
 * (iq_give_up); the waits end later, with ERR_CANCELED, and nobody hears of it.
 */
#pragma once

#include <stdbool.h>

#include "server/account.h"
#include "xml/stanza.h"

struct iq;

/* By the router and account: finds the handler and gives it the duty, or
 * answers service-unavailable (RFC 6120, section 8.4). Takes the letter.
 * account is whose owner it runs at; for_host tells that to is the host: then
 * it is NULL for askers that are not ours. Else it is NULL when there is no
 * such account (SCOPE_NOBODY). session is the asker's when it is
 * the account's own, else NULL. */
void iq_take(struct shard *, struct account *, struct session *, struct post *,
    bool for_host);

/* A get counts as handled (XEP-0198) as soon as its handler ran, whatever it
 * waits for; a set when it is answered, for then it is written or refused. This
 * is a set that writes nothing: it counts from now on. */
void iq_only_reads(struct iq *);

struct arena *iq_arena(const struct iq *);
const struct stanza *iq_stanza(const struct iq *);
const struct jid *iq_from(const struct iq *);
/* The child of get and set. */
const struct node *iq_payload(const struct iq *);
bool iq_is_set(const struct iq *);
/* Whom it runs at: the asked account, NULL when there is none; or the asker's
 * own when a host is asked, NULL when that is not one of ours. It is pinned
 * until the answer. */
struct account *iq_account(const struct iq *);
struct shard *iq_shard(const struct iq *);
const struct host *iq_host(const struct iq *);
bool iq_is_for_host(const struct iq *);
/* The asking session; NULL when it is not the account's own or went away. */
struct session *iq_session(const struct iq *);
/* Whether the asker is the account itself (any of its sessions). */
bool iq_is_own(const struct iq *);
struct store *iq_store(const struct iq *);

/* payload may be NULL; it is copied or written before this returns, so it may
 * live in the account. The iq is consumed. */
void iq_reply(struct iq *, const struct node *payload);
void iq_refuse(struct iq *, enum stanza_err);
/* text says to people what to do. */
void iq_refuse_text(struct iq *, enum stanza_err, const char *text);
/* Refuses with an application-specific condition beside the defined one; or an
 * error type other than the usual. type may be NULL. */
void iq_refuse_with(struct iq *, enum stanza_err, const char *type,
    const struct node *specific);
/* Commits the write of a set, then answers: by done, or with an empty result
 * when that is NULL. What cannot be committed is refused; when the account's
 * memory has the change already, it is loaded anew then. */
void iq_commit(struct iq *, struct store_write *, bool is_in_memory,
    void (*done)(struct iq *));
/* The server ends, its sessions are to be kept: the askers of all that are open
 * on this shard are told to ask again later. What handlers answer then is
 * dropped. */
void iq_give_up(struct shard *);
/* At the end of a shard: those that still wait, for a timer, say, go. */
void iq_free_all(struct shard *);
/* The condition that tells of a failure of the store. */
enum stanza_err stanza_err_of(enum err);

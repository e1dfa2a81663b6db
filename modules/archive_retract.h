/*
 * modules/archive_retract.h - who takes back a message (XEP-0424) leaves a
 * tombstone in its place.
 *
 * That a row takes back another one is noted in the commit of that row, and the
 * note goes with the commit of the tombstone; so it is done sooner or later, if
 * not in this run then when the next one loads the account.
 */
#pragma once

#include "base/join.h"
#include "server/account.h"
#include "storage/store.h"
#include "xml/stanza.h"

#define NS_RETRACT "urn:xmpp:message-retract:1"

struct archive_retract;

extern const struct store_kind archive_retract_kind;

/* When the message takes back an earlier one: what to do once its row is there.
 * NULL for all others. */
struct archive_retract *archive_retract_new(struct account *,
    const struct stanza *, const struct jid *peer, uint64_t row);
/* With the row of that message: what it takes back. */
void archive_retract_note(struct store_write *, const struct log_row *);
/* Finds the earlier one and puts a tombstone in its place. Takes it. */
void archive_retract_start(struct archive_retract *);
void archive_retract_free(struct archive_retract **);
/* What is left to do of earlier runs. */
void archive_retract_load(struct account *, struct join *);
void archive_retract_forget(struct account *);
/* The row's message as it is to be read: its tombstone may be on its way. */
struct str archive_retract_text(struct account *, const struct log_row *);

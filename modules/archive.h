/*
 * modules/archive.h - XEP-0313: each account keeps what it says and hears.
 *
 * A message that is worth keeping becomes a row of the log `archive` of its
 * sender and one of its recipient. The row's id, which is its time too, and the
 * row's nonce are the archive id: 32 hex digits, from which nobody learns when
 * the message came, or anything else.
 * The recipient's copies, live, carbon and offline, carry it as stanza-id; so
 * do the sender's carbons.
 */
#pragma once

#include "server/account.h"

extern const struct module archive_module;
extern const struct store_kind archive_kind;

/* The id of the row of this account that the message was given, from its
 * stanza-id: RECEIVED_MESSAGE from order 501, UNDELIVERED, DELIVER; when the
 * account has other sessions also at SENT_MESSAGE, between orders 501 and 699.
 * 0 when it has none. */
uint64_t archive_id_of(const struct account *, const struct stanza *);

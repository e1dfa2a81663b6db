/*
 * modules/offline_private.h - what the files of the module share: offline.c
 * keeps, reads and sends; offline_bounce.c hands errors over that must not get
 * lost.
 */
#pragma once

#include "modules/offline.h"
#include "server/account.h"

/* Of a session: errors that were sent to it and not proved to have arrived. */
struct offline_session {
	struct list bounces; /* zeroed until first used */
	uint64_t bounce_count;
};

/* Takes a message of the account's (not lent) and keeps it; that of a durable
 * letter once its sender has committed its part. */
void offline_keep(struct account *, struct post *);

/* Hooks. */
enum verdict bounce_received(struct account *, struct session *, struct post *);
void bounce_session_closed(struct session *);
/* Tickets of TICKET_APART. */
void bounce_proved(struct session *, uint64_t ticket);

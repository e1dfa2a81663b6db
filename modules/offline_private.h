/*
 * modules/offline_private.h - what the files of the module share: offline.c
 * keeps, reads and sends; offline_bounce.c hands errors over that must not get
 * lost.
 */
#pragma once

#include "modules/offline.h"
#include "server/account.h"

/* Of an account: errors that were sent to its sessions and not proved to have
 * arrived. */
struct bounces {
	struct list list; /* zeroed until first used */
	uint64_t count;   /* that there ever were */
};

struct bounces *offline_bounces(struct account *);

/* Takes a message of the account's (not lent) and keeps it; that of a durable
 * letter once its sender has committed its part. */
void offline_keep(struct account *, struct post *);

/* Hooks. */
enum verdict bounce_received(struct account *, struct session *, struct post *);
void bounce_session_closed(struct session *);
void bounce_forget(struct account *);
/* Tickets of TICKET_APART. */
void bounce_proved(struct session *, uint64_t ticket);

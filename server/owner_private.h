/*
 * server/owner_private.h - what the files of the owner share.
 *
 *	owner.c		what is in memory, and how it gets there
 *	owner_inbox.c	letters that wait for that
 *	owner_fetch.c	memory that will be needed soon
 */
#pragma once

#include "server/account.h"
#include "server/owner.h"

static inline struct account *
account_in(struct owner *owner)
{
	return container_of(owner, struct account, owner);
}

/* --- owner_inbox.c ------------------------------------------------------- */

/* Keeps a letter for an owner that is not loaded, or refuses it where too many
 * wait; takes it. Whether somebody waits, so that it is to be loaded now. */
bool inbox_add(struct owner *, struct post *);
/* The owner cannot be loaded now: answers those that wait, but for what must
 * not get lost, and when is_patient for messages of other servers: these go on
 * waiting. */
void inbox_refuse(struct owner *, enum err, bool is_patient);
/* Such letters must not be answered but carried out. */
bool inbox_is_durable(const struct post *);

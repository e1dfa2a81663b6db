/*
 * modules/had.h - who else was sent a message that comes back.
 *
 * Of a message for several sessions one is sent the letter itself, and the
 * letter comes back (is_returned) when that session ends without having
 * acknowledged it. Another one that was sent it too, and has acknowledged it,
 * is not sent it again, and then nobody is: the user has it. Known until the
 * server is started again; for what has a row its module knows it.
 */
#pragma once

#include "server/session.h"

/* The session is sent the message, too, or a copy of it. */
void had_note(struct post *, const struct session *);
/* Whether one of those is there and has acknowledged it. */
bool had_by_another(struct account *, const struct post *);

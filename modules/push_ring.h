/*
 * modules/push_ring.h - which messages would make a phone ring.
 *
 * Those with something to read, also if only their reader can decrypt it,
 * invitations and calls; not what only tells of other messages (receipts,
 * markers, chat states, retractions), errors, headlines, what shall not be
 * stored, what the user said elsewhere, and what is said in a room without the
 * user's nickname.
 */
#pragma once

#include <stdbool.h>

#include "xml/stanza.h"

struct push_ring {
	const struct jid *from;
	struct str id;   /* empty when it has none */
	struct str body; /* empty when there is none that people can read */
};

/* Of a message to the account; carbons (XEP-0280) count as what they carry.
 * nick is the user's name in the room that it is from, empty when unknown. The
 * result lives as long as stanza and arena. */
bool push_rings(struct arena *, const struct jid *account, struct str nick,
    const struct stanza *, struct push_ring *ring_r);

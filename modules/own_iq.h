/*
 * modules/own_iq.h - an iq set from the account to one of its own sessions:
 * roster and block list pushes. The answer is of no interest and is dropped.
 *
 * It says that it is from the account, which RFC 6121, section 2.1.6 allows to
 * leave out: Profanity 0.15 ignores pushes that do not say it.
 */
#pragma once

#include "server/session.h"

/* The payload is copied. */
void own_iq_send(struct session *, const struct node *payload);
/* The same in a place that the session holds. */
void own_iq_fill(struct session *, unsigned place, const struct node *payload);

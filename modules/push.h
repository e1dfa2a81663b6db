/*
 * modules/push.h - an iq set from the account to one of its own sessions:
 * roster and block list pushes. The answer is of no interest and is dropped.
 */
#pragma once

#include "server/session.h"

/* The payload is copied. */
void push_send(struct session *, const struct node *payload);

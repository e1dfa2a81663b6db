/*
 * modules/push.h - XEP-0357: push notifications.
 *
 * A client names a push service that can wake its device. The registration is
 * kept with the account and remembers which session made it. When a message or
 * a subscription request comes that no session could take, all registrations
 * are notified; when it goes to a session whose stream is gone (XEP-0198), that
 * session's.
 */
#pragma once

#include "server/module.h"

extern const struct module push_module;

/* A stanza was sent to a session whose stream is gone: its device is woken if
 * the stanza would make a phone ring. */
void push_session_waits(struct session *, const struct stanza *);

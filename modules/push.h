/*
 * modules/push.h - XEP-0357: push notifications.
 *
 * A client names a push service that can wake its device. The registration is
 * kept with the account and remembers which session made it. When a message or
 * a subscription request comes that no session could take, all registrations
 * are notified. When it goes to a session that waits for its client (XEP-0198),
 * that session's is, and if no other session is there, also those that have
 * none.
 */
#pragma once

#include "server/module.h"

extern const struct module push_module;

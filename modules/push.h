/*
 * modules/push.h - XEP-0357: push notifications.
 *
 * A client names a push service that can wake its device. The registration is
 * kept with the account and remembers which session made it. When a message or
 * a subscription request comes that no session could take, all registrations
 * are notified. When it goes to a session that waits for its client (XEP-0198),
 * that session's is, and if no other session is there, also those that have
 * none.
 *
 * A notification that could not be published yet, or has no answer, is owed:
 * the row says so, written with what caused it, and the next run publishes it,
 * after an orderly end as after a crash. Nothing else is said again: a crash
 * notifies a device of the same once more at most. What the client of a live
 * stream had not acknowledged when the server crashed makes no notification: it
 * sees its connection break.
 *
 * Errors that may pass are tried again after 5 s, 20 s, ... an hour, for
 * push.give_up; news do not wait for that. Others disable the registration,
 * until the client enables it again.
 */
#pragma once

#include "server/module.h"

extern const struct module push_module;

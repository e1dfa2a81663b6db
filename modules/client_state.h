/*
 * modules/client_state.h - XEP-0352: what a client that nobody looks at is sent
 * can wait.
 *
 * While a client is inactive, presence and chat states are held back, the last
 * of each kind from each address. What matters is sent at once, after all that
 * was held back: the order stays. When too much is held back it goes, too.
 */
#pragma once

#include "server/session.h"

extern const struct module client_state_module;

bool client_state_is_inactive(struct session *);

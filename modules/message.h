/*
 * modules/message.h - RFC 6121, section 8.5: where a message to an account
 * goes.
 */
#pragma once

#include "server/account.h"

extern const struct module message_module;

/*
 * modules/subscription.h - RFC 6121, section 3 and appendix A: who may see
 * whose presence.
 */
#pragma once

#include "server/module.h"

extern const struct module subscription_module;

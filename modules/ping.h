/*
 * modules/ping.h - XEP-0199: pings.
 */
#pragma once

#include "server/module.h"

extern const struct module ping_module;

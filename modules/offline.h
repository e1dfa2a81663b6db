/*
 * modules/offline.h - XEP-0160: messages that wait for their reader.
 */
#pragma once

#include "server/module.h"

extern const struct module offline_module;

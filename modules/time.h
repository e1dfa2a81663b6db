/*
 * modules/time.h - XEP-0202: the time of day.
 */
#pragma once

#include "server/module.h"

extern const struct module time_module;

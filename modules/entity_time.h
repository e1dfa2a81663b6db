/*
 * modules/entity_time.h - XEP-0202: the time of day.
 */
#pragma once

#include "server/module.h"

extern const struct module entity_time_module;

/*
 * modules/register.h - XEP-0077: accounts made, changed and removed by their
 * users.
 */
#pragma once

#include "server/module.h"

extern const struct module register_module;

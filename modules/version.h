/*
 * modules/version.h - XEP-0092: name and version of the software.
 */
#pragma once

#include "server/module.h"

extern const struct module version_module;

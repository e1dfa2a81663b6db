/*
 * modules/contact.h - XEP-0157: whom to write to about this service.
 */
#pragma once

#include "server/module.h"

extern const struct module contact_module;

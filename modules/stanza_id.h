/*
 * modules/stanza_id.h - XEP-0359: nobody else speaks in an account's name.
 */
#pragma once

#include "server/module.h"

extern const struct module stanza_id_module;

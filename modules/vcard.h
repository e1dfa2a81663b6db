/*
 * modules/vcard.h - XEP-0054 and XEP-0153: who somebody is, and the picture.
 */
#pragma once

#include "server/module.h"

extern const struct module vcard_module;

/*
 * modules/private_xml.h - XEP-0049: what a client keeps for itself.
 */
#pragma once

#include "server/module.h"

extern const struct module private_xml_module;

/*
 * modules/caps.h - XEP-0115: a hash that stands for a disco#info.
 */
#pragma once

#include "server/module.h"

#define NS_CAPS "http://jabber.org/protocol/caps"

extern const struct module caps_module;

/* The verification string of a disco#info query (section 5.1): base64 of the
 * SHA-1 of its sorted identities, features and forms. */
struct str caps_verification(struct arena *, const struct node *query);

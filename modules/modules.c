/*
 * modules/modules.c - the built-in modules, in the order in which hooks of
 * equal order run.
 */
#include "server/module.h"

#include "modules/hints.h"
#include "modules/message.h"
#include "modules/offline.h"
#include "modules/presence.h"
#include "modules/roster.h"
#include "modules/stanza_id.h"
#include "modules/subscription.h"

const struct module *const modules_builtin[] = {
    &roster_module,
    &subscription_module,
    &presence_module,
    &message_module,
    &offline_module,
    &hints_module,
    &stanza_id_module,
    NULL,
};

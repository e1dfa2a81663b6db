/*
 * modules/modules.c - the built-in modules, in the order in which hooks of
 * equal order run.
 */
#include "server/module.h"

#include "modules/archive.h"
#include "modules/blocking.h"
#include "modules/caps.h"
#include "modules/carbons.h"
#include "modules/client_state.h"
#include "modules/contact.h"
#include "modules/disco.h"
#include "modules/entity_time.h"
#include "modules/hints.h"
#include "modules/last.h"
#include "modules/message.h"
#include "modules/offline.h"
#include "modules/ping.h"
#include "modules/presence.h"
#include "modules/private_xml.h"
#include "modules/push.h"
#include "modules/register.h"
#include "modules/roster.h"
#include "modules/stanza_id.h"
#include "modules/subscription.h"
#include "modules/vcard.h"
#include "modules/version.h"

const struct module *const modules_builtin[] = {
    &roster_module,
    &subscription_module,
    &blocking_module,
    &presence_module,
    &message_module,
    &archive_module,
    &carbons_module,
    &client_state_module,
    &offline_module,
    &push_module,
    &hints_module,
    &stanza_id_module,
    &last_module,
    &vcard_module,
    &private_xml_module,
    &register_module,
    &disco_module,
    &caps_module,
    &contact_module,
    &version_module,
    &entity_time_module,
    &ping_module,
    NULL,
};

/*
 * modules/ping.c - XEP-0199: answers that prove the way is open.
 */
#include "modules/ping.h"

#include "server/iq.h"

#define NS_PING "urn:xmpp:ping"

static void on_ping(struct iq *);

static const struct hook hooks[] = {
    {.on = HOOK_IQ_GET,
	.ns = NS_PING,
	.name = "ping",
	.scope = SCOPE_ACCOUNT | SCOPE_HOST,
	.iq = on_ping},
    {.on = HOOK_END},
};

const struct module ping_module = {
    .api = MODULE_API,
    .name = "ping",
    .help = "Answers to pings",
    .xeps = (const char *const[]){"XEP-0199 2.0.1", NULL},
    .features = (const char *const[]){NS_PING, NULL},
    .account_features = (const char *const[]){NS_PING, NULL},
    .hooks = hooks,
};

/* Of another's account no answer may tell that it exists. */
static void
on_ping(struct iq *iq)
{
	if (iq_is_for_host(iq) || iq_is_own(iq))
		iq_reply(iq, NULL);
	else
		iq_refuse(iq, STANZA_ERR_SERVICE_UNAVAILABLE);
}

/*
 * examples/motto.c - a module of one file, built outside the tree: the host
 * tells its motto, and how often this session has asked (docs/modules.md).
 *
 *	<iq type='get' to='example.org' id='m1'>
 *	  <motto xmlns='urn:example:motto'/>
 *	</iq>
 */
#include "server/iq.h"
#include "server/module.h"
#include "server/session.h"
#include "server/setup.h"

#define NS_MOTTO "urn:example:motto"

static void on_get(struct iq *);

static const struct setting settings[] = {
    {"motto.text", SETTING_TEXT, SETTING_PER_HOST | SETTING_RELOADS,
	.preset = "Festina lente",
	.help = "What the host says when it is asked for its motto."},
    {NULL},
};

static const struct hook hooks[] = {
    {.on = HOOK_IQ_GET,
	.ns = NS_MOTTO,
	.name = "motto",
	.scope = SCOPE_HOST,
	.iq = on_get},
    {.on = HOOK_END},
};

struct asked {
	unsigned times;
};

const struct module jackdaw_module = {
    .api = MODULE_API,
    .name = "motto",
    .help = "Tells the motto of the host",
    .features = (const char *const[]){NS_MOTTO, NULL},
    .hooks = hooks,
    .settings = settings,
    .session_size = sizeof(struct asked),
};

static void
on_get(struct iq *iq)
{
	const struct host *host = iq_host(iq);
	struct session *session = iq_session(iq);
	struct node *motto = node_make(iq_arena(iq), "motto", NS_MOTTO);

	node_add_text(motto,
	    config_text(setup_config(host->setup), host->index, &settings[0]));
	if (session != NULL) {
		struct asked *asked = session_slot(session, &jackdaw_module);

		node_set_format(motto, "times", "%u", ++asked->times);
	}
	iq_reply(iq, motto);
}

/*
 * modules/version.c - XEP-0092: which software this is.
 */
#include "modules/version.h"

#include <sys/utsname.h>

#include "server/iq.h"
#include "server/setup.h"

#define NS_VERSION "jabber:iq:version"

static void on_version(struct iq *);

static const struct setting settings[] = {
    {"version.show_system", SETTING_BOOL, SETTING_PER_HOST | SETTING_RELOADS,
	.preset = "false",
	.help = "Whether the answer to a version request names the operating "
		"system."},
    {NULL},
};

static const struct hook hooks[] = {
    {.on = HOOK_IQ_GET,
	.ns = NS_VERSION,
	.name = "query",
	.scope = SCOPE_HOST,
	.iq = on_version},
    {.on = HOOK_END},
};

const struct module version_module = {
    .api = MODULE_API,
    .name = "version",
    .help = "Name and version of the server",
    .xeps = (const char *const[]){"XEP-0092 1.1", NULL},
    .features = (const char *const[]){NS_VERSION, NULL},
    .hooks = hooks,
    .settings = settings,
};

static void
on_version(struct iq *iq)
{
	struct node *query = node_make(iq_arena(iq), "query", NS_VERSION);
	struct utsname system;

	node_add_with_text(query, "name", NS_VERSION, STR("Jackdaw"));
	node_add_with_text(query, "version", NS_VERSION, STR(JACKDAW_VERSION));
	if (host_bool(iq_host(iq), &settings[0]) && uname(&system) == 0)
		node_add_with_text(query, "os", NS_VERSION,
		    str_of(arena_dup(
			iq_arena(iq), system.sysname, strlen(system.sysname))));
	iq_reply(iq, query);
}

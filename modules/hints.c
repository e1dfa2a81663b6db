#include "modules/hints.h"

static const struct hook hooks[] = {{.on = HOOK_END}};

const struct module hints_module = {
    .api = MODULE_API,
    .name = "hints",
    .help = "Hints of senders about storing and copying",
    .xeps = (const char *const[]){"XEP-0334 1.0.0", NULL},
    .features = (const char *const[]){NS_HINTS, NULL},
    .hooks = hooks,
};

bool
hints_has(const struct stanza *stanza, const char *hint)
{
	return stanza->type != STANZA_ERROR &&
	       node_child(stanza->node, hint, NS_HINTS) != NULL;
}

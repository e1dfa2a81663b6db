#include "server/setup_rig.h"

#include "base/err.h"
#include "server/settings.h"

static const struct module *const no_modules[] = {NULL};

struct setup *
setup_rig(struct arena *arena, const char *yaml,
    const struct module *const *modules, bool with_certificates,
    struct str *why_r)
{
	size_t count;
	const struct setting *const *tables;
	const struct config *config;
	struct setup *setup;

	if (modules == NULL)
		modules = no_modules;
	tables = settings_tables(arena, modules, &count);
	config =
	    config_parse(arena, "t.yaml", str_of(yaml), tables, count, why_r);
	if (config == NULL)
		return NULL;
	setup = setup_new(arena, config, modules, with_certificates, why_r);
	config_unref(&config);
	return setup;
}

struct setup *
setup_rig_plain(struct arena *arena, const char *yaml)
{
	struct str why;
	struct setup *setup = setup_rig(arena, yaml, NULL, false, &why);

	must(setup != NULL);
	return setup;
}

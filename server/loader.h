/*
 * server/loader.h - the modules of this process: the built-in ones and shared
 * objects (docs/modules.md).
 */
#pragma once

#include "server/module.h"

/* builtin and, behind it, what the configuration file names under
 * load_modules; NULL at the end, in the arena. NULL with a sentence in *why_r
 * when a file cannot be read, is no module, or was built for another version.
 */
const struct module *const *loader_modules(struct arena *,
    const char *config_path, const struct module *const *builtin,
    struct str *why_r);

/* How many of them there are. */
static inline size_t
loader_count(const struct module *const *modules)
{
	size_t count = 0;

	while (modules[count] != NULL)
		count++;
	return count;
}

#include "server/loader.h"

#include <dlfcn.h>

#include "server/settings.h"

/* Symbol of the descriptor in a shared object. */
#define MODULE_SYMBOL "jackdaw_module"

/* Stays loaded for the life of the process. */
static const struct module *
load(struct arena *arena, const char *path, struct str *why_r)
{
	void *object = dlopen(path, RTLD_NOW | RTLD_LOCAL);
	const struct module *module;

	if (object == NULL) {
		*why_r =
		    str_format(arena, "could not load module: %s", dlerror());
		return NULL;
	}
	module = dlsym(object, MODULE_SYMBOL);
	if (module == NULL) {
		*why_r = str_format(arena,
		    "%s is not a module: it has no symbol " MODULE_SYMBOL,
		    path);
		return NULL;
	}
	if (module->api != MODULE_API) {
		*why_r = str_format(arena,
		    "%s was built for interface %u of Jackdaw, this is "
		    "interface %u: build it anew",
		    path, module->api, MODULE_API);
		return NULL;
	}
	return module;
}

const struct module *const *
loader_modules(struct arena *arena, const char *config_path,
    const struct module *const *builtin, struct str *why_r)
{
	const size_t builtin_count = loader_count(builtin);
	struct setting_list paths;
	const struct module **modules;

	if (!config_peek(
		arena, config_path, SETTING(LOAD_MODULES), &paths, why_r))
		return NULL;
	modules = arena_array(
	    arena, const struct module *, builtin_count + paths.count + 1);
	memcpy(modules, builtin, builtin_count * sizeof(modules[0]));
	for (size_t i = 0; i < paths.count; i++) {
		const char *path = str_dup(arena, paths.items[i]).text;

		modules[builtin_count + i] = load(arena, path, why_r);
		if (modules[builtin_count + i] == NULL)
			return NULL;
	}
	return modules;
}

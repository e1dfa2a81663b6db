#include "server/config.h"
#include "server/settings.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

int
LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
	static const struct setting *const tables[] = {server_settings};
	struct arena *arena = arena_make(0);
	struct str why;
	const struct config *config = config_parse(arena, "fuzz",
	    (struct str){(const char *)bytes, len}, tables, 1, &why);

	config_unref(&config);
	arena_free(&arena);
	return 0;
}

#include "server/settings.h"

#include "base/check_arena.h"
#include "server/config.h"
#include "server/module.h"

static const struct setting more[] = {
    {"vcard.bytes", SETTING_SIZE, 0, .preset = "1 KiB", .help = "Bytes."},
    {NULL},
};

static const struct module vcard = {
    .name = "vcard", .help = "Cards.", .settings = more};
static const struct module quiet = {
    .name = "quiet", .help = "Quiet.", .is_off = true};

static char
upper(char c)
{
	return c >= 'a' && c <= 'z' ? (char)(c - 'a' + 'A') : c;
}

static void
names_stand_where_the_map_says(void **state)
{
	static const char *const names[] = {
#define X(name) #name,
	    SETTINGS_MAP(X)
#undef X
	};

	for (size_t i = 0; i < SETTINGS_COUNT; i++) {
		char name[64] = "";
		const char *path = server_settings[i].name;

		assert_non_null(path);
		for (size_t j = 0; path[j] != '\0' && j < 63; j++)
			name[j] = path[j] == '.' ? '_' : upper(path[j]);
		CHECK_TEXT(name, names[i]);
		CHECK(strlen(server_settings[i].help) > 5);
	}
	CHECK(server_settings[SETTINGS_COUNT].name == NULL);
}

static void
presets_are_right(void **state)
{
	for (size_t i = 0; i < SETTINGS_COUNT; i++) {
		struct setting_value value;

		setting_preset(arena, &server_settings[i], STR_NONE, &value);
	}
}

static void
modules_bring_rows_and_a_switch(void **state)
{
	static const struct module *const modules[] = {&vcard, &quiet, NULL};
	size_t count;
	const struct setting *const *tables =
	    settings_tables(arena, modules, &count);
	struct str why;
	const struct config *config = config_parse(arena, "t",
	    STR("hosts: {a: {modules: {vcard: off}}}\n"
		"vcard: {bytes: 2 KiB}\n"),
	    tables, count, &why);
	const struct setting *first, *second;

	assert_non_null(config);
	first = config_find(config, STR("modules.vcard"));
	second = config_find(config, STR("modules.quiet"));
	CHECK(config_bool(config, CONFIG_GLOBAL, first));
	CHECK(!config_bool(config, 0, first));
	CHECK(!config_bool(config, 0, second));
	CHECK_EQUAL(config_bytes(config, CONFIG_GLOBAL, &more[0]), 2048);
	CHECK_EQUAL(
	    config_int(config, CONFIG_GLOBAL, SETTING(LISTEN_C2S_PORT)), 5222);
	config_unref(&config);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(names_stand_where_the_map_says),
	    cmocka_unit_test(presets_are_right),
	    cmocka_unit_test(modules_bring_rows_and_a_switch),
	};

	return cmocka_run_group_tests(
	    tests, check_arena_make, check_arena_free);
}

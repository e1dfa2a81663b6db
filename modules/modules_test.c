/*
 * What holds for all built-in modules, and etc/jackdaw.yaml, which
 * `modules_test --update` writes anew.
 */
#include "server/module.h"

#include <stdio.h>

#include "base/check_arena.h"
#include "server/config.h"
#include "server/settings.h"

#define SAMPLE "etc/jackdaw.yaml"

static struct str
sample(void)
{
	size_t count;
	const struct setting *const *tables =
	    settings_tables(arena, modules_builtin, &count);

	return config_sample(arena, tables, count);
}

static void
descriptors_are_whole(void **state)
{
	for (size_t i = 0; modules_builtin[i] != NULL; i++) {
		const struct module *module = modules_builtin[i];

		CHECK_EQUAL(module->api, MODULE_API);
		assert_non_null(module->help);
		assert_non_null(module->hooks);
		for (size_t j = 0; j < i; j++)
			CHECK(!str_equal(str_of(module->name),
			    str_of(modules_builtin[j]->name)));
	}
}

static void
names_of_settings_begin_with_their_module(void **state)
{
	for (size_t i = 0; modules_builtin[i] != NULL; i++) {
		const struct module *module = modules_builtin[i];
		const struct setting *row = module->settings;

		for (; row != NULL && row->name != NULL; row++) {
			struct str word, rest;

			CHECK(str_cut(str_of(row->name), '.', &word, &rest));
			CHECK_STR(word, module->name);
		}
	}
}

/* Fails with the first line that differs. */
static void
compare_lines(struct str have, struct str want)
{
	unsigned line = 1;

	while (have.len > 0 || want.len > 0) {
		struct str left, right;

		str_cut(have, '\n', &left, &have);
		str_cut(want, '\n', &right, &want);
		if (!str_equal(left, right))
			fail_msg("%s:%u: \"%.*s\" should be \"%.*s\"; "
				 "modules_test --update writes it anew",
			    SAMPLE, line, STR_ARG(left), STR_ARG(right));
		line++;
	}
}

static void
the_sample_file_is_the_generated_one(void **state)
{
	const struct setting *const *tables;
	const struct config *config;
	struct str want = sample(), why = STR_NONE;
	size_t room = want.len * 2;
	char *text = arena_text(arena, room);
	FILE *file = fopen(SAMPLE, "r");
	size_t count;

	assert_non_null(file);
	compare_lines((struct str){text, fread(text, 1, room, file)}, want);
	fclose(file);

	tables = settings_tables(arena, modules_builtin, &count);
	config = config_load(arena, SAMPLE, tables, count, &why);
	assert_non_null(config);
	config_unref(&config);
}

static int
update(void)
{
	FILE *file = fopen(SAMPLE, "w");
	struct str text;

	if (file == NULL) {
		perror(SAMPLE);
		return EXIT_FAILURE;
	}
	arena = arena_make(0);
	text = sample();
	fwrite(text.text, 1, text.len, file);
	arena_free(&arena);
	return fclose(file) == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

int
main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(descriptors_are_whole),
	    cmocka_unit_test(names_of_settings_begin_with_their_module),
	    cmocka_unit_test(the_sample_file_is_the_generated_one),
	};

	if (argc > 1 && strcmp(argv[1], "--update") == 0)
		return update();
	return cmocka_run_group_tests(
	    tests, check_arena_make, check_arena_free);
}

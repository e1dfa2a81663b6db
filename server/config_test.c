#include "server/config.h"

#include "base/check.h"

static struct arena *arena;

static const char *const colours[] = {"red", "green", NULL};

enum {
	DEPTH,
	STANZA,
	COLOUR,
	FILE_ROW,
	BOTH = SETTING_RELOADS | SETTING_PER_HOST
};

static const struct setting first[] = {
    [DEPTH] = {"limits.depth", SETTING_INT, SETTING_RELOADS, .min = 1,
	.max = 99, .preset = "64", .help = "How deep."},
    [STANZA] = {"limits.stanza", SETTING_SIZE, BOTH, .preset = "1 KiB",
	.help = "How large a stanza may be, said in so many words that the "
		"line has to be broken somewhere."},
    [COLOUR] = {"colour", SETTING_CHOICE, SETTING_PER_HOST, .preset = "red",
	.choices = colours, .help = "Which."},
    [FILE_ROW] = {"file", SETTING_PATH, BOTH, .help = "Where."},
    {NULL},
};

enum { NAMES, WAIT, ON, WORDS };

static const struct setting second[] = {
    [NAMES] = {"inner.most.names", SETTING_LIST, 0, .preset = "[a, b]",
	.help = "Who."},
    [WAIT] = {"limits.wait", SETTING_TIME, 0, .preset = "2 s", .help = "When."},
    [ON] = {"modules.vcard", SETTING_BOOL, BOTH, .preset = "on",
	.help = "Whether"},
    [WORDS] = {"words", SETTING_TEXT, 0, .help = "What."},
    {NULL},
};

static const struct setting *const tables[] = {first, second};

static const struct config *
parse(const char *text, struct str *why)
{
	return config_parse(arena, "t.yaml", str_of(text), tables, 2, why);
}

static const struct config *
parse_good(const char *text)
{
	struct str why = STR_NONE;
	const struct config *config = parse(text, &why);

	if (config == NULL)
		print_error("%.*s\n", STR_ARG(why));
	assert_non_null(config);
	return config;
}

static void
presets_hold_where_nothing_is_said(void **state)
{
	const struct config *config = parse_good("hosts: {a: }");
	size_t count;

	CHECK_STR(config_hosts(config, &count)[0], "a");
	CHECK_EQUAL(count, 1);
	CHECK_STR(config_host_place(config, 0), "t.yaml:1:9");
	CHECK_EQUAL(config_int(config, CONFIG_GLOBAL, &first[DEPTH]), 64);
	CHECK_EQUAL(config_bytes(config, 0, &first[STANZA]), 1024);
	CHECK_EQUAL(config_choice(config, 0, &first[COLOUR]), 0);
	CHECK_STR(config_text(config, 0, &first[COLOUR]), "red");
	CHECK(config_text(config, 0, &first[FILE_ROW]).text == NULL);
	CHECK_EQUAL(config_list(config, 0, &second[NAMES]).count, 2);
	CHECK_STR(config_list(config, 0, &second[NAMES]).items[1], "b");
	CHECK_EQUAL(config_ms(config, 0, &second[WAIT]), 2000);
	CHECK(config_bool(config, 0, &second[ON]));
	config_unref(&config);
	CHECK(config == NULL);
	config_unref(&config);
}

static void
a_host_may_differ(void **state)
{
	const struct config *config = parse_good("limits:\n"
						 "  stanza: 2 KiB\n"
						 "hosts:\n"
						 "  a: {}\n"
						 "  b:\n"
						 "    limits:\n"
						 "      stanza: 3 KiB\n"
						 "    modules: {vcard: off}\n"
						 "modules:\n"
						 "colour: green\n");
	size_t count;

	CHECK_STR(config_hosts(config, &count)[1], "b");
	CHECK_EQUAL(count, 2);
	CHECK_EQUAL(config_bytes(config, CONFIG_GLOBAL, &first[STANZA]), 2048);
	CHECK_EQUAL(config_bytes(config, 0, &first[STANZA]), 2048);
	CHECK_EQUAL(config_bytes(config, 1, &first[STANZA]), 3072);
	CHECK(config_bool(config, 0, &second[ON]));
	CHECK(!config_bool(config, 1, &second[ON]));
	CHECK_EQUAL(config_choice(config, 1, &first[COLOUR]), 1);
	config_unref(&config);
}

static void
settings_are_found_by_name(void **state)
{
	const struct config *config = parse_good("hosts: {a: {}}");

	CHECK(config_find(config, STR("limits.wait")) == &second[WAIT]);
	CHECK(config_find(config, STR("limits")) == NULL);
	CHECK(config_find(config, STR("limits.waits")) == NULL);
	config_unref(&config);
}

static void
asking_wrongly_aborts(void **state)
{
	static const struct setting foreign = {"limits.depth", SETTING_INT};
	const struct config *config = parse_good("hosts: {a: {}}");

	CHECK_ABORTS(config_int(config, 0, &foreign));
	CHECK_ABORTS(config_int(config, 1, &first[DEPTH]));
	CHECK_ABORTS(config_int(config, 0, &first[STANZA]));
	config_unref(&config);
}

static const struct {
	const char *text, *why;
} bad[] = {
    {"", "t.yaml:1:1: hosts must be a map with a domain or more, like "
	 "\"example.org: {}\""},
    {"hosts:\n", "t.yaml:1:1: hosts must be a map with a domain or more, "
		 "like \"example.org: {}\""},
    {"hosts: [a]\n", "t.yaml:1:8: hosts must be a map with a domain or more, "
		     "like \"example.org: {}\""},
    {"[a]", "t.yaml:1:1: a configuration is a map of settings"},
    {"hosts: {a: b}", "t.yaml:1:12: host a must be a map of settings"},
    {"hosts: {a: {}, A: {}}",
	"t.yaml:1:16: A is the same host as the one at t.yaml:1:9"},
    {"hosts: {a b: {}}", "t.yaml:1:9: host \"a b\" is not a domain"},
    {"hosts: {a@b: {}}", "t.yaml:1:9: host \"a@b\" is not a domain"},
    {"hosts: {a: {}, a: {}}", "t.yaml:1:16: a is given twice, first in line 1"},
    {"hosts: {a: {}}\nlimits: 5\n",
	"t.yaml:2:9: limits must be a map of settings"},
    {"hosts: {a: {}}\nlimits:\n  dept: 5\n",
	"t.yaml:3:3: unknown setting limits.dept; the nearest known one is "
	"limits.depth"},
    {"hosts: {a: {}}\nlimits:\n  depht: 5\n",
	"t.yaml:3:3: unknown setting limits.depht; the nearest known one is "
	"limits.depth"},
    {"hosts: {a: {}}\nstanza: 5\n",
	"t.yaml:2:1: unknown setting stanza; the nearest known one is "
	"limits.stanza"},
    {"hosts: {a: {}}\nlimitz: {depth: 4}\n",
	"t.yaml:2:1: unknown setting limitz; the nearest known one is "
	"limits"},
    {"host: {a: {}}\nhosts: {a: {}}\n",
	"t.yaml:1:1: unknown setting host; the nearest known one is hosts"},
    {"hosts: {a: {}}\nlimits: {depth: {x: 1}}\n",
	"t.yaml:2:17: limits.depth must be a whole number, not a map"},
    {"hosts: {a: {}}\nlimits: {depth: 100}\n",
	"t.yaml:2:17: limits.depth must be a whole number from 1 to 99, "
	"not 100"},
    {"hosts: {a: {}}\nlimits.depth: 9\nlimits: {depth: 8}\n",
	"t.yaml:3:10: limits.depth is given twice, first in line 2"},
    {"hosts:\n  a:\n    limits: {depth: 9}\n",
	"t.yaml:3:14: limits.depth is for the whole server, not for one "
	"host"},
    {"hosts:\n  a:\n    color: green\n",
	"t.yaml:3:5: unknown setting color; the nearest known one is colour"},
    {"hosts:\n  a:\n    hosts: {}\n",
	"t.yaml:3:5: unknown setting hosts; the nearest known one is hosts"},
    {"hosts: {a: {}}\ncolour:\n",
	"t.yaml:2:1: colour must be one of red, green, not nothing"},
    {"hosts: {a: {}}\nhosts: {b: {}}\n",
	"t.yaml:2:1: hosts is given twice, first in line 1"},
};

static void
mistakes_are_named_with_their_place(void **state)
{
	for (size_t i = 0; i < COUNT_OF(bad); i++) {
		struct str why = STR_NONE;

		CHECK(parse(bad[i].text, &why) == NULL);
		CHECK_STR(why, bad[i].why);
	}
}

static char folder[64], path[128];

static void
write_file(const char *text)
{
	FILE *file = fopen(path, "w");

	assert_non_null(file);
	fputs(text, file);
	fclose(file);
}

static void
files_are_read(void **state)
{
	const struct config *config;
	struct setting_list names;
	struct str why;
	char want[200];

	CHECK(config_load(arena, path, tables, 2, &why) == NULL);
	snprintf(want, sizeof(want),
	    "%s: cannot be read: No such file or directory", path);
	CHECK_STR(why, want);
	CHECK(!config_peek(arena, path, &second[NAMES], &names, &why));
	CHECK_STR(why, want);
	CHECK(config_load(arena, folder, tables, 2, &why) == NULL);

	write_file("hosts: {a: {file: x.pem}}\nfile: /y.pem\n");
	config = config_load(arena, path, tables, 2, &why);
	assert_non_null(config);
	snprintf(want, sizeof(want), "%s/x.pem", folder);
	CHECK_STR(config_text(config, 0, &first[FILE_ROW]), want);
	CHECK_STR(
	    config_text(config, CONFIG_GLOBAL, &first[FILE_ROW]), "/y.pem");
	config_unref(&config);
}

static void
peeking_reads_one_list(void **state)
{
	static const struct setting load = {"load", SETTING_LIST};
	struct setting_list list;
	struct str why;
	char want[200];

	write_file("nobody: knows\nload: [a.so]\n");
	CHECK(config_peek(arena, path, &load, &list, &why));
	CHECK_EQUAL(list.count, 1);
	CHECK_STR(list.items[0], "a.so");
	write_file("nobody: knows\n");
	CHECK(config_peek(arena, path, &load, &list, &why));
	CHECK_EQUAL(list.count, 0);
	write_file("load: {}\n");
	CHECK(!config_peek(arena, path, &load, &list, &why));
	snprintf(want, sizeof(want),
	    "%s:1:7: load must be a list of texts, not a map", path);
	CHECK_STR(why, want);
}

static void
a_snapshot_stays_until_the_last_lets_go(void **state)
{
	const struct config *config = parse_good("hosts: {a: {}}");
	const struct config *mine = config_ref(config);

	config_unref(&config);
	CHECK_EQUAL(config_int(mine, 0, &first[DEPTH]), 64);
	config_unref(&mine);
}

static void
diff_names_what_needs_a_restart(void **state)
{
	const struct config *old = parse_good("hosts: {a: {}, b: {}}\n");
	const struct config *now =
	    parse_good("hosts:\n"
		       "  c: {colour: green}\n"
		       "  b: {limits: {stanza: 9 KiB}}\n"
		       "limits: {depth: 9, wait: 3 s}\n"
		       "inner: {most: {names: [a, c]}}\n");
	const struct config *host = parse_good("hosts: {b: {colour: green}}\n");
	struct setting_list names = config_diff(arena, old, now);

	CHECK_EQUAL(names.count, 2);
	CHECK_STR(names.items[0], "inner.most.names");
	CHECK_STR(names.items[1], "limits.wait");
	CHECK_EQUAL(config_diff(arena, old, old).count, 0);
	names = config_diff(arena, old, host);
	CHECK_EQUAL(names.count, 1);
	CHECK_STR(names.items[0], "colour");
	config_unref(&old);
	config_unref(&now);
	config_unref(&host);
}

/* From the group limits on: what stands before is for people only. */
static const char sample[] =
    "\nlimits:\n"
    "  # How deep. [a whole number from 1 to 99; reload]\n"
    "  #depth: 64\n"
    "  # How large a stanza may be, said in so many words that the line has "
    "to be\n"
    "  # broken somewhere. [a size; reload, host]\n"
    "  #stanza: 1 KiB\n"
    "  # When. [a time]\n"
    "  #wait: 2 s\n"
    "\n"
    "# Which. [one of red, green; host]\n"
    "#colour: red\n"
    "\n"
    "# Where. [a path; reload, host]\n"
    "#file:\n"
    "\ninner:\n"
    "  most:\n"
    "    # Who. [a list of texts]\n"
    "    #names: [a, b]\n"
    "\nmodules:\n"
    "  # Whether. [true or false; reload, host]\n"
    "  #vcard: on\n"
    "\n"
    "# What. [text]\n"
    "#words:\n";

static void
the_sample_has_every_setting(void **state)
{
	struct str text = config_sample(arena, tables, 2);
	const struct config *config = parse_good(text.text);
	const struct config *presets = parse_good("hosts: {localhost: {}}");

	CHECK_TEXT(strstr(text.text, "\nlimits:"), sample);
	CHECK_EQUAL(config_diff(arena, config, presets).count, 0);
	config_unref(&config);
	config_unref(&presets);
}

static int
start(void **state)
{
	arena = arena_make(0);
	snprintf(folder, sizeof(folder), "/tmp/config_test.XXXXXX");
	if (mkdtemp(folder) == NULL)
		return -1;
	snprintf(path, sizeof(path), "%s/t.yaml", folder);
	return 0;
}

static int
stop(void **state)
{
	arena_free(&arena);
	unlink(path);
	return rmdir(folder);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(presets_hold_where_nothing_is_said),
	    cmocka_unit_test(a_host_may_differ),
	    cmocka_unit_test(settings_are_found_by_name),
	    cmocka_unit_test(asking_wrongly_aborts),
	    cmocka_unit_test(mistakes_are_named_with_their_place),
	    cmocka_unit_test(files_are_read),
	    cmocka_unit_test(peeking_reads_one_list),
	    cmocka_unit_test(a_snapshot_stays_until_the_last_lets_go),
	    cmocka_unit_test(diff_names_what_needs_a_restart),
	    cmocka_unit_test(the_sample_has_every_setting),
	};

	return cmocka_run_group_tests(tests, start, stop);
}

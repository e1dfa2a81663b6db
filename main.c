/*
 * main.c - the program: jackdaw [options] COMMAND [argument].
 *
 * run and check work on their own; every other command asks the running server
 * (server/command.h).
 */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "server/command.h"
#include "server/daemon.h"
#include "server/loader.h"
#include "server/settings.h"

#define CONFIG_DEFAULT "/etc/jackdaw/jackdaw.yaml"

static void
show_help(FILE *out)
{
	fprintf(out,
	    "usage: jackdaw [options] COMMAND [argument]\n\n"
	    "  -c FILE, --config FILE  the configuration; default\n"
	    "                          " CONFIG_DEFAULT "\n"
	    "  --json                  answers for scripts\n"
	    "  --from HOST             s2s check: as which domain of ours\n"
	    "  --password-stdin        reads a password from standard input\n"
	    "  --help, --version\n\n"
	    "  run              serves until it is told to end\n"
	    "  check            says what is wrong with the configuration\n\n"
	    "and of a server that runs:\n\n");
	command_help(out);
}

/* The socket is in the configuration, which is that of the server. */
static int
ask_server(const struct daemon_options *daemon, struct command_options *options,
    int argc, char **argv)
{
	struct arena *arena = arena_make(0);
	const struct module *const *modules;
	const struct setting *const *tables;
	const struct config *config = NULL;
	enum command_exit result = COMMAND_USAGE;
	size_t count;
	struct str why;

	modules =
	    loader_modules(arena, daemon->config_path, daemon->builtin, &why);
	if (modules != NULL) {
		tables = settings_tables(arena, modules, &count);
		config = config_load(
		    arena, daemon->config_path, tables, count, &why);
	}
	if (config == NULL) {
		fprintf(stderr, "jackdaw: %.*s\n", STR_ARG(why));
	} else {
		options->socket = str_dup(arena,
		    config_text(config, CONFIG_GLOBAL, SETTING(ADMIN_SOCKET)))
				      .text;
		result = command_run(options, argc, argv);
	}
	config_unref(&config);
	arena_free(&arena);
	return (int)result;
}

static int
misunderstood(int argc, char **argv)
{
	if (argc == 0)
		show_help(stderr);
	else if (strcmp(argv[0], "run") == 0 || strcmp(argv[0], "check") == 0)
		fprintf(stderr, "usage: jackdaw [options] %s\n", argv[0]);
	else
		fprintf(stderr,
		    "jackdaw: there is no command %s; jackdaw --help shows "
		    "those that there are\n",
		    argv[0]);
	return COMMAND_USAGE;
}

int
main(int argc, char **argv)
{
	enum { HELP = 256, VERSION, JSON, PASSWORD_STDIN, FROM };
	static const struct option longs[] = {
	    {"config", required_argument, NULL, 'c'},
	    {"json", no_argument, NULL, JSON},
	    {"from", required_argument, NULL, FROM},
	    {"password-stdin", no_argument, NULL, PASSWORD_STDIN},
	    {"help", no_argument, NULL, HELP},
	    {"version", no_argument, NULL, VERSION},
	    {NULL, 0, NULL, 0},
	};
	struct daemon_options daemon = {
	    .config_path = CONFIG_DEFAULT, .builtin = modules_builtin};
	struct command_options options = {.socket = NULL};
	int option;

	while ((option = getopt_long(argc, argv, "c:", longs, NULL)) != -1) {
		switch (option) {
		case 'c':
			daemon.config_path = optarg;
			break;
		case JSON:
			options.is_json = daemon.is_json = true;
			break;
		case FROM:
			options.from = optarg;
			break;
		case PASSWORD_STDIN:
			options.is_password_stdin = true;
			break;
		case HELP:
			show_help(stdout);
			return EXIT_SUCCESS;
		case VERSION:
			puts("jackdaw " JACKDAW_VERSION);
			return EXIT_SUCCESS;
		default:
			return COMMAND_USAGE;
		}
	}
	argc -= optind;
	argv += optind;
	if (argc == 1 && strcmp(argv[0], "run") == 0)
		return daemon_run(&daemon);
	if (argc == 1 && strcmp(argv[0], "check") == 0)
		return daemon_check(&daemon);
	if (argc > 0 && command_exists(argv[0]))
		return ask_server(&daemon, &options, argc, argv);
	return misunderstood(argc, argv);
}

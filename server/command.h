/*
 * server/command.h - the command line's side of the administration: each
 * command is a request to the API (server/admin.h) and a way to show the
 * answer.
 */
#pragma once

#include <stdbool.h>
#include <stdio.h>

/* What a command ends with, for scripts. */
enum command_exit {
	COMMAND_OK = 0,
	COMMAND_FAILED = 1,      /* the server said no, and why; or what was
				    looked at is not well */
	COMMAND_USAGE = 2,       /* wrong words on the command line */
	COMMAND_UNREACHABLE = 3, /* no server answers */
};

struct command_options {
	const char *socket;     /* of the administration */
	bool is_json;           /* the answer as it came, for scripts */
	bool is_password_stdin; /* one line of standard input */
	const char *from;       /* s2s check: our domain; or NULL */
};

/* Whether there is such a command. */
bool command_exists(const char *name);
/* "adduser JID      makes an account", a line each. */
void command_help(FILE *);
/* Runs argv[0] with its arguments; blocks. */
enum command_exit command_run(
    const struct command_options *, int argc, char **argv);

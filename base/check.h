/*
 * base/check.h - for the tests beside the sources: cmocka and short checks.
 *
 *	CHECK(jid != NULL);
 *	CHECK_EQUAL(table.count, 3);
 *	CHECK_STR(jid_domain(jid), "localhost");
 *	CHECK_TEXT(world_sent(world), "<iq .../>");
 *	CHECK_ABORTS(list_add_last(&list, &link));
 */
#pragma once

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/str.h"

#define COUNT_OF(array)   (sizeof(array) / sizeof((array)[0]))
#define CHECK(cond)       assert_true(cond)
#define CHECK_EQUAL(a, b) assert_int_equal((a), (b))
/* C strings. */
#define CHECK_TEXT(a, b) assert_string_equal((a), (b))
/* A struct str against a C string; neither may be NULL. */
#define CHECK_STR(a, b) check_str((a), (b), __FILE__, __LINE__)

static inline void
check_str(struct str a, const char *b, const char *file, int line)
{
	if (a.text == NULL || !str_equal(a, str_of(b))) {
		print_error("\"%.*s\" is not \"%s\"\n", STR_ARG(a), b);
		_fail(file, line);
	}
}

/* That a statement ends in must_failed; tried in a child. */
#define CHECK_ABORTS(statement)                    \
	do {                                       \
		pid_t child = fork();              \
                                                   \
		if (child == 0) {                  \
			check_mute();              \
			statement;                 \
			_exit(EXIT_SUCCESS);       \
		}                                  \
		CHECK(check_died_of_abort(child)); \
	} while (0)

static inline void
check_mute(void)
{
	struct rlimit none = {0, 0};

	signal(SIGABRT, SIG_DFL);
	setrlimit(RLIMIT_CORE, &none);
	fclose(stderr);
	close(STDERR_FILENO);
}

static inline bool
check_died_of_abort(pid_t child)
{
	int status;

	return waitpid(child, &status, 0) == child && WIFSIGNALED(status) &&
	       WTERMSIG(status) == SIGABRT;
}

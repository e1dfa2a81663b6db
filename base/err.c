#include "base/err.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/log.h"

static atomic_bool fatal;
static atomic_ulong failures;
static _Thread_local const char *doing = "nothing named";
static _Thread_local bool failing;

const char *
err_text(enum err err)
{
	static const char *const texts[] = {
#define X(name, text) text,
	    ERR_MAP(X)
#undef X
	};

	if ((size_t)err >= sizeof(texts) / sizeof(texts[0]))
		return "unknown error";
	return texts[err];
}

void
must_failed(const char *cond, const char *file, int line, const char *func)
{
	/* The log itself may be what is broken. */
	if (!failing) {
		failing = true;
		log_write(LOG_ERROR, &log_server,
		    "bug: %s:%d: %s: must be: %s; while: %s", file, line, func,
		    cond, doing);
	} else {
		fprintf(stderr, "bug: %s:%d: %s: must be: %s\n", file, line,
		    func, cond);
	}
	abort();
}

bool
expect_failed(const char *cond, const char *file, int line, const char *func)
{
	if (atomic_load(&fatal))
		must_failed(cond, file, line, func);
	atomic_fetch_add(&failures, 1);
	log_write(LOG_ERROR, &log_server,
	    "bug: %s:%d: %s: expected: %s; while: %s", file, line, func, cond,
	    doing);
	return false;
}

void
expect_is_fatal(bool is)
{
	atomic_store(&fatal, is);
}

unsigned long
expect_failures(void)
{
	return atomic_load(&failures);
}

void
err_doing(const char *what)
{
	doing = what;
}

/*
 * base/err.h - how the world fails, and what a bug does.
 *
 * enum err is for failures outside our power: storage, network, files. What a
 * peer does wrong has its own enums (xml/stanza.h, server/stream.h).
 */
#pragma once

#include <stdbool.h>

#define ERR_MAP(X)                                    \
	X(NONE, "no error")                           \
	X(NOT_FOUND, "not found")                     \
	X(EXISTS, "exists already")                   \
	X(CONFLICT, "somebody else changed it first") \
	X(TIMEOUT, "timed out")                       \
	X(UNAVAILABLE, "cannot be reached")           \
	X(UNCERTAIN, "may or may not have been done") \
	X(CANCELED, "canceled")                       \
	X(FULL, "full")                               \
	X(TOO_LARGE, "too large")                     \
	X(INVALID, "not valid")                       \
	X(DENIED, "not permitted")                    \
	X(CORRUPT, "stored data is damaged")          \
	X(IO, "input/output error")

enum err {
#define X(name, text) ERR_##name,
	ERR_MAP(X)
#undef X
};

#define WARN_UNUSED __attribute__((warn_unused_result))

/* A few words for people: "timed out". Never NULL. */
const char *err_text(enum err);

/* A broken invariant of memory or ownership. Stays in release builds; aborts
 * with file, line and what this thread was doing (err_doing). */
#define must(cond)                     \
	(__builtin_expect(!!(cond), 1) \
		? (void)0              \
		: must_failed(#cond, __FILE__, __LINE__, __func__))

/* False when a bug was noticed that costs only one stanza or stream: aborts in
 * tests (expect_is_fatal), in production logs, counts and goes on.
 *	if (!expect(iq != NULL))
 *		return;
 */
#define expect(cond)                   \
	(__builtin_expect(!!(cond), 1) \
		? true                 \
		: expect_failed(#cond, __FILE__, __LINE__, __func__))

_Noreturn void must_failed(
    const char *cond, const char *file, int line, const char *func);
bool expect_failed(
    const char *cond, const char *file, int line, const char *func);

/* Whether expect() aborts. Tests and debug builds set it at start. */
void expect_is_fatal(bool);
/* How many expectations failed since start, in all threads. */
unsigned long expect_failures(void);

/* Says what this thread does now, for the message of must(); the text is kept
 * by pointer and must be static. */
void err_doing(const char *what);

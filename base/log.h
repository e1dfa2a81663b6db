/*
 * base/log.h - one line per event, subject first.
 *
 *	log_info(&stream->log, "authenticated as %s", jid_text);
 *	2026-11-21T02:03:04.056Z info  c2s 2/17 romeo@localhost: authenticated
 *
 * The subject says who; the words say what was tried and what came of it, in
 * PostgreSQL's style: lower case, no full stop, no secrets. What a stanza says
 * is logged only at level wire. Control characters and what is not UTF-8 are
 * escaped, so that a peer's text cannot break a line or drive a terminal. Every
 * line is one write.
 */
#pragma once

#include <stdarg.h>
#include <stdbool.h>

#include "base/str.h"

#define LOG_LEVEL_MAP(X)                                               \
	X(ERROR, "error") /* something is broken; somebody must act */ \
	X(WARN, "warn")   /* it goes on, but not as it should */       \
	X(INFO, "info")   /* starts, ends, logins, administration */   \
	X(DEBUG, "debug") /* what a peer did wrong, decisions */       \
	X(WIRE, "wire")   /* what went over a stream */

enum log_level {
#define X(name, text) LOG_##name,
	LOG_LEVEL_MAP(X)
#undef X
};

enum log_form { LOG_TEXT, LOG_JSON };

/* Whom lines are about. name writes the subject into text, at most len bytes
 * with its NUL, only when a line is written. */
struct log {
	void (*name)(const struct log *, char *text, size_t len);
};

extern const struct log log_server; /* subject "server" */

bool log_level_parse(struct str, enum log_level *level_r);
const char *log_level_text(enum log_level);

/* The level from which on lines are written; any thread, at any time. */
void log_set_level(enum log_level);
bool log_shows(enum log_level);

/* Where lines go: a file path, "stderr" or "journal" (or "journal:PATH" for
 * another socket than systemd's). Opened anew by log_reopen (after rotation).
 * False, with errno, when it cannot be opened; then lines go where they went,
 * at first to stderr. To the journal, lines go without time and form. */
bool log_open(const char *where, enum log_form);
bool log_reopen(void);
void log_close(void);

/* Tests: every line goes here instead, as "subject: words"; NULL ends it. */
void log_capture(void (*line)(enum log_level, const char *text));

void log_write(enum log_level, const struct log *, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

#define log_at(level, log, ...) \
	(log_shows(level) ? log_write((level), (log), __VA_ARGS__) : (void)0)
#define log_error(log, ...) log_at(LOG_ERROR, log, __VA_ARGS__)
#define log_warn(log, ...)  log_at(LOG_WARN, log, __VA_ARGS__)
#define log_info(log, ...)  log_at(LOG_INFO, log, __VA_ARGS__)
#define log_debug(log, ...) log_at(LOG_DEBUG, log, __VA_ARGS__)
#define log_wire(log, ...)  log_at(LOG_WIRE, log, __VA_ARGS__)

#include "base/log.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/escape.h"

#define JOURNAL_SOCKET "/run/systemd/journal/socket"
/* A datagram of any length would need a file passed along. */
#define JOURNAL_MAX 65536

enum sink { SINK_STDERR, SINK_STDERR_JOURNAL, SINK_FILE, SINK_JOURNAL };

/* Writers share the lock; opening and closing excludes them. */
static struct {
	pthread_rwlock_t lock;
	enum sink sink;
	enum log_form form;
	int fd;
	char *where; /* NULL: never opened, stderr */
} out = {.lock = PTHREAD_RWLOCK_INITIALIZER, .fd = STDERR_FILENO};

static atomic_int shown = LOG_INFO;
static _Atomic(void (*)(enum log_level, const char *)) captured;

static void
name_server(const struct log *log, char *text, size_t len)
{
	(void)log;
	snprintf(text, len, "server");
}

const struct log log_server = {name_server};

static const char *const level_texts[] = {
#define X(name, text) text,
    LOG_LEVEL_MAP(X)
#undef X
};

/* The severities of syslog (RFC 5424, section 6.2.1). */
static const int priorities[] = {
    [LOG_ERROR] = 3,
    [LOG_WARN] = 4,
    [LOG_INFO] = 6,
    [LOG_DEBUG] = 7,
    [LOG_WIRE] = 7,
};

#define LEVEL_COUNT (sizeof(level_texts) / sizeof(level_texts[0]))

bool
log_level_parse(struct str text, enum log_level *level_r)
{
	for (size_t i = 0; i < LEVEL_COUNT; i++) {
		if (str_equal(text, str_of(level_texts[i]))) {
			*level_r = (enum log_level)i;
			return true;
		}
	}
	return false;
}

const char *
log_level_text(enum log_level level)
{
	return (size_t)level < LEVEL_COUNT ? level_texts[level] : "unknown";
}

void
log_set_level(enum log_level level)
{
	atomic_store_explicit(&shown, (int)level, memory_order_relaxed);
}

bool
log_shows(enum log_level level)
{
	return (int)level <= atomic_load_explicit(&shown, memory_order_relaxed);
}

void
log_capture(void (*line)(enum log_level, const char *))
{
	atomic_store(&captured, line);
}

/* systemd.exec(5): JOURNAL_STREAM names device and inode of the stream that
 * stderr was at start. */
static bool
stderr_is_journal(void)
{
	const char *stream = getenv("JOURNAL_STREAM");
	struct stat info;
	char now[64];

	if (stream == NULL || fstat(STDERR_FILENO, &info) != 0)
		return false;
	snprintf(now, sizeof(now), "%ju:%ju", (uintmax_t)info.st_dev,
	    (uintmax_t)info.st_ino);
	return strcmp(stream, now) == 0;
}

static int
open_journal(const char *path)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int fd;

	if (strlen(path) >= sizeof(address.sun_path)) {
		errno = ENAMETOOLONG;
		return -1;
	}
	memcpy(address.sun_path, path, strlen(path));
	fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd >= 0 &&
	    connect(fd, (struct sockaddr *)&address, sizeof(address)) != 0) {
		int why = errno;

		close(fd);
		errno = why;
		return -1;
	}
	return fd;
}

static int
open_sink(const char *where, enum sink *sink_r)
{
	if (strcmp(where, "stderr") == 0) {
		*sink_r =
		    stderr_is_journal() ? SINK_STDERR_JOURNAL : SINK_STDERR;
		return STDERR_FILENO;
	}
	if (strcmp(where, "journal") == 0 ||
	    strncmp(where, "journal:", 8) == 0) {
		*sink_r = SINK_JOURNAL;
		return open_journal(
		    where[7] == ':' ? where + 8 : JOURNAL_SOCKET);
	}
	*sink_r = SINK_FILE;
	return open(where, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0640);
}

static void
close_sink(void)
{
	if (out.fd != STDERR_FILENO)
		close(out.fd);
	out.fd = STDERR_FILENO;
	out.sink = SINK_STDERR;
}

bool
log_open(const char *where, enum log_form form)
{
	enum sink sink;
	char *copy;
	int fd = open_sink(where, &sink);

	if (fd < 0)
		return false;
	copy = strdup(where);
	must(copy != NULL);
	pthread_rwlock_wrlock(&out.lock);
	close_sink();
	free(out.where);
	out.where = copy;
	out.fd = fd;
	out.sink = sink;
	out.form = form;
	pthread_rwlock_unlock(&out.lock);
	return true;
}

bool
log_reopen(void)
{
	enum log_form form;
	char *where;
	bool ok;

	pthread_rwlock_rdlock(&out.lock);
	where = out.where == NULL ? NULL : strdup(out.where);
	form = out.form;
	pthread_rwlock_unlock(&out.lock);
	ok = where == NULL || log_open(where, form);
	free(where);
	return ok;
}

void
log_close(void)
{
	pthread_rwlock_wrlock(&out.lock);
	close_sink();
	free(out.where);
	out.where = NULL;
	out.form = LOG_TEXT;
	pthread_rwlock_unlock(&out.lock);
}

struct line {
	enum log_level level;
	struct str subject, words;
};

static void
add_plain(struct buf *buf, const struct line *line)
{
	escape_text(buf, line->subject);
	buf_add(buf, STR(": "));
	escape_text(buf, line->words);
}

static void
add_text(struct buf *buf, const struct line *line)
{
	char now[CLOCK_TEXT_LEN];

	clock_text(now, clock_wall_us());
	buf_add_format(buf, "%s %-5s ", now, level_texts[line->level]);
	add_plain(buf, line);
	buf_add_byte(buf, '\n');
}

static void
add_json(struct buf *buf, const struct line *line)
{
	char now[CLOCK_TEXT_LEN];

	clock_text(now, clock_wall_us());
	buf_add_format(buf, "{\"time\":\"%s\",\"level\":\"%s\",\"subject\":\"",
	    now, level_texts[line->level]);
	escape_json_string(buf, line->subject);
	buf_add(buf, STR("\",\"text\":\""));
	escape_json_string(buf, line->words);
	buf_add(buf, STR("\"}\n"));
}

/* The journal's native protocol: fields as KEY=value lines. Nothing escaped
 * holds a line feed, so the form for binary values is not needed. */
static void
add_journal(struct buf *buf, const struct line *line)
{
	buf_add_format(buf, "PRIORITY=%d\nSYSLOG_IDENTIFIER=jackdaw\nSUBJECT=",
	    priorities[line->level]);
	escape_text(buf, line->subject);
	buf_add(buf, STR("\nMESSAGE="));
	add_plain(buf, line);
	if (buf->len > JOURNAL_MAX)
		buf->len = JOURNAL_MAX;
	buf_add_byte(buf, '\n');
}

static void
add_line(struct buf *buf, const struct line *line)
{
	if (out.sink == SINK_JOURNAL) {
		add_journal(buf, line);
	} else if (out.sink == SINK_STDERR_JOURNAL) {
		buf_add_format(buf, "<%d>", priorities[line->level]);
		add_plain(buf, line);
		buf_add_byte(buf, '\n');
	} else if (out.form == LOG_JSON) {
		add_json(buf, line);
	} else {
		add_text(buf, line);
	}
}

/* A line that cannot be written is lost: there is nobody to tell. */
static void
put(const struct line *line)
{
	struct buf buf = {0};
	ssize_t sent;

	pthread_rwlock_rdlock(&out.lock);
	add_line(&buf, line);
	do {
		sent = write(out.fd, buf.text, buf.len);
	} while (sent < 0 && errno == EINTR);
	pthread_rwlock_unlock(&out.lock);
	buf_deinit(&buf);
}

static void
put_captured(void (*to)(enum log_level, const char *), const struct line *line)
{
	struct buf buf = {0};

	add_plain(&buf, line);
	buf_add_byte(&buf, '\0');
	to(line->level, buf.text);
	buf_deinit(&buf);
}

void
log_write(enum log_level level, const struct log *log, const char *format, ...)
{
	void (*to)(enum log_level, const char *) = atomic_load(&captured);
	int why = errno;
	char subject[512] = "";
	struct buf words = {0};
	struct line line = {.level = level};
	va_list args;

	va_start(args, format);
	buf_add_vformat(&words, format, args);
	va_end(args);
	log->name(log, subject, sizeof(subject));
	line.subject = str_of(subject);
	line.words = buf_str(&words);
	if (to != NULL)
		put_captured(to, &line);
	else
		put(&line);
	buf_deinit(&words);
	errno = why;
}

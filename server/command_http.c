#include "server/command_http.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/buf.h"

static int
dial(struct arena *arena, const char *path, struct str *why_r)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	const size_t len = strlen(path);
	int fd = -1;

	errno = ENAMETOOLONG;
	if (len < sizeof(address.sun_path)) {
		memcpy(address.sun_path, path, len + 1);
		fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	}
	if (fd >= 0 &&
	    connect(fd, (struct sockaddr *)&address, sizeof(address)) != 0) {
		const int err = errno;

		close(fd);
		errno = err;
		fd = -1;
	}
	if (fd < 0 && (errno == EACCES || errno == EPERM))
		*why_r = str_format(arena,
		    "%s may be used by its owner and group and by root only: "
		    "%s",
		    path, strerror(errno));
	else if (fd < 0)
		*why_r = str_format(arena,
		    "no server answers at %s (%s); is it running, with the "
		    "same configuration?",
		    path, strerror(errno));
	return fd;
}

static bool
write_all(int fd, struct str text)
{
	while (text.len > 0) {
		ssize_t len = send(fd, text.text, text.len, MSG_NOSIGNAL);

		if (len <= 0)
			return false;
		text.text += len;
		text.len -= (size_t)len;
	}
	return true;
}

static void
read_all(int fd, struct buf *buf)
{
	ssize_t len;

	do {
		len = read(fd, buf_room(buf, 4096), 4096);
		if (len > 0)
			buf_grew(buf, (size_t)len);
	} while (len > 0);
}

/* "HTTP/1.1 200 OK", heads, an empty line, the body: the server closes after
 * it. */
static bool
read_reply(struct arena *arena, struct str text, struct http_reply *reply_r)
{
	const char *end =
	    text.len == 0 ? NULL : memmem(text.text, text.len, "\r\n\r\n", 4);
	uint64_t status;

	if (end == NULL || text.len < 12 ||
	    !str_starts(text, STR("HTTP/1.1 ")) ||
	    !str_to_u64((struct str){text.text + 9, 3}, 999, &status))
		return false;
	reply_r->status = (unsigned)status;
	reply_r->body = str_dup(arena,
	    (struct str){end + 4, (size_t)(text.text + text.len - end - 4)});
	return true;
}

static void
write_ask(struct buf *bytes, const struct http_ask *ask)
{
	char *json =
	    ask->body == NULL ? NULL : json_dumps(ask->body, JSON_COMPACT);

	json_decref(ask->body);
	buf_add_format(bytes,
	    "%s %s HTTP/1.1\r\nHost: jackdaw\r\nContent-Length: %zu\r\n"
	    "Connection: close\r\n\r\n%s",
	    ask->method, ask->path, json == NULL ? 0 : strlen(json),
	    json == NULL ? "" : json);
	free(json);
}

bool
command_http(struct arena *arena, const struct http_ask *ask,
    struct http_reply *reply_r, struct str *why_r)
{
	struct buf bytes = {0};
	bool is_done = false;
	int fd = dial(arena, ask->socket, why_r);

	write_ask(&bytes, ask);
	if (fd >= 0) {
		if (write_all(fd, buf_str(&bytes))) {
			buf_clear(&bytes, 65536);
			read_all(fd, &bytes);
			is_done = read_reply(arena, buf_str(&bytes), reply_r);
		}
		if (!is_done)
			*why_r = str_format(arena,
			    "the server at %s ended before it answered",
			    ask->socket);
		close(fd);
	}
	buf_deinit(&bytes);
	return is_done;
}

struct str
command_http_escape(struct arena *arena, const char *text)
{
	struct buf buf = {0};
	struct str escaped;

	for (; *text != '\0'; text++) {
		const unsigned char byte = (unsigned char)*text;

		if (isalnum(byte) || strchr("-._~@", byte) != NULL)
			buf_add_byte(&buf, *text);
		else
			buf_add_format(&buf, "%%%02x", byte);
	}
	escaped = str_dup(arena, buf_str(&buf));
	buf_deinit(&buf);
	return escaped;
}

/*
 * server/http_fuzz.c - what comes on the administration's socket: it is
 * answered or refused, and nothing of it is left when the server ends.
 */
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>
#include <uv.h>

#include "base/err.h"
#include "server/http.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

struct stage {
	uv_loop_t loop;
	struct http_server *server;
	unsigned asked;
	bool is_closed;
};

static void
on_request(struct http_request *request, void *owner)
{
	struct stage *stage = owner;
	struct str value = http_parameter(request, "a");

	stage->asked++;
	http_answer(request, 200, "text/plain",
	    value.text == NULL ? request->path : value);
}

static void
on_closed(void *arg)
{
	struct stage *stage = arg;

	stage->is_closed = true;
}

static char folder[] = "/tmp/http_fuzz_XXXXXX";

static void
remove_folder(void)
{
	rmdir(folder);
}

static const char *
socket_path(void)
{
	static char path[64];

	if (path[0] == '\0') {
		must(mkdtemp(folder) != NULL);
		atexit(remove_folder);
		snprintf(path, sizeof(path), "%s/s", folder);
	}
	return path;
}

static int
connect_to(const char *path)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0);

	must(fd >= 0);
	snprintf(address.sun_path, sizeof(address.sun_path), "%s", path);
	must(connect(fd, (struct sockaddr *)&address, sizeof(address)) == 0);
	return fd;
}

/* A client that sends what fits at once, and hears the answer or nothing. */
static void
play(struct stage *stage, int fd, const uint8_t *bytes, size_t len)
{
	char answer[4096];
	bool is_heard = false;
	ssize_t got;

	(void)send(fd, bytes, len, MSG_NOSIGNAL);
	shutdown(fd, SHUT_WR);
	for (unsigned i = 0; i < 1000 && !is_heard; i++) {
		uv_run(&stage->loop, UV_RUN_NOWAIT);
		got = recv(fd, answer, sizeof(answer), 0);
		is_heard = got == 0 || (got < 0 && errno != EAGAIN);
	}
	must(is_heard && stage->asked <= 1);
}

int
LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
	struct arena *arena = arena_make(0);
	struct stage stage = {.asked = 0};
	struct str why;
	int fd;

	must(uv_loop_init(&stage.loop) == 0);
	stage.server = http_open(
	    arena, &stage.loop, socket_path(), on_request, &stage, &why);
	must(stage.server != NULL);
	fd = connect_to(socket_path());
	play(&stage, fd, bytes, len);
	close(fd);
	http_close(stage.server, on_closed, &stage);
	for (unsigned i = 0; i < 1000 && !stage.is_closed; i++)
		uv_run(&stage.loop, UV_RUN_NOWAIT);
	must(stage.is_closed && uv_loop_close(&stage.loop) == 0);
	arena_free(&arena);
	return 0;
}

/*
 * server/http_test.c - requests that end too early, are too large or too slow,
 * and answers that nobody reads: none is acted upon in part, none stays.
 */
#include "server/http.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>
#include <uv.h>

#include "base/buf.h"
#include "base/check.h"
#include "base/err.h"

/* For who is too slow time passes so much faster; others have all the time that
 * a slow machine needs. */
enum { KIB = 1024, TURNS_MAX = 20000, HURRY = 100, SOME_HURRY = 10 };

static struct {
	uv_loop_t loop;
	struct arena *arena;
	struct http_server *server;
	unsigned hurry;
	char folder[sizeof("/tmp/http_test.XXXXXX")];
	char path[64];
	unsigned asked;
	size_t body_len;  /* of the last request */
	size_t reply_len; /* of the answers */
	bool is_closed;
} rig;

int __real_uv_timer_start(
    uv_timer_t *, uv_timer_cb, uint64_t after, uint64_t again);
int __wrap_uv_timer_start(
    uv_timer_t *, uv_timer_cb, uint64_t after, uint64_t again);

int
__wrap_uv_timer_start(
    uv_timer_t *timer, uv_timer_cb ring, uint64_t after, uint64_t again)
{
	return __real_uv_timer_start(timer, ring, after / rig.hurry, again);
}

static void
on_request(struct http_request *request, void *owner)
{
	(void)owner;
	rig.asked++;
	rig.body_len = request->body.len;
	http_answer(request, 200, "text/plain",
	    (struct str){
		arena_text(request->arena, rig.reply_len), rig.reply_len});
}

static void
on_closed(void *arg)
{
	(void)arg;
	rig.is_closed = true;
}

static int
start(void **state)
{
	struct str why;

	(void)state;
	signal(SIGPIPE, SIG_IGN); /* as the daemon */
	rig.arena = arena_make(0);
	rig.asked = 0;
	rig.hurry = 1;
	rig.reply_len = 2;
	rig.is_closed = false;
	snprintf(rig.folder, sizeof(rig.folder), "/tmp/http_test.XXXXXX");
	must(mkdtemp(rig.folder) != NULL);
	snprintf(rig.path, sizeof(rig.path), "%s/s", rig.folder);
	must(uv_loop_init(&rig.loop) == 0);
	rig.server =
	    http_open(rig.arena, &rig.loop, rig.path, on_request, NULL, &why);
	return rig.server == NULL;
}

static void
turn(void)
{
	uv_run(&rig.loop, UV_RUN_NOWAIT);
	usleep(100);
}

static int
stop(void **state)
{
	(void)state;
	http_close(rig.server, on_closed, NULL);
	for (unsigned i = 0; i < TURNS_MAX && !rig.is_closed; i++)
		turn();
	CHECK(rig.is_closed && uv_loop_close(&rig.loop) == 0);
	arena_free(&rig.arena);
	rmdir(rig.folder);
	return 0;
}

static int
come(void)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0);

	must(fd >= 0);
	snprintf(address.sun_path, sizeof(address.sun_path), "%s", rig.path);
	must(connect(fd, (struct sockaddr *)&address, sizeof(address)) == 0);
	return fd;
}

/* As much as the server takes. */
static void
say(int fd, const struct buf *text)
{
	size_t at = 0;

	for (unsigned i = 0; i < TURNS_MAX && at < text->len; i++) {
		const ssize_t len =
		    send(fd, text->text + at, text->len - at, MSG_NOSIGNAL);

		if (len < 0 && errno != EAGAIN)
			return;
		at += len < 0 ? 0 : (size_t)len;
		turn();
	}
}

/* The status of the answer; 0 when the connection was closed without one. */
static unsigned
hear(int fd)
{
	char text[200];
	size_t len = 0;

	for (unsigned i = 0; i < TURNS_MAX; i++) {
		const ssize_t got =
		    recv(fd, text + len, sizeof(text) - 1 - len, 0);

		if (got == 0 || (got < 0 && errno != EAGAIN))
			break;
		if (got < 0)
			turn();
		else
			len += (size_t)got;
		CHECK(i + 1 < TURNS_MAX);
	}
	text[len] = '\0';
	return len < 12 ? 0 : (unsigned)strtoul(text + 9, NULL, 10);
}

/* --- requests ------------------------------------------------------------- */

#define HEAD(start) start " HTTP/1.1\r\nHost: localhost\r\n"

enum end { STAYS, SHUTS, GOES };

static const struct {
	const char *begin; /* the request */
	size_t filled;     /* with so many more bytes, */
	const char *rest;  /* and this */
	enum end end;
	unsigned status;
	size_t body_len; /* when it is 200 */
} cases[] = {
    {HEAD("GET /") "\r\n", 0, "", STAYS, 200},
    {HEAD("GET /") "\r\n", 0, "", SHUTS, 200},
    {HEAD("POST /") "Content-Length: 5\r\n\r\n", 5, "", STAYS, 200, 5},
    {HEAD("POST /") "Content-Length: 5\r\n\r\n", 9, "", STAYS, 200, 5},
    {HEAD("POST /") "Content-Length: 1048576\r\n\r\n", 1024 * (size_t)KIB, "",
	STAYS, 200, 1024 * (size_t)KIB},
    {HEAD("POST /") "Transfer-Encoding: chunked\r\n\r\n5\r\n", 5,
	"\r\n0\r\n\r\n", STAYS, 200, 5},

    /* Cut off. */
    {"", 0, "", SHUTS, 0},
    {"GE", 0, "", SHUTS, 400},
    {HEAD("GET /"), 0, "", SHUTS, 400},
    {HEAD("POST /") "Content-Length: 5\r\n\r\n", 0, "", SHUTS, 400},
    {HEAD("POST /") "Content-Length: 5\r\n\r\n", 4, "", SHUTS, 400},
    {HEAD("POST /") "Transfer-Encoding: chunked\r\n\r\n5\r\n", 5, "", SHUTS,
	400},
    {HEAD("POST /") "Transfer-Encoding: chunked\r\n\r\n5\r\n", 5, "\r\n0\r\n",
	SHUTS, 400},
    {HEAD("POST /") "Content-Length: 5\r\n\r\n", 4, "", GOES, 0},
    {HEAD("GET /"), 0, "", GOES, 0},

    /* Not to be believed. */
    {"nonsense\r\n\r\n", 0, "", STAYS, 400},
    {HEAD("POST /") "Content-Length: x\r\n\r\n", 0, "", STAYS, 400},
    {HEAD("POST /") "Content-Length: 1\r\nContent-Length: 5\r\n\r\n", 5, "",
	STAYS, 400},
    {HEAD("POST /") "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n",
	5, "", STAYS, 400},

    /* Too large. */
    {"GET /", 17 * (size_t)KIB, "", STAYS, 414},
    {HEAD("GET /") "X: ", 21 * (size_t)KIB, "", STAYS, 431},
    {HEAD("POST /") "Content-Length: 2000000\r\n\r\n", 1025 * (size_t)KIB, "",
	STAYS, 413},

    /* Too slow. */
    {"", 0, "", STAYS, 408},
    {HEAD("GET /"), 0, "", STAYS, 408},
    {HEAD("POST /") "Content-Length: 5\r\n\r\n", 4, "", STAYS, 408},
};

static void
play(size_t i)
{
	const int fd = come();
	struct buf text = {0};
	unsigned status = 0;

	rig.asked = 0;
	rig.hurry = cases[i].status == 408 ? HURRY : 1;
	buf_add(&text, str_of(cases[i].begin));
	for (size_t j = 0; j < cases[i].filled; j++)
		buf_add_byte(&text, 'x');
	buf_add(&text, str_of(cases[i].rest));
	say(fd, &text);
	buf_deinit(&text);
	if (cases[i].end == SHUTS)
		shutdown(fd, SHUT_WR);
	if (cases[i].end != GOES)
		status = hear(fd);
	close(fd);
	for (unsigned j = 0; j < 10; j++)
		turn();
	if (status != cases[i].status ||
	    rig.asked != (unsigned)(cases[i].status == 200) ||
	    (status == 200 && rig.body_len != cases[i].body_len))
		fail_msg("%zu: %u, %u asked", i, status, rig.asked);
}

static void
only_whole_requests_are_acted_upon(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT_OF(cases); i++)
		play(i);
}

/* What fills a read of the server, whole, is followed by one that finds nothing
 * yet: that is no end. */
static void
a_request_may_come_in_parts(void **state)
{
	static const char head[] =
	    HEAD("POST /") "Content-Length: 9000\r\n\r\n";
	const size_t len = sizeof(head) - 1 + 9000;

	(void)state;
	for (size_t part = 1024; part <= 8192; part *= 2) {
		const int fd = come();
		struct buf text = {0};

		for (size_t at = 0; at < len; at += part) {
			buf_clear(&text, SIZE_MAX);
			for (size_t i = at; i < at + part && i < len; i++)
				buf_add_byte(&text,
				    i < sizeof(head) - 1 ? head[i] : 'x');
			say(fd, &text);
		}
		CHECK_EQUAL(hear(fd), 200);
		CHECK_EQUAL(rig.body_len, 9000);
		close(fd);
		buf_deinit(&text);
	}
}

/* Until the server has closed it, unread. */
static void
run_until_closed(int fd)
{
	struct pollfd state = {.fd = fd};

	while ((state.revents & POLLHUP) == 0) {
		turn();
		CHECK(poll(&state, 1, 0) >= 0);
	}
}

/* Else a few of them would leave no place for others. */
static void
who_reads_no_answer_does_not_stay(void **state)
{
	static const char get[] = HEAD("GET /") "\r\n";
	struct buf text = {0};
	int fds[64], fd;

	(void)state;
	rig.hurry = SOME_HURRY;
	rig.reply_len = 4096 * (size_t)KIB;
	buf_add(&text, STR(get));
	for (size_t i = 0; i < COUNT_OF(fds); i++) {
		fds[i] = come();
		say(fds[i], &text);
	}
	for (unsigned i = 0; i < 10; i++)
		turn();
	CHECK_EQUAL(rig.asked, COUNT_OF(fds));
	rig.reply_len = 2;
	for (size_t i = 0; i < COUNT_OF(fds); i++)
		run_until_closed(fds[i]);
	rig.hurry = 1;
	fd = come();
	say(fd, &text);
	CHECK_EQUAL(hear(fd), 200);
	close(fd);
	for (size_t i = 0; i < COUNT_OF(fds); i++)
		close(fds[i]);
	buf_deinit(&text);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(
		only_whole_requests_are_acted_upon, start, stop),
	    cmocka_unit_test_setup_teardown(
		a_request_may_come_in_parts, start, stop),
	    cmocka_unit_test_setup_teardown(
		who_reads_no_answer_does_not_stay, start, stop),
	};

	return cmocka_run_group_tests_name("http", tests, NULL, NULL);
}

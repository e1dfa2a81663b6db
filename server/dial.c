#include "server/dial.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <uv.h>

#include "base/err.h"
#include "server/outward.h"
#include "server/settings.h"
#include "server/setup.h"
#include "server/shard.h"
#include "server/socket.h"

/* RFC 8305, section 5: the delay between two attempts. */
#define NEXT_MS 250

/* Apart from the dial, which may be gone before the handle has closed. */
struct dial_try {
	uv_poll_t poll;
	struct dial_try *next;
	struct dial *dial;
	size_t index;
	int fd;
};

static void try_next(struct dial *);

static void
on_closed(uv_handle_t *handle)
{
	free(container_of((uv_poll_t *)handle, struct dial_try, poll));
}

/* Takes it out of those under way; its socket, which is the caller's. */
static int
drop(struct dial_try *try)
{
	struct dial_try **at = &try->dial->tries;
	int fd = try->fd;

	while (*at != try)
		at = &(*at)->next;
	*at = try->next;
	uv_poll_stop(&try->poll);
	uv_close((uv_handle_t *)&try->poll, on_closed);
	return fd;
}

/* Those that lost the race may have another chance. */
static void
drop_all(struct dial *dial)
{
	while (dial->tries != NULL) {
		dial->is_tried[dial->tries->index] = false;
		close(drop(dial->tries));
	}
}

static void
finish(struct dial *dial, enum err err)
{
	timer_stop(dial->shard, &dial->next);
	timer_stop(dial->shard, &dial->deadline);
	drop_all(dial);
	dial->err = err;
	dial->done(dial);
}

static void
succeed(struct dial *dial, size_t index, struct conn *conn)
{
	dial->endpoint = &dial->endpoints[index];
	dial->conn = conn;
	finish(dial, ERR_NONE);
}

static void
set_why(struct dial *dial, const struct endpoint *endpoint, const char *why)
{
	dial->why = str_format(dial->arena, "%s: %s",
	    endpoint_text(dial->arena, endpoint).text, why);
	if (dial->failed != NULL)
		dial->failed(dial);
}

static int
error_of(int fd)
{
	int err = 0;
	socklen_t len = sizeof(err);

	if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &err, &len) != 0)
		return errno;
	return err;
}

static void
on_connected(uv_poll_t *poll, int status, int events)
{
	struct dial_try *try = container_of(poll, struct dial_try, poll);
	struct dial *dial = try->dial;
	const size_t index = try->index;
	const struct endpoint *endpoint = &dial->endpoints[index];
	int fd, err;

	(void)events;
	shard_enter(dial->shard);
	fd = drop(try);
	err = error_of(fd);
	if (err == 0 && status == 0) {
		succeed(dial, index,
		    socket_new(dial->shard, fd,
			(const struct sockaddr *)&endpoint->address));
		return;
	}
	close(fd);
	set_why(dial, endpoint, strerror(err == 0 ? ECONNREFUSED : err));
	try_next(dial);
}

/* Whether an answer is awaited. */
static bool
try_one(struct dial *dial, size_t index)
{
	const struct endpoint *endpoint = &dial->endpoints[index];
	struct dial_try *try;
	int fd = socket(endpoint->address.ss_family,
	    SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	if (fd < 0 || (connect(fd, (const struct sockaddr *)&endpoint->address,
			   endpoint->len) != 0 &&
			  errno != EINPROGRESS)) {
		set_why(dial, endpoint, strerror(errno));
		if (fd >= 0)
			close(fd);
		return false;
	}
	try = calloc(1, sizeof(*try));
	must(try != NULL);
	try->dial = dial;
	try->index = index;
	try->fd = fd;
	try->next = dial->tries;
	dial->tries = try;
	must(uv_poll_init(dial->shard->loop, &try->poll, fd) == 0);
	uv_poll_start(&try->poll, UV_WRITABLE, on_connected);
	return true;
}

static void
on_next(struct timer *timer)
{
	try_next(container_of(timer, struct dial, next));
}

/* In a world an answer comes at once or never. */
static bool
try_outward(struct dial *dial, size_t index)
{
	const struct endpoint *endpoint = &dial->endpoints[index];
	struct conn *conn = NULL;
	enum err err =
	    dial->shard->server->outward->connect(dial->shard, endpoint, &conn);

	if (err == ERR_NONE) {
		succeed(dial, index, conn);
		return true;
	}
	set_why(dial, endpoint, err_text(err));
	dial->is_waiting = dial->is_waiting || err == ERR_TIMEOUT;
	return err == ERR_TIMEOUT;
}

static void
try_next(struct dial *dial)
{
	const bool is_world = dial->shard->server->outward != NULL;

	for (size_t i = 0; i < dial->count; i++) {
		if (dial->is_tried[i])
			continue;
		dial->is_tried[i] = true;
		timer_start(dial->shard, &dial->next, NEXT_MS, on_next);
		if (is_world ? try_outward(dial, i) : try_one(dial, i))
			return;
	}
	timer_stop(dial->shard, &dial->next);
	if (dial->tries == NULL && !dial->is_waiting)
		finish(dial, ERR_UNAVAILABLE);
}

static void
on_deadline(struct timer *timer)
{
	struct dial *dial = container_of(timer, struct dial, deadline);

	for (const struct dial_try *try = dial->tries; try != NULL;
	    try = try->next)
		set_why(dial, &dial->endpoints[try->index],
		    "no answer came in time");
	finish(dial, ERR_TIMEOUT);
}

static void
on_canceled(struct timer *timer)
{
	finish(container_of(timer, struct dial, deadline), ERR_CANCELED);
}

void
dial_next(struct dial *dial)
{
	dial->conn = NULL;
	dial->is_waiting = false;
	timer_start(dial->shard, &dial->deadline,
	    config_ms(setup_config(dial->shard->setup), CONFIG_GLOBAL,
		SETTING(S2S_CONNECT_TIMEOUT)),
	    on_deadline);
	timer_start(dial->shard, &dial->next, 0, on_next);
}

void
dial_start(struct shard *shard, struct dial *dial, struct arena *arena,
    const struct endpoint *endpoints, size_t count, void (*done)(struct dial *))
{
	*dial = (struct dial){
	    .shard = shard,
	    .arena = arena,
	    .endpoints = endpoints,
	    .count = count,
	    .is_tried = arena_array(arena, bool, count),
	    .done = done,
	};
	dial_next(dial);
}

void
dial_cancel(struct dial *dial)
{
	timer_stop(dial->shard, &dial->next);
	drop_all(dial);
	timer_start(dial->shard, &dial->deadline, 0, on_canceled);
}

#include "server/dial.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <uv.h>

#include "base/err.h"
#include "server/shard.h"

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

static void
finish(struct dial *dial, enum err err, int fd)
{
	timer_stop(dial->shard, &dial->next);
	timer_stop(dial->shard, &dial->deadline);
	/* Those that lost the race may have another chance. */
	while (dial->tries != NULL) {
		dial->is_tried[dial->tries->index] = false;
		close(drop(dial->tries));
	}
	dial->err = err;
	dial->fd = fd;
	dial->done(dial);
}

static void
set_why(struct dial *dial, const struct endpoint *endpoint, const char *why)
{
	dial->why = str_format(dial->arena, "%s: %s",
	    endpoint_text(dial->arena, endpoint).text, why);
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
	int fd, err;

	(void)events;
	shard_enter(dial->shard);
	fd = drop(try);
	err = error_of(fd);
	if (err == 0 && status == 0) {
		dial->endpoint = &dial->endpoints[index];
		finish(dial, ERR_NONE, fd);
		return;
	}
	close(fd);
	set_why(dial, &dial->endpoints[index],
	    strerror(err == 0 ? ECONNREFUSED : err));
	try_next(dial);
}

static bool
try_one(struct dial *dial, size_t index)
{
	const struct endpoint *endpoint = &dial->endpoints[index];
	struct dial_try *try;
	int fd = socket(endpoint->address.ss_family,
	    SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	dial->is_tried[index] = true;
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

static void
try_next(struct dial *dial)
{
	for (size_t i = 0; i < dial->count; i++) {
		if (dial->is_tried[i] || !try_one(dial, i))
			continue;
		timer_start(dial->shard, &dial->next, NEXT_MS, on_next);
		return;
	}
	if (dial->tries == NULL)
		finish(dial, ERR_UNAVAILABLE, -1);
}

static void
on_deadline(struct timer *timer)
{
	struct dial *dial = container_of(timer, struct dial, deadline);

	if (dial->tries != NULL)
		set_why(dial, &dial->endpoints[dial->tries->index],
		    "no answer came in time");
	finish(dial, ERR_TIMEOUT, -1);
}

static void
on_canceled(struct timer *timer)
{
	finish(container_of(timer, struct dial, deadline), ERR_CANCELED, -1);
}

void
dial_next(struct dial *dial)
{
	dial->fd = -1;
	timer_start(
	    dial->shard, &dial->deadline, dial->timeout_ms, on_deadline);
	timer_start(dial->shard, &dial->next, 0, on_next);
}

void
dial_start(struct shard *shard, struct dial *dial, struct arena *arena,
    const struct endpoint *endpoints, size_t count, uint64_t timeout_ms,
    void (*done)(struct dial *))
{
	*dial = (struct dial){
	    .shard = shard,
	    .arena = arena,
	    .endpoints = endpoints,
	    .count = count,
	    .is_tried = arena_array(arena, bool, count),
	    .timeout_ms = timeout_ms,
	    .done = done,
	};
	dial_next(dial);
}

void
dial_cancel(struct dial *dial)
{
	timer_stop(dial->shard, &dial->next);
	timer_start(dial->shard, &dial->deadline, 0, on_canceled);
}

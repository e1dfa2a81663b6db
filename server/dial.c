#include "server/dial.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <uv.h>

#include "base/clock.h"
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
	bool is_held; /* connected; TLSA records are awaited */
};

static void go_on(struct dial *);
static void on_next(struct timer *);

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
	timer_stop(dial->shard, &dial->patience);
	timer_stop(dial->shard, &dial->deadline);
	drop_all(dial);
	dial->is_running = false;
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

/* It is connected, and what TLSA records there are is known. */
static void
take(struct dial_try *try)
{
	struct dial *dial = try->dial;
	const size_t index = try->index;
	const struct endpoint *endpoint = &dial->endpoints[index];
	const int fd = drop(try);

	if (endpoint->shut.len == 0) {
		succeed(dial, index,
		    socket_new(dial->shard, fd,
			(const struct sockaddr *)&endpoint->address));
		return;
	}
	close(fd);
	set_why(dial, endpoint, endpoint->shut.text);
	go_on(dial);
}

static void
on_connected(uv_poll_t *poll, int status, int events)
{
	struct dial_try *try = container_of(poll, struct dial_try, poll);
	struct dial *dial = try->dial;
	const struct endpoint *endpoint = &dial->endpoints[try->index];
	const int err = error_of(try->fd);

	(void)events;
	shard_enter(dial->shard);
	if (err != 0 || status != 0) {
		close(drop(try));
		set_why(
		    dial, endpoint, strerror(err == 0 ? ECONNREFUSED : err));
		go_on(dial);
	} else if (endpoint->is_tlsa_awaited) {
		uv_poll_stop(&try->poll);
		try->is_held = true;
	} else {
		take(try);
	}
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
	if (err != ERR_TIMEOUT)
		return false;
	dial->is_waiting = true;
	dial->waiting = endpoint->priority;
	return true;
}

/* --- priorities: XEP-0495, section 4.1 ------------------------------------ */

static bool
is_awaited(const struct dial *dial, uint16_t priority, uint16_t worse)
{
	return priority >= dial->patient_from && priority < worse;
}

static bool
waits_for_better(const struct dial *dial, uint16_t priority)
{
	const struct dial_try *try;

	if (dial->is_waiting && is_awaited(dial, dial->waiting, priority))
		return true;
	for (try = dial->tries; try != NULL; try = try->next)
		if (is_awaited(
			dial, dial->endpoints[try->index].priority, priority))
			return true;
	return false;
}

/* They stand in their order. */
static unsigned
count_worse(const struct dial *dial, uint16_t priority)
{
	unsigned count = 0;

	for (size_t i = 0; i < dial->count; i++) {
		if (dial->endpoints[i].priority <= priority)
			continue;
		priority = dial->endpoints[i].priority;
		count++;
	}
	return count;
}

/* What does not answer is not waited for any more; it may win yet. */
static void
on_patience_end(struct timer *timer)
{
	struct dial *dial = container_of(timer, struct dial, patience);

	dial->patient_from = (uint32_t)dial->priority + 1;
	go_on(dial);
}

/* The first attempt at one of a priority. */
static void
begin_priority(struct dial *dial, uint16_t priority)
{
	const unsigned worse = count_worse(dial, priority);
	const uint64_t now_ms = clock_mono_ms();

	if (priority < dial->patient_from ||
	    (timer_is_running(&dial->patience) && priority == dial->priority))
		return;
	dial->priority = priority;
	timer_stop(dial->shard, &dial->patience);
	if (worse > 0 && now_ms < dial->until_ms)
		timer_start(dial->shard, &dial->patience,
		    (dial->until_ms - now_ms) / (worse + 1), on_patience_end);
}

/* --- one after the other -------------------------------------------------- */

/* In a world nothing can be connected to and held. */
static bool
may_try(const struct dial *dial, size_t index)
{
	const struct endpoint *endpoint = &dial->endpoints[index];

	return !dial->is_tried[index] && endpoint->len > 0 &&
	       !(endpoint->is_tlsa_awaited &&
		   dial->shard->server->outward != NULL) &&
	       !waits_for_better(dial, endpoint->priority);
}

/* Whether an answer is awaited. */
static bool
try_it(struct dial *dial, size_t index)
{
	const struct endpoint *endpoint = &dial->endpoints[index];

	dial->is_tried[index] = true;
	if (endpoint->shut.len > 0) {
		set_why(dial, endpoint, endpoint->shut.text);
		return false;
	}
	begin_priority(dial, endpoint->priority);
	dial->next_ms = clock_mono_ms() + NEXT_MS;
	timer_start(dial->shard, &dial->next, NEXT_MS, on_next);
	return dial->shard->server->outward != NULL ? try_outward(dial, index)
						    : try_one(dial, index);
}

static void
try_next(struct dial *dial)
{
	for (size_t i = 0; i < dial->count; i++)
		if (may_try(dial, i) && try_it(dial, i))
			return;
	timer_stop(dial->shard, &dial->next);
	if (dial->tries == NULL && !dial->is_waiting && !dial->is_open)
		finish(dial, ERR_UNAVAILABLE);
}

/* Of those that are held and may be looked at, the one to be preferred. */
static struct dial_try *
find_known(const struct dial *dial)
{
	struct dial_try *known = NULL;

	for (struct dial_try *try = dial->tries; try != NULL; try = try->next)
		if (try->is_held &&
		    !dial->endpoints[try->index].is_tlsa_awaited &&
		    (known == NULL || try->index < known->index))
			known = try;
	return known;
}

static void
go_on(struct dial *dial)
{
	struct dial_try *known = find_known(dial);

	if (known != NULL)
		take(known);
	else
		try_next(dial);
}

static void
on_next(struct timer *timer)
{
	struct dial *dial = container_of(timer, struct dial, next);
	const uint64_t now_ms = clock_mono_ms();

	if (find_known(dial) == NULL && now_ms < dial->next_ms)
		timer_start(
		    dial->shard, timer, dial->next_ms - now_ms, on_next);
	else
		go_on(dial);
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
	const uint64_t most_ms = config_ms(setup_config(dial->shard->setup),
	    CONFIG_GLOBAL, SETTING(S2S_CONNECT_TIMEOUT));

	dial->conn = NULL;
	dial->is_waiting = false;
	dial->is_running = true;
	dial->patient_from = 0;
	dial->next_ms = 0;
	dial->until_ms = clock_mono_ms() + most_ms;
	timer_start(dial->shard, &dial->deadline, most_ms, on_deadline);
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
dial_expect_more(struct dial *dial)
{
	dial->is_open = true;
}

/* An attempt under way keeps the next one back as before. */
void
dial_more(struct dial *dial, bool is_last)
{
	dial->is_open = !is_last;
	if (dial->is_running)
		timer_start(dial->shard, &dial->next, 0, on_next);
}

void
dial_cancel(struct dial *dial)
{
	dial->is_running = false;
	timer_stop(dial->shard, &dial->next);
	timer_stop(dial->shard, &dial->patience);
	drop_all(dial);
	timer_start(dial->shard, &dial->deadline, 0, on_canceled);
}

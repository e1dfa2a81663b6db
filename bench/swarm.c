#include "bench/swarm.h"

#include <err.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <time.h>
#include <unistd.h>

#define EVENTS_MAX   256
#define LOGIN_MAX_MS 600000
#define IDLE_LOOK_MS 50
#define IDLE_SHARE   50 /* a rest is less than a 50th of a core */
#define IDLE_LOOKS   3
#define IDLE_MAX_MS  20000

/* So few that what they leave behind does not matter. */
#define FIRST_SESSIONS 10

#define NS_PER_MS UINT64_C(1000000)

void
swarm_init(struct swarm *swarm, const struct plan *plan)
{
	swarm->plan = plan;
	swarm->epoll = epoll_create1(EPOLL_CLOEXEC);
	if (swarm->epoll < 0)
		err(1, "epoll_create1");
	if (gnutls_certificate_allocate_credentials(&swarm->credentials) < 0)
		errx(1, "cannot start TLS");
	swarm->clients = calloc(plan->sessions, sizeof(struct client));
	if (swarm->clients == NULL)
		err(1, "memory");
	for (unsigned i = 0; i < plan->sessions; i++) {
		struct client *client = &swarm->clients[i];

		client->plan = plan;
		client->credentials = swarm->credentials;
		client->epoll = swarm->epoll;
		client->number = i;
		client->fd = -1;
	}
}

void
swarm_deinit(struct swarm *swarm)
{
	for (unsigned i = 0; i < swarm->plan->sessions; i++) {
		client_drop(&swarm->clients[i]);
		free(swarm->clients[i].in.text);
		free(swarm->clients[i].out.text);
	}
	free(swarm->clients);
	gnutls_certificate_free_credentials(swarm->credentials);
	close(swarm->epoll);
}

unsigned
swarm_turn(struct swarm *swarm, uint64_t until_ns)
{
	struct epoll_event events[EVENTS_MAX];
	uint64_t now = usage_clock_ns();
	uint64_t left = until_ns > now ? until_ns - now : 0;
	struct timespec wait = {.tv_sec = (time_t)(left / 1000000000),
	    .tv_nsec = (long)(left % 1000000000)};
	int count = epoll_pwait2(swarm->epoll, events, EVENTS_MAX, &wait, NULL);

	for (int i = 0; i < count; i++)
		client_on_events(events[i].data.ptr, events[i].events);
	return count < 0 ? 0 : (unsigned)count;
}

void
swarm_run_until(struct swarm *swarm, uint64_t until_ns)
{
	while (usage_clock_ns() < until_ns)
		swarm_turn(swarm, until_ns);
}

void
swarm_settle(struct swarm *swarm, unsigned quiet_ms)
{
	while (swarm_turn(swarm, usage_clock_ns() + quiet_ms * NS_PER_MS) > 0)
		continue;
}

struct usage
swarm_wait_idle(struct swarm *swarm)
{
	uint64_t end = usage_clock_ns() + IDLE_MAX_MS * NS_PER_MS;
	struct usage before = usage_read(swarm->plan), rest = before;
	unsigned rests = 0;

	while (rests < IDLE_LOOKS && before.at_ns < end) {
		struct usage now, used;

		swarm_run_until(swarm, before.at_ns + IDLE_LOOK_MS * NS_PER_MS);
		now = usage_read(swarm->plan);
		used = usage_between(&before, &now);
		rests = (used.server_ns + used.database_ns) * IDLE_SHARE <
				used.at_ns
			    ? rests + 1
			    : 0;
		if (rests == 0)
			rest = now;
		before = now;
	}
	return rest;
}

static unsigned
count_ready(const struct swarm *swarm, unsigned first, unsigned step)
{
	unsigned count = 0;

	for (unsigned i = first; i < swarm->plan->sessions; i += step)
		count += swarm->clients[i].ready;
	return count;
}

void
swarm_login(struct swarm *swarm, const struct client_work *work, unsigned first,
    unsigned step)
{
	uint64_t end = usage_clock_ns() + LOGIN_MAX_MS * NS_PER_MS;
	unsigned next = first, opened = 0, ready = 0;

	while (next < swarm->plan->sessions || ready < opened) {
		while (next < swarm->plan->sessions &&
		       opened < ready + swarm->plan->in_flight) {
			swarm->clients[next].work = work;
			client_open(&swarm->clients[next]);
			next += step;
			opened++;
		}
		swarm_turn(swarm, end);
		ready = count_ready(swarm, first, step);
		if (usage_clock_ns() > end)
			errx(1, "%u of %u sessions logged in", ready, opened);
	}
}

void
swarm_logout(struct swarm *swarm, unsigned first, unsigned step)
{
	uint64_t end = usage_clock_ns() + LOGIN_MAX_MS * NS_PER_MS;

	for (unsigned i = first; i < swarm->plan->sessions; i += step)
		client_leave(&swarm->clients[i]);
	while (count_ready(swarm, first, step) > 0) {
		swarm_turn(swarm, end);
		if (usage_clock_ns() > end)
			errx(1, "sessions do not end");
	}
}

uint64_t
swarm_memory_before(struct swarm *swarm, const struct client_work *work)
{
	unsigned step = swarm->plan->sessions / FIRST_SESSIONS;

	swarm_login(swarm, work, 0, step);
	swarm_logout(swarm, 0, step);
	swarm_wait_idle(swarm);
	return usage_memory_kib(swarm->plan);
}

#include "bench/client.h"
#include "bench/figures.h"
#include "bench/swarm.h"
#include "bench/usage.h"
#include "bench/workload.h"

#define NS_PER_MS UINT64_C(1000000)

static unsigned under_way;
static uint64_t logged_in;

static size_t
heard(struct client *client, const char *text, size_t len)
{
	return len;
}

/* The next one starts before this one has ended: some servers take a while
 * to close. */
static void
ready(struct client *client)
{
	client_leave(client);
	under_way--;
	logged_in++;
}

static void
open_next(struct swarm *swarm, const struct client_work *work)
{
	static unsigned next;
	struct client *client = &swarm->clients[next++ % swarm->plan->sessions];

	if (client->fd >= 0)
		return;
	client->work = work;
	client_open(client);
	under_way++;
}

static void
run_until(struct swarm *swarm, const struct client_work *work, uint64_t end)
{
	while (usage_clock_ns() < end) {
		for (unsigned i = 0; i < swarm->plan->sessions &&
				     under_way < swarm->plan->in_flight;
		    i++)
			open_next(swarm, work);
		swarm_turn(swarm, end);
	}
}

void
logins_run(struct swarm *swarm)
{
	static const struct client_work first = {.on_text = heard};
	static const struct client_work again = {
	    .on_ready = ready, .on_text = heard};
	const struct plan *plan = swarm->plan;
	struct usage start, end, used;

	swarm_login(swarm, &first, 0, 1);
	swarm_logout(swarm, 0, 1);
	run_until(swarm, &again, usage_clock_ns() + plan->warm_ms * NS_PER_MS);
	logged_in = 0;
	start = usage_read(plan);
	run_until(swarm, &again, start.at_ns + plan->run_ms * NS_PER_MS);
	end = usage_read(plan);
	used = usage_between(&start, &end);
	figures_add_usage(plan, &used, logged_in, "");
	figures_add("per_s", (double)logged_in * 1e9 / (double)used.at_ns);
}

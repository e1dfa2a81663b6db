#include "bench/client.h"
#include "bench/figures.h"
#include "bench/swarm.h"
#include "bench/usage.h"
#include "bench/workload.h"

static size_t
heard(struct client *client, const char *text, size_t len)
{
	return len;
}

void
idle_run(struct swarm *swarm)
{
	static const struct client_work work = {
	    .enters = true, .on_text = heard};
	const struct plan *plan = swarm->plan;
	uint64_t before = swarm_memory_before(swarm, &work), after;

	swarm_login(swarm, &work, 0, 1);
	swarm_run_until(
	    swarm, usage_clock_ns() + plan->run_ms * UINT64_C(1000000));
	swarm_wait_idle(swarm);
	after = usage_memory_kib(plan);
	figures_add("kib", ((double)after - (double)before) / plan->sessions);
	figures_add("before_kib", (double)before);
	figures_add("sessions", plan->sessions);
}

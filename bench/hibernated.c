#include "bench/client.h"
#include "bench/figures.h"
#include "bench/manage.h"
#include "bench/swarm.h"
#include "bench/usage.h"
#include "bench/workload.h"

static size_t
heard_other(struct client *client, const char *text, size_t len)
{
	return len;
}

static size_t
heard(struct client *client, const char *text, size_t len)
{
	return manage_read(client, text, len, heard_other);
}

static double
memory_of_one(const struct plan *plan, uint64_t before_kib)
{
	const double now = (double)usage_memory_kib(plan);

	return (now - (double)before_kib) / plan->sessions;
}

static void
rest(struct swarm *swarm)
{
	swarm_run_until(
	    swarm, usage_clock_ns() + swarm->plan->run_ms * UINT64_C(1000000));
	swarm_wait_idle(swarm);
}

static void
resume_all(struct swarm *swarm)
{
	static const struct client_work again = {
	    .resumes = true, .on_text = heard};
	const struct plan *plan = swarm->plan;
	struct usage start = usage_read(plan), end, used;

	swarm_login(swarm, &again, 0, 1);
	end = usage_read(plan);
	used = usage_between(&start, &end);
	figures_add_usage(plan, &used, plan->sessions, "");
	figures_add("per_s", plan->sessions * 1e9 / (double)used.at_ns);
}

void
hibernated_run(struct swarm *swarm)
{
	static const struct client_work work = {
	    .enters = true, .on_text = heard};
	const struct plan *plan = swarm->plan;
	uint64_t before = swarm_memory_before(swarm, &work);

	swarm_login(swarm, &work, 0, 1);
	swarm_settle(swarm, 300);
	manage_enable_all(swarm);
	rest(swarm);
	figures_add("live_kib", memory_of_one(plan, before));
	for (unsigned i = 0; i < plan->sessions; i++)
		client_cut(&swarm->clients[i]);
	rest(swarm);
	figures_add("kib", memory_of_one(plan, before));
	resume_all(swarm);
	swarm_logout(swarm, 0, 1);
}

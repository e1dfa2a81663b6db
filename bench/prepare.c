#include <err.h>
#include <stdio.h>
#include <string.h>

#include "bench/client.h"
#include "bench/swarm.h"
#include "bench/usage.h"
#include "bench/workload.h"

#define PREPARE_MAX_NS UINT64_C(300000000000)

/* What all have heard: requests and approvals. */
static unsigned asked, approved;

static const char *
find_type(const char *text, size_t len)
{
	const char *found = memmem(text, len, "type='subscribe", 15);

	return found != NULL ? found
			     : memmem(text, len, "type=\"subscribe", 15);
}

static size_t
heard(struct client *client, const char *text, size_t len)
{
	const char *end = text + len, *found;

	while ((found = find_type(text, (size_t)(end - text))) != NULL &&
	       found + 16 <= end) {
		if (found[15] == 'd')
			approved++;
		else
			asked++;
		text = found + 16;
	}
	return len - (size_t)(end - text);
}

static void
send_presence(struct swarm *swarm, unsigned from, unsigned to, const char *type)
{
	char text[256];
	int len = snprintf(text, sizeof(text),
	    "<presence to='u%u@%s' type='%s'/>", to, swarm->plan->domain, type);

	client_send(&swarm->clients[from], text, (size_t)len);
}

/* Calls back for each two that shall be contacts; how many there are. */
static unsigned
each_relation(
    struct swarm *swarm, void (*found)(struct swarm *, unsigned a, unsigned b))
{
	unsigned count = 0;

	for (unsigned i = 1; i < swarm->plan->sessions; i++) {
		bool paired = i % 2 == 1, circled = i % PLAN_CIRCLE > 1;

		if (paired)
			found(swarm, plan_pair(i), i);
		if (circled)
			found(swarm, plan_centre(i), i);
		count += paired + circled;
	}
	return count;
}

static void
ask(struct swarm *swarm, unsigned a, unsigned b)
{
	send_presence(swarm, a, b, "subscribe");
}

static void
approve_and_ask(struct swarm *swarm, unsigned a, unsigned b)
{
	send_presence(swarm, b, a, "subscribed");
	send_presence(swarm, b, a, "subscribe");
}

static void
approve(struct swarm *swarm, unsigned a, unsigned b)
{
	send_presence(swarm, a, b, "subscribed");
}

static void
await(struct swarm *swarm, const unsigned *count, unsigned wanted)
{
	uint64_t end = usage_clock_ns() + PREPARE_MAX_NS;

	while (*count < wanted && usage_clock_ns() < end)
		swarm_turn(swarm, end);
	if (*count < wanted)
		errx(1, "%u of %u subscriptions went through", *count, wanted);
}

void
prepare_run(struct swarm *swarm)
{
	const struct client_work work = {.registers = swarm->plan->registers,
	    .enters = true,
	    .on_text = heard};
	unsigned relations;

	swarm_login(swarm, &work, 0, 1);
	relations = each_relation(swarm, ask);
	await(swarm, &asked, relations);
	each_relation(swarm, approve_and_ask);
	await(swarm, &approved, relations);
	await(swarm, &asked, 2 * relations);
	each_relation(swarm, approve);
	await(swarm, &approved, 2 * relations);
	swarm_settle(swarm, 200);
	swarm_logout(swarm, 0, 1);
}

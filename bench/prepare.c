#include <err.h>
#include <stdio.h>
#include <string.h>

#include "bench/client.h"
#include "bench/swarm.h"
#include "bench/usage.h"
#include "bench/workload.h"

#define PREPARE_MAX_NS UINT64_C(60000000000)

static unsigned befriended;

static void
send_to_pair(struct client *client, const char *type)
{
	char text[256];
	int len =
	    snprintf(text, sizeof(text), "<presence to='u%u@%s' type='%s'/>",
		plan_pair(client->number), client->plan->domain, type);

	client_send(client, text, (size_t)len);
}

static void
approve(struct client *client)
{
	send_to_pair(client, "subscribed");
	if (!client->asked)
		send_to_pair(client, "subscribe");
	client->asked = true;
}

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
			befriended++;
		else
			approve(client);
		text = found + 16;
	}
	return len - (size_t)(end - text);
}

void
prepare_run(struct swarm *swarm)
{
	const struct client_work work = {.registers = swarm->plan->registers,
	    .enters = true,
	    .on_text = heard};
	uint64_t end;

	swarm_login(swarm, &work, 0, 1);
	for (unsigned i = 0; i < swarm->plan->sessions; i += 2) {
		swarm->clients[i].asked = true;
		send_to_pair(&swarm->clients[i], "subscribe");
	}
	end = usage_clock_ns() + PREPARE_MAX_NS;
	while (befriended < swarm->plan->sessions && usage_clock_ns() < end)
		swarm_turn(swarm, end);
	if (befriended < swarm->plan->sessions)
		errx(1, "%u of %u are subscribed", befriended,
		    swarm->plan->sessions);
	swarm_settle(swarm, 200);
	swarm_logout(swarm, 0, 1);
}

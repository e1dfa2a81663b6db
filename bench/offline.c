#include <err.h>
#include <stdio.h>

#include "bench/client.h"
#include "bench/figures.h"
#include "bench/swarm.h"
#include "bench/usage.h"
#include "bench/workload.h"

#define PING        UINT32_MAX /* in place of a message's place */
#define WAIT_MAX_NS UINT64_C(20000000000)

/* Even sessions send, odd ones are away and come back. */
#define SENDERS 0
#define READERS 1

static struct {
	uint64_t began_ns;
	uint64_t refused;
	unsigned pongs;
	struct mark_count count;
} state;

/* Its answer comes after all that was asked for before. */
static void
ping(struct client *client)
{
	struct mark mark = {
	    .sender = client->number, .place = PING, .at_ns = usage_clock_ns()};
	char id[MARK_LEN + 1] = "", text[256];
	int len;

	mark_write(&mark, id);
	len = snprintf(text, sizeof(text),
	    "<iq type='get' to='%s' id='%s'><ping xmlns='urn:xmpp:ping'/></iq>",
	    client->plan->domain, id);
	client_send(client, text, (size_t)len);
}

static void
take_mark(struct client *client, const struct mark *mark)
{
	if (mark->at_ns < state.began_ns)
		return;
	if (mark->sender == client->number) {
		state.pongs += mark->place == PING;
		state.refused += mark->place != PING;
		return;
	}
	mark_check(&client->seen, mark->place, &state.count);
	if (client->seen.next == client->plan->each)
		ping(client);
}

static size_t
heard(struct client *client, const char *text, size_t len)
{
	struct mark mark;
	size_t left = len;

	while (mark_next(&text, &left, &mark))
		take_mark(client, &mark);
	return len - left;
}

static const struct client_work absent = {.on_text = heard};
static const struct client_work present = {.enters = true, .on_text = heard};

static void
await_pongs(struct swarm *swarm)
{
	uint64_t end = usage_clock_ns() + WAIT_MAX_NS;

	while (
	    state.pongs < swarm->plan->sessions / 2 && usage_clock_ns() < end)
		swarm_turn(swarm, end);
	if (state.pongs < swarm->plan->sessions / 2)
		warnx("only %u of %u were heard of again", state.pongs,
		    swarm->plan->sessions / 2);
	state.pongs = 0;
	swarm_wait_idle(swarm);
}

/* Readers come, become present, get what is there and go again. */
static struct usage
read_all(struct swarm *swarm, bool expecting)
{
	static const char presence[] = "<presence/>";
	struct usage start, end;

	swarm_login(swarm, &absent, READERS, 2);
	swarm_wait_idle(swarm);
	start = usage_read(swarm->plan);
	for (unsigned i = READERS; i < swarm->plan->sessions; i += 2) {
		client_send(&swarm->clients[i], presence, sizeof(presence) - 1);
		if (!expecting)
			ping(&swarm->clients[i]);
	}
	await_pongs(swarm);
	end = usage_read(swarm->plan);
	swarm_logout(swarm, READERS, 2);
	swarm_wait_idle(swarm);
	return usage_between(&start, &end);
}

static struct usage
store_all(struct swarm *swarm)
{
	const struct plan *plan = swarm->plan;
	struct usage start = usage_read(plan), end;

	for (unsigned n = 0; n < plan->each; n++) {
		for (unsigned i = SENDERS; i < plan->sessions; i += 2)
			client_say(&swarm->clients[i], usage_clock_ns());
		swarm_turn(swarm, 0);
	}
	for (unsigned i = SENDERS; i < plan->sessions; i += 2)
		ping(&swarm->clients[i]);
	await_pongs(swarm);
	end = usage_read(plan);
	return usage_between(&start, &end);
}

void
offline_run(struct swarm *swarm)
{
	const struct plan *plan = swarm->plan;
	uint64_t sent = (uint64_t)plan->sessions / 2 * plan->each;
	struct usage empty, stored, delivered;

	state.began_ns = usage_clock_ns();
	swarm_login(swarm, &present, SENDERS, 2);
	(void)read_all(swarm, false);
	empty = read_all(swarm, false);
	stored = store_all(swarm);
	delivered = read_all(swarm, true);
	delivered = usage_between(&empty, &delivered);
	figures_add_usage(plan, &stored, sent, "store_");
	figures_add_usage(plan, &delivered, sent, "deliver_");
	figures_add("lost", (double)sent - (double)state.count.came);
	figures_add("repeated", (double)state.count.repeated);
	figures_add("out_of_order", (double)state.count.out_of_order);
	figures_add("refused", (double)state.refused);
}

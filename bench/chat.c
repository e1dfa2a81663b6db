#include <string.h>

#include "bench/client.h"
#include "bench/figures.h"
#include "bench/manage.h"
#include "bench/swarm.h"
#include "bench/usage.h"
#include "bench/workload.h"

#define NS_PER_MS    UINT64_C(1000000)
#define DRAIN_MAX_MS 3000
#define STRIDE       7919 /* a prime, so that all sessions have their turn */

static struct {
	struct swarm *swarm;
	bool own_is_refused;
	unsigned (*listens_to)(unsigned number);
	void (*answer)(struct client *, const struct mark *); /* or NULL */
	uint64_t began_ns;
	uint64_t awaited; /* what should come in the end */
	uint64_t refused;
	struct mark_count count;
} state;

static void
say_message(struct client *client, uint64_t due_ns)
{
	client_say(client, due_ns);
	state.awaited++;
	if (client->plan->managed)
		manage_said(client);
}

static void
say_presence(struct client *client, uint64_t due_ns)
{
	static const char start[] = "<presence><show>away</show><status>";
	static const char end[] = "</status></presence>";
	char text[sizeof(start) + MARK_LEN + sizeof(end)];

	memcpy(text, start, sizeof(start) - 1);
	client_mark(client, due_ns, text + sizeof(start) - 1);
	memcpy(text + sizeof(start) - 1 + MARK_LEN, end, sizeof(end) - 1);
	client_send(client, text, sizeof(start) + MARK_LEN + sizeof(end) - 2);
}

/* To be called with what has just come: one's own is next. */
static void
answer_message(struct client *client, const struct mark *mark)
{
	say_message(client, usage_clock_ns());
}

static unsigned
circle_size(const struct client *centre)
{
	unsigned left = centre->plan->sessions - centre->number;

	return left < PLAN_CIRCLE ? left : PLAN_CIRCLE;
}

static void
change_presence(struct client *centre)
{
	centre->heard = 0;
	state.awaited += circle_size(centre) - 1;
	say_presence(centre, usage_clock_ns());
}

static void
answer_presence(struct client *client, const struct mark *mark)
{
	struct client *centre = &state.swarm->clients[mark->sender];

	if (++centre->heard == circle_size(centre) - 1)
		change_presence(centre);
}

/* One's own mark is a message refused, or one's own presence, which servers
 * send to its sender too. Marks of an earlier run do not count. */
static void
take_mark(struct client *client, const struct mark *mark)
{
	if (mark->at_ns < state.began_ns)
		return;
	if (mark->sender == client->number) {
		state.refused += state.own_is_refused;
		return;
	}
	if (mark->sender != state.listens_to(client->number))
		return;
	mark_check(&client->seen, mark->place, &state.count);
	figures_sample(SAMPLE_DELIVERY, usage_clock_ns() - mark->at_ns);
	if (state.answer != NULL)
		state.answer(client, mark);
}

/* How much of it is used. */
static size_t
take_marks(struct client *client, const char *text, size_t len)
{
	struct mark mark;
	size_t left = len;

	while (mark_next(&text, &left, &mark)) {
		client->managed.heard++;
		take_mark(client, &mark);
	}
	return len - left;
}

static size_t
heard(struct client *client, const char *text, size_t len)
{
	return client->plan->managed
		   ? manage_read(client, text, len, take_marks)
		   : take_marks(client, text, len);
}

/* Otherwise what a client has had would wait for it again. */
static void
leave_managed(struct swarm *swarm)
{
	for (unsigned i = 0; i < swarm->plan->sessions; i++)
		manage_acknowledge(&swarm->clients[i]);
	swarm_logout(swarm, 0, 1);
}

static void
begin(struct swarm *swarm)
{
	static const struct client_work work = {
	    .enters = true, .on_text = heard};

	state.swarm = swarm;
	/* Not after the login, which may bring what an earlier run left. */
	state.began_ns = usage_clock_ns();
	swarm_login(swarm, &work, 0, 1);
	swarm_settle(swarm, 300);
	if (swarm->plan->managed)
		manage_enable_all(swarm);
}

static void
finish(struct swarm *swarm)
{
	uint64_t end = usage_clock_ns() + DRAIN_MAX_MS * NS_PER_MS;

	state.answer = NULL;
	while ((state.count.came < state.awaited || manage_open(swarm) > 0) &&
	       usage_clock_ns() < end)
		swarm_turn(swarm, end);
	figures_add_samples();
	figures_add("lost", (double)state.awaited - (double)state.count.came);
	figures_add("repeated", (double)state.count.repeated);
	figures_add("out_of_order", (double)state.count.out_of_order);
	figures_add("refused", (double)state.refused);
	if (swarm->plan->managed) {
		figures_add("unacked", (double)manage_open(swarm));
		leave_managed(swarm);
	}
}

static void
add_figures(struct swarm *swarm, const struct usage *start,
    const struct usage *end, uint64_t came)
{
	struct usage used = usage_between(start, end);

	figures_add_usage(swarm->plan, &used, came, "");
	figures_add("per_s", (double)came * 1e9 / (double)used.at_ns);
}

/* Measures a stretch of what `run` keeps going. */
static void
measure(struct swarm *swarm, void (*run)(struct swarm *, uint64_t until_ns))
{
	const struct plan *plan = swarm->plan;
	struct usage start, end;
	uint64_t came;

	run(swarm, usage_clock_ns() + plan->warm_ms * NS_PER_MS);
	figures_forget_samples();
	came = state.count.came;
	start = usage_read(plan);
	run(swarm, start.at_ns + plan->run_ms * NS_PER_MS);
	end = usage_read(plan);
	add_figures(swarm, &start, &end, state.count.came - came);
}

/* From rest to rest: a server may store what it has delivered long before. */
void
chat_run(struct swarm *swarm)
{
	const struct plan *plan = swarm->plan;
	struct usage start, end;

	state.own_is_refused = true;
	state.listens_to = plan_pair;
	state.answer = answer_message;
	begin(swarm);
	swarm_wait_idle(swarm);
	start = usage_read(plan);
	for (unsigned i = 0; i < plan->sessions; i++)
		say_message(&swarm->clients[i], usage_clock_ns());
	swarm_run_until(swarm, start.at_ns + plan->run_ms * NS_PER_MS);
	state.answer = NULL;
	end = swarm_wait_idle(swarm);
	add_figures(swarm, &start, &end, state.count.came);
	finish(swarm);
}

void
presence_run(struct swarm *swarm)
{
	state.listens_to = plan_centre;
	state.answer = answer_presence;
	begin(swarm);
	for (unsigned i = 0; i < swarm->plan->sessions; i += PLAN_CIRCLE)
		change_presence(&swarm->clients[i]);
	measure(swarm, swarm_run_until);
	finish(swarm);
}

static void
send_at_rate(struct swarm *swarm, uint64_t until_ns)
{
	static unsigned next;
	uint64_t gap = 1000 * NS_PER_MS / swarm->plan->rate;
	uint64_t due = usage_clock_ns();

	while (due < until_ns) {
		uint64_t now = usage_clock_ns();

		while (due <= now && due < until_ns) {
			say_message(&swarm->clients[next], due);
			next = (next + STRIDE) % swarm->plan->sessions;
			due += gap;
		}
		swarm_turn(swarm, due);
	}
}

void
rate_run(struct swarm *swarm)
{
	state.own_is_refused = true;
	state.listens_to = plan_pair;
	begin(swarm);
	measure(swarm, send_at_rate);
	finish(swarm);
}

#include <err.h>
#include <stdio.h>
#include <string.h>

#include "bench/client.h"
#include "bench/figures.h"
#include "bench/swarm.h"
#include "bench/usage.h"
#include "bench/workload.h"

#define NS_PER_MS   UINT64_C(1000000)
#define FILL_MAX_NS UINT64_C(120000000000)
#define ID_LEN      128
#define READERS_MAX 1000

/* What one session reads: its whole archive, from the oldest page on, again
 * and again. */
struct reader {
	char last[ID_LEN]; /* the next page lies behind it; empty: the first */
	uint64_t asked_ns;
	unsigned of_pass;  /* messages so far */
	unsigned of_first; /* as many as there were in the first pass */
	unsigned passes;
};

static struct {
	struct reader readers[READERS_MAX];
	uint64_t filled;
	bool is_filling;
	uint64_t messages, pages;
	uint64_t missed; /* there at first, not there later, or never */
	bool ending;
	unsigned under_way;
} state;

/* Both of a pair write in turn. What comes before is of an earlier workload. */
static size_t
heard_message(struct client *client, const char *text, size_t len)
{
	struct mark mark;
	size_t left = len;

	while (mark_next(&text, &left, &mark)) {
		if (!state.is_filling)
			continue;
		state.filled++;
		if (client->sent < client->plan->each)
			client_say(client, usage_clock_ns());
	}
	return len - left;
}

static void
fill(struct swarm *swarm)
{
	static const struct client_work work = {
	    .enters = true, .on_text = heard_message};
	const struct plan *plan = swarm->plan;
	uint64_t all = (uint64_t)plan->sessions * plan->each;
	uint64_t end;

	swarm_login(swarm, &work, 0, 1);
	swarm_settle(swarm, 300);
	state.is_filling = true;
	end = usage_clock_ns() + FILL_MAX_NS;
	for (unsigned i = 0; i < plan->sessions; i++)
		client_say(&swarm->clients[i], usage_clock_ns());
	while (state.filled < all && usage_clock_ns() < end)
		swarm_turn(swarm, end);
	if (state.filled < all)
		errx(1, "%llu of %llu messages came",
		    (unsigned long long)state.filled, (unsigned long long)all);
	swarm_wait_idle(swarm);
}

static void
ask(struct client *client)
{
	struct reader *reader = &state.readers[client->number];
	char after[ID_LEN + 32] = "", text[512];
	int len;

	if (reader->last[0] != '\0')
		snprintf(
		    after, sizeof(after), "<after>%s</after>", reader->last);
	len = snprintf(text, sizeof(text),
	    "<iq type='set' id='q1'><query xmlns='urn:xmpp:mam:2'>"
	    "<set xmlns='http://jabber.org/protocol/rsm'><max>50</max>%s</set>"
	    "</query></iq>",
	    after);
	reader->asked_ns = usage_clock_ns();
	client_send(client, text, (size_t)len);
	state.under_way++;
}

static void
end_pass(const struct client *client, struct reader *reader)
{
	if (reader->passes++ == 0) {
		reader->of_first = reader->of_pass;
		if (reader->of_first < 2 * client->plan->each)
			state.missed +=
			    2 * client->plan->each - reader->of_first;
	}
	state.missed += reader->of_first - reader->of_pass;
	reader->of_pass = 0;
	reader->last[0] = '\0';
}

static bool
copy_last(struct reader *reader, const char *text, size_t len)
{
	const char *start = memmem(text, len, "<last>", 6);
	const char *end = memmem(text, len, "</last>", 7);
	size_t id_len;

	if (start == NULL || end == NULL)
		return false;
	start += 6;
	id_len = (size_t)(end - start);
	if (id_len >= sizeof(reader->last))
		return false;
	memcpy(reader->last, start, id_len);
	reader->last[id_len] = '\0';
	return true;
}

static void
end_page(struct client *client, const char *text, size_t len)
{
	struct reader *reader = &state.readers[client->number];

	figures_sample(SAMPLE_DELIVERY, usage_clock_ns() - reader->asked_ns);
	state.pages++;
	state.under_way--;
	if (memmem(text, len, "complete='true'", 15) != NULL ||
	    memmem(text, len, "complete=\"true\"", 15) != NULL)
		end_pass(client, reader);
	else if (!copy_last(reader, text, len))
		client_fail(client, "a page without its last message");
	if (!state.ending)
		ask(client);
}

static void
count_messages(struct client *client, const char *text, size_t len)
{
	struct mark mark;

	while (mark_next(&text, &len, &mark)) {
		state.readers[client->number].of_pass++;
		state.messages++;
	}
}

/* A page ends with an iq that holds <fin/>; up to the last '>' all else is
 * whole. */
static size_t
heard_page(struct client *client, const char *text, size_t len)
{
	const char *last = memrchr(text, '>', len), *fin, *end;

	if (last == NULL)
		return 0;
	fin = memmem(text, len, "<fin", 4);
	if (fin == NULL) {
		count_messages(client, text, (size_t)(last + 1 - text));
		return (size_t)(last + 1 - text);
	}
	count_messages(client, text, (size_t)(fin - text));
	end = memmem(fin, (size_t)(text + len - fin), "</iq>", 5);
	if (end == NULL)
		return (size_t)(fin - text);
	end_page(client, fin, (size_t)(end - fin));
	return (size_t)(end + 5 - text);
}

static bool
all_passed(const struct swarm *swarm)
{
	for (unsigned i = 0; i < swarm->plan->sessions; i++) {
		if (state.readers[i].passes == 0)
			return false;
	}
	return true;
}

static void
read_once(struct swarm *swarm)
{
	static const struct client_work work = {.on_text = heard_page};
	uint64_t end = usage_clock_ns() + FILL_MAX_NS;

	for (unsigned i = 0; i < swarm->plan->sessions; i++) {
		swarm->clients[i].work = &work;
		ask(&swarm->clients[i]);
	}
	while (!all_passed(swarm) && usage_clock_ns() < end)
		swarm_turn(swarm, end);
	if (!all_passed(swarm))
		errx(1, "not all archives could be read");
}

static void
finish(struct swarm *swarm)
{
	uint64_t end = usage_clock_ns() + FILL_MAX_NS;

	state.ending = true;
	while (state.under_way > 0 && usage_clock_ns() < end)
		swarm_turn(swarm, end);
	figures_add_samples();
	figures_add("lost", (double)state.missed);
}

void
catch_up_run(struct swarm *swarm)
{
	const struct plan *plan = swarm->plan;
	struct usage start, end, used;

	if (plan->sessions > READERS_MAX)
		errx(2, "at most %d sessions", READERS_MAX);
	fill(swarm);
	read_once(swarm);
	figures_forget_samples();
	state.messages = state.pages = 0;
	start = usage_read(plan);
	swarm_run_until(swarm, start.at_ns + plan->run_ms * NS_PER_MS);
	end = usage_read(plan);
	used = usage_between(&start, &end);
	figures_add_usage(plan, &used, state.messages, "");
	figures_add("per_s", (double)state.messages * 1e9 / (double)used.at_ns);
	figures_add(
	    "pages_per_s", (double)state.pages * 1e9 / (double)used.at_ns);
	finish(swarm);
}

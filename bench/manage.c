#include "bench/manage.h"

#include <err.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench/client.h"
#include "bench/figures.h"
#include "bench/swarm.h"
#include "bench/usage.h"

#define ENABLE_MAX_NS UINT64_C(60000000000)

static bool
starts(const char *text, size_t len, const char *with)
{
	return len >= strlen(with) && memcmp(text, with, strlen(with)) == 0;
}

/* The value of an attribute, in quotes of either kind; NULL: it has none. */
static const char *
value_of(const char *text, size_t len, const char *name, size_t *len_r)
{
	const char *found = memmem(text, len, name, strlen(name));
	const char *start, *end;

	if (found == NULL)
		return NULL;
	start = found + strlen(name) + 1;
	len -= (size_t)(start - text);
	end = memchr(start, start[-1], len);
	if (end == NULL)
		return NULL;
	*len_r = (size_t)(end - start);
	return start;
}

static void
take_enabled(struct client *client, const char *text, size_t len)
{
	struct managed *managed = &client->managed;
	size_t id_len;
	const char *id = value_of(text, len, " id=", &id_len);

	if (id != NULL && id_len < sizeof(managed->id)) {
		memcpy(managed->id, id, id_len);
		managed->id[id_len] = '\0';
	}
	managed->enabled = true;
	managed->heard = 0; /* section 4: the count begins here */
}

static void
take_acknowledged(struct client *client, const char *text, size_t len)
{
	struct managed *managed = &client->managed;
	uint64_t now = usage_clock_ns();
	size_t h_len;
	const char *h = value_of(text, len, " h=", &h_len);
	uint32_t covered;

	if (h == NULL)
		client_fail(client, "an <a/> without h");
	covered = (uint32_t)strtoul(h, NULL, 10);
	if (covered - managed->acked > managed->said - managed->acked)
		client_fail(client, "more was acknowledged than was sent");
	for (; managed->acked != covered; managed->acked++)
		figures_sample(SAMPLE_ACK,
		    now - managed->said_ns[managed->acked % MANAGE_WINDOW]);
}

static void
take(struct client *client, const char *text, size_t len)
{
	if (starts(text, len, "<r"))
		manage_acknowledge(client);
	else if (starts(text, len, "<a"))
		take_acknowledged(client, text, len);
	else if (starts(text, len, "<enabled"))
		take_enabled(client, text, len);
	else
		errx(1, "u%u: refused: %.*s", client->number, (int)len, text);
}

/* Up to the last '>' all is whole. */
size_t
manage_read(struct client *client, const char *text, size_t len,
    size_t (*other)(struct client *, const char *text, size_t len))
{
	const char *last = memrchr(text, '>', len), *found;
	const char *end = last == NULL ? text : last + 1, *at = text;

	while ((found = memmem(at, (size_t)(end - at), MANAGE_NS,
		    strlen(MANAGE_NS))) != NULL) {
		const char *open = memrchr(at, '<', (size_t)(found - at));
		const char *close = memchr(found, '>', (size_t)(end - found));

		if (open == NULL || close == NULL)
			client_fail(client, "not stream management");
		other(client, at, (size_t)(open - at));
		take(client, open, (size_t)(close + 1 - open));
		at = close + 1;
	}
	other(client, at, (size_t)(end - at));
	return (size_t)(end - text);
}

void
manage_said(struct client *client)
{
	static const char ask[] = "<r xmlns='" MANAGE_NS "'/>";
	struct managed *managed = &client->managed;

	if (managed->said - managed->acked == MANAGE_WINDOW)
		client_fail(client, "what was sent is not acknowledged");
	managed->said_ns[managed->said++ % MANAGE_WINDOW] = usage_clock_ns();
	client_send(client, ask, sizeof(ask) - 1);
}

void
manage_acknowledge(struct client *client)
{
	char text[64];
	int len = snprintf(text, sizeof(text),
	    "<a xmlns='" MANAGE_NS "' h='%u'/>", client->managed.heard);

	client_send(client, text, (size_t)len);
}

static bool
all_enabled(const struct swarm *swarm)
{
	for (unsigned i = 0; i < swarm->plan->sessions; i++) {
		if (!swarm->clients[i].managed.enabled)
			return false;
	}
	return true;
}

void
manage_enable_all(struct swarm *swarm)
{
	static const char enable[] =
	    "<enable xmlns='" MANAGE_NS "' resume='true'/>";
	uint64_t end = usage_clock_ns() + ENABLE_MAX_NS;

	for (unsigned i = 0; i < swarm->plan->sessions; i++)
		client_send(&swarm->clients[i], enable, sizeof(enable) - 1);
	while (!all_enabled(swarm)) {
		swarm_turn(swarm, end);
		if (usage_clock_ns() > end)
			errx(1, "stream management is not enabled");
	}
}

uint64_t
manage_open(const struct swarm *swarm)
{
	uint64_t open = 0;

	for (unsigned i = 0; i < swarm->plan->sessions; i++) {
		const struct managed *managed = &swarm->clients[i].managed;

		open += managed->said - managed->acked;
	}
	return open;
}

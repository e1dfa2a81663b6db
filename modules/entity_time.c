/*
 * modules/entity_time.c - XEP-0202: the server's clock, in UTC.
 */
#include "modules/entity_time.h"

#include "base/clock.h"
#include "server/iq.h"

#define NS_TIME "urn:xmpp:time"

static void on_time(struct iq *);

static const struct hook hooks[] = {
    {.on = HOOK_IQ_GET,
	.ns = NS_TIME,
	.name = "time",
	.scope = SCOPE_HOST,
	.iq = on_time},
    {.on = HOOK_END},
};

const struct module entity_time_module = {
    .api = MODULE_API,
    .name = "entity_time",
    .help = "The server's time",
    .xeps = (const char *const[]){"XEP-0202 2.0", "XEP-0082 1.1", NULL},
    .features = (const char *const[]){NS_TIME, NULL},
    .hooks = hooks,
};

static void
on_time(struct iq *iq)
{
	struct arena *arena = iq_arena(iq);
	struct node *time = node_make(arena, "time", NS_TIME);
	const uint64_t now_s = clock_wall_us() / 1000000;

	node_add_with_text(time, "tzo", NS_TIME, STR("+00:00"));
	node_add_with_text(
	    time, "utc", NS_TIME, clock_format(arena, now_s * 1000000));
	iq_reply(iq, time);
}

#include "server/dns_rig.h"

#include <poll.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/err.h"
#include "server/conn.h"
#include "server/dns.h"
#include "server/net.h"
#include "server/setup_rig.h"

void
dns_rig_start(struct dns_rig *rig, const char *yaml)
{
	*rig = (struct dns_rig){.arena = arena_make(0)};
	rig->setup = setup_rig_plain(rig->arena, yaml);
	must(uv_loop_init(&rig->loop) == 0);
	rig->shard.server = &rig->server;
	rig->shard.loop = &rig->loop;
	rig->shard.setup = rig->setup;
	rig->shard.net = net_new();
	list_init(&rig->shard.flushes);
	timers_init(&rig->shard.timers);
	shard_enter(&rig->shard);
}

void
dns_rig_turn(struct dns_rig *rig)
{
	uv_run(&rig->loop, UV_RUN_NOWAIT);
	timers_ring(&rig->shard.timers, clock_mono_ms());
	conn_flush_all(&rig->shard);
	(void)poll(NULL, 0, 1);
}

void
dns_rig_stop(struct dns_rig *rig)
{
	rig->shard.is_draining = true;
	dns_close(&rig->shard);
	uv_run(&rig->loop, UV_RUN_DEFAULT);
	must(uv_loop_close(&rig->loop) == 0);
	timers_deinit(&rig->shard.timers);
	net_free(&rig->shard.net);
	shard_enter(NULL);
	setup_unref(&rig->setup);
	arena_free(&rig->arena);
}

struct asked {
	struct resolve resolve;
	bool is_done;
};

static void
resolved(struct resolve *resolve)
{
	container_of(resolve, struct asked, resolve)->is_done = true;
}

struct resolve *
dns_rig_resolve(struct dns_rig *rig, struct arena *arena, const char *domain)
{
	struct asked *asked = arena_new(arena, struct asked);
	struct policy policy;

	policy_of(rig->setup, NULL, str_of(domain), &policy);
	resolve_start(&rig->shard, &asked->resolve, arena, &policy,
	    str_of(domain), resolved);
	while (!asked->is_done)
		dns_rig_turn(rig);
	return &asked->resolve;
}

const char *
dns_rig_describe(struct arena *arena, const struct resolve *resolve)
{
	struct buf text = {0};
	struct str result;

	if (resolve->is_srv_secure)
		buf_add(&text, STR("secure: "));
	for (size_t i = 0; i < resolve->count; i++) {
		const struct endpoint *endpoint = &resolve->endpoints[i];

		buf_add(&text, endpoint_text(arena, endpoint));
		if (endpoint->is_direct_tls)
			buf_add(&text, STR(" TLS"));
		if (endpoint->is_secure)
			buf_add(&text, str_format(arena, " secure, %zu TLSA",
					   endpoint->tlsa_count));
		buf_add(&text, STR("; "));
	}
	result = str_dup(arena, buf_str(&text));
	buf_deinit(&text);
	return result.text;
}

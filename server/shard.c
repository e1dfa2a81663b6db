#include "server/shard.h"

#include <stdlib.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/hash.h"
#include "base/rand.h"
#include "server/address.h"
#include "server/conn.h"
#include "server/iq.h"
#include "server/kept.h"
#include "server/metrics.h"
#include "server/net.h"
#include "server/owner.h"
#include "server/purge.h"
#include "server/remote.h"
#include "server/s2s.h"
#include "server/settle.h"
#include "server/setup.h"
#include "server/stream.h"
#include "server/sweep.h"
#include "server/wake.h"

static _Thread_local struct shard *current;

void
shard_enter(struct shard *shard)
{
	current = shard;
}

struct shard *
shard_current(void)
{
	return current;
}

void
shard_must_be_current(const struct shard *shard)
{
	must(shard == current);
}

void
server_init(struct server *server, struct storage *storage,
    unsigned shard_count, const struct module *const *modules)
{
	must(shard_count > 0);
	*server = (struct server){
	    .storage = storage,
	    .shards = calloc(shard_count, sizeof(struct shard)),
	    .shard_count = shard_count,
	    .modules = modules,
	    .run = rand_u64(),
	};
	must(server->shards != NULL);
	for (unsigned i = 0; i < PLACE_COUNT; i++)
		server->place_shard[i] = (uint16_t)(i % shard_count);
}

void
server_deinit(struct server *server)
{
	free(server->shards);
	*server = (struct server){0};
}

unsigned
shard_place(const struct jid *jid)
{
	return (unsigned)(jid_hash(jid) % PLACE_COUNT);
}

struct shard *
shard_of(const struct server *server, const struct jid *jid)
{
	if (server->shard_count == 1)
		return server->shards;
	return &server->shards[server->place_shard[shard_place(jid)]];
}

struct shard *
shard_of_address(const struct server *server, struct str address)
{
	unsigned place = (unsigned)(hash_frozen(address) % PLACE_COUNT);

	return &server->shards[server->place_shard[place]];
}

void
shard_init(struct shard *shard, struct server *server, unsigned index,
    uv_loop_t *loop, struct setup *setup)
{
	*shard = (struct shard){
	    .server = server,
	    .index = index,
	    .loop = loop,
	    .setup = setup_ref(setup),
	    .store = store_open(server->storage, loop),
	    .readers = reader_pool_new(),
	    .streams = streams_new(),
	    .addresses = addresses_new(),
	    .metrics = metrics_new(),
	    .remotes = remotes_new(),
	    .net = loop == NULL ? NULL : net_new(),
	};
	mailbox_init(&shard->mailbox, NULL);
	timers_init(&shard->timers);
	table_init(&shard->owners);
	table_init(&shard->asks);
	table_init(&shard->outbox_waits);
	table_init(&shard->handled);
	list_init(&shard->outbox_again);
	list_init(&shard->purges);
	list_init(&shard->kept_removals);
	list_init(&shard->flushes);
	list_init(&shard->iqs);
	list_init(&shard->loads);
	list_init(&shard->absents);
}

void
shard_deinit(struct shard *shard)
{
	shard_must_be_current(shard);
	shard->is_ended = true;
	timers_stop(&shard->timers);
	settle_free(shard);
	kept_free(shard);
	purge_free_all(shard);
	wake_free(shard);
	sweep_free(shard);
	streams_free(&shard->streams);
	s2s_free(shard);
	mailbox_deinit(&shard->mailbox);
	owner_free_all(shard);
	iq_free_all(shard);
	remotes_free(&shard->remotes);
	addresses_free(&shard->addresses);
	timers_deinit(&shard->timers);
	table_deinit(&shard->owners);
	table_deinit(&shard->asks);
	table_deinit(&shard->outbox_waits);
	table_deinit(&shard->handled);
	reader_pool_free(&shard->readers);
	metrics_free(&shard->metrics);
	net_free(&shard->net);
	buf_deinit(&shard->scratch);
	setup_unref(&shard->setup);
}

bool
shard_turn(struct shard *shard)
{
	bool is_more;

	shard_must_be_current(shard);
	if (shard->store != NULL && store_is_over(shard->store))
		shard->is_closed = true;
	is_more = mailbox_work(shard, LETTERS_PER_TURN);
	if (!shard->is_closed)
		timers_ring(&shard->timers, clock_mono_ms());
	conn_flush_all(shard);
	return is_more || !list_is_empty(&shard->mailbox.ready);
}

uint64_t
shard_next_due(const struct shard *shard)
{
	return shard->is_closed ? UINT64_MAX : timers_next(&shard->timers);
}

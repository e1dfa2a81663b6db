/* The table of a shard's streams, and letters to them. */
#include <stdlib.h>

#include "base/err.h"
#include "base/prefetch.h"
#include "base/rand.h"
#include "server/address.h"
#include "server/domains.h"
#include "server/metrics.h"
#include "server/register.h"
#include "server/router.h"
#include "server/s2s.h"
#include "server/setup.h"
#include "server/shard.h"
#include "server/stream.h"
#include "server/stream_internal.h"

#define NO_SLOT UINT32_MAX

struct slot {
	struct stream *stream;
	struct conn *conn;  /* of the stream, to be fetched with it */
	uint32_t use;       /* of the present or the last stream; begins at
			       random, as other servers may still answer to what
			       it was before this start (server/s2s_stanza.c) */
	uint32_t next_free; /* when it is free */
};

struct streams {
	struct slot *slots;
	uint32_t room, first_free;
	unsigned count;
};

struct streams *
streams_new(void)
{
	struct streams *streams = calloc(1, sizeof(*streams));

	must(streams != NULL);
	streams->first_free = NO_SLOT;
	return streams;
}

void
streams_free(struct streams **streams)
{
	struct streams *freed = *streams;

	*streams = NULL;
	if (freed == NULL)
		return;
	for (uint32_t i = 0; i < freed->room; i++) {
		if (freed->slots[i].stream != NULL)
			stream_free(freed->slots[i].stream);
	}
	free(freed->slots);
	free(freed);
}

static void
grow(struct streams *streams)
{
	uint32_t room = streams->room == 0 ? 64 : streams->room * 2;

	streams->slots =
	    reallocarray(streams->slots, room, sizeof(struct slot));
	must(streams->slots != NULL);
	for (uint32_t i = room; i-- > streams->room;) {
		streams->slots[i] =
		    (struct slot){.next_free = streams->first_free,
			.use = (uint32_t)rand_u64()};
		streams->first_free = i;
	}
	streams->room = room;
}

void
streams_add(struct shard *shard, struct stream *stream)
{
	struct streams *streams = shard->streams;
	uint32_t at;

	if (streams->first_free == NO_SLOT)
		grow(streams);
	at = streams->first_free;
	streams->first_free = streams->slots[at].next_free;
	streams->slots[at].stream = stream;
	streams->slots[at].conn = stream->conn;
	if (++streams->slots[at].use == 0)
		streams->slots[at].use = 1;
	streams->count++;
	stream->shard = shard;
	stream->id = (struct stream_id){
	    .shard = (uint16_t)shard->index,
	    .slot = at,
	    .use = streams->slots[at].use,
	};
	metric_add(shard, METRIC_STREAMS, 1);
}

void
streams_remove(struct stream *stream)
{
	struct streams *streams = stream->shard->streams;
	struct slot *slot = &streams->slots[stream->id.slot];

	slot->stream = NULL;
	slot->next_free = streams->first_free;
	streams->first_free = stream->id.slot;
	streams->count--;
	metric_add(stream->shard, METRIC_STREAMS, -1);
}

struct stream *
stream_find(struct shard *shard, struct stream_id id)
{
	const struct streams *streams = shard->streams;

	shard_must_be_current(shard);
	if (id.shard != shard->index || id.slot >= streams->room ||
	    streams->slots[id.slot].use != id.use)
		return NULL;
	return streams->slots[id.slot].stream;
}

void
stream_fetch(struct shard *shard, struct stream_id id)
{
	const struct streams *streams = shard->streams;

	if (id.slot >= streams->room || streams->slots[id.slot].stream == NULL)
		return;
	prefetch(streams->slots[id.slot].stream);
	prefetch(&streams->slots[id.slot].stream->is_open);
	conn_fetch(streams->slots[id.slot].conn);
}

struct stream *
stream_next(struct shard *shard, struct stream *stream)
{
	const struct streams *streams = shard->streams;
	uint32_t at = stream == NULL ? 0 : stream->id.slot + 1;

	while (at < streams->room && streams->slots[at].stream == NULL)
		at++;
	return at < streams->room ? streams->slots[at].stream : NULL;
}

/* What was made for a stream that went meanwhile is undone. */
static void
drop(struct shard *shard, struct post *letter)
{
	if (letter->kind == POST_REGISTERED)
		register_missed(shard, letter);
	else if (letter->kind == POST_RESUMED)
		s2s_resume_missed(shard, letter);
	post_free(&letter);
}

static bool
is_one_too_many(const struct post *letter)
{
	return letter->kind == POST_ADDRESS_VERDICT &&
	       letter->address->event == ADDRESS_OPENED;
}

static void
refuse(struct stream *stream, struct post *letter)
{
	metric_add(stream->shard, METRIC_CONNECTIONS_REFUSED, 1);
	stream_fail(stream, STREAM_ERR_POLICY_VIOLATION,
	    "too many connections from this address");
	post_free(&letter);
}

void
stream_take(struct shard *shard, struct post *letter)
{
	struct stream *stream = stream_find(shard, letter->stream);
	const bool is_down = letter->kind == POST_DOWN;

	if (is_down && (stream == NULL || stream->is_gone || stream->is_ending))
		router_return(shard, letter);
	else if (stream == NULL || stream->is_gone)
		drop(shard, letter);
	else if (is_one_too_many(letter))
		refuse(stream, letter);
	else {
		stream->taken += is_down;
		stream->role->on_letter(stream, letter);
	}
}

const struct host *
stream_find_host(const struct stream *stream, struct str name)
{
	const struct setup *setup = stream->shard->setup;

	return stream->role->is_of_servers ? domain_host(setup, name)
					   : setup_host(setup, name);
}

static bool
is_served_still(struct stream *stream)
{
	if (stream->role->serves != NULL)
		return stream->host_name.len == 0 ||
		       stream->role->serves(stream, stream->host_name);
	if (stream->host == NULL)
		return true;
	stream->host = stream_find_host(stream, stream->host_name);
	return stream->host != NULL;
}

/* Before any stream ends: a handshake that waits may begin then, and shows the
 * certificate of its host for as long as it takes. */
static void
find_hosts(struct shard *shard)
{
	for (struct stream *stream = stream_next(shard, NULL); stream != NULL;
	    stream = stream_next(shard, stream))
		if (stream->conn->host != NULL)
			stream->conn->host =
			    stream_find_host(stream, stream->host_name);
}

void
streams_setup_changed(struct shard *shard)
{
	find_hosts(shard);
	for (struct stream *stream = stream_next(shard, NULL); stream != NULL;
	    stream = stream_next(shard, stream)) {
		const bool is_served = is_served_still(stream);

		stream_limit(stream);
		/* Its peer may still speak before it closes, too. */
		if (!is_served && stream->is_ending && !stream->is_gone)
			conn_abort(stream->conn);
		else if (!is_served)
			stream_fail(stream, STREAM_ERR_HOST_GONE,
			    "this host is served no more");
		else if (stream->role->on_setup != NULL)
			stream->role->on_setup(stream);
	}
}

void
streams_close_all(struct shard *shard, bool is_last, enum stream_err err)
{
	for (struct stream *stream = stream_next(shard, NULL); stream != NULL;
	    stream = stream_next(shard, stream))
		if (stream->role->is_last == is_last)
			stream_fail(stream, err, NULL);
}

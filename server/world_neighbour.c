#include "server/world_neighbour.h"

#include <stdlib.h>

#include "base/err.h"
#include "server/remote.h"
#include "server/remote_table.h"
#include "server/router.h"
#include "server/world_private.h"

/* A path; its connection carries nothing. */
struct neighbour_stream {
	struct stream stream; /* first */
	struct link link;     /* in the neighbour */
	struct neighbour *neighbour;
	struct world_conn *conn;
	struct str local;
	uint64_t ticket; /* of the last that came */
	bool is_out, in_order;
};

struct got {
	struct link link;
	struct arena *arena;
	const char *text;
};

static struct neighbour_stream *
of(struct stream *stream)
{
	return container_of(stream, struct neighbour_stream, stream);
}

/* --- what it tells the remote --------------------------------------------- */

static void
tell(struct neighbour_stream *own, enum path_event event)
{
	struct neighbour *neighbour = own->neighbour;
	struct post *letter;
	struct path_note *note = path_note_new(
	    event, own->local, str_of(neighbour->domain), &letter);

	note->max_bytes = neighbour->max_bytes;
	note->has_acks = true;
	note->is_out = own->is_out;
	note->proof_text = STR("none");
	if (event == PATH_GONE && !own->in_order)
		note->err = STANZA_ERR_REMOTE_SERVER_TIMEOUT;
	letter->stream = own->stream.id;
	letter->ticket = own->ticket;
	post_send(own->stream.shard, letter);
}

static void
tell_failed(struct shard *shard, struct str local, struct str domain,
    const struct neighbour *neighbour)
{
	const bool is_final =
	    neighbour == NULL || neighbour->mood == NEIGHBOUR_REFUSING;
	struct post *letter;
	struct path_note *note =
	    path_note_new(PATH_FAILED, local, domain, &letter);

	note->is_final = is_final;
	note->err = is_final ? STANZA_ERR_REMOTE_SERVER_NOT_FOUND
			     : STANZA_ERR_REMOTE_SERVER_TIMEOUT;
	note->text = is_final ? STR("there is no such domain")
			      : STR("connection refused");
	post_send(shard, letter);
}

/* --- its streams ---------------------------------------------------------- */

static void
add_got(struct neighbour *neighbour, struct str bytes, const struct jid *to)
{
	struct arena *arena = arena_make(0);
	struct got *got = arena_new(arena, struct got);
	struct str head, rest;

	str_cut(bytes, ' ', &head, &rest);
	got->arena = arena;
	got->text = str_format(arena, "%.*s to='%.*s' %.*s", STR_ARG(head),
	    STR_ARG(jid_full(to)), STR_ARG(rest))
			.text;
	list_add_last(&neighbour->got, &got->link);
}

static void
on_letter(struct stream *stream, struct post *letter)
{
	struct neighbour_stream *own = of(stream);
	struct neighbour *neighbour = own->neighbour;

	must(letter->kind == POST_DOWN && letter->ticket > own->ticket);
	must(letter->receiver_count > 0);
	for (size_t i = 0; i < letter->receiver_count && !neighbour->is_deaf;
	    i++)
		add_got(
		    neighbour, blob_str(letter->blob), letter->receivers[i]);
	own->ticket = letter->ticket;
	if (!neighbour->is_lazy && !neighbour->is_deaf)
		tell(own, PATH_ACKED);
	post_free(&letter);
}

static void
on_gone(struct stream *stream, const struct stream_end *end)
{
	(void)end;
	tell(of(stream), PATH_GONE);
}

static void
on_free(struct stream *stream)
{
	list_remove(&of(stream)->link);
}

static const struct stream_role role = {
    .name = "neighbour",
    .len = sizeof(struct neighbour_stream),
    .on_letter = on_letter,
    .on_gone = on_gone,
    .on_free = on_free,
};

static void
open_path(struct neighbour *neighbour, struct shard *shard, struct str local,
    bool is_out)
{
	struct world_peer *peer = world_peer_new(neighbour->world);
	struct neighbour_stream *own;

	peer->conn->conn.shard = shard;
	own = of(stream_new(shard, &role, &peer->conn->conn));
	timer_stop(shard, &own->stream.timer);
	own->neighbour = neighbour;
	own->conn = peer->conn;
	own->is_out = is_out;
	own->local = str_dup(own->stream.arena, local);
	list_add_last(&neighbour->streams, &own->link);
	tell(own, PATH_READY);
}

static void
on_connect(struct shard *shard, struct str local, struct str domain)
{
	struct world *world = container_of(shard->server, struct world, server);
	struct neighbour *found = NULL;

	list_each (neighbour, &world->neighbours, struct neighbour, link)
		if (str_equal(domain, str_of(neighbour->domain)))
			found = neighbour;
	if (found != NULL)
		found->connects++;
	if (found == NULL || found->mood == NEIGHBOUR_UNREACHABLE ||
	    found->mood == NEIGHBOUR_REFUSING)
		tell_failed(shard, local, domain, found);
	else if (found->mood == NEIGHBOUR_WILLING)
		open_path(found, shard, local, true);
}

/* --- by the test ---------------------------------------------------------- */

struct neighbour *
neighbour_new(struct world *world, const char *domain)
{
	struct neighbour *neighbour = arena_new(world->arena, struct neighbour);

	neighbour->world = world;
	neighbour->domain = domain;
	list_init(&neighbour->streams);
	list_init(&neighbour->got);
	list_add_last(&world->neighbours, &neighbour->link);
	neighbours_boot(world);
	return neighbour;
}

const char *
neighbour_next(struct neighbour *neighbour)
{
	struct world *world = neighbour->world;
	struct link *link = list_take_first(&neighbour->got);
	struct got *got = list_entry(link, struct got, link);

	if (got == NULL)
		return NULL;
	arena_free(&world->next);
	world->next = got->arena;
	return got->text;
}

void
neighbour_ack(struct neighbour *neighbour)
{
	list_each (own, &neighbour->streams, struct neighbour_stream, link) {
		shard_enter(own->stream.shard);
		tell(own, PATH_ACKED);
	}
	world_run(neighbour->world);
}

void
neighbour_cut(struct neighbour *neighbour, bool in_order)
{
	list_each (own, &neighbour->streams, struct neighbour_stream, link) {
		own->in_order = in_order;
		world_conn_cut(own->conn, "cut");
	}
	world_run(neighbour->world);
}

static struct shard *
any_shard(struct world *world)
{
	struct server *server = &world->server;
	struct shard *shard =
	    &server->shards[world_random(world, server->shard_count)];

	shard_enter(shard);
	return shard;
}

void
neighbour_open(struct neighbour *neighbour, const char *local)
{
	open_path(neighbour, any_shard(neighbour->world), str_of(local), false);
	world_run(neighbour->world);
}

void
neighbour_send(struct neighbour *neighbour, const char *xml)
{
	struct shard *shard = any_shard(neighbour->world);
	struct post *letter = post_new(POST_STANZA, NULL);

	letter->stanza = stanza_parse(letter->arena, str_of(xml));
	must(letter->stanza != NULL && letter->stanza->to != NULL);
	router_route(shard, NULL, letter);
	world_run(neighbour->world);
}

void
neighbours_boot(struct world *world)
{
	if (!list_is_empty(&world->neighbours))
		world->server.s2s_connect = on_connect;
}

/* Nobody connects any more. */
void
neighbours_rest(struct world *world)
{
	list_each (each, &world->neighbours, struct neighbour, link)
		each->mood = NEIGHBOUR_SILENT;
}

void
neighbours_free(struct world *world)
{
	list_each (each, &world->neighbours, struct neighbour, link)
		while (neighbour_next(each) != NULL)
			continue;
}

void
neighbour_tell(struct world *world, const char *domain, enum path_event event,
    unsigned slot, enum stanza_err err)
{
	struct shard *shard = &world->server.shards[0];
	struct post *letter;
	struct path_note *note;

	shard_enter(shard);
	note = path_note_new(
	    event, STR("montague.example"), str_of(domain), &letter);
	note->err = err;
	letter->stream = (struct stream_id){.slot = slot, .use = 1};
	post_send(shard, letter);
}

size_t
neighbours_in_use(const struct world *world)
{
	size_t count = 0;

	for (unsigned i = 0; i < world->server.shard_count; i++) {
		const struct remotes *remotes = world->server.shards[i].remotes;

		count += remotes->table.count - remotes->unused_count;
	}
	return count;
}

#include "base/code.h"
#include "base/err.h"
#include "server/world_private.h"
#include "xml/stanza.h"
#include "xml/writer.h"

#define PATIENCE_MS 10000 /* that may pass while a peer waits */

void
world_event_free(struct world_event **event)
{
	struct arena *arena = (*event)->arena;

	list_remove(&(*event)->link);
	*event = NULL;
	arena_free(&arena);
}

static struct world_event *
first(struct world_peer *peer)
{
	return list_entry(list_first(&peer->events), struct world_event, link);
}

struct world_event *
world_peer_next(struct world_peer *peer)
{
	struct world *world = peer->world;
	uint64_t until_ms = world->mono_ms + PATIENCE_MS;

	world_run(world);
	while (first(peer) == NULL && world->mono_ms < until_ms)
		world_sleep(world, 50);
	return first(peer);
}

bool
world_expect(struct world_peer *peer, const char *name)
{
	struct world_event *event = world_peer_next(peer);
	bool is_right = event != NULL && event->kind == WORLD_ELEMENT &&
			str_equal(event->node->name, str_of(name));

	if (is_right)
		world_event_free(&event);
	return is_right;
}

struct world_peer *
world_open_stream(struct world *world)
{
	struct world_peer *peer = world_connect(world, "");

	world_send(peer, WORLD_OPENING);
	world_run(world);
	return peer;
}

bool
world_start_stream(struct world_peer *peer, struct str host)
{
	struct world_event *event;

	world_run(peer->world);
	world_peer_restart(peer);
	world_peer_send(peer,
	    str_format(peer->arena,
		"<?xml version='1.0'?><stream:stream to='%.*s' version='1.0' "
		"xml:lang='en' xmlns='jabber:client' "
		"xmlns:stream='" NS_STREAM "'>",
		STR_ARG(host)));
	event = world_peer_next(peer);
	if (event == NULL || event->kind != WORLD_HEADER)
		return false;
	world_event_free(&event);
	return world_expect(peer, "features");
}

bool
world_authenticate(
    struct world_peer *peer, struct str local, struct str password)
{
	char *proof = arena_text(peer->arena, local.len + password.len + 2);
	struct str text = {proof, local.len + password.len + 2};

	proof[0] = '\0';
	memcpy(proof + 1, local.text, local.len);
	proof[1 + local.len] = '\0';
	memcpy(proof + 2 + local.len, password.text, password.len);
	text = base64_encode(peer->arena, text);
	world_peer_send(
	    peer, str_format(peer->arena,
		      "<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' "
		      "mechanism='PLAIN'>%.*s</auth>",
		      STR_ARG(text)));
	return world_expect(peer, "success");
}

static bool
take_bound(struct world_peer *peer)
{
	struct world_event *event = world_peer_next(peer);
	const struct node *bound;

	if (event == NULL || event->kind != WORLD_ELEMENT)
		return false;
	bound = node_child(event->node, "bind", NULL);
	peer->jid = node_child_text(peer->arena, bound, "jid", NULL);
	if (peer->jid.text == NULL)
		return false;
	peer->jid = str_dup(peer->arena, peer->jid);
	world_event_free(&event);
	return true;
}

bool
world_bind(struct world_peer *peer, struct str resource)
{
	struct arena *arena = peer->arena;
	struct str wish = STR_NONE;

	if (resource.len > 0)
		wish = str_format(
		    arena, "<resource>%.*s</resource>", STR_ARG(resource));
	world_peer_send(
	    peer, str_format(arena,
		      "<iq type='set' id='bind-1'><bind xmlns="
		      "'urn:ietf:params:xml:ns:xmpp-bind'>%.*s</bind></iq>",
		      STR_ARG(wish)));
	return take_bound(peer);
}

bool
world_login(struct world_peer *peer, struct str local, struct str host,
    struct str password, struct str resource)
{
	return world_start_stream(peer, host) &&
	       world_authenticate(peer, local, password) &&
	       world_start_stream(peer, host) && world_bind(peer, resource);
}

/* --- for tests ------------------------------------------------------------ */

struct world_peer *
world_connect(struct world *world, const char *jid)
{
	struct world_peer *peer = world_accept(world);
	struct str local, host, resource, rest;

	if (*jid == '\0')
		return peer;
	str_cut(str_of(jid), '@', &local, &rest);
	str_cut(rest, '/', &host, &resource);
	must(world_start_stream(peer, host) &&
	     world_authenticate(peer, local, STR(WORLD_PASSWORD)) &&
	     world_start_stream(peer, host));
	if (resource.text != NULL)
		must(world_bind(peer, resource));
	return peer;
}

void
world_send(struct world_peer *peer, const char *xml)
{
	world_peer_send(peer, str_of(xml));
}

const char *
world_next(struct world_peer *peer)
{
	struct world *world = peer->world;
	struct world_event *event = first(peer);
	const char *text = NULL;

	arena_free(&world->next);
	if (event == NULL)
		return NULL;
	world->next = arena_make(0);
	if (event->kind == WORLD_CLOSE)
		text = "</stream:stream>";
	else if (event->kind == WORLD_ELEMENT)
		text = writer_text(world->next, event->node).text;
	else if (event->kind == WORLD_HEADER)
		text = "<stream:stream>";
	world_event_free(&event);
	return text;
}

void
world_cut(struct world_peer **peer)
{
	world_peer_free(peer);
}

bool
world_is_closed(const struct world_peer *peer)
{
	return peer->conn == NULL;
}

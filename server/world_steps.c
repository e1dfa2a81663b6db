/* Steps in which somebody does something. */
#include "server/world_play.h"
#include "xml/stanza.h"

#define MOST_PEERS 200

static struct world_peer *
open_peer(struct play *play, struct str who)
{
	struct actor *actor = play_find(play, who);

	if (actor == NULL) {
		actor = arena_new(play->arena, struct actor);
		actor->who = who;
		list_add_last(&play->actors, &actor->link);
	}
	world_peer_free(&actor->peer);
	actor->peer = world_accept(play->world);
	return actor->peer;
}

static struct str
account_host(struct play *play, struct str name)
{
	list_each (account, &play->scene->accounts, struct scene_account, link)
		if (str_equal(account->name, name))
			return account->is_on_host2 ? STR(HOST2) : STR(HOST1);
	play_fail(play, "there is no account %.*s", STR_ARG(name));
	return STR(HOST1);
}

/* The first event that has this id, or else this from; others stay. */

static bool
take(struct world_peer *peer, const char *attr, struct str value)
{
	for (unsigned tries = 0; tries < 20; tries++) {
		list_each (event, &peer->events, struct world_event, link) {
			if (event->kind != WORLD_ELEMENT ||
			    !str_equal(node_attr(event->node, attr), value))
				continue;
			world_event_free(&event);
			return true;
		}
		world_run(peer->world);
		if (tries > 0)
			world_sleep(peer->world, 50);
	}
	return false;
}

static bool
log_in(struct play *play, struct world_peer *peer, struct str name,
    struct str resource)
{
	struct str host = account_host(play, name);

	if (world_login(peer, name, host, STR(WORLD_PASSWORD), resource))
		return true;
	play_fail(play, "%.*s cannot log in: %.*s", STR_ARG(name),
	    STR_ARG(play_show(play, play_queued(peer))));
	return false;
}

static void
announce(struct play *play, struct world_peer *peer)
{
	world_send(peer, "<iq type='get' id='roster-1'>"
			 "<query xmlns='jabber:iq:roster'/></iq>");
	if (!take(peer, "id", STR("roster-1")))
		play_fail(play, "the roster did not come");
	world_send(peer, "<presence/>");
	if (!take(peer, "from", peer->jid))
		play_fail(play, "its own presence did not come back");
}

/* --- sessions ------------------------------------------------------------ */

static void
step_connects(struct play *play, const struct str *words)
{
	struct world_peer *peer = open_peer(play, words[0]);
	struct str name, resource;

	str_cut(words[0], '/', &name, &resource);
	if (log_in(play, peer, name, resource))
		variables_set(&play->variables, words[0], peer->jid);
}

static void
step_comes_online(struct play *play, const struct str *words)
{
	struct actor *actor = play_find(play, words[0]);

	if (actor == NULL || actor->peer == NULL || actor->peer->is_ended)
		step_connects(play, words);
	if (play->why.text == NULL)
		announce(play, play_peer(play, words[0]));
}

static void
hand_over(struct play *play, struct world_peer *from, struct world_peer *to,
    const char *type)
{
	struct str bare, resource;

	str_cut(to->jid, '/', &bare, &resource);
	world_peer_send(
	    from, str_format(play->arena, "<presence type='%s' to='%.*s'/>",
		      type, STR_ARG(bare)));
	if (!take(to, "type", str_of(type)))
		play_fail(play, "%.*s got no %s", STR_ARG(bare), type);
}

static void
leave(struct world_peer *peer)
{
	world_run(peer->world);
	world_send(peer, "<presence type='unavailable'/></stream:stream>");
	world_run(peer->world);
	world_peer_free(&peer);
}

/* RFC 6121, section 3.1, in sessions of their own. */
static void
step_subscribes(struct play *play, const struct str *words)
{
	struct world_peer *asker = world_accept(play->world);
	struct world_peer *giver = world_accept(play->world);

	if (log_in(play, asker, words[0], STR("setup")) &&
	    log_in(play, giver, words[1], STR("setup"))) {
		announce(play, asker);
		announce(play, giver);
		hand_over(play, asker, giver, "subscribe");
		hand_over(play, giver, asker, "subscribed");
	}
	leave(asker);
	leave(giver);
	world_run(play->world);
}

static void
step_are_friends(struct play *play, const struct str *words)
{
	struct str back[] = {words[1], words[0]};

	step_subscribes(play, words);
	step_subscribes(play, back);
}

/* --- sending ------------------------------------------------------------- */

static void
step_sends(struct play *play, const struct str *words)
{
	struct world_peer *peer = play_peer(play, words[0]);
	struct str text =
	    play_expand(play, scene_xml(play->arena, play->at), true);

	if (peer != NULL && text.text != NULL)
		world_peer_send(peer, text);
}

static bool
begins_stream(struct str text)
{
	for (size_t i = 0; i + 8 < text.len; i++)
		if (memcmp(text.text + i, "stream ", 7) == 0 ||
		    memcmp(text.text + i, "stream\n", 7) == 0)
			return true;
	return false;
}

/* What it is to send now as it stands; empty when that cannot be. With the
 * start of a stream in it a new one begins. */
static struct str
raw_of(struct play *play, struct world_peer *peer)
{
	struct str text =
	    play_expand(play, scene_raw(play->arena, play->at), false);

	if (peer == NULL || text.text == NULL)
		return STR_NONE;
	if (begins_stream(text)) {
		world_run(play->world);
		world_peer_restart(peer);
	}
	return text;
}

static void
step_sends_raw(struct play *play, const struct str *words)
{
	struct world_peer *peer = play_peer(play, words[0]);
	struct str text = raw_of(play, peer);

	if (text.text != NULL)
		world_peer_send(peer, text);
}

static void
step_sends_bytes(struct play *play, const struct str *words)
{
	struct world_peer *peer = play_peer(play, words[0]);
	struct str text = raw_of(play, peer);

	for (size_t i = 0; i < text.len; i++) {
		world_peer_send(peer, (struct str){text.text + i, 1});
		world_run(play->world);
	}
}

/* --- ends ---------------------------------------------------------------- */

static void
step_disconnects(struct play *play, const struct str *words)
{
	struct actor *actor = play_find(play, words[0]);
	struct world_event *event;

	if (play_peer(play, words[0]) == NULL)
		return;
	world_send(actor->peer, "</stream:stream>");
	while ((event = world_peer_next(actor->peer)) != NULL &&
	       event->kind < WORLD_CLOSE)
		world_event_free(&event);
	if (event == NULL)
		play_fail(play, "the server's </stream:stream> did not come");
	world_peer_free(&actor->peer);
	world_run(play->world);
}

static void
step_drops(struct play *play, const struct str *words)
{
	struct actor *actor = play_find(play, words[0]);

	if (play_peer(play, words[0]) != NULL)
		world_peer_free(&actor->peer);
}

static void
step_closes_stream(struct play *play, const struct str *words)
{
	struct world_peer *peer = play_peer(play, words[0]);

	if (peer != NULL)
		world_send(peer, "</stream:stream>");
}

/* --- raw ----------------------------------------------------------------- */

static void
step_opens(struct play *play, const struct str *words)
{
	open_peer(play, words[0]);
}

static void
step_starts_stream(struct play *play, const struct str *words)
{
	struct world_peer *peer = play_peer(play, words[0]);
	struct str host =
	    words[1].len == 0 ? STR(HOST1) : play_expand(play, words[1], false);

	if (peer != NULL && !world_start_stream(peer, host))
		play_fail(play, "got %.*s",
		    STR_ARG(play_show(play, play_queued(peer))));
}

static void
step_authenticates(struct play *play, const struct str *words)
{
	struct world_peer *peer = play_peer(play, words[0]);

	if (peer != NULL &&
	    !world_authenticate(peer, words[1], STR(WORLD_PASSWORD)))
		play_fail(play, "got %.*s",
		    STR_ARG(play_show(play, play_queued(peer))));
}

static void
step_binds(struct play *play, const struct str *words)
{
	struct world_peer *peer = play_peer(play, words[0]);

	if (peer == NULL)
		return;
	if (world_bind(peer, words[1]))
		variables_set(&play->variables, words[0], peer->jid);
	else
		play_fail(play, "got %.*s",
		    STR_ARG(play_show(play, play_queued(peer))));
}

/* Sessions of one account, up to the limit on them. */
static void
step_connects_until(struct play *play, const struct str *words)
{
	struct str name = words[0], host = account_host(play, name);

	for (unsigned i = 0; i < MOST_PEERS && play->why.text == NULL; i++) {
		struct world_peer *peer = open_peer(
		    play, str_format(play->arena, "%.*s/%u", STR_ARG(name), i));
		const struct world_event *event;

		if (world_login(
			peer, name, host, STR(WORLD_PASSWORD), STR_NONE))
			continue;
		event = play_queued(peer);
		if (event == NULL || event->kind != WORLD_ELEMENT ||
		    node_child(node_child(event->node, "error", NULL),
			str_dup(play->arena, words[1]).text,
			NS_STANZA_ERR) == NULL)
			play_fail(
			    play, "got %.*s", STR_ARG(play_show(play, event)));
		return;
	}
	play_fail(play, "so many sessions are no limit");
}

/* --- the rest ---------------------------------------------------------- */

static void
step_after(struct play *play, const struct str *words)
{
	uint64_t seconds = 0;

	(void)str_to_u64(words[0], 1000000, &seconds);
	world_sleep(play->world, seconds * 1000);
}

static void
step_compares(struct play *play, const struct str *words)
{
	struct str one = play_expand(play, words[0], false);
	struct str other = play_expand(play, words[2], false);

	if (str_equal(one, other) != str_is(words[1], "equals"))
		play_fail(
		    play, "'%.*s' and '%.*s'", STR_ARG(one), STR_ARG(other));
}

static void
step_restarts(struct play *play, const struct str *words)
{
	(void)words;
	world_restart(play->world);
}

const struct step_row steps_acting[] = {
    {WHO " connects", step_connects},
    {WHO " comes online", step_comes_online},
    {NAME " and " NAME " are friends", step_are_friends},
    {NAME " is subscribed to " NAME, step_subscribes},
    {WHO " sends:", step_sends},
    {WHO " sends raw:", step_sends_raw},
    {WHO " sends byte by byte:", step_sends_bytes},
    {WHO " disconnects", step_disconnects},
    {WHO " drops", step_drops},
    {WHO " closes stream", step_closes_stream},
    {NAME " opens( secure| direct)?", step_opens},
    {NAME " starts stream", step_starts_stream},
    {NAME " starts stream to ([^ ]+)", step_starts_stream},
    {NAME " authenticates as " NAME, step_authenticates},
    {NAME " binds", step_binds},
    {NAME " binds ([^ ]+)", step_binds},
    {WHO " connects until ([^ ]+)", step_connects_until},
    {"after ([0-9]+) s", step_after},
    {"([^ ]+) (equals|differs from) ([^ ]+)", step_compares},
    {"server restarts", step_restarts},
    {NULL},
};

#include <regex.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/err.h"
#include "server/world_private.h"
#include "server/world_scene.h"
#include "xml/stanza.h"
#include "xml/writer.h"

#define WORDS_MAX    4
#define PATTERNS_MAX 256
#define MOST_PEERS   200
#define HOST1        "montague.example"
#define HOST2        "capulet.example"

/* A session or raw connection of the scene. */
struct actor {
	struct link link;
	struct str who;
	struct world_peer *peer;
};

struct play {
	struct world *world;
	struct arena *arena;
	struct scene *scene;
	struct variables variables;
	struct list actors;
	const struct scene_step *at;
	struct str why; /* why it failed; text NULL as long as it has not */
};

typedef void play_step(struct play *, const struct str *words);

static void __attribute__((format(printf, 2, 3)))
fail(struct play *play, const char *format, ...)
{
	va_list args;

	if (play->why.text != NULL)
		return;
	va_start(args, format);
	play->why = str_vformat(play->arena, format, args);
	va_end(args);
}

/* --- what steps share -------------------------------------------------------
 */

static struct actor *
find_actor(struct play *play, struct str who)
{
	list_each (actor, &play->actors, struct actor, link)
		if (str_equal(actor->who, who))
			return actor;
	return NULL;
}

static struct world_peer *
peer_of(struct play *play, struct str who)
{
	struct actor *actor = find_actor(play, who);

	if (actor == NULL || actor->peer == NULL) {
		fail(play, "%.*s is not connected", STR_ARG(who));
		return NULL;
	}
	return actor->peer;
}

static struct world_peer *
open_peer(struct play *play, struct str who)
{
	struct actor *actor = find_actor(play, who);

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
expand(struct play *play, struct str text, bool is_xml)
{
	struct str why = STR_NONE, all;

	all = variables_expand(&play->variables, text, is_xml, false, &why);
	if (all.text == NULL)
		fail(play, "%.*s", STR_ARG(why));
	return all;
}

static const struct node *
patterns(struct play *play)
{
	struct str why = STR_NONE, text = scene_xml(play->arena, play->at);
	const struct node *parsed;

	text = variables_expand(&play->variables, text, true, true, &why);
	if (text.text == NULL) {
		fail(play, "%.*s", STR_ARG(why));
		return NULL;
	}
	parsed = pattern_parse(play->arena, text);
	if (parsed == NULL)
		fail(play, "pattern is not XML: %.*s", STR_ARG(text));
	return parsed;
}

static struct str
show(struct play *play, const struct world_event *event)
{
	if (event == NULL)
		return STR("nothing");
	if (event->kind == WORLD_CLOSE)
		return STR("</stream:stream>");
	if (event->kind == WORLD_END)
		return STR("the end of the connection");
	return writer_text(play->arena, event->node);
}

static struct world_event *
next_of(struct play *play, struct world_peer *peer, enum world_event_kind kind)
{
	struct world_event *event = world_peer_next(peer);

	if (event != NULL && event->kind == kind)
		return event;
	fail(play, "got %.*s", STR_ARG(show(play, event)));
	return NULL;
}

static struct world_event *
queued(const struct world_peer *peer)
{
	return list_entry(list_first(&peer->events), struct world_event, link);
}

static void
check(struct play *play, const struct node *pattern, struct world_event *event)
{
	struct str why = STR_NONE;

	if (!pattern_fits(pattern, event->node, &play->variables, &why))
		fail(play, "got %.*s\nwhich %.*s", STR_ARG(show(play, event)),
		    STR_ARG(why));
}

static struct str
account_host(struct play *play, struct str name)
{
	list_each (account, &play->scene->accounts, struct scene_account, link)
		if (str_equal(account->name, name))
			return account->is_on_host2 ? STR(HOST2) : STR(HOST1);
	fail(play, "there is no account %.*s", STR_ARG(name));
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
	fail(play, "%.*s cannot log in: %.*s", STR_ARG(name),
	    STR_ARG(show(play, queued(peer))));
	return false;
}

static void
announce(struct play *play, struct world_peer *peer)
{
	world_send(peer, "<iq type='get' id='roster-1'>"
			 "<query xmlns='jabber:iq:roster'/></iq>");
	if (!take(peer, "id", STR("roster-1")))
		fail(play, "the roster did not come");
	world_send(peer, "<presence/>");
	if (!take(peer, "from", peer->jid))
		fail(play, "its own presence did not come back");
}

/* --- sessions ----------------------------------------------------------------
 */

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
	struct actor *actor = find_actor(play, words[0]);

	if (actor == NULL || actor->peer == NULL || actor->peer->is_ended)
		step_connects(play, words);
	if (play->why.text == NULL)
		announce(play, peer_of(play, words[0]));
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
		fail(play, "%.*s got no %s", STR_ARG(bare), type);
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

/* --- sending -----------------------------------------------------------------
 */

static void
step_sends(struct play *play, const struct str *words)
{
	struct world_peer *peer = peer_of(play, words[0]);
	struct str text = expand(play, scene_xml(play->arena, play->at), true);

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

static void
step_sends_raw(struct play *play, const struct str *words)
{
	struct world_peer *peer = peer_of(play, words[0]);
	struct str text = expand(play, scene_raw(play->arena, play->at), false);

	if (peer == NULL || text.text == NULL)
		return;
	if (begins_stream(text)) {
		world_run(play->world);
		world_peer_restart(peer);
	}
	world_peer_send(peer, text);
}

static void
step_sends_bytes(struct play *play, const struct str *words)
{
	struct world_peer *peer = peer_of(play, words[0]);
	struct str text = expand(play, scene_raw(play->arena, play->at), false);

	if (peer == NULL || text.text == NULL)
		return;
	if (begins_stream(text)) {
		world_run(play->world);
		world_peer_restart(peer);
	}
	for (size_t i = 0; i < text.len; i++) {
		world_peer_send(peer, (struct str){text.text + i, 1});
		world_run(play->world);
	}
}

/* --- receiving
 * ---------------------------------------------------------------- */

static void
step_receives(struct play *play, const struct str *words)
{
	struct world_peer *peer = peer_of(play, words[0]);
	const struct node *all = patterns(play);

	for (const struct node *one = all == NULL ? NULL : node_first(all);
	     one != NULL && peer != NULL && play->why.text == NULL;
	     one = node_next(one)) {
		struct world_event *event = next_of(play, peer, WORLD_ELEMENT);

		if (event == NULL)
			return;
		check(play, one, event);
		world_event_free(&event);
	}
}

static struct world_event *
take_fitting(struct play *play, struct list *events, const struct node *one)
{
	struct str why;

	list_each (event, events, struct world_event, link) {
		if (!pattern_fits(one, event->node, NULL, &why))
			continue;
		pattern_fits(one, event->node, &play->variables, &why);
		return event;
	}
	return NULL;
}

static void
step_receives_in_any_order(struct play *play, const struct str *words)
{
	struct world_peer *peer = peer_of(play, words[0]);
	const struct node *all = patterns(play);
	struct list got;

	list_init(&got);
	if (peer == NULL || all == NULL)
		return;
	node_each (one, all) {
		struct world_event *event = next_of(play, peer, WORLD_ELEMENT);

		if (event == NULL)
			break;
		list_remove(&event->link);
		list_add_last(&got, &event->link);
	}
	node_each (one, all) {
		struct world_event *event = take_fitting(play, &got, one);

		if (event != NULL)
			world_event_free(&event);
		else
			fail(play, "nothing matches %.*s",
			    STR_ARG(writer_text(play->arena, one)));
	}
	list_each (event, &got, struct world_event, link) {
		fail(play, "among %.*s", STR_ARG(show(play, event)));
		world_event_free(&event);
	}
}

static void
step_receives_among_others(struct play *play, const struct str *words)
{
	struct world_peer *peer = peer_of(play, words[0]);
	const struct node *all = patterns(play);
	const struct node *one = all == NULL ? NULL : node_first(all);

	while (peer != NULL && one != NULL) {
		struct world_event *event = next_of(play, peer, WORLD_ELEMENT);
		struct str why;

		if (event == NULL) {
			fail(play, "and no %.*s",
			    STR_ARG(writer_text(play->arena, one)));
			return;
		}
		if (pattern_fits(one, event->node, NULL, &why)) {
			pattern_fits(one, event->node, &play->variables, &why);
			one = node_next(one);
		}
		world_event_free(&event);
	}
}

static void
check_any(struct play *play, struct world_event *event)
{
	const struct node *all = patterns(play);
	struct str why;

	if (event == NULL || all == NULL)
		return;
	node_each (one, all)
		if (pattern_fits(one, event->node, NULL, &why)) {
			pattern_fits(one, event->node, &play->variables, &why);
			world_event_free(&event);
			return;
		}
	fail(play, "got %.*s", STR_ARG(show(play, event)));
}

static void
step_receives_one_of(struct play *play, const struct str *words)
{
	struct world_peer *peer = peer_of(play, words[0]);

	if (peer != NULL)
		check_any(play, next_of(play, peer, WORLD_ELEMENT));
}

static void
step_receives_at_most(struct play *play, const struct str *words)
{
	struct world_peer *peer = peer_of(play, words[0]);

	world_run(play->world);
	if (peer != NULL && queued(peer) != NULL)
		check_any(play, next_of(play, peer, WORLD_ELEMENT));
}

static void
step_receives_nothing(struct play *play, const struct str *words)
{
	struct world_peer *peer = peer_of(play, words[0]);

	world_run(play->world);
	if (peer != NULL && queued(peer) != NULL)
		fail(play, "got %.*s", STR_ARG(show(play, queued(peer))));
}

static void
forget(struct world_peer *peer)
{
	list_each (event, &peer->events, struct world_event, link)
		world_event_free(&event);
}

static void
step_forgets(struct play *play, const struct str *words)
{
	struct world_peer *peer = peer_of(play, words[0]);

	world_run(play->world);
	if (peer != NULL)
		forget(peer);
}

static void
step_all_forget(struct play *play, const struct str *words)
{
	(void)words;
	world_run(play->world);
	list_each (actor, &play->actors, struct actor, link)
		if (actor->peer != NULL && actor->peer->jid.text != NULL &&
		    !actor->peer->is_ended)
			forget(actor->peer);
}

static void
step_receives_stream(struct play *play, const struct str *words)
{
	struct world_peer *peer = peer_of(play, words[0]);
	const struct node *all = patterns(play);
	struct world_event *event;

	if (peer == NULL || all == NULL)
		return;
	event = next_of(play, peer, WORLD_HEADER);
	if (event == NULL)
		return;
	check(play, node_first(all), event);
	world_event_free(&event);
}

static void
step_receives_close(struct play *play, const struct str *words)
{
	struct world_peer *peer = peer_of(play, words[0]);
	struct world_event *event;

	if (peer == NULL)
		return;
	event = next_of(play, peer, WORLD_CLOSE);
	if (event != NULL)
		world_event_free(&event);
}

static void
step_is_closed(struct play *play, const struct str *words)
{
	struct world_peer *peer = peer_of(play, words[0]);
	struct world_event *event;

	if (peer == NULL)
		return;
	event = world_peer_next(peer);
	if (event != NULL && event->kind == WORLD_CLOSE)
		world_event_free(&event);
	next_of(play, peer, WORLD_END);
}

static void
step_is_cut_off(struct play *play, const struct str *words)
{
	struct world_peer *peer = peer_of(play, words[0]);

	if (peer != NULL)
		next_of(play, peer, WORLD_END);
}

static void
step_is_thrown_out(struct play *play, const struct str *words)
{
	struct world_peer *peer = peer_of(play, words[0]);
	struct world_event *event;

	while (peer != NULL && (event = world_peer_next(peer)) != NULL) {
		if (event->kind == WORLD_END)
			return;
		world_event_free(&event);
	}
	fail(play, "it was not thrown out");
}

static bool
names_condition(struct str names, const struct node *error)
{
	struct str name, rest = names;

	while (rest.len > 0) {
		str_cut(rest, ' ', &name, &rest);
		if (str_starts(name, STR("["))) {
			name.text++;
			name.len -= 2;
		}
		node_each (child, error)
			if (str_equal(child->name, name))
				return true;
	}
	return false;
}

static void
step_receives_stream_error(struct play *play, const struct str *words)
{
	struct world_peer *peer = peer_of(play, words[0]);
	struct world_event *event = peer == NULL ? NULL : world_peer_next(peer);

	if (event != NULL && event->kind == WORLD_HEADER) {
		world_event_free(&event);
		event = world_peer_next(peer);
	}
	if (event != NULL && event->kind >= WORLD_CLOSE &&
	    memchr(words[1].text, '[', words[1].len) != NULL)
		return;
	if (event == NULL || event->kind != WORLD_ELEMENT ||
	    !node_is(event->node, "error", NS_STREAM) ||
	    !names_condition(words[1], event->node)) {
		fail(play, "got %.*s", STR_ARG(show(play, event)));
		return;
	}
	world_event_free(&event);
	step_receives_close(play, words);
	if (play->why.text == NULL)
		step_is_closed(play, words);
}

static void
step_may_receive_stream_error(struct play *play, const struct str *words)
{
	struct world_peer *peer = peer_of(play, words[0]);
	struct world_event *event;

	world_run(play->world);
	event = peer == NULL ? NULL : queued(peer);
	if (event != NULL && event->kind == WORLD_HEADER) {
		world_event_free(&event);
		event = queued(peer);
	}
	if (event != NULL && (event->kind != WORLD_ELEMENT ||
				 node_is(event->node, "error", NS_STREAM)))
		step_receives_stream_error(play, words);
}

/* --- ends
 * ---------------------------------------------------------------------- */

static void
step_disconnects(struct play *play, const struct str *words)
{
	struct actor *actor = find_actor(play, words[0]);
	struct world_event *event;

	if (peer_of(play, words[0]) == NULL)
		return;
	world_send(actor->peer, "</stream:stream>");
	while ((event = world_peer_next(actor->peer)) != NULL &&
	       event->kind < WORLD_CLOSE)
		world_event_free(&event);
	if (event == NULL)
		fail(play, "the server's </stream:stream> did not come");
	world_peer_free(&actor->peer);
	world_run(play->world);
}

static void
step_drops(struct play *play, const struct str *words)
{
	struct actor *actor = find_actor(play, words[0]);

	if (peer_of(play, words[0]) != NULL)
		world_peer_free(&actor->peer);
}

static void
step_closes_stream(struct play *play, const struct str *words)
{
	struct world_peer *peer = peer_of(play, words[0]);

	if (peer != NULL)
		world_send(peer, "</stream:stream>");
}

/* --- raw connections
 * -------------------------------------------------------------- */

static void
step_opens(struct play *play, const struct str *words)
{
	open_peer(play, words[0]);
}

static void
step_starts_stream(struct play *play, const struct str *words)
{
	struct world_peer *peer = peer_of(play, words[0]);
	struct str host =
	    words[1].len == 0 ? STR(HOST1) : expand(play, words[1], false);

	if (peer != NULL && !world_start_stream(peer, host))
		fail(play, "got %.*s", STR_ARG(show(play, queued(peer))));
}

static void
step_authenticates(struct play *play, const struct str *words)
{
	struct world_peer *peer = peer_of(play, words[0]);

	if (peer != NULL &&
	    !world_authenticate(peer, words[1], STR(WORLD_PASSWORD)))
		fail(play, "got %.*s", STR_ARG(show(play, queued(peer))));
}

static void
step_binds(struct play *play, const struct str *words)
{
	struct world_peer *peer = peer_of(play, words[0]);

	if (peer == NULL)
		return;
	if (world_bind(peer, words[1]))
		variables_set(&play->variables, words[0], peer->jid);
	else
		fail(play, "got %.*s", STR_ARG(show(play, queued(peer))));
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
		event = queued(peer);
		if (event == NULL || event->kind != WORLD_ELEMENT ||
		    node_child(node_child(event->node, "error", NULL),
			str_dup(play->arena, words[1]).text,
			NS_STANZA_ERR) == NULL)
			fail(play, "got %.*s", STR_ARG(show(play, event)));
		return;
	}
	fail(play, "so many sessions are no limit");
}

/* --- the rest
 * ------------------------------------------------------------------------ */

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
	struct str one = expand(play, words[0], false);
	struct str other = expand(play, words[2], false);

	if (str_equal(one, other) != str_is(words[1], "equals"))
		fail(play, "'%.*s' and '%.*s'", STR_ARG(one), STR_ARG(other));
}

static void
step_restarts(struct play *play, const struct str *words)
{
	(void)words;
	world_run(play->world);
	world_kill(play->world);
}

#define WHO  "([A-Za-z0-9_/.-]+)"
#define NAME "([A-Za-z0-9_]+)"

static const struct {
	const char *rule;
	play_step *play;
} steps[] = {
    {WHO " connects", step_connects},
    {WHO " comes online", step_comes_online},
    {NAME " and " NAME " are friends", step_are_friends},
    {NAME " is subscribed to " NAME, step_subscribes},
    {WHO " sends:", step_sends},
    {WHO " sends raw:", step_sends_raw},
    {WHO " sends byte by byte:", step_sends_bytes},
    {WHO " receives:", step_receives},
    {WHO " receives in any order:", step_receives_in_any_order},
    {WHO " receives among others:", step_receives_among_others},
    {WHO " receives one of:", step_receives_one_of},
    {WHO " receives at most one of:", step_receives_at_most},
    {WHO " receives nothing", step_receives_nothing},
    {WHO " receives stream:", step_receives_stream},
    {WHO " receives close", step_receives_close},
    {WHO " receives stream error: (.+)", step_receives_stream_error},
    {WHO " may receive stream error: (.+)", step_may_receive_stream_error},
    {WHO " is closed", step_is_closed},
    {WHO " is closed cleanly", step_is_closed},
    {WHO " is cut off", step_is_cut_off},
    {WHO " is thrown out", step_is_thrown_out},
    {WHO " disconnects", step_disconnects},
    {WHO " drops", step_drops},
    {WHO " closes stream", step_closes_stream},
    {"all forget", step_all_forget},
    {WHO " forgets", step_forgets},
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
};

#define STEP_COUNT (sizeof(steps) / sizeof(steps[0]))

static bool
matches(const char *rule, struct str text, struct str *words)
{
	regex_t regex;
	regmatch_t found[WORDS_MAX + 1];
	char whole[256], line[1024];
	bool is_match;

	snprintf(whole, sizeof(whole), "^%s$", rule);
	snprintf(line, sizeof(line), "%.*s", STR_ARG(text));
	must(regcomp(&regex, whole, REG_EXTENDED) == 0);
	is_match = regexec(&regex, line, WORDS_MAX + 1, found, 0) == 0;
	regfree(&regex);
	for (unsigned i = 0; is_match && i < WORDS_MAX; i++)
		words[i] = i + 1 > WORDS_MAX || found[i + 1].rm_so < 0
			       ? STR_NONE
			       : (struct str){text.text + found[i + 1].rm_so,
				     (size_t)(found[i + 1].rm_eo -
					      found[i + 1].rm_so)};
	return is_match;
}

static play_step *
find_step(struct str text, struct str *words)
{
	for (size_t i = 0; i < STEP_COUNT; i++)
		if (matches(steps[i].rule, text, words))
			return steps[i].play;
	return NULL;
}

/* --- playing
 * ----------------------------------------------------------------------------
 */

static const char *const known_needs[] = {
    "fake-time", "host2", "restart", "tables", "limits", NULL};

static bool
can_play(const struct scene *scene, struct str *why_r)
{
	struct str rest = scene->needs, need, words[WORDS_MAX];

	while (rest.len > 0) {
		bool is_known = false;

		str_cut(rest, ' ', &need, &rest);
		for (size_t i = 0; known_needs[i] != NULL; i++)
			is_known |= str_equal(need, str_of(known_needs[i]));
		if (need.len > 0 && !is_known) {
			*why_r = need;
			return false;
		}
	}
	list_each (step, &scene->steps, struct scene_step, link)
		if (find_step(step->text, words) == NULL) {
			*why_r = step->text;
			return false;
		}
	return true;
}

static void
cast(struct play *play)
{
	struct variables *variables = &play->variables;

	variables_set(variables, STR("host"), STR(HOST1));
	variables_set(variables, STR("host2"), STR(HOST2));
	variables_set(variables, STR("nobody"), STR("nobody@" HOST1));
	variables_set(variables, STR("nobody.user"), STR("nobody"));
	list_each (
	    account, &play->scene->accounts, struct scene_account, link) {
		struct str bare =
		    str_format(play->arena, "%.*s@%s", STR_ARG(account->name),
			account->is_on_host2 ? HOST2 : HOST1);

		world_add_account(play->world, bare.text, NULL);
		variables_set(variables, account->name, bare);
		variables_set(variables,
		    str_format(
			play->arena, "%.*s.user", STR_ARG(account->name)),
		    account->name);
		variables_set(variables,
		    str_format(
			play->arena, "%.*s.password", STR_ARG(account->name)),
		    STR(WORLD_PASSWORD));
	}
}

static void
run(struct play *play)
{
	cast(play);
	list_each (step, &play->scene->steps, struct scene_step, link) {
		struct str words[WORDS_MAX] = {STR_NONE};
		play_step *does = find_step(step->text, words);

		play->at = step;
		does(play, words);
		if (play->why.text != NULL)
			return;
	}
}

enum world_verdict
world_play(const char *path, uint64_t seed, char *why, size_t why_len)
{
	struct arena *arena = arena_make(0);
	struct play play = {.arena = arena};
	struct str reason = STR_NONE;
	enum world_verdict verdict = WORLD_SKIPPED;

	list_init(&play.actors);
	variables_init(&play.variables, arena);
	play.scene = scene_load(arena, path, &reason);
	if (play.scene != NULL && can_play(play.scene, &reason)) {
		play.world = world_new(&(struct world_options){.seed = seed});
		run(&play);
		world_free(&play.world);
		reason = play.why;
		verdict = reason.text == NULL ? WORLD_PLAYED : WORLD_FAILED;
	}
	if (verdict == WORLD_FAILED)
		snprintf(why, why_len, "%s:%u: seed %llu: %.*s\n%.*s", path,
		    play.at->line, (unsigned long long)seed,
		    STR_ARG(play.at->text), STR_ARG(reason));
	else
		snprintf(why, why_len, "needs %.*s", STR_ARG(reason));
	arena_free(&arena);
	return verdict;
}

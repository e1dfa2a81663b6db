/* Steps in which somebody receives something. */
#include "server/world_play.h"
#include "xml/stanza.h"
#include "xml/writer.h"

static void
check(struct play *play, const struct node *pattern, struct world_event *event)
{
	struct str why = STR_NONE;

	if (!pattern_fits(pattern, event->node, &play->variables, &why))
		play_fail(play, "got %.*s\nwhich %.*s",
		    STR_ARG(play_show(play, event)), STR_ARG(why));
}

static void
step_receives(struct play *play, const struct str *words)
{
	struct world_peer *peer = play_peer(play, words[0]);
	const struct node *all = play_patterns(play);

	for (const struct node *one = all == NULL ? NULL : node_first(all);
	    one != NULL && peer != NULL && play->why.text == NULL;
	    one = node_next(one)) {
		struct world_event *event =
		    play_next(play, peer, WORLD_ELEMENT);

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
	struct world_peer *peer = play_peer(play, words[0]);
	const struct node *all = play_patterns(play);
	struct list got;

	list_init(&got);
	if (peer == NULL || all == NULL)
		return;
	node_each (one, all) {
		struct world_event *event =
		    play_next(play, peer, WORLD_ELEMENT);

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
			play_fail(play, "nothing matches %.*s",
			    STR_ARG(writer_text(play->arena, one)));
	}
	list_each (event, &got, struct world_event, link) {
		play_fail(play, "among %.*s", STR_ARG(play_show(play, event)));
		world_event_free(&event);
	}
}

static void
step_receives_among_others(struct play *play, const struct str *words)
{
	struct world_peer *peer = play_peer(play, words[0]);
	const struct node *all = play_patterns(play);
	const struct node *one = all == NULL ? NULL : node_first(all);

	while (peer != NULL && one != NULL) {
		struct world_event *event =
		    play_next(play, peer, WORLD_ELEMENT);
		struct str why;

		if (event == NULL) {
			play_fail(play, "and no %.*s",
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
	const struct node *all = play_patterns(play);
	struct str why;

	if (event == NULL || all == NULL)
		return;
	node_each (one, all)
		if (pattern_fits(one, event->node, NULL, &why)) {
			pattern_fits(one, event->node, &play->variables, &why);
			world_event_free(&event);
			return;
		}
	play_fail(play, "got %.*s", STR_ARG(play_show(play, event)));
}

static void
step_receives_one_of(struct play *play, const struct str *words)
{
	struct world_peer *peer = play_peer(play, words[0]);

	if (peer != NULL)
		check_any(play, play_next(play, peer, WORLD_ELEMENT));
}

static void
step_receives_at_most(struct play *play, const struct str *words)
{
	struct world_peer *peer = play_peer(play, words[0]);

	world_run(play->world);
	if (peer != NULL && play_queued(peer) != NULL)
		check_any(play, play_next(play, peer, WORLD_ELEMENT));
}

static void
step_receives_nothing(struct play *play, const struct str *words)
{
	struct world_peer *peer = play_peer(play, words[0]);

	world_run(play->world);
	if (peer != NULL && play_queued(peer) != NULL)
		play_fail(play, "got %.*s",
		    STR_ARG(play_show(play, play_queued(peer))));
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
	struct world_peer *peer = play_peer(play, words[0]);

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
	struct world_peer *peer = play_peer(play, words[0]);
	const struct node *all = play_patterns(play);
	struct world_event *event;

	if (peer == NULL || all == NULL)
		return;
	event = play_next(play, peer, WORLD_HEADER);
	if (event == NULL)
		return;
	check(play, node_first(all), event);
	world_event_free(&event);
}

static void
step_receives_close(struct play *play, const struct str *words)
{
	struct world_peer *peer = play_peer(play, words[0]);
	struct world_event *event;

	if (peer == NULL)
		return;
	event = play_next(play, peer, WORLD_CLOSE);
	if (event != NULL)
		world_event_free(&event);
}

static void
step_is_closed(struct play *play, const struct str *words)
{
	struct world_peer *peer = play_peer(play, words[0]);
	struct world_event *event;

	if (peer == NULL)
		return;
	event = world_peer_next(peer);
	if (event != NULL && event->kind == WORLD_CLOSE)
		world_event_free(&event);
	play_next(play, peer, WORLD_END);
}

static void
step_is_cut_off(struct play *play, const struct str *words)
{
	struct world_peer *peer = play_peer(play, words[0]);

	if (peer != NULL)
		play_next(play, peer, WORLD_END);
}

static void
step_is_thrown_out(struct play *play, const struct str *words)
{
	struct world_peer *peer = play_peer(play, words[0]);
	struct world_event *event;

	while (peer != NULL && (event = world_peer_next(peer)) != NULL) {
		if (event->kind == WORLD_END)
			return;
		world_event_free(&event);
	}
	play_fail(play, "it was not thrown out");
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
	struct world_peer *peer = play_peer(play, words[0]);
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
		play_fail(play, "got %.*s", STR_ARG(play_show(play, event)));
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
	struct world_peer *peer = play_peer(play, words[0]);
	struct world_event *event;

	world_run(play->world);
	event = peer == NULL ? NULL : play_queued(peer);
	if (event != NULL && event->kind == WORLD_HEADER) {
		world_event_free(&event);
		event = play_queued(peer);
	}
	if (event != NULL && (event->kind != WORLD_ELEMENT ||
				 node_is(event->node, "error", NS_STREAM)))
		step_receives_stream_error(play, words);
}

const struct step_row steps_receiving[] = {
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
    {"all forget", step_all_forget},
    {WHO " forgets", step_forgets},
    {NULL},
};

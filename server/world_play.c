#include "server/world_play.h"

#include <regex.h>
#include <stdio.h>

#include "base/err.h"
#include "xml/writer.h"

void
play_fail(struct play *play, const char *format, ...)
{
	va_list args;

	if (play->why.text != NULL)
		return;
	va_start(args, format);
	play->why = str_vformat(play->arena, format, args);
	va_end(args);
}

struct actor *
play_find(struct play *play, struct str who)
{
	list_each (actor, &play->actors, struct actor, link)
		if (str_equal(actor->who, who))
			return actor;
	return NULL;
}

struct world_peer *
play_peer(struct play *play, struct str who)
{
	struct actor *actor = play_find(play, who);

	if (actor == NULL || actor->peer == NULL) {
		play_fail(play, "%.*s is not connected", STR_ARG(who));
		return NULL;
	}
	return actor->peer;
}

struct str
play_expand(struct play *play, struct str text, bool is_xml)
{
	struct str why = STR_NONE, all;

	all = variables_expand(&play->variables, text, is_xml, false, &why);
	if (all.text == NULL)
		play_fail(play, "%.*s", STR_ARG(why));
	return all;
}

const struct node *
play_patterns(struct play *play)
{
	struct str why = STR_NONE, text = scene_xml(play->arena, play->at);
	const struct node *parsed;

	text = variables_expand(&play->variables, text, true, true, &why);
	if (text.text == NULL) {
		play_fail(play, "%.*s", STR_ARG(why));
		return NULL;
	}
	parsed = pattern_parse(play->arena, text);
	if (parsed == NULL)
		play_fail(play, "pattern is not XML: %.*s", STR_ARG(text));
	return parsed;
}

struct str
play_show(struct play *play, const struct world_event *event)
{
	if (event == NULL)
		return STR("nothing");
	if (event->kind == WORLD_CLOSE)
		return STR("</stream:stream>");
	if (event->kind == WORLD_END)
		return STR("the end of the connection");
	return writer_text(play->arena, event->node);
}

struct world_event *
play_next(
    struct play *play, struct world_peer *peer, enum world_event_kind kind)
{
	struct world_event *event = world_peer_next(peer);

	if (event != NULL && event->kind == kind)
		return event;
	play_fail(play, "got %.*s", STR_ARG(play_show(play, event)));
	return NULL;
}

struct world_event *
play_queued(const struct world_peer *peer)
{
	return list_entry(list_first(&peer->events), struct world_event, link);
}

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
	static const struct step_row *const tables[] = {
	    steps_acting, steps_receiving};

	for (size_t i = 0; i < sizeof(tables) / sizeof(tables[0]); i++)
		for (const struct step_row *row = tables[i]; row->rule != NULL;
		    row++)
			if (matches(row->rule, text, words))
				return row->play;
	return NULL;
}

/* --- playing ---------------------------------------------------------- */

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

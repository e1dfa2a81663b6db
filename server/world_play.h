/*
 * server/world_play.h - what the steps of a scene share.
 */
#pragma once

#include "server/world_private.h"
#include "server/world_scene.h"

#define WORDS_MAX 4
#define HOST1     "montague.example"
#define HOST2     "capulet.example"

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

/* Steps by the regular expression of their text, whose groups are the words.
 * Ended by a NULL rule. */
struct step_row {
	const char *rule;
	play_step *play;
};
extern const struct step_row steps_acting[], steps_receiving[];

#define WHO  "([A-Za-z0-9_/.-]+)"
#define NAME "([A-Za-z0-9_]+)"

/* The scene has failed; the first reason counts. */
void play_fail(struct play *, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
/* NULL when there is no such actor; play_peer fails then. */
struct actor *play_find(struct play *, struct str who);
struct world_peer *play_peer(struct play *, struct str who);
/* The text with its variables replaced; fails when one is not known. */
struct str play_expand(struct play *, struct str text, bool is_xml);
/* The patterns of the step at hand as children; NULL when it failed. */
const struct node *play_patterns(struct play *);
struct str play_show(struct play *, const struct world_event *);
/* The next event, which must be of that kind; it stays in the queue. */
struct world_event *play_next(
    struct play *, struct world_peer *, enum world_event_kind);
/* The one that is there already; NULL when there is none. */
struct world_event *play_queued(const struct world_peer *);

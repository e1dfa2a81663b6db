/*
 * server/world_scene.h - scene files: their lines, variables and patterns, as
 * conformance/README.md specifies them.
 */
#pragma once

#include <stdbool.h>

#include "base/list.h"
#include "base/str.h"
#include "xml/node.h"

struct scene_step {
	struct link link;
	unsigned line;
	struct str text;
	struct str raw; /* the block's lines joined by newlines, indented */
	bool has_block;
};

struct scene {
	const char *path;
	struct str title, needs; /* separated by spaces */
	struct list accounts;    /* struct scene_account */
	struct list steps;       /* struct scene_step */
};

struct scene_account {
	struct link link;
	struct str name;
	bool is_on_host2;
};

/* Everything lives in the arena. NULL with a reason in *why_r. */
struct scene *scene_load(struct arena *, const char *path, struct str *why_r);

/* The block as one line of XML, or as raw text without its indent. */
struct str scene_xml(struct arena *, const struct scene_step *);
struct str scene_raw(struct arena *, const struct scene_step *);

struct variables {
	struct arena *arena;
	struct list list;
};

void variables_init(struct variables *, struct arena *);
void variables_set(struct variables *, struct str name, struct str value);
/* Replaces all variables; is_xml makes values safe there; wildcards of patterns
 * stay when is_pattern. Text NULL with a reason in *why_r. */
struct str variables_expand(struct variables *, struct str text, bool is_xml,
    bool is_pattern, struct str *why_r);

/* The elements of a pattern whose variables were replaced, as children of one
 * node; NULL when it is not XML. */
const struct node *pattern_parse(struct arena *, struct str text);
/* Whether the element fits; what wildcards caught is set then. A reason for
 * people in *why_r when it does not. */
bool pattern_fits(const struct node *pattern, const struct node *element,
    struct variables *, struct str *why_r);

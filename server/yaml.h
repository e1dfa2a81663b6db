/*
 * server/yaml.h - a YAML text as a tree that knows its lines.
 *
 * What a configuration needs of YAML 1.2: maps with keys of text, lists, text.
 * Anchors, aliases, tags, keys given twice and second documents are refused.
 */
#pragma once

#include "base/str.h"

enum yaml_kind { YAML_NOTHING, YAML_TEXT, YAML_LIST, YAML_MAP };

/* Lives in the arena it was read into, and so do its texts. */
struct yaml {
	enum yaml_kind kind;
	unsigned line, column; /* from 1; of its key when it is empty */
	struct str text;       /* TEXT; ends with NUL */
	struct yaml *first;    /* LIST, MAP: what is in it */
	struct yaml *next;     /* in the same list or map */

	/* In a map: */
	struct str key;
	unsigned key_line, key_column;
};

#define YAML_DEPTH_MAX 16

/* NULL with "name:line:column: what is wrong" in *why_r. */
const struct yaml *yaml_parse(
    struct arena *, const char *name, struct str text, struct str *why_r);

/* The value of a key; NULL when it is not there or yaml is no map. */
const struct yaml *yaml_get(const struct yaml *, struct str key);

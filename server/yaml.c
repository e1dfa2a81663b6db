#include "server/yaml.h"

#include <libfyaml.h>

#include "base/err.h"

struct reading {
	struct arena *arena;
	const char *name;
	struct fy_parser *parser;
	struct fy_diag *diag;
	struct str *why_r;
};

static bool
refuse(
    struct reading *reading, unsigned line, unsigned column, const char *what)
{
	*reading->why_r = str_format(
	    reading->arena, "%s:%u:%u: %s", reading->name, line, column, what);
	return false;
}

/* What the library found wrong; its first error is the cause of the others. */
static bool
refuse_syntax(struct reading *reading)
{
	void *at = NULL;
	const struct fy_diag_error *error =
	    fy_diag_errors_iterate(reading->diag, &at);

	if (error == NULL)
		return refuse(reading, 1, 1, "not YAML");
	return refuse(reading, (unsigned)error->line, (unsigned)error->column,
	    error->msg);
}

static void
set_mark(struct yaml *yaml, struct fy_token *token)
{
	const struct fy_mark *mark =
	    token == NULL ? NULL : fy_token_start_mark(token);

	if (mark != NULL) {
		yaml->line = (unsigned)mark->line + 1;
		yaml->column = (unsigned)mark->column + 1;
	}
}

static struct str
text_of(struct reading *reading, struct fy_token *token)
{
	size_t len = 0;
	const char *text =
	    token == NULL ? NULL : fy_token_get_text(token, &len);

	if (text == NULL)
		len = 0;
	return str_dup(reading->arena, (struct str){text, len});
}

static void
fill_scalar(struct reading *reading, struct yaml *yaml, struct fy_token *token)
{
	bool is_plain =
	    token == NULL || fy_token_scalar_style(token) == FYSS_PLAIN;

	yaml->kind = YAML_TEXT;
	yaml->text = text_of(reading, token);
	/* Where nothing stands the library's versions put different marks; that
	 * of the key is kept. */
	if (yaml->text.len > 0 || !is_plain)
		set_mark(yaml, token);
	if (is_plain && (yaml->text.len == 0 || str_is(yaml->text, "~") ||
			    str_is(yaml->text, "null")))
		yaml->kind = YAML_NOTHING;
}

/* Anchors and tags of any node. */
static bool
is_fancy(const struct fy_event *event)
{
	switch (event->type) {
	case FYET_SCALAR:
		return event->scalar.anchor != NULL ||
		       event->scalar.tag != NULL;
	case FYET_MAPPING_START:
		return event->mapping_start.anchor != NULL ||
		       event->mapping_start.tag != NULL;
	case FYET_SEQUENCE_START:
		return event->sequence_start.anchor != NULL ||
		       event->sequence_start.tag != NULL;
	default:
		return event->type == FYET_ALIAS;
	}
}

/* What one event says; is_end_r when it ends a list or map. */
static bool
fill(struct reading *reading, const struct fy_event *event, struct yaml *yaml,
    bool *is_end_r)
{
	*is_end_r = false;
	switch (event->type) {
	case FYET_SCALAR:
		fill_scalar(reading, yaml, event->scalar.value);
		break;
	case FYET_MAPPING_START:
		yaml->kind = YAML_MAP;
		set_mark(yaml, event->mapping_start.mapping_start);
		break;
	case FYET_SEQUENCE_START:
		yaml->kind = YAML_LIST;
		set_mark(yaml, event->sequence_start.sequence_start);
		break;
	default:
		*is_end_r = true;
		break;
	}
	if (is_fancy(event))
		return refuse(reading, yaml->line, yaml->column,
		    "anchors, aliases and tags are not understood here");
	return true;
}

static bool
read_event(struct reading *reading, struct yaml *yaml, bool *is_end_r)
{
	struct fy_event *event = fy_parser_parse(reading->parser);
	bool ok;

	if (event == NULL)
		return refuse_syntax(reading);
	ok = fill(reading, event, yaml, is_end_r);
	fy_parser_event_free(reading->parser, event);
	return ok;
}

static bool read_node(
    struct reading *, unsigned depth, struct yaml *, bool *is_end_r);

static bool
check_key(
    struct reading *reading, const struct yaml *map, const struct yaml *key)
{
	const struct yaml *same = yaml_get(map, key->text);

	if (key->kind != YAML_TEXT)
		return refuse(
		    reading, key->line, key->column, "a key must be text");
	if (same != NULL)
		return refuse(reading, key->line, key->column,
		    str_format(reading->arena,
			"%s is given twice, first in line %u", key->text.text,
			same->key_line)
			.text);
	return true;
}

static bool
read_key(struct reading *reading, const struct yaml *map, struct yaml *item,
    bool *is_end_r)
{
	struct yaml key = {.line = map->line, .column = map->column};

	if (!read_event(reading, &key, is_end_r))
		return false;
	if (*is_end_r)
		return true;
	if (!check_key(reading, map, &key))
		return false;
	item->key = key.text;
	item->key_line = item->line = key.line;
	item->key_column = item->column = key.column;
	return true;
}

static bool
read_items(struct reading *reading, unsigned depth, struct yaml *yaml)
{
	struct yaml **end = &yaml->first;

	if (depth == YAML_DEPTH_MAX)
		return refuse(
		    reading, yaml->line, yaml->column, "nested too deeply");
	for (;;) {
		struct yaml *item = arena_new(reading->arena, struct yaml);
		bool is_end = false;

		item->line = yaml->line;
		item->column = yaml->column;
		if (yaml->kind == YAML_MAP &&
		    !read_key(reading, yaml, item, &is_end))
			return false;
		if (!is_end && !read_node(reading, depth + 1, item, &is_end))
			return false;
		if (is_end)
			return true;
		*end = item;
		end = &item->next;
	}
}

static bool
read_node(
    struct reading *reading, unsigned depth, struct yaml *yaml, bool *is_end_r)
{
	if (!read_event(reading, yaml, is_end_r))
		return false;
	if (*is_end_r || yaml->kind == YAML_TEXT || yaml->kind == YAML_NOTHING)
		return true;
	return read_items(reading, depth, yaml);
}

/* Reads on until the type comes; FYET_STREAM_END ends all. */
static bool
read_until(struct reading *reading, enum fy_event_type type)
{
	enum fy_event_type now;

	do {
		struct fy_event *event = fy_parser_parse(reading->parser);

		if (event == NULL)
			return refuse_syntax(reading);
		now = event->type;
		fy_parser_event_free(reading->parser, event);
	} while (now != type && now != FYET_STREAM_END);
	return now == type;
}

static bool
read_documents(struct reading *reading, struct yaml *yaml)
{
	bool is_end;

	yaml->line = yaml->column = 1;
	*reading->why_r = STR_NONE;
	/* Nothing but comments: a file without documents. */
	if (!read_until(reading, FYET_DOCUMENT_START))
		return reading->why_r->len == 0;
	if (!read_node(reading, 0, yaml, &is_end))
		return false;
	if (read_until(reading, FYET_DOCUMENT_START))
		return refuse(reading, yaml->line, yaml->column,
		    "more than one document in this file");
	return reading->why_r->len == 0;
}

/* The library stops silently at bytes that are not UTF-8. */
static bool
check_bytes(struct reading *reading, struct str text)
{
	unsigned line = 1, column = 1;

	while (text.len > 0) {
		size_t len = str_utf8_len(text);

		if (len == 0 || text.text[0] == '\0')
			return refuse(reading, line, column, "not UTF-8 text");
		column++;
		if (text.text[0] == '\n') {
			line++;
			column = 1;
		}
		text.text += len;
		text.len -= len;
	}
	return true;
}

static bool
start(struct reading *reading, struct str text)
{
	struct fy_diag_cfg diag;
	struct fy_parse_cfg config = {
	    .flags = FYPCF_QUIET | FYPCF_DEFAULT_VERSION_1_2 | FYPCF_JSON_NONE};

	fy_diag_cfg_default(&diag);
	diag.level = FYET_ERROR;
	reading->diag = fy_diag_create(&diag);
	must(reading->diag != NULL);
	fy_diag_set_collect_errors(reading->diag, true);
	config.diag = reading->diag;
	reading->parser = fy_parser_create(&config);
	must(reading->parser != NULL);
	return fy_parser_set_string(reading->parser,
		   text.len == 0 ? "" : text.text, text.len) == 0;
}

const struct yaml *
yaml_parse(
    struct arena *arena, const char *name, struct str text, struct str *why_r)
{
	struct reading reading = {.arena = arena, .name = name, .why_r = why_r};
	struct yaml *yaml = arena_new(arena, struct yaml);
	bool ok;

	if (!check_bytes(&reading, text))
		return NULL;
	if (text.len == 0)
		return yaml;
	ok = start(&reading, text) && read_documents(&reading, yaml);
	fy_parser_destroy(reading.parser);
	fy_diag_destroy(reading.diag);
	return ok ? yaml : NULL;
}

const struct yaml *
yaml_get(const struct yaml *yaml, struct str key)
{
	const struct yaml *item = NULL;

	if (yaml->kind == YAML_MAP)
		item = yaml->first;
	while (item != NULL && !str_equal(item->key, key))
		item = item->next;
	return item;
}

#include "server/world_scene.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/buf.h"
#include "base/code.h"
#include "xml/writer.h"

/* --- the file ------------------------------------------------------------ */

static bool
read_file(struct arena *arena, const char *path, struct str *text_r)
{
	FILE *file = fopen(path, "re");
	struct buf buf = {0};
	size_t len;

	if (file == NULL)
		return false;
	do {
		len = fread(buf_room(&buf, 4096), 1, 4096, file);
		buf_grew(&buf, len);
	} while (len == 4096);
	fclose(file);
	*text_r = str_dup(arena, buf_str(&buf));
	buf_deinit(&buf);
	return true;
}

static bool
is_header(struct str line, struct str *key_r, struct str *value_r)
{
	if (!str_cut(line, ':', key_r, value_r) || key_r->len == 0 ||
	    str_trim(*value_r).len == 0)
		return false;
	for (size_t i = 0; i < key_r->len; i++)
		if (key_r->text[i] < 'a' || key_r->text[i] > 'z')
			return false;
	*value_r = str_trim(*value_r);
	return true;
}

static void
take_header(
    struct scene *scene, struct arena *arena, struct str key, struct str value)
{
	if (str_is(key, "title")) {
		scene->title = value;
	} else if (str_is(key, "needs")) {
		scene->needs = str_format(
		    arena, "%.*s %.*s", STR_ARG(scene->needs), STR_ARG(value));
	} else if (str_is(key, "account")) {
		struct scene_account *account =
		    arena_new(arena, struct scene_account);
		struct str host;

		str_cut(value, ' ', &account->name, &host);
		account->is_on_host2 = str_is(host, "host2");
		list_add_last(&scene->accounts, &account->link);
	}
}

static void
take_step(
    struct scene *scene, struct arena *arena, struct str line, unsigned number)
{
	struct scene_step *step = arena_new(arena, struct scene_step);

	step->line = number;
	step->text = str_trim(line);
	list_add_last(&scene->steps, &step->link);
}

static bool
take_block(struct scene *scene, struct arena *arena, struct str line)
{
	struct scene_step *step =
	    list_entry(list_last(&scene->steps), struct scene_step, link);

	if (step == NULL)
		return false;
	step->raw = step->has_block ? str_format(arena, "%.*s\n%.*s",
					  STR_ARG(step->raw), STR_ARG(line))
				    : line;
	step->has_block = true;
	return true;
}

static bool
take_line(
    struct scene *scene, struct arena *arena, struct str line, unsigned number)
{
	struct str key, value;

	if (line.len == 0 || line.text[0] == '#' || str_trim(line).len == 0)
		return true;
	if (line.text[0] == ' ')
		return take_block(scene, arena, line);
	if (list_is_empty(&scene->steps) && is_header(line, &key, &value))
		take_header(scene, arena, key, value);
	else
		take_step(scene, arena, line, number);
	return true;
}

struct scene *
scene_load(struct arena *arena, const char *path, struct str *why_r)
{
	struct scene *scene = arena_new(arena, struct scene);
	struct str text, line;
	unsigned number = 0;

	scene->path = path;
	list_init(&scene->accounts);
	list_init(&scene->steps);
	if (!read_file(arena, path, &text)) {
		*why_r = STR("cannot be read");
		return NULL;
	}
	while (text.len > 0) {
		str_cut(text, '\n', &line, &text);
		if (!take_line(scene, arena, line, ++number)) {
			*why_r = STR("a block without a step");
			return NULL;
		}
	}
	return scene;
}

struct str
scene_xml(struct arena *arena, const struct scene_step *step)
{
	struct str rest = step->raw, line, all = STR("");

	while (rest.len > 0) {
		bool is_glued;

		str_cut(rest, '\n', &line, &rest);
		line = str_trim(line);
		is_glued = all.len == 0 || str_ends(all, STR(">")) ||
			   str_starts(line, STR("<"));
		all = str_format(arena, "%.*s%s%.*s", STR_ARG(all),
		    is_glued ? "" : " ", STR_ARG(line));
	}
	return all;
}

struct str
scene_raw(struct arena *arena, const struct scene_step *step)
{
	struct str rest = step->raw, line;
	struct str all = STR("");
	bool is_first = true;

	while (rest.len > 0) {
		str_cut(rest, '\n', &line, &rest);
		if (line.len >= 4) {
			line.text += 4;
			line.len -= 4;
		}
		all = str_format(arena, "%.*s%s%.*s", STR_ARG(all),
		    is_first ? "" : "\n", STR_ARG(line));
		is_first = false;
	}
	return all;
}

/* --- variables ----------------------------------------------------------- */

struct variable {
	struct link link;
	struct str name, value;
};

/* Wildcards survive replacement between these two private characters. */
#define OPEN "\xee\x80\x80"
#define SHUT "\xee\x80\x81"

static struct variable *
find(struct variables *variables, struct str name)
{
	list_each (variable, &variables->list, struct variable, link)
		if (str_equal(variable->name, name))
			return variable;
	return NULL;
}

void
variables_set(struct variables *variables, struct str name, struct str value)
{
	struct variable *variable = find(variables, name);

	if (variable == NULL) {
		variable = arena_new(variables->arena, struct variable);
		variable->name = str_dup(variables->arena, name);
		list_add_last(&variables->list, &variable->link);
	}
	variable->value = str_dup(variables->arena, value);
}

void
variables_init(struct variables *variables, struct arena *arena)
{
	static const char *const words[] = {
	    "stanzas", "streams", "sasl", "tls", "bind"};

	variables->arena = arena;
	list_init(&variables->list);
	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		variables_set(variables, str_of(words[i]),
		    str_format(
			arena, "urn:ietf:params:xml:ns:xmpp-%s", words[i]));
	variables_set(variables, STR("namespaces"),
	    STR("xmlns='jabber:client' "
		"xmlns:stream='http://etherx.jabber.org/streams'"));
}

static bool
is_wildcard(struct str name)
{
	struct str word, rest;

	str_cut(name, ':', &word, &rest);
	return str_is(word, "any") || str_is(word, "number") ||
	       str_is(word, "time") || str_is(name, "none") ||
	       str_is(name, "only") || str_is(name, "not");
}

static struct str
code_point(struct arena *arena, unsigned long code)
{
	struct buf buf = {0};
	struct str text;

	if (code < 0x80) {
		buf_add_byte(&buf, (char)code);
	} else if (code < 0x800) {
		buf_add_byte(&buf, (char)(0xc0 | code >> 6));
		buf_add_byte(&buf, (char)(0x80 | (code & 63)));
	} else if (code < 0x10000) {
		buf_add_byte(&buf, (char)(0xe0 | code >> 12));
		buf_add_byte(&buf, (char)(0x80 | (code >> 6 & 63)));
		buf_add_byte(&buf, (char)(0x80 | (code & 63)));
	} else {
		buf_add_byte(&buf, (char)(0xf0 | code >> 18));
		buf_add_byte(&buf, (char)(0x80 | (code >> 12 & 63)));
		buf_add_byte(&buf, (char)(0x80 | (code >> 6 & 63)));
		buf_add_byte(&buf, (char)(0x80 | (code & 63)));
	}
	text = str_dup(arena, buf_str(&buf));
	buf_deinit(&buf);
	return text;
}

static struct str
repeat(struct arena *arena, struct str rest)
{
	size_t colon = rest.len;
	struct buf buf = {0};
	struct str text;
	uint64_t times = 0;

	while (colon > 0 && rest.text[colon - 1] != ':')
		colon--;
	(void)str_to_u64(
	    (struct str){rest.text + colon, rest.len - colon}, 1 << 24, &times);
	for (; colon > 0 && times > 0; times--)
		buf_add(&buf, (struct str){rest.text, colon - 1});
	text = str_dup(arena, buf_str(&buf));
	buf_deinit(&buf);
	return text;
}

static struct str
map_bytes(struct arena *arena, struct str text, bool is_wide)
{
	struct str all = STR("");

	for (size_t i = 0; i < text.len; i++) {
		unsigned char byte = (unsigned char)text.text[i];
		unsigned long code = is_wide ? byte + 0xfee0ul
				     : byte >= 'a' && byte <= 'z' ? byte - 32ul
								  : byte;

		all = str_join2(arena, all,
		    is_wide || byte < 0x80 ? code_point(arena, code)
					   : (struct str){text.text + i, 1});
	}
	return all;
}

/* TEXT with \0 for NUL. */
static struct str
encode(struct arena *arena, struct str text)
{
	char *bytes = arena_text(arena, text.len + 1);
	size_t len = 0;

	for (size_t i = 0; i < text.len; i++) {
		if (text.text[i] == '\\' && i + 1 < text.len &&
		    text.text[i + 1] == '0') {
			bytes[len++] = '\0';
			i++;
		} else {
			bytes[len++] = text.text[i];
		}
	}
	return base64_encode(arena, (struct str){bytes, len});
}

static struct str
value_of(struct variables *variables, struct str name, bool is_xml)
{
	struct arena *arena = variables->arena;
	struct variable *variable;
	struct str word, rest, value;
	struct buf buf = {0};

	str_cut(name, ':', &word, &rest);
	if (str_starts(name, STR("u+")))
		return code_point(arena, strtoul(name.text + 2, NULL, 16));
	if (str_is(word, "byte"))
		return hex_decode(arena, rest, &value) ? value : STR_NONE;
	if (str_is(word, "repeat"))
		return repeat(arena, rest);
	if (str_is(word, "upper") || str_is(word, "wide"))
		return map_bytes(arena, rest, str_is(word, "wide"));
	if (str_is(word, "base64"))
		return encode(arena, rest);
	variable = find(variables, name);
	if (variable == NULL || !is_xml)
		return variable == NULL ? STR_NONE : variable->value;
	writer_escaped(&buf, variable->value);
	value = str_dup(arena, buf_str(&buf));
	buf_deinit(&buf);
	return value;
}

/* The innermost braces from a place on; false without. */
static bool
find_braces(struct str text, size_t *open_r, size_t *shut_r)
{
	size_t open = text.len;

	for (size_t i = 0; i < text.len; i++) {
		if (text.text[i] == '{') {
			open = i;
		} else if (text.text[i] == '}' && open < i) {
			*open_r = open;
			*shut_r = i;
			return true;
		}
	}
	return false;
}

struct str
variables_expand(struct variables *variables, struct str text, bool is_xml,
    bool is_pattern, struct str *why_r)
{
	struct arena *arena = variables->arena;
	size_t open, shut;

	while (find_braces(text, &open, &shut)) {
		struct str name = {text.text + open + 1, shut - open - 1};
		struct str before = {text.text, open};
		struct str after = {text.text + shut + 1, text.len - shut - 1};
		struct str value;

		if (is_pattern && is_wildcard(name))
			value =
			    str_format(arena, OPEN "%.*s" SHUT, STR_ARG(name));
		else
			value = value_of(variables, name, is_xml);
		if (value.text == NULL) {
			*why_r = str_format(
			    arena, "nothing is known of {%.*s}", STR_ARG(name));
			return STR_NONE;
		}
		text = str_join2(arena, str_join2(arena, before, value), after);
	}
	return text;
}

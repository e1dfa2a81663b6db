#include "server/config.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/err.h"
#include "server/config_private.h"
#include "server/listed.h"
#include "xml/prep.h"

#define FILE_MAX     (16 * MIB)
#define NAME_MAX_LEN 96

/* What only reading needs. */
struct load {
	struct config *config;
	struct arena *arena; /* for what goes after the reading */
	const char *name;
	struct str folder;
	unsigned *lines; /* where the file gives a row for the host at hand */
	struct str *why_r;
};

static void
add_row(struct config *config, const struct setting *setting)
{
	const struct config_slot slot = {setting, (unsigned)config->count};

	config->slots[config_slot(config, setting)] = slot;
	config->rows[config->count++] = setting;
}

static void
add_rows(struct config *config, const struct setting *const *tables,
    size_t table_count)
{
	size_t count = 0, slot_count = 16;

	for (size_t i = 0; i < table_count; i++) {
		for (size_t j = 0; tables[i][j].name != NULL; j++)
			count++;
	}
	while (slot_count < count * 2)
		slot_count *= 2;
	config->rows =
	    arena_array(config->arena, const struct setting *, count);
	config->slots =
	    arena_array(config->arena, struct config_slot, slot_count);
	config->slot_mask = slot_count - 1;
	for (size_t i = 0; i < table_count; i++) {
		for (size_t j = 0; tables[i][j].name != NULL; j++)
			add_row(config, &tables[i][j]);
	}
}

static struct config *
make(const struct setting *const *tables, size_t table_count)
{
	struct arena *arena = arena_make(16 * KIB);
	struct config *config = arena_new(arena, struct config);

	atomic_init(&config->refs, 1);
	config->arena = arena;
	add_rows(config, tables, table_count);
	return config;
}

/* The values of a host begin as the global ones. */
static void
add_values(struct config *config, struct str folder)
{
	size_t all =
	    config->count * (config->host_count + config->domain_count + 1);

	config->values =
	    arena_array(config->arena, const struct setting_value *, all);
	for (size_t i = 0; i < config->count; i++) {
		struct setting_value *value =
		    arena_new(config->arena, struct setting_value);

		setting_preset(config->arena, config->rows[i], folder, value);
		config->values[i] = value;
	}
}

static void
inherit(struct config *config, unsigned host)
{
	memcpy(config->values + config_values_at(config, host), config->values,
	    config->count * sizeof(*config->values));
}

static bool
refuse(struct load *load, unsigned line, unsigned column, struct str what)
{
	*load->why_r = str_format(load->arena, "%s:%u:%u: %.*s", load->name,
	    line, column, STR_ARG(what));
	return false;
}

static unsigned
least(unsigned a, unsigned b)
{
	return a < b ? a : b;
}

/* Edits from one name to the other: letters put in, left out, changed, or two
 * neighbours swapped. */
static unsigned
distance(struct str a, struct str b)
{
	unsigned rows[3][NAME_MAX_LEN + 1];
	unsigned *before = rows[0], *last = rows[1], *now = rows[2];

	a.len = a.len < NAME_MAX_LEN ? a.len : NAME_MAX_LEN;
	b.len = b.len < NAME_MAX_LEN ? b.len : NAME_MAX_LEN;
	for (unsigned j = 0; j <= b.len; j++)
		now[j] = j;
	for (unsigned i = 1; i <= a.len; i++) {
		unsigned *free_row = before;

		before = last;
		last = now;
		now = free_row;
		now[0] = i;
		for (unsigned j = 1; j <= b.len; j++) {
			bool same = a.text[i - 1] == b.text[j - 1];

			now[j] = least(least(last[j], now[j - 1]) + 1,
			    last[j - 1] + (same ? 0 : 1));
			if (i > 1 && j > 1 && a.text[i - 1] == b.text[j - 2] &&
			    a.text[i - 2] == b.text[j - 1])
				now[j] = least(now[j], before[j - 2] + 1);
		}
	}
	return now[b.len];
}

static struct str
last_word(struct str name)
{
	struct str before, after = name;

	while (str_cut(after, '.', &before, &after))
		name = after;
	return name;
}

struct guess {
	struct str name, best;
	unsigned distance;
};

static void
consider(struct guess *guess, struct str known, unsigned far)
{
	if (far < guess->distance) {
		guess->distance = far;
		guess->best = known;
	}
}

/* The known name most like this one: a whole one, its last word (who forgets
 * the group is told it), or a group. */
static struct str
nearest(const struct config *config, struct str name)
{
	struct guess guess = {.name = name, .distance = UINT_MAX};

	consider(&guess, STR("hosts"), distance(name, STR("hosts")));
	consider(&guess, STR("domains"), distance(name, STR("domains")));
	for (size_t i = 0; i < config->count; i++) {
		struct str known = str_of(config->rows[i]->name);
		struct str group, rest;

		consider(&guess, known, distance(name, known));
		consider(&guess, known,
		    distance(last_word(name), last_word(known)) + 1);
		if (str_cut(known, '.', &group, &rest))
			consider(&guess, group, distance(name, group));
	}
	return guess.best;
}

static bool
refuse_unknown(struct load *load, const struct yaml *yaml, struct str name)
{
	struct str near = nearest(load->config, name);

	return refuse(load, yaml->key_line, yaml->key_column,
	    str_format(load->arena,
		"unknown setting %.*s; the nearest known one is %.*s",
		STR_ARG(name), STR_ARG(near)));
}

static bool
is_group(const struct config *config, struct str name)
{
	for (size_t i = 0; i < config->count; i++) {
		struct str known = str_of(config->rows[i]->name);

		if (known.len > name.len && known.text[name.len] == '.' &&
		    str_starts(known, name))
			return true;
	}
	return false;
}

/* Whether the setting may be given for what is at hand. */
static bool
may_be_given(struct load *load, unsigned host, const struct setting *setting,
    const struct yaml *yaml)
{
	const bool is_host = host < load->config->host_count;
	const unsigned flag = is_host ? SETTING_PER_HOST : SETTING_PER_DOMAIN;

	if (host == CONFIG_GLOBAL || (setting->flags & flag) != 0)
		return true;
	return refuse(load, yaml->key_line, yaml->key_column,
	    str_format(load->arena,
		is_host ? "%s is for the whole server, not for one host"
			: "%s says nothing about domains that are not ours",
		setting->name));
}

static bool
read_value(
    struct load *load, unsigned host, size_t index, const struct yaml *yaml)
{
	struct config *config = load->config;
	const struct setting *setting = config->rows[index];
	struct setting_value *value =
	    arena_new(config->arena, struct setting_value);
	struct setting_wrong wrong;

	if (!may_be_given(load, host, setting, yaml))
		return false;
	if (load->lines[index] != 0)
		return refuse(load, yaml->key_line, yaml->key_column,
		    str_format(load->arena,
			"%s is given twice, first in line %u", setting->name,
			load->lines[index]));
	if (!setting_parse(load->config->arena, setting, yaml, load->folder,
		value, &wrong))
		return refuse(load, wrong.where->line, wrong.where->column,
		    str_format(load->arena, "%s %.*s", setting->name,
			STR_ARG(wrong.why)));
	load->lines[index] = yaml->key_line;
	config->values[config_values_at(config, host) + index] = value;
	return true;
}

/* what: a word before the name, or none. */
static bool
may_hold_settings(struct load *load, const char *what, struct str name,
    const struct yaml *yaml)
{
	if (yaml->kind == YAML_MAP || yaml->kind == YAML_NOTHING)
		return true;
	return refuse(load, yaml->line, yaml->column,
	    str_format(load->arena, "%s%.*s must be a map of settings", what,
		STR_ARG(name)));
}

static bool read_map(
    struct load *, unsigned host, struct str group, const struct yaml *map);

static bool
read_item(
    struct load *load, unsigned host, struct str group, const struct yaml *item)
{
	struct str name = group.len == 0
			      ? item->key
			      : str_format(load->arena, "%.*s.%.*s",
				    STR_ARG(group), STR_ARG(item->key));
	size_t index;

	if (config_find_index(load->config, name, &index))
		return read_value(load, host, index, item);
	if (!is_group(load->config, name))
		return refuse_unknown(load, item, name);
	return may_hold_settings(load, "", name, item) &&
	       read_map(load, host, name, item);
}

static bool
read_map(
    struct load *load, unsigned host, struct str group, const struct yaml *map)
{
	bool is_top = host == CONFIG_GLOBAL && group.len == 0;

	for (const struct yaml *item = map->first; item != NULL;
	    item = item->next) {
		if (is_top && (str_is(item->key, "hosts") ||
				  str_is(item->key, "domains")))
			continue;
		if (!read_item(load, host, group, item))
			return false;
	}
	return true;
}

static bool
name_host(struct load *load, unsigned host, const struct yaml *yaml)
{
	struct config *config = load->config;
	struct str name = str_dup(config->arena, yaml->key);

	if (!prep_domain(config->arena, &name))
		return refuse(load, yaml->key_line, yaml->key_column,
		    str_format(load->arena, "host \"%s\" is not a domain",
			yaml->key.text));
	for (unsigned i = 0; i < host; i++) {
		if (str_equal(config->hosts[i], name))
			return refuse(load, yaml->key_line, yaml->key_column,
			    str_format(load->arena,
				"%s is the same host as the one at %s",
				yaml->key.text, config->host_places[i].text));
	}
	config->hosts[host] = name;
	config->host_places[host] = str_format(config->arena, "%s:%u:%u",
	    load->name, yaml->key_line, yaml->key_column);
	return true;
}

static bool
read_host(struct load *load, unsigned host, const struct yaml *yaml)
{
	struct config *config = load->config;

	if (!name_host(load, host, yaml) ||
	    !may_hold_settings(load, "host ", yaml->key, yaml))
		return false;
	inherit(config, host);
	memset(load->lines, 0, config->count * sizeof(*load->lines));
	return read_map(load, host, STR_NONE, yaml);
}

static bool
count_hosts(struct load *load, const struct yaml *root)
{
	const struct yaml *hosts = yaml_get(root, STR("hosts"));
	struct config *config = load->config;

	if (hosts == NULL || hosts->kind != YAML_MAP || hosts->first == NULL)
		return refuse(load, hosts == NULL ? 1 : hosts->line,
		    hosts == NULL ? 1 : hosts->column,
		    STR("hosts must be a map with a domain or more, like "
			"\"example.org: {}\""));
	for (const struct yaml *host = hosts->first; host != NULL;
	    host = host->next)
		config->host_count++;
	config->hosts =
	    arena_array(config->arena, struct str, config->host_count);
	config->host_places =
	    arena_array(config->arena, struct str, config->host_count);
	return true;
}

/* --- domains that are not ours -------------------------------------------- */

static bool
name_domain(struct load *load, unsigned number, const struct yaml *yaml)
{
	struct config *config = load->config;
	struct str name = yaml->key;

	if (!listed_domain(config->arena, &name))
		return refuse(load, yaml->key_line, yaml->key_column,
		    str_format(
			load->arena, "\"%s\" is not a domain", yaml->key.text));
	for (unsigned i = 0; i < number; i++) {
		if (str_equal(config->domains[i], name))
			return refuse(load, yaml->key_line, yaml->key_column,
			    str_format(load->arena, "domain %s is given twice",
				yaml->key.text));
	}
	config->domains[number] = name;
	return true;
}

static bool
read_domain(struct load *load, unsigned number, const struct yaml *yaml)
{
	struct config *config = load->config;

	if (!name_domain(load, number, yaml) ||
	    !may_hold_settings(load, "domain ", yaml->key, yaml))
		return false;
	memset(load->lines, 0, config->count * sizeof(*load->lines));
	return read_map(
	    load, (unsigned)config->host_count + number, STR_NONE, yaml);
}

static bool
count_domains(struct load *load, const struct yaml *domains)
{
	struct config *config = load->config;

	if (domains == NULL || domains->kind == YAML_NOTHING)
		return true;
	if (domains->kind != YAML_MAP)
		return refuse(load, domains->line, domains->column,
		    STR("domains must be a map, like \"example.net: {s2s: "
			"{dialback: never}}\""));
	for (const struct yaml *each = domains->first; each != NULL;
	    each = each->next)
		config->domain_count++;
	config->domains =
	    arena_array(config->arena, struct str, config->domain_count);
	return true;
}

static bool
read_domains(struct load *load, const struct yaml *domains)
{
	const struct yaml *each = domains == NULL ? NULL : domains->first;

	for (unsigned i = 0; each != NULL; each = each->next) {
		if (!read_domain(load, i++, each))
			return false;
	}
	return true;
}

/* Global settings first: hosts begin with them. */
static bool
read_all(struct load *load, const struct yaml *root)
{
	const struct yaml *domains = yaml_get(root, STR("domains")), *host;
	unsigned i = 0;

	if (root->kind != YAML_MAP && root->kind != YAML_NOTHING)
		return refuse(load, root->line, root->column,
		    STR("a configuration is a map of settings"));
	if (!count_hosts(load, root) || !count_domains(load, domains))
		return false;
	add_values(load->config, load->folder);
	load->lines = arena_array(load->arena, unsigned, load->config->count);
	if (!read_map(load, CONFIG_GLOBAL, STR_NONE, root))
		return false;
	host = yaml_get(root, STR("hosts"))->first;
	for (; host != NULL; host = host->next) {
		if (!read_host(load, i++, host))
			return false;
	}
	return read_domains(load, domains);
}

/* The path up to its last slash. */
static struct str
folder_of(const char *path)
{
	const char *slash = strrchr(path, '/');

	if (slash == NULL)
		return STR_NONE;
	return (struct str){path, (size_t)(slash - path) + 1};
}

/* load has all but the config. */
static const struct config *
parse(struct load *load, struct str text, const struct setting *const *tables,
    size_t count)
{
	const struct yaml *root;
	const struct config *config;

	root = yaml_parse(load->arena, load->name, text, load->why_r);
	if (root == NULL)
		return NULL;
	config = load->config = make(tables, count);
	if (!read_all(load, root))
		config_unref(&config);
	return config;
}

const struct config *
config_parse(struct arena *arena, const char *name, struct str text,
    const struct setting *const *tables, size_t count, struct str *why_r)
{
	struct load load = {.arena = arena, .name = name, .why_r = why_r};

	return parse(&load, text, tables, count);
}

static bool
read_to_end(int fd, struct buf *buf)
{
	ssize_t got;

	do {
		got = read(fd, buf_room(buf, 4096), 4096);
		if (got > 0)
			buf_grew(buf, (size_t)got);
		if (buf->len > FILE_MAX) {
			errno = EFBIG;
			return false;
		}
	} while (got > 0 || (got < 0 && errno == EINTR));
	return got == 0;
}

static bool
read_file(struct arena *arena, const char *path, struct str *text_r,
    struct str *why_r)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	struct buf buf = {0};
	bool ok = fd >= 0 && read_to_end(fd, &buf);

	if (!ok)
		*why_r = str_format(arena, "%s: cannot be read: %m", path);
	else
		*text_r = str_dup(arena, buf_str(&buf));
	if (fd >= 0)
		close(fd);
	buf_deinit(&buf);
	return ok;
}

const struct config *
config_load(struct arena *arena, const char *path,
    const struct setting *const *tables, size_t count, struct str *why_r)
{
	struct load load = {
	    .arena = arena,
	    .name = path,
	    .folder = folder_of(path),
	    .why_r = why_r,
	};
	struct str text;

	if (!read_file(arena, path, &text, why_r))
		return NULL;
	return parse(&load, text, tables, count);
}

bool
config_peek(struct arena *arena, const char *path,
    const struct setting *setting, struct setting_list *list_r,
    struct str *why_r)
{
	struct setting_value value = {0};
	const struct yaml *yaml;
	struct setting_wrong wrong;
	struct str text;

	*list_r = (struct setting_list){0};
	if (!read_file(arena, path, &text, why_r))
		return false;
	yaml = yaml_parse(arena, path, text, why_r);
	if (yaml == NULL)
		return false;
	yaml = yaml_get(yaml, str_of(setting->name));
	if (yaml != NULL && !setting_parse(arena, setting, yaml,
				folder_of(path), &value, &wrong)) {
		*why_r = str_format(arena, "%s:%u:%u: %s %.*s", path,
		    wrong.where->line, wrong.where->column, setting->name,
		    STR_ARG(wrong.why));
		return false;
	}
	*list_r = value.list;
	return true;
}

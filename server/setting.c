#include "server/setting.h"

#include "base/buf.h"
#include "base/err.h"
#include "server/listed.h"

/* One value being read. */
struct parse {
	struct arena *arena;
	const struct setting *setting;
	struct str folder;
	struct setting_value *value;
	struct setting_wrong *wrong_r;
};

struct unit {
	const char *name;
	uint64_t factor;
};

/* The largest first: values are written in the largest that fits. */
static const struct unit time_units[] = {
    {"d", DAY}, {"h", HOUR}, {"min", MINUTE}, {"s", SECOND}, {"ms", 1}, {0}};
static const struct unit size_units[] = {
    {"GiB", GIB}, {"MiB", MIB}, {"KiB", KIB}, {"B", 1}, {0}};

static const struct unit *
units_of(const struct setting *setting)
{
	if (setting->type == SETTING_TIME)
		return time_units;
	return setting->type == SETTING_SIZE ? size_units : NULL;
}

static struct str
write_number(struct arena *arena, const struct unit *unit, uint64_t number)
{
	if (unit == NULL || number == 0)
		return str_format(arena, "%ju", (uintmax_t)number);
	while (number % unit->factor != 0)
		unit++;
	return str_format(
	    arena, "%ju %s", (uintmax_t)(number / unit->factor), unit->name);
}

static struct str
join_choices(struct arena *arena, const struct setting *setting)
{
	struct buf buf = {0};
	struct str all;

	for (size_t i = 0; setting->choices[i] != NULL; i++) {
		buf_add(&buf, i == 0 ? STR_NONE : STR(", "));
		buf_add(&buf, str_of(setting->choices[i]));
	}
	all = str_dup(arena, buf_str(&buf));
	buf_deinit(&buf);
	return all;
}

static const char *
kind_words(const struct setting *setting)
{
	switch (setting->type) {
	case SETTING_BOOL:
		return "true or false";
	case SETTING_INT:
		return "a whole number";
	case SETTING_TIME:
		return "a time like \"30 s\" or \"5 min\"";
	case SETTING_SIZE:
		return "a size like \"64 KiB\"";
	case SETTING_TEXT:
		return "text";
	case SETTING_PATH:
		return setting->choices == NULL ? "a path" : "a path or one of";
	case SETTING_LIST:
		return "a list of texts";
	case SETTING_CHOICE:
		return "one of";
	case SETTING_CHOICES:
		return "a list of";
	case SETTING_DOMAINS:
		return "a list of domains like example.org or "
		       "\"*.example.org\"";
	case SETTING_ROUTES:
		return "a list of servers like xmpp://host:port or "
		       "xmpps://host:port";
	case SETTING_RESOLVERS:
		return "a list of addresses like 192.0.2.53 or "
		       "\"192.0.2.53@5353\"";
	}
	return "nothing";
}

static struct str
wanted(struct arena *arena, const struct setting *setting)
{
	if (setting->choices != NULL)
		return str_format(arena, "%s %s", kind_words(setting),
		    join_choices(arena, setting).text);
	return str_of(kind_words(setting));
}

struct str
setting_bounds(struct arena *arena, const struct setting *setting)
{
	const struct unit *units = units_of(setting);
	struct str words = wanted(arena, setting);
	struct str min, max;

	if (setting->type != SETTING_INT && units == NULL)
		return words;
	if (units != NULL)
		words = setting->type == SETTING_TIME ? STR("a time")
						      : STR("a size");
	min = write_number(arena, units, setting->min);
	max = write_number(arena, units, setting->max);
	if (setting->max == 0 && setting->min == 0)
		return words;
	if (setting->max == 0)
		return str_format(
		    arena, "%s of at least %s", words.text, min.text);
	return str_format(
	    arena, "%s from %s to %s", words.text, min.text, max.text);
}

static bool
refuse_kind(struct parse *parse, const struct yaml *yaml)
{
	static const char *const found[] = {[YAML_NOTHING] = "nothing",
	    [YAML_LIST] = "a list",
	    [YAML_MAP] = "a map"};
	struct str want = wanted(parse->arena, parse->setting);

	parse->wrong_r->where = yaml;
	if (yaml->kind == YAML_TEXT)
		parse->wrong_r->why = str_format(parse->arena,
		    "must be %s, not \"%s\"", want.text, yaml->text.text);
	else
		parse->wrong_r->why = str_format(parse->arena,
		    "must be %s, not %s", want.text, found[yaml->kind]);
	return false;
}

static bool
parse_bool(struct parse *parse, const struct yaml *yaml)
{
	static const char *const words[] = {
	    "false", "true", "no", "yes", "off", "on"};

	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
		if (str_equal(yaml->text, str_of(words[i]))) {
			parse->value->number = i % 2;
			return true;
		}
	}
	return refuse_kind(parse, yaml);
}

/* Digits, then the name of a unit; 0 needs none. */
static bool
parse_amount(struct str text, const struct unit *unit, uint64_t *number_r)
{
	struct str digits = text, name;

	for (digits.len = 0; digits.len < text.len; digits.len++) {
		char c = text.text[digits.len];

		if (c < '0' || c > '9')
			break;
	}
	name = str_trim(
	    (struct str){text.text + digits.len, text.len - digits.len});
	if (!str_to_u64(digits, UINT64_MAX, number_r))
		return false;
	if (unit == NULL || (name.len == 0 && *number_r == 0))
		return name.len == 0;
	while (unit->name != NULL && !str_equal(name, str_of(unit->name)))
		unit++;
	return unit->name != NULL &&
	       !__builtin_mul_overflow(*number_r, unit->factor, number_r);
}

static bool
parse_number(struct parse *parse, const struct yaml *yaml)
{
	const struct setting *setting = parse->setting;
	uint64_t number;

	if (!parse_amount(yaml->text, units_of(setting), &number))
		return refuse_kind(parse, yaml);
	if (number < setting->min ||
	    (setting->max != 0 && number > setting->max)) {
		parse->wrong_r->why =
		    str_format(parse->arena, "must be %s, not %s",
			setting_bounds(parse->arena, setting).text,
			yaml->text.text);
		return false;
	}
	parse->value->number = number;
	return true;
}

static bool
find_choice(const struct setting *setting, struct str text, uint64_t *index_r)
{
	for (size_t i = 0; setting->choices[i] != NULL; i++) {
		if (str_equal(text, str_of(setting->choices[i]))) {
			*index_r = i;
			return true;
		}
	}
	return false;
}

static bool
parse_path(struct parse *parse, const struct yaml *yaml)
{
	const struct setting *setting = parse->setting;
	bool is_relative = yaml->text.len > 0 && yaml->text.text[0] != '/';
	uint64_t word;

	if (setting->choices != NULL && find_choice(setting, yaml->text, &word))
		is_relative = false;
	parse->value->text =
	    is_relative ? str_join2(parse->arena, parse->folder, yaml->text)
			: str_dup(parse->arena, yaml->text);
	return true;
}

/* What YAML writes as "\n" or "\0" would break lines of logs, names of files
 * and XML. */
static bool
check_line(struct parse *parse, struct str text)
{
	for (size_t i = 0; i < text.len; i++) {
		if ((unsigned char)text.text[i] >= ' ' && text.text[i] != 0x7f)
			continue;
		parse->wrong_r->why =
		    STR("must be a single line of text, without "
			"control characters");
		return false;
	}
	return true;
}

static bool
parse_text(struct parse *parse, const struct yaml *yaml)
{
	struct setting_value *value = parse->value;

	if (!check_line(parse, yaml->text))
		return false;
	if (parse->setting->type == SETTING_PATH)
		return parse_path(parse, yaml);
	value->text = str_dup(parse->arena, yaml->text);
	return true;
}

static bool
parse_choice(struct parse *parse, const struct yaml *yaml)
{
	struct setting_value *value = parse->value;

	if (!find_choice(parse->setting, yaml->text, &value->number))
		return refuse_kind(parse, yaml);
	value->text = str_of(parse->setting->choices[value->number]);
	return true;
}

/* Replaces what has a form of its own. */
static bool
read_item(struct parse *parse, struct str *item)
{
	uint64_t index;

	switch (parse->setting->type) {
	case SETTING_CHOICES:
		return find_choice(parse->setting, *item, &index);
	case SETTING_DOMAINS:
		return str_is(*item, "*") || listed_domain(parse->arena, item);
	case SETTING_ROUTES:
		return listed_route(parse->arena, item);
	case SETTING_RESOLVERS:
		return listed_resolver(parse->arena, item);
	default:
		return true;
	}
}

static bool
parse_item(struct parse *parse, const struct yaml *yaml, struct str *item_r)
{
	if (yaml->kind != YAML_TEXT)
		return refuse_kind(parse, yaml);
	parse->wrong_r->where = yaml;
	if (!check_line(parse, yaml->text))
		return false;
	*item_r = str_dup(parse->arena, yaml->text);
	return read_item(parse, item_r) || refuse_kind(parse, yaml);
}

static bool
parse_list(struct parse *parse, const struct yaml *yaml)
{
	const struct yaml *first = yaml->kind == YAML_LIST ? yaml->first : yaml;
	const struct yaml *end = yaml->kind == YAML_LIST ? NULL : yaml->next;
	struct str *items;
	size_t count = 0;

	for (const struct yaml *item = first; item != end; item = item->next)
		count++;
	items = arena_array(parse->arena, struct str, count);
	for (size_t i = 0; i < count; i++, first = first->next) {
		if (!parse_item(parse, first, &items[i]))
			return false;
	}
	parse->value->list = (struct setting_list){items, count};
	return true;
}

bool
setting_is_list(const struct setting *setting)
{
	switch (setting->type) {
	case SETTING_LIST:
	case SETTING_CHOICES:
	case SETTING_DOMAINS:
	case SETTING_ROUTES:
	case SETTING_RESOLVERS:
		return true;
	default:
		return false;
	}
}

bool
setting_parse(struct arena *arena, const struct setting *setting,
    const struct yaml *yaml, struct str folder, struct setting_value *value_r,
    struct setting_wrong *wrong_r)
{
	struct parse parse = {arena, setting, folder, value_r, wrong_r};

	*value_r = (struct setting_value){0};
	*wrong_r = (struct setting_wrong){.where = yaml};
	if (yaml->kind != YAML_TEXT &&
	    !(yaml->kind == YAML_LIST && setting_is_list(setting)))
		return refuse_kind(&parse, yaml);
	switch (setting->type) {
	case SETTING_BOOL:
		return parse_bool(&parse, yaml);
	case SETTING_INT:
	case SETTING_TIME:
	case SETTING_SIZE:
		return parse_number(&parse, yaml);
	case SETTING_TEXT:
	case SETTING_PATH:
		return parse_text(&parse, yaml);
	case SETTING_LIST:
	case SETTING_CHOICES:
	case SETTING_DOMAINS:
	case SETTING_ROUTES:
	case SETTING_RESOLVERS:
		return parse_list(&parse, yaml);
	case SETTING_CHOICE:
		return parse_choice(&parse, yaml);
	}
	return false;
}

void
setting_preset(struct arena *arena, const struct setting *setting,
    struct str folder, struct setting_value *value_r)
{
	const struct yaml *yaml;
	struct setting_wrong wrong;
	struct str why;

	*value_r = (struct setting_value){0};
	if (setting->preset == NULL)
		return;
	yaml = yaml_parse(arena, setting->name, str_of(setting->preset), &why);
	must(yaml != NULL);
	must(setting_parse(arena, setting, yaml, folder, value_r, &wrong));
}

bool
setting_equal(const struct setting_value *a, const struct setting_value *b)
{
	if (a->number != b->number || !str_equal(a->text, b->text) ||
	    a->list.count != b->list.count)
		return false;
	for (size_t i = 0; i < a->list.count; i++) {
		if (!str_equal(a->list.items[i], b->list.items[i]))
			return false;
	}
	return true;
}

#include "base/buf.h"
#include "server/config.h"

#define WIDTH 78

struct sample {
	struct arena *arena;
	struct buf buf;
	const struct setting **rows;
	size_t count;
};

static void
indent(struct sample *sample, unsigned depth)
{
	while (depth-- > 0)
		buf_add(&sample->buf, STR("  "));
}

/* Words in lines of comment. */
static void
add_comment(struct sample *sample, unsigned depth, struct str words)
{
	size_t first = depth * 2 + 1, at = 0;

	while (words.len > 0) {
		struct str word;

		str_cut(words, ' ', &word, &words);
		if (at == 0 || at + 1 + word.len > WIDTH) {
			buf_add(&sample->buf, at == 0 ? STR_NONE : STR("\n"));
			indent(sample, depth);
			buf_add_byte(&sample->buf, '#');
			at = first;
		}
		buf_add_byte(&sample->buf, ' ');
		buf_add(&sample->buf, word);
		at += 1 + word.len;
	}
	buf_add_byte(&sample->buf, '\n');
}

static const char *
flag_words(const struct setting *setting)
{
	static const char *const words[] = {"", "; reload", "; host",
	    "; reload, host", "; domain", "; reload, domain", "; host, domain",
	    "; reload, host, domain"};

	return words[setting->flags];
}

static void
add_row(struct sample *sample, unsigned depth, const struct setting *setting,
    struct str leaf)
{
	struct str help = str_of(setting->help);
	struct str bounds = setting_bounds(sample->arena, setting);
	struct str words = str_format(sample->arena, "%s%s [%.*s%s]", help.text,
	    str_ends(help, STR(".")) ? "" : ".", STR_ARG(bounds),
	    flag_words(setting));

	buf_add(&sample->buf, depth == 0 ? STR("\n") : STR_NONE);
	add_comment(sample, depth, words);
	indent(sample, depth);
	buf_add_format(&sample->buf, "#%.*s:", STR_ARG(leaf));
	if (setting->preset != NULL)
		buf_add_format(&sample->buf, " %s", setting->preset);
	buf_add_byte(&sample->buf, '\n');
}

/* What follows the group and its dot in a name that begins so; false for other
 * names. */
static bool
inside(const struct setting *setting, struct str group, struct str *rest_r)
{
	const char *name = setting->name;

	if (group.len > 0) {
		if (!str_starts(str_of(name), group) || name[group.len] != '.')
			return false;
		name += group.len + 1;
	}
	*rest_r = str_of(name);
	return true;
}

/* Whether an earlier row began this group. */
static bool
is_begun(const struct sample *sample, size_t row, struct str group)
{
	struct str rest;

	for (size_t i = 0; i < row; i++) {
		if (inside(sample->rows[i], group, &rest))
			return true;
	}
	return false;
}

/* Rows of one group may be spread over tables; YAML wants them together. */
static void
add_group(struct sample *sample, unsigned depth, struct str group)
{
	for (size_t i = 0; i < sample->count; i++) {
		struct str rest, word, more, inner;

		if (!inside(sample->rows[i], group, &rest))
			continue;
		if (!str_cut(rest, '.', &word, &more)) {
			add_row(sample, depth, sample->rows[i], word);
			continue;
		}
		inner = (struct str){sample->rows[i]->name,
		    (size_t)(word.text - sample->rows[i]->name) + word.len};
		if (is_begun(sample, i, inner))
			continue;
		buf_add(&sample->buf, depth == 0 ? STR("\n") : STR_NONE);
		indent(sample, depth);
		buf_add_format(&sample->buf, "%.*s:\n", STR_ARG(word));
		add_group(sample, depth + 1, inner);
	}
}

static const char head[] =
    "# The configuration of Jackdaw, with all settings at their presets.\n"
    "#\n"
    "# Take the # away in front of those to change; `jackdaw check` says\n"
    "# what is wrong with the file. Relative paths begin at its folder.\n"
    "#\n"
    "# In brackets stands what may be written; \"reload\" where a reload\n"
    "# changes it while the server runs, \"host\" where hosts may differ,\n"
    "# \"domain\" where domains that are not ours may be treated so.\n"
    "\n"
    "# The domains to serve. What may differ per host can stand here too:\n"
    "#\n"
    "#   example.org:\n"
    "#     certificate: example.org.pem\n"
    "#     key: example.org.key\n"
    "#     contact: {abuse: [\"mailto:abuse@example.org\"]}\n"
    "hosts:\n"
    "  localhost: {}\n"
    "\n"
    "# Domains that are not ours, where something else holds for them;\n"
    "# \"*.\" stands for all below one:\n"
    "#\n"
    "#   example.net: {s2s: {dialback: never}}\n"
    "#   \"*.example.com\": {s2s: {tls_required: false}}\n"
    "#domains: {}\n";

static size_t
count_rows(const struct setting *const *tables, size_t table_count)
{
	size_t count = 0;

	for (size_t i = 0; i < table_count; i++) {
		for (size_t j = 0; tables[i][j].name != NULL; j++)
			count++;
	}
	return count;
}

struct str
config_sample(struct arena *arena, const struct setting *const *tables,
    size_t table_count)
{
	struct sample sample = {.arena = arena};
	struct str text;

	sample.rows = arena_array(
	    arena, const struct setting *, count_rows(tables, table_count));
	for (size_t i = 0; i < table_count; i++) {
		for (size_t j = 0; tables[i][j].name != NULL; j++)
			sample.rows[sample.count++] = &tables[i][j];
	}
	buf_add(&sample.buf, STR(head));
	add_group(&sample, 0, STR_NONE);
	text = str_dup(arena, buf_str(&sample.buf));
	buf_deinit(&sample.buf);
	return text;
}

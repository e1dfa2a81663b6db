#include <string.h>

#include "base/clock.h"
#include "server/world_scene.h"
#include "xml/stanza.h"

#define OPEN "\xee\x80\x80"
#define SHUT "\xee\x80\x81"
#define NONE OPEN "none" SHUT
#define ONLY OPEN "only" SHUT
#define NOT  OPEN "not" SHUT

const struct node *
pattern_parse(struct arena *arena, struct str text)
{
	/* A stream header is never closed. */
	if (str_starts(text, STR("<stream:stream")) &&
	    !str_ends(text, STR("/>")))
		text =
		    str_format(arena, "%.*s/>", (int)text.len - 1, text.text);
	return node_parse(arena,
	    str_format(arena,
		"<p xmlns='jabber:client' xmlns:stream='" NS_STREAM
		"'>%.*s</p>",
		STR_ARG(text)),
	    "");
}

/* --- values -------------------------------------------------------------- */

static bool
find(struct str text, const char *what, size_t *at_r)
{
	size_t len = strlen(what);

	for (size_t i = 0; i + len <= text.len; i++)
		if (memcmp(text.text + i, what, len) == 0) {
			*at_r = i;
			return true;
		}
	return false;
}

static bool
is_of_kind(struct str kind, struct str value)
{
	uint64_t us;

	if (str_is(kind, "time"))
		return str_ends(value, STR("Z")) && clock_parse(value, &us);
	if (str_is(kind, "number")) {
		for (size_t i = 0; i < value.len; i++)
			if (value.text[i] < '0' || value.text[i] > '9')
				return false;
	}
	return value.len > 0;
}

/* One value against one literal with at most one wildcard in it. */
static bool
text_fits(struct str pattern, struct str value, struct variables *variables)
{
	struct str before = pattern, mark, after, kind, name;
	size_t open, shut;

	if (!find(pattern, OPEN, &open) || !find(pattern, SHUT, &shut))
		return str_equal(pattern, value);
	before.len = open;
	mark = (struct str){pattern.text + open + 3, shut - open - 3};
	after = (struct str){pattern.text + shut + 3, pattern.len - shut - 3};
	if (!str_starts(value, before) || !str_ends(value, after) ||
	    value.len < before.len + after.len)
		return false;
	value.text += before.len;
	value.len -= before.len + after.len;
	str_cut(mark, ':', &kind, &name);
	if (!is_of_kind(kind, value))
		return false;
	if (name.len > 0 && variables != NULL)
		variables_set(variables, name, value);
	return true;
}

static struct str
attribute(const struct node *node, const struct attr *like)
{
	const struct attr *attr = node->attrs;

	for (; attr != NULL; attr = attr->next)
		if (str_equal(attr->name, like->name) &&
		    str_equal(attr->ns, like->ns))
			return attr->value;
	return STR_NONE;
}

static bool
attributes_fit(const struct node *pattern, const struct node *element,
    struct variables *variables, struct str *why_r)
{
	for (const struct attr *attr = pattern->attrs; attr != NULL;
	    attr = attr->next) {
		struct str value = attribute(element, attr);
		bool is_wanted = !str_is(attr->value, NONE);

		if (is_wanted != (value.text != NULL) ||
		    (is_wanted && !text_fits(attr->value, value, variables))) {
			*why_r = str_format(element->arena, "%s %.*s='%.*s'",
			    value.text == NULL ? "lacks" : "has",
			    STR_ARG(attr->name), STR_ARG(value));
			return false;
		}
	}
	return true;
}

/* --- elements ------------------------------------------------------------ */

static bool
has_mark(const struct node *pattern, const char *mark)
{
	size_t at;

	return find(node_text(pattern->arena, pattern), mark, &at);
}

static struct str
words_of(const struct node *node)
{
	return str_trim(node_text(node->arena, node));
}

/* What the pattern asks of the text; the marks that are no text are cut. */
static struct str
wanted_words(const struct node *pattern)
{
	struct str words = node_text(pattern->arena, pattern);
	static const char *const marks[] = {ONLY, NOT};

	for (size_t i = 0; i < 2; i++) {
		size_t at, len = strlen(marks[i]);

		if (!find(words, marks[i], &at))
			continue;
		words = str_join2(pattern->arena, (struct str){words.text, at},
		    (struct str){words.text + at + len, words.len - at - len});
	}
	return str_trim(words);
}

#define CHILDREN_MAX 256

struct children {
	const struct node *left[CHILDREN_MAX];
	unsigned count;
};

static bool
take_fitting(struct children *children, const struct node *pattern,
    struct variables *variables, struct str *why_r)
{
	for (unsigned i = 0; i < children->count; i++) {
		if (!pattern_fits(pattern, children->left[i], NULL, why_r))
			continue;
		if (variables != NULL)
			pattern_fits(
			    pattern, children->left[i], variables, why_r);
		children->left[i] = children->left[--children->count];
		return true;
	}
	return false;
}

static bool
has_extras(const struct node *pattern, const struct node *element,
    const struct children *children)
{
	const struct attr *attr = element->attrs;

	for (; attr != NULL; attr = attr->next)
		if (!str_is(attr->ns, NS_XML) &&
		    attribute(pattern, attr).text == NULL)
			return true;
	return children->count > 0 ||
	       !str_equal(wanted_words(pattern), words_of(element));
}

static bool
children_fit(const struct node *pattern, const struct node *element,
    struct variables *variables, struct str *why_r)
{
	struct children children = {.count = 0};

	node_each (child, element)
		if (children.count < CHILDREN_MAX)
			children.left[children.count++] = child;
	node_each (child, pattern) {
		bool is_unwanted = has_mark(child, NOT);
		struct children all = children;
		bool has = take_fitting(is_unwanted ? &all : &children, child,
		    is_unwanted ? NULL : variables, why_r);

		if (has == is_unwanted) {
			*why_r = str_format(element->arena, "%s <%.*s/>",
			    has ? "has" : "lacks", STR_ARG(child->name));
			return false;
		}
	}
	if (has_mark(pattern, ONLY) &&
	    has_extras(pattern, element, &children)) {
		*why_r = STR("has more than that");
		return false;
	}
	return true;
}

bool
pattern_fits(const struct node *pattern, const struct node *element,
    struct variables *variables, struct str *why_r)
{
	struct str words;

	if (!str_equal(pattern->name, element->name) ||
	    !str_equal(pattern->ns, element->ns)) {
		*why_r = str_format(element->arena,
		    "is not <%.*s/> of its namespace", STR_ARG(pattern->name));
		return false;
	}
	if (!attributes_fit(pattern, element, variables, why_r))
		return false;
	words = wanted_words(pattern);
	if (words.len > 0 && !text_fits(words, words_of(element), variables)) {
		*why_r = STR("has another text");
		return false;
	}
	return children_fit(pattern, element, variables, why_r);
}

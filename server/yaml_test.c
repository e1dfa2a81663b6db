#include "server/yaml.h"

#include "base/buf.h"
#include "base/check.h"

/* The tree as "{key@line:column=value, ...}". */
static void
print(struct buf *buf, const struct yaml *yaml)
{
	if (yaml->kind == YAML_NOTHING) {
		buf_add(buf, STR("nothing"));
		return;
	}
	if (yaml->kind == YAML_TEXT) {
		buf_add_format(buf, "'%s'", yaml->text.text);
		return;
	}
	buf_add_byte(buf, yaml->kind == YAML_MAP ? '{' : '[');
	for (const struct yaml *item = yaml->first; item != NULL;
	    item = item->next) {
		buf_add(buf, item == yaml->first ? STR_NONE : STR(", "));
		if (yaml->kind == YAML_MAP)
			buf_add_format(buf, "%s@%u:%u=", item->key.text,
			    item->key_line, item->key_column);
		print(buf, item);
		buf_add_format(buf, "@%u:%u", item->line, item->column);
	}
	buf_add_byte(buf, yaml->kind == YAML_MAP ? '}' : ']');
}

static const struct {
	const char *text, *want;
} good[] = {
    {"", "nothing"},
    {"# only a comment\n", "nothing"},
    {"---\n", "nothing"},
    {"a", "'a'"},
    {"a: 1\nb:\n", "{a@1:1='1'@1:4, b@2:1=nothing@2:1}"},
    {"a: ~\nb: null\nc: x\n",
	"{a@1:1=nothing@1:4, b@2:1=nothing@2:4, c@3:1='x'@3:4}"},
    {"a:\n  b: [x, y z]\n", "{a@1:1={b@2:3=['x'@2:7, 'y z'@2:10]@2:6}@2:3}"},
    {"a:\n- x\n- y\n", "{a@1:1=['x'@2:3, 'y'@3:3]@2:1}"},
    {"a: {}\nb: []\n", "{a@1:1={}@1:4, b@2:1=[]@2:4}"},
    {"\xc3\xa4: b\n", "{\xc3\xa4@1:1='b'@1:4}"},
};

static const struct {
	const char *text, *why;
} bad[] = {
    {"a: 1\na: 2\n", "t:2:1: a is given twice, first in line 1"},
    {"a: &x 1\n", "t:1:7: anchors, aliases and tags are not understood here"},
    {"a: *x\n", "t:1:1: anchors, aliases and tags are not understood here"},
    {"a: !!str 1\n",
	"t:1:10: anchors, aliases and tags are not understood here"},
    {"? [a]\n: b\n", "t:1:3: a key must be text"},
    {"~: b\n", "t:1:1: a key must be text"},
    {"a: 1\n---\nb: 2\n", "t:1:1: more than one document in this file"},
    {"a: 1\nb: \xff\n", "t:2:4: not UTF-8 text"},
    {"[[[[[[[[[[[[[[[[[a]]]]]]]]]]]]]]]]]", "t:1:17: nested too deeply"},
    /* The library's words may change, its marks should not. */
    {"a: \"x\n", "t:1:5: "},
    {"a: b: c\n", "t:1:5: "},
    {"- a\nb: 1\n", "t:2:1: "},
};

static void
trees_know_their_lines(void **state)
{
	for (size_t i = 0; i < COUNT_OF(good); i++) {
		struct arena *arena = arena_make(0);
		struct buf buf = {0};
		struct str why = STR_NONE;
		const struct yaml *yaml =
		    yaml_parse(arena, "t", str_of(good[i].text), &why);

		if (yaml == NULL)
			print_error("%.*s\n", STR_ARG(why));
		assert_non_null(yaml);
		print(&buf, yaml);
		CHECK_STR(buf_str(&buf), good[i].want);
		buf_deinit(&buf);
		arena_free(&arena);
	}
}

static void
quoted_text_is_text(void **state)
{
	struct arena *arena = arena_make(0);
	struct str why;
	const struct yaml *yaml =
	    yaml_parse(arena, "t", STR("['~', \"\", '', \"\\u00e4\"]"), &why);
	static const char *const want[] = {"~", "", "", "\xc3\xa4"};

	assert_non_null(yaml);
	yaml = yaml->first;
	for (size_t i = 0; i < COUNT_OF(want); i++, yaml = yaml->next) {
		CHECK_EQUAL(yaml->kind, YAML_TEXT);
		CHECK_STR(yaml->text, want[i]);
	}
	arena_free(&arena);
}

static void
what_is_wrong_is_said_where(void **state)
{
	for (size_t i = 0; i < COUNT_OF(bad); i++) {
		struct arena *arena = arena_make(0);
		struct str why;

		CHECK(
		    yaml_parse(arena, "t", str_of(bad[i].text), &why) == NULL);
		if (bad[i].why[strlen(bad[i].why) - 1] == ' ')
			CHECK(str_starts(why, str_of(bad[i].why)));
		else
			CHECK_STR(why, bad[i].why);
		arena_free(&arena);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(trees_know_their_lines),
	    cmocka_unit_test(quoted_text_is_text),
	    cmocka_unit_test(what_is_wrong_is_said_where),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

#include "xml/node.h"

#include "base/check_arena.h"
#include "xml/writer.h"

static const struct node *
parse(const char *text)
{
	const struct node *node = node_parse(arena, str_of(text), "");

	CHECK(node != NULL);
	return node;
}

static void
check_text(const struct node *node, const char *text)
{
	CHECK_STR(writer_text(arena, node), text);
}

static void
children_are_found(void **state)
{
	const struct node *node = parse(
	    "<a xmlns='u'>t<b/><b xmlns='v' n='1'/>t<c xmlns='v'>x</c></a>");
	const struct node *child = node_first(node);
	unsigned count = 0;

	CHECK(node_is(node, "a", "u") && !node_is(node, "a", "v"));
	CHECK(!node_is(NULL, "a", "u"));
	CHECK(node_is(child, "b", "u"));
	CHECK(node_child(node, "b", "u") == child);
	CHECK(node_child(node, "b", NULL) == child);
	CHECK(node_child(node, "b", "v") == node_next(child));
	CHECK(node_child(node, "d", NULL) == NULL);
	CHECK(node_child(NULL, "b", NULL) == NULL);
	CHECK(node_child_ns(node, "v") == node_next(child));
	CHECK(node_child_ns(node, "w") == NULL);
	CHECK(node_child_ns(NULL, "v") == NULL);
	node_each (each, node)
		count++;
	CHECK_EQUAL(count, 3);
	CHECK_STR(node_child_text(arena, node, "c", "v"), "x");
	CHECK(node_child_text(arena, node, "c", "u").text == NULL);
}

static void
attributes_are_found(void **state)
{
	const struct node *node =
	    parse("<a b='1' xmlns:p='u' p:c='2' xml:lang='de' d=''/>");

	CHECK_STR(node_attr(node, "b"), "1");
	CHECK_STR(node_attr(node, "d"), "");
	CHECK(node_attr(node, "c").text == NULL);
	CHECK(node_attr(node, "lang").text == NULL);
	CHECK_STR(node_lang(node), "de");
	CHECK(node_lang(parse("<a lang='de'/>")).text == NULL);
}

static const struct {
	const char *xml, *text;
} texts[] = {
    {"<a/>", ""},
    {"<a></a>", ""},
    {"<a><b>no</b></a>", ""},
    {"<a>one</a>", "one"},
    {"<a>one<b>no</b>two<b/>three</a>", "onetwothree"},
    {"<a>one &amp;\r\ntwo<![CDATA[ & three]]></a>", "one &\ntwo & three"},
    {"<a> \n </a>", " \n "},
};

static void
text_is_joined(void **state)
{
	for (size_t i = 0; i < COUNT_OF(texts); i++) {
		const struct node *node = parse(texts[i].xml);

		CHECK_STR(node_text(arena, node), texts[i].text);
	}
}

static void
nodes_are_made(void **state)
{
	struct node *node = node_make(arena, "a", "u"), *child;

	CHECK_STR(node_text(arena, node), "");
	child = node_add(node, "b", "u");
	node_add_text(child, STR_NONE);
	CHECK_STR(node_text(arena, child), "");
	node_add_text(child, STR("x"));
	node_add_with_text(node, "c", "v", STR("<"));
	node_add_copy(node, parse("<d e='f'><g/></d>"));
	node_set(node, "n", STR("1"));
	node_set(node, "o", STR("2"));
	node_set_format(node, "n", "%d%s", 3, "x");
	node_set_lang(node, STR("de"));
	node_set_lang(node, STR("en"));
	check_text(node, "<a xmlns='u' n='3x' o='2' xml:lang='en'><b>x</b>"
			 "<c xmlns='v'>&lt;</c><d xmlns='' e='f'><g/></d></a>");
}

static void
copies_leave_the_old_one_alone(void **state)
{
	static const char text[] = "<a b='1' c='2'>t<d><e/></d><f/></a>";
	const struct node *old = parse(text);
	struct node *copy = node_copy(arena, old), *second;

	check_text(copy, text);
	node_add(copy, "g", "");
	node_set(copy, "b", STR("3"));
	node_set(copy, "h", STR("4"));
	check_text(copy, "<a b='3' c='2' h='4'>t<d><e/></d><f/><g/></a>");
	check_text(old, text);

	second = node_copy(arena, copy);
	node_add_text(second, STR("y"));
	check_text(copy, "<a b='3' c='2' h='4'>t<d><e/></d><f/><g/></a>");
	check_text(second, "<a b='3' c='2' h='4'>t<d><e/></d><f/><g/>y</a>");
	check_text(old, text);
}

static bool
has_name(const struct node *child, const void *arg)
{
	return str_equal(child->name, str_of(arg));
}

static void
copies_can_leave_children_out(void **state)
{
	static const char text[] = "<a n='1'>x<b/><c/>y<b>z</b></a>";
	const struct node *old = parse(text);
	struct node *copy = node_copy_without(arena, old, has_name, "b");

	check_text(copy, "<a n='1'>x<c/>y</a>");
	node_add(copy, "d", "");
	check_text(copy, "<a n='1'>x<c/>y<d/></a>");
	copy = node_copy_without(arena, parse("<a><b/></a>"), has_name, "b");
	node_add(copy, "d", "");
	check_text(copy, "<a><d/></a>");
	check_text(old, text);
}

static void
deep_copies_need_nothing(void **state)
{
	static const char text[] =
	    "<a xmlns='u' b='1' xml:lang='de'>x<c xmlns='v'>&amp;</c><d/></a>";
	struct arena *short_lived = arena_make(0);
	const struct node *copy =
	    node_copy_deep(arena, node_parse(short_lived, STR(text), ""));

	arena_free(&short_lived);
	check_text(copy, text);
}

static void
only_one_element_is_parsed(void **state)
{
	CHECK_STR(node_parse(arena, STR("<a/>"), "u")->ns, "u");
	CHECK(node_parse(arena, STR(""), "") == NULL);
	CHECK(node_parse(arena, STR_NONE, "") == NULL);
	CHECK(node_parse(arena, STR("junk"), "") == NULL);
	CHECK(node_parse(arena, STR("<a/><b/>"), "") == NULL);
	CHECK(node_parse(arena, STR("<a>"), "") == NULL);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(children_are_found),
	    cmocka_unit_test(attributes_are_found),
	    cmocka_unit_test(text_is_joined),
	    cmocka_unit_test(nodes_are_made),
	    cmocka_unit_test(copies_leave_the_old_one_alone),
	    cmocka_unit_test(copies_can_leave_children_out),
	    cmocka_unit_test(deep_copies_need_nothing),
	    cmocka_unit_test(only_one_element_is_parsed),
	};

	return cmocka_run_group_tests(
	    tests, check_arena_make, check_arena_free);
}

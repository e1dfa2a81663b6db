#include "xml/writer.h"

#include "base/check_arena.h"

static const struct {
	struct str text;
	const char *escaped;
} values[] = {
    {{"plain", 5}, "plain"},
    {{"", 0}, ""},
    {{"<a b='c' d=\"e\">&", 17},
	"&lt;a b=&apos;c&apos; d=&quot;e&quot;&gt;&amp;"},
    {{"\t\n\r", 3}, "&#9;&#10;&#13;"},
    {{"a\0b\x01\x1f", 5}, "ab"},
    {{"\xc3\xa4\xe2\x82\xac\xf0\x9f\x8c\xb9", 9},
	"\xc3\xa4\xe2\x82\xac\xf0\x9f\x8c\xb9"},
    {{"a\xff\xfe", 3}, "a"},
    {{"\xed\xa0\x80x", 4}, "x"},
    {{"\xef\xbf\xbe\xef\xbf\xbfx", 7}, "x"},
    {{"\xef\xbf\xbd", 3}, "\xef\xbf\xbd"},
    {{"cut \xe2\x82", 6}, "cut "},
};

static void
values_are_escaped(void **state)
{
	for (size_t i = 0; i < COUNT_OF(values); i++) {
		struct buf buf = {0};

		buf_add(&buf, STR("."));
		writer_escaped(&buf, values[i].text);
		CHECK_STR(((struct str){buf.text + 1, buf.len - 1}),
		    values[i].escaped);
		buf_deinit(&buf);
	}
}

/* However much plain text is around them; text keeps what only values have
 * to say otherwise. */
static void
they_are_wherever_they_stand(void **state)
{
	static const char plain[] = "0123456789abcdefghijklmnopqrstuvwxyz";
	const size_t lens = sizeof(plain);

	for (size_t i = 0; i < COUNT_OF(values) * lens * lens; i++) {
		const struct str text = values[i / lens / lens].text;
		const struct str before = {plain, i % lens};
		const struct str after = {plain, i / lens % lens};
		const struct str quotes = STR("\"'\t\n");
		struct node *node = node_make(arena, "a", "");
		struct buf in = {0}, out = {0};

		buf_add(&in, before);
		buf_add(&in, text);
		buf_add(&in, after);
		buf_add_byte(&out, '.');
		writer_escaped(&out, buf_str(&in));
		CHECK_STR(buf_str(&out),
		    str_format(arena, ".%.*s%s%.*s", STR_ARG(before),
			values[i / lens / lens].escaped, STR_ARG(after))
			.text);
		buf_clear(&in, SIZE_MAX);
		buf_add(&in, before);
		buf_add(&in, quotes);
		buf_add(&in, after);
		node_add_text(node, buf_str(&in));
		CHECK_STR(writer_text(arena, node),
		    str_format(arena, "<a>%.*s</a>", STR_ARG(buf_str(&in)))
			.text);
		buf_deinit(&in);
		buf_deinit(&out);
	}
}

/* What is read is written again just so. */
static const char *const same[] = {
    "<a/>",
    "<a xmlns='urn:a'/>",
    "<a b='1' c='&lt;&amp;&gt;'>x&lt;y<d/>z</a>",
    "<a xmlns='urn:a'><b><c xmlns=''/></b><d xmlns='urn:d'><e/></d></a>",
    "<a xml:lang='de'>\"quoted\" 'text'\n\tstays</a>",
    "<a>&#13;</a>",
    "<a b='&#9;&#10;&#13;'/>",
    "<a xmlns:a0='urn:x' a0:b='1' c='2'/>",
    "<a xmlns='urn:a'><xml:b><c/></xml:b></a>",
    "<a>\xf0\x9f\x8c\xb9</a>",
};

static void
documents_come_back(void **state)
{
	for (size_t i = 0; i < COUNT_OF(same); i++) {
		const struct node *node =
		    node_parse(arena, str_of(same[i]), "");

		CHECK(node != NULL);
		CHECK_STR(writer_text(arena, node), same[i]);
	}
}

static void
attributes_of_two_namespaces_come_back(void **state)
{
	const struct node *node = node_parse(arena,
	    STR("<a xmlns:p='urn:p' xmlns:q='urn:q' p:x='1' q:x='2' x='3'/>"),
	    "");

	CHECK_STR(writer_text(arena, node),
	    "<a xmlns:a0='urn:p' a0:x='1' xmlns:a1='urn:q' a1:x='2' x='3'/>");
}

static void
the_place_has_a_namespace(void **state)
{
	struct node *node = node_make(arena, "a", "urn:a");
	struct buf buf = {0};

	node_add(node, "b", "urn:a");
	writer_node(&buf, node, STR("urn:a"));
	CHECK_STR(buf_str(&buf), "<a><b/></a>");
	buf_clear(&buf, 1024);
	writer_node(&buf, node, STR("urn:b"));
	CHECK_STR(buf_str(&buf), "<a xmlns='urn:a'><b/></a>");
	buf_deinit(&buf);
}

static void
streams_are_opened(void **state)
{
	struct node *header =
	    node_make(arena, "stream", "http://etherx.jabber.org/streams");
	struct buf buf = {0};

	node_set(header, "to", STR("localhost"));
	node_set_lang(header, STR("en"));
	writer_stream_open(&buf, header, STR("jabber:client"));
	CHECK_STR(buf_str(&buf),
	    "<stream:stream xmlns='jabber:client'"
	    " xmlns:stream='http://etherx.jabber.org/streams'"
	    " to='localhost' xml:lang='en'>");
	buf_deinit(&buf);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(values_are_escaped),
	    cmocka_unit_test(they_are_wherever_they_stand),
	    cmocka_unit_test(documents_come_back),
	    cmocka_unit_test(attributes_of_two_namespaces_come_back),
	    cmocka_unit_test(the_place_has_a_namespace),
	    cmocka_unit_test(streams_are_opened),
	};

	return cmocka_run_group_tests(
	    tests, check_arena_make, check_arena_free);
}

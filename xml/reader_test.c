#include "xml/reader.h"

#include "base/check.h"
#include "xml/stanza.h"
#include "xml/writer.h"

#define XMLNS "xmlns='jabber:client' "
#define STREAM                                                     \
	"<stream:stream xmlns='jabber:client'"                     \
	" xmlns:stream='http://etherx.jabber.org/streams' to='a' " \
	"version='1.0'>"
#define OPEN "open stream jabber:client to=a version=1.0;"
#define DEEP "<a><a><a><a><a><a><a><a>"

/* What a reader tells, as text. */
struct trace {
	struct buf said;
	struct reader *reader;
};

static struct reader_pool *pool;

static const struct reader_limits limits = {
    .bytes = 400, .depth = 7, .attrs = 5, .children = 10};

static void
say(struct reader *reader, const char *text)
{
	struct trace *trace = reader_owner(reader);

	buf_add(&trace->said, str_of(text));
}

static void
on_open(struct reader *reader, const struct node *header, struct str content_ns)
{
	struct trace *trace = reader_owner(reader);

	buf_add_format(&trace->said, "open %.*s %.*s", STR_ARG(header->name),
	    STR_ARG(content_ns));
	for (const struct attr *attr = header->attrs; attr != NULL;
	    attr = attr->next)
		buf_add_format(&trace->said, " %.*s=%.*s", STR_ARG(attr->name),
		    STR_ARG(attr->value));
	say(reader, ";");
	if (str_is(node_attr(header, "to"), "stop"))
		reader_stop(reader);
}

/* Some stanzas are orders to the reader. */
static void
on_stanza(struct reader *reader, struct arena *arena, const struct node *node)
{
	struct trace *trace = reader_owner(reader);

	CHECK(node->arena == arena);
	writer_node(&trace->said, node, STR(NS_CLIENT));
	say(reader, ";");
	if (node_is(node, "restart", NS_CLIENT))
		reader_restart(reader);
	else if (node_is(node, "stop", NS_CLIENT))
		reader_stop(reader);
	arena_free(&arena);
}

static void
on_close(struct reader *reader)
{
	say(reader, "close;");
}

static void
on_error(struct reader *reader, enum read_err err)
{
	say(reader, "error ");
	say(reader, read_err_text(err));
	say(reader, ";");
}

static const struct reader_events events = {
    .on_open = on_open,
    .on_stanza = on_stanza,
    .on_close = on_close,
    .on_error = on_error,
};

static void
trace_init(struct trace *trace)
{
	*trace = (struct trace){0};
	trace->reader = reader_new(pool, &events, &limits, trace);
}

static void
trace_deinit(struct trace *trace)
{
	reader_free(&trace->reader);
	buf_deinit(&trace->said);
}

static void
feed(struct trace *trace, const char *text, size_t len)
{
	/* A copy of just this length, so that ASan sees what is read. */
	char *copy = malloc(len == 0 ? 1 : len);

	memcpy(copy, text, len);
	reader_feed(trace->reader, (struct str){copy, len});
	free(copy);
}

static const struct {
	const char *fed, *told;
} streams[] = {
    /* What there is in ordinary streams. */
    {STREAM, OPEN},
    {"<?xml version='1.0'?>" STREAM "</stream:stream>", OPEN "close;"},
    {"<?xml version='1.0' encoding='utf-8' standalone='no'?>\n" STREAM, OPEN},
    {" \n<?xml version='1.0'?>" STREAM " \n\t\r\n ", OPEN},
    {STREAM "<iq/><message/> <presence/>",
	OPEN "<iq/>;<message/>;<presence/>;"},
    {STREAM "<message to='b'><body>Hi &amp; &#x2665; <![CDATA[<b>]]></body>"
	    "</message>\r\n",
	OPEN "<message to='b'><body>Hi &amp; \xe2\x99\xa5 &lt;b&gt;</body>"
	     "</message>;"},
    {STREAM "<message><body>one\ntwo\r\nthree</body></message>",
	OPEN "<message><body>one\ntwo\nthree</body></message>;"},
    {STREAM "<iq id='1'><query xmlns='q'><item/>t<item/></query></iq>",
	OPEN "<iq id='1'><query xmlns='q'><item/>t<item/></query></iq>;"},
    {"<stream:stream xmlns='jabber:server' xmlns:db='jabber:server:dialback'"
     " xmlns:stream='http://etherx.jabber.org/streams'>"
     "<db:result to='x'>k</db:result><message/>",
	"open stream jabber:server;"
	"<result xmlns='jabber:server:dialback' to='x'>k</result>;"
	"<message xmlns='jabber:server'/>;"},
    {"<stream xmlns='http://etherx.jabber.org/streams'"
     " xmlns:c='jabber:client'><c:iq><c:a/></c:iq></stream>",
	"open stream http://etherx.jabber.org/streams;"
	"<iq><a/></iq>;close;"},
    {STREAM "<a:iq xmlns:a='jabber:client'><x xmlns:a='urn:b' a:c='d'"
	    " xml:lang='de'><a:y/></x></a:iq>",
	OPEN "<iq><x xmlns:a0='urn:b' a0:c='d' xml:lang='de'>"
	     "<y xmlns='urn:b'/></x></iq>;"},
    {"<open xmlns='urn:ietf:params:xml:ns:xmpp-framing'/>",
	"open open urn:ietf:params:xml:ns:xmpp-framing;close;"},
    {"<stream/>", "open stream ;close;"},
    {STREAM "</stream:stream>anything<", OPEN "close;"},
    {STREAM "<a>\xef\xbb\xbf</a>", OPEN "<a>\xef\xbb\xbf</a>;"},
    {STREAM "<a> </a><a>\n</a>", OPEN "<a> </a>;<a>\n</a>;"},
    /* Turns. */
    {STREAM "<restart/>" STREAM "<iq/>", OPEN "<restart/>;" OPEN "<iq/>;"},
    {STREAM "<restart>x</restart>\n<?xml version='1.0'?>" STREAM "<iq/>",
	OPEN "<restart>x</restart>;" OPEN "<iq/>;"},
    {STREAM "<restart/><iq xmlns='x'/><iq/>",
	OPEN "<restart/>;open iq x;close;"},
    {STREAM "<a/><stop/><a/><b", OPEN "<a/>;<stop/>;"},
    {"<a to='stop'><b/>", "open a  to=stop;"},
    {"<a to='stop'/>", "open a  to=stop;"},
    /* What RFC 6120, section 11.1, forbids. */
    {"<!-- c -->" STREAM, "error comment, DTD, entity or processing "
			  "instruction;"},
    {STREAM "<!-- c -->", OPEN "error comment, DTD, entity or processing "
			       "instruction;"},
    {STREAM "<a><!-- c --></a>", OPEN "error comment, DTD, entity or "
				      "processing instruction;"},
    {STREAM "<a/><?pi x?><a/>", OPEN "<a/>;error comment, DTD, entity or "
				     "processing instruction;"},
    {"<?pi x?>" STREAM, "error comment, DTD, entity or processing "
			"instruction;"},
    {"<!DOCTYPE stream><stream/>", "error comment, DTD, entity or processing "
				   "instruction;"},
    {"<!DOCTYPE s [<!ENTITY a 'b'>]><s>&a;</s>",
	"error comment, DTD, entity or processing instruction;"},
    {"<!DOCTYPE s SYSTEM 'file:///etc/passwd'><s/>",
	"error comment, DTD, entity or processing instruction;"},
    {STREAM "<a>&lol;</a>", OPEN "error comment, DTD, entity or processing "
				 "instruction;"},
    {STREAM "<a b='&lol;'/>", OPEN "error comment, DTD, entity or processing "
				   "instruction;"},
    {STREAM "<!DOCTYPE a>", OPEN "error XML is not well-formed;"},
    /* Encodings. */
    {"<?xml version='1.0' encoding='ISO-8859-1'?>" STREAM, "error not UTF-8;"},
    {"<?xml version='1.0' encoding='UTF-16'?>" STREAM, "error not UTF-8;"},
    {"<?xml version='1.1'?>" STREAM, "error XML is not well-formed;"},
    {"\xff\xfe<", "error not UTF-8;"},
    {"\xfe\xff", "error not UTF-8;"},
    {" \xff\xfe", "error not UTF-8;"},
    {"<\xff", "error not UTF-8;"},
    {STREAM "<a>caf\xe9 au</a>", OPEN "error not UTF-8;"},
    {STREAM "<a>\xed\xa0\x80</a>", OPEN "error not UTF-8;"},
    {STREAM "<a>\xc0\x80</a>", OPEN "error not UTF-8;"},
    {STREAM "<a b='\xff'/>", OPEN "error not UTF-8;"},
    {STREAM "<a\xff", OPEN "error not UTF-8;"},
    {STREAM "<a>\x01</a>", OPEN "error XML is not well-formed;"},
    {STREAM "<a>&#0;</a>", OPEN "error XML is not well-formed;"},
    {STREAM "<a>\xef\xbf\xbf</a>", OPEN "error XML is not well-formed;"},
    /* Well-formedness. */
    {"GET / HTTP/1.1\r\n", "error XML is not well-formed;"},
    {STREAM "<a></b>", OPEN "error XML is not well-formed;"},
    {STREAM "</stream>", OPEN "error XML is not well-formed;"},
    {STREAM "<a b='1' b='2'/>", OPEN "error XML is not well-formed;"},
    {STREAM "<a xmlns:p='u' xmlns:q='u' p:b='1' q:b='2'/>",
	OPEN "error XML is not well-formed;"},
    {STREAM "<a b=c/>", OPEN "error XML is not well-formed;"},
    {STREAM "<a b='<'/>", OPEN "error XML is not well-formed;"},
    {STREAM "<a>]]></a>", OPEN "error XML is not well-formed;"},
    {STREAM "<?xml version='1.0'?>", OPEN "error XML is not well-formed;"},
    {STREAM "<p:a/>", OPEN "error namespace prefix is not declared;"},
    {STREAM "<a p:b=''/>", OPEN "error namespace prefix is not declared;"},
    {STREAM "<a xmlns:p=''/>", OPEN "error XML is not well-formed;"},
    {"<p:stream/>", "error namespace prefix is not declared;"},
    {STREAM "<iq/>x", OPEN "<iq/>;error text between stanzas;"},
    {STREAM "&#65;", OPEN "error text between stanzas;"},
    {STREAM "]]]x", OPEN "error text between stanzas;"},
    {STREAM "]]]\xff", OPEN "error text between stanzas;"},
    {STREAM STREAM, OPEN "error not one stream element;"},
    /* Limits. */
    {STREAM "<a><b><c><d><e><f><g/></f></e></d></c></b></a>",
	OPEN "<a><b><c><d><e><f><g/></f></e></d></c></b></a>;"},
    {STREAM DEEP, OPEN "error elements nested too deep;"},
    {STREAM "<a a='' b='' c='' d='' e=''/>",
	OPEN "<a a='' b='' c='' d='' e=''/>;"},
    {STREAM "<a a='' b='' c='' d='' e='' f=''/>",
	OPEN "error too many attributes or elements;"},
    {"<a a='' b='' c='' d='' e='' f=''>",
	"error too many attributes or elements;"},
    {STREAM "<a><b/><b/><b/><b/><b/><b/><b/><b/><b/></a>",
	OPEN "<a><b/><b/><b/><b/><b/><b/><b/><b/><b/></a>;"},
    {STREAM "<a><b/><b/><b/><b/><b/><b/><b/><b/><b/><b/></a>",
	OPEN "error too many attributes or elements;"},
};

static void
check_told(struct trace *trace, size_t i, size_t cut)
{
	if (!str_equal(buf_str(&trace->said), str_of(streams[i].told)))
		print_error(
		    "stream %zu: %s\ncut at %zu\n", i, streams[i].fed, cut);
	CHECK_STR(buf_str(&trace->said), streams[i].told);
}

static void
streams_are_read_whole(void **state)
{
	for (size_t i = 0; i < COUNT_OF(streams); i++) {
		struct trace trace;

		trace_init(&trace);
		feed(&trace, streams[i].fed, strlen(streams[i].fed));
		check_told(&trace, i, 0);
		trace_deinit(&trace);
	}
}

static void
streams_are_read_by_bytes(void **state)
{
	for (size_t i = 0; i < COUNT_OF(streams); i++) {
		struct trace trace;

		trace_init(&trace);
		for (const char *at = streams[i].fed; *at != '\0'; at++)
			feed(&trace, at, 1);
		check_told(&trace, i, 1);
		trace_deinit(&trace);
	}
}

/* Every cut; what is used between the two halves is another stream's, so that
 * it gets the parser that was given back. */
static void
streams_are_read_in_two(void **state)
{
	for (size_t i = 0; i < COUNT_OF(streams); i++) {
		size_t len = strlen(streams[i].fed);

		for (size_t cut = 1; cut < len; cut++) {
			struct trace one, other;

			trace_init(&one);
			trace_init(&other);
			feed(&one, streams[i].fed, cut);
			feed(&other, streams[i].fed, len);
			feed(&one, streams[i].fed + cut, len - cut);
			check_told(&one, i, cut);
			check_told(&other, i, cut);
			trace_deinit(&one);
			trace_deinit(&other);
		}
	}
}

/* --- limits of size --------------------------------------------------- */

static void
feed_text(struct trace *trace, const char *text)
{
	feed(trace, text, strlen(text));
}

static void
feed_many(struct trace *trace, char byte, size_t count, size_t piece)
{
	char *bytes = malloc(piece);

	memset(bytes, byte, piece);
	for (; count >= piece; count -= piece)
		feed(trace, bytes, piece);
	feed(trace, bytes, count);
	free(bytes);
}

static const struct {
	const char *before;
	size_t count;
	const char *after, *told;
} sizes[] = {
    /* <a></a> and 393 bytes are 400. */
    {STREAM "<a>", 393, "</a>", "</a>;"},
    {STREAM "<a>", 394, "</a>", "error stanza is too large;"},
    {STREAM "<a>", 4000, "</a>", "error stanza is too large;"},
    {STREAM "<a/><a>", 393, "</a>", "</a>;"},
    {STREAM "<a b='", 391, "'/>", "'/>;"},
    {STREAM "<a b='", 392, "'/>", "error stanza is too large;"},
    {STREAM "<", 4000, "/>", "error stanza is too large;"},
    {STREAM "<a b='", 4000, "'/>", "error stanza is too large;"},
    {"<", 4000, ">", "error stanza is too large;"},
    {"<a b='", 4000, "'>", "error stanza is too large;"},
};

static void
stanzas_have_a_largest(void **state)
{
	static const size_t pieces[] = {1, 7, 393, 100000};

	for (size_t i = 0; i < COUNT_OF(sizes); i++) {
		for (size_t j = 0; j < COUNT_OF(pieces); j++) {
			struct trace trace;

			trace_init(&trace);
			feed_text(&trace, sizes[i].before);
			feed_many(&trace, 'x', sizes[i].count, pieces[j]);
			feed_text(&trace, sizes[i].after);
			if (!str_ends(
				buf_str(&trace.said), str_of(sizes[i].told)))
				print_error("size %zu: %.*s\n", i,
				    STR_ARG(buf_str(&trace.said)));
			CHECK(str_ends(
			    buf_str(&trace.said), str_of(sizes[i].told)));
			trace_deinit(&trace);
		}
	}
}

static void
white_space_has_no_limit(void **state)
{
	struct trace trace;

	trace_init(&trace);
	feed_many(&trace, '\n', 1000, 100);
	feed_text(&trace, STREAM);
	feed_many(&trace, ' ', 1000, 100);
	CHECK(!reader_is_inside(trace.reader));
	feed_text(&trace, "<a/>");
	feed_many(&trace, ' ', 100000, 100000);
	feed_text(&trace, "<a>");
	CHECK_EQUAL(reader_len(trace.reader), 3);
	feed_text(&trace, "</a>");
	CHECK_EQUAL(reader_len(trace.reader), 0);
	CHECK_STR(buf_str(&trace.said), OPEN "<a/>;<a/>;");
	trace_deinit(&trace);
}

static void
limits_can_change(void **state)
{
	static const struct reader_limits other = {
	    .bytes = 20, .depth = 2, .attrs = 0, .children = 5};
	struct trace trace;

	trace_init(&trace);
	feed_text(&trace, STREAM "<a><b><c/></b></a>");
	reader_limit(trace.reader, &other);
	feed_text(&trace, "<a><b><c/></b></a>");
	CHECK(str_ends(buf_str(&trace.said), STR("too deep;")));
	trace_deinit(&trace);
}

static void
attributes_are_counted_in_all(void **state)
{
	static const struct reader_limits few = {.bytes = 400,
	    .depth = 3,
	    .attrs = 2,
	    .all_attrs = 3,
	    .children = 5};
	struct trace trace;

	trace_init(&trace);
	reader_limit(trace.reader, &few);
	feed_text(&trace, STREAM "<a b='1' c='2'><d e='3'/></a>");
	feed_text(&trace, "<a b='1' c='2'/>");
	CHECK(str_ends(buf_str(&trace.said), STR("c='2'/>;")));
	feed_text(&trace, "<a b='1' c='2'><d e='3' f='4'/></a>");
	CHECK(str_ends(
	    buf_str(&trace.said), STR("too many attributes or elements;")));
	trace_deinit(&trace);
}

/* Declared once, and had by many. */
static void
namespaces_are_counted_for_each_that_has_them(void **state)
{
	static const struct reader_limits few = {.bytes = 400,
	    .depth = 3,
	    .attrs = 9,
	    .all_attrs = 9,
	    .children = 9};
	static const char *const bodies[] = {
	    "<p:a/><p:a/><p:a/><p:a/><p:a/><b/>",
	    "<b p:a='' p:b='' p:c='' p:d='' p:e=''/><b/>"};
	char ns[101], text[400];

	memset(ns, 'n', sizeof(ns) - 1);
	ns[sizeof(ns) - 1] = '\0';
	for (size_t i = 0; i < COUNT_OF(bodies); i++) {
		struct trace trace;

		trace_init(&trace);
		reader_limit(trace.reader, &few);
		feed_text(&trace, STREAM);
		snprintf(text, sizeof(text),
		    "<a xmlns='%s'><b/><b/><b/><b/><b/><b/></a>", ns);
		feed_text(&trace, text);
		CHECK(str_ends(buf_str(&trace.said), STR("</a>;")));
		snprintf(text, sizeof(text), "<a xmlns:p='%s'>%s</a>", ns,
		    bodies[i]);
		feed_text(&trace, text);
		CHECK(str_ends(buf_str(&trace.said), STR("too large;")));
		trace_deinit(&trace);
	}
}

/* Whoever makes us read a long tag again and again is stopped; text, which is
 * never read again, may come as it likes. */
static void
tags_come_in_few_pieces(void **state)
{
	static const struct reader_limits large = {
	    .bytes = 100000, .depth = 2, .attrs = 2, .children = 1};
	struct trace trace;

	trace_init(&trace);
	reader_limit(trace.reader, &large);
	feed_text(&trace, STREAM "<a>");
	feed_many(&trace, 'x', 90000, 1);
	feed_text(&trace, "</a>");
	buf_clear(&trace.said, 4096);
	feed_text(&trace, "<a b='");
	feed_many(&trace, 'x', 90000, 1000);
	feed_text(&trace, "'/>");
	CHECK(str_ends(buf_str(&trace.said), STR("'/>;")));
	feed_text(&trace, "<a b='");
	feed_many(&trace, 'x', 90000, 1);
	CHECK(str_ends(buf_str(&trace.said), STR("too many pieces;")));
	trace_deinit(&trace);
}

static void
headers_have_few_namespaces(void **state)
{
	static const struct reader_limits large = {
	    .bytes = 100000, .depth = 2, .attrs = 2, .children = 1};
	struct trace trace;

	trace_init(&trace);
	reader_limit(trace.reader, &large);
	feed_text(&trace, "<a xmlns=\"");
	feed_many(&trace, '\'', 1000, 1000);
	feed_text(&trace, "\">");
	CHECK_STR(buf_str(&trace.said), "error stanza is too large;");
	trace_deinit(&trace);
}

/* --- parsers ---------------------------------------------------------- */

/* Names that no parser has seen before make it grow; it is given up in time,
 * and the streams do not notice. */
static void
hostile_names_are_forgotten(void **state)
{
	struct trace trace;

	trace_init(&trace);
	feed_text(&trace, STREAM);
	for (unsigned i = 0; i < 20000; i++) {
		char text[64];

		snprintf(text, sizeof(text), "<a%u b%u='' xmlns:p%u='u%u'/>", i,
		    i, i, i);
		feed_text(&trace, text);
		CHECK(str_ends(buf_str(&trace.said), STR("/>;")));
		buf_clear(&trace.said, 4096);
	}
	trace_deinit(&trace);
}

/* A prefix that one stanza declares is unknown to the next, be it of the same
 * stream or of another that gets the parser. */
static void
prefixes_do_not_leak(void **state)
{
	struct trace one, other;

	trace_init(&one);
	trace_init(&other);
	feed_text(&one, STREAM "<a xmlns:p='u'><p:b/></a>");
	feed_text(&other, STREAM "<p:b/>");
	CHECK_STR(buf_str(&other.said),
	    OPEN "error namespace prefix is not declared;");
	feed_text(&one, "<p:b/>");
	CHECK(str_ends(buf_str(&one.said),
	    STR("error namespace prefix is not declared;")));
	trace_deinit(&one);
	trace_deinit(&other);
}

/* More streams in the middle of a stanza than parsers are kept. */
static void
many_streams_are_read_at_once(void **state)
{
	struct trace traces[100];

	for (size_t i = 0; i < COUNT_OF(traces); i++) {
		trace_init(&traces[i]);
		feed_text(&traces[i], STREAM);
	}
	for (unsigned round = 0; round < 3; round++) {
		for (size_t i = 0; i < COUNT_OF(traces); i++)
			feed_text(&traces[i], "<a><b>te");
		CHECK(reader_is_inside(traces[7].reader));
		for (size_t i = 0; i < COUNT_OF(traces); i++)
			feed_text(&traces[i], "xt</b></a>");
		CHECK(!reader_is_inside(traces[7].reader));
	}
	for (size_t i = 0; i < COUNT_OF(traces); i++) {
		CHECK_STR(buf_str(&traces[i].said),
		    OPEN "<a><b>text</b></a>;<a><b>text</b></a>;"
			 "<a><b>text</b></a>;");
		trace_deinit(&traces[i]);
	}
}

static void
readers_can_be_freed_anywhere(void **state)
{
	static const char all[] =
	    STREAM "<a b='c'><d>e</d></a></stream:stream>";

	for (size_t len = 0; len < sizeof(all); len++) {
		struct trace trace;

		trace_init(&trace);
		feed(&trace, all, len);
		trace_deinit(&trace);
	}
}

/* --- documents -------------------------------------------------------- */

static const struct {
	const char *text, *ns;
	enum read_err err;
} documents[] = {
    {"<a/>", "", READ_ERR_NONE},
    {" \n<a>x</a>\r\n", "", READ_ERR_NONE},
    {"<a/>", "it's", READ_ERR_NONE},
    {"", "", READ_ERR_NOT_WELL_FORMED},
    {"  ", "", READ_ERR_NOT_WELL_FORMED},
    {"text", "", READ_ERR_TEXT},
    {"<a>", "", READ_ERR_NOT_WELL_FORMED},
    {"<a/>x", "", READ_ERR_TEXT},
    {"<a/><b", "", READ_ERR_NOT_WELL_FORMED},
    {"<a/><b/>", "", READ_ERR_NESTED},
    {"<a/></x>", "", READ_ERR_NOT_WELL_FORMED},
    {"</x><a/>", "", READ_ERR_NOT_WELL_FORMED},
    {"<!-- c --><a/>", "", READ_ERR_RESTRICTED},
    {"<a/><!-- c -->", "", READ_ERR_RESTRICTED},
    {"<a>&e;</a>", "", READ_ERR_RESTRICTED},
    {"<p:a/>", "", READ_ERR_PREFIX},
    {DEEP, "", READ_ERR_TOO_DEEP},
};

static void
documents_are_read(void **state)
{
	for (size_t i = 0; i < COUNT_OF(documents); i++) {
		struct arena *arena = arena_make(0);
		const struct node *node;

		CHECK_EQUAL(reader_document(arena, str_of(documents[i].text),
				documents[i].ns, &limits, &node),
		    documents[i].err);
		CHECK_EQUAL(node != NULL, documents[i].err == READ_ERR_NONE);
		if (node != NULL)
			CHECK_STR(node->ns, documents[i].ns);
		arena_free(&arena);
	}
}

static int
pool_setup(void **state)
{
	pool = reader_pool_new();
	return 0;
}

static int
pool_teardown(void **state)
{
	reader_pool_free(&pool);
	return 0;
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(documents_are_read), /* no pool yet */
	    cmocka_unit_test_setup(streams_are_read_whole, pool_setup),
	    cmocka_unit_test(streams_are_read_by_bytes),
	    cmocka_unit_test(streams_are_read_in_two),
	    cmocka_unit_test(stanzas_have_a_largest),
	    cmocka_unit_test(white_space_has_no_limit),
	    cmocka_unit_test(limits_can_change),
	    cmocka_unit_test(attributes_are_counted_in_all),
	    cmocka_unit_test(namespaces_are_counted_for_each_that_has_them),
	    cmocka_unit_test(tags_come_in_few_pieces),
	    cmocka_unit_test(headers_have_few_namespaces),
	    cmocka_unit_test(hostile_names_are_forgotten),
	    cmocka_unit_test(prefixes_do_not_leak),
	    cmocka_unit_test(many_streams_are_read_at_once),
	    cmocka_unit_test(readers_can_be_freed_anywhere),
	    cmocka_unit_test_teardown(documents_are_read, pool_teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

#include "xml/reader.h"

#include <stdlib.h>

#include "base/err.h"
#include "xml/parser.h"
#include "xml/stanza.h"
#include "xml/writer.h"

/* Bytes given to expat at once, so that limits are looked at in between. */
#define FEED_MAX 65536

/* The longest shape of a stream, as it is kept for as long as that. */
#define SHAPE_MAX 4096

/* Expat reads an unfinished tag anew with each piece of it. How many bytes may
 * be read again for one stanza: some, and so many for each byte allowed. */
#define AGAIN_MIN  ((size_t)1 << 20)
#define AGAIN_EACH 256

enum state { AT_HEADER, AT_CONTENT, AT_END };

/* What an event has asked for, or what has gone wrong in one. */
enum turn { GO_ON, RESTART, STOP, CLOSE, FAIL };

struct reader {
	struct reader_pool *pool;
	const struct reader_events *events;
	void *owner;
	struct parser *parser; /* NULL between stanzas */
	struct shape *shape;   /* of the stream; NULL before its header */
	struct reader_limits limits;
	size_t rest; /* where the event ended that turned */
	enum state state;
	enum turn turn;
	enum read_err err;
};

const struct reader_limits reader_limits_stored = {
    .bytes = 16 << 20,
    .depth = 1000,
    .attrs = 1000,
    .children = 1000000,
};

const char *
read_err_text(enum read_err err)
{
	static const char *const texts[] = {
#define X(name, text) text,
	    READ_ERR_MAP(X)
#undef X
	};

	return texts[err];
}

/* --- positions -------------------------------------------------------- */

/* Newer versions of expat count with 64 bits, and no longer want the others. */
#ifndef HAVE_POSITIONS_64
#define XML_GetCurrentByteIndex64 XML_GetCurrentByteIndex
#define XML_GetCurrentByteCount64 XML_GetCurrentByteCount
#endif

static size_t
event_start(const struct parser *parser)
{
	return (size_t)XML_GetCurrentByteIndex64(parser->expat);
}

static size_t
event_end(const struct parser *parser)
{
	return event_start(parser) +
	       (size_t)XML_GetCurrentByteCount64(parser->expat);
}

/* The bytes that expat has, from the event on. */
static struct str
event_rest(const struct parser *parser)
{
#ifdef HAVE_POSITIONS_64
	int64_t at = 0;
	uint64_t len = 0;
	const char *bytes = XML_GetInputContext64(parser->expat, &at, &len);
#else
	int at = 0, len = 0;
	const char *bytes = XML_GetInputContext(parser->expat, &at, &len);
#endif

	if (bytes == NULL || (size_t)at >= (size_t)len)
		return STR_NONE;
	return (struct str){bytes + at, (size_t)len - (size_t)at};
}

/* --- turning ---------------------------------------------------------- */

/* From within an event of expat: nothing more is read by this parser. Expat
 * may still tell of the end of an empty element. */
static void
turn(struct reader *reader, enum turn what)
{
	if (reader->turn != GO_ON && what != STOP)
		return;
	reader->turn = what;
	reader->rest = event_end(reader->parser);
	XML_StopParser(reader->parser->expat, XML_FALSE);
}

static void
fail(struct parser *parser, enum read_err err)
{
	parser->reader->err = err;
	turn(parser->reader, FAIL);
}

static bool
is_going(const struct parser *parser)
{
	return parser->reader != NULL && parser->reader->turn == GO_ON;
}

static bool
is_too_large(const struct parser *parser, size_t end)
{
	return end - parser->begun > parser->reader->limits.bytes;
}

/* --- the stream header ------------------------------------------------ */

/* Encodings are compared without case, RFC 6120, section 11.6 and XML 1.0,
 * section 4.3.3; 11.8 asks for version 1.0. */
static void
on_declaration(
    void *arg, const char *version, const char *encoding, int standalone)
{
	struct parser *parser = arg;

	if (!is_going(parser))
		return;
	if (encoding != NULL &&
	    !str_equal_ascii_case(str_of(encoding), STR("UTF-8")))
		fail(parser, READ_ERR_ENCODING);
	else if (!str_is(str_of(version), "1.0"))
		fail(parser, READ_ERR_NOT_WELL_FORMED);
}

static struct arena *
header_arena(struct parser *parser)
{
	if (parser->builder.arena == NULL)
		parser->builder.arena = arena_make(0);
	return parser->builder.arena;
}

static void
on_namespace(void *arg, const char *prefix, const char *uri)
{
	struct parser *parser = arg;
	struct buf *decls = &parser->decls;

	if (parser->open || !is_going(parser))
		return;
	if (prefix == NULL)
		parser->content_ns = str_dup(header_arena(parser), str_of(uri));
	buf_add(decls, STR(" xmlns"));
	if (prefix != NULL) {
		buf_add_byte(decls, ':');
		buf_add(decls, str_of(prefix));
	}
	buf_add(decls, STR("='"));
	writer_escaped(decls, str_of(uri));
	buf_add_byte(decls, '\'');
}

/* What a parser must read to stand where this one stands. The prefix counts,
 * as the end tag will have it too. */
static void
learn_shape(struct parser *parser, const char *text)
{
	struct name name = build_name(text);
	struct reader *reader = parser->reader;
	struct buf tag = {0};

	buf_add_byte(&tag, '<');
	buf_add(&tag, name.prefix);
	if (name.prefix.len > 0)
		buf_add_byte(&tag, ':');
	buf_add(&tag, name.local);
	buf_add(&tag, buf_str(&parser->decls));
	buf_add_byte(&tag, '>');
	buf_deinit(&parser->decls);
	parser->shape = shape_ref(reader->pool, buf_str(&tag));
	reader->shape = shape_ref(reader->pool, buf_str(&tag));
	buf_deinit(&tag);
}

static void
open_stream(struct parser *parser, const char *name, const char **attrs,
    unsigned attr_count)
{
	struct reader *reader = parser->reader;
	struct builder *builder = &parser->builder;
	struct arena *arena = header_arena(parser);
	const struct node *header;

	learn_shape(parser, name);
	build_start(builder, name, attrs, attr_count);
	header = build_end(builder);
	builder->arena = NULL;
	parser->open = true;
	parser->begun = event_end(parser);
	reader->state = AT_CONTENT;
	reader->events->on_open(reader, header, parser->content_ns);
	arena_free(&arena);
}

/* --- stanzas ---------------------------------------------------------- */

static unsigned
count_attrs(const char **attrs)
{
	unsigned count = 0;

	while (attrs[2 * count] != NULL)
		count++;
	return count;
}

static enum read_err
check_start(const struct parser *parser, unsigned attr_count)
{
	const struct reader_limits *limits = &parser->reader->limits;

	/* A namespace is declared once, but each element and attribute that is
	 * in it has it, in memory and when it is written. */
	if (is_too_large(parser, event_end(parser)) ||
	    parser->decls.len > SHAPE_MAX ||
	    parser->builder.ns_len > limits->bytes)
		return READ_ERR_TOO_LARGE;
	if (parser->builder.depth >= limits->depth)
		return READ_ERR_TOO_DEEP;
	if (attr_count > limits->attrs || parser->children > limits->children ||
	    (limits->all_attrs > 0 && parser->all_attrs > limits->all_attrs))
		return READ_ERR_TOO_MANY;
	return READ_ERR_NONE;
}

static void
begin_stanza(struct parser *parser)
{
	parser->builder.arena =
	    parser->into != NULL ? parser->into : arena_make(0);
	parser->begun = event_start(parser);
	parser->again = 0;
	parser->children = 0;
	parser->all_attrs = 0;
	parser->builder.ns_len = 0;
}

static void
on_start(void *arg, const char *name, const char **attrs)
{
	struct parser *parser = arg;
	struct builder *builder = &parser->builder;
	unsigned attr_count = count_attrs(attrs);
	const struct node *node;
	enum read_err err;

	if (!is_going(parser))
		return;
	parser->names += attr_count + 1;
	if (builder->arena == NULL && parser->open)
		begin_stanza(parser);
	parser->children++;
	parser->all_attrs += attr_count;
	err = check_start(parser, attr_count);
	if (err != READ_ERR_NONE) {
		fail(parser, err);
	} else if (!parser->open) {
		open_stream(parser, name, attrs, attr_count);
	} else {
		node = build_start(builder, name, attrs, attr_count);
		if (builder->depth == 1 && node_is(node, "stream", NS_STREAM))
			fail(parser, READ_ERR_NESTED);
	}
}

static void
end_stanza(struct parser *parser, const struct node *stanza)
{
	struct reader *reader = parser->reader;
	struct arena *arena = parser->builder.arena;

	build_reset(&parser->builder);
	parser->begun = event_end(parser);
	reader->events->on_stanza(reader, arena, stanza);
}

static void
on_end(void *arg, const char *name)
{
	struct parser *parser = arg;
	struct builder *builder = &parser->builder;
	const struct node *node;

	if (!is_going(parser))
		return;
	if (builder->depth == 0) {
		turn(parser->reader, CLOSE);
		return;
	}
	if (is_too_large(parser, event_end(parser))) {
		fail(parser, READ_ERR_TOO_LARGE);
		return;
	}
	node = build_end(builder);
	if (builder->depth == 0)
		end_stanza(parser, node);
}

static bool
is_blank(struct str text)
{
	return str_trim(text).len == 0;
}

static void
on_text(void *arg, const char *bytes, int len)
{
	struct parser *parser = arg;
	struct str text = {bytes, (size_t)len};

	if (!is_going(parser))
		return;
	if (parser->builder.depth > 0)
		build_text(&parser->builder, text.text, text.len);
	else if (is_blank(text))
		parser->begun = event_end(parser);
	else
		fail(parser, READ_ERR_TEXT);
}

/* --- what RFC 6120, section 11.1, forbids ----------------------------- */

static void
refuse(void *arg)
{
	struct parser *parser = arg;

	if (is_going(parser))
		fail(parser, READ_ERR_RESTRICTED);
}

static void
on_comment(void *arg, const char *text)
{
	refuse(arg);
}

static void
on_instruction(void *arg, const char *target, const char *text)
{
	refuse(arg);
}

static void
on_doctype(void *arg, const char *name, const char *system, const char *public,
    int has_subset)
{
	refuse(arg);
}

static void
set_handlers(struct parser *parser)
{
	XML_Parser expat = parser->expat;

	XML_SetElementHandler(expat, on_start, on_end);
	XML_SetCharacterDataHandler(expat, on_text);
	XML_SetXmlDeclHandler(expat, on_declaration);
	XML_SetStartNamespaceDeclHandler(expat, on_namespace);
	XML_SetCommentHandler(expat, on_comment);
	XML_SetProcessingInstructionHandler(expat, on_instruction);
	XML_SetStartDoctypeDeclHandler(expat, on_doctype);
}

/* --- feeding ---------------------------------------------------------- */

static void
drop_parser(struct reader *reader)
{
	parser_drop(reader->pool, &reader->parser);
}

static void
end_with(struct reader *reader, enum read_err err)
{
	drop_parser(reader);
	reader->state = AT_END;
	reader->err = err;
	reader->events->on_error(reader, err);
}

/* RFC 6120, section 4.9.3.22: bytes that are no UTF-8 are an error of the
 * encoding, though to expat they are as bad as other characters. */
static bool
is_bad_utf8(const struct parser *parser)
{
	const struct str rest = event_rest(parser);

	return rest.len > 0 && (rest.text[0] & 0x80) != 0 &&
	       str_utf8_len(rest) == 0;
}

static enum read_err
err_of_expat(const struct parser *parser)
{
	switch (XML_GetErrorCode(parser->expat)) {
	case XML_ERROR_UNDEFINED_ENTITY:
	case XML_ERROR_RECURSIVE_ENTITY_REF:
	case XML_ERROR_ASYNC_ENTITY:
	case XML_ERROR_BINARY_ENTITY_REF:
	case XML_ERROR_EXTERNAL_ENTITY_HANDLING:
		return READ_ERR_RESTRICTED;
	case XML_ERROR_UNBOUND_PREFIX:
		return READ_ERR_PREFIX;
	case XML_ERROR_UNKNOWN_ENCODING:
	case XML_ERROR_INCORRECT_ENCODING:
	case XML_ERROR_PARTIAL_CHAR:
		return READ_ERR_ENCODING;
	case XML_ERROR_INVALID_TOKEN:
		return is_bad_utf8(parser) ? READ_ERR_ENCODING
					   : READ_ERR_NOT_WELL_FORMED;
	default:
		return READ_ERR_NOT_WELL_FORMED;
	}
}

/* Does what an event asked for. */
static void
make_turn(struct reader *reader)
{
	enum turn what = reader->turn;

	reader->turn = GO_ON;
	if (what == FAIL) {
		end_with(reader, reader->err);
		return;
	}
	drop_parser(reader);
	if (what == RESTART) {
		shape_unref(reader->pool, &reader->shape);
		reader->state = AT_HEADER;
		return;
	}
	reader->state = AT_END;
	if (what == CLOSE)
		reader->events->on_close(reader);
}

static bool
is_in_too_many_pieces(struct parser *parser)
{
	parser->again += parser->fed - event_start(parser);
	return parser->again >
	       AGAIN_MIN + AGAIN_EACH * parser->reader->limits.bytes;
}

/* Whether another parser of this shape could go on in its place. Expat's index
 * is that of the first byte it has not made an event of. */
static bool
is_clean(const struct parser *parser)
{
	return parser->open && parser->builder.depth == 0 &&
	       event_start(parser) == parser->fed;
}

/* Expat looks at two bytes to find UTF-16, whatever encoding it is told. Both
 * are 0xfe and 0xff or one of them is 0, which no UTF-8 begins with. */
static bool
begins_as_utf16(const struct parser *parser, struct str bytes)
{
	static const char never[] = {'\0', '\xfe', '\xff'};

	for (size_t i = 0; i < bytes.len && parser->fed + i < 2; i++) {
		if (memchr(never, bytes.text[i], sizeof(never)) != NULL)
			return true;
	}
	return false;
}

/* Returns how many of the bytes were used. */
static size_t
parse(struct reader *reader, struct str bytes)
{
	struct parser *parser = reader->parser;
	enum XML_Status status;
	size_t before = parser->fed;

	if (begins_as_utf16(parser, bytes)) {
		end_with(reader, READ_ERR_ENCODING);
		return bytes.len;
	}
	parser->fed += bytes.len;
	status = XML_Parse(parser->expat, bytes.text, (int)bytes.len, 0);
	if (reader->turn != GO_ON) {
		make_turn(reader);
		/* What ends the stream may have begun in an earlier piece. */
		return reader->state == AT_END ? bytes.len
					       : reader->rest - before;
	}
	if (status != XML_STATUS_OK)
		end_with(reader, err_of_expat(parser));
	else if (is_too_large(parser, parser->fed))
		end_with(reader, READ_ERR_TOO_LARGE);
	else if (is_clean(parser))
		parser_give(reader->pool, &reader->parser);
	else if (is_in_too_many_pieces(parser))
		end_with(reader, READ_ERR_PIECES);
	return bytes.len;
}

/* White space before a header and between stanzas costs no parser: it is what
 * idle streams are kept open with. */
static bool
begin(struct reader *reader, struct str *bytes)
{
	struct str rest = *bytes;

	while (rest.len > 0 && is_blank((struct str){rest.text, 1})) {
		rest.text++;
		rest.len--;
	}
	*bytes = rest;
	if (rest.len == 0)
		return false;
	reader->parser = parser_take(reader->pool, reader->shape, set_handlers);
	reader->parser->reader = reader;
	return true;
}

void
reader_feed(struct reader *reader, struct str bytes)
{
	struct str some;
	size_t used;

	while (bytes.len > 0 && reader->state != AT_END) {
		if (reader->parser == NULL && !begin(reader, &bytes))
			return;
		some = bytes;
		if (some.len > FEED_MAX)
			some.len = FEED_MAX;
		used = parse(reader, some);
		bytes.text += used;
		bytes.len -= used;
	}
}

void
reader_stop(struct reader *reader)
{
	if (reader->parser == NULL)
		reader->state = AT_END;
	else
		turn(reader, STOP);
}

void
reader_restart(struct reader *reader)
{
	must(reader->parser != NULL);
	turn(reader, RESTART);
}

/* --- life ------------------------------------------------------------- */

struct reader *
reader_new(struct reader_pool *pool, const struct reader_events *events,
    const struct reader_limits *limits, void *owner)
{
	struct reader *reader = calloc(1, sizeof(*reader));

	must(reader != NULL);
	reader->pool = pool;
	reader->events = events;
	reader->limits = *limits;
	reader->owner = owner;
	return reader;
}

void
reader_free(struct reader **reader_at)
{
	struct reader *reader = *reader_at;

	*reader_at = NULL;
	if (reader == NULL)
		return;
	drop_parser(reader);
	shape_unref(reader->pool, &reader->shape);
	free(reader);
}

void *
reader_owner(const struct reader *reader)
{
	return reader->owner;
}

void
reader_limit(struct reader *reader, const struct reader_limits *limits)
{
	reader->limits = *limits;
}

bool
reader_is_inside(const struct reader *reader)
{
	return reader->parser != NULL;
}

size_t
reader_len(const struct reader *reader)
{
	const struct parser *parser = reader->parser;

	return parser == NULL ? 0 : parser->fed - parser->begun;
}

/* --- documents -------------------------------------------------------- */

struct document {
	const struct node *node;
	unsigned count;
};

static void
document_opened(
    struct reader *reader, const struct node *header, struct str content_ns)
{
}

static void
document_read(
    struct reader *reader, struct arena *arena, const struct node *node)
{
	struct document *document = reader->owner;

	document->node = node;
	if (++document->count > 1)
		fail(reader->parser, READ_ERR_NESTED);
}

static void
document_ended(struct reader *reader)
{
	reader->err = READ_ERR_NOT_WELL_FORMED;
}

static void
document_failed(struct reader *reader, enum read_err err)
{
}

static const struct reader_events document_events = {
    .on_open = document_opened,
    .on_stanza = document_read,
    .on_close = document_ended,
    .on_error = document_failed,
};

/* A document is the one stanza of a stream whose header we make up. */
static struct shape *
shape_of_document(struct reader_pool *pool, const char *default_ns)
{
	struct buf tag = {0};
	struct shape *shape;

	buf_add(&tag, STR("<x xmlns='"));
	writer_escaped(&tag, str_of(default_ns));
	buf_add(&tag, STR("'>"));
	shape = shape_ref(pool, buf_str(&tag));
	buf_deinit(&tag);
	return shape;
}

static enum read_err
read_document(struct reader *reader, struct arena *arena, struct str text)
{
	const struct document *document = reader->owner;

	if (!begin(reader, &text))
		return READ_ERR_NOT_WELL_FORMED;
	reader->parser->into = arena;
	reader_feed(reader, str_trim(text));
	if (reader->err != READ_ERR_NONE)
		return reader->err;
	return document->count == 1 && reader->parser == NULL
		   ? READ_ERR_NONE
		   : READ_ERR_NOT_WELL_FORMED;
}

enum read_err
reader_document(struct arena *arena, struct str text, const char *default_ns,
    const struct reader_limits *limits, const struct node **node_r)
{
	struct reader_pool *own = NULL, *pool = reader_pool_of_thread();
	struct document document = {0};
	struct reader *reader;
	enum read_err err;

	if (pool == NULL)
		pool = own = reader_pool_new();
	reader = reader_new(pool, &document_events, limits, &document);
	reader->shape = shape_of_document(pool, default_ns);
	reader->state = AT_CONTENT;
	err = read_document(reader, arena, text);
	reader_free(&reader);
	reader_pool_free(&own);
	*node_r = err == READ_ERR_NONE ? document.node : NULL;
	return err;
}

/*
 * xml/reader_fuzz.c - a stream tells the same whole, in two pieces and byte by
 * byte, and each stanza can be written and read again.
 *
 * The first byte says where the two pieces are cut.
 */
#include <stdlib.h>

#include "base/err.h"
#include "xml/reader.h"
#include "xml/writer.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

static const struct reader_limits limits = {
    .bytes = 1000, .depth = 20, .attrs = 10, .children = 100};

static void
on_open(struct reader *reader, const struct node *header, struct str content_ns)
{
	writer_stream_open(reader_owner(reader), header, content_ns);
}

static void
on_stanza(struct reader *reader, struct arena *arena, const struct node *node)
{
	struct buf *said = reader_owner(reader);
	struct str text = writer_text(arena, node);
	const struct node *again = node_parse(arena, text, "");

	must(again != NULL && str_equal(writer_text(arena, again), text));
	buf_add(said, text);
	if (str_is(node->name, "restart"))
		reader_restart(reader);
	else if (str_is(node->name, "stop"))
		reader_stop(reader);
	arena_free(&arena);
}

static void
on_close(struct reader *reader)
{
	buf_add(reader_owner(reader), STR("close"));
}

static void
on_error(struct reader *reader, enum read_err err)
{
	buf_add(reader_owner(reader), STR("error"));
}

static const struct reader_events events = {
    .on_open = on_open,
    .on_stanza = on_stanza,
    .on_close = on_close,
    .on_error = on_error,
};

/* First cut bytes at once, the rest in pieces. */
static struct buf
tell(struct reader_pool *pool, struct str text, size_t cut, size_t piece)
{
	struct buf said = {0};
	struct reader *reader = reader_new(pool, &events, &limits, &said);

	reader_feed(reader, (struct str){text.text, cut});
	for (; cut < text.len; cut += piece) {
		if (piece > text.len - cut)
			piece = text.len - cut;
		reader_feed(reader, (struct str){text.text + cut, piece});
	}
	reader_free(&reader);
	return said;
}

int
LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
	struct str text = {(const char *)bytes + 1, len - 1};
	struct reader_pool *pool;
	struct buf whole, two, each;

	if (len < 2)
		return 0;
	pool = reader_pool_new();
	whole = tell(pool, text, text.len, 1);
	two = tell(pool, text, bytes[0] % text.len, text.len);
	each = tell(pool, text, 0, 1);
	must(str_equal(buf_str(&whole), buf_str(&two)));
	must(str_equal(buf_str(&whole), buf_str(&each)));
	buf_deinit(&whole);
	buf_deinit(&two);
	buf_deinit(&each);
	reader_pool_free(&pool);
	return 0;
}

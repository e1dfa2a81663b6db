#include "xml/parser.h"

#include <stdlib.h>

#include "base/err.h"
#include "base/hash.h"
#include "xml/reader.h"

/* --- shapes ----------------------------------------------------------- */

static bool
shape_is(const struct table_link *link, const void *key)
{
	const struct shape *shape =
	    container_of(link, const struct shape, link);

	return str_equal(shape->text, *(const struct str *)key);
}

struct shape *
shape_ref(struct reader_pool *pool, struct str text)
{
	uint64_t hash = hash_keyed(text);
	struct table_link *link =
	    table_find(&pool->shapes, hash, shape_is, &text);
	struct shape *shape = table_entry(link, struct shape, link);
	char *copy;

	if (shape == NULL) {
		shape = calloc(1, sizeof(*shape) + text.len);
		must(shape != NULL);
		copy = (char *)(shape + 1);
		memcpy(copy, text.text, text.len);
		shape->text = (struct str){copy, text.len};
		table_add(&pool->shapes, &shape->link, hash);
	}
	shape->refs++;
	return shape;
}

void
shape_unref(struct reader_pool *pool, struct shape **shape_at)
{
	struct shape *shape = *shape_at;

	*shape_at = NULL;
	if (shape == NULL || --shape->refs > 0)
		return;
	table_remove(&pool->shapes, &shape->link);
	free(shape);
}

/* --- parsers ---------------------------------------------------------- */

static struct parser *
parser_new(void (*set_handlers)(struct parser *))
{
	struct parser *parser = calloc(1, sizeof(*parser));

	must(parser != NULL);
	/* The encoding is given, so that no declaration and no byte order
	 * mark can choose another. */
	parser->expat = XML_ParserCreateNS("UTF-8", BUILD_SEPARATOR);
	must(parser->expat != NULL);
	XML_SetReturnNSTriplet(parser->expat, 1);
	XML_SetUserData(parser->expat, parser);
#ifdef HAVE_REPARSE_DEFERRAL
	/* Otherwise a start tag in pieces gives no event until later. */
	XML_SetReparseDeferralEnabled(parser->expat, XML_FALSE);
#endif
	set_handlers(parser);
	return parser;
}

static void
parser_free(struct reader_pool *pool, struct parser *parser)
{
	XML_ParserFree(parser->expat);
	shape_unref(pool, &parser->shape);
	build_deinit(&parser->builder);
	buf_deinit(&parser->decls);
	free(parser);
}

static void
prime(struct reader_pool *pool, struct parser *parser, struct shape *shape)
{
	struct str text = shape->text;

	parser->shape = shape_ref(pool, text);
	must(XML_Parse(parser->expat, text.text, (int)text.len, 0) ==
	     XML_STATUS_OK);
	parser->open = true;
	parser->fed = text.len;
}

struct parser *
parser_take(struct reader_pool *pool, struct shape *shape,
    void (*set_handlers)(struct parser *))
{
	struct parser *parser;

	list_each (idle, &pool->idle, struct parser, link) {
		if (shape != NULL && idle->shape == shape) {
			list_remove(&idle->link);
			pool->idle_count--;
			return idle;
		}
	}
	parser = parser_new(set_handlers);
	if (shape != NULL)
		prime(pool, parser, shape);
	parser->begun = parser->fed;
	return parser;
}

void
parser_give(struct reader_pool *pool, struct parser **parser_at)
{
	struct parser *parser = *parser_at, *oldest;

	*parser_at = NULL;
	if (parser->names > PARSER_NAMES_MAX ||
	    parser->fed > PARSER_BYTES_MAX) {
		parser_free(pool, parser);
		return;
	}
	parser->reader = NULL;
	parser->into = NULL;
	parser->begun = parser->fed;
	parser->again = 0;
	list_add_first(&pool->idle, &parser->link);
	if (++pool->idle_count <= PARSER_IDLE_MAX)
		return;
	oldest = list_entry(list_last(&pool->idle), struct parser, link);
	list_remove(&oldest->link);
	pool->idle_count--;
	parser_free(pool, oldest);
}

void
parser_drop(struct reader_pool *pool, struct parser **parser_at)
{
	struct parser *parser = *parser_at;

	*parser_at = NULL;
	if (parser == NULL)
		return;
	if (parser->into == NULL)
		arena_free(&parser->builder.arena);
	parser_free(pool, parser);
}

/* --- pools ------------------------------------------------------------ */

/* For documents, whose readers nobody gives a pool. */
static _Thread_local struct reader_pool *of_thread;

struct reader_pool *
reader_pool_of_thread(void)
{
	return of_thread;
}

struct reader_pool *
reader_pool_new(void)
{
	struct reader_pool *pool = calloc(1, sizeof(*pool));

	must(pool != NULL);
	list_init(&pool->idle);
	table_init(&pool->shapes);
	if (of_thread == NULL)
		of_thread = pool;
	return pool;
}

void
reader_pool_free(struct reader_pool **pool_at)
{
	struct reader_pool *pool = *pool_at;

	*pool_at = NULL;
	if (pool == NULL)
		return;
	if (of_thread == pool)
		of_thread = NULL;
	list_each (parser, &pool->idle, struct parser, link) {
		list_remove(&parser->link);
		parser_free(pool, parser);
	}
	must(pool->shapes.count == 0);
	table_deinit(&pool->shapes);
	free(pool);
}

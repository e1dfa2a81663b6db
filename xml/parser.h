/*
 * xml/parser.h - expat's parsers, shared by the streams of one thread. Only
 * the reader uses it.
 *
 * A parser is primed with a stream header: it stands inside of an element that
 * has the header's name and namespaces, its shape. Between stanzas any stream
 * of that shape may use it. Expat keeps every name it has seen, so a parser is
 * freed when it has seen its budget of bytes or names.
 */
#pragma once

#include <expat.h>
#include <stdbool.h>

#include "base/buf.h"
#include "base/list.h"
#include "base/table.h"
#include "xml/build.h"

struct reader;

/* How many parsers without a stream a thread keeps. */
#define PARSER_IDLE_MAX 16
/* A name costs about 164 bytes, so that a parser holds 700 KiB at most. */
#define PARSER_NAMES_MAX 4096
#define PARSER_BYTES_MAX (256 * 1024)

/* The start tag of a stream, less all attributes but its namespaces. */
struct shape {
	struct table_link link;
	unsigned refs;
	struct str text;
};

struct parser {
	XML_Parser expat;
	struct link link;      /* in the pool while idle */
	struct shape *shape;   /* NULL before the header */
	struct reader *reader; /* NULL while idle */
	size_t fed;            /* bytes, since it was made */
	size_t begun;          /* where the stanza or header begins */
	size_t again;          /* bytes read again since begun */
	unsigned names;        /* started elements and attributes */
	unsigned children;     /* elements of the stanza */
	unsigned all_attrs;    /* attributes of those */
	bool open;             /* inside of the stream element */
	struct buf decls;      /* namespaces of the header, as attributes */
	struct str content_ns; /* the default one among them */
	struct builder builder;
	struct arena *into; /* where trees are built instead of their own */
};

struct reader_pool {
	struct list idle; /* of parsers, last used first */
	unsigned idle_count;
	struct table shapes;
};

/* The pool first made on this thread; NULL when it has none. */
struct reader_pool *reader_pool_of_thread(void);

/* Gives one primed with the shape, or a new one when shape is NULL. handlers
 * sets expat's handlers of a new one; its user data is the parser. */
struct parser *parser_take(struct reader_pool *, struct shape *,
    void (*set_handlers)(struct parser *));
/* Takes back one that stands between two stanzas with no bytes left over. */
void parser_give(struct reader_pool *, struct parser **);
/* Ends one that stands elsewhere; a tree begun goes with it. */
void parser_drop(struct reader_pool *, struct parser **);

/* The one shape with this text, with a reference more. */
struct shape *shape_ref(struct reader_pool *, struct str text);
void shape_unref(struct reader_pool *, struct shape **);

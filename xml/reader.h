/*
 * xml/reader.h - bytes of a stream in, stanzas out: expat made safe.
 *
 * A reader belongs to one stream. Between stanzas it holds no parser: with no
 * bytes left over the parser goes back to the pool of the shard, and another,
 * primed with a stream header of the same namespaces, is taken when bytes come.
 * A parser that has seen its budget of bytes or names is freed, and so is one
 * after an error.
 *
 * XML that RFC 6120, section 11.1, forbids (comments, processing
 * instructions, DTDs, entities) and whatever breaks a limit ends the stream.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/arena.h"
#include "base/str.h"
#include "xml/node.h"

struct reader_pool;
struct reader;

/* Of one thread. Documents read on that thread (reader_document) use its
 * parsers too. Freed after all of its readers. */
struct reader_pool *reader_pool_new(void);
void reader_pool_free(struct reader_pool **);

struct reader_limits {
	size_t bytes; /* of one stanza, and of the stream header */
	unsigned depth;
	unsigned attrs;     /* of one element */
	unsigned all_attrs; /* of all elements of one stanza; 0: any */
	unsigned children;  /* elements in one stanza, at any depth */
};

/* For XML that we stored ourselves. */
extern const struct reader_limits reader_limits_stored;

#define READ_ERR_MAP(X)                                                 \
	X(NONE, "no error")                                             \
	X(NOT_WELL_FORMED, "XML is not well-formed")                    \
	X(RESTRICTED, "comment, DTD, entity or processing instruction") \
	X(ENCODING, "not UTF-8")                                        \
	X(PREFIX, "namespace prefix is not declared")                   \
	X(TEXT, "text between stanzas")                                 \
	X(NESTED, "not one stream element")                             \
	X(TOO_LARGE, "stanza is too large")                             \
	X(TOO_DEEP, "elements nested too deep")                         \
	X(TOO_MANY, "too many attributes or elements")                  \
	X(PIECES, "one tag comes in too many pieces")

enum read_err {
#define X(name, text) READ_ERR_##name,
	READ_ERR_MAP(X)
#undef X
};

const char *read_err_text(enum read_err);

struct reader_events {
	/* The stream header: prefix and namespaces included, no children. Lives
	 * as long as the call. content_ns is the default namespace declared. */
	void (*on_open)(
	    struct reader *, const struct node *header, struct str content_ns);
	/* One child of the stream, whole. The callee takes the arena that it
	 * lives in; it may become a letter. */
	void (*on_stanza)(struct reader *, struct arena *, const struct node *);
	/* </stream:stream> */
	void (*on_close)(struct reader *);
	void (*on_error)(struct reader *, enum read_err);
};

/* limits may be changed by reader_limit. owner comes back by reader_owner. */
struct reader *reader_new(struct reader_pool *, const struct reader_events *,
    const struct reader_limits *, void *owner);
void reader_free(struct reader **);
void *reader_owner(const struct reader *);
void reader_limit(struct reader *, const struct reader_limits *);

/* Feeds bytes; events come before it returns. The last event may have been
 * preceded by reader_stop, after which none come. Must not be called from an
 * event. */
void reader_feed(struct reader *, struct str bytes);
/* From an event: no further event, the rest of the bytes is dropped. The
 * reader may be freed as soon as reader_feed has returned. */
void reader_stop(struct reader *);
/* A new stream begins on the connection (after STARTTLS or SASL): from an
 * event, takes effect at once; the rest of the bytes fed is the new stream's.
 */
void reader_restart(struct reader *);
/* Whether a stanza or the header has begun and not ended (for timeouts). */
bool reader_is_inside(const struct reader *);
/* Bytes held for it now. */
size_t reader_len(const struct reader *);

/* Reads one element that stands alone, as in a WebSocket frame (RFC 7395) or
 * in stored text; white space around it is fine. The default namespace is the
 * one given, "" for none. */
enum read_err reader_document(struct arena *, struct str text,
    const char *default_ns, const struct reader_limits *,
    const struct node **node_r);

/*
 * xml/writer.h - nodes as bytes.
 *
 * Every element whose namespace differs from its parent's declares it as the
 * default; attributes of a foreign namespace get a prefix of their own. Text
 * and values are escaped; what XML 1.0 cannot hold is left out.
 */
#pragma once

#include "base/buf.h"
#include "xml/node.h"

/* Appends the node; ns is the default namespace where it will stand ("" when
 * there is none, as for text that is stored). */
void writer_node(struct buf *, const struct node *, struct str ns);
/* Appends an opening tag without closing it: <stream:stream ...>. The element
 * is written with the prefix "stream" and xmlns of the given content. */
void writer_stream_open(
    struct buf *, const struct node *header, struct str content_ns);
/* The parts of an element whose start tag the caller writes himself. An
 * attribute with its blank before it; count tells apart those of one element.
 * Children: those in the node's own namespace, and so on down through them, are
 * written as if they were in ns, the default namespace there. The end tag. */
void writer_attr(struct buf *, const struct attr *, unsigned count);
void writer_children(struct buf *, const struct node *, struct str ns);
void writer_close(struct buf *, const struct node *);
void writer_escaped(struct buf *, struct str text);

/* The node as text in the arena, as node_parse reads it back with "". */
struct str writer_text(struct arena *, const struct node *);

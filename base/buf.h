/*
 * base/buf.h - bytes that grow at the end: what is being written.
 *
 * Its memory is malloc'ed, so that it can be kept and reused: a shard has a
 * few for all its streams. A zeroed buf is an empty one.
 */
#pragma once

#include <stdarg.h>

#include "base/str.h"

struct buf {
	char *text;
	size_t len, cap;
};

void buf_deinit(struct buf *);

void buf_add(struct buf *, struct str);
void buf_add_byte(struct buf *, char);
void buf_add_format(struct buf *, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
void buf_add_vformat(struct buf *, const char *format, va_list);
/* Room for len more bytes at the end, to be written directly; then buf_grew
 * says how many were. */
char *buf_room(struct buf *, size_t len);
void buf_grew(struct buf *, size_t len);
/* Forgets the first len bytes. */
void buf_drop(struct buf *, size_t len);
/* Empties it; memory above keep bytes is given back. */
void buf_clear(struct buf *, size_t keep);

static inline struct str
buf_str(const struct buf *buf) /* valid until the next change */
{
	return (struct str){buf->text, buf->len};
}

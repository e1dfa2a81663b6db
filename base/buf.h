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

void buf_add_format(struct buf *, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
void buf_add_vformat(struct buf *, const char *format, va_list);
/* Forgets the first len bytes. */
void buf_drop(struct buf *, size_t len);
/* Empties it; memory above keep bytes is given back. */
void buf_clear(struct buf *, size_t keep);

void buf_grew(struct buf *, size_t len);
/* For buf_room alone: there is less. */
void buf_grow(struct buf *, size_t len);

/* Room for len more bytes at the end, to be written directly; then buf_grew
 * says how many were. */
static inline char *
buf_room(struct buf *buf, size_t len)
{
	if (len > buf->cap - buf->len)
		buf_grow(buf, len);
	return buf->text + buf->len;
}

static inline void
buf_add(struct buf *buf, struct str str)
{
	if (str.len == 0)
		return;
	memcpy(buf_room(buf, str.len), str.text, str.len);
	buf->len += str.len;
}

static inline void
buf_add_byte(struct buf *buf, char byte)
{
	*buf_room(buf, 1) = byte;
	buf->len++;
}

static inline struct str
buf_str(const struct buf *buf) /* valid until the next change */
{
	return (struct str){buf->text, buf->len};
}

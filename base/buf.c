#include "base/buf.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/err.h"

#define FIRST_CAP 256

void
buf_deinit(struct buf *buf)
{
	free(buf->text);
	*buf = (struct buf){0};
}

void
buf_grow(struct buf *buf, size_t len)
{
	size_t cap = buf->cap < FIRST_CAP ? FIRST_CAP : buf->cap;

	must(len <= PTRDIFF_MAX - buf->len);
	while (cap - buf->len < len)
		cap *= 2;
	buf->text = realloc(buf->text, cap);
	must(buf->text != NULL);
	buf->cap = cap;
}

void
buf_grew(struct buf *buf, size_t len)
{
	must(len <= buf->cap - buf->len);
	buf->len += len;
}

void
buf_add_vformat(struct buf *buf, const char *format, va_list args)
{
	va_list again;
	size_t room;
	int len;

	va_copy(again, args);
	buf_room(buf, FIRST_CAP / 2);
	room = buf->cap - buf->len;
	len = vsnprintf(buf->text + buf->len, room, format, args);
	must(len >= 0);
	if ((size_t)len >= room)
		vsnprintf(buf_room(buf, (size_t)len + 1), (size_t)len + 1,
		    format, again);
	buf->len += (size_t)len;
	va_end(again);
}

void
buf_add_format(struct buf *buf, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	buf_add_vformat(buf, format, args);
	va_end(args);
}

void
buf_drop(struct buf *buf, size_t len)
{
	must(len <= buf->len);
	buf->len -= len;
	if (buf->len > 0 && len > 0)
		memmove(buf->text, buf->text + len, buf->len);
}

void
buf_clear(struct buf *buf, size_t keep)
{
	buf->len = 0;
	if (buf->cap > keep)
		buf_deinit(buf);
}

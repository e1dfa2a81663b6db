/*
 * base/str.h - a view of bytes, usually UTF-8, not NUL-terminated.
 *
 * A str owns nothing. Functions that make text put it into an arena, with a
 * NUL behind it, so that str.text can be given to C interfaces there.
 */
#pragma once

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "base/arena.h"

struct str {
	const char *text;
	size_t len;
};

#define STR(literal) ((struct str){(literal), sizeof(literal) - 1})
#define STR_NONE     ((struct str){NULL, 0})
/* For "%.*s". */
#define STR_ARG(str) (int)(str).len, ((str).text == NULL ? "" : (str).text)

static inline struct str
str_of(const char *text) /* NULL gives STR_NONE */
{
	return (struct str){text, text == NULL ? 0 : strlen(text)};
}

static inline bool
str_equal(struct str a, struct str b)
{
	return a.len == b.len &&
	       (a.len == 0 || memcmp(a.text, b.text, a.len) == 0);
}

/* str_is(name, "query") */
#define str_is(str, literal) str_equal((str), STR(literal))

bool str_equal_ascii_case(struct str, struct str); /* A-Z equal a-z */
bool str_starts(struct str, struct str prefix);
bool str_ends(struct str, struct str suffix);
/* As memcmp over the common part, then the shorter first. */
int str_compare(struct str, struct str);

/* Cuts at the first sep: what is before it and what is behind it. False, with
 * all of it in *before and *after empty (text NULL), when there is none. */
bool str_cut(struct str, char sep, struct str *before, struct str *after);
/* Without the white space (of XML) around it. */
struct str str_trim(struct str);

struct str str_dup(struct arena *, struct str);
struct str str_join2(struct arena *, struct str, struct str);
struct str str_format(struct arena *, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
struct str str_vformat(struct arena *, const char *format, va_list);

/* A whole decimal number without sign or blanks, up to max. */
bool str_to_u64(struct str, uint64_t max, uint64_t *number_r);
/* The same with an optional '-'. */
bool str_to_i64(struct str, int64_t *number_r);

/* Well-formed UTF-8 by RFC 3629: no surrogates, no overlong forms. */
bool str_is_utf8(struct str);
/* Bytes of the first character; 0 when it is not well-formed or str empty. */
size_t str_utf8_len(struct str);
/* How many code points well-formed UTF-8 has. */
size_t str_count_utf8(struct str);
/* Its first max bytes at most, and whole characters only. */
struct str str_shorten_utf8(struct str, size_t max);

#include "base/str.h"

#include <stdio.h>

#include "base/err.h"

static unsigned char
ascii_lower(char byte)
{
	unsigned char c = (unsigned char)byte;

	return c >= 'A' && c <= 'Z' ? (unsigned char)(c + ('a' - 'A')) : c;
}

bool
str_equal_ascii_case(struct str a, struct str b)
{
	if (a.len != b.len)
		return false;
	for (size_t i = 0; i < a.len; i++) {
		if (ascii_lower(a.text[i]) != ascii_lower(b.text[i]))
			return false;
	}
	return true;
}

bool
str_starts(struct str str, struct str prefix)
{
	return str.len >= prefix.len &&
	       (prefix.len == 0 ||
		   memcmp(str.text, prefix.text, prefix.len) == 0);
}

bool
str_ends(struct str str, struct str suffix)
{
	return str.len >= suffix.len &&
	       (suffix.len == 0 || memcmp(str.text + str.len - suffix.len,
				       suffix.text, suffix.len) == 0);
}

int
str_compare(struct str a, struct str b)
{
	size_t common = a.len < b.len ? a.len : b.len;
	int order = common == 0 ? 0 : memcmp(a.text, b.text, common);

	if (order != 0)
		return order;
	return (a.len > b.len) - (a.len < b.len);
}

bool
str_cut(struct str str, char sep, struct str *before, struct str *after)
{
	const char *at = str.len == 0 ? NULL : memchr(str.text, sep, str.len);

	if (at == NULL) {
		*before = str;
		*after = STR_NONE;
		return false;
	}
	*before = (struct str){str.text, (size_t)(at - str.text)};
	*after = (struct str){at + 1, str.len - before->len - 1};
	return true;
}

static bool
is_space(char c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

struct str
str_trim(struct str str)
{
	while (str.len > 0 && is_space(str.text[0])) {
		str.text++;
		str.len--;
	}
	while (str.len > 0 && is_space(str.text[str.len - 1]))
		str.len--;
	return str;
}

struct str
str_dup(struct arena *arena, struct str str)
{
	return (struct str){arena_dup(arena, str.text, str.len), str.len};
}

struct str
str_join2(struct arena *arena, struct str a, struct str b)
{
	char *text = arena_text(arena, a.len + b.len + 1);

	if (a.len > 0)
		memcpy(text, a.text, a.len);
	if (b.len > 0)
		memcpy(text + a.len, b.text, b.len);
	text[a.len + b.len] = '\0';
	return (struct str){text, a.len + b.len};
}

struct str
str_vformat(struct arena *arena, const char *format, va_list args)
{
	char guess[256];
	char *text;
	va_list again;
	int len;

	va_copy(again, args);
	len = vsnprintf(guess, sizeof(guess), format, args);
	must(len >= 0);
	if ((size_t)len < sizeof(guess)) {
		text = arena_dup(arena, guess, (size_t)len);
	} else {
		text = arena_text(arena, (size_t)len + 1);
		vsnprintf(text, (size_t)len + 1, format, again);
	}
	va_end(again);
	return (struct str){text, (size_t)len};
}

struct str
str_format(struct arena *arena, const char *format, ...)
{
	struct str str;
	va_list args;

	va_start(args, format);
	str = str_vformat(arena, format, args);
	va_end(args);
	return str;
}

bool
str_to_u64(struct str str, uint64_t max, uint64_t *number_r)
{
	uint64_t number = 0;

	if (str.len == 0)
		return false;
	for (size_t i = 0; i < str.len; i++) {
		char c = str.text[i];

		if (c < '0' || c > '9' ||
		    __builtin_mul_overflow(number, 10, &number) ||
		    __builtin_add_overflow(
			number, (uint64_t)(c - '0'), &number))
			return false;
	}
	if (number > max)
		return false;
	*number_r = number;
	return true;
}

bool
str_to_i64(struct str str, int64_t *number_r)
{
	bool negative = str.len > 0 && str.text[0] == '-';
	uint64_t number, max = (uint64_t)INT64_MAX + (negative ? 1 : 0);

	if (negative) {
		str.text++;
		str.len--;
	}
	if (!str_to_u64(str, max, &number))
		return false;
	*number_r = (int64_t)(negative ? 0 - number : number);
	return true;
}

/* RFC 3629, section 4. */
size_t
str_utf8_len(struct str str)
{
	const unsigned char *at = (const unsigned char *)str.text;
	unsigned char low = 0x80, high = 0xbf;
	size_t len;

	if (str.len == 0)
		return 0;
	if (at[0] < 0x80)
		return 1;
	if (at[0] < 0xc2 || at[0] > 0xf4)
		return 0;
	len = at[0] < 0xe0 ? 2 : at[0] < 0xf0 ? 3 : 4;
	if (len > str.len)
		return 0;
	if (at[0] == 0xe0)
		low = 0xa0;
	else if (at[0] == 0xed)
		high = 0x9f;
	else if (at[0] == 0xf0)
		low = 0x90;
	else if (at[0] == 0xf4)
		high = 0x8f;
	if (at[1] < low || at[1] > high)
		return 0;
	for (size_t i = 2; i < len; i++) {
		if (at[i] < 0x80 || at[i] > 0xbf)
			return 0;
	}
	return len;
}

static bool
eight_are_ascii(struct str str)
{
	uint64_t eight;

	if (str.len < sizeof(eight))
		return false;
	memcpy(&eight, str.text, sizeof(eight));
	return (eight & 0x8080808080808080) == 0;
}

bool
str_is_utf8(struct str str)
{
	while (str.len > 0) {
		size_t len = eight_are_ascii(str) ? 8 : str_utf8_len(str);

		if (len == 0)
			return false;
		str.text += len;
		str.len -= len;
	}
	return true;
}

size_t
str_count_utf8(struct str str)
{
	size_t count = 0;

	for (size_t i = 0; i < str.len; i++)
		count += ((unsigned char)str.text[i] & 0xc0) != 0x80;
	return count;
}

struct str
str_shorten_utf8(struct str str, size_t max)
{
	if (str.len <= max)
		return str;
	while (max > 0 && ((unsigned char)str.text[max] & 0xc0) == 0x80)
		max--;
	return (struct str){str.text, max};
}

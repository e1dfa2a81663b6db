#include "base/code.h"

static const char alphabet[] =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

struct str
base64_encode(struct arena *arena, struct str bytes)
{
	size_t len = (bytes.len + 2) / 3 * 4;
	char *text = arena_text(arena, len + 1), *at = text;

	for (size_t i = 0; i < bytes.len; i += 3) {
		size_t left = bytes.len - i;
		unsigned char in[3] = {0};

		memcpy(in, bytes.text + i, left < 3 ? left : 3);
		*at++ = alphabet[in[0] >> 2];
		*at++ = alphabet[(in[0] & 3) << 4 | in[1] >> 4];
		*at++ =
		    left > 1 ? alphabet[(in[1] & 15) << 2 | in[2] >> 6] : '=';
		*at++ = left > 2 ? alphabet[in[2] & 63] : '=';
	}
	*at = '\0';
	return (struct str){text, len};
}

/* -1 when it is not of the alphabet. */
static int
value_of(char c)
{
	if (c >= 'A' && c <= 'Z')
		return c - 'A';
	if (c >= 'a' && c <= 'z')
		return c - 'a' + 26;
	if (c >= '0' && c <= '9')
		return c - '0' + 52;
	if (c == '+')
		return 62;
	return c == '/' ? 63 : -1;
}

/* Four characters, of which the last pad are '='; RFC 4648, section 3.5: the
 * bits that no byte needs must be zero. */
static bool
decode_four(const char *in, unsigned pad, char *out)
{
	unsigned bits = 0;

	for (unsigned i = 0; i < 4; i++) {
		int value = i < 4 - pad ? value_of(in[i]) : 0;

		if (value < 0)
			return false;
		bits = bits << 6 | (unsigned)value;
	}
	if ((pad == 1 && (bits & 0xff) != 0) ||
	    (pad == 2 && (bits & 0xffff) != 0))
		return false;
	for (unsigned i = 0; i < 3 - pad; i++)
		out[i] = (char)(bits >> (16 - 8 * i) & 0xff);
	return true;
}

bool
base64_decode(struct arena *arena, struct str str, struct str *bytes_r)
{
	unsigned pad = str_ends(str, STR("==")) ? 2 : str_ends(str, STR("="));
	char *bytes;

	if (str.len % 4 != 0)
		return false;
	bytes = arena_text(arena, str.len / 4 * 3 + 1);
	for (size_t i = 0; i < str.len; i += 4) {
		bool is_last = i + 4 == str.len;

		if (!decode_four(
			str.text + i, is_last ? pad : 0, bytes + i / 4 * 3))
			return false;
	}
	bytes_r->text = bytes;
	bytes_r->len = str.len / 4 * 3 - pad;
	bytes[bytes_r->len] = '\0';
	return true;
}

struct str
hex_encode(struct arena *arena, struct str bytes)
{
	static const char digits[] = "0123456789abcdef";
	char *text = arena_text(arena, bytes.len * 2 + 1);

	for (size_t i = 0; i < bytes.len; i++) {
		unsigned char byte = (unsigned char)bytes.text[i];

		text[i * 2] = digits[byte >> 4];
		text[i * 2 + 1] = digits[byte & 15];
	}
	text[bytes.len * 2] = '\0';
	return (struct str){text, bytes.len * 2};
}

static int
digit_of(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

bool
hex_decode(struct arena *arena, struct str str, struct str *bytes_r)
{
	char *bytes;

	if (str.len % 2 != 0)
		return false;
	bytes = arena_text(arena, str.len / 2 + 1);
	for (size_t i = 0; i < str.len; i += 2) {
		int high = digit_of(str.text[i]);
		int low = digit_of(str.text[i + 1]);

		if (high < 0 || low < 0)
			return false;
		bytes[i / 2] = (char)(high << 4 | low);
	}
	bytes[str.len / 2] = '\0';
	*bytes_r = (struct str){bytes, str.len / 2};
	return true;
}

#include "base/escape.h"

enum form { TEXT, JSON_STRING, JSON };

static bool
is_control(const unsigned char *at, size_t left)
{
	return at[0] < 0x20 || at[0] == 0x7f ||
	       (at[0] == 0xc2 && left > 1 && at[1] < 0xa0);
}

/* White space between what JSON is made of. */
static bool
is_blank(unsigned char c)
{
	return c == '\t' || c == '\n' || c == '\r';
}

/* at: a character of len bytes; 0: not UTF-8. */
static void
add_one(struct buf *buf, const unsigned char *at, size_t len, enum form form)
{
	const char *hex = form == TEXT ? "\\x%02x" : "\\u%04x";

	if (len == 0 && form != TEXT)
		buf_add(buf, STR("\\ufffd"));
	else if (len == 0)
		buf_add_format(buf, hex, at[0]);
	else if (is_control(at, len) && !(form == JSON && is_blank(at[0])))
		buf_add_format(buf, hex, at[len - 1]);
	else if (form == JSON_STRING && (at[0] == '"' || at[0] == '\\'))
		buf_add_format(buf, "\\%c", at[0]);
	else
		buf_add(buf, (struct str){(const char *)at, len});
}

static void
add(struct buf *buf, struct str text, enum form form)
{
	while (text.len > 0) {
		const size_t len = str_utf8_len(text);
		const size_t step = len == 0 ? 1 : len;

		add_one(buf, (const unsigned char *)text.text, len, form);
		text = (struct str){text.text + step, text.len - step};
	}
}

void
escape_text(struct buf *buf, struct str text)
{
	add(buf, text, TEXT);
}

void
escape_json_string(struct buf *buf, struct str text)
{
	add(buf, text, JSON_STRING);
}

void
escape_json(struct buf *buf, struct str text)
{
	add(buf, text, JSON);
}

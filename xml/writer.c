#include "xml/writer.h"

#include <stdint.h>

/* What is to be done with a byte. */
enum byte_class {
	PLAIN,  /* stands as it is */
	MARKUP, /* means something in text */
	QUOTED, /* means something or is changed in values only */
	HIGH,   /* begins or continues a character of several bytes */
	NEVER,  /* XML 1.0 has no way to say it (section 2.2) */
};

static const uint8_t classes[256] = {
    [0x00 ... 0x08] = NEVER,
    ['\t' ... '\n'] = QUOTED,
    [0x0b ... 0x0c] = NEVER,
    ['\r'] = MARKUP,
    [0x0e ... 0x1f] = NEVER,
    ['\''] = QUOTED,
    ['"'] = QUOTED,
    ['&'] = MARKUP,
    ['<'] = MARKUP,
    ['>'] = MARKUP,
    [0x80 ... 0xff] = HIGH,
};

/* Most text is plain, so it is looked at in pieces of this. */
#define WIDE_LEN 16
typedef int8_t wide __attribute__((vector_size(WIDE_LEN)));

static void
add_escape(struct buf *buf, char byte)
{
	switch (byte) {
	case '&':
		buf_add(buf, STR("&amp;"));
		break;
	case '<':
		buf_add(buf, STR("&lt;"));
		break;
	case '>':
		buf_add(buf, STR("&gt;"));
		break;
	case '\'':
		buf_add(buf, STR("&apos;"));
		break;
	case '"':
		buf_add(buf, STR("&quot;"));
		break;
	default:
		/* White space that a parser would change (sections 2.11 and
		 * 3.3.3). */
		buf_add_format(buf, "&#%d;", byte);
	}
}

/* Bytes of the character at the start of text, 0 when XML cannot hold it. */
static size_t
high_len(struct str text)
{
	size_t len = str_utf8_len(text);
	bool is_ffff =
	    len == 3 && (memcmp(text.text, "\xef\xbf\xbe", 3) == 0 ||
			    memcmp(text.text, "\xef\xbf\xbf", 3) == 0);

	return is_ffff ? 0 : len;
}

/* Whether all of them are PLAIN. Bytes from 0x80 on are less than 0 here. */
static bool
is_wide_plain(const char *text)
{
	wide bytes, odd;
	uint64_t parts[2];

	memcpy(&bytes, text, WIDE_LEN);
	odd = (bytes < ' ') | (bytes == '&') | (bytes == '<') | (bytes == '>') |
	      (bytes == '\'') | (bytes == '"');
	memcpy(parts, &odd, WIDE_LEN);
	return (parts[0] | parts[1]) == 0;
}

/* Bytes at the start of text that can be copied: some plain ones, or one
 * character; 0 when it cannot. QUOTED: for values; MARKUP: for text between
 * tags. */
static size_t
copied_len(struct str text, enum byte_class what)
{
	const size_t most = text.len < WIDE_LEN ? text.len : WIDE_LEN;
	size_t len = 0;

	while (len < most && classes[(uint8_t)text.text[len]] == PLAIN)
		len++;
	if (len > 0)
		return len;
	if (classes[(uint8_t)text.text[0]] == HIGH)
		return high_len(text);
	return classes[(uint8_t)text.text[0]] == QUOTED && what == MARKUP ? 1
									  : 0;
}

/* How many bytes from there on can be copied. */
static size_t
plain_len(struct str text, enum byte_class what)
{
	size_t len = 0, wide_end = 0, one;

	while (len < text.len) {
		if (len >= wide_end && text.len >= WIDE_LEN) {
			wide_end = len + WIDE_LEN < text.len ? len + WIDE_LEN
							     : text.len;
			if (is_wide_plain(text.text + wide_end - WIDE_LEN)) {
				len = wide_end;
				continue;
			}
		}
		one = copied_len(
		    (struct str){text.text + len, text.len - len}, what);
		if (one == 0)
			break;
		len += one;
	}
	return len;
}

static void
escape(struct buf *buf, struct str text, enum byte_class what)
{
	while (text.len > 0) {
		size_t len = plain_len(text, what);

		buf_add(buf, (struct str){text.text, len});
		if (len < text.len) {
			enum byte_class class =
			    classes[(uint8_t)text.text[len]];

			if (class == MARKUP || class == QUOTED)
				add_escape(buf, text.text[len]);
			len++;
		}
		text.text += len;
		text.len -= len;
	}
}

void
writer_escaped(struct buf *buf, struct str text)
{
	escape(buf, text, QUOTED);
}

static void
add_value(struct buf *buf, struct str value)
{
	buf_add(buf, STR("='"));
	escape(buf, value, QUOTED);
	buf_add_byte(buf, '\'');
}

/* The prefix of an attribute in a foreign namespace; they are counted on each
 * element, as unprefixed elements can never clash with them. */
static void
add_prefix(struct buf *buf, struct str ns, unsigned count)
{
	if (str_is(ns, NS_XML)) {
		buf_add(buf, STR(" xml:"));
		return;
	}
	buf_add_format(buf, " xmlns:a%u", count);
	add_value(buf, ns);
	buf_add_format(buf, " a%u:", count);
}

void
writer_attr(struct buf *buf, const struct attr *attr, unsigned count)
{
	if (attr->ns.len == 0)
		buf_add_byte(buf, ' ');
	else
		add_prefix(buf, attr->ns, count);
	buf_add(buf, attr->name);
	add_value(buf, attr->value);
}

static void
add_attrs(struct buf *buf, const struct node *node)
{
	unsigned count = 0;

	for (const struct attr *attr = node->attrs; attr != NULL;
	    attr = attr->next)
		writer_attr(buf, attr, count++);
}

static void
add_ns(struct buf *buf, struct str ns)
{
	buf_add(buf, STR(" xmlns"));
	add_value(buf, ns);
}

/* Namespaces in XML 1.0, section 3: nobody may declare this one as the
 * default. */
static bool
is_xml(const struct node *node)
{
	return str_is(node->ns, NS_XML);
}

static void
add_name(struct buf *buf, const struct node *node)
{
	if (is_xml(node))
		buf_add(buf, STR("xml:"));
	buf_add(buf, node->name);
}

/* What is in from's namespace is written as if it were in to's. */
struct change {
	struct str from, to;
};

static void add_node(
    struct buf *, const struct node *, struct str ns, struct change);

static void
add_children(
    struct buf *buf, const struct node *node, struct str ns, struct change how)
{
	const struct node *child = node->first;

	for (; child != NULL; child = child->next)
		add_node(buf, child, ns, how);
}

static void
add_node(
    struct buf *buf, const struct node *node, struct str ns, struct change how)
{
	struct str own = node->ns;

	if (node_is_text(node)) {
		escape(buf, node->text, MARKUP);
		return;
	}
	/* Below a foreign element everything keeps its namespace: a forwarded
	 * stanza says what it says. */
	if (str_equal(own, how.from))
		own = how.to;
	else
		how.from = how.to;
	buf_add_byte(buf, '<');
	add_name(buf, node);
	if (is_xml(node))
		own = ns;
	else if (!str_equal(own, ns))
		add_ns(buf, own);
	add_attrs(buf, node);
	if (node->first == NULL) {
		buf_add(buf, STR("/>"));
		return;
	}
	buf_add_byte(buf, '>');
	add_children(buf, node, own, how);
	writer_close(buf, node);
}

void
writer_node(struct buf *buf, const struct node *node, struct str ns)
{
	add_node(buf, node, ns, (struct change){ns, ns});
}

void
writer_children(struct buf *buf, const struct node *node, struct str ns)
{
	add_children(buf, node, ns, (struct change){node->ns, ns});
}

void
writer_close(struct buf *buf, const struct node *node)
{
	buf_add(buf, STR("</"));
	add_name(buf, node);
	buf_add_byte(buf, '>');
}

void
writer_stream_open(
    struct buf *buf, const struct node *header, struct str content_ns)
{
	buf_add(buf, STR("<stream:"));
	buf_add(buf, header->name);
	add_ns(buf, content_ns);
	buf_add(buf, STR(" xmlns:stream"));
	add_value(buf, header->ns);
	add_attrs(buf, header);
	buf_add_byte(buf, '>');
}

struct str
writer_text(struct arena *arena, const struct node *node)
{
	struct buf buf = {0};
	struct str text;

	writer_node(&buf, node, STR(""));
	text = str_dup(arena, buf_str(&buf));
	buf_deinit(&buf);
	return text;
}

#include "server/names.h"

#include <arpa/inet.h>
#include <stdint.h>

#include "base/buf.h"
#include "xml/prep.h"

#define TAG_OID        0x06
#define TAG_UTF8       0x0c
#define TAG_IA5        0x16
#define TAG_SEQUENCE   0x30
#define TAG_DNS_NAME   0x82 /* [2] IA5String */
#define TAG_OTHER_NAME 0xa0 /* [0] OtherName */
#define TAG_VALUE      0xa0 /* [0] EXPLICIT ANY, in an OtherName */

#define NAMES_MAX      1024
#define NAMES_SAID_MAX 5
#define SERVICE        "_xmpp-server."

/* id-on-xmppAddr and id-on-dnsSRV: 1.3.6.1.5.5.7.8.5 and .7 */
static const struct str oid_xmpp = {"\x2b\x06\x01\x05\x05\x07\x08\x05", 8};
static const struct str oid_srv = {"\x2b\x06\x01\x05\x05\x07\x08\x07", 8};

/* --- reading DER ---------------------------------------------------------- */

static uint8_t
byte_at(struct str der, size_t at)
{
	return (uint8_t)der.text[at];
}

/* Of one to three octets: more than that no certificate of a handshake has. */
static bool
read_len(struct str der, size_t *head_r, size_t *len_r)
{
	size_t count, len = 0;

	if (byte_at(der, 1) < 0x80) {
		*head_r = 2;
		*len_r = byte_at(der, 1);
		return true;
	}
	count = byte_at(der, 1) & 0x7f;
	if (count == 0 || count > 3 || der.len < 2 + count)
		return false;
	for (size_t i = 0; i < count; i++)
		len = len << 8 | byte_at(der, 2 + i);
	*head_r = 2 + count;
	*len_r = len;
	return true;
}

/* Takes one element off the front. */
static bool
take(struct str *der, uint8_t *tag_r, struct str *content_r)
{
	size_t head, len;

	if (der->len < 2 || !read_len(*der, &head, &len) ||
	    len > der->len - head)
		return false;
	*tag_r = byte_at(*der, 0);
	*content_r = (struct str){der->text + head, len};
	der->text += head + len;
	der->len -= head + len;
	return true;
}

static bool
take_tagged(struct str *der, uint8_t tag, struct str *content_r)
{
	uint8_t found;

	return take(der, &found, content_r) && found == tag;
}

/* An OtherName: OID and value. True also for kinds that are of no interest. */
static bool
read_other(struct str der, struct name *name_r)
{
	struct str oid, value;

	if (!take_tagged(&der, TAG_OID, &oid) ||
	    !take_tagged(&der, TAG_VALUE, &value))
		return false;
	if (str_equal(oid, oid_srv)) {
		name_r->kind = NAME_SRV;
		return take_tagged(&value, TAG_IA5, &name_r->text);
	}
	if (str_equal(oid, oid_xmpp)) {
		name_r->kind = NAME_XMPP;
		return take_tagged(&value, TAG_UTF8, &name_r->text);
	}
	return true;
}

static bool
read_all(struct str der, struct name *items, size_t *count)
{
	while (der.len > 0) {
		struct name name = {0};
		struct str content;
		uint8_t tag;

		if (!take(&der, &tag, &content))
			return false;
		if (tag == TAG_DNS_NAME)
			name = (struct name){NAME_DNS, content};
		else if (tag == TAG_OTHER_NAME && !read_other(content, &name))
			return false;
		if (name.text.len > 0 && *count < NAMES_MAX)
			items[(*count)++] = name;
	}
	return true;
}

bool
names_read(struct arena *arena, struct str extension, struct names *names_r)
{
	struct str all;
	struct name *items;
	size_t count = 0, room;

	*names_r = (struct names){NULL, 0};
	if (!take_tagged(&extension, TAG_SEQUENCE, &all) || extension.len > 0)
		return false;
	/* No name takes less than three octets. */
	room = all.len / 3 < NAMES_MAX ? all.len / 3 : NAMES_MAX;
	items = arena_array(arena, struct name, room + 1);
	if (!read_all(all, items, &count))
		return false;
	*names_r = (struct names){items, count};
	return true;
}

/* --- matching ------------------------------------------------------------- */

static bool
is_address(struct arena *arena, struct str domain)
{
	uint8_t address[16];

	return domain.len == 0 || domain.text[0] == '[' ||
	       inet_pton(AF_INET, str_dup(arena, domain).text, address) == 1;
}

bool
name_wanted_of(
    struct arena *arena, struct str domain, struct name_wanted *wanted_r)
{
	*wanted_r = (struct name_wanted){domain, domain};
	return !is_address(arena, domain) &&
	       prep_domain_ascii(arena, &wanted_r->ascii);
}

/* RFC 9525, section 6.3. */
static bool
dns_matches(struct str name, struct str ascii)
{
	struct str label, rest;

	if (!str_starts(name, STR("*.")))
		return str_equal_ascii_case(name, ascii);
	name.text += 2;
	name.len -= 2;
	return str_cut(ascii, '.', &label, &rest) && label.len > 0 &&
	       str_equal_ascii_case(name, rest);
}

static bool
srv_matches(struct str name, struct str ascii)
{
	const struct str service = STR(SERVICE);
	struct str begin = {name.text, service.len};

	if (name.len <= service.len || !str_equal_ascii_case(begin, service))
		return false;
	name.text += service.len;
	name.len -= service.len;
	return dns_matches(name, ascii);
}

/* A JID that is a domain only. */
static bool
xmpp_matches(struct arena *arena, struct str name, struct str domain)
{
	return name.len <= PREP_PART_MAX && prep_domain(arena, &name) &&
	       str_equal(name, domain);
}

static bool
matches(const struct name *name, struct arena *arena,
    const struct name_wanted *wanted)
{
	switch (name->kind) {
	case NAME_DNS:
		return dns_matches(name->text, wanted->ascii);
	case NAME_SRV:
		return srv_matches(name->text, wanted->ascii);
	default:
		return xmpp_matches(arena, name->text, wanted->domain);
	}
}

const struct name *
names_find(const struct names *names, struct arena *arena,
    const struct name_wanted *wanted)
{
	for (size_t i = 0; i < names->count; i++) {
		if (matches(&names->items[i], arena, wanted))
			return &names->items[i];
	}
	return NULL;
}

/* --- telling -------------------------------------------------------------- */

/* A certificate's text goes into logs. */
static void
add_printable(struct buf *buf, struct str text)
{
	for (size_t i = 0; i < text.len && i < PREP_PART_MAX; i++) {
		bool is_plain = text.text[i] > ' ' && text.text[i] < 0x7f;

		buf_add_byte(buf, is_plain ? text.text[i] : '?');
	}
}

struct str
names_text(const struct names *names, struct arena *arena)
{
	struct buf buf = {0};
	struct str text;

	if (names->count == 0)
		return STR("no domain");
	for (size_t i = 0; i < names->count && i < NAMES_SAID_MAX; i++) {
		if (i > 0)
			buf_add(&buf, STR(", "));
		add_printable(&buf, names->items[i].text);
	}
	if (names->count > NAMES_SAID_MAX)
		buf_add_format(
		    &buf, " and %zu more", names->count - NAMES_SAID_MAX);
	text = str_dup(arena, buf_str(&buf));
	buf_deinit(&buf);
	return text;
}

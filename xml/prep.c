#include "xml/prep.h"

#include "xml/idna.h"
#include "xml/precis.h"
#include "xml/saslprep.h"

/* What ASCII is allowed where; nearly all strings need no more. */
enum {
	LOCAL = 1,    /* IdentifierClass less RFC 7622, section 3.3.1 */
	DOMAIN = 2,   /* letters, digits, hyphen and, between labels, the dot */
	FREEFORM = 4, /* FreeformClass: printable, and the space */
	UPPER = 8,    /* becomes lower case in a localpart or domain */
};

#define LETTER (LOCAL | DOMAIN | FREEFORM)
#define SIGN   (LOCAL | FREEFORM)

static const uint8_t classes[256] = {
    [' '] = FREEFORM,
    ['!'] = SIGN,
    ['"'] = FREEFORM,
    ['#' ... '%'] = SIGN,
    ['&' ... '\''] = FREEFORM,
    ['(' ... ','] = SIGN,
    ['-' ... '.'] = LETTER,
    ['/'] = FREEFORM,
    ['0' ... '9'] = LETTER,
    [':'] = FREEFORM,
    [';'] = SIGN,
    ['<'] = FREEFORM,
    ['='] = SIGN,
    ['>'] = FREEFORM,
    ['?'] = SIGN,
    ['@'] = FREEFORM,
    ['A' ... 'Z'] = LETTER | UPPER,
    ['[' ... '`'] = SIGN,
    ['a' ... 'z'] = LETTER,
    ['{' ... '~'] = SIGN,
};

struct kinds {
	unsigned all;  /* classes that every byte is in */
	unsigned some; /* classes that any byte is in */
	bool ascii;
};

static struct kinds
kinds_of(struct str text)
{
	struct kinds kinds = {.all = LETTER};
	uint8_t high = 0;

	for (size_t i = 0; i < text.len; i++) {
		uint8_t byte = (uint8_t)text.text[i];

		kinds.all &= classes[byte];
		kinds.some |= classes[byte];
		high |= byte;
	}
	kinds.ascii = high < 0x80;
	return kinds;
}

static void
lower(struct arena *arena, struct str *text)
{
	char *copy = arena_dup(arena, text->text, text->len);

	for (size_t i = 0; i < text->len; i++) {
		if (classes[(uint8_t)copy[i]] & UPPER)
			copy[i] = (char)(copy[i] | 0x20);
	}
	text->text = copy;
}

/* What prepared text may have been before: some code points compose to a
 * third of their length. */
#define RAW_MAX (4 * PREP_PART_MAX)

/* RFC 7622, section 3.3.1: on what comes out, as a full-width character may
 * have become one of these. */
static bool
may_be_local(struct str text)
{
	for (size_t i = 0; i < text.len; i++) {
		if ((uint8_t)text.text[i] < 0x80 &&
		    !(classes[(uint8_t)text.text[i]] & LOCAL))
			return false;
	}
	return text.len > 0 && text.len <= PREP_PART_MAX;
}

bool
prep_local(struct arena *arena, struct str *text)
{
	struct kinds kinds;
	struct str wide = *text;

	if (text->text == NULL)
		return true;
	if (text->len > RAW_MAX)
		return false;
	kinds = kinds_of(*text);
	if (!kinds.ascii) {
		if (!precis_username(arena, &wide) || !may_be_local(wide))
			return false;
		*text = wide;
		return true;
	}
	if (text->len == 0 || text->len > PREP_PART_MAX || !(kinds.all & LOCAL))
		return false;
	if (kinds.some & UPPER)
		lower(arena, text);
	return true;
}

/* RFC 7622, section 3.2.1, asks for NR-LDH labels and U-labels, so that there
 * is no underscore and no A-label; "localhost" is a label like others. An IPv4
 * address reads as four NR-LDH labels. */
bool
prep_domain(struct arena *arena, struct str *text)
{
	struct str domain = *text;
	struct kinds kinds;

	if (domain.len > 0 && domain.text[domain.len - 1] == '.')
		domain.len--;
	if (domain.len == 0 || domain.len > RAW_MAX)
		return false;
	kinds = kinds_of(domain);
	if (kinds.ascii && (kinds.all & DOMAIN) && (kinds.some & UPPER))
		lower(arena, &domain);
	if (domain.text[0] == '[') {
		if (!idna_ipv6(arena, &domain))
			return false;
	} else if (!kinds.ascii || !(kinds.all & DOMAIN) ||
		   !idna_is_ldh(domain)) {
		if (!idna_domain(arena, &domain))
			return false;
	}
	*text = domain;
	return domain.len <= PREP_PART_MAX;
}

bool
prep_password(struct arena *arena, struct str *text)
{
	struct kinds kinds = kinds_of(*text);

	if (!kinds.ascii)
		return precis_opaque(arena, text);
	return text->len > 0 && (kinds.all & FREEFORM);
}

bool
prep_resource(struct arena *arena, struct str *text)
{
	struct str resource = *text;

	if (text->text == NULL)
		return true;
	if (text->len > RAW_MAX || !prep_password(arena, &resource) ||
	    resource.len > PREP_PART_MAX)
		return false;
	*text = resource;
	return true;
}

bool
prep_sasl(struct arena *arena, struct str *text)
{
	struct kinds kinds = kinds_of(*text);

	if (!kinds.ascii)
		return saslprep(arena, text);
	return text->len > 0 && (kinds.all & FREEFORM);
}

bool
prep_domain_ascii(struct arena *arena, struct str *text)
{
	return kinds_of(*text).ascii || idna_ascii(arena, text);
}

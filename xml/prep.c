#include "xml/prep.h"

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

bool
prep_local(struct arena *arena, struct str *text)
{
	struct kinds kinds;

	if (text->text == NULL)
		return true;
	if (text->len == 0 || text->len > PREP_PART_MAX)
		return false;
	kinds = kinds_of(*text);
	if (!kinds.ascii || !(kinds.all & LOCAL))
		return false;
	if (kinds.some & UPPER)
		lower(arena, text);
	return true;
}

bool
prep_domain(struct arena *arena, struct str *text)
{
	struct kinds kinds;

	if (text->len > 0 && text->text[text->len - 1] == '.')
		text->len--;
	if (text->len == 0 || text->len > PREP_PART_MAX)
		return false;
	kinds = kinds_of(*text);
	if (!kinds.ascii || !(kinds.all & DOMAIN))
		return false;
	if (kinds.some & UPPER)
		lower(arena, text);
	return true;
}

static bool
prep_opaque(struct arena *arena, struct str *text)
{
	struct kinds kinds = kinds_of(*text);

	return kinds.ascii && text->len > 0 && (kinds.all & FREEFORM);
}

bool
prep_resource(struct arena *arena, struct str *text)
{
	if (text->text == NULL)
		return true;
	return text->len <= PREP_PART_MAX && prep_opaque(arena, text);
}

bool
prep_password(struct arena *arena, struct str *text)
{
	return prep_opaque(arena, text);
}

bool
prep_sasl(struct arena *arena, struct str *text)
{
	return prep_opaque(arena, text);
}

bool
prep_domain_ascii(struct arena *arena, struct str *text)
{
	return kinds_of(*text).ascii;
}

#include "xml/idna.h"

#include <arpa/inet.h>
#include <idn2.h>
#include <string.h>

#include "base/buf.h"
#include "xml/codes.h"

/* --- ASCII ------------------------------------------------------------ */

static bool
is_ascii(struct str text)
{
	for (size_t i = 0; i < text.len; i++) {
		if ((unsigned char)text.text[i] >= 0x80)
			return false;
	}
	return true;
}

static bool
is_ldh_char(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-';
}

/* RFC 5890, section 2.3.1: letters, digits and inner hyphens; "??--" is
 * reserved, be it for A-labels or for what may come. */
static bool
label_is_ldh(struct str label)
{
	if (label.len == 0 || label.len > IDNA_LABEL_MAX ||
	    label.text[0] == '-' || label.text[label.len - 1] == '-')
		return false;
	if (label.len >= 4 && memcmp(label.text + 2, "--", 2) == 0)
		return false;
	for (size_t i = 0; i < label.len; i++) {
		if (!is_ldh_char(label.text[i]))
			return false;
	}
	return true;
}

/* Cuts off the first label. False when there is none any more. */
static bool
next_label(struct str *rest, struct str *label_r)
{
	struct str after;

	if (rest->text == NULL)
		return false;
	str_cut(*rest, '.', label_r, &after);
	*rest = after;
	return true;
}

bool
idna_is_ldh(struct str domain)
{
	struct str rest = domain, label;

	if (domain.len > IDNA_DOMAIN_MAX)
		return false;
	while (next_label(&rest, &label)) {
		if (!label_is_ldh(label))
			return false;
	}
	return true;
}

/* --- labels ----------------------------------------------------------- */

/* What RFC 5895, section 2, maps in what a user has typed. */
static struct codes
map(struct arena *arena, struct codes codes)
{
	codes = codes_lower(arena, codes);
	codes_map_width(codes);
	codes = codes_nfc(arena, codes);
	for (size_t i = 0; i < codes.len; i++) {
		if (codes.at[i] == 0x3002) /* ideographic full stop */
			codes.at[i] = '.';
	}
	return codes;
}

static struct str
take(struct arena *arena, void *made)
{
	struct str text = str_dup(arena, str_of(made));

	idn2_free(made);
	return text;
}

/* The A-label of a U-label; text NULL when it is none: RFC 5891, section
 * 4.2. alabel is what it should be, NULL when that is not known. */
static struct str
a_label(struct arena *arena, struct str ulabel, const char *alabel)
{
	const char *text = str_dup(arena, ulabel).text;
	uint8_t *made = NULL;

	if (memchr(ulabel.text, '\0', ulabel.len) != NULL ||
	    idn2_register_u8((const uint8_t *)text, (const uint8_t *)alabel,
		&made, IDN2_NO_TR46) != IDN2_OK)
		return STR_NONE;
	return take(arena, made);
}

/* The U-label of an A-label; text NULL when it is none. RFC 5891, section
 * 5.3: the way back must lead to the same A-label. */
static struct str
u_label(struct arena *arena, struct str alabel)
{
	const char *text = str_dup(arena, alabel).text;
	struct str ulabel;
	char *made = NULL;

	if (memchr(alabel.text, '\0', alabel.len) != NULL ||
	    idn2_to_unicode_8z8z(text, &made, IDN2_NO_TR46) != IDN2_OK)
		return STR_NONE;
	ulabel = take(arena, made);
	if (is_ascii(ulabel) || a_label(arena, ulabel, text).text == NULL)
		return STR_NONE;
	return ulabel;
}

struct domain {
	struct arena *arena;
	struct buf text;
	size_t ascii_len; /* of the same domain in A-labels, with a dot more */
};

static bool
add_label(struct domain *domain, struct str label)
{
	struct str ascii = label;

	if (str_starts(label, STR("xn--"))) {
		label = u_label(domain->arena, label);
		if (label.text == NULL)
			return false;
	} else if (!is_ascii(label)) {
		ascii = a_label(domain->arena, label, NULL);
		if (ascii.text == NULL)
			return false;
	} else if (!label_is_ldh(label)) {
		return false;
	}
	if (domain->text.len > 0)
		buf_add_byte(&domain->text, '.');
	buf_add(&domain->text, label);
	domain->ascii_len += ascii.len + 1;
	return true;
}

/* In a domain with any right-to-left label all labels obey the Bidi Rule, RFC
 * 5893, section 2. */
static bool
obeys_bidi_rule(struct arena *arena, struct str domain)
{
	struct str rest = domain, label;
	struct codes codes;

	if (!codes_read(arena, domain, &codes))
		return false;
	if (!codes_have_rtl(codes))
		return true;
	while (next_label(&rest, &label)) {
		if (!codes_read(arena, label, &codes) ||
		    !codes_obey_bidi_rule(codes))
			return false;
	}
	return true;
}

static bool
add_labels(struct domain *domain, struct str rest)
{
	struct str label;

	while (next_label(&rest, &label)) {
		if (!add_label(domain, label))
			return false;
	}
	return true;
}

/* What is a domain already is not mapped: in Unicode's Cherokee it is the small
 * letters that IDNA does not allow. */
static bool
prepare(struct domain *domain, struct str text)
{
	struct codes codes;

	if (!codes_read(domain->arena, text, &codes))
		return false;
	if (!add_labels(domain, text)) {
		domain->text.len = 0;
		domain->ascii_len = 0;
		codes = map(domain->arena, codes);
		if (!add_labels(domain, codes_text(domain->arena, codes)))
			return false;
	}
	return domain->ascii_len - 1 <= IDNA_DOMAIN_MAX &&
	       obeys_bidi_rule(domain->arena, buf_str(&domain->text));
}

bool
idna_domain(struct arena *arena, struct str *text)
{
	struct domain domain = {.arena = arena_make(0)};
	bool ok = prepare(&domain, *text);

	if (ok)
		*text = str_dup(arena, buf_str(&domain.text));
	buf_deinit(&domain.text);
	arena_free(&domain.arena);
	return ok;
}

bool
idna_ascii(struct arena *arena, struct str *text)
{
	const char *domain = str_dup(arena, *text).text;
	uint8_t *made = NULL;

	if (idn2_lookup_u8((const uint8_t *)domain, &made, IDN2_NO_TR46) !=
	    IDN2_OK)
		return false;
	*text = take(arena, made);
	return true;
}

/* --- addresses -------------------------------------------------------- */

bool
idna_ipv6(struct arena *arena, struct str *text)
{
	char inner[INET6_ADDRSTRLEN];
	struct in6_addr address;
	size_t len = text->len - 2;

	if (text->len < 2 || !str_starts(*text, STR("[")) ||
	    !str_ends(*text, STR("]")) || len >= sizeof(inner))
		return false;
	memcpy(inner, text->text + 1, len);
	inner[len] = '\0';
	if (strlen(inner) != len || inet_pton(AF_INET6, inner, &address) != 1)
		return false;
	inet_ntop(AF_INET6, &address, inner, sizeof(inner));
	*text = str_format(arena, "[%s]", inner);
	return true;
}

#include "xml/codes.h"

#include <stdlib.h>
#include <string.h>
#include <unicase.h>
#include <unictype.h>
#include <uninorm.h>
#include <unistr.h>

#include "base/err.h"

bool
codes_read(struct arena *arena, struct str text, struct codes *codes_r)
{
	const uint8_t *at = (const uint8_t *)text.text, *end = at + text.len;
	struct codes codes = {arena_array(arena, uint32_t, text.len), 0};

	if (!str_is_utf8(text))
		return false;
	while (at < end)
		at += u8_mbtouc(&codes.at[codes.len++], at, (size_t)(end - at));
	*codes_r = codes;
	return true;
}

struct str
codes_text(struct arena *arena, struct codes codes)
{
	/* Four bytes are the most that a code point takes. */
	uint8_t *text = (uint8_t *)arena_text(arena, codes.len * 4 + 1);
	size_t len = 0;

	for (size_t i = 0; i < codes.len; i++) {
		int used = u8_uctomb(text + len, codes.at[i], 4);

		must(used > 0);
		len += (size_t)used;
	}
	text[len] = '\0';
	return (struct str){(char *)text, len};
}

bool
codes_equal(struct codes a, struct codes b)
{
	return a.len == b.len &&
	       memcmp(a.at, b.at, a.len * sizeof(a.at[0])) == 0;
}

/* --- mapping ---------------------------------------------------------- */

void
codes_map_width(struct codes codes)
{
	for (size_t i = 0; i < codes.len; i++) {
		ucs4_t parts[UC_DECOMPOSITION_MAX_LENGTH];
		int tag, count = uc_decomposition(codes.at[i], &tag, parts);

		/* None of these types is more than one code point. */
		if (count == 1 &&
		    (tag == UC_DECOMP_WIDE || tag == UC_DECOMP_NARROW))
			codes.at[i] = parts[0];
	}
}

struct codes
codes_lower(struct arena *arena, struct codes codes)
{
	struct codes low = {arena_array(arena, uint32_t, codes.len * 2), 0};

	for (size_t i = 0; i < codes.len; i++) {
		/* The only one that becomes two, Unicode's SpecialCasing:
		 * a dotted capital i. */
		if (codes.at[i] == 0x0130) {
			low.at[low.len++] = 'i';
			low.at[low.len++] = 0x0307;
		} else {
			low.at[low.len++] = uc_tolower(codes.at[i]);
		}
	}
	return low;
}

void
codes_map_spaces(struct codes codes)
{
	for (size_t i = 0; i < codes.len; i++) {
		if (uc_is_general_category_withtable(
			codes.at[i], UC_CATEGORY_MASK_Zs))
			codes.at[i] = ' ';
	}
}

static struct codes
normalize(struct arena *arena, uninorm_t form, struct codes codes)
{
	struct codes normal = {0};
	uint32_t *made;

	if (codes.len == 0)
		return codes;
	made = u32_normalize(form, codes.at, codes.len, NULL, &normal.len);
	must(made != NULL);
	normal.at = arena_array(arena, uint32_t, normal.len);
	memcpy(normal.at, made, normal.len * sizeof(made[0]));
	free(made);
	return normal;
}

struct codes
codes_nfc(struct arena *arena, struct codes codes)
{
	return normalize(arena, UNINORM_NFC, codes);
}

struct codes
codes_nfkc(struct arena *arena, struct codes codes)
{
	return normalize(arena, UNINORM_NFKC, codes);
}

/* --- contexts: RFC 5892, appendix A ----------------------------------- */

static bool
has_script(uint32_t code, const char *name)
{
	const uc_script_t *script = uc_script(code);

	return script != NULL && strcmp(script->name, name) == 0;
}

static bool
follows_virama(struct codes codes, size_t at)
{
	return at > 0 && uc_combining_class(codes.at[at - 1]) == UC_CCC_VR;
}

/* The first code point before or after that is not transparent to joining;
 * -1 when there is none. */
static int
joining_type(struct codes codes, size_t at, bool after)
{
	int type;

	while (after ? ++at < codes.len : at-- > 0) {
		type = uc_joining_type(codes.at[at]);
		if (type != UC_JOINING_TYPE_T)
			return type;
	}
	return -1;
}

/* A.1 */
static bool
non_joiner_is_right(struct codes codes, size_t at)
{
	int before = joining_type(codes, at, false);
	int after = joining_type(codes, at, true);

	return follows_virama(codes, at) ||
	       ((before == UC_JOINING_TYPE_L || before == UC_JOINING_TYPE_D) &&
		   (after == UC_JOINING_TYPE_R || after == UC_JOINING_TYPE_D));
}

/* A.3 */
static bool
middle_dot_is_right(struct codes codes, size_t at)
{
	return at > 0 && at + 1 < codes.len && codes.at[at - 1] == 'l' &&
	       codes.at[at + 1] == 'l';
}

/* A.7 */
static bool
has_japanese(struct codes codes)
{
	for (size_t i = 0; i < codes.len; i++) {
		if (has_script(codes.at[i], "Hiragana") ||
		    has_script(codes.at[i], "Katakana") ||
		    has_script(codes.at[i], "Han"))
			return true;
	}
	return false;
}

static bool
has_digit_from(struct codes codes, uint32_t zero)
{
	for (size_t i = 0; i < codes.len; i++) {
		if (codes.at[i] >= zero && codes.at[i] <= zero + 9)
			return true;
	}
	return false;
}

bool
codes_context_is_right(struct codes codes, size_t at)
{
	switch (codes.at[at]) {
	case 0x200c:
		return non_joiner_is_right(codes, at);
	case 0x200d: /* A.2 */
		return follows_virama(codes, at);
	case 0x00b7:
		return middle_dot_is_right(codes, at);
	case 0x0375: /* A.4 */
		return at + 1 < codes.len &&
		       has_script(codes.at[at + 1], "Greek");
	case 0x05f3: /* A.5 */
	case 0x05f4: /* A.6 */
		return at > 0 && has_script(codes.at[at - 1], "Hebrew");
	case 0x30fb:
		return has_japanese(codes);
	case 0x0660 ... 0x0669: /* A.8 */
		return !has_digit_from(codes, 0x06f0);
	case 0x06f0 ... 0x06f9: /* A.9 */
		return !has_digit_from(codes, 0x0660);
	default:
		return false;
	}
}

/* --- direction: RFC 5893, section 2 ----------------------------------- */

#define BIDI(type) (1u << UC_BIDI_##type)

/* Conditions 2 and 5. */
#define BIDI_BOTH                                                          \
	(BIDI(EN) | BIDI(ES) | BIDI(CS) | BIDI(ET) | BIDI(ON) | BIDI(BN) | \
	    BIDI(NSM))

static unsigned
bidi_of(uint32_t code)
{
	return 1u << uc_bidi_category(code);
}

static unsigned
bidi_of_all(struct codes codes)
{
	unsigned all = 0;

	for (size_t i = 0; i < codes.len; i++)
		all |= bidi_of(codes.at[i]);
	return all;
}

/* Of the last one that is no mark upon another. */
static unsigned
bidi_at_end(struct codes codes)
{
	while (codes.len > 0 && bidi_of(codes.at[codes.len - 1]) == BIDI(NSM))
		codes.len--;
	return codes.len == 0 ? 0 : bidi_of(codes.at[codes.len - 1]);
}

bool
codes_have_rtl(struct codes codes)
{
	return (bidi_of_all(codes) & (BIDI(R) | BIDI(AL) | BIDI(AN))) != 0;
}

bool
codes_obey_bidi_rule(struct codes codes)
{
	unsigned first = codes.len == 0 ? 0 : bidi_of(codes.at[0]);
	unsigned all = bidi_of_all(codes), last = bidi_at_end(codes);
	unsigned rtl = BIDI(R) | BIDI(AL), numbers = BIDI(EN) | BIDI(AN);

	if (first & rtl)
		return (all & ~(rtl | BIDI(AN) | BIDI_BOTH)) == 0 &&
		       (last & (rtl | numbers)) != 0 &&
		       (all & numbers) != numbers;
	return first == BIDI(L) && (all & ~(BIDI(L) | BIDI_BOTH)) == 0 &&
	       (last & (BIDI(L) | BIDI(EN))) != 0;
}

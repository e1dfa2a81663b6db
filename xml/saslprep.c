#include "xml/saslprep.h"

#include <stdint.h>
#include <unictype.h>

#include "xml/codes.h"

struct range {
	uint32_t first, last;
};

/* RFC 3454, table C.1.2 */
static const struct range spaces[] = {
    {0x00a0, 0x00a0},
    {0x1680, 0x1680},
    {0x2000, 0x200b},
    {0x202f, 0x202f},
    {0x205f, 0x205f},
    {0x3000, 0x3000},
};

/* Table B.1 */
static const struct range dropped[] = {
    {0x00ad, 0x00ad},
    {0x034f, 0x034f},
    {0x1806, 0x1806},
    {0x180b, 0x180d},
    {0x200b, 0x200d},
    {0x2060, 0x2060},
    {0xfe00, 0xfe0f},
    {0xfeff, 0xfeff},
};

/* Tables C.1.2 to C.9, less the non-characters (C.4). */
static const struct range prohibited[] = {
    {0x0000, 0x001f},
    {0x007f, 0x00a0},
    {0x0340, 0x0341},
    {0x06dd, 0x06dd},
    {0x070f, 0x070f},
    {0x1680, 0x1680},
    {0x180e, 0x180e},
    {0x2000, 0x200f},
    {0x2028, 0x202f},
    {0x205f, 0x2063},
    {0x206a, 0x206f},
    {0x2ff0, 0x2ffb},
    {0x3000, 0x3000},
    {0xd800, 0xf8ff},
    {0xfeff, 0xfeff},
    {0xfff9, 0xfffd},
    {0x1d173, 0x1d17a},
    {0xe0001, 0xe0001},
    {0xe0020, 0xe007f},
    {0xf0000, 0xffffd},
    {0x100000, 0x10fffd},
};

#define IS_IN(code, table) \
	is_in((code), (table), sizeof(table) / sizeof((table)[0]))

static bool
is_in(uint32_t code, const struct range *ranges, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		if (code >= ranges[i].first && code <= ranges[i].last)
			return true;
	}
	return false;
}

/* RFC 4013, section 2.1. */
static struct codes
map(struct codes codes)
{
	struct codes mapped = {codes.at, 0};

	for (size_t i = 0; i < codes.len; i++) {
		if (IS_IN(codes.at[i], spaces))
			mapped.at[mapped.len++] = ' ';
		else if (!IS_IN(codes.at[i], dropped))
			mapped.at[mapped.len++] = codes.at[i];
	}
	return mapped;
}

/* RFC 4013, sections 2.3 and 2.5. */
static bool
are_allowed(struct codes codes)
{
	for (size_t i = 0; i < codes.len; i++) {
		if (IS_IN(codes.at[i], prohibited) ||
		    uc_is_general_category_withtable(
			codes.at[i], UC_CATEGORY_MASK_Cn))
			return false;
	}
	return true;
}

static bool
is_rtl(uint32_t code)
{
	int bidi = uc_bidi_category(code);

	return bidi == UC_BIDI_R || bidi == UC_BIDI_AL;
}

/* RFC 3454, section 6. */
static bool
directions_agree(struct codes codes)
{
	bool any_ltr = false, any_rtl = false;

	for (size_t i = 0; i < codes.len; i++) {
		any_ltr |= uc_bidi_category(codes.at[i]) == UC_BIDI_L;
		any_rtl |= is_rtl(codes.at[i]);
	}
	return !any_rtl || (!any_ltr && is_rtl(codes.at[0]) &&
			       is_rtl(codes.at[codes.len - 1]));
}

bool
saslprep(struct arena *arena, struct str *text)
{
	struct arena *scratch = arena_make(0);
	struct codes codes;
	bool ok = codes_read(scratch, *text, &codes);

	if (ok)
		codes = codes_nfkc(scratch, map(codes));
	ok = ok && codes.len > 0 && are_allowed(codes) &&
	     directions_agree(codes);
	if (ok)
		*text = codes_text(arena, codes);
	arena_free(&scratch);
	return ok;
}

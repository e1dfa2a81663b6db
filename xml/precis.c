#include "xml/precis.h"

#include <stdint.h>
#include <unictype.h>
#include <uninorm.h>

#include "xml/codes.h"

/* How often more than once the rules are applied, RFC 8264, section 7. */
#define TRIES_MAX 3

/* --- the derived property --------------------------------------------- */

/* RFC 5892, section 2.6. PRECIS_UNASSIGNED for what is no exception. */
static enum precis
exception(uint32_t code)
{
	switch (code) {
	case 0x00df:
	case 0x03c2:
	case 0x06fd:
	case 0x06fe:
	case 0x0f0b:
	case 0x3007:
		return PRECIS_VALID;
	case 0x00b7:
	case 0x0375:
	case 0x05f3:
	case 0x05f4:
	case 0x30fb:
	case 0x0660 ... 0x0669:
	case 0x06f0 ... 0x06f9:
		return PRECIS_CONTEXT;
	case 0x0640:
	case 0x07fa:
	case 0x302e:
	case 0x302f:
	case 0x3031 ... 0x3035:
	case 0x303b:
		return PRECIS_DISALLOWED;
	default:
		return PRECIS_UNASSIGNED;
	}
}

/* Hangul_Syllable_Type L, V and T, RFC 5892, section 2.9. */
static bool
is_old_hangul(uint32_t code)
{
	return (code >= 0x1100 && code <= 0x11ff) ||
	       (code >= 0xa960 && code <= 0xa97c) ||
	       (code >= 0xd7b0 && code <= 0xd7c6) ||
	       (code >= 0xd7cb && code <= 0xd7fb);
}

static bool
is_ignorable(uint32_t code)
{
	return uc_is_property_default_ignorable_code_point(code) ||
	       uc_is_property_not_a_character(code);
}

static bool
has_compat(uint32_t code)
{
	uint32_t room[32]; /* the longest is 18 */
	size_t len = sizeof(room) / sizeof(room[0]);

	return u32_normalize(UNINORM_NFKC, &code, 1, room, &len) == room &&
	       (len != 1 || room[0] != code);
}

/* What is left to the general category. */
static enum precis
of_category(uint32_t code)
{
	static const uint32_t letters =
	    UC_CATEGORY_MASK_Ll | UC_CATEGORY_MASK_Lu | UC_CATEGORY_MASK_Lo |
	    UC_CATEGORY_MASK_Nd | UC_CATEGORY_MASK_Lm | UC_CATEGORY_MASK_Mn |
	    UC_CATEGORY_MASK_Mc;
	static const uint32_t others =
	    UC_CATEGORY_MASK_Lt | UC_CATEGORY_MASK_Nl | UC_CATEGORY_MASK_No |
	    UC_CATEGORY_MASK_Me | UC_CATEGORY_MASK_Zs | UC_CATEGORY_MASK_S |
	    UC_CATEGORY_MASK_P;

	if (uc_is_general_category_withtable(code, letters))
		return PRECIS_VALID;
	if (uc_is_general_category_withtable(code, others))
		return PRECIS_FREEFORM;
	return PRECIS_DISALLOWED;
}

/* RFC 8264, section 8: the order must not change. */
enum precis
precis_of(uint32_t code)
{
	enum precis exceptional = exception(code);

	if (exceptional != PRECIS_UNASSIGNED)
		return exceptional;
	if (uc_is_general_category_withtable(code, UC_CATEGORY_MASK_Cn) &&
	    !uc_is_property_not_a_character(code))
		return PRECIS_UNASSIGNED;
	if (code >= 0x21 && code <= 0x7e)
		return PRECIS_VALID;
	if (uc_is_property_join_control(code))
		return PRECIS_CONTEXT;
	if (is_old_hangul(code) || is_ignorable(code) ||
	    uc_is_general_category_withtable(code, UC_CATEGORY_MASK_Cc))
		return PRECIS_DISALLOWED;
	if (has_compat(code))
		return PRECIS_FREEFORM;
	return of_category(code);
}

static bool
are_allowed(struct codes codes, bool freeform)
{
	for (size_t i = 0; i < codes.len; i++) {
		enum precis what = precis_of(codes.at[i]);

		if (what == PRECIS_VALID ||
		    (what == PRECIS_FREEFORM && freeform) ||
		    (what == PRECIS_CONTEXT &&
			codes_context_is_right(codes, i)))
			continue;
		return false;
	}
	return true;
}

/* --- the profiles ----------------------------------------------------- */

/* RFC 8265, sections 3.3.2 and 3.3.3. */
static bool
enforce_username(struct arena *arena, struct codes *codes)
{
	codes_map_width(*codes);
	if (!are_allowed(*codes, false))
		return false;
	*codes = codes_nfc(arena, codes_lower(arena, *codes));
	return !codes_have_rtl(*codes) || codes_obey_bidi_rule(*codes);
}

/* RFC 8265, sections 4.2.1 and 4.2.2. */
static bool
enforce_opaque(struct arena *arena, struct codes *codes)
{
	if (!are_allowed(*codes, true))
		return false;
	codes_map_spaces(*codes);
	*codes = codes_nfc(arena, *codes);
	return true;
}

typedef bool enforce_fn(struct arena *, struct codes *);

/* Applies the rules until nothing changes any more. */
static bool
enforce(struct arena *arena, enforce_fn *rules, struct codes *codes)
{
	struct codes before;

	for (unsigned try = 0; try <= TRIES_MAX + 1; try++) {
		before = *codes;
		before.at = memcpy(arena_array(arena, uint32_t, codes->len),
		    codes->at, codes->len * sizeof(codes->at[0]));
		if (!rules(arena, codes))
			return false;
		if (codes_equal(before, *codes))
			return codes->len > 0;
	}
	return false;
}

static bool
prepare(struct arena *arena, enforce_fn *rules, struct str *text)
{
	struct arena *scratch = arena_make(0);
	struct codes codes;
	bool ok = codes_read(scratch, *text, &codes) &&
		  enforce(scratch, rules, &codes);

	if (ok)
		*text = codes_text(arena, codes);
	arena_free(&scratch);
	return ok;
}

bool
precis_username(struct arena *arena, struct str *text)
{
	return prepare(arena, enforce_username, text);
}

bool
precis_opaque(struct arena *arena, struct str *text)
{
	return prepare(arena, enforce_opaque, text);
}

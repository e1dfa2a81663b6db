/*
 * xml/codes.h - text as Unicode code points, for its preparation: what PRECIS,
 * IDNA2008 and SASLprep have in common. Only they use it.
 *
 * What is made lives in the arena.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/str.h"

struct codes {
	uint32_t *at;
	size_t len;
};

/* False when the text is not well-formed UTF-8. */
bool codes_read(struct arena *, struct str text, struct codes *codes_r);
struct str codes_text(struct arena *, struct codes);
bool codes_equal(struct codes, struct codes);

/* Code points of decomposition type wide or narrow become what they decompose
 * to (RFC 8264, section 5.2.1). */
void codes_map_width(struct codes);
/* toLowerCase without regard to language and place, so that a capital sigma
 * always becomes the small one that is not final (RFC 8265, section 3.6). */
struct codes codes_lower(struct arena *, struct codes);
/* Spaces (category Zs) become U+0020. */
void codes_map_spaces(struct codes);
/* Normalization Form C, or KC. */
struct codes codes_nfc(struct arena *, struct codes);
struct codes codes_nfkc(struct arena *, struct codes);

/* Whether the code point that needs a context has it: RFC 5892, appendix A.
 * False for those that no rule names. */
bool codes_context_is_right(struct codes, size_t at);
/* Whether there is a code point of right-to-left text (R, AL, AN). */
bool codes_have_rtl(struct codes);
/* The Bidi Rule, RFC 5893, section 2. */
bool codes_obey_bidi_rule(struct codes);

#include "xml/precis.h"

#include "base/check.h"

/* Code points that show each line of RFC 8264, section 8. */
static const struct {
	uint32_t code;
	enum precis want;
} codes[] = {
    /* Exceptions */
    {0x00df, PRECIS_VALID},
    {0x03c2, PRECIS_VALID},
    {0x06fe, PRECIS_VALID},
    {0x3007, PRECIS_VALID},
    {0x00b7, PRECIS_CONTEXT},
    {0x0375, PRECIS_CONTEXT},
    {0x05f3, PRECIS_CONTEXT},
    {0x30fb, PRECIS_CONTEXT},
    {0x0665, PRECIS_CONTEXT},
    {0x06f9, PRECIS_CONTEXT},
    {0x0640, PRECIS_DISALLOWED},
    {0x302e, PRECIS_DISALLOWED},
    {0x3035, PRECIS_DISALLOWED},
    /* Unassigned */
    {0x0378, PRECIS_UNASSIGNED},
    {0x1fff, PRECIS_UNASSIGNED},
    {0xe0fff, PRECIS_UNASSIGNED},
    /* ASCII7 */
    {'!', PRECIS_VALID},
    {'A', PRECIS_VALID},
    {'~', PRECIS_VALID},
    {0x7f, PRECIS_DISALLOWED},
    /* JoinControl */
    {0x200c, PRECIS_CONTEXT},
    {0x200d, PRECIS_CONTEXT},
    /* OldHangulJamo */
    {0x1100, PRECIS_DISALLOWED},
    {0x11ff, PRECIS_DISALLOWED},
    {0xa960, PRECIS_DISALLOWED},
    {0xd7fb, PRECIS_DISALLOWED},
    {0xac00, PRECIS_VALID},
    /* PrecisIgnorableProperties */
    {0x00ad, PRECIS_DISALLOWED},
    {0x034f, PRECIS_DISALLOWED},
    {0x200b, PRECIS_DISALLOWED},
    {0xfe0f, PRECIS_DISALLOWED},
    {0xfeff, PRECIS_DISALLOWED},
    {0xfdd0, PRECIS_DISALLOWED},
    {0xffff, PRECIS_DISALLOWED},
    {0x10ffff, PRECIS_DISALLOWED},
    {0xe0020, PRECIS_DISALLOWED},
    /* Controls */
    {0x00, PRECIS_DISALLOWED},
    {0x09, PRECIS_DISALLOWED},
    {0x85, PRECIS_DISALLOWED},
    /* HasCompat */
    {0x00aa, PRECIS_FREEFORM},
    {0x0149, PRECIS_FREEFORM},
    {0x2163, PRECIS_FREEFORM},
    {0x212b, PRECIS_FREEFORM},
    {0xfb01, PRECIS_FREEFORM},
    {0xff21, PRECIS_FREEFORM},
    {0xfdfa, PRECIS_FREEFORM}, /* decomposes to 18 */
    {0x00a0, PRECIS_FREEFORM},
    {0x01c5, PRECIS_FREEFORM},
    /* LetterDigits */
    {0x00e4, PRECIS_VALID},
    {0x0130, PRECIS_VALID},
    {0x0131, PRECIS_VALID},
    {0x0301, PRECIS_VALID},
    {0x0903, PRECIS_VALID},
    {0x4e00, PRECIS_VALID},
    {0x0966, PRECIS_VALID},
    /* OtherLetterDigits */
    {0x1f88, PRECIS_FREEFORM},
    {0x16ee, PRECIS_FREEFORM},
    {0x0488, PRECIS_FREEFORM},
    /* Spaces, Symbols, Punctuation */
    {' ', PRECIS_FREEFORM},
    {0x1680, PRECIS_FREEFORM},
    {0x265a, PRECIS_FREEFORM},
    {0x221e, PRECIS_FREEFORM},
    {0x20ac, PRECIS_FREEFORM},
    {0x1f339, PRECIS_FREEFORM},
    {0x00bf, PRECIS_FREEFORM},
    {0x05be, PRECIS_FREEFORM},
    /* The rest: format, private use, line ends */
    {0x0600, PRECIS_DISALLOWED},
    {0xe000, PRECIS_DISALLOWED},
    {0x10fffd, PRECIS_DISALLOWED},
    {0x2028, PRECIS_DISALLOWED},
};

static void
properties_are_derived(void **state)
{
	for (size_t i = 0; i < COUNT_OF(codes); i++) {
		if (precis_of(codes[i].code) != codes[i].want)
			print_error("U+%04X\n", codes[i].code);
		CHECK_EQUAL(precis_of(codes[i].code), codes[i].want);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(properties_are_derived),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

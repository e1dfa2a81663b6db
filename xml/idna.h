/*
 * xml/idna.h - domains as U-labels: IDNA2008 (RFC 5890 to 5893) with the
 * mappings of RFC 5895. Only prep.c uses it.
 */
#pragma once

#include <stdbool.h>

#include "base/str.h"

/* DNS, RFC 1034, section 3.1: what its 255 octets leave of the text. */
#define IDNA_DOMAIN_MAX 253
#define IDNA_LABEL_MAX  63

/* Whether it is a name of NR-LDH labels; lower-case ASCII is given. */
bool idna_is_ldh(struct str);
/* To U-labels and NR-LDH labels; the prepared text lives in the arena. False
 * when it is not allowed; then the text is as it was. */
bool idna_domain(struct arena *, struct str *);
/* From those to A-labels. */
bool idna_ascii(struct arena *, struct str *);
/* "[...]" with an IPv6 address in it, to the form of RFC 5952. */
bool idna_ipv6(struct arena *, struct str *);

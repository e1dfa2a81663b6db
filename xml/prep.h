/*
 * xml/prep.h - strings prepared for comparison: PRECIS (RFC 8264, 8265) and
 * IDNA2008 (RFC 5890 to 5893).
 *
 * Each takes a view and replaces it by the prepared form, which lives in the
 * arena or, when nothing had to change, is the very same bytes. False when the
 * string is not allowed; then the view is as it was.
 */
#pragma once

#include <stdbool.h>

#include "base/str.h"

/* Each part of a JID is 1 to 1023 octets, RFC 7622, section 3. */
#define PREP_PART_MAX 1023

/* Localpart: UsernameCaseMapped less "&'/:<>@ (RFC 7622, section 3.3).
 * Empty text is not allowed; an absent part (text NULL) is left alone. */
bool prep_local(struct arena *, struct str *);
/* Domainpart: a DNS name (U-labels, lower case, without the final dot), an
 * IPv4 address or an IPv6 address in brackets (section 3.2). */
bool prep_domain(struct arena *, struct str *);
/* Resourcepart: OpaqueString (section 3.4). Example 18 of section 3.5 has one
 * with a leading space among those that are none, but no rule of that profile
 * (RFC 8265, section 4.2) forbids it: the rules count, it stays. */
bool prep_resource(struct arena *, struct str *);

/* Passwords: OpaqueString (RFC 8265, section 4.2), any length but empty. */
bool prep_password(struct arena *, struct str *);
/* What SCRAM clients of before PRECIS prove: SASLprep (RFC 4013). For ASCII
 * the same as prep_password. */
bool prep_sasl(struct arena *, struct str *);

/* The A-label form of a prepared domain, for DNS and certificates. */
bool prep_domain_ascii(struct arena *, struct str *);

/*
 * server/names.h - the names in a certificate, and whether a domain is among
 * them: RFC 6125 and 9525 with RFC 6120, section 13.7.
 *
 * What counts is in the subjectAltName: dNSName, SRVName (RFC 4985) and
 * XmppAddr (RFC 6120, section 13.7.1.4). The common name never does.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/str.h"

enum name_kind { NAME_DNS, NAME_SRV, NAME_XMPP };

struct name {
	enum name_kind kind;
	struct str text; /* as it stands in the certificate */
};

struct names {
	const struct name *items;
	size_t count;
};

/* Reads the value of the extension, DER; the texts are views into it. Names of
 * other kinds are left out, and all are when it is malformed: false. */
bool names_read(struct arena *, struct str extension, struct names *names_r);

/* A domain to look for. */
struct name_wanted {
	struct str domain; /* prepared: U-labels */
	struct str ascii;  /* in A-labels */
};

/* False when the domain cannot be in a certificate: it is an address. */
bool name_wanted_of(
    struct arena *, struct str domain, struct name_wanted *wanted_r);
/* The name that stands for the domain; NULL when there is none. A wildcard
 * stands for exactly one label, the left-most, and is all of it. */
const struct name *names_find(
    const struct names *, struct arena *, const struct name_wanted *);
/* "a.example, *.b.example", a few at most, printable; "no domain" when there is
 * none. */
struct str names_text(const struct names *, struct arena *);

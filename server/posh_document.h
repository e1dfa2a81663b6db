/*
 * server/posh_document.h - the JSON documents of RFC 7711, section 3.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/str.h"

/* Longer ones are not read. */
#define POSH_LEN_MAX ((size_t)64 * 1024)

/* In base64 as they came; text NULL: there is none. */
struct fingerprint {
	struct str sha256, sha512;
};

struct posh_document {
	struct str url; /* of a reference; empty: these fingerprints */
	const struct fingerprint *fingerprints;
	size_t count;
	uint64_t expires_s; /* from now on; never 0 */
};

/* False with a sentence: no JSON, neither of the two kinds, or expired. */
bool posh_document_read(struct arena *, struct str json,
    struct posh_document *document_r, struct str *why_r);
/* Whether one of the fingerprints is that of the certificate (DER); of two
 * hashes of one the stronger counts. */
bool posh_document_matches(
    const struct posh_document *, struct arena *, struct str der);

/*
 * xml/precis.h - the PRECIS classes (RFC 8264) and the profiles of them that
 * addresses and passwords use (RFC 8265). Only prep.c uses it, for what is not
 * plain ASCII.
 */
#pragma once

#include <stdbool.h>

#include "base/str.h"

/* The derived property, RFC 8264, section 8. */
enum precis {
	PRECIS_VALID,    /* in every class */
	PRECIS_FREEFORM, /* in the FreeformClass only */
	PRECIS_CONTEXT,  /* where a rule allows it */
	PRECIS_DISALLOWED,
	PRECIS_UNASSIGNED
};

enum precis precis_of(uint32_t code);

/* The prepared text lives in the arena. False when it is not allowed; then the
 * text is as it was. */
bool precis_username(struct arena *, struct str *); /* UsernameCaseMapped */
bool precis_opaque(struct arena *, struct str *);   /* OpaqueString */

/*
 * xml/saslprep.h - SASLprep, RFC 4013, over today's Unicode: a code point that
 * Unicode 3.2 had not assigned is judged by what it is now, as it would lock
 * out whoever has an emoji in his password. Only prep.c uses it.
 */
#pragma once

#include <stdbool.h>

#include "base/str.h"

/* The prepared text lives in the arena. False when it is not allowed; then the
 * text is as it was. */
bool saslprep(struct arena *, struct str *);

/*
 * base/escape.h - text of others, for lines that people read: control
 * characters, also U+0080 to U+009F, would break a line or drive a terminal.
 */
#pragma once

#include "base/buf.h"

/* As "\x0a", like bytes that are not UTF-8. */
void escape_text(struct buf *, struct str);
/* For the inside of a string of JSON: as "\u000a". */
void escape_json_string(struct buf *, struct str);
/* A whole text of JSON: the same in its strings, nothing else. */
void escape_json(struct buf *, struct str);

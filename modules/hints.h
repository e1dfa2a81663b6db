/*
 * modules/hints.h - XEP-0334: what a sender says about storing and copying.
 */
#pragma once

#include "server/module.h"
#include "xml/keepable.h"

extern const struct module hints_module;

/* Whether the message carries the hint: "no-store", "no-permanent-store",
 * "no-copy", "store". Hints in errors do not count (section 5). */
bool hints_has(const struct stanza *, const char *hint);
